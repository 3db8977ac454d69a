"""Similarity matrices as heatmaps, side by side, on one colour scale."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.experiment.results import RSM_STEP
from shared_geometry.figures import style

_MOST_NAMES = 20  # more classes than these have no room for names on an axis
CELL = "%{z:.2f}"


def correlations(matrix: np.ndarray) -> dict[str, Any]:
    """``z`` of a heatmap of correlations, and the ``meta`` by which a page packs it."""
    cells = np.clip(np.asarray(matrix, dtype=np.float32), -1, 1)
    return {"z": cells, "meta": {"step": RSM_STEP}}


def _image_names(labels: Sequence[str]) -> list[str]:
    """Class and number of each image; the class alone where each has but one."""
    found = list(style.runs(labels))
    if len(found) == len(labels):
        return list(labels)
    return [
        f"{name} #{i - first + 1}" for name, first, behind in found for i in range(first, behind)
    ]


def cell_letter(results: xr.Dataset) -> str:
    """What cells of RSMs are: r, correlations; cos, cosines, if images were not standardised."""
    standardised = json.loads(results.attrs.get("choices", "{}")).get("standardise", True)
    return "r" if standardised else "cos"


def _heatmap(
    matrix: np.ndarray, names: list[str], panel: int, title: str, letter: str
) -> go.Heatmap:
    number = "" if panel == 0 else str(panel + 1)
    return go.Heatmap(
        x=names,
        y=names,
        xaxis=f"x{number}",
        yaxis=f"y{number}",
        coloraxis="coloraxis",
        name=title,
        hovertemplate=f"%{{y}}, %{{x}}<br>{letter} = {CELL}<extra></extra>",
        **correlations(matrix),
    )


def _boundaries(labels: Sequence[str], panel: int) -> list[dict[str, Any]]:
    """Lines between the classes of one panel."""
    number = "" if panel == 0 else str(panel + 1)
    edges = [first - 0.5 for _, first, _ in style.runs(labels)][1:]
    line = {"width": 1, "color": style.faded(style.MUTED, 0.5)}
    ends = {"x0": -0.5, "x1": len(labels) - 0.5}
    shape = {"type": "line", "line": line, "xref": f"x{number}", "yref": f"y{number}"}
    across = [{**shape, **ends, "y0": edge, "y1": edge} for edge in edges]
    down = [{**shape, "x0": e, "x1": e, "y0": -0.5, "y1": len(labels) - 0.5} for e in edges]
    return across + down


def _spans(n: int, gap: float = 0.04) -> list[tuple[float, float]]:
    size = (1 - gap * (n - 1)) / n
    return [(i * (size + gap), i * (size + gap) + size) for i in range(n)]


def _panels(titles: Sequence[str], ticks: dict[str, Any]) -> dict[str, Any]:
    """Axes and headings of panels in a row; zooming into one zooms into all."""
    layout: dict[str, Any] = {"annotations": []}
    for i, (title, domain) in enumerate(zip(titles, _spans(len(titles)), strict=True)):
        number = "" if i == 0 else str(i + 1)
        shared = {"type": "category", "showgrid": False, "constrain": "domain", **ticks}
        layout[f"xaxis{number}"] = {**shared, "domain": domain, "anchor": f"y{number}"}
        layout[f"yaxis{number}"] = {
            **shared,
            "anchor": f"x{number}",
            "autorange": "reversed",
            "scaleanchor": f"x{number}",
        }
        if i:
            layout[f"xaxis{number}"] |= {"matches": "x"}
            layout[f"yaxis{number}"] |= {"matches": "y", "showticklabels": False}
        layout["annotations"].append(_heading(title, x=sum(domain) / 2))
    return layout


def _heading(text: str, x: float) -> dict[str, Any]:
    place = {"xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom"}
    return {"text": text, "x": x, "y": 1, "showarrow": False, "font": {"size": 13}, **place}


def colour_axis(limits: tuple[float, float], letter: str = "r") -> dict[str, Any]:
    """Colour scale and bar of correlations between ``limits``: 0 in the middle or at the end.

    The bar calls them by ``letter``: r is Pearson's.
    """
    low, high = limits
    ticks = np.linspace(low, high, 5)
    words = [f"{t:g}".replace("-", "−") for t in ticks]
    return {
        "cmin": low,
        "cmax": high,
        "colorscale": style.DIVERGING if low < 0 else style.SEQUENTIAL,
        "colorbar": {
            "orientation": "h",
            "thickness": 10,
            "len": 0.6,
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "tickvals": ticks.tolist(),
            "ticktext": [f"{letter} = {words[0]}", *words[1:]],
        },
    }


def _class_ticks(labels: Sequence[str], names: list[str]) -> dict[str, Any]:
    found = list(style.runs(labels))
    if len(found) > _MOST_NAMES:
        return {"showticklabels": False, "tickvals": []}
    middles = [(first + behind - 1) // 2 for _, first, behind in found]
    return {"tickvals": [names[i] for i in middles], "ticktext": [name for name, _, _ in found]}


def rsm_panels(
    matrices: Mapping[str, np.ndarray],
    *,
    title: str,
    labels: Sequence[str],
    limits: tuple[float, float] = (-1.0, 1.0),
    letter: str = "r",
    menu: dict[str, Any] | None = None,
    slider: dict[str, Any] | None = None,
) -> go.Figure:
    """Similarity matrices of the same images, side by side; zooming into one zooms into all.

    Parameters
    ----------
    matrices : mapping of str to array of shape (n_images, n_images)
        Heading of a panel -> correlations.
    title : str
        The finding.
    labels : sequence of str
        Class of each image; images of a class next to each other.
    limits : (float, float)
        Correlations at the ends of the colour scale: 0 in its middle, or at its beginning.
    letter : str
        What cells are called: see `colour_axis`.
    menu, slider : dict, optional
        From `style.dropdown` and `style.slider`: the menu goes above the headings, the slider
        below the names.

    Returns
    -------
    plotly.graph_objects.Figure
        Stacked on narrow screens.
    """
    labels = [str(label) for label in labels]
    names = _image_names(labels)
    figure = go.Figure(
        [_heatmap(m, names, i, text, letter) for i, (text, m) in enumerate(matrices.items())]
    )
    ticks = _class_ticks(labels, names)
    if len(list(style.runs(labels))) <= _MOST_NAMES:
        shapes = [shape for i in range(len(matrices)) for shape in _boundaries(labels, i)]
        figure.update_layout(shapes=shapes)
    figure.update_layout(coloraxis=colour_axis(limits, letter), **_panels(list(matrices), ticks))
    inner = [f"xaxis{'' if i == 0 else i + 1}" for i in range(len(matrices) - 1)]
    narrow = {axis: {"showticklabels": False} for axis in inner}  # names below the last one only
    room = 60 + (7 * max(len(label) for label in labels) if ticks["tickvals"] else 0)
    if menu is not None:
        figure.update_layout(updatemenus=[{**menu, "pad": {"b": 30}}])
    if slider is not None:
        figure.update_layout(sliders=[{**slider, "pad": {**slider["pad"], "t": room - 40}}])
        room += 80
    height = 300 + room + 48 * (menu is not None)
    style.finish(figure, title, height=height, narrow={**narrow, "margin": {"b": room}})
    return figure.update_layout(margin_b=room)
