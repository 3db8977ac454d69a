"""How sure we are: intervals over networks, the one thing that an experiment samples; p-values.

Means are resampled (bootstrap).  A percentile interval is too narrow for a few networks: for ten a
sixth, for two ninefold.  So its arms are made longer by sqrt(n / (n - 1)) t / z, with the quantiles
t of Student's distribution of n - 1 degrees of freedom and z of the normal one (Hesterberg 2015
reaches the same by more extreme percentiles, which few networks do not have).
"""

import math
from typing import NamedTuple

import torch
from scipy import stats

from shared_geometry.basics.arrays import Array, as_tensor, like
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.errors import InputError
from shared_geometry.rsa import correlation, is_flat

CORRELATION = (-1.0, 1.0)  # limits of a value
PART = (0.0, 1.0)
SHARE = (-math.inf, 1.0)  # of a variance, which a bad guess makes negative
_NO_LIMITS = (-math.inf, math.inf)
_ALMOST_ONE = 1 - 1e-12  # a correlation whose z is finite
_MOST_RESAMPLES = 1_000_000
_COLUMNS = 2**14  # that are made float64 at a time


class Interval(NamedTuple):
    """An estimate and the bounds of its confidence interval."""

    estimate: float
    low: float
    high: float


def _counts(n: int, n_resamples: int, seed: int) -> torch.Tensor:
    """How often each of ``n`` networks is drawn in each resample: (n_resamples, n)."""
    if not 1 <= n_resamples <= _MOST_RESAMPLES:
        raise InputError(f"n_resamples={n_resamples} is not allowed: from 1 to {_MOST_RESAMPLES:,}")
    draws = torch.randint(n, (n_resamples, n), generator=torch_generator(seed, "bootstrap", n))
    ones = torch.ones_like(draws, dtype=torch.float64)
    return torch.zeros(n_resamples, n, dtype=torch.float64).scatter_add_(1, draws, ones)


def _upper_tail(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"level={level} is not allowed: between 0 and 1, for example 0.95")
    return (1 + level) / 2


def expansion(n: int, level: float = 0.95) -> float:
    """How many times as long as a percentile interval's arms those for ``n`` networks are.

    Parameters
    ----------
    n : int
        At least 2.
    level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    float
        Above 1.

    Raises
    ------
    InputError
        If ``level`` is not between 0 and 1.
    """
    tail = _upper_tail(level)
    return math.sqrt(n / (n - 1)) * float(stats.t.ppf(tail, n - 1) / stats.norm.ppf(tail))


def _percentiles(
    estimate: float, resampled: torch.Tensor, n: int, level: float, limits: tuple[float, float]
) -> Interval:
    tail = _upper_tail(level)
    tails = torch.tensor([1 - tail, tail], dtype=torch.float64)
    low, high = torch.quantile(resampled.double(), tails).tolist()
    longer = expansion(n, level)
    below, above = max(estimate - low, 0.0), max(high - estimate, 0.0)
    low, high = max(estimate - longer * below, limits[0]), min(estimate + longer * above, limits[1])
    return Interval(estimate, min(low, estimate), max(high, estimate))


def bootstrap_mean(
    values: Array,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    limits: tuple[float, float] = _NO_LIMITS,
) -> Interval:
    """Mean over networks, with an expanded percentile interval over resampled networks.

    Parameters
    ----------
    values : array of shape (n_networks,)
    n_resamples : int
    level : float
        Coverage of the interval.
    seed : int
    limits : (float, float)
        The least and the most that a value can be, where the interval ends.

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        If there is not one value for each of at least 2 networks, or a number is not allowed.
    """
    v = as_tensor(values).double().cpu()
    if v.dim() != 1 or len(v) < 2:
        raise InputError(f"values of shape {tuple(v.shape)}: one for each of at least 2 networks")
    resampled = _counts(len(v), n_resamples, seed) @ v / len(v)
    return _percentiles(v.mean().item(), resampled, len(v), level, limits)


def bootstrap_shared(
    values: Array,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    limits: tuple[float, float] = _NO_LIMITS,
) -> Interval:
    """Mean over networks of what each has in common with the others.

    As `bootstrap_mean`, but for two networks: these are one pair, whose two values agree however
    much another pair would differ.

    Parameters
    ----------
    values : array of shape (n_networks,)
    n_resamples, level, seed, limits
        As in `bootstrap_mean`.

    Returns
    -------
    Interval
        Of two networks, from one limit to the other, NaN where there is none.

    Raises
    ------
    InputError
        As `bootstrap_mean` does.
    """
    how = {"n_resamples": n_resamples, "level": level, "seed": seed}
    found = bootstrap_mean(values, limits=limits, **how)
    if len(values) > 2:
        return found
    low, high = (limit if math.isfinite(limit) else math.nan for limit in limits)
    return Interval(found.estimate, min(low, found.estimate), max(high, found.estimate))


def bootstrap_explained(
    values: Array,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    limits: tuple[float, float] = _NO_LIMITS,
) -> Interval:
    r"""Mean over networks of what the mean of the others, or of all, explains of each.

    Values that are resampled one by one seem to vary less than their mean does, for a network is a
    part of what explains the others.  If network i has private activity of power
    :math:`\sigma_i^2`, its value falls by :math:`a \sigma_i^2` and each of the others by
    :math:`b \sigma_i^2`: values differ by the former less the latter, and the mean moves by the
    sum of all.  With the mean of the others, :math:`a = 1` and :math:`b = 1 / (N - 1)^2`, and with
    that of all, :math:`a = (1 - 1 / N)^2` and :math:`b = 1 / N^2`; the ratio
    :math:`(a + (N - 1) b) / (a - b)` is :math:`(N - 1) / (N - 2)` for both.  The arms of
    `bootstrap_shared` are made so many times as long; where networks have as much private activity
    as each other, that is somewhat too much for three or four networks.

    Parameters
    ----------
    values : array of shape (n_networks,)
    n_resamples, level, seed, limits
        As in `bootstrap_mean`.

    Returns
    -------
    Interval
        Of two networks as from `bootstrap_shared`.

    Raises
    ------
    InputError
        As `bootstrap_mean` does.
    """
    how = {"n_resamples": n_resamples, "level": level, "seed": seed}
    if len(values) < 3:
        return bootstrap_shared(values, limits=limits, **how)
    estimate, low, high = bootstrap_mean(values, **how)
    longer = (len(values) - 1) / (len(values) - 2)
    low, high = estimate - longer * (estimate - low), estimate + longer * (high - estimate)
    return Interval(
        estimate, min(max(low, limits[0]), estimate), max(min(high, limits[1]), estimate)
    )


def bootstrap_pairs(
    matrix: Array,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    limits: tuple[float, float] = _NO_LIMITS,
) -> Interval:
    """Mean over pairs of different networks, with an interval over networks.

    To draw networks and average their pairs would not do: a network that is drawn twice makes no
    pair with itself, so that it weighs less than twice, and of three networks the interval is half
    as long as it has to be.  What is resampled are the networks' pseudo-values, N times the mean
    less N - 1 times the mean without the network (Efron and Stein 1981), whose mean is that over
    pairs.

    Parameters
    ----------
    matrix : array of shape (n_networks, n_networks)
        Both directions of a pair count, which may differ; the diagonal is not used.
    n_resamples, level, seed, limits
        As in `bootstrap_shared`.

    Returns
    -------
    Interval
        Of two networks as from `bootstrap_shared`.

    Raises
    ------
    InputError
        If the matrix is not square with at least 2 networks, or a number is not allowed.
    """
    how = {"n_resamples": n_resamples, "level": level, "seed": seed}
    return bootstrap_shared(_pseudo_values(matrix), limits=limits, **how)


def bootstrap_excess(
    matrix: Array, *, n_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Mean of the diagonal less that over pairs of different networks, with an interval.

    Networks are resampled by their own values less their pseudo-values over pairs, as in
    `bootstrap_pairs`.  Their rows' means would not do: how high a whole column is cancels in the
    mean over networks, but not in one network's difference, and would count as uncertainty.

    Parameters
    ----------
    matrix : array of shape (n_networks, n_networks)
        Row i, column j: network i of one set with network j of another.
    n_resamples, level, seed
        As in `bootstrap_mean`.

    Returns
    -------
    Interval
        Of two networks NaN on both sides.

    Raises
    ------
    InputError
        As `bootstrap_pairs` does.
    """
    pseudo = _pseudo_values(matrix)
    own = as_tensor(matrix).double().cpu().diagonal()
    return bootstrap_shared(own - pseudo, n_resamples=n_resamples, level=level, seed=seed)


def _pseudo_values(matrix: Array) -> torch.Tensor:
    """N times the mean over pairs, less N - 1 times that without each network: (n_networks,)."""
    m = as_tensor(matrix).double().cpu().clone()
    if m.dim() != 2 or m.shape[0] != m.shape[1] or len(m) < 2:
        raise InputError(f"matrix of shape {tuple(m.shape)}: (n_networks, n_networks), at least 2")
    m.fill_diagonal_(0)
    n, total = len(m), m.sum()
    mean = total / (n * (n - 1))
    return n * mean - (total - m.sum(0) - m.sum(1)) / (n - 2) if n > 2 else mean.expand(n)


def correlation_of_means(A: Array, b: Array, without: Array, *, level: float = 0.95) -> Interval:
    """Correlation of the wRSM with the iRSM, with a jackknife interval over networks.

    A bootstrap will not do: a resample has fewer different networks than there are, its means hold
    more of what is private to each, and all its correlations are lower than the one in question.
    Here every network is left out once, of the networks' own RSMs and of all that it is a part of
    between them.  The interval is Student's, on Fisher's z, with N - 1 degrees of freedom.

    Parameters
    ----------
    A : array of shape (n_networks, n_pairs)
        The lower triangle of each network's own RSM.
    b : array of shape (n_pairs,)
        That of the iRSM.
    without : array of shape (n_networks, n_pairs)
        That of the iRSM without each network, from `rsa.between`; of two networks it has no rows.
    level : float

    Returns
    -------
    Interval
        Of two networks, which leave no pair when one is left out, from -1 to 1; and so where all
        RSMs are flat, but for rounding, of which the estimate is 0.  NaN if a value is.

    Raises
    ------
    InputError
        If the arrays are not of the same networks and pairs of images, or ``level`` is not allowed.
    """
    own, mean, rest = (as_tensor(m) for m in (A, b, without))
    n = len(own) if own.dim() == 2 else 0
    if n < 2 or mean.shape != own.shape[1:] or rest.shape != (n if n > 2 else 0, own.shape[1]):
        raise InputError(
            f"A of shape {tuple(own.shape)}, b of shape {tuple(mean.shape)} and without of shape "
            f"{tuple(rest.shape)}: (n_networks, n_pairs), (n_pairs,) and a row for each network, "
            "but none of two; at least 2 networks"
        )
    tail = _upper_tail(level)
    total = own.sum(0, dtype=torch.float64)
    eps = torch.finfo(own.dtype if own.is_floating_point() else torch.float64).eps
    if not all(values.isfinite().all() for values in (total, mean, rest)):
        return Interval(*3 * [math.nan])
    estimate = correlation(total, mean, eps).item()
    if n == 2 or is_flat(total, eps) or is_flat(mean, eps):
        return Interval(estimate, -1.0, 1.0)
    found = _without_each(own, total, rest)
    z = found.clamp(-_ALMOST_ONE, _ALMOST_ONE).atanh()
    middle = math.atanh(min(max(estimate, -_ALMOST_ONE), _ALMOST_ONE))
    arm = float(stats.t.ppf(tail, n - 1)) * math.sqrt((n - 1) * z.var(correction=0).item())
    low, high = (math.tanh(middle + sign * arm) for sign in (-1, 1))
    return Interval(estimate, min(low, estimate), max(high, estimate))


def _without_each(own: torch.Tensor, total: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """Correlations of ``total`` without each row of ``own`` with rows of ``rest``: (n_networks,).

    Summed in float64: over two million pairs of images float32 errs by more than ten networks
    differ.
    """
    n, count = rest.shape
    sums = torch.zeros(5, n, dtype=torch.float64, device=own.device)
    middle = total.mean() * (n - 1) / n, rest.mean(dtype=torch.float64)
    for rows, all_, left in zip(
        own.split(_COLUMNS, 1), total.split(_COLUMNS), rest.split(_COLUMNS, 1), strict=True
    ):
        a, b = all_ - rows.double() - middle[0], left.double() - middle[1]
        sums += torch.stack([a.sum(1), b.sum(1), (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)])
    a, b, aa, bb, ab = sums.cpu()
    power = ((aa - a * a / count) * (bb - b * b / count)).clamp(min=0).sqrt()
    return torch.where(power > 0, (ab - a * b / count) / power, 0)


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
        Never 0: at least 1/(D + 1).  NaN where the value or a draw is.

    Raises
    ------
    InputError
        If there are no draws, or not of the value's form.
    """
    v, d = as_tensor(value), as_tensor(draws)
    if d.dim() != v.dim() + 1 or d.shape[:-1] != v.shape or d.shape[-1] < 1:
        raise InputError(
            f"a value of shape {tuple(v.shape)} and draws of shape {tuple(d.shape)}: expected one "
            "more axis of draws, at least one long"
        )
    p = (1 + (d >= v[..., None]).sum(-1)).double() / (1 + d.shape[-1])
    return like(p.masked_fill(v.isnan() | d.isnan().any(-1), math.nan), value)


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

    Raises
    ------
    InputError
        If a number is not allowed.
    """
    if width < 0 or n_networks < 2 or wanted <= 0:
        raise InputError(
            f"width={width}, n_networks={n_networks}, wanted={wanted}: expected a width that is "
            "not negative, 2 networks or more, and a wanted width above 0"
        )
    return max(2, math.ceil(n_networks * (width / wanted) ** 2 - 1e-9))
