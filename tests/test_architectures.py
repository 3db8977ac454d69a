import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.errors import InputError
from shared_geometry.networks.activations import layer_sizes
from shared_geometry.networks.architectures import (
    ARCHITECTURES,
    ToyNet,
    build_network,
    recorded_layers,
)
from shared_geometry.networks.layers import Conv, Dropout, PooledReLU, attach_generator
from shared_geometry.networks.patches import PatchConvolution


def _build(architecture, **changes):
    arguments = {"in_channels": 3, "image_size": 32, "n_classes": 10, "seed": 0}
    return build_network(architecture, **(arguments | changes))


def test_the_convnet_has_as_many_parameters_as_the_keras_example_it_comes_from():
    assert sum(p.numel() for p in _build("convnet").parameters()) == 1_250_858


def test_the_layers_have_the_sizes_that_the_paper_s_networks_give_on_cifar():
    assert layer_sizes(_build("convnet"), (3, 32, 32)) == {
        "pool1": 32 * 15 * 15,
        "pool2": 64 * 6 * 6,
        "dense": 512,
        "logits": 10,
    }
    sides = {"1": (64, 16), "3": (64, 8), "5": (64, 8), "7": (128, 4), "9": (128, 4)}
    sides |= {"11": (256, 2), "13": (256, 2), "15": (512, 1), "17": (512, 1)}
    found = layer_sizes(_build("resnet18"), (3, 32, 32))
    assert found == {label: c * side * side for label, (c, side) in sides.items()}
    assert list(found) == list(sides)


def test_the_cifar_stem_keeps_the_image_s_resolution():
    sizes = layer_sizes(_build("resnet18", stem="cifar"), (3, 32, 32))
    assert (sizes["1"], sizes["17"]) == (64 * 32 * 32, 512 * 4 * 4)


@given(
    before=st.integers(1, 3),
    after=st.integers(1, 3),
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 2),
    side=st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_a_cut_kernel_computes_what_the_whole_one_does_and_misses_no_gradient(
    before, after, kernel, stride, side
):
    generator = torch_generator(0, before, after, kernel, stride, side)

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    conv = Conv(before, after, kernel, stride, side).double()
    whole, x = draw(after, before, kernel, kernel).requires_grad_(), draw(2, before, side, side)
    with torch.no_grad():
        conv.weight.copy_(whole[:, :, conv.reach, conv.reach])
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    found = conv(mine)
    expected = functional.conv2d(other, whole, stride=stride, padding=kernel // 2)
    torch.testing.assert_close(found, expected)
    direction = draw(*expected.shape)
    found.backward(direction)
    expected.backward(direction)
    torch.testing.assert_close(mine.grad, other.grad)
    scattered = torch.zeros_like(whole)
    scattered[:, :, conv.reach, conv.reach] = conv.weight.grad
    torch.testing.assert_close(scattered, whole.grad)


@given(
    channels=st.integers(1, 3),
    out=st.integers(1, 3),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    side=st.integers(4, 7),
    last=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_convolution_by_patches_is_torch_s_forward_and_backward(
    channels, out, kernel, stride, padding, side, last
):
    order = torch.channels_last if last else torch.contiguous_format
    generator = torch_generator(0, channels, out, kernel, stride, padding, side)

    def draw(*shape):
        drawn = torch.randn(shape, dtype=torch.float64, generator=generator)
        return drawn.contiguous(memory_format=order).requires_grad_()

    mine = draw(2, channels, side, side), draw(out, channels, kernel, kernel)
    other = [t.detach().clone().requires_grad_() for t in mine]
    found = PatchConvolution.apply(*mine, stride, padding)
    expected = functional.conv2d(*other, stride=stride, padding=padding)
    torch.testing.assert_close(found, expected)
    direction = torch.randn(expected.shape, dtype=torch.float64, generator=generator)
    found.backward(direction)
    expected.backward(direction)
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_resnet18_in_bfloat16_has_the_gradients_of_float64_up_to_its_rounding():
    short = _build("resnet18").to(memory_format=torch.channels_last)
    exact = _build("resnet18").double()
    x = torch.randn(16, 3, 32, 32, generator=torch_generator(0, "x"))
    with torch.autocast("cpu", torch.bfloat16):
        short(x.to(memory_format=torch.channels_last)).square().mean().backward()
    exact(x.double()).square().mean().backward()
    for (name, a), b in zip(short.named_parameters(), exact.parameters(), strict=True):
        cosine = functional.cosine_similarity(a.grad.double().flatten(), b.grad.flatten(), dim=0)
        assert cosine > 0.93, name
        assert a.grad.stride() == a.stride(), name


def test_pooling_before_the_relu_is_pooling_after_it_forward_and_backward():
    x = torch.randn(3, 4, 9, 9, generator=torch_generator(0, "x"), dtype=torch.float64)
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
    found = PooledReLU()(first)
    expected = functional.max_pool2d(functional.relu(second), 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    found.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(first.grad, second.grad, rtol=0, atol=0)


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_dropout_keeps_the_mean_and_drops_its_share(p):
    dropout = Dropout(p)
    dropout.generator = torch_generator(0, "dropout")
    x = torch.ones(50, 8, 25, 25).to(memory_format=torch.channels_last)
    y = dropout(x)
    n = x.numel()
    dropped = float((y == 0).double().mean())
    assert abs(dropped - p) < 5 * (p * (1 - p) / n) ** 0.5
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - p)))
    per_unit = (y == 0).double().mean(0)
    assert float((per_unit - p).abs().max()) < 6 * (p * (1 - p) / 50) ** 0.5
    dropout.eval()
    assert dropout(x) is x


def test_dropout_draws_from_its_generator_alone():
    x, masks = torch.ones(20, 30), []
    for seed in (1, 1, 2):
        dropout = Dropout(0.5)
        dropout.generator = torch_generator(seed, "dropout")
        torch.rand(seed)
        masks.append(dropout(x))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    with pytest.raises(InputError, match="attach_generator"):
        Dropout(0.5)(x)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_network_depends_on_its_seed_and_index_and_leaves_the_global_generator_alone(
    architecture,
):
    before = torch.random.get_rng_state()
    first, again = _build(architecture), _build(architecture)
    others = [_build(architecture, seed=1), _build(architecture, network=1)]
    assert torch.equal(before, torch.random.get_rng_state())
    for name, weights in first.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name])
        if weights.dim() > 1:
            assert not any(torch.equal(weights, o.state_dict()[name]) for o in others)


def test_initial_weights_follow_keras():
    conv = _build("convnet").conv4.weight.detach()
    bound = (6 / (9 * 64 + 9 * 64)) ** 0.5  # Glorot: fans of a 3x3 kernel, 64 to 64 channels
    assert float(conv.abs().max()) <= bound
    assert abs(float(conv.std()) - bound / 3**0.5) < 0.02 * bound
    resnet = _build("resnet18")
    # He: the fan of the whole 3x3 kernel, also where only its centre is kept
    for path, fan in (("blocks.2.conv2", 9 * 128), ("blocks.7.conv2", 9 * 512)):
        weight, sd = resnet.get_submodule(path).weight.detach(), (2 / fan) ** 0.5
        assert abs(float(weight.std()) / sd - 1) < 0.02
        assert float(weight.abs().max()) <= 2 * sd / 0.8796 + 1e-6
    norm = resnet.norm
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)
    biases = [m.bias.detach() for m in resnet.modules() if isinstance(m, nn.Linear)]
    assert all(float(bias.abs().max()) == 0 for bias in biases)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("size", [16, 32])
def test_every_parameter_gets_a_gradient(architecture, size):
    network = _build(architecture, in_channels=1, image_size=size)
    attach_generator(network, torch_generator(0, "dropout"))
    images = torch.randn(4, 1, size, size, generator=torch_generator(0, "images"))
    network(images).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert float(parameter.grad.abs().sum()) > 0, name


def test_recorded_batchnorm_outputs_are_those_before_the_relu():
    network, paths = _build("resnet18"), recorded_layers("resnet18")
    seen = {}
    for label, path in paths.items():
        network.get_submodule(path).register_forward_hook(
            lambda _m, _i, out, label=label: seen.__setitem__(label, float(out.detach().min()))
        )
    network(torch.randn(4, 3, 32, 32, generator=torch_generator(0, "images")))
    assert all(least < 0 for least in seen.values())
    assert list(seen) == list(paths)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "vgg"}, "architecture='vgg' is not allowed: convnet or resnet18"),
        ({"stem": "tiny"}, "stem='tiny' is not allowed: imagenet or cifar"),
        ({"image_size": 9}, "9 x 9 pixels are too small for convnet: it needs at least 10 x 10"),
        ({"architecture": "resnet18", "image_size": 7}, "at least 8 x 8"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_sentence(changes, message):
    with pytest.raises(InputError) as caught:
        _build(**({"architecture": "convnet"} | changes))
    assert message in str(caught.value)


@pytest.mark.parametrize(("architecture", "size"), [("convnet", 10), ("resnet18", 8)])
def test_the_smallest_images_that_are_allowed_go_through(architecture, size):
    network = _build(architecture, image_size=size).eval()
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 10)


def test_a_resnet_refuses_images_of_another_size_than_it_was_built_for():
    with pytest.raises(InputError, match=r"64 x 64 pixels came to a network .* for 32 x 32"):
        _build("resnet18")(torch.zeros(2, 3, 64, 64))


def test_the_toy_network_is_what_numpy_computes():
    net = ToyNet(7, generator=torch_generator(0, "toy"))
    points = torch.randn(5, 2, generator=torch_generator(0, "points"))
    w1, b1, w2, b2 = (p.detach().numpy() for p in net.parameters())
    hidden = 1 / (1 + np.exp(-(points.numpy() @ w1.T + b1)))
    np.testing.assert_allclose(net.hidden(points).detach().numpy(), hidden, rtol=1e-5)
    np.testing.assert_allclose(net(points).detach().numpy(), hidden @ w2.T + b2, rtol=1e-4)
    assert hidden.shape == (5, 7)
