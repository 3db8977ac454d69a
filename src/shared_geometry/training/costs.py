"""What training and analysing a population takes, worked out before it starts."""

from typing import NamedTuple

from shared_geometry.basics.devices import usable_cores
from shared_geometry.datasets import Dataset
from shared_geometry.networks.activations import layer_sizes
from shared_geometry.training.job import build_for
from shared_geometry.training.recipes import Recipe

PROCESS = 400_000_000  # bytes: Python with torch, before any image is there
_COPIES = 4  # of a network's weights: themselves, their gradients, the optimiser's two averages


class Cost(NamedTuple):
    """What training a population takes."""

    disk: int  # bytes of checkpoints and states
    memory: int  # bytes, about
    images: int  # training images over all epochs and networks


def training_cost(
    dataset: Dataset,
    architecture: str,
    recipe: Recipe,
    n_networks: int,
    *,
    stem: str = "imagenet",
    workers: int | None = None,
) -> Cost:
    """Disk and memory that training a population takes, and the images it goes through.

    Parameters
    ----------
    dataset : Dataset
    architecture : {"convnet", "resnet18"}
    recipe : Recipe
    n_networks : int
    stem : {"imagenet", "cifar"}
    workers : int, optional
        Networks trained at once; None: one a core.

    Returns
    -------
    Cost
        The memory counts the images twice (as given, and as trained on), and for each network
        trained at once its weights, the optimiser's state, and the activity of a batch.
    """
    network = build_for(dataset, architecture, stem)
    kept = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    pixels = dataset.train.images.numel() + dataset.test.images.numel()
    leaves = {n: n for n, module in network.named_modules() if not list(module.children())}
    shape = tuple(dataset.train.images.shape[1:])
    activity = 4 * sum(layer_sizes(network, shape, leaves).values())
    at_once = min(workers or usable_cores(), n_networks)
    each = _COPIES * kept + 2 * activity * min(recipe.batch_size, len(dataset.train))
    return Cost(
        disk=n_networks * len(recipe.checkpoints) * kept + at_once * (_COPIES - 1) * kept,
        memory=PROCESS + 2 * pixels + at_once * each,
        images=n_networks * recipe.epochs * len(dataset.train),
    )


def analysis_memory(networks: int, units: int, images: int, held_out: int) -> int:
    """Bytes that a process takes to analyse one layer at one checkpoint, about.

    Parameters
    ----------
    networks, units : int
    images : int
        Unseen images, those of the alignment and the held-out ones.
    held_out : int
        Of these, the images whose RSMs are compared.

    Returns
    -------
    int
        The activity as it is read, and split; what SRM needs besides; the RSMs of all networks.
    """
    return PROCESS + 4 * networks * (5 * images * units + 5 * held_out**2)
