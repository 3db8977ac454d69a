"""A population of networks, each trained from its own seed, kept at checkpoints, resumable.

A network depends on the data, architecture, stem, recipe, seed, its index and the precision, and
on nothing else: not on how many networks there are, how many are trained at once, or how often
training was interrupted.  On a CPU every network is trained by one thread, because the number of
threads decides the order in which sums are taken, and so the last bits of a result.  On a GPU all
networks take every step side by side (see `capture`).
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from numbers import Integral, Real

import torch

from shared_geometry.basics.devices import (
    flushes_subnormals,
    named_precision,
    resolve_device,
    resolve_precision,
    usable_cores,
)
from shared_geometry.basics.files import writable_folder
from shared_geometry.basics.locking import locked
from shared_geometry.datasets import Dataset
from shared_geometry.errors import InputError
from shared_geometry.training.checkpoints import (
    History,
    check_folder,
    network_folder,
    state_path,
)
from shared_geometry.training.job import Job, check_batches
from shared_geometry.training.lockstep import Lockstep, Progress
from shared_geometry.training.recipes import Recipe
from shared_geometry.training.supply import Supply
from shared_geometry.training.trainer import Run, finished

_SIDE_BY_SIDE = 16  # networks on a GPU; it is full with fewer
_FORMATS = {"resnet18": 3}  # to be raised when the same arguments come to train another network


def _silent(network: int, epoch: int, epochs: int, accuracy: float) -> None:
    pass


def training_digest(
    dataset: Dataset,
    architecture: str,
    recipe: Recipe,
    seed: int,
    *,
    stem: str = "imagenet",
    device: str = "auto",
    precision: str = "auto",
) -> str:
    """Sixteen hexadecimal digits naming all that a population's networks depend on.

    ``"auto"`` counts as what it means on this machine.

    Parameters
    ----------
    dataset, architecture, recipe, seed, stem, device, precision
        As in `train_population`.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If ``device`` or ``precision`` is not allowed here.
    """
    content = {
        "format": _FORMATS.get(architecture, 2),
        "data": dataset.digest(),
        "mirrors": dataset.mirrors,
        "architecture": architecture,
        "stem": stem if architecture == "resnet18" else None,
        "recipe": recipe.said(),
        "seed": seed,
        "precision": f"torch.{named_precision(precision, device)}",
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def _reproducible(device: torch.device) -> Iterator[None]:
    """No changing sums in cuDNN; on a CPU `_settle`; what was set is put back."""
    if device.type == "cuda":
        tf32 = torch.backends.cudnn.allow_tf32
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=tf32):
            yield
        return
    threads, flushed = torch.get_num_threads(), flushes_subnormals()
    _settle()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


def _settle() -> None:
    """Have this thread take operations alone, and numbers below 1.2e-38 as zero.

    L2 shrinks weights without use for ever, and the moments of a gradient that is gone: a CPU
    takes many times longer over such numbers.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def _check_numbers(seed: int, save_every: float) -> None:
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed < 2**63:
        raise InputError(f"seed={seed!r} is not allowed: a whole number from 0 to 2**63 - 1")
    if isinstance(save_every, bool) or not isinstance(save_every, Real) or not save_every >= 0:
        raise InputError(f"save_every={save_every!r} is not allowed: seconds, 0 or more")


def _job(
    dataset: Dataset,
    architecture: str,
    recipe: Recipe,
    seed: int,
    folder: str | os.PathLike,
    stem: str,
    device: str,
    precision: str,
    save_every: float,
) -> Job:
    _check_numbers(seed, save_every)
    seed = int(seed)
    place = resolve_device(device)
    job = Job(
        data=dataset,
        architecture=architecture,
        stem=stem,
        how=recipe,
        seed=seed,
        folder=writable_folder(folder),
        device=place,
        dtype=resolve_precision(precision, place),
        training=training_digest(
            dataset, architecture, recipe, seed, stem=stem, device=device, precision=precision
        ),
        supply=Supply(dataset, place),
        save_every=save_every,
        stop=threading.Event(),
    )
    # refuses what cannot be built or trained before any work is done
    check_batches(job.build(0), recipe, len(dataset.train))
    check_folder(job.folder, job.training)
    return job


def _train(job: Job, progress: Progress, networks: Sequence[int]) -> dict[int, History]:
    """Train the networks of these numbers side by side, or find them finished."""
    with ExitStack() as locks:
        for network in networks:
            locks.enter_context(locked(network_folder(job.folder, network) / ".lock"))
        histories = {network: finished(job, network) for network in networks}
        runs = [Run(job, network) for network, history in histories.items() if history is None]
        for step in sorted({run.step for run in runs}, reverse=True):
            together = [run for run in runs if run.step == step]
            found = Lockstep(job, together).train(progress)
            histories |= {
                run.network: history for run, history in zip(together, found, strict=True)
            }
        for network in networks:
            state_path(job.folder, network).unlink(missing_ok=True)
    for network, history in histories.items():
        progress(network, job.how.epochs, job.how.epochs, history.test_accuracy[-1])
    return histories


def train_network(
    dataset: Dataset,
    architecture: str,
    recipe: Recipe,
    seed: int,
    network: int,
    folder: str | os.PathLike,
    *,
    stem: str = "imagenet",
    device: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
    save_every: float = 60.0,
) -> History:
    """Train one network of a population, or go on where it was left, or find it finished.

    Parameters
    ----------
    dataset : Dataset
    architecture : {"convnet", "resnet18"}
    recipe : Recipe
    seed : int
        The one seed of a run.
    network : int
        Which network of the population, from 0.
    folder : path
        Of the population; this network's files go to ``network-NN`` in it.
    stem : {"imagenet", "cifar"}
    device : {"auto", "cpu", "cuda"}
    precision : {"auto", "float32", "bfloat16"}
    progress : callable, optional
        Called as ``progress(network, epochs done, epochs in all, test accuracy)``.
    save_every : float
        Seconds between two savings of the state from which an interrupted training goes on.

    Returns
    -------
    History

    Raises
    ------
    InputError
        If an argument is not allowed, ``folder`` cannot be written, or the loss is not finite.
    """
    if isinstance(network, bool) or not isinstance(network, Integral) or network < 0:
        raise InputError(f"network={network!r} is not allowed: a whole number, 0 or more")
    job = _job(dataset, architecture, recipe, seed, folder, stem, device, precision, save_every)
    with _reproducible(job.device):
        return _train(job, progress or _silent, [network])[network]


def _in_threads(job: Job, progress: Progress, n: int, workers: int) -> dict[int, History]:
    """Train ``n`` networks, so many at a time, each by a thread of its own."""
    with ThreadPoolExecutor(workers, initializer=_settle) as pool:
        futures = [pool.submit(_train, job, progress, [network]) for network in range(n)]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            if failed := [future for future in done if future.exception()]:
                failed[0].result()
            return {k: v for future in futures for k, v in future.result().items()}
        except BaseException:
            job.stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _one_at_a_time(progress: Progress) -> Progress:
    lock = threading.Lock()

    def report(network: int, epoch: int, epochs: int, accuracy: float) -> None:
        with lock:
            progress(network, epoch, epochs, accuracy)

    return report


def train_population(
    dataset: Dataset,
    architecture: str,
    recipe: Recipe,
    *,
    n_networks: int,
    seed: int,
    folder: str | os.PathLike,
    stem: str = "imagenet",
    device: str = "auto",
    precision: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    save_every: float = 60.0,
) -> list[History]:
    """Train ``n_networks`` networks that share nothing but the data.

    Finished networks found in ``folder`` are kept, so that a population can be enlarged, and one
    whose training was interrupted goes on to the same networks, bit for bit.

    Parameters
    ----------
    dataset, architecture, recipe, seed, folder, stem, device, precision, save_every
        As in `train_network`.
    n_networks : int
        At least 2.
    workers : int, optional
        Networks trained at once on this CPU; None: one a core.
    progress : callable, optional
        Called as ``progress(network, epochs done, epochs in all, test accuracy)``, by one thread at
        a time, networks in no order.

    Returns
    -------
    list of History

    Raises
    ------
    InputError
        If an argument is not allowed, ``folder`` cannot be written, or a loss is not finite.
    """
    if isinstance(n_networks, bool) or not isinstance(n_networks, int) or n_networks < 2:
        raise InputError(f"networks={n_networks!r} is not allowed: a whole number, 2 or more")
    if workers is not None and (not isinstance(workers, Integral) or workers < 1):
        raise InputError(f"workers={workers!r} is not allowed: a whole number, 1 or more")
    report = _one_at_a_time(progress or _silent)
    settings = {"stem": stem, "device": device, "precision": precision, "save_every": save_every}
    job = _job(dataset, architecture, recipe, seed, folder, *settings.values())
    workers = min(workers or usable_cores(), n_networks)
    with _reproducible(job.device):
        if job.on_gpu:
            histories = {}
            for first in range(0, n_networks, _SIDE_BY_SIDE):
                last = min(first + _SIDE_BY_SIDE, n_networks)
                histories |= _train(job, report, range(first, last))
        else:
            histories = _in_threads(job, report, n_networks, workers)
    return [histories[network] for network in range(n_networks)]
