"""What may be handed to the shared response model, and the sentence for what may not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from shared_geometry.basics.arrays import Array, as_tensor
from shared_geometry.errors import InputError

_FORM = "an array (n_networks, n_units, n_samples) or a list of (n_units, n_samples) arrays"
_NEARLY = 1e-2  # of a basis for a warm start, w.T @ w from the unit matrix: rounding, and more


def _network(index: int, array: Any) -> torch.Tensor:
    if not isinstance(array, np.ndarray | torch.Tensor):
        raise InputError(
            f"network {index} is a {type(array).__name__}; give a NumPy array or a torch tensor"
        )
    if str(array.dtype).removeprefix("torch.") not in ("float32", "float64"):
        raise InputError(
            f"network {index} holds {str(array.dtype).removeprefix('torch.')}; "
            "convert it to float32 or float64"
        )
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(
            f"network {index} has shape {tuple(array.shape)}; "
            "expected (n_units, n_samples), none of them 0"
        )
    return as_tensor(array).detach()


def finite(x: Sequence[torch.Tensor], sums: Sequence[torch.Tensor] | None = None) -> None:
    """Refuse activity that holds NaN or infinities.

    Parameters
    ----------
    x : sequence of Tensor
    sums : sequence of Tensor, optional
        Of each network, sums or means over all of its samples, where they are at hand: they are
        finite only if every term is, and the values are looked at only where they are not.

    Raises
    ------
    InputError
        Names the network, how many of its values, and where the first is.
    """
    for index, a in enumerate(x):
        total = a.sum() if sums is None else sums[index]
        if not torch.isfinite(total).all() and not torch.isfinite(a).all():
            bad = (~torch.isfinite(a)).nonzero()
            unit, sample = bad[0].tolist()
            raise InputError(
                f"network {index} holds {len(bad)} values that are NaN or infinite, "
                f"the first at unit {unit}, sample {sample}; remove or replace them"
            )


def in_range(squares: Sequence[torch.Tensor], x: Sequence[torch.Tensor]) -> None:
    """Refuse activity whose products would over- or underflow.

    Parameters
    ----------
    squares : sequence of Tensor of shape (...), float64
        Sum of squares of each network.
    x : sequence of Tensor of shape (..., n_units_i, n_samples)
        Looked at only where the squares are so small that they may have underflowed.

    Raises
    ------
    InputError
        Says by what to go.
    """
    found, kind = torch.stack(list(squares)), torch.finfo(x[0].dtype)
    name = str(x[0].dtype).removeprefix("torch.")
    if not len(x) ** 2 * found.max().item() < kind.max:  # bounds the squares of their sum
        raise InputError(
            f"activity is too large: its squares add up to more than {kind.max:.1e}, the most that "
            f"{name} holds; divide all networks by one number"
        )
    least = kind.tiny / kind.eps
    for index, small in enumerate(found < least if found.min().item() < least else ()):
        if (small & x[index].any(-1).any(-1)).any():  # zeros are no small activity
            raise InputError(
                f"activity of network {index} is too small: its squares add up to less than "
                f"{least:.1e}, where {name} loses digits; multiply all networks by one number"
            )


def networks(X: Array | Sequence[Array], *, least: int = 2) -> list[torch.Tensor]:
    """Activity of each network as a tensor ``(n_units_i, n_samples)``, checked.

    Parameters
    ----------
    X : array of shape (n_networks, n_units, n_samples), or list of (n_units_i, n_samples) arrays
    least : int
        Fewest networks allowed.

    Returns
    -------
    list of Tensor
        Views of the input where its type allows.

    Raises
    ------
    InputError
        As `shaped` and `finite` do.
    """
    x = shaped(X, least=least)
    finite(x)
    return x


def shaped(X: Array | Sequence[Array], *, least: int = 2) -> list[torch.Tensor]:
    """The same before its values are looked at.

    Raises
    ------
    InputError
        If X is not of that form, is empty or has too few networks, mixes types, devices or
        numbers of samples, or holds integers.
    """
    if not isinstance(X, np.ndarray | torch.Tensor | Sequence) or isinstance(X, str):
        raise InputError(f"X is a {type(X).__name__}; give {_FORM}")
    if isinstance(X, np.ndarray | torch.Tensor) and X.ndim != 3:
        raise InputError(f"X is one array of shape {tuple(X.shape)}; give {_FORM}")
    if len(X) < least:
        raise InputError(f"X holds {len(X)} networks; at least {least} are needed")
    tensors = [_network(index, array) for index, array in enumerate(X)]
    _alike(tensors)
    return tensors


def _alike(tensors: list[torch.Tensor]) -> None:
    first = tensors[0]
    for index, x in enumerate(tensors):
        if x.shape[1] != first.shape[1]:
            raise InputError(
                f"network {index} has {x.shape[1]} samples and network 0 has {first.shape[1]}; "
                "every network must see the same samples in the same order"
            )
        if (x.dtype, x.device) != (first.dtype, first.device):
            raise InputError(
                f"network {index} is {x.dtype} on {x.device} and network 0 {first.dtype} on "
                f"{first.device}; give all networks one type and one device"
            )


def same_units(tensors: list[torch.Tensor], w: list[torch.Tensor]) -> None:
    """Refuse activity whose networks or units are not those of the fitted bases ``w``."""
    if len(tensors) != len(w):
        raise InputError(f"X holds {len(tensors)} networks; the model was fitted on {len(w)}")
    for index, (x, basis) in enumerate(zip(tensors, w, strict=True)):
        if x.shape[0] != basis.shape[0]:
            raise InputError(
                f"network {index} has {x.shape[0]} units; the model was fitted on {basis.shape[0]}"
            )


def components(n_components: int | None, units: Sequence[int], samples: int) -> int:
    """Number of shared dimensions k: the one asked for, or the largest there can be.

    Parameters
    ----------
    n_components : int or None
        k; None: as many as the smallest network has units, but no more than there are samples.
    units : sequence of int
        Units of each network.
    samples : int

    Raises
    ------
    InputError
        If k is not a positive integer, or larger than the units or the samples.
    """
    if n_components is None:
        return min(*units, samples)
    k = n_components
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"n_components={k!r}; expected a positive integer or None")
    smallest = min(range(len(units)), key=units.__getitem__)
    if k > units[smallest]:
        raise InputError(
            f"n_components={k} is larger than the {units[smallest]} units of network {smallest} "
            f"({samples} samples)"
        )
    if k > samples:
        raise InputError(
            f"n_components={k} is larger than the {samples} samples "
            f"(smallest network: {units[smallest]} units)"
        )
    return int(k)


def bases(w: Sequence[Array], x: list[torch.Tensor], k: int) -> list[torch.Tensor]:
    """Bases for a warm start, checked against the networks ``x`` they are for."""
    found = networks(w)
    shapes, expected = [tuple(b.shape) for b in found], [(len(a), k) for a in x]
    if shapes != expected:
        raise InputError(f"w holds bases of shapes {shapes}; the networks need {expected}")
    for index, basis in enumerate(found):
        gram = basis.mT @ basis
        off = (gram - torch.eye(k).to(gram)).abs().max().item()
        if off > _NEARLY:
            raise InputError(
                f"the basis of network {index} in w has no orthonormal columns: w.T @ w differs "
                f"from the unit matrix by {off:.2g}; give bases of a fit"
            )
    return [basis.to(x[0]) for basis in found]


def response(shared: Array) -> torch.Tensor:
    """A shared response ``(k, n_samples)``, checked."""
    return networks([shared], least=1)[0]
