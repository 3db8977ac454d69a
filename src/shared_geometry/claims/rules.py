"""Rules that judge the paper's claims: results in, what was found out.

A rule about the theory takes a random generator; one about the simulation what
`simulation.figure_2` returns; one about trained networks what `experiment.run` returns for one
condition.  Each returns a `Found`.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from warnings import catch_warnings

import numpy as np
import xarray as xr
from scipy.stats import ConstantInputWarning, spearmanr

from shared_geometry.basics.wording import interval_text, layer_name, number, power_of_ten
from shared_geometry.claims.judging import (
    CLOSE,
    EXACT,
    FAILS,
    HIGH,
    HOLDS,
    IN_PART,
    NEAR,
    NO_STRUCTURE,
    UNDECIDED,
    Found,
    above,
    counted,
    higher,
    overall,
)
from shared_geometry.experiment.results import (
    BOOTSTRAP,
    CHANNELS,
    NEARLY,
    config_of,
    geometry_intervals,
    native_control,
    shows_training,
)
from shared_geometry.srm.score import explained_with
from shared_geometry.theory.propositions import deviation, response_of, same_geometry

NO_BEGINNING = "the networks were not looked at before training and at the end"
TOO_SHORT = 4  # times, an interval that leaves networks out only nearly
CHANCE = 0.05  # largest p of an order of layers that counts
_ONE_UNIT_A_CHANNEL = "dense"  # such a layer


# Proposition 1, with random numbers in the place of letters.


def _alike(rng: np.random.Generator, n_networks: int, repeated: bool) -> Found:
    k, units, images = 8, 20, 40
    s = rng.normal(size=(k, images))
    if repeated:  # all eigenvalues of the RSM are equal: the eigenvectors are not unique
        s = np.linalg.qr(s.T)[0].T
    networks = same_geometry(s, n_networks, units, rng)
    gram = networks[0].T @ networks[0]
    response, lift = response_of(gram)
    bases = [x @ lift for x in networks]
    errors = [deviation(x.T @ x, gram) for x in networks]
    errors += [
        deviation(w @ response, x) + deviation(w.T @ w, np.eye(k))
        for w, x in zip(bases, networks, strict=True)
    ]
    other = rng.normal(size=(units, images))  # a network of another geometry: no basis fits it
    misfit = deviation(other @ lift @ response, other)
    holds = max(errors) < EXACT < misfit
    value = f"off by {power_of_ten(max(errors))}; another RSM: by {number(misfit)}"
    return Found(HOLDS if holds else FAILS, value)


def proposition(rng: np.random.Generator) -> Found:
    """Two networks with distinct eigenvalues."""
    return _alike(rng, 2, repeated=False)


def without_distinct_eigenvalues(rng: np.random.Generator) -> Found:
    """Two networks with equal eigenvalues."""
    return _alike(rng, 2, repeated=True)


def many_networks(rng: np.random.Generator) -> Found:
    """Ten networks."""
    return _alike(rng, 10, repeated=False)


# The simulation: results of `simulation.figure_2`.


def _copies(found: xr.Dataset, space: str, measure: str) -> list[tuple[str, np.ndarray]]:
    interval = found.correlation_interval.sel(space=space, measure=measure)
    return [
        (f"{t}, {r}", interval.sel(transformation=t, reading=r).values)
        for r in ("published", "exact")
        for t in found.transformation.values
    ]


def _listed(rows: Sequence[tuple[str, np.ndarray]]) -> str:
    return "; ".join(f"{name} {interval_text(values)}" for name, values in rows)


def finds_rotations(found: xr.Dataset) -> Found:
    """corr(wRSM, iRSM) in the shared space is high."""
    rows = _copies(found, "shared", "pearson")
    return Found(overall([above(values, HIGH) for _, values in rows]), _listed(rows))


def native_copies_differ(found: xr.Dataset) -> Found:
    """corr(wRSM, iRSM) in native space is none."""
    rows = _copies(found, "native", "pearson")
    parts = [_none(values) for _, values in rows]
    return Found(overall(parts), f"{counted(parts, 'copies')}; {_listed(rows)}")


def ranks_agree(found: xr.Dataset) -> Found:
    """Pearson's and Kendall's coefficient differ by little."""
    pairs = zip(
        _copies(found, "shared", "pearson"), _copies(found, "shared", "kendall"), strict=True
    )
    rows = [(name, p[0] - k[0]) for (name, p), (_, k) in pairs]
    value = "; ".join(f"{name} differ by {number(gap)}" for name, gap in rows)
    return Found(overall([abs(gap) <= NO_STRUCTURE for _, gap in rows]), value)


# The experiments: results of `experiment.run` for one condition, as the authors computed them.


def _none(interval: np.ndarray) -> bool | None:
    """Whether 0 lies in the interval, or all of it near 0; None: it is too wide to tell."""
    _, low, high = interval
    near = abs(low) <= NO_STRUCTURE and abs(high) <= NO_STRUCTURE
    if low <= 0 <= high and not near:
        return True if high - low <= 2 * NO_STRUCTURE else None
    return near


def _layers(values: xr.DataArray) -> list[tuple[str, np.ndarray]]:
    return [(layer_name(label), values.sel(layer=label).values) for label in values.layer.values]


def _rises(results: xr.Dataset, name: str) -> Found:
    values, made = _shared(results, name), geometry_intervals(results)
    if not shows_training(values):
        return Found(UNDECIDED, NO_BEGINNING)
    first, last = (_layers(values.isel(checkpoint=place)) for place in (0, -1))
    safe = _longer if made == NEARLY else np.asarray
    parts = [higher(safe(a), safe(b)) for (_, a), (_, b) in zip(first, last, strict=True)]
    if made == BOOTSTRAP:  # they end at the estimate, and so cannot deny that it rises
        parts = [part or None for part in parts]
    shown = "; ".join(
        f"{name} {number(before[0])} → {interval_text(after)}"
        for (name, before), (_, after) in _ends(list(zip(first, last, strict=True)))
    )
    return Found(overall(parts), f"{counted(parts, 'layers')}: {shown}")


def _ends(rows: list) -> list:
    """All rows of a few, the first and the last of many."""
    return rows if len(rows) <= 3 else [rows[0], rows[-1]]


def _longer(interval: np.ndarray) -> np.ndarray:
    """An interval of the kind `NEARLY`, as if it were `TOO_SHORT` times too short."""
    z = np.arctanh(np.clip(interval, -1 + 1e-12, 1 - 1e-12))
    return np.tanh(z[0] + TOO_SHORT * (z - z[0]))


def _shared(results: xr.Dataset, name: str) -> xr.DataArray:
    return results[name].sel(reading="published", space="shared")


def geometry_rises(results: xr.Dataset) -> Found:
    """Correlation with the wRSM of the end, before training and at the end."""
    return _rises(results, "geometry_final")


def agreement_rises(results: xr.Dataset) -> Found:
    """Correlation with the wRSM of the same checkpoint, before training and at the end."""
    return _rises(results, "geometry_current")


def aligned(results: xr.Dataset) -> Found:
    """corr(wRSM, iRSM) in shared space at the end."""
    rows = _layers(_shared(results, "geometry_final").isel(checkpoint=-1))
    safe = _longer if geometry_intervals(results) == NEARLY else np.asarray
    parts = [above(safe(values), HIGH) for _, values in rows]
    return Found(overall(parts), f"{counted(parts, 'layers')}: {_listed(_ends(rows))}")


def native_is_formless(results: xr.Dataset) -> Found:
    """corr(wRSM, iRSM) in native space at the end, among those of randomly numbered channels.

    Older results put units in a random order, which breaks channels up: unless a layer has one unit
    a channel, the range can be too narrow, and a value outside it cannot be told.
    """
    final = results.geometry_final.sel(reading="published", space="native", bound="estimate")
    rows, parts = [], []
    for label in results.layer.values:
        value = float(final.isel(checkpoint=-1).sel(layer=label))
        draws = results.control_native.sel(layer=label).values
        low, high = draws.min(), draws.max()
        inside = bool(low <= value <= high)
        right = native_control(results) == CHANNELS or label == _ONE_UNIT_A_CHANNEL
        parts.append(inside if inside or right else None)
        chance = f"random {number(low)} to {number(high)}"
        rows.append(f"{layer_name(label)} {number(value)} ({chance})")
    return Found(overall(parts), f"{counted(parts, 'layers')}: {'; '.join(_ends(rows))}")


def _variance(results: xr.Dataset, measure: str = "published") -> list[tuple[str, np.ndarray]]:
    return _layers(results.variance_interval.sel(measure=measure).isel(checkpoint=-1))


def variance_rises_with_depth(results: xr.Dataset) -> Found:
    """Variance explained of each layer and of the next."""
    rows = _variance(results)
    parts = [higher(a, b) for (_, a), (_, b) in pairwise(rows)]
    return Found(overall(parts), f"{counted(parts, 'steps')}: {_listed(_ends(rows))}")


def states(share: float) -> Callable[[xr.Dataset], Found]:
    """The rule for a stated share of variance in the last layer."""

    def judge(results: xr.Dataset) -> Found:
        name, (estimate, low, high) = _variance(results)[-1]
        off = max(low - share, share - high, 0.0)
        narrow = max(high - estimate, estimate - low) <= CLOSE
        if off <= NEAR:
            outcome = HOLDS if narrow else UNDECIDED
        else:
            outcome = IN_PART if abs(estimate - share) <= CLOSE else FAILS
        value = f"the paper {number(share, 3)}; {name} {interval_text((estimate, low, high), 3)}"
        return Found(outcome, value)

    return judge


def consistency_follows_variance(results: xr.Dataset) -> Found:
    """Order of the layers by variance explained, and by consistency of their wRSMs."""
    variance = np.array([values[0] for _, values in _variance(results)])
    rows = _layers(results.consistency.sel(reading="published").isel(checkpoint=-1))
    consistency = np.array([values[0] for _, values in rows])
    with catch_warnings(action="ignore", category=ConstantInputWarning):
        rank, p = spearmanr(variance, consistency, alternative="greater")
    if rank > 0:
        outcome = HOLDS if rank >= HIGH else IN_PART if p <= CHANCE else UNDECIDED
    else:
        outcome = UNDECIDED if np.isnan(rank) else FAILS
    return Found(outcome, f"rank correlation over layers {number(rank)}; {_listed(_ends(rows))}")


def less_than(results: xr.Dataset, other: xr.Dataset) -> Found:
    """Variance explained in the last layer of one condition and of another.

    The more networks there are, the less of itself a network finds in S: of populations that differ
    in size, the larger one's share is brought to the smaller size by `explained_with`.
    """
    configs = [config_of(found) for found in (results, other)]
    fewest = min(config.networks for config in configs)
    alike = len({config.networks for config in configs}) == 1
    if not alike and any(config.components is not None for config in configs):
        return Found(UNDECIDED, "populations of unequal size, and bases that are not square")

    def shares(measure: str) -> list[list[float]]:
        last = (_variance(found, measure)[-1][1] for found in (results, other))
        return [
            [explained_with(bound, config.networks, fewest) for bound in interval]
            for interval, config in zip(last, configs, strict=True)
        ]

    a, b = shares("published")
    without = " against ".join(map(interval_text, shares("corrected")))
    size = "" if alike else f", as of {fewest} networks each"
    firsts = (_variance(found, "published")[0][1] for found in (results, other))
    first = " against ".join(map(interval_text, firsts))
    value = (
        f"{interval_text(a)} against {interval_text(b)}{size}; without unit means {without}; "
        f"in the first layer {first}"
    )
    return Found(overall([higher(a, b)]), value)
