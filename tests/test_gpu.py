import pytest
import torch
from pretended_gpu import Away, pretended_gpu

from shared_geometry.config import Config
from shared_geometry.experiment import run
from shared_geometry.recording import record
from shared_geometry.srm import SRM


@pytest.fixture
def gpu(monkeypatch):
    with pretended_gpu(monkeypatch):
        yield


def silent_here_and_there():
    """Four networks with one shared response; in two of them, other units are silent."""
    generator = torch.Generator().manual_seed(3)
    shared = torch.randn(30, 200, generator=generator)
    bases = torch.linalg.qr(torch.randn(4, 30, 30, generator=generator))[0]
    x = list(bases @ shared + 0.3 * torch.randn(4, 30, 200, generator=generator))
    x[0][3:6], x[1][7:15] = 0, 0
    return x


def test_the_pretended_gpu_refuses_what_a_real_one_would(gpu):
    away, here = torch.ones(2, device="cuda"), torch.ones(2)
    assert away.device.type == "cuda"
    assert isinstance(2 * away + away.new_zeros(2) + here.to(away), Away)
    assert not isinstance(away.cpu(), Away)
    with pytest.raises(RuntimeError, match="two devices"):
        away + here
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(2, device="cuda", generator=torch.Generator())
    with pytest.raises(TypeError, match="numpy"):
        away.numpy()


@pytest.mark.parametrize("k", [10, 30])
def test_srm_on_a_gpu_finds_what_it_finds_on_the_cpu(k, gpu):
    x = silent_here_and_there()
    away = [a.to("cuda") for a in x]
    here, there, moved = SRM(k).fit(x), SRM(k).fit(away), SRM(k, device="cuda").fit(x)
    assert all(isinstance(w, Away) for w in there.w_)
    assert not any(isinstance(w, Away) for w in moved.w_)
    for model in (there, moved):
        assert model.objective_[-1] == pytest.approx(here.objective_[-1], rel=1e-4)
        for w in model.w_:
            torch.testing.assert_close((w.mT @ w).cpu(), torch.eye(k), atol=1e-5, rtol=0)
    assert there.score(away) == pytest.approx(here.score(x), abs=1e-4)
    torch.testing.assert_close(moved.transform(x), [a.cpu() for a in there.transform(away)])
    assert isinstance(there.transform_network(away[0]), Away)


@pytest.mark.parametrize("architecture", ["convnet", "resnet18"])
def test_an_experiment_on_a_gpu_gives_the_numbers_of_the_cpu(architecture, gpu, tmp_path):
    options = {"architecture": architecture, "precision": "float32", "max_units": 32}
    found = {
        device: run(Config.from_preset("smoke", device=device, **options), output=tmp_path / device)
        for device in ("cpu", "cuda")
    }
    here, there = found.values()
    assert "a pretended GPU" in there.attrs["hardware"]
    assert here.test_accuracy.values.tolist() == there.test_accuracy.values.tolist()
    for name in ("geometry_final", "variance_interval", "consistency"):
        difference = abs(here[name] - there[name]).max().item()
        assert difference < 2e-3, name


def test_networks_of_your_own_go_to_the_gpu_and_come_home(gpu):
    networks = [torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU()) for _ in range(2)]
    images = torch.rand(50, 4)
    found = record(networks, images, ["0"], device="cuda")["0"]
    for network, x in zip(networks, found, strict=True):
        assert not isinstance(x, Away)
        assert not any(isinstance(p, Away) for p in network.parameters())
        torch.testing.assert_close(x, network[0](images).detach().T)


def test_networks_on_the_gpu_are_recorded_where_they_are(gpu):
    network = torch.nn.Sequential(torch.nn.Linear(4, 6)).to("cuda")
    (x,) = record(network, torch.rand(50, 4), ["0"])["0"]
    assert not isinstance(x, Away)
    assert isinstance(network[0].weight, Away)
