r"""A network cut at a layer: its head, the layers behind the cut, run on any activity.

With :math:`f_B = h_B \circ x_B`, where :math:`x_B` is the activity that network B has in a layer
and :math:`h_B` all that follows, `run_from` is :math:`h_B`.  Fed with activity of another network
it is what Lenc and Vedaldi (2015) call a stitched network.
"""

from collections.abc import Callable
from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared_geometry.errors import InputError
from shared_geometry.networks.architectures import ConvNet, ResNet18, recorded_layers

# The module whose output channels a recorded module passes on, where it has none of its own.
_BEFORE = {"pool1": "conv2", "pool2": "conv4"}


def undo_norm(norm: nn.BatchNorm2d, h: Tensor) -> Tensor:
    r"""What went into a BatchNorm in evaluation mode, from what came out of it.

    .. math:: x = \mu + \frac{\sqrt{\sigma^2 + \epsilon}}{\gamma} (h - \beta)

    Parameters
    ----------
    norm : nn.BatchNorm2d
    h : Tensor of shape (n, c, height, width)

    Returns
    -------
    Tensor of the same shape

    Raises
    ------
    InputError
        If a channel's scale is 0, so that its input left no trace.
    """
    if not norm.weight.all():
        silent = int((norm.weight == 0).sum())
        raise InputError(f"a BatchNorm scales {silent} of its channels by 0: it cannot be undone")
    scale = (norm.running_var + norm.eps).sqrt() / norm.weight
    bias, scale, mean = (t[:, None, None] for t in (norm.bias, scale, norm.running_mean))
    return (h - bias) * scale + mean


def _convnet_head(network: ConvNet, label: str, x: Tensor) -> Tensor:
    # in evaluation mode dropout does nothing
    steps: dict[str, Callable[[Tensor], Tensor]] = {  # each to that layer from the one before
        "pool2": lambda x: network.pool2(network.conv4(functional.relu(network.conv3(x)))),
        "dense": lambda x: network.dense(x.flatten(1)),
        "logits": lambda x: network.logits(functional.relu(x.flatten(1))),
    }
    layers = list(recorded_layers(network))
    for name in layers[layers.index(label) + 1 :]:
        x = steps[name](x)
    return x.flatten(1)


def _resnet18_head(network: ResNet18, label: str, h: Tensor) -> Tensor:
    place = list(recorded_layers(network)).index(label)
    if place < len(network.blocks):
        # the shortcut passes a block's first norm by: both need what went into it
        x = (
            undo_norm(network.blocks[place].norm1, h)
            if place
            else network.stem_pool(functional.relu(h))
        )
        for block in network.blocks[place:]:
            x = block(x)
        h = network.norm(x)
    return network.logits(functional.relu(h).mean((2, 3)))


_HEADS = {ConvNet: _convnet_head, ResNet18: _resnet18_head}


def _known(network: nn.Module, label: str) -> dict[str, str]:
    if type(network) not in _HEADS:
        raise InputError(f"a {type(network).__name__} cannot be cut: ConvNet and ResNet18 can")
    layers = recorded_layers(network)
    if label not in layers:
        raise InputError(f"layer {label!r} is not recorded; those that are: {', '.join(layers)}")
    return layers


def channels(network: nn.Module, label: str) -> int:
    """Channels of a recorded layer: units are channels x places, flattened in that order.

    Parameters
    ----------
    network : ConvNet or ResNet18
    label : str
        One of `recorded_layers`.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the network or the layer is none of these.
    """
    path = _known(network, label)[label]
    module = network.get_submodule(_BEFORE.get(path, path))
    names = {nn.Conv2d: "out_channels", nn.Linear: "out_features", nn.BatchNorm2d: "num_features"}
    return int(
        next(getattr(module, name) for kind, name in names.items() if isinstance(module, kind))
    )


@torch.inference_mode()
def run_from(network: nn.Module, label: str, X: Tensor) -> Tensor:
    """Logits of a network that goes on from the activity X of one of its layers.

    Parameters
    ----------
    network : ConvNet or ResNet18
        In evaluation mode.
    label : str
        One of `recorded_layers`.
    X : Tensor of shape (n_units, n_images)
        All units of the layer, as `record_activations` returns them.

    Returns
    -------
    Tensor of shape (n_images, n_classes)

    Raises
    ------
    InputError
        If the network is in training mode, the layer is unknown, or X has other units.

    Notes
    -----
    ResNet18's layers are recorded behind a BatchNorm that its shortcuts pass by.  In evaluation
    mode that is an affine map of each channel; `undo_norm` inverts it, and the block runs whole.
    """
    if network.training:
        raise InputError("the network is in training mode; call eval() on it first")
    n, c = X.shape[0], channels(network, label)
    side = isqrt(n // c)
    if n != c * side * side:
        raise InputError(f"{n} units are no square maps of the {c} channels of layer {label!r}")
    maps = X.T.unflatten(1, (c, side, side)).contiguous(memory_format=torch.channels_last)
    return _HEADS[type(network)](network, label, maps)


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Part of the images whose largest logit is that of their class.

    Parameters
    ----------
    logits : Tensor of shape (n_images, n_classes)
    labels : Tensor of shape (n_images,)

    Returns
    -------
    float
        From 0 to 1.
    """
    return (logits.argmax(1) == labels.to(logits.device)).double().mean().item()
