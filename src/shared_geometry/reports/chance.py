"""Sentences of the chapter on chance, from the answers of its study."""

from collections.abc import Callable

import xarray as xr

from shared_geometry.basics.wording import number, span
from shared_geometry.beyond.chance.reading import (
    NAMES,
    WIDTH,
    calibrated_values,
    needed,
    spread,
    widths,
)
from shared_geometry.beyond.chance.study import ALPHA, CHANCE, above_chance, lone_p
from shared_geometry.claims.judging import counted
from shared_geometry.experiment.results import config_of
from shared_geometry.reports.chance_tables import Answers
from shared_geometry.reports.trained import layer_units
from shared_geometry.statistics import p_value


def _lines(answers: Answers, say: Callable[[xr.Dataset], str]) -> str:
    """A line a population."""
    return "\n".join(f"- *{population}*: {say(found)}" for population, found in answers.items())


def _in_common(found: xr.Dataset, state: str) -> str:
    """Part of their activity that two networks have in common, over all layers."""
    values = calibrated_values(found, state).sel(measure="left out", bound="estimate")
    return f"{span(100 * values, 0)} %"


def summary(answers: Answers) -> str:
    """What was found, a line a population."""

    def say(found: xr.Dataset) -> str:
        return (
            f"above chance by every measure in {counted(above_chance(found), 'layers')}. Two "
            f"networks have {_in_common(found, 'trained')} of their activity in common, and before "
            f"training {_in_common(found, 'untrained')}."
        )

    return _lines(answers, say)


def untrained_sentence(answers: Answers) -> str:
    """In how many layers training adds to what networks share, and in how many it takes away."""

    def say(found: xr.Dataset) -> str:
        low, high = (found.gain.sel(bound=bound) for bound in ("low", "high"))
        more, less, n = int((low > 0).sum()), int((high < 0).sum()), found.sizes["layer"]
        told = [f"adds in {more} of {n} layers"] + [f"takes away in {less}"] * (less > 0)
        unclear = n - more - less
        return (
            f"before training two networks have {_in_common(found, 'untrained')} of their activity "
            f"in common, after it {_in_common(found, 'trained')}. Training {' and '.join(told)}"
            + (f"; in {unclear} its effect cannot be told." if unclear else ".")
        )

    return _lines(answers, say)


def p_sentence(answers: Answers) -> str:
    """The largest p-values under each null, and in how many networks that are shuffled alone."""

    def say(found: xr.Dataset) -> str:
        value = found.value.sel(state="trained", bound="estimate").transpose("layer", "measure")
        draws = found.draws.sel(state="trained").transpose("null", "layer", "measure", "draw")
        all_of_them, noise = (
            number(p_value(value.values, draws.sel(null=null).values).max()) for null in CHANCE
        )
        alone = lone_p(found)
        small = (alone <= ALPHA).all(["layer", "lone_measure"])
        return (
            f"with {found.sizes['draw']} draws p is at least "
            f"{number(1 / (1 + found.sizes['draw']))}. The largest of all layers and measures is "
            f"{all_of_them} with all networks' images shuffled, {noise} for noise, and "
            f"{number(alone.max())} where one network at a time is shuffled; "
            f"{int(small.sum())} of {small.size} networks have p ≤ {ALPHA:g} in every layer."
        )

    return _lines(answers, say)


def networks_sentence(answers: Answers, wanted: float = WIDTH) -> str:
    """How many networks give an interval of a stated width in every layer."""

    def say(found: xr.Dataset) -> str:
        n, counts, widest, missing = found.sizes["network"], [], [], []
        for measure in ("geometry", "left out"):
            count = needed(found, measure, wanted)
            if count is None:
                missing.append(NAMES[measure])
                continue
            counts.append(f"{count} networks{' (extrapolated)' * (count > n)} for {NAMES[measure]}")
            widest.append(number(widths(found, measure).isel(size=-1).max(), 3))
        if not counts:
            return f"{n} networks leave open how many it takes."
        verb = "is" if len(widest) == 1 else "are"
        return (
            f"for an interval no wider than {wanted:g} in every layer one needs "
            f"{' and '.join(counts)}. The widest with all {n} networks {verb} "
            f"{' and '.join(widest)} wide."
            + f" For {' and '.join(missing)} it cannot be worked out."
            * bool(missing)
        )

    return _lines(answers, say)


def sensitivity_sentence(answers: Answers) -> str:
    """How far each measure tells trained networks, untrained ones and bare classes apart."""

    def say(found: xr.Dataset) -> str:
        parts = []
        for m in ("geometry", "left out"):
            stands = [
                found.value.sel(state="trained", measure=m, bound="estimate"),
                found.value.sel(state="untrained", measure=m, bound="estimate"),
                found.draws.sel(state="trained", null="classes", measure=m).mean("draw"),
            ]
            trained, untrained, classes = map(span, stands)
            parts.append(
                f"{NAMES[m]} is {trained} in trained networks, {untrained} in untrained ones, and "
                f"{classes} where only classes agree"
            )
        return f"{'; '.join(parts)}."

    return _lines(answers, say)


def few_networks_sentence(answers: Answers, measure: str = "left out") -> str:
    """What an interval from few networks is worth: its width beside the spread of estimates."""

    def say(found: xr.Dataset) -> str:
        width, apart = (f(found, measure) for f in (widths, spread))
        known = width.dropna("size", how="all")
        if not known.sizes["size"]:
            return "two networks leave every interval open."
        n = int(known["size"][0])
        return (
            f"of {NAMES[measure]}, the interval from {n} networks is "
            f"{number(known.isel(size=0).max(), 3)} wide at most; the estimates of different "
            f"choices of {n} lie up to {number(apart.sel(size=n).max(), 3)} apart."
        )

    return _lines(answers, say)


def units_sentence(answers: Answers) -> str:
    """What the limit on units does to the values."""

    def say(found: xr.Dataset) -> str:
        used, recorded = (found.units.sel(which=which) for which in ("used", "recorded"))
        whole = max(layer_units(config_of(found)).values())
        of_them = f"of up to {whole:,} units of a layer up to {int(recorded.max()):,} were recorded"
        cut = found.isel(layer=(used < recorded).values.nonzero()[0])
        if not cut.sizes["layer"]:
            return f"{of_them}, and all of these take part."
        value = cut.value.sel(state="trained", bound="estimate")
        moved = (cut.all_units - value).sel(measure="left out")
        return (
            f"{of_them}, and up to {int(used.max()):,} take part; with all that were recorded, the "
            f"variance that the others explain would change by {span(moved, 3)}."
        )

    return _lines(answers, say)
