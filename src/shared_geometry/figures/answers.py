"""Answers of a study for several populations in one figure: a menu says whose are shown."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.wording import layer_name
from shared_geometry.errors import InputError
from shared_geometry.figures import style


def _places(dim: str, values: np.ndarray) -> list[str]:
    """Where the points of a curve stand, as text: the axis is one of categories."""
    if dim == "layer":
        return [layer_name(label) for label in values]
    return [f"{v:g}" if isinstance(v, int | float | np.number) else str(v) for v in values]


def _curve(
    values: xr.DataArray, name: str, colour: str, dash: str, floor: float | None
) -> go.Scatter:
    (dim,) = (d for d in values.dims if d != "bound")
    true = values.sel(bound="estimate") if "bound" in values.dims else values
    drawn = values if floor is None else values.clip(min=floor)
    bars = None
    estimate = drawn
    if "bound" in values.dims:
        estimate, low, high = drawn.transpose("bound", dim).values
        bars = style.error_bars(estimate, low, high)
    told = {"hovertemplate": "%{x}: %{y:.3f}"}
    if floor is not None:
        told = {"customdata": true.values, "hovertemplate": "%{x}: %{customdata:.2g}"}
    return go.Scatter(
        x=_places(str(dim), values[dim].values),
        y=np.asarray(estimate),
        error_y=bars,
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 2, "dash": dash},
        marker={"size": 8},
        **told,
    )


def curves(
    answers: Mapping[str, Mapping[str, xr.DataArray]],
    title: str | Sequence[str],
    *,
    x: str | None,
    y: str,
    ordered: bool = False,
    dotted: Sequence[str] = (),
    height: int = 420,
    y_range: Sequence[float] | None = None,
    floor: float | None = None,
) -> go.Figure:
    """Curves with intervals over layers, checkpoints or sizes, those of one population at a time.

    Parameters
    ----------
    answers : mapping of str to mapping of str to DataArray
        Population -> name of the curve -> its values: one dimension, which is the horizontal axis,
        and if there are intervals, ``bound`` (estimate, low, high).
    title : str, or sequence of str
        The finding, in words, which stays when another population is chosen; or one for each.
    x, y : str
        Titles of the axes; None for layers, which need none.
    ordered : bool
        The curves are in an order (layers, checkpoints), and coloured from light to dark.
    dotted : sequence of str
        Names of curves that are dotted: controls, and what is to be compared with.
    height : int
    y_range : sequence of float, optional
    floor : float, optional
        The vertical axis is logarithmic, and begins here: what is smaller is drawn on the floor.
        The pointer is told the value itself.

    Returns
    -------
    plotly.graph_objects.Figure
        With a menu if there are several populations; the first is shown.

    Raises
    ------
    InputError
        If there is no population.
    """
    if not answers:
        raise InputError("answers are empty; expected those of one population or more")
    figure, owners = go.Figure(), []
    for place, (population, series) in enumerate(answers.items()):
        many = ordered or len(series) > len(style.CATEGORIES)
        colours = style.depth_colours(len(series)) if many else style.CATEGORIES
        for (name, values), colour in zip(series.items(), colours, strict=False):
            curve = _curve(values, name, colour, "dot" if name in dotted else "solid", floor)
            figure.add_trace(curve.update(visible=place == 0))
            owners.append(population)
    figure.update_xaxes(type="category", title=x)
    figure.update_yaxes(title=y, range=y_range, type="linear" if floor is None else "log")
    if floor is not None:
        figure.update_yaxes(exponentformat="power", dtick=1)
    if len(answers) > 1:
        figure.update_layout(updatemenus=[menu(answers, owners)])
    return style.finish(figure, title, height=height)


def menu(answers: Mapping, owners: Sequence[str]) -> dict:
    """A menu of populations that shows the traces of the one that is chosen.

    Parameters
    ----------
    answers : mapping
        By population.
    owners : sequence of str
        The population of each trace.
    """
    return style.dropdown(
        [
            {
                "label": population,
                "method": "restyle",
                "args": [{"visible": [owner == population for owner in owners]}],
            }
            for population in answers
        ]
    )
