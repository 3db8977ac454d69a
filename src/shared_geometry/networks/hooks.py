"""Hooks that gather what some layers of a network do while it sees images."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from typing import Self

import torch
from torch import Tensor, nn

from shared_geometry.basics.arrays import as_tensor
from shared_geometry.errors import InputError


def _module(network: nn.Module, path: str, where: str) -> nn.Module:
    """The module that a dotted path leads to; an error says which paths look like it."""
    modules = {known: module for known, module in network.named_modules() if known}
    if path in modules:
        return modules[path]
    plain = {_unwrapped(known): module for known, module in modules.items()}
    if path in plain:
        return plain[path]
    near = get_close_matches(str(path), modules, n=3, cutoff=0.5)
    advice = f"did you mean {' or '.join(map(repr, near))}?" if near else _known(list(modules))
    raise InputError(f"{where}: it has no module {path!r}; {advice}")


def _unwrapped(path: str) -> str:
    """A module's path without what `DataParallel` and `torch.compile` put around modules."""
    names = [name for name in path.split(".") if name != "_orig_mod"]
    return ".".join(names[1:] if names[:1] == ["module"] else names)


def _first(output: object) -> object:
    """Of several things that a module returns, the first: with a transformer's, its activity."""
    if isinstance(output, Mapping):
        output = tuple(output.values())
    return output[0] if isinstance(output, tuple | list) and output else output


def _known(paths: list[str], most: int = 8) -> str:
    dots = ", …" if len(paths) > most else ""
    return f"it has {', '.join(paths[:most]) or 'none at all'}{dots}"


@contextmanager
def _as_written() -> Iterator[None]:
    """Have modules run as they are written: compiled code and fused layers pass hooks by."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    compiles = "torch._dynamo" in sys.modules  # it takes a second to load
    try:
        with torch.compiler.set_stance("force_eager") if compiles else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


class Recorder:
    """Gathers one network's activity in some layers, batch by batch, while its block lasts.

    In the block the network is in evaluation mode and its layers carry hooks; afterwards, and after
    an error too, every module is in the mode that it was in, and the hooks are gone.

    Parameters
    ----------
    network : nn.Module
    layers : mapping of str to str
        Label and module path of each layer.
    keep : callable
        ``keep(label, n_units)``: indices of the units to keep of a layer, flattened; None: all.
    name : str
        What to call the network in an error.
    home : torch.device or str
        Where activity is gathered.

    Raises
    ------
    InputError
        If a layer is not in the network, or cannot be watched.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Mapping[str, str],
        keep: Callable[[str, int], Tensor | None] = lambda label, n_units: None,
        name: str = "the network",
        home: torch.device | str = "cpu",
    ) -> None:
        self.network, self.keep, self.name, self.home = network, keep, name, home
        self.modules = {
            label: _module(network, path, f"layer {label!r} is not in {name}")
            for label, path in layers.items()
        }
        for label, module in self.modules.items():
            if isinstance(module, torch.jit.ScriptModule):
                raise InputError(
                    f"layer {label!r} of {name} is a {type(module).__name__}, which cannot be "
                    "watched; give the module that it was made from"
                )
        self.parts: dict[str, list[Tensor]] = {label: [] for label in layers}
        self.sizes: dict[str, int] = {}  # units, before any are drawn
        self.units: dict[str, Tensor | None] = {}
        self.reached: set[str] | None = None  # layers, by the present batch; None: there is none

    def __enter__(self) -> Self:
        self.modes = [(module, module.training) for module in self.network.modules()]
        self.network.eval()
        self.handles = [
            module.register_forward_hook(
                lambda _module, _inputs, output, label=label: self._take(label, output)
            )
            for label, module in self.modules.items()
        ]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()
        for module, training in self.modes:
            module.training = training

    def _take(self, label: str, output: object) -> None:
        if self.reached is None:  # another network runs a module that both hold
            return
        where = f"layer {label!r} of {self.name}"
        given, output = output, _first(output)
        if not isinstance(output, Tensor) or output.dim() == 0:
            raise InputError(
                f"{where} returns a {type(given).__name__}; choose a module that returns a "
                "tensor, images first"
            )
        if label in self.reached:
            raise InputError(f"{where} runs more than once for an image; choose one that runs once")
        self.reached.add(label)
        output = as_tensor(output)
        if output.is_complex():
            raise InputError(f"{where} returns complex numbers; choose a module that returns real")
        activity = output.detach().flatten(1) if output.dim() > 1 else output.detach()[:, None]
        n_units = activity.shape[1]
        if self.sizes.setdefault(label, n_units) != n_units:
            raise InputError(
                f"{where} has {self.sizes[label]} units for the first images and {n_units} for "
                "these; give images of one size"
            )
        if label not in self.units:
            self.units[label] = self.keep(label, n_units)
        if (rows := self.units[label]) is not None:
            activity = activity.index_select(1, rows.to(activity.device))
        # a copy: the network goes on to overwrite its activity in place
        self.parts[label].append(activity.to(self.home, torch.float32, copy=True))

    @torch.no_grad()
    def feed(self, *images: Tensor, **named: Tensor) -> None:
        """Show the network a batch of images, each layer once.

        Parameters
        ----------
        *images, **named : Tensor of shape (n_images, ...)
            The network's arguments, one or more.

        Raises
        ------
        InputError
            If a layer does not return a tensor (alone, or before others), an image a row, and that
            exactly once; or another number of units than for the first images.
        """
        self.reached = set()
        with _as_written():
            self.network(*images, **named)
        n_images = len(next(iter((*images, *named.values()))))
        reached, self.reached = self.reached, None
        for label, parts in self.parts.items():
            where = f"layer {label!r} of {self.name}"
            if label not in reached:
                raise InputError(f"{where} is not reached by an image")
            if len(parts[-1]) != n_images:
                raise InputError(
                    f"{where} returns {len(parts[-1])} rows for {n_images} images; choose a "
                    "module whose output has an image a row"
                )

    def activity(self) -> dict[str, Tensor]:
        """What was gathered: (n_units, n_images) in float32 at home, for each layer.

        Raises
        ------
        InputError
            If activity is not finite.
        """
        found = {}
        for label, parts in self.parts.items():
            found[label] = torch.cat(parts).T.contiguous()
            parts.clear()
            if not found[label].isfinite().all():
                raise InputError(
                    f"activity of {self.name} in layer {label!r} is not finite (NaN or infinite)"
                )
        return found
