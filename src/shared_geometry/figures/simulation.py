"""Figures of the simulation chapter: Figure 2, its noise sweep, what kept it below 1."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from shared_geometry.figures import style
from shared_geometry.figures.rsm import rsm_panels
from shared_geometry.theory.simulation import READINGS

_GROUPS = (  # reading, space, name, colour, marker
    ("published", "native", "native, as published", style.CATEGORIES[1], "circle-open"),
    ("exact", "native", "native, exactly", style.CATEGORIES[1], "circle"),
    ("published", "shared", "shared, as published", style.ACCENT, "circle-open"),
    ("exact", "shared", "shared, exactly", style.ACCENT, "circle"),
)
_MEASURES = {"pearson": "Pearson", "kendall": "Kendall"}
_HEADINGS = {
    "within, native": "within copies",
    "between, native": "between, native",
    "between, shared": "between, shared",
}


def _spread(n: int, width: float) -> np.ndarray:
    """Offsets that keep points apart, the same in every figure."""
    return width * ((np.arange(n) * 0.61803) % 1 - 0.5)


def _runs(values: xr.DataArray, place: float, colour: str, group: str) -> go.Scatter:
    return go.Scatter(
        x=place + _spread(values.size, 0.16),
        y=values.values,
        mode="markers",
        marker={"size": 4, "color": colour, "opacity": 0.35},
        legendgroup=group,
        showlegend=False,
        name=f"{group}, run",
        hovertemplate="%{y:.3f}",
    )


def figure_2(data: xr.Dataset) -> go.Figure:
    """Figure 2A: corr(wRSM, iRSM) for rotated and for permuted copies, every run a dot.

    Parameters
    ----------
    data : xarray.Dataset
        From `simulation.simulate`.
    """
    kinds = data.transformation.values
    figure = make_subplots(cols=len(kinds), shared_yaxes=True, subplot_titles=list(kinds))
    for column, kind in enumerate(kinds, 1):
        for i, (reading, space, name, colour, symbol) in enumerate(_GROUPS):
            chosen = data.sel(reading=reading, space=space, transformation=kind)
            places = np.arange(len(_MEASURES)) + 0.21 * (i - (len(_GROUPS) - 1) / 2)
            for place, measure in zip(places, _MEASURES, strict=True):
                dots = _runs(chosen.correlation.sel(measure=measure), place, colour, name)
                figure.add_trace(dots, 1, column)
            bounds = chosen.correlation_interval.sel(measure=list(_MEASURES))
            estimate, low, high = bounds.transpose("bound", "measure").values
            mean = go.Scatter(
                x=places,
                y=estimate,
                error_y=style.error_bars(estimate, low, high),
                mode="markers",
                marker={"size": 10, "color": colour, "symbol": symbol, "line": {"width": 2}},
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                hovertemplate="%{y:.3f}",
            )
            figure.add_trace(mean, 1, column)
    ticks = {"tickvals": list(range(len(_MEASURES))), "ticktext": list(_MEASURES.values())}
    figure.update_xaxes(range=[-0.55, len(_MEASURES) - 0.45], showgrid=False, **ticks)
    figure.update_yaxes(range=[-1.05, 1.05])
    figure.update_yaxes(title="corr(wRSM, iRSM)", col=1)
    shared = data.correlation_interval.sel(space="shared", measure="pearson", bound="estimate")
    published, exact = (shared.sel(reading=r).values for r in ("published", "exact"))
    title = (
        f"SRM finds the rotations: {exact.min():.3f} exactly, "
        f"{published.min():.2f} to {published.max():.2f} as published"
    )
    return style.finish(figure, title, height=440)


def simulated_rsms(
    data: xr.Dataset,
    *,
    reading: str = "exact",
    transformation: str = "orthogonal",
    every: int = 2,
) -> go.Figure:
    """Figure 2B: the RSMs of the first run, averaged over its copies.

    Parameters
    ----------
    data : xarray.Dataset
        From `simulation.simulate`.
    reading : {"exact", "published"}
    transformation : {"orthogonal", "permutation"}
    every : int
        Of how many examples one is drawn.
    """
    chosen = data.sel(reading=reading, transformation=transformation)
    some = chosen.isel(example=slice(None, None, every), example_=slice(None, None, every))
    matrices = {name: some.rsm.sel(kind=kind).values for kind, name in _HEADINGS.items()}
    native, shared = chosen.correlation.sel(measure="pearson", space=["native", "shared"]).isel(
        run=0
    )
    title = (
        f"One run: aligned, the matrix between copies is that within (r = {float(shared):.3f}); "
        f"unaligned, r = {float(native):.2f}"
    )
    letter = "r" if READINGS[reading].correlate else "cos"
    title = title.replace("-", "−")
    return rsm_panels(matrices, title=title, labels=some.corner.values, letter=letter)


def noise_curve(data: xr.Dataset) -> go.Figure:
    """corr(wRSM, iRSM) against the noise on each copy, by SRM, by the true rotations, by neither.

    Parameters
    ----------
    data : xarray.Dataset
        From `simulation.simulate`.
    """
    figure = go.Figure()
    colours = {
        "true rotation": style.CATEGORIES[2],
        "shared": style.ACCENT,
        "native": style.CATEGORIES[1],
    }
    noise = data.noise.values
    for road, colour in colours.items():
        estimate, low, high = data.noisy_interval.sel(road=road).transpose("bound", "noise").values
        figure.add_scatter(
            x=noise,
            y=estimate,
            error_y=style.error_bars(estimate, low, high),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": "dot" if road == "native" else "solid"},
            name=road,
            hovertemplate="noise %{x:g}: %{y:.3f}",
        )
    shared = data.noisy_interval.sel(road="shared", bound="estimate").values
    held = noise[shared > 0.95].max()
    figure.update_xaxes(title="noise, in standard deviations")
    figure.update_yaxes(title="corr(wRSM, iRSM)", range=[-0.25, 1.04])
    title = f"Alignment stays above 0.95 with noise up to {held:g} times the signal"
    return style.finish(figure, title, height=400)


def causes(data: xr.Dataset) -> go.Figure:
    """The published figure, and what moves it: corr(wRSM, iRSM) in shared space.

    Parameters
    ----------
    data : xarray.Dataset
        From `simulation.simulate`.
    """
    names = [style.wrapped(str(name), 120, letter=7.0) for name in data.cause.values]
    figure = make_subplots(
        cols=len(_MEASURES), shared_yaxes=True, subplot_titles=list(_MEASURES.values())
    )
    looks = ((style.ACCENT, "circle"), (style.CATEGORIES[1], "diamond-open"))
    for kind, (colour, symbol) in zip(data.transformation.values, looks, strict=True):
        for column, measure in enumerate(_MEASURES, 1):
            bounds = data.changed_interval.sel(transformation=kind, measure=measure)
            estimate, low, high = bounds.transpose("bound", "cause").values
            trace = go.Scatter(
                x=estimate,
                y=names,
                error_x=style.error_bars(estimate, low, high),
                mode="markers",
                marker={"size": 9, "color": colour, "symbol": symbol, "line": {"width": 2}},
                name=kind,
                legendgroup=kind,
                showlegend=column == 1,
                hovertemplate="%{y}: %{x:.3f}",
            )
            figure.add_trace(trace, 1, column)
    figure.update_xaxes(range=[0.58, 1.02], dtick=0.1)
    figure.update_yaxes(autorange="reversed", type="category")
    final = data.changed_interval.isel(cause=-1).sel(bound="estimate")
    title = f"Solved exactly, measured by what rotations keep: {float(final.min()):.3f}"
    return style.finish(figure, title, height=560, narrow={"height": 900})
