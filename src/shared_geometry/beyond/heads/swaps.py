"""One layer of a population, every unit of it, and the ways from each network to every head."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.beyond.heads.stitches import (
    Ridge,
    best_penalty,
    permutation,
    principal_axes,
    rotation,
    through,
)
from shared_geometry.datasets import mean_image, split_alignment
from shared_geometry.experiment.nulls import random_order
from shared_geometry.experiment.plan import Plan
from shared_geometry.networks.activations import record_activations
from shared_geometry.networks.stitching import accuracy, channels, run_from
from shared_geometry.srm import SRM
from shared_geometry.srm.products import power

AXES = 1000  # of a larger layer, each network's own strongest directions are aligned
JUDGED = 500  # held-out images that the heads name
_PART = 1000  # images that are recorded at once
AT_ONCE = 2**22  # numbers of a layer's maps kept of a network, for alignments channel by channel

# From network a's activity to what head b is given, units x images.
Way = Callable[[int], Callable[[int], Tensor]]


class Layer(NamedTuple):
    """One layer of all networks, all units, unit means over the alignment images subtracted."""

    label: str
    heads: list[nn.Module]  # the networks
    classes: Tensor  # (n_judged,), of the held-out images
    mean: list[Tensor]  # (n_units, 1)
    axes: list[Tensor | None]  # (n_units, k); None: the units themselves
    fitted: list[Tensor]  # (k, n_alignment), in those axes, images in random order
    unseen: list[Tensor]  # (k, n_judged), in those axes
    maps: list[Tensor]  # (n_units, n_kept), the first alignment images
    held_out: list[Tensor]  # (n_units, n_judged)
    share: list[float]  # of the alignment images' variance that lies in the axes

    @property
    def channels(self) -> int:
        """Channels of the layer."""
        return channels(self.heads[0], self.label)

    @property
    def units(self) -> int:
        """Units of the layer: channels times places."""
        return len(self.mean[0])


def chosen_images(it: Plan) -> tuple[Tensor, Tensor]:
    """Alignment images in random order, and evenly spaced held-out images: indices."""
    config = it.config
    fit, rest = split_alignment(it.data.test.labels, config.alignment_fraction, config.seed)
    order = random_order(len(fit), config.seed, "heads", "images")
    step = max(1.0, len(rest) / JUDGED)
    judged = torch.arange(min(len(rest), JUDGED), dtype=torch.float64).mul(step).long()
    return fit[order], rest[judged]


def record_layer(it: Plan, heads: Sequence[nn.Module], label: str) -> Layer:
    """All units of a layer, one network after the other: only one is in memory whole.

    Parameters
    ----------
    it : Plan
    heads : sequence of nn.Module
        Its trained networks.
    label : str
        One of ``it.layers``.
    """
    fit, judged = chosen_images(it)
    images, m = it.data.test.images[torch.cat([fit, judged])], len(fit)
    mean, device = mean_image(it.data.train.images), resolve_device(it.config.device)
    layers = {label: it.layers[label]}
    found = Layer(label, list(heads), it.data.test.labels[judged], [], [], [], [], [], [], [])
    for i, network in enumerate(heads):
        generator = torch_generator(it.config.seed, "heads", "axes", label, i)
        x = torch.empty(it.sizes[label], len(images), device=device)
        for part in torch.arange(len(images)).split(_PART):  # a copy of a part, not of all
            how = {"mean_image": mean, "device": device, "name": f"network {i}"}
            x[:, part] = record_activations(network, images[part], layers, **how)[label].to(x)
        _add(found, x, m, generator)
    return found


def _add(layer: Layer, x: Tensor, m: int, generator: torch.Generator) -> None:
    mean = x[:, :m].mean(1, keepdim=True)
    x -= mean
    k = min(len(x), m - 1, AXES)
    axes = None if k == len(x) else principal_axes(x[:, :m], k, generator)
    inside = x if axes is None else axes.mT @ x
    whole, held = power(x[:, :m]).item(), power(inside[:, :m]).item()
    kept = max(1, min(m, AT_ONCE // len(x)))
    layer.mean.append(mean)
    layer.axes.append(axes)
    layer.fitted.append(inside[:, :m])
    layer.unseen.append(inside[:, m:])
    layer.maps.append(x[:, :kept].clone())
    layer.held_out.append(x[:, m:].clone())
    layer.share.append(held / whole if whole else 1.0)


def _lifted(layer: Layer, b: int, y: Tensor) -> Tensor:
    """Activity of all units of network b from its coordinates."""
    return layer.mean[b] + (y if layer.axes[b] is None else layer.axes[b] @ y)


def no_way(layer: Layer) -> Way:
    """Activity as it is."""
    return lambda a: lambda b: layer.mean[a] + layer.held_out[a]


def rotations(layer: Layer, m: int | None = None) -> Way:
    r"""Into the space of all networks and out of it, :math:`W_b W_a^\top`, from m images."""
    x = [fitted[:, :m] for fitted in layer.fitted]
    model = SRM(min(len(x[0]), x[0].shape[1] - 1)).fit(x)
    return lambda a: lambda b: _lifted(layer, b, rotation(model, a, b)(layer.unseen[a]))


def linear_maps(layer: Layer, m: int | None = None) -> Way:
    """Ridge regression from network to network, from m images."""
    x = [fitted[:, :m] for fitted in layer.fitted]
    penalty = best_penalty(x)

    def way(a: int) -> Callable[[int], Tensor]:
        ridge = Ridge(x[a])
        return lambda b: _lifted(layer, b, ridge.onto(x[b], penalty)(layer.unseen[a]))

    return way


def channel_rotations(layer: Layer, m: int | None = None) -> Way:
    """One rotation of the channels, the same at every place, from m images at most."""
    x, shift = _by_channel(layer, m)
    model = SRM(center=False).fit(x)
    return _channel_way(layer, shift, lambda a, b: rotation(model, a, b).matrix)


def permutations(layer: Layer, m: int | None = None) -> Way:
    """One permutation of the channels, the same at every place, from m images at most."""
    x, shift = _by_channel(layer, m)

    @cache
    def matched(a: int, b: int) -> Tensor:
        return permutation(x[a], x[b]).matrix

    def matrix(a: int, b: int) -> Tensor:
        return matched(a, b) if a <= b else matched(b, a).mT

    return _channel_way(layer, shift, matrix)


def _by_channel(layer: Layer, m: int | None) -> tuple[list[Tensor], list[Tensor]]:
    """Activity as channels x (places x images), and the unit means that it is counted from."""
    maps = [x[:, :m] for x in layer.maps]
    shift = [x.mean(1, keepdim=True) for x in maps]
    centred = [x - mean for x, mean in zip(maps, shift, strict=True)]
    return [x.reshape(layer.channels, -1) for x in centred], shift


def _channel_way(layer: Layer, shift: list[Tensor], matrix: Callable[[int, int], Tensor]) -> Way:
    def way(a: int) -> Callable[[int], Tensor]:
        x = (layer.held_out[a] - shift[a]).reshape(layer.channels, -1)
        after = [mean + more for mean, more in zip(layer.mean, shift, strict=True)]
        return lambda b: after[b] + (matrix(a, b) @ x).reshape(layer.units, -1)

    return way


def newcomer(layer: Layer, a: int) -> Way:
    """Network a, which the fit has not seen, into a space that is not fitted anew."""
    others = [i for i in range(len(layer.heads)) if i != a]
    model = SRM().fit([layer.fitted[i] for i in others])
    w, mean = model.transform_network(layer.fitted[a]), layer.fitted[a].mean(1)

    def to(b: int) -> Tensor:
        place = others.index(b)
        stitch = through(w, mean, model.w_[place], model.mean_[place])
        return _lifted(layer, b, stitch(layer.unseen[a]))

    return lambda _: to


WAYS: dict[str, Callable[..., Way]] = {
    "rotation": rotations,
    "linear map": linear_maps,
    "rotation of channels": channel_rotations,
    "permutation of channels": permutations,
}
BY_CHANNEL = ("rotation of channels", "permutation of channels")


def accuracies(layer: Layer, way: Way, pairs: Iterable[tuple[int, int]]) -> Tensor:
    """Accuracy of head b on activity of network a, for each pair (a, b); NaN for other pairs.

    Returns
    -------
    Tensor of shape (n_networks, n_networks), float64
    """
    n = len(layer.heads)
    found = torch.full((n, n), torch.nan, dtype=torch.float64)
    sources: dict[int, list[int]] = {}
    for a, b in pairs:
        sources.setdefault(a, []).append(b)
    for a, targets in sources.items():
        to = way(a)
        for b in targets:
            found[a, b] = accuracy(run_from(layer.heads[b], layer.label, to(b)), layer.classes)
    return found
