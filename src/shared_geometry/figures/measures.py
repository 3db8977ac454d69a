"""Figures of the chapter on other measures: every measure by layer, and which agree with which."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.wording import layer_name
from shared_geometry.errors import InputError
from shared_geometry.figures import style
from shared_geometry.figures.answers import menu
from shared_geometry.figures.rsm import colour_axis

_ROW = 50  # pixels
_NARROW_PLOT = 190  # pixels that the names of the rows leave on a narrow screen
_BAND = 0.62  # of a row that its layers take


def _offsets(n: int) -> np.ndarray:
    return np.linspace(-_BAND / 2, _BAND / 2, n) if n > 1 else np.zeros(1)


def _own(values: xr.DataArray, rows: np.ndarray, colour: str) -> go.Scatter:
    """Points of one layer with their intervals, a row a measure."""
    estimate, low, high = (values.sel(bound=b).values for b in ("estimate", "low", "high"))
    return go.Scatter(
        x=estimate,
        y=rows,
        error_x=style.error_bars(estimate, low, high),
        mode="markers",
        name=layer_name(values.layer.item()),
        marker={"size": 8, "color": colour},
        text=values.measure.values,
        hovertemplate="%{text}: %{x:.3f}",
    )


def _other(values: xr.DataArray, rows: np.ndarray, second: str, first: bool) -> go.Scatter:
    """What the points of one layer are compared with."""
    symbol = "line-ns" if second == "unrelated" else "diamond-open"
    return go.Scatter(
        x=values.sel(bound=second).values,
        y=rows,
        mode="markers",
        name=second,
        legendgroup=second,
        showlegend=first,
        marker={
            "symbol": symbol,
            "size": 9,
            "color": style.MUTED,
            "line": {"width": 2, "color": style.MUTED},
        },
        text=[f"{name}, {layer_name(values.layer.item())}" for name in values.measure.values],
        hovertemplate="%{text}: %{x:.3f}",
    )


def measures_by_layer(
    answers: Mapping[str, xr.DataArray], title: str, *, second: str, x: str
) -> go.Figure:
    """Every measure a row, every layer a dot with its interval; a menu chooses the population.

    Parameters
    ----------
    answers : mapping of str to DataArray of dimensions layer, measure, bound
        ``bound`` holds estimate, low, high, and ``second``.
    title : str
        The finding.
    second : str
        What each dot is compared with: "unrelated" is drawn as a tick, anything else as a
        diamond.
    x : str
        Title of the axis.

    Raises
    ------
    InputError
        If there is no population.
    """
    if not answers:
        raise InputError("answers are empty; expected those of one population or more")
    figure, owners = go.Figure(), []
    for place, (population, values) in enumerate(answers.items()):
        layers = values.layer.values
        colours = style.depth_colours(len(layers))
        for layer, colour, offset in zip(layers, colours, _offsets(len(layers)), strict=True):
            rows, chosen = np.arange(values.sizes["measure"]) + offset, values.sel(layer=layer)
            other = _other(chosen, rows, second, layer == layers[0])
            for trace in (other, _own(chosen, rows, colour)):
                figure.add_trace(trace.update(visible=place == 0))
                owners.append(population)
    names = [str(name) for name in next(iter(answers.values())).measure.values]
    figure.update_xaxes(title=x, zeroline=True)
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
    )
    figure.update_layout(shapes=_stripes(len(names)))
    narrow = _menu(figure, answers, owners) if len(answers) > 1 else {}
    narrow["xaxis"] = {"title": {"text": style.wrapped(x, _NARROW_PLOT, 8)}}
    return style.finish(figure, title, height=150 + _ROW * len(names), narrow=narrow)


def _menu(figure: go.Figure, choices: Mapping, owners: Sequence[str | None]) -> dict:
    """Set a menu above the names of the rows; what changes on a narrow screen."""
    wide = {**menu(choices, owners), "x": -0.24}
    figure.update_layout(updatemenus=[wide])
    return {"updatemenus": [{**wide, "x": -0.5}]}


def _stripes(n: int) -> list[dict]:
    """Every second row shaded, so that a row can be followed to its name."""
    band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "layer": "below", "line_width": 0}
    shade = style.faded(style.MUTED, 0.1)
    return [{**band, "y0": i - 0.5, "y1": i + 0.5, "fillcolor": shade} for i in range(0, n, 2)]


def agreement_map(answers: Mapping[str, xr.DataArray], title: str) -> go.Figure:
    """Agreement of every two measures as a heatmap; a menu chooses population and what is ordered.

    Parameters
    ----------
    answers : mapping of str to DataArray of dimensions along, measure, other
    title : str
        The finding.

    Raises
    ------
    InputError
        If there is no population.
    """
    if not answers:
        raise InputError("answers are empty; expected those of one population or more")
    figure, views = go.Figure(), {}
    for population, tables in answers.items():
        for along in tables.along.values:
            views[f"{along}, {population}" if len(answers) > 1 else str(along)] = tables.sel(
                along=along
            )
    for place, values in enumerate(views.values()):
        names = [str(name) for name in values.measure.values]
        figure.add_heatmap(
            z=values.values,
            x=names,
            y=names,
            coloraxis="coloraxis",
            visible=place == 0,
            hovertemplate="%{y}<br>%{x}<br>τ = %{z:.2f}<extra></extra>",
        )
    figure.update_layout(coloraxis=colour_axis((-1.0, 1.0), "τ"))
    narrow = _menu(figure, views, list(views))
    figure.update_xaxes(type="category", tickangle=-60, showgrid=False, constrain="domain")
    figure.update_yaxes(
        type="category", autorange="reversed", showgrid=False, scaleanchor="x", constrain="domain"
    )
    every = {"dtick": 1, "tickfont": {"size": 10}}
    bar = {"tickvals": [-1, 0, 1], "ticktext": ["τ = −1", "0", "1"]}
    narrow |= {"height": 520, "xaxis": every, "yaxis": every, "coloraxis": {"colorbar": bar}}
    return style.finish(figure, title, height=680, narrow=narrow)
