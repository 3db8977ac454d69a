import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from shared_geometry.srm import SRM


@st.composite
def populations(draw):
    """Networks with different units, any rank, any scale, perhaps fewer samples than units."""
    r = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    samples = draw(st.integers(2, 40))
    rank = draw(st.integers(1, 12))
    units = draw(st.lists(st.integers(1, 12), min_size=2, max_size=5))
    scale = 10.0 ** draw(st.integers(-6, 6))
    noise = draw(st.sampled_from([0.0, 0.1, 1.0]))
    s = r.normal(size=(rank, samples))
    x = [r.normal(size=(n, rank)) @ s + noise * r.normal(size=(n, samples)) for n in units]
    return [scale * a for a in x], draw(st.integers(1, min(*units, samples)))


@settings(max_examples=60, deadline=None)
@given(populations())
def test_any_population_gives_orthonormal_bases_and_a_falling_objective(case):
    x, k = case
    model = SRM(k).fit(x)
    for w in model.w_:
        np.testing.assert_allclose(w.T @ w, np.eye(k), atol=1e-9)
    steps = zip(model.objective_, model.objective_[1:], strict=False)
    assert all(b <= a for a, b in steps)
    variance = sum(np.sum((a - a.mean(1, keepdims=True)) ** 2) for a in x)
    assert 0 <= model.objective_[-1] <= variance * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 1000), st.integers(2, 12), st.integers(-6, 6), st.sampled_from(["k=n", "k<n"])
)
def test_rotating_scaling_and_reordering_networks_changes_nothing_that_matters(
    seed, units, exponent, size
):
    r = np.random.default_rng(seed)
    s = np.geomspace(1, 0.2, units)[:, None] * r.normal(size=(units, 60))
    x = np.stack([ortho_group(units, seed=seed + i).rvs() @ s for i in range(3)])
    x += 0.05 * r.normal(size=x.shape)
    k = units if size == "k=n" else max(1, units // 2)
    options = {"tol": 1e-12, "max_sweeps": 2000}
    plain = SRM(k, **options).fit(x)
    turned = np.stack([ortho_group(units, seed=seed + 9).rvs() @ a for a in x[[2, 0, 1]]])
    other = SRM(k, **options).fit(turned * 10.0**exponent)
    assert other.score(turned * 10.0**exponent) == pytest.approx(plain.score(x), abs=1e-6)
