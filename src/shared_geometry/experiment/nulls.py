"""Populations that share less than the one that they are made of: what chance alone would show.

Each takes one thing away and leaves the rest as it was: which image is which (`shuffled`), all but
the covariance of the units (`noise_like`), all but the class of an image (`same_class`).  A draw
has a number, so that there can be as many as a p-value needs.
"""

import torch

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.experiment.analysis import Activity


def random_order(size: int, seed: int, *names: object) -> torch.Tensor:
    """A random order of some things, that of the draw called ``names`` (see `derive_seed`).

    Parameters
    ----------
    size : int
        How many.
    seed : int
    *names : object

    Returns
    -------
    Tensor of shape (size,), int64
    """
    return torch.randperm(size, generator=torch_generator(seed, *names))


def within_classes(order: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """An order of images changed so that every class stays where it is.

    Parameters
    ----------
    order : Tensor of shape (n_images,), int64
    labels : Tensor of shape (n_images,), int64

    Returns
    -------
    Tensor of shape (n_images,), int64
    """
    found = torch.empty_like(order)
    found[labels.argsort(stable=True)] = order[labels[order].argsort(stable=True)]
    return found


def shuffled(activity: Activity, seed: int, draw: int = 0) -> Activity:
    """The population, had each network seen the alignment images in an order of its own.

    Nothing is shared between such networks but the spectrum of their activity.

    Parameters
    ----------
    activity : Activity
    seed : int
    draw : int
        Number of the draw.

    Returns
    -------
    Activity
        Held-out images as they were.
    """
    more = (draw,) if draw else ()  # the first draw is the control of every run, named without one
    columns = activity.alignment.shape[-1]
    moved = [
        x[:, random_order(columns, seed, "shuffle", i, *more)]
        for i, x in enumerate(activity.alignment)
    ]
    return activity._replace(alignment=torch.stack(moved))


def noise_like(activity: Activity, seed: int, draw: int = 0) -> Activity:
    r"""Networks of noise, each with the unit means and the covariance of one of the population.

    :math:`Y_i = \mu_i + (X_i X_i^\top)^{1/2} Q_i^\top`, where :math:`X_i` is centred and
    :math:`Q_i` (images x units) is drawn uniformly among orthonormal columns that sum to zero: the
    spectrum is that of the network, to the digit, and the response to an image is random.

    Parameters
    ----------
    activity : Activity
    seed : int
    draw : int
        Number of the draw.

    Returns
    -------
    Activity
    """
    x = torch.cat([activity.alignment, activity.held_out], -1)
    mean = x.mean(-1, keepdim=True)
    values, axes = torch.linalg.eigh(((x - mean) @ (x - mean).mT).double())
    rank = min(x.shape[1], x.shape[2] - 1)
    root = (axes * values.clamp(min=0).sqrt()[:, None])[..., -rank:].to(x)
    noise = []
    for i in range(len(x)):
        generator = torch_generator(seed, "noise", i, draw)
        gaussian = torch.randn(x.shape[2], rank, generator=generator).double()
        noise.append(root[i] @ _orthonormal(gaussian - gaussian.mean(0)).mT.to(x) + mean[i])
    n_alignment = activity.alignment.shape[-1]
    y = torch.stack(noise)
    return activity._replace(alignment=y[..., :n_alignment], held_out=y[..., n_alignment:])


def _orthonormal(m: torch.Tensor) -> torch.Tensor:
    """The Q of a QR decomposition with positive diagonal, by Cholesky: many rows, few columns."""
    factor = torch.linalg.cholesky(m.mT @ m)
    return torch.linalg.solve_triangular(factor, m.mT, upper=False).mT


def same_class(activity: Activity, seed: int, draw: int = 0) -> Activity:
    """The population with other held-out images of the same class, others in each network.

    What networks share beyond the class of an image is lost.

    Parameters
    ----------
    activity : Activity
    seed : int
    draw : int
        Number of the draw.

    Returns
    -------
    Activity
        Alignment images and labels as they were.
    """
    labels = activity.labels
    moved = []
    for i, x in enumerate(activity.held_out):
        order = random_order(len(labels), seed, "class", i, draw)
        moved.append(x[:, within_classes(order, labels)])
    return activity._replace(held_out=torch.stack(moved))
