"""How much of a network's activity a shared response explains."""

import torch


def power(x: torch.Tensor) -> torch.Tensor:
    """Squared Frobenius norm of the last two axes, summed in float64."""
    return x.square().sum((-2, -1), dtype=torch.float64)


def explained_power(projected: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
    r"""What :math:`W S` explains of :math:`\lVert X \rVert^2`, for W with orthonormal columns.

    Parameters
    ----------
    projected : Tensor of shape (..., k, n_images)
        :math:`W^\top X`.
    shared : Tensor of shape (..., k, n_images)
        S.

    Returns
    -------
    Tensor of shape (...), float64
        :math:`\lVert X \rVert^2 - \lVert X - W S \rVert^2 = \langle 2 W^\top X - S, S \rangle`.
    """
    return ((2 * projected - shared) * shared).sum((-2, -1), dtype=torch.float64)


def part_of(
    part: torch.Tensor, total: torch.Tensor, whole: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """``part / total`` of a variance; NaN where nothing varies that could be explained.

    Parameters
    ----------
    part, total : Tensor of shape (...), float64
        Squares of activity from which means were subtracted, and the part of them in question.
    whole : Tensor of shape (...), float64
        Squares of the activity before: ``total`` may be no more than what rounding left of them.
    dtype : torch.dtype
        Of the activity.

    Returns
    -------
    Tensor of shape (...), float64
    """
    rounding = (8 * torch.finfo(dtype).eps) ** 2 * whole
    return (part / total).masked_fill(total <= rounding, torch.nan)


def explained_with(share: float, n: int, m: int | None) -> float:
    r"""Variance explained by the mean of ``m`` networks, where that of ``n`` explains ``share``.

    S is the mean of all networks, that of the network itself among them.  Networks of equal power,
    turned by square W, agree in the mean pair by a share c of it, and S explains
    :math:`1/n + (1 - 1/n) c`.  The bases are taken to be as good for ``m`` networks as for ``n``.

    Parameters
    ----------
    share : float
    n, m : int
        Networks; ``m`` None: ever more of them, which gives c.
    """
    pairs = (n * share - 1) / (n - 1)
    return pairs if m is None else 1 / m + (1 - 1 / m) * pairs
