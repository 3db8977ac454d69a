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
