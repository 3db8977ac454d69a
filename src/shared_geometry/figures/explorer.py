"""The RSM explorer: class similarities within and between networks, at any layer and checkpoint."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.figures import style
from shared_geometry.figures.rsm import HEADINGS, in_steps, rsm_panels
from shared_geometry.wording import layer_name, number

CELLS = 40_000  # of all matrices together: what a page can carry
MOST_CLASSES = 34  # of more than these, as many evenly spaced ones are shown


def spread(n: int, keep: int) -> list[int]:
    """At most ``keep`` of ``range(n)``, evenly spaced, both ends among them."""
    if n <= keep:
        return list(range(n))
    return sorted({round(i) for i in np.linspace(0, n - 1, keep)})


def carried(n_layers: int, n_checkpoints: int, cells: int) -> tuple[list[int], list[int]]:
    """Layers and checkpoints whose matrices a page can carry.

    Parameters
    ----------
    n_layers, n_checkpoints : int
    cells : int
        Of the matrices of one layer at one checkpoint.

    Returns
    -------
    layers, checkpoints : list of int
        All if `CELLS` allows; else fewer of what there is more of, the ends always.
    """
    layers, checkpoints = n_layers, n_checkpoints
    while layers * checkpoints * cells > CELLS and max(layers, checkpoints) > 2:
        if layers > checkpoints:
            layers -= 1
        else:
            checkpoints -= 1
    return spread(n_layers, layers), spread(n_checkpoints, checkpoints)


def _headings(chosen: xr.Dataset) -> list[str]:
    shown = chosen.geometry_current.sel(bound="estimate")
    values = {
        "within, native": None,
        "between, native": float(shown.sel(space="native")),
        "between, shared": float(shown.sel(space="shared")),
    }
    return [
        text if values[kind] is None else f"{text}: r = {number(values[kind])}"
        for kind, text in HEADINGS.items()
    ]


def _matrices(chosen: xr.Dataset) -> list[np.ndarray]:
    return [in_steps(chosen.rsm_class.sel(kind=kind).values) for kind in HEADINGS]


def rsm_explorer(results: xr.Dataset, *, reading: str = "published") -> go.Figure:
    """Class-level RSMs side by side, with a menu of layers and a slider over checkpoints.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    reading : {"published", "corrected"}
        Whether held-out activity keeps the units' means.

    Returns
    -------
    plotly.graph_objects.Figure
        A frame for each layer and checkpoint, named by the labels of both controls. The page
        joins them: ``layout.meta`` holds the ``frame`` that is shown first, the ``headings`` of
        each, and that panels ``hover`` together.
    """
    some = results.sel(reading=reading)
    shown = spread(results.sizes["class"], MOST_CLASSES)
    some = some.isel(class_=shown, **{"class": shown})
    classes = [str(name) for name in some["class"].values]
    cells = len(HEADINGS) * len(classes) ** 2
    layers, checkpoints = carried(results.sizes["layer"], results.sizes["checkpoint"], cells)
    names = {layer_name(results.layer.values[i]): i for i in reversed(layers)}
    steps = {f"{results.checkpoint.values[i]:g}": i for i in checkpoints}

    def at(layer: int, checkpoint: int) -> xr.Dataset:
        return some.isel(layer=layer, checkpoint=checkpoint)

    last = at(layers[-1], checkpoints[-1])
    first = at(layers[-1], checkpoints[0])
    now, before = (
        float(part.geometry_current.sel(space="shared", bound="estimate")) for part in (last, first)
    )
    menu = style.dropdown([{"label": name, "method": "skip"} for name in names])
    slider = style.slider(list(steps), prefix="epoch ")
    slider["steps"] = [{"label": step, "method": "skip"} for step in steps]
    figure = rsm_panels(
        {
            text: last.rsm_class.sel(kind=kind).values
            for kind, text in zip(HEADINGS, _headings(last), strict=True)
        },
        title=(
            f"The classes’ geometry: aligned networks agree with r = {number(now)} at the end, "
            f"{number(before)} before training"
        ),
        labels=classes,
        menu=menu,
        slider=slider,
    )
    parts = {
        f"{name} | {step}": at(layer, checkpoint)
        for name, layer in names.items()
        for step, checkpoint in steps.items()
    }
    figure.frames = [
        go.Frame(name=name, data=[go.Heatmap(z=z) for z in _matrices(part)])
        for name, part in parts.items()
    ]
    return figure.update_layout(
        meta={
            **figure.layout.meta,
            "frame": [next(iter(names)), list(steps)[-1]],
            "headings": {name: _headings(part) for name, part in parts.items()},
            "hover": "together",
        }
    )
