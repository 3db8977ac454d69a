import numpy as np
import pytest
import scipy.linalg
import torch

from shared_geometry.procrustes import polar

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
