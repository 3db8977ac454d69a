"""Networks joined with each other's heads: accuracy near its ceiling, and pair by pair."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.beyond.heads.study import loss
from shared_geometry.errors import InputError
from shared_geometry.figures import style
from shared_geometry.figures.answers import curves, menu

_MOST_WORDS = 12  # of more networks, cells hold no numbers
_TICKS = (0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.5, 0.0)  # accuracies that the axis names
_LEAST_ERROR = 1e-3  # an accuracy closer to 1 is drawn there
_SMALL = 5.0  # points; losses up to this are pale whatever the largest is


def _error(accuracy: xr.DataArray) -> xr.DataArray:
    """1 - accuracy; where there are bounds, they change places."""
    error = (1 - accuracy).clip(min=_LEAST_ERROR)
    if "bound" not in error.dims:
        return error
    swapped = error.sel(bound=["estimate", "high", "low"])
    return swapped.assign_coords(bound=["estimate", "low", "high"])


def accuracy_curves(
    answers: Mapping[str, Mapping[str, xr.DataArray]],
    title: str,
    *,
    x: str | None,
    dotted: Sequence[str] = (),
) -> go.Figure:
    """`figures.curves` of accuracies, on an axis that is logarithmic in the errors.

    From 98 to 99 % is as far as from 80 to 90 %: half of the errors are gone.

    Parameters
    ----------
    answers, title, x, dotted
        As there.
    """
    errors = {
        population: {name: _error(values) for name, values in series.items()}
        for population, series in answers.items()
    }
    figure = curves(errors, title, x=x, y="accuracy on held-out images", dotted=dotted, height=480)
    for trace in figure.data:
        shown = [f"{100 * (1 - error):.1f} %" for error in trace.y]
        trace.update(text=shown, hovertemplate="%{x}: %{text}")
    best = np.nanmin(np.concatenate([trace.y for trace in figure.data]))
    top = 0.6 * best
    ticks = [1 - t for t in _TICKS if 1 - t > top]
    figure.update_yaxes(
        type="log",
        range=[0.02, float(np.log10(top))],
        tickvals=ticks,
        ticktext=[f"{100 * (1 - e):.3g} %" for e in ticks],
    )
    narrow = {**figure.layout.meta["narrow"], "height": 560}
    narrow["title"] = {**narrow["title"], "y": 1 - 10 / 560}
    return figure.update_layout(meta={**figure.layout.meta, "narrow": narrow})


def pair_matrices(
    answers: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray], title: str
) -> go.Figure:
    """Accuracy of every pair as a number, what it loses as a colour; one matrix at a time.

    Parameters
    ----------
    answers : mapping of str to array of shape (n_networks, n_networks)
        What the menu calls it -> accuracies between 0 and 1; row: whose layers, column: whose head.
    own : mapping of str to array of shape (n_networks,)
        Accuracy of each network with its own head.
    title : str
        The finding; it stays when another matrix is chosen.

    Returns
    -------
    plotly.graph_objects.Figure

    Raises
    ------
    InputError
        If there is no matrix.
    """
    if not answers:
        raise InputError("answers are empty; expected one matrix or more")
    figure, largest = go.Figure(), _SMALL
    for place, (name, matrix) in enumerate(answers.items()):
        lost = 100 * loss(matrix, own[name])
        largest = max(largest, float(lost.max()))
        names = [str(i + 1) for i in range(len(matrix))]
        figure.add_heatmap(
            x=names,
            y=names,
            z=lost,
            text=[[f"{100 * cell:.0f} %" for cell in row] for row in matrix],
            hovertext=[[f"{100 * cell:.1f} %" for cell in row] for row in matrix],
            coloraxis="coloraxis",
            texttemplate="%{text}" if len(names) <= _MOST_WORDS else None,
            hovertemplate=(
                "layers of network %{y}, head of network %{x}: %{hovertext}, "
                "%{z:.1f} points lost<extra></extra>"
            ),
            visible=place == 0,
        )
    square = {"type": "category", "showgrid": False, "constrain": "domain"}
    figure.update_xaxes(square, title="whose head")
    figure.update_yaxes(square, title="whose layers", autorange="reversed", scaleanchor="x")
    figure.update_layout(coloraxis=_losses(largest))
    if len(answers) > 1:
        figure.update_layout(updatemenus=[menu(answers, list(answers))])
    return style.finish(figure, title, height=560, narrow={"height": 460})


def _losses(largest: float) -> dict:
    ticks = np.linspace(0, largest, 3)
    return {
        "cmin": 0,
        "cmax": largest,
        "colorscale": style.SEQUENTIAL,
        "colorbar": {
            "orientation": "h",
            "thickness": 10,
            "len": 0.6,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "tickvals": ticks.tolist(),
            "ticktext": ["none lost", *(f"{t:.3g} points" for t in ticks[1:])],
        },
    }
