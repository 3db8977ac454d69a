"""Figures of networks that learn side by side: modes, RSMs, and what large weights keep."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.subplots import make_subplots

from shared_geometry.basics.wording import number, power_of_ten
from shared_geometry.figures import style
from shared_geometry.figures.answers import menu
from shared_geometry.figures.rsm import CELL, colour_axis, correlations

_FLOOR = 1e-11  # what is less is drawn as this


def _levels(singular: np.ndarray) -> list[np.ndarray]:
    """Modes of equal strength together."""
    return np.split(np.arange(len(singular)), np.flatnonzero(np.diff(singular) < -1e-9) + 1)


def _joined(time: np.ndarray, courses: np.ndarray) -> dict[str, np.ndarray]:
    """Many courses, (n, n_times), as one line with gaps between them."""
    gap = np.full((len(courses), 1), np.nan)
    x = np.concatenate([np.broadcast_to(time, courses.shape), gap], 1)
    return {"x": x.ravel(), "y": np.concatenate([courses, gap], 1).round(4).ravel()}


def _maps(data: xr.Dataset, place: int) -> list[go.Heatmap]:
    return [
        go.Heatmap(
            x=data.item.values,
            y=data.item.values,
            xaxis=f"x{number_}",
            yaxis=f"y{number_}",
            coloraxis="coloraxis",
            hovertemplate=f"%{{y}}, %{{x}}: {CELL}<extra>{panel}</extra>",
            **correlations(data.rsm.isel(time=place).sel(panel=panel).values),
        )
        for number_, panel in enumerate(data.panel.values, 2)
    ]


def _now(time: float, top: float) -> go.Scatter:
    return go.Scatter(
        x=[time, time],
        y=[0, top],
        mode="lines",
        line={"color": style.MUTED, "width": 2},
        name="now",
        showlegend=False,
        hoverinfo="skip",
        xaxis="x",
        yaxis="y",
    )


def differentiation(data: xr.Dataset) -> go.Figure:
    """Strengths of the modes in every network and by theory; and the RSMs at a time.

    Parameters
    ----------
    data : xarray.Dataset
        From `development.modes_over_time`.
    """
    figure = make_subplots(
        rows=2,
        cols=3,
        specs=[[{"colspan": 3}, None, None], [{}, {}, {}]],
        row_heights=[0.5, 0.5],
        subplot_titles=["", *data.panel.values],
        vertical_spacing=0.16,
        horizontal_spacing=0.04,
    )
    time, top = data.time.values, 1.05 * float(data.singular.max())
    first = len(time) // 4
    figure.add_traces([*_maps(data, first), _now(time[first], top)])
    for level, colour in zip(_levels(data.singular.values), style.CATEGORIES, strict=False):
        s = float(data.singular[level[0]])
        name = f"{len(level)} mode{'s' * (len(level) > 1)} of strength {s:.2f}"
        courses = data.strength.isel(mode=level).values.transpose(1, 2, 0).reshape(-1, len(time))
        figure.add_scatter(
            **_joined(time, courses),
            mode="lines",
            name=name,
            line={"color": style.faded(colour, 0.45), "width": 1.5},
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=time,
            y=data.predicted.isel(mode=level).mean(("network", "mode")).values,
            mode="markers",
            name=name,
            marker={"color": colour, "size": 6},
            hovertemplate=f"strength {s:.2f}, at %{{x}}: %{{y:.2f}} by theory",
        )
    figure.frames = [
        go.Frame(name=f"{t:g}", data=[*_maps(data, i), _now(t, top)]) for i, t in enumerate(time)
    ]
    figure.update_xaxes(title="time", row=1, col=1)
    figure.update_yaxes(title="strength", range=[0, top], row=1, col=1)
    for panel in (2, 3, 4):
        figure.layout[f"xaxis{panel}"].update(
            showgrid=False, constrain="domain", tickangle=90, tickfont={"size": 10}
        )
        figure.layout[f"yaxis{panel}"].update(
            showgrid=False,
            constrain="domain",
            autorange="reversed",
            scaleanchor=f"x{panel}",
            showticklabels=panel == 2,
            tickfont={"size": 10},
        )
    steps = [frame.name for frame in figure.frames]
    figure.update_layout(
        coloraxis={**colour_axis((-1.0, 1.0)), "showscale": False},
        sliders=[style.slider(steps, prefix="time ", active=first)],
    )
    off = float(abs(data.half / data.half_predicted - 1).max())
    title = (
        f"{data.sizes['network']} networks learn the same modes at the same times, to "
        f"{100 * off:.0f} % as predicted"
    )
    hidden = {
        f"{axis}axis{panel}": {"showticklabels": False} for panel in (2, 3, 4) for axis in "xy"
    }
    untitled = {"xaxis": {"title": {"text": ""}}}  # there is room for the headings alone
    return style.finish(figure, title, height=720, narrow={**hidden, **untitled, "height": 600})


def _over_time(data: xr.Dataset) -> list[go.Scatter]:
    colours = style.depth_colours(data.sizes["scale"])
    found = data.misfit.sel(start="random", bound="estimate")
    return [
        go.Scatter(
            x=data.time.sel(scale=scale).values[1:],
            y=np.maximum(found.sel(scale=scale).values[1:], _FLOOR),
            mode="lines",
            name=f"scale {scale:g}",
            line={"color": colour, "width": 2},
            hovertemplate="time %{x:.3g}: %{y:.2g}",
        )
        for scale, colour in zip(data.scale.values, colours, strict=True)
    ]


def _at_end(data: xr.Dataset) -> list[go.Scatter]:
    rows = [("random", 0, "before training", style.MUTED, "dot")]
    colours = dict(zip(("random", "balanced"), style.CATEGORIES, strict=False))
    rows += [(str(s), -1, f"{s} start", colours[str(s)], "solid") for s in data.start.values]
    traces = []
    for start, moment, name, colour, dash in rows:
        estimate, low, high = np.maximum(
            data.misfit.sel(start=start).isel(moment=moment).transpose("bound", "scale"),
            _FLOOR,
        ).values
        traces.append(
            go.Scatter(
                x=data.scale.values,
                y=estimate,
                error_y=style.error_bars(estimate, low, high),
                mode="lines+markers",
                name=name,
                line={"color": colour, "width": 2, "dash": dash},
                marker={"size": 7},
                hovertemplate="scale %{x:g}: %{y:.2g}",
            )
        )
    return traces


def scales(answers: Mapping[str, xr.Dataset]) -> go.Figure:
    """Misfit of the best rotation between seeds: over time, and at the end by initial scale.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Of `development.apart_by_scale`, by setting; a menu chooses.
    """
    figure = make_subplots(rows=2, cols=1, vertical_spacing=0.14)
    owners = []
    for place, (name, data) in enumerate(answers.items()):
        for row, traces in enumerate((_over_time(data), _at_end(data)), 1):
            for trace in traces:
                figure.add_trace(trace.update(visible=place == 0), row, 1)
                owners.append(name)
    power = {"type": "log", "exponentformat": "power", "dtick": 1}
    figure.update_xaxes(power)
    figure.update_xaxes(title="time", row=1)
    figure.update_xaxes(title="scale of the first weights", row=2)
    figure.update_yaxes(title="misfit", type="log", exponentformat="power", nticks=6)
    figure.update_yaxes(title="misfit at the end", row=2)
    figure.update_layout(updatemenus=[menu(answers, owners)])
    last = next(iter(answers.values())).misfit.sel(start="random", bound="estimate")
    small, large = (float(last.isel(scale=i, moment=-1)) for i in (0, -1))
    title = (
        f"Small weights lead all seeds to one geometry (misfit {power_of_ten(small)}); "
        f"large ones do not ({number(large)})"
    )
    return style.finish(figure, title, height=760)
