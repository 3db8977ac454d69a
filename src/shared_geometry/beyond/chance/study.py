"""Is it real?  The measures of the book beside what chance, noise and untrained networks show.

For the last checkpoint and for untrained networks, layer by layer: each measure with its interval
over networks, its values in populations that share nothing or nothing but classes, the bounds that
the networks' own RSMs set, and what becomes of it with fewer networks.  Hundreds of alignments are
needed, so that at most `MOST_UNITS` units of a network take part.
"""

from collections.abc import Callable
from functools import partial
from itertools import count

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.labelled import of_numbers
from shared_geometry.basics.wording import interval_text, layer_name, number
from shared_geometry.beyond.chance.ceilings import rsm_ceiling
from shared_geometry.beyond.chance.sharing import (
    MEASURES,
    NULLS,
    Measured,
    by_size,
    drawn,
    estimates,
    fewer_units,
    intervals,
    measured,
    sizes,
)
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import Found, above, counted, joint, overall
from shared_geometry.experiment.analysis import BOUNDS, Activity, Settings, fit
from shared_geometry.experiment.controls import lone_shuffles
from shared_geometry.experiment.parts import Parts
from shared_geometry.experiment.plan import Plan, need_both_ends
from shared_geometry.experiment.population import Progress
from shared_geometry.rsa import consistency
from shared_geometry.statistics import CORRELATION, bootstrap_explained, p_value

FORMAT = 2
MOST_UNITS = 256
N_DRAWS = 19  # under each null: what lies above all of them has p = 1/20
N_UNTRAINED = 9  # of untrained networks, where the null's mean is needed alone
MOST_SIZES, MOST_SUBSETS = 6, 6  # of populations with fewer networks
ALPHA = 0.05  # largest p that counts

STATES = ("trained", "untrained")
CHANCE = ("shuffled", "noise")  # the nulls in which nothing is shared
LONE = ("geometry", "left out")  # measured of one network and the others
_DIMS = {
    "value": ("measure", "bound"),
    "left_out": ("network",),
    "ceiling": ("side", "bound"),
    "draws": ("null", "measure", "draw"),
    "all_units": ("measure",),
    "lone": ("lone_measure", "network"),
    "lone_draws": ("lone_measure", "network", "draw"),
    "kept": (),
    "by_size": ("size", "subset", "measure", "bound"),
    "units": ("which",),
}


def _both(real: Measured, settings: Settings) -> dict[str, torch.Tensor]:
    """What is measured of trained and of untrained networks."""
    bounds = [
        bootstrap_explained(
            side, n_resamples=settings.n_resamples, seed=settings.seed, limits=CORRELATION
        )
        for side in rsm_ceiling(consistency(real.within))
    ]
    return {
        "value": intervals(real, settings),
        "left_out": real.variance[-1],
        "ceiling": torch.tensor(bounds, dtype=torch.float64),
    }


def trained_layer(full: Activity, label: str, settings: Settings) -> dict[str, torch.Tensor]:
    """All that is asked of one layer of trained networks; dimensions as in ``_DIMS``."""
    activity = fewer_units(full, MOST_UNITS, settings.seed, label)
    model = fit(activity.alignment, settings)
    real = measured(activity, settings, model)
    lone, lone_draws = lone_shuffles(activity, model, settings.seed, N_DRAWS)
    draws = [drawn(activity, null, settings, model, N_DRAWS) for null in NULLS]
    units = [float(len(part.alignment[0])) for part in (activity, full)]
    fewer = sizes(len(full.alignment), MOST_SIZES)
    return _both(real, settings) | {
        "draws": torch.stack(draws),
        "all_units": estimates(full, model if activity is full else fit(full.alignment, settings)),
        "lone": lone,
        "lone_draws": lone_draws,
        "kept": real.kept.mean(),
        "by_size": by_size(activity, settings, fewer, MOST_SUBSETS),
        "units": torch.tensor(units, dtype=torch.float64),
    }


def untrained_layer(full: Activity, label: str, settings: Settings) -> dict[str, torch.Tensor]:
    """What is asked of the same layer before training: of the nulls, the shuffled one only."""
    activity = fewer_units(full, MOST_UNITS, settings.seed, label)
    model = fit(activity.alignment, settings)
    chance = drawn(activity, "shuffled", settings, model, N_UNTRAINED)
    draws = chance.new_full((len(NULLS), len(MEASURES), N_DRAWS), torch.nan)
    draws[list(NULLS).index("shuffled"), :, :N_UNTRAINED] = chance
    return _both(measured(activity, settings, model), settings) | {"draws": draws}


def _part(
    of_layer: Callable[[Activity, str, Settings], dict[str, torch.Tensor]],
    settings: Settings,
    label: str,
    activity: Activity,
) -> xr.Dataset:
    """A layer with the names of its dimensions."""
    found = of_layer(activity, label, settings)
    return of_numbers({name: (*_DIMS[name], value) for name, value in found.items()})


def _settings(it: Plan) -> Settings:
    k = it.config.components
    return it.settings._replace(n_components=k and min(k, MOST_UNITS))


def check(it: Plan) -> None:
    """Refuse a run in which networks are not looked at both untrained and trained.

    Raises
    ------
    InputError
    """
    need_both_ends(it.recipe.checkpoints, "the study compares trained networks with untrained ones")


def measure(it: Plan, parts: Parts, progress: Progress) -> xr.Dataset:
    """The study: see the module.

    Parameters
    ----------
    it : Plan
        Of a trained population.
    parts : Parts
        What is finished.
    progress : callable

    Returns
    -------
    xarray.Dataset
        ``value``, ``left_out``, ``ceiling`` and ``draws`` of both states; of trained networks the
        rest.  ``gain`` is what training adds to the variance that the others explain, network by
        network.
    """
    settings, done = _settings(it), count(1)

    def told(note: str) -> None:
        progress("chance", next(done), len(STATES) * len(it.layers), note)

    trained, untrained = (
        parts.of_layers(it, epoch, partial(_part, of_layer, settings), told)
        for epoch, of_layer in ((it.checkpoints[-1], trained_layer), (0.0, untrained_layer))
    )
    both = list(untrained.data_vars)
    found = xr.concat([trained[both], untrained], "state").merge(trained.drop_vars(both))
    change = torch.tensor((trained.left_out - untrained.left_out).values)
    how = {"n_resamples": settings.n_resamples, "seed": settings.seed}
    found["gain"] = ("layer", "bound"), [bootstrap_explained(row, **how) for row in change]
    return found.assign_coords(
        {
            "state": list(STATES),
            "measure": list(MEASURES),
            "bound": list(BOUNDS),
            "network": np.arange(it.config.networks),
            "null": list(NULLS),
            "lone_measure": list(LONE),
            "side": ["lower", "upper"],
            "which": ["used", "recorded"],
            "size": sizes(it.config.networks, MOST_SIZES),
        }
    )


def above_chance(found: xr.Dataset) -> list[bool | None]:
    """Whether each trained layer's intervals lie above all draws; None: some reach across them.

    By every measure, under every null of `CHANCE`.
    """
    value = found.value.sel(state="trained").transpose("layer", "measure", "bound")
    highest = found.draws.sel(state="trained", null=list(CHANCE)).max(("draw", "null"))
    highest = highest.transpose("layer", "measure")
    layers = zip(value.values, highest.values, strict=True)
    return [joint(list(map(above, rows, draws))) for rows, draws in layers]


def lone_p(found: xr.Dataset) -> xr.DataArray:
    """p of each network that is shuffled alone: (layer, lone_measure, network).

    Networks are not averaged: they are compared with one another, and so their values go together
    where their draws do not.
    """
    value = found.lone.transpose("layer", "lone_measure", "network")
    draws = found.lone_draws.transpose("layer", "lone_measure", "network", "draw")
    return value.copy(data=p_value(value.values, draws.values))


def judge(found: xr.Dataset) -> Found:
    """The claim, layer by layer."""
    alone = (lone_p(found) <= ALPHA).all(["lone_measure", "network"]).values
    free = above_chance(found)
    parts = [joint([one, bool(of_each)]) for one, of_each in zip(free, alone, strict=True)]
    rows = []
    for place in (0, -1) if len(parts) > 1 else (0,):
        row = found.isel(layer=place).sel(state="trained", measure="left out")
        highest = row.draws.sel(null=list(CHANCE)).max()
        rows.append(
            f"{layer_name(row.layer.item())} {interval_text(row.value)} "
            f"(chance up to {number(highest)})"
        )
    told = f"{counted(parts, 'layers')}; variance that the others explain"
    told += f", of up to {int(found.units.sel(which='used').max())} units"
    return Found(overall(parts), f"{told}: {'; '.join(rows)}")


CLAIM = Claim(
    "chance",
    "What networks share exceeds every null in every layer",
    "the discussion",
    f"in each layer, the 95 % interval of each of the {len(MEASURES)} measures lies above the "
    f"highest of {N_DRAWS} draws, for shuffled images and for noise alike; and where one network "
    f"at a time is shuffled, p is at most {ALPHA:g} for each",
    "levels",
    judge,
)
