r"""What a measure of sharing shows by itself, and between which bounds the truth lies.

Let :math:`P_i = W_i^\top X_i` be held-out activity in the shared space, :math:`\kappa` the part of
a network's power that its k axes keep (1 where W is square, k/n for white noise), and

.. math:: s = \frac{1}{N(N-1)} \sum_{i \ne j} \frac{\langle P_i, P_j \rangle}{\lVert X \rVert^2}

the part that any two networks have in common, for networks of equal power.  A response that is the
mean of N networks, the one to be explained among them, then explains
:math:`s + (\kappa - s)/N` of the power, which is too much; the mean of the others explains
:math:`s - (\kappa - s)/(N - 1)`, which is too little.  Noise, which shares nothing, is the case
:math:`s = 0`.
"""

import torch

from shared_geometry.basics.arrays import Array, as_tensor, like
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.errors import InputError
from shared_geometry.srm import SRM


def with_itself(s: float, kept: float, n_networks: int) -> float:
    r"""Part that the mean of all networks explains: :math:`s + (\kappa - s)/N`.

    Parameters
    ----------
    s : float or array
        Part of its power that a network has in common with each of the others.
    kept : float or array
        :math:`\kappa`, the part that its axes keep.
    n_networks : int

    Returns
    -------
    float or array
    """
    return s + (kept - s) / n_networks


def from_others(s: float, kept: float, n_networks: int) -> float:
    r"""Part that the mean of the other networks explains: :math:`s - (\kappa - s)/(N - 1)`.

    Parameters
    ----------
    s, kept : float or array
        As in `with_itself`.
    n_networks : int
        At least 2.

    Returns
    -------
    float or array
    """
    return s - (kept - s) / (n_networks - 1)


def common_part(value: float, kept: float, n_networks: int, *, left_out: bool) -> float:
    r"""The part s that two networks have in common, from what a mean response explains.

    Parameters
    ----------
    value : float or array
        Part explained by the mean of the others if ``left_out``, else by that of all networks.
    kept : float or array
        :math:`\kappa`.
    n_networks : int
    left_out : bool

    Returns
    -------
    float or array
        The inverse of `from_others` or of `with_itself`.
    """
    if left_out:
        return ((n_networks - 1) * value + kept) / n_networks
    return (n_networks * value - kept) / (n_networks - 1)


def calibrated(value: float, null: float, ceiling: float = 1.0) -> float:
    """A measure on a scale of which 0 is chance and 1 the most that can be.

    Parameters
    ----------
    value : float or array
    null : float or array
        Mean of the measure where nothing is shared.
    ceiling : float or array
        What it would be if every network were an exact rotation of the others.

    Returns
    -------
    float or array
        ``(value - null) / (ceiling - null)``.
    """
    return (value - null) / (ceiling - null)


def rsm_ceiling(pairs: Array) -> Array:
    r"""How well the RSM of a network can be predicted: bounds for any one RSM of all networks.

    With :math:`z_i` the RSM of network i, standardised over pairs of images, no RSM correlates more
    with the networks, on average, than the mean of all :math:`z_i`; it holds network i itself, so
    that this is an upper bound.  The mean of the others is one RSM that can be had without network
    i: a lower bound (Nili et al. 2014).  Nothing is aligned here.

    Parameters
    ----------
    pairs : array of shape (n_networks, n_networks)
        Correlation of every two networks' own RSMs, as from `rsa.consistency`.

    Returns
    -------
    array of shape (2, n_networks)
        Lower and upper; their means over networks are the bounds.

    Raises
    ------
    InputError
        If ``pairs`` is not square with at least 2 networks.
    """
    c = as_tensor(pairs).double()
    if c.dim() != 2 or c.shape[0] != c.shape[1] or len(c) < 2:
        raise InputError(f"pairs of shape {tuple(c.shape)}: (n_networks, n_networks), at least 2")
    c = c.clone().fill_diagonal_(1)
    every, rows = c.sum(), c.sum(1)
    others = (every - 2 * rows + 1).clamp(min=0).sqrt()  # length of the sum of the others
    upper = rows / every.clamp(min=1e-12).sqrt()
    return like(torch.stack([(rows - 1) / others.clamp(min=1e-12), upper]), pairs)


def scores_of_noise(
    n_networks: int, n_units: int, n_images: int, n_components: int, n_draws: int, seed: int
) -> torch.Tensor:
    """Variance of fresh noise that SRM "explains" after a fit to noise, nothing being shared.

    Parameters
    ----------
    n_networks, n_units, n_images : int
        Of white noise; as many images to fit as to measure on.
    n_components : int
        k.
    n_draws : int
    seed : int

    Returns
    -------
    Tensor of shape (2, n_draws), float64
        With S over all networks, and over the others only.
    """
    shape, found = (n_networks, n_units, 2 * n_images), []
    for draw in range(n_draws):
        generator = torch_generator(seed, "white noise", n_networks, n_components, draw)
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        model = SRM(n_components).fit(x[..., :n_images])
        fresh = x[..., n_images:]
        found.append([model.score(fresh), model.score(fresh, leave_one_out=True)])
    return torch.tensor(found, dtype=torch.float64).T
