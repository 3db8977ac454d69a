r"""One shared space for networks of any sizes, and how much of a network it explains.

SRM with k components gives each network :math:`W_i` with k orthonormal columns, whatever number
of units it has.  A network is predicted from the mean response S of *other* networks, its own W
fitted to that response on the alignment images.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.beyond.across.partners import Split
from shared_geometry.errors import InputError
from shared_geometry.experiment.nulls import random_order
from shared_geometry.srm import SRM
from shared_geometry.srm.procrustes import polar
from shared_geometry.srm.score import explained_power, power

DRAWS = 10  # of networks out of a common space
LEAST = 0.05  # variance that the own space must explain for a part of it to mean something


class Space(NamedTuple):
    """Responses in a shared space of the networks that made it."""

    alignment: torch.Tensor  # (n_networks, k, n_alignment)
    held_out: torch.Tensor  # (n_networks, k, n_images)


def space(networks: Sequence[Split], k: int) -> Space:
    """The space that SRM finds for some networks on their alignment images.

    Parameters
    ----------
    networks : sequence of Split
        Two or more, on the same images; units may differ.
    k : int
        Dimensions; no more than units of the smallest network.

    Returns
    -------
    Space

    Raises
    ------
    InputError
        As `SRM.fit` does.
    """
    model = SRM(k).fit([x for x, _ in networks])
    parts = ([split[part] for split in networks] for part in (0, 1))
    return Space(*(torch.stack(model.transform(part)) for part in parts))


def explained(made: Space, network: Split, by: Sequence[int]) -> torch.Tensor:
    r"""Held-out variance of a network that a space explains, :math:`1 - \|X - W S\|^2 / \|X\|^2`.

    Parameters
    ----------
    made : Space
    network : Split
    by : sequence of int
        Networks of the space whose mean is S: not the one that is predicted.

    Returns
    -------
    Tensor of shape (), float64

    Raises
    ------
    InputError
        If ``by`` is empty.
    """
    if not len(by):
        raise InputError("by is empty: no network is left that could predict another")
    s, unseen = (part[list(by)].mean(0) for part in made)
    w = polar(network.alignment @ s.T)  # (n_units, k)
    return explained_power(w.T @ network.held_out, unseen) / power(network.held_out)


def exchanged(populations: Sequence[Sequence[Split]], k: int) -> torch.Tensor:
    """What the space of each population explains of the networks of each.

    Network i is predicted from all networks but number i of the population that made the space, so
    that there are equally many in every case, and never the network itself.

    Parameters
    ----------
    populations : sequence of sequence of Split
        With equally many networks.
    k : int

    Returns
    -------
    Tensor of shape (n_spaces, n_populations, n_networks), float64

    Raises
    ------
    InputError
        If the populations have unequal numbers of networks, or as `SRM.fit` does.
    """
    if len({len(networks) for networks in populations}) != 1:
        raise InputError(
            f"populations of {[len(networks) for networks in populations]} networks; expected "
            "equally many"
        )
    n = len(populations[0])
    found = torch.zeros(len(populations), len(populations), n, dtype=torch.float64)
    for place, owners in enumerate(populations):
        made = space(owners, k)
        for other, networks in enumerate(populations):
            for i, x in enumerate(networks):
                found[place, other, i] = explained(made, x, [j for j in range(n) if j != i])
    return found


def in_common(
    populations: Sequence[Sequence[Split]], k: int, *, equally_many: bool = False, seed: int = 0
) -> torch.Tensor:
    """What one space of all networks of all populations explains of each, itself left out of S.

    Parameters
    ----------
    populations : sequence of sequence of Split
        With equally many networks.
    k : int
    equally_many : bool
        S is the mean over as many networks as the rest of the population has, drawn from all
        others; the mean of `DRAWS` draws.  A mean over more networks predicts better, whoever they
        are: without this, a common space is at an advantage over that of one population.
    seed : int
        Of the draws.

    Returns
    -------
    Tensor of shape (n_populations, n_networks), float64
    """
    everyone = [x for networks in populations for x in networks]
    made, generator = space(everyone, k), torch_generator(seed, "networks in common")
    n, found = len(populations[0]), []
    for i, x in enumerate(everyone):
        others = [j for j in range(len(everyone)) if j != i]
        draws = [others]
        if equally_many:
            orders = (torch.randperm(len(others), generator=generator) for _ in range(DRAWS))
            draws = [[others[j] for j in order[: n - 1]] for order in orders]
        found.append(torch.stack([explained(made, x, kept) for kept in draws]).mean())
    return torch.stack(found).reshape(len(populations), n)


def shuffled(populations: Sequence[Sequence[Split]], seed: int) -> list[list[Split]]:
    """Populations that share nothing with each other, while networks of one share what they did.

    Every population saw the alignment images in an order of its own.

    Parameters
    ----------
    populations : sequence of sequence of Split
    seed : int

    Returns
    -------
    list of list of Split
        In the order of ``populations``.
    """
    found = []
    for number, networks in enumerate(populations):
        columns = networks[0].alignment.shape[1]
        order = random_order(columns, seed, "shuffle populations", number)
        found.append([Split(x[:, order], y) for x, y in networks])
    return found


def part(values: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Part of what the own space explains, network by network.

    Parameters
    ----------
    values, own : Tensor of shape (..., n_populations, n_networks), (n_populations, n_networks)

    Returns
    -------
    Tensor of the shape of ``values``
        NaN for a population in which the own space explains less than `LEAST` of some network.
    """
    return torch.where(own.amin(-1, keepdim=True) < LEAST, torch.nan, values / own)


def others_mean(exchange: torch.Tensor, takes_part: torch.Tensor) -> torch.Tensor:
    """What spaces of other populations explain of a network, on average.

    Parameters
    ----------
    exchange : Tensor of shape (n_spaces, n_populations, n_networks)
        From `exchanged`.
    takes_part : Tensor of shape (n_spaces,), bool
        Spaces that are counted; a population's own never is.

    Returns
    -------
    Tensor of shape (n_populations, n_networks)
        NaN for a population that finds no other.
    """
    n = len(exchange)
    weight = takes_part.to(exchange)[:, None] * (1 - torch.eye(n, dtype=exchange.dtype))
    return (weight[..., None] * exchange).sum(0) / weight.sum(0)[:, None]
