"""When the geometry appears: ways, arrivals, and the two factors of the final reading."""

import numpy as np
import pytest
import xarray as xr
from examples import small_results
from scipy import stats

from shared_geometry import figures
from shared_geometry.claims import emergence
from shared_geometry.claims.emergence import HALF, arrival, arrivals, covered_by, split, way
from shared_geometry.claims.judging import FAILS, HOLDS, IN_PART, UNDECIDED
from shared_geometry.errors import InputError
from shared_geometry.reports import emergence as emergence_report
from shared_geometry.reports import ledger
from shared_geometry.rsa import lower_triangle
from shared_geometry.statistics import bootstrap_mean


@pytest.fixture
def results():
    return small_results()


def with_course(results, course, spread=0.01):
    """``results`` whose correlations with the final geometry are these, layer by layer."""
    made = results.copy(deep=True)
    values = np.stack([np.array(course) + d for d in (0, -spread, spread)], -1)
    where = {"reading": "published", "space": "shared"}
    made.geometry_final.loc[where] = values
    return made


def two(first, last=1.0):
    """A course of two layers that starts at 0.2 and passes these values at epoch 0.5."""
    return [[0.2, value, last] for value in first]


# The way to the final geometry.


def test_a_way_begins_at_nothing_and_ends_at_all(results):
    covered = way(with_course(results, two([0.6, 0.4])))
    assert (covered.isel(checkpoint=0) == 0).all()
    assert (covered.isel(checkpoint=-1) == 1).all()
    np.testing.assert_allclose(covered.sel(checkpoint=0.5, bound="estimate"), [0.5, 0.25])


def test_its_interval_is_the_widest_that_the_three_intervals_allow(results):
    covered = way(with_course(results, two([0.6, 0.4]), spread=0.03))
    grid = np.linspace(-0.03, 0.03, 7)
    now, start, end = np.meshgrid(0.6 + grid, 0.2 + grid, 1.0 + grid)
    share = (now - start) / (end - start)
    _, low, high = covered.sel(checkpoint=0.5).isel(layer=0).values
    assert low == pytest.approx(share.min())
    assert high == pytest.approx(share.max())
    assert low < 0.5 < high


def test_a_curve_that_overshoots_keeps_its_widest_interval(results):
    covered = way(with_course(results, two([1.3, 0.4]), spread=0.03))
    _, low, high = covered.sel(checkpoint=0.5).isel(layer=0).values
    assert low == pytest.approx((1.27 - 0.17) / (1.03 - 0.17))
    assert high == pytest.approx((1.33 - 0.23) / (0.97 - 0.23))


def test_a_way_does_not_depend_on_where_correlations_lie(results):
    a = way(with_course(results, [[0.1, 0.3, 0.5]] * 2, spread=0.01))
    b = way(with_course(results, [[0.2, 0.6, 1.0]] * 2, spread=0.02))
    xr.testing.assert_allclose(a, b)


def test_there_is_no_way_where_start_and_end_overlap(results):
    covered = way(with_course(results, [[0.95, 0.96, 0.96], [0.2, 0.6, 1.0]]))
    assert covered.isel(layer=0).isnull().all()
    assert covered.isel(layer=1).notnull().all()


def test_a_falling_course_has_no_way(results):
    assert way(with_course(results, [[0.9, 0.5, 0.3]] * 2)).isnull().all()


# Arrivals.


def test_an_arrival_is_interpolated():
    assert arrival([0, 1, 3], np.array([0, 0.5, 1]), 0.75) == 2
    assert arrival([0, 1, 3], np.array([0, 0.5, 1]), 0.5) == 1


def test_a_curve_that_falls_back_has_not_arrived_yet():
    values = np.array([0, 1.0, 0.2, 1.0])
    assert arrival([0, 1, 2, 3], values, 0.6) == pytest.approx(2.5)


def test_a_curve_that_is_there_from_the_start_arrives_then_and_one_that_ends_below_never():
    assert arrival([0, 1], np.array([0.96, 1.0]), 0.95) == 0
    assert np.isnan(arrival([0, 1], np.array([0.0, 0.9]), 0.95))
    assert np.isnan(arrival([0, 1], np.array([np.nan, 1.0]), 0.95))


def test_an_arrivals_interval_holds_its_estimate(results):
    arrived = arrivals(way(with_course(results, two([0.6, 0.4]), spread=0.02)))
    estimate, low, high = arrived.transpose("bound", "layer").values
    assert list(arrived.bound.values) == ["estimate", "low", "high"]
    assert (low < estimate).all()
    assert (estimate < high).all()
    assert estimate[0] == pytest.approx(0.5 + 1.5 * (0.95 - 0.5) / 0.5)


def test_what_is_covered_between_checkpoints_is_interpolated(results):
    by_first = covered_by(way(with_course(results, two([0.6, 0.4])))).sel(bound="estimate")
    np.testing.assert_allclose(by_first, [0.5 + 0.5 / 3, 0.25 + 0.75 / 3])


def test_after_the_end_all_is_covered(results):
    covered = way(with_course(results, two([0.6, 0.4])))
    assert (covered_by(covered, 9.0) == 1).all()
    covered[0] = np.nan  # no way to go
    assert covered_by(covered, 9.0)[0].isnull().all()


# Accuracy.


def test_accuracy_has_its_way_from_chance(results):
    found = emergence.accuracy_way(results)
    accuracy = results.test_accuracy.values
    share = (accuracy[:, 0] - 0.25) / (accuracy[:, 1] - 0.25)
    config = emergence.config_of(results)
    oracle = bootstrap_mean(share, n_resamples=config.bootstrap, seed=config.seed)
    np.testing.assert_allclose(found.sel(epoch=1), oracle)
    np.testing.assert_allclose(found.sel(epoch=2), 1)


def test_a_network_that_ends_at_chance_has_no_way(results):
    made = results.copy(deep=True)
    made.test_accuracy[0, -1] = 0.25
    assert emergence.accuracy_way(made).isnull().all()
    assert "at chance" in emergence_report.accuracy_sentence({"one": made})


# The two factors.


def test_the_factors_are_those_of_the_kept_rsms(results):
    found, rsms = split(results), results.rsm_image.sel(reading="published", layer="dense")
    w, b = (rsms.sel(kind=k).values for k in ("within, native", "between, shared"))
    for t in range(3):
        x, y, z = (lower_triangle(r) for r in (b[t], w[t], w[-1]))
        here = found.sel(layer="dense").isel(checkpoint=t)
        assert float(here.agreement) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-6)
        assert float(here.settled) == pytest.approx(stats.pearsonr(y, z)[0], abs=1e-6)
        assert float(here.final) == pytest.approx(stats.pearsonr(x, z)[0], abs=1e-6)


def test_the_remainder_is_the_partial_correlation_times_the_most_that_it_could_be(results):
    found, rsms = split(results), results.rsm_image.sel(reading="published", layer="pool1")
    w, b = (rsms.sel(kind=k).values for k in ("within, native", "between, shared"))
    x, y, z = (lower_triangle(r).astype(float) for r in (b[0], w[0], w[-1]))
    # residuals of two regressions on w_t: an oracle that knows no formula of partial correlation
    left = [v - np.polyval(np.polyfit(y, v, 1), y) for v in (x, z)]
    rho = stats.pearsonr(*left)[0]
    here = found.sel(layer="pool1").isel(checkpoint=0)
    assert abs(rho) > 0.01
    assert float(here.remainder / here.most) == pytest.approx(rho, abs=1e-4)
    assert (abs(found.remainder) <= found.most + 1e-6).all()


def test_at_the_end_the_geometry_has_settled_and_nothing_remains(results):
    end = split(results).isel(checkpoint=-1)
    np.testing.assert_allclose(end.settled, 1, atol=1e-6)
    np.testing.assert_allclose(end.remainder, 0, atol=1e-6)


def test_where_all_agree_at_a_moment_the_final_reading_is_the_drift_alone(results):
    made = results.copy(deep=True)
    made.rsm_image.loc[{"kind": "between, shared"}] = made.rsm_image.sel(kind="within, native")
    found = split(made)
    np.testing.assert_allclose(found.agreement, 1, atol=1e-6)
    np.testing.assert_allclose(found.final, found.settled, atol=1e-6)
    assert (found.settled.isel(checkpoint=0) < 0.9).all()


def test_reliability_is_what_means_of_noisy_copies_correlate():
    rng = np.random.default_rng(0)
    truth, noise = rng.normal(size=20_000), rng.normal(size=(2, 5, 20_000))
    means = (truth + noise).mean(1)  # two copies correlate 1/2
    assert emergence.reliability(0.5, 5) == pytest.approx(stats.pearsonr(*means)[0], abs=0.01)
    assert emergence.reliability(0.3, 1) == 0.3


# What cannot be judged.


def test_a_way_needs_a_start_and_an_end(results):
    for place, shown in ((slice(1, None), "0.5, 2"), (slice(0, 1), "checkpoints 0:")):
        with pytest.raises(InputError, match=shown):
            way(results.isel(checkpoint=place))


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="1 values at 2 epochs"):
        arrival([0, 1], np.array([0.5]), 0.5)
    with pytest.raises(InputError, match="n=0"):
        emergence.reliability(0.5, 0)


# The claim.


def test_the_claim_holds_in_every_layer_in_some_or_in_none(results):
    for first, outcome in (([0.9, 0.8], HOLDS), ([0.9, 0.3], IN_PART), ([0.3, 0.25], FAILS)):
        assert emergence.judge(with_course(results, two(first))).outcome == outcome


def test_an_estimate_above_half_is_not_enough(results):
    made = with_course(results, two([0.5, 0.5]), spread=0.15)
    assert (covered_by(way(made)).sel(bound="estimate") > HALF).all()
    assert emergence.judge(made).outcome == UNDECIDED


def test_a_layer_without_a_way_and_a_run_of_one_epoch_do_not_count(results):
    found = emergence.judge(with_course(results, [[0.99, 0.99, 0.99], [0.2, 0.9, 1.0]]))
    assert found.outcome == IN_PART
    assert "first pooling no way to go; dense 0." in found.value
    short = results.isel(checkpoint=[0, 1])
    assert emergence.judge(short).outcome == UNDECIDED
    assert "within its first epoch" in emergence.judge(short).value


def test_of_many_layers_the_least_and_the_most_are_named(results):
    made = with_course(results, two([0.9, 0.4]))
    many = made.isel(layer=[0, 1, 0, 1, 0]).assign_coords(layer=["1", "3", "5", "7", "9"])
    value = emergence.judge(many).value
    assert value.startswith("3 of 5 layers (2 cannot be told): layer 3 ")
    assert "; layer 1 " in value


# Figures and words.


@pytest.fixture
def answers(results):
    made = with_course(results, two([0.9, 0.4]))
    return {"one": made, "another": made.isel(layer=[1])}


def test_the_figure_of_ways_holds_them_and_accuracy(answers):
    figure = figures.way_through_training(answers)
    shown = {t.name: t for t in figure.data if t.visible}
    assert list(shown) == ["first pooling", "dense", "test accuracy"]
    np.testing.assert_allclose(shown["dense"].y, way(answers["one"])[1, :, 0])
    assert list(shown["test accuracy"].x) == ["2"]  # the only epoch that is a checkpoint
    title = figure.layout.title.text.replace("<br>", " ")
    assert title.endswith("in 1 of 3 layers")
    assert [b.label for b in figure.layout.updatemenus[0].buttons] == list(answers)


def test_no_layer_of_a_run_that_ends_within_its_first_epoch_is_counted(answers):
    made = answers["one"].assign_coords(checkpoint=[0.0, 0.5, 1.0])
    title = figures.way_through_training({"made": made}).layout.title.text.replace("<br>", " ")
    assert title.endswith("in 0 of 2 layers")


def test_the_figure_of_agreement_counts_layers_that_peak_early(answers):
    made = answers["one"].copy(deep=True)
    where = {"measure": "left out", "bound": "estimate"}
    made.variance_interval.loc[where] = [[0.5, 0.9, 0.6], [0.5, 0.6, 0.7]]
    figure = figures.agreement_through_training({"made": made})
    assert figure.layout.title.text.startswith("In 1 of 2 layers")
    np.testing.assert_allclose(figure.data[0].y, [0.5, 0.9, 0.6])


def test_the_figure_of_readings_shows_all_terms_untrained_and_early(answers):
    figure = figures.readings_by_layer(answers)
    shown = {t.name: t for t in figure.data if t.visible}
    terms = split(answers["one"]).sel(checkpoint=0.5)
    np.testing.assert_allclose(shown["final reading"].y, terms.final)
    np.testing.assert_allclose(shown["product of the two"].y, terms["product"])
    labels = [b.label for b in figure.layout.updatemenus[0].buttons]
    assert labels[:2] == ["one, epoch 0.5", "one, epoch 0"]


def test_a_layer_at_nought_is_drawn_above_the_names_of_layers(answers):
    axis = figures.readings_by_layer(answers).layout.yaxis
    assert axis.range[0] <= -0.05
    assert axis.range[1] > 1


def test_the_way_of_agreement_is_told_as_start_best_and_end(answers):
    made = answers["one"].copy(deep=True)
    where = {"measure": "left out", "bound": "estimate"}
    made.variance_interval.loc[where] = [[0.5, 0.9, 0.6], [0.5, 0.6, 0.7]]
    said = emergence_report.agreement_alt({"made": made})
    assert "first pooling from 0.50, at best 0.90, to 0.60" in said


def test_tables_that_a_reader_makes_call_layers_and_terms_as_figures_do(answers):
    made = answers["one"]
    shown = emergence_report.named(way(made).sel(bound="estimate"))
    assert list(shown.layer.values) == ["first pooling", "dense"]
    terms = emergence_report.named(split(made).isel(layer=-1))
    assert {"they agree now", "final reading", "largest remainder possible"} <= set(terms)
    assert not {"most", "agreement"} & set(terms)


def test_words_name_every_population_and_layer(answers):
    for say in (
        emergence_report.way_table,
        emergence_report.order_sentence,
        emergence_report.accuracy_sentence,
        emergence_report.agreement_table,
        emergence_report.gap_table,
        emergence_report.pairs_sentence,
    ):
        text = say(answers)
        assert "one" in text
        assert "another" in text
    for say in (
        emergence_report.way_alt,
        emergence_report.agreement_alt,
        emergence_report.readings_alt,
    ):
        assert "one: first pooling" in say(answers)
        assert "dense" in say(answers)


def test_a_short_run_is_not_said_to_judge_the_claim(answers):
    assert (
        ledger.claim_table(emergence.CLAIM, answers).count("not tested at the paper's length") == 2
    )


def test_the_layers_that_arrive_first_and_last_are_named(answers):
    line = emergence_report.order_sentence(answers).splitlines()[0]
    assert "first the first pooling layer" in line
    assert "last the dense layer" in line


def test_tables_have_a_row_a_layer(answers):
    for text in (
        emergence_report.way_table(answers),
        emergence_report.agreement_table(answers),
    ):
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len(rows) == (2 + 2) + (2 + 1)
