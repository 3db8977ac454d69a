"""NumPy or torch in, the same out: the one place where arrays change their type."""

from typing import TypeAlias

import numpy as np
import torch

Array: TypeAlias = np.ndarray | torch.Tensor


def as_tensor(array: Array, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Tensor over ``array``, sharing its memory where type and layout allow."""
    tensor = array if isinstance(array, torch.Tensor) else _over(np.asarray(array))
    return tensor if dtype is None else tensor.to(dtype)


def _over(array: np.ndarray) -> torch.Tensor:
    if min(array.strides, default=0) < 0 or not array.dtype.isnative:  # torch knows neither
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return torch.from_numpy(array)


def like(tensor: torch.Tensor, example: Array) -> Array:
    """``tensor`` as the type that ``example`` has: a NumPy array or a tensor on its device."""
    if isinstance(example, torch.Tensor):
        return tensor.to(example.device)
    return tensor.detach().cpu().numpy()


def spread(n: int, keep: int) -> list[int]:
    """At most ``keep`` of ``range(n)``, evenly spaced, both ends among them."""
    if n <= keep:
        return list(range(n))
    return sorted({round(i) for i in np.linspace(0, n - 1, keep)})
