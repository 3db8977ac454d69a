"""Figure of the chapter on choices: answers of the study, population by population."""

from collections.abc import Mapping

import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.wording import layer_name, number
from shared_geometry.beyond.choices.alternatives import BASELINE
from shared_geometry.beyond.choices.study import closeness, largest_change
from shared_geometry.claims.judging import CLOSE
from shared_geometry.figures import style
from shared_geometry.figures.answers import menu


def _dots(changed: xr.DataArray, name: str, colour: str) -> go.Scatter:
    estimate, low, high = changed.transpose("bound", "choice").values
    return go.Scatter(
        x=estimate,
        y=changed.choice.values,
        error_x=style.error_bars(estimate, low, high),
        orientation="h",
        mode="markers",
        name=name,
        marker={"size": 8, "color": colour},
        hovertemplate="%{y}: %{x:.3f}",
    )


def changes_by_choice(answers: Mapping[str, xr.Dataset]) -> go.Figure:
    """How far each choice moves the variance explained, a dot a layer.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> answer of the study.
    """
    figure, owners = go.Figure(), []
    for place, (population, answer) in enumerate(answers.items()):
        changed = answer.change.drop_sel(choice=BASELINE)
        colours = style.depth_colours(changed.sizes["layer"])
        for label, colour in zip(changed.layer.values, colours, strict=True):
            dots = _dots(changed.sel(layer=label), layer_name(label), colour)
            figure.add_trace(dots.update(visible=place == 0))
            owners.append(population)
    figure.update_xaxes(title="change of variance", zeroline=True)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=True)
    figure.update_layout(scattermode="group", scattergap=0.35)
    for end in (-CLOSE, CLOSE):
        figure.add_vline(x=end, line={"color": style.MUTED, "width": 1.5, "dash": "dot"})
    if len(answers) > 1:
        figure.update_layout(updatemenus=[menu(answers, owners)])
    return style.finish(figure, _finding(answers), height=620)


def _finding(answers: Mapping[str, xr.Dataset]) -> str:
    near = [close for answer in answers.values() for close in closeness(answer)]
    largest = {name: largest_change(answer) for name, answer in answers.items()}
    where = max(largest, key=lambda name: abs(float(largest[name][0])))
    return (
        f"The largest change is {number(largest[where][0])} ({largest[where].choice.item()}; "
        f"{where}); {sum(map(bool, near))} of {len(near)} stay within {number(CLOSE)}"
    )
