"""What is said of near RSMs and near rotations, judged on random networks."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from shared_geometry.basics.wording import number, power_of_ten
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import EXACT, FAILS, HOLDS, IN_PART, Found
from shared_geometry.rsa import compare_rsms
from shared_geometry.theory.pairs import KINDS, noisy
from shared_geometry.theory.propositions import same_geometry
from shared_geometry.theory.stability import gap, least_misfit, misfit, of_many

PAIRS = 100  # of each kind
ROUNDING = 1e-9
WIDE = 0.9  # a gap below which the bounds lie well apart


def draw_pairs(
    rng: np.random.Generator, kinds: Sequence[str] = tuple(KINDS), n_pairs: int = PAIRS
) -> xr.Dataset:
    """How far RSMs are apart, and how much the best rotation leaves, over random pairs.

    Parameters
    ----------
    rng : numpy.random.Generator
    kinds : sequence of str
        Of `pairs.KINDS`.
    n_pairs : int
        Of each kind, of 6 to 19 units and 20 to 49 images.

    Returns
    -------
    xarray.Dataset
        ``gap``, ``misfit`` and ``correlation`` of the RSMs' cells, (kind, pair).
    """
    found = np.empty((3, len(kinds), n_pairs))
    for i, kind in enumerate(kinds):
        for j in range(n_pairs):
            n, m = rng.integers(6, 20), rng.integers(20, 50)
            x, y = KINDS[kind](int(n), int(m), rng)
            found[:, i, j] = gap(x, y), misfit(x, y), compare_rsms(x.T @ x, y.T @ y)
    dims = ("kind", "pair")
    names = ("gap", "misfit", "correlation")
    return xr.Dataset(
        {name: (dims, part) for name, part in zip(names, found, strict=True)},
        {"kind": list(kinds)},
    )


def inside(found: xr.Dataset) -> xr.DataArray:
    """Which pairs of `draw_pairs` lie between the bounds, but for rounding: (kind, pair)."""
    low = least_misfit(found.gap)
    return (found.misfit <= found.gap + ROUNDING) & (found.misfit >= low - ROUNDING)


def near(rng: np.random.Generator) -> Found:
    """Misfit against its bounds, over pairs of all kinds."""
    found = draw_pairs(rng)
    high, low = found.gap.values, least_misfit(found.gap.values)
    fits = inside(found).values
    clear = high < WIDE  # at a gap of 1 the bounds meet
    tight = [(found.misfit.values / high)[clear].max(), (low / found.misfit.values)[clear].max()]
    outcome = FAILS if not fits.all() else HOLDS if min(tight) > 0.99 else IN_PART
    value = f"{fits.sum()} of {fits.size} pairs inside; " + (
        f"up to {100 * tight[0]:.1f} % of the upper bound, the lower one up to "
        f"{100 * tight[1]:.1f} % of what was found"
    )
    return Found(outcome, value)


def perfect_correlation(rng: np.random.Generator) -> Found:
    """Pairs whose RSMs have perfectly correlated cells."""
    found = draw_pairs(rng, ["RSM cells shrunk"])
    perfect = found.misfit.values[found.correlation.values > 1 - EXACT]
    parts = perfect <= EXACT
    outcome = HOLDS if parts.all() else FAILS
    most = number(perfect.max())
    return Found(outcome, f"{len(perfect)} pairs with r = 1: the misfit is up to {most}")


def many(rng: np.random.Generator, n_populations: int = 30) -> Found:
    """SRM of several networks between its bounds."""
    between, used = [], []
    for _ in range(n_populations):
        x, _ = noisy(12, 40, rng)
        level = 10 ** rng.uniform(-2, 0.3) * x.std()
        copies = same_geometry(x, int(rng.integers(3, 8)), len(x), rng)
        networks = [copy + level * rng.normal(size=x.shape) for copy in copies]
        low, found, high = of_many(networks)
        between.append(low - ROUNDING <= found <= high + ROUNDING)
        used.append(found / high)
    outcome = HOLDS if all(between) else FAILS
    return Found(
        outcome,
        f"{sum(between)} of {len(between)} populations inside; SRM leaves {number(min(used))} to "
        f"{number(max(used))} of the upper bound",
    )


CLAIMS = (
    Claim(
        "near",
        "Networks whose RSMs are near each other are near a rotation of each other",
        "Proposition 1, made quantitative",
        f"for {PAIRS} random pairs of each of {len(KINDS)} kinds, what the best rotation leaves "
        "lies between the two bounds, and comes within 1 % of each (in part: the former alone)",
        "near-rsms",
        near,
    ),
    Claim(
        "near-many",
        "So it is for N networks and SRM",
        "before Proposition 1, made quantitative",
        "for random populations, what SRM leaves lies between the two bounds",
        "near-rsms",
        many,
    ),
    Claim(
        "perfect-correlation",
        "Networks whose RSMs correlate perfectly are rotations of each other",
        "the measure of Figure 3",
        f"where the correlation of the cells is above 1 − {power_of_ten(EXACT)}, "
        "a rotation leaves nothing",
        "near-rsms",
        perfect_correlation,
    ),
)
