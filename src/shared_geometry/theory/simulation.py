"""Figure 2: copies of a network that are rotations by construction, and what SRM makes of them.

A toy network's hidden activity H is turned into copies Q_i H.  SRM is fitted on one draw of points
and applied to another, and the inter-network RSM is compared with the within-network RSM, in native
and in shared space.  A `Reading` says how: ``PUBLISHED`` is the authors' code, ``EXACT`` the
paper's text, whose RSM is A^T B.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.errors import InputError
from shared_geometry.experiment.analysis import BOUNDS, KINDS, SPACES
from shared_geometry.rsa import compare_rsms, inter_rsm, within_rsms
from shared_geometry.srm import SRM, reference
from shared_geometry.srm.fitting import means
from shared_geometry.srm.procrustes import polar
from shared_geometry.statistics import CORRELATION, bootstrap_mean
from shared_geometry.theory.toys import (
    CORNERS,
    TARGETS,
    Copies,
    Toys,
    make_copies,
    permutations,
    rotations,
    train_toys,
    uneven_rotations,
)

Draw = Callable[[int, int, torch.Generator], torch.Tensor]
TRANSFORMATIONS: dict[str, Draw] = {"orthogonal": rotations, "permutation": permutations}
METHODS = ("pearson", "kendall")
NOISE = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)


class Reading(NamedTuple):
    """How copies are aligned and compared."""

    solver: str = "brainiak"  # brainiak (probabilistic), torch, or planted: the true rotation
    iterations: int = 10  # of BrainIAK
    step: bool = False  # after BrainIAK, one exact Procrustes step, without its 0.001
    subtract: bool = False  # the alignment set's unit means, from the test set as well
    correlate: bool = True  # cells are Pearson correlations; False: cosines, A^T B


PUBLISHED = Reading()
EXACT = Reading(solver="torch", subtract=True, correlate=False)
READINGS = {"published": PUBLISHED, "exact": EXACT}

# What could keep the published figure below 1: what changes one thing, then what changes two.
CAUSES: dict[str, tuple[Reading, bool]] = {  # name -> reading, and whether Q is uniform (Haar)
    "as published": (PUBLISHED, False),
    "rotations drawn uniformly": (PUBLISHED, True),
    "30 iterations, not 10": (PUBLISHED._replace(iterations=30), True),
    "cells are cosines": (PUBLISHED._replace(correlate=False), True),
    "unit means subtracted": (PUBLISHED._replace(subtract=True), True),
    "one exact step more": (PUBLISHED._replace(step=True), True),
    "one exact step, cosines": (PUBLISHED._replace(step=True, correlate=False), True),
    "our solver, cosines": (PUBLISHED._replace(solver="torch", correlate=False), True),
}


def find_bases(copies: Copies, reading: Reading) -> torch.Tensor:
    """W of each copy, (n_copies, n_units, n_units), from the alignment draw."""
    if reading.solver == "planted":
        return copies.q
    x = list(copies.alignment)
    if reading.solver == "torch":
        return torch.stack(SRM().fit(x).w_)
    units = len(x[0])
    found = reference.fit(
        x, means(x, centre=False), units, probabilistic=True, n_iter=reading.iterations
    )
    w = torch.stack(found.w)
    if not reading.step:
        return w
    centred = copies.alignment - copies.alignment.mean(2, keepdim=True)
    shared = (w.mT @ centred).mean(0)
    return torch.stack([polar(activity @ shared.T) for activity in centred])


def similarity(copies: Copies, reading: Reading) -> torch.Tensor:
    """The RSMs of Figure 2B on the test draw, averaged over copies: (kind, example, example)."""
    x = copies.test
    if reading.subtract:
        x = x - copies.alignment.mean(2, keepdim=True)
    shared = find_bases(copies, reading).mT @ x
    within = within_rsms(x, centre=reading.correlate).mean(0)
    return torch.stack([within, *(inter_rsm(y, centre=reading.correlate) for y in (x, shared))])


def agreement(rsms: torch.Tensor, methods: Sequence[str] = METHODS) -> np.ndarray:
    """Correlation of wRSM and iRSM, (space, measure), from what `similarity` returns."""
    within, *between = rsms
    return np.array([[compare_rsms(within, r, method) for method in methods] for r in between])


def _intervals(values: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Mean and bootstrap bounds over the last axis (runs); the bounds become the last axis."""
    rows = values.reshape(-1, values.shape[-1])
    sampling = {"n_resamples": n_resamples, "seed": seed}
    found = [bootstrap_mean(row, limits=CORRELATION, **sampling) for row in rows]
    return np.array(found).reshape(*values.shape[:-1], len(BOUNDS))


def _dataset(name: str, dims: Iterable[str], values: np.ndarray, sampling: dict) -> xr.Dataset:
    """``name`` (..., run) with its ``name_interval`` (..., bound)."""
    dims = tuple(dims)
    return xr.Dataset(
        {
            name: ((*dims, "run"), values),
            f"{name}_interval": ((*dims, "bound"), _intervals(values, **sampling)),
        }
    ).assign_coords(run=np.arange(values.shape[-1]), bound=list(BOUNDS))


class Setting(NamedTuple):
    """What the parts of the simulation have in common."""

    toys: Toys
    n_copies: int
    seed: int
    n_resamples: int

    @property
    def sampling(self) -> dict[str, int]:
        """Arguments of the bootstrap."""
        return {"n_resamples": self.n_resamples, "seed": self.seed}

    def copies(self, draw: Draw, run: int, noise: float = 0.0) -> Copies:
        """Copies of one run under the transformation ``draw``."""
        generator = torch_generator(self.seed, "copies", draw.__name__, run)
        q = draw(self.n_copies, self.toys.test.shape[1], generator)
        return make_copies(self.toys, run, q, noise=noise, seed=self.seed)


def figure_2(setting: Setting) -> xr.Dataset:
    """Both readings of Figure 2 in all runs, and the RSMs of the first run."""
    found, shown = [], []
    for reading in READINGS.values():
        rows = []
        for draw in TRANSFORMATIONS.values():
            runs = [similarity(setting.copies(draw, r), reading) for r in _runs(setting)]
            rows.append(np.stack([agreement(rsms) for rsms in runs], -1))
            shown.append(runs[0].numpy())
        found.append(rows)
    dims = ("reading", "transformation", "space", "measure")
    data = _dataset("correlation", dims, np.array(found), setting.sampling)
    rsms = np.stack(shown).reshape(len(READINGS), len(TRANSFORMATIONS), *shown[0].shape)
    data["rsm"] = (("reading", "transformation", "kind", "example", "example_"), rsms)
    return data.assign_coords(
        reading=list(READINGS),
        transformation=list(TRANSFORMATIONS),
        space=list(SPACES),
        measure=list(METHODS),
        kind=list(KINDS),
    )


def _runs(setting: Setting, n: int | None = None) -> range:
    return range(len(setting.toys.test) if n is None else min(n, len(setting.toys.test)))


def noise_sweep(setting: Setting, levels: Sequence[float] = NOISE, n_runs: int = 10) -> xr.Dataset:
    """corr(wRSM, iRSM) as the copies grow noisy: native, shared, and by the true rotations."""
    values = np.empty((len(levels), 3, min(n_runs, len(setting.toys.test))))
    for i, level in enumerate(levels):
        for run in _runs(setting, n_runs):
            copies = setting.copies(rotations, run, noise=level)
            native, shared = agreement(similarity(copies, EXACT), ["pearson"])[:, 0]
            planted = similarity(copies, EXACT._replace(solver="planted"))
            values[i, :, run] = native, shared, agreement(planted, ["pearson"])[1, 0]
    data = _dataset("noisy", ("noise", "road"), values, setting.sampling)
    data = data.rename(run="noisy_run")
    return data.assign_coords(noise=list(levels), road=["native", "shared", "true rotation"])


def why_below_one(setting: Setting, n_runs: int = 10) -> xr.Dataset:
    """corr(wRSM, iRSM) in shared space as one thing after another is changed (`CAUSES`)."""
    values = np.array(
        [
            [
                _shared_agreement(setting, draw, reading, n_runs)
                for draw in (rotations if uniform else uneven_rotations, permutations)
            ]
            for reading, uniform in CAUSES.values()
        ]
    )
    data = _dataset("changed", ("cause", "transformation", "measure"), values, setting.sampling)
    data = data.rename(run="changed_run")
    return data.assign_coords(
        cause=list(CAUSES), transformation=list(TRANSFORMATIONS), measure=list(METHODS)
    )


def _shared_agreement(setting: Setting, draw: Draw, reading: Reading, n_runs: int) -> np.ndarray:
    runs = [similarity(setting.copies(draw, run), reading) for run in _runs(setting, n_runs)]
    return np.stack([agreement(rsms)[1] for rsms in runs], -1)  # (measure, run)


def _spectrum(x: torch.Tensor) -> torch.Tensor:
    power = torch.linalg.svdvals(x - x.mean(2, keepdim=True)).square()
    return power / power.sum(1, keepdim=True)


def _check(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 2:
            raise InputError(f"{name}={value} is not allowed: at least 2")


def simulate(
    n_runs: int = 50,
    *,
    n_copies: int = 10,
    n_units: int = 50,
    points: int = 50,
    steps: int = 1000,
    noise: Sequence[float] = NOISE,
    side_runs: int = 10,
    n_resamples: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """The simulation of Figure 2, its noise sweep, and the search for what keeps it below 1.

    Parameters
    ----------
    n_runs : int
        Toy networks, at least 2.
    n_copies : int
        Copies of each, at least 2.
    n_units, points, steps : int
        See `toys.train_toys`.
    noise : sequence of float
        Levels of the sweep, see `make_copies`.
    side_runs : int
        Runs in the sweep and in the search.
    n_resamples : int
        Of the bootstrap over runs.
    seed : int

    Returns
    -------
    xarray.Dataset
        ``correlation`` (reading, transformation, space, measure, run) and ``rsm`` of the first run;
        ``noisy`` (noise, road, noisy_run); ``changed`` (cause, transformation, measure,
        changed_run); each but ``rsm`` with its ``_interval`` (..., bound); ``accuracy`` (run);
        ``spectrum`` (run, direction), the share of variance in each principal direction.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    _check(n_runs=n_runs, n_copies=n_copies, side_runs=side_runs)
    start = time.perf_counter()
    toys = train_toys(n_runs, n_units=n_units, points=points, steps=steps, seed=seed)
    setting = Setting(toys, n_copies, seed, n_resamples)
    parts = [
        figure_2(setting),
        noise_sweep(setting, noise, side_runs),
        why_below_one(setting, side_runs),
    ]
    data = xr.merge(parts, join="outer", combine_attrs="drop")
    data["accuracy"] = ("run", toys.accuracy.numpy())
    data["spectrum"] = (("run", "direction"), _spectrum(toys.alignment).numpy())
    names = [f"({x:g}, {y:g})" for x, y in CORNERS]
    data = data.assign_coords(
        corner=("example", [names[i] for i in toys.corner]),
        target=("example", [TARGETS[i] for i in toys.corner]),
    )
    data.attrs = {"seed": seed, "n_copies": n_copies, "seconds": time.perf_counter() - start}
    return data
