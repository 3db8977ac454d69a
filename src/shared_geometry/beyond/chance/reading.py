"""The answers of the study on chance, read: on a calibrated scale, and by number of networks."""

import numpy as np
import torch
import xarray as xr

from shared_geometry.beyond.chance.ceilings import (
    calibrated,
    common_part,
    from_others,
    scores_of_noise,
    with_itself,
)
from shared_geometry.experiment.analysis import BOUNDS
from shared_geometry.statistics import networks_needed

NAMES = {
    "geometry": "corr(wRSM, iRSM)",
    "published": "variance, as published",
    "corrected": "variance, means subtracted",
    "left out": "variance, others only",
}
WIDTH = 0.02  # of an interval that is called narrow


def ends(found: xr.Dataset) -> list[str]:
    """All layers of a few, the first and the last of many."""
    labels = found.layer.values.tolist()
    return labels if len(labels) <= 3 else [labels[0], labels[-1]]


def calibrated_values(found: xr.Dataset, state: str = "trained") -> xr.DataArray:
    """Measures on a scale from chance, 0, to exact rotations, 1: (layer, measure, bound)."""
    return _scaled(found, found.value.sel(state=state, drop=True), state)


def classes_only(found: xr.Dataset) -> xr.DataArray:
    """The same where networks see other images of the same class, mean over draws."""
    draws = found.draws.sel(state="trained", null="classes", drop=True)
    return _scaled(found, draws.mean("draw"), "trained")


def _scaled(found: xr.Dataset, values: xr.DataArray, state: str) -> xr.DataArray:
    """Between the mean of the draws with images shuffled, and the most that there can be.

    That is 1, or for measures that could explain no more the part that the k axes keep (of trained
    networks, in either state).
    """
    chance = found.draws.sel(state=state, null="shuffled", drop=True).mean("draw")
    ceiling = xr.where(found.measure.isin(["corrected", "left out"]), found.kept, 1.0)
    return calibrated(values, chance, ceiling).transpose("layer", "measure", ...)


def common_parts(found: xr.Dataset) -> dict[str, xr.DataArray]:
    """The part s of two networks, worked out from each reading of the variance: (..., layer)."""
    n, value = found.sizes["network"], found.value.sel(state="trained", bound="estimate", drop=True)
    return {
        m: common_part(value.sel(measure=m, drop=True), found.kept, n, left_out=m == "left out")
        for m in ("left out", "corrected")
    }


def widths(found: xr.Dataset, measure: str) -> xr.DataArray:
    """Width of the 95 % interval by number of networks, median over subsets: (layer, size).

    From three networks on: two leave open what they share.
    """
    intervals = found.by_size.sel(measure=measure, drop=True)
    width = intervals.sel(bound="high") - intervals.sel(bound="low")
    width = width.median("subset").transpose("layer", "size")
    return width.where(width["size"] > 2)


def needed(found: xr.Dataset, measure: str, wanted: float = WIDTH) -> int | None:
    """Networks for an interval no wider than ``wanted`` in every layer, at least 3.

    Worked out from the widest interval of all networks; None: a layer has none.
    """
    widest = float(widths(found, measure).isel(size=-1).max(skipna=False))
    if np.isnan(widest):
        return None
    return max(3, networks_needed(widest, found.sizes["network"], wanted))


def spread(found: xr.Dataset, measure: str) -> xr.DataArray:
    """How far the estimates of different subsets of a size lie apart: (layer, size)."""
    values = found.by_size.sel(measure=measure, bound="estimate", drop=True)
    return (values.max("subset") - values.min("subset")).transpose("layer", "size")


def readings_by_size(found: xr.Dataset) -> dict[str, xr.DataArray]:
    """Variance explained by number of networks, and the part s: (layer, size, bound).

    The bounds are the lowest and the highest of the subsets.
    """
    value = found.by_size.sel(bound="estimate", drop=True)
    read = {m: value.sel(measure=m, drop=True) for m in ("corrected", "left out")}
    read["s"] = common_part(read["left out"], found.kept, value["size"], left_out=True)
    return {n: _range_over(v, "subset").transpose("layer", ...) for n, v in read.items()}


def _range_over(values: xr.DataArray, dim: str) -> xr.DataArray:
    """Mean, lowest and highest over a dimension, as estimate and bounds."""
    names = xr.DataArray(list(BOUNDS), dims="bound", name="bound")
    parts = [values.mean(dim), values.min(dim), values.max(dim)]
    return xr.concat(parts, names).transpose(..., "bound")


def expected_by_size(found: xr.Dataset) -> dict[str, xr.DataArray]:
    """What both readings must be if s is that of all networks: (layer, size)."""
    n, s = found["size"], readings_by_size(found)["s"].isel(size=-1, drop=True)
    s = s.sel(bound="estimate", drop=True)
    both = {
        "corrected": with_itself(s, found.kept, n),
        "left out": from_others(s, found.kept, n),
    }
    return {name: values.transpose("layer", "size") for name, values in both.items()}


def noise_by_size(
    n_units: int, n_images: int, n_components: int, n_draws: int, seed: int
) -> tuple[dict[str, xr.DataArray], dict[str, xr.DataArray]]:
    """What SRM explains of fresh white noise, by number of networks, and what it must be.

    Parameters are those of `ceilings.scores_of_noise`.

    Returns
    -------
    measured : dict of str to DataArray with dimensions size, bound
        ``corrected`` and ``left out``: mean, lowest and highest of the draws.
    exact : dict of str to DataArray with dimension size
    """
    counts = xr.DataArray([2, 3, 4, 6, 8, 10], dims="size", name="size")
    counts = counts.assign_coords(size=counts.values)
    names, kept = ("corrected", "left out"), n_components / n_units
    scores = [
        scores_of_noise(int(n), n_units, n_images, n_components, n_draws, seed) for n in counts
    ]
    found = xr.DataArray(
        torch.stack(scores).numpy(),
        {"size": counts.values, "name": list(names)},
        ("size", "name", "draw"),
    )
    measured = {name: _range_over(found.sel(name=name, drop=True), "draw") for name in names}
    exact = with_itself(0.0, kept, counts), from_others(0.0, kept, counts)
    return measured, dict(zip(names, exact, strict=True))


def under_nulls(found: xr.Dataset, measure: str) -> dict[str, xr.DataArray]:
    """A measure's intervals, and mean and range of its draws under each null: (layer, bound)."""
    one = found.sel(measure=measure, drop=True)
    rows = {state: one.value.sel(state=state, drop=True) for state in found.state.values}
    draws = one.draws.sel(state="trained", drop=True)
    rows |= {n: _range_over(draws.sel(null=n, drop=True), "draw") for n in found.null.values}
    return {str(name): values.transpose("layer", "bound") for name, values in rows.items()}
