"""Where to compute, and in which precision."""

import os
import platform
import sys
from pathlib import Path

import torch

from shared_geometry.errors import InputError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Device of that name; ``"auto"`` is the GPU where there is one.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"} or torch.device

    Raises
    ------
    InputError
        If the name is none of these (``"cuda:1"`` counts as cuda), or no GPU can be used.
    """
    name = str(device)
    if name.partition(":")[0] not in DEVICES:
        raise InputError(f"device={name!r} is not allowed: auto, cpu or cuda")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(
            f"device={name!r} is not allowed here: torch finds no GPU; use cpu or auto"
        )
    return torch.device(name)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies matrices in bfloat16 (elsewhere it is emulated, slowly)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported is not None and supported())


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Type in which networks train on ``device``.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        ``"auto"`` is bfloat16 where the hardware has it, else float32.
    device : torch.device

    Raises
    ------
    InputError
        If the name is none of these.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision={precision!r} is not allowed: auto, float32 or bfloat16")
    if precision == "auto":
        precision = "bfloat16" if has_fast_bfloat16(device) else "float32"
    return getattr(torch, precision)


def named_precision(precision: str, device: str) -> str:
    """Name of the type in which networks train on a device, which need not be here if it is given.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
    device : {"auto", "cpu", "cuda"}

    Raises
    ------
    InputError
        If ``precision`` is none of these, or it is ``"auto"`` and the device cannot be used here.
    """
    here = resolve_device(device) if precision == "auto" else torch.device("cpu")
    return str(resolve_precision(precision, here)).removeprefix("torch.")


def flushes_subnormals() -> bool:
    """Whether this thread takes numbers too small for full precision as zero."""
    return sys.float_info.min / 2 == 0.0


def usable_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe_hardware() -> str:
    """The processor, the cores this process may use, and the GPU if there is one."""
    text = f"{_processor()}, {usable_cores()} cores"
    if torch.cuda.is_available():
        text += f", {torch.cuda.get_device_name()}"
    return text
