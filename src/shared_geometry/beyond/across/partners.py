"""Populations related to a plan's: other architectures, widths and stems, other training data.

Each has a seed of its own, derived from the plan's: networks of two populations share no initial
weights and no order of images, so that nothing but the data can make them alike.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.randomness import derive_seed
from shared_geometry.basics.wording import NAMES
from shared_geometry.datasets import Dataset, Images, load_dataset, mean_image, split_alignment
from shared_geometry.errors import InputError
from shared_geometry.experiment.plan import Plan
from shared_geometry.experiment.population import Progress, of_all
from shared_geometry.networks.activations import (
    draw_units,
    layer_sizes,
    record_activations,
    standardise,
)
from shared_geometry.networks.architectures import recorded_layers
from shared_geometry.training import load_checkpoint, train_population, training_digest
from shared_geometry.training.job import build_for
from shared_geometry.training.recipes import Recipe, recipe

KINDS = {  # name -> architecture, stem
    "ConvNet": ("convnet", "imagenet"),
    "half width": ("convnet-narrow", "imagenet"),
    "double width": ("convnet-wide", "imagenet"),
    "ResNet18": ("resnet18", "imagenet"),
    "CIFAR stem": ("resnet18", "cifar"),
}
HALVES = ("first classes", "other classes")
_OTHER = {"cifar10": "cifar100", "cifar100": "cifar10"}
_LARGE = 32  # pixels; at full resolution, ResNet18 on small images costs more than it tells


class Population(NamedTuple):
    """Networks that differ in nothing but their seeds, trained or to be trained."""

    name: str
    data: Dataset  # that they are trained on
    architecture: str
    stem: str
    how: Recipe
    seed: int
    folder: Path
    layers: dict[str, str]  # label -> module path
    sizes: dict[str, int]  # label -> units of the layer
    checkpoint: float  # at which they are looked at
    same_data: bool  # whether they are trained on what the plan's networks are


class Split(NamedTuple):
    """Activity of one network in one layer, unit means off, of power 1 on the alignment images."""

    alignment: torch.Tensor  # (n_units, n_alignment)
    held_out: torch.Tensor  # (n_units, n_images)


def only_classes(data: Dataset, classes: range) -> Dataset:
    """A data set with the images of some classes only; its class names stay.

    Parameters
    ----------
    data : Dataset
    classes : range
        Numbers of the classes to keep.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If there are no classes, or not these.
    """

    def some(images: Images) -> Images:
        kept = torch.isin(images.labels, torch.tensor(list(classes)))
        return Images(images.images[kept], images.labels[kept])

    if not len(classes) or classes[0] < 0 or classes[-1] >= len(data.class_names):
        raise InputError(f"classes {classes}: expected some of {len(data.class_names)}")
    return replace(data, train=some(data.train), test=some(data.test))


def _own(it: Plan) -> Population:
    config = it.config
    stem = config.stem if config.architecture == "resnet18" else "imagenet"
    (name,) = (n for n, kind in KINDS.items() if kind == (config.architecture, stem))
    return Population(
        name,
        it.data,
        config.architecture,
        stem,
        it.recipe,
        config.seed,
        it.networks,
        it.layers,
        it.sizes,
        it.checkpoints[-1],
        True,
    )


def _partner(it: Plan, name: str, data: Dataset, architecture: str, stem: str) -> Population:
    config = it.config
    how = recipe(
        config.recipe,
        architecture.partition("-")[0],
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
    )
    how = replace(how, checkpoints=(float(how.epochs),))
    seed = derive_seed(config.seed, "partner", name)
    place = {"stem": stem, "device": config.device, "precision": it.precision}
    key = training_digest(data, architecture, how, seed, **place)
    layers = {k: v for k, v in recorded_layers(architecture).items() if k != "logits"}
    shape = tuple(it.data.test.images.shape[1:])
    sizes = layer_sizes(build_for(data, architecture, stem, seed), shape, layers)
    folder = it.networks.with_name(f"networks-{key}")
    return Population(
        name,
        data,
        architecture,
        stem,
        how,
        seed,
        folder,
        layers,
        sizes,
        how.checkpoints[-1],
        data is it.data,
    )


def populations(it: Plan) -> list[Population]:
    """The plan's own population, other architectures on the same data, and other data.

    Other data are each half of the classes, and for one CIFAR the other.  The CIFAR stem is left
    out where images are smaller than CIFAR's, unless it is the plan's own.

    Parameters
    ----------
    it : Plan

    Returns
    -------
    list of Population
        The plan's own first.

    Raises
    ------
    DataError
        If the other CIFAR is missing and cannot be fetched.
    """
    own, config = _own(it), it.config
    small = it.data.test.images.shape[-1] < _LARGE
    left_out = {own.name, "CIFAR stem"} if small else {own.name}
    found = [own]
    found += [_partner(it, n, it.data, *kind) for n, kind in KINDS.items() if n not in left_out]
    half, n = len(it.data.class_names) // 2, len(it.data.class_names)
    other = dict(zip(HALVES, (range(half), range(half, n)), strict=True))
    data = {name: only_classes(it.data, classes) for name, classes in other.items()}
    if stranger := _OTHER.get(config.dataset):
        draw = {"train_images": config.train_images, "seed": config.seed}
        data[NAMES[stranger]] = load_dataset(stranger, it.root, **draw)
    return found + [_partner(it, k, d, own.architecture, own.stem) for k, d in data.items()]


def train(population: Population, it: Plan, n_networks: int, progress: Progress) -> list[float]:
    """Train so many networks, or find them trained.

    Parameters
    ----------
    population : Population
    it : Plan
        Says on what device, and in what precision.
    n_networks : int
        At least 2.
    progress : callable
        Called as ``progress(stage, done, total, note)``.

    Returns
    -------
    list of float
        Accuracy of each on its own unseen images.

    Raises
    ------
    InputError
        As `train_population` does.
    """
    histories = train_population(
        population.data,
        population.architecture,
        population.how,
        n_networks=n_networks,
        seed=population.seed,
        folder=population.folder,
        stem=population.stem,
        device=it.config.device,
        precision=it.config.precision,
        progress=of_all(progress, n_networks, population.how.epochs, f"{population.name}, "),
    )
    return [history.test_accuracy[-1] for history in histories]


def recorded(
    population: Population,
    network: int,
    it: Plan,
    layers: list[str] | None = None,
    *,
    trained: bool = True,
) -> dict[str, Split]:
    """Activity of one network on the images that the plan's networks have not seen.

    Units are drawn and every image is standardised as in an experiment.  Then each unit's mean
    over the alignment images is taken off, and all is divided by one number, so that networks of
    more units weigh no more than others.

    Parameters
    ----------
    population : Population
    network : int
    it : Plan
        Says which images, how many units at most, and how the images are split.
    layers : list of str, optional
        Labels; None: all.
    trained : bool
        False: as it was before training.

    Returns
    -------
    dict of str to Split

    Raises
    ------
    DataError
        If a checkpoint is missing or damaged.
    InputError
        If the activity of a layer is not finite.
    """
    config, images = it.config, it.data.test
    labels = list(population.layers) if layers is None else layers
    data, seed = population.data, population.seed
    module = build_for(data, population.architecture, population.stem, seed, network)
    if trained:
        module.load_state_dict(load_checkpoint(population.folder, network, population.checkpoint))
    found = record_activations(
        module,
        images.images,
        {label: population.layers[label] for label in labels},
        mean_image=mean_image(data.train.images),
        units={
            label: draw_units(population.sizes[label], config.max_units, seed, network, label)
            for label in labels
        },
        device=resolve_device(config.device),
        name=f"network {network} of {population.name!r}",
    )
    fit, unseen = split_alignment(images.labels, config.alignment_fraction, config.seed)
    x = {label: standardise(found[label]) for label in labels}
    return {label: normalised(x[label][:, fit], x[label][:, unseen]) for label in labels}


def normalised(alignment: torch.Tensor, held_out: torch.Tensor) -> Split:
    """Means over the alignment images taken off, and one length for all: see `Split`.

    Parameters
    ----------
    alignment, held_out : Tensor of shape (n_units, n_alignment), (n_units, n_images)

    Returns
    -------
    Split
    """
    mean = alignment.mean(1, keepdim=True)
    length = torch.linalg.vector_norm(alignment - mean)
    length = length.clamp(min=torch.finfo(alignment.dtype).tiny)
    return Split((alignment - mean) / length, (held_out - mean) / length)
