"""Sentences of the chapter on chance, from the answers of its study."""

import xarray as xr

from shared_geometry.beyond.chance import ALPHA, CHANCE, above_chance, lone_p
from shared_geometry.chance_reading import (
    NAMES,
    WIDTH,
    calibrated_values,
    needed,
    spread,
    widths,
)
from shared_geometry.chance_tables import Answers
from shared_geometry.statistics import p_value
from shared_geometry.wording import number


def _percent(values: xr.DataArray) -> str:
    low, high = (number(100 * float(v), 0) for v in (values.min(), values.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"


def summary(answers: Answers) -> str:
    """What was found, a line a population."""
    lines = []
    for population, found in answers.items():
        free = above_chance(found).all(["measure", "null"])
        after, before = (
            calibrated_values(found, state).sel(measure="left out", bound="estimate")
            for state in ("trained", "untrained")
        )
        lines.append(
            f"- *{population}*: above chance by every measure in {int(free.sum())} of {len(free)} "
            f"layers. Two networks have {_percent(after)} of their activity in common, and before "
            f"training {_percent(before)}."
        )
    return "\n".join(lines)


def untrained_sentence(answers: Answers) -> str:
    """In how many layers training adds to what networks share, and in how many it takes away."""
    lines = []
    for population, found in answers.items():
        low, high = (found.gain.sel(bound=bound) for bound in ("low", "high"))
        more, less, n = int((low > 0).sum()), int((high < 0).sum()), found.sizes["layer"]
        before, after = (
            calibrated_values(found, state).sel(measure="left out", bound="estimate")
            for state in ("untrained", "trained")
        )
        told = [f"adds in {more} of {n} layers"] + [f"takes away in {less}"] * (less > 0)
        unclear = n - more - less
        lines.append(
            f"- *{population}*: before training two networks have {_percent(before)} of their "
            f"activity in common, after it {_percent(after)}. Training {' and '.join(told)}"
            + (f"; in {unclear} its effect cannot be told." if unclear else ".")
        )
    return "\n".join(lines)


def p_sentence(answers: Answers) -> str:
    """The largest p-values under each null, and in how many networks that are shuffled alone."""
    lines = []
    for population, found in answers.items():
        value = found.value.sel(state="trained", bound="estimate").transpose("layer", "measure")
        draws = found.draws.sel(state="trained").transpose("null", "layer", "measure", "draw")
        all_of_them, noise = (
            number(p_value(value.values, draws.sel(null=null).values).max()) for null in CHANCE
        )
        single = p_value(found.lone.values, found.lone_draws.values)  # (layer, measure, network)
        small = (single <= ALPHA).all((0, 1))
        lines.append(
            f"- *{population}*: with {found.sizes['draw']} draws p is at least "
            f"{number(1 / (1 + found.sizes['draw']))}. The largest of all layers and measures is "
            f"{all_of_them} with all networks' images shuffled, {noise} for noise, and "
            f"{number(lone_p(found).max())} where one network at a time is shuffled; "
            f"{int(small.sum())} of {len(small)} networks have p ≤ {ALPHA:g} in every layer."
        )
    return "\n".join(lines)


def networks_sentence(answers: Answers, wanted: float = WIDTH) -> str:
    """How many networks give an interval of a stated width in every layer."""
    lines = []
    for population, found in answers.items():
        n, counts, widest = found.sizes["network"], [], []
        for measure in ("geometry", "left out"):
            count = needed(found, measure, wanted)
            counts.append(f"{count} networks{' (extrapolated)' * (count > n)} for {NAMES[measure]}")
            widest.append(number(widths(found, measure).isel(size=-1).max(), 3))
        lines.append(
            f"- *{population}*: for an interval no wider than {wanted:g} in every layer one needs "
            f"{' and '.join(counts)}. The widest with all {n} networks are "
            f"{' and '.join(widest)} wide."
        )
    return "\n".join(lines)


def sensitivity_sentence(answers: Answers) -> str:
    """How far each measure tells trained networks, untrained ones and bare classes apart."""
    lines = []
    for population, found in answers.items():
        parts = []
        for m in ("geometry", "left out"):
            stands = [
                found.value.sel(state="trained", measure=m, bound="estimate"),
                found.value.sel(state="untrained", measure=m, bound="estimate"),
                found.draws.sel(state="trained", null="classes", measure=m).mean("draw"),
            ]
            trained, untrained, classes = (_span(values) for values in stands)
            parts.append(
                f"{NAMES[m]} is {trained} in trained networks, {untrained} in untrained ones, and "
                f"{classes} where only classes agree"
            )
        lines.append(f"- *{population}*: {'; '.join(parts)}.")
    return "\n".join(lines)


def _span(values: xr.DataArray) -> str:
    low, high = number(values.min()), number(values.max())
    return low if low == high else f"{low} to {high}"


def few_networks_sentence(answers: Answers, measure: str = "left out") -> str:
    """What an interval from two networks is worth: its width beside the spread between pairs."""
    lines = []
    for population, found in answers.items():
        width, apart = (f(found, measure).isel(size=0).max() for f in (widths, spread))
        lines.append(
            f"- *{population}*: the interval from two networks is {number(width, 3)} wide at most, "
            f"yet the estimates of different pairs lie up to {number(apart, 3)} apart."
        )
    return "\n".join(lines)


def units_sentence(answers: Answers) -> str:
    """What the limit on units does to the values."""
    lines = []
    for population, found in answers.items():
        used, recorded = (found.units.sel(which=which) for which in ("used", "recorded"))
        cut = found.isel(layer=(used < recorded).values.nonzero()[0])
        if not cut.sizes["layer"]:
            lines.append(f"- *{population}*: all recorded units take part.")
            continue
        value = cut.value.sel(state="trained", bound="estimate")
        moved = (cut.all_units - value).sel(measure="left out")
        lines.append(
            f"- *{population}*: {int(used.max())} of up to {int(recorded.max())} units take part; "
            f"with all of them, the variance that the others explain would be "
            f"{number(moved.min(), 3)} to {number(moved.max(), 3)} higher."
        )
    return "\n".join(lines)
