"""Figures of the chapter on rigidity: answers of the study, population by population."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.beyond.rigidity import NEARLY
from shared_geometry.figures import style
from shared_geometry.figures.answers import curves
from shared_geometry.wording import layer_name

_LADDER = {
    "permutation and scale": "permutation, scaled",
    "rotation": "rotation",
    "rotation and scale": "rotation, scaled",
    "linear": "any linear map",
    "canonical": "canonical variates",
    "canonical, directions alike": "all directions alike",
}
Answers = Mapping[str, xr.Dataset]


def _range(values: np.ndarray, form: str = "{:.0%}") -> str:
    """The smallest and the largest of some numbers, in words."""
    known = values[~np.isnan(values)]
    if not len(known):
        return "nothing"
    low, high = form.format(known.min()), form.format(known.max())
    return low if low == high else f"{low} to {high}"


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
    shares = _all(answers, "share", rigid="rotation", bound="estimate")
    figure = curves(
        series,
        f"A rotation explains {_range(shares)} of what a linear map explains",
        x=None,
        y="variance explained",
        dotted=[_LADDER["canonical, directions alike"]],
        height=480,
    )
    return figure.update_yaxes(rangemode="tozero")


def surplus_by_layer(answers: Answers) -> go.Figure:
    """What a linear map explains beyond a rotation with a scale, in networks and in rigid ones.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study.
    """
    names = {"networks": "the networks", "rigid": "rigid networks, as noisy"}
    series = {
        population: {name: answer.surplus.sel(population=which) for which, name in names.items()}
        for population, answer in answers.items()
    }
    low = _all(answers, "surplus", population="networks", bound="low")
    high = _all(answers, "surplus", population="rigid", bound="high")
    bent = int((low > high).sum())
    figure = curves(
        series,
        f"A linear map gains more than noise accounts for in {bent} of {len(low)} layers",
        x=None,
        y="linear map − scaled rotation",
        dotted=[names["rigid"]],
        height=400,
    )
    return figure.update_yaxes(rangemode="tozero")


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
    return figure.add_hline(y=NEARLY, line={"color": style.MUTED, "width": 1.5, "dash": "dot"})


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
        f"{_range(reached, '{:.0f}')} shared dimensions give 95 % of what all of them give",
        x="dimensions k",
        y="variance explained by the others",
        ordered=True,
        height=440,
    )
    return figure.update_traces(connectgaps=True)  # layers of other sizes end at another k
