"""Words and tables of the chapter on rigidity: answers of the study in, Markdown out.

Answers are a mapping from the name of a population to what the study found of it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from torch import Tensor

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import interval_text, layer_name, number, span
from shared_geometry.beyond.rigidity.dimensions import ENOUGH
from shared_geometry.beyond.rigidity.surrogates import (
    TOLERANCE,
    known_populations,
    rigid_but_noisy,
    rigid_population,
)
from shared_geometry.claims.judging import UNDECIDED
from shared_geometry.similarity.prediction import FEW, LEAST, MEASURES, explained_by_maps

Answers = Mapping[str, xr.Dataset]
_SHOWN = {  # in a table's head, where there is little room
    "permutation": "P",
    "permutation and scale": "sP",
    "rotation": "Q",
    "rotation and scale": "sQ",
    "linear": "M",
    "canonical": "CCA",
    "canonical, directions alike": "alike",
}
_NEAR = f"{100 * ENOUGH:.0f} %"
KEY = (
    "**P** a permutation, **Q** a rotation, **sP** and **sQ** with a scale, **M** any linear map, "
    "**CCA** through canonical variates, **alike** squared canonical correlations, all directions "
    "counted alike"
)


def _tables(answers: Answers, head: Sequence[str], cells: Callable[[xr.Dataset], list[str]]) -> str:
    """One table a population, a row a layer."""
    parts = []
    for population, answer in answers.items():
        rows = [
            [layer_name(label), *cells(answer.sel(layer=label))] for label in answer.layer.values
        ]
        parts.append(f"**{population}**\n\n{table(['layer', *head], rows)}")
    return "\n\n".join(parts)


def known_table(seed: int = 0) -> str:
    """What every map explains in populations whose answer is known."""
    rows = []
    for name, (alignment, held_out) in known_populations(seed).items():
        found = dict(zip(MEASURES, explained_by_maps(alignment, held_out), strict=True))
        rows.append([name, *(number(found[measure].nanmean()) for measure in _SHOWN)])
    return f"{table(['population', *_SHOWN.values()], rows)}\n\n{KEY}."


def maps_table(answers: Answers) -> str:
    """Variance explained by every map, in every layer of every population."""

    def cells(row: xr.Dataset) -> list[str]:
        found = row.explained_interval.sel(bound="estimate")
        return [number(found.sel(measure=name)) for name in _SHOWN]

    return f"{_tables(answers, list(_SHOWN.values()), cells)}\n\n{KEY}."


def _known(value: float, digits: int = 2) -> str:
    return "none" if np.isnan(value) else number(value, digits)


def _by_layer(answer: xr.Dataset, say: Callable[[xr.Dataset], str]) -> str:
    return "; ".join(
        f"{layer_name(label)}: {say(answer.sel(layer=label))}" for label in answer.layer.values
    )


def _shown_first(answers: Answers, what: str, say: Callable[[xr.Dataset], str]) -> str:
    population, answer = next(iter(answers.items()))
    return f"{what}. {population}: {_by_layer(answer, say)}."


def maps_alt(answers: Answers) -> str:
    """Text alternative of the figure of maps, for the population that is shown first."""

    def say(row: xr.Dataset) -> str:
        found = row.explained_interval.sel(bound="estimate")
        return ", ".join(
            f"{name} {number(found.sel(measure=name))}"
            for name in ("permutation and scale", "rotation", "rotation and scale", "linear")
        )

    return _shown_first(answers, "Lines by layer, a line a kind of map", say)


def share_alt(answers: Answers) -> str:
    """Text alternative of the figure of shares, for the population that is shown first."""

    def say(row: xr.Dataset) -> str:
        found = row["share"].sel(rigid="rotation", bound="estimate")
        return ", ".join(
            f"{name} {_known(found.sel(population=name))}" for name in found.population.values
        )

    return _shown_first(answers, "Lines by layer: what a rotation has of a linear map's", say)


def training_alt(answers: Answers) -> str:
    """Text alternative of the figure of the share through training."""

    def say(row: xr.Dataset) -> str:
        course = row.training_share.sel(rigid="rotation", bound="estimate").values
        return f"from {_known(course[0])} to {_known(course[-1])}"

    return _shown_first(answers, "Lines over epochs, a line a layer: the rotation's share", say)


def sizes_alt(answers: Answers) -> str:
    """Text alternative of the figure of variance over k."""

    def say(row: xr.Dataset) -> str:
        curve = row.by_k.sel(space="shared", bound="estimate").dropna("k").values
        k = float(row.reached.sel(space="shared", bound="estimate"))
        return (
            f"from {number(curve[0])} to {number(curve.max())}, {_NEAR} of it with {_known(k, 0)}"
        )

    return _shown_first(answers, "Lines over the number of dimensions, a line a layer", say)


def course_sentence(answers: Answers) -> str:
    """How a linear map's and a rotation's variance change from the first checkpoint to the last."""
    lines = []
    for population, answer in answers.items():
        ends = [answer.training.sel(bound="estimate").isel(checkpoint=c) for c in (0, -1)]
        parts = [
            f"{text} {' → '.join(span(end.sel(map=name)) for end in ends)}"
            for name, text in (("rotation", "a rotation"), ("linear", "a linear map"))
        ]
        lines.append(
            f"- {population}, the first {int(answer.followed)} networks: {'; '.join(parts)}"
        )
    return (
        "What they explain at the first checkpoint and at the last, over all layers:\n\n"
        + "\n".join(lines)
    )


def _below(one: xr.DataArray, other: xr.DataArray, by: float = 0.0) -> bool:
    """Whether one interval lies below another, by more than so much."""
    return bool(one.sel(bound="high") + by < other.sel(bound="low"))


def _apart(share: xr.DataArray, expected: xr.DataArray, by: float = 0.0) -> str:
    """Whether a share is lower than it should be, as far as intervals can tell."""
    if _below(share, expected, by):
        return "yes"
    return "no" if _below(expected, share, by) else UNDECIDED


def _beyond_private(row: xr.Dataset) -> str:
    """Whether a linear map gains more in the networks than in rigid ones, in one layer.

    A difference that the rigid networks' rotation misses is not counted as one.
    """
    real, rigid = (row.sel(population=name) for name in ("networks", "rigid networks"))
    rotation, linear = (
        [of.compared.sel(map=name) for of in (real, rigid)] for name in ("rotation", "linear")
    )
    missed = abs(float(rotation[0].sel(bound="estimate") - rotation[1].sel(bound="estimate")))
    if missed > TOLERANCE:
        return f"no match: off by {number(missed)}"
    if _below(linear[1], linear[0], missed):
        return "yes"
    by = missed / max(float(linear[1].sel(bound="estimate")), LEAST)
    return _apart(*(of["share"].sel(rigid="rotation") for of in (real, rigid)), by)


def reasons(answers: Answers) -> str:
    """Tables: whether noise, or samples of units, account for a linear map's gain in a layer."""

    def cells(row: xr.Dataset) -> list[str]:
        explained = row.compared.sel(bound="estimate")
        pairs = (
            [
                number(explained.sel(map=name, population=of))
                for of in ("networks", "rigid networks")
            ]
            for name in ("rotation", "linear")
        )
        two, one = (
            row["share"].sel(rigid="rotation", population=f"halves of {n}")
            for n in ("two networks", "one network")
        )
        return [*(" / ".join(pair) for pair in pairs), _beyond_private(row), _apart(two, one)]

    head = [
        "rotation",
        "linear map",
        "less rigid than private activity explains",
        "less rigid than within a network",
    ]
    return (
        f"{_tables(answers, head, cells)}\n\nVariance explained: in the networks / in rigid "
        f"networks made from them. “No match”: there a rotation explains over {number(TOLERANCE)} "
        "more or less than in the networks, and the layer is not compared."
    )


def caution_sentence(seed: int = 0) -> str:
    """What a linear map gains in networks that are rigid by construction, and in their like."""
    given = rigid_but_noisy(seed)

    def means(x: tuple[Tensor, Tensor]) -> dict[str, float]:
        explained = explained_by_maps(*x, few=True).nanmean((1, 2)).tolist()
        return dict(zip(FEW, explained, strict=True))

    found = means(given)
    made = means(rigid_population(*given, found["rotation"], seed))
    gains = [number(row["linear"] - row["rotation"]) for row in (found, made)]
    return (
        "In networks that are rigid by construction, but whose private activity is as strong as "
        f"the shared and prevails where that is weak, a linear map gains {gains[0]} on a rotation; "
        f"in rigid networks made from them {gains[1]}."
    )


def width_sentence(answers: Answers) -> str:
    """Whether the rotation's share depends on how many units are looked at."""
    rises = []
    for answer in answers.values():
        found = answer["share"].sel(rigid="rotation", bound="estimate")
        whole, half = (found.sel(population=p) for p in ("networks", "halves of two networks"))
        rises += (whole - half).values.tolist()
    higher = sum(rise > 0 for rise in rises)
    return (
        f"With all units that were drawn in place of half of them, the rotation's share is higher "
        f"in {higher} of {len(rises)} layers (it changes by {span(rises)})."
    )


def sizes_table(answers: Answers) -> str:
    """Dimensions that give `ENOUGH` of the best, shared and a network's own, layer by layer."""

    def cells(row: xr.Dataset) -> list[str]:
        best = row.by_k.sel(space="shared", bound="estimate").max()
        both = (row.reached.sel(space=space) for space in ("shared", "own"))
        reached = ["none" if k.isnull().any() else interval_text(k, 0) for k in both]
        return [f"{int(row.drawn)} of {int(row.units)}", *reached, number(best)]

    return _tables(answers, ["units", "k, shared", "k, own axes", "best"], cells)


def partners_sentence(answers: Answers) -> str:
    """How often the partner of a unit can be among the units that were drawn."""

    def say(row: xr.Dataset) -> str:
        return f"{100 * float(row.drawn / row.units):.0f} %"

    lines = [f"- {population}: {_by_layer(answer, say)}" for population, answer in answers.items()]
    return (
        "Chance that a unit's counterpart is among the units drawn from the other network, if it "
        "has one:\n\n" + "\n".join(lines)
    )
