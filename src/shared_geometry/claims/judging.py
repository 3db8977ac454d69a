"""What makes a claim hold: intervals in, a verdict out.

A claim about layers, copies or data sets is judged part by part.  It holds if it holds in every
part, holds in part if it does so in some, and does not hold if in none that can be told; where none
can be told, the claim cannot.  Of a part with an interval, it takes the whole interval to say yes,
and the whole interval to say no.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from shared_geometry.basics.wording import interval_text

HOLDS, IN_PART, FAILS = "holds", "holds in part", "does not hold"
UNDECIDED = "cannot be told"

HIGH = 0.8  # a correlation at least this high is called high
NO_STRUCTURE = 0.1  # a correlation at most this far from zero is called none
NEAR, CLOSE = 0.01, 0.05  # how far a stated share of variance may be off
EXACT = 1e-10  # largest relative deviation from an identity
_SHOWN = 4  # parts that are listed one by one


class Found(NamedTuple):
    """What a rule says of some results."""

    outcome: str  # HOLDS, IN_PART, FAILS or UNDECIDED
    value: str  # our numbers, in words


def overall(parts: Sequence[bool | None]) -> str:
    """HOLDS if all parts do, IN_PART if some, FAILS if none that can be told; None: it cannot.

    Of no parts nothing can be told.
    """
    if parts and all(parts):
        return HOLDS
    if any(parts):
        return IN_PART
    return FAILS if False in parts else UNDECIDED


def joint(parts: Sequence[bool | None]) -> bool | None:
    """Whether all of several hold at once: not, if one does not; None: it cannot be told."""
    return False if False in parts else None if None in parts else True


def above(interval: Sequence[float], least: float) -> bool | None:
    """Whether estimate, low and high lie above a threshold; None: it lies between, or they are NaN.

    An interval that ends at the threshold is above it.
    """
    _, low, high = interval
    return True if low >= least else False if high < least else None


def below(interval: Sequence[float], most: float) -> bool | None:
    """Whether estimate, low and high lie below a threshold; None as in `above`."""
    estimate, low, high = interval
    return above((-estimate, -high, -low), -most)


def within(interval: Sequence[float], most: float) -> bool | None:
    """Whether estimate, low and high lie at most so far from 0; None as in `above`."""
    sides = below(interval, most), above(interval, -most)
    return joint(sides)


def higher(a: Sequence[float], b: Sequence[float]) -> bool | None:
    """Whether one interval lies above another; not, if b cannot exceed a by more than `NEAR`.

    Parameters
    ----------
    a, b : sequence of 3 float
        Estimate, low and high.

    Returns
    -------
    bool or None
        None: they overlap, and b could be well above a.
    """
    return True if b[1] > a[2] else False if b[2] - a[1] <= NEAR else None


def counted(parts: Sequence[bool | None], what: str) -> str:
    """How many parts there are, in how many a claim holds, and in how many that cannot be told."""
    told = f"{sum(map(bool, parts))} of {len(parts)} {what}"
    open_ = sum(part is None for part in parts)
    return f"{told} ({open_} {UNDECIDED})" if open_ else told


def all_above(
    rows: Mapping[str, np.ndarray], least: float, what: str = "layers", unknown: str = "unknown"
) -> Found:
    """Whether intervals lie above a threshold, part by part.

    Parameters
    ----------
    rows : mapping of str to array of shape (3,)
        Estimate, low and high of each part; NaN where there is nothing to measure, which cannot be
        told.
    least : float
    what : str
        What the parts are.
    unknown : str
        What to say of a part that is NaN.

    Returns
    -------
    Found
        Of more than `_SHOWN` parts, the lowest and the highest are shown.
    """
    parts = [above(row, least) for row in rows.values()]
    shown = dict(rows)
    if len(rows) > _SHOWN:
        known = {name: row for name, row in rows.items() if not np.isnan(row).any()} or shown
        shown = dict(f(known.items(), key=lambda item: item[1][0]) for f in (min, max))
    told = (
        f"{name} {unknown if np.isnan(row).any() else interval_text(row)}"
        for name, row in shown.items()
    )
    return Found(overall(parts), f"{counted(parts, what)}: {'; '.join(told)}")
