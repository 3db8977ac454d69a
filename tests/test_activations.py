import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import zscore
from torch.nn import functional

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.errors import InputError
from shared_geometry.networks.activations import (
    draw_units,
    layer_sizes,
    record_activations,
    standardise,
)
from shared_geometry.networks.architectures import build_network, recorded_layers

LAYERS = recorded_layers("convnet")
IMAGES = torch.randint(
    0, 256, (23, 1, 16, 16), dtype=torch.uint8, generator=torch_generator(0, "images")
)
MEAN = IMAGES.float().mean(0)


def _network(architecture="convnet"):
    return build_network(architecture, in_channels=1, image_size=16, n_classes=10, seed=0)


def _record(network, **changes):
    layers = recorded_layers(network)
    return record_activations(network, IMAGES, layers, **({"mean_image": MEAN} | changes))


# --- recording -----------------------------------------------------------------------------------


def test_recorded_activity_is_what_the_layers_compute_one_by_one():
    network = _network()
    found = _record(network)
    network.eval()
    with torch.no_grad():
        x = (IMAGES.float() - MEAN) / 128
        x = functional.relu(network.conv2(functional.relu(network.conv1(x))))
        pool1 = functional.max_pool2d(x, 2)
        x = functional.relu(network.conv4(functional.relu(network.conv3(pool1))))
        pool2 = functional.max_pool2d(x, 2)
        dense = network.dense(pool2.flatten(1))
        logits = network.logits(functional.relu(dense))
    expected = {"pool1": pool1, "pool2": pool2, "dense": dense, "logits": logits}
    assert list(found) == list(expected)
    for label, activity in expected.items():
        torch.testing.assert_close(found[label], activity.flatten(1).T, rtol=1e-4, atol=1e-5)
        assert found[label].dtype == torch.float32
        assert found[label].is_contiguous()
    assert float(found["pool1"].min()) == 0  # after the ReLU
    assert float(found["dense"].min()) < 0  # before it


def test_batchnorm_outputs_are_recorded_before_the_relu_that_overwrites_them():
    network = _network("resnet18")
    found = _record(network)
    assert list(found) == ["1", "3", "5", "7", "9", "11", "13", "15", "17"]
    assert all(float(activity.min()) < 0 for activity in found.values())


def test_the_size_of_a_batch_does_not_change_what_is_recorded():
    network = _network()
    whole, parts = _record(network), _record(network, batch_size=5)
    for label in LAYERS:
        torch.testing.assert_close(whole[label], parts[label], rtol=1e-4, atol=1e-5)


def test_only_the_drawn_units_are_kept_in_their_order():
    network = _network()
    units = {"pool1": torch.tensor([3, 0, 700]), "dense": torch.tensor([511])}
    whole, some = _record(network), _record(network, units=units)
    for label in LAYERS:
        rows = units.get(label, torch.arange(len(whole[label])))
        assert torch.equal(some[label], whole[label][rows])


@pytest.mark.parametrize("training", [True, False])
def test_recording_uses_evaluation_mode_and_leaves_the_network_as_it_was(training):
    network = _network("resnet18").train(training)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    first, second = _record(network), _record(network)
    assert network.training == training
    assert all(torch.equal(first[label], second[label]) for label in first)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_activity_that_is_not_finite_is_refused_with_network_and_layer(bad):
    network = _network()
    with torch.no_grad():
        network.dense.bias[7] = bad
    with pytest.raises(InputError, match="activity of network 3 in layer 'dense' is not finite"):
        _record(network, name="network 3")


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"layer 'pool9' .* no module 'pool9'"):
        record_activations(_network(), IMAGES, {"pool9": "pool9"}, mean_image=MEAN)


def test_layer_sizes_count_the_rows_of_what_is_recorded():
    network = _network("resnet18")
    assert layer_sizes(network, (1, 16, 16)) == {k: len(v) for k, v in _record(network).items()}


# --- units ---------------------------------------------------------------------------------------


@given(n=st.integers(1, 3000), most=st.integers(1, 1200), seed=st.integers(0, 2**62))
@settings(deadline=None)
def test_a_draw_of_units_is_without_replacement_and_in_order(n, most, seed):
    units = draw_units(n, most, seed, 0, "pool1")
    assert len(units) == min(n, most)
    assert torch.equal(units, units.unique())
    assert int(units.min()) >= 0
    assert int(units.max()) < n


def test_every_network_and_layer_draws_units_of_its_own():
    draws = [
        draw_units(5000, 100, seed, network, layer).tolist()
        for seed in (0, 1)
        for network in (0, 1)
        for layer in ("1", "3")
    ]
    assert len({tuple(draw) for draw in draws}) == 8
    assert draws[0] == draw_units(5000, 100, 0, 0, "1").tolist()


def test_units_are_drawn_evenly():
    counts = torch.zeros(40)
    for seed in range(400):
        counts[draw_units(40, 10, seed, 0, "pool1")] += 1
    # 400 draws of a quarter of the units: 100 each, standard deviation 8.7
    assert float((counts - 100).abs().max()) < 5 * 8.7


@pytest.mark.parametrize(("n", "most"), [(0, 5), (5, 0), (-1, 3)])
def test_a_draw_of_nothing_is_refused(n, most):
    with pytest.raises(InputError, match="1 or more"):
        draw_units(n, most, 0, 0, "pool1")


# --- standardisation -----------------------------------------------------------------------------

_MATRICES = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=8),
    elements=st.integers(-1000, 1000).map(lambda i: i / 8),
)


@given(_MATRICES)
@settings(deadline=None)
def test_standardised_examples_are_scipy_s_z_scores_and_constant_ones_are_zero(x):
    found = standardise(x)
    constant = (x == x[..., :1, :]).all(-2, keepdims=True)
    with np.errstate(all="ignore"):
        expected = np.where(constant, 0.0, zscore(np.where(constant, np.nan, x), axis=-2))
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@given(st.integers(-(10**6), 10**6), st.sampled_from([0.1, 1e-20, 1e10]))
@settings(deadline=None)
def test_a_constant_example_becomes_zeros_whatever_its_value(count, unit):
    x = torch.full((333, 2), count * unit)
    assert torch.equal(standardise(x), torch.zeros(333, 2))


@pytest.mark.parametrize(
    ("dtype", "scales"),
    [(np.float32, [1e-37, 1e-23, 1e19, 1e37]), (np.float64, [1e-300, 1e-200, 1e200, 1e300])],
)
def test_an_example_may_be_of_any_size(dtype, scales):
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(dtype)
    for size in (*scales, np.array(scales, dtype)):
        np.testing.assert_allclose(standardise(x * dtype(size)), standardise(x), atol=1e-5)


def test_standardising_keeps_the_type():
    x = torch.randn(5, 3, generator=torch_generator(0, "x"))
    assert standardise(x).dtype == torch.float32
    assert standardise(x.double().numpy()).dtype == np.float64


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(bad):
    x = np.ones((3, 2))
    x[1, 1] = bad
    with pytest.raises(InputError, match="NaN or infinite"):
        standardise(x)


@pytest.mark.parametrize("x", [np.ones(3), np.ones((3, 2), dtype=int)])
def test_what_is_not_units_by_examples_is_refused(x):
    with pytest.raises(InputError, match="not units x examples"):
        standardise(x)
