"""Which blocks of ResNet18 work, and does the penalty on their weights switch the others off?

The paper's ResNet18 is trained by Adam with the kernels' squared weights added to the loss.  Adam
divides a weight's gradient by its usual size; so the penalty, too, is divided by it, and weights
whose gradient is small shrink fast.  The same networks, from the same beginnings and by the same
images in the same order but without the penalty, are the control.  It is there to tell why the last
branches go, which they do within the first epochs, and is trained for no more of them.  It tells,
too, what the penalty does to Figure 3's middle row: how much of each layer the networks share.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from itertools import count
from math import inf

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.arrays import spread
from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.labelled import of_numbers
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.beyond.blocks.branches import accuracies, observe
from shared_geometry.beyond.blocks.penalty import gradient_sizes
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import Found, all_above, below
from shared_geometry.datasets import mean_image
from shared_geometry.experiment.analysis import (
    BOUNDS,
    VARIANCE,
    Activity,
    fit,
    share_intervals,
    variance_explained,
)
from shared_geometry.experiment.parts import Parts
from shared_geometry.experiment.plan import Plan, build
from shared_geometry.experiment.population import Progress, of_all
from shared_geometry.statistics import PART, Interval, bootstrap_explained, bootstrap_mean
from shared_geometry.training import load_checkpoint, train_population, training_digest

FORMAT = 3
ARCHITECTURES = ("resnet18",)
IMAGES = 1000  # unseen images over which variances are taken, at most; evenly spaced
TRAINED, CONTROL = "as trained", "without the penalty"
THEN = "as trained, when the control ends"
CONTROL_EPOCHS = 8  # of the control, at most
LIMITS = {"on": PART, "added": PART, "gradient": (0, inf), "loss": (-1, 1), "accuracy": PART}
MOST = 0.5  # of a branch's channels: a branch with no more is switched off


def _begun(it: Plan) -> Plan:
    """The beginning of a plan's training, as long as the control is: by a plateau, it is the same.

    It ends with the last checkpoint at a whole epoch that is no later than `CONTROL_EPOCHS`; where
    none is kept, with training.
    """
    kept = it.recipe.checkpoints
    end = max((c for c in kept if 0 < c <= CONTROL_EPOCHS and c == int(c)), default=kept[-1])
    analysed = {c for c in it.checkpoints if c <= end} | {end}
    how = replace(it.recipe, epochs=int(end), checkpoints=tuple(c for c in kept if c <= end))
    return it._replace(recipe=how, checkpoints=tuple(sorted(analysed)))


def _control(it: Plan, progress: Progress) -> Plan:
    """The plan of the control, whose networks are trained, or found trained."""
    config, how = it.config, replace(it.recipe, l2=0.0)
    place = {"stem": config.stem, "device": config.device, "precision": config.precision}
    key = training_digest(it.data, config.architecture, how, config.seed, **place)
    control = it._replace(recipe=how, networks=it.networks.with_name(f"networks-{key}"))
    train_population(
        it.data,
        config.architecture,
        how,
        n_networks=config.networks,
        seed=config.seed,
        folder=control.networks,
        progress=of_all(progress, config.networks, how.epochs, f"{CONTROL}, "),
        **place,
    )
    return control


def _network(it: Plan, network: int) -> xr.Dataset:
    """All that is found out about one network: at every checkpoint, and at the last."""
    module = build(it.config, it.data, network).eval()
    module.to(resolve_device(it.config.device), memory_format=torch.channels_last)
    mean, train, unseen = mean_image(it.data.train.images), it.data.train, it.data.test
    generator = torch_generator(it.config.seed, "gradients", network)
    order = torch.randperm(len(train), generator=generator)
    course = []
    some = unseen.images[spread(len(unseen), IMAGES)]
    for checkpoint in it.checkpoints:
        state = load_checkpoint(it.networks, network, checkpoint, training=it.training)
        module.load_state_dict(state)
        seen = observe(module, some, mean)
        sizes = gradient_sizes(deepcopy(module), train, mean, it.recipe, order)
        course.append((*seen, sizes))
    whole, without = accuracies(module, unseen, mean)
    on, added, sizes = (torch.stack(values).numpy() for values in zip(*course, strict=True))
    return xr.Dataset(
        {
            "on": (("checkpoint", "block"), on),
            "added": (("checkpoint", "block"), added),
            "gradient": (("checkpoint", "block"), sizes),
            "loss": ("block", whole - without.numpy()),
            "accuracy": ((), whole),
        },
        {"block": np.arange(1, len(without) + 1), "checkpoint": list(it.checkpoints)},
    )


def _share(it: Plan, _: str, activity: Activity) -> xr.Dataset:
    """What the networks' shared response explains of a layer."""
    device = resolve_device(it.config.device)
    alignment, held_out = (part.to(device) for part in activity[:2])
    explained = variance_explained(fit(alignment, it.settings), alignment, held_out)
    intervals = share_intervals(explained, it.settings)
    return of_numbers(
        {
            "variance": ("measure", "network", explained.cpu()),
            "variance_interval": ("measure", "bound", intervals.cpu()),
        },
        measure=list(VARIANCE),
    )


def _over_networks(
    values: xr.DataArray, interval: Callable[..., Interval], it: Plan, **how: object
) -> xr.DataArray:
    """An interval as the config wants it in place of the networks."""
    how |= {"n_resamples": it.config.bootstrap, "seed": it.config.seed}
    return xr.apply_ufunc(
        lambda each: np.array(interval(torch.tensor(each), **how)),
        values,
        input_core_dims=[["network"]],
        output_core_dims=[["bound"]],
        vectorize=True,
    )


def _population(it: Plan, parts: Parts, told: Callable[[str], None]) -> xr.Dataset:
    """Every network of a plan, with intervals over networks."""
    networks = []
    for i in range(it.config.networks):
        networks.append(parts.made(f"network-{i:02d}", _network, it, i))
        told(f"network {i + 1}")
    found = xr.concat(networks, "network")
    for name, limits in LIMITS.items():
        found[f"{name}_interval"] = _over_networks(found[name], bootstrap_mean, it, limits=limits)
    shares = parts.of_layers(it, it.checkpoints[-1], partial(_share, it), told)
    return found.assign_coords(bound=list(BOUNDS)).merge(shares)


def _change(found: xr.Dataset, it: Plan) -> xr.DataArray:
    """By how much more is explained without the penalty, (layer, measure, bound).

    NaN bounds if there are two networks, which are one pair.
    """
    with_, without = (found.variance.sel(population=p, drop=True) for p in (beside(found), CONTROL))
    return _over_networks(without - with_, bootstrap_explained, it)


def beside(found: xr.Dataset) -> str:
    """The population that has seen as many images as the control."""
    return THEN if THEN in found.population.values else TRAINED


def measure(it: Plan, parts: Parts, progress: Progress) -> xr.Dataset:
    """What the branch of each block does through training, and what the network is without it.

    Parameters
    ----------
    it : Plan
        Of a trained population of ResNet18s.
    parts : Parts
        What is finished.
    progress : callable

    Returns
    -------
    xarray.Dataset
        By ``population``, the plan's and, if its recipe has a penalty, the control: ``on`` and
        ``added`` (checkpoint, block, network), see `branches.observe`, and ``gradient``, see
        `penalty.gradient_sizes`; ``loss`` (block, network), accuracy that goes with the branch, at
        the end; ``accuracy`` (network); ``variance`` (layer, measure, network), see
        `analysis.variance_explained`, at the end.  Each with its ``_interval`` (bound) over
        networks.  If there is a control, ``variance_change`` (layer, measure, bound), by how much
        more is explained without the penalty, paired network by network.  And ``steps`` of an
        epoch.  Where the control is shorter, it has NaN at later checkpoints, and the plan's
        networks as they were at its end are a population, too.
    """
    plans = {TRAINED: it}
    if it.recipe.l2:
        begun = _begun(it)
        if begun.recipe.epochs < it.recipe.epochs:
            plans[THEN] = begun._replace(checkpoints=begun.checkpoints[-1:])
        plans[CONTROL] = _control(begun, progress)
    done = count(1)
    steps = sum(it.config.networks + len(plan.layers) for plan in plans.values())

    def told(name: str, note: str) -> None:
        whose = "" if name == TRAINED else f"{name}, "
        progress("blocks", next(done), steps, whose + note)

    each = [
        _population(plan, parts.under(f"population-{place}"), partial(told, name))
        for place, (name, plan) in enumerate(plans.items())
    ]
    names = xr.DataArray(list(plans), dims="population", name="population")
    found = xr.concat(each, names, join="outer")
    if CONTROL in plans:
        found["variance_change"] = _change(found, it)
    found["steps"] = float(it.recipe.steps_per_epoch(len(it.data.train)))
    return found


def switched_off(found: xr.Dataset, population: str = TRAINED) -> list[int]:
    """Blocks of whose inner channels no more than `MOST` are on at the end, from the input on.

    With their whole intervals: of others it cannot be told.
    """
    course = found.on_interval.sel(population=population).dropna("checkpoint")
    last = course.isel(checkpoint=-1)
    return [int(block) for block in last.block.values if below(last.sel(block=block).values, MOST)]


def judge(found: xr.Dataset) -> Found:
    """Whether most of the inner channels of every block are on at the end."""
    last = found.on_interval.sel(population=TRAINED).isel(checkpoint=-1)
    rows = {f"block {b}": last.sel(block=b).values for b in last.block.values}
    return all_above(rows, MOST, "blocks")


CLAIM = Claim(
    "blocks",
    "Every block of ResNet18 works at the end of training, so that its nine layers are nine",
    "taken for granted in Figure 3; after Mehta et al. (2019)",
    "in each block, the share of the channels between its two convolutions whose variance exceeds "
    f"BatchNorm's ε: 95 % interval above {MOST}",
    "blocks-on",
    judge,
    trained=True,
)
