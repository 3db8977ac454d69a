import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes

from shared_geometry.errors import InputError
from shared_geometry.figures.theory import turn_it
from shared_geometry.srm import SRM
from shared_geometry.theory.propositions import (
    checked,
    deviation,
    response_of,
    rotation_between,
    same_geometry,
    unexplained,
)


@settings(max_examples=40, deadline=None)
@given(
    k=st.integers(1, 5),
    extra=st.integers(0, 4),
    images=st.integers(5, 12),
    repeated=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_equal_inner_products_give_one_response_and_orthonormal_bases(
    k, extra, images, repeated, seed
):
    rng = np.random.default_rng(seed)
    s = rng.normal(size=(k, images))
    if repeated:  # all eigenvalues of the RSM equal
        s = np.linalg.qr(s.T)[0].T
    networks = same_geometry(s, 3, k + extra, rng)
    shared, lift = response_of(networks[0].T @ networks[0])
    for x in networks:
        w = x @ lift
        np.testing.assert_allclose(w.T @ w, np.eye(len(shared)), atol=1e-7)
        np.testing.assert_allclose(w @ shared, x, atol=1e-7)


def test_the_rotation_between_two_sets_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4, 9))
    expected, _ = orthogonal_procrustes(a.T, b.T)
    np.testing.assert_allclose(rotation_between(a, b), expected.T, atol=1e-12)


def test_a_rotation_is_found_exactly_when_the_rsms_are_equal():
    rng = np.random.default_rng(1)
    a, b = same_geometry(rng.normal(size=(3, 20)), 2, 6, rng)
    np.testing.assert_allclose(rotation_between(a, b) @ a, b, atol=1e-12)


def test_srm_leaves_unexplained_what_eckart_and_young_say_it_must():
    rng = np.random.default_rng(2)
    spread = np.array([4.0, 3.0, 2.0, 1.0, 0.5])
    s = spread[:, None] * np.linalg.qr(rng.normal(size=(40, 5)))[0].T
    networks = same_geometry(s, 4, 5, rng)
    for k in (1, 2, 4):
        model = SRM(k, center=False, tol=1e-12).fit(networks)
        found = model.objective_[-1] / sum(np.sum(x**2) for x in networks)
        assert found == pytest.approx(unexplained(s.T @ s, k), rel=1e-5)


def test_equal_correlations_mean_a_rotation_that_keeps_the_direction_of_the_mean():
    rng = np.random.default_rng(4)
    n, ones = 6, np.full((6, 1), 6**-0.5)
    frame = np.linalg.qr(np.hstack([ones, rng.normal(size=(n, n - 1))]))[0][:, 1:]
    turn = np.linalg.qr(rng.normal(size=(n - 1, n - 1)))[0]
    a = rng.normal(size=(n, 9))
    b = rng.uniform(0.5, 2, 9) * ((ones @ ones.T + frame @ turn @ frame.T) @ a) + rng.normal(size=9)
    np.testing.assert_allclose(np.corrcoef(a.T), np.corrcoef(b.T), atol=1e-12)
    a, b = ((x - x.mean(0)) / np.linalg.norm(x - x.mean(0), axis=0) for x in (a, b))
    q = rotation_between(np.hstack([a, ones]), np.hstack([b, ones]))
    np.testing.assert_allclose(q @ q.T, np.eye(n), atol=1e-12)
    np.testing.assert_allclose(q @ a, b, atol=1e-12)
    np.testing.assert_allclose(q @ ones, ones, atol=1e-12)


def test_a_false_statement_stops_a_chapter():
    assert "| A | 10⁻¹² |" in checked({"A": 1e-12})
    with pytest.raises(ArithmeticError, match="not true to 1e-10: B"):
        checked({"A": 0.0, "B": 1e-3})
    with pytest.raises(ArithmeticError):
        checked({"A": float("nan")})


def test_too_few_units_for_a_response_are_refused():
    with pytest.raises(InputError, match="2 units cannot hold a response of 3 dimensions"):
        same_geometry(np.ones((3, 4)), 2, 2, np.random.default_rng(0))


def test_deviation_is_relative():
    assert deviation(np.array([1e6 + 1.0]), np.array([1e6])) == pytest.approx(1e-6)


def test_turning_a_network_moves_only_its_rsm_with_the_other():
    rng = np.random.default_rng(3)
    figure = turn_it(rng.normal(size=(2, 9)), np.arange(9) // 3, [0, 45, 90, 180])
    within = [frame.data[2].z for frame in figure.frames]
    between = [frame.data[3].z for frame in figure.frames]
    aligned = [frame.data[4].z for frame in figure.frames]
    for later in within[1:]:
        np.testing.assert_allclose(later, within[0], atol=1)
    np.testing.assert_allclose(between[-1], -between[0], atol=1)
    for each in aligned:
        np.testing.assert_allclose(each, within[0], atol=1)
