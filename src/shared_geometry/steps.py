"""The steps between trained networks and results: record activity, analyse a layer."""

import shutil
from pathlib import Path

import torch

from shared_geometry.activations import draw_units, record_activations, standardise
from shared_geometry.analysis import Activity, Settings, analyse_layer
from shared_geometry.controls import controls
from shared_geometry.datasets import mean_image, split_alignment
from shared_geometry.devices import resolve_device
from shared_geometry.files import read_tensors, reuse, write_tensors
from shared_geometry.plan import Plan, build
from shared_geometry.training import load_checkpoint


def _activity_folder(it: Plan, checkpoint: float) -> Path:
    """Where the activity at a checkpoint lies while it is analysed."""
    return it.folder / "activity" / f"epoch-{checkpoint:g}"


def _activity_path(it: Plan, layer: str, network: int, checkpoint: float) -> Path:
    name = f"layer-{layer}-network-{network:03d}.safetensors"
    return _activity_folder(it, checkpoint) / name


def record(it: Plan, network: int, checkpoint: float) -> None:
    """Activity of one network at one checkpoint over all unseen images, one file a layer.

    Each holds ``x`` of shape (n_units, n_images), float32: the units drawn, standardised.
    """
    config, key = it.config, {"config": it.config.digest, "checkpoint": checkpoint}
    module = build(config, it.data, network)
    module.load_state_dict(load_checkpoint(it.networks, network, checkpoint))
    found = record_activations(
        module,
        it.data.test.images,
        it.layers,
        mean_image=mean_image(it.data.train.images),
        units={
            label: draw_units(units, config.max_units, config.seed, network, label)
            for label, units in it.sizes.items()
        },
        device=resolve_device(config.device),
        name=f"network {network}",
    )
    for label, x in found.items():
        write_tensors(_activity_path(it, label, network, checkpoint), {"x": standardise(x)}, key)


def activity_of(it: Plan, layer: str, checkpoint: float) -> Activity:
    """What `record` left of one layer of all networks, split into alignment and held-out images."""
    key = {"config": it.config.digest, "checkpoint": checkpoint}
    paths = [_activity_path(it, layer, i, checkpoint) for i in range(it.config.networks)]
    x = torch.stack([read_tensors(path, key)[0]["x"] for path in paths])
    labels = it.data.test.labels
    alignment, held_out = split_alignment(labels, it.config.alignment_fraction, it.config.seed)
    return Activity(x[..., alignment], x[..., held_out], labels[held_out])


def shown_images(labels: torch.Tensor, n: int) -> torch.Tensor:
    """Positions of the first images of each class, as many of each, about ``n`` in all."""
    classes = labels.unique()
    each = max(1, n // len(classes))
    return torch.cat([torch.nonzero(labels == c)[:each, 0] for c in classes])


def forget_activity(it: Plan, checkpoint: float) -> None:
    """Remove the activity at a checkpoint, which has been analysed."""
    shutil.rmtree(_activity_folder(it, checkpoint))


def part_path(it: Plan, layer: str, checkpoint: float) -> Path:
    """What is known of one layer at one checkpoint."""
    return it.folder / "parts" / f"layer-{layer}-epoch-{checkpoint:g}.safetensors"


def _final_path(it: Plan, layer: str) -> Path:
    return it.folder / "final" / f"layer-{layer}.safetensors"


def analyse(it: Plan, layer: str, checkpoint: float) -> None:
    """Analyse one layer at one checkpoint; the last one first, for the others refer to it."""
    config = it.config
    key = {"config": config.digest, "code": it.code, "checkpoint": checkpoint}
    last = checkpoint == it.checkpoints[-1]
    final = None if last else read_tensors(_final_path(it, layer))[0]["within"]
    activity = activity_of(it, layer, checkpoint)
    settings = Settings(
        config.components, config.centre, config.solver, config.bootstrap, config.seed
    )
    images = shown_images(activity.labels, config.display_images)
    found = analyse_layer(activity, images, final, settings)
    within = found.pop("within")
    if last:
        found |= controls(activity, settings)
        write_tensors(_final_path(it, layer), {"within": within}, key)
    write_tensors(part_path(it, layer, checkpoint), found, key)


def _is_done(it: Plan, layer: str, checkpoint: float) -> bool:
    """Whether that analysis is on disk, whole and of this config and source."""
    key = {"config": it.config.digest, "code": it.code, "checkpoint": checkpoint}
    paths = [part_path(it, layer, checkpoint)]
    if checkpoint == it.checkpoints[-1]:
        paths.append(_final_path(it, layer))
    return all(reuse(path, lambda p: read_tensors(p, key)) is not None for path in paths)


def missing_layers(it: Plan, checkpoint: float) -> list[str]:
    """Layers whose analysis at that checkpoint is not yet there."""
    return [layer for layer in it.layers if not _is_done(it, layer, checkpoint)]
