"""The one road from a parameter to a number: Config -> networks -> activity -> results."""

import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from shared_geometry.activations import draw_units, record_activations, standardise
from shared_geometry.analysis import Activity, Settings, analyse_layer
from shared_geometry.config import Config
from shared_geometry.controls import controls
from shared_geometry.datasets import mean_image, split_alignment
from shared_geometry.devices import resolve_device
from shared_geometry.files import read_tensors, reuse, writable_folder, write_tensors
from shared_geometry.plan import Plan, build, plan
from shared_geometry.provenance import provenance
from shared_geometry.results import assemble, load_results, save_results
from shared_geometry.training import History, load_checkpoint, train_population

# progress(stage, steps done, steps in all, what was done last)
Progress = Callable[[str, int, int, str], None]


def _silent(stage: str, done: int, total: int, note: str) -> None:
    pass


def print_progress(stage: str, done: int, total: int, note: str) -> None:
    """Progress for a notebook: a line to standard error at each tenth of a stage."""
    if done == total or done * 10 // total != (done - 1) * 10 // total:
        print(f"{stage}: {done} of {total}, {note}", file=sys.stderr, flush=True)


def _train(it: Plan, executor: Executor | None, progress: Progress) -> list[History]:
    config, epochs = it.config, {}

    def report(network: int, epoch: int, total: int, accuracy: float) -> None:
        epochs[network] = epoch
        note = f"network {network + 1}: epoch {epoch} of {total}, test accuracy {accuracy:.1%}"
        progress("training", sum(epochs.values()), config.networks * total, note)

    return train_population(
        it.data,
        config.architecture,
        it.recipe,
        n_networks=config.networks,
        seed=config.seed,
        folder=it.networks,
        stem=config.stem,
        device=config.device,
        precision=config.precision,
        executor=executor,
        progress=report,
    )


def _activity_path(it: Plan, layer: str, network: int) -> Path:
    return it.folder / "activity" / f"layer-{layer}-network-{network:03d}.safetensors"


def _record(it: Plan, network: int, checkpoint: float) -> None:
    """Activity of one network at one checkpoint over all unseen images, one file a layer."""
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
        write_tensors(_activity_path(it, label, network), {"x": standardise(x)}, key)


def _activity(it: Plan, layer: str) -> Activity:
    n = it.config.networks
    x = torch.stack([read_tensors(_activity_path(it, layer, i))[0]["x"] for i in range(n)])
    labels = it.data.test.labels
    alignment, held_out = split_alignment(labels, it.config.alignment_fraction, it.config.seed)
    return Activity(x[..., alignment], x[..., held_out], labels[held_out])


def shown_images(labels: torch.Tensor, n: int) -> torch.Tensor:
    """Positions of the first images of each class, as many of each, about ``n`` in all."""
    classes = labels.unique()
    each = max(1, n // len(classes))
    return torch.cat([torch.nonzero(labels == c)[:each, 0] for c in classes])


def _part_path(it: Plan, layer: str, checkpoint: float) -> Path:
    return it.folder / "parts" / f"layer-{layer}-epoch-{checkpoint:g}.safetensors"


def _final_path(it: Plan, layer: str) -> Path:
    return it.folder / "final" / f"layer-{layer}.safetensors"


def _analyse(it: Plan, layer: str, checkpoint: float) -> None:
    config = it.config
    key = {"config": config.digest, "code": it.code, "checkpoint": checkpoint}
    last = checkpoint == it.checkpoints[-1]
    final = None if last else read_tensors(_final_path(it, layer))[0]["within"]
    activity = _activity(it, layer)
    settings = Settings(
        config.components, config.centre, config.solver, config.bootstrap, config.seed
    )
    images = shown_images(activity.labels, config.display_images)
    found = analyse_layer(activity, images, final, settings)
    within = found.pop("within")
    if last:
        found |= controls(activity, settings)
        write_tensors(_final_path(it, layer), {"within": within}, key)
    write_tensors(_part_path(it, layer, checkpoint), found, key)


def _is_done(it: Plan, layer: str, checkpoint: float) -> bool:
    key = {"config": it.config.digest, "code": it.code, "checkpoint": checkpoint}
    paths = [_part_path(it, layer, checkpoint)]
    if checkpoint == it.checkpoints[-1]:
        paths.append(_final_path(it, layer))
    return all(reuse(path, lambda p: read_tensors(p, key)) is not None for path in paths)


def _analyse_checkpoint(it: Plan, checkpoint: float) -> None:
    """Record and analyse what is not yet there of one checkpoint."""
    missing = [layer for layer in it.layers if not _is_done(it, layer, checkpoint)]
    if not missing:
        return
    for network in range(it.config.networks):
        _record(it, network, checkpoint)
    for layer in missing:
        _analyse(it, layer, checkpoint)
    shutil.rmtree(it.folder / "activity")


def _collect(it: Plan, histories: list[History], seconds: float) -> xr.Dataset:
    parts = [
        [read_tensors(_part_path(it, layer, c))[0] for c in it.checkpoints] for layer in it.layers
    ]
    labels = it.data.test.labels
    held_out = split_alignment(labels, it.config.alignment_fraction, it.config.seed)[1]
    images = held_out[shown_images(labels[held_out], it.config.display_images)]
    curves = {
        name: np.asarray([getattr(history, name) for history in histories])
        for name in ("train_loss", "test_loss", "test_accuracy")
    }
    results = assemble(
        parts,
        layers=list(it.layers),
        checkpoints=list(it.checkpoints),
        class_names=it.data.class_names,
        images=images.numpy(),
        labels=labels[images].numpy(),
        histories=curves,
    )
    trained = sum(sum(history.seconds) for history in histories)
    results.attrs = {
        "title": f"{it.config.architecture} on {it.config.dataset}",
        "config": it.config.to_json(),
        "recipe": it.recipe.to_json(),
        "command": it.config.command,
        "code": it.code,
        "seconds": round(seconds, 1),
        "seconds_training": round(trained, 1),
        **provenance(),
    }
    return results


def run(
    config: Config,
    *,
    root: str | Path | None = None,
    output: str | Path = "runs",
    executor: Executor | None = None,
    progress: Progress = _silent,
) -> xr.Dataset:
    """Train the population of ``config``, record it, align it, compare it.

    Every finished step is on disk under ``output`` and is not done again; a run that was killed
    goes on where it was.  Results of another version of the analysis are made anew.

    Parameters
    ----------
    config : Config
    root : path, optional
        Folder of the data sets; None: ``$SHARED_GEOMETRY_DATA``, else ``data``.
    output : path
        Folder for networks and results.
    executor : concurrent.futures.Executor, optional
        Where networks are trained; None: on this machine, as suits it.
    progress : callable
        Called as ``progress(stage, done, total, note)``.

    Returns
    -------
    xarray.Dataset
        Dimensions ``network``, ``layer``, ``checkpoint``, ``class``, ``image`` among others; its
        attributes say how, where and from which source the numbers were made.

    Raises
    ------
    InputError, DataError
        Before any work is done, if ``config``, the data or ``output`` cannot be used.
    """
    it = plan(config, root, writable_folder(output))
    path = it.folder / "results.nc"
    if (ready := reuse(path, load_results)) is not None and ready.attrs["code"] == it.code:
        return ready
    start = time.monotonic()
    histories = _train(it, executor, progress)
    order = list(reversed(it.checkpoints))  # the last one is the others' reference
    for done, checkpoint in enumerate(order):
        progress("analysis", done, len(order), f"epoch {checkpoint:g}")
        _analyse_checkpoint(it, checkpoint)
    progress("analysis", len(order), len(order), "done")
    results = save_results(_collect(it, histories, time.monotonic() - start), path)
    for scratch in ("parts", "final"):
        shutil.rmtree(it.folder / scratch)
    return results
