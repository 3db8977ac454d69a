"""Networks of one's own: modules to activity, activity to results, a newcomer into a space."""

import copy
import io
import json
import warnings

import numpy as np
import pytest
import torch
import xarray as xr
from conftest import ROOT
from rich.console import Console
from scipy.linalg import orthogonal_procrustes
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from shared_geometry import cli, figures
from shared_geometry.claims.verdicts import IN_PART, NO, OPEN, YES, verdict_table, verdicts
from shared_geometry.config import Config
from shared_geometry.datasets import load_dataset, mean_image, normalise, split_alignment
from shared_geometry.datasets._torchvision import import_torchvision
from shared_geometry.errors import DataError, InputError
from shared_geometry.experiment import run
from shared_geometry.experiment.analysis import Activity, Settings, analyse_layer
from shared_geometry.experiment.controls import controls
from shared_geometry.experiment.plan import plan
from shared_geometry.experiment.population import network_at
from shared_geometry.experiment.results import RSM_STEP, load_results, save_results
from shared_geometry.experiment.steps import shown_images
from shared_geometry.networks.activations import record_activations, standardise
from shared_geometry.networks.architectures import build_network
from shared_geometry.publishing.new_page import add_page
from shared_geometry.publishing.pictures import pictures_of
from shared_geometry.reports import report
from shared_geometry.reports import yours as yours_report
from shared_geometry.rsa import consistency, rsm, within_rsms
from shared_geometry.srm import SRM
from shared_geometry.theory.known_answers import principal_response, three_kinds
from shared_geometry.yours import compare, place, preparation, record
from shared_geometry.yours.recording import Recorded

N, UNITS, IMAGES, CLASSES = 4, 24, 240, 4
LABELS = np.arange(IMAGES) % CLASSES
QUICK = {"bootstrap": 50}


def rng(seed=0):
    return np.random.default_rng(seed)


def response(seed=0):
    """Patterns (UNITS, IMAGES) of mean 0 over units: a class's centre, and a little of its own."""
    draw = rng(seed)
    s = draw.normal(size=(UNITS, CLASSES))[:, LABELS] + 0.5 * draw.normal(size=(UNITS, IMAGES))
    return s - s.mean(0)


def embedded(s, n_units, draw):
    """``s`` turned into more units by a basis whose columns have mean 0, as correlations want."""
    frame = np.linalg.qr(np.hstack([np.ones((n_units, 1)), draw.normal(size=(n_units, UNITS - 1))]))
    values, vectors = np.linalg.eigh(np.eye(UNITS) - 1 / UNITS)
    return frame[0][:, 1:] @ vectors[:, values > 0.5].T @ s


def turned(units=(UNITS,) * N, seed=0):
    return [embedded(response(), n, rng(seed + i)) for i, n in enumerate(units)]


def unrelated(seed=0):
    return [response(seed + 1 + i)[:, rng(i).permutation(IMAGES)] for i in range(N)]


def final(found, name, **chosen):
    return found[name].isel(checkpoint=-1, layer=0).sel(**chosen)


# --- comparing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [(UNITS,) * N, (UNITS, 40, 31, 60)])
def test_rotated_copies_share_everything_whatever_their_number_of_units(units):
    found = compare(turned(units), LABELS, **QUICK)
    variance = final(found, "variance", measure="left out")
    np.testing.assert_allclose(variance, 1, atol=1e-6)
    # a correlation takes off the mean over dimensions: axes are kept only if there are as many
    off = 1e-6 if len(set(units)) == 1 else 0.02
    geometry = final(found, "geometry_current", reading="corrected", space="shared")
    np.testing.assert_allclose(geometry, 1, atol=off)
    np.testing.assert_allclose(final(found, "consistency", reading="published"), 1, atol=1e-6)
    assert final(found, "variance", measure="native").max() < 0.5
    assert found.units.values.tolist() == [list(units)]
    assert found.components.item() == UNITS
    (verdict,) = verdicts(found)
    assert verdict.answer == YES


def test_numbers_may_be_numpys():
    found = compare(turned(), LABELS, components=np.int64(8), seed=np.int64(3), **QUICK)
    expected = compare(turned(), LABELS, components=8, seed=3, **QUICK)
    xr.testing.assert_identical(found.drop_attrs(), expected.drop_attrs())
    with pytest.raises(InputError, match=r"components=8\.5 is not allowed"):
        compare(turned(), LABELS, components=np.float64(8.5))


def test_layers_whose_names_are_one_are_refused():
    with pytest.raises(InputError, match="two layers of 1, '1' have one name"):
        compare({1: turned(), "1": unrelated()}, LABELS)


def test_networks_that_make_a_space_come_in_a_list():
    x = turned()
    for networks in ((a for a in x[1:]), {"a": x[1], "b": x[2]}, None):
        with pytest.raises(InputError, match=r"networks are a .*; give a list with one array"):
            place(x[0], networks, LABELS)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [("float32", 1e19), ("float32", 1e-23), ("float64", 1e300), ("float64", 1e-200)],
)
def test_the_scale_of_the_activity_does_not_count(dtype, scale):
    x = [a.astype(dtype) for a in turned()]
    scaled = [a * np.dtype(dtype).type(scale) for a in x]
    found, expected = (compare(a, LABELS, **QUICK) for a in (scaled, x))
    estimates = [final(it, "geometry_current", bound="estimate") for it in (found, expected)]
    np.testing.assert_allclose(*estimates, atol=1e-4)
    placed = place(scaled[0], x[1:], LABELS)
    assert placed.variance == pytest.approx(place(x[0], x[1:], LABELS).variance, abs=1e-4)


def test_noise_shares_nothing():
    found = compare(rng().normal(size=(N, UNITS, 600)), **QUICK)
    assert final(found, "variance", measure="left out").max() < 0
    assert abs(final(found, "geometry_current", reading="corrected", space="shared")[0]) < 0.1
    assert final(found, "variance", measure="published").mean() > 0.2  # S holds the network itself
    assert verdicts(found)[0].answer == NO


def test_the_order_of_a_networks_units_does_not_matter():
    x = [a + 0.3 * rng(9).normal(size=a.shape) for a in turned()]
    mixed = [a[rng(i).permutation(UNITS)] for i, a in enumerate(x)]
    one, other = (compare(activity, LABELS, **QUICK) for activity in (x, mixed))
    for name, chosen in {
        "variance": {"measure": ["published", "corrected", "left out"]},
        "geometry_current": {"space": "shared"},
        "consistency": {},
    }.items():
        np.testing.assert_allclose(
            final(one, name, **chosen), final(other, name, **chosen), atol=2e-3
        )


def test_the_numbers_are_those_of_the_analysis_that_an_experiment_makes():
    x = standardise(np.stack(turned()) + 0.5 * rng(5).normal(size=(N, UNITS, IMAGES)))
    found = compare(x, LABELS, max_units=UNITS, seed=3, bootstrap=50, display_images=20)
    labels, x = torch.from_numpy(LABELS), torch.from_numpy(standardise(x))
    alignment, held_out = split_alignment(labels, 0.8, 3)
    activity = Activity(x[..., alignment], x[..., held_out], labels[held_out])
    settings = Settings(None, True, "torch", 50, 3)
    shown = shown_images(labels[held_out], 20)
    expected = analyse_layer(activity, shown, None, settings) | controls(activity, settings)
    del expected["within"]
    for name, values in expected.items():
        values = values.numpy()
        controlled = name.startswith("control")
        got = found[name].isel(layer=0) if controlled else found[name].isel(layer=0, checkpoint=0)
        np.testing.assert_array_equal(got.values, values, err_msg=name)
    np.testing.assert_array_equal(found.image, held_out[shown])
    assert found.image_class.values.tolist() == [str(c) for c in LABELS[held_out[shown]]]


def test_a_population_of_the_book_gets_the_numbers_of_its_experiment(tmp_path):
    config = Config.from_preset("smoke", checkpoints=(1.0,))
    expected = run(config, output=tmp_path).isel(checkpoint=[-1])
    it = plan(config, output=tmp_path)
    networks = [
        network_at(it, i).to(memory_format=torch.channels_last) for i in range(config.networks)
    ]
    test = it.data.test
    loader = DataLoader(
        TensorDataset(normalise(test.images, mean_image(it.data.train.images)), test.labels), 500
    )
    activities = record(networks, loader, it.layers, max_units=config.max_units, seed=config.seed)
    found = compare(
        activities,
        max_units=config.max_units,
        bootstrap=config.bootstrap,
        display_images=config.display_images,
        seed=config.seed,
    )
    assert found.layer.values.tolist() == expected.layer.values.tolist()
    np.testing.assert_array_equal(found.image, expected.image)
    for name in sorted(set(found.data_vars) - {"units", "components"}):
        # as results files keep them: RSMs in steps, class patterns to eleven binary digits
        atol = RSM_STEP / 2 + 1e-6 if name.startswith("rsm") else 0
        rtol = 2.0**-11 if name == "patterns" else 0
        # arrays do not say which units make up a channel; in the dense layer each is one
        same = ["dense"] if name == "control_native" else found.layer.values
        got, wanted = (results[name].sel(layer=same).values for results in (found, expected))
        np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol, err_msg=name)
    assert (found.attrs["native_control"], expected.attrs["native_control"]) == (
        "units",
        "channels",
    )


def test_networks_of_other_sizes_are_measured_as_srm_measures_their_list():
    x = [a + 0.3 * rng(i).normal(size=a.shape) for i, a in enumerate(turned((24, 40, 31, 60)))]
    found = compare(x, LABELS, max_units=60, **QUICK)
    labels = torch.from_numpy(LABELS)
    alignment, held_out = split_alignment(labels, 0.8, 0)
    # columns of one length in all networks: a rotation cannot make them longer
    own = [standardise(a) * len(a) ** -0.5 for a in x]
    model = SRM().fit([a[:, alignment] for a in own])
    expected = model.score([a[:, held_out] for a in own], per_network=True)
    np.testing.assert_allclose(final(found, "variance", measure="corrected"), expected, atol=2e-3)
    r = np.stack([within_rsms(a[None, :, held_out])[0] for a in own])
    np.testing.assert_allclose(
        final(found, "consistency_pairs", reading="published"), consistency(r), atol=1e-9
    )


def test_nothing_is_measured_on_images_that_the_alignment_saw():
    x = np.stack(turned()) + 0.5 * rng(5).normal(size=(N, UNITS, IMAGES))
    alignment, _ = split_alignment(torch.from_numpy(LABELS), 0.8, 0)
    one = compare(x, LABELS, **QUICK)
    x[0][:, alignment] = rng(7).normal(size=(UNITS, len(alignment)))
    other = compare(x, LABELS, **QUICK)
    names = ["consistency_pairs", "geometry_current"]
    native = {"reading": "published", "space": "native"}
    for name, chosen in zip(names, ({"reading": "published"}, native), strict=True):
        np.testing.assert_array_equal(final(one, name, **chosen), final(other, name, **chosen))
    assert not np.allclose(one.variance, other.variance)


def test_layers_and_words_for_classes_keep_their_order():
    words = np.array(["cat", "ant", "dog", "bee"])[LABELS]
    found = compare({"shallow": turned(), "deep": unrelated()}, words.tolist(), **QUICK)
    assert found.layer.values.tolist() == ["shallow", "deep"]
    assert found["class"].values.tolist() == ["ant", "bee", "cat", "dog"]
    shown = found.image_class.values.tolist()
    assert shown == sorted(shown)
    assert shown == words[found.image.values].tolist()
    assert [v.answer for v in verdicts(found)] == [YES, NO]


def test_labels_can_be_left_out_and_then_images_keep_their_order():
    found = compare(turned(), **QUICK)
    assert found.sizes["class"] == 1
    assert (np.diff(found.image.values) > 0).all()


def test_a_class_of_one_image_takes_part_where_it_fell():
    words = np.array(["a", "b", "c", "d"])[LABELS]
    words[[3, 4]] = ["lone", "zone"]
    found = compare(turned(), words, display_images=IMAGES, **QUICK)
    there = set(found.image_class.values.tolist())
    assert found["class"].values.tolist() == sorted(there)
    assert {"a", "b", "c", "d"} <= there
    assert words[found.image.values].tolist() == found.image_class.values.tolist()


def test_the_split_has_as_many_images_of_each_class():
    found = compare(turned(), LABELS, display_images=IMAGES, **QUICK)
    _, counts = np.unique(found.image_class.values, return_counts=True)
    assert counts.tolist() == [IMAGES / 5 / CLASSES] * CLASSES


@pytest.mark.parametrize(
    "kind", [np.float32, np.float64, np.int64, np.int16, torch.float16, torch.bfloat16]
)
def test_any_kind_of_real_numbers_will_do(kind):
    x = [np.rint(100 * a) / 8 for a in turned()]
    given = [
        torch.from_numpy(a).to(kind) if isinstance(kind, torch.dtype) else a.astype(kind) for a in x
    ]
    if kind is torch.float16:
        given[0].requires_grad_()
    found = compare(given, LABELS, **QUICK)
    assert final(found, "variance", measure="left out").min() > 0.98


def test_arrays_that_are_read_backwards_or_came_from_another_machine_will_do():
    x = turned()
    one = compare(x, LABELS, **QUICK)
    for other in ([a[::-1].copy()[::-1] for a in x], [a.astype(">f8") for a in x]):
        xr.testing.assert_identical(one.drop_attrs(), compare(other, LABELS, **QUICK).drop_attrs())


def test_whole_numbers_that_float32_cannot_hold_stay_as_they_are():
    whole = [np.round(20 * a).astype(np.int64) + 2**27 for a in turned()]
    found = compare(whole, LABELS, **QUICK)
    exact = compare([a.astype(float) for a in whole], LABELS, **QUICK)
    np.testing.assert_array_equal(found.variance, exact.variance)


def test_networks_that_do_the_same_for_every_image_show_nothing():
    same = [np.repeat(rng(i).normal(size=(UNITS, 1)), IMAGES, 1) for i in range(3)]
    found = compare(same, LABELS, **QUICK)
    assert [v.answer for v in verdicts(found)] == [OPEN]
    for values in (found.geometry_current, found.control_geometry):
        assert (values.sel(bound="estimate") == 0).all()
        assert (values.sel(bound="low") == -1).all()
        assert (values.sel(bound="high") == 1).all()
    placed = place(same[0], same[1:], LABELS)
    assert placed.geometry == 0
    assert np.isnan(placed.variance)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Tensor.to_sparse, "a sparse tensor"), (Tensor.to_sparse_csr, "a sparse tensor"),
     (lambda x: x.to("meta"), "a meta tensor")],
)  # fmt: skip
def test_tensors_that_do_not_hold_every_number_are_refused(kind, words):
    networks = [kind(torch.as_tensor(x)) for x in turned()]
    for measure in (compare, SRM().fit, lambda x: rsm(x[0])):
        with pytest.raises(InputError, match=f"{words} came"):
            measure(networks)


def test_tensors_whose_rows_differ_in_length_are_refused():
    rows = [torch.ones(3), torch.ones(4)]
    with pytest.raises(InputError, match="a nested tensor came"):
        rsm(torch.nested.nested_tensor(rows, layout=torch.jagged))


def test_masked_values_are_refused():
    masked = [np.ma.masked_greater(a, 2.0) for a in turned()]
    with pytest.raises(InputError, match="values are masked; fill them in"):
        compare(masked, LABELS)
    bare = [np.ma.array(a) for a in turned()]
    assert compare(bare, LABELS, **QUICK).sizes["network"] == len(bare)


@pytest.mark.parametrize("name", ["a\0b", "b\ud800"])
def test_names_that_no_file_can_hold_are_refused(name):
    with pytest.raises(InputError, match="holds a character that no file can"):
        compare({name: turned()}, LABELS)
    with pytest.raises(InputError, match="holds a character that no file can"):
        compare(turned(), [name, "c"] * (len(LABELS) // 2))


def test_all_units_are_kept_of_few_images_unless_one_chooses():
    x = rng().normal(size=(3, 90, 100))
    found = compare(x, **QUICK)
    assert (found.units.values.tolist(), found.components.item()) == ([[90] * 3], 80)
    assert compare(x, max_units=70, **QUICK).components.item() == 70
    chosen = compare(x, components=5, **QUICK)
    assert (chosen.units.values.tolist(), chosen.components.item()) == ([[90] * 3], 5)


def test_rotated_copies_of_many_units_on_few_images_share_more_than_unrelated_networks():
    draw = rng()
    falling = np.arange(1, 129)[:, None] ** -0.25
    response = falling * draw.normal(size=(128, 60))
    turns = np.linalg.qr(draw.normal(size=(5, 128, 128)))[0]
    others = np.stack([turn @ (falling * draw.normal(size=(128, 60))) for turn in turns])
    alike, unlike = (verdicts(compare(x, **QUICK))[0] for x in (turns @ response, others))
    assert alike.answer != NO
    assert unlike.answer == NO
    assert alike.variance[0] > unlike.variance[0] + 0.2


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_without_standardising_the_unit_of_activity_does_not_matter(scale):
    x = np.stack(turned())
    plain, scaled = (compare(s * x, standardise=False, **QUICK) for s in (1.0, scale))
    for name in ("geometry_current", "variance_interval"):
        np.testing.assert_allclose(scaled[name], plain[name], atol=1e-6)


def test_a_comparison_can_be_saved_loaded_and_drawn(tmp_path, monkeypatch):
    found = compare({"3": turned(), "layer4.1": unrelated()}, LABELS, **QUICK)
    saved = save_results(found, tmp_path / "mine.nc")
    xr.testing.assert_identical(saved, load_results(tmp_path / "mine.nc"))
    monkeypatch.setattr(cli, "console", Console(file=io.StringIO(), width=200))
    cli.show(tmp_path / "mine.nc")
    said = cli.console.file.getvalue()
    assert "3: one geometry? yes" in said
    assert "layer4.1: one geometry? no" in said
    with pytest.raises(DataError, match="no run of an experiment made them"):
        add_page(tmp_path / "mine.nc", root=ROOT)
    np.testing.assert_array_equal(saved.variance, found.variance)
    for results in (found, saved):
        for name in ("rsm_explorer", "rsm_grid", "variance_by_layer", "consistency_by_layer",
                     "class_patterns"):  # fmt: skip
            assert getattr(figures, name)(results).data, name
        for name in ("rsm_alt", "variance_alt", "consistency_alt", "patterns_alt", "numbers_table",
                     "control_table", "native_table"):  # fmt: skip
            said = getattr(report, name)(results)
            assert "nan" not in said
            assert "layer4.1" in said or name == "patterns_alt"
    with pytest.raises(InputError, match="one checkpoint"):
        figures.geometry_over_training(found)
    with pytest.raises(InputError, match="one checkpoint"):
        figures.variance_over_training(found)


def test_the_explorer_of_one_checkpoint_has_a_menu_and_no_slider():
    found = compare({"3": turned(), "deep": unrelated()}, LABELS, **QUICK)
    figure = figures.rsm_explorer(found, reading="corrected")
    assert not figure.layout.sliders
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == ["deep", "layer 3"]
    assert [frame.name for frame in figure.frames] == ["deep", "layer 3"]
    assert list(figure.layout.meta["frame"]) == ["deep"]
    assert "does not look like" in figure.layout.title.text.replace("<br>", " ")
    for frame, layer in zip(figure.frames, ("deep", "3"), strict=True):
        cells = found.rsm_image.sel(layer=layer, reading="corrected", kind="between, shared")
        np.testing.assert_allclose(frame.data[2].z, cells.isel(checkpoint=0), atol=1e-6)


def test_a_figure_of_what_was_not_measured_is_refused():
    found = compare(turned(), **QUICK)
    with pytest.raises(InputError, match="level='pixel' with reading='published'"):
        figures.rsm_explorer(found, level="pixel")
    with pytest.raises(InputError, match="reading='raw' is not allowed: image or class"):
        figures.rsm_explorer(found, reading="raw")
    with pytest.raises(InputError, match="tell no accuracy"):
        figures.training_curves(found)


def test_the_explorer_of_one_layer_has_neither():
    figure = figures.rsm_explorer(compare(turned(), **QUICK))
    assert not figure.layout.sliders
    assert not figure.layout.updatemenus
    assert not figure.frames
    assert "looks like" in figure.layout.title.text.replace("<br>", " ")


def test_a_figure_of_one_layer_names_no_other_and_one_of_classes_needs_two():
    found = compare(turned(), **QUICK)
    assert figures.variance_by_layer(found).layout.title.text.replace("<br>", " ") == (
        "From the other networks, a rotation explains 100 % of the variance; as published, 100 %"
    )
    with pytest.raises(InputError, match="one class"):
        figures.class_patterns(found)


def test_pictures_stand_in_the_order_of_the_rows():
    images = torch.arange(IMAGES, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4)
    found = compare(turned(), LABELS, **QUICK)
    assert pictures_of(images, found) == pictures_of(images.float() / 255, found)
    assert len(set(pictures_of(images, found))) == found.sizes["image"]


# --- what a comparison refuses -------------------------------------------------------------------


def with_nan(unit=0):
    x = turned()
    x[2] = x[2].copy()
    x[2][unit, 5] = np.nan
    return x


@pytest.mark.parametrize(
    ("activities", "labels", "words"),
    [
        (turned()[:1], None, "1 networks; a comparison needs 2 or more"),
        ([], None, "0 networks"),
        ({}, None, "activities are empty"),
        (response(), None, r"holds? a ndarray of shape \(24, 240\); give a list"),
        ("text", None, "hold a str"),
        ([turned()[0], turned()[1].tolist()], None, "network 1 is a list; give a NumPy array"),
        ([turned()[0], turned()[1][None]], None, r"shape \(1, 24, 240\).*flatten it"),
        ([turned()[0], turned()[1][:1]], None, "network 1 has 1 units"),
        ([turned()[0], turned()[1] * 1j], None, "network 1 holds complex128"),
        ([turned()[0], turned()[1] > 0], None, "network 1 holds bool"),
        ([*turned(), turned()[0][:, :230]], None, "network 4 has 230 images and network 0 has 240"),
        (
            {"a": turned(), "b": [x[:, :9] for x in turned()]},
            None,
            "network 0 in layer 'b' has 9 images and network 0 in layer 'a' has 240",
        ),
        ({"a": turned(), "b": turned()[:3]}, None, "layer 'b' has 3 networks and layer 'a' has 4"),
        ([x.T for x in turned((24, 30))], None, "240 rows.*give units x images"),
        ([x.T for x in turned()], LABELS, "240 labels for 24 images.*give units x images"),
        (turned(), LABELS[:200], r"200 labels for 240 images; expected one each$"),
        (turned(), np.eye(4)[LABELS], r"labels have shape \(240, 4\)"),
        (turned(), np.arange(IMAGES), "a label of its own"),
        (turned(), [[1], [2, 3]] * 120, "several lengths; expected one class an image"),
        (with_nan(), None, "network 2 holds 1 values that are NaN or infinite"),
        ([np.ones((24, 240)), *response()[None]], None, "network 0 has one value in all its units"),
        ({"a": turned(), "b": with_nan()}, None, "network 2 in layer 'b' holds 1 values"),
        ([x[:, :10] for x in turned()], None, "of 10 images leaves 8 to align and 2 to measure"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(activities, labels, words):
    with pytest.raises(InputError, match=words):
        compare(activities, labels)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"components": 25}, "components=25 is larger.*24 units, 192 images; at most 24"),
        ({"components": 0}, "components=0"),
        ({"max_units": 1}, "max_units=1"),
        ({"alignment_fraction": 1.0}, "alignment_fraction=1.0"),
        ({"bootstrap": 3}, "bootstrap=3"),
        ({"seed": -1}, "seed=-1"),
        ({"standardise": "no"}, "standardise='no'"),
    ],
)
def test_a_choice_that_is_not_allowed_is_refused(choice, words):
    with pytest.raises(InputError, match=words):
        compare(turned(), **choice)


# --- verdicts ------------------------------------------------------------------------------------


def made_up(geometry, variance, control):
    found = compare(turned(), LABELS, **QUICK)
    row = {"reading": "corrected", "space": "shared"}
    found.geometry_current.loc[row] = np.array(geometry)
    found.variance_interval.loc[{"measure": "left out"}] = np.array(variance)
    found.control_variance.loc[{"measure": "left out"}] = control
    return found


@pytest.mark.parametrize(
    ("geometry", "variance", "control", "answer"),
    [
        ((0.9, 0.81, 0.95), (0.7, 0.51, 0.8), -0.3, YES),
        ((0.9, 0.79, 0.95), (0.7, 0.51, 0.8), -0.3, IN_PART),  # the RSMs might not agree
        ((0.9, 0.81, 0.95), (0.7, 0.49, 0.8), -0.3, IN_PART),  # not most of the variance
        ((0.9, 0.81, 0.95), (0.7, 0.55, 0.8), 0.6, OPEN),  # the control comes as high
        ((0.9, 0.81, 0.95), (0.1, -0.1, 0.2), -0.3, OPEN),
        ((0.9, 0.81, 0.95), (-0.1, -0.2, 0.2), -0.3, NO),
        ((0.9, 0.81, 0.95), (0.2, 0.1, 0.3), 0.3, NO),
        ((np.nan,) * 3, (np.nan,) * 3, np.nan, OPEN),  # a network in which nothing varies
    ],
)
def test_the_verdict_follows_its_rule(geometry, variance, control, answer):
    found = made_up(geometry, variance, control)
    assert verdicts(found)[0].answer == answer
    assert f"| **{answer}** |" in verdict_table(found)


def test_of_two_networks_the_estimates_are_judged():
    one, other = turned()[:2]
    (verdict,) = verdicts(compare([one, other], LABELS, **QUICK))
    assert verdict.answer == YES
    assert verdict.geometry[1:] == (-1, 1)
    (verdict,) = verdicts(compare(unrelated()[:2], LABELS, **QUICK))
    assert verdict.answer == NO


class Encoder(nn.Module):
    """Two layers of a transformer, and the mean over words."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)

    def forward(self, words, padding=None):
        return self.encoder(words, src_key_padding_mask=padding).mean(1)


def test_a_transformer_with_padded_words_is_recorded_and_its_fast_path_comes_back():
    words = torch.randn(12, 5, 8)
    padding = torch.zeros(12, 5, dtype=torch.bool)
    padding[:, 3:] = True
    before = torch.backends.mha.get_fastpath_enabled()
    batch = {"words": words, "padding": padding}
    found = record([Encoder(0), Encoder(1)], [batch], ["encoder.layers.0", "encoder.layers.1"])
    assert found["encoder.layers.0"][0].shape == (40, 12)
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_a_data_set_is_gone_through_image_by_image():
    words = torch.randn(12, 5, 8)
    networks, classes = [Encoder(0), Encoder(1)], torch.arange(12) % 3
    found = record(networks, TensorDataset(words, classes), "encoder.layers.0", batch_size=5)
    plain = record(networks, words, "encoder.layers.0")
    torch.testing.assert_close(found["encoder.layers.0"], plain["encoder.layers.0"])
    np.testing.assert_array_equal(found.labels, classes)


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_a_wrapped_network_has_the_paths_of_the_one_in_it(wrap):
    images = torch.randn(10, 6)
    network = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    wrapped = wrap(network)
    assert any(name.startswith(("module.", "_orig_mod.")) for name, _ in wrapped.named_modules())
    expected = record(network, images, "0")["0"][0]
    torch.testing.assert_close(record(wrapped, images, "0")["0"][0], expected)
    with pytest.raises(InputError, match="it has no module '7'"):
        record(wrapped, images, "7")


def test_a_network_that_was_compiled_and_has_run_is_recorded():
    images = torch.randn(10, 6)
    network = nn.Sequential(nn.Linear(6, 5), nn.ReLU()).eval()
    expected = record(network, images, "0")["0"][0]
    network.compile(backend="eager")
    with torch.no_grad():
        network(images)
    torch.testing.assert_close(record(network, images, "0")["0"][0], expected)


def test_a_layer_of_complex_numbers_is_refused():
    class Spectrum(nn.Module):
        def forward(self, x):
            return torch.fft.fft(x)

    network = nn.Sequential(nn.Linear(6, 5), Spectrum())
    with pytest.raises(InputError, match="layer '1' of network 0 returns complex numbers"):
        record(network, torch.randn(10, 6), "1")


def test_arrays_that_may_not_be_written_are_read_without_a_warning():
    x = np.stack(turned())
    x.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(x, LABELS, **QUICK)
        SRM().fit(x)
    assert verdicts(found)[0].answer == YES


# --- a newcomer ----------------------------------------------------------------------------------


def test_a_rotated_newcomer_fits_and_the_space_does_not_move_for_it():
    *known, newcomer = turned((24, 40, 31, 60, 50))
    placed = place(newcomer, known, LABELS, max_units=60)
    assert placed.variance == pytest.approx(1, abs=1e-6)
    assert placed.geometry == pytest.approx(1, abs=0.02)
    assert placed.control_variance.max() < 0.2
    w = np.stack([np.asarray(b) for b in placed.space.w_])
    other = place(unrelated()[0], known, LABELS, max_units=60)
    np.testing.assert_array_equal(w, np.stack([np.asarray(b) for b in other.space.w_]))
    assert other.variance < 0
    assert repr(placed).startswith("Placed(50 units in 24 dimensions of 4 networks; on 48 images: ")
    assert len(repr(placed)) < 200
    assert abs(other.geometry) < 0.3
    assert other.control_geometry.isfinite().all()


def test_the_newcomers_basis_is_scipys_procrustes_solution():
    x = [a + 0.3 * rng(i).normal(size=a.shape) for i, a in enumerate(turned())]
    placed = place(x[3], x[:3], LABELS)
    alignment, _ = split_alignment(torch.from_numpy(LABELS), 0.8, 0)
    own = standardise(x[3])[:, alignment]
    own = own - own.mean(1, keepdims=True)
    q, _ = orthogonal_procrustes(own.T, np.asarray(placed.space.s_).T)
    image = np.linalg.matrix_rank(own)
    assert image == UNITS - 1  # standardised columns: one direction is free
    np.testing.assert_allclose(own.T @ np.asarray(placed.w), own.T @ q, atol=1e-6)


def test_what_a_newcomer_does_is_carried_to_the_units_of_the_others():
    *known, newcomer = turned((24, 40, 31, 60, 50))
    placed = place(newcomer, known, LABELS, max_units=45)
    response = placed.respond(newcomer)
    assert response.shape == (len(placed.w.T), newcomer.shape[1])
    networks = zip(placed.space.inverse_transform(response), known, placed.units, strict=False)
    for carried, network, rows in networks:
        expected = standardise(network[rows]) * (45 / len(rows)) ** 0.5
        error = np.square(np.asarray(carried)[: len(rows)] - expected).mean()
        assert error < 0.3 * np.square(expected).mean()
        np.testing.assert_allclose(np.asarray(carried)[len(rows) :], 0, atol=1e-12)
    alone = placed.respond(newcomer[:, :1])
    torch.testing.assert_close(alone, response[:, :1])


@pytest.mark.parametrize(
    ("activity", "words"),
    [
        (np.ones((49, 10)), "the newcomer has 50 units, and activity 49"),
        (np.ones(50), "the newcomer has shape"),
        ("x", "the newcomer is a str"),
    ],
)
def test_activity_of_another_newcomer_is_refused(activity, words):
    *known, newcomer = turned((24, 40, 50))
    with pytest.raises(InputError, match=words):
        place(newcomer, known, LABELS).respond(activity)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_copies_in_few_dimensions_have_one_geometry(k):
    s = rng(k).normal(size=(k, 300))
    networks = [np.linalg.qr(rng(i).normal(size=(UNITS, k)))[0] @ s for i in range(5)]
    (verdict,) = verdicts(compare(networks, components=k, **QUICK))
    assert verdict.answer == YES
    assert verdict.geometry[0] > 0.999
    assert place(networks[4], networks[:4], components=k).geometry > 0.99


@pytest.mark.parametrize("units", [(2,) * 5, (3,) * 5, (3, 5, 4, 3, 8)])
def test_copies_of_few_units_have_one_geometry_once_they_are_compared_as_they_are(units):
    s = rng(0).normal(size=(min(units), 300)) + 1
    networks = [np.linalg.qr(rng(i).normal(size=(n, len(s))))[0] @ s for i, n in enumerate(units)]
    found = compare(networks, standardise=False, **QUICK)
    (verdict,) = verdicts(found)
    assert verdict.answer == YES
    assert verdict.geometry[0] == pytest.approx(1, abs=1e-9)
    assert verdict.variance[0] == pytest.approx(1, abs=1e-9)
    assert verdict.control[1] < 0.5
    assert not json.loads(found.attrs["choices"])["standardise"]
    placed = place(networks[-1], networks[:-1], standardise=False)
    assert placed.geometry == pytest.approx(1, abs=1e-9)
    carried = placed.space.inverse_transform(placed.respond(networks[-1]))[0]
    carried, own = np.asarray(carried)[: units[0]], networks[0]
    np.testing.assert_allclose(carried, own * (carried * own).sum() / (own**2).sum(), atol=1e-9)


@pytest.mark.parametrize(("standardise", "letter"), [(True, "r"), (False, "cos")])
def test_figures_call_cells_what_they_are(standardise, letter):
    found = compare({"a": turned(), "b": turned(seed=9)}, LABELS, standardise=standardise, **QUICK)
    for figure in (figures.rsm_explorer(found), figures.rsm_grid(found)):
        assert figure.layout.coloraxis.colorbar.ticktext[0] == f"{letter} = −1"
        assert all(f"{letter} = %{{z" in trace.hovertemplate for trace in figure.data)
    assert place(turned()[3], turned()[:3], standardise=standardise).letter == letter


@pytest.mark.parametrize("n", [2, 3])
def test_the_length_of_a_network_does_not_count_where_images_are_not_standardised(n):
    networks = [scale * x for scale, x in zip((1, 1e-3, 1e20), turned(), strict=False)][:n]
    found = compare(networks, standardise=False, **QUICK)
    (verdict,) = verdicts(found)
    assert verdict.answer == YES
    assert verdict.variance[0] == pytest.approx(1, abs=1e-5)
    low = final(found, "variance_interval", measure="published", bound="low")
    assert low == pytest.approx(0 if n == 2 else 1, abs=1e-5)
    placed = place(networks[0], networks[1:] * 2, standardise=False)
    assert placed.variance == pytest.approx(1, abs=1e-5)


def test_units_that_are_drawn_leave_networks_equally_long():
    s = rng(0).normal(size=(20, 300))
    networks = [np.linalg.qr(rng(i).normal(size=(n, 20)))[0] @ s
                for i, n in enumerate((100, 400, 800))]  # fmt: skip
    (verdict,) = verdicts(compare(networks, standardise=False, **QUICK))
    assert verdict.variance[0] > 0.9


def test_patterns_that_are_alike_in_all_units_can_be_compared_as_they_are():
    s = rng(0).normal(size=(1, 300))
    networks = [np.concatenate([s, s]), np.concatenate([2**0.5 * s, 0 * s])] * 2
    with pytest.raises(InputError, match="one value in all its units"):
        compare(networks, **QUICK)
    (verdict,) = verdicts(compare(networks, standardise=False, **QUICK))
    assert verdict.answer == YES
    with pytest.raises(InputError, match="network 0 is zero everywhere"):
        compare([0 * x for x in networks], standardise=False, **QUICK)


def test_a_newcomer_is_described_with_its_control():
    placed = place(turned()[3], turned()[:3], LABELS)
    said = yours_report.placed_sentence(placed)
    assert "48 held-out images" in said
    assert "1.00" in said
    assert "100 %" in yours_report.placed_title(placed)


@pytest.mark.parametrize(
    ("newcomer", "networks", "words"),
    [
        (turned()[0], turned()[:1], "1 networks make no space"),
        (turned()[0][:, :99], turned(), "network 4 has 99 images"),
        (with_nan()[2], turned(), "network 4 holds 1 values"),
    ],
)
def test_a_newcomer_that_cannot_be_placed_is_refused(newcomer, networks, words):
    with pytest.raises(InputError, match=words):
        place(newcomer, networks)


# --- recording -----------------------------------------------------------------------------------

IMAGE_SHAPE = (3, 8, 8)


class Small(nn.Module):
    """A network with what real ones have: dropout, norm, an activation used twice, a tuple."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        self.rnn = nn.GRU(36, 5, batch_first=True)
        self.turn = nn.Flatten(0, 1)
        self.head = nn.Linear(20, 6)
        self.spare = nn.Linear(2, 2)

    def forward(self, x):
        x = self.dropout(self.relu(self.norm(self.conv(x))))
        x, _ = self.rnn(x.flatten(2))
        self.turn(x)
        return self.relu(self.head(x.flatten(1)))


def small(n=2):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [Small() for _ in range(n)]


def some_images(n=30, seed=0):
    return torch.randn(n, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(seed))


def loader(images, labels=None, **how):
    parts = (images,) if labels is None else (images, torch.as_tensor(labels))
    return DataLoader(TensorDataset(*parts), batch_size=7, **how)


def test_untrained_resnets_go_from_pixels_to_an_answer():
    import_torchvision()
    from torchvision.models import resnet18

    digits = load_dataset("digits").test
    images = digits.images[:120].repeat_interleave(2, 2).repeat_interleave(2, 3).repeat(1, 3, 1, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = [resnet18(num_classes=10) for _ in range(3)]
    activities = record(
        networks, loader(images, digits.labels[:120]), ["layer1", "layer4", "fc"], max_units=50
    )
    assert {k: [tuple(x.shape) for x in v] for k, v in activities.items()} == {
        "layer1": [(50, 120)] * 3, "layer4": [(50, 120)] * 3, "fc": [(10, 120)] * 3,
    }  # fmt: skip
    with torch.no_grad():
        expected = networks[1].eval()(images.float() / 255).T
    torch.testing.assert_close(activities["fc"][1], expected, rtol=1e-3, atol=1e-4)
    found = compare(activities, **QUICK)
    assert found.layer.values.tolist() == ["layer1", "layer4", "fc"]
    assert found["class"].values.tolist() == [str(c) for c in range(10)]
    early = found.isel(checkpoint=0, layer=0).sel(measure="left out")
    assert early.variance_interval.sel(bound="low") > early.control_variance.max()


def test_a_loader_that_shuffles_gives_all_networks_the_same_images_and_their_labels():
    (network,) = small(1)
    images, labels = some_images(), np.arange(30)
    shuffled = loader(images, labels, shuffle=True, generator=torch.Generator().manual_seed(1))
    found = record([network, copy.deepcopy(network)], shuffled, "head")
    assert torch.equal(*found["head"])
    assert not (found.labels == labels).all()
    ordered = record([network], images[found.labels], "head")["head"][0]
    torch.testing.assert_close(found["head"][0], ordered)


@pytest.mark.parametrize("max_units", [50, 1000])
@pytest.mark.parametrize("order", [(8, 10), (10, 8)])
def test_batches_of_other_sizes_that_change_the_units_are_refused(order, max_units):
    first, second = (torch.zeros(3, 3, size, size) for size in order)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1))
    message = f"layer '0' of network 0 has {4 * order[0] ** 2} units for the first images and "
    with pytest.raises(InputError, match=message + f"{4 * order[1] ** 2} for these"):
        record(network, [first, second], "0", max_units=max_units)
    assert record(network, [first, second], "1")["1"][0].shape == (4, 6)


def test_recording_agrees_with_the_books_own_on_the_same_images():
    network = build_network("convnet", in_channels=1, image_size=16, n_classes=10)
    images = load_dataset("digits").test.images[:40]
    mean = images.float().mean(0)
    layers = {"a": "pool1", "b": "dense"}
    expected = record_activations(network, images, layers, mean_image=mean, batch_size=20)
    found = record(network, normalise(images, mean), layers, batch_size=20, max_units=10**6)
    for label in layers:
        assert torch.equal(found[label][0], expected[label])


def test_bytes_are_divided_by_255_and_floats_take_the_networks_type():
    networks = small()
    pixels = torch.randint(0, 256, (30, *IMAGE_SHAPE), dtype=torch.uint8)
    found = [record(networks, x, "head") for x in (pixels, pixels / 255, (pixels / 255).numpy())]
    wide = record(networks, (pixels / 255).double(), "head")
    for other in (*found[1:], wide):
        torch.testing.assert_close(found[0]["head"], other["head"])
    half = [network.double() for network in networks]
    assert record(half, pixels, "head")["head"][0].dtype == torch.float32


def test_images_whose_colours_stand_backwards_are_shown_as_they_are():
    (network,), images = small(1), some_images()
    backwards = record(network, images.numpy()[:, ::-1], "head")["head"][0]
    assert torch.equal(backwards, record(network, images.flip(1), "head")["head"][0])


class Block(nn.Module):
    """As in a transformer: several things out."""

    def __init__(self, kind):
        super().__init__()
        self.linear, self.kind = nn.Linear(4, 5), kind

    def forward(self, x):
        hidden = self.linear(x)
        return {"hidden": hidden, "all": None} if self.kind is dict else (hidden, None)


class Model(nn.Module):
    """Takes its arguments by name."""

    def __init__(self, kind=tuple):
        super().__init__()
        self.words, self.block = nn.Embedding(10, 4), Block(kind)

    def forward(self, input_ids, attention_mask):
        return self.block(self.words(input_ids) * attention_mask[..., None])


@pytest.mark.parametrize("kind", [tuple, dict])
def test_batches_of_named_arguments_and_layers_of_several_tensors_are_recorded(kind):
    torch.manual_seed(0)
    networks, ids, mask = [Model(kind), Model(kind)], torch.arange(12).view(6, 2) % 10, torch.ones
    batches = [
        {"input_ids": x, "attention_mask": mask(len(x), 2), "labels": x[:, 0] % 2}
        for x in ids.split(4)
    ]
    found = record(networks, batches, "block")
    for network, activity in zip(networks, found["block"], strict=True):
        expected = network.block.linear(network.words(ids)).flatten(1).T
        torch.testing.assert_close(activity, expected.detach())
    assert found.labels.tolist() == (ids[:, 0] % 2).tolist()


def test_named_arguments_that_a_network_does_not_take_are_told():
    batch = {"input_ids": torch.zeros(3, 2, dtype=torch.long), "mask": torch.ones(3, 2)}
    with pytest.raises(InputError, match="network 0 does not take a batch with input_ids, mask: "):
        record([Model()], [batch], "block")
    batch["mask"] = torch.ones(2, 2)
    with pytest.raises(InputError, match="batch 0 holds input_ids of 3, mask of 2 images"):
        record([Model()], [batch], "block")


def test_whole_numbers_reach_a_network_as_they_are():
    words = nn.Sequential(nn.Embedding(10, 4), nn.Flatten())
    tokens = torch.randint(0, 10, (12, 3))
    found = record([words], tokens, "1")
    torch.testing.assert_close(found["1"][0], words(tokens).T.detach())


@pytest.mark.parametrize("broken", [False, True])
def test_networks_are_left_as_they_were_after_an_error_too(broken):
    networks = [network.train() for network in small()]
    networks[0].norm.eval()  # frozen, as in fine-tuning
    before = [copy.deepcopy(network.state_dict()) for network in networks]
    modes = [[m.training for m in network.modules()] for network in networks]
    batches = [some_images(), torch.zeros(2, 3, 2, 2)] if broken else [some_images()]
    if broken:
        words = r"network 0 does not take a batch of shape \(2, 3, 2, 2\) in float32: .*ernel"
        with pytest.raises(InputError, match=words):
            record(networks, batches, "head")
    else:
        first, second = (record(networks, batches, "head")["head"] for _ in range(2))
        assert all(map(torch.equal, first, second))  # no dropout
        assert not first[0].requires_grad
    for network, state, mode in zip(networks, before, modes, strict=True):
        assert [m.training for m in network.modules()] == mode
        assert not any(m._forward_hooks for m in network.modules())
        assert all(torch.equal(state[k], v) for k, v in network.state_dict().items())
        network(some_images(4)).sum().backward()  # still trains


def test_what_was_recorded_in_two_orders_is_refused():
    images = some_images(60)
    everyone = [*small(), *small(1)]
    shuffled = loader(images, shuffle=True)
    known = record(everyone[:-1], shuffled, "head")["head"]
    (again,) = record(everyone[-1], shuffled, "head")["head"]
    with pytest.raises(InputError, match=f"network {len(known)} was recorded on other images"):
        place(again, known)
    with pytest.raises(InputError, match="or on the same in another order: record all in one call"):
        compare({"head": [*known, again]})
    in_order = loader(images)
    known = record(everyone[:-1], in_order, "head")["head"]
    (new,) = record(everyone[-1], images, "head", batch_size=11)["head"]  # the same, in order
    assert place(new, known).variance <= 1


def test_a_placed_network_says_which_of_its_units_its_basis_is_for():
    x = torch.randn(3, 30, 100, generator=torch.Generator().manual_seed(0))
    placed = place(x[2], x[:2], max_units=12)
    assert [len(rows) for rows in placed.units] == [12, 12, 12]
    assert len(placed.w) == 12
    cut = [activity[rows] for activity, rows in zip(x, placed.units, strict=True)]
    again = place(cut[2], cut[:2])
    torch.testing.assert_close(again.w, placed.w)


def test_networks_come_back_from_the_device_they_were_sent_to(monkeypatch):
    networks, sent = small(1), []
    home = networks[0].conv.weight.device
    monkeypatch.setattr(networks[0], "to", sent.append)
    record(networks, some_images(), "head", device="cpu")
    assert sent == [torch.device("cpu"), home]
    record(networks, some_images(), "head")
    assert len(sent) == 2
    with pytest.raises(InputError, match="device='gpu'"):
        record(networks, some_images(), "head", device="gpu")


def test_each_architecture_can_have_its_own_path_for_a_layer():
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    found = record(
        [*small(1), other], some_images(), {"last": ["head", "1"], "first": ["conv", "0"]}
    )
    assert [len(x) for x in found["last"]] == [6, 5]
    assert list(found) == ["last", "first"]


def test_networks_that_hold_a_common_module_record_it_each_for_itself():
    common = nn.Linear(192, 5)
    heads = [nn.Sequential(nn.Flatten(), nn.Dropout(), common, nn.Linear(5, 3)) for _ in range(2)]
    found = record(heads, some_images(), ["2", "3"])
    assert torch.equal(*found["2"])
    assert found["2"][0].shape == (5, 30)
    assert not torch.equal(*found["3"])


def test_labels_are_kept_only_if_there_is_one_an_image():
    networks, images = small(), some_images(14)
    assert record(networks, loader(images), "head").labels is None
    assert record(networks, loader(images, np.ones((14, 3))), "head").labels is None
    words = [(images[:7], list("abcdefg")), (images[7:], list("hijklmn"))]
    assert record(networks, words, "head").labels.tolist() == list("abcdefghijklmn")
    boxes = [(images[:2], [np.zeros(3), np.zeros(5)])]
    assert record(networks, boxes, "head").labels is None


def test_no_image_at_once_is_refused():
    with pytest.raises(InputError, match="batch_size=0 is not allowed"):
        record(small(), some_images(14), "head", batch_size=0)


def test_recorded_labels_are_used_unless_others_are_given():
    activities = Recorded({"a": [torch.from_numpy(x) for x in turned()]}, LABELS)
    assert compare(activities, **QUICK).sizes["class"] == CLASSES
    assert compare(activities, LABELS > 1, **QUICK)["class"].values.tolist() == ["False", "True"]
    assert compare(dict(activities), **QUICK).sizes["class"] == 1


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ("haed", "layer 'haed' is not in network 0: it has no module 'haed'; did you mean 'head'"),
        ("zzz", "no module 'zzz'; it has conv, norm"),
        ({"x": ["head", "cnov"]}, "not in network 1: it has no module 'cnov'; did you mean 'conv'"),
        ({"x": ["head"]}, "layer 'x' has 1 paths for 2 networks"),
        ([], "layers are empty"),
        ("relu", "layer 'relu' of network 0 runs more than once for an image"),
        ("turn", "layer 'turn' of network 0 returns 120 rows for 30 images"),
        ("spare", "layer 'spare' of network 0 is not reached"),
    ],
)
def test_a_layer_that_cannot_be_recorded_is_refused(layers, words):
    networks = small()
    with pytest.raises(InputError, match=words):
        record(networks, some_images(), layers)
    assert not any(m._forward_hooks for network in networks for m in network.modules())


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch wants others to use something newer
        return torch.jit.script(small(1)[0])


@pytest.mark.parametrize(
    ("networks", "images", "words"),
    [
        ([], some_images(), "no networks"),
        ([scripted()], some_images(), "layer 'head' of network 0 is a .*Script.* watched"),
        (small(), some_images().to_sparse(), "a sparse tensor came"),
        (small(), [some_images().to_sparse()], "a sparse tensor came"),
        (["resnet18"], some_images(), "network 0 is a str; expected an nn.Module"),
        (small(1) * 2, some_images(), "networks 0 and 1 are one and the same"),
        (small(), some_images()[:0], "images are empty"),
        (small(), [], "images are empty"),
        (small(), torch.zeros(5), r"images of shape \(5,\)"),
        (
            small(),
            [{"pixels": some_images().numpy()}],
            "batch 0 of the images is a dict; expected a tensor",
        ),
        (small(), [np.zeros((2, 3, 8, 8))], r"batch 0 .* ndarray of shape \(2, 3, 8, 8\)"),
        (small(), some_images() * np.nan, "network 0 in layer 'head' is not finite"),
    ],
)
def test_networks_and_images_that_cannot_be_recorded_are_refused(networks, images, words):
    with pytest.raises(InputError, match=words):
        record(networks, images, "head")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("batch_size", "3", "batch_size='3' is not allowed"),
        ("batch_size", 2.5, "batch_size=2.5 is not allowed"),
        ("batch_size", None, "batch_size=None is not allowed"),
        ("max_units", None, "max_units=None is not allowed"),
        ("max_units", 2.5, "max_units=2.5 is not allowed"),
        ("layers", None, "layers are a NoneType; give the paths"),
        ("layers", [3], "layer '3' is at 3; give the path of a module as text"),
        ("layers", {"a": [3, 4]}, r"layer 'a' is at \[3, 4\]; give the path"),
        ("layers", {1: "head", "1": "conv"}, "two layers of 1, '1' have one name"),
        ("images", None, "images are a NoneType; expected an array"),
        ("networks", None, "networks are a NoneType; give a list of nn.Modules"),
    ],
)
def test_what_record_cannot_use_is_named(name, value, words):
    how = {"networks": small(), "images": some_images(), "layers": "head"} | {name: value}
    with pytest.raises(InputError, match=words):
        record(how.pop("networks"), how.pop("images"), how.pop("layers"), **how)


def test_a_module_list_is_a_list_of_networks():
    networks = small()
    found = record(nn.ModuleList(networks), some_images(), "head", batch_size=np.int64(8))
    expected = record(networks, some_images(), "head")["head"]
    torch.testing.assert_close(found["head"], expected)


def test_networks_without_modules_inside_say_so():
    with pytest.raises(InputError, match="it has none at all"):
        record([nn.ReLU()], some_images(), "conv")


# --- the chapter's own populations ---------------------------------------------------------------


def test_the_principal_response_keeps_the_geometry_of_the_pictures():
    images = load_dataset("digits").test.images[:50]
    s = principal_response(images, 49)
    pixels = images.flatten(1).double().numpy()
    pixels = pixels - pixels.mean(0)
    gram = pixels @ pixels.T
    np.testing.assert_allclose(s.T @ s, gram * np.trace(s.T @ s) / np.trace(gram), atol=1e-9)
    assert np.mean(np.sum(s**2, 0)) == pytest.approx(1)


def test_the_three_kinds_get_the_answers_that_they_were_made_for():
    digits = load_dataset("digits").test
    kinds = three_kinds(digits.images[:200], 3, 40, 0.1, rng())
    assert [len(x) for x in kinds["turned"]] == [40, 44, 48]
    found = compare(kinds, digits.labels[:200], **QUICK)
    unrelated, stretched, turned = verdicts(found)
    assert (unrelated.answer, turned.answer) == (NO, YES)
    assert stretched.answer != YES
    assert unrelated.variance[0] < stretched.variance[0] < turned.variance[0]
    spent = yours_report.spent(found)
    assert "3 networks" in spent
    assert "48 units" in spent


def test_the_memory_table_has_a_row_a_size_and_asks_what_is_held_out():
    rows = yours_report.memory_table().splitlines()[2:]
    assert len(rows) == 3
    assert all(row.endswith("GB |") for row in rows)
    assert yours_report.memory_table(0.99) != yours_report.memory_table()


def test_units_and_shuffles_are_drawn_for_each_network_and_seed():
    networks = [torch.from_numpy(x) for x in turned()]
    how = preparation.Choices(max_units=10, standardise=False)
    found = preparation.population(networks, how, "a", torch.arange(100))
    assert not torch.equal(found.units[0], found.units[1])
    louder = [torch.cat([x[:, :100], 5 * x[:, 100:]], 1) for x in networks]
    again = preparation.population(louder, how, "a", torch.arange(100))
    assert again.lengths == pytest.approx(found.lengths)  # of the alignment images alone
    *known, newcomer = turned()
    one, other = (place(newcomer, known, LABELS, seed=seed) for seed in (0, 1))
    assert len(one.control_variance.unique()) == len(one.control_variance) > 10
    assert not torch.equal(one.control_variance, other.control_variance)
