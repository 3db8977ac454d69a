"""What the networks of a population have in common while they are trained."""

import threading
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from shared_geometry.datasets import Dataset
from shared_geometry.errors import InputError
from shared_geometry.networks.architectures import build_network
from shared_geometry.training.recipes import Recipe
from shared_geometry.training.supply import Supply


def build_for(
    data: Dataset, architecture: str, stem: str, seed: int = 0, network: int = 0
) -> nn.Module:
    """An untrained network that takes the images of ``data`` (see `build_network`)."""
    _, channels, size, _ = data.train.images.shape
    return build_network(
        architecture,
        in_channels=channels,
        image_size=size,
        n_classes=len(data.class_names),
        stem=stem,
        seed=seed,
        network=network,
    )


def check_batches(network: nn.Module, how: Recipe, n_images: int) -> None:
    """Refuse batches of one image where there is BatchNorm, which compares images.

    Raises
    ------
    InputError
    """
    if min(how.batch_size, n_images) < 2 and any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules()
    ):
        raise InputError(
            f"batch_size={how.batch_size} of {n_images} images: BatchNorm, of which the network "
            "has layers, needs batches of 2 images or more"
        )


@dataclass(frozen=True)
class Job:
    """What the networks of a population have in common."""

    data: Dataset
    architecture: str
    stem: str
    how: Recipe
    seed: int
    folder: Path
    device: torch.device
    dtype: torch.dtype
    training: str  # digest
    supply: Supply
    save_every: float  # seconds
    stop: threading.Event

    @property
    def on_gpu(self) -> bool:
        """Whether networks are trained on a GPU."""
        return self.device.type == "cuda"

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return self.how.steps_per_epoch(len(self.data.train))

    def build(self, network: int) -> nn.Module:
        """The untrained network of that index."""
        return build_for(self.data, self.architecture, self.stem, self.seed, network)
