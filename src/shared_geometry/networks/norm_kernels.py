"""BatchNorm and ReLU of a training step in one kernel on a GPU, and their gradient in another.

torch takes seven: between small convolutions, they would be most of a step.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_CHANNELS = 16  # of a program: 32 bytes of a pixel
_PIXELS = 512  # of a program at a time, at most


@triton.jit
def _tile(
    start,
    channel,
    n_pixels: tl.constexpr,
    n_channels: tl.constexpr,
    PIXELS: tl.constexpr,
):
    """Where the pixels from ``start`` on lie, (pixels, channels), and which of them there are."""
    pixel = start + tl.arange(0, PIXELS)
    inside = (pixel < n_pixels)[:, None] & (channel < n_channels)[None, :]
    return pixel[:, None] * n_channels + channel[None, :], inside


@triton.jit
def _through_relu(x_ptr, dy_ptr, at, inside, mean, scale, weight, bias):
    """Standardised activity, and the gradient that the ReLU lets through."""
    x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
    dy = tl.load(dy_ptr + at, mask=inside, other=0.0).to(tl.float32)
    unit = (x - mean[None, :]) * scale[None, :]
    return unit, tl.where(unit * weight[None, :] + bias[None, :] > 0, dy, 0.0)


@triton.jit
def _forward(
    x_ptr,
    y_ptr,
    weight_ptr,
    bias_ptr,
    running_mean_ptr,
    running_var_ptr,
    mean_ptr,
    scale_ptr,
    n_pixels: tl.constexpr,
    n_channels: tl.constexpr,
    momentum,
    eps,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < n_channels
    first = tl.load(x_ptr + channel, mask=known, other=0.0).to(tl.float32)
    sums = tl.zeros((PIXELS, CHANNELS), tl.float32)
    squares = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for start in range(0, n_pixels, PIXELS):
        at, inside = _tile(start, channel, n_pixels, n_channels, PIXELS)
        x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        moved = tl.where(inside, x - first[None, :], 0.0)  # squares of what is far from 0 cancel
        sums += moved
        squares += moved * moved
    offset = tl.sum(sums, 0) / n_pixels
    var = tl.maximum(tl.sum(squares, 0) / n_pixels - offset * offset, 0.0)
    mean = first + offset
    scale = 1.0 / tl.sqrt(var + eps)
    tl.store(mean_ptr + channel, mean, mask=known)
    tl.store(scale_ptr + channel, scale, mask=known)
    old_mean = tl.load(running_mean_ptr + channel, mask=known, other=0.0)
    old_var = tl.load(running_var_ptr + channel, mask=known, other=0.0)
    unbiased = var * n_pixels / (n_pixels - 1)
    tl.store(running_mean_ptr + channel, old_mean + momentum * (mean - old_mean), mask=known)
    tl.store(running_var_ptr + channel, old_var + momentum * (unbiased - old_var), mask=known)
    weight = tl.load(weight_ptr + channel, mask=known, other=0.0)
    bias = tl.load(bias_ptr + channel, mask=known, other=0.0)
    for start in range(0, n_pixels, PIXELS):
        at, inside = _tile(start, channel, n_pixels, n_channels, PIXELS)
        x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        y = (x - mean[None, :]) * scale[None, :] * weight[None, :] + bias[None, :]
        tl.store(y_ptr + at, tl.maximum(y, 0.0).to(y_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _backward(
    x_ptr,
    dy_ptr,
    dx_ptr,
    weight_ptr,
    bias_ptr,
    mean_ptr,
    scale_ptr,
    dweight_ptr,
    dbias_ptr,
    n_pixels: tl.constexpr,
    n_channels: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < n_channels
    mean = tl.load(mean_ptr + channel, mask=known, other=0.0)
    scale = tl.load(scale_ptr + channel, mask=known, other=0.0)
    weight = tl.load(weight_ptr + channel, mask=known, other=0.0)
    bias = tl.load(bias_ptr + channel, mask=known, other=0.0)
    sums = tl.zeros((PIXELS, CHANNELS), tl.float32)
    products = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for start in range(0, n_pixels, PIXELS):
        at, inside = _tile(start, channel, n_pixels, n_channels, PIXELS)
        unit, passed = _through_relu(x_ptr, dy_ptr, at, inside, mean, scale, weight, bias)
        sums += passed
        products += passed * unit
    dbias = tl.sum(sums, 0)
    dweight = tl.sum(products, 0)
    tl.store(dbias_ptr + channel, dbias, mask=known)
    tl.store(dweight_ptr + channel, dweight, mask=known)
    for start in range(0, n_pixels, PIXELS):
        at, inside = _tile(start, channel, n_pixels, n_channels, PIXELS)
        unit, passed = _through_relu(x_ptr, dy_ptr, at, inside, mean, scale, weight, bias)
        rest = passed - (dbias[None, :] + unit * dweight[None, :]) / n_pixels
        dx = rest * (scale * weight)[None, :]
        tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), mask=inside)


def _blocks(x: Tensor) -> tuple[int, int, tuple[int], dict[str, int]]:
    """Pixels, channels, the grid of programs, and the size of a program's blocks."""
    n_channels = x.shape[1]
    n_pixels = x.numel() // n_channels
    pixels = max(16, min(_PIXELS, triton.next_power_of_2(n_pixels)))
    blocks = {"PIXELS": pixels, "CHANNELS": _CHANNELS, "num_warps": 8 if pixels > 256 else 4}
    return n_pixels, n_channels, (triton.cdiv(n_channels, _CHANNELS),), blocks


class _NormReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, running_mean, running_var, momentum, eps):
        x = x.contiguous(memory_format=torch.channels_last)
        y, mean, scale = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)
        n_pixels, n_channels, grid, blocks = _blocks(x)
        _forward[grid](
            x,
            y,
            weight,
            bias,
            running_mean,
            running_var,
            mean,
            scale,
            n_pixels,
            n_channels,
            momentum,
            eps,
            **blocks,
        )
        ctx.save_for_backward(x, weight, bias, mean, scale)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, weight, bias, mean, scale = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx, dweight, dbias = (torch.empty_like(a) for a in (x, weight, bias))
        n_pixels, n_channels, grid, blocks = _blocks(x)
        _backward[grid](
            x,
            dy,
            dx,
            weight,
            bias,
            mean,
            scale,
            dweight,
            dbias,
            n_pixels,
            n_channels,
            **blocks,
        )
        return dx, dweight, dbias, None, None, None, None


def norm_relu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> Tensor:
    """ReLU of BatchNorm over a batch, as ``functional.batch_norm(..., training=True)`` has it.

    Parameters
    ----------
    x : Tensor of shape (n, channels, h, w)
        On a GPU; quickest in ``channels_last``.
    weight, bias, running_mean, running_var : Tensor of shape (channels,), float32
        The running statistics are updated.
    momentum, eps : float

    Returns
    -------
    Tensor of the shape and type of ``x``, in ``channels_last``
    """
    return _NormReLU.apply(x, weight, bias, running_mean, running_var, momentum, eps)
