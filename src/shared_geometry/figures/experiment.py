"""Figures 1 and 3 of the paper for one run: results in, figure out."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.wording import in_a_sentence, layer_name, span
from shared_geometry.errors import InputError
from shared_geometry.figures import style

_MEASURES = {
    "published": "as published",
    "corrected": "means subtracted",
    "left out": "others only",
    "native": "no alignment",
}


def _several(checkpoints: np.ndarray) -> None:
    if len(checkpoints) < 2:
        raise InputError("these results have one checkpoint; a figure over training needs two")


def _ticks(checkpoints: np.ndarray) -> list[str]:
    return [f"{c:g}" for c in checkpoints]


def training_curves(results: xr.Dataset) -> go.Figure:
    """Test accuracy after each epoch, a line a network.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.

    Raises
    ------
    InputError
        If the results are of networks that were trained elsewhere.
    """
    if "test_accuracy" not in results:
        raise InputError("these results tell no accuracy; expected those of `experiment.run`")
    final = results.test_accuracy.isel(epoch=-1)
    figure = go.Figure()
    for network in results.network.values:
        figure.add_scatter(
            x=results.epoch.values,
            y=results.test_accuracy.sel(network=network).values,
            name=f"network {network + 1}",
            mode="lines" if len(results.epoch) > 1 else "markers",
            line={"color": style.ACCENT, "width": 1.5},
            opacity=0.6,
            showlegend=False,
            hovertemplate="epoch %{x}: %{y:.1%}",
        )
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="test accuracy", tickformat=".2~%")
    return style.finish(
        figure, f"Other seeds, equal skill: {span(100 * final, 1)} % at the end", height=340
    )


def _band(x: list[str], low: np.ndarray, high: np.ndarray, colour: str, group: str) -> go.Scatter:
    return go.Scatter(
        x=x + x[::-1],
        y=np.concatenate([high, low[::-1]]).astype(np.float32),  # drawn, and not told
        mode="lines",
        fill="toself",
        fillcolor=style.faded(colour),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=group,
    )


def _drawn(results: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """``values`` as drawn: of two networks, which leave intervals open, the estimate alone."""
    if results.sizes["network"] > 2:
        return values
    return values.where(values.bound == "estimate", values.sel(bound="estimate"))


def _views(results: xr.Dataset) -> dict[str, xr.DataArray]:
    """The readings of the top row that the buttons offer: name -> (layer, checkpoint, bound)."""
    shared = results.sel(space="shared")
    views = {
        "final geometry": shared.geometry_final.sel(reading="published"),
        "geometry of the moment": shared.geometry_current.sel(reading="published"),
        "of the moment, means subtracted": shared.geometry_current.sel(reading="corrected"),
        "of the moment, native space": results.sel(space="native").geometry_current.sel(
            reading="published"
        ),
    }
    return {name: _drawn(results, values) for name, values in views.items()}


def geometry_over_training(results: xr.Dataset) -> go.Figure:
    """Top row of Figure 3: corr(wRSM, iRSM) through training, four readings behind buttons.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    """
    _several(results.checkpoint.values)
    x = _ticks(results.checkpoint.values)
    colours = style.depth_colours(results.sizes["layer"])
    views = _views(results)
    figure = go.Figure()
    for number, values in enumerate(views.values()):
        for colour, label in zip(colours, results.layer.values, strict=True):
            estimate, low, high = values.sel(layer=label).transpose("bound", "checkpoint").values
            group, visible = str(label), number == 0
            figure.add_trace(_band(x, low, high, colour, group).update(visible=visible))
            figure.add_scatter(
                x=x,
                y=estimate,
                mode="lines+markers",
                name=layer_name(label),
                legendgroup=group,
                line={"color": colour, "width": 2.5},
                visible=visible,
                hovertemplate="epoch %{x}: %{y:.3f}",
            )
    figure.update_xaxes(title="epoch", type="category")
    first = next(iter(views.values()))
    figure.update_yaxes(title="corr(wRSM, iRSM)", range=_range(first))
    figure.update_layout(updatemenus=[_buttons(views, per_view=2 * results.sizes["layer"])])
    return style.finish(figure, [_geometry_title(*view) for view in views.items()], height=460)


def _range(values: xr.DataArray) -> list[float]:
    """From just below 0, or from -1 where something lies below that, to 1."""
    return [-0.1 if float(values.min()) >= -0.1 else -1.02, 1.02]


def _geometry_title(name: str, values: xr.DataArray) -> str:
    """What was found in one reading of the top row."""
    course = values.sel(bound="estimate")
    if name == "final geometry":
        gains = (course.isel(checkpoint=-1) - course.isel(checkpoint=0)).values
        return f"{int((gains > 0).sum())} of {len(gains)} layers approach the final geometry"
    reached = span(course.isel(checkpoint=-1))
    if name.endswith("native space"):
        return f"Before alignment r is {reached} at the end"
    means = ", unit means subtracted," if name.endswith("means subtracted") else ""
    return f"Aligned networks agree{means} with r = {reached} at the end"


def _buttons(views: dict[str, xr.DataArray], per_view: int) -> dict:
    shown = [
        [j == i for j in range(len(views)) for _ in range(per_view)] for i in range(len(views))
    ]
    return style.dropdown(
        [
            {
                "label": name,
                "method": "update",
                "args": [{"visible": visible}, {"yaxis.range": _range(values)}],
            }
            for (name, values), visible in zip(views.items(), shown, strict=True)
        ]
    )


def variance_by_layer(results: xr.Dataset, *, joined: bool = True) -> go.Figure:
    """Middle row of Figure 3: variance explained at the end of training, by layer.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    joined : bool
        Lines from layer to layer; False: the layers are in no order.
    """
    final = _drawn(results, results.variance_interval.isel(checkpoint=-1))
    layers = [layer_name(label) for label in results.layer.values]
    figure = go.Figure()
    for colour, (measure, name) in zip(style.CATEGORIES, _MEASURES.items(), strict=False):
        estimate, low, high = final.sel(measure=measure).transpose("bound", "layer").values
        wide = not joined and measure == "published"  # a ring around what is equal to it
        figure.add_scatter(
            x=layers,
            y=estimate,
            error_y=style.error_bars(estimate, low, high),
            mode="lines+markers" if joined else "markers",
            name=name,
            line={"color": colour, "width": 2, "dash": "dot" if measure == "native" else "solid"},
            marker={"size": 13 if wide else 8, "color": colour},
            hovertemplate="%{x}: %{y:.3f}",
        )
    figure.update_xaxes(type="category")
    figure.update_yaxes(title="variance explained")
    published, others = (
        final.sel(measure=measure, bound="estimate").values for measure in ("published", "left out")
    )
    most = results.layer.values[others.argmax()]
    title = (
        f"From the other networks, a rotation explains {span(100 * others, 0)} % of the variance"
        + (f", most in {in_a_sentence(most)}" if len(layers) > 1 else "")
        + f"; as published, {span(100 * published, 0)} %"
    ).replace("-", "−")
    return style.finish(figure, title, height=420)


def variance_over_training(results: xr.Dataset) -> go.Figure:
    """Variance explained over the layers at every checkpoint, from light (early) to dark (late).

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    """
    _several(results.checkpoint.values)
    rows = results.variance_interval.sel(measure="published", bound="estimate")
    layers = [layer_name(label) for label in results.layer.values]
    figure = go.Figure()
    colours = style.depth_colours(results.sizes["checkpoint"])
    for colour, checkpoint in zip(colours, results.checkpoint.values, strict=True):
        figure.add_scatter(
            x=layers,
            y=rows.sel(checkpoint=checkpoint).values,
            mode="lines+markers",
            name=f"epoch {checkpoint:g}",
            line={"color": colour, "width": 2},
            hovertemplate="%{x}: %{y:.3f}",
        )
    figure.update_xaxes(type="category")
    figure.update_yaxes(title="variance explained")
    change = (rows.isel(checkpoint=-1) - rows.isel(checkpoint=0)).values
    title = f"Training changes the profile by {change.min():+.2f} to {change.max():+.2f}"
    return style.finish(figure, title.replace("-", "−"), height=420)


def consistency_by_layer(results: xr.Dataset) -> go.Figure:
    """Bottom row of Figure 3: correlation between the networks' own RSMs, by layer.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    """
    final = results.isel(checkpoint=-1).sel(reading="published")
    layers = [layer_name(label) for label in results.layer.values]
    first, second = np.triu_indices(results.sizes["network"], 1)
    pairs = final.consistency_pairs.values[:, first, second]  # (layer, pair)
    consistency = _drawn(results, final.consistency)
    estimate, low, high = consistency.transpose("bound", "layer").values
    figure = go.Figure()
    figure.add_scatter(
        x=np.repeat(layers, pairs.shape[1]),
        y=pairs.ravel(),
        mode="markers",
        name="pair of networks",
        marker={"color": style.MUTED, "size": 5, "opacity": 0.5},
        hovertemplate="%{x}: %{y:.3f}",
    )
    figure.add_scatter(
        x=layers,
        y=estimate,
        error_y=style.error_bars(estimate, low, high),
        mode="lines+markers",
        name="mean",
        line={"color": style.ACCENT, "width": 2.5},
        marker={"size": 8},
        hovertemplate="%{x}: %{y:.3f}",
    )
    figure.update_xaxes(type="category")
    figure.update_yaxes(title="correlation of wRSMs")
    title = f"Two networks' RSMs correlate {span(estimate)}"
    return style.finish(figure, title.replace("-", "−"), height=400)
