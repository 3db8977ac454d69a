"""Figures of the chapter on chance: answers of its study in, figure out."""

from collections.abc import Mapping

import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.wording import layer_name, number, span
from shared_geometry.beyond.chance.reading import (
    NAMES,
    WIDTH,
    ends,
    expected_by_size,
    needed,
    noise_by_size,
    readings_by_size,
    spread,
    under_nulls,
    widths,
)
from shared_geometry.beyond.chance.study import above_chance
from shared_geometry.figures import style
from shared_geometry.figures.answers import curves

Answers = Mapping[str, xr.Dataset]  # population -> answer

_STANDS = {
    "trained": "trained",
    "untrained": "untrained",
    "classes": "same classes only",
    "shuffled": "images shuffled",
    "noise": "noise",
}
_MENU = {"left out": "others only", "geometry": NAMES["geometry"], "published": "as published"}
_EXPECTED = ", expected"
_READ = {"corrected": "means subtracted", "left out": "others only", "s": "s, worked out"}


def levels(answers: Answers) -> go.Figure:
    """Measures of trained and untrained networks above those of populations made by chance.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study ``chance``.
    """
    shown = {}
    for measure in _MENU:
        for population, found in answers.items():
            rows = under_nulls(found, measure)
            named = {_STANDS[name]: rows[name] for name in _STANDS}
            shown[f"{population}: {_MENU[measure]}"] = named
    free = [layer for found in answers.values() for layer in above_chance(found)]
    title = f"In {free.count(True)} of {len(free)} layers more than chance"
    dotted = [_STANDS["shuffled"], _STANDS["noise"]]
    return curves(shown, title, x=None, y="value of the measure", dotted=dotted, height=460)


def noise(n_units: int = 40, n_images: int = 400, n_draws: int = 5, seed: int = 0) -> go.Figure:
    """What SRM explains of fresh noise, by number of networks, beside the exact expectation.

    Parameters
    ----------
    n_units, n_images : int
        Of white noise.
    n_draws : int
        Populations a point.
    seed : int
    """
    shown, furthest = {}, 0.0
    for part in (1, 2, 4):
        measured, exact = noise_by_size(n_units, n_images, n_units // part, n_draws, seed)
        gap = max(abs(measured[name].sel(bound="estimate") - exact[name]).max() for name in exact)
        furthest = max(furthest, float(gap))
        named = {_READ[name] + _EXPECTED: values for name, values in exact.items()}
        named |= {_READ[name]: values for name, values in measured.items()}
        shown[f"k = n / {part}" if part > 1 else "k = n"] = named
    dotted = [_READ[name] + _EXPECTED for name in ("corrected", "left out")]
    title = f"Noise meets the expectation to within {number(furthest, 3)}"
    figure = curves(shown, title, x="networks", y="variance explained", dotted=dotted)
    return _expected_behind(figure)


def _expected_behind(figure: go.Figure) -> go.Figure:
    """Expectations as grey dotted lines without markers, which the measured points stand on."""
    for trace in figure.data:
        if trace.name.endswith(_EXPECTED):
            trace.update(mode="lines", line={"color": style.MUTED, "width": 3})
    return figure


def bias(answers: Answers) -> go.Figure:
    """Variance explained by number of networks, as measured and as it must be for a constant s.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
    """
    shown, drift = {}, []
    for population, found in answers.items():
        read, exact = readings_by_size(found), expected_by_size(found)
        s = read["s"].sel(bound="estimate")
        drift.append(float((s.max("size") - s.min("size")).max()))
        for label in ends(found):
            named = {_READ[n] + _EXPECTED: v.sel(layer=label) for n, v in exact.items()}
            named |= {_READ[n]: v.sel(layer=label) for n, v in read.items()}
            shown[f"{population}: {layer_name(label)}"] = named
    dotted = [_READ[name] + _EXPECTED for name in ("corrected", "left out")]
    title = f"Two readings approach one s, which moves by {number(max(drift), 2)} at most"
    figure = curves(shown, title, x="networks", y="variance explained", dotted=dotted, height=460)
    return _expected_behind(figure)


def precision(answers: Answers, wanted: float = WIDTH) -> go.Figure:
    """Width of intervals over networks, by number of networks.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
    wanted : float
        Width that the title speaks of.
    """
    shown, apart = {}, "subsets lie apart"
    for measure in ("left out", "geometry"):
        for population, found in answers.items():
            width = widths(found, measure)
            rows = {layer_name(label): width.sel(layer=label) for label in found.layer.values}
            if found.sizes["size"] > 1:  # there is one set of all networks
                rows[apart] = spread(found, measure).max("layer").isel(size=slice(-1))
            shown[f"{population}: {_MENU[measure]}"] = rows
    counts = [needed(found, "left out", wanted) for found in answers.values()]
    known = [count for count in counts if count is not None]
    title = (
        f"{span(known, 0)} networks for intervals of {wanted:g} on the variance that others explain"
        if known
        else "Two networks leave intervals open"
    )
    return curves(
        shown, title, x="networks", y="width of the 95 % interval", ordered=True, dotted=[apart]
    )
