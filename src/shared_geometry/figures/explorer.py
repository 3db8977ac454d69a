"""The RSM explorer: similarities within and between networks, at any layer and checkpoint."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, product
from typing import Any

import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.arrays import spread
from shared_geometry.basics.wording import layer_name, moment, number
from shared_geometry.claims.judging import HIGH
from shared_geometry.errors import InputError
from shared_geometry.figures import style
from shared_geometry.figures.rsm import cell_letter, correlations, rsm_panels

CELLS = {"image": 280_000, "class": 80_000}  # of a figure's matrices: what a page can carry
MOST_CLASSES = 30  # of more than these, as many evenly spaced ones are shown
_AND = " | "  # between the labels of two controls, as figures.js joins them
HEADINGS = {  # of the three RSMs of Figure 1B, by `analysis.KINDS`
    "within, native": "within networks",
    "between, native": "between, raw",
    "between, shared": "between, aligned",
}


def carried(
    n_layers: int, n_checkpoints: int, cells: int, most: int
) -> tuple[list[int], list[int]]:
    """Layers and checkpoints whose matrices a page can carry.

    Parameters
    ----------
    n_layers, n_checkpoints : int
    cells : int
        Of the matrices of one layer at one checkpoint.
    most : int
        Cells in all.

    Returns
    -------
    layers, checkpoints : list of int
        All if there is room; else fewer of what there is more of, the ends always.
    """
    layers, checkpoints = n_layers, n_checkpoints
    while layers * checkpoints * cells > most and max(layers, checkpoints) > 2:
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


def some_classes(results: xr.Dataset, most: int = MOST_CLASSES) -> xr.Dataset:
    """The results, of more than ``most`` classes only as many, evenly spaced."""
    shown = spread(results.sizes["class"], most)
    return results.isel(class_=shown, **{"class": shown})


def _agreement(part: xr.Dataset, space: str = "shared") -> float:
    return float(part.geometry_current.sel(space=space, bound="estimate"))


def _title(level: str, last: xr.Dataset, first: xr.Dataset) -> str:
    shared, native = (number(_agreement(last, space)) for space in ("shared", "native"))
    if level == "image":
        looks = "looks" if _agreement(last) >= HIGH else "does not look"
        return (
            f"Once aligned, the mean matrix between networks {looks} like the one within: "
            f"r = {shared}, from {native} before"
        )
    before = number(_agreement(first))
    moments = (
        ""
        if first.checkpoint == last.checkpoint
        else f" at the end, {before} {moment(first.checkpoint)}"
    )
    return f"The classes’ geometry: aligned networks agree with r = {shared}{moments}"


def _frame_names(layers: Mapping[str, int], steps: Mapping[str, int]) -> dict[tuple[str, str], str]:
    """Name of the frame of each layer and step: the labels of those controls that there are."""
    there = (len(layers) > 1, len(steps) > 1)
    return {pair: _AND.join(compress(pair, there)) for pair in product(layers, steps)}


def _controls(
    layers: Mapping[str, int], steps: Mapping[str, int], called: Mapping[tuple[str, str], str]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Menu of the layers and slider of the steps; None where there is no choice."""
    deepest, end = next(iter(layers)), list(steps)[-1]
    menu = style.dropdown([style.shows(called[name, end], label=name) for name in layers])
    slider = style.slider(list(steps), prefix="epoch ")
    slider["steps"] = [style.shows(called[deepest, step], label=step) for step in steps]
    return menu if len(layers) > 1 else None, slider if len(steps) > 1 else None


def _frames(matrices: xr.DataArray, places: Mapping[str, tuple[int, int]]) -> Iterator[go.Frame]:
    for name, (layer, checkpoint) in places.items():
        chosen = matrices.isel(layer=layer, checkpoint=checkpoint)
        maps = [go.Heatmap(z=correlations(chosen.sel(kind=k))["z"]) for k in HEADINGS]
        yield go.Frame(name=name, data=maps)


def rsm_explorer(
    results: xr.Dataset,
    *,
    level: str = "image",
    reading: str = "published",
    pictures: Sequence[str] | None = None,
) -> go.Figure:
    """Figure 1B at any depth and time: RSMs side by side, with a menu of layers and a slider.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    level : {"image", "class"}
        What a row and a column are: one held-out image, or the mean over those of a class.
    reading : {"published", "corrected"}
        Whether held-out activity keeps the units' means.
    pictures : sequence of str, optional
        Addresses of the images, which the page shows for the cell under the pointer.

    Returns
    -------
    plotly.graph_objects.Figure
        A frame for each layer and checkpoint, named by the labels of both controls. The page
        joins them: ``layout.meta`` holds the ``frame`` that is shown first, the ``headings`` of
        each, and that panels ``hover`` together. Elsewhere each control shows its choice with the
        last of the other. Of a single layer or checkpoint there is no control, and no label.

    Raises
    ------
    InputError
        If ``level`` or ``reading`` is none of these.
    """
    readings = results.reading.values.tolist()
    if level not in CELLS or reading not in readings:
        raise InputError(
            f"level={level!r} with reading={reading!r} is not allowed: {' or '.join(CELLS)}, and "
            f"{' or '.join(readings)}"
        )
    some = some_classes(results.sel(reading=reading))
    matrices = some[f"rsm_{level}"]
    labels = some["class" if level == "class" else "image_class"].values
    layers, checkpoints = carried(
        results.sizes["layer"],
        results.sizes["checkpoint"],
        len(HEADINGS) * len(labels) ** 2,
        CELLS[level],
    )
    names = {layer_name(results.layer.values[i]): i for i in reversed(layers)}
    steps = {f"{results.checkpoint.values[i]:g}": i for i in checkpoints}
    deepest, end = next(iter(names)), list(steps)[-1]
    called = _frame_names(names, steps)
    menu, slider = _controls(names, steps, called)
    places = {called[name, step]: (names[name], steps[step]) for name, step in called}
    last, first = (some.isel(layer=layers[-1], checkpoint=i) for i in (checkpoints[-1], 0))
    shown = matrices.isel(layer=layers[-1], checkpoint=checkpoints[-1])
    figure = rsm_panels(
        {
            text: shown.sel(kind=kind).values
            for kind, text in zip(HEADINGS, _headings(last), strict=True)
        },
        title=_title(level, last, first),
        labels=labels,
        letter=cell_letter(results),
        menu=menu,
        slider=slider,
    )
    for trace, kind in zip(figure.data, HEADINGS, strict=True):
        trace.name = HEADINGS[kind]
    figure.frames = list(_frames(matrices, places)) if len(places) > 1 else []
    headings = {
        name: _headings(some.isel(layer=layer, checkpoint=checkpoint))
        for name, (layer, checkpoint) in places.items()
    }
    return figure.update_layout(
        meta={
            **figure.layout.meta,
            "frame": called[deepest, end].split(_AND) if len(places) > 1 else [],
            "headings": headings,
            "hover": "together",
            **({"pictures": list(pictures)} if pictures and level == "image" else {}),
        }
    )
