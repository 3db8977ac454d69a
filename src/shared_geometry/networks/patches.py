"""Convolution of small maps on a CPU in bfloat16, as a product of matrices.

There oneDNN's gradient of a kernel takes several times as long as the product that it is.
"""

import torch
from torch import Tensor
from torch.nn import functional


def _patches(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """What every output pixel sees, (n * h' * w', kernel * kernel * c), of maps (n, c, h, w)."""
    border = 2 * (padding, padding)
    rows = functional.pad(x.permute(0, 2, 3, 1), (0, 0, *border)).contiguous()
    n, height, width, channels = rows.shape
    after = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    image, line, pixel, _ = rows.stride()
    strides = image, stride * line, stride * pixel, line, 1
    windows = rows.as_strided((n, *after, kernel, kernel * channels), strides)
    return windows.reshape(-1, kernel * kernel * channels)


class PatchConvolution(torch.autograd.Function):
    """``conv2d(x, weight, stride=stride, padding=padding)`` for square maps and kernels."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        """Maps (n, c, h, h) by weights (c', c, k, k) to (n, c', h', h')."""
        out, _, kernel, _ = weight.shape
        seen = _patches(x, kernel, stride, padding)
        ctx.save_for_backward(x, weight, seen)
        ctx.settings = stride, padding
        after = (x.shape[-1] + 2 * padding - kernel) // stride + 1
        y = seen @ weight.permute(0, 2, 3, 1).flatten(1).t()
        return y.view(len(x), after, after, out).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Gradients of the maps and of the weights."""
        x, weight, seen = ctx.saved_tensors
        stride, padding = ctx.settings
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = torch.ops.aten.convolution_backward(
                gradient,
                x,
                weight,
                None,
                (stride, stride),
                (padding, padding),
                (1, 1),
                False,
                (0, 0),
                1,
                (True, False, False),
            )[0]
        if ctx.needs_input_grad[1]:
            out, channels, kernel, _ = weight.shape
            rows = gradient.permute(0, 2, 3, 1).reshape(-1, out)
            product = (rows.t() @ seen).view(out, kernel, kernel, channels)
            of_weight = product.permute(0, 3, 1, 2)
        return of_x, of_weight, None, None
