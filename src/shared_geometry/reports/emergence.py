"""Words and tables of the chapter on emergence: results in, Markdown out.

Answers are a mapping from the name of a population to the results of its run.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import in_a_sentence, interval_text, layer_name, number, span
from shared_geometry.claims import emergence
from shared_geometry.claims.emergence import FIRST
from shared_geometry.figures.emergence import TERMS, peak_epochs

Answers = Mapping[str, xr.Dataset]
GAP = 0.05  # readings that differ by less are not taken apart


def _interval(values: Iterable[float], digits: int = 2) -> str:
    known = list(values)
    return "no way to go" if np.isnan(known[0]) else interval_text(known, digits)


def _lines(answers: Answers, say: Callable[[xr.Dataset], str]) -> str:
    return "\n".join(f"- {population}: {say(results)}" for population, results in answers.items())


def way_table(answers: Answers) -> str:
    """Where each layer starts, how far it comes within an epoch, and when it has arrived."""
    head = ["layer", "at the start", "way by epoch 1", "epochs until 95 %"]
    parts = []
    for population, results in answers.items():
        covered = emergence.way(results)
        by_first, arrived = emergence.covered_by(covered), emergence.arrivals(covered)
        start = results.geometry_final.sel(reading="published", space="shared").isel(checkpoint=0)
        rows = [
            [
                layer_name(label),
                number(start.sel(layer=label, bound="estimate")),
                _interval(by_first.sel(layer=label).values),
                _interval(arrived.sel(layer=label).values, 1),
            ]
            for label in results.layer.values
        ]
        epochs = f"{results.checkpoint.values[-1]:g} epochs in all"
        parts.append(f"**{population}**, {epochs}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def order_sentence(answers: Answers) -> str:
    """Which layers arrive first and last, and whether deeper ones do so later."""

    def say(results: xr.Dataset) -> str:
        arrived = emergence.arrivals(emergence.way(results)).dropna("layer", how="any")
        if arrived.sizes["layer"] < 2:
            return "fewer than two layers have a way to go."
        ordered = arrived.sortby(arrived.sel(bound="estimate"))
        first, last = ordered.isel(layer=0), ordered.isel(layer=-1)
        apart = bool(first.sel(bound="high") < last.sel(bound="low"))
        text = (
            f"first {in_a_sentence(first.layer.item())} ({_interval(first.values, 1)}), last "
            f"{in_a_sentence(last.layer.item())} ({_interval(last.values, 1)}), intervals "
            f"{'apart' if apart else 'overlapping'}"
        )
        if arrived.sizes["layer"] > 3:
            estimate = arrived.sel(bound="estimate").values
            rank = spearmanr(np.arange(len(estimate)), estimate).statistic
            text += f"; rank correlation of arrival with depth {number(rank)}"
        return text + "."

    return _lines(answers, say)


def accuracy_sentence(answers: Answers) -> str:
    """How far accuracy and geometry have come by the end of the first epoch."""

    def say(results: xr.Dataset) -> str:
        accuracy = emergence.accuracy_way(results).sel(epoch=1).values
        by_first = emergence.covered_by(emergence.way(results))
        ahead = int((by_first.sel(bound="low") > accuracy[2]).sum())
        behind = int((by_first.sel(bound="high") < accuracy[1]).sum())
        if np.isnan(accuracy).any():
            return "some network ends at chance: there is no way to compare with."
        return (
            f"accuracy {interval_text(accuracy)}; the layers "
            f"{span(by_first.sel(bound='estimate').values)}. Of {by_first.sizes['layer']} "
            f"layers, intervals apart, ahead of accuracy: {ahead}; behind it: {behind}."
        )

    return _lines(answers, say)


def agreement_table(answers: Answers) -> str:
    """Agreement of the moment before training, at its best and at the end, two ways."""
    head = ["layer", "explained by the others", "two RSMs correlate"]
    parts = []
    for population, results in answers.items():
        measures = [
            results.variance_interval.sel(measure="left out"),
            results.consistency.sel(reading="published"),
        ]
        best = [peak_epochs(values) for values in measures]
        rows = []
        for place, label in enumerate(results.layer.values):
            cells = [layer_name(label)]
            for values, epochs in zip(measures, best, strict=True):
                row, epoch = values.sel(layer=label), epochs[place]
                start, end = (number(row.isel(checkpoint=c, bound=0)) for c in (0, -1))
                peak = number(row.sel(checkpoint=epoch, bound="estimate"))
                cells.append(f"{start} → {peak} ({epoch:g}) → {end}")
            rows.append(cells)
        parts.append(f"**{population}**\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def gap_table(answers: Answers) -> str:
    """The two readings' difference, and how much of it the drift of the geometry accounts for."""
    head = [
        "population",
        "most they differ",
        "where",
        "drift accounts for",
        "largest remainder",
        "largest possible",
    ]
    rows = []
    for population, results in answers.items():
        found = emergence.split(results)
        gap = found.agreement - found.final
        layer, checkpoint = np.unravel_index(gap.values.argmax(), gap.shape)
        wide = gap > GAP
        by_drift = (found.agreement * (1 - found.settled) / gap).where(wide).values
        worst = np.unravel_index(abs(found.remainder.values).argmax(), gap.shape)
        where = (
            f"{layer_name(found.layer.values[layer])}, epoch\u00a0"
            f"{found.checkpoint.values[checkpoint]:g}"
        )
        rows.append(
            [
                population,
                number(gap.max()),
                where,
                f"{span(100 * by_drift, 0)}\u00a0%",
                number(found.remainder.values[worst], 3),
                f"±{number(found.most.values[worst], 3)}",
            ]
        )
    return table(head, rows)


def pairs_sentence(answers: Answers) -> str:
    """How much less two networks agree than their averages do, and what that means for drift."""

    def say(results: xr.Dataset) -> str:
        n = results.sizes["network"]
        pairs = results.consistency.sel(reading="published", bound="estimate").values
        now = results.geometry_current.sel(reading="published", space="shared", bound="estimate")
        sure = [emergence.reliability(c, n) for c in (pairs.min(), pairs.max())]
        return (
            f"averages {span(now.values)}, two networks {span(pairs)}; mean RSMs of {n} other "
            f"networks would correlate {span(np.array(sure))} with these."
        )

    return _lines(answers, say)


def named(found: xr.DataArray | xr.Dataset) -> xr.DataArray | xr.Dataset:
    """What a table shows of a run, with layers and terms called as in the figures."""
    if "layer" in found.dims:
        found = found.assign_coords(layer=[layer_name(label) for label in found.layer.values])
    if isinstance(found, xr.Dataset):
        found = found.rename({**TERMS, "most": "largest remainder possible"})
    return found


def _first(answers: Answers, what: str, say: Callable[[xr.Dataset, object], str]) -> str:
    population, results = next(iter(answers.items()))
    parts = "; ".join(
        f"{layer_name(label)} {say(results, label)}" for label in results.layer.values
    )
    return f"{what}. {population}: {parts}."


def way_alt(answers: Answers) -> str:
    """Text alternative of the figure of the way, for the population that is shown first."""

    def say(results: xr.Dataset, label: object) -> str:
        by_first = emergence.covered_by(emergence.way(results)).sel(layer=label).values
        return _interval(by_first)

    what = f"Lines over epochs: the share of the way covered, here by epoch {FIRST:g}"
    return _first(answers, what, say)


def agreement_alt(answers: Answers) -> str:
    """Text alternative of the figure of variance explained through training."""

    def say(results: xr.Dataset, label: object) -> str:
        found = results.variance_interval.sel(layer=label, measure="left out", bound="estimate")
        course = found.values
        return f"from {number(course[0])}, at best {number(course.max())}, to {number(course[-1])}"

    return _first(answers, "Lines over epochs: variance explained, start, best and end", say)


def readings_alt(answers: Answers) -> str:
    """Text alternative of the figure of the two factors."""

    def say(results: xr.Dataset, label: object) -> str:
        found = emergence.split(results).sel(layer=label, checkpoint=emergence.early(results))
        return (
            f"agreement {number(found.agreement)}, settled {number(found.settled)}, "
            f"final reading {number(found.final)}"
        )

    return _first(answers, "Lines by layer", say)
