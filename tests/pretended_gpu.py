"""A GPU where there is none: it computes on the CPU, and refuses what a real one would refuse.

Tensors that were moved to it, and what is made of them, are of the class `Away`.  A function that
is given some of these beside others raises, as does ``numpy()``: a path that mixes devices fails
here as it would there.
"""

import math
from contextlib import contextmanager, nullcontext
from unittest.mock import MagicMock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from shared_geometry.networks import layers
from shared_geometry.training import capture

_GPU, _HOME = torch.device("cuda"), torch.device("cpu")
_Generator, _autocast = torch.Generator, torch.autocast
_MOVES = {torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.cuda}
_BRIDGES = {torch.Tensor.copy_, torch.Tensor.__setitem__}  # between devices, as they may


class Away(torch.Tensor):
    """A tensor on the pretended GPU."""

    def __deepcopy__(self, memo):
        twin = self.detach().clone()
        return torch.nn.Parameter(twin) if isinstance(self, torch.nn.Parameter) else twin


class AwayGenerator(_Generator):
    """A generator on the pretended GPU."""

    device = property(lambda self: _GPU)

    def __new__(cls):
        return super().__new__(cls, _HOME)


class _AnyGenerator(_Generator):
    def __new__(cls, device=_HOME):
        return AwayGenerator() if torch.device(device).type == "cuda" else _Generator(device)


def _is_device(value):
    return isinstance(value, torch.device | str)


def _goal(function, args, kwargs):
    """Whether a tensor is to go to the GPU."""
    if function is not torch.Tensor.to:
        return function is torch.Tensor.cuda
    for value in (*args[1:], kwargs.get("device"), kwargs.get("other")):
        if isinstance(value, torch.Tensor):
            return isinstance(value, Away)
        if _is_device(value):
            return torch.device(value).type == "cuda"
    return isinstance(args[0], Away)


def _tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _refuse_mixtures(function, args, kwargs, tensors, away):
    name = getattr(function, "__name__", function)
    generators = [a for a in (*args, *kwargs.values()) if isinstance(a, _Generator)]
    if any(isinstance(g, AwayGenerator) != away for g in generators):
        raise RuntimeError(f"{name}: the generator is on another device than the tensor")
    if function is torch.Tensor.numpy and away and not kwargs.get("force"):
        raise TypeError("a tensor on the GPU has no numpy(); use cpu() first")
    if function is torch.Tensor.__getitem__ and isinstance(args[0], Away):
        return  # indices may lie on the CPU
    if len({isinstance(a, Away) for a in tensors if a.dim()}) > 1:
        shapes = [(type(a).__name__, tuple(a.shape)) for a in tensors]
        raise RuntimeError(f"{name}: tensors on two devices: {shapes}")


class _Mode(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function == torch.Tensor.device.__get__ and isinstance(args[0], Away):
            return _GPU
        if function == torch.Tensor.is_cuda.__get__:
            return isinstance(args[0], Away)
        if function is torch._has_compatible_shallow_copy_type:
            return False  # modules that move get new parameters
        tensors = list(_tensors((*args, *kwargs.values())))
        away = any(isinstance(a, Away) for a in tensors)
        if function in _MOVES:
            away = _goal(function, args, kwargs)
            function = torch.Tensor.to
            args = (args[0], *(_HOME if _is_device(a) else a for a in args[1:]))
            kwargs |= {"device": _HOME} if "device" in kwargs else {}
        elif kwargs.get("device") is not None:
            away, kwargs["device"] = torch.device(kwargs["device"]).type == "cuda", _HOME
        if function not in _MOVES | _BRIDGES:
            _refuse_mixtures(function, args, kwargs, tensors, away)
        with torch._C.DisableTorchFunctionSubclass():
            found = function(*args, **kwargs)
        if function in _BRIDGES:
            return found
        kind = Away if away else torch.Tensor

        def placed(value):
            wrong = isinstance(value, torch.Tensor) and isinstance(value, Away) != away
            return value.as_subclass(kind) if wrong else value

        return tree_map(placed, found) if isinstance(found, tuple | list) else placed(found)


@contextmanager
def pretended_gpu(monkeypatch):
    """Within it ``device="cuda"`` works."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "a pretended GPU")
    # A torch that was built for GPUs has its optimisers ask the driver, which is not there.
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *_, **__: None)
    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, MagicMock())
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(capture, "WARM_UP", math.inf)  # nothing is recorded
    monkeypatch.setattr(layers, "_has_kernels", lambda: False)
    monkeypatch.setattr(torch, "Generator", _AnyGenerator)
    monkeypatch.setattr(torch, "autocast", lambda _, *args, **how: _autocast("cpu", *args, **how))
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    threads = torch.get_num_threads()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch.set_num_threads(1)  # as networks train on the CPU: the same sums in the same order
    try:
        with _Mode():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrites)
        torch.set_num_threads(threads)
