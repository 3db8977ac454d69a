"""Populations that are made for comparison: rigid ones, halves of networks, known answers."""

import torch

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.experiment.nulls import random_order
from shared_geometry.srm import SRM
from shared_geometry.theory.toys import permutations, rotations


def rigid_population(
    alignment: torch.Tensor, held_out: torch.Tensor, explained: float, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""A population like this one in which networks share a rotation of one response, and no more.

    With S and :math:`W_i` from SRM, network i is :math:`W_i S` and a rest :math:`E_i`, which may
    depend on S.  Here each network's :math:`E_i` meets the images in a random order of its own: it
    keeps its covariance up to a factor, but is private.  S, a mean over N networks, holds an N-th
    of what is private; the factor, :math:`(1 + (1 - c) / (N c)) / (1 - 1 / N)` with c the
    correlation of two networks after a rotation, makes rotations explain what they do in the
    networks that the population is made from.  (In the axes of S: no map differs there.)

    Parameters
    ----------
    alignment, held_out : Tensor of shape (n_networks, n_units, n_alignment), (..., n_images)
    explained : float
        Variance that a rotation explains of one network by another, :math:`2 c - 1`.
    seed : int

    Returns
    -------
    alignment, held_out : Tensor
        Shaped as those given.
    """
    n, c = len(alignment), max((1 + explained) / 2, 1 / len(alignment))
    factor = ((1 + (1 - c) / (n * c)) / (1 - 1 / n)) ** 0.5
    model = SRM().fit(list(alignment))
    found = []
    for use, x in (("alignment", alignment), ("held out", held_out)):
        turned = torch.stack(model.transform(list(x)))
        shared = turned.mean(0)
        for i, activity in enumerate(turned):
            order = random_order(x.shape[-1], seed, "rigid", use, i)
            turned[i] = shared + factor * (activity - shared)[:, order]
        found.append(turned)
    return found[0], found[1]


def halves(
    alignment: torch.Tensor, held_out: torch.Tensor, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Every network as two, each of one half of its units, drawn at random.

    Halves of one network have no unit in common.  If units have counterparts in other networks,
    halves of two networks hold some of them.

    Parameters
    ----------
    alignment, held_out : Tensor of shape (n_networks, n_units, n_alignment), (..., n_images)
    seed : int

    Returns
    -------
    alignment, held_out : Tensor of shape (2 * n_networks, n_units // 2, ...)
        All first halves, then all second ones; an odd unit is left out.
    """
    n, units, _ = alignment.shape
    half = units // 2
    orders = [random_order(units, seed, "halves", i) for i in range(n)]
    parts = [[order[:half] for order in orders], [order[half : 2 * half] for order in orders]]
    return tuple(
        torch.stack([x[i, part] for of_all in parts for i, part in enumerate(of_all)])
        for x in (alignment, held_out)
    )


def known_populations(seed: int = 0) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Populations whose answer is known: three networks made from one, each in its own way.

    Parameters
    ----------
    seed : int

    Returns
    -------
    dict of str to (alignment, held_out)
        Each of shape (3, 30, 600) and (3, 30, 600): copies of one network that are permuted,
        rotated, or mixed by an invertible matrix; rotated copies with as much noise of their own
        as makes a quarter of the variance; and networks that have nothing in common.
    """
    n, units, images = 3, 30, 600
    generator = torch_generator(seed, "known populations")

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    fading = torch.arange(1, units + 1, dtype=torch.float64)[:, None] ** -0.5
    response, noise = fading * normal(units, 2 * images), normal(n, units, 2 * images)
    level = (response.square().mean() / 3).sqrt()
    made = {
        "permuted copies": permutations(n, units, generator) @ response,
        "rotated copies": rotations(n, units, generator) @ response,
        "rotated copies, noise": rotations(n, units, generator) @ response + level * noise,
        "linear mixtures": normal(n, units, units) @ response,
        "nothing shared": noise,
    }
    return {name: (x[..., :images], x[..., images:]) for name, x in made.items()}
