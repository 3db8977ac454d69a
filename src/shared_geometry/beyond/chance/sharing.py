"""What a population shares, by the measures of the book; under a null; with fewer networks.

Everything is measured with each unit's alignment mean subtracted, in both spaces; only
``published`` keeps the means of held-out activity, as the authors' code does.
"""

from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
import torch

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.experiment import nulls
from shared_geometry.experiment.analysis import (
    Activity,
    Settings,
    fit,
    geometry,
    share_intervals,
    variance_explained,
)
from shared_geometry.experiment.shared_space import centred, shared_between, shared_rsm, stacked
from shared_geometry.networks.activations import draw_units, standardise
from shared_geometry.rsa import compare_rsms, lower_triangle, within_rsms
from shared_geometry.srm import SRM
from shared_geometry.srm.score import power

MEASURES = ("geometry", "published", "corrected", "left out")
NULLS = {"shuffled": nulls.shuffled, "noise": nulls.noise_like, "classes": nulls.same_class}


class Measured(NamedTuple):
    """One population, measured: what all estimates and intervals are made of."""

    within: torch.Tensor  # (n_networks, n_pairs), the networks' own RSMs, means subtracted
    geometry: torch.Tensor  # (3,), corr(wRSM, iRSM) in shared space, with its interval
    variance: torch.Tensor  # (3, n_networks), in the order of MEASURES[1:]
    kept: torch.Tensor  # (n_networks,), part of held-out power that the k axes keep


def _turned(activity: Activity, model: SRM) -> tuple[torch.Tensor, torch.Tensor]:
    """Held-out activity, means subtracted, and the bases that align it."""
    return centred(activity.held_out, stacked(model.mean_)), stacked(model.w_)


def measured(activity: Activity, settings: Settings, model: SRM | None = None) -> Measured:
    """A population's measures on held-out images, after a fit to its alignment images.

    Parameters
    ----------
    activity : Activity
    settings : Settings
    model : SRM, optional
        Already fitted; None: it is fitted here.

    Returns
    -------
    Measured
    """
    model = fit(activity.alignment, settings) if model is None else model
    x, w = _turned(activity, model)
    within = lower_triangle(within_rsms(x))
    return Measured(
        within,
        geometry(within, shared_between(w, x)),
        variance_explained(model, activity.alignment, activity.held_out)[:3],
        power(w.mT @ x) / power(x),
    )


def intervals(it: Measured, settings: Settings) -> torch.Tensor:
    """The four measures with their intervals over networks.

    Parameters
    ----------
    it : Measured
    settings : Settings

    Returns
    -------
    Tensor of shape (4, 3), float64
        Measure, in the order of `MEASURES`; estimate, low and high.
    """
    return torch.cat([it.geometry[None], share_intervals(it.variance, settings)])


def estimates(activity: Activity, model: SRM) -> torch.Tensor:
    """The four measures alone; a fraction of the work of `measured`.

    Parameters
    ----------
    activity : Activity
    model : SRM
        Fitted to its alignment images.

    Returns
    -------
    Tensor of shape (4,), float64
        In the order of `MEASURES`.
    """
    x, w = _turned(activity, model)
    geometry = compare_rsms(within_rsms(x).mean(0), shared_rsm(w, x))
    variance = variance_explained(model, activity.alignment, activity.held_out)[:3]
    return torch.cat([variance.new_tensor([geometry]), variance.mean(1)])


def drawn(
    activity: Activity, null: str, settings: Settings, model: SRM | None, n_draws: int
) -> torch.Tensor:
    """The four measures in populations made under one of `NULLS`: (measure, draw).

    Parameters
    ----------
    activity : Activity
    null : str
    settings : Settings
    model : SRM, optional
        Fitted to the activity; only a null that leaves the alignment images alone needs it.
    n_draws : int

    Returns
    -------
    Tensor of shape (4, n_draws), float64
    """
    found = []
    for draw in range(n_draws):
        it = NULLS[null](activity, settings.seed, draw)
        aligned_alike = it.alignment is activity.alignment
        found.append(estimates(it, model if aligned_alike else fit(it.alignment, settings)))
    return torch.stack(found, 1)


def sizes(n_networks: int, most: int) -> list[int]:
    """At most so many numbers of networks from 2 to all, evenly spaced on a logarithmic scale."""
    return sorted({round(n) for n in np.geomspace(2, n_networks, most)})


def subsets(
    n_networks: int, size: int, most: int, generator: torch.Generator
) -> list[tuple[int, ...]]:
    """Different sets of ``size`` networks: all that there are, or ``most`` random ones."""
    if comb(n_networks, size) <= most:
        return list(combinations(range(n_networks), size))
    found: set[tuple[int, ...]] = set()
    while len(found) < most:
        order = torch.randperm(n_networks, generator=generator)
        found.add(tuple(sorted(order[:size].tolist())))
    return sorted(found)


def by_size(
    activity: Activity, settings: Settings, n_networks: list[int], most: int
) -> torch.Tensor:
    """Measures and intervals of smaller populations, each aligned anew.

    Parameters
    ----------
    activity : Activity
    settings : Settings
    n_networks : list of int
        Sizes.
    most : int
        Subsets of a size.

    Returns
    -------
    Tensor of shape (len(n_networks), most, 4, 3), float64
        Size, subset, measure, bound; NaN where there are fewer subsets.
    """
    found = torch.full((len(n_networks), most, len(MEASURES), 3), torch.nan, dtype=torch.float64)
    for row, size in zip(found, n_networks, strict=True):
        generator = torch_generator(settings.seed, "subsets", size)
        for place, members in enumerate(subsets(len(activity.held_out), size, most, generator)):
            some = list(members)
            part = Activity(activity.alignment[some], activity.held_out[some], activity.labels)
            row[place] = intervals(measured(part, settings), settings)
    return found


def fewer_units(activity: Activity, most: int, seed: int, label: str) -> Activity:
    """At most so many units of each network, drawn for each anew, and standardised once more.

    Parameters
    ----------
    activity : Activity
    most : int
    seed : int
    label : str
        Of the layer.

    Returns
    -------
    Activity
        ``activity`` itself if it has no more units.
    """
    n_networks, n_units, _ = activity.alignment.shape
    if n_units <= most:
        return activity
    kept = [draw_units(n_units, most, seed, i, f"{label}, fewer") for i in range(n_networks)]
    parts = [
        standardise(torch.stack([x[rows] for x, rows in zip(part, kept, strict=True)]))
        for part in activity[:2]
    ]
    return Activity(*parts, activity.labels)
