"""The chapter on blocks: answers of the study in, curves, tables and sentences out.

Answers are a mapping from the name of a population to what the study found of it.
"""

import json
from collections.abc import Iterator, Mapping

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.markdown import interval_cell, table
from shared_geometry.basics.wording import (
    interval_text,
    moment,
    number,
    power_of_ten,
    span,
)
from shared_geometry.beyond.blocks.penalty import N_WEIGHTS, half_life, simulated_half_life
from shared_geometry.beyond.blocks.study import (
    CONTROL,
    THEN,
    TRAINED,
    beside,
    switched_off,
)
from shared_geometry.experiment.results import config_of
from shared_geometry.reports.report import training_length
from shared_geometry.training import Recipe, recipe

Answers = Mapping[str, xr.Dataset]
Curves = dict[str, dict[str, xr.DataArray]]

FLOOR = 1e-8  # of a gradient's size; switched off, branches have gradients of 1e-36


def _each(answers: Answers) -> Iterator[tuple[str, str, xr.Dataset]]:
    """Title, population and what was found, the plan's networks before their control."""
    for title, found in answers.items():
        for population in found.population.values[found.population != THEN]:
            name = title if population == TRAINED else f"{title}, {population}"
            yield name, str(population), found


def _over_epochs(answers: Answers, values: str) -> Curves:
    return {
        name: {f"block {block}": course.sel(block=block) for block in found.block.values}
        for name, population, found in _each(answers)
        for course in [found[f"{values}_interval"].sel(population=population).dropna("checkpoint")]
    }


def on_curves(answers: Answers) -> Curves:
    """Part of every branch that is on, over epochs, for `figures.curves`."""
    return _over_epochs(answers, "on")


def added_curves(answers: Answers) -> Curves:
    """What every branch adds, over epochs, for `figures.curves`."""
    return _over_epochs(answers, "added")


def gradient_curves(answers: Answers) -> Curves:
    """Size of the gradients of every branch's kernels, over epochs, for `figures.curves`."""
    return _over_epochs(answers, "gradient")


def loss_curves(answers: Answers) -> Curves:
    """Points of accuracy lost without a branch, over blocks, for `figures.curves`."""
    return {
        title: {
            str(population): 100 * found.loss_interval.sel(population=population)
            for population in found.population.values
        }
        for title, found in answers.items()
    }


def _recipe(found: xr.Dataset) -> Recipe:
    return Recipe(**json.loads(found.attrs["recipe"]))


def _after_an_epoch(found: xr.Dataset) -> xr.Dataset:
    """The networks as trained, at the first checkpoint with an epoch behind it, or the last."""
    late = np.flatnonzero(found.checkpoint.values >= 1)
    return found.sel(population=TRAINED).isel(checkpoint=late[0] if len(late) else -1)


def _gradients(found: xr.Dataset) -> np.ndarray:
    """Size of the gradients in each branch after an epoch: (n_blocks,)."""
    return _after_an_epoch(found).gradient_interval.sel(bound="estimate").values


def _epochs_to_halve(found: xr.Dataset) -> np.ndarray:
    """Epochs in which the penalty would halve weights of each block: (n_blocks,)."""
    steps = [half_life(size, _recipe(found)) for size in _gradients(found)]
    return np.array(steps) / float(found.steps)


def _listed(blocks: list[int]) -> str:
    if not blocks:
        return "no block"
    words = [str(block) for block in blocks]
    head = ", ".join(words[:-1])
    return f"block {words[0]}" if not head else f"blocks {head} and {words[-1]}"


def on_title(answers: Answers) -> str:
    """Which blocks are switched off at the end, in every population that was trained."""
    off = {title: switched_off(found) for title, found in answers.items()}
    if not any(off.values()):
        return "No block is switched off"
    said = [f"{_listed(blocks)} ({title})" for title, blocks in off.items() if blocks]
    return f"Switched off at the end: {'; '.join(said)}"


def _last_added(found: xr.Dataset, checkpoint: int) -> np.ndarray:
    added = found.added_interval.sel(population=TRAINED, bound="estimate")
    return 100 * added.isel(checkpoint=checkpoint).values


def added_title(answers: Answers) -> str:
    """What the first and the last block add before training."""
    first, last = np.array([_last_added(found, 0)[[0, -1]] for found in answers.values()]).T
    return (
        f"Before training the first branch adds {span(first, 0)} % of its block’s variance, "
        f"the last {span(last, 1)} %"
    )


def gradient_title(answers: Answers) -> str:
    """How much smaller the gradients of the last branch are than those of the first."""
    ratios = [sizes[0] / sizes[-1] for sizes in map(_gradients, answers.values())]
    return (
        "After an epoch, gradients in the last branch are smaller than in the first by a factor of "
        f"{span(ratios, 0)}"
    )


def penalty_sentence(answers: Answers, seed: int = 0) -> str:
    """The formula of half-lives against torch's Adam, and what it says of trained networks."""
    how, generator = recipe("paper", "resnet18"), torch.Generator().manual_seed(seed)
    trials = [
        f"{simulated_half_life(size, how, generator):,} at {power_of_ten(size)} "
        f"({half_life(size, how):,.0f} by the formula)"
        for size in (1e-3, 1e-4)
    ]
    said = (
        f"{N_WEIGHTS:,} weights that torch's Adam trains by the recipe of the paper, with nothing "
        f"but noise for gradients, halve in so many steps: {' and '.join(trials)}."
    )
    for title, found in answers.items():
        if not _recipe(found).l2:
            continue
        epochs = _epochs_to_halve(found)
        said += (
            f" In the networks of {title}, by their gradients {moment(_epoch_of(found))}, the "
            f"penalty alone would halve the weights of block 1 in {number(epochs[0], 1)} epochs "
            f"and those of block {len(epochs)} in {number(epochs[-1], 2)}."
        )
    return said


def _epoch_of(found: xr.Dataset) -> float:
    return float(_after_an_epoch(found).checkpoint)


def loss_title(answers: Answers) -> str:
    """How many branches can go for less than a tenth of a point."""
    counts = [
        int((100 * found.loss_interval.sel(population=TRAINED, bound="estimate") < 0.1).sum())
        for found in answers.values()
    ]
    n_blocks = next(iter(answers.values())).sizes["block"]
    return f"Of {n_blocks} branches, {span(counts, 0)} can go for less than 0.1 points of accuracy"


def on_alt(answers: Answers) -> str:
    """Text alternative of the figure of what is on."""
    said = [
        f"{name}: {_listed(switched_off(found, population))}"
        for name, population, found in _each(answers)
    ]
    return f"Lines over epochs, one a block. Switched off at the end: {'; '.join(said)}."


def added_alt(answers: Answers) -> str:
    """Text alternative of the figure of what is added."""
    said = [
        f"{title}: from {span(_last_added(found, 0), 1)} % before training to "
        f"{span(_last_added(found, -1), 1)} % at the end"
        for title, found in answers.items()
    ]
    return f"Lines over epochs, one a block. {'; '.join(said)}."


def gradient_alt(answers: Answers) -> str:
    """Text alternative of the figure of gradients."""
    said = []
    for title, found in answers.items():
        sizes = _gradients(found)
        parts = " to ".join(power_of_ten(size) for size in (sizes.min(), sizes.max()))
        said.append(f"{title}: {parts} {moment(_epoch_of(found))}")
    return f"Lines over epochs, one a block, on a logarithmic axis. {'; '.join(said)}."


def loss_alt(answers: Answers) -> str:
    """Text alternative of the figure of accuracy lost."""
    said = [
        f"{name}: {span(100 * found.loss_interval.sel(population=population, bound='estimate'), 1)}"
        for name, population, found in _each(answers)
    ]
    return f"Lines over blocks. Points of accuracy lost, {'; '.join(said)}."


def end_of_control(found: xr.Dataset) -> str:
    """The last epoch of the control, in a sentence."""
    course = found.on_interval.sel(population=CONTROL).dropna("checkpoint")
    return moment(float(course.checkpoint[-1]))


def _control_sentence(found: xr.Dataset) -> str:
    if CONTROL not in found.population.values:
        return "Its recipe puts no penalty on weights, so there is no control."
    with_, without = (
        interval_text(100 * found.accuracy_interval.sel(population=p).values, 1)
        for p in (beside(found), CONTROL)
    )
    off, off_before = switched_off(found, CONTROL), switched_off(found, beside(found))
    when = "" if beside(found) == TRAINED else f"{end_of_control(found)} "
    said = (
        f"Without the penalty, from the same beginnings and by the same images, {when}"
        f"{_listed(off)} {'is' if len(off) < 2 else 'are'} switched off, and "
        f"{without} % of the unseen images are classified correctly in place of {with_} %."
    )
    if kept := [block for block in off_before if block not in off]:
        worth = 100 * found.loss_interval.sel(population=CONTROL, bound="estimate", block=kept)
        said += (
            f" Yet the {'branches that stay' if len(kept) > 1 else 'branch that stays'} on without "
            f"the penalty and {'go with it, those' if len(kept) > 1 else 'goes with it, that'} of "
            f"{_listed(kept)}, {'are' if len(kept) > 1 else 'is'} worth {span(worth, 1)} points of "
            "accuracy there."
        )
    return said


def sentences(answers: Answers) -> str:
    """What was found, a paragraph a population."""
    said = []
    for title, found in answers.items():
        off, n = switched_off(found), config_of(found).networks
        last = found.on_interval.sel(population=TRAINED, bound="estimate").isel(checkpoint=-1)
        part = span(100 * last.values, 0)
        found_off = (
            f"{_listed(off)} {'is' if len(off) == 1 else 'are'} switched off at the end"
            if off
            else "no block is switched off"
        )
        said.append(
            f"**{title}** ({n} networks, recipe “{config_of(found).recipe}”, "
            f"{training_length(found)}): {found_off}; of a branch’s channels {part} % are on. "
            + _control_sentence(found)
        )
    return "\n\n".join(said)


def networks_sentence(answers: Answers) -> str:
    """Over how many networks the intervals of each population are."""
    counts = {title: config_of(found).networks for title, found in answers.items()}
    said = "; ".join(f"{n} in *{title}*" for title, n in counts.items())
    return (
        f"Bars and brackets are 95 % intervals over networks: {said}. So few networks make wide "
        "intervals."
    )


def blocks_table(answers: Answers) -> str:
    """Every block of the networks that were trained: what is on, what it adds, what it is for."""
    head = ["block", "on", "adds, before training", "adds, at the end", "points lost without it"]
    parts = []
    for title, found in answers.items():
        trained = found.sel(population=TRAINED)
        rows = []
        for block in found.block.values:
            at = trained.sel(block=block)
            first, last = (100 * at.added_interval.isel(checkpoint=i) for i in (0, -1))
            rows.append(
                [
                    str(block),
                    interval_cell(at.on_interval.isel(checkpoint=-1).values, 2),
                    f"{number(first.sel(bound='estimate'), 1)} %",
                    f"{number(last.sel(bound='estimate'), 1)} %",
                    interval_cell(100 * at.loss_interval.values, 1),
                ]
            )
        parts.append(f"**{title}**\n\n{table(head, rows)}")
    return "\n\n".join(parts)
