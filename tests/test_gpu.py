import math

import pytest
import torch
from pretended_gpu import Away, pretended_gpu

from shared_geometry.config import Config
from shared_geometry.datasets import load_dataset
from shared_geometry.experiment import run
from shared_geometry.srm import SRM
from shared_geometry.training import (
    capture,
    load_checkpoint,
    lockstep,
    recipe,
    train_network,
    train_population,
    trainer,
)
from shared_geometry.training import train as training
from shared_geometry.yours import record


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


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_networks_side_by_side_are_those_that_train_alone(precision, gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_SIDE_BY_SIDE", 2)
    data = load_dataset("digits", train_images=100)
    how = recipe("paper", "convnet", epochs=2, checkpoints=(0, 2))
    given = {"seed": 0, "device": "cuda", "precision": precision}
    together = train_population(data, "convnet", how, n_networks=3, folder=tmp_path, **given)
    assert len(together) == 3
    alone = train_network(data, "convnet", how, network=1, folder=tmp_path / "alone", **given)
    assert together[1] == alone
    for name, weight in load_checkpoint(tmp_path, 1, 2).items():
        assert torch.equal(weight, load_checkpoint(tmp_path / "alone", 1, 2)[name]), name


def test_networks_that_stand_at_other_steps_go_on_to_the_same(gpu, tmp_path, monkeypatch):
    data = load_dataset("digits", train_images=100)
    how = recipe("paper", "resnet18", epochs=2, checkpoints=(0, 2))
    given = {"seed": 0, "device": "cuda", "save_every": 0.0}
    whole = train_population(data, "resnet18", how, n_networks=3, folder=tmp_path / "a", **given)
    learn = trainer.Run.learn

    def dying(run, *batch):
        learn(run, *batch)
        if run.network == 0 and run.step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer.Run, "learn", dying)
    with pytest.raises(KeyboardInterrupt):
        train_population(data, "resnet18", how, n_networks=2, folder=tmp_path / "b", **given)
    monkeypatch.setattr(trainer.Run, "learn", learn)
    groups = []
    start = lockstep.Lockstep.__init__

    def watched(self, job, runs):
        groups.append(([run.network for run in runs], runs[0].step))
        start(self, job, runs)

    monkeypatch.setattr(lockstep.Lockstep, "__init__", watched)
    resumed = train_population(data, "resnet18", how, n_networks=3, folder=tmp_path / "b", **given)
    assert groups == [([0, 1], 5), ([2], 0)]
    assert resumed == whole


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("architecture", ["convnet", "resnet18"])
def test_recorded_steps_are_those_that_are_launched_one_by_one(architecture, tmp_path, monkeypatch):
    data = load_dataset("digits", train_images=100)
    how = recipe("paper", architecture, epochs=6, checkpoints=(0, 6))
    given = {"n_networks": 3, "seed": 0, "device": "cuda"}
    recorded = train_population(data, architecture, how, folder=tmp_path / "a", **given)
    monkeypatch.setattr(capture, "WARM_UP", math.inf)
    assert train_population(data, architecture, how, folder=tmp_path / "b", **given) == recorded


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
