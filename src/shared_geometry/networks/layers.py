"""Layers of the paper's networks, made quick without a change to what they compute."""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared_geometry.errors import InputError
from shared_geometry.networks.patches import PatchConvolution


class Dropout(nn.Module):
    """Zeroes units with probability ``p`` while training, drawing from its own ``generator``.

    A draw takes one random byte a unit, so ``p`` is a multiple of 1/256.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """``x`` with units dropped, the rest scaled by ``1 / (1 - p)``; ``x`` in eval mode."""
        if not self.training:
            return x
        if self.generator is None:
            raise InputError("dropout needs a generator to train: see attach_generator")
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self.generator)
        drawn = words.view(torch.uint8)[: x.numel()].as_strided(x.shape, x.stride())
        keep = (drawn >= round(256 * self.p)).to(x.dtype)
        return x * keep.mul_(1 / (1 - self.p))


class PooledReLU(nn.Module):
    """ReLU, then 2x2 max-pool: the same in either order, and cheaper on the smaller map."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (n, c, h, w) to (n, c, h / 2, w / 2)."""
        return functional.relu(functional.max_pool2d(x, 2), inplace=True)


class Norm(nn.BatchNorm2d):
    """BatchNorm that does not count its batches, which nothing asks for.

    Keras: eps 1e-3 and momentum 0.99, which torch counts from the other end.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (n, channels, h, w) to the same shape."""
        statistics = self.running_mean, self.running_var
        return functional.batch_norm(
            x, *statistics, self.weight, self.bias, self.training, self.momentum, self.eps
        )


@cache
def _has_kernels() -> bool:
    return find_spec("triton") is not None


def norm_relu(norm: Norm, x: Tensor) -> Tensor:
    """ReLU of ``norm(x)``; in a training step on a GPU by one kernel."""
    if norm.training and x.is_cuda and _has_kernels():
        from shared_geometry.networks import norm_kernels

        own = norm.weight, norm.bias, norm.running_mean, norm.running_var
        return norm_kernels.norm_relu(x, *own, norm.momentum, norm.eps)
    return functional.relu(norm(x), inplace=True)


class Conv(nn.Conv2d):
    """Convolution without bias, whose kernel is cut to what a map of ``side`` pixels can reach.

    On a map of 1 x 1 a padded 3 x 3 kernel meets the image with its centre alone: eight in nine of
    its weights always meet zeros, get no gradient, and yet cost time (the two last stages of
    ResNet18 on 32 x 32 pixels).  They are drawn, so that the rest is as it would be, and left out.

    A bias would be taken out again by the BatchNorm that every convolution here ends in.
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int, side: int) -> None:
        padding = kernel // 2
        self.full = kernel
        self.after_side = (side + 2 * padding - kernel) // stride + 1
        first = max(0, padding - (self.after_side - 1) * stride)
        last = min(kernel - 1, side - 1 + padding)
        self.reach = slice(first, last + 1)
        super().__init__(
            before, after, last + 1 - first, stride, padding=padding - first, bias=False
        )
        # one product of matrices: every pixel meets every other
        self.covers = self.after_side == 1 and last + 1 - first == side
        self.small = self.after_side <= 4  # in bfloat16 one product is the quicker way
        self.pair = side == 2 and kernel == 3 and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Maps (n, before, h, w) to (n, after, h / stride, w / stride)."""
        weight = self.weight.permute(0, 2, 3, 1)  # (after, kernel, kernel, before), as it lies
        rows = x.permute(0, 2, 3, 1)  # (n, h, w, before)
        if self.covers:
            return functional.linear(rows.flatten(1), weight.flatten(1))[..., None, None]
        if x.is_cuda:  # gathers slower than it convolves
            return super().forward(x)
        stride = self.stride[0]
        if self.kernel_size == (1, 1):
            rows = rows[:, ::stride, ::stride]
            return functional.linear(rows, weight.flatten(1)).permute(0, 3, 1, 2)
        if self.small and (dtype := _type_of_products(x)) is torch.bfloat16:
            kernels = self.weight.to(dtype)
            return PatchConvolution.apply(x.to(dtype), kernels, stride, self.padding[0])
        if self.pair:
            weight = weight.flatten(1, 2).index_select(1, _pair_taps(weight.device))
            y = functional.linear(rows.flatten(1), weight.view(4 * self.out_channels, -1))
            return y.view(-1, self.out_channels, 2, 2)
        return super().forward(x)


def _type_of_products(x: Tensor) -> torch.dtype:
    """Type in which ``x`` would be multiplied on the CPU."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _pair_taps(device: torch.device) -> Tensor:
    """Tap of a padded 3 x 3 kernel from pixel p of a 2 x 2 map to pixel q, at 4 q + p: (16,)."""
    y, x = torch.arange(4, device=device) // 2, torch.arange(4, device=device) % 2
    return (3 * (y - y[:, None] + 1) + x - x[:, None] + 1).flatten()


def attach_generator(network: nn.Module, generator: torch.Generator) -> None:
    """Let every dropout of ``network`` draw from ``generator``."""
    for module in network.modules():
        if isinstance(module, Dropout):
            module.generator = generator
