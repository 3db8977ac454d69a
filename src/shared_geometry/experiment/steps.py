"""The steps between trained networks and results: record activity, analyse a layer."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.files import read_tensors, reuse, write_tensors
from shared_geometry.datasets import mean_image, split_alignment
from shared_geometry.experiment.analysis import Activity, analyse_layer
from shared_geometry.experiment.controls import controls
from shared_geometry.experiment.plan import Plan, build
from shared_geometry.networks.activations import draw_units, record_activations, standardise
from shared_geometry.training import load_checkpoint


def _activity_folder(it: Plan, checkpoint: float) -> Path:
    """Where the activity at a checkpoint lies while it is analysed."""
    return it.folder / "activity" / f"epoch-{checkpoint:g}"


def _drawn(it: Plan, layer: str, network: int) -> torch.Tensor:
    """Units of a layer that are kept of one network, (n_units,)."""
    return draw_units(it.sizes[layer], it.config.max_units, it.config.seed, network, layer)


def drawn_channels(it: Plan, layer: str) -> torch.Tensor:
    """Channel that each recorded unit of a layer lies in, (n_networks, n_units), rising."""
    places = it.sizes[layer] // it.channels[layer]
    return torch.stack([_drawn(it, layer, i) for i in range(it.config.networks)]) // places


def activity_path(it: Plan, layer: str, network: int, checkpoint: float) -> Path:
    """Activity of one network in one layer at a checkpoint, until it is analysed."""
    name = f"layer-{layer}-network-{network:03d}.safetensors"
    return _activity_folder(it, checkpoint) / name


class _Observer:
    """Records networks of a plan, one after the other.

    Parameters
    ----------
    it : Plan
    home : torch.device or str
        Where activity is gathered.
    """

    def __init__(self, it: Plan, home: torch.device | str = "cpu") -> None:
        self.it, self.home = it, home
        self.device = resolve_device(it.config.device)
        self.module = build(it.config, it.data, 0)  # its weights are replaced
        self.mean = mean_image(it.data.train.images)
        self.images = it.data.test.images.to(home)

    def activity(self, network: int, checkpoint: float) -> dict[str, torch.Tensor]:
        """Of each layer the units drawn, (n_units, n_images), every image standardised."""
        it = self.it
        state = load_checkpoint(it.networks, network, checkpoint, training=it.training)
        self.module.load_state_dict(state)
        found = record_activations(
            self.module,
            self.images,
            self.it.layers,
            mean_image=self.mean,
            units={label: _drawn(self.it, label, network) for label in self.it.layers},
            device=self.device,
            home=self.home,
            name=f"network {network}",
        )
        return {label: standardise(x) for label, x in found.items()}


def key_of(it: Plan, checkpoint: float) -> dict[str, Any]:
    """What a file of that checkpoint must have come from to be used."""
    return {"config": it.config.digest, "checkpoint": checkpoint, **it.origin}


def record(it: Plan, networks: Iterable[int], checkpoint: float) -> None:
    """Activity of networks at one checkpoint over all unseen images, one file a layer and network.

    Each holds ``x`` of shape (n_units, n_images), float32: the units drawn, standardised.
    """
    key, observer = key_of(it, checkpoint), _Observer(it)
    for network in networks:
        for label, x in observer.activity(network, checkpoint).items():
            write_tensors(activity_path(it, label, network, checkpoint), {"x": x}, key)


def _split(it: Plan, x: torch.Tensor) -> Activity:
    labels = it.data.test.labels
    alignment, held_out = split_alignment(labels, it.config.alignment_fraction, it.config.seed)
    return Activity(x[..., alignment], x[..., held_out], labels[held_out])


def activity_of(it: Plan, layer: str, checkpoint: float) -> Activity:
    """What `record` left of one layer of all networks, split into alignment and held-out images."""
    key = key_of(it, checkpoint)
    paths = [activity_path(it, layer, i, checkpoint) for i in range(it.config.networks)]
    return _split(it, torch.stack([read_tensors(path, key)[0]["x"] for path in paths]))


def gather(it: Plan, checkpoint: float) -> dict[str, torch.Tensor]:
    """The same of all layers at once, not yet split, in the memory of the device.

    A GPU has room for it, and would wait for a disk.
    """
    observer = _Observer(it, resolve_device(it.config.device))
    found = [observer.activity(i, checkpoint) for i in range(it.config.networks)]
    return {label: torch.stack([x.pop(label) for x in found]) for label in it.layers}


def shown_images(labels: torch.Tensor, n: int) -> torch.Tensor:
    """Positions of the first images of each class, as many of each, about ``n`` in all."""
    classes = labels.unique()
    each = max(1, n // len(classes))
    return torch.cat([torch.nonzero(labels == c)[:each, 0] for c in classes])


def forget_activity(it: Plan, checkpoint: float) -> None:
    """Remove what there is of the activity at a checkpoint."""
    shutil.rmtree(_activity_folder(it, checkpoint), ignore_errors=True)


def part_path(it: Plan, layer: str, checkpoint: float) -> Path:
    """What is known of one layer at one checkpoint."""
    return it.folder / "parts" / f"layer-{layer}-epoch-{checkpoint:g}.safetensors"


def _final_path(it: Plan, layer: str) -> Path:
    return it.folder / "final" / f"layer-{layer}.safetensors"


def analyse(
    it: Plan,
    layer: str,
    checkpoint: float,
    x: torch.Tensor | None = None,
    final: torch.Tensor | None = None,
) -> torch.Tensor:
    """Analyse one layer at one checkpoint; the last one first, for the others refer to it.

    Parameters
    ----------
    it : Plan
    layer : str
    checkpoint : float
    x : Tensor of shape (n_networks, n_units, n_images), optional
        Activity, from `gather`; None: what `record` left.
    final : Tensor, optional
        What this returned for the last checkpoint; None: what it left on disk.

    Returns
    -------
    Tensor
        ``within`` of `analyse_layer`.
    """
    config, device = it.config, resolve_device(it.config.device)
    key = key_of(it, checkpoint)
    last = checkpoint == it.checkpoints[-1]
    if last:
        final = None
    elif final is None:
        made = read_tensors(_final_path(it, layer), key_of(it, it.checkpoints[-1]))[0]
        final = made["within"].to(device)
    activity = activity_of(it, layer, checkpoint) if x is None else _split(it, x)
    activity = Activity(*(part.to(device) for part in activity))
    images = shown_images(activity.labels, config.display_images)
    found = analyse_layer(activity, images, final, it.settings)
    within = found.pop("within")
    if last:
        found |= controls(activity, it.settings, drawn_channels(it, layer))
        write_tensors(_final_path(it, layer), {"within": within}, key)
    write_tensors(part_path(it, layer, checkpoint), found, key)
    return within


def _is_done(it: Plan, layer: str, checkpoint: float) -> bool:
    """Whether that analysis is on disk, whole and of this config, source and networks."""
    key = key_of(it, checkpoint)
    paths = [part_path(it, layer, checkpoint)]
    if checkpoint == it.checkpoints[-1]:
        paths.append(_final_path(it, layer))
    return all(reuse(path, lambda p: read_tensors(p, key)) is not None for path in paths)


def missing_layers(it: Plan, checkpoint: float) -> list[str]:
    """Layers whose analysis at that checkpoint is not yet there."""
    return [layer for layer in it.layers if not _is_done(it, layer, checkpoint)]
