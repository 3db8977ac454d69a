import numpy as np
import pytest
import torch
from scipy.stats import ortho_group

from shared_geometry.experiment.analysis import (
    Activity,
    Settings,
    analyse_layer,
    class_patterns,
    fit,
    share_intervals,
    variance_explained,
)
from shared_geometry.experiment.controls import relabelled_channels, shuffled_control
from shared_geometry.experiment.shared_space import centred, stacked
from shared_geometry.networks.activations import standardise
from shared_geometry.rsa import class_rsm, correlation, inter_rsms, lower_triangle, within_rsms

N, UNITS, CLASSES = 4, 30, 5
SETTINGS = Settings(n_components=None, centre=True, solver="torch", n_resamples=200, seed=0)
IMAGES = torch.arange(0, 40, 4)


def population(noise, *, rotate=True, seed=0, offset=0.0):
    """Networks that see one shared response through rotations of their own, plus noise."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(UNITS, CLASSES))
    labels = np.sort(np.arange(240) % CLASSES)
    shared = centres[:, labels] + 0.5 * rng.normal(size=(UNITS, 240))
    q = ortho_group.rvs(UNITS, size=N, random_state=rng) if rotate else [np.eye(UNITS)] * N
    x = np.stack([qi @ shared for qi in q]) + noise * rng.normal(size=(N, UNITS, 240)) + offset
    order = rng.permutation(240)
    held_out = np.sort(order[:40])
    parts = x[..., order[40:]], x[..., held_out], labels[held_out]
    return Activity(*(torch.from_numpy(np.ascontiguousarray(part)) for part in parts))


def test_rotated_copies_are_aligned_exactly_and_look_alike():
    found = analyse_layer(population(0.0), IMAGES, None, SETTINGS)
    shared, native = found["geometry_current"][1][1, 0], found["geometry_current"][1][0, 0]
    # not exactly 1: a Pearson correlation takes off a mean over units, which a rotation moves
    assert shared == pytest.approx(1, abs=0.03)
    assert native < 0.5
    torch.testing.assert_close(
        found["consistency_pairs"], torch.ones(2, N, N).double(), atol=0.06, rtol=0
    )
    _, corrected, left_out, unaligned = found["variance"].mean(1)
    assert corrected == pytest.approx(1, abs=1e-6)
    assert left_out == pytest.approx(1, abs=1e-6)
    assert unaligned < 0.4  # S holds a quarter of the network itself


def test_no_interval_of_a_share_reaches_beyond_one():
    some, rng = population(0.05), np.random.default_rng(2)
    noise = torch.tensor([0.0, 0.0, 3.0])[:, None, None]  # so that shares differ

    def spoiled(x):
        return x[:3] + noise * torch.from_numpy(rng.normal(size=x[:3].shape))

    three = Activity(spoiled(some.alignment), spoiled(some.held_out), some.labels)
    high = analyse_layer(three, IMAGES, None, SETTINGS)["variance_interval"][:, 2]
    assert high.max() == 1


def test_two_networks_which_explain_each_other_alike_leave_their_shares_open():
    some = population(0.3)
    pair = Activity(some.alignment[:2], some.held_out[:2], some.labels)
    found = analyse_layer(pair, IMAGES, None, SETTINGS)
    estimate, low, high = found["variance_interval"].T
    torch.testing.assert_close(estimate, found["variance"].mean(1))
    assert low.tolist() == [0, 0, -3, 0]
    assert high.tolist() == [1] * 4
    assert found["consistency"][:, 1:].tolist() == [[-1, 1]] * 2


def test_networks_of_pure_noise_share_nothing():
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(size=(N, UNITS, 600)))
    activity = Activity(x[..., 100:], x[..., :100], torch.arange(100) % CLASSES)
    found = analyse_layer(activity, IMAGES, None, SETTINGS)
    assert found["variance"][2].max() < 0.02
    assert found["geometry_current"][1, 1, 0].abs() < 0.1
    assert found["variance"][1].min() > found["variance"][2].max() + 0.1  # S holds network i


def test_shuffled_images_leave_nothing_to_align():
    control = shuffled_control(population(0.1), SETTINGS)
    real = analyse_layer(population(0.1), IMAGES, None, SETTINGS)
    assert control["control_variance"][2].max() < 0.1
    assert real["variance"][2].min() > 0.8


def test_channels_in_a_random_order_say_what_chance_does_in_native_space():
    rng = np.random.default_rng(4)
    spread = torch.from_numpy(rng.normal(size=(2, 40)))  # two dimensions: chance does much
    x = torch.from_numpy(rng.normal(size=(N, UNITS, 2))) @ spread
    activity = Activity(x, x, torch.arange(40) % CLASSES)
    draws = relabelled_channels(activity, SETTINGS, n_draws=40)
    assert draws.abs().max() > 0.3
    same = Activity(x[:1].expand(N, -1, -1), x[:1].expand(N, -1, -1), activity.labels)
    real = analyse_layer(same, IMAGES, None, SETTINGS)["geometry_current"][0, 0, 0]
    draws = relabelled_channels(same, SETTINGS, n_draws=40)
    assert real > draws.max()  # units that do correspond stand out


def convolved(seed, drawn, channels=6, places=20, images=20):
    """Networks whose channels look for random features at the same places of the same images."""
    rng = np.random.default_rng(seed)
    patches = rng.normal(size=(4, places, images))
    filters = rng.normal(size=(N, channels, 4))
    x = np.maximum(np.einsum("ncd,dpi->ncpi", filters, patches), 0)
    units = [np.sort(rng.permutation(channels * places)[:drawn]) for _ in range(N)]
    x = np.stack([xi.reshape(channels * places, images)[u] for xi, u in zip(x, units, strict=True)])
    return standardise(torch.from_numpy(x)), torch.from_numpy(np.stack(units)) // places


def outside_the_control(drawn, by_channel, populations=40, n_draws=39):
    """Populations whose native corr(wRSM, iRSM) is outside the range of its draws; 2 expected."""
    found = 0
    for seed in range(populations):
        x, channels = convolved(seed, drawn)
        activity = Activity(x, x, torch.zeros(x.shape[-1]))
        real = correlation(*(lower_triangle(r(x)).mean(0) for r in (within_rsms, inter_rsms)))
        given = channels if by_channel else None
        draws = relabelled_channels(activity, SETTINGS, given, n_draws)
        found += bool(not draws.min() <= real <= draws.max())
    return found


@pytest.mark.parametrize("drawn", [120, 70])
def test_the_order_in_which_channels_come_is_one_of_many(drawn):
    assert outside_the_control(drawn, by_channel=True) <= 6  # 7 or more: 3 times in 1000


def test_the_order_in_which_units_come_is_not():
    assert outside_the_control(120, by_channel=False) >= 15


def test_units_of_a_channel_stay_together_and_in_their_order():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 6, 20)))
    channels = torch.tensor([[0, 0, 0, 2, 2, 2], [1, 1, 1, 1, 1, 1]])
    activity = Activity(x, x, torch.zeros(20))
    within = lower_triangle(within_rsms(x).mean(0))
    swapped = torch.stack([x[0].roll(3, 0), x[1]])
    possible = [correlation(within, lower_triangle(inter_rsms(y).mean(0))) for y in (x, swapped)]
    draws = relabelled_channels(activity, SETTINGS, channels, 20)
    near = torch.isclose(draws[:, None], torch.stack(possible))
    assert near.any(0).all()
    assert near.any(1).all()


def test_more_noise_means_less_variance_explained():
    means = [
        analyse_layer(population(noise), IMAGES, None, SETTINGS)["variance"][2].mean()
        for noise in (0.0, 0.3, 1.0, 3.0)
    ]
    assert means == sorted(means, reverse=True)


def test_published_variance_is_the_formula_of_the_authors_code():
    activity = population(0.5, offset=0.7)
    model = fit(activity.alignment, SETTINGS)
    x = activity.held_out.numpy()
    w = np.stack([np.asarray(wi) for wi in model.w_])
    s = np.mean([wi.T @ xi for wi, xi in zip(w, x, strict=True)], axis=0)
    expected = [1 - np.mean((xi - wi @ s) ** 2) / np.var(xi) for wi, xi in zip(w, x, strict=True)]
    found = variance_explained(model, activity.alignment, activity.held_out)
    np.testing.assert_allclose(found[0], expected, rtol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_of_a_network_that_does_not_vary_no_part_is_explained(dtype, value):
    activity = Activity(*population(0.5))
    alignment, held_out = (x.to(dtype) for x in activity[:2])
    alignment[1] = held_out[1] = torch.linspace(-value, value, UNITS)[:, None]
    model = fit(alignment, SETTINGS)
    found = variance_explained(model, alignment, held_out)
    assert found[1:, 1].isnan().all()
    assert found[:, [0, 2, 3]].isfinite().all()
    score = model.score(list(held_out), per_network=True)
    assert score.isnan().tolist() == [False, True, False, False]
    assert np.isfinite(model.score(list(held_out)))


def test_what_hardly_varies_is_still_explained():
    activity = population(0.5)
    offset = torch.arange(1.0, UNITS + 1)[:, None] * 1e3
    alignment, held_out = ((x + offset).float() for x in activity[:2])
    found, plain = (
        variance_explained(fit(a, SETTINGS), a, h) for a, h in ((alignment, held_out), activity[:2])
    )
    torch.testing.assert_close(found[1:], plain[1:], atol=1e-2, rtol=0)


def test_left_out_variance_uses_nothing_of_the_network_it_explains():
    activity = population(0.5)
    model = fit(activity.alignment, SETTINGS)
    found = variance_explained(model, activity.alignment, activity.held_out)[2]
    y = [(x - x.mean(1, keepdims=True)) for x in activity.alignment.numpy()]
    means = [x.mean(1, keepdims=True) for x in activity.alignment.numpy()]
    z = [x - m for x, m in zip(activity.held_out.numpy(), means, strict=True)]
    w = [np.asarray(wi) for wi in model.w_]
    for i in range(N):
        others = [j for j in range(N) if j != i]
        s = np.mean([w[j].T @ y[j] for j in others], axis=0)
        u, _, vt = np.linalg.svd(y[i] @ s.T, full_matrices=False)
        target = np.mean([w[j].T @ z[j] for j in others], axis=0)
        expected = 1 - np.sum((z[i] - u @ vt @ target) ** 2) / np.sum(z[i] ** 2)
        assert found[i].item() == pytest.approx(expected, rel=1e-6)


def test_without_centring_both_readings_are_one():
    settings = SETTINGS._replace(centre=False)
    found = analyse_layer(population(0.3, offset=1.0), IMAGES, None, settings)
    for name in ("geometry_current", "rsm_class", "rsm_image"):
        torch.testing.assert_close(found[name][0], found[name][1])


def test_the_last_checkpoint_is_its_own_reference():
    activity = population(0.3)
    last = analyse_layer(activity, IMAGES, None, SETTINGS)
    torch.testing.assert_close(last["geometry_final"], last["geometry_current"])
    earlier = analyse_layer(population(1.0, seed=3), IMAGES, last["within"], SETTINGS)
    assert (earlier["geometry_final"] < earlier["geometry_current"])[:, 1, 0].all()


def test_class_patterns_keep_the_distances_between_class_means():
    activity = population(0.2)
    patterns = class_patterns(activity.held_out, activity.labels, n_axes=UNITS)
    means = torch.stack(
        [activity.held_out[..., activity.labels == c].mean(-1) for c in range(CLASSES)], 1
    )
    torch.testing.assert_close(
        torch.cdist(patterns[0], patterns[0]), torch.cdist(means[0], means[0])
    )


def test_turning_all_networks_alike_does_not_move_the_class_patterns():
    activity = population(0.2)
    q = torch.from_numpy(ortho_group.rvs(UNITS, random_state=5))
    torch.testing.assert_close(
        class_patterns(activity.held_out, activity.labels),
        class_patterns(q @ activity.held_out, activity.labels),
    )


# Each number from its own reading, space and seed.


def test_the_final_geometry_of_each_reading_is_compared_with_its_own():
    now, then = population(0.4, offset=2.0), population(0.2, seed=1, offset=2.0)
    final = analyse_layer(then, IMAGES, None, SETTINGS)["within"]
    found = analyse_layer(now, IMAGES, final, SETTINGS)
    alone = analyse_layer(now, IMAGES, None, SETTINGS)
    assert not torch.allclose(found["geometry_final"], found["geometry_current"])
    torch.testing.assert_close(alone["geometry_final"], alone["geometry_current"])
    means = stacked(fit(now.alignment, SETTINGS).mean_)
    for reading, x in enumerate((now.held_out, centred(now.held_out, means))):
        between = lower_triangle(inter_rsms(x).mean(0))
        expected = correlation(final[reading].mean(0), between)
        assert found["geometry_final"][reading, 0, 0] == pytest.approx(float(expected), abs=1e-9)


def test_cells_are_cosines_where_settings_say_so_and_means_of_classes_keep_their_sides():
    it = population(0.4, offset=1.0)
    how = SETTINGS._replace(correlate=False)
    for settings, centre in ((SETTINGS, True), (how, False)):
        found = analyse_layer(it, IMAGES, None, settings)
        native = inter_rsms(it.held_out, centre=centre).mean(0)
        torch.testing.assert_close(found["rsm_image"][0, 1], native[IMAGES][:, IMAGES])
        torch.testing.assert_close(found["rsm_class"][0, 1], class_rsm(native, it.labels))
        assert not torch.allclose(found["rsm_class"][0, 1], found["rsm_class"][0, 1].mT)


def test_the_solver_that_settings_name_fits():
    it = population(0.2)
    assert fit(it.alignment, SETTINGS).backend == "torch"
    pytest.importorskip("brainiak")
    assert fit(it.alignment, SETTINGS._replace(solver="brainiak-det")).backend == "brainiak-det"


def test_class_patterns_do_not_move_with_all_networks():
    x, labels = torch.randn(3, 6, 20, dtype=torch.float64), torch.arange(20) % 4
    offset = torch.randn(6, 1, dtype=torch.float64)
    torch.testing.assert_close(class_patterns(x + offset, labels), class_patterns(x, labels))


def test_intervals_follow_the_seed_and_shares_may_lie_below_zero():
    it = population(0.6)
    one, other = (
        analyse_layer(it, IMAGES, None, SETTINGS._replace(seed=seed, n_resamples=50))
        for seed in (0, 1)
    )
    assert not torch.equal(one["consistency"], other["consistency"])
    assert not torch.equal(one["variance_interval"], other["variance_interval"])
    below = share_intervals(torch.tensor([[-1.5, -0.5, -1.0]], dtype=torch.float64), SETTINGS)
    assert below[0, 0] == -1
    assert below[0, 1] < -1 < below[0, 2]


def test_the_control_does_not_depend_on_the_means_of_units():
    it, offset = population(0.3), 3 * torch.randn(N, UNITS, 1, dtype=torch.float64)
    moved = Activity(it.alignment + offset, it.held_out + offset, it.labels)
    one, other = (shuffled_control(x, SETTINGS)["control_geometry"] for x in (it, moved))
    torch.testing.assert_close(one, other)
