r"""How rigid is the relation between two networks, and in how many dimensions does it live?

Network B's held-out activity is predicted from network A's by maps of growing freedom, each fitted
on the alignment images.  A rotation that explains as much as any linear map is all there is to
the relation.  A linear map may win for two reasons: the relation stretches; or each network has
activity of its own, and a linear map leaves out the directions in which that prevails, which a
rotation cannot.  `surrogates.rigid_population` tells them apart: there a rotation is all that is
shared.
"""

import math

import numpy as np
import torch
import xarray as xr

from shared_geometry import dimensions
from shared_geometry.analysis import BOUNDS, Activity
from shared_geometry.claims import Claim
from shared_geometry.config import Config
from shared_geometry.plan import Plan
from shared_geometry.population import Progress, activities
from shared_geometry.prediction import (
    FEW,
    MEASURES,
    RIGID,
    explained_by_maps,
    share,
    surplus,
)
from shared_geometry.rules import Found, overall
from shared_geometry.statistics import bootstrap_mean, bootstrap_pairs
from shared_geometry.surrogates import rigid_population
from shared_geometry.wording import interval_text, layer_name

FORMAT = 1
USES = ("maps", "canonical", "prediction", "surrogates", "dimensions")

POPULATIONS = ("networks", "rigid")  # the real ones, and those of `surrogates.rigid_population`
SPACES = ("shared", "own")  # dimensions that the others share, or a network's own principal axes
FOLLOWED = 5  # networks that are followed through training, at most
NEARLY = 0.9  # a share of what a linear map explains that is nearly all of it


class _Intervals:
    """Intervals over networks as a config wants them: estimate, low and high."""

    def __init__(self, config: Config) -> None:
        self.how = {"n_resamples": config.bootstrap, "seed": config.seed}

    def pairs(self, matrix: torch.Tensor) -> list[float]:
        """Mean over pairs of networks, each in both directions."""
        return list(bootstrap_pairs((matrix + matrix.T) / 2, **self.how))

    def networks(self, values: torch.Tensor) -> list[float]:
        """Mean over networks."""
        return list(bootstrap_mean(values, **self.how))

    def shares(self, explained: torch.Tensor) -> list[list[float]]:
        """What each of `RIGID` has of the linear map's; ``explained`` as of `FEW`."""
        linear = explained[FEW.index("linear")]
        return [self.pairs(share(explained[FEW.index(name)], linear)) for name in RIGID]

    def sizes(self, ks: list[int], curves: torch.Tensor) -> list[float]:
        """Geometric mean over networks of the k at which each one's curve is near its best."""
        reached = torch.tensor([dimensions.reach(ks, curve) for curve in curves.T])
        return [math.exp(bound) for bound in self.networks(reached.log())]


def _dataset(variables: dict[str, tuple], **coords: object) -> xr.Dataset:
    values = {
        name: (dims, torch.as_tensor(value, dtype=torch.float64).numpy())
        for name, (*dims, value) in variables.items()
    }
    return xr.Dataset(values, {**coords, "bound": list(BOUNDS)})


def _maps(activity: Activity, real: torch.Tensor, config: Config) -> xr.Dataset:
    """Every map between all networks of one layer, and the few where a rotation is all."""
    over = _Intervals(config)
    level = real[FEW.index("rotation")].nanmean().item()
    rigid = explained_by_maps(
        *rigid_population(activity.alignment, activity.held_out, level, config.seed), few=True
    )
    beyond = [over.pairs(surplus(found)) for found in (real, rigid)]
    return _dataset(
        {
            "explained": ("measure", "target", "source", real),
            "explained_interval": ("measure", "bound", [over.pairs(row) for row in real]),
            "rigid_interval": ("map", "bound", [over.pairs(row) for row in rigid]),
            "share": ("rigid", "bound", over.shares(real)),
            "surplus": ("population", "bound", beyond),
        },
        measure=list(MEASURES),
        map=list(FEW),
        rigid=list(RIGID),
        population=list(POPULATIONS),
    )


def _sizes(activity: Activity, config: Config) -> xr.Dataset:
    """Variance explained by k dimensions, shared or a network's own."""
    over = _Intervals(config)
    alignment, held_out = activity.alignment, activity.held_out
    ks = dimensions.sizes(min(alignment.shape[1:]))
    curves = [
        measured(alignment, held_out, ks)
        for measured in (dimensions.shared_variance, dimensions.own_variance)
    ]
    return _dataset(
        {
            "by_k": (
                "space",
                "k",
                "bound",
                [[over.networks(row) for row in curve] for curve in curves],
            ),
            "reached": ("space", "bound", [over.sizes(ks, curve) for curve in curves]),
        },
        k=ks,
        space=list(SPACES),
    )


def _followed(explained: torch.Tensor, config: Config) -> xr.Dataset:
    """One layer at one checkpoint: what the few maps explain, and the rigid ones' share."""
    over = _Intervals(config)
    return _dataset(
        {
            "training": ("map", "bound", [over.pairs(row) for row in explained]),
            "training_share": ("rigid", "bound", over.shares(explained)),
        },
        map=list(FEW),
        rigid=list(RIGID),
    )


def _at_the_end(activity: Activity, config: Config) -> tuple[xr.Dataset, xr.Dataset]:
    """What is known of a layer at the last checkpoint: of all networks, and of those followed."""
    real = explained_by_maps(activity.alignment, activity.held_out)
    followed = real[: len(FEW), :FOLLOWED, :FOLLOWED]
    whole = xr.merge([_maps(activity, real, config), _sizes(activity, config)])
    return whole, _followed(followed, config)


def _on_the_way(activity: Activity, config: Config) -> xr.Dataset:
    first = (activity.alignment[:FOLLOWED], activity.held_out[:FOLLOWED])
    return _followed(explained_by_maps(*first, few=True), config)


def measure(it: Plan, progress: Progress) -> xr.Dataset:
    """How much of a network each kind of map explains by another, layer by layer.

    Parameters
    ----------
    it : Plan
        Of a trained population.
    progress : callable

    Returns
    -------
    xarray.Dataset
        At the last checkpoint, by ``layer``: ``explained`` (measure, target, source) and its
        ``explained_interval``; ``rigid_interval`` (map) of the rigid population; ``share``
        (rigid) and ``surplus`` (population), see the functions of these names; ``by_k`` (space, k)
        and ``reached`` (space), the k that gives `dimensions.ENOUGH` of the best.  By layer and
        ``checkpoint``, of the first ``followed`` networks: ``training`` (map) and
        ``training_share`` (rigid).  ``units`` of a layer, and ``drawn`` of these.

    Raises
    ------
    InputError
        If there are no more alignment images than units: every two networks then correlate fully.
    """
    steps, ends, course = len(it.checkpoints) * len(it.layers), [], []
    for checkpoint in it.checkpoints:
        row = []
        for layer, activity in activities(it, checkpoint):
            if checkpoint == it.checkpoints[-1]:
                whole, here = _at_the_end(activity, it.config)
                ends.append(whole)
            else:
                here = _on_the_way(activity, it.config)
            row.append(here)
            done = len(course) * len(it.layers) + len(row)
            progress("rigidity", done, steps, f"epoch {checkpoint:g}, {layer_name(layer)}")
        course.append(xr.concat(row, "layer"))
    found = xr.merge([xr.concat(ends, "layer"), xr.concat(course, "checkpoint")])
    units = torch.tensor([it.sizes[layer] for layer in it.layers], dtype=torch.float64)
    found["units"] = "layer", units.numpy()
    found["drawn"] = "layer", units.clamp(max=it.config.max_units).numpy()
    found["followed"] = float(min(FOLLOWED, it.config.networks))
    return found.assign_coords(layer=list(it.layers), checkpoint=list(it.checkpoints))


def judge(found: xr.Dataset) -> Found:
    """Share of the linear map's variance that a rotation explains, in every layer at the end."""
    parts, shown = [], []
    for label in found.layer.values:
        values = found["share"].sel(layer=label, rigid="rotation").values
        parts.append(bool(values[1] >= NEARLY))
        text = "nothing to share" if np.isnan(values).any() else interval_text(values)
        shown.append(f"{layer_name(label)} {text}")
    return Found(overall(parts), f"{sum(parts)} of {len(parts)} layers: {'; '.join(shown)}")


CLAIM = Claim(
    "rigid",
    "A rotation explains nearly all of what any linear map explains of one network by another",
    "the discussion; after Kapoor et al. (2025)",
    f"in each layer, the share of the ridge map's held-out variance: 95 % interval above {NEARLY}",
    "rigidity-maps",
    judge,
)
