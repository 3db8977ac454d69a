"""Figures of near RSMs: how much a rotation can miss, and what it does to correlations."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.wording import layer_name, number
from shared_geometry.claims.centring import typical_change
from shared_geometry.claims.nearness import inside
from shared_geometry.figures import style
from shared_geometry.theory.stability import least_misfit

_LEAST = 1e-7  # a misfit below this is drawn as this
_SYMBOLS = {"first checkpoint": "diamond-open", "last checkpoint": "diamond"}


def _edge(values: np.ndarray, edge: np.ndarray, name: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=values,
        y=edge,
        mode="lines",
        name=name,
        line={"color": style.MUTED, "width": 2, "dash": dash},
        hoverinfo="skip",
    )


def _trained(answers: Mapping[str, xr.Dataset], end: str) -> go.Scatter:
    means = {
        name: found[["gap", "misfit"]].sel(end=end).mean("network")
        for name, found in answers.items()
    }
    return go.Scatter(
        x=np.concatenate([mean.gap.values for mean in means.values()]),
        y=np.concatenate([mean.misfit.values for mean in means.values()]),
        mode="markers",
        name=f"trained, {end}",
        text=[
            f"{name}, {layer_name(k)}" for name, mean in means.items() for k in mean.layer.values
        ],
        marker={"size": 11, "symbol": _SYMBOLS[end], "color": style.MUTED, "line": {"width": 2}},
        hovertemplate="%{text}: gap %{x:.3f}, misfit %{y:.3f}",
    )


def near_rsms(pairs: xr.Dataset, trained: Mapping[str, xr.Dataset]) -> go.Figure:
    """What the best rotation leaves against how far two RSMs are apart, on logarithmic axes.

    Parameters
    ----------
    pairs : xarray.Dataset
        From `nearness.draw_pairs`.
    trained : mapping of str to xarray.Dataset
        Answers of the study by population: a diamond a layer, the mean over networks.
    """
    reach = np.geomspace(1e-3, 1, 60)
    figure = go.Figure(
        [
            _edge(reach, reach, "upper bound", "solid"),
            _edge(reach, least_misfit(reach), "lower bound", "dash"),
        ]
    )
    for kind, colour in zip(pairs.kind.values, style.CATEGORIES, strict=True):
        chosen = pairs.sel(kind=kind)
        figure.add_scatter(
            x=chosen.gap.values,
            y=np.maximum(chosen.misfit.values, _LEAST),
            mode="markers",
            name=str(kind),
            marker={"size": 5, "color": colour, "opacity": 0.6},
            text=[f"r of the cells {number(r)}" for r in chosen.correlation.values],
            hovertemplate="gap %{x:.3f}, misfit %{y:.2g}; %{text}",
        )
    for end in _SYMBOLS:
        figure.add_trace(_trained(trained, end))
    power = {"type": "log", "exponentformat": "power", "dtick": 1}
    figure.update_xaxes(title="gap: how far the RSMs are apart", range=[-3, 0.05], **power)
    figure.update_yaxes(title="misfit: what a rotation leaves", range=[-7, 0.15], **power)
    fits = inside(pairs)
    title = f"{int(fits.sum())} of {fits.size} pairs lie between the bounds, some on each of them"
    return style.finish(figure, title, height=600)


def moved_correlations(found: xr.DataArray) -> go.Figure:
    """Change of correlations under random rotations against the correlation, by number of units.

    Parameters
    ----------
    found : DataArray of dimensions (units, g)
        From `centring.random_changes`.
    """
    figure, fine = go.Figure(), np.linspace(-0.99, 0.99, 100)
    for n, colour in zip(found.units.values, style.CATEGORIES, strict=False):
        figure.add_scatter(
            x=fine,
            y=typical_change(fine, n),
            mode="lines",
            name=f"{n} units, expected",
            line={"color": colour, "width": 2},
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=found.g.values,
            y=found.sel(units=n).values,
            mode="markers",
            name=f"{n} units, found",
            marker={"color": colour, "size": 8},
            hovertemplate=f"{n} units, r = %{{x:.2f}}: moves by %{{y:.2g}}",
        )
    figure.update_xaxes(title="correlation of two images", range=[-1, 1])
    figure.update_yaxes(
        title="change by a random rotation", type="log", exponentformat="power", dtick=1
    )
    ratio = found / typical_change(found.g, found.units)
    largest = int(found.units.values[-1])
    off = float(abs(ratio.sel(units=largest) - 1).max())
    title = (
        f"A random rotation of {largest} units moves a correlation by (1 − r²) / n, to "
        f"{100 * off:.0f} %"
    )
    return style.finish(figure, title, height=440)
