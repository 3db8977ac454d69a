"""Networks that share less than they do: the measures of pairs whose images were shuffled."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from shared_geometry.experiment.nulls import random_order, within_classes
from shared_geometry.similarity.comparison import Network, compare, network, of_maps, reordered

CONDITIONS = ("as they are", "classes shared", "unrelated")
ENDS = ("as they are", "unrelated")


class Labels(NamedTuple):
    """Class of each image."""

    alignment: torch.Tensor
    held_out: torch.Tensor


def disjoint_pairs(n: int) -> list[tuple[int, int]]:
    """Pairs of networks that have none in common, as many as there are: (0, 1), (2, 3), ..."""
    return [(i, i + 1) for i in range(0, n - 1, 2)]


def under(condition: str, it: Network, labels: Labels, seed: int, draw: int) -> Network:
    """The second network of a pair as it is under a condition.

    Parameters
    ----------
    condition : str
        One of `CONDITIONS`: "classes shared" shuffles its images within each class, "unrelated"
        shuffles them all.
    it : Network
    labels : Labels
    seed, draw : int
    """
    if condition == "as they are":
        return it
    # a draw has one name for both sets of images: sets that are the same get the same order
    orders = [random_order(len(own), seed, "measures", condition, draw) for own in labels]
    if condition == "classes shared":
        orders = [within_classes(*both) for both in zip(orders, labels, strict=True)]
    return reordered(it, *orders)


def controlled(nets: Sequence[Network], labels: Labels, seed: int) -> torch.Tensor:
    """Disjoint pairs under every condition, maps fitted on alignment images.

    Returns
    -------
    Tensor of shape (n_measures, n_conditions, n_pairs)
        `comparison.MEASURES` and `CONDITIONS`.
    """
    return _under(CONDITIONS, compare, nets, labels, seed)


def on_the_same_images(held_out: torch.Tensor, classes: torch.Tensor, seed: int) -> torch.Tensor:
    """Disjoint pairs with maps fitted on the images that they are measured on.

    Parameters
    ----------
    held_out : Tensor of shape (n_networks, n_units, n_images)
    classes : Tensor of shape (n_images,)
    seed : int

    Returns
    -------
    Tensor of shape (n_fitted, n_ends, n_pairs)
        `comparison.FITTED` and `ENDS`.
    """
    nets = [network(x, x) for x in held_out]
    return _under(ENDS, of_maps, nets, Labels(classes, classes), seed)


def _under(
    conditions: Sequence[str],
    measure: Callable[[Network, Network], dict[str, float]],
    nets: Sequence[Network],
    labels: Labels,
    seed: int,
) -> torch.Tensor:
    rows = [
        [
            list(measure(nets[i], under(condition, nets[j], labels, seed, draw)).values())
            for draw, (i, j) in enumerate(disjoint_pairs(len(nets)))
        ]
        for condition in conditions
    ]
    return torch.tensor(rows, dtype=torch.float64).movedim(-1, 0)
