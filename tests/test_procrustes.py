import numpy as np
import pytest
import scipy.linalg
import torch

from shared_geometry.procrustes import polar


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
