"""Whose layers with whose head: accuracy of every pair of networks, a layer at a time."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from shared_geometry.errors import InputError
from shared_geometry.figures import style

_MOST_WORDS = 12  # of more networks, cells hold no numbers


def pair_matrices(answers: Mapping[str, np.ndarray], title: str) -> go.Figure:
    """Heatmaps of accuracy, one shown at a time.

    Parameters
    ----------
    answers : mapping of str to array of shape (n_networks, n_networks)
        What the menu calls it -> accuracies between 0 and 1; row: whose layers, column: whose head.
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
    figure = go.Figure()
    for place, matrix in enumerate(answers.values()):
        names = [str(i + 1) for i in range(len(matrix))]
        figure.add_heatmap(
            x=names,
            y=names,
            z=np.asarray(matrix, dtype=np.float64),
            coloraxis="coloraxis",
            texttemplate="%{z:.0%}" if len(names) <= _MOST_WORDS else None,
            hovertemplate="layers of network %{y}, head of network %{x}: %{z:.1%}<extra></extra>",
            visible=place == 0,
        )
    square = {"type": "category", "showgrid": False, "constrain": "domain"}
    figure.update_xaxes(square, title="whose head")
    figure.update_yaxes(square, title="whose layers", autorange="reversed", scaleanchor="x")
    bar = {"orientation": "h", "thickness": 10, "len": 0.6, "y": 0, "tickformat": ".0%"}
    figure.update_layout(
        coloraxis={
            "cmin": 0,
            "cmax": 1,
            "colorscale": style.SEQUENTIAL,
            "colorbar": {**bar, "yref": "container", "yanchor": "bottom"},
        }
    )
    if len(answers) > 1:
        figure.update_layout(updatemenus=[_menu(list(answers))])
    return style.finish(figure, title, height=560, narrow={"height": 460})


def _menu(names: list[str]) -> dict:
    return style.dropdown(
        [
            {
                "label": name,
                "method": "restyle",
                "args": [{"visible": [other == name for other in names]}],
            }
            for name in names
        ]
    )
