from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from shared_geometry.basics.wording import number
from shared_geometry.beyond import studies
from shared_geometry.beyond.chance import reading, sharing
from shared_geometry.beyond.chance import study as chance
from shared_geometry.beyond.chance.ceilings import (
    calibrated,
    common_part,
    from_others,
    rsm_ceiling,
    scores_of_noise,
    with_itself,
)
from shared_geometry.claims.judging import FAILS, HOLDS, IN_PART, UNDECIDED
from shared_geometry.config import Config
from shared_geometry.errors import InputError
from shared_geometry.experiment import nulls
from shared_geometry.experiment.analysis import (
    Activity,
    Settings,
    analyse_layer,
    fit,
    variance_explained,
)
from shared_geometry.experiment.controls import lone_shuffles, shuffled_control
from shared_geometry.figures import chance as figures
from shared_geometry.reports import chance as chance_report
from shared_geometry.reports import chance_tables
from shared_geometry.rsa import consistency
from shared_geometry.srm import SRM
from shared_geometry.statistics import networks_needed, p_value
from shared_geometry.theory.toys import rotations

HOW = Settings(n_components=None, centre=True, solver="torch", n_resamples=50, seed=0)
SMOKE = Config.from_preset("smoke", device="cpu")


def population(noise=0.3, *, n=4, units=12, images=150, held_out=50, seed=0, classes=5):
    """Rotated copies of a response that is a class's centre and more, with noise of their own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(images) % classes
    response = torch.randn(units, classes, generator=generator)[:, labels].double()
    response += torch.randn(units, images, generator=generator)
    own = torch.randn(n, units, images, generator=generator)
    x = rotations(n, units, generator) @ response + noise * own
    order = torch.argsort(labels[:held_out], stable=True)
    return Activity(x[..., held_out:], x[..., :held_out][..., order], labels[:held_out][order])


def white(seed, *, n=3, units=5, alignment=25, held_out=12):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, units, alignment + held_out, generator=generator, dtype=torch.float64)
    return Activity(x[..., :alignment], x[..., alignment:], torch.arange(held_out) // 4)


def columns(x):
    return sorted(map(tuple, x.T.tolist()))


# Null populations


def test_shuffling_moves_the_images_of_each_network_and_nothing_else():
    real = population()
    null = nulls.shuffled(real, 0)
    assert null.held_out is real.held_out
    for x, y in zip(real.alignment, null.alignment, strict=True):
        assert columns(x) == columns(y)
        assert not torch.equal(x, y)
    kept = [
        (y[0, :, None] == x[0]).nonzero()[:, 1]
        for x, y in zip(real.alignment, null.alignment, strict=True)
    ]
    assert not torch.equal(kept[0], kept[1])


def test_draws_of_a_null_differ_and_come_again():
    real = population()
    for null in sharing.NULLS.values():
        first, second, again = (null(real, 0, draw) for draw in (0, 1, 0))
        parts = [torch.cat([it.alignment, it.held_out], -1) for it in (first, second, again)]
        assert torch.equal(parts[0], parts[2])
        assert not torch.equal(parts[0], parts[1])


def test_the_shuffled_control_of_a_run_is_the_first_draw():
    real = population()
    null = nulls.shuffled(real, HOW.seed)
    expected = variance_explained(fit(null.alignment, HOW), null.alignment, null.held_out)
    torch.testing.assert_close(shuffled_control(real, HOW)["control_variance"], expected)


@pytest.mark.parametrize("units", [6, 40])
def test_noise_has_the_means_and_the_covariance_of_each_network(units):
    real = population(units=units, images=30, held_out=10)
    null = nulls.noise_like(real, 3)
    for x, y in zip(*(torch.cat(it[:2], -1) for it in (real, null)), strict=True):
        np.testing.assert_allclose(y.mean(1), x.mean(1), atol=1e-7)
        np.testing.assert_allclose(np.cov(y), np.cov(x), atol=1e-6)
        assert (x - y).abs().max() > 0.1


def test_the_random_response_is_the_q_of_a_qr_decomposition():
    m = np.random.default_rng(0).normal(size=(30, 7))
    q, r = np.linalg.qr(m)
    found = nulls._orthonormal(torch.from_numpy(m))
    np.testing.assert_allclose(found, q * np.sign(np.diag(r)), atol=1e-12)


def test_other_images_of_a_class_take_the_place_of_its_images_even_if_unsorted():
    labels = torch.tensor([2, 0, 1, 0, 2, 2, 1, 0])
    x = torch.stack([labels.double(), torch.arange(8.0).double()]).expand(3, 2, 8)
    null = nulls.same_class(Activity(x, x, labels), 0)
    assert torch.equal(null.held_out[:, 0], labels.double().expand(3, 8))
    assert all(columns(y) == columns(x[0]) for y in null.held_out)
    assert not torch.equal(null.held_out[0], null.held_out[1])
    assert null.alignment is x


# Bias and ceilings


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(2, 6), st.integers(0, 2**31), st.data())
def test_noise_explains_its_bias_whatever_its_size(units, n_networks, seed, data):
    k = data.draw(st.integers(1, units))
    draws, images = 4, 600
    own, others = scores_of_noise(n_networks, units, images, k, draws, seed).mean(1)
    room = 8 / np.sqrt(draws * units * images)  # standard errors, generously
    assert own == pytest.approx(k / (n_networks * units), abs=room)
    assert others == pytest.approx(-k / ((n_networks - 1) * units), abs=room)


@pytest.mark.parametrize("k", [4, 12])
@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_both_readings_follow_from_what_pairs_have_in_common(k, noise):
    it = population(noise)
    n, model = len(it.alignment), SRM(k).fit(it.alignment)
    p = model.transform(it.held_out)
    gram = torch.einsum("iab,jab->ij", p, p)
    x = it.held_out - torch.stack(model.mean_)[..., None]
    power = x.square().sum() / n
    s, kept = (gram.sum() - gram.trace()) / (n * (n - 1)) / power, gram.trace() / n / power
    assert model.score(it.held_out) == pytest.approx(float(with_itself(s, kept, n)))
    left_out = model.score(it.held_out, leave_one_out=True)
    assert left_out == pytest.approx(float(from_others(s, kept, n)))
    assert common_part(left_out, kept, n, left_out=True) == pytest.approx(float(s))


@given(st.floats(-1, 1), st.floats(0.1, 1), st.integers(2, 50))
def test_calibrated_both_readings_are_the_common_part(s, kept, n):
    for score, left_out in ((with_itself, False), (from_others, True)):
        value = score(s, kept, n)
        assert common_part(value, kept, n, left_out=left_out) == pytest.approx(s, abs=1e-9)
        scaled = calibrated(value, score(0, kept, n), kept)
        assert scaled == pytest.approx(s / kept, abs=1e-9)


def test_exact_rotations_are_one_on_the_calibrated_scale():
    it = population(0.0)
    value = sharing.estimates(it, fit(it.alignment, HOW))[2:]
    null = sharing.drawn(it, "shuffled", HOW, None, 10).mean(1)[2:]
    np.testing.assert_allclose(calibrated(value, null), 1, atol=1e-6)


def triangles(seed=0, n=5, pairs=300):
    rng = np.random.default_rng(seed)
    return rng.normal(size=pairs) + 0.8 * rng.normal(size=(n, pairs))


def test_bounds_of_the_rsms_are_those_of_the_long_vectors():
    r = triangles()
    z = (r - r.mean(1, keepdims=True)) / r.std(1, keepdims=True)
    lower, upper = rsm_ceiling(consistency(r))
    for i in range(len(z)):
        others = np.delete(z, i, 0).mean(0)
        assert lower[i] == pytest.approx(stats.pearsonr(r[i], others).statistic)
        assert upper[i] == pytest.approx(stats.pearsonr(r[i], z.mean(0)).statistic)


def test_no_rsm_passes_the_upper_bound_and_the_measure_of_figure_3_is_a_part_of_it():
    r, rng = triangles(), np.random.default_rng(1)
    mean = ((r - r.mean(1, keepdims=True)) / r.std(1, keepdims=True)).mean(0)
    upper = rsm_ceiling(consistency(r))[1].mean()
    for model in [mean + spread * rng.normal(size=mean.shape) for spread in (0, 0.01, 0.3, 3)]:
        single = np.mean([stats.pearsonr(row, model).statistic for row in r])
        assert single <= upper + 1e-12
        assert single == pytest.approx(upper * stats.pearsonr(mean, model).statistic)


def test_equal_networks_reach_the_ceiling_and_two_networks_have_one():
    np.testing.assert_allclose(rsm_ceiling(np.ones((4, 4))), 1)
    lower, upper = rsm_ceiling(np.array([[1, 0.5], [0.5, 1]]))
    np.testing.assert_allclose(lower, 0.5)
    np.testing.assert_allclose(upper, np.sqrt(0.75))


# p-values


def test_what_does_not_exist_has_no_p_value():
    value, draws = np.array([np.nan, 0.5, 0.5]), np.zeros((3, 19))
    draws[1, 4] = np.nan
    assert p_value(value, draws) == pytest.approx([np.nan, np.nan, 0.05], nan_ok=True)


def test_p_counts_the_value_among_the_draws():
    assert p_value(np.array([3.0, 0.0]), np.array([[1, 2, 2.5], [1, 0, -1]])).tolist() == [
        0.25,
        0.75,
    ]


def chi_square(p, n_draws):
    counts = np.bincount(np.rint(np.array(p) * (n_draws + 1)).astype(int), minlength=n_draws + 2)[
        1:
    ]
    return stats.chisquare(counts).pvalue


def test_p_of_shuffled_images_is_uniform_where_nothing_is_shared():
    n_draws, found = 4, []
    for seed in range(150):
        it = white(seed)
        model = fit(it.alignment, HOW)
        draws = sharing.drawn(it, "shuffled", HOW._replace(seed=seed), model, n_draws)
        found.append(p_value(sharing.estimates(it, model), draws))
    for p in torch.stack(found).T.numpy():
        assert chi_square(p, n_draws) > 1e-3


def test_p_of_a_network_shuffled_alone_is_uniform_where_nothing_is_shared():
    n_draws, found = 4, []
    for seed in range(150):
        it = white(seed)
        value, draws = lone_shuffles(it, fit(it.alignment, HOW), seed, n_draws)
        found.append(p_value(value[:, 0], draws[:, 0]))
    for p in torch.stack(found).T.numpy():
        assert chi_square(p, n_draws) > 1e-3


def test_a_stranger_among_networks_is_found_when_each_is_shuffled_alone():
    it, noise = population(0.2), nulls.noise_like(population(0.2, seed=9), 0)
    stranger = Activity(
        torch.cat([it.alignment, noise.alignment[:1]]),
        torch.cat([it.held_out, noise.held_out[:1]]),
        it.labels,
    )
    value, draws = lone_shuffles(stranger, fit(stranger.alignment, HOW), 0, 19)
    p = p_value(value, draws)
    assert (p[:, :-1] == 1 / 20).all()
    assert (p[:, -1] > 0.05).all()


def test_one_network_as_it_is_has_the_variance_that_the_others_explain():
    it = population()
    model = fit(it.alignment, HOW)
    value, _ = lone_shuffles(it, model, 0, 1)
    expected = variance_explained(model, it.alignment, it.held_out)[2]
    torch.testing.assert_close(value[1], expected)


# A population, measured


def test_measures_are_those_of_an_experiment():
    it = population()
    found = analyse_layer(it, torch.arange(4), None, HOW)
    real = sharing.measured(it, HOW)
    torch.testing.assert_close(real.variance, found["variance"][:3])
    bounds = sharing.intervals(real, HOW)
    torch.testing.assert_close(bounds[0], found["geometry_current"][1, 1])
    torch.testing.assert_close(bounds[1:], found["variance_interval"][:3])
    short = sharing.estimates(it, fit(it.alignment, HOW))
    torch.testing.assert_close(short, bounds[:, 0])


def test_what_is_shared_stands_out_from_every_null():
    it = population(0.3)
    model = fit(it.alignment, HOW)
    value = sharing.estimates(it, model)
    for null in sharing.NULLS:
        assert (value > sharing.drawn(it, null, HOW, model, 6).max(1).values).all(), null


def test_networks_that_share_classes_alone_do_not_stand_out_from_them():
    generator = torch.Generator().manual_seed(4)
    labels = torch.arange(200) % 4
    centres = torch.randn(10, 4, generator=generator)[:, labels].double()
    x = rotations(4, 10, generator) @ centres + torch.randn(4, 10, 200, generator=generator)
    order = torch.argsort(labels[:60], stable=True)
    it = Activity(x[..., 60:], x[..., :60][..., order], labels[:60][order])
    model = fit(it.alignment, HOW)
    value = sharing.estimates(it, model)
    assert value[3] > sharing.drawn(it, "shuffled", HOW, model, 6)[3].max() + 0.1
    assert p_value(value[2:], sharing.drawn(it, "classes", HOW, model, 19)[2:]).min() > 0.05


def test_sizes_go_from_two_to_all_and_subsets_are_different():
    assert sharing.sizes(2, 6) == [2]
    assert sharing.sizes(6, 6) == [2, 3, 4, 5, 6]
    assert sharing.sizes(100, 6)[0::5] == [2, 100]
    generator = torch.Generator().manual_seed(0)
    assert sharing.subsets(4, 3, 8, generator) == [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]
    many = sharing.subsets(20, 3, 8, generator)
    assert len(set(many)) == 8
    assert all(len(set(some)) == 3 for some in many)


def test_the_largest_subset_is_the_population_and_missing_ones_are_marked():
    it = population()
    found = sharing.by_size(it, HOW, [2, 4], 8)
    torch.testing.assert_close(found[1, 0], sharing.intervals(sharing.measured(it, HOW), HOW))
    assert found[..., 0, 0].isnan().sum(1).tolist() == [2, 7]


def test_few_units_stay_and_many_are_cut_and_standardised():
    it = population(units=12)
    assert sharing.fewer_units(it, 12, 0, "a") is it
    cut = sharing.fewer_units(it, 5, 0, "a")
    assert cut.alignment.shape == (4, 5, 100)
    for part in cut[:2]:
        np.testing.assert_allclose(part.mean(1), 0, atol=1e-12)
        np.testing.assert_allclose(part.var(1, unbiased=False), 1)
    assert not torch.equal(cut.alignment, sharing.fewer_units(it, 5, 1, "a").alignment)


def test_networks_needed_follow_the_root_of_their_number():
    assert networks_needed(0.02, 10, 0.02) == 10
    assert networks_needed(0.02, 10, 0.01) == 40
    assert networks_needed(0.0, 10, 0.01) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rsm_ceiling(np.ones((2, 3))), "at least 2"),
        (lambda: p_value(np.ones(2), np.ones(2)), "one more axis"),
        (lambda: p_value(np.ones(2), np.ones((2, 0))), "one more axis"),
        (lambda: networks_needed(0.1, 1, 0.1), "n_networks=1"),
        (lambda: networks_needed(0.1, 5, 0.0), "wanted=0"),
    ],
)
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


# The study


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    output = tmp_path_factory.mktemp("runs")
    return studies.study("chance", SMOKE, output=output), output


def test_the_study_is_kept_whole_and_small(answer):
    found, output = answer
    path = studies.study_path("chance", SMOKE, output)
    xr.testing.assert_identical(found, studies.load_study("chance", path))
    assert path.stat().st_size < 300_000
    assert studies.study("chance", SMOKE, output=output).attrs["seconds"] == found.attrs["seconds"]


def test_nothing_is_missing_but_what_is_not_asked_of_untrained_networks(answer):
    found, _ = answer
    draws = found.draws
    assert draws.sel(state="untrained", null=["noise", "classes"]).isnull().all()
    assert draws.sel(state="trained").notnull().all()
    some = draws.sel(state="untrained", null="shuffled")
    assert some.isel(draw=slice(chance.N_UNTRAINED)).notnull().all()
    for name in ("value", "left_out", "ceiling", "all_units", "lone", "lone_draws", "kept"):
        assert found[name].notnull().all(), name
    assert found.gain.sel(bound=["low", "high"]).isnull().all()  # two networks: one pair
    assert found.by_size.isel(subset=0).notnull().all()
    np.testing.assert_allclose(found.kept, 1, atol=1e-5)
    low, high = (found.ceiling.sel(side=side, bound="estimate") for side in ("lower", "upper"))
    assert (low < high).all()
    change = found.left_out.sel(state="trained") - found.left_out.sel(state="untrained")
    np.testing.assert_allclose(found.gain.sel(bound="estimate"), change.mean("network"))


def test_all_recorded_units_count_where_they_are_few(answer):
    found, _ = answer
    value = found.value.sel(state="trained", bound="estimate")
    np.testing.assert_allclose(found.all_units, value, atol=1e-6)
    said = chance_report.units_sentence({"a": found})
    recorded = int(found.units.max())
    assert f"of up to 1,568 units of a layer up to {recorded} were recorded, and all of" in said


def test_a_wide_layer_is_cut_to_the_units_that_take_part(monkeypatch):
    monkeypatch.setattr(chance, "MOST_UNITS", 5)
    monkeypatch.setattr(chance, "N_DRAWS", 2)
    found = chance.trained_layer(population(), "a", HOW)
    assert found["units"].tolist() == [5, 12]
    assert (found["all_units"] - found["value"][:, 0]).abs().max() > 0.01
    assert found["all_units"][3] > found["value"][3, 0]  # fewer units see less of the response


def test_a_run_without_untrained_networks_is_refused():
    it = SimpleNamespace(recipe=SimpleNamespace(checkpoints=(1.0, 2.0)))
    with pytest.raises(InputError, match="begin after training has"):
        chance.check(it)


def made_up(found, layers, low=0.5):
    """The answer with what networks share above chance in so many layers."""
    found = found.copy(deep=True)
    found.draws[:] = 0.2
    found.value[:] = low + 0.1
    found.value.loc[{"bound": "low"}] = low
    found.lone[:], found.lone_draws[:] = 0.5, 0.1
    found.value[{"layer": slice(layers, None)}] = 0.1
    return found


def test_the_claim_holds_in_all_layers_in_some_or_in_none(answer):
    outcomes = [chance.judge(made_up(answer[0], n)).outcome for n in (3, 2, 0)]
    assert outcomes == [HOLDS, IN_PART, FAILS]


def test_the_claim_needs_every_null_measure_and_network(answer):
    for null in chance.CHANCE:
        found = made_up(answer[0], 3)
        found.draws.loc[{"null": null, "measure": "left out", "draw": 3}] = 0.7
        assert chance.judge(found).outcome == FAILS
        found.draws.loc[{"null": null, "measure": "left out", "draw": 3}] = 0.51
        assert chance.judge(found).outcome == UNDECIDED  # the interval reaches across the draw
    found = made_up(answer[0], 3)
    found.draws.loc[{"null": "classes"}] = 0.9  # classes are shared: no chance
    assert chance.judge(found).outcome == HOLDS
    found.lone_draws.loc[{"lone_measure": "left out"}] = 0.6
    assert chance.judge(found).outcome == FAILS
    found = made_up(answer[0], 3)
    found.lone[{"network": 0}] = 0.9
    found.lone_draws.loc[{"network": 1, "draw": 0}] = 0.6  # one network, in one draw
    assert chance.judge(found).outcome == FAILS


# What the chapter says and shows


@pytest.fixture(scope="module")
def answers(answer):
    wide = answer[0].copy(deep=True)
    wide.units[:] = [[256, 1000]] * 3
    wide.all_units[:] += 0.031
    return {"one": answer[0], "two": wide}


def test_calibrated_values_are_worked_out_layer_by_layer(answer):
    found = answer[0]
    scaled = reading.calibrated_values(found).sel(measure="left out", bound="low")
    value = found.value.sel(state="trained", measure="left out", bound="low")
    chance_ = found.draws.sel(state="trained", null="shuffled", measure="left out").mean("draw")
    np.testing.assert_allclose(scaled, (value - chance_) / (found.kept - chance_))


def test_s_is_nearly_the_same_from_either_bound(answer):
    from_left_out, from_all = reading.common_parts(answer[0]).values()
    np.testing.assert_allclose(from_left_out, from_all, atol=0.05)


def test_expected_readings_meet_the_measured_ones_at_all_networks(answer):
    read = reading.readings_by_size(answer[0])
    exact = reading.expected_by_size(answer[0])
    measured = read["left out"].sel(bound="estimate").isel(size=-1)
    np.testing.assert_allclose(exact["left out"].isel(size=-1), measured, atol=1e-9)


def test_tables_have_a_row_a_layer_and_cells_for_every_heading(answers):
    for make in (
        chance_tables.calibration_table,
        chance_tables.ceiling_table,
        chance_tables.untrained_table,
        chance_tables.classes_table,
    ):
        for shown in (answers, {"one": answers["one"]}):
            lines = make(shown).splitlines()
            assert len(lines) == 2 + 3 * len(shown) + len(shown) * (len(shown) > 1)
            assert len({line.count("|") for line in lines}) == 1
            assert ("**two**" in make(shown)) == (len(shown) > 1)
            assert "nan" not in make(shown)


def test_a_measure_whose_widths_are_not_known_is_not_extrapolated(answer):
    assert "leave open how many it takes" in chance_report.networks_sentence({"a": answer[0]})
    found = answer[0].assign_coords(size=[3])
    found["by_size"] = found.by_size.copy(deep=True)
    found.by_size.loc[{"measure": "geometry", "bound": ["low", "high"]}] = np.nan
    text = chance_report.networks_sentence({"a": found})
    assert "networks for corr(wRSM, iRSM)" not in text
    assert "For corr(wRSM, iRSM) it cannot be worked out." in text
    assert "for variance, others only. The widest with all" in text


def test_sentences_say_what_was_found(answers, answer):
    found = made_up(answer[0], 2)
    assert "in 2 of 3 layers" in chance_report.summary({"a": found})
    found.gain[:] = [[0.2, 0.1, 0.3], [-0.2, -0.3, -0.1], [0.0, -0.1, 0.1]]
    text = chance_report.untrained_sentence({"a": found})
    assert "adds in 1 of 3 layers and takes away in 1; in 1 its effect" in text
    said = chance_report.units_sentence(answers)
    assert "units of a layer up to" in said
    assert "would change by 0.031." in said
    found.lone_draws[0, 0, 1] = 0.6  # one layer, measure and network
    text = chance_report.p_sentence({"a": found})
    assert "p is at least 0.05" in text
    assert "1 of 2 networks" in text
    for say in (
        chance_report.few_networks_sentence,
        chance_report.sensitivity_sentence,
        chance_report.p_sentence,
    ):
        assert say(answers).count("\n") == 1
        assert "nan" not in say(answers)


def test_the_number_of_networks_is_extrapolated_and_said_to_be(answer):
    found = answer[0].copy(deep=True).assign_coords(size=[3])
    found.by_size[:] = 0.0
    found.by_size.loc[{"bound": "high"}] = 0.04
    assert reading.needed(found, "left out", 0.02) == 8
    text = chance_report.networks_sentence({"a": found}, 0.02)
    assert "8 networks (extrapolated) for variance, others only" in text
    assert "The widest with all 2 networks are 0.040 and 0.040 wide" in text
    assert reading.needed(found, "left out", 0.5) == 3


def test_of_many_layers_the_first_and_the_last_are_shown(answer):
    found = answer[0]
    many = xr.concat([found, found.assign_coords(layer=["a", "b", "c"])], "layer")
    assert reading.ends(many) == ["pool1", "c"]
    assert chance_tables.ceiling_table({"a": many}).count("\n") == 3


def test_levels_show_every_kind_of_population_and_a_menu_of_measures(answers):
    figure = figures.levels(answers)
    shown = [t for t in figure.data if t.visible is not False]
    assert [t.name for t in shown] == list(figures._STANDS.values())
    value = answers["one"].value.sel(state="trained", measure="left out", bound="estimate")
    np.testing.assert_allclose(shown[0].y, value)
    draws = answers["one"].draws.sel(state="trained", null="noise", measure="left out")
    np.testing.assert_allclose(shown[-1].y + shown[-1].error_y.array, draws.max("draw"))
    assert len(figure.layout.updatemenus[0].buttons) == 6


def test_the_figure_of_noise_names_its_largest_deviation():
    figure = figures.noise(n_units=8, n_images=100, n_draws=2)
    np.testing.assert_allclose(
        next(t.y[0] for t in figure.data if t.name == "others only, expected"), -1.0
    )
    gaps = []
    for start in range(0, len(figure.data), 4):  # a choice of the menu
        curves = {t.name: np.asarray(t.y) for t in figure.data[start : start + 4]}
        gaps += [np.abs(curves[n] - curves[f"{n}, expected"]).max() for n in list(curves)[2:]]
    assert len(gaps) == 6
    assert 0 < max(gaps) < 0.2
    assert number(max(gaps), 3) in figure.layout.title.text


def test_figures_by_number_of_networks_are_drawn_from_two_networks_on(answers):
    bias, precision = figures.bias(answers), figures.precision(answers)
    assert all(list(trace.x) == ["2"] for figure in (bias, precision) for trace in figure.data)
    assert bias.layout.updatemenus[0].buttons[0].label == "one: first pooling"
    measured = answers["one"].by_size.sel(measure="left out", bound="estimate").isel(layer=0)
    shown = next(t for t in bias.data if t.name == "others only")
    np.testing.assert_allclose(shown.y, measured.mean("subset"))
    width = reading.widths(answers["one"], "left out").isel(layer=0)
    np.testing.assert_allclose(precision.data[0].y, width)


def test_units_are_drawn_for_each_network_anew():
    numbers = torch.arange(30, dtype=torch.float64)[:, None] * torch.linspace(1, 2, 50)
    it = Activity(numbers.expand(3, 30, 50), numbers.expand(3, 30, 50), torch.zeros(50))
    cut = sharing.fewer_units(it, 8, 0, "a")
    assert not torch.equal(cut.alignment[0], cut.alignment[1])
