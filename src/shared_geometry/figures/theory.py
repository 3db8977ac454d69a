"""Turn it yourself: a rotated network keeps its RSM, and loses the one with its twin."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from shared_geometry.figures import style
from shared_geometry.figures.rsm import CELL, correlations

_PANELS = ("the two networks", "B with itself", "A with B", "A with B, aligned")


def _turned(points: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return q @ points


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a / np.linalg.norm(a, axis=0)).T @ (b / np.linalg.norm(b, axis=0))


def _nearest_rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(a @ b.T)
    return u @ vt


def _dots(points: np.ndarray, name: str, symbol: str, colours: list[str]) -> go.Scatter:
    return go.Scatter(
        x=points[0],
        y=points[1],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 10, "color": colours, "line": {"width": 1}},
        hovertemplate=f"network {name}, image %{{pointNumber}}<extra></extra>",
        xaxis="x",
        yaxis="y",
    )


def _map(matrix: np.ndarray, panel: int) -> go.Heatmap:
    return go.Heatmap(
        coloraxis="coloraxis",
        xaxis=f"x{panel}",
        yaxis=f"y{panel}",
        hovertemplate=f"images %{{y}}, %{{x}}: {CELL}<extra></extra>",
        **correlations(matrix),
    )


def _state(a: np.ndarray, degrees: float, colours: list[str]) -> list[go.Scatter | go.Heatmap]:
    b = _turned(a, degrees)
    return [
        _dots(a, "A", "circle", colours),
        _dots(b, "B", "diamond-open", colours),
        _map(_cosines(b, b), 2),
        _map(_cosines(a, b), 3),
        _map(_cosines(a, _nearest_rotation(a, b) @ b), 4),
    ]


def turn_it(points: np.ndarray, classes: np.ndarray, angles: list[int]) -> go.Figure:
    """Network B is A turned by an angle: its own RSM, that with A, and that after alignment.

    Parameters
    ----------
    points : ndarray of shape (2, n_images)
        Activity of network A, two units.
    classes : ndarray of shape (n_images,), int
        Class of each image, for the colour.
    angles : list of int
        Degrees, one step of the slider each.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    colours = [style.class_colours(int(classes.max()) + 1)[c] for c in classes]
    figure = make_subplots(
        rows=2, cols=2, subplot_titles=_PANELS, vertical_spacing=0.14, horizontal_spacing=0.12
    )
    first = angles[len(angles) // 3]
    figure.add_traces(_state(points, first, colours))
    figure.frames = [
        go.Frame(name=f"{angle}°", data=_state(points, angle, colours)) for angle in angles
    ]
    reach = 1.15 * float(np.linalg.norm(points, axis=0).max())
    square = {"range": [-reach, reach], "constrain": "domain"}
    figure.update_xaxes(square, row=1, col=1)
    figure.update_yaxes(square, scaleanchor="x", row=1, col=1)
    for panel in (2, 3, 4):
        plain = {"showticklabels": False, "showgrid": False, "constrain": "domain"}
        figure.layout[f"xaxis{panel}"].update(plain)
        figure.layout[f"yaxis{panel}"].update(
            plain | {"autorange": "reversed", "scaleanchor": f"x{panel}"}
        )
    figure.update_layout(
        coloraxis={"cmin": -1, "cmax": 1, "colorscale": style.DIVERGING},
        coloraxis_showscale=False,
        sliders=[
            style.slider(
                [f"{a}°" for a in angles], prefix="B is turned by ", active=len(angles) // 3
            )
        ],
    )
    title = "A rotation changes nothing within a network and everything between two"
    return style.finish(figure, title, height=640)
