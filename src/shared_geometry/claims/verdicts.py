"""What a comparison says of each layer: are these networks rotations of one another?"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import interval_text, layer_name, number
from shared_geometry.claims.judging import HIGH

YES, IN_PART, NO, OPEN = "yes", "in part", "no", "cannot tell"
MOST = 0.5  # of the variance: at least this share is called most of it
RULE = (
    f"**{YES}** if corr(wRSM, iRSM) is at least {HIGH} and the others explain at least "
    f"{100 * MOST:.0f} % of a network's variance, both with their whole intervals; **{IN_PART}** "
    "if at least the interval of the variance lies above 0 and above every network of the control; "
    f"**{NO}** if not even its estimate does; else **{OPEN}**. Of two networks, which leave every "
    "interval open, the estimates are judged, for these two alone"
)

_HEAD = (
    "layer",
    "one geometry?",
    "corr(wRSM, iRSM), aligned",
    "variance, others only",
    "control",
)


class Verdict(NamedTuple):
    """The answer for one layer, and the numbers that it rests on."""

    layer: str
    answer: str  # YES, IN_PART, NO or OPEN
    geometry: tuple[float, float, float]  # corr(wRSM, iRSM), aligned: estimate, low, high
    variance: tuple[float, float, float]  # explained by the others alone
    control: tuple[float, float]  # the least and the most of it in a network of the control


def verdicts(results: xr.Dataset) -> list[Verdict]:
    """The answer for each layer at the last checkpoint, by `RULE`.

    Parameters
    ----------
    results : xarray.Dataset
        From `yours.compare` or `experiment.run`.

    Returns
    -------
    list of Verdict
        All of held-out images, unit means subtracted.
    """
    final, found = results.isel(checkpoint=-1), []
    for label in results.layer.values:
        row = final.sel(layer=label)
        geometry = row.geometry_current.sel(reading="corrected", space="shared").values
        variance = row.variance_interval.sel(measure="left out").values
        control = row.control_variance.sel(measure="left out").values
        judged = geometry, variance
        if results.sizes["network"] == 2:
            judged = tuple(values[:1].repeat(3) for values in judged)
        answer = _answer(*judged, max(0.0, control.max()))
        chance = (float(control.min()), float(control.max()))
        found.append(
            Verdict(str(label), answer, tuple(geometry.tolist()), tuple(variance.tolist()), chance)
        )
    return found


def _answer(geometry: np.ndarray, variance: np.ndarray, chance: float) -> str:
    if variance[0] <= chance:
        return NO
    if not variance[1] > chance:  # NaN too: a network in which nothing varies
        return OPEN
    return YES if geometry[1] >= HIGH and variance[1] >= MOST else IN_PART


def verdict_table(results: xr.Dataset) -> str:
    """The answers as Markdown, each with its numbers (see `verdicts`).

    Parameters
    ----------
    results : xarray.Dataset
        From `yours.compare` or `experiment.run`.

    Returns
    -------
    str
    """
    rows = []
    for it in verdicts(results):
        low, high = map(number, it.control)
        values = interval_text(it.geometry), interval_text(it.variance)
        rows.append([layer_name(it.layer), f"**{it.answer}**", *values, f"{low} to {high}"])
    return table(_HEAD, rows)
