import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm, orthogonal_procrustes, sqrtm

from shared_geometry import figures
from shared_geometry.beyond.dynamics import study as dynamics
from shared_geometry.beyond.studies import load_study, study, study_path
from shared_geometry.claims import beginnings, centring, nearness
from shared_geometry.claims.judging import FAILS, HOLDS, IN_PART, UNDECIDED
from shared_geometry.config import Config
from shared_geometry.errors import InputError
from shared_geometry.experiment.analysis import Settings
from shared_geometry.reports import dynamics as dynamics_report
from shared_geometry.reports.report import provenance_line
from shared_geometry.srm import SRM
from shared_geometry.theory import descent, development
from shared_geometry.theory import linear_networks as linear
from shared_geometry.theory.pairs import KINDS
from shared_geometry.theory.stability import (
    differences,
    full_rank_misfit,
    gap,
    least_misfit,
    misfit,
    most_misfit,
    of_many,
)

seeds = st.integers(0, 2**31)
TINY = 1e-9


def rotation(n, rng):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


@st.composite
def two_networks(draw, alike=False):
    rng = np.random.default_rng(draw(seeds))
    m, n = draw(st.integers(1, 9)), draw(st.integers(1, 7))
    n_y = n if alike else draw(st.integers(1, 7))
    x, y = rng.normal(size=(n, m)), rng.normal(size=(n_y, m))
    if draw(st.booleans()):  # some directions are weak, or missing
        x *= 10 ** rng.uniform(-4, 1, size=(n, 1))
        y[: draw(st.integers(0, n_y - 1))] = 0
    if alike and draw(st.booleans()):  # close together
        y = rotation(n, rng) @ x + 10 ** rng.uniform(-4, 0) * rng.normal(size=x.shape)
    return x, y


# Near RSMs, near rotations.


@settings(max_examples=200, deadline=None)
@given(two_networks())
def test_what_the_best_rotation_leaves_lies_between_the_bounds(pair):
    apart, left = gap(*pair), misfit(*pair)
    assert least_misfit(apart) - TINY <= left <= apart + TINY


@settings(max_examples=100, deadline=None)
@given(two_networks(alike=True))
def test_the_bound_for_full_rank_is_never_passed(pair):
    assert misfit(*pair) <= full_rank_misfit(*pair) + TINY


def test_the_misfit_is_that_of_scipys_rotation():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5, 12))
    q, _ = orthogonal_procrustes(y.T, x.T)
    left = np.sum((x - q.T @ y) ** 2) / (np.sum(x**2) + np.sum(y**2))
    assert misfit(x, y) == pytest.approx(left, abs=1e-12)


def test_the_misfit_is_the_distance_of_bures_and_wasserstein_of_the_rsms():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 5)), rng.normal(size=(6, 5))
    g, h = x.T @ x, y.T @ y
    root = sqrtm(g).real
    distance = np.trace(g) + np.trace(h) - 2 * np.trace(sqrtm(root @ h @ root).real)
    assert misfit(x, y) == pytest.approx(distance / np.trace(g + h), abs=1e-9)


@pytest.mark.parametrize("shape", [(3, 20), (20, 3)])
def test_the_gap_is_the_nuclear_norm_whatever_the_sizes(shape):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=shape), rng.normal(size=(4, shape[1]))
    norm = np.linalg.norm(x.T @ x - y.T @ y, "nuc") / (np.sum(x**2) + np.sum(y**2))
    assert gap(x, y) == pytest.approx(norm, rel=1e-10)
    assert differences(x, y).shape == (min(shape[1], shape[0] + 4),)


def test_rotations_of_one_network_have_no_gap_and_no_misfit():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(6, 30))
    assert gap(x, rotation(6, rng) @ x) < 1e-13
    assert misfit(x, rotation(6, rng) @ x) < 1e-13


@pytest.mark.parametrize("angle", [0.1, 0.7, np.pi / 2])
def test_one_direction_each_reaches_the_lower_bound(angle):
    x, y = np.array([[1.0, 0.0]]), np.array([[np.cos(angle), np.sin(angle)]])
    assert gap(x, y) == pytest.approx(np.sin(angle))
    assert misfit(x, y) == pytest.approx(1 - np.cos(angle))
    assert least_misfit(gap(x, y)) == pytest.approx(misfit(x, y))


def test_seeing_other_images_reaches_the_upper_bound():
    x, y = np.diag([2.0, 1.0, 0.0]), np.diag([2.0, 0.0, 1.0])
    assert gap(x, y) == pytest.approx(2 / 10)
    assert misfit(x, y) == pytest.approx(2 / 10)


def test_the_factor_of_the_bound_for_full_rank_cannot_be_smaller():
    x, y = np.array([[1.0, 0.0]]), np.sqrt(np.sqrt(2) - 1) * np.array([[0.0, 1.0]])
    assert full_rank_misfit(x, y) == pytest.approx(float(misfit(x, y)), rel=1e-12)


def test_where_a_unit_is_silent_in_both_networks_full_rank_promises_nothing():
    x = np.diag([1.0, 1.0, 0.0])
    assert full_rank_misfit(x, 2 * x) == np.inf


def test_srm_of_two_networks_leaves_half_the_misfit():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 5, 20))
    model = SRM(center=False, tol=1e-13, max_sweeps=500).fit([x, y])
    left = model.objective_[-1] / (np.sum(x**2) + np.sum(y**2))
    assert left == pytest.approx(misfit(x, y) / 2, abs=1e-8)


def test_many_pairs_at_once_are_as_one_by_one():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, 3, 4, 6))
    for measure in (gap, misfit, full_rank_misfit):
        expected = [measure(a, b) for a, b in zip(x, y, strict=True)]
        np.testing.assert_allclose(measure(x, y), expected, rtol=1e-10)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(2, 6), st.integers(2, 9), st.floats(0, 2), seeds)
def test_srm_of_many_networks_lies_between_its_bounds(n_networks, n, m, level, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, m))
    networks = [rotation(n, rng) @ x + level * rng.normal(size=x.shape) for _ in range(n_networks)]
    low, found, high = of_many(networks)
    factor = 1 if n >= m or n_networks == 2 else 2
    assert low - 1e-6 <= found <= factor * high + 1e-6


def test_square_roots_of_the_rsms_keep_srms_upper_bound():
    rng = np.random.default_rng(6)
    roots = [linear.geometry_of(rng.normal(size=(8, 6)), 0.5) for _ in range(4)]
    mean = sum(roots) / 4
    left = sum(np.sum((r - mean) ** 2) for r in roots)
    pairs = [(a, b) for i, a in enumerate(roots) for b in roots[:i]]
    norms = [np.linalg.norm(a @ a - b @ b, "nuc") for a, b in pairs]
    assert left == pytest.approx(sum(np.sum((a - b) ** 2) for a, b in pairs) / 4)
    assert left <= sum(norms) / 4


def test_copies_leave_nothing_and_are_allowed_nothing():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(4, 10))
    assert max(of_many([rotation(4, rng) @ x for _ in range(3)])) < 1e-8


def test_rsms_that_nearly_agree_bound_the_misfit():
    rng = np.random.default_rng(8)
    for level in (0.01, 0.1, 0.5):
        x = rng.normal(size=(6, 40))
        y = rotation(6, rng) @ x + level * rng.normal(size=x.shape)
        x, y = (z / np.linalg.norm(z, axis=0) for z in (x, y))
        difference = np.sqrt(np.mean((x.T @ x - y.T @ y) ** 2))
        assert misfit(x, y) <= most_misfit(difference, 6, 40)
    assert most_misfit(0.0, 6, 40) == 0
    assert most_misfit(9.0, 6, 40) == 1


def test_the_bound_by_cells_counts_the_eigenvalues_that_there_can_be():
    x = np.concatenate([np.eye(3)] * 4, 1)
    y = np.ones((3, 12)) / np.sqrt(3)
    apart = np.linalg.norm(x.T @ x - y.T @ y) / 12
    assert most_misfit(apart, 3, 12) == pytest.approx(apart * np.sqrt(6) / 2)
    assert gap(x, y) <= most_misfit(apart, 3, 12)


def test_what_one_network_leaves_of_the_other_and_an_srm_of_both():
    said = dynamics_report.cells_sentence(0.01, 1000, 2000)  # misfit at most 0.01 sqrt(2000) / 2
    assert "at most 0.22" in said
    assert "89 % of their variance" in said
    assert "55 % of the other's" in said
    rng = np.random.default_rng(9)
    x = rng.normal(size=(5, 30))
    y = x + 0.3 * rng.normal(size=x.shape)
    x, y = (z / np.linalg.norm(z) for z in (x, y))
    q = orthogonal_procrustes(y.T, x.T)[0].T
    assert np.linalg.norm(x - q @ y) ** 2 == pytest.approx(2 * misfit(x, y))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_pair_has_its_images_and_lies_between_the_bounds(kind):
    x, y = KINDS[kind](8, 25, np.random.default_rng(9))
    assert x.shape[1] == y.shape[1] == 25
    assert least_misfit(gap(x, y)) - TINY <= misfit(x, y) <= gap(x, y) + TINY


def test_rsms_can_correlate_perfectly_without_a_rotation():
    pairs = nearness.draw_pairs(np.random.default_rng(10), ["RSM cells shrunk"], 5)
    np.testing.assert_allclose(pairs.correlation, 1, atol=1e-10)
    assert pairs.misfit.max() > 0.01


def test_networks_of_other_images_or_too_few_are_refused():
    with pytest.raises(InputError, match="same images"):
        gap(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(InputError, match="2 and 3 units"):
        full_rank_misfit(np.ones((2, 4)), np.ones((3, 4)))
    with pytest.raises(InputError, match="1 networks"):
        of_many([np.ones((2, 3))])


# Correlations and inner products.


def graded(seed, n=12, m=6):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 2)) @ rng.normal(size=(2, m))
    return centring.standardised(common + 0.5 * rng.normal(size=(n, m))), rng


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_correlations_of_turned_activity_follow_from_one_vector(seed):
    x, rng = graded(seed)
    q = rotation(len(x), rng)
    w = x.T @ q.T.sum(1) / np.sqrt(len(x))
    found, gram = centring.turned_rsm(x.T @ x, w), x.T @ x
    np.testing.assert_allclose(found, np.corrcoef((q @ x).T), atol=1e-10)
    reach = np.maximum.outer(np.abs(w), np.abs(w))
    off = ~np.eye(len(w), dtype=bool)
    assert np.all((np.abs(found - gram) <= centring.most_change(gram, reach) + 1e-12)[off])


def test_a_rotation_that_keeps_the_mean_changes_no_correlation():
    x, rng = graded(0)
    ones = np.full((len(x), 1), len(x) ** -0.5)
    frame = np.linalg.qr(np.hstack([ones, rng.normal(size=(len(x), len(x) - 1))]))[0][:, 1:]
    q = ones @ ones.T + frame @ rotation(len(x) - 1, rng) @ frame.T
    np.testing.assert_allclose(x.T @ (q.T @ ones)[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(np.corrcoef((q @ x).T), x.T @ x, atol=1e-12)


def test_the_best_rotation_need_not_move_the_mean():
    (x, rng), (y, _) = graded(1), graded(2)
    ones = np.ones((len(x), 1))
    frame = np.linalg.qr(np.hstack([ones, rng.normal(size=(len(x), len(x) - 1))]))[0][:, 1:]
    assert misfit(frame.T @ x, frame.T @ y) == pytest.approx(float(misfit(x, y)), abs=1e-12)


@pytest.mark.parametrize("g", [-0.6, 0.0, 0.8])
def test_the_bound_of_the_change_is_reached(g):
    w = 0.3 * np.array([1.0, -np.sign(g) if g else -1.0])
    gram = np.array([[1.0, g], [g, 1.0]])
    change = abs(centring.turned_rsm(gram, w)[0, 1] - g)
    assert change == pytest.approx(float(centring.most_change(g, 0.3)))


def test_random_rotations_move_correlations_by_one_minus_their_square_over_n():
    g = np.array([-0.5, 0.0, 0.8])
    found = centring.random_changes(g, np.array([10, 400]), 40_000, np.random.default_rng(3))
    np.testing.assert_allclose(found.sel(units=400), (1 - g**2) / 400, rtol=0.03)
    assert (found.sel(units=10) > found.sel(units=400)).all()


def test_random_changes_are_those_of_whole_rotations():
    x, rng = graded(4, n=8, m=2)
    g = x[:, 0] @ x[:, 1]
    moved = [np.corrcoef((rotation(8, rng) @ x).T)[0, 1] - g for _ in range(6000)]
    found = centring.random_changes(np.array([g]), np.array([8]), 40_000, rng)
    assert np.sqrt(np.mean(np.square(moved))) == pytest.approx(float(found[0, 0]), rel=0.06)


def test_the_worst_direction_takes_off_the_leading_component():
    x, _ = graded(5)
    w, share = centring.worst_direction(x)
    values = np.linalg.eigvalsh(x.T @ x)
    assert np.mean(w**2) == pytest.approx(share) == pytest.approx(values[-1] / values.sum())
    np.testing.assert_allclose(
        np.linalg.eigvalsh(x.T @ x - np.outer(w, w))[1:], values[:-1], atol=1e-10
    )


def test_a_column_that_becomes_constant_has_no_correlations():
    with pytest.raises(InputError, match="constant over units"):
        centring.turned_rsm(np.eye(2), np.array([1.0, 0.0]))
    with pytest.raises(InputError, match="3 units"):
        centring.random_changes(np.zeros(1), np.array([3]), 10, np.random.default_rng(0))


# Linear networks.


def flow(weights, gradient, times):
    """Gradient flow by scipy: weights at the times, one network."""
    sizes, shapes = [w.size for w in weights], [w.shape for w in weights]

    def unpacked(v):
        parts = np.split(v, np.cumsum(sizes)[:-1])
        return tuple(p.reshape(s) for p, s in zip(parts, shapes, strict=True))

    def slope(_, v):
        return -np.concatenate([g.ravel() for g in gradient(unpacked(v))])

    start = np.concatenate([w.ravel() for w in weights])
    done = solve_ivp(slope, (0, times[-1]), start, t_eval=times, rtol=1e-10, atol=1e-12)
    return [unpacked(v) for v in done.y.T]


def single(weights):
    return tuple(w[0] for w in weights)


def task(seed=0):
    rng = np.random.default_rng(seed)
    return descent.Task(rng.normal(size=(4, 9)), rng.normal(size=(3, 9)), rng.normal(size=(4, 5)))


def white():
    """A task whose inputs are white."""
    return descent.Task(np.eye(4), np.random.default_rng(1).normal(size=(3, 4)), np.eye(4))


def loss(weights, what, rectified):
    hidden = torch.as_tensor(what.x)
    for w in weights[:-1]:
        hidden = w @ hidden
        hidden = hidden.relu() if rectified else hidden
    return (weights[-1] @ hidden - torch.as_tensor(what.y)).square().sum() / 2


@pytest.mark.parametrize(
    ("sizes", "rectified"), [((4, 6, 3), False), ((4, 6, 5, 3), False), ((4, 6, 3), True)]
)
def test_gradients_are_those_of_torch(sizes, rectified):
    weights = linear.random_start(1.0, 2, sizes, np.random.default_rng(0))
    how = descent.rectified_gradient if rectified else descent.linear_gradient
    found = how(task())(weights)
    for network in range(2):
        ours = [torch.tensor(w[network], requires_grad=True) for w in weights]
        expected = torch.autograd.grad(loss(ours, task(), rectified), ours)
        for f, e in zip(found, expected, strict=True):
            np.testing.assert_allclose(f[network], e, atol=1e-9)


@pytest.mark.parametrize("sizes", [(4, 6, 3), (4, 5, 6, 3)])
def test_gradient_flow_conserves_the_imbalance_of_every_layer(sizes):
    start = single(linear.random_start(0.8, 1, sizes, np.random.default_rng(2)))
    (end,) = flow(start, descent.linear_gradient(task()), [1.0])
    assert np.abs(end[0] - start[0]).max() > 0.1
    for before, after in zip(linear.imbalance(start), linear.imbalance(end), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-7)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=3, max_size=5), st.floats(0.1, 3), seeds)
def test_in_balanced_networks_the_function_fixes_the_geometry_of_every_layer(sizes, scale, seed):
    weights = linear.balanced_start(scale, 2, sizes, np.random.default_rng(seed))
    assert max(np.abs(b).max() for b in linear.imbalance(weights)) < 1e-10 * max(1, scale**2)
    function, depth = linear.product(weights), len(weights)
    for layer in range(1, depth + 1):
        below = linear.product(weights[:layer])
        expected = linear.geometry_of(function, layer / depth)
        np.testing.assert_allclose(below.mT @ below, expected, atol=1e-8 * scale ** (2 * layer))


def test_two_balanced_networks_that_learnt_one_function_are_rotations_of_each_other():
    rng = np.random.default_rng(3)
    ends = [
        flow(single(linear.balanced_start(1.0, 1, (4, 6, 3), rng)), gradient, [60.0])[0]
        for gradient in [descent.linear_gradient(white())] * 2
    ]
    a, b = (end[0] for end in ends)
    np.testing.assert_allclose(a.T @ a, b.T @ b, atol=1e-2)  # what no output needs fades as 1 / t
    assert misfit(a, b) < 1e-3
    assert np.abs(a - b).max() > 0.1


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 3), st.integers(1, 8), seeds)
def test_nearly_balanced_networks_are_near_the_geometry_of_their_function(scale, n, seed):
    first, second = single(linear.random_start(scale, 1, (5, n, 4), np.random.default_rng(seed)))
    (b,) = linear.imbalance((first, second))
    k = first.T @ first
    off = np.sum((k - linear.geometry_of(second @ first, 0.5)) ** 2)
    assert off <= np.linalg.norm(b, 2) * np.trace(k) + 1e-9


def test_one_function_can_have_many_geometries_where_weights_are_not_balanced():
    rng = np.random.default_rng(4)
    first, second, m = rng.normal(size=(4, 5)), rng.normal(size=(3, 4)), rng.normal(size=(4, 4))
    other = m @ first, second @ np.linalg.inv(m)
    np.testing.assert_allclose(linear.product(other), second @ first, atol=1e-10)
    assert gap(first, other[0]) > 0.1


def test_the_strength_of_a_mode_solves_its_equation():
    times = np.linspace(0, 4, 9)
    done = solve_ivp(
        lambda _, a: 2 * a * (1.5 - a), (0, 4), [0.01], t_eval=times, rtol=1e-10, atol=1e-13
    )
    np.testing.assert_allclose(linear.strength(times, 1.5, 0.01), done.y[0], rtol=1e-6)
    half = linear.half_time(1.5, 0.01)
    assert linear.strength(half, 1.5, 0.01) == pytest.approx(0.75)
    assert linear.strength(1e4, 1.5, 0.01) == pytest.approx(1.5)


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_the_exact_course_is_that_of_numerical_integration(scale):
    start = single(linear.balanced_start(scale, 1, (4, 6, 3), np.random.default_rng(5)))
    times = [0.3, 1.0, 2.5]
    ends = flow(start, descent.linear_gradient(white()), times)
    for (first, second), m in zip(ends, linear.exact(start, white().y, times), strict=True):
        np.testing.assert_allclose(m[:4, :4], first.T @ first, atol=1e-6)
        np.testing.assert_allclose(m[4:, :4], second @ first, atol=1e-6)


def test_the_exact_course_is_the_closed_form_with_matrix_exponentials():
    start = single(linear.balanced_start(0.5, 1, (4, 6, 3), np.random.default_rng(6)))
    f = np.block([[np.zeros((4, 4)), white().y.T], [white().y, np.zeros((3, 3))]])
    q, t = np.concatenate([start[0].T, start[1]]), 0.8
    fine = np.linspace(0, t, 201)
    p = [expm(f * s) @ q for s in fine]
    inner = np.trapezoid([a.T @ a for a in p], fine, axis=0)
    expected = p[-1] @ np.linalg.inv(np.eye(6) + inner) @ p[-1].T
    np.testing.assert_allclose(
        linear.exact(start, white().y, [t])[0], expected, rtol=1e-3, atol=1e-4
    )


def test_aligned_weights_follow_the_sigmoids():
    u, s, vt = np.linalg.svd(white().y, full_matrices=False)
    r = np.linalg.qr(np.random.default_rng(7).normal(size=(6, 3)))[0]
    start = 0.1 * r @ vt, 0.1 * u @ r.T
    for t, m in zip([0.5, 3.0], linear.exact(start, white().y, [0.5, 3.0]), strict=True):
        found = np.diag(vt @ m[:4, :4] @ vt.T)
        np.testing.assert_allclose(found, linear.strength(t, s, 0.01), rtol=1e-9)


def test_long_courses_end_at_the_square_root_of_the_outputs_geometry():
    tree = descent.tree_task()
    start = single(linear.balanced_start(0.1, 1, (8, 20, 15), np.random.default_rng(8)))
    (m,) = linear.exact(start, tree.y, [60.0])
    np.testing.assert_allclose(m[:8, :8], sqrtm(tree.y.T @ tree.y).real, atol=1e-6)


def test_the_exact_course_is_refused_to_weights_that_are_not_balanced():
    start = single(linear.random_start(1.0, 1, (4, 6, 3), np.random.default_rng(9)))
    with pytest.raises(InputError, match="not balanced"):
        linear.exact(start, white().y, [1.0])


def test_random_weights_begin_with_the_inputs_geometry_and_set_out_alike():
    weights = linear.random_start(0.1, 40, (8, 500, 15), np.random.default_rng(10))
    gram = (weights[0].mT @ weights[0]).mean(0)
    np.testing.assert_allclose(gram, 0.01 * np.eye(8), atol=3e-4)
    first = linear.start_strength(weights, descent.tree_task().y)
    np.testing.assert_allclose(first.mean(0), 0.01 / 2, rtol=0.05)


def test_a_layer_beside_the_network_and_too_long_a_step_are_refused():
    with pytest.raises(InputError, match="part=0 is not allowed"):
        linear.geometry_of(np.eye(3), 0)
    start = linear.random_start(1.0, 1, (4, 6, 3), np.random.default_rng(0))
    with (
        np.errstate(all="ignore"),
        pytest.raises(InputError, match="rate=10 is too long a step"),
    ):
        descent.descend(start, descent.linear_gradient(task()), 10.0, [0, 200])


def test_what_is_kept_is_what_was_there_after_so_many_steps():
    start = linear.random_start(1.0, 1, (4, 6, 3), np.random.default_rng(0))
    gradient = descent.linear_gradient(task())
    first, third = descent.descend(start, gradient, 0.01, [0, 3])
    assert first is start
    (again,) = descent.descend(descent.descend(start, gradient, 0.01, [1])[0], gradient, 0.01, [2])
    np.testing.assert_allclose(third[0], again[0])


def test_the_tree_has_an_output_for_every_branching():
    tree = descent.tree_task()
    assert tree.y.shape == (15, len(descent.ITEMS))
    assert tree.y.sum(0).tolist() == [4] * 8  # everything, its kingdom, its family, itself
    np.testing.assert_allclose(
        np.linalg.svd(tree.y, compute_uv=False) ** 2, [15, 7, 3, 3, 1, 1, 1, 1]
    )


def test_digits_are_learnt_from_other_images_than_those_that_are_compared():
    digits = descent.digits_task(50, 20)
    assert digits.x.shape == (64, 50)
    assert digits.unseen.shape == (64, 20)
    assert np.linalg.norm(digits.x, 2) == pytest.approx(1)
    np.testing.assert_allclose(digits.x.mean(1), 0, atol=1e-12)


# Seeds side by side.


@pytest.fixture(scope="module")
def course():
    return development.modes_over_time(0, n_networks=3, n_units=24)


@pytest.fixture(scope="module")
def lessons():
    tree, digits = development.Setting(descent.tree_task()), descent.digits_task(60, 30)
    small = {"scales": [0.01, 3.0], "n_networks": 3, "n_units": 24, "steps": 500, "moments": 5}
    return {
        "tree": development.apart_by_scale(tree, **small),
        "rectified": development.apart_by_scale(
            development.Setting(digits, rectified=True), starts=["random"], **small
        ),
    }


def test_modes_are_learnt_in_the_order_and_at_the_times_of_the_theory(course):
    levels = [0, 1, 2, 4]
    assert (np.diff(course.half.values[:, levels], axis=1) > 0).all()
    np.testing.assert_allclose(course.half, course.half_predicted, rtol=0.15)
    last = course.strength.isel(time=-1).values
    np.testing.assert_allclose(last, np.broadcast_to(course.singular, last.shape), rtol=1e-2)
    apart = course.misfit.sel(bound="estimate").values
    assert apart[-1] < 1e-4 * apart[0]


def test_rsms_of_two_seeds_and_of_theory_become_one(course):
    first, last = course.rsm.values[0], course.rsm.values[-1]
    np.testing.assert_allclose(last[0], last[1], atol=1e-3)
    np.testing.assert_allclose(last[0], last[2], atol=1e-2)
    assert np.abs(first[0] - first[1]).max() > 0.1


def test_small_weights_lead_to_one_geometry_and_large_ones_only_if_balanced(lessons):
    last = lessons["tree"].misfit.sel(bound="estimate").isel(moment=-1)
    small, large = last.sel(start="random").values
    assert small < 1e-4 < 0.01 < large
    assert last.sel(start="balanced", scale=3.0) < 0.2 * large
    rectified = lessons["rectified"].misfit.sel(bound="estimate", start="random")
    assert rectified.isel(moment=-1, scale=0) < rectified.isel(moment=-1, scale=1)


def test_the_misfits_of_every_two_networks():
    x = np.random.default_rng(0).normal(size=(3, 4, 9))
    found = development.misfits(x)
    np.testing.assert_allclose(found, found.T)
    assert np.diag(found).tolist() == [0, 0, 0]
    assert found[0, 1] == pytest.approx(misfit(x[0], x[1]))


@pytest.mark.parametrize(
    ("claim", "outcome"),
    [
        ("near", HOLDS),
        ("near-many", HOLDS),
        ("perfect-correlation", FAILS),
        ("correlations-stay", IN_PART),
        ("change-is-known", HOLDS),
        ("one-geometry", HOLDS),
        ("one-order", HOLDS),
        ("imbalance", HOLDS),
    ],
)
def test_claims_about_the_theory_are_judged(claim, outcome):
    claims = (*nearness.CLAIMS, *centring.CLAIMS, *beginnings.CLAIMS)
    (chosen,) = (c for c in claims if c.name == claim)
    found = chosen.judge(np.random.default_rng(11))
    assert found.outcome == outcome
    assert any(letter.isdigit() for letter in found.value)


def test_claims_about_the_theory_can_fail(monkeypatch):
    monkeypatch.setattr(nearness, "misfit", lambda x, y: 1.01 * gap(x, y))
    assert nearness.near(np.random.default_rng(0)).outcome == FAILS
    monkeypatch.setattr(
        nearness, "misfit", lambda x, y: gap(x, y) * 0.9 + 0.1 * least_misfit(gap(x, y))
    )
    assert nearness.near(np.random.default_rng(0)).outcome == IN_PART
    monkeypatch.setattr(nearness, "of_many", lambda networks: (0.2, 0.1, 0.3))
    assert nearness.many(np.random.default_rng(0)).outcome == FAILS
    monkeypatch.setattr(centring, "typical_change", lambda g, n: 2 * (1 - g**2) / n)
    assert centring.change_is_known(np.random.default_rng(0)).outcome == IN_PART
    monkeypatch.setattr(centring, "most_change", lambda g, reach: 0 * g)
    assert centring.change_is_known(np.random.default_rng(0)).outcome == FAILS
    monkeypatch.setattr(beginnings, "SCALES", (3.0,))
    assert beginnings.one_geometry(np.random.default_rng(0)).outcome == FAILS


# The study: do trained networks forget how they began?


def generator():
    return torch.Generator().manual_seed(0)


def population(shared, seed, n=4, units=60, images=40):
    """Networks whose units are random readings of geometries of their own, or of one."""
    rng = np.random.default_rng(seed)
    latent = np.stack(
        [rng.normal(size=(5, images))] * n if shared else rng.normal(size=(n, 5, images))
    )
    x = rng.normal(size=(n, units, 5)) @ latent + rng.normal(size=(n, units, images))
    return torch.tensor(x, dtype=torch.float32)


def test_the_halves_of_the_units_share_none():
    x = torch.arange(7.0).reshape(1, 7, 1)
    a, b = dynamics.halves(x, generator())
    assert a.shape == b.shape == (1, 3, 1)
    assert not set(a.flatten().tolist()) & set(b.flatten().tolist())


def test_networks_with_geometries_of_their_own_remember_them():
    x = population(shared=False, seed=0)
    own, others = dynamics.own_and_others(dynamics.memory(x, x, generator()))
    assert own.min() > 0.4
    assert np.abs(others).max() < 0.2


def test_a_draw_of_units_is_not_taken_for_a_memory():
    x = population(shared=True, seed=1)
    own, others = dynamics.own_and_others(dynamics.memory(x, x, generator()))
    assert np.abs(own - others).max() < 0.1  # with the same units, own would be 1
    assert np.diag(dynamics.cross_correlations(x, x)) == pytest.approx(1)


def test_networks_that_changed_altogether_remember_nothing():
    now, then = population(shared=True, seed=2), population(shared=False, seed=3)
    own, others = dynamics.own_and_others(dynamics.memory(now, then, generator()))
    assert np.abs(own - others).max() < 0.15


def test_correlations_across_sets_are_numpys():
    a, b = population(False, 4, n=2), population(False, 5, n=2)
    cells = [np.corrcoef(x.numpy().T)[np.tril_indices(x.shape[1], -1)] for x in (*a, *b)]
    expected = np.corrcoef(cells)[:2, 2:]
    np.testing.assert_allclose(dynamics.cross_correlations(a, b), expected, atol=1e-5)


def test_neighbours_are_compared_in_a_ring():
    x = population(False, 6, n=3)
    apart, left = dynamics.neighbours(x)
    assert len(apart) == len(left) == 3
    assert left[2] == pytest.approx(float(misfit(x[2].double().numpy(), x[0].double().numpy())))


def test_srm_that_projects_is_no_rotation_whose_changes_could_be_measured():
    x = population(True, 7, units=20)
    settings_ = Settings(5, True, "torch", 10, 0)
    found, expected = dynamics.moved(x, x, settings_)
    assert np.isnan(found).all()
    assert np.isnan(expected).all()
    found, expected = dynamics.moved(x, x, settings_._replace(n_components=None))
    assert (found < 1).all()
    assert (expected > 0).all()


def test_at_most_so_many_images_are_compared_and_evenly():
    assert dynamics.compared(10).tolist() == list(range(10))
    chosen = dynamics.compared(2000)
    assert len(np.unique(chosen)) == dynamics.IMAGES
    assert (chosen[0], chosen[-1]) == (0, 1999)


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    config = Config.from_preset("smoke", networks=3)
    output = tmp_path_factory.mktemp("runs")
    return study("dynamics", config, output=output), load_study(
        "dynamics", study_path("dynamics", config, output)
    )


def test_the_study_is_kept_and_read_again(answer):
    found, again = answer
    xr.testing.assert_identical(found, again)
    assert found.memory.dims == ("layer", "checkpoint", "network")
    assert found.likeness.dims == ("layer", "checkpoint", "network", "beginning")
    np.testing.assert_allclose(found.memory, found.own - found.others)
    np.testing.assert_allclose(
        found.memory.mean("network"), found.memory_interval.sel(bound="estimate")
    )
    low = least_misfit(found.gap.values)
    assert (found.misfit.values <= found.gap.values + TINY).all()
    assert (found.misfit.values >= low - TINY).all()
    assert found.nbytes < 300_000


def test_answers_of_the_earlier_rule_are_told(answer):
    found, _ = answer
    old = {"CIFAR": found.drop_vars("likeness")}
    assert dynamics_report.wide_sentence({"live": found}) == ""
    assert "intervals of *CIFAR* are" in dynamics_report.wide_sentence({"live": found, **old})


def remembered(*layers):
    """An answer with these intervals at the end, a layer each."""
    values = np.array([[(0.5, 0.4, 0.6), bounds] for bounds in layers])
    return xr.Dataset(
        {"memory_interval": (("layer", "checkpoint", "bound"), values)},
        {"layer": [str(i) for i in range(len(layers))], "bound": ["estimate", "low", "high"]},
    )


@pytest.mark.parametrize(
    ("layers", "outcome"),
    [
        ([(0.0, -0.05, 0.05), (0.08, 0.05, 0.1)], HOLDS),
        ([(0.0, -0.05, 0.05), (0.09, 0.05, 0.11)], IN_PART),
        ([(0.3, 0.2, 0.4), (0.09, 0.05, 0.11)], FAILS),
        ([(0.09, 0.05, 0.11)], UNDECIDED),
    ],
)
def test_the_claim_about_memory_is_judged_layer_by_layer(layers, outcome):
    found = dynamics.CLAIM.judge(remembered(*layers))
    assert found.outcome == outcome
    assert "layer 0" in found.value


# Figures and sentences.


def test_the_figure_of_near_rsms_shows_both_bounds_all_pairs_and_every_layer(answer):
    found, _ = answer
    pairs = nearness.draw_pairs(np.random.default_rng(0), n_pairs=4)
    figure = figures.near_rsms(pairs, {"live": found})
    upper, lower, *rest = figure.data
    np.testing.assert_allclose(upper.x, upper.y)
    np.testing.assert_allclose(lower.y, 1 - np.sqrt(1 - np.square(lower.x)), atol=1e-12)
    assert [t.name for t in rest[: len(KINDS)]] == list(KINDS)
    trained = rest[len(KINDS) :]
    assert [t.marker.symbol for t in trained] == ["diamond-open", "diamond"]
    np.testing.assert_allclose(trained[1].x, found.gap.sel(end="last checkpoint").mean("network"))
    assert "24 of 24" in figure.layout.title.text


def test_the_figure_of_moved_correlations_shows_what_was_found_on_what_was_expected():
    found = centring.random_changes(
        np.array([0.0, 0.5]), np.array([10, 100]), 500, np.random.default_rng(0)
    )
    line, dots, *_ = figures.moved_correlations(found).data
    np.testing.assert_allclose(line.y, (1 - np.square(line.x)) / 10)
    np.testing.assert_allclose(dots.y, found.sel(units=10))


def test_the_slider_shows_the_rsms_of_its_time(course):
    figure = figures.differentiation(course)
    assert [f.name for f in figure.frames] == [f"{t:g}" for t in course.time.values]
    *maps, now = figure.frames[-1].data
    for heatmap, panel in zip(maps, course.panel.values, strict=True):
        shown = course.rsm.isel(time=-1).sel(panel=panel)
        np.testing.assert_allclose(heatmap.z, shown, atol=1e-6)
    assert set(now.x) == {float(course.time[-1])}
    assert [type(t) for t in figure.data[:4]] == [type(t) for t in figure.frames[0].data]
    names = [t.name for t in figure.data if t.showlegend is not False and t.type == "scatter"]
    assert names == [
        "1 mode of strength 3.87",
        "1 mode of strength 2.65",
        "2 modes of strength 1.73",
        "4 modes of strength 1.00",
    ]


def test_the_menu_of_scales_shows_one_setting(lessons):
    figure = figures.scales(lessons)
    (menu,) = figure.layout.updatemenus
    assert [b.label for b in menu.buttons] == list(lessons)
    first = [t for t in figure.data if t.visible]
    assert len(first) == 2 + 3  # scales; before training, random and balanced at the end
    assert menu.buttons[1].args[0]["visible"].count(True) == 2 + 2
    end = lessons["tree"].misfit.isel(moment=-1).sel(start="random", bound="estimate")
    np.testing.assert_allclose(first[3].y, end)


def test_sentences_hold_the_numbers_of_the_results(answer, course, lessons):
    found, _ = answer
    tell = dynamics_report
    assert "89 %" in tell.cells_sentence(0.01, 1000, 2000)
    last = found.isel(layer=-1).sel(end="last checkpoint").mean("network")
    said = tell.near_sentence(found)
    assert f"It is {float(last.misfit):.3f}: one network, turned, leaves " in said
    assert f"leaves {200 * float(last.misfit):.0f} % of the other" in said
    table = tell.moved_table({"live": found}).splitlines()
    assert len(table) == 2 + found.sizes["layer"]
    assert "3 networks" in tell.development_sentence(course)
    assert "*rectified*" in tell.scales_sentence(lessons)
    assert "dense" in tell.memory_sentence(found)
    said = tell.memory_alt({"one": found, "another": found})
    assert said.count("from") == 2 * found.sizes["layer"]
    assert said.startswith("Curves over training. one: first pooling from ")
    assert ". another: first pooling from " in said
    assert list(tell.memory_curves(found)) == ["first pooling", "second pooling", "dense"]
    assert "3 networks" not in provenance_line(found)
    assert provenance_line(found).startswith("3 ConvNets on handwritten digits")
    title = tell.memory_title(remembered((0.0, -0.1, 0.1), (0.2, 0.1, 0.3)))
    assert title.startswith("Layers that begin with a geometry of their own: 2 of 2; ")
    assert title.endswith("nearer to their own beginning: 1")
