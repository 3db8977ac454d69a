import math
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, optimize, spatial
from sklearn.cross_decomposition import CCA
from sklearn.neighbors import NearestNeighbors

from shared_geometry.errors import InputError
from shared_geometry.rsa import compare_rsms, inter_rsms, rsm, within_rsms
from shared_geometry.similarity.cca import canonical, correlations, leading, pwcca, svcca, whitening
from shared_geometry.similarity.comparison import MEASURES, compare, network
from shared_geometry.similarity.moments import (
    as_centred,
    debiased_cka,
    linear_cka,
    moments,
    mutual_neighbours,
    together,
)
from shared_geometry.similarity.shape import (
    angular_distance,
    matching_similarity,
    pair_geometry,
    permutation,
    procrustes_distance,
    rotation,
    shape_similarity,
    soft_matching_distance,
    transport,
)
from shared_geometry.srm import SRM
from shared_geometry.theory.identities import Identity, identity_table, related
from shared_geometry.theory.similarity_identities import ALL, identities
from shared_geometry.theory.similarity_invariances import SEEN, invariance_table, invariances
from shared_geometry.theory.toys import rotations


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.fixture
def pair():
    return related(generator(), units=8, images=60)


def centred(x):
    return x - x.mean(1, keepdim=True)


OF_MOMENTS = (linear_cka, debiased_cka, svcca, pwcca, shape_similarity, matching_similarity)


@pytest.mark.parametrize("measure", OF_MOMENTS)
def test_equal_networks_get_one_and_the_order_of_two_networks_does_not_matter(measure, pair):
    x, y = pair
    assert measure(moments(x, x)) == pytest.approx(1)
    assert measure(moments(x, y)) == pytest.approx(measure(moments(y, x)))
    assert 0 < measure(moments(x, y)) < 0.99


@pytest.mark.parametrize("measure", OF_MOMENTS)
def test_a_silent_network_is_like_nothing(measure, pair):
    assert measure(moments(pair[0], torch.ones_like(pair[1]))) == 0


def test_numpy_and_single_precision_give_the_same_numbers(pair):
    x, y = (a.numpy() for a in pair)
    expected = linear_cka(moments(*pair))
    assert linear_cka(moments(x, y)) == expected
    assert linear_cka(moments(x.astype("f4"), y.astype("f4"))) == pytest.approx(expected, abs=1e-6)


# CKA: explicit Gram matrices, and what chance makes of it.


def unbiased_hsic(k, l):  # noqa: E741
    """The estimator of Song et al. written with Gram matrices, without centring them."""
    m = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    one = np.ones(m)
    parts = np.trace(k @ l) + one @ k @ one * (one @ l @ one) / ((m - 1) * (m - 2))
    return (parts - 2 / (m - 2) * one @ k @ l @ one) / (m * (m - 3))


def test_debiased_cka_is_that_of_gram_matrices(pair):
    k, l = ((a.T @ a).numpy() for a in pair)  # noqa: E741
    expected = unbiased_hsic(k, l) / math.sqrt(unbiased_hsic(k, k) * unbiased_hsic(l, l))
    assert debiased_cka(moments(*pair)) == pytest.approx(expected, abs=1e-12)


def test_chance_lifts_cka_by_as_much_as_theory_says_and_debiased_cka_not():
    units, images = 50, 100
    draws = [moments(normal(units, images, seed=s), normal(units, images, seed=s + 100))
             for s in range(20)]  # fmt: skip
    assert np.mean([linear_cka(m) for m in draws]) == pytest.approx(
        units / (units + images), abs=0.01
    )
    assert abs(np.mean([debiased_cka(m) for m in draws])) < 0.01


# Canonical correlations: scikit-learn, and angles between subspaces.


def test_canonical_correlations_are_cosines_of_principal_angles(pair):
    m = moments(*pair)
    found = canonical(m.xy, whitening(m.xx)[0], whitening(m.yy)[0]).correlation
    angles = linalg.subspace_angles(*(centred(a).numpy().T for a in pair))
    np.testing.assert_allclose(found, np.cos(angles)[::-1], atol=1e-12)


def test_directions_and_held_out_correlations_are_those_of_scikit_learn(pair):
    x, y = pair
    new_x, new_y = x + normal(*x.shape, seed=5), y + normal(*y.shape, seed=6)
    oracle = CCA(3, tol=1e-13, max_iter=20_000).fit(x.T.numpy(), y.T.numpy())
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(
        *(z.T for z in oracle.transform(new_x.T.numpy(), new_y.T.numpy())), strict=True
    )]  # fmt: skip
    m = moments(x, y)
    found = canonical(m.xy, whitening(m.xx)[0], whitening(m.yy)[0])
    np.testing.assert_allclose(correlations(found, moments(new_x, new_y))[:3], expected, atol=1e-5)
    np.testing.assert_allclose(correlations(found, m), found.correlation, atol=1e-12)


def test_svcca_is_cca_of_the_principal_components_that_hold_the_variance(pair):
    components = []
    for x in pair:
        _, s, vt = np.linalg.svd(centred(x).numpy(), full_matrices=False)
        kept = np.searchsorted(np.cumsum(s**2) / np.sum(s**2), 0.9) + 1
        assert kept < len(s)
        components.append((s[:kept, None] * vt[:kept]).T)
    expected = np.cos(linalg.subspace_angles(*components))
    assert svcca(moments(*pair), keep=0.9) == pytest.approx(expected.mean())


def test_pwcca_weighs_directions_by_the_activity_of_units_along_them(pair):
    both = []
    for x, y in (pair, pair[::-1]):
        a, b = (np.linalg.svd(centred(z).numpy(), full_matrices=False)[2] for z in (x, y))
        u, rho, _ = np.linalg.svd(a @ b.T)
        weights = np.abs(centred(x).numpy() @ (u.T @ a).T).sum(0)
        both.append(np.sum(weights * rho) / weights.sum())
    assert pwcca(moments(*pair)) == pytest.approx(np.mean(both))


def test_directions_without_variance_are_left_out(pair):
    x, y = pair
    more = torch.cat([x, x[:2] + x[2:4], torch.ones(1, 60, dtype=x.dtype)])
    assert whitening(moments(more, y).xx)[0].shape == (11, 8)
    assert svcca(moments(more, y), keep=1.0) == pytest.approx(svcca(moments(x, y), keep=1.0))


def test_axes_are_counted_until_they_hold_the_variance():
    variance = torch.tensor([6.0, 3.0, 1.0]).double()
    assert [leading(variance, keep) for keep in (0.5, 0.6, 0.61, 0.9, 0.95, 1.0)] == [
        1,
        1,
        2,
        2,
        3,
        3,
    ]


# Shapes: SciPy's Procrustes and linear programmes.


def test_the_rotation_and_its_distance_are_those_of_scipy(pair):
    x, y = (centred(a).numpy() for a in pair)
    q, nuclear = linalg.orthogonal_procrustes(y.T, x.T)  # y.T @ q ~ x.T
    m = moments(*pair)
    np.testing.assert_allclose(rotation(m.xy), q.T, atol=1e-10)
    assert procrustes_distance(m) == pytest.approx(np.linalg.norm(x - q.T @ y))
    assert shape_similarity(m) == pytest.approx(nuclear / np.linalg.norm(x) / np.linalg.norm(y))
    standard = spatial.procrustes(x.T, y.T)[2]  # SciPy's own distance, of scaled shapes
    assert standard == pytest.approx(math.sin(angular_distance(m)) ** 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_the_distances_are_metrics(seed):
    draws = [
        torch.randn(4, 12, generator=generator(seed + i), dtype=torch.float64) for i in range(3)
    ]
    for distance in (angular_distance, procrustes_distance, soft_matching_distance):
        ab, bc, ac = (distance(moments(draws[i], draws[j])) for i, j in ((0, 1), (1, 2), (0, 2)))
        assert ac <= ab + bc + 1e-9
        assert distance(moments(draws[0], draws[0])) < 1e-6


def test_a_rotated_network_is_at_no_distance_and_so_is_one_with_silent_units(pair):
    x, _ = pair
    turned = rotations(1, len(x), generator(1))[0] @ x
    assert procrustes_distance(moments(x, turned)) < 1e-5
    assert matching_similarity(moments(x, turned)) < 0.9
    larger = torch.cat([turned, torch.zeros(3, x.shape[1], dtype=x.dtype)])
    for one, two in ((x, larger), (larger, x)):
        assert shape_similarity(moments(one, two)) == pytest.approx(1)


def test_the_permutation_is_the_best_of_all():
    x, y = related(generator(3), units=6, images=20)
    m = moments(x, y)
    best = max(permutations(range(6)), key=lambda p: float(m.xy[range(6), p].sum()))
    found = permutation(m.xy)
    np.testing.assert_array_equal(found, torch.eye(6, dtype=torch.float64)[list(best)])
    shuffled = x[list(best)]
    assert matching_similarity(moments(x, shuffled)) == pytest.approx(1)


@pytest.mark.parametrize(("n_x", "n_y"), [(4, 4), (4, 6), (5, 3)])
def test_soft_matching_is_the_optimum_of_the_linear_programme(n_x, n_y):
    x, y = normal(n_x, 15, seed=1), normal(n_y, 15, seed=2)
    cost = torch.cdist(centred(x), centred(y)).square().numpy()
    sums = [np.kron(np.eye(n_x), np.ones(n_y)), np.kron(np.ones(n_x), np.eye(n_y))]
    sides = np.concatenate([np.full(n_x, 1 / n_x), np.full(n_y, 1 / n_y)])
    optimum = optimize.linprog(cost.ravel(), A_eq=np.vstack(sums), b_eq=sides).fun
    m = moments(x, y)
    assert soft_matching_distance(m) ** 2 == pytest.approx(optimum)
    p = transport(m.xy)
    np.testing.assert_allclose(p.sum(1), 1 / n_x)
    np.testing.assert_allclose(p.sum(0), 1 / n_y)


def test_a_larger_class_of_maps_does_no_worse_on_the_images_of_the_fit():
    for seed in range(5):
        m = moments(*related(generator(seed)))
        assert matching_similarity(m) <= shape_similarity(m) + 1e-12


def test_two_networks_are_a_population_of_two(pair):
    x, y = (centred(a) for a in pair)
    model = SRM().fit([x, y])
    shared = torch.stack([w.T @ a for w, a in zip(model.w_, (x, y), strict=True)])
    expected = compare_rsms(within_rsms(torch.stack([x, y])).mean(0), inter_rsms(shared).mean(0))
    assert pair_geometry(x, y, rotation(x @ y.T)) == pytest.approx(expected, abs=1e-9)


# Neighbours.


def test_neighbours_are_those_of_scikit_learn():
    x, y = normal(5, 40, seed=1), normal(7, 40, seed=2)
    sets = [
        NearestNeighbors(n_neighbors=6, metric="cosine").fit(z.T).kneighbors(return_distance=False)
        for z in (x, y)
    ]
    expected = np.mean([len(set(a) & set(b)) / 6 for a, b in zip(*sets, strict=True)])
    cosines = [rsm(z, centre=False) for z in (x, y)]
    assert mutual_neighbours(*cosines, k=6) == pytest.approx(expected)
    assert mutual_neighbours(*cosines, k=39) == 1
    whole = [(1000 * r).round() for r in cosines]
    counted = mutual_neighbours(*(r.long() for r in whole), k=6)
    assert counted == mutual_neighbours(*whole, k=6)


def test_unrelated_networks_agree_on_as_many_neighbours_as_chance_says():
    draws = [
        mutual_neighbours(rsm(normal(9, 60, seed=s)), rsm(normal(9, 60, seed=s + 50)), 10)
        for s in range(30)
    ]
    assert np.mean(draws) == pytest.approx(10 / 59, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: moments(normal(3, 9), normal(3, 8)), "9 images and the other 8"),
        (lambda: moments(normal(3, 9) / 0, normal(3, 9)), "NaN or infinite"),
        (lambda: moments(normal(3), normal(3)), r"shape \(3,\)"),
        (lambda: debiased_cka(moments(normal(3, 3), normal(3, 3))), "3 images are too few"),
        (lambda: svcca(moments(normal(3, 9), normal(3, 9)), keep=0), "keep=0"),
        (lambda: permutation(normal(3, 4)), "3 and 4 units have no permutation"),
        (lambda: moments(1e160 * normal(3, 9), normal(3, 9)), "activity is too large"),
        (
            lambda: moments(1e-160 * normal(3, 9), normal(3, 9)),
            "activity of network 0 is too small",
        ),
        (lambda: mutual_neighbours(normal(4, 4), normal(4, 4), 4), "k=4 neighbours of 4"),
        (lambda: mutual_neighbours(normal(4, 4), normal(5, 5)), "of the same images"),
        (lambda: mutual_neighbours(normal(5, 5) * np.nan, normal(5, 5), 3), "or NaN"),
        (lambda: mutual_neighbours(normal(5, 5) * 1j, normal(5, 5), 3), "complex numbers"),
        (lambda: as_centred(normal(3, 4).numpy()), "float64 of shape .3, 4. came"),
        (lambda: as_centred(normal(2, 3, 4)), "expected a tensor in floating point"),
        (
            lambda: together(as_centred(normal(3, 9)), as_centred(normal(3, 9).float())),
            "torch.float64 and the other torch.float32",
        ),
        (
            lambda: compare(*(network(normal(n, 40), normal(n, 20)) for n in (6, 5))),
            "networks of 6 and 5 units",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


# Identities and invariances.


@pytest.mark.parametrize("seed", range(3))
def test_every_identity_is_true_and_needs_its_condition(seed):
    found = identities(seed)
    assert len(found) == len(ALL)
    assert max(row.error for row in found) < 1e-12
    assert min(row.then for row in found) > 1e-4
    assert identity_table(found).count("\n") == len(ALL) + 1


@pytest.mark.parametrize(("error", "then"), [(1e-9, 0.1), (math.nan, 0.1), (0.0, 1e-8)])
def test_a_false_identity_or_an_idle_condition_stops_the_page(error, then):
    with pytest.raises(ArithmeticError, match="one is two"):
        identity_table([Identity("one is two", "never", error, "ever", then)])


BLIND = {  # beyond the order of units, which none sees
    "corr(wRSM, iRSM)": {"scale"},
    "variance explained": {"rotation", "constant added to units"},
    "RSA, Pearson": {"scale"},
    "RSA, Spearman": {"scale"},
    "RSA, Kendall": {"scale"},
    "neighbours": {"scale"},
    "CKA": {"rotation", "scale", "constant added to units"},
    "CKA, debiased": {"rotation", "scale", "constant added to units"},
    "SVCCA": {"rotation", "scale", "constant added to units"},
    "PWCCA": {"scale", "constant added to units"},
    "rotation": {"rotation", "scale", "constant added to units"},
    "permutation": {"scale", "constant added to units"},
}


def test_every_measure_is_blind_to_what_its_equation_says_and_to_nothing_else():
    moved = invariances(0)
    for name in MEASURES:
        found = {change for change, by in moved.by.items() if by[name] < SEEN}
        assert found == BLIND[name] | {"order of units"}, name
    table = invariance_table(moved)
    same = sum(len(blind) + 1 for blind in BLIND.values())
    assert table.count("| same ") == same
    cells = [c for row in table.splitlines()[2:14] for c in row.split("|")[2:-1]]
    assert sum(0 < float(c) < 10 for c in cells if "same" not in c) == 60 - same


def test_mean_canonical_correlation_is_blind_to_every_invertible_map(pair):
    x, y = pair
    changed = normal(8, 8, seed=4) @ y + normal(8, 1, seed=5)
    expected = svcca(moments(x, y), keep=1.0)
    assert svcca(moments(x, changed), keep=1.0) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [linear_cka, debiased_cka, angular_distance, shape_similarity])
@pytest.mark.parametrize("scale", [1e-140, 1e-70, 1e70, 1e140])
def test_a_measure_without_unit_has_the_same_value_at_every_scale(measure, scale):
    x, y = normal(5, 30), normal(6, 30, seed=1)
    y[:5] += x
    assert measure(moments(scale * x, scale * y)) == pytest.approx(measure(moments(x, y)))
    assert measure(moments(x, y / scale)) == pytest.approx(measure(moments(x, y)))


@pytest.mark.parametrize(("n_x", "n_y"), [(3, 5), (12, 9), (97, 101), (64, 10)])
def test_a_transport_is_the_best_soft_permutation(n_x, n_y):
    xy = normal(n_x, n_y)
    p = transport(xy)
    np.testing.assert_allclose(p.sum(1), 1 / n_x, atol=1e-9)
    np.testing.assert_allclose(p.sum(0), 1 / n_y, atol=1e-9)
    assert p.min() >= -1e-12
    np.testing.assert_allclose(transport(xy.T), p.T, atol=1e-9)
    copies = math.lcm(n_x, n_y)
    if copies < 100:  # a matching of copies of the units does as well
        many = xy.repeat_interleave(copies // n_x, 0).repeat_interleave(copies // n_y, 1)
        best = many[optimize.linear_sum_assignment(many.numpy(), maximize=True)].mean()
        assert float((p * xy).sum()) == pytest.approx(best.item())
    for _ in range(20):  # no other soft permutation does better
        other = torch.ones(n_x, n_y, dtype=xy.dtype)
        other *= torch.rand(n_x, n_y, dtype=xy.dtype)
        for _ in range(200):
            other /= other.sum(1, keepdim=True) * n_x
            other /= other.sum(0, keepdim=True) * n_y
        assert (p * xy).sum() > (other * xy).sum()
