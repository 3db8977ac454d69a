"""Residual branches: whether they are on, what they add, and what a network is without them."""

from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr
from conftest import ROOT

from shared_geometry import figures
from shared_geometry.beyond import studies
from shared_geometry.beyond.blocks import branches
from shared_geometry.beyond.blocks import study as blocks
from shared_geometry.beyond.blocks.penalty import (
    gradient_sizes,
    half_life,
    simulated_half_life,
)
from shared_geometry.claims import judging
from shared_geometry.config import Config
from shared_geometry.datasets import Images, mean_image, normalise
from shared_geometry.errors import InputError
from shared_geometry.experiment import run
from shared_geometry.experiment.plan import build, plan
from shared_geometry.experiment.results import load_results
from shared_geometry.reports import blocks as tell
from shared_geometry.reports import blocks_shared
from shared_geometry.training import recipe

RESNETS = Config.from_preset("smoke", architecture="resnet18", recipe="paper", device="cpu")


@pytest.fixture(scope="module")
def it():
    return plan(RESNETS)


@pytest.fixture
def network(it):
    return build(RESNETS, it.data, 0).eval()


@pytest.fixture(scope="module")
def seen(it):
    """Some unseen images, and the mean image."""
    unseen = it.data.test
    return Images(unseen.images[:120], unseen.labels[:120]), mean_image(it.data.train.images)


def silence(block, channels=slice(None)):
    with torch.no_grad():
        block.conv1.weight[channels] = 0


# What a branch does.


def test_a_channel_is_on_while_its_variance_exceeds_epsilon(network, seen):
    images, mean = seen
    assert branches.observe(network, images.images, mean)[0].tolist() == [1.0] * 8
    silence(network.blocks[2], slice(0, 32))  # of 128
    silence(network.blocks[7])
    on, _ = branches.observe(network, images.images, mean)
    assert on[2] == 0.75
    assert on[7] == 0


@pytest.mark.parametrize(("above", "expected"), [(1.01, 1.0), (0.99, 0.0)])
def test_the_switch_is_at_epsilon(network, seen, above, expected):
    images, mean = seen
    block, taken = network.blocks[0], []
    handle = block.conv1.register_forward_hook(lambda *call: taken.append(call[2].detach()))
    with torch.no_grad():
        network(normalise(images.images, mean))
        handle.remove()
        variance = taken[0].double().var((0, 2, 3), correction=0)
        scale = (above * block.norm2.eps / variance).sqrt()
        block.conv1.weight *= scale.float()[:, None, None, None]
    assert branches.observe(network, images.images, mean)[0][0] == expected


def test_what_a_branch_adds_is_its_variance_of_that_of_branch_and_shortcut(network, seen):
    images, mean = seen
    _, added = branches.observe(network, images.images, mean)
    with torch.no_grad():
        x = network.stem_conv(normalise(images.images, mean))
        x = network.stem_pool(torch.relu(network.stem_norm(x)))
        for i, block in enumerate(network.blocks):
            opened = x if block.norm1 is None else torch.relu(block.norm1(x))
            branch = block.conv2(torch.relu(block.norm2(block.conv1(opened))))
            powers = [z.double().var(0, correction=0).sum() for z in (branch, block.shortcut(x))]
            np.testing.assert_allclose(added[i], powers[0] / sum(powers), rtol=1e-4)
            x = block.shortcut(x) + branch


def test_a_branch_that_is_silent_adds_nothing_and_is_not_missed(network, seen):
    images, mean = seen
    silence(network.blocks[6])
    _, added = branches.observe(network, images.images, mean)
    # where no padding is met, a constant comes out of the branch
    assert added[6] < 1e-9
    whole, without = branches.accuracies(network, images, mean)
    assert without[6] == whole


# A network without a branch.


def test_without_a_branch_every_image_gets_its_mean(network, seen):
    images, mean = seen
    x = normalise(images.images, mean)
    with torch.no_grad():
        for i in (0, 3):
            taken = []
            conv = network.blocks[i].conv2
            handle = conv.register_forward_hook(lambda *call, taken=taken: taken.append(call[2]))
            network(x)
            handle.remove()
            constant = taken[0].double().mean(0).float()
            np.testing.assert_allclose(
                branches.branch_means(network, images.images, mean)[i], constant, atol=1e-5
            )
            with branches.without_branch(network, i, constant):
                ablated = network(x)
            assert not torch.allclose(ablated, network(x))
            last = taken[0].clone()
            taken.clear()
            with branches.without_branch(network, i, last[0]):
                alone = network(x[:1])
            torch.testing.assert_close(alone, network(x[:1]))  # one image is its own mean


def test_accuracy_lost_is_that_of_the_network_without_the_branch(network, seen, monkeypatch):
    images, mean = seen
    monkeypatch.setattr(branches, "_BATCH", 50)  # 120 images: two batches and a part of one
    with torch.no_grad():
        predicted = network(normalise(images.images, mean)).argmax(1)
    labelled = Images(images.images, predicted)  # an untrained network is right about itself
    whole, without = branches.accuracies(network, labelled, mean)
    assert whole == 1
    constant = branches.branch_means(network, images.images, mean)[0]
    with branches.without_branch(network, 0, constant), torch.no_grad():
        same = network(normalise(images.images, mean)).argmax(1) == predicted
    assert without[0] == same.double().mean()
    assert without.min() < 1
    assert not any(block.conv2._forward_hooks for block in network.blocks)


def test_a_branch_is_back_after_an_error(network):
    with pytest.raises(RuntimeError), branches.without_branch(network, 0, torch.zeros(1)):
        raise RuntimeError
    assert not network.blocks[0].conv2._forward_hooks


# How fast a penalty shrinks weights.


def test_gradient_sizes_are_those_of_the_loss_with_its_penalty(network, seen, it):
    images, mean = seen
    how = replace(it.recipe, batch_size=60, l2=0.01)
    order = torch.arange(len(images)).flip(0)
    found = gradient_sizes(deepcopy(network), images, mean, how, order)
    network.train()
    squares = []
    for batch in (order[:60], order[60:]):
        network.zero_grad()
        logits = network(normalise(images.images[batch], mean))
        kernels = [network.blocks[5].conv1.weight, network.blocks[5].conv2.weight]
        loss = torch.nn.functional.cross_entropy(logits, images.labels[batch])
        loss = loss + how.l2 * sum(w.square().sum() for w in kernels)
        gradients = torch.autograd.grad(loss, kernels)
        squares.append(torch.cat([g.flatten() for g in gradients]).square().mean())
    np.testing.assert_allclose(found[5], torch.stack(squares).mean().sqrt(), rtol=1e-4)


def test_measuring_gradients_leaves_none_behind(network, seen, it):
    images, mean = seen
    gradient_sizes(network, images, mean, it.recipe, torch.arange(len(images)))
    assert all(weight.grad is None for weight in network.parameters())
    assert not network.training


@pytest.mark.parametrize("size", [1e-3, 1e-4])
@pytest.mark.parametrize("factor", [1, 3])
def test_adam_shrinks_weights_by_the_formula(size, factor):
    how = replace(recipe("paper", "resnet18"), l2=factor * 1e-4)
    found = simulated_half_life(size, how, torch.Generator().manual_seed(0))
    assert found == pytest.approx(half_life(size, how), rel=0.04)


# The study.


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    told = []
    found = studies.study(
        "blocks",
        RESNETS,
        output=tmp_path_factory.mktemp("runs"),
        progress=lambda *report: told.append(report),
    )
    return found, told


def test_the_control_begins_where_the_networks_begin_and_ends_elsewhere(answer):
    found, told = answer
    assert found.population.values.tolist() == [blocks.TRAINED, blocks.CONTROL]
    first, last = found.added.isel(checkpoint=0), found.added.isel(checkpoint=-1)
    np.testing.assert_array_equal(first[0], first[1])
    assert np.abs(last[0] - last[1]).max() > 0
    assert any(note.startswith(blocks.CONTROL) for _, _, _, note in told)
    counted = [(done, total) for stage, done, total, _ in told if stage == "blocks"]
    # 2 populations, each 2 networks and 9 layers
    assert counted == [(i, 22) for i in range(1, 23)]


def test_an_answer_has_every_block_checkpoint_and_interval(answer):
    found, _ = answer
    assert found.block.values.tolist() == list(range(1, 9))
    assert found.checkpoint.values.tolist() == [0, 0.5, 1]
    assert found.steps == 10
    for name in ("on", "added", "gradient", "loss", "accuracy"):
        interval = found[f"{name}_interval"]
        np.testing.assert_allclose(
            interval.sel(bound="estimate"), found[name].mean("network"), atol=1e-12
        )
        assert (interval.sel(bound="low") <= interval.sel(bound="high")).all()
    assert found.on.min() >= 0
    assert found.on.max() <= 1


def test_what_is_shared_is_what_the_experiment_finds_and_its_change_is_paired(answer, tmp_path):
    found, _ = answer
    results = run(RESNETS, output=tmp_path).isel(checkpoint=-1)
    shared = found.sel(population=blocks.TRAINED)
    for name in ("variance", "variance_interval"):
        expected = results[name].transpose(*shared[name].dims)
        np.testing.assert_allclose(shared[name], expected, atol=1e-5)
    change = found.variance_change.sel(bound="estimate")
    per_network = found.variance.sel(population=blocks.CONTROL) - shared.variance
    assert np.abs(per_network).max() > 0
    np.testing.assert_allclose(change, per_network.mean("network").transpose(*change.dims))
    of_one_pair = found.variance_change.sel(bound=["low", "high"])
    assert of_one_pair.isnull().all()  # two networks


@pytest.mark.parametrize(
    ("kept", "analysed", "end"),
    [
        ((0.0, 1.0, 2.0, 8.0, 100.0), (0.0, 100.0), 8),
        ((0.0, 0.5, 3.0, 20.0, 100.0), (0.0, 3.0, 100.0), 3),
        ((0.0, 0.5, 100.0), (0.0, 100.0), 100),
    ],
)
def test_the_control_ends_with_a_checkpoint_that_is_kept_whether_analysed_or_not(
    kept, analysed, end
):
    how = recipe("paper", "resnet18", epochs=100)
    it = SimpleNamespace(recipe=replace(how, checkpoints=kept), checkpoints=analysed)
    it._replace = lambda **changes: SimpleNamespace(**(vars(it) | changes))
    begun = blocks._begun(it)
    assert begun.recipe.epochs == begun.recipe.checkpoints[-1] == begun.checkpoints[-1] == end
    assert isinstance(begun.recipe.epochs, int)


def test_a_control_of_fewer_epochs_is_the_beginning_of_a_longer_one(tmp_path, monkeypatch):
    config = Config.from_preset(
        "smoke",
        architecture="resnet18",
        recipe="paper",
        device="cpu",
        epochs=2,
        checkpoints=(0.0, 1.0, 1.5, 2.0),
    )

    def ask(epochs):
        monkeypatch.setattr(blocks, "CONTROL_EPOCHS", epochs)
        found = studies.study("blocks", config, output=tmp_path)
        studies.study_path("blocks", config, tmp_path).unlink()  # the networks stay
        return found

    short, whole = ask(1), ask(2)
    assert short.population.values.tolist() == [blocks.TRAINED, blocks.THEN, blocks.CONTROL]
    assert whole.population.values.tolist() == [blocks.TRAINED, blocks.CONTROL]
    early = {"checkpoint": [0.0, 1.0]}
    for name in ("on", "added", "gradient"):
        a, b = (found[name].sel(population=blocks.CONTROL) for found in (short, whole))
        xr.testing.assert_allclose(a.sel(early), b.sel(early))
        assert a.sel(checkpoint=[1.5, 2.0]).isnull().all()
        a, b = (found[name].sel(population=blocks.TRAINED) for found in (short, whole))
        xr.testing.assert_allclose(a, b)
        assert a.notnull().all()
    then = short.on.sel(population=blocks.THEN, checkpoint=1.0)
    xr.testing.assert_allclose(
        then.drop_vars("population"),
        short.on.sel(population=blocks.TRAINED, checkpoint=1.0).drop_vars("population"),
    )
    assert blocks.switched_off(short, blocks.CONTROL) == []
    curves = tell.on_curves({"a": short})
    assert list(curves) == ["a", f"a, {blocks.CONTROL}"]
    lengths = [len(curve["block 1"].checkpoint) for curve in curves.values()]
    assert lengths == [4, 2]
    said = tell.sentences({"a": short})
    assert "by the same images, at epoch 1 no block is switched off" in said
    accuracy = 100 * short.accuracy.sel(population=blocks.THEN).mean()
    assert f"in place of {accuracy:.1f} [" in said


def test_a_recipe_without_a_penalty_has_no_control(tmp_path):
    config = Config.from_preset("smoke", architecture="resnet18", device="cpu", checkpoints=(1.0,))
    found = studies.study("blocks", config, output=tmp_path)
    assert found.population.values.tolist() == [blocks.TRAINED]
    assert "variance_change" not in found
    assert found.sizes["layer"] == 9
    answers = {"digits": found}
    assert "no control" in tell.sentences(answers)
    assert blocks_shared.sentences(answers) == ""
    assert list(blocks_shared.curves(answers)["digits"]) == [blocks.TRAINED]


def test_networks_without_blocks_are_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match=r"architecture='convnet' is not allowed for .*resnet18"):
        studies.study("blocks", Config.from_preset("smoke"), output=tmp_path)
    assert list(tmp_path.iterdir()) == []


# Verdicts and words.


def explained(rows):
    """Shares of two layers by two measures, (population, layer, measure, bound): bars of 0.05."""
    values = np.array(rows)[:, :, None, None] + np.array([[0.2], [0.0]])  # published, left out
    return values + np.array([0.0, -0.05, 0.05])


def made_up(on, control=None, penalty=True, gains=(0.3, 0.02)):
    """An answer in which so much of each of eight branches is on at the end.

    Without the penalty, so much more of each of two layers is shared.
    """
    rows = [on, control or [1.0] * 8] if penalty else [on]
    last = np.array(rows)[:, None, :, None] * np.ones(3)
    course = np.concatenate([np.ones_like(last), last], 1)
    lost = np.where(last[:, 0] > 0.5, 0.02, 0.0)
    config = Config.from_preset("smoke", architecture="resnet18", recipe="paper")
    how = recipe("paper" if penalty else "fast", "resnet18", epochs=8)
    dims = ("population", "checkpoint", "block", "bound")
    shared = [[0.4, 0.5], [0.4 + gains[0], 0.5 + gains[1]]][: len(rows)]
    change = np.array(gains)[:, None, None] + np.array([[0.0, -0.1, 0.1]] * 2)
    found = xr.Dataset(
        {
            "on_interval": (dims, course),
            "added_interval": (dims, course / 4),
            "gradient_interval": (dims, course * 0 + 1e-3 / np.arange(1, 9)[:, None]),
            "steps": 1000.0,
            "variance_interval": (("population", "layer", "measure", "bound"), explained(shared)),
            "loss_interval": (("population", "block", "bound"), lost),
            "accuracy_interval": (
                ("population", "bound"),
                np.array([[0.8, 0.79, 0.81], [0.75, 0.74, 0.76]])[: len(rows)],
            ),
        },
        {
            "population": [blocks.TRAINED, blocks.CONTROL][: len(rows)],
            "checkpoint": [0.0, 8.0],
            "block": np.arange(1, 9),
            "bound": ["estimate", "low", "high"],
            "layer": ["15", "17"],
            "measure": ["published", "left out"],
        },
        {"config": config.to_json(), "recipe": how.to_json()},
    )
    if penalty:
        found["variance_change"] = ("layer", "measure", "bound"), change
    return found


@pytest.mark.parametrize(
    ("on", "outcome"),
    [
        ([1.0] * 8, judging.HOLDS),
        ([1.0] * 5 + [0.0] * 3, judging.IN_PART),
        ([0.4] * 8, judging.FAILS),
    ],
)
def test_the_rule_asks_of_every_block_whether_it_is_on(on, outcome):
    found = blocks.judge(made_up(on))
    assert found.outcome == outcome
    assert f"{sum(part > 0.5 for part in on)} of 8 blocks" in found.value


def test_words_follow_the_numbers():
    off = {"ResNet18, CIFAR-10": made_up([1.0] * 5 + [0.1, 0.0, 0.0])}
    assert tell.on_title(off) == "Switched off at the end: blocks 6, 7 and 8 (ResNet18, CIFAR-10)"
    said = tell.sentences(off)
    assert "blocks 6, 7 and 8 are switched off at the end" in said
    assert "0 to 100 % are on" in said
    assert "no block is switched off, and 75.0 [74.0, 76.0] %" in said
    assert "in place of 80.0 [79.0, 81.0] %" in said
    assert tell.loss_title(off) == "Of 8 branches, 3 can go for less than 0.1 points of accuracy"
    assert "25 %" in tell.added_title(off)
    one = {"a": made_up([1.0] * 7 + [0.0], control=[1.0] * 7 + [0.0])}
    assert tell.on_title(one) == "Switched off at the end: block 8 (a)"
    assert "block 8 is switched off at the end" in tell.sentences(one)
    assert "by the same images, block 8 is switched off" in tell.sentences(one)
    assert "worth" not in tell.sentences(one)
    assert tell.gradient_title(off).endswith("by a factor of 8")
    half = half_life(1e-3, recipe("paper", "resnet18")) / 1000
    assert f"block 1 in {half:.1f} epochs and those of block 8 in {half / 8:.2f}." in (
        tell.penalty_sentence(off)
    )
    assert "CIFAR" not in tell.penalty_sentence({"CIFAR-10": made_up([1.0] * 8, penalty=False)})
    assert "2 in *ResNet18, CIFAR-10*" in tell.networks_sentence(off)
    none = {"a": made_up([1.0] * 8)}
    assert tell.on_title(none) == "No block is switched off"
    assert "no block is switched off; of a branch’s channels 100 % are on" in tell.sentences(none)


def test_words_on_what_is_shared_follow_the_numbers():
    answers = {"a": made_up([1.0] * 8), "b": made_up([1.0] * 8, penalty=False)}
    assert blocks_shared.titles(answers) == [
        "More is shared without the penalty in 1 of 2 layers (1 cannot be told)",
        "There is no penalty to leave out",
    ]
    said = blocks_shared.sentences(answers)
    assert said.startswith("**a**, at epoch 8: the others explain more without the penalty in 1 of")
    assert "in layer 15, by 0.30 [0.20, 0.40]: 0.70 [0.65, 0.75] in place of 0.40 [" in said
    assert "by the authors’ measure 0.90 [0.85, 0.95] in place of 0.60 [0.55, 0.65]." in said
    assert "**b**" not in said
    less = blocks_shared.sentences({"a": made_up([1.0] * 8, gains=(-0.05, -0.3))})
    assert "in 0 of 2 layers (1 cannot be told)" in less
    assert "in layer 17, by −0.30 [−0.40, −0.20]: 0.20" in less
    alt = blocks_shared.alt(answers)
    assert f"a, {blocks.CONTROL}: 0.52 to 0.70" in alt
    assert list(blocks_shared.curves(answers)["b"]) == [blocks.TRAINED]


def test_the_chapters_speak_of_blocks_that_the_published_answers_find_switched_off():
    answers = studies.published("blocks", ROOT / "results" / "beyond")
    last = [found.block.values[-1] in blocks.switched_off(found) for found in answers.values()]
    assert any(last)  # "can switch the last ones off", says the discussion


def test_the_chapters_tell_right_where_the_penalty_makes_the_dip():
    answers = studies.published("blocks", ROOT / "results" / "beyond")
    ten, hundred = answers["ResNet18, CIFAR-10"], answers["ResNet18, CIFAR-100"]
    dip, before = ["11", "13"], ["5", "7", "9"]
    change = ten.variance_change.sel(measure="left out").transpose("layer", "bound")
    assert (change.sel(layer=dip, bound="low") > 0.05).all()  # "clearly more"
    gain = change.sel(bound="estimate")
    assert set(gain.sortby(gain).layer.values[-2:]) == set(dip)
    strict = ten.variance_interval.sel(measure="left out", bound="estimate")
    depth = strict.sel(layer=before).mean("layer") - strict.sel(layer=dip).mean("layer")
    assert depth.sel(population=blocks.beside(ten)) > 0.1
    assert depth.sel(population=blocks.CONTROL) < 0.02  # "hardly a trace"
    change = hundred.variance_change.sel(measure="left out")
    assert abs(change).max() < 0.03  # "hardly more"
    assert blocks.switched_off(hundred)
    course = load_results(ROOT / "results" / "cifar100-resnet18.nc").variance_interval
    course = course.sel(measure="published", layer=dip)
    then, last = course.sel(checkpoint=8), course.isel(checkpoint=-1)
    assert (then.sel(bound="low") > last.sel(bound="high")).all()  # "comes later"


def test_tables_have_a_row_a_block_and_figures_a_line_a_block():
    answers = {"a": made_up([1.0] * 8), "b": made_up([1.0] * 8, penalty=False)}
    assert tell.blocks_table(answers).count("\n| ") == 2 * (1 + 8)
    curves = tell.on_curves(answers)
    assert list(curves) == ["a", f"a, {blocks.CONTROL}", "b"]
    sizes = tell.gradient_curves(answers)
    logarithmic = figures.curves(sizes, "title", x="epoch", y="size", ordered=True, floor=1e-8)
    assert logarithmic.layout.yaxis.type == "log"
    drawn = figures.curves(curves, "title", x="epoch", y="on", ordered=True)
    assert drawn.layout.yaxis.type == "linear"
    assert len(drawn.data) == 3 * 8
    assert [curve.name for curve in drawn.data[:8]] == [f"block {i}" for i in range(1, 9)]
    assert list(tell.loss_curves(answers)["a"]) == [blocks.TRAINED, blocks.CONTROL]
    for words in (tell.on_alt, tell.added_alt, tell.gradient_alt, tell.loss_alt):
        assert "a" in words(answers)
