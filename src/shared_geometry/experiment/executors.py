"""Executors by address: processes of this machine, or the workers of a Dask scheduler."""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from shared_geometry.basics.devices import usable_cores
from shared_geometry.errors import InputError

_ALLOWED = "processes://4, dask://host:port or dask:///path/to/scheduler.json"
_PATIENCE = 10  # seconds until a scheduler must have answered


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _begin_worker(workers: int) -> None:
    """Share the cores, leave Control-C to the sender of tasks, and do not outlive it."""
    import torch

    torch.set_num_threads(max(1, usable_cores() // workers))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(
        target=_end_with, args=(multiprocessing.parent_process(),), daemon=True
    ).start()


@contextmanager
def _processes(count: str) -> Iterator[Executor]:
    if not count.isdecimal() or int(count) < 1:
        raise InputError(f"executor 'processes://{count}' is not allowed: how many, 1 or more?")
    workers = int(count)
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, spawn, initializer=_begin_worker, initargs=(workers,))
    others = set(multiprocessing.active_children())
    with pool:
        try:
            yield pool
        except BaseException:  # whoever stops a run does not wait for hours of training
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise


def _scheduler(place: str) -> dict[str, str]:
    """Where Dask's client finds its scheduler; checked here, as Dask waits for ever or fails."""
    if place.startswith("/"):
        if not os.path.exists(place):
            raise InputError(
                f"executor 'dask://{place}': no scheduler answers: there is no such file"
            )
        try:
            address = json.loads(Path(place).read_text(encoding="utf-8"))["address"]
        except (OSError, ValueError, LookupError, TypeError):
            raise InputError(
                f"executor 'dask://{place}': the file is none that a Dask scheduler wrote"
            ) from None
        return {"address": address}
    host, _, port = place.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise InputError(f"executor 'dask://{place}' is not allowed: dask://host:port")
    return {"address": f"tcp://{place}"}


@contextmanager
def _dask(place: str, gpus: int) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "executor 'dask://…' needs Dask: pip install 'shared-geometry[dask]'"
        ) from None
    where = _scheduler(place)
    try:
        client = Client(**where, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"executor 'dask://{place}': no scheduler answers there: {error}"
        ) from None
    with client:
        yield client.get_executor(**({"resources": {"GPU": gpus}} if gpus else {}))


@contextmanager
def executor_at(address: str, *, gpus: int = 0) -> Iterator[Executor]:
    """The executor of that address, for as long as the block runs.

    Parameters
    ----------
    address : str
        ``processes://4``: as many processes of this machine.  ``dask://host:port`` or
        ``dask:///path/to/scheduler.json``: the workers of that scheduler; they must see the same
        folders under the same names.
    gpus : int
        Of a Dask worker's resource ``GPU``, what each task takes.

    Raises
    ------
    InputError
        If the address is none of these, Dask is not installed, or no scheduler answers.
    """
    kind, separator, place = address.partition("://")
    if not separator or kind not in ("processes", "dask") or not place:
        raise InputError(f"executor {address!r} is not allowed: {_ALLOWED}")
    with _processes(place) if kind == "processes" else _dask(place, gpus) as executor:
        yield executor
