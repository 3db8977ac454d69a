"""A population in its shared space: what the others respond, and RSMs between networks.

Where W is square, patterns are compared over the axes of the shared space, as in the paper: there
are as many as units.  A space of fewer dimensions can be given any axes, and with them another mean
over axes, which a Pearson correlation takes off.  Patterns are then compared over the units of each
network, as W_i S (`rsa.inter_rsms`).
"""

import torch

from shared_geometry.rsa import Between, between, inter_rsm
from shared_geometry.srm import SRM


def stacked(arrays: list[torch.Tensor]) -> torch.Tensor:
    """One array of what `SRM` gives as a list."""
    return torch.stack([torch.as_tensor(array) for array in arrays])


def centred(activity: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Activity without each unit's mean; what rounding leaves of an image's pattern is zeros.

    Parameters
    ----------
    activity : Tensor of shape (..., n_units, n_images)
    mean : Tensor of shape (..., n_units)
        Of the fit.
    """
    x = activity - mean[..., None]
    size, left = (torch.linalg.vector_norm(y, dim=-2, keepdim=True) for y in (activity, x))
    return x.mul_(left > 8 * torch.finfo(x.dtype).eps * size)


def _bases(w: torch.Tensor) -> torch.Tensor | None:
    return w if w.shape[-1] < w.shape[-2] else None


def over_units(w: torch.Tensor, *patterns: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Patterns (k, n_images) of the shared space as they are compared: see the module."""
    return patterns if _bases(w) is None else tuple(w @ s for s in patterns)


def shared_rsm(w: torch.Tensor, x: torch.Tensor, *, centre: bool = True) -> torch.Tensor:
    """The iRSM in the shared space, (n_images, n_images).

    Parameters
    ----------
    w : Tensor of shape (n_networks, n_units, k)
    x : Tensor of shape (n_networks, n_units, n_images)
        Activity in native space.
    centre : bool
        See `rsa.rsm`.
    """
    return inter_rsm(w.mT @ x, centre=centre, bases=_bases(w))


def shared_between(w: torch.Tensor, x: torch.Tensor, *, centre: bool = True) -> Between:
    """The same, and without each network; parameters as in `shared_rsm`."""
    return between(w.mT @ x, centre=centre, bases=_bases(w))


def responses_of_others(model: SRM, activity: torch.Tensor) -> torch.Tensor:
    """For each network the mean of the others in the shared space.

    Parameters
    ----------
    model : SRM
        Fitted on these networks.
    activity : Tensor of shape (n_networks, n_units, n_images)

    Returns
    -------
    Tensor of shape (n_networks, k, n_images)
    """
    turned = stacked(model.transform(list(activity)))
    return torch.sub(turned.sum(0), turned, out=turned).div_(len(turned) - 1)
