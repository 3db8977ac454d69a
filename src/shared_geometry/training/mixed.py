"""Training steps in a shorter type, while weights are kept in float32.

`Cast` casts every weight in every step, as torch's autocast does: cheap beside a processor's
products.  On a GPU, where the kernel of a cast is as long as that of a layer, `Twin` keeps a second
copy of the weights, and takes all of them there and back at once; it computes the same numbers.
"""

import copy

import torch
from torch import Tensor, nn


class Cast:
    """A network whose operations are cast.

    Parameters
    ----------
    module : nn.Module
        In float32.
    device : torch.device
    dtype : torch.dtype
        Of the operations; float32 casts nothing.
    """

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self.module = module
        self.cast = torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (n, n_classes), in float32."""
        with self.cast:
            return self.module(images).float()

    def take_gradients(self) -> None:
        """Give the network's weights their gradients, after a backward pass."""

    def refresh(self) -> None:
        """Take over the network's weights, once they have changed."""


class Twin:
    """A network in float32 and its twin, whose kernels and linear maps are of another type.

    BatchNorm's weights and statistics are the same tensors in both.

    Parameters
    ----------
    module : nn.Module
        In float32.
    dtype : torch.dtype
        Of the twin.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        own = {
            id(t): t
            for m in module.modules()
            if isinstance(m, nn.BatchNorm2d)
            for t in (*m.parameters(), *m.buffers())
        }
        self.module = copy.deepcopy(module, memo=own)
        self.dtype = dtype
        self.long: list[Tensor] = []
        self.short: list[Tensor] = []
        for original, twin in zip(module.modules(), self.module.modules(), strict=True):
            if isinstance(twin, nn.Conv2d | nn.Linear):
                twin.to(dtype)
                self.long += original.parameters()
                self.short += twin.parameters()

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (n, n_classes), in float32."""
        return self.module(images.to(self.dtype)).float()

    def take_gradients(self) -> None:
        """Give the network's weights their gradients, after a backward pass."""
        for weight in self.long:
            weight.grad = torch.empty_like(weight)
        torch._foreach_copy_([w.grad for w in self.long], [w.grad for w in self.short])
        for weight in self.short:
            weight.grad = None

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the network's weights, once they have changed."""
        torch._foreach_copy_(self.short, self.long)
