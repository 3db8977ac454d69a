"""How every figure of the book looks: one palette, one way to set a title, a legend, a slider.

Colours are laid out in OKLCH, where equal steps look equally large, so that a scale's evenness is a
matter of construction.  No figure sets a background or the colour of text and axes: the page does,
in its light and its dark theme.  Text is Unicode, never LaTeX.
"""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

_SRGB_FROM_LMS = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
WIDE, NARROW = 600, 300  # pixels that a figure has at least on a desktop, on a phone
_LETTER = 7.0  # mean width of a letter at 13 pixels
_WIDE_LETTER, _NARROW_LETTER = 8.8, 8.0  # in titles, in DejaVu Sans: the widest font met with
_BLUE, _ORANGE = 255.0, 55.0  # hues apart for every kind of colour vision


def oklch(lightness: float, chroma: float, hue: float) -> str:
    """Hexadecimal sRGB colour of an OKLCH colour (Ottosson 2020), clipped to the gamut.

    Parameters
    ----------
    lightness : float
        0 black to 1 white.
    chroma : float
        0 grey; about 0.2 is vivid.
    hue : float
        Degrees.
    """
    a = chroma * math.cos(math.radians(hue))
    b = chroma * math.sin(math.radians(hue))
    lms = (
        (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3,
        (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3,
        (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3,
    )
    linear = [sum(m * v for m, v in zip(row, lms, strict=True)) for row in _SRGB_FROM_LMS]
    return "#" + "".join(f"{round(255 * _encoded(min(max(c, 0.0), 1.0))):02x}" for c in linear)


def _encoded(c: float) -> float:
    return 12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055


def _steps(n: int) -> list[float]:
    return [i / (n - 1) if n > 1 else 1.0 for i in range(n)]


def _diverging(n: int = 33) -> list[list[Any]]:
    """Blue through near-white to orange: lightness falls evenly on both sides."""
    scale = []
    for t in _steps(n):
        side = abs(2 * t - 1)
        hue = _BLUE if t < 0.5 else _ORANGE
        scale.append([t, oklch(0.97 - 0.52 * side, 0.15 * side * (1.3 - 0.3 * side), hue)])
    return scale


def _sequential(n: int = 33) -> list[list[Any]]:
    """Near-white through orange to deep violet: lightness falls evenly."""
    return [
        [t, oklch(0.97 - 0.69 * t, 0.16 * math.sin(math.pi * (0.1 + 0.75 * t)), 80 - 150 * t)]
        for t in _steps(n)
    ]


DIVERGING = _diverging()  # for correlations, -1 to 1, centre 0
SEQUENTIAL = _sequential()  # for what begins at 0
# Each stands out 3 to 1 from a white and from a dark page, and from the others to every eye.
ACCENT = oklch(0.57, 0.15, _BLUE)
CATEGORIES = (
    ACCENT,
    oklch(0.63, 0.17, 48.0),
    oklch(0.60, 0.12, 165.0),
    oklch(0.54, 0.19, 325.0),
    oklch(0.66, 0.12, 90.0),
    oklch(0.50, 0.10, 290.0),
)
MUTED = oklch(0.60, 0.01, _BLUE)


def faded(colour: str, opacity: float = 0.18) -> str:
    """A hexadecimal colour made see-through, as CSS."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def depth_colours(n: int) -> list[str]:
    """Colours for ``n`` things in order (layers, checkpoints), from light gold to dark blue."""
    return [oklch(0.73 - 0.25 * t, 0.13, 85 + 185 * t) for t in _steps(n)]


def class_colours(n: int) -> list[str]:
    """Colours for ``n`` classes: neighbours differ in hue, and in lightness too."""
    lightness = (0.52, 0.68, 0.60)
    return [oklch(lightness[i % 3], 0.14, (25 + 360 * i / max(n, 1)) % 360) for i in range(n)]


def wrapped(text: str, width: float, letter: float) -> str:
    """``text`` broken into lines of at most ``width`` pixels, but not beside ``=`` or ``%``."""
    held = text.replace(" = ", "\0=\0").replace(" %", "\0%")
    return "<br>".join(textwrap.wrap(held, max(10, int(width / letter)))).replace("\0", " ")


def _legend_rows(figure: go.Figure, width: float) -> int:
    names = _legend_names(figure)
    per_row = max(1, int(width / max((_LETTER * len(n) + 50 for n in names), default=1)))
    return math.ceil(len(names) / per_row)


def _legend_names(figure: go.Figure) -> list[str]:
    shown = [t for t in figure.data if t.visible is not False and t.showlegend is not False]
    named = [t.name for t in shown if t.name and t.type.startswith(("scatter", "bar"))]
    return named if len(named) > 1 else []


def _heights(figure: go.Figure, titles: Sequence[str], width: int) -> dict[str, int]:
    """Pixels above and below the plots for the title, headings, menus, legend and sliders."""
    layout = figure.layout
    headings = any(a.yref == "paper" for a in layout.annotations)
    lines = 1 + max(title.count("<br>") for title in titles)
    above = 16 + 22 * lines + 22 * headings + 48 * bool(layout.updatemenus)
    bar = 50 * (layout.coloraxis.colorbar.orientation == "h")
    below = 50 + 24 * _legend_rows(figure, width) + bar + 70 * bool(layout.sliders)
    return {"t": above, "b": below}


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``under`` with what ``over`` says laid on top, mappings merged."""
    result = dict(under)
    for key, value in over.items():
        known = result.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(known, value) if both else value
    return result


def finish(
    figure: go.Figure,
    title: str | Sequence[str],
    *,
    height: int = 420,
    narrow: Mapping[str, Any] | None = None,
) -> go.Figure:
    """The figure in the book's look, on wide and on narrow screens.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        With its traces, axes, dropdowns and sliders; it is changed.
    title : str, or sequence of str
        The finding, in words; or one for each entry of the menu, of which the first is shown.
    height : int
        Pixels.
    narrow : mapping, optional
        Changes of the layout for narrow screens, besides those that the page makes by itself.

    Returns
    -------
    plotly.graph_objects.Figure
        ``layout.meta["narrow"]`` says what changes on a narrow screen.
    """
    titles = [title] if isinstance(title, str) else title
    wide_titles = [wrapped(text, WIDE, _WIDE_LETTER) for text in titles]
    narrow_titles = [wrapped(text, NARROW, _NARROW_LETTER) for text in titles]
    low = (narrow or {}).get("height", height)
    small = {
        "title": {"text": narrow_titles[0], "font": {"size": 14}, "y": 1 - 10 / low},
        "margin": _heights(figure, narrow_titles, NARROW),
        "legend": _LEGEND,
    }
    if len(titles) > 1:
        (menu,) = figure.layout.updatemenus
        small["updatemenus"] = [_retitling(menu, narrow_titles)]
        figure.layout.updatemenus = [_retitling(menu, wide_titles)]
    figure.for_each_annotation(_subtitle)
    figure.update_layout(
        template=TEMPLATE,
        height=height,
        title={"text": wide_titles[0], "font": {"size": 16}, "y": 1 - 12 / height},
        margin={"l": 60, "r": 20, **_heights(figure, wide_titles, WIDE)},
        showlegend=bool(_legend_names(figure)),
        meta={"narrow": _merged(small, narrow or {})},
    )
    return figure


def _retitling(menu: go.layout.Updatemenu, titles: Sequence[str]) -> dict[str, Any]:
    """A copy of the menu, each entry of which also sets its title."""
    copy = menu.to_plotly_json()
    for button, title in zip(copy["buttons"], titles, strict=True):
        traces, layout = (*button["args"], {})[:2]
        button |= {"method": "update", "args": [traces, {**layout, "title.text": title}]}
    return copy


def _subtitle(annotation: go.layout.Annotation) -> None:
    if annotation.font.size == 16:  # as make_subplots sets headings
        annotation.font.size = 13


_LEGEND = {
    "orientation": "h",
    "x": 0.5,
    "xanchor": "center",
    "y": 0,
    "yref": "container",
    "yanchor": "bottom",
}


def _template() -> go.layout.Template:
    axis = {"automargin": True, "zeroline": False, "ticks": "", "title": {"standoff": 8}}
    below = {**axis, "ticklabelstandoff": 5}  # clear of the lowest label beside the other axis
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": CATEGORIES,
            "font": {"size": 13},
            "title": {
                "x": 0,
                "xref": "container",
                "xanchor": "left",
                "yref": "container",
                "yanchor": "top",
                "pad": {"l": 8},
            },
            "xaxis": below,
            "yaxis": axis,
            "hoverlabel": {"namelength": -1},
            "legend": _LEGEND,
            "colorscale": {"diverging": DIVERGING, "sequential": SEQUENTIAL},
        }
    )


TEMPLATE = _template()


def dropdown(buttons: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A menu under the title, for ``layout.updatemenus``.

    Parameters
    ----------
    buttons : sequence of mapping
        As Plotly takes them: ``label``, ``method``, ``args``.
    """
    return {
        "type": "dropdown",
        "buttons": [dict(button) for button in buttons],
        "direction": "down",
        "showactive": True,
        "x": 0,
        "xanchor": "left",
        "y": 1,
        "yanchor": "bottom",
        "pad": {"b": 8},
    }


def shows(frame: str, *, label: str | None = None) -> dict[str, Any]:
    """A step of a slider or a button of a menu that shows a frame at once; None: labelled so."""
    at_once = {"duration": 0}
    how = {"mode": "immediate", "frame": {**at_once, "redraw": True}, "transition": at_once}
    return {"label": label or frame, "method": "animate", "args": [[frame], how]}


def slider(steps: Sequence[str], *, prefix: str, active: int | None = None) -> dict[str, Any]:
    """A slider under the figure that shows one frame a step, for ``layout.sliders``.

    Parameters
    ----------
    steps : sequence of str
        Names of the figure's frames.
    prefix : str
        Before the current step's name.
    active : int, optional
        Step to begin with; None: the last.
    """
    return {
        "active": len(steps) - 1 if active is None else active,
        "steps": [shows(name) for name in steps],
        "currentvalue": {"prefix": prefix, "xanchor": "left"},
        "x": 0,
        "len": 1,
        "y": 0,
        "yanchor": "top",
        "pad": {"t": 30, "l": 8, "r": 8},
    }


def error_bars(estimate: Any, low: Any, high: Any) -> dict[str, Any]:
    """Bars from ``low`` to ``high`` around ``estimate``, for ``error_x`` or ``error_y``."""
    return {
        "type": "data",
        "symmetric": False,
        "array": high - estimate,
        "arrayminus": estimate - low,
        "thickness": 1.5,
        "width": 4,
    }


def runs(labels: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Runs of equal neighbours: ``(label, first, behind the last)``."""
    first = 0
    for i in range(1, len(labels) + 1):
        if i == len(labels) or labels[i] != labels[first]:
            yield labels[first], first, i
            first = i
