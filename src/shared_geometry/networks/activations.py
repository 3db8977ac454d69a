"""A network and images to X, units x examples, for each recorded layer."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from shared_geometry.basics.arrays import Array, as_tensor, like, within_range
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.datasets import normalise
from shared_geometry.errors import InputError
from shared_geometry.networks.architectures import recorded_layers
from shared_geometry.networks.hooks import Recorder


def draw_units(n_units: int, max_units: int, seed: int, network: int, layer: str) -> Tensor:
    """Units of a layer that are kept: all, or ``max_units`` drawn at random without replacement.

    Parameters
    ----------
    n_units : int
        Units in the layer.
    max_units : int
    seed : int
    network, layer : int, str
        Every network draws units of its own in every layer.

    Returns
    -------
    Tensor of shape (min(n_units, max_units),), int64
        Rising indices.

    Raises
    ------
    InputError
        If either number is below 1.
    """
    if n_units < 1 or max_units < 1:
        raise InputError(f"cannot draw {max_units} of {n_units} units: both must be 1 or more")
    if n_units <= max_units:
        return torch.arange(n_units)
    generator = torch_generator(seed, "units", network, str(layer))
    return torch.randperm(n_units, generator=generator)[:max_units].sort().values


def layer_sizes(
    network: nn.Module,
    image_shape: tuple[int, int, int],
    layers: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Number of units in each of ``layers`` for images of shape (c, h, w).

    Parameters
    ----------
    network : nn.Module
    image_shape : tuple of int
    layers : mapping of str to str, optional
        Label and module path; None: those of `recorded_layers`.

    Returns
    -------
    dict of str to int
        By label, in the order of ``layers``.

    Raises
    ------
    InputError
        If a layer is unknown, or ResNet18 was built for images of another size.
    """
    sizes: dict[str, int] = {}

    def count(label: str, n_units: int) -> Tensor:
        sizes[label] = n_units
        return torch.arange(0)

    layers = recorded_layers(network) if layers is None else layers
    with Recorder(network, layers, count) as recorder:
        recorder.feed(torch.zeros(1, *image_shape, device=next(network.parameters()).device))
    return {label: sizes[label] for label in layers}


def record_activations(
    network: nn.Module,
    images: Tensor,
    layers: Mapping[str, str],
    *,
    mean_image: Tensor,
    units: Mapping[str, Tensor] | None = None,
    batch_size: int = 500,
    device: torch.device | str = "cpu",
    home: torch.device | str = "cpu",
    name: str = "the network",
) -> dict[str, Tensor]:
    """Activity of a network in some layers, in evaluation mode and float32.

    Parameters
    ----------
    network : nn.Module
    images : Tensor of shape (n_images, c, h, w), uint8
        Normalised here, as in training.
    layers : mapping of str to str
        Label and module path of each layer (see `recorded_layers`).
    mean_image : Tensor of shape (c, h, w)
        Of the training images.
    units : mapping of str to Tensor, optional
        Indices of the units to keep in a layer, flattened (c, h, w); a layer without an entry
        keeps all.
    batch_size : int
    device : torch.device or str
        Where to compute; the network is left there.
    home : torch.device or str
        Where activity is gathered.
    name : str
        What to call the network in an error.

    Returns
    -------
    dict of str to Tensor of shape (n_units, n_images), float32, at ``home``

    Raises
    ------
    InputError
        If a layer is unknown, or its activity is not finite.
    """
    device = torch.device(device)
    network = network.to(device, memory_format=torch.channels_last)
    mean = mean_image.to(device)
    kept = {label: rows.to(device) for label, rows in (units or {}).items()}
    with Recorder(network, layers, lambda label, _: kept.get(label), name, home) as recorder:
        for part in images.split(batch_size):
            recorder.feed(normalise(part.to(device), mean))
    return recorder.activity()


def standardise(X: Array) -> Array:
    """Each example across units: mean 0 and variance 1 in every column of X.

    Parameters
    ----------
    X : array of shape (..., n_units, n_images)

    Returns
    -------
    array of the same shape and type
        A column whose units are all equal has no pattern, and becomes zeros.

    Raises
    ------
    InputError
        If X holds NaN or infinite values.
    """
    x = as_tensor(X)
    if x.dim() < 2 or not x.is_floating_point():
        raise InputError(f"X of shape {tuple(x.shape)} and type {x.dtype} is not units x examples")
    if not x.isfinite().all():
        raise InputError("X holds NaN or infinite values")
    peak = x.abs().amax(-2, keepdim=True)
    if (scaled := within_range(x, peak)) is not x:
        x, peak = scaled, scaled.abs().amax(-2, keepdim=True)
    centred = x - x.mean(-2, keepdim=True)
    sd = centred.square().mean(-2, keepdim=True).sqrt()
    # what rounding leaves of a constant column
    floor = 8 * torch.finfo(x.dtype).eps * peak
    return like(torch.where(sd > floor, centred / sd, torch.zeros_like(centred)), X)
