r"""How rigid is the relation between two networks, and in how many dimensions does it live?

Network B's held-out activity is predicted from network A's by maps of growing freedom, each fitted
on the alignment images.  A rotation that explains as much as any linear map is all there is to
the relation.  If it explains less, the relation may stretch; but two things look the same.  Each
network may have activity of its own, and a linear map leaves out the directions in which that
prevails: so it is in `surrogates.rigid_population`, where a rotation is all that is shared.  And
units are a sample: two samples of the units of one network are no rotations of each other either.
"""

import math
from functools import partial
from itertools import count

import torch
import xarray as xr

from shared_geometry.basics.labelled import of_numbers
from shared_geometry.basics.wording import layer_name
from shared_geometry.beyond.rigidity import dimensions
from shared_geometry.beyond.rigidity.surrogates import halves, rigid_population
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import Found, all_above
from shared_geometry.config import Config
from shared_geometry.errors import InputError
from shared_geometry.experiment.analysis import BOUNDS, Activity
from shared_geometry.experiment.parts import Parts
from shared_geometry.experiment.plan import Plan, alignment_images
from shared_geometry.experiment.population import Progress
from shared_geometry.similarity.prediction import (
    FEW,
    MEASURES,
    RIGID,
    explained_by_maps,
    share,
    within_and_between,
)
from shared_geometry.statistics import SHARE, bootstrap_pairs, bootstrap_shared

FORMAT = 2
USES = (
    "theory/toys",
    *(f"similarity/{name}" for name in ("maps", "canonical", "moments", "cca", "shape")),
    "similarity/prediction",
)

POPULATIONS = ("networks", "rigid networks", "halves of two networks", "halves of one network")
SPACES = ("shared", "own")  # dimensions that the others share, or a network's own principal axes
FOLLOWED = 5  # networks that are followed through training, at most
COURSE = ["training", "training_share"]  # what is known of them
NEARLY = 0.9  # a share of what a linear map explains that is nearly all of it


class _Intervals:
    """Intervals over networks as a config wants them: estimate, low and high."""

    def __init__(self, config: Config) -> None:
        self.how = {"n_resamples": config.bootstrap, "seed": config.seed}

    def of(self, values: torch.Tensor, **limits: tuple[float, float]) -> list[float]:
        """Mean over networks (n,), or over pairs of networks (n, n), each in both directions."""
        if values.dim() == 1:
            return list(bootstrap_shared(values, **self.how, **limits))
        return list(bootstrap_pairs((values + values.T) / 2, **self.how, **limits))

    def rows(self, explained: torch.Tensor) -> list[list[float]]:
        """One interval a map."""
        return [self.of(values, limits=SHARE) for values in explained]

    def shares(self, explained: torch.Tensor) -> list[list[float]]:
        """What each of `RIGID` has of the linear map's; ``explained`` begins with `FEW`."""
        linear = explained[FEW.index("linear")]
        return [self.of(share(explained[FEW.index(name)], linear)) for name in RIGID]

    def sizes(self, ks: list[int], curves: torch.Tensor) -> list[float]:
        """Geometric mean over networks of the k at which each one's curve is near its best."""
        reached = torch.tensor([dimensions.reach(ks, curve) for curve in curves.T])
        limits = math.log(ks[0]), math.log(ks[-1])
        return [math.exp(bound) for bound in self.of(reached.log(), limits=limits)]


def _maps(activity: Activity, real: torch.Tensor, config: Config) -> xr.Dataset:
    """Every map between all networks of one layer, and the few in `POPULATIONS`."""
    over = _Intervals(config)
    given = activity.alignment, activity.held_out
    level = real[FEW.index("rotation")].nanmean().item()
    rigid = explained_by_maps(*rigid_population(*given, level, config.seed), few=True)
    one, two = within_and_between(explained_by_maps(*halves(*given, config.seed), few=True))
    compared = (real[: len(FEW)], rigid, two, one)
    return of_numbers(
        {
            "explained": ("measure", "target", "source", real),
            "explained_interval": ("measure", "bound", over.rows(real)),
            "compared": ("population", "map", "bound", [over.rows(c) for c in compared]),
            "share": ("population", "rigid", "bound", [over.shares(c) for c in compared]),
        },
        measure=list(MEASURES),
        map=list(FEW),
        rigid=list(RIGID),
        population=list(POPULATIONS),
        bound=list(BOUNDS),
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
    return of_numbers(
        {
            "by_k": ("space", "k", "bound", [over.rows(curve) for curve in curves]),
            "reached": ("space", "bound", [over.sizes(ks, curve) for curve in curves]),
        },
        k=ks,
        space=list(SPACES),
        bound=list(BOUNDS),
    )


def _followed(explained: torch.Tensor, config: Config) -> xr.Dataset:
    """One layer at one checkpoint: what the few maps explain, and the rigid ones' share."""
    over = _Intervals(config)
    return of_numbers(
        {
            "training": ("map", "bound", over.rows(explained)),
            "training_share": ("rigid", "bound", over.shares(explained)),
        },
        map=list(FEW),
        rigid=list(RIGID),
        bound=list(BOUNDS),
    )


def _at_the_end(config: Config, _: str, activity: Activity) -> xr.Dataset:
    """What is known of a layer at the last checkpoint: of all networks, and of those followed."""
    real = explained_by_maps(activity.alignment, activity.held_out)
    followed = real[: len(FEW), :FOLLOWED, :FOLLOWED]
    known = _maps(activity, real, config), _sizes(activity, config), _followed(followed, config)
    return xr.merge(known)


def _on_the_way(config: Config, _: str, activity: Activity) -> xr.Dataset:
    first = (activity.alignment[:FOLLOWED], activity.held_out[:FOLLOWED])
    return _followed(explained_by_maps(*first, few=True), config)


def check(it: Plan) -> None:
    """Refuse layers of as many units as there are alignment images.

    Raises
    ------
    InputError
        Every two such layers correlate fully.
    """
    images = alignment_images(it.config, it.data)
    units = {layer: min(size, it.config.max_units) for layer, size in it.sizes.items()}
    if many := {layer: n for layer, n in units.items() if n >= images}:
        raise InputError(
            f"max_units={it.config.max_units} keeps {many} units of layers, and there are {images} "
            "alignment images: canonical correlation, one of the maps, needs more images than "
            f"units; expected max_units below {images}"
        )


def measure(it: Plan, parts: Parts, progress: Progress) -> xr.Dataset:
    """How much of a network each kind of map explains by another, layer by layer.

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
        At the last checkpoint, by ``layer``: ``explained`` (measure, target, source) and its
        ``explained_interval``; ``compared`` (population, map) and ``share`` (population, rigid),
        what the few maps explain in all `POPULATIONS` and what rigid ones have of the linear
        map's; ``by_k`` (space, k) and ``reached`` (space), the k that gives `dimensions.ENOUGH` of
        the best.  By layer and ``checkpoint``, of the first ``followed`` networks: ``training``
        (map) and ``training_share`` (rigid).  ``units`` of a layer, and ``drawn`` of these.

    Raises
    ------
    InputError
        If there are no more alignment images than units: every two networks then correlate fully.
    """
    done, steps, course = count(1), len(it.checkpoints) * len(it.layers), []

    def told(note: str) -> None:
        progress("rigidity", next(done), steps, note)

    for checkpoint in it.checkpoints:
        ask = _at_the_end if checkpoint == it.checkpoints[-1] else _on_the_way
        course.append(parts.of_layers(it, checkpoint, partial(ask, it.config), told))
    followed = xr.concat([row[COURSE] for row in course], "checkpoint")
    found = course[-1].drop_vars(COURSE).merge(followed)
    units = torch.tensor([it.sizes[layer] for layer in it.layers], dtype=torch.float64)
    found["units"] = "layer", units.numpy()
    found["drawn"] = "layer", units.clamp(max=it.config.max_units).numpy()
    found["followed"] = float(min(FOLLOWED, it.config.networks))
    return found.assign_coords(checkpoint=list(it.checkpoints))


def judge(found: xr.Dataset) -> Found:
    """Share of the linear map's variance that a rotation explains, in every layer at the end."""
    shares = found["share"].sel(population="networks", rigid="rotation")
    rows = {layer_name(label): shares.sel(layer=label).values for label in found.layer.values}
    return all_above(rows, NEARLY, unknown="nothing to share")


CLAIM = Claim(
    "rigid",
    "A rotation explains nearly all of what any linear map explains of one network by another",
    "the discussion; after Kapoor et al. (2025)",
    f"in each layer, the share of the ridge map's held-out variance: 95 % interval above {NEARLY}",
    "rigidity-maps",
    judge,
)
