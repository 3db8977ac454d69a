"""Networks that share less than they do: the measures of pairs whose images were shuffled."""

from typing import NamedTuple

import torch

from shared_geometry.analysis import Activity
from shared_geometry.comparison import (
    FITTED,
    MEASURES,
    Network,
    compare,
    network,
    of_maps,
    reordered,
)
from shared_geometry.randomness import torch_generator

CONDITIONS = ("as they are", "classes shared", "unrelated")


class Labels(NamedTuple):
    """Class of each image."""

    alignment: torch.Tensor
    held_out: torch.Tensor


def disjoint_pairs(n: int) -> list[tuple[int, int]]:
    """Pairs of networks that have none in common, as many as there are: (0, 1), (2, 3), ..."""
    return [(i, i + 1) for i in range(0, n - 1, 2)]


def shuffle(labels: torch.Tensor, within: bool, generator: torch.Generator) -> torch.Tensor:
    """A random order of images; ``within``: one in which every class stays where it is."""
    order = torch.randperm(len(labels), generator=generator)
    if not within:
        return order
    found = torch.empty_like(order)
    found[labels.argsort(stable=True)] = order[labels[order].argsort(stable=True)]
    return found


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
    within = condition == "classes shared"
    # one generator a set of images, alike: sets that are the same get the same order
    orders = [
        shuffle(own, within, torch_generator(seed, "measures", condition, draw)) for own in labels
    ]
    return reordered(it, *orders)


def controlled(activity: Activity, labels: Labels, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Disjoint pairs under every condition.

    Returns
    -------
    held_out : Tensor of shape (n_measures, n_conditions, n_pairs)
        `MEASURES`.
    same : Tensor of shape (n_fitted, n_conditions, n_pairs)
        `FITTED`, with maps fitted on the held-out images that they are measured on.
    """
    nets = [network(*x) for x in zip(activity.alignment, activity.held_out, strict=True)]
    once = [network(x, x) for x in activity.held_out]
    again = Labels(labels.held_out, labels.held_out)
    pairs = disjoint_pairs(len(nets))
    held_out = torch.zeros(len(MEASURES), len(CONDITIONS), len(pairs), dtype=torch.float64)
    same = torch.zeros(len(FITTED), len(CONDITIONS), len(pairs), dtype=torch.float64)
    for c, condition in enumerate(CONDITIONS):
        for p, (i, j) in enumerate(pairs):
            found = compare(nets[i], under(condition, nets[j], labels, seed, p))
            held_out[:, c, p] = torch.tensor(list(found.values()), dtype=torch.float64)
            found = of_maps(once[i], under(condition, once[j], again, seed, p))
            same[:, c, p] = torch.tensor(list(found.values()), dtype=torch.float64)
    return held_out, same
