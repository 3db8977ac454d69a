import numpy as np
import pytest
import torch
from scipy import stats

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.errors import InputError
from shared_geometry.rsa import inter_rsms, within_rsms
from shared_geometry.theory.simulation import (
    CAUSES,
    EXACT,
    PUBLISHED,
    agreement,
    find_bases,
    similarity,
    simulate,
)
from shared_geometry.theory.toys import (
    CORNERS,
    SPREAD,
    TARGETS,
    draw_points,
    make_copies,
    permutations,
    rotations,
    train_toys,
    uneven_rotations,
)

SMALL = {"n_runs": 3, "n_copies": 4, "n_units": 20, "points": 15, "steps": 300}


@pytest.fixture(scope="module")
def toys():
    return train_toys(4, steps=600)


@pytest.fixture(scope="module")
def found():
    return simulate(**SMALL, noise=(0.0, 2.0, 30.0), side_runs=2, n_resamples=200)


def generator(name="test"):
    return torch_generator(0, name)


def test_points_lie_around_four_corners_and_opposite_corners_share_a_class():
    clouds = draw_points(5000, generator()).reshape(4, 5000, 2)
    np.testing.assert_allclose(clouds.mean(1), CORNERS, atol=0.02)
    np.testing.assert_allclose(clouds.std(1), SPREAD, atol=0.02)
    for corner, target in zip(CORNERS, TARGETS, strict=True):
        opposite = tuple(2 - c for c in corner)
        assert TARGETS[CORNERS.index(opposite)] == target
    assert np.mean(TARGETS) == 0.5


def test_toys_learn_what_no_linear_readout_can(toys):
    assert toys.accuracy.min() > 0.9
    y = np.repeat(TARGETS, 200)
    design = np.column_stack([draw_points(200, generator()).numpy(), np.ones(800)])
    weights = np.linalg.lstsq(design, y, rcond=None)[0]
    assert np.mean(np.round(design @ weights) == y) < 0.8


def test_a_toy_learns_alike_alone_and_in_company():
    alone, together = (train_toys(n, n_units=8, points=10, steps=60) for n in (1, 3))
    torch.testing.assert_close(alone.test[0], together.test[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(alone.alignment[0], together.alignment[0], rtol=0, atol=1e-4)
    assert (together.test[0] - together.test[1]).abs().max() > 0.05


@pytest.mark.parametrize("draw", [rotations, uneven_rotations, permutations])
def test_transformations_are_orthogonal(draw):
    q = draw(5, 8, generator())
    torch.testing.assert_close(q.mT @ q, torch.eye(8).double().expand(5, 8, 8))


def test_permutations_move_units_and_mix_none():
    q = permutations(5, 8, generator())
    assert ((q == 0) | (q == 1)).all()
    assert not (q[0] == q[1]).all()


def test_rotations_are_spread_evenly_and_the_authors_are_not():
    even, uneven = (draw(2000, 6, generator()).numpy() for draw in (rotations, uneven_rotations))
    # a coordinate of a uniform point on the sphere in n dimensions: (x + 1) / 2 is beta distributed
    marginal = stats.beta(2.5, 2.5, loc=-1, scale=2)
    assert stats.kstest(even[:, 2, 0], marginal.cdf).pvalue > 1e-3
    assert stats.kstest(uneven[:, 2, 0], marginal.cdf).pvalue < 1e-30
    assert np.abs(even.mean(0)).max() < 0.05
    assert np.abs(uneven.mean(0)).max() > 0.3


def test_copies_without_noise_are_the_network_turned(toys):
    q = rotations(3, 50, generator())
    copies = make_copies(toys, 1, q)
    torch.testing.assert_close(copies.q.mT @ copies.test, toys.test[[1] * 3])


def test_noise_is_relative_to_the_activity_and_each_copys_own(toys):
    q = rotations(200, 50, generator())
    quiet, noisy = (make_copies(toys, 0, q, noise=level) for level in (0.0, 0.5))
    added = noisy.test - quiet.test
    expected = 0.5 * toys.alignment[0].var(1).mean().sqrt()
    assert added.std().item() == pytest.approx(expected.item(), rel=0.01)
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.05


def test_one_procrustes_step_aligns_exact_copies_from_any_response():
    rng = np.random.default_rng(0)
    h, s = rng.normal(size=(2, 6, 30))
    copies = rotations(4, 6, generator()).numpy() @ h
    aligned = []
    for x in copies:
        u, _, vt = np.linalg.svd(x @ s.T)
        aligned.append((u @ vt).T @ x)
    for other in aligned[1:]:
        np.testing.assert_allclose(other, aligned[0], atol=1e-10)


@pytest.mark.parametrize("draw", [rotations, permutations])
def test_solved_exactly_the_agreement_is_one(toys, draw):
    copies = make_copies(toys, 0, draw(6, 50, generator()))
    np.testing.assert_allclose(agreement(similarity(copies, EXACT))[1], 1, atol=1e-4)


def test_the_published_recipe_is_brainiaks_own_fit_and_transform(toys):
    from brainiak.funcalign.srm import SRM

    copies = make_copies(toys, 2, rotations(4, 50, generator()))
    model = SRM(features=50, n_iter=10, rand_seed=0)
    model.fit([x.numpy() for x in copies.alignment])
    shared = np.stack(model.transform([x.numpy() for x in copies.test]))
    within, native, between = similarity(copies, PUBLISHED).numpy()
    np.testing.assert_allclose(between, inter_rsms(shared).mean(0), atol=1e-8)
    np.testing.assert_allclose(within, within_rsms(copies.test).mean(0), atol=1e-12)
    np.testing.assert_allclose(native, inter_rsms(copies.test).mean(0), atol=1e-12)


@pytest.mark.parametrize("reading", [PUBLISHED, EXACT, PUBLISHED._replace(step=True)])
def test_every_road_gives_orthogonal_bases(toys, reading):
    w = find_bases(make_copies(toys, 0, rotations(3, 50, generator())), reading)
    torch.testing.assert_close(w.mT @ w, torch.eye(50).double().expand(3, 50, 50))


def test_what_the_chapter_says_of_the_gap_is_so(toys):
    """Each cure named in the chapter closes the gap that it is said to close, and no other."""

    def shared(cause, draw):
        reading, _ = CAUSES[cause]
        runs = [similarity(make_copies(toys, r, draw(6, 50, generator(f"{r}"))), reading)
                for r in range(2)]  # fmt: skip
        return np.mean([agreement(rsms, ["pearson"])[1, 0] for rsms in runs])

    even = "rotations drawn uniformly"
    assert shared(even, rotations) < 0.98
    assert shared("as published", uneven_rotations) == pytest.approx(
        shared(even, rotations), abs=0.05
    )
    assert shared("30 iterations, not 10", rotations) < shared(even, rotations) + 0.01
    assert shared("unit means subtracted", rotations) > 0.995
    assert shared("one exact step more", rotations) > 0.995
    assert shared("cells are cosines", rotations) < 0.98
    assert shared(even, permutations) < 0.95
    assert shared("one exact step more", permutations) < 0.96
    assert shared("cells are cosines", permutations) > shared(even, permutations) + 0.03
    for draw in (rotations, permutations):
        assert shared("one exact step, cosines", draw) > 0.995
        assert shared("our solver, cosines", draw) > 0.9999


def test_the_simulation_has_named_dimensions_and_intervals_around_its_means(found):
    assert found.correlation.dims == ("reading", "transformation", "space", "measure", "run")
    assert found.rsm.shape == (2, 2, 3, 60, 60)
    for name, over in (("correlation", "run"), ("noisy", "noisy_run"), ("changed", "changed_run")):
        interval = found[f"{name}_interval"]
        mean = interval.sel(bound="estimate")
        np.testing.assert_allclose(mean, found[name].mean(over).transpose(*mean.dims))
        assert (interval.sel(bound="low") <= mean).all()
        assert (mean <= interval.sel(bound="high")).all()
    assert list(found.corner.values[[0, 15, 30, 45]]) == ["(2, 0)", "(0, 2)", "(2, 2)", "(0, 0)"]
    np.testing.assert_allclose(found.spectrum.sum("direction"), 1)


def test_noise_takes_the_agreement_from_one_to_nothing(found):
    means = found.noisy_interval.sel(bound="estimate")
    np.testing.assert_allclose(means.sel(noise=0.0, road=["shared", "true rotation"]), 1, atol=1e-4)
    assert (means.sel(road="shared").diff("noise") < 0).all()
    assert abs(means.sel(road="shared", noise=30.0)) < 0.2


def test_the_same_seed_gives_the_same_simulation(found):
    again = simulate(**SMALL, noise=(0.0, 2.0, 30.0), side_runs=2, n_resamples=200)
    other = simulate(**SMALL, noise=(0.0,), side_runs=2, n_resamples=200, seed=1)
    assert again.equals(found)
    assert not other.correlation.equals(found.correlation)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"n_runs": 1}, "n_runs=1"), ({"n_copies": 1}, "n_copies=1"), ({"steps": 0}, "steps=0"),
     ({"points": 0}, "points=0")],
)  # fmt: skip
def test_a_simulation_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        simulate(**{**SMALL, **wrong})
