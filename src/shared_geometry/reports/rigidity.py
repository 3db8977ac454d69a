"""Words and tables of the chapter on rigidity: answers of the study in, Markdown out.

Answers are a mapping from the name of a population to what the study found of it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import in_a_sentence, interval_text, layer_name, number, span
from shared_geometry.beyond.rigidity.dimensions import ENOUGH
from shared_geometry.beyond.rigidity.surrogates import known_populations
from shared_geometry.similarity.prediction import MEASURES, explained_by_maps

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


def _where(answer: xr.Dataset, higher: str, lower: str) -> str:
    """Layers in which the share of one population lies above another's, intervals apart."""
    found = answer["share"].sel(rigid="rotation")
    apart = found.sel(population=higher, bound="low") > found.sel(population=lower, bound="high")
    layers = [in_a_sentence(label) for label in answer.layer.values[apart.values]]
    return ", ".join(layers) if layers else "no layer"


def reasons(answers: Answers) -> str:
    """Table: layers in which noise, or samples of units, do not account for a linear map's gain."""
    head = ["population", "less rigid than noise makes it", "less rigid than within a network"]
    pairs = (("rigid networks", "networks"), ("halves of one network", "halves of two networks"))
    rows = [[name, *(_where(answer, *pair) for pair in pairs)] for name, answer in answers.items()]
    return table(head, rows)


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
