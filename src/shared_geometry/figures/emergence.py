"""Figures of the chapter on emergence: results of runs, population by population."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from shared_geometry.basics.wording import layer_name
from shared_geometry.claims import emergence
from shared_geometry.claims.emergence import FIRST, HALF
from shared_geometry.figures import style
from shared_geometry.figures.answers import curves

Answers = Mapping[str, xr.Dataset]
ACCURACY = "test accuracy"
TERMS = {  # of `claims.emergence.split`, as readers see them
    "agreement": "they agree now",
    "settled": "it has settled",
    "final": "final reading",
    "product": "product of the two",
}
_BELOW = 0.05  # room between 0 and what is written under the axis


def _by_layer(values: xr.DataArray) -> dict[str, xr.DataArray]:
    return {layer_name(label): values.sel(layer=label) for label in values.layer.values}


def _accuracy(results: xr.Dataset) -> xr.DataArray:
    """The way of accuracy at those epochs that are checkpoints too."""
    found = emergence.accuracy_way(results).rename(epoch="checkpoint")
    shown = [c for c in results.checkpoint.values if c in found.checkpoint.values]
    return found.sel(checkpoint=shown)


def way_through_training(answers: Answers) -> go.Figure:
    """Share of the way to the final geometry, a line a layer, and to the final accuracy.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> results of `experiment.run`.
    """
    covered = {name: emergence.way(results) for name, results in answers.items()}
    series = {
        name: {**_by_layer(covered[name]), ACCURACY: _accuracy(results)}
        for name, results in answers.items()
    }
    # where a run ends within its first epoch, all is covered by definition: that does not count
    counted = [c.where(c.checkpoint[-1] > FIRST) for c in covered.values()]
    lows = np.concatenate([emergence.covered_by(c).sel(bound="low").values for c in counted])
    figure = curves(
        series,
        f"Half of the way to the final geometry is covered within the first epoch in "
        f"{int((lows >= HALF).sum())} of {len(lows)} layers",
        x="epoch",
        y="share of the way",
        ordered=True,
        dotted=[ACCURACY],
        height=480,
        y_range=(-0.25, 1.15),
    )
    for trace in figure.select_traces(selector={"name": ACCURACY}):
        trace.update(line_color=style.MUTED)
    return figure.add_hline(y=HALF, line={"color": style.MUTED, "width": 1.5, "dash": "dot"})


def agreement_through_training(answers: Answers) -> go.Figure:
    """Variance of a network that the others explain at each moment, a line a layer.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> results of `experiment.run`.
    """
    variance = {
        name: results.variance_interval.sel(measure="left out") for name, results in answers.items()
    }
    peaks = np.concatenate([peak_epochs(values) for values in variance.values()])
    return curves(
        {name: _by_layer(values) for name, values in variance.items()},
        f"In {int((peaks <= FIRST).sum())} of {len(peaks)} layers, networks explain each other "
        "best before the first epoch is over",
        x="epoch",
        y="variance explained by the others",
        ordered=True,
        height=460,
    )


def peak_epochs(values: xr.DataArray) -> np.ndarray:
    """Checkpoint at which the estimate of each layer is highest: (n_layers,)."""
    estimate = values.sel(bound="estimate").transpose("layer", "checkpoint").values
    return values.checkpoint.values[estimate.argmax(1)]


def readings_by_layer(answers: Answers) -> go.Figure:
    """Both factors of the reading against the final geometry, their product, and the reading.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        Population -> results of `experiment.run`.
    """
    series, remainders = {}, []
    for name, results in answers.items():
        found = emergence.split(results)
        remainders.append(float(abs(found.remainder).max()))
        for epoch in dict.fromkeys((emergence.early(results), 0.0)):
            here = found.sel(checkpoint=epoch, drop=True)
            series[f"{name}, epoch {epoch:g}"] = {TERMS[term]: here[term] for term in TERMS}
    lowest = min(float(part.min()) for terms in series.values() for part in terms.values())
    return curves(
        series,
        "Reading against the final geometry = agreement × settling, to within "
        f"{max(remainders):.3f}",
        x=None,
        y="correlation of RSMs",
        dotted=[TERMS["product"]],
        height=480,
        y_range=(min(lowest, 0.0) - _BELOW, 1 + _BELOW),
    )
