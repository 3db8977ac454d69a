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
