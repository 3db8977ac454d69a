import numpy as np
import plotly.graph_objects as go
import pytest
import torch
import xarray as xr
from scipy import stats

from shared_geometry import figures
from shared_geometry.beyond.measures import controls
from shared_geometry.beyond.measures import study as measures
from shared_geometry.beyond.studies import load_study, study
from shared_geometry.claims.judging import FAILS, HOLDS, IN_PART
from shared_geometry.config import Config
from shared_geometry.errors import InputError
from shared_geometry.experiment import run
from shared_geometry.experiment.analysis import Activity
from shared_geometry.experiment.nulls import random_order, within_classes
from shared_geometry.reports import measures as measures_report
from shared_geometry.reports import measures_tables, measures_values
from shared_geometry.similarity import comparison, orders
from shared_geometry.similarity.cca import pwcca, svcca
from shared_geometry.similarity.comparison import (
    FITTED,
    MEASURES,
    PAPERS,
    compare,
    network,
    of_maps,
)
from shared_geometry.similarity.moments import linear_cka, moments
from shared_geometry.similarity.shape import matching_similarity, rotation, shape_similarity
from shared_geometry.statistics import expansion
from shared_geometry.theory.toys import rotations


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def centred(x):
    return x - x.mean(1, keepdim=True)


# All measures of a pair, and of pairs that share less.


def population(noise=0.5, n=4, units=10, images=(300, 100), classes=5):
    """Rotations of one response made of classes and of images, with noise of their own."""
    labels = [torch.arange(m) % classes for m in images]
    labels[1] = labels[1].sort().values
    centres, parts = 2 * normal(units, classes, seed=1), []
    q = rotations(n, units, generator(2))
    for part, (m, own) in enumerate(zip(images, labels, strict=True)):
        shared = centres[:, own] + normal(units, m, seed=3 + part)
        parts.append((q @ shared + noise * normal(n, units, m, seed=5 + part)).float())
    return Activity(*parts, labels[1]), controls.Labels(*labels)


def test_rank_correlations_of_rsms_are_those_of_scipy(monkeypatch):
    activity, _ = population()
    a, b = (network(*x) for x in zip(activity.alignment[:2], activity.held_out[:2], strict=True))
    triangles = [n.rsm.numpy()[np.tril_indices(100, -1)] for n in (a, b)]
    found = compare(a, b)
    assert tuple(found) == MEASURES
    for name, oracle in (
        ("Pearson", stats.pearsonr),
        ("Spearman", stats.spearmanr),
        ("Kendall", stats.kendalltau),
    ):
        assert found[f"RSA, {name}"] == pytest.approx(oracle(*triangles).statistic, abs=1e-5)
    monkeypatch.setattr(comparison, "RANKED", 40)
    few = [n.rsm.numpy()[::3, ::3][np.tril_indices(34, -1)] for n in (a, b)]
    expected = stats.kendalltau(*few).statistic
    assert compare(a, b)["RSA, Kendall"] == pytest.approx(expected, abs=1e-5)


def test_maps_are_fitted_on_alignment_images_and_measured_on_others():
    activity, _ = population()
    x, y = activity.alignment[0].double(), activity.alignment[1].double()
    new_x, new_y = activity.held_out[0].double(), activity.held_out[1].double()
    found = compare(*(network(*z) for z in ((x, new_x), (y, new_y))))
    fit, m = moments(x, y), moments(new_x, new_y)
    q = rotation(fit.xy)
    residual = [(centred(a) - b @ centred(c)).square().sum() / centred(a).square().sum()
                for a, b, c in ((new_x, q, new_y), (new_y, q.T, new_x))]  # fmt: skip
    assert found["variance explained"] == pytest.approx(1 - float(sum(residual)) / 2)
    for name, measure in (
        ("SVCCA", svcca),
        ("PWCCA", pwcca),
        ("rotation", shape_similarity),
        ("permutation", matching_similarity),
    ):
        assert found[name] == pytest.approx(measure(fit, m))
    assert found["CKA"] == pytest.approx(linear_cka(m))


def test_exact_rotations_are_equal_to_every_measure_but_the_permutation():
    activity, _ = population(noise=0.0)
    a, b = (network(*x) for x in zip(activity.alignment[:2], activity.held_out[:2], strict=True))
    found = compare(a, b)
    for name in ("variance explained", "CKA", "CKA, debiased", "SVCCA", "PWCCA", "rotation"):
        assert found[name] == pytest.approx(1, abs=1e-4), name
    assert found["permutation"] < 0.9


def test_a_shuffle_within_classes_moves_images_and_no_class():
    labels = torch.tensor([2, 0, 1, 0, 2, 2, 1, 0, 0])
    free = random_order(9, 0, "free")
    order = within_classes(free, labels)
    assert sorted(order.tolist()) == sorted(free.tolist()) == list(range(9))
    assert labels[order].tolist() == labels.tolist()
    assert order.tolist() != list(range(9))
    assert labels[free].tolist() != labels.tolist()


def test_reordering_a_network_is_recording_the_images_in_another_order():
    activity, labels = population()
    it = network(activity.alignment[1], activity.held_out[1])
    orders_ = [random_order(len(own), i, "free") for i, own in enumerate(labels)]
    moved = comparison.reordered(it, *orders_)
    again = network(activity.alignment[1][:, orders_[0]], activity.held_out[1][:, orders_[1]])
    other = network(activity.alignment[0], activity.held_out[0])
    assert compare(other, moved) == pytest.approx(compare(other, again), abs=1e-6)


def test_unrelated_pairs_are_at_chance_and_classes_lie_between():
    activity, labels = population()
    nets = measures.prepared(activity)
    values = controls.controlled(nets, labels, seed=0)
    assert values.shape == (len(MEASURES), 3, 2)
    np.testing.assert_array_equal(values[:, 0, 1], list(compare(nets[2], nets[3]).values()))
    means = dict(zip(MEASURES, values.mean(-1).tolist(), strict=True))
    for name in set(MEASURES) - {"variance explained"}:
        as_they_are, classes, unrelated = means[name]
        assert as_they_are > classes > unrelated, name
        assert abs(unrelated) < 0.2, name
    assert means["variance explained"][2] < -0.5


def test_maps_that_are_measured_where_they_were_fitted_flatter_unrelated_networks():
    activity, labels = population(images=(300, 30))
    held_out = controls.controlled(measures.prepared(activity), labels, seed=0)
    same = controls.on_the_same_images(activity.held_out, labels.held_out, seed=0)
    assert same.shape == (len(FITTED), 2, 2)
    unrelated = held_out[[MEASURES.index(name) for name in FITTED], 2].mean(1)
    assert (same[:, 1].mean(1) > unrelated + 0.1).all()


def test_the_same_images_are_shuffled_alike_for_fit_and_measurement():
    activity, labels = population()
    x = activity.held_out
    once = [network(a, a) for a in x[:2]]
    again = controls.Labels(labels.held_out, labels.held_out)
    moved = controls.under("unrelated", once[1], again, 0, 0)
    direct = network(moved.recorded, moved.recorded)
    assert of_maps(once[0], moved) == pytest.approx(of_maps(once[0], direct), abs=1e-6)


# Orders.


def course(values, n_pairs=1):
    """A course of dimensions checkpoint, layer, measure, pair from one of three."""
    values = np.repeat(np.asarray(values, dtype=float)[..., None], n_pairs, -1)
    coords = {"measure": list(MEASURES[: values.shape[2]])}
    return xr.DataArray(values, coords, ("checkpoint", "layer", "measure", "pair"))


def test_agreement_over_any_two_places_is_kendalls_tau():
    values = np.random.default_rng(0).normal(size=(4, 3, 5)).round(1)
    found = orders.agreement(course(values))
    for i in range(5):
        for j in range(5):
            expected = stats.kendalltau(values[..., i], values[..., j]).statistic
            assert float(found.sel(along="both")[i, j]) == pytest.approx(expected)


def test_layers_are_ordered_within_a_checkpoint_and_checkpoints_within_a_layer():
    depth, time = np.arange(3.0), 10 * np.arange(4.0)
    both = time[:, None] + depth
    against = time[:, None] - depth
    found = orders.agreement(course(np.stack([both, against], -1)))
    assert float(found.sel(along="layers")[0, 1]) == -1
    assert float(found.sel(along="checkpoints")[0, 1]) == 1
    assert -1 < float(found.sel(along="both")[0, 1]) < 1


def test_a_measure_that_is_the_same_everywhere_orders_nothing():
    flat = np.stack([np.ones((2, 3)), np.arange(6.0).reshape(2, 3)], -1)
    assert (orders.agreement(course(flat))[:, 0] == 0).all()


def test_a_measure_agrees_with_itself_as_far_as_networks_do():
    steady = course(np.random.default_rng(0).normal(size=(3, 3, 2)), n_pairs=3)
    assert (orders.reliability(steady) == 1).all()
    torn = steady * xr.DataArray([1.0, -1.0, 1.0], dims="pair")
    assert (orders.reliability(torn).sel(along="both") < 0).all()
    assert orders.reliability(steady.isel(pair=[0])).isnull().all()


# The study.


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    config = Config.from_preset("smoke", networks=4)
    return study("measures", config, output=tmp_path_factory.mktemp("runs"))


def test_the_study_is_saved_and_read_again_as_it_was(found, tmp_path):
    config = Config.from_preset("smoke", networks=2, checkpoints=[0, 1])
    first = study("measures", config, output=tmp_path)
    path = tmp_path / config.digest / "measures.nc"
    xr.testing.assert_identical(load_study("measures", path), first)
    assert path.stat().st_size < 300_000
    xr.testing.assert_identical(study("measures", config, output=tmp_path), first)
    for name in ("value", "control", "same_images", "whole", "course"):
        assert np.isfinite(first[name]).all(), name


def test_the_study_covers_every_layer_measure_and_control(found):
    assert found.sizes == {
        "layer": 3, "measure": 12, "bound": 3, "condition": 3, "pair": 2, "fitted": 6,
        "papers": 2, "checkpoint": 3, "end": 2,
    }  # fmt: skip
    assert tuple(found.measure.values) == MEASURES
    last = found.course.isel(checkpoint=-1).transpose("layer", "measure", "pair")
    np.testing.assert_array_equal(last, found.control.sel(condition="as they are"))
    estimate, low, high = found.value.transpose("bound", ...).values
    assert (low <= estimate).all()
    assert (estimate <= high).all()


def test_the_whole_population_is_measured_as_in_the_experiment(found, tmp_path):
    config = Config.from_preset("smoke", networks=2)
    mine = study("measures", config, output=tmp_path)
    theirs = run(config, output=tmp_path).isel(checkpoint=-1).sel(reading="published")
    np.testing.assert_allclose(
        mine.whole.sel(papers=PAPERS[0]), theirs.geometry_current.sel(space="shared"), atol=1e-5
    )
    np.testing.assert_allclose(
        mine.whole.sel(papers=PAPERS[1]), theirs.variance_interval.sel(measure="left out"),
        atol=1e-5,
    )  # fmt: skip


def test_intervals_over_pairs_hold_their_estimate():
    values = torch.tensor([[0.2, 0.25, 0.3]], dtype=torch.float64)  # pseudo-values 0.15, 0.25, 0.35
    ((estimate, low, high),) = measures.intervals(
        values, 3, {"n_resamples": 200, "seed": 0}
    ).tolist()
    assert estimate == pytest.approx(0.25)
    longer = expansion(3)
    slack = 1e-6
    assert estimate - longer * 0.1 - slack <= low < estimate
    assert estimate < high <= estimate + longer * 0.1 + slack


def made_up(found, agreeing):
    """An answer in which so many of the other measures order the layers as the paper's does."""
    changed = found.copy(deep=True)
    signs = np.ones(len(MEASURES))
    signs[len(PAPERS) + agreeing :] = -1
    layers = np.arange(found.sizes["layer"])
    changed["course"].values[:] = (layers[:, None] * signs)[None, ..., None]
    return changed


@pytest.mark.parametrize(("agreeing", "outcome"), [(10, HOLDS), (4, IN_PART), (0, FAILS)])
def test_the_claim_is_judged_measure_by_measure(found, agreeing, outcome):
    judged = measures.CLAIM.judge(made_up(found, agreeing))
    assert judged.outcome == outcome
    assert judged.value.startswith(f"{agreeing} of 10 measures")
    assert "with itself on other networks: 1.00" in judged.value


def test_one_pair_of_networks_says_nothing_of_its_own_reliability(found):
    assert "itself" not in measures.CLAIM.judge(found.isel(pair=[0])).value


def test_the_scale_over_chance_runs_from_unrelated_to_equal(found):
    changed = found.copy(deep=True)
    changed.control.loc[{"condition": "unrelated"}] = 0.2
    changed.control.loc[{"condition": "classes shared"}] = 0.4
    changed.value.loc[{"bound": "estimate"}] = 0.6
    values = measures_values.over_chance(changed)
    np.testing.assert_allclose(values.sel(bound="estimate"), 0.5)
    np.testing.assert_allclose(values.sel(bound="classes shared"), 0.25)
    np.testing.assert_allclose(measures_values.class_share(changed), 0.5)


# What the page says and draws.


def test_sentences_and_tables_hold_what_was_found(found):
    answers = {"live": found, "other": made_up(found, 4)}
    assert "4 of 10 other measures" in measures_report.order_sentence(answers["other"], "other")
    tables = {
        say: getattr(measures_tables, say)(answers).splitlines()
        for say in ("conclusions_table", "orders_table", "same_images_table", "whole_table")
    }
    for name, rows in tables.items():
        assert len({row.count("|") for row in rows}) == 1, name
    firsts = {
        name: [row.split("|")[1].strip() for row in rows[2:]] for name, rows in tables.items()
    }
    assert firsts["conclusions_table"] == list(MEASURES)
    assert firsts["orders_table"][1:] == list(MEASURES[1:])
    assert firsts["same_images_table"] == list(FITTED)
    assert len(firsts["whole_table"]) == 4
    assert tables["orders_table"][2].split("|")[3].strip() == "1.00; 0.00"
    for say in (
        measures_report.summary,
        measures_report.chance_title,
        measures_report.classes_title,
        measures_report.agreement_title,
        measures_report.classes_sentence,
        measures_report.order_sentences,
        measures_report.rise_sentence,
    ):
        assert "nan" not in say(answers)


def test_the_figure_by_layer_shows_one_population_and_its_numbers(found):
    values = measures_values.as_measured(found)
    figure = figures.measures_by_layer(
        {"a": values, "b": values}, "Found", second="unrelated", x="measure"
    )
    assert isinstance(figure, go.Figure)
    assert [t.visible for t in figure.data] == [True] * 6 + [False] * 6
    dots = figure.data[1]
    np.testing.assert_allclose(dots.x, found.value.isel(layer=0).sel(bound="estimate"))
    assert [round(y) for y in dots.y] == list(range(12))
    assert [t.name for t in figure.data[:6] if t.showlegend is not False] == [
        "unrelated", "first pooling", "second pooling", "dense",
    ]  # fmt: skip
    (menu,) = figure.layout.updatemenus
    assert menu.buttons[1].args[0]["visible"] == [False] * 6 + [True] * 6


def test_the_map_of_agreement_offers_every_order_of_every_population(found):
    tables = orders.agreement(found.course)
    alone = figures.agreement_map({"a": tables}, "Found")
    assert [b.label for b in alone.layout.updatemenus[0].buttons] == list(orders.ALONG)
    both = figures.agreement_map({"a": tables, "b": tables}, "Found")
    assert len(both.data) == len(both.layout.updatemenus[0].buttons) == 6
    np.testing.assert_allclose(both.data[1].z, tables.sel(along="checkpoints"))
    assert alone.layout.coloraxis.colorbar.ticktext[0] == "τ = −1"  # Kendall's


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.measures_by_layer({}, "t", second="unrelated", x="x"),
        lambda: figures.agreement_map({}, "t"),
    ],
)
def test_no_population_is_refused(draw):
    with pytest.raises(InputError, match="empty"):
        draw()
