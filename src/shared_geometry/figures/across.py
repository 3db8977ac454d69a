"""Figures of the chapter on architectures: answers of the study, population by population."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
import xarray as xr

from shared_geometry.basics.wording import layer_name, span
from shared_geometry.beyond.across.layer_maps import best_match
from shared_geometry.claims.judging import HIGH
from shared_geometry.figures import style
from shared_geometry.figures.answers import curves, menu

Answers = Mapping[str, xr.Dataset]
_SHOWN = {  # spaces, and what a legend calls them
    "own": "its own space",
    "common": "common space",
    "common, all": "common, all networks",
    "others": "others’ spaces",
    "common, shuffled": "common, shuffled",
}
_DECIMALS = {7: 2, 10: 1}  # columns at most: decimals for which their cells have room
_SCALE_END = 1.1  # the scale of shares goes on beyond 1, where one population serves another better
_FRAME = style.oklch(0.9, 0.09, 215)  # stands out from what is dark, as best matches are


def matches(answer: xr.Dataset, measure: str, population: str) -> np.ndarray:
    """Mean over pairs of networks: (layers of the plan's networks, layers of the others)."""
    depth = len(json.loads(answer.attrs["layers"])[population])
    found = answer.matched.sel(measure=measure, population=population).mean("pair")
    return found.values[:, :depth]


def _colours(high: float) -> dict[str, Any]:
    ticks = np.arange(0, high + 1e-9, 0.25).tolist()
    bar = {"orientation": "h", "thickness": 10, "len": 0.6, "y": 0, "yref": "container"}
    return {
        "cmin": 0,
        "cmax": high,
        "colorscale": style.SEQUENTIAL,
        "colorbar": {**bar, "yanchor": "bottom", "tickvals": ticks},
    }


def _number_in_a_cell(columns: int) -> str | None:
    decimals = next((d for most, d in _DECIMALS.items() if columns <= most), None)
    return None if decimals is None else f"%{{z:.{decimals}f}}"


def _heatmap(z: np.ndarray, x: list[str], y: list[str], shown: bool, hover: str) -> go.Heatmap:
    """Cells with their numbers in them, where there is room for these on a phone."""
    return go.Heatmap(
        z=z,
        x=x,
        y=y,
        coloraxis="coloraxis",
        visible=shown,
        hoverongaps=False,
        texttemplate=_number_in_a_cell(len(x)),
        textfont={"size": 11},
        hovertemplate=f"{hover}: %{{z:.3f}}<extra></extra>",
    )


def _squares(figure: go.Figure, x: str, y: str) -> go.Figure:
    plain = {"type": "category", "showgrid": False}
    figure.update_xaxes(**plain, title=x)
    return figure.update_yaxes(**plain, title=y, autorange="reversed")


def layers_matched(answers: Answers, measure: str) -> go.Figure:
    """Layers of a population's networks against those of other networks; a frame marks the best.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study.
    measure : str
        One of `layer_maps.MEASURES`.
    """
    many, figure = len(answers) > 1, go.Figure()
    entries = [(k, a, str(p)) for k, a in answers.items() for p in a.population.values]
    depths = [len(json.loads(a.attrs["layers"])[p]) for _, a, p in entries]
    active = next((i for i, d in enumerate(depths) if d != depths[0]), 0)
    for place, (_, answer, population) in enumerate(entries):
        z = matches(answer, measure, population)
        others = [layer_name(v) for v in json.loads(answer.attrs["layers"])[population]]
        own = [layer_name(v) for v in answer.layer.values]
        figure.add_trace(
            _heatmap(z.T, own, others, place == active, "%{x} with %{y} of the others")
        )
        found = best_match(torch.as_tensor(z))
        figure.add_scatter(
            x=[own[i] for i, _ in found],
            y=[others[j] for _, j in found],
            mode="markers",
            marker={"symbol": "square-open", "size": 28, "color": _FRAME},
            marker_line={"width": 2.5, "color": _FRAME},
            visible=place == active,
            showlegend=False,
            hoverinfo="skip",
        )
    labels = {f"{k}: {p}" if many else f"with {p}": p for k, _, p in entries}
    owners = [label for label in labels for _ in range(2)]  # a heatmap and its frames
    figure.update_layout(
        coloraxis=_colours(1),
        updatemenus=[menu(labels, owners) | {"active": active}],
    )
    order = np.concatenate(
        [a.order.sel(measure=measure, bound="estimate").values[1:] for a in answers.values()]
    )
    word = "follow" if (order >= HIGH).all() else "only in part follow"
    title = f"Best matches {word} the order of depth: rank correlation {span(order)}"
    _squares(figure, "own layers", "layers of the others")
    return style.finish(figure, title, height=540)


def spaces_exchanged(answers: Answers) -> go.Figure:
    """What the space of each population explains of each, over what its own does.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study.
    """
    figure, away = go.Figure(), []
    for place, answer in enumerate(answers.values()):
        z = answer.exchange_part.sel(bound="estimate").values
        names = [str(v) for v in answer.population.values]
        hover = "space of %{y}, networks of %{x}"
        figure.add_trace(_heatmap(z, names, names, place == 0, hover))
        away.append(z[~np.eye(len(z), dtype=bool)])
    largest = max(float(np.nanmax(trace.z, initial=_SCALE_END)) for trace in figure.data)
    figure.update_layout(coloraxis=_colours(largest))
    if len(answers) > 1:
        figure.update_layout(updatemenus=[menu(answers, list(answers))])
    _squares(figure, "networks of", "space of")
    title = (
        "The space of another population explains "
        f"{span(100 * np.concatenate(away), 0)} % of what a network’s own does"
    )
    return style.finish(figure, title, height=520)


def spaces_compared(answers: Answers) -> go.Figure:
    """Variance explained in a network's own space, the common one and those of others.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study.
    """
    series, parts = {}, []
    for name, answer in answers.items():
        found = answer.isel(population=np.flatnonzero(answer.same_data.values))
        series[name] = {text: found.explained.sel(space=s) for s, text in _SHOWN.items()}
        parts.append(found["part"].sel(space="common", bound="estimate").values)
    figure = curves(
        series,
        "Equally many networks explain, in the common space, "
        f"{span(100 * np.concatenate(parts), 0)} % of what they do in a network’s own",
        x=None,
        y="variance explained",
        dotted=[_SHOWN["common, shuffled"]],
        height=480,
    )
    figure.update_traces(mode="markers")
    return figure.update_layout(scattermode="group", scattergap=0.4)
