"""Sentences and tables of the chapter on near rotations and dynamics: results in, Markdown out."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import interval_text, layer_name, number, power_of_ten
from shared_geometry.theory.stability import least_misfit, most_misfit


def cells_sentence(difference: float, n_units: int, n_images: int) -> str:
    """What RSMs that differ by so much in a cell allow at most."""
    most = most_misfit(difference, n_units, n_images)
    return (
        f"If the RSMs of two networks of {n_units:,} units differ by {difference:g} in a cell "
        "(root mean square, columns of length one), the misfit is at most "
        f"{number(most)}, whatever else is true of them: an SRM of the two explains at least "
        f"{100 * (1 - most / 2):.0f} % of their variance, and one of them, turned, at least "
        f"{100 * max(0, 1 - 2 * most):.0f} % of the other's."
    )


def near_sentence(found: xr.Dataset) -> str:
    """Gap, bounds and misfit of the last layer at the end."""
    last = found.isel(layer=-1).sel(end="last checkpoint").mean("network")
    apart, left = float(last.gap), float(last.misfit)
    return (
        f"*{found.attrs['title']}*, {layer_name(found.layer.values[-1])}, last checkpoint: the "
        f"RSMs of two networks have a gap of {number(apart, 3)}. So the misfit of the best "
        f"rotation must be at least {number(least_misfit(apart), 3)}, and need be no more than "
        f"the gap. It is {number(left, 3)}: one network, turned, leaves {200 * left:.0f} % of the "
        "other."
    )


def moved_table(answers: Mapping[str, xr.Dataset]) -> str:
    """How far SRM moved correlations, beside random rotations, layer by layer."""
    rows = []
    for population, found in answers.items():
        for label in found.layer.values:
            row = found[["moved", "moved_random"]].sel(layer=label).mean("network")
            name = f"{population}: {layer_name(label)}"
            rows.append([name, _small(row.moved), _small(row.moved_random)])
    return table(["layer", "by SRM's rotations", "by random ones, expected"], rows, "lrr")


def _small(value: xr.DataArray) -> str:
    return "not square" if np.isnan(float(value)) else power_of_ten(float(value))


def memory_sentence(found: xr.Dataset) -> str:
    """What the last layer remembers at the first and at the last checkpoint."""
    layer = found.memory_interval.isel(layer=-1)
    first, last = (interval_text(layer.isel(checkpoint=i).values) for i in (0, -1))
    own, others = (
        number(found[name].isel(layer=-1, checkpoint=-1).mean()) for name in ("own", "others")
    )
    return (
        f"*{found.attrs['title']}*, {layer_name(found.layer.values[-1])}: the excess goes from "
        f"{first} to {last}; at the end a network's RSM correlates {own} with its own "
        f"beginning and {others} with those of the others."
    )


def wide_sentence(answers: Mapping[str, xr.Dataset]) -> str:
    """Which answers have intervals from before `statistics.bootstrap_excess`; none: empty."""
    if old := [f"*{name}*" for name, found in answers.items() if "likeness" not in found]:
        return (
            f"The intervals of {' and '.join(old)} are of an earlier rule, which counted how "
            "typical a beginning is as uncertainty of each network, and can be twice too wide: "
            "there a memory may be overlooked, but none is invented."
        )
    return ""


def memory_title(found: xr.Dataset) -> str:
    """How many layers still remember how they began."""
    last = found.memory_interval.isel(checkpoint=-1)
    kept = int((last.sel(bound="low") > 0).sum())
    first = found.memory_interval.isel(checkpoint=0)
    began = int((first.sel(bound="low") > 0).sum())
    n = found.sizes["layer"]
    return (
        f"Layers that begin with a geometry of their own: {began} of {n}; that end nearer to "
        f"their own beginning: {kept}"
    )


def memory_curves(found: xr.Dataset) -> dict[str, xr.DataArray]:
    """Excess over checkpoints, a curve a layer."""
    return {
        layer_name(label): found.memory_interval.sel(layer=label) for label in found.layer.values
    }


def memory_alt(answers: Mapping[str, xr.Dataset]) -> str:
    """The first and the last value of each curve, population by population."""

    def courses(found: xr.Dataset) -> str:
        values = found.memory_interval.sel(bound="estimate").values
        return "; ".join(
            f"{layer_name(label)} from {number(course[0])} to {number(course[-1])}"
            for label, course in zip(found.layer.values, values, strict=True)
        )

    told = [f"{population}: {courses(found)}." for population, found in answers.items()]
    return f"Curves over training. {' '.join(told)}"


def development_sentence(data: xr.Dataset) -> str:
    """How far seeds were apart at first and at last, and modes from their prediction at most."""
    course = data.misfit.sel(bound="estimate")
    first, last = (float(course.isel(time=i)) for i in (0, -1))
    off = float(abs(data.strength - data.predicted).max() / data.singular.max())
    return (
        f"Between two of the {data.sizes['network']} networks the misfit of the best rotation is "
        f"{number(first, 3)} before training and {power_of_ten(last)} after it. No mode of "
        "any network is ever further from its predicted strength than "
        f"{100 * off:.0f} % of the largest."
    )


def scales_sentence(answers: Mapping[str, xr.Dataset]) -> str:
    """Misfit at the end from the smallest and the largest weights, by setting."""
    parts = []
    for name, data in answers.items():
        last = data.misfit.sel(start="random", bound="estimate").isel(moment=-1)
        first = data.misfit.sel(start="random", bound="estimate").isel(moment=0)
        small, large = (_readable(float(last.isel(scale=i))) for i in (0, -1))
        parts.append(
            f"*{name}*: {number(first.mean(), 3)} before training; after it {small} from the "
            f"smallest weights and {large} from the largest"
        )
    return "Misfit between two seeds, " + "; ".join(parts) + "."


def growth_sentence(data: xr.Dataset, low: float = 0.03, high: float = 0.3) -> str:
    """With which power of the scale what random weights keep grows, between two scales."""
    last = data.misfit.sel(start="random", bound="estimate").isel(moment=-1)
    power = np.log(last.sel(scale=high) / last.sel(scale=low)) / np.log(high / low)
    return f"Between the scales {low:g} and {high:g} it grows with the power {float(power):.1f}."


def _readable(value: float) -> str:
    return number(value, 3) if value >= 0.0005 else power_of_ten(value)
