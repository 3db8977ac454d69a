import numpy as np
import pytest
import scipy.linalg
import torch

from shared_geometry.srm import procrustes
from shared_geometry.srm.polar_iterations import polar_by_inverses, polar_by_products
from shared_geometry.srm.procrustes import polar

TALL = [(60, 20), (200, 30)]  # their polar factor in float32 is taken from M'M


def matrix(n, k, condition, seed=0, dtype=torch.float64):
    r = np.random.default_rng(seed)
    u, v = (np.linalg.qr(r.normal(size=(size, k)))[0] for size in (n, k))
    return torch.from_numpy(u * np.geomspace(1, 1 / condition, k) @ v.T).to(dtype)


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (5, 1)])
@pytest.mark.parametrize("condition", [1, 1e3, 1e6])
def test_it_is_the_polar_factor_of_scipy(shape, condition):
    m = matrix(*shape, condition)
    expected, _ = scipy.linalg.polar(m.numpy())
    np.testing.assert_allclose(polar(m).numpy(), expected, atol=1e-14 * condition + 1e-12)


@pytest.mark.parametrize("shape", [(40, 40), *TALL])
@pytest.mark.parametrize("condition", [1, 1e3, 1e5])
def test_in_float32_it_is_as_exact_as_the_type_allows(shape, condition):
    m = matrix(*shape, condition, dtype=torch.float32)
    expected, _ = scipy.linalg.polar(m.double().numpy())
    found = polar(m)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6 * condition)


@pytest.mark.parametrize("shape", TALL)
def test_a_tall_matrix_in_float32_loses_nothing_by_its_condition(shape):
    m = matrix(*shape, 1e5, dtype=torch.float32)
    expected, _ = scipy.linalg.polar(m.double().numpy())
    np.testing.assert_allclose(polar(m).numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("rank", [0, 1, 15])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_rank_deficient_tall_matrix_gets_a_basis_all_the_same(rank, batch):
    m = matrix(*TALL[0], 3, dtype=torch.float32)
    m[:, rank:] = 0
    m = torch.stack([m, matrix(*TALL[0], 3, seed=1, dtype=torch.float32)]) if batch else m
    w = polar(m)
    eye = torch.eye(m.shape[-1]).expand(*batch, -1, -1)
    torch.testing.assert_close(w.mT @ w, eye, atol=1e-5, rtol=0)
    assert (w * m).sum() == pytest.approx(torch.linalg.svdvals(m).sum().item(), rel=1e-5)
    torch.testing.assert_close(polar(m), w, atol=0, rtol=0)


@pytest.mark.parametrize("shape", [(40, 40), (60, 20), (5, 1)])
@pytest.mark.parametrize("condition", [1, 1e3, 1e6])
@pytest.mark.parametrize("scale", [1e-12, 1, 1e12])
def test_products_alone_give_the_same_factor(shape, condition, scale):
    m = scale * matrix(*shape, condition)
    expected, _ = scipy.linalg.polar(m.numpy())
    np.testing.assert_allclose(polar_by_products(m).numpy(), expected, atol=1e-7 * condition)


def _with_silent(n, k, rows, columns):
    m = matrix(n, k, 10)
    m[rows], m[:, columns] = 0, 0
    return m


DEFICIENT = {
    "nothing": torch.zeros(30, 10, dtype=torch.float64),
    "the same units silent": _with_silent(30, 30, slice(0, 4), slice(0, 4)),
    "other units silent": _with_silent(30, 30, slice(0, 4), slice(4, 8)),
    "half of them": _with_silent(30, 30, slice(0, 15), slice(15, 30)),
    "one direction left": torch.ones(20, 20, dtype=torch.float64),
    "any directions": matrix(200, 200, 1e3) @ (torch.eye(200) - 1 / 200).double(),
}


SQUARE = {name: m for name, m in DEFICIENT.items() if m.shape[0] == m.shape[1]}


def completes(factor, m):
    w = factor(m)
    torch.testing.assert_close(w.mT @ w, torch.eye(m.shape[-1], dtype=m.dtype), atol=1e-6, rtol=0)
    assert (w * m).sum() == pytest.approx(torch.linalg.svdvals(m).sum().item(), rel=1e-5)
    torch.testing.assert_close(factor(m), w, atol=0, rtol=0)


@pytest.mark.parametrize("m", DEFICIENT.values(), ids=DEFICIENT.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_alone_complete_a_deficient_matrix_to_a_basis(m, dtype):
    completes(polar_by_products, m.to(dtype))


@pytest.mark.parametrize("m", SQUARE.values(), ids=SQUARE.keys())
def test_inverses_complete_a_deficient_matrix_to_a_basis(m):
    completes(polar_by_inverses, m.float())


@pytest.mark.parametrize("factor", [polar_by_products, polar_by_inverses])
def test_silent_units_of_both_sides_are_matched_with_each_other(factor):
    w = factor(DEFICIENT["the same units silent"].float())
    assert (w[:4, :4].diagonal() > 0.8).all()
    assert w[:4, 4:].abs().max() < 1e-5
    assert w[4:, :4].abs().max() < 1e-5


@pytest.mark.parametrize("n", [1, 2, 30, 150])
@pytest.mark.parametrize("condition", [1, 1e3, 1e5])
@pytest.mark.parametrize("scale", [1e-12, 1, 1e12])
def test_inverses_give_the_same_factor_as_exactly_as_the_type_allows(n, condition, scale):
    m = (scale * matrix(n, n, condition)).float()
    expected, _ = scipy.linalg.polar(m.double().numpy())
    found = polar_by_inverses(m)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6 * condition)
    np.testing.assert_allclose((found.mT @ found).numpy(), np.eye(n), atol=2e-6)


@pytest.mark.parametrize("condition", [1e8, 1e12, 1e20, 1e30])
def test_inverses_lose_nothing_that_float32_holds_to_the_condition(condition):
    m = matrix(200, 200, condition, dtype=torch.float32)
    w, m = polar_by_inverses(m).double(), m.double()
    assert (w.mT @ w - torch.eye(200)).abs().max() < 2e-6
    assert (w * m).sum() == pytest.approx(torch.linalg.svdvals(m).sum().item(), rel=1e-6)


def test_where_inverses_fail_the_decomposition_is_there(monkeypatch):
    assert polar_by_inverses(torch.full((9, 9), torch.nan)) is None
    m = matrix(128, 128, 1e3, dtype=torch.float32)
    usual = polar(m)
    monkeypatch.setattr(procrustes, "polar_by_inverses", lambda m: None)
    torch.testing.assert_close(polar(m), usual, atol=1e-4, rtol=0)
    assert not torch.equal(polar(m), usual)


def test_a_batch_by_inverses_is_its_elements_bit_for_bit():
    m = torch.stack([matrix(130, 130, 10.0**i, seed=i, dtype=torch.float32) for i in range(4)])
    m = m.unflatten(0, (2, 2))
    assert torch.equal(polar(m)[1, 0], polar(m[1, 0]))


def test_a_batch_by_products_is_its_elements():
    m = torch.stack([_with_silent(30, 30, slice(i), slice(3 * i)) for i in (0, 2, 5)])
    alone = torch.stack([polar_by_products(a) for a in m])
    torch.testing.assert_close(polar_by_products(m), alone, atol=1e-6, rtol=0)
