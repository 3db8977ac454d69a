import json

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from examples import small_results

from shared_geometry.claims import centring, judging, rules
from shared_geometry.claims.catalogue import SIMULATION
from shared_geometry.claims.judging import FAILS, HOLDS, IN_PART, UNDECIDED
from shared_geometry.config import Config
from shared_geometry.reports import ledger
from shared_geometry.reports.ledger import NOT_RUN, NOT_TESTED
from shared_geometry.theory.simulation import Setting, figure_2
from shared_geometry.theory.toys import train_toys
from shared_geometry.training.recipes import recipe


def interval(value, width=0.01):
    return [value, value - width, value + width]


@pytest.fixture
def results():
    """Results in which every claim about a ConvNet on CIFAR-10 holds; each test spoils one."""
    found = small_results()
    config = Config.from_preset("paper", dataset="cifar10", architecture="convnet", networks=3)
    found.attrs["config"] = config.to_json()
    found.attrs["recipe"] = recipe("paper", "convnet").to_json()
    found.control_native.values[:] = np.linspace(-0.3, 0.3, found.sizes["draw"])
    for name in ("geometry_final", "geometry_current"):
        found[name].loc[{"space": "native"}] = interval(0.0)
        for place, value in enumerate((0.5, 0.7, 0.95)):
            where = {"space": "shared", "checkpoint": found.checkpoint[place]}
            found[name].loc[where] = interval(value)
    for layer, value in (("pool1", 0.6), ("dense", 0.91)):
        found.variance_interval.loc[{"layer": layer}] = interval(value)
        found.consistency.loc[{"layer": layer}] = interval(value)
    return found


NAME = "cifar10-convnet"


def row(results, name, page=NAME):
    (found,) = [
        r
        for r in ledger.experiment_rows({page: results})
        if r.claim.name == name and r.page == page
    ]
    return found


NAMES = ("rises", "rises-now", "aligned", "formless", "depth", "consistency", "stated")


@pytest.mark.parametrize("name", NAMES)
def test_where_the_results_say_so_a_claim_holds(results, name):
    assert row(results, name).verdict == HOLDS


def spoil_native(results):
    results.geometry_final.loc[{"space": "native", "layer": "dense"}] = interval(-0.5)


def spoil_rise(results):
    first = {"space": "shared", "checkpoint": 0.0, "layer": "pool1"}
    results.geometry_final.loc[first] = interval(0.98)


def blur_rise(results):
    first = {"space": "shared", "checkpoint": 0.0, "layer": "pool1"}
    results.geometry_final.loc[first] = interval(0.94)


def spoil_moment(results):
    results.geometry_current.loc[{"space": "shared", "checkpoint": 0.0}] = interval(0.98)


def level_moment(results):
    results.geometry_current.loc[{"space": "shared"}] = interval(0.99, 0.004)


def blur_moment(results):
    results.geometry_current.loc[{"space": "shared", "checkpoint": 0.0}] = interval(0.95)


def spoil_alignment(results):
    results.geometry_final.loc[{"space": "shared", "checkpoint": 2.0}] = interval(0.7)


def blur_alignment(results):
    """As of two networks, whose correlation can be any."""
    results.geometry_final.loc[{"space": "shared"}] = [0.99, -1, 1]


def spoil_depth(results):
    results.variance_interval.loc[{"layer": "pool1"}] = interval(0.95)


def blur_depth(results):
    results.variance_interval.loc[{"layer": "pool1"}] = interval(0.9)


def spoil_order(results):
    results.consistency.loc[{"layer": "pool1"}] = interval(0.95)


def spoil_share(results):
    results.variance_interval.loc[{"layer": "dense"}] = interval(0.87)


def spoil_share_more(results):
    results.variance_interval.loc[{"layer": "dense"}] = interval(0.8)


@pytest.mark.parametrize(
    ("spoil", "name", "verdict"),
    [
        (spoil_native, "formless", IN_PART),
        (spoil_rise, "rises", IN_PART),
        (blur_rise, "rises", IN_PART),
        (blur_alignment, "rises", UNDECIDED),
        (spoil_moment, "rises-now", FAILS),
        (level_moment, "rises-now", FAILS),
        (blur_moment, "rises-now", UNDECIDED),
        (spoil_alignment, "aligned", FAILS),
        (blur_alignment, "aligned", UNDECIDED),
        (spoil_depth, "depth", FAILS),
        (blur_depth, "depth", UNDECIDED),
        (spoil_order, "consistency", FAILS),
        (spoil_share, "stated", IN_PART),
        (spoil_share_more, "stated", FAILS),
    ],
)
def test_where_the_results_say_otherwise_the_verdict_follows(results, spoil, name, verdict):
    spoil(results)
    found = row(results, name)
    assert found.verdict == verdict
    assert f"**{verdict}**" in ledger.table([found], [])


def test_a_run_that_is_too_short_is_not_judged_but_shown(results):
    results.attrs["recipe"] = recipe("fast", "convnet").to_json()
    found = row(results, "aligned")
    assert found.verdict == NOT_TESTED
    assert "(here it holds)" in ledger.verdict_text(found)
    short = json.loads(recipe("paper", "convnet").to_json()) | {"epochs": 10}
    results.attrs["recipe"] = json.dumps(short)
    assert row(results, "aligned").verdict == NOT_TESTED


def test_a_condition_without_results_is_named(results):
    rows = ledger.experiment_rows({NAME: results})
    missing = [r for r in rows if r.found is None]
    assert {r.verdict for r in missing} == {NOT_RUN}
    assert len(missing) + len(NAMES) == len(rows)


def test_less_variance_in_the_larger_network_needs_both_networks(results):
    larger = results.copy(deep=True)
    larger.attrs["recipe"] = recipe("paper", "resnet18").to_json()
    larger.attrs["config"] = Config.from_preset(
        "paper", dataset="cifar10", architecture="resnet18", networks=3
    ).to_json()
    both = {NAME: results, "cifar10-resnet18": larger}

    def verdict():
        rows = [r for r in ledger.experiment_rows(both) if r.claim.name == "capacity"]
        assert [r.verdict for r in rows[1:]] == [NOT_RUN]  # CIFAR-100
        return rows[0].verdict

    assert verdict() == UNDECIDED
    larger.variance_interval.loc[{"layer": "dense"}] = interval(0.95)
    assert verdict() == FAILS
    larger.variance_interval.loc[{"layer": "dense"}] = interval(0.85)
    assert verdict() == HOLDS


def test_shares_of_populations_of_unlike_size_are_compared_at_the_smaller(results):
    config = Config.from_json(results.attrs["config"])
    last = {"layer": "dense", "measure": "published"}
    of_all, of_four = results.copy(deep=True), results.copy(deep=True)
    of_all.variance_interval.loc[last] = [0.91, 0.90, 0.92]
    of_four.variance_interval.loc[last] = [0.92, 0.91, 0.93]  # as of ten: 0.90
    of_all.attrs["config"] = config.model_copy(update={"networks": 10}).to_json()
    of_four.attrs["config"] = config.model_copy(update={"networks": 4}).to_json()
    found = rules.less_than(of_four, of_all)
    as_of_four = 1 / 4 + 3 / 4 * (10 * 0.91 - 1) / 9
    value = found.value.replace("\N{NO-BREAK SPACE}", " ")
    assert value.startswith(f"0.92 [0.91, 0.93] against {as_of_four:.2f} [")
    assert "as of 4 networks each; without unit means" in value
    of_all.attrs["config"] = config.model_copy(update={"networks": 10, "components": 5}).to_json()
    assert rules.less_than(of_four, of_all).outcome == UNDECIDED


def test_layers_that_do_not_differ_have_no_order_to_follow(results):
    results.consistency[...] = 0.5
    found = rules.consistency_follows_variance(results)
    assert found.outcome == UNDECIDED
    assert found.value.startswith("rank correlation over layers –")


def test_one_layer_neither_rises_with_depth_nor_falls(results):
    assert rules.variance_rises_with_depth(results.isel(layer=[0])).outcome == UNDECIDED


@pytest.mark.parametrize("kept", [slice(1, None), slice(-1, None)])
def test_a_rise_from_before_training_needs_a_checkpoint_there(results, kept):
    assert row(results.isel(checkpoint=kept), "rises").verdict == UNDECIDED
    assert row(results.isel(checkpoint=kept), "rises-now").verdict == UNDECIDED


def test_the_theory_holds_and_a_wrong_one_would_not(monkeypatch):
    assert [r.verdict for r in ledger.theory_rows(0)] == [HOLDS] * 3

    def bent(s, n_networks, n_units, rng):
        return [rng.normal(size=(n_units, len(s))) @ s for _ in range(n_networks)]

    monkeypatch.setattr(rules, "same_geometry", bent)
    assert [r.verdict for r in ledger.theory_rows(0)] == [FAILS] * 3


def test_resampled_intervals_of_a_correlation_cannot_tell_that_it_does_not_rise(results):
    for name in ("geometry_final", "geometry_current"):
        for place, value in enumerate((0.93, 0.94, 0.95)):
            where = {"space": "shared", "checkpoint": results.checkpoint[place]}
            results[name].loc[where] = [value, value - 0.03, value]
    falling = {"space": "shared", "checkpoint": results.checkpoint[-1]}
    results.geometry_final.loc[falling] = [0.86, 0.83, 0.86]
    assert row(results, "rises").verdict == FAILS
    results.attrs["geometry_intervals"] = "bootstrap"
    assert row(results, "rises").verdict == row(results, "rises-now").verdict == UNDECIDED
    assert "(2 cannot be told)" in row(results, "rises").found.value
    results.geometry_final.loc[{**falling, "layer": "dense"}] = [0.99, 0.96, 0.99]
    assert "1 of 2 layers (1 cannot be told)" in row(results, "rises").found.value


@pytest.mark.parametrize(("made", "parts"), [("jackknife", "2 of 2 layers"), (None, "1 of 2")])
def test_intervals_that_leave_networks_out_only_nearly_count_as_longer(results, made, parts):
    first, last = results.checkpoint.values[[0, -1]]
    for layer, value in (("pool1", 0.9), ("dense", 0.99)):
        z = np.arctanh(np.array([0.85, value]))[:, None] + [0, -0.02, 0.02]
        for checkpoint, interval in zip((first, last), np.tanh(z), strict=True):
            where = {"space": "shared", "checkpoint": checkpoint, "layer": layer}
            results.geometry_current.loc[where] = interval
    close = {"space": "shared", "layer": "pool1", "checkpoint": last}
    results.geometry_current.loc[close] = [0.87, 0.862, 0.878]  # apart from 0.85 [0.84, 0.86]
    if made is None:
        del results.attrs["geometry_intervals"]
        parts += " layers (1 cannot be told)"
    assert row(results, "rises-now").found.value.startswith(parts)


def layers_of(variance, consistency):
    """Results of as many layers as there are values."""
    rows = {
        name: np.array([interval(value) for value in values])
        for name, values in (("variance", variance), ("consistency", consistency))
    }
    return xr.Dataset(
        {
            "variance_interval": (
                ("layer", "checkpoint", "measure", "bound"), rows["variance"][:, None, None]
            ),
            "consistency": (
                ("layer", "checkpoint", "reading", "bound"), rows["consistency"][:, None, None]
            ),
        },
        {"layer": [str(i) for i in range(len(variance))], "measure": ["published"],
         "reading": ["published"], "bound": ["estimate", "low", "high"]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("consistency", "outcome"),
    [
        ([0.1, 0.2, 0.3], HOLDS),
        ([0.1, 0.3, 0.2], UNDECIDED),  # half of all orders of three layers are as good
        ([0.3, 0.2, 0.1], FAILS),
        ([0.3, 0.1, 0.2, 0.4, 0.6, 0.5, 0.8, 0.7], HOLDS),
        ([0.3, 0.1, 0.2, 0.8, 0.5, 0.4, 0.6, 0.7], IN_PART),
        ([0.5, 0.1, 0.8, 0.2, 0.4, 0.3, 0.7, 0.6], UNDECIDED),
    ],
)
def test_an_order_of_layers_counts_in_part_if_chance_makes_few_as_good(consistency, outcome):
    found = layers_of(np.linspace(0.1, 0.8, len(consistency)), consistency)
    assert rules.consistency_follows_variance(found).outcome == outcome


def test_an_interval_that_could_hold_anything_does_not_confirm_a_number():
    found = layers_of([0.5], [0.5])
    for arm, outcome in ((0.04, HOLDS), (0.3, UNDECIDED)):
        found.variance_interval[...] = [0.85, 0.85 - arm, 0.85 + arm]
        assert rules.states(0.86)(found).outcome == outcome


@pytest.mark.parametrize(
    ("bounds", "outcome"),
    [
        ((-0.05, 0.12), HOLDS),
        ((0.02, 0.08), HOLDS),
        ((0.02, 0.12), FAILS),
        ((-0.3, 0.4), UNDECIDED),
    ],
)
def test_a_wide_interval_around_zero_is_not_taken_for_nothing_in_common(simulated, bounds, outcome):
    made = simulated.copy(deep=True)
    made.correlation_interval.loc[{"space": "native", "measure": "pearson"}] = [0.03, *bounds]
    assert rules.native_copies_differ(made).outcome == outcome


@pytest.fixture(scope="module")
def simulated():
    return figure_2(Setting(train_toys(20), 6, 0, 200))


def test_the_simulation_is_judged_by_its_numbers(simulated):
    rows = {r.claim.name: r for r in ledger.simulation_rows(simulated)}
    assert rows["finds-rotations"].verdict == HOLDS
    assert "orthogonal, exact 1.00 [1.00, 1.00]" in rows["finds-rotations"].found.value
    spoiled = simulated.copy(deep=True)
    spoiled.correlation_interval.loc[{"space": "shared", "reading": "exact"}] = interval(0.5)
    assert rules.finds_rotations(spoiled).outcome == IN_PART


def of_older_runs(results):
    """The same, had units been put in a random order: the attribute is newer than they are."""
    del results.attrs["native_control"]
    return results


def spoil_native_pooling(results):
    results.geometry_final.loc[{"space": "native", "layer": "pool1"}] = interval(0.5)


def test_outside_the_range_of_units_in_random_order_nothing_can_be_told_of_a_convolution(results):
    older = of_older_runs(results.copy(deep=True))
    assert rules.native_is_formless(older).outcome == HOLDS
    spoil_native_pooling(older)
    found = rules.native_is_formless(older)
    assert found.outcome == IN_PART
    assert "1 of 2 layers (1 cannot be told)" in found.value
    spoil_native(older)  # a dense layer, which can be told
    assert rules.native_is_formless(older).outcome == FAILS
    only = older.sel(layer=["pool1"])
    assert rules.native_is_formless(only).outcome == UNDECIDED
    spoil_native_pooling(results)
    assert rules.native_is_formless(results.sel(layer=["pool1"])).outcome == FAILS


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ([True, True], HOLDS),
        ([True, None], IN_PART),
        ([True, False], IN_PART),
        ([False, None], FAILS),
        ([None], UNDECIDED),
        ([False, False], FAILS),
        ([], UNDECIDED),
    ],
)
def test_a_part_that_cannot_be_told_neither_holds_nor_fails(parts, outcome):
    assert judging.overall(parts) == outcome


def test_the_summary_counts_every_row_once(results):
    results.attrs["recipe"] = recipe("fast", "convnet").to_json()
    spoil_native(results)
    rows = [*ledger.theory_rows(0), *ledger.experiment_rows({NAME: results})]
    text = ledger.summary(rows)
    n = len(rows)
    assert text.startswith(f"The claims make {n} entries")
    assert "3 hold, 7 are not tested at the paper's length" in text
    assert f"{n - 10} have not been run yet" in text
    assert text.endswith("6 hold, 1 holds in part.")


def test_only_pages_of_the_book_are_linked(results):
    rows = [row(results, "depth")]
    assert 'href="cifar10-convnet.html#figure-3-middle"' in ledger.table(rows, ["cifar10-convnet"])
    assert "href" not in ledger.table(rows, ["theory"])


def test_every_claim_is_linked_to_a_figure_that_its_page_shows():
    chapters = {"simulation": "simulation", "theory": "theory"}
    for found in [*ledger.theory_rows(0), *ledger.experiment_rows({})]:
        text = (ROOT / "book" / f"{chapters.get(found.page, 'experiment')}.md").read_text()
        if found.claim.figure:
            assert f'name="{found.claim.figure}"' in text
    figures = {claim.figure for claim in SIMULATION}
    text = (ROOT / "book" / "simulation.md").read_text()
    assert all(f'name="{name}"' in text for name in figures)


def test_intervals_above_a_threshold_are_counted_and_of_many_parts_the_ends_are_shown():
    rows = {f"layer {i}": np.array(interval(value)) for i, value in enumerate((0.9, 0.7, 0.95))}
    found = judging.all_above(rows, 0.8)
    assert found.outcome == IN_PART
    assert found.value == (
        "2 of 3 layers: layer 0 0.90 [0.89, 0.91]; layer 1 0.70 [0.69, 0.71]; "
        "layer 2 0.95 [0.94, 0.96]"
    )
    more = rows | {"layer 3": np.full(3, np.nan), "layer 4": np.array(interval(0.8))}
    value = judging.all_above(more, 0.8, "spaces", "no number").value
    assert value == (
        "2 of 5 spaces (2 cannot be told): layer 1 0.70 [0.69, 0.71]; layer 2 0.95 [0.94, 0.96]"
    )
    nothing = judging.all_above({"a": np.full(3, np.nan)}, 0.8, unknown="no number")
    assert nothing == judging.Found(UNDECIDED, "0 of 1 layers (1 cannot be told): a no number")


@pytest.mark.parametrize(
    ("low", "high", "is_above", "is_below", "is_within"),
    [
        (0.52, 0.6, True, False, False),
        (0.5, 0.6, True, None, None),
        (0.5, 0.5, True, True, True),
        (0.1, 0.2, False, True, True),
        (0.4, 0.6, None, None, None),
        (-0.6, 0.6, None, None, None),
        (-0.6, 0.1, False, True, None),
        (-0.7, -0.6, False, True, False),
        (np.nan, np.nan, None, None, None),
    ],
)
def test_it_takes_a_whole_interval_to_say_yes_and_to_say_no(
    low, high, is_above, is_below, is_within
):
    row = np.array([(low + high) / 2, low, high])
    assert judging.above(row, 0.5) is is_above
    assert judging.below(row, 0.5) is is_below
    assert judging.within(row, 0.5) is is_within


@pytest.mark.parametrize(
    ("b", "told"),
    [((0.62, 0.7), True), ((0.58, 0.7), None), ((0.5, 0.6), None), ((0.4, 0.505), False),
     ((0.2, 0.3), False), ((np.nan, np.nan), None)],
)  # fmt: skip
def test_of_intervals_that_overlap_none_is_higher_unless_it_could_be_by_next_to_nothing(b, told):
    assert judging.higher([0.55, 0.5, 0.6], [np.mean(b), *b]) is told


def test_theory_beyond_the_paper_is_in_the_ledger_with_links_to_its_figures():
    rows = ledger.further_rows(0)
    assert {row.claim.name for row in rows} >= {claim.name for claim in centring.CLAIMS}
    assert all(row.found.value for row in rows)
    assert "dynamics.html#moved-correlations" in ledger.table(rows, ["dynamics"])


def test_a_claim_s_table_has_a_row_a_population_and_knows_short_runs(results):
    claim = ledger.experiment_rows({NAME: results})[0].claim
    short = results.assign_attrs(recipe=recipe("fast", "convnet").to_json())
    text = ledger.claim_table(claim, {"one": results, "two": short})
    assert "| one |" in text
    assert NOT_TESTED in next(line for line in text.splitlines() if line.startswith("| two |"))
    assert "href" not in text


@pytest.mark.parametrize("arms", [(0.10, 0.01), (0.01, 0.10)])
def test_a_stated_share_needs_an_interval_with_two_short_arms(results, arms):
    low, high = arms
    where = {"layer": "dense", "measure": "published", "checkpoint": results.checkpoint[-1]}
    results.variance_interval.loc[where] = [0.80, 0.80 - low, 0.80 + high]
    assert rules.states(0.80)(results).outcome == UNDECIDED
    results.variance_interval.loc[where] = [0.80, 0.79, 0.81]
    assert rules.states(0.80)(results).outcome == HOLDS


def test_the_paper_s_claims_are_judged_by_the_authors_reading(results):
    before = row(results, "aligned").found
    for name in ("geometry_final", "geometry_current"):
        results[name].loc[{"reading": "corrected"}] = -0.5
    assert row(results, "aligned").found == before
    assert row(results, "rises").found.value.count("−0.50") == 0
