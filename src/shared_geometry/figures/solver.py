"""Figures of the solver's chapter: how it converges, and how its time grows."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from shared_geometry.basics.wording import power_of_ten
from shared_geometry.cost.convergence import Course
from shared_geometry.cost.timings import slope
from shared_geometry.figures import style

_MANY = 2  # decades of an axis on which powers of ten alone are ticks enough
_RESOLUTION = 1e-9  # a shortfall below this is drawn as this


def _kind(name: str) -> str:
    return name.partition(",")[0]


def convergence(courses: Mapping[str, Sequence[Course]], sweeps: int) -> go.Figure:
    """Shortfall of the variance explained behind the best found, after each sweep.

    Parameters
    ----------
    courses : mapping of str to sequence of Course
        One entry a setting, by the name that the menu gives it.
    sweeps : int
        Sweeps to show.
    """
    figure = go.Figure()
    colours = dict(zip(("ours", "BrainIAK SRM", "BrainIAK DetSRM"), style.CATEGORIES, strict=False))
    sizes = []
    for number, runs in enumerate(courses.values()):
        best = max(run.explained.max() for run in runs)
        sizes.append(len(runs))
        for run in runs:
            explained = run.explained[:sweeps]
            figure.add_scatter(
                x=np.arange(1, len(explained) + 1),
                y=np.maximum(best - explained, _RESOLUTION),
                name=run.name,
                mode="lines+markers",
                visible=number == 0,
                marker={"size": 5},
                line={
                    "color": colours[_kind(run.name)],
                    "width": 1.5 if "random" in run.name else 2.5,
                    "dash": "dot" if "random" in run.name else "solid",
                },
                hovertemplate="sweep %{x}: %{y:.1e} short of the best",
            )
    shown = [
        [i == j for j, size in enumerate(sizes) for _ in range(size)] for i in range(len(sizes))
    ]
    buttons = [
        {"label": name, "method": "restyle", "args": [{"visible": visible}]}
        for name, visible in zip(courses, shown, strict=True)
    ]
    figure.update_layout(updatemenus=[style.dropdown(buttons)])
    figure.update_xaxes(title="sweep or iteration", range=[0.5, sweeps + 0.5])
    figure.update_yaxes(title="short of the best", type="log", exponentformat="power", dtick=2)
    first = next(iter(courses.values()))
    best = max(run.explained.max() for run in first)
    ours, theirs = (
        best - next(run.explained[0] for run in first if run.name == name)
        for name in ("ours", "BrainIAK SRM")
    )
    title = f"One pass is {power_of_ten(ours)} short of the best, "
    title += f"BrainIAK's {power_of_ten(theirs)}"
    return style.finish(figure, title, height=480)


def _ticks(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: powers of ten, and on a short one 2 and 5 times these."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if math.log10(high / low) > _MANY else (1, 2, 5)
    return [float(f"{step}e{power}") for power in powers for step in steps]


def growth(
    measured: Mapping[str, Sequence[Mapping[str, float]]], last: int | None = None
) -> go.Figure:
    """Seconds of a fit against each of its sizes, on logarithmic axes.

    Parameters
    ----------
    measured : mapping of str to sequence of mapping
        For each size (networks, units, examples, k) its points, with ``size`` and ``seconds``.
    last : int, optional
        Take the exponents from so many of the largest sizes; None: from all.
    """
    figure = go.Figure()
    slopes = {}
    for colour, (what, points) in zip(style.CATEGORIES, measured.items(), strict=False):
        size, seconds = (np.array([p[key] for p in points]) for key in ("size", "seconds"))
        slopes[what] = slope(size[-last:], seconds[-last:]) if last else slope(size, seconds)
        figure.add_scatter(
            x=size,
            y=seconds,
            mode="lines+markers",
            name=f"{what.replace(' x ', ' × ')}: exponent {slopes[what]:.2f}",
            line={"color": colour, "width": 2.5},
            marker={"size": 8},
            hovertemplate=f"%{{x}} {what}: %{{y:.3f}} s",
        )
    figure.update_xaxes(title="size", type="log", tickformat=",d", dtick=1)
    seconds = [p["seconds"] for points in measured.values() for p in points]
    figure.update_yaxes(title="seconds", type="log", tickvals=_ticks(min(seconds), max(seconds)))
    steepest = max(slopes, key=slopes.__getitem__)
    title = f"Time grows at most with the power {slopes[steepest]:.1f}, that of the {steepest}"
    title += f", between the {last} largest sizes" if last else ""
    return style.finish(figure, title.replace("the k", "k"), height=440)
