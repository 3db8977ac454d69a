"""Blocks of samples, batches of populations, several starts."""

import itertools

import numpy as np
import pytest
import torch
from test_srm import population

from shared_geometry.errors import InputError
from shared_geometry.srm import SRM


def blocks(x, *sizes):
    edges = np.cumsum([0, *sizes])
    return [x[..., a:b] for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("k", [None, 7])
@pytest.mark.parametrize("center", [True, False])
def test_blocks_of_samples_give_the_model_of_all_samples(k, center):
    x = population() + 5 * np.arange(30)[:, None]
    options = {"center": center, "tol": 1e-12, "max_sweeps": 3000}
    whole = SRM(k, **options).fit(x)
    parts = SRM(k, **options).fit_blocks(blocks(x, 90, 1, 109))
    np.testing.assert_allclose(parts.mean_, whole.mean_, atol=1e-10)
    assert parts.objective_[-1] == pytest.approx(whole.objective_[-1], rel=1e-6)
    assert parts.score(x) == pytest.approx(whole.score(x), abs=1e-6)
    assert parts.converged_
    assert parts.s_ is None


def test_float32_blocks_far_from_zero_lose_no_digits():
    x = (population() + 1000).astype(np.float32)
    whole, parts = SRM().fit(x), SRM().fit_blocks(blocks(x, 50, 150))
    assert parts.w_[0].dtype == np.float32
    assert parts.score(x) == pytest.approx(whole.score(x), abs=1e-3)


def test_blocks_are_taken_from_a_generator_once():
    x = population()
    assert SRM(3).fit_blocks(b for b in blocks(x, 100, 100)).n_sweeps_ >= 1


def test_after_blocks_a_new_network_needs_a_response():
    x = population()
    model = SRM(5).fit_blocks(blocks(x, 100, 100))
    with pytest.raises(InputError, match="keeps no shared response"):
        model.transform_network(x[0])
    shared = np.mean(model.transform(x), 0)
    w = model.transform_network(x[0], shared=shared)
    np.testing.assert_allclose(w.T @ w, np.eye(5), atol=1e-10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x: [], "no blocks"),
        (lambda x: [x, x[:3]], "after 200 samples a block holds networks of"),
        (lambda x: [x, x.astype(np.float32)], "torch.float32; the first block had"),
        (lambda x: [np.full_like(x, np.nan)], "NaN"),
    ],
)
def test_bad_blocks_are_named(given, message):
    with pytest.raises(InputError, match=message):
        SRM().fit_blocks(given(population()))


@pytest.mark.parametrize("k", [None, 4])
def test_many_populations_are_fitted_as_each_alone(k):
    many = [population(seed=s, units=u) for s, u in ((0, 30), (1, 12), (2, 30), (3, 30))]
    options = {"tol": 1e-10, "max_sweeps": 3000}
    together = SRM(k, **options).fit_many(many)
    for x, model in zip(many, together, strict=True):
        alone = SRM(k, **options).fit(x)
        assert model.n_sweeps_ == alone.n_sweeps_
        assert len(model.objective_) == model.n_sweeps_
        assert model.objective_[-1] == pytest.approx(alone.objective_[-1], rel=1e-9)
        np.testing.assert_allclose(model.s_, alone.s_, atol=1e-5)
        np.testing.assert_allclose(model.mean_, alone.mean_)


def test_many_tensors_come_back_as_tensors():
    many = [torch.from_numpy(population(seed=s)) for s in range(2)]
    assert all(isinstance(m.s_, torch.Tensor) for m in SRM(3).fit_many(many))
    assert SRM(3).fit_many([]) == []


def test_the_best_of_several_starts_is_kept():
    x = population(noise=3.0, seed=11)
    once, often = (SRM(3, n_init=n, tol=1e-9, max_sweeps=3000).fit(x) for n in (1, 12))
    assert often.objective_[-1] <= once.objective_[-1]
    again = SRM(3, n_init=12, tol=1e-9, max_sweeps=3000).fit(x)
    np.testing.assert_array_equal(often.s_, again.s_)


def test_one_sample_more_than_dimensions_and_duplicated_networks():
    x = population(units=12, samples=13)
    model = SRM(12).fit(x)
    np.testing.assert_allclose(model.w_[0].T @ model.w_[0], np.eye(12), atol=1e-10)
    same = np.stack([x[0]] * 4)
    assert SRM().fit(same).score(same) == pytest.approx(1, abs=1e-12)
