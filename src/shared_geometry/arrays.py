"""NumPy or torch in, the same out: the one place where arrays change their type."""

from typing import TypeAlias

import numpy as np
import torch

Array: TypeAlias = np.ndarray | torch.Tensor


def as_tensor(array: Array, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Tensor over ``array``, sharing its memory where type and layout allow."""
    tensor = array if isinstance(array, torch.Tensor) else torch.from_numpy(np.asarray(array))
    return tensor if dtype is None else tensor.to(dtype)


def like(tensor: torch.Tensor, example: Array) -> Array:
    """``tensor`` as the type that ``example`` has: a NumPy array or a tensor on its device."""
    if isinstance(example, torch.Tensor):
        return tensor.to(example.device)
    return tensor.detach().cpu().numpy()
