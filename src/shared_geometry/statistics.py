"""How sure we are: bootstrap over networks, the one thing that an experiment samples; p-values."""

import math
from typing import NamedTuple

import torch

from shared_geometry.basics.arrays import Array, as_tensor, like
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.errors import InputError


class Interval(NamedTuple):
    """An estimate and the bounds of its confidence interval."""

    estimate: float
    low: float
    high: float


def _counts(n: int, n_resamples: int, seed: int) -> torch.Tensor:
    """How often each of ``n`` networks is drawn in each resample: (n_resamples, n)."""
    if n_resamples < 1:
        raise InputError(f"n_resamples={n_resamples} is not allowed: at least 1")
    draws = torch.randint(n, (n_resamples, n), generator=torch_generator(seed, "bootstrap", n))
    ones = torch.ones_like(draws, dtype=torch.float64)
    return torch.zeros(n_resamples, n, dtype=torch.float64).scatter_add_(1, draws, ones)


def _percentiles(estimate: float, resampled: torch.Tensor, level: float) -> Interval:
    if not 0 < level < 1:
        raise InputError(f"level={level} is not allowed: between 0 and 1, for example 0.95")
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = torch.quantile(resampled.double(), tails).tolist()
    # a skewed estimator can leave its own percentile interval; the estimate always belongs to it
    return Interval(estimate, min(low, estimate), max(high, estimate))


def bootstrap_mean(
    values: Array, *, n_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Mean over networks, with a percentile interval over resampled networks.

    Parameters
    ----------
    values : array of shape (n_networks,)
    n_resamples : int
    level : float
        Coverage of the interval.
    seed : int

    Returns
    -------
    Interval
    """
    v = as_tensor(values).double().cpu()
    if v.dim() != 1 or len(v) < 2:
        raise InputError(f"values of shape {tuple(v.shape)}: one for each of at least 2 networks")
    resampled = _counts(len(v), n_resamples, seed) @ v / len(v)
    return _percentiles(v.mean().item(), resampled, level)


def bootstrap_pairs(
    matrix: Array, *, n_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Mean over pairs of different networks, with an interval over resampled networks.

    A network that is drawn twice makes no pair with itself; a resample of one network only, which
    has no pair, is left out.

    Parameters
    ----------
    matrix : array of shape (n_networks, n_networks)
        Symmetric; the diagonal is not used.
    n_resamples : int
    level : float
    seed : int

    Returns
    -------
    Interval
    """
    m = as_tensor(matrix).double().cpu().clone()
    if m.dim() != 2 or m.shape[0] != m.shape[1] or len(m) < 2:
        raise InputError(f"matrix of shape {tuple(m.shape)}: (n_networks, n_networks), at least 2")
    m.fill_diagonal_(0)
    n = len(m)
    counts = _counts(n, n_resamples, seed)
    sums = _form(counts, m, counts)
    pairs = n**2 - counts.square().sum(1)
    resampled = sums[pairs > 0] / pairs[pairs > 0]
    return _percentiles(m.sum().item() / (n * (n - 1)), resampled, level)


def bootstrap_correlation_of_means(
    A: Array,
    B: Array,
    *,
    b_fixed: bool = False,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Correlation of the mean row of A with the mean row of B, over resampled networks.

    A mean over resampled networks is a weighted sum of rows, so that its correlations follow from
    the inner products between rows: the long vectors are read once, however many resamples.

    Parameters
    ----------
    A, B : array of shape (n_networks, n_pairs)
        One row a network, for example lower triangles of RSMs.  Both are resampled alike.
    b_fixed : bool
        Resample A only: B is a reference that other networks made, or none.
    n_resamples : int
    level : float
    seed : int

    Returns
    -------
    Interval
    """
    a, b = as_tensor(A), as_tensor(B)
    if a.dim() != 2 or a.shape != b.shape or len(a) < 2:
        raise InputError(
            f"A of shape {tuple(a.shape)} and B of shape {tuple(b.shape)}: both (n_networks, "
            "n_pairs), at least 2 networks"
        )
    if a.is_cuda:  # which sums long vectors less exactly, and is as quick in float64
        a, b = a.double(), b.double()
    a, b = (m - m.mean(1, keepdim=True) for m in (a, b))
    aa, ab, bb = ((p @ q.T).double().cpu() for p, q in ((a, a), (a, b), (b, b)))
    n = len(a)
    all_once = torch.ones(1, n, dtype=torch.float64)
    u = torch.cat([all_once, _counts(n, n_resamples, seed)])  # the estimate, then the resamples
    v = all_once.expand_as(u) if b_fixed else u
    power = (_form(u, aa, u) * _form(v, bb, v)).clamp(min=0).sqrt()
    found = torch.where(power > 0, _form(u, ab, v) / power, torch.zeros_like(power)).clamp(-1, 1)
    return _percentiles(found[0].item(), found[1:], level)


def _form(u: torch.Tensor, gram: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ri,ij,rj->r", u, gram, v)


def p_value(value: Array, draws: Array) -> Array:
    """Part of the draws under a null that are as high as the value, which counts as one of them.

    Where the value is itself such a draw, the chance of p or less is p at most, and p is uniform on
    1/(D + 1), 2/(D + 1), ..., 1 if no two draws are equal (Phipson and Smyth 2010).

    Parameters
    ----------
    value : array of shape (...)
    draws : array of shape (..., D)

    Returns
    -------
    array of shape (...)
        Never 0: at least 1/(D + 1).
    """
    v, d = as_tensor(value), as_tensor(draws)
    if d.dim() != v.dim() + 1 or d.shape[:-1] != v.shape or d.shape[-1] < 1:
        raise InputError(
            f"a value of shape {tuple(v.shape)} and draws of shape {tuple(d.shape)}: expected one "
            "more axis of draws, at least one long"
        )
    return like((1 + (d >= v[..., None]).sum(-1)).double() / (1 + d.shape[-1]), value)


def networks_needed(width: float, n_networks: int, wanted: float) -> int:
    """Networks that would give an interval no wider than ``wanted``.

    Parameters
    ----------
    width : float
        Of the interval from ``n_networks``; it shrinks as one over the root of their number.
    n_networks : int
    wanted : float

    Returns
    -------
    int
        At least 2.
    """
    if width < 0 or n_networks < 2 or wanted <= 0:
        raise InputError(
            f"width={width}, n_networks={n_networks}, wanted={wanted}: expected a width that is "
            "not negative, 2 networks or more, and a wanted width above 0"
        )
    return max(2, math.ceil(n_networks * (width / wanted) ** 2 - 1e-9))
