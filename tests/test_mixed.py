import pytest
import torch
from torch.nn import functional

from shared_geometry.networks.architectures import build_network
from shared_geometry.networks.layers import attach_generator
from shared_geometry.training.mixed import Cast, Twin

CPU = torch.device("cpu")


def trained(architecture, kind, steps=2):
    """Losses of a few steps in bfloat16, and the network after them."""
    network = build_network(architecture, in_channels=3, image_size=32, n_classes=10)
    network.to(memory_format=torch.channels_last)
    answers = Twin(network, torch.bfloat16) if kind is Twin else Cast(network, CPU, torch.bfloat16)
    generator = torch.Generator().manual_seed(0)
    attach_generator(answers.module, generator)
    images = torch.randn(16, 3, 32, 32, generator=generator)
    images = images.contiguous(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(network.parameters(), 0.05)
    losses = []
    for _ in range(steps):
        loss = functional.cross_entropy(answers(images), torch.arange(16) % 10)
        optimiser.zero_grad()
        loss.backward()
        answers.take_gradients()
        optimiser.step()
        answers.refresh()
        losses.append(loss.item())
    return losses, network, answers


def test_a_twin_computes_what_casts_compute():
    (losses, network, _), (expected, cast, _) = (trained("convnet", k) for k in (Twin, Cast))
    assert losses == expected
    for name, weight in cast.state_dict().items():
        assert torch.equal(network.state_dict()[name], weight), name


def test_a_twin_of_a_network_with_batchnorm_shares_its_statistics():
    losses, network, answers = trained("resnet18", Twin)
    expected, cast, _ = trained("resnet18", Cast)
    assert losses == pytest.approx(expected, rel=0.02)
    twin = answers.module
    assert twin.norm.weight is network.norm.weight
    assert twin.norm.running_mean is network.norm.running_mean
    assert twin.stem_conv.weight.dtype == torch.bfloat16
    assert network.stem_conv.weight.dtype == torch.float32
    fresh = build_network("resnet18", in_channels=3, image_size=32, n_classes=10)
    for name in ("stem_conv.weight", "blocks.3.conv2.weight", "norm.bias", "logits.weight"):
        before, after = fresh.state_dict()[name], network.state_dict()[name]
        moved, expected = after - before, cast.state_dict()[name] - before
        assert functional.cosine_similarity(moved.flatten(), expected.flatten(), 0) > 0.97, name


def test_a_twin_takes_over_weights_that_were_loaded():
    network = build_network("convnet", in_channels=3, image_size=32, n_classes=10)
    twin = Twin(network, torch.bfloat16)
    other = build_network("convnet", in_channels=3, image_size=32, n_classes=10, network=1)
    network.load_state_dict(other.state_dict())
    twin.refresh()
    assert torch.equal(twin.module.conv3.weight, other.conv3.weight.bfloat16())
