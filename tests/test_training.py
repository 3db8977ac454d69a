import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from shared_geometry.basics.devices import flushes_subnormals
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.datasets import Dataset, Images, load_dataset, normalise
from shared_geometry.errors import DataError, InputError, SetAside
from shared_geometry.networks.architectures import build_network
from shared_geometry.training import (
    checkpoint_path,
    load_checkpoint,
    optimisers,
    recipe,
    train,
    train_network,
    train_population,
    trainer,
    training_cost,
    training_digest,
)
from shared_geometry.training.checkpoints import history_path, load_history, state_path
from shared_geometry.training.lockstep import Lockstep
from shared_geometry.training.recipes import Plateau, learning_rate
from shared_geometry.training.supply import Supply, augment

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data():
    """Digits, few enough for an epoch to take a tenth of a second."""
    whole = load_dataset("digits", train_images=150)
    test = Images(whole.test.images[:60], whole.test.labels[:60])
    return replace(whole, test=test)


FAST = recipe("fast", "convnet", epochs=2, batch_size=32, checkpoints=(0, 0.5, 1, 2))


def _train(data, folder, *, how=FAST, n=2, architecture="convnet", **changes):
    arguments = {"n_networks": n, "seed": 0, "folder": folder, "device": "cpu"} | changes
    return train_population(data, architecture, how, **arguments)


def _weights(folder, network, how=FAST):
    return [load_checkpoint(folder, network, epoch) for epoch in how.checkpoints]


def _same(first, second):
    return all(
        a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
        for a, b in zip(first, second, strict=True)
    )


@pytest.fixture(scope="module")
def population(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("population")
    return folder, _train(data, folder, workers=1)


# --- recipes -------------------------------------------------------------------------------------


def test_the_paper_recipes_are_those_of_the_paper():
    convnet, resnet = recipe("paper", "convnet"), recipe("paper", "resnet18")
    assert (convnet.optimiser, convnet.learning_rate, convnet.decay) == ("rmsprop", 1e-4, 1e-6)
    assert (convnet.epochs, convnet.batch_size, convnet.least_rate) == (50, 32, 1e-5)
    assert (convnet.shift, convnet.flip, convnet.l2) == (0, False, 0)
    assert (resnet.optimiser, resnet.learning_rate, resnet.l2) == ("adam", 1e-3, 1e-4)
    assert (resnet.epochs, resnet.batch_size, resnet.least_rate) == (100, 32, 0.5e-6)
    assert (resnet.shift, resnet.flip) == (0.1, True)
    for how in (convnet, resnet):
        assert (how.factor, how.patience, how.epsilon) == (math.sqrt(0.1), 5, 1e-7)
    paper = {0, 1, 2, 4, 6, 9, 14, 21, 32, 50}
    assert {c for c in convnet.checkpoints if c == int(c)} == paper
    paper = {0, 1, 2, 3, 5, 8, 13, 22, 36, 60, 100}
    assert {c for c in resnet.checkpoints if c == int(c)} == paper


@given(st.sampled_from(["convnet", "resnet18"]), st.integers(1, 400))
@settings(deadline=None)
def test_checkpoints_rise_from_the_untrained_network_to_the_last_epoch(architecture, epochs):
    checkpoints = recipe("fast", architecture, epochs=epochs).checkpoints
    assert list(checkpoints) == sorted(set(checkpoints))
    assert (checkpoints[0], checkpoints[-1]) == (0, epochs)
    assert sum(0 < c < 1 for c in checkpoints) == 5


@given(st.sampled_from(["fast", "paper"]), st.sampled_from(["convnet", "resnet18"]),
       st.integers(10, 60_000))  # fmt: skip
@settings(deadline=None)
def test_no_two_checkpoints_are_one_network_and_each_says_when_it_was(name, architecture, n):
    how = recipe(name, architecture).told_apart(n)
    steps = list(how.checkpoint_steps(n).values())
    assert len(set(steps)) == len(steps)
    assert (how.checkpoints[0], how.checkpoints[-1]) == (0, how.epochs)
    at = np.array(steps) / how.steps_per_epoch(n)
    np.testing.assert_allclose(how.checkpoints, at, atol=0.0051)


def test_of_many_images_checkpoints_are_the_recipe_s_own():
    for name in ("fast", "paper"):
        for architecture in ("convnet", "resnet18"):
            assert recipe(name, architecture).told_apart(50_000) == recipe(name, architecture)
    assert recipe("fast", "convnet").told_apart(1000).checkpoints[:4] == (0, 0.14, 0.57, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "slow"}, "recipe='slow' is not allowed: fast or paper"),
        ({"architecture": "vgg"}, "architecture='vgg' is not allowed"),
        ({"epochs": 0}, "epochs=0 is not allowed: a whole number, 1 or more"),
        ({"epochs": -3}, "epochs=-3"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"epochs": True}, "epochs=True"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0}, "learning_rate=0 is not allowed: a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"checkpoints": (1, 0)}, "rising order"),
        ({"checkpoints": ()}, "rising order"),
        ({"checkpoints": (0, 99)}, "between 0 and 8"),
        ({"checkpoints": (-1, 2)}, "between 0 and 8"),
        ({"checkpoints": (0, float("nan"))}, "between 0 and 8"),
    ],
)
def test_a_bad_recipe_is_refused_in_one_sentence(fields, message):
    with pytest.raises(InputError) as caught:
        recipe(**({"name": "fast", "architecture": "convnet"} | fields))
    assert message in str(caught.value)


@given(st.lists(st.floats(0, 3).map(lambda v: round(v, 3)), min_size=1, max_size=60))
@settings(deadline=None)
def test_the_plateau_is_torch_s_with_keras_s_count_of_epochs(losses):
    how = recipe("paper", "convnet")
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=how.learning_rate)
    # torch lowers the rate after more than `patience` bad epochs, Keras after `patience`
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, "min", how.factor, how.patience - 1, 1e-4, "abs", 0, how.least_rate, eps=0
    )
    plateau = Plateau(how.learning_rate)
    for loss in losses:
        plateau = plateau.after(loss, how)
        oracle.step(loss)
        assert math.isclose(plateau.rate, optimiser.param_groups[0]["lr"], rel_tol=1e-12)


@pytest.mark.parametrize("n_steps", [1, 2, 7, 500])
def test_one_cycle_rises_to_its_peak_and_falls_to_almost_nothing(n_steps):
    how = recipe("fast", "convnet")
    rates = [learning_rate(how, step, n_steps, Plateau(1.0)) for step in range(n_steps)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < min(rates) <= max(rates) <= how.learning_rate
    if n_steps == 500:
        assert top == pytest.approx(how.warm_up * n_steps, abs=1)
        assert max(rates) == how.learning_rate
        assert rates[-1] < 0.01 * how.learning_rate


def test_the_paper_s_rate_decays_with_every_step():
    how = recipe("paper", "convnet")
    assert learning_rate(how, 0, 100, Plateau(3e-5)) == 3e-5
    assert learning_rate(how, 10**6, 10**7, Plateau(3e-5)) == pytest.approx(1.5e-5)


@given(n=st.integers(2, 500), batch=st.integers(1, 200), drop=st.booleans())
@settings(deadline=None)
def test_an_epoch_sees_every_image_but_a_remainder_that_is_left_out(n, batch, drop):
    how = replace(FAST, batch_size=batch, drop_last=drop)
    steps = how.steps_per_epoch(n)
    sizes = [len(part) for part in torch.arange(n).split(batch)][:steps]
    left_out = n - sum(sizes)
    assert len(sizes) == steps >= 1
    assert left_out <= (min(batch, n) - 1 if drop else 1)


def test_a_checkpoint_within_an_epoch_lies_at_its_step_and_never_before_the_first():
    how = replace(FAST, batch_size=128, drop_last=True, checkpoints=(0.0, 0.001, 0.5, 1.0, 8.0))
    assert list(how.checkpoint_steps(50_000).values()) == [0, 1, 195, 390, 3120]


# --- images on their way to the network ----------------------------------------------------------


def alone(supply, indices, how, name):
    """A batch of one network."""
    images, labels = supply.batch(indices[None], how, [torch_generator(0, name)])
    return images[0], labels[0]


def test_images_are_normalised_as_in_the_paper(data):
    supply = Supply(data, CPU)
    how = replace(FAST, flip=False)
    indices = torch.tensor([5, 0, 77])
    images, labels = alone(supply, indices, how, "x")
    raw = data.train.images.numpy().astype(np.float64)
    expected = (raw[indices] - raw.mean(0)) / 128
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-6)
    assert torch.equal(labels, data.train.labels[indices])
    test = torch.cat([images for images, _ in supply.test_batches(7)]).numpy()
    np.testing.assert_allclose(test, (data.test.images.numpy() - raw.mean(0)) / 128, atol=1e-6)


def test_shifts_are_scipy_s_with_repeated_borders():
    images = torch.randn(40, 3, 20, 20, generator=torch_generator(0, "images"))
    draws = torch.rand(3, 40, generator=torch_generator(0, "augment"))
    found = augment(images, 0.1, True, draws).numpy()
    mirrored = 0
    for image, mine, (flip, x, y) in zip(images.numpy(), found, draws.T.numpy(), strict=True):
        dx, dy = (2 * x - 1) * 0.1 * 20, (2 * y - 1) * 0.1 * 20
        source = image[..., ::-1] if flip < 0.5 else image
        dx = -dx if flip < 0.5 else dx
        moved = scipy.ndimage.shift(source, (0, -dy, -dx), order=1, mode="nearest")
        np.testing.assert_allclose(mine, moved, atol=2e-4)
        mirrored += flip < 0.5
    assert 8 < mirrored < 32


@pytest.mark.parametrize(("shift", "most"), [(0.125, 2), (0.1, 2), (0.05, 1)])
def test_shifts_by_whole_pixels_are_rolls_with_repeated_borders(shift, most):
    images = torch.randn(300, 3, 20, 16, generator=torch_generator(0, "images"))
    draws = torch.rand(3, 300, generator=torch_generator(0, "augment"))
    found = augment(images, shift, False, draws, whole_pixels=True)
    most_y, most_x = most, round(16 * shift)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (most_y,) * 2, (most_x,) * 2), mode="edge")
    moves = set()
    for source, mine in zip(padded, found.numpy(), strict=True):
        places = [
            (dy, dx)
            for dy in range(2 * most_y + 1)
            for dx in range(2 * most_x + 1)
            if np.allclose(source[:, dy : dy + 20, dx : dx + 16], mine, atol=1e-5)
        ]
        assert len(places) == 1
        moves.add(places[0])
    assert moves == set(np.ndindex(2 * most_y + 1, 2 * most_x + 1))


def test_flips_mirror_half_of_the_images_and_nothing_else():
    images = torch.arange(256).to(torch.uint8).reshape(1, 1, 16, 16).repeat(400, 1, 1, 1)
    labels = torch.zeros(400, dtype=torch.int64)
    part = Images(images, labels)
    data = Dataset("ramps", part, part, ("ramp",))
    how = replace(FAST, flip=True)
    found, _ = alone(Supply(data, CPU), torch.arange(400), how, "flip")
    plain = normalise(images, torch.zeros(1, 16, 16)) - images[0].float() / 128
    assert torch.equal(found, plain)  # a mean image taken off itself: nothing is left to mirror
    noisy = replace(data, train=Images(images.clone(), labels))
    noisy.train.images[0] = 0
    found, _ = alone(Supply(noisy, CPU), torch.arange(1, 400), how, "flip")
    still = (found == found[0]).flatten(1).all(1)
    assert 140 < int(still.sum()) < 260
    unmirrored = replace(noisy, mirrors=False)
    found, _ = alone(Supply(unmirrored, CPU), torch.arange(1, 400), how, "flip")
    assert bool((found == found[0]).all())


@pytest.mark.parametrize("architecture", ["convnet", "resnet18"])
def test_a_batch_is_the_same_alone_and_in_company(data, architecture):
    how, supply = recipe("fast", architecture), Supply(data, CPU)
    indices = torch.arange(24).reshape(3, 8)
    images, labels = supply.batch(indices, how, [torch_generator(0, i) for i in range(3)])
    for i in range(3):
        own, classes = alone(supply, indices[i], how, i)
        assert torch.equal(images[i], own)
        assert torch.equal(labels[i], classes)


# --- one step ------------------------------------------------------------------------------------


def _keras_rmsprop(weights, gradients, rate):
    average = np.zeros_like(weights)
    for gradient in gradients:
        average = 0.9 * average + 0.1 * gradient**2
        weights = weights - rate * gradient / (np.sqrt(average) + 1e-7)
    return weights


def test_the_paper_s_rmsprop_is_keras_s():
    network = build_network("convnet", in_channels=1, image_size=16, n_classes=10)
    optimiser = optimisers.make_optimiser(network, recipe("paper", "convnet"))
    start = network.logits.weight.detach().double().numpy().copy()
    gradients = [np.random.default_rng(i).normal(size=start.shape) * 1e-3 for i in range(5)]
    for gradient in gradients:
        network.logits.weight.grad = torch.from_numpy(gradient).float()
        for group in optimiser.param_groups:
            group["lr"] = 1e-4
        optimiser.step()
    expected = _keras_rmsprop(start, gradients, 1e-4)
    found = network.logits.weight.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_rmsprop_in_one_pass_is_torch_s_own():
    generator = torch_generator(0, "rmsprop")
    ours = torch.nn.Parameter(torch.randn(3, 5, generator=generator))
    theirs = torch.nn.Parameter(ours.detach().clone())
    fused = optimisers.RMSprop([ours], eps=1e-7, fused=True, capturable=False)
    plain = torch.optim.RMSprop([theirs], alpha=0.9, eps=1e-7)
    for step in range(50):
        gradient = torch.randn(3, 5, generator=generator) * 10.0 ** (-step % 5 - 4)
        for weights, optimiser in ((ours, fused), (theirs, plain)):
            weights.grad = gradient.clone()
            optimiser.param_groups[0]["lr"] = 1e-2 / (1 + step)
            optimiser.step()
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["paper", "fast"])
@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("gradients", [torch.channels_last, torch.contiguous_format])
def test_weights_take_the_same_steps_in_whatever_order_they_lie(name, order, gradients):
    how = recipe(name, "resnet18")
    networks = [build_network("resnet18", in_channels=7, image_size=16, n_classes=10) for _ in "ab"]
    ours, theirs = networks[0].to(memory_format=order), networks[1]
    optimiser = optimisers.make_optimiser(ours, how)
    ids = {id(w) for w in optimisers.kernels(theirs, (torch.nn.Conv2d, torch.nn.Linear))}
    kind = {"paper": torch.optim.Adam, "fast": torch.optim.AdamW}[name]
    decay = {"paper": 2 * how.l2, "fast": how.weight_decay}[name]
    if name == "paper":
        ids -= {id(theirs.logits.weight)}
    groups = [
        {"params": [w for w in theirs.parameters() if (id(w) in ids) == decays], "weight_decay": d}
        for decays, d in ((True, decay), (False, 0.0))
    ]
    plain = kind(groups, eps=how.epsilon, foreach=False)
    generator = torch_generator(0, "gradients")
    for _ in range(3):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            gradient = torch.randn(a.shape, generator=generator)
            a.grad = gradient.to(memory_format=gradients) if a.ndim == 4 else gradient.clone()
            b.grad = gradient.clone()
        for one in (optimiser, plain):
            for group in one.param_groups:
                group["lr"] = 1e-2
            one.step()
        assert all(w.grad is None for w in ours.parameters())
    for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=key)


def test_weight_decay_of_the_paper_is_the_gradient_of_keras_s_penalty_on_kernels_alone():
    def build():
        torch.manual_seed(0)
        return build_network("resnet18", in_channels=1, image_size=16, n_classes=10).double()

    how = recipe("paper", "resnet18")
    images = torch.randn(6, 1, 16, 16, dtype=torch.float64, generator=torch_generator(0, "images"))
    labels = torch.arange(6)
    ours, theirs = build(), build()
    optimiser = optimisers.make_optimiser(ours, how)
    functional.cross_entropy(ours(images), labels).backward()
    optimiser.param_groups[0]["lr"] = optimiser.param_groups[1]["lr"] = 1e-3
    optimiser.step()
    oracle = torch.optim.Adam(theirs.parameters(), lr=1e-3, eps=1e-7)
    kernels = [m.weight for m in theirs.modules() if isinstance(m, torch.nn.Conv2d)]
    penalty = 1e-4 * sum(w.square().sum() for w in kernels)
    (functional.cross_entropy(theirs(images), labels) + penalty).backward()
    oracle.step()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9, msg=name)


# --- populations ---------------------------------------------------------------------------------


def test_training_learns_and_keeps_every_checkpoint(data, tmp_path):
    how = recipe("fast", "convnet", epochs=12, batch_size=32, checkpoints=(0, 12))
    history = train_network(data, "convnet", how, 0, 0, tmp_path, device="cpu")
    assert len(history.test_accuracy) == len(history.seconds) == 12
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert history.test_accuracy[-1] > 0.6
    assert load_history(tmp_path, 0) == history
    assert not state_path(tmp_path, 0).exists()


def test_the_first_checkpoint_is_the_untrained_network(population, data):
    folder, _ = population
    for network in range(2):
        built = build_network(
            "convnet", in_channels=1, image_size=16, n_classes=10, network=network
        )
        assert _same([load_checkpoint(folder, network, 0)], [built.state_dict()])


def test_the_last_checkpoint_has_the_accuracy_that_the_history_says(population, data):
    folder, histories = population
    network = build_network("convnet", in_channels=1, image_size=16, n_classes=10)
    network.load_state_dict(load_checkpoint(folder, 1, 2))
    images = normalise(data.test.images, data.train.images.float().mean(0))
    with torch.no_grad():
        logits = network.eval()(images)
    loss = float(functional.cross_entropy(logits, data.test.labels))
    accuracy = float((logits.argmax(1) == data.test.labels).double().mean())
    assert histories[1].test_accuracy[-1] == pytest.approx(accuracy, abs=0.02)
    assert histories[1].test_loss[-1] == pytest.approx(loss, rel=1e-4)


def test_networks_share_no_weights(population):
    folder, _ = population
    for first, second in zip(_weights(folder, 0), _weights(folder, 1), strict=True):
        assert not any(torch.equal(first[k], second[k]) for k in first if first[k].dim() > 1)


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_networks_at_once_does_not_change_a_bit(population, data, tmp_path, workers):
    folder, histories = population
    threads = torch.get_num_threads()
    found = _train(data, tmp_path, n=3, workers=workers)
    assert found[:2] == histories
    assert torch.get_num_threads() == threads
    for network in range(2):
        assert _same(_weights(folder, network), _weights(tmp_path, network))


def test_the_number_of_threads_of_the_caller_does_not_change_a_bit(population, data, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train_network(data, "convnet", FAST, 0, 0, tmp_path, device="cpu")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert _same(_weights(population[0], 0), _weights(tmp_path, 0))


@pytest.fixture(params=[False, True], ids=["kept", "flushed"])
def own_way(request):
    """This thread's own way with subnormal numbers, whatever it was before."""
    before = flushes_subnormals()
    if not torch.set_flush_denormal(request.param):
        pytest.skip("this processor cannot take subnormal numbers as zero")
    yield request.param
    torch.set_flush_denormal(before)


@pytest.mark.parametrize("alone", [True, False])
def test_numbers_too_small_for_full_precision_are_zero_in_training_alone(
    few, tmp_path, own_way, alone
):
    seen = []

    def progress(*_):
        tiny = torch.full((64,), torch.finfo(torch.float32).tiny)
        seen.append(float((tiny / 2).max()))

    where = {"folder": tmp_path, "device": "cpu", "progress": progress}
    if alone:
        train_network(few, "convnet", FAST, seed=0, network=0, **where)
    else:
        train_population(few, "convnet", FAST, seed=0, n_networks=2, **where)
    assert seen
    assert set(seen) == {0.0}
    assert flushes_subnormals() == own_way


def test_a_population_grows_without_training_a_network_twice(data, tmp_path):
    calls = []
    _train(data, tmp_path, n=2)
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("epoch-*")}
    _train(data, tmp_path, n=3, progress=lambda *report: calls.append(report))
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    assert {network for network, epoch, _, _ in calls if epoch < 2} == {2}
    assert {network for network, epoch, _, _ in calls if epoch == 2} == {0, 1, 2}


def test_networks_of_another_training_are_not_overwritten(data, tmp_path):
    _train(data, tmp_path, how=replace(FAST, learning_rate=1e-4))
    before = _weights(tmp_path, 0)
    with pytest.raises(InputError, match=r"history\.json is of training \w+, and this is \w+"):
        _train(data, tmp_path)
    assert _same(before, _weights(tmp_path, 0))


# --- interruptions -------------------------------------------------------------------------------

RESNET = replace(
    recipe("paper", "resnet18", epochs=2, batch_size=8, checkpoints=(0, 0.3, 1, 2)), patience=1
)


class Killed(BaseException):
    pass


@pytest.fixture
def kill_at(monkeypatch):
    """Let training die at a step, before or after its work, as often as asked."""
    learn = trainer.Run.learn

    def arm(step, *, after=False):
        def dying(run, *arguments):
            if after:
                learn(run, *arguments)
            if run.step == step:
                raise Killed
            if not after:
                learn(run, *arguments)

        monkeypatch.setattr(trainer.Run, "learn", dying)

    yield arm
    monkeypatch.setattr(trainer.Run, "learn", learn)


@pytest.fixture(scope="module")
def few(data):
    train = Images(data.train.images[:24], data.train.labels[:24])
    return replace(data, train=train, test=Images(data.test.images[:10], data.test.labels[:10]))


@pytest.fixture(scope="module")
def whole_runs(data, few, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    runs = {"convnet": (data, FAST), "resnet18": (few, RESNET)}
    for architecture, (images, how) in runs.items():
        train_network(images, architecture, how, 0, 0, folder / architecture, device="cpu")
    return folder, runs


@pytest.mark.parametrize(
    ("architecture", "save_every", "kills"),
    [
        ("convnet", 0.0, [(0, False), (1, True), (2, True), (3, False), (4, True)]),
        ("convnet", 1e9, [(1, False), (4, True)]),
        ("resnet18", 0.0, [(1, True), (4, False)]),
    ],
)
def test_a_killed_training_goes_on_to_the_same_network_bit_for_bit(
    whole_runs, architecture, save_every, kills, kill_at, tmp_path
):
    folder, runs = whole_runs
    images, how = runs[architecture]
    arguments = (images, architecture, how, 0, 0, tmp_path)
    for step, after in kills:
        kill_at(step, after=after)
        with pytest.raises(Killed):
            train_network(*arguments, device="cpu", save_every=save_every)
        assert state_path(tmp_path, 0).exists() == (save_every == 0 and step > 0)
    kill_at(None)
    history = train_network(*arguments, device="cpu", save_every=save_every)
    assert history == load_history(folder / architecture, 0)
    assert _same(_weights(folder / architecture, 0, how), _weights(tmp_path, 0, how))


def test_the_seconds_of_networks_that_trained_one_after_the_other_are_their_own(
    data, tmp_path, monkeypatch
):
    job = train._job(data, "convnet", FAST, 0, tmp_path, "imagenet", "cpu", "float32", 60.0)
    runs = [trainer.Run(job, network) for network in (0, 1)]
    now = time.monotonic() + 1000  # the first had its turn
    monkeypatch.setattr(time, "monotonic", lambda: now)
    Lockstep(job, runs[1:])
    assert runs[1].started_at == runs[1].saved_at == now


def test_a_stopped_population_keeps_what_it_has_done(population, data, tmp_path):
    calls = []

    def stop(*report):
        calls.append(report)
        if len(calls) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(data, tmp_path, workers=2, progress=stop)
    other = 1 - calls[0][0]
    assert state_path(tmp_path, other).exists() or history_path(tmp_path, other).exists()
    assert not any(t.name.startswith("ThreadPool") for t in threading.enumerate())
    assert _train(data, tmp_path, workers=2) == population[1]
    for network in range(2):
        assert _same(_weights(population[0], network), _weights(tmp_path, network))


_SCRIPT = """
import sys
from dataclasses import replace
from shared_geometry.datasets import Images, load_dataset
from shared_geometry.training import recipe, train_network
data = load_dataset("digits", train_images=150)
data = replace(data, test=Images(data.test.images[:60], data.test.labels[:60]))
how = recipe("fast", "convnet", epochs=2, batch_size=32, checkpoints=(0, 0.5, 1, 2))
print("ready", flush=True)
train_network(data, "convnet", how, 0, 0, sys.argv[1], device="cpu", save_every=0)
"""


def test_sigkill_at_any_moment_changes_nothing(population, data, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", _SCRIPT, str(tmp_path)], stdout=-1)
    process.stdout.readline()
    time.sleep(np.random.default_rng().uniform(0, 0.4))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    history = train_network(data, "convnet", FAST, 0, 0, tmp_path, device="cpu")
    assert history == population[1][0]
    assert _same(_weights(population[0], 0), _weights(tmp_path, 0))


def test_two_trainings_of_one_network_share_it(population, data, tmp_path):
    found = [None, None]

    def train(place):
        found[place] = train_network(data, "convnet", FAST, 0, 0, tmp_path, device="cpu")

    threads = [threading.Thread(target=train, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == population[1][0]
    assert found[0].seconds == found[1].seconds
    assert _same(_weights(population[0], 0), _weights(tmp_path, 0))


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "swap"])
@pytest.mark.parametrize("what", ["checkpoint", "history"])
def test_a_damaged_file_is_set_aside_and_the_network_made_again(
    population, data, tmp_path, damage, what
):
    train_network(data, "convnet", FAST, 0, 0, tmp_path, device="cpu")
    paths = {"checkpoint": checkpoint_path(tmp_path, 0, 1), "history": history_path(tmp_path, 0)}
    path = paths[what]
    raw = path.read_bytes()
    if damage == "remove":
        path.unlink()
    elif damage == "swap":
        others = {"checkpoint": checkpoint_path(population[0], 1, 1)}
        path.write_bytes(others.get(what, history_path(population[0], 1)).read_bytes())
    else:
        middle = len(raw) // 2
        flipped = raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]
        path.write_bytes(flipped if damage == "flip" else raw[:middle])
    if what == "checkpoint":
        with pytest.raises(DataError):
            load_checkpoint(tmp_path, 0, 1)
    history = train_network(data, "convnet", FAST, 0, 0, tmp_path, device="cpu")
    assert history == population[1][0]
    assert _same(_weights(population[0], 0), _weights(tmp_path, 0))
    assert path.with_name(path.name + ".bad").exists() == (damage != "remove")


def test_a_checkpoint_of_another_training_is_refused(population, data):
    folder, _ = population
    digest = training_digest(data, "convnet", FAST, 0, device="cpu")
    load_checkpoint(folder, 0, 1, training=digest)
    with pytest.raises(DataError, match="was made with training="):
        load_checkpoint(folder, 0, 1, training="0" * 16)
    with pytest.raises(DataError, match="network 7 was not trained to epoch 1"):
        load_checkpoint(folder, 7, 1)


def test_the_digest_changes_with_all_that_a_network_depends_on(data):
    def digest(images=data, architecture="convnet", how=FAST, seed=0, stem="imagenet", **more):
        fixed = {"device": "cpu", "precision": "float32"}  # auto means what the machine has
        return training_digest(images, architecture, how, seed, stem=stem, **(fixed | more))

    other = replace(data, train=Images(255 - data.train.images, data.train.labels))
    digests = [
        digest(),
        digest(images=other),
        digest(images=replace(data, mirrors=True)),
        digest(architecture="resnet18"),
        digest(architecture="resnet18", stem="cifar"),
        digest(how=replace(FAST, epsilon=1e-8)),
        digest(seed=1),
        digest(precision="bfloat16"),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(stem="cifar") == digest()  # a ConvNet has no stem


# --- what cannot be done -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 1}, "networks=1 is not allowed: a whole number, 2 or more"),
        ({"n": 0}, "networks=0"),
        ({"n": 2.0}, "networks=2.0"),
        ({"n": True}, "networks=True"),
        ({"workers": 0}, "workers=0"),
        ({"workers": 1.5}, "workers=1.5"),
        ({"architecture": "vgg"}, "architecture='vgg'"),
        ({"stem": "none"}, "stem='none'"),
        ({"device": "tpu"}, "device='tpu'"),
        ({"precision": "int8"}, "precision='int8'"),
        ({"seed": -1}, "seed=-1 is not allowed"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"save_every": None}, "save_every=None is not allowed: seconds, 0 or more"),
        ({"save_every": math.nan}, "save_every=nan"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    data, tmp_path, changes, message
):
    with pytest.raises(InputError) as caught:
        _train(data, tmp_path / "networks", **changes)
    assert message in str(caught.value)
    assert not list(tmp_path.rglob("network-*"))


@pytest.mark.parametrize("network", [-1, 1.5, True, "1"])
def test_the_number_of_a_network_is_whole(data, tmp_path, network):
    with pytest.raises(InputError, match=r"network=.*is not allowed: a whole number, 0 or more"):
        train_network(data, "convnet", FAST, 0, network, tmp_path, device="cpu")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        _train(data, tmp_path / "file")


@pytest.mark.filterwarnings("ignore")
def test_a_training_that_diverges_says_so(data, tmp_path):
    how = replace(FAST, learning_rate=1e30)
    with pytest.raises(InputError, match="diverged in epoch 1: lower learning_rate=1e\\+30"):
        _train(data, tmp_path, how=how)


def test_the_cost_counts_what_training_leaves_on_disk(population, data):
    folder, _ = population
    cost = training_cost(data, "convnet", FAST, 2, workers=1)
    on_disk = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    states = 3 * os.path.getsize(checkpoint_path(folder, 0, 0))
    assert on_disk + states == pytest.approx(cost.disk, rel=0.02)
    assert cost.images == 2 * 2 * 150
    assert training_cost(data, "convnet", FAST, 2, workers=2).memory > cost.memory


@pytest.mark.parametrize("architecture", ["convnet", "resnet18"])
def test_the_cost_grows_with_networks_checkpoints_and_workers(data, architecture):
    def cost(n=10, workers=1, checkpoints=(0, 1)):
        how = recipe("fast", architecture, epochs=1, checkpoints=checkpoints)
        return training_cost(data, architecture, how, n, workers=workers)

    assert cost(n=20).disk > cost().disk
    assert cost(checkpoints=(0, 0.5, 1)).disk > cost().disk
    assert cost(workers=2).memory > cost().memory
    assert cost(n=20).memory == cost().memory


def test_a_history_is_plain_json(population):
    content = json.loads(history_path(population[0], 1).read_text())
    assert content["network"] == 1
    assert len(content["history"]["test_accuracy"]) == 2


# What a step does, and with which draws.


def job_of(data, folder, how=FAST, architecture="convnet"):
    return train._job(data, architecture, how, 0, folder, "imagenet", "cpu", "float32", 60.0)


def test_networks_share_no_draw_of_a_step_and_no_order_of_images(data, tmp_path):
    one, other = (trainer.Run(job_of(data, tmp_path), network) for network in (0, 1))
    for run in (one, other):
        run.step = 3
        run.seed()
    assert one.generator.initial_seed() != other.generator.initial_seed()
    assert not torch.equal(one.order(0), other.order(0))
    assert not torch.equal(one.order(0), one.order(1))
    before = one.generator.initial_seed()
    one.step = 4
    one.seed()
    assert one.generator.initial_seed() != before


def test_an_epoch_s_rates_go_on_where_the_last_one_ended(data, tmp_path):
    job = job_of(data, tmp_path)
    run = trainer.Run(job, 0)
    whole = job.how.epochs * job.steps
    together = Lockstep(job, [run])
    for epoch in range(job.how.epochs):
        expected = [
            learning_rate(job.how, epoch * job.steps + step, whole, run.plateau)
            for step in range(job.steps)
        ]
        assert together._rates(run, epoch) == expected


def test_the_history_tells_the_rate_of_each_epoch_s_last_step(population):
    _, histories = population
    steps = FAST.steps_per_epoch(150)
    last = [learning_rate(FAST, (e + 1) * steps - 1, 2 * steps, Plateau(0.1)) for e in (0, 1)]
    assert histories[0].learning_rate == pytest.approx(last)


def test_an_epoch_is_closed_with_mean_losses_and_the_plateau_hears_of_the_penalty(data, tmp_path):
    how = replace(recipe("paper", "resnet18", epochs=2), checkpoints=(0.0, 2.0))
    run = trainer.Run(job_of(data, tmp_path, how, "resnet18"), 0)
    run.loss.fill_(3.0 * run.job.steps)
    n = len(data.test)
    run.close_epoch(2.0 * n, 0.25 * n, 0.1)
    squares = sum(
        w.double().square().sum() for name, w in run.module.named_parameters() if w.dim() == 4
    )
    assert run.history.train_loss == [pytest.approx(3.0)]
    assert run.history.test_loss == [pytest.approx(2.0)]
    assert run.history.test_accuracy == [pytest.approx(0.25)]
    assert run.plateau.best == pytest.approx(2.0 + how.l2 * float(squares), rel=1e-6)
    assert how.l2 * float(squares) > 0.01


def test_batch_norms_forget_as_the_recipe_says(data, tmp_path):
    how = replace(recipe("paper", "resnet18", epochs=2), checkpoints=(0.0, 2.0))
    module = trainer.Run(job_of(data, tmp_path, how, "resnet18"), 0).module
    momenta = {m.momentum for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert momenta == {how.norm_momentum} == {0.01}


def test_a_network_without_one_of_its_checkpoints_is_not_finished(data, tmp_path):
    folder = tmp_path / "population"
    _train(data, folder, precision="float32")
    job = job_of(data, folder)
    assert trainer.finished(job, 0) is not None
    for epoch in FAST.checkpoints:
        path = checkpoint_path(folder, 0, epoch)
        whole = path.read_bytes()
        path.unlink()
        assert trainer.finished(job, 0) is None, epoch
        path.write_bytes(whole)
    assert trainer.finished(job, 0) is not None


def test_curves_and_states_of_another_training_are_not_taken(data, tmp_path):
    folder = tmp_path / "population"
    _train(data, folder)
    with pytest.raises(DataError):
        load_history(folder, 0, "0" * 16)
    run = trainer.Run(job_of(data, tmp_path / "other"), 0)
    run.save_checkpoints(FAST.checkpoint_steps(len(data.train)))
    run.step = 1
    run.save_state()
    assert trainer.Run(job_of(data, tmp_path / "other"), 0).step == 1
    job = replace(job_of(data, tmp_path / "other"), training="0" * 16)
    with pytest.warns(SetAside):
        assert trainer.Run(job, 0).step == 0
