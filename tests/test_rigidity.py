import re

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.linalg import orthogonal_procrustes
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LinearRegression, Ridge

from shared_geometry import figures
from shared_geometry.beyond.rigidity import dimensions, surrogates
from shared_geometry.beyond.rigidity import study as rigidity
from shared_geometry.beyond.rigidity.surrogates import (
    TOLERANCE,
    halves,
    known_populations,
    rigid_but_noisy,
    rigid_population,
)
from shared_geometry.beyond.studies import load_study, study, study_path
from shared_geometry.claims.judging import FAILS, HOLDS, IN_PART, UNDECIDED
from shared_geometry.config import Config
from shared_geometry.errors import InputError
from shared_geometry.reports import report
from shared_geometry.reports import rigidity as rigidity_report
from shared_geometry.similarity import canonical, maps, prediction, shape
from shared_geometry.similarity.moments import as_centred, together
from shared_geometry.similarity.prediction import (
    FEW,
    LEAST,
    MEASURES,
    centred,
    explained_by_maps,
    explained_by_rotations,
    share,
    within_and_between,
)
from shared_geometry.statistics import bootstrap_pairs
from shared_geometry.theory.toys import rotations

LINEAR = ("linear", "canonical", "canonical, directions alike")
ROTATIONS = ("rotation", "rotation and scale")
PERMUTATIONS = ("permutation", "permutation and scale")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def noisy_pair(units=12, images=300, seed=0):
    """Two networks that are linearly related, with noise; means taken off."""
    a = normal(units, images, seed=seed)
    b = normal(units, units, seed=seed + 1) @ a + 2 * normal(units, images, seed=seed + 2)
    return a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)


@pytest.fixture(scope="module")
def known():
    found = {}
    for name, (alignment, held_out) in known_populations().items():
        explained = explained_by_maps(alignment, held_out)
        found[name] = {
            m: values.nanmean().item() for m, values in zip(MEASURES, explained, strict=True)
        }
    return found


# Known answers.


def test_of_permuted_copies_every_map_explains_everything(known):
    assert known["permuted copies"] == pytest.approx(dict.fromkeys(MEASURES, 1.0), abs=1e-6)


def test_of_rotated_copies_all_but_permutations_explain_everything(known):
    found = known["rotated copies"]
    assert [found[m] for m in (*ROTATIONS, *LINEAR)] == pytest.approx([1] * 5, abs=1e-6)
    assert all(found[m] < 0.5 for m in PERMUTATIONS)


def test_of_linear_mixtures_only_linear_maps_explain_everything(known):
    found = known["linear mixtures"]
    assert [found[m] for m in LINEAR] == pytest.approx([1] * 3, abs=1e-3)
    assert all(found[m] < 0.8 for m in (*ROTATIONS, *PERMUTATIONS))


def test_where_nothing_is_shared_nothing_is_explained(known):
    found = known["nothing shared"]
    assert all(abs(found[m]) < 0.05 for m in (*LINEAR, "rotation and scale"))
    assert found["permutation and scale"] == pytest.approx(0, abs=0.05)
    # a prediction as long as the activity that points anywhere doubles the squared error
    assert [found["rotation"], found["permutation"]] == pytest.approx([-1, -1], abs=0.1)


def test_noise_alone_lets_a_linear_map_gain_a_little_on_a_rotation(known):
    found = known["rotated copies, noise"]
    assert 0 < found["linear"] - found["rotation and scale"] < 0.05


# Each map against an oracle.


def moments_of(source, target):
    """Of activity as it is, for a map from the one to the other."""
    return together(as_centred(target), as_centred(source))


def test_the_rotation_is_scipys():
    a, b = noisy_pair()
    oracle, _ = orthogonal_procrustes(a.T.numpy(), b.T.numpy())
    np.testing.assert_allclose(shape.rotation(moments_of(a, b).xy), oracle.T, atol=1e-10)


def test_no_other_permutation_of_few_units_is_better():
    from itertools import permutations

    fit = moments_of(*noisy_pair(units=5))
    found = shape.permutation(fit.xy)
    assert sorted(found.argmax(1).tolist()) == list(range(5))
    best = max((torch.eye(5).double()[list(p)] * fit.xy).sum() for p in permutations(range(5)))
    assert (found * fit.xy).sum().item() == pytest.approx(best.item())


def test_the_scale_is_that_of_a_regression_on_the_prediction():
    a, b = noisy_pair()
    fit = moments_of(a, b)
    q = shape.rotation(fit.xy)
    oracle = LinearRegression(fit_intercept=False).fit((q @ a).reshape(-1, 1), b.reshape(-1))
    assert (maps.scaled(q, fit) / q).mean().item() == pytest.approx(oracle.coef_[0])


def cross_validation(a, b, penalty):
    """Generalised cross-validation written out, from the hat matrix of the centred regression."""
    m = a.shape[1]
    hat = a.T @ np.linalg.solve(a @ a.T + penalty * np.eye(len(a)), a) + np.ones((m, m)) / m
    return np.square(b - b @ hat).sum() / (1 - np.trace(hat) / m) ** 2


@pytest.mark.parametrize("images", [300, 40])
def test_the_linear_map_is_scikit_learns_ridge_at_the_penalty_that_cross_validates_best(images):
    a, b = noisy_pair(images=images)
    m = maps.ridge(moments_of(a, b)).numpy()
    a, b = a.numpy(), b.numpy()
    grid = maps._PENALTIES.numpy() * np.linalg.eigvalsh(a @ a.T).mean()
    best = grid[np.argmin([cross_validation(a, b, penalty) for penalty in grid])]
    assert grid[0] < best < grid[-1]
    oracle = Ridge(alpha=best).fit(a.T, b.T)
    np.testing.assert_allclose(m, oracle.coef_, atol=1e-8)


def test_the_variance_explained_is_one_minus_the_residual():
    (a, b), m = noisy_pair(), normal(12, 12, seed=9)
    expected = 1 - (b - m @ a).square().sum() / b.square().sum()
    assert maps.explained(m, moments_of(a, b)).item() == pytest.approx(expected.item())


def variates_of(a, b):
    fit = moments_of(a, b)
    return fit, canonical.variates(fit, maps.spectrum(fit.yy), maps.spectrum(fit.xx))


def test_canonical_correlations_are_scikit_learns():
    a, b = noisy_pair(units=4)
    _, found = variates_of(a, b)
    x, y = CCA(n_components=4, max_iter=5000, tol=1e-10).fit_transform(a.T.numpy(), b.T.numpy())
    oracle = [np.corrcoef(x[:, k], y[:, k])[0, 1] for k in range(4)]
    np.testing.assert_allclose(found.correlations, oracle, atol=1e-5)


def test_all_variates_at_full_weight_are_least_squares():
    a, b = noisy_pair()
    fit, found = variates_of(a, b)
    m = fit.xx @ (found.target * found.correlations) @ found.source.T
    np.testing.assert_allclose(m, LinearRegression().fit(a.T, b.T).coef_, atol=1e-8)


def test_a_variate_is_shrunk_by_what_predicts_left_out_images_best():
    # one unit: leaving an image out changes its prediction to (fitted - r y) / (1 - r)
    a, b = noisy_pair(units=1, images=30, seed=4)
    fit, found = variates_of(a, b)
    r = 1 / 29
    fitted = LinearRegression(fit_intercept=False).fit(a.T, b.T)
    left_out = ((fitted.predict(a.T.numpy())[:, 0] - r * b[0].numpy()) / (1 - r))[:, None]
    weight = LinearRegression(fit_intercept=False).fit(left_out, b[0].numpy()).coef_[0]
    m = canonical.through_variates(fit, found).item()
    assert m == pytest.approx(weight * fitted.coef_[0, 0])
    assert weight < 1


def test_canonical_agreement_does_not_change_with_an_invertible_map_of_a_network():
    a, b = noisy_pair()
    mixed = normal(12, 12, seed=7) @ b
    values = []
    for target in (b, mixed):
        _, found = variates_of(a[:, :200], target[:, :200])
        values.append(canonical.agreement(found, moments_of(a[:, 200:], target[:, 200:])).item())
    assert values[0] == pytest.approx(values[1], abs=1e-8)
    assert 0.1 < values[0] < 0.95


def test_directions_in_which_a_network_does_not_vary_are_left_out():
    a, b = noisy_pair()
    a = a - a.mean(0)  # as image-wise standardisation leaves it
    _, found = variates_of(a, b)
    assert found.ranks == (11, 12)
    assert found.source.shape == (12, 11)


# A population of networks.


def test_both_directions_are_those_of_two_separate_fits():
    alignment, held_out = known_populations()["rotated copies, noise"]
    found = explained_by_maps(alignment, held_out)
    x, y = centred(alignment, held_out)
    for target, source in ((0, 1), (1, 0), (2, 0)):
        fit, unseen = moments_of(x[source], x[target]), moments_of(y[source], y[target])
        expected = {
            "rotation": shape.rotation(fit.xy),
            "linear": maps.ridge(fit),
            "permutation": shape.permutation(fit.xy),
            "canonical": canonical.through_variates(fit, variates_of(x[source], x[target])[1]),
        }
        for name, m in expected.items():
            value = found[MEASURES.index(name), target, source].item()
            assert value == pytest.approx(maps.explained(m, unseen).item(), abs=1e-10), name
    assert found.diagonal(dim1=1, dim2=2).isnan().all()


def test_the_few_maps_are_the_first_of_all():
    given = known_populations()["linear mixtures"]
    few, every = explained_by_maps(*given, few=True), explained_by_maps(*given)
    torch.testing.assert_close(explained_by_rotations(*given), every[0], equal_nan=True)
    torch.testing.assert_close(few, every[: len(FEW)], equal_nan=True)


def test_means_of_the_alignment_images_are_taken_off_the_held_out_ones():
    alignment, held_out = known_populations()["rotated copies, noise"]
    shift = 10 * normal(3, 30, 1)
    moved = explained_by_maps(alignment + shift, held_out + shift, few=True)
    torch.testing.assert_close(
        moved, explained_by_maps(alignment, held_out, few=True), equal_nan=True
    )


def stretched(n=6, units=30, images=600, noise=0.1):
    """Networks that give each shared direction a weight of their own; with white noise."""
    fading = torch.arange(1, units + 1, dtype=torch.float64)[:, None] ** -0.75
    response = fading * normal(units, 2 * images)
    weights = (0.7 * normal(n, units, 1, seed=1)).exp()
    x = weights * response + noise * normal(n, units, 2 * images, seed=2)
    x = rotations(n, units, generator(3)) @ x
    rigid = rotations(n, units, generator(3)) @ (
        response + noise * normal(n, units, 2 * images, seed=2)
    )
    return [(a[..., :images], a[..., images:]) for a in (x, rigid)]


def gain(given):
    found = explained_by_maps(*given, few=True)
    rotation, scaled, linear = (values.nanmean().item() for values in found)
    return rotation, linear - scaled


def test_rigid_networks_gain_from_a_linear_map_what_rigid_ones_with_noise_do_and_no_more():
    apart, rigid = stretched()
    level, real = gain(rigid)
    made_level, made = gain(rigid_population(*rigid, level, 0))
    assert made_level == pytest.approx(level, abs=0.05)
    assert made == pytest.approx(real, abs=0.01)
    level, real = gain(apart)
    assert gain(rigid_population(*apart, level, 0))[1] < real / 3


@pytest.mark.parametrize(
    "given",
    [
        stretched()[0],
        rigid_but_noisy(),
        [x[..., :60] for x in rigid_but_noisy()],  # rotations fit what is private
        known_populations()["rotated copies"],
    ],
)
def test_a_rotation_explains_of_rigid_networks_what_it_does_of_those_they_are_made_from(given):
    level, _ = gain(given)
    assert gain(rigid_population(*given, level, 0))[0] == pytest.approx(level, abs=0.005)


def test_what_no_rigid_network_can_meet_is_met_as_nearly_as_it_can(monkeypatch):
    given, steps = known_populations()["nothing shared"], []

    def counted(*args, **kwargs):
        steps.append(None)
        return explained_by_rotations(*args, **kwargs)

    monkeypatch.setattr(surrogates, "explained_by_rotations", counted)
    made = rigid_population(*given, -0.5, 0)
    assert gain(made)[0] == pytest.approx(-0.5, abs=0.01)
    steps.clear()
    assert gain(rigid_population(*given, -1.5, 0))[0] < -0.9
    assert len(steps) == surrogates._STEPS


def test_networks_that_are_rigid_but_noisy_gain_more_than_their_like():
    said = rigidity_report.caution_sentence()
    gains = [float(part) for part in re.findall(r"0\.\d\d", said)]
    assert 0 < gains[1] < gains[0]


def test_halves_are_disjoint_units_of_the_networks():
    x = torch.arange(2 * 7 * 3, dtype=torch.float64).reshape(2, 7, 3)
    first, second = halves(x, x + 100, 0)
    assert first.shape == (4, 3, 3)
    torch.testing.assert_close(second, first + 100)
    for i in range(2):
        rows = {tuple(row) for part in (first[i], first[i + 2]) for row in part.tolist()}
        assert len(rows) == 6
        assert rows <= {tuple(row) for row in x[i].tolist()}


def test_halves_are_told_apart_by_whether_they_are_of_one_network():
    # a matrix that says so: 1 within, 10 * target + source between
    n = 3
    explained = torch.full((1, 2 * n, 2 * n), torch.nan)
    for target in range(2 * n):
        for source in range(2 * n):
            if target != source:
                i, j = target % n, source % n
                explained[0, target, source] = 1 if i == j else 10 * i + j
    within, between = within_and_between(explained)
    assert within.tolist() == [[1, 1, 1]]
    assert between[0, 2, 1] == 21
    assert between[0].diagonal().isnan().all()


def compared_halves(x, images=400):
    found = explained_by_maps(*halves(x[..., :images], x[..., images:], 0), few=True)
    within, between = within_and_between(found)
    return within.mean(1), between.nanmean((1, 2))


def test_where_units_are_samples_of_one_response_halves_of_two_networks_are_as_halves_of_one():
    x = normal(6, 40, 12) @ normal(12, 800, seed=1)
    within, between = compared_halves(x)
    assert within[0] < 0.9  # no rotation of each other, though no noise is there
    torch.testing.assert_close(within, between, atol=0.03, rtol=0)


def test_where_units_have_counterparts_only_halves_of_two_networks_hold_some():
    x = torch.cat(known_populations()["permuted copies"], 2)
    within, between = compared_halves(x)
    assert (between > within + 0.2).all()


def test_a_share_of_next_to_nothing_is_none():
    linear = torch.tensor([[torch.nan, 0.5], [LEAST / 2, torch.nan]])
    assert share(linear, linear).isnan().all()
    linear[1, 0] = 0.8
    assert share(linear / 2, linear)[0, 1] == 0.5


# Dimensions.


def test_sizes_are_powers_of_two_and_the_largest():
    assert dimensions.sizes(1) == [1]
    assert dimensions.sizes(8) == [1, 2, 4, 8]
    assert dimensions.sizes(10) == [1, 2, 4, 8, 10]


def test_a_curve_reaches_its_best_between_two_sizes():
    assert dimensions.reach([1, 2, 4, 8], [0.2, 0.5, 1.0, 0.9]) == pytest.approx(2 * 2**0.9)
    assert dimensions.reach([1, 2, 4], [1.0, 1.0, 1.0]) == 1
    assert dimensions.reach([1, 2, 4], [0.5, 1.0, float("nan")]) == pytest.approx(2**0.9)
    assert np.isnan(dimensions.reach([1, 2], [-0.1, -0.2]))


def test_the_size_of_a_shared_space_is_found_and_private_dimensions_add_nothing():
    n, units, images, k = 5, 24, 500, 4
    x = torch.zeros(n, units, 2 * images, dtype=torch.float64)
    x[:, :k] = 2 * normal(k, 2 * images)
    x[:, k:] = normal(n, units - k, 2 * images, seed=1)  # of each network's own
    x = rotations(n, units, generator()) @ x
    ks = [1, 2, 4, 8, 16, 24]
    given = x[..., :images], x[..., images:]
    shared = dimensions.shared_variance(*given, ks).mean(1)
    expected = 4 * k / (4 * k + units - k)  # all that is shared
    assert shared[2].item() == pytest.approx(expected, abs=0.03)
    assert shared.argmax() == 2
    assert (shared.diff()[2:] < 0).all()
    own = dimensions.own_variance(*given, ks)
    assert own[2].mean().item() == pytest.approx(expected, abs=0.03)
    torch.testing.assert_close(own[-1], torch.ones(n, dtype=torch.float64))


def test_where_nothing_is_shared_no_dimension_helps():
    alignment, held_out = known_populations()["nothing shared"]
    shared = dimensions.shared_variance(alignment, held_out, [1, 30]).mean(1)
    assert (shared < 0.01).all()
    assert shared[1].item() == pytest.approx(-1 / 2, abs=0.1)  # -k / ((N - 1) n)


# What cannot be mapped.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: moments_of(normal(3, 4), normal(3, 5)), "same images"),
        (lambda: variates_of(normal(8, 9), normal(8, 9)), "more images than dimensions"),
        (lambda: dimensions.sizes(0), "largest=0"),
        (lambda: dimensions.reach([1, 2], [0.5]), "2 sizes"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


# The study.


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def config():
    return Config.from_preset("smoke", networks=3, max_units=24, train_images=150)


@pytest.fixture(scope="module")
def found(config, output):
    return study("rigidity", config, output=output)


def test_the_study_is_kept_and_read_again(found, config, output):
    path = study_path("rigidity", config, output)
    assert path.stat().st_size < 300_000
    xr.testing.assert_identical(load_study("rigidity", path), found)
    before = path.stat().st_mtime_ns
    study("rigidity", config, output=output)
    assert path.stat().st_mtime_ns == before


def test_every_number_is_there_in_every_layer(found):
    assert found.sizes["layer"] == 3
    assert found.sizes["checkpoint"] == 3
    assert found.explained_interval.notnull().all()
    assert found.compared.notnull().all()
    assert found.by_k.notnull().all()
    assert found.explained.isnull().sum() == 3 * 3 * len(MEASURES)  # the diagonals


def test_the_last_checkpoint_of_the_course_is_the_end(found):
    end = found.training.isel(checkpoint=-1)
    np.testing.assert_allclose(end, found.compared.sel(population="networks"))
    np.testing.assert_allclose(end, found.explained_interval.sel(measure=list(FEW)))


def test_the_intervals_are_those_of_the_pairs(found, config):
    matrix = found.explained.sel(measure="linear", layer="dense").values
    how = {"n_resamples": config.bootstrap, "seed": config.seed}
    oracle = bootstrap_pairs((matrix + matrix.T) / 2, **how)
    np.testing.assert_allclose(
        found.explained_interval.sel(measure="linear", layer="dense"), oracle
    )


def judged(lows):
    values = [[[[low + 0.01, low, low + 0.02]] * 2] * 4 for low in lows]
    coords = {
        "layer": ["pool1", "pool2", "dense", "15", "17"][: len(lows)],
        "population": list(rigidity.POPULATIONS),
        "rigid": list(ROTATIONS),
        "bound": ["estimate", "low", "high"],
    }
    return rigidity.judge(xr.Dataset({"share": (tuple(coords), values)}, coords))


def test_the_claim_holds_in_every_layer_in_some_or_in_none():
    assert judged([0.95, 0.92]).outcome == HOLDS
    assert judged([0.95, 0.85]).outcome == IN_PART
    assert judged([0.5, 0.85]).outcome == FAILS
    assert "2 of 3 layers: first pooling 0.96 [0.95, 0.97]" in judged([0.95, 0.91, 0.1]).value


def test_of_many_layers_the_lowest_and_the_highest_are_named():
    value = judged([0.91, 0.3, 0.8, 0.9, 0.95]).value
    assert value == "3 of 5 layers: second pooling 0.31 [0.30, 0.32]; layer 17 0.96 [0.95, 0.97]"


def test_no_claim_is_made_where_there_is_nothing_to_share():
    none = judged([float("nan")])
    assert judged([float("nan")] * 4).outcome == UNDECIDED
    assert none.outcome == UNDECIDED
    assert "nothing to share" in none.value


# Figures and words.


@pytest.fixture(scope="module")
def answers(found):
    other = found.isel(layer=slice(0, 2)).copy()
    return {"one": found, "another": other}


def test_the_figure_of_maps_holds_the_studys_intervals(answers):
    figure = figures.maps_by_layer(answers)
    curve = next(t for t in figure.data if t.name == "any linear map")
    estimate, low, _ = answers["one"].explained_interval.sel(measure="linear").values.T
    np.testing.assert_allclose(curve.y, estimate)
    np.testing.assert_allclose(curve.error_y.arrayminus, estimate - low)
    assert list(curve.x) == ["first pooling", "second pooling", "dense"]
    assert [b.label for b in figure.layout.updatemenus[0].buttons] == list(answers)


def test_the_figure_of_shares_shows_all_populations(answers):
    figure = figures.share_by_layer(answers)
    shown = {t.name: t for t in figure.data if t.visible}
    assert list(shown) == list(rigidity.POPULATIONS)
    expected = answers["one"]["share"].sel(
        population="halves of one network", rigid="rotation", bound="estimate"
    )
    np.testing.assert_allclose(shown["halves of one network"].y, expected)
    assert figure.layout.shapes[0].y0 == rigidity.NEARLY


def test_the_figures_over_epochs_and_k_have_a_line_a_layer(answers):
    for figure, dim in (
        (figures.share_through_training(answers), "checkpoint"),
        (figures.variance_by_k(answers), "k"),
    ):
        shown = [t for t in figure.data if t.visible]
        assert [t.name for t in shown] == ["first pooling", "second pooling", "dense"]
        assert list(shown[0].x) == [f"{v:g}" for v in answers["one"][dim].values]


def test_titles_count_what_was_found(answers):
    made = {"one": answers["one"].copy(deep=True)}
    made["one"]["share"].loc[{"population": "networks", "rigid": "rotation"}] = 0.5
    made["one"]["share"].loc[{"population": "halves of one network"}] = 0.9
    made["one"]["share"].loc[{"population": "halves of two networks"}] = 0.8
    made["one"]["reached"].loc[{"space": "shared"}] = 7
    titles = [
        figure(made).layout.title.text.replace("<br>", " ")
        for figure in (figures.maps_by_layer, figures.share_by_layer, figures.variance_by_k)
    ]
    assert "explains 50 % of" in titles[0]
    assert "in 3 of 3 layers" in titles[1]
    assert titles[2].startswith("7 shared dimensions")


def test_tables_have_a_row_a_layer_and_words_name_the_populations(answers):
    for text in (rigidity_report.maps_table(answers), rigidity_report.sizes_table(answers)):
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len(rows) == (2 + 3) + (2 + 2)
    for say in (
        rigidity_report.maps_alt,
        rigidity_report.share_alt,
        rigidity_report.training_alt,
        rigidity_report.sizes_alt,
    ):
        assert "one: first pooling" in say(answers)
    for say in (
        rigidity_report.reasons,
        rigidity_report.course_sentence,
        rigidity_report.maps_table,
        rigidity_report.sizes_table,
        rigidity_report.partners_sentence,
    ):
        assert "another" in say(answers)


def made_of(answers, networks, rigid, missed=0.0):
    """An answer whose shares are as given, all layers alike, and whose linear maps are equal."""
    made = answers["one"].copy(deep=True)
    for name, value in (("networks", networks), ("rigid networks", rigid)):
        made["share"].loc[{"population": name}] = value
        made.compared.loc[{"population": name}] = 0.6
    made.compared.loc[{"population": "rigid networks", "map": "rotation"}] = 0.6 + missed
    return made


def columns(answer, which):
    rows = rigidity_report.reasons({"made": answer}).splitlines()
    table = [line.strip("| ").split(" | ") for line in rows if line.startswith("| ")]
    return [row[which] for row in table[1:]]


def test_layers_are_told_where_private_activity_does_not_account_for_the_gain(answers):
    made = made_of(answers, 0.8, 0.95)
    made["share"].loc[{"population": "networks", "layer": "dense"}] = 0.97
    made["share"].loc[{"population": "networks", "layer": "pool2", "bound": "high"}] = 0.96
    assert columns(made, 3) == ["yes", "cannot be told", "no"]
    assert columns(made, 1) == ["0.60 / 0.60"] * 3


def test_a_linear_map_that_explains_more_than_in_rigid_networks_shows_it_as_well(answers):
    made = made_of(answers, 0.9, 0.9)
    assert columns(made, 3) == ["cannot be told"] * 3
    made.compared.loc[{"population": "networks", "map": "linear", "layer": "pool2"}] = 0.7
    assert columns(made, 3) == ["cannot be told", "yes", "cannot be told"]
    assert columns(made, 2)[1] == "0.70 / 0.60"


def test_rigid_networks_that_miss_the_rotation_are_not_compared_and_a_miss_is_no_difference(
    answers,
):
    assert set(columns(made_of(answers, 0.8, 0.95, 1.5 * TOLERANCE), 3)) == {
        "no match: off by 0.03"
    }
    assert set(columns(made_of(answers, 0.8, 0.95, -TOLERANCE / 2), 3)) == {"yes"}
    assert set(columns(made_of(answers, 0.8, 0.81, TOLERANCE / 2), 3)) == {"cannot be told"}


def test_layers_are_told_that_are_less_rigid_than_halves_of_one_network(answers):
    made = answers["one"].copy(deep=True)
    made["share"].loc[{"population": "networks"}] = [[[0.8]], [[0.8]], [[0.95]]]
    made["share"].loc[{"population": "halves of two networks"}] = 0.7
    made["share"].loc[{"population": "halves of one network"}] = [[[0.8]], [[0.7]], [[0.6]]]
    assert columns(made, 4) == ["yes", "cannot be told", "no"]
    assert "in 3 of 3 layers (it changes by 0.10 to 0.25)" in rigidity_report.width_sentence(
        {"made": made}
    )


def test_what_has_no_share_cannot_be_told(answers):
    made = made_of(answers, np.nan, np.nan)
    made["share"][:] = np.nan
    assert set(columns(made, 3) + columns(made, 4)) == {"cannot be told"}


def test_what_has_no_number_is_said_in_words(answers):
    made = answers["one"].copy(deep=True)
    for name in ("share", "training_share", "reached"):
        made[name][:] = np.nan
    for say in (
        rigidity_report.share_alt,
        rigidity_report.training_alt,
        rigidity_report.sizes_alt,
        rigidity_report.sizes_table,
        rigidity_report.width_sentence,
    ):
        assert "nan" not in say({"made": made})


def test_a_studys_line_says_what_made_it(found):
    line = report.provenance_line(found)
    assert line.startswith("3 ConvNets on handwritten digits")
    assert found.attrs["commit"][:12] in line
    assert "shared-geometry study rigidity" in line


def test_held_out_activity_is_centred_by_the_means_of_the_alignment_images():
    x, y = torch.randn(2, 3, 20), torch.randn(2, 3, 8) + 1
    a, b = prediction.centred(x, y)
    mean = x.double().mean(-1, keepdim=True)
    torch.testing.assert_close(a, x.double() - mean)
    torch.testing.assert_close(b, y.double() - mean)
