"""The chapter on swapped heads: answers in, curves and sentences with numbers out."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from shared_geometry.basics import markdown
from shared_geometry.basics.wording import in_a_sentence, layer_name, number, span
from shared_geometry.beyond.heads.study import ENOUGH

Answers = Mapping[str, xr.Dataset]
Curves = dict[str, dict[str, xr.DataArray]]

OWN, CHANCE = "its own head", "chance"
REFERENCES = (OWN, CHANCE)  # what the ways are to be compared with
_WAYS = {
    "rotation": "rotation",
    "linear map": "linear map",
    "permutation of channels": "permutation of channels",
    "none": "no alignment",
}


def _chance(found: xr.Dataset, like: xr.DataArray) -> xr.DataArray:
    return xr.full_like(like.sel(bound="estimate", drop=True), float(found.chance))


def by_layer(answers: Answers) -> Curves:
    """Accuracy over layers of each way, of own heads, and of chance, for `figures.curves`."""
    curves: Curves = {}
    for title, found in answers.items():
        curves[title] = {OWN: found.own_interval}
        for way, name in _WAYS.items():
            curves[title][name] = found.accuracy_interval.sel(way=way)
        curves[title][CHANCE] = _chance(found, found.own_interval)
    return curves


def _each_layer(answers: Answers) -> Iterator[tuple[str, xr.Dataset]]:
    for title, found in answers.items():
        for label in found.layer.values:
            yield f"{title}: {layer_name(label)}", found.sel(layer=label)


def by_images(answers: Answers) -> Curves:
    """Accuracy over the number of alignment images, layer by layer, for `figures.curves`."""
    curves: Curves = {}
    for title, row in _each_layer(answers):
        values = row.by_images
        same = xr.ones_like(values.isel(fitted_way=0, drop=True))
        curves[title] = {OWN: same * row.own_interval}
        curves[title] |= {str(way): values.sel(fitted_way=way) for way in values.fitted_way.values}
        curves[title][CHANCE] = _chance(row, same)
    return curves


def newcomers(answers: Answers) -> Curves:
    """Accuracy of networks in the fit, and of the same as newcomers, for `figures.curves`."""
    curves: Curves = {}
    for title, found in answers.items():
        curves[title] = {OWN: found.own_interval}
        for place in found.place.values if found.newcomer.notnull().all() else ():
            curves[title][str(place)] = found.newcomer_interval.sel(place=place)
        curves[title][CHANCE] = _chance(found, found.own_interval)
    return curves


def kept(found: xr.Dataset, way: str = "rotation") -> xr.DataArray:
    """Part of (own accuracy - chance) that is left after a swap: (layer,)."""
    better = found.own.mean("network") - found.chance
    return (found.accuracy_interval.sel(way=way, bound="estimate") - found.chance) / better


def _percent(part: float) -> str:
    return f"{100 * float(part):.0f} %".replace("-", "−")


def layers_title(answers: Answers) -> str:
    """What the figure of ways over layers shows, of all populations."""
    parts = span(100 * np.concatenate([kept(found).values for found in answers.values()]), 0)
    return f"Through a rotation, another's head keeps {parts} % of what is above chance"


def pairs_title(answers: Answers) -> str:
    """What the matrices of pairs show, of all populations."""
    spreads = [
        100 * float(np.std(_others(row.accuracy.sel(way="rotation").values)))
        for _, row in _each_layer(answers)
    ]
    return (
        "Which two networks are joined matters little"
        if max(spreads) < 100 * ENOUGH
        else "Which two networks are joined matters"
    ) + f": a standard deviation of at most {max(spreads):.1f} points in any layer"


def pairs(answers: Answers) -> dict[str, np.ndarray]:
    """Accuracy of all pairs through the rotation, layer by layer, for `figures.pair_matrices`."""
    return {
        title: row.accuracy.sel(way="rotation").transpose("lower", "head").values
        for title, row in _each_layer(answers)
    }


def own(answers: Answers) -> dict[str, np.ndarray]:
    """Accuracy of each network with its own head, by the names of `pairs`."""
    return {title: row.own.values for title, row in _each_layer(answers)}


def pairs_alt(answers: Answers) -> str:
    """Text alternative of the matrices of pairs."""
    spans = [f"{title}: {span(100 * _others(m), 0)} %" for title, m in pairs(answers).items()]
    return (
        f"Heatmaps of accuracy, one a layer. From the worst pair to the best: {'; '.join(spans)}."
    )


def images_alt(answers: Answers) -> str:
    """Text alternative of the figure of alignment images."""
    lines = []
    for title, row in _each_layer(answers):
        values = row.by_images.sel(fitted_way="rotation", bound="estimate").values
        lines.append(
            f"{title}: from {_percent(values[0])} with {int(row.images[0])} images to "
            f"{_percent(values[-1])} with {int(row.images[-1]):,}"
        )
    return f"Line charts of accuracy over images. Through a rotation, {'; '.join(lines)}."


def newcomers_alt(answers: Answers) -> str:
    """Text alternative of the figure of newcomers."""
    lines = []
    for title, row in _each_layer(answers):
        old, new = row.newcomer_interval.sel(bound="estimate").values
        lines.append(f"{title}: {_percent(old)} in the fit, {_percent(new)} as newcomers")
    return f"Line chart of accuracy over layers. {'; '.join(lines)}."


def _others(matrix: np.ndarray) -> np.ndarray:
    return matrix[~np.eye(len(matrix), dtype=bool)]


def fewest(row: xr.Dataset, way: str) -> int:
    """Fewest alignment images, of those tried, that come within `ENOUGH` of what all achieve.

    Parameters
    ----------
    row : xarray.Dataset
        One layer of an answer.
    way : str
    """
    values = row.by_images.sel(fitted_way=way, bound="estimate")
    # networks that are below chance have nothing to spare
    goal = float(values[-1]) - ENOUGH * max(0.0, float(row.own.mean() - row.chance))
    # it must stay there: the first size behind the last that falls short
    short = np.flatnonzero(values.values < goal)
    return int(values.images[short[-1] + 1 if len(short) else 0])


def images_title(answers: Answers) -> str:
    """How many images the rotations and those of channels need, of all populations."""
    rows = [row for _, row in _each_layer(answers)]
    full, by_channel = (
        sorted(fewest(row, way) for row in rows) for way in ("rotation", "rotation of channels")
    )
    return (
        f"A rotation of all units takes {_range(full)} images to come near its best, "
        f"one of the channels {_range(by_channel)}"
    )


def _range(values: list[int]) -> str:
    low, high = values[0], values[-1]
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def newcomers_title(answers: Answers) -> str:
    """What it costs not to have been in the fit, of all populations."""
    gaps = []
    for found in answers.values():
        means = found.newcomer.mean("newcomer_")
        gaps += (
            100 * (means.sel(place="in the fit") - means.sel(place="newcomer"))
        ).values.tolist()
    gaps = [gap for gap in gaps if np.isfinite(gap)]
    if not gaps:
        return "Two networks are too few to leave one out of the fit"
    worst = max(gaps)
    if round(worst, 1) <= 0:
        return "A network that was not in the fit loses nothing by it"
    return f"A network that was not in the fit loses at most {worst:.1f} points by it"


def layers_alt(answers: Answers) -> str:
    """Text alternative of the figure of ways over layers."""
    lines = []
    for title, found in answers.items():
        words = ", ".join(
            f"{in_a_sentence(label)} {_percent(part)}"
            for label, part in zip(found.layer.values, kept(found).values, strict=True)
        )
        lines.append(f"{title}: a rotation keeps, of what is above chance, {words}.")
    return "Line chart of accuracy over layers. " + " ".join(lines)


def _tables(
    answers: Answers, head: list[str], cells: Callable[[xr.Dataset], list[str]], align: str = ""
) -> str:
    """A table a population, under its name: a row a layer."""
    parts = []
    for title, found in answers.items():
        rows = [[layer_name(label), *cells(found.sel(layer=label))] for label in found.layer.values]
        parts.append(f"**{title}**\n\n{markdown.table(['layer', *head], rows, align)}")
    return "\n\n".join(parts)


def alignment_table(answers: Answers) -> str:
    """What was aligned in each layer, and what it costs to go into the space and back."""
    head = [
        "units",
        "dimensions aligned",
        "of the variance",
        "own accuracy",
        "into the space and back",
    ]

    def cells(row: xr.Dataset) -> list[str]:
        own = 100 * row.own.values
        back = 100 * np.diagonal(row.accuracy.sel(way="rotation").values)
        return [
            f"{int(row.units):,}",
            f"{int(row.axes):,}",
            _percent(row.share),
            f"{own.mean():.1f} %",
            f"{number(own.mean() - back.mean(), 1)} lost",
        ]

    return _tables(answers, head, cells, "l" + "r" * len(head))


def loss_table(answers: Answers) -> str:
    """Points of accuracy that a swap loses, by layer and way."""
    ways = ("rotation", "linear map", "rotation of channels", "permutation of channels", "none")

    def cells(row: xr.Dataset) -> list[str]:
        return [markdown.interval_cell(100 * row.loss.sel(way=way).values, 1) for way in ways]

    return _tables(answers, [_WAYS.get(way, way) for way in ways], cells)


def images_table(answers: Answers) -> str:
    """Fewest alignment images that come near what all achieve, by layer and way."""
    ways = [str(way) for way in next(iter(answers.values())).fitted_way.values]
    head = ["all there are", *ways]

    def cells(row: xr.Dataset) -> list[str]:
        return [f"{n:,}" for n in (int(row.images[-1]), *(fewest(row, way) for way in ways))]

    return _tables(answers, head, cells, "l" + "r" * len(head))


def table(curves: Curves) -> pd.DataFrame:
    """The accuracies behind curves, for a download: a row a point."""
    rows = []
    for population, series in curves.items():
        for name, values in series.items():
            (dim,) = (str(d) for d in values.dims if d != "bound")
            bounds = values if "bound" in values.dims else values.expand_dims(bound=["estimate"])
            for place in values[dim].values:
                there = bounds.sel({dim: place})
                found = {str(b): float(there.sel(bound=b)) for b in there.bound.values}
                rows.append({"population": population, "curve": name, dim: place, **found})
    return pd.DataFrame(rows)
