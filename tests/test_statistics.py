import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from shared_geometry.errors import InputError
from shared_geometry.rsa import EXACTLY, between, inter_rsms, lower_triangle, within_rsms
from shared_geometry.statistics import (
    Interval,
    bootstrap_excess,
    bootstrap_explained,
    bootstrap_mean,
    bootstrap_pairs,
    bootstrap_shared,
    correlation_of_means,
    expansion,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def symmetric(rng, n):
    m = rng.uniform(0.3, 0.9, size=(n, n))
    return (m + m.T) / 2


def lengthened(estimate, bounds, n, level=0.95):
    """A percentile interval with its arms as long as few networks want them."""
    longer = np.sqrt(n / (n - 1)) * stats.t.ppf((1 + level) / 2, n - 1)
    longer /= stats.norm.ppf((1 + level) / 2)
    return tuple(estimate + longer * (bound - estimate) for bound in bounds)


def test_the_interval_of_a_mean_is_that_of_scipys_percentile_bootstrap_made_longer(rng):
    values = rng.normal(size=30)
    found = bootstrap_mean(values, n_resamples=20_000)
    oracle = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert found.estimate == pytest.approx(values.mean())
    expected = lengthened(values.mean(), oracle, 30)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("n", "level"), [(2, 0.95), (3, 0.95), (4, 0.95), (10, 0.9), (25, 0.95)])
def test_intervals_cover_the_truth_about_as_often_as_they_say(n, level):
    samples = np.random.default_rng(1).normal(size=(400, n))
    intervals = [bootstrap_mean(s, n_resamples=400, level=level, seed=i)
                 for i, s in enumerate(samples)]  # fmt: skip
    covered = np.mean([low <= 0 <= high for _, low, high in intervals])
    assert level - 0.05 < covered < level + 0.04


def test_an_interval_ends_where_values_can_go_no_further():
    found = bootstrap_mean(np.array([0.9, 1.0, 0.95]), limits=(0, 1))
    assert found.high == 1
    assert found.low == bootstrap_mean(np.array([0.9, 1.0, 0.95])).low
    pairs = np.array([[1, 0.9, 0.99], [0.9, 1, 0.95], [0.99, 0.95, 1]])
    assert bootstrap_pairs(pairs).high > 1 == bootstrap_pairs(pairs, limits=(-1, 1)).high
    rounding = bootstrap_mean(np.full(3, 1 + 1e-15), limits=(0, 1))
    assert rounding.low <= rounding.estimate <= rounding.high


def test_ten_networks_want_an_interval_a_fifth_longer():
    assert expansion(10) == pytest.approx(1.2166, abs=1e-4)
    assert expansion(10_000) == pytest.approx(1, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(2, 12), elements=st.floats(-1e6, 1e6)),
    st.floats(0.5, 0.99),
    st.integers(0, 2**31),
)
def test_an_interval_holds_its_estimate_and_is_no_wider_than_the_data_allow(values, level, seed):
    estimate, low, high = bootstrap_mean(values, n_resamples=50, level=level, seed=seed)
    slack = 1e-9 * (1 + np.abs(values).max())
    longer = expansion(len(values), level)
    assert low <= estimate <= high
    assert estimate - low <= longer * (estimate - values.min()) + slack
    assert high - estimate <= longer * (values.max() - estimate) + slack


def test_a_wider_level_gives_a_wider_interval(rng):
    values = rng.normal(size=12)
    narrow, wide = (bootstrap_mean(values, level=level) for level in (0.5, 0.95))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_equal_networks_leave_no_doubt():
    assert bootstrap_mean(np.full(5, 0.25)) == Interval(0.25, 0.25, 0.25)
    rows = np.tile(np.arange(6.0), (4, 1))
    assert correlation_of_means(rows, rows[0], rows) == pytest.approx((1, 1, 1))


def test_the_same_seed_gives_the_same_interval_and_another_seed_another(rng):
    values = rng.normal(size=10)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_numpy_and_torch_give_the_same_numbers(rng):
    a, b = rng.normal(size=(2, 5, 40))
    m = symmetric(rng, 5)
    for function, arrays in (
        (bootstrap_mean, (a[:, 0],)),
        (bootstrap_pairs, (m,)),
        (correlation_of_means, (a, b[0], b)),
    ):
        assert function(*arrays) == function(*map(torch.from_numpy, arrays))


def test_the_estimate_over_pairs_is_the_mean_over_pairs(rng):
    m = symmetric(rng, 6)
    i, j = np.tril_indices(6, -1)
    assert bootstrap_pairs(m).estimate == pytest.approx(m[i, j].mean())


def test_the_diagonal_of_a_matrix_of_pairs_does_not_count(rng):
    m = symmetric(rng, 6)
    assert bootstrap_pairs(m) == bootstrap_pairs(m + 100 * np.eye(6))


def test_what_is_resampled_is_what_the_mean_over_pairs_loses_without_each_network(rng):
    n, m = 7, rng.normal(size=(7, 7))  # the two directions of a pair differ
    np.fill_diagonal(m, np.nan)
    without = [np.nanmean(np.delete(np.delete(m, i, 0), i, 1)) for i in range(n)]
    pseudo = n * np.nanmean(m) - (n - 1) * np.array(without)
    assert bootstrap_pairs(m) == pytest.approx(bootstrap_mean(pseudo))


@pytest.mark.parametrize(("n", "private"), [(3, 0), (3, 1), (5, 0), (10, 0.5)])
def test_intervals_over_pairs_cover_the_truth_about_as_often_as_they_say(n, private):
    rng, covered = np.random.default_rng(1), []
    for i in range(400):
        of_network, of_pair = rng.normal(size=n), private * symmetric(rng, n)
        matrix = of_network[:, None] + of_network + of_pair
        _, low, high = bootstrap_pairs(matrix, n_resamples=400, seed=i)
        covered.append(low <= 0 <= high)
    assert 0.91 < np.mean(covered) < 0.99  # drawing networks and averaging pairs: 0.84 of three


def test_the_diagonal_may_be_missing(rng):
    m = symmetric(rng, 5)
    np.fill_diagonal(m, np.nan)
    assert all(np.isfinite(bootstrap_pairs(m)))


def of_networks(x, **how):
    """`correlation_of_means` of a population."""
    found = between(x, **how)
    own = lower_triangle(within_rsms(x, centre=how.get("centre", True)))
    return correlation_of_means(own, lower_triangle(found.mean), found.without)


def jackknife(estimate, without):
    """Student's interval on Fisher's z, from what is found without each network."""
    n = len(without)
    z = np.arctanh(without)
    arm = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((z - z.mean()) ** 2).sum())
    return np.tanh(np.arctanh(estimate) - arm), np.tanh(np.arctanh(estimate) + arm)


def without_each(x, bases=None, **how):
    """The correlation of all networks, and its interval by making RSMs anew without each one."""

    def correlation(some):
        mine = None if bases is None else [bases[i] for i in some]
        rsms = within_rsms(x[some], **how), inter_rsms(x[some], bases=mine, **how)
        return np.corrcoef(*(lower_triangle(r).mean(0) for r in rsms))[0, 1]

    n = len(x)
    every = np.arange(n)
    estimate = correlation(every)
    return estimate, *jackknife(estimate, [correlation(np.delete(every, k)) for k in every])


def alike(rng, n, units, images, noise, uneven):
    """Networks with one response and noise of their own, some louder than others."""
    loud, noisy = np.exp(uneven * rng.normal(size=(2, n, 1, 1)))
    return loud * rng.normal(size=(units, images)) + noise * noisy * rng.normal(
        size=(n, units, images)
    )


@pytest.mark.parametrize("noise", [0.02, 0.5, 3.0])
@pytest.mark.parametrize("n", range(3, EXACTLY + 1))
def test_rsms_of_few_networks_are_made_anew_without_each(rng, n, noise):
    x = alike(rng, n, 8, 14, noise, 0.5)
    assert of_networks(x) == pytest.approx(without_each(x), abs=1e-12)
    assert of_networks(x, centre=False) == pytest.approx(without_each(x, centre=False), abs=1e-12)
    bases = np.linalg.qr(rng.normal(size=(n, 12, 8)))[0]
    found = of_networks(x, bases=bases)
    assert found == pytest.approx(without_each(x, bases), abs=1e-12)


@pytest.mark.parametrize("uneven", [0.0, 0.5])
@pytest.mark.parametrize("noise", [0.02, 0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize(("n", "near"), [(EXACTLY + 1, 0.08), (10, 0.03), (30, 0.02)])
def test_of_more_networks_the_interval_is_that_of_rsms_made_anew(rng, n, near, noise, uneven):
    for how in ({}, {"centre": False}, {"bases": np.linalg.qr(rng.normal(size=(n, 16, 12)))[0]}):
        x = alike(rng, n, 12, 30, noise, uneven)
        estimate, low, high = np.arctanh(of_networks(x, **how))
        exact, least, most = np.arctanh(without_each(x, **how))
        assert estimate == pytest.approx(exact, abs=1e-6)
        assert high - low == pytest.approx(most - least, rel=near)


def test_the_interval_is_as_long_as_estimates_of_populations_that_agree_lie_apart():
    rng = np.random.default_rng(3)
    response = rng.normal(size=(12, 4)) @ rng.normal(size=(4, 25))
    found = []
    for _ in range(120):
        found.append(of_networks(response + 0.3 * rng.normal(size=(10, 12, 25))))
    estimate, low, high = np.arctanh(np.array(found)).T
    assert np.tanh(estimate.mean()) > 0.99
    assert 0.88 <= np.mean((low <= estimate.mean()) & (estimate.mean() <= high)) < 1
    needed = 2 * stats.t.ppf(0.975, 9) * estimate.std()
    assert np.mean(high - low) == pytest.approx(needed, rel=0.2)


def test_the_interval_of_a_correlation_of_means_covers_what_such_populations_show_on_average():
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(15, 20))
    found = []
    for _ in range(150):
        x = 2 * rng.normal(size=(6, 15, 20)) + shared
        found.append(of_networks(x))
    estimates, low, high = np.array(found).T
    covered = np.mean((low <= estimates.mean()) & (estimates.mean() <= high))
    assert 0.9 <= covered < 1
    # around it, not below it: resampling put the estimate at its upper end
    assert np.median((estimates - low) / (high - low)) == pytest.approx(0.5, abs=0.1)


def test_the_interval_of_an_excess_covers_it_and_does_not_count_what_cancels():
    """Rows and columns of their own, as where some beginnings are more typical than others."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(200):
        rows, columns, noise = (rng.normal(size=shape) for shape in ((10, 1), (1, 10), (10, 10)))
        matrix = 0.1 * rows + 0.1 * columns + 0.05 * noise + 0.04 * np.eye(10)
        found.append(bootstrap_excess(matrix, n_resamples=500))
    estimate, low, high = np.array(found).T
    assert 0.9 <= np.mean((low <= 0.04) & (high >= 0.04)) < 1
    assert np.median(high - low) == pytest.approx(
        2 * stats.t.ppf(0.975, 9) * estimate.std(), rel=0.2
    )


def test_an_excess_is_the_diagonal_less_the_rest(rng):
    m = rng.normal(size=(4, 4))
    rest = m[~np.eye(4, dtype=bool)].mean()
    assert bootstrap_excess(m).estimate == pytest.approx(np.diag(m).mean() - rest)
    assert np.isnan(bootstrap_excess(m[:2, :2])[1:]).all()
    with pytest.raises(InputError, match="matrix of shape"):
        bootstrap_excess(m[:2])


def test_one_pair_says_nothing_of_other_pairs():
    pair = np.array([[1, 0.7], [0.7, 1]])
    assert bootstrap_pairs(pair, limits=(-1, 1)) == (0.7, -1, 1)
    estimate, low, high = bootstrap_pairs(pair)
    assert estimate == 0.7
    assert np.isnan([low, high]).all()


def explained_each(x, *, itself):
    """Variance that the mean of the others, or of all, explains of each network."""
    n, every = len(x), x.sum(0)
    guess = [every / n if itself else (every - y) / (n - 1) for y in x]
    return np.array(
        [1 - ((y - g) ** 2).sum() / (y**2).sum() for y, g in zip(x, guess, strict=True)]
    )


@pytest.mark.parametrize("itself", [False, True])
@pytest.mark.parametrize(("n", "at_most"), [(4, 1.4), (5, 1.25), (10, 1.15)])
def test_what_the_others_explain_has_an_interval_as_long_as_its_mean_varies(n, at_most, itself):
    rng = np.random.default_rng(4)
    response, found = rng.normal(size=(6, 40)), []
    loud = np.sqrt(np.linspace(0.7, 1.3, 7))  # private activity of one power or another
    for _ in range(400):
        noise = rng.choice(loud, size=(n, 1, 1)) * rng.normal(size=(n, 6, 40))
        values = explained_each(response + 0.5 * noise, itself=itself)
        found.append((*bootstrap_explained(values, n_resamples=300), *bootstrap_mean(values)[1:]))
    estimate, low, high, short, tall = np.array(found).T
    needed = 2 * stats.t.ppf(0.975, n - 1) * estimate.std()
    assert 0.9 < np.mean(high - low) / needed < at_most
    assert np.mean(tall - short) / needed < 1  # as single values are resampled
    assert 0.9 <= np.mean((low <= estimate.mean()) & (estimate.mean() <= high)) < 1


def test_the_longer_interval_ends_where_its_values_can():
    values = np.array([0.9, 0.99, 0.999])
    assert bootstrap_explained(values, limits=(0, 1))[2] == 1
    assert bootstrap_explained(values)[2] > 1
    assert bootstrap_explained(values[:2], limits=(0, 1)) == bootstrap_shared(
        values[:2], limits=(0, 1)
    )
    once, twice = bootstrap_mean(values), bootstrap_explained(values)  # of three: twice as long
    np.testing.assert_allclose(np.subtract(twice, 0.963), 2 * np.subtract(once, 0.963), atol=1e-9)


def test_what_two_networks_share_has_no_interval_however_alike_they_are(rng):
    assert bootstrap_shared(np.array([0.6, 0.6]), limits=(0, 1)) == (0.6, 0, 1)
    assert np.isnan(bootstrap_shared(np.array([0.6, 0.7]))[1:]).all()
    three = rng.normal(size=3)
    assert bootstrap_shared(three) == bootstrap_mean(three)


def test_two_networks_say_nothing_of_how_sure_a_correlation_of_means_is(rng):
    a, b = rng.normal(size=(2, 2, 40))
    assert correlation_of_means(a, b[0], b[:0])[1:] == (-1, 1)


def test_rows_without_structure_correlate_zero():
    flat = np.ones((4, 5))
    assert correlation_of_means(flat, flat[0], flat) == (0, -1, 1)
    rounded = 1 + 1e-7 * np.random.default_rng(0).normal(size=(9, 500)).astype(np.float32)
    assert correlation_of_means(rounded[:4], rounded[8], rounded[4:8]) == (0, -1, 1)
    for place in (0, 5, 8):
        spoilt = rounded.copy()
        spoilt[place, 0] = np.nan
        found = correlation_of_means(spoilt[:4], spoilt[8], spoilt[4:8])
        assert np.isnan(found).all()


def test_single_precision_rows_lose_nothing_that_matters(rng):
    a = (rng.normal(size=50_000) + rng.normal(size=(6, 50_000))).astype(np.float32) + 10
    exact = np.corrcoef(a[:3].astype(float).mean(0), a[3])[0, 1]
    assert correlation_of_means(a[:3], a[3], a[3:]).estimate == pytest.approx(exact, abs=1e-5)


def test_over_two_million_pairs_an_interval_is_that_of_double_precision(rng):
    shared = rng.normal(size=2_000_000)
    rows = [shared + 0.3 * rng.normal(size=(4, len(shared))) for _ in range(2)]
    given = rows[0], rows[1].mean(0), (rows[1].sum(0) - rows[1]) / 3
    found = correlation_of_means(*(m.astype(np.float32) for m in given))
    exact = correlation_of_means(*given)
    assert found == pytest.approx(exact, abs=(exact.high - exact.low) / 100)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_mean(np.ones(1)), "at least 2 networks"),
        (lambda: bootstrap_mean(np.ones((2, 2))), "values of shape"),
        (lambda: bootstrap_pairs(np.ones((2, 3))), "matrix of shape"),
        (
            lambda: correlation_of_means(*map(np.ones, [(3, 4), 4, (2, 4)])),
            "a row for each network",
        ),
        (lambda: correlation_of_means(*map(np.ones, [(2, 4), 4, (2, 4)])), "but none of two"),
        (lambda: correlation_of_means(*map(np.ones, [(3, 4), 5, (3, 4)])), r"b of shape \(5,\)"),
        (lambda: correlation_of_means(*map(np.ones, [(3, 4), 4, (3, 4)]), level=0), "level=0"),
        (lambda: bootstrap_mean(np.ones(3), n_resamples=0), "n_resamples=0"),
        (lambda: bootstrap_mean(np.ones(3), n_resamples=10**9), "from 1 to 1,000,000"),
        (lambda: bootstrap_mean(np.ones(3), level=95), "level=95"),
    ],
)
def test_what_cannot_be_resampled_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
