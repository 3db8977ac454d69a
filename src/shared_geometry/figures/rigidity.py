"""Figures of the chapter on rigidity: answers of the study, population by population."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.wording import layer_name, span
from shared_geometry.beyond.rigidity.dimensions import ENOUGH
from shared_geometry.beyond.rigidity.study import NEARLY
from shared_geometry.figures import style
from shared_geometry.figures.answers import curves

_LADDER = {
    "permutation and scale": "permutation, scaled",
    "rotation": "rotation",
    "rotation and scale": "rotation, scaled",
    "linear": "any linear map",
    "canonical": "canonical variates",
    "canonical, directions alike": "all directions alike",
}
Answers = Mapping[str, xr.Dataset]


def _all(answers: Answers, variable: str, **which: str) -> np.ndarray:
    found = [answer[variable].sel(which).values.ravel() for answer in answers.values()]
    return np.concatenate(found)


def maps_by_layer(answers: Answers) -> go.Figure:
    """Variance of one network that each kind of map explains by another, by layer.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study.
    """
    series = {
        population: {
            name: answer.explained_interval.sel(measure=measure)
            for measure, name in _LADDER.items()
        }
        for population, answer in answers.items()
    }
    shares = _all(answers, "share", population="networks", rigid="rotation", bound="estimate")
    figure = curves(
        series,
        f"A rotation explains {span(100 * shares, 0)} % of what a linear map explains",
        x=None,
        y="variance explained",
        dotted=[_LADDER["canonical, directions alike"]],
        height=480,
    )
    return figure.update_yaxes(rangemode="tozero")


def share_by_layer(answers: Answers) -> go.Figure:
    """Share of the linear map's variance that a rotation explains, beside that of what is made.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study.
    """
    series = {
        name: {
            str(which): answer["share"].sel(population=which, rigid="rotation")
            for which in answer.population.values
        }
        for name, answer in answers.items()
    }
    one, two = (
        _all(answers, "share", population=f"halves of {n}", rigid="rotation", bound=bound)
        for n, bound in (("one network", "low"), ("two networks", "high"))
    )
    apart = int((one > two).sum())  # intervals that overlap tell nothing
    figure = curves(
        series,
        f"Halves of two networks are less rigidly related than halves of one in {apart} of "
        f"{len(one)} layers",
        x=None,
        y="rotation ÷ linear map",
        dotted=["rigid networks", "halves of one network"],
        height=460,
    )
    return _with_line(figure)


def _with_line(figure: go.Figure) -> go.Figure:
    """Where the claim says “nearly all”."""
    return figure.add_hline(y=NEARLY, line={"color": style.MUTED, "width": 1.5, "dash": "dot"})


def share_through_training(answers: Answers) -> go.Figure:
    """Share of the linear map's variance that a rotation explains, through training.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study.
    """
    shares = {
        population: answer.training_share.sel(rigid="rotation")
        for population, answer in answers.items()
    }
    series = {
        population: {layer_name(label): values.sel(layer=label) for label in values.layer.values}
        for population, values in shares.items()
    }
    ends = [values.sel(bound="estimate").isel(checkpoint=[0, -1]) for values in shares.values()]
    gains = np.concatenate([e.diff("checkpoint").values.ravel() for e in ends])
    figure = curves(
        series,
        f"The rotation's share grows through training in {int((gains > 0).sum())} of {len(gains)} "
        "layers",
        x="epoch",
        y="rotation ÷ linear map",
        ordered=True,
        height=440,
    )
    return _with_line(figure)


def variance_by_k(answers: Answers) -> go.Figure:
    """Variance of a network that the others explain through k shared dimensions.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study.
    """
    shared = {name: answer.by_k.sel(space="shared") for name, answer in answers.items()}
    series = {
        name: {layer_name(label): values.sel(layer=label) for label in values.layer.values}
        for name, values in shared.items()
    }
    reached = _all(answers, "reached", space="shared", bound="estimate")
    figure = curves(
        series,
        f"{span(reached, 0)} shared dimensions give {100 * ENOUGH:.0f} % of the best",
        x="dimensions k",
        y="variance explained by the others",
        ordered=True,
        height=440,
    )
    return figure.update_traces(connectgaps=True)  # layers of other sizes end at another k
