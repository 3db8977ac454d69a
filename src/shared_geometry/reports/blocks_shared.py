"""The chapter on blocks, what networks share with the penalty and without: curves and sentences."""

import xarray as xr

from shared_geometry.basics.wording import in_a_sentence, interval_text, span
from shared_geometry.beyond.blocks.study import CONTROL, beside
from shared_geometry.claims.judging import above, counted
from shared_geometry.reports.blocks import Answers, Curves, end_of_control

OTHERS = "left out"  # the strict one of the measures of variance


def curves(answers: Answers) -> Curves:
    """What the other networks explain of every layer, for `figures.curves`."""
    return {
        title: {
            str(population): found.variance_interval.sel(population=population, measure=OTHERS)
            for population in found.population.values
        }
        for title, found in answers.items()
    }


def _change(found: xr.Dataset) -> xr.DataArray:
    return found.variance_change.sel(measure=OTHERS).transpose("layer", "bound")


def _more(found: xr.Dataset) -> str:
    """In how many layers the others explain more without the penalty, by the whole interval."""
    rows = _change(found).values
    return counted([above(row, 0) for row in rows], "layers")


def titles(answers: Answers) -> list[str]:
    """In how many layers networks share more without the penalty, in each population."""
    return [
        f"More is shared without the penalty in {_more(found)}"
        if CONTROL in found.population.values
        else "There is no penalty to leave out"
        for found in answers.values()
    ]


def alt(answers: Answers) -> str:
    """Text alternative of the figure of what is shared."""
    said = []
    for title, of_population in curves(answers).items():
        for population, curve in of_population.items():
            said.append(f"{title}, {population}: {span(curve.sel(bound='estimate'))}")
    return f"Lines over layers. Variance that the other networks explain, {'; '.join(said)}."


def _replaced(found: xr.Dataset, layer: str, measure: str) -> str:
    """What is explained of a layer without the penalty, and with it."""
    rows = found.variance_interval.sel(layer=layer, measure=measure)
    without, with_ = (interval_text(rows.sel(population=p)) for p in (CONTROL, beside(found)))
    return f"{without} in place of {with_}"


def sentences(answers: Answers) -> str:
    """Where the penalty changes most what is shared, a paragraph a population with a control."""
    said = []
    for title, found in answers.items():
        if CONTROL not in found.population.values:
            continue
        change = _change(found)
        largest = change.isel(layer=int(abs(change.sel(bound="estimate")).argmax("layer")))
        layer = largest.layer.item()
        said.append(
            f"**{title}**, {end_of_control(found)}: the others explain more without the penalty "
            f"in {_more(found)}. The change is largest in {in_a_sentence(layer)}, by "
            f"{interval_text(largest)}: {_replaced(found, layer, OTHERS)}, and by the authors’ "
            f"measure {_replaced(found, layer, 'published')}."
        )
    return "\n\n".join(said)
