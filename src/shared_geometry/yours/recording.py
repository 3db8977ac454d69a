"""Networks of your own and images to activity: X, units x images, of every network and layer."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from shared_geometry.basics.arrays import Array, as_tensor
from shared_geometry.basics.devices import resolve_device
from shared_geometry.errors import InputError
from shared_geometry.networks.activations import draw_units
from shared_geometry.networks.hooks import Recorder
from shared_geometry.yours.inputs import mark_seen, named
from shared_geometry.yours.preparation import Numbers

_LABELS = ("labels", "label")
Layers = str | Sequence[str] | Mapping[str, str | Sequence[str]]


class _Choices(Numbers):
    """What a recording lets one choose."""

    max_units: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    seed: int


class _Batch(NamedTuple):
    """What networks are shown at once: a tensor, or their arguments by name."""

    alone: tuple[Tensor, ...]  # one, or none
    named: dict[str, Tensor]

    @property
    def parts(self) -> list[Tensor]:
        return [*self.alone, *self.named.values()]

    def described(self) -> str:
        if self.named:
            return f"with {', '.join(self.named)}"
        (x,) = self.alone
        return f"of shape {tuple(x.shape)} in {str(x.dtype).removeprefix('torch.')}"


class Recorded(dict[str, list[Tensor]]):
    """Activity by layer: for each network, in their order, an array (n_units, n_images).

    Parameters
    ----------
    activities : mapping of str to list of Tensor of shape (n_units, n_images)
        By layer, a Tensor a network.
    labels : sequence, optional
        Class of each image, where the images came with one.

    Notes
    -----
    Each array remembers which images it is of, in which order (`inputs.mark_seen`), until something
    new is computed from it.
    """

    def __init__(self, activities: Mapping[str, list[Tensor]], labels: Any = None) -> None:
        super().__init__(activities)
        self.labels = labels


def record(
    networks: nn.Module | Sequence[nn.Module],
    images: Array | Iterable,
    layers: Layers,
    *,
    max_units: int = 1000,
    batch_size: int = 100,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> Recorded:
    """Activity of torch networks in some layers, all on the same images.

    The images are gone through once, and each batch is shown to every network: a loader may shuffle
    them.  Another call would then show them in another order: what is to be compared is recorded in
    one call, or with a loader that does not shuffle.  The networks run in evaluation mode and
    without gradients; afterwards, and after an error too, they are as they were.

    Parameters
    ----------
    networks : nn.Module or sequence of nn.Module
        An ``nn.ModuleList`` is a sequence.
    images : array of shape (n_images, ...), torch data set, or iterable of batches
        A loader yields tensors, or tuples of a tensor and its labels, or mappings of a network's
        arguments by name to tensors, the labels among them as ``labels`` or ``label``.  Images in
        uint8 are divided by 255; floats are shown as they are: normalise them as the networks
        expect.
    layers : str, sequence of str, or mapping
        Paths of modules as in ``network.named_modules()``, for example ``["layer2", "fc"]``; or a
        mapping of a label to a path, or to one path for each network.  Of a module that returns
        several tensors, as those of transformers do, the first is recorded.
    max_units : int
        Of a layer with more units, each network keeps so many, drawn at random.
    batch_size : int
        Images shown at once, where ``images`` is an array or a data set.
    device : {"auto", "cpu", "cuda"} or torch.device, optional
        Where the networks run; None: where they are.
    seed : int
        Of the draws of units.

    Returns
    -------
    Recorded
        A dict of layer -> list of tensors (n_units, n_images), float32, on the CPU; its ``labels``
        are those that the loader yields second, or by name, if they are one value an image.

    Raises
    ------
    InputError
        If a number is not allowed, a layer is not in a network or runs more than once, there
        are no images, or activity is not finite: the message names network and layer.
    """
    how = _Choices(max_units=max_units, batch_size=batch_size, seed=seed)
    networks = _networks(networks)
    paths = _paths(layers, len(networks))
    place = None if device is None else resolve_device(device)

    def keep(network: int):
        return lambda label, n: draw_units(n, how.max_units, how.seed, network, label)

    with ExitStack() as stack:
        recorders = []
        for i, network in enumerate(networks):
            recorder = Recorder(network, paths[i], keep(i), name=f"network {i}")
            stack.enter_context(_placed(network, place))
            recorders.append(stack.enter_context(recorder))
        labels: list[Any] = []
        shown = hashlib.sha256()
        for batch, classes in _batches(images, how.batch_size):
            for i, recorder in enumerate(recorders):
                _feed(recorder, batch, i)
            for part in batch.parts:
                shown.update(part.detach().cpu().contiguous().view(torch.uint8).numpy().data)
            labels.append(classes)
        if not labels:
            raise InputError("images are empty: the loader yielded no batch")
    found = [recorder.activity() for recorder in recorders]
    for of_network in found:
        for activity in of_network.values():
            mark_seen(activity, shown.hexdigest())
    return Recorded({label: [x[label] for x in found] for label in paths[0]}, _joined(labels))


def _feed(recorder: Recorder, batch: _Batch, number: int) -> None:
    network = recorder.network
    try:
        recorder.feed(
            *(_as_input(part, network) for part in batch.alone),
            **{name: _as_input(part, network) for name, part in batch.named.items()},
        )
    except InputError:  # of what a layer returns
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"network {number} does not take a batch {batch.described()}: {why}"
        ) from error


def _networks(networks: nn.Module | Sequence[nn.Module]) -> list[nn.Module]:
    if isinstance(networks, nn.Module) and not isinstance(networks, nn.ModuleList):
        networks = [networks]
    if not isinstance(networks, Iterable):
        raise InputError(f"networks are a {type(networks).__name__}; give a list of nn.Modules")
    networks = list(networks)
    if not networks:
        raise InputError("there are no networks to record; expected one or more")
    for i, network in enumerate(networks):
        if not isinstance(network, nn.Module):
            raise InputError(f"network {i} is a {type(network).__name__}; expected an nn.Module")
        for j in range(i):
            if networks[j] is network:
                raise InputError(f"networks {j} and {i} are one and the same object")
    return networks


def _paths(layers: Layers, n_networks: int) -> list[dict[str, str]]:
    """Label -> module path of each layer, for each network."""
    if isinstance(layers, str):
        layers = [layers]
    if not isinstance(layers, Iterable):
        raise InputError(f"layers are a {type(layers).__name__}; give the paths of modules")
    if not isinstance(layers, Mapping):
        layers = {path: path for path in layers}
    if not layers:
        raise InputError("layers are empty; expected the paths of one module or more")
    each = {}
    for label, paths in named(layers).items():
        each[label] = [paths] * n_networks if isinstance(paths, str) else paths
        if not isinstance(paths, Sequence) or not all(isinstance(p, str) for p in paths):
            raise InputError(
                f"layer {label!r} is at {paths!r}; give the path of a module as text, or one for "
                "each network"
            )
    for label, paths in each.items():
        if len(paths) != n_networks:
            raise InputError(
                f"layer {label!r} has {len(paths)} paths for {n_networks} networks; expected one "
                "for all, or one for each"
            )
    return [{label: paths[i] for label, paths in each.items()} for i in range(n_networks)]


@contextmanager
def _placed(network: nn.Module, device: torch.device | None) -> Iterator[None]:
    """The network on ``device`` for as long as the block lasts; None: where it is."""
    home = _home(network).device
    try:
        if device is not None:
            network.to(device)
        yield
    finally:
        if device is not None:
            network.to(home)


def _home(network: nn.Module) -> Tensor:
    """A tensor of the network's floating point type, where the network is."""
    held = [*network.parameters(), *network.buffers()]
    floating = [tensor for tensor in held if tensor.is_floating_point()]
    return (floating or held or [torch.empty(0)])[0]


def _as_input(x: Tensor, network: nn.Module) -> Tensor:
    home = _home(network)
    if x.dtype == torch.uint8:
        return x.to(home.device, torch.float32).div_(255).to(home.dtype)
    return x.to(home if x.is_floating_point() else home.device)


def _batches(images: Array | Iterable, size: int) -> Iterator[tuple[_Batch, Any]]:
    """Batches of images and their labels (None where there are none)."""
    if isinstance(images, np.ndarray | Tensor):
        if images.ndim < 2:
            raise InputError(f"images of shape {tuple(images.shape)}: expected (n_images, ...)")
        images = as_tensor(images).split(size) if len(images) else ()
    if isinstance(images, Dataset):
        images = DataLoader(images, batch_size=size)
    try:
        images = iter(images)
    except TypeError:
        raise InputError(
            f"images are a {type(images).__name__}; expected an array (n_images, ...), or a loader "
            "of batches"
        ) from None
    for number, given in enumerate(images):
        batch, labels = _parted(given)
        least = 1 if batch.named else 2  # dimensions: an argument may be one number an image
        if not batch.parts or not all(
            isinstance(part, Tensor) and part.dim() >= least for part in batch.parts
        ):
            raise InputError(
                f"batch {number} of the images is a {_kind(given)}; expected a tensor "
                "(n_images, ...), a tuple of one and its labels, or a mapping of names to tensors"
            )
        sizes = {len(as_tensor(part)) for part in batch.parts}
        if len(sizes) > 1:
            held = ", ".join(f"{name} of {len(part)}" for name, part in batch.named.items())
            raise InputError(f"batch {number} holds {held} images; expected equally many")
        if n_images := sizes.pop():
            yield batch, _one_each(labels, n_images)


def _parted(batch: Any) -> tuple[_Batch, Any]:
    """A batch and its labels, as a loader yields them."""
    if isinstance(batch, Mapping):
        named = {str(name): part for name, part in batch.items() if name not in _LABELS}
        return _Batch((), named), next((batch[name] for name in _LABELS if name in batch), None)
    if not isinstance(batch, tuple | list) or not batch:
        return _Batch((batch,), {}), None
    return _Batch((batch[0],), {}), batch[1] if len(batch) > 1 else None


def _kind(batch: Any) -> str:
    shape = f" of shape {tuple(batch.shape)}" if hasattr(batch, "shape") else ""
    return f"{type(batch).__name__}{shape}"


def _one_each(labels: Any, n_images: int) -> np.ndarray | None:
    """Labels of a batch as an array, if there is one value an image."""
    if isinstance(labels, Tensor):
        labels = labels.numpy(force=True)
    if not isinstance(labels, np.ndarray | tuple | list):
        return None
    try:
        labels = np.asarray(labels)
    except ValueError:  # ragged
        return None
    return labels if labels.shape == (n_images,) else None


def _joined(labels: list[np.ndarray | None]) -> np.ndarray | None:
    return None if any(part is None for part in labels) else np.concatenate(labels)
