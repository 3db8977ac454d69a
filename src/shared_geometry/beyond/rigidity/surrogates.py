"""Populations that are made for comparison: rigid ones, halves of networks, known answers."""

import torch

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.experiment.nulls import random_order
from shared_geometry.similarity.prediction import explained_by_rotations
from shared_geometry.srm import SRM
from shared_geometry.theory.toys import permutations, rotations

TOLERANCE = 0.02  # of the variance: by how much a rigid population may miss what it is to explain
_NEAR, _STEPS = 0.002, 10  # the search ends when it is as near as this, or after so many steps


def rigid_population(
    alignment: torch.Tensor, held_out: torch.Tensor, explained: float, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""A population like this one in which networks share a rotation of one response, and no more.

    With S and :math:`W_i` from SRM, network i is :math:`W_i S` and a rest :math:`E_i`, which may
    depend on S.  Here each network's :math:`E_i` meets the images in a random order of its own: it
    keeps its covariance up to a factor, but is private.  The factor is sought until rotations
    explain what they do in the networks that the population is made from.  (In the axes of S: no
    map differs there.)

    Parameters
    ----------
    alignment, held_out : Tensor of shape (n_networks, n_units, n_alignment), (..., n_images)
    explained : float
        Variance that a rotation explains of one network by another.
    seed : int

    Returns
    -------
    alignment, held_out : Tensor
        Shaped as those given.

    Notes
    -----
    If c is the correlation of two networks after a rotation, which explains :math:`2 c - 1`, then
    :math:`1 / c - 1` is the power of what is private over that of what is shared.  S, a mean over
    N networks, holds an N-th of what is private: the search begins with the factor that would make
    up for it, :math:`((1 + (1 - c) / (N c)) / (1 - 1 / N))^{1/2}`.  A rotation that was fitted to
    private activity misses by more; so each step measures, and changes the factor's square by the
    ratio of the :math:`1 / c - 1` that is wanted to the one that was found.  No factor may do:
    `TOLERANCE` says how near is near enough.
    """
    n, model = len(alignment), SRM().fit(list(alignment))
    parts = []  # what is shared and what is private, of the alignment images and of those held out
    for use, x in (("alignment", alignment), ("held out", held_out)):
        turned = torch.stack(model.transform(list(x)))
        shared = turned.mean(0)
        for i, activity in enumerate(turned):
            order = random_order(x.shape[-1], seed, "rigid", use, i)
            turned[i] = (activity - shared)[:, order]
        parts.append((shared, turned))

    def made(factor: float) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(shared + factor * private for shared, private in parts)

    goal, tried = _private_over_shared(explained), []
    factor = ((1 + goal / n) / (1 - 1 / n)) ** 0.5
    for _ in range(_STEPS):
        found = explained_by_rotations(*made(factor)).nanmean().item()
        tried.append((abs(found - explained), factor))
        if tried[-1][0] <= _NEAR:
            break
        factor *= (goal / _private_over_shared(found)) ** 0.5
    return made(min(tried)[1])


def _private_over_shared(explained: float) -> float:
    """1 / c - 1, where a rotation explains 2 c - 1; neither infinite nor 0."""
    c = min(max((1 + explained) / 2, 0.01), 0.9999)
    return 1 / c - 1


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


def rigid_but_noisy(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotated copies of one response, with activity of their own that prevails where it is weak.

    Parameters
    ----------
    seed : int

    Returns
    -------
    alignment, held_out : Tensor of shape (4, 30, 400)
        As strong in what is private as in what is shared.
    """
    n, units, images = 4, 30, 400
    generator = torch_generator(seed, "rigid but noisy")
    fading = torch.arange(1, units + 1, dtype=torch.float64)[:, None] ** -0.75
    shared, private = (
        torch.randn(*shape, units, 2 * images, generator=generator, dtype=torch.float64)
        for shape in ((), (n,))
    )
    x = rotations(n, units, generator) @ (fading * shared + fading.flip(0) * private)
    return x[..., :images], x[..., images:]
