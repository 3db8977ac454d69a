"""Figure 1A: class patterns of several networks in three dimensions, before and after alignment."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from shared_geometry.basics.arrays import spread
from shared_geometry.errors import InputError
from shared_geometry.experiment.analysis import SPACES
from shared_geometry.figures import style
from shared_geometry.figures.explorer import MOST_CLASSES

_MARKERS = ("circle", "diamond", "square", "cross")


def _turned_to(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``points`` (networks, classes, 3) turned so that their class means lie as in ``target``."""
    u, _, vt = np.linalg.svd(points.mean(0).T @ target.mean(0))
    return points @ (u @ vt)


def _paths(patterns: xr.DataArray) -> dict[str, np.ndarray]:
    """Patterns through training, (checkpoint, network, class, axis) for each space.

    Principal axes are free to turn between checkpoints; the last checkpoint's are kept.
    """
    paths = {}
    for space in patterns.space.values:
        steps = patterns.sel(space=space).transpose("checkpoint", "network", "class", "axis").values
        paths[str(space)] = np.stack([_turned_to(step, steps[-1]) for step in steps])
    return paths


def _places(p: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip("xyz", p.astype(np.float32).T, strict=True))


def _traces(points: np.ndarray, names: list[str], scene: str) -> list[go.Scatter3d]:
    colours = style.class_colours(len(names))
    return [
        go.Scatter3d(
            **_places(p),
            mode="markers",
            scene=scene,
            name=f"network {i + 1}",
            legendgroup=f"network {i + 1}",
            showlegend=False,
            marker={"color": colours, "symbol": _MARKERS[i], "size": 5},
            text=names,
            hovertemplate=f"%{{text}}, network {i + 1}<extra></extra>",
        )
        for i, p in enumerate(points)
    ]


def _key(i: int) -> go.Scatter3d:
    """A network's entry in the legend: its marker, in no class's colour."""
    return go.Scatter3d(
        x=[None],
        y=[None],
        z=[None],
        mode="markers",
        name=f"network {i + 1}",
        legendgroup=f"network {i + 1}",
        showlegend=True,
        marker={"color": style.MUTED, "symbol": _MARKERS[i], "size": 9},
    )


def scatter(patterns: xr.DataArray) -> float:
    """Distance of networks' patterns of a class from their mean, over that between classes.

    Parameters
    ----------
    patterns : DataArray with dimensions network, class, axis

    Returns
    -------
    float
        Ratio of root mean squares.
    """
    centre = patterns.mean("network")
    within = float(((patterns - centre) ** 2).sum("axis").mean())
    between = float(((centre - centre.mean("class")) ** 2).sum("axis").mean())
    return float(np.sqrt(within / between)) if between else float("nan")


def scatters(results: xr.Dataset, layer: str | None = None) -> tuple[float, float]:
    """`scatter` at the end of training, of the networks drawn: before alignment, and after it."""
    final = _drawn(results, layer).isel(checkpoint=-1)
    before, after = (scatter(final.sel(space=space)) for space in SPACES)
    return before, after


def _drawn(results: xr.Dataset, layer: str | None) -> xr.DataArray:
    """Patterns of the networks for which there are markers."""
    patterns = results.patterns.sel(layer=layer or results.layer.values[-1])
    return patterns.isel(network=slice(0, len(_MARKERS)))


def class_patterns(results: xr.Dataset, layer: str | None = None) -> go.Figure:
    """Class means of up to four networks on common principal axes, with a slider over training.

    Of more than `explorer.MOST_CLASSES` classes as many are drawn, evenly spaced.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    layer : str, optional
        Label of the layer; None: the last one.
    """
    if results.sizes["class"] < 2:
        raise InputError("these results have one class; a figure of class patterns needs two")
    patterns = _drawn(results, layer)
    classes = spread(results.sizes["class"], MOST_CLASSES)
    paths = {space: p[:, :, classes] for space, p in _paths(patterns).items()}
    names = [str(name) for name in results["class"].values[classes]]
    steps = [f"{c:g}" for c in results.checkpoint.values]
    figure = make_subplots(
        rows=1,
        cols=2,
        specs=[[{"type": "scene"}] * 2],
        subplot_titles=("each in its own units", "turned into the shared space"),
        horizontal_spacing=0.02,
    )

    scenes = {"scene": "native", "scene2": "shared"}
    for scene, space in scenes.items():
        figure.add_traces(_traces(paths[space][-1], names, scene))
    n_drawn = len(figure.data)
    figure.add_traces([_key(i) for i in range(patterns.sizes["network"])])
    if len(steps) > 1:
        figure.update_layout(sliders=[style.slider(steps, prefix="epoch ")])
        figure.frames = [
            go.Frame(
                name=name,
                data=[
                    go.Scatter3d(**_places(p)) for space in scenes.values() for p in paths[space][i]
                ],
                traces=list(range(n_drawn)),
            )
            for i, name in enumerate(steps)
        ]
    for scene, space in scenes.items():
        reach = float(np.abs(paths[space]).max()) * 1.1
        axis = {"range": [-reach, reach], "showticklabels": False, "title": ""}
        figure.update_layout(
            {scene: {"xaxis": axis, "yaxis": axis, "zaxis": axis, "aspectmode": "cube"}}
        )
    before, after = scatters(results, layer)
    title = (
        f"From network to network a class moves {before:.2f} times the distance between classes; "
        f"once turned, {after:.2f} times"
    )
    return style.finish(figure, title, height=480)
