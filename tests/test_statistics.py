import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from shared_geometry.errors import InputError
from shared_geometry.statistics import (
    Interval,
    bootstrap_correlation_of_means,
    bootstrap_mean,
    bootstrap_pairs,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def symmetric(rng, n):
    m = rng.uniform(0.3, 0.9, size=(n, n))
    return (m + m.T) / 2


def draws(n, n_resamples=4000):
    """Networks of each resample, drawn without the package."""
    return np.random.default_rng(7).integers(n, size=(n_resamples, n))


def test_the_interval_of_a_mean_is_that_of_scipys_percentile_bootstrap(rng):
    values = rng.normal(size=30)
    found = bootstrap_mean(values, n_resamples=20_000)
    oracle = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert found.estimate == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(oracle), abs=0.02)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    samples = np.random.default_rng(1).normal(size=(300, 25))
    intervals = [bootstrap_mean(s, n_resamples=400, level=0.9, seed=i)
                 for i, s in enumerate(samples)]  # fmt: skip
    covered = np.mean([low <= 0 <= high for _, low, high in intervals])
    assert 0.82 < covered < 0.95


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, st.integers(2, 12), elements=st.floats(-1e6, 1e6)),
    st.floats(0.5, 0.99),
    st.integers(0, 2**31),
)
def test_an_interval_holds_its_estimate_and_stays_within_the_data(values, level, seed):
    estimate, low, high = bootstrap_mean(values, n_resamples=50, level=level, seed=seed)
    slack = 1e-9 * (1 + np.abs(values).max())
    assert values.min() - slack <= low <= estimate <= high <= values.max() + slack


def test_a_wider_level_gives_a_wider_interval(rng):
    values = rng.normal(size=12)
    narrow, wide = (bootstrap_mean(values, level=level) for level in (0.5, 0.95))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_equal_networks_leave_no_doubt():
    assert bootstrap_mean(np.full(5, 0.25)) == Interval(0.25, 0.25, 0.25)
    rows = np.tile(np.arange(6.0), (4, 1))
    assert bootstrap_correlation_of_means(rows, rows) == pytest.approx((1, 1, 1))


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
        (bootstrap_correlation_of_means, (a, b)),
    ):
        assert function(*arrays) == function(*map(torch.from_numpy, arrays))


def test_the_estimate_over_pairs_is_the_mean_over_pairs(rng):
    m = symmetric(rng, 6)
    i, j = np.tril_indices(6, -1)
    assert bootstrap_pairs(m).estimate == pytest.approx(m[i, j].mean())


def test_the_diagonal_of_a_matrix_of_pairs_does_not_count(rng):
    m = symmetric(rng, 6)
    assert bootstrap_pairs(m) == bootstrap_pairs(m + 100 * np.eye(6))


def test_a_network_drawn_twice_makes_no_pair_with_itself(rng):
    m = symmetric(rng, 9)
    np.fill_diagonal(m, np.nan)
    resampled = [np.nanmean(m[np.ix_(d, d)]) for d in draws(9) if len(set(d)) > 1]
    found = bootstrap_pairs(m, n_resamples=4000)
    assert (found.low, found.high) == pytest.approx(
        tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.02
    )


def test_the_diagonal_may_be_missing(rng):
    m = symmetric(rng, 5)
    np.fill_diagonal(m, np.nan)
    assert all(np.isfinite(bootstrap_pairs(m)))


def test_resampled_correlations_of_means_are_those_of_the_long_vectors(rng):
    signal = rng.normal(size=200)
    a, b = signal + 2 * rng.normal(size=(2, 6, 200))
    found = bootstrap_correlation_of_means(a, b, n_resamples=4000)
    assert found.estimate == pytest.approx(np.corrcoef(a.mean(0), b.mean(0))[0, 1])
    resampled = [np.corrcoef(a[d].mean(0), b[d].mean(0))[0, 1] for d in draws(6)]
    expected = np.quantile(resampled, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.02)


def test_a_fixed_reference_is_not_resampled(rng):
    signal = rng.normal(size=200)
    a, b = signal + 2 * rng.normal(size=(2, 6, 200))
    found = bootstrap_correlation_of_means(a, b, b_fixed=True, n_resamples=4000)
    assert found.estimate == pytest.approx(np.corrcoef(a.mean(0), b.mean(0))[0, 1])
    resampled = [np.corrcoef(a[d].mean(0), b.mean(0))[0, 1] for d in draws(6)]
    expected = np.quantile(resampled, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.02)


def test_rows_without_structure_correlate_zero():
    assert bootstrap_correlation_of_means(np.ones((3, 5)), np.ones((3, 5))) == (0, 0, 0)


def test_single_precision_rows_lose_nothing_that_matters(rng):
    a = (rng.normal(size=50_000) + rng.normal(size=(4, 50_000))).astype(np.float32) + 10
    exact = np.corrcoef(a[:2].astype(float).mean(0), a[2:].astype(float).mean(0))[0, 1]
    found = bootstrap_correlation_of_means(a[:2], a[2:], n_resamples=10)
    assert found.estimate == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_mean(np.ones(1)), "at least 2 networks"),
        (lambda: bootstrap_mean(np.ones((2, 2))), "values of shape"),
        (lambda: bootstrap_pairs(np.ones((2, 3))), "matrix of shape"),
        (lambda: bootstrap_correlation_of_means(np.ones((2, 3)), np.ones((3, 3))), "B of shape"),
        (lambda: bootstrap_mean(np.ones(3), n_resamples=0), "n_resamples=0"),
        (lambda: bootstrap_mean(np.ones(3), level=95), "level=95"),
    ],
)
def test_what_cannot_be_resampled_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
