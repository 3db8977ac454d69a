"""The one road from a parameter to a number: Config -> networks -> activity -> results."""

import shutil
import sys
import time
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.files import read_tensors, reuse, writable_folder
from shared_geometry.basics.locking import locked
from shared_geometry.basics.provenance import provenance
from shared_geometry.config import Config
from shared_geometry.datasets import split_alignment
from shared_geometry.experiment import fanout, steps
from shared_geometry.experiment.plan import Plan, plan
from shared_geometry.experiment.population import Progress, silent, train
from shared_geometry.experiment.results import (
    CHANNELS,
    JACKKNIFE,
    assemble,
    load_results,
    save_results,
)
from shared_geometry.training import History


def print_progress(stage: str, done: int, total: int, note: str) -> None:
    """Progress for a notebook: a line to standard error at each tenth of a stage."""
    if done == total or done * 10 // total != (done - 1) * 10 // total:
        print(f"{stage}: {done} of {total}, {note}", file=sys.stderr, flush=True)


def _device(it: Plan) -> torch.device:
    return resolve_device(it.config.device)


def _analyse(it: Plan, progress: Progress) -> None:
    """Record and analyse what is not yet there, the last checkpoint first."""
    order = list(reversed(it.checkpoints))
    on_gpu, finals = _device(it).type == "cuda", {}
    for done, checkpoint in enumerate(order):
        progress("analysis", done, len(order), f"epoch {checkpoint:g}")
        missing = steps.missing_layers(it, checkpoint)
        if not missing:
            continue
        if on_gpu:
            gathered = steps.gather(it, checkpoint)
            for layer in missing:
                x = gathered.pop(layer)
                within = steps.analyse(it, layer, checkpoint, x, finals.get(layer))
                if checkpoint == it.checkpoints[-1]:
                    finals[layer] = within
            continue
        steps.record(it, range(it.config.networks), checkpoint)
        for layer in missing:
            steps.analyse(it, layer, checkpoint)
        steps.forget_activity(it, checkpoint)
    progress("analysis", len(order), len(order), "done")


def _collect(it: Plan, histories: list[History], seconds: float) -> xr.Dataset:
    parts = [
        [
            read_tensors(steps.part_path(it, layer, c), steps.key_of(it, c))[0]
            for c in it.checkpoints
        ]
        for layer in it.layers
    ]
    labels = it.data.test.labels
    held_out = split_alignment(labels, it.config.alignment_fraction, it.config.seed)[1]
    images = held_out[steps.shown_images(labels[held_out], it.config.display_images)]
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
        "native_control": CHANNELS,
        "geometry_intervals": JACKKNIFE,
        "precision": it.precision,
        **it.origin,
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
    progress: Progress = silent,
) -> xr.Dataset:
    """Train the population of ``config``, record it, align it, compare it.

    Every finished step is on disk under ``output`` and is not done again; a run that was killed
    goes on where it was.  Results of another version of the analysis, or of networks that another
    machine has trained to other bits, are made anew.

    Parameters
    ----------
    config : Config
    root : path, optional
        Folder of the data sets; None: ``$SHARED_GEOMETRY_DATA``, else ``data``.
    output : path
        Folder for networks and results.
    executor : concurrent.futures.Executor, optional
        Where networks are trained and layers analysed: processes, or machines that see the data
        and ``output`` under the same paths (see `executors`).  None: here.
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
    it = plan(config, root, output)
    if executor is None:
        _device(it)
    writable_folder(output)
    path = it.folder / "results.nc"
    with locked(it.folder.with_name(f".{it.folder.name}.lock")):  # the same run, started twice
        ready = reuse(path, load_results)
        if ready is not None and it.origin.items() <= ready.attrs.items():
            return ready
        start = time.monotonic()
        if executor is None:
            histories = train(it, progress)
            _analyse(it, progress)
        else:
            place = fanout.place_of(it, root, output)
            histories = fanout.train(it, place, executor, progress)
            fanout.analyse(it, place, executor, progress)
        results = save_results(_collect(it, histories, time.monotonic() - start), path)
        for scratch in ("activity", "parts", "final"):
            shutil.rmtree(it.folder / scratch, ignore_errors=True)
    return results
