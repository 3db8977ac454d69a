"""Class similarities of every layer at every checkpoint, as one picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.arrays import spread
from shared_geometry.basics.wording import layer_name, moment, number
from shared_geometry.figures import style
from shared_geometry.figures.explorer import HEADINGS, some_classes
from shared_geometry.figures.rsm import CELL, cell_letter, colour_axis, correlations

_MOST_CLASSES, _MOST_COLUMNS = 20, 6  # of more classes and checkpoints, as many are shown
_WIDE, _NARROW = 470, 190  # pixels for all columns on a desktop, on a phone


def mosaic(tiles: np.ndarray, gap: int) -> np.ndarray:
    """Matrices laid out in rows and columns.

    Parameters
    ----------
    tiles : ndarray of shape (rows, columns, height, width)
    gap : int
        Cells between neighbours, NaN.

    Returns
    -------
    ndarray of shape (rows * (height + gap) - gap, columns * (width + gap) - gap)
    """
    rows, columns, height, width = tiles.shape
    spaced = np.full((rows, columns, height + gap, width + gap), np.nan, dtype=np.float32)
    spaced[:, :, :height, :width] = tiles
    whole = spaced.transpose(0, 2, 1, 3).reshape(rows * (height + gap), -1)
    return whole[: len(whole) - gap, : whole.shape[1] - gap]


def _places(parts: Sequence[str], classes: Sequence[str], gap: int) -> list[str]:
    """Name of every row or column of a mosaic: class and part, blanks in the gaps."""
    names = []
    for i, part in enumerate(parts):
        names += [f"{name}, {part}" for name in classes]
        names += [" " * (i * gap + j + 1) for j in range(gap)]
    return names[: len(names) - gap]


def rsm_grid(results: xr.Dataset, *, reading: str = "published") -> go.Figure:
    """RSMs of the classes: a row a layer, a column a checkpoint, a menu of the three kinds.

    Of more than six checkpoints, or twenty classes, as many are shown, evenly spaced.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    reading : {"published", "corrected"}
        Whether held-out activity keeps the units' means.

    Returns
    -------
    plotly.graph_objects.Figure
    """
    some = some_classes(results.sel(reading=reading), _MOST_CLASSES)
    classes = [str(name) for name in some["class"].values]
    some = some.isel(checkpoint=spread(some.sizes["checkpoint"], _MOST_COLUMNS))
    rows = [layer_name(name) for name in some.layer.values]
    columns = [f"{epoch:g}" for epoch in some.checkpoint.values]
    gap = max(1, len(classes) // 8)
    down = _places(rows, classes, gap)
    across = _places([f"epoch {c}" for c in columns], classes, gap)
    letter = cell_letter(results)
    figure = go.Figure(
        [
            go.Heatmap(
                x=across,
                y=down,
                coloraxis="coloraxis",
                name=heading,
                visible=kind == "between, shared",
                hoverongaps=False,
                hovertemplate=f"%{{y}}<br>%{{x}}<br>{letter} = {CELL}<extra></extra>",
                **correlations(mosaic(some.rsm_class.sel(kind=kind).values, gap)),
            )
            for kind, heading in HEADINGS.items()
        ]
    )
    stride, middle = len(classes) + gap, (len(classes) - 1) // 2
    plain = {"type": "category", "showgrid": False, "constrain": "domain"}
    figure.update_layout(
        coloraxis=colour_axis((-1.0, 1.0), letter),
        xaxis={**plain, "tickvals": across[middle::stride], "ticktext": columns, "title": "epoch"},
        yaxis={
            **plain,
            "tickvals": down[middle::stride],
            "ticktext": rows,
            "autorange": "reversed",
            "scaleanchor": "x",
        },
        updatemenus=[style.dropdown(_buttons())],
    )
    first = some.geometry_final.sel(space="shared", bound="estimate").isel(checkpoint=0)
    found = (
        f"{moment(first.checkpoint)}, layers resemble their final selves with"
        if len(columns) > 1
        else "aligned networks agree with"
    )
    title = f"The classes’ geometry: {found} r = {number(first.min())} to {number(first.max())}"
    height, low = (210 + round(len(rows) * width / len(columns)) for width in (_WIDE, _NARROW))
    return style.finish(figure, title, height=height, narrow={"height": low + 30})


def _buttons() -> list[dict[str, Any]]:
    kinds = list(reversed(HEADINGS))  # what is shown first stands first
    return [
        {
            "label": HEADINGS[kind],
            "method": "update",
            "args": [{"visible": [kind == other for other in HEADINGS]}],
        }
        for kind in kinds
    ]
