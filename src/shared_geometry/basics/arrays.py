"""NumPy or torch in, the same out: the one place where arrays change their type."""

import warnings
from typing import Any, TypeAlias

import numpy as np
import torch

from shared_geometry.errors import InputError

Array: TypeAlias = np.ndarray | torch.Tensor


def as_tensor(array: Array, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Tensor over ``array``, sharing its memory where type and layout allow.

    Raises
    ------
    InputError
        If it is no array of numbers, or some of it is masked or is not there.
    """
    tensor = _dense(array) if isinstance(array, torch.Tensor) else _over(_numbers(array))
    return tensor if dtype is None else tensor.to(dtype)


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    sparse = tensor.layout != torch.strided
    if sparse or tensor.is_meta or tensor.is_nested:
        kind = "nested" if tensor.is_nested else "meta" if tensor.is_meta else "sparse"
        advice = ", as to_dense() makes" if kind == "sparse" else ""
        raise InputError(f"a {kind} tensor came; expected one that holds every number{advice}")
    return tensor


def _numbers(array: Any) -> np.ndarray:
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        hidden = int(np.ma.count_masked(array))
        raise InputError(f"{hidden} values are masked; fill them in, or leave their rows out")
    try:
        found = np.asarray(array)
    except ValueError:  # several lengths
        found = np.empty(0, object)
    if found.dtype.kind not in "biufc":
        raise InputError(
            f"a {type(array).__name__} of {found.dtype} came; expected a NumPy array or a tensor "
            "of numbers"
        )
    return found


def _over(array: np.ndarray) -> torch.Tensor:
    if min(array.strides, default=0) < 0 or not array.dtype.isnative:  # torch knows neither
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    with warnings.catch_warnings():  # nothing here writes into what it was given
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def like(tensor: torch.Tensor, example: Array) -> Array:
    """``tensor`` as the type that ``example`` has: a NumPy array or a tensor on its device."""
    if isinstance(example, torch.Tensor):
        return tensor.to(example.device)
    return tensor.detach().cpu().numpy()


def within_range(x: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """``x``, in which columns whose squares over- or underflow are multiplied by powers of two.

    Parameters
    ----------
    x : Tensor of shape (..., n, m)
        Finite, in floating point.
    size : Tensor of shape (..., 1, m)
        Norm or largest magnitude of each column, which may itself have over- or underflowed.

    Returns
    -------
    Tensor of shape (..., n, m)
        ``x`` itself where no column needs it. A power of two rounds no digit.
    """
    kind = torch.finfo(x.dtype)
    small, large = kind.tiny**0.5 / kind.eps**2, (kind.max / max(1, x.shape[-2])) ** 0.5 / 4
    out = ((size < small) | (size > large)).squeeze(-2)
    if not out.any():
        return x
    columns = x.mT[out]
    if not columns.any():  # zeros stay
        return x
    peak = columns.abs().amax(-1).clamp(min=kind.tiny).double()
    scale = torch.ones_like(size).squeeze(-2)
    scale[out] = (4 * torch.frexp(peak).mantissa / peak).to(x.dtype)
    return x * scale.unsqueeze(-2)


def spread(n: int, keep: int) -> list[int]:
    """At most ``keep`` of ``range(n)``, evenly spaced, both ends among them."""
    if n <= keep:
        return list(range(n))
    return sorted({round(i) for i in np.linspace(0, n - 1, keep)})
