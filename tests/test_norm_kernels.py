"""Kernels for a GPU, run there if there is one; else by Triton's interpreter, where it is."""

import os

import pytest
import torch
from torch.nn import functional

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton", reason="Triton, which draws up kernels for GPUs, is not installed")

from shared_geometry.networks.norm_kernels import norm_relu  # noqa: E402


@pytest.mark.parametrize(
    ("shape", "dtype", "offset"),
    [
        ((8, 64, 8, 8), torch.float32, 0.0),
        ((5, 20, 3, 3), torch.float32, 30.0),
        ((32, 512, 1, 1), torch.float32, 0.0),
        ((33, 16, 16, 16), torch.float32, -1.0),
        ((16, 64, 16, 16), torch.bfloat16, 3.0),
    ],
)
def test_it_is_torch_s_batchnorm_with_its_relu(shape, dtype, offset):
    generator = torch.Generator().manual_seed(0)

    def drawn(*size):
        return torch.randn(*size, generator=generator).to(DEVICE)

    x = (2 * drawn(*shape) + offset).to(dtype).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    weight, bias = (drawn(shape[1]).requires_grad_() for _ in range(2))
    running = drawn(shape[1]), drawn(shape[1]).square()
    expected_running = [a.clone() for a in running]
    y = norm_relu(x, weight, bias, *running, 0.1, 1e-3)
    direction = drawn(*shape).to(dtype)
    found = torch.autograd.grad(y, (x, weight, bias), direction)
    plain = functional.batch_norm(x.float(), *expected_running, weight, bias, True, 0.1, 1e-3)
    expected_y = plain.relu()
    expected = torch.autograd.grad(expected_y, (x, weight, bias), direction.float())
    near = 8e-3 if dtype is torch.bfloat16 else 1e-5
    pairs = zip((y, *running, *found), (expected_y, *expected_running, *expected), strict=True)
    for mine, theirs in pairs:
        assert (mine.float() - theirs).abs().max() <= near * theirs.abs().max()
    assert y.dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
