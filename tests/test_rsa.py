import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from shared_geometry.errors import InputError
from shared_geometry.rsa import (
    between,
    class_rsm,
    compare_rsms,
    consistency,
    correlation,
    inter_rsm,
    inter_rsms,
    lower_triangle,
    rsm,
    within_rsms,
)

ACTIVITY = hnp.arrays(
    np.float64, st.tuples(st.integers(3, 6), st.integers(2, 5)), elements=st.floats(-1e3, 1e3)
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def rotation(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def test_rsm_is_numpys_correlation_of_columns(rng):
    a, b = rng.normal(size=(9, 7)), rng.normal(size=(9, 5))
    both = np.corrcoef(a.T, b.T)
    np.testing.assert_allclose(rsm(a), both[:7, :7], atol=1e-12)
    np.testing.assert_allclose(rsm(a, b), both[:7, 7:], atol=1e-12)


def test_a_stack_of_networks_gives_the_stack_of_their_rsms(rng):
    x = rng.normal(size=(2, 3, 8, 5)).astype(np.float32)
    found = rsm(x)
    assert found.dtype == np.float32
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(found[i, j], np.corrcoef(x[i, j].T), atol=1e-5)


def test_torch_in_is_torch_out(rng):
    x = rng.normal(size=(4, 6, 5))
    for function in (rsm, within_rsms, inter_rsms):
        found = function(torch.from_numpy(x))
        assert isinstance(found, torch.Tensor)
        np.testing.assert_array_equal(found, function(x))


def test_without_centring_cells_are_cosines(rng):
    a, b = rng.normal(size=(2, 9, 4)) + 2
    unit_a, unit_b = (m / np.linalg.norm(m, axis=0) for m in (a, b))
    np.testing.assert_allclose(rsm(a, b, centre=False), unit_a.T @ unit_b, atol=1e-12)


def test_rotating_a_network_does_not_change_its_cosines_but_its_correlations(rng):
    a = rng.normal(size=(6, 5)) + 3
    turned = rotation(rng, 6) @ a
    np.testing.assert_allclose(rsm(turned, centre=False), rsm(a, centre=False), atol=1e-12)
    assert np.abs(rsm(turned) - rsm(a)).max() > 0.1


def test_permuting_units_does_not_change_an_rsm(rng):
    a = rng.normal(size=(6, 5)) + 3
    np.testing.assert_allclose(rsm(a[rng.permutation(6)]), rsm(a), atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(ACTIVITY, st.floats(0.5, 4), st.floats(-10, 10))
def test_an_rsm_is_bounded_symmetric_and_blind_to_each_images_scale_and_mean(x, scale, shift):
    found = rsm(x)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1
    np.testing.assert_array_equal(found, found.T)
    spread = (x - x.mean(0)).std(0)
    if (spread > 1e-3).all():  # columns whose pattern is more than rounding
        np.testing.assert_allclose(rsm(scale * x + shift), found, atol=1e-7)
        np.testing.assert_allclose(np.diag(found), 1, atol=1e-9)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e8, -1e-8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_pattern_is_like_nothing(rng, value, dtype):
    x = rng.normal(size=(7, 4)).astype(dtype)
    x[:, 1] = value
    found = rsm(x)
    assert (found[1] == 0).all()
    assert (found[:, 1] == 0).all()
    assert not np.isnan(found).any()


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize(
    ("dtype", "scales"),
    [(np.float32, [1e-37, 1e-23, 1e20, 1e37]), (np.float64, [1e-300, 1e-200, 1e200, 1e300])],
)
def test_activity_may_be_of_any_size(rng, dtype, scales, centre):
    x = rng.normal(size=(2, 9, 5)).astype(dtype) + dtype(2)
    x[0, :, 3] = 0
    for scale in scales:
        np.testing.assert_allclose(
            rsm(x * dtype(scale), centre=centre), rsm(x, centre=centre), atol=1e-5
        )
    each = x * np.array([*scales, 1], dtype)  # images of one network may differ, too
    np.testing.assert_allclose(rsm(each, centre=centre), rsm(x, centre=centre), atol=1e-5)


def test_a_missing_value_is_refused_and_its_network_named(rng):
    x = rng.normal(size=(4, 6, 5))
    x[2, 3, 1] = np.nan
    for function in (within_rsms, inter_rsms):
        with pytest.raises(InputError, match="NaN or infinite values in network 2"):
            function(x)
    with pytest.raises(InputError, match="B holds NaN"):
        rsm(x[0], x[2])


def test_infinities_that_cancel_in_a_sum_are_refused():
    x = np.zeros((3, 2))
    x[0], x[1] = np.inf, -np.inf
    with pytest.raises(InputError, match="infinite"):
        rsm(x)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros(4), None, "shape"),
        (np.zeros((3, 2), dtype=int), None, "float32 or float64"),
        (np.zeros((3, 2), dtype=np.float16), None, "float32 or float64"),
        (np.zeros((3, 2)), np.zeros((4, 2)), "A has 3 units and B has 4"),
        (np.zeros((3, 2), np.float32), np.zeros((3, 2)), "A is torch.float32 on cpu and B torch.f"),
        (np.zeros((3, 4, 2)), np.zeros((2, 4, 2)), "are of other networks"),
    ],
)
def test_activity_of_another_form_is_refused(a, b, message):
    with pytest.raises(InputError, match=message):
        rsm(a, b)


def test_networks_come_in_one_array_of_at_least_two():
    with pytest.raises(InputError, match="n_networks, n_units, n_images"):
        within_rsms(np.zeros((3, 2)))
    with pytest.raises(InputError, match="at least 2 networks"):
        inter_rsms(np.zeros((1, 3, 2)))


def test_inter_rsm_compares_a_network_with_the_mean_of_the_others(rng):
    x = rng.normal(size=(4, 9, 5))
    for i, found in enumerate(inter_rsms(x)):
        others = x[[j for j in range(4) if j != i]].mean(0)
        np.testing.assert_allclose(found, np.corrcoef(x[i].T, others.T)[:5, 5:], atol=1e-12)


@pytest.mark.parametrize("n", [2, 4, 9])
def test_the_mean_of_inter_rsms_needs_none_of_them(rng, n):
    x = rng.normal(size=(n, 4, 7))
    w = np.linalg.qr(rng.normal(size=(n, 6, 4)))[0]
    for how in ({}, {"centre": False}, {"bases": w}):
        expected = inter_rsms(x, **how).mean(0)
        np.testing.assert_allclose(inter_rsm(x, **how), expected, atol=1e-12)
        found = between(x, **how)
        np.testing.assert_allclose(found.mean, expected, atol=1e-12)
        assert found.without.shape == (n if n > 2 else 0, 21)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
@pytest.mark.parametrize("n", [4, 9])
def test_what_is_left_without_a_network_does_not_depend_on_the_unit_of_activity(rng, n, scale):
    x = rng.normal(size=(n, 5, 8)).astype(np.float32)
    x[:, :, 2] = 0  # an image that nobody responds to
    plain, scaled = between(x), between(x * np.float32(scale))
    np.testing.assert_allclose(scaled.without, plain.without, atol=1e-5)
    np.testing.assert_allclose(scaled.mean, plain.mean, atol=1e-5)
    assert not plain.mean[2].any()


def test_identical_networks_have_inter_rsms_equal_to_their_own(rng):
    x = np.repeat(rng.normal(size=(1, 9, 5)), 3, 0)
    np.testing.assert_allclose(inter_rsms(x), within_rsms(x), atol=1e-12)


def test_lower_triangle_leaves_out_the_diagonal_and_keeps_every_pair_once():
    r = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(lower_triangle(r), [4, 8, 9, 12, 13, 14])
    np.testing.assert_array_equal(lower_triangle(np.stack([r, 2 * r]))[1], 2 * lower_triangle(r))
    for wrong in (np.zeros((3, 4)), np.zeros((1, 1)), np.zeros(3)):
        with pytest.raises(InputError, match="not square"):
            lower_triangle(wrong)


@pytest.mark.parametrize(
    ("method", "oracle"),
    [("pearson", stats.pearsonr), ("spearman", stats.spearmanr), ("kendall", stats.kendalltau)],
)
def test_rsms_are_compared_over_their_lower_triangles_as_scipy_does(rng, method, oracle):
    r1, r2 = (np.round(rsm(rng.normal(size=(4, 12))), 1) for _ in range(2))  # rounded: with ties
    i, j = np.tril_indices(12, -1)
    expected = oracle(r1[i, j], r2[i, j]).statistic
    assert compare_rsms(r1, r2, method) == pytest.approx(expected, abs=1e-12)
    noisy_diagonal = r1 + np.diag(rng.normal(size=12))
    assert compare_rsms(noisy_diagonal, r2, method) == compare_rsms(r1, r2, method)


@pytest.mark.parametrize("method", ["pearson", "spearman", "kendall"])
def test_an_rsm_without_structure_agrees_with_nothing(rng, method):
    flat = np.full((5, 5), 0.3)
    assert compare_rsms(flat, rsm(rng.normal(size=(8, 5))), method) == 0


def test_comparisons_that_make_no_sense_are_refused(rng):
    r = rsm(rng.normal(size=(8, 5)))
    with pytest.raises(InputError, match="method='cosine' is not allowed: pearson"):
        compare_rsms(r, r, "cosine")
    for other in (r[:4, :4], r[:4, :4].tolist()):
        with pytest.raises(InputError, match="other images"):
            compare_rsms(r, other)
    with pytest.raises(InputError, match=r"R2 of shape \(2, 5, 5\) is not one RSM"):
        compare_rsms(r, np.stack([r, r]))


@pytest.mark.parametrize("method", ["pearson", "spearman", "kendall"])
def test_rsms_that_hold_nan_are_not_compared(rng, method):
    r = rsm(rng.normal(size=(3, 8, 5)))
    r[1, 3, 2] = np.nan
    with pytest.raises(InputError, match="R2 holds NaN or infinite values"):
        compare_rsms(r[0], r[1], method)
    for rsms in (r, lower_triangle(r)):
        with pytest.raises(InputError, match="R holds NaN or infinite values in network 1"):
            consistency(rsms)


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((6, 6), np.zeros(5, int), r"labels of shape \(5,\) for 6 images"),
        ((6, 6), [None, "a"] * 3, "labels hold object; expected numbers or words"),
        ((6, 5), np.zeros(6, int), r"\(6, 5\) is not one RSM"),
        ((2, 6, 6), np.zeros(6, int), "is not one RSM"),
    ],
)
def test_classes_of_an_rsm_are_one_number_an_image(shape, labels, message):
    with pytest.raises(InputError, match=message):
        class_rsm(np.zeros(shape), labels)


def test_correlation_along_the_last_axis_is_numpys(rng):
    a, b = rng.normal(size=(2, 3, 20))
    expected = [np.corrcoef(p, q)[0, 1] for p, q in zip(a, b, strict=True)]
    found = correlation(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_consistency_holds_every_pair_of_networks(rng):
    r = rsm(rng.normal(size=(4, 6, 9)))
    found = consistency(r)
    for i, j in np.ndindex(4, 4):
        assert found[i, j] == pytest.approx(compare_rsms(r[i], r[j]), abs=1e-12)
    np.testing.assert_allclose(consistency(lower_triangle(r)), found, atol=1e-12)


def test_consistency_with_a_flat_rsm_is_zero_and_not_nan(rng):
    r = rsm(rng.normal(size=(2, 6, 9)))
    r[1] = 1.0
    np.testing.assert_array_equal(consistency(r), np.eye(2))


def test_class_means_leave_out_an_image_with_itself(rng):
    labels = np.array([0, 0, 2, 2, 2])
    r = rsm(rng.normal(size=(8, 5)))
    found = class_rsm(r, labels)
    assert found[0, 0] == pytest.approx(r[0, 1])
    assert found[0, 1] == pytest.approx(r[:2, 2:].mean())
    assert found[1, 1] == pytest.approx(np.mean([r[2, 3], r[2, 4], r[3, 4]]))
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_array_equal(class_rsm(r, ["cat", "cat", "dog", "dog", "dog"]), found)


def test_patterns_of_a_small_space_are_compared_over_units_whatever_its_axes(rng):
    s = rng.normal(size=(3, 40))
    w = np.linalg.qr(rng.normal(size=(4, 20, 3)))[0]
    own = within_rsms(w @ s)
    np.testing.assert_allclose(inter_rsms(np.stack([s] * 4), bases=w), own, atol=1e-12)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    noisy = s + 0.3 * rng.normal(size=(4, 3, 40))
    found = inter_rsms(noisy, bases=list(w))
    np.testing.assert_allclose(inter_rsms(turn @ noisy, bases=w @ turn.T), found, atol=1e-12)
    assert abs(inter_rsms(turn @ noisy) - inter_rsms(noisy)).max() > 0.1


@pytest.mark.parametrize("bases", [np.zeros((3, 20, 3)), np.zeros((4, 20, 2)), np.zeros((4, 3))])
def test_bases_that_are_not_those_of_the_networks_are_refused(rng, bases):
    with pytest.raises(InputError, match=r"for X of shape \(4, 3, 40\); expected \(n_units, 3\)"):
        inter_rsms(rng.normal(size=(4, 3, 40)), bases=bases)


def test_flat_float32_rsms_correlate_zero_not_by_their_rounding(rng):
    rounded = (1 + 1e-7 * rng.normal(size=(3, 400))).astype(np.float32)
    a, b = map(torch.from_numpy, rounded[:2])
    assert correlation(a, b) == 0
    np.testing.assert_array_equal(consistency(rounded), np.eye(3))
