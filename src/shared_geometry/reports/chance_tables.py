"""Tables of the chapter on chance: a row a layer, of many layers the first and the last."""

from collections.abc import Callable, Mapping

import xarray as xr

from shared_geometry.basics.markdown import interval_cell, table
from shared_geometry.basics.wording import layer_name, number
from shared_geometry.beyond.chance.reading import (
    NAMES,
    calibrated_values,
    classes_only,
    common_parts,
    ends,
)
from shared_geometry.statistics import p_value

Answers = Mapping[str, xr.Dataset]  # population -> answer


def _table(answers: Answers, heading: list[str], cells: Callable[[xr.Dataset], list[str]]) -> str:
    """A row a layer, under the name of its population where there are several."""
    rows = []
    for population, found in answers.items():
        if len(answers) > 1:
            rows.append([f"**{population}**", *[""] * len(heading)])
        for label in ends(found):
            name = layer_name(label).replace(" ", "\u00a0")
            rows.append([name, *cells(found.sel(layer=label))])
    return table(["layer", *heading], rows)


def calibration_table(answers: Answers) -> str:
    """Raw values and, with intervals, calibrated ones."""

    def cells(found: xr.Dataset) -> list[str]:
        raw = found.value.sel(state="trained", bound="estimate")
        return [
            f"{number(raw.sel(measure=m))} → {interval_cell(found.calibrated.sel(measure=m))}"
            for m in NAMES
        ]

    answers = {n: found.assign(calibrated=calibrated_values(found)) for n, found in answers.items()}
    return _table(answers, list(NAMES.values()), cells)


def ceiling_table(answers: Answers) -> str:
    """Bounds of what can be predicted of a network: of its RSM, and of its activity."""

    def cells(found: xr.Dataset) -> list[str]:
        rsm, value = found.ceiling.sel(state="trained"), found.value.sel(state="trained")
        parts = [number(part) for part in common_parts(found).values()]
        return [
            interval_cell(rsm.sel(side="lower")),
            interval_cell(rsm.sel(side="upper")),
            interval_cell(value.sel(measure="left out")),
            " / ".join(parts),
            interval_cell(value.sel(measure="corrected")),
        ]

    heading = [
        "RSM: from the others",
        "best for all",
        "variance: from the others",
        "s, from either bound",
        "best for all",
    ]
    return _table(answers, heading, cells)


def untrained_table(answers: Answers) -> str:
    """Calibrated values before and after training, and what training adds to each network."""

    def cells(found: xr.Dataset) -> list[str]:
        states = (found.before, found.after)
        changes = [
            " → ".join(number(state.sel(measure=m, bound="estimate"), 3) for state in states)
            for m in ("geometry", "left out")
        ]
        return [*changes, interval_cell(found.gain)]

    heading = [f"{NAMES[m]}, calibrated" for m in ("geometry", "left out")]
    both = {
        name: found.assign(
            before=calibrated_values(found, "untrained"), after=calibrated_values(found)
        )
        for name, found in answers.items()
    }
    return _table(both, [*heading, f"training adds to {NAMES['left out']}, not calibrated"], cells)


def classes_table(answers: Answers) -> str:
    """Calibrated values beside those of networks that share the class of an image alone."""

    def cells(found: xr.Dataset) -> list[str]:
        row = []
        for m in ("geometry", "left out"):
            value = found.value.sel(state="trained", measure=m, bound="estimate")
            draws = found.draws.sel(state="trained", null="classes", measure=m)
            row += [
                number(found.calibrated.sel(measure=m, bound="estimate"), 3),
                number(found.classes.sel(measure=m), 3),
                number(p_value(value.values, draws.values)),
            ]
        return row

    heading = [
        part
        for m in ("geometry", "left out")
        for part in (f"{NAMES[m]}, calibrated", "classes only", "p")
    ]
    both = {
        name: found.assign(calibrated=calibrated_values(found), classes=classes_only(found))
        for name, found in answers.items()
    }
    return _table(both, heading, cells)
