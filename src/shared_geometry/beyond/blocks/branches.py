"""A residual block's branch: what it adds to what the shortcut passes on, and a network without it.

A block computes ``shortcut(x) + branch(x)``.  Veit et al. (2016) took whole blocks out of trained
networks; here a branch is replaced by its mean over images, so that what follows gets a constant of
the size that it is used to.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from shared_geometry.datasets import Images
from shared_geometry.networks.activations import record_activations
from shared_geometry.networks.architectures import ResNet18
from shared_geometry.networks.stitching import accuracy

_BATCH = 200
_LOGITS = {"logits": "logits"}


def observe(network: ResNet18, images: Tensor, mean_image: Tensor) -> tuple[Tensor, Tensor]:
    """How much of each block's branch is switched on, and how much it adds.

    Parameters
    ----------
    network : ResNet18
    images : Tensor of shape (n_images, c, h, w), uint8
    mean_image : Tensor of shape (c, h, w)
        Of the training images.

    Returns
    -------
    on : Tensor of shape (n_blocks,)
        Part of the channels between the branch's two convolutions whose variance over images and
        places exceeds the epsilon of the BatchNorm that they come to; it leaves the others less
        than half of the variance that it would give them, down to none.
    added : Tensor of shape (n_blocks,)
        Variance over images of the branch, of that of branch and shortcut, summed over units.
    """
    layers = {}
    for i in range(len(network.blocks)):
        path = f"blocks.{i}"
        layers |= {f"inner {i}": f"{path}.conv1", f"branch {i}": f"{path}.conv2", f"sum {i}": path}
    moments: dict[str, Tensor] = {}  # sums of activity and of its squares, (2, n_units)
    for part in images.split(_BATCH):  # all images at once might not fit memory
        found = record_activations(network, part, layers, mean_image=mean_image)
        for i in range(len(network.blocks)):
            found[f"shortcut {i}"] = found.pop(f"sum {i}") - found[f"branch {i}"]
        for label, x in found.items():
            sums = torch.stack([x.double().sum(1), x.double().square().sum(1)])
            moments[label] = moments.get(label, 0) + sums
    means = {label: sums / len(images) for label, sums in moments.items()}
    on, added = [], []
    for i, block in enumerate(network.blocks):
        channels = means[f"inner {i}"].view(2, len(block.norm2.weight), -1).mean(2)
        on.append((_variance(channels) > block.norm2.eps).double().mean())
        branch, shortcut = (_variance(means[f"{w} {i}"]).sum() for w in ("branch", "shortcut"))
        added.append(branch / (branch + shortcut))
    return torch.stack(on), torch.stack(added)


def _variance(means: Tensor) -> Tensor:
    """Variance from means of values and of their squares, (2, n)."""
    return (means[1] - means[0].square()).clamp(min=0)


@contextmanager
def without_branch(network: ResNet18, block: int, mean: Tensor) -> Iterator[None]:
    """While the block lasts, one branch gives ``mean``, (c, h, w), for every image."""
    conv = network.blocks[block].conv2
    handle = conv.register_forward_hook(
        lambda _conv, _inputs, output: mean.to(output).expand_as(output)
    )
    try:
        yield
    finally:
        handle.remove()


def _accuracy(network: ResNet18, unseen: Images, mean_image: Tensor) -> float:
    found = record_activations(network, unseen.images, _LOGITS, mean_image=mean_image)
    return accuracy(found["logits"].T, unseen.labels)


def branch_means(network: ResNet18, images: Tensor, mean_image: Tensor) -> list[Tensor]:
    """Mean over images of what each branch adds.

    Parameters
    ----------
    network : ResNet18
    images : Tensor of shape (n_images, c, h, w), uint8
    mean_image : Tensor of shape (c, h, w)

    Returns
    -------
    list of Tensor of shape (channels, side, side)
    """
    layers = {str(i): f"blocks.{i}.conv2" for i in range(len(network.blocks))}
    sums = dict.fromkeys(layers, torch.zeros((), dtype=torch.float64))
    for part in images.split(_BATCH):
        found = record_activations(network, part, layers, mean_image=mean_image)
        sums = {label: total + found[label].double().sum(1) for label, total in sums.items()}
    means = []
    for total, block in zip(sums.values(), network.blocks, strict=True):
        side = block.conv2.after_side
        means.append((total / len(images)).float().view(-1, side, side))
    return means


def accuracies(network: ResNet18, unseen: Images, mean_image: Tensor) -> tuple[float, Tensor]:
    """Accuracy of a network in evaluation mode, and what it is without each of its branches.

    Parameters
    ----------
    network : ResNet18
    unseen : Images
    mean_image : Tensor of shape (c, h, w)

    Returns
    -------
    whole : float
    without : Tensor of shape (n_blocks,)
    """
    whole, without = _accuracy(network, unseen, mean_image), []
    for i, mean in enumerate(branch_means(network, unseen.images, mean_image)):
        with without_branch(network, i, mean):
            without.append(_accuracy(network, unseen, mean_image))
    return whole, torch.tensor(without, dtype=torch.float64)
