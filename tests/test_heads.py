"""Networks cut and joined: what the head of one makes of the activity of another."""

from copy import deepcopy
from dataclasses import replace
from itertools import permutations as orders

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.linear_model import Ridge as SklearnRidge

from shared_geometry import figures
from shared_geometry.beyond.heads import stitches, swaps
from shared_geometry.beyond.heads import study as heads
from shared_geometry.beyond.studies import load_study, study, study_path
from shared_geometry.claims import judging
from shared_geometry.config import Config
from shared_geometry.datasets import Images, mean_image, normalise
from shared_geometry.errors import InputError
from shared_geometry.experiment.plan import build, plan
from shared_geometry.networks.activations import record_activations
from shared_geometry.networks.architectures import ToyNet, build_network, recorded_layers
from shared_geometry.networks.stitching import accuracy, channels, run_from, undo_norm
from shared_geometry.reports import heads as heads_report
from shared_geometry.reports import report
from shared_geometry.srm import SRM


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def network(architecture="convnet", stem="imagenet", size=16):
    """An untrained network whose normalisations are as uneven as training leaves them."""
    made = build_network(architecture, in_channels=1, image_size=size, n_classes=10, stem=stem)
    draw = generator(1)
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean):
                torch.nn.init.normal_(values, generator=draw)
            torch.nn.init.uniform_(module.running_var, 0.3, 2.0, generator=draw)
    return made.eval()


def pixels(n=6, size=16):
    return torch.randint(256, (n, 1, size, size), generator=generator(2), dtype=torch.uint8)


MEAN = torch.full((1, 16, 16), 100.0)


# Cut a network and go on from there.


@pytest.mark.parametrize(
    ("architecture", "stem"),
    [("convnet", "imagenet"), ("resnet18", "imagenet"), ("resnet18", "cifar")],
)
def test_going_on_from_any_recorded_layer_gives_the_networks_own_logits(architecture, stem):
    whole = network(architecture, stem)
    images = pixels(3)
    expected = whole(normalise(images, MEAN)).detach()
    layers = recorded_layers(whole)
    for label, x in record_activations(whole, images, layers, mean_image=MEAN).items():
        found = run_from(whole, label, x)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * expected.abs().max())


def test_going_on_leaves_the_activity_as_it_was():
    whole = network()
    x = torch.randn(256, 4, generator=generator())
    before = x.clone()
    run_from(whole, "pool2", x)
    assert torch.equal(x, before)


def test_a_normalisation_is_undone():
    norm = torch.nn.BatchNorm2d(512).eval()
    torch.nn.init.normal_(norm.weight, generator=generator(1))
    torch.nn.init.normal_(norm.running_mean, generator=generator(1))
    x = torch.randn(3, 512, 2, 2, generator=generator())
    torch.testing.assert_close(undo_norm(norm, norm(x)).detach(), x, rtol=1e-3, atol=1e-4)


def test_a_normalisation_that_scales_by_nothing_cannot_be_undone():
    norm = torch.nn.BatchNorm2d(512).eval()
    torch.nn.init.zeros_(norm.weight[:3])
    with pytest.raises(InputError, match="3 of its channels by 0"):
        undo_norm(norm, torch.zeros(1, 512, 1, 1))


def test_channels_times_places_are_the_units_of_a_layer():
    whole = network()
    assert [channels(whole, label) for label in ("pool1", "pool2", "dense")] == [32, 64, 512]
    assert channels(network("resnet18"), "7") == 128


@pytest.mark.parametrize(
    ("made", "label", "units", "words"),
    [
        (network().train(), "dense", 512, "training mode"),
        (network(), "pool3", 512, "'pool3' is not recorded; those that are: pool1, pool2"),
        (network(), "pool2", 255, "255 units are no square maps of the 64 channels"),
        (ToyNet(generator=generator()).eval(), "first", 50, "ToyNet cannot be cut"),
    ],
)
def test_what_cannot_go_on_is_refused_in_a_sentence(made, label, units, words):
    with pytest.raises(InputError, match=words):
        run_from(made, label, torch.zeros(units, 2))


def test_accuracy_counts_images_whose_class_has_the_largest_logit():
    logits = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert accuracy(logits, torch.tensor([1, 0, 0, 0])) == 0.5


# Maps from layer to layer.


def test_axes_hold_as_much_variance_as_the_principal_ones_and_all_of_it_at_full_rank():
    u, _, v = torch.linalg.svd(torch.randn(60, 90, generator=generator()), full_matrices=False)
    s = 0.9 ** torch.arange(60.0)
    x = u * s @ v
    axes = stitches.principal_axes(x, 10, generator())
    torch.testing.assert_close(axes.T @ axes, torch.eye(10), atol=1e-5, rtol=0)
    best = s[:10].square().sum()
    assert 0.95 * best < (axes.T @ x).square().sum() <= 1.0001 * best
    low_rank = u[:, :7] * s[:7] @ v[:7]
    axes = stitches.principal_axes(low_rank, 7, generator())
    torch.testing.assert_close(axes @ (axes.T @ low_rank), low_rank, atol=1e-5, rtol=0)


def test_more_axes_than_there_can_be_are_refused():
    with pytest.raises(InputError, match="11 axes of 10 units x 20 images"):
        stitches.principal_axes(torch.zeros(10, 20), 11, generator())


@pytest.mark.parametrize("images", [200, 20])
def test_linear_maps_are_those_of_scikit_learns_ridge(images):
    x, y = torch.randn(2, 30, images, generator=generator()).double() + 3
    ridge = stitches.Ridge(x)
    centred = x - x.mean(1, keepdim=True)
    unit = (centred @ centred.T).trace().item() / 30
    oracle = SklearnRidge(alpha=0.1 * unit).fit(x.T.numpy(), y.T.numpy())
    fresh = torch.randn(30, 5, generator=generator(1)).double()
    expected = oracle.predict(fresh.T.numpy()).T
    np.testing.assert_allclose(ridge.onto(y, 0.1)(fresh), expected, rtol=1e-6)
    off = ridge.errors(y, fresh, torch.zeros(30, 5).double(), [0.1])
    np.testing.assert_allclose(off, [(expected**2).sum()], rtol=1e-6)


def test_an_exact_relation_wants_no_penalty_and_noise_the_largest():
    x = torch.randn(10, 300, generator=generator())
    turned = torch.linalg.qr(torch.randn(10, 10, generator=generator(1)))[0] @ x
    noise = torch.randn(2, 40, 50, generator=generator(2))
    assert stitches.best_penalty([x, turned]) == min(stitches.PENALTIES)
    assert stitches.best_penalty(list(noise)) == max(stitches.PENALTIES)


def test_a_silent_layer_is_mapped_to_its_target_mean():
    y = torch.randn(4, 30, generator=generator())
    found = stitches.Ridge(torch.zeros(3, 30)).onto(y, 0.1)(torch.zeros(3, 2))
    torch.testing.assert_close(found, y.mean(1, keepdim=True).expand(4, 2))


def test_the_best_permutation_is_the_best_of_all():
    x, y = torch.randn(2, 5, 40, generator=generator())
    found = stitches.permutation(x, y)
    centred = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)

    def off(order):
        return (centred[1] - centred[0][list(order)]).square().sum()

    best = min(orders(range(5)), key=off)
    torch.testing.assert_close(found.matrix, torch.eye(5)[list(best)])


def test_a_permuted_layer_is_permuted_back_mean_and_all():
    x = torch.randn(50, 80, generator=generator()) + torch.arange(50.0)[:, None]
    order = torch.randperm(50, generator=generator(1))
    torch.testing.assert_close(stitches.permutation(x, x[order])(x), x[order])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: stitches.Ridge(x).onto(x[:, :9], 0.1), "Y has 9 images and X 10"),
        (lambda x: stitches.Ridge(x).onto(x, 0.0), "penalty=0.0 is not allowed"),
        (lambda x: stitches.permutation(x, x[:2]), "do not match"),
        (lambda x: stitches.best_penalty([x[:, :4]] * 2), "4 images are too few"),
    ],
)
def test_a_map_that_cannot_be_fitted_is_refused_in_a_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call(torch.randn(3, 10, generator=generator()))


# Populations whose answer is known.


def permuted(whole, seed):
    """The same function with the channels of the second pooling, and the dense units, reordered."""
    copy, draw = deepcopy(whole), generator(seed)
    channel, unit = torch.randperm(64, generator=draw), torch.randperm(512, generator=draw)
    places = copy.dense.in_features // 64
    incoming = (channel[:, None] * places + torch.arange(places)).flatten()
    with torch.no_grad():
        for values in (copy.conv4.weight, copy.conv4.bias):
            values.copy_(values[channel].clone())
        copy.dense.weight.copy_(copy.dense.weight[unit][:, incoming].clone())
        copy.dense.bias.copy_(copy.dense.bias[unit].clone())
        copy.logits.weight.copy_(copy.logits.weight[:, unit].clone())
    return copy


@pytest.fixture(scope="module")
def it(tmp_path_factory):
    return plan(Config.from_preset("smoke"), output=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def copied_layers(it):
    """Layers of a network and two permuted copies, where each image has the class they give it."""
    first, images = build(it.config, it.data, 0).eval(), it.data.test.images
    with torch.no_grad():
        for layer in (first.dense, first.logits):
            torch.nn.init.normal_(layer.bias, generator=generator(3), std=0.1)
        given = first(normalise(images, mean_image(it.data.train.images))).argmax(1)
    told = it._replace(data=replace(it.data, test=Images(images, given)))
    networks = [first, permuted(first, 4), permuted(first, 5)]
    return {label: swaps.record_layer(told, networks, label) for label in ("pool2", "dense")}


PAIRS = [(a, b) for a in range(3) for b in range(3)]


@pytest.mark.parametrize("label", ["pool2", "dense"])
@pytest.mark.parametrize("way", list(swaps.WAYS))
def test_heads_of_permuted_copies_are_swapped_without_loss(copied_layers, label, way):
    layer = copied_layers[label]
    found = swaps.accuracies(layer, swaps.WAYS[way](layer), PAIRS)
    least = 0.97 if way == "linear map" else 1.0  # ridge shrinks
    assert found.min() >= least
    unaligned = swaps.accuracies(layer, swaps.no_way(layer), PAIRS)
    assert unaligned.diagonal().min() == 1
    assert unaligned[0, 1] < 0.8


@pytest.mark.parametrize("label", ["pool2", "dense"])
def test_a_copy_that_was_not_in_the_fit_is_read_without_loss(copied_layers, label):
    layer = copied_layers[label]
    found = swaps.accuracies(layer, swaps.newcomer(layer, 1), [(1, 0), (1, 2)])
    assert found[1, [0, 2]].min() == 1
    assert found[0].isnan().all()


@pytest.mark.parametrize("label", ["pool2", "dense"])
def test_an_alignment_of_images_in_different_orders_is_worth_nothing(copied_layers, label):
    layer = copied_layers[label]
    shuffled = [
        x[:, torch.randperm(x.shape[1], generator=generator(i))] for i, x in enumerate(layer.fitted)
    ]
    wrong = layer._replace(fitted=shuffled)
    found = swaps.accuracies(wrong, swaps.rotations(wrong), PAIRS)
    assert found[0, 1] < 0.8


def test_a_rotated_linear_layer_is_turned_back_exactly():
    first = network()
    x = torch.randn(256, 600, generator=generator())
    q = torch.linalg.qr(torch.randn(256, 256, generator=generator(1)))[0]
    second = deepcopy(first)
    with torch.no_grad():
        second.dense.weight.copy_(first.dense.weight @ q.T)
    model = SRM().fit([x, q @ x])
    fresh = torch.randn(256, 40, generator=generator(2))
    found = run_from(second, "pool2", stitches.rotation(model, 0, 1)(fresh))
    expected = run_from(first, "pool2", fresh)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * expected.abs().max())


def test_untrained_networks_name_images_at_chance_however_they_are_joined(it):
    networks = [build(it.config, it.data, i).eval() for i in range(3)]
    layer = swaps.record_layer(it, networks, "dense")
    found = swaps.accuracies(layer, swaps.rotations(layer), PAIRS)
    assert 0 < found.mean() < 0.2


def test_large_layers_are_aligned_in_axes_of_their_own(it, monkeypatch):
    monkeypatch.setattr(swaps, "AXES", 40)
    networks = [build(it.config, it.data, i).eval() for i in range(2)]
    layer = swaps.record_layer(it, networks, "pool2")
    assert layer.fitted[0].shape == (40, 638)
    power = torch.linalg.svdvals(layer.maps[0]).square()
    best = (power[:40].sum() / power.sum()).item()
    assert 0.97 * best < layer.share[0] <= best + 1e-5
    back = swaps.rotations(layer)(0)(0) - layer.mean[0]
    off = (back - layer.held_out[0]).square().sum() / layer.held_out[0].square().sum()
    assert 0 < off < 1.5 * (1 - best)  # what lies outside is lost, and nothing else


def test_alignment_and_judged_images_are_apart_and_every_class_is_judged(it):
    fit, judged = swaps.chosen_images(it)
    assert not set(fit.tolist()) & set(judged.tolist())
    assert len(judged) == len(it.data.test) - len(fit)
    assert len(it.data.test.labels[judged].unique()) == 10


# The study, its rule, its figures.


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    config = Config.from_preset("smoke", networks=3, epochs=2)
    output = tmp_path_factory.mktemp("runs")
    steps = []
    found = study("heads", config, output=output, progress=lambda *step: steps.append(step))
    assert [step[1:] for step in steps if step[0] == "heads"] == [
        (1, 3, "first pooling"), (2, 3, "second pooling"), (3, 3, "dense"),
    ]  # fmt: skip
    return found, study_path("heads", config, output)


def test_an_answer_is_small_and_read_again_as_it_was(answer):
    found, path = answer
    assert path.stat().st_size < 300_000
    xr.testing.assert_identical(load_study("heads", path), found)


def test_an_answer_says_what_made_it_in_a_line(answer):
    line = report.provenance_line(answer[0])
    start = "3 ConvNets on handwritten digits, recipe “fast”, 2 epochs of 300 images, seed 0; "
    assert line.startswith(start)
    assert "; commit " in line
    assert line.endswith(answer[0].attrs["command"])
    assert "study heads" in line


def test_with_its_own_head_a_network_is_as_good_as_it_is(answer):
    found = answer[0]
    own = found.accuracy.sel(way="none").values
    np.testing.assert_array_equal(np.diagonal(own, axis1=1, axis2=2), found.own)
    np.testing.assert_array_equal(found.own[0], found.own[-1])  # wherever it is cut
    assert float(found.own.mean()) > 2 * float(found.chance)


def test_losses_are_own_accuracy_minus_that_of_the_swap(answer):
    found = answer[0]
    estimate = found.sel(bound="estimate")
    own = found.own.mean("network")
    np.testing.assert_allclose(estimate.loss, own - estimate.accuracy_interval, atol=1e-12)


def test_with_all_images_the_curve_over_images_ends_at_the_pairs_on_the_ring(answer):
    found = answer[0]
    last = found.by_images.sel(bound="estimate").isel(images=-1)
    for way in found.fitted_way.values:
        matrix = found.accuracy.sel(way=way).values
        expected = [np.mean([m[0, 1], m[1, 2], m[2, 0]]) for m in matrix]
        np.testing.assert_allclose(last.sel(fitted_way=way), expected)


def test_two_networks_are_asked_everything_but_for_newcomers(it):
    networks = [build(it.config, it.data, i).eval() for i in range(2)]
    layer = swaps.record_layer(it, networks, "dense")
    found = heads.measure_layer(layer, {"n_resamples": 20, "seed": 0})
    assert found.newcomer.isnull().all()
    assert found.loss.notnull().all()
    found = found.expand_dims(layer=["dense"]).assign(chance=0.1)
    assert "too few" in heads_report.newcomers_title({"two": found})
    assert list(heads_report.newcomers({"two": found})["two"]) == list(heads_report.REFERENCES)


def made_up(losses, own=0.9):
    """An answer of two layers in which the rotation loses that much."""
    labels = ["pool1", "dense"]
    bounds = np.array([[[x, x - 0.005, x + 0.005]] for x in losses])
    images = np.linspace(0.5, 0.8, 4)[:, None] + np.zeros(3)
    return xr.Dataset(
        {
            "own": (("layer", "network"), np.full((2, 3), own)),
            "own_interval": (("layer", "bound"), np.full((2, 3), own)),
            "loss": (("layer", "way", "bound"), bounds),
            "accuracy_interval": (("layer", "way", "bound"), own - bounds),
            "accuracy": (
                ("layer", "way", "lower", "head"),
                own - bounds[..., :1, None] * np.ones((3, 3)),
            ),
            "by_images": (("layer", "fitted_way", "images", "bound"), np.stack([[images]] * 2)),
            "chance": 0.1,
        },
        {
            "layer": labels,
            "way": ["rotation"],
            "fitted_way": ["rotation"],
            "images": [10, 30, 100, 300],
            "bound": ["estimate", "low", "high"],
        },
    )


@pytest.mark.parametrize(
    ("losses", "outcome"),
    [
        ((0.01, 0.03), judging.HOLDS),
        ((0.01, 0.037), judging.IN_PART),  # the interval ends above 0.05 * 0.8
        ((0.3, 0.2), judging.FAILS),
        ((0.037, 0.037), judging.UNDECIDED),
    ],
)
def test_the_rule_asks_of_every_layer_what_is_lost(losses, outcome):
    found = heads.judge(made_up(losses))
    assert found.outcome == outcome
    assert "of 80.0 above chance" in found.value
    assert f"{100 * max(losses):.1f} [" in found.value


def test_networks_at_chance_have_no_heads_to_swap():
    assert heads.judge(made_up((0.0, 0.0), own=0.1)).outcome == judging.UNDECIDED


def test_the_fewest_images_are_those_from_which_on_accuracy_stays():
    row = made_up((0.01, 0.01)).sel(layer="dense")
    assert heads_report.fewest(row, "rotation") == 300  # 0.8; the goal is 0.76
    row.by_images[...] = np.array([0.79, 0.3, 0.78, 0.8])[None, :, None]
    assert heads_report.fewest(row, "rotation") == 100
    row.own[...] = 0.05  # below chance
    assert heads_report.fewest(row, "rotation") == 300


def test_titles_hold_the_numbers_of_all_populations():
    answers = {"one": made_up((0.0, 0.08)), "two": made_up((0.4, 0.2))}
    assert "keeps 50 to 100 % of what" in heads_report.layers_title(answers)
    assert list(heads_report.pairs(answers)) == [
        "one: first pooling", "one: dense", "two: first pooling", "two: dense",
    ]  # fmt: skip


def test_every_population_and_layer_has_its_curves_and_its_rows(answer):
    answers = {"digits, live": answer[0]}
    layers = heads_report.by_layer(answers)["digits, live"]
    assert list(layers) == [
        "its own head", "rotation", "linear map", "permutation of channels", "no alignment",
        "chance",
    ]  # fmt: skip
    images = heads_report.by_images(answers)
    names = ["first pooling", "second pooling", "dense"]
    assert list(images) == [f"digits, live: {name}" for name in names]
    for curves in (heads_report.by_layer(answers), images, heads_report.newcomers(answers)):
        figure = figures.accuracy_curves(curves, "Found", x=None, dotted=heads_report.REFERENCES)
        assert all(np.isfinite(np.asarray(trace.y)).all() for trace in figure.data)
        points = sum(len(trace.y) for trace in figure.data)
        assert len(heads_report.table(curves)) == points
    tables = (heads_report.loss_table, heads_report.alignment_table, heads_report.images_table)
    for table in tables:
        lines = [line for line in table(answers).splitlines() if line.startswith("|")]
        assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in names]
        assert len({line.count("|") for line in lines}) == 1


def test_equal_ratios_of_errors_are_equal_distances_and_bounds_change_places():
    bounds = ["estimate", "low", "high"]
    accuracy = xr.DataArray(
        [[0.9, 0.8, 0.95], [0.99, 0.98, 1.0]],
        {"layer": ["pool1", "dense"], "bound": bounds},
        ("layer", "bound"),
    )
    figure = figures.accuracy_curves({"a": {"b": accuracy}}, "Found", x=None)
    (curve,) = figure.data
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # few errors on top
    np.testing.assert_allclose(curve.y, [0.1, 0.01])
    assert list(curve.text) == ["90.0 %", "99.0 %"]
    np.testing.assert_allclose(curve.error_y.array, [0.1, 0.01])  # to more errors
    np.testing.assert_allclose(curve.error_y.arrayminus, [0.05, 0.009])  # 1.0 is drawn at 0.999
    shown = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    assert shown["90 %"] == pytest.approx(0.1)


def test_pairs_are_shown_one_matrix_at_a_time_with_what_they_lose():
    matrix = np.array([[0.9, 0.1], [0.4, 0.8]])
    own = np.array([0.9, 0.8])
    figure = figures.pair_matrices({"a": matrix, "b": matrix.T}, {"a": own, "b": own}, "Found")
    assert [t.visible for t in figure.data] == [True, False]
    assert [list(row) for row in figure.data[0].text] == [["90 %", "10 %"], ["40 %", "80 %"]]
    np.testing.assert_allclose(figure.data[0].z, [[0, 75], [45, 0]], atol=1e-9)
    assert figure.layout.coloraxis.cmax == pytest.approx(75)
    (menu,) = figure.layout.updatemenus
    assert menu.buttons[1].args[0]["visible"] == [False, True]
    assert figure.layout.yaxis.title.text == "whose layers"


def test_no_matrix_is_refused():
    with pytest.raises(InputError, match="empty"):
        figures.pair_matrices({}, {}, "Found")
