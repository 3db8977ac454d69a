"""A run's steps as tasks for an executor: other processes, or machines that share the folders.

Tasks carry a config and two paths, never data: a worker loads the images itself, once, and leaves
what it made on disk, where a task that is done again finds it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from shared_geometry.basics.devices import describe_hardware
from shared_geometry.config import Config
from shared_geometry.datasets import data_root
from shared_geometry.errors import DataError, InputError
from shared_geometry.experiment import steps
from shared_geometry.experiment.plan import Plan, plan
from shared_geometry.experiment.population import Progress, of_all
from shared_geometry.training import History, history_so_far, train_network

_LOOK_EVERY = 20.0  # seconds between two looks at how far networks are


class Place(NamedTuple):
    """What a worker must know to plan a run as its sender did."""

    config: str  # JSON
    root: str
    output: str
    networks: str  # name of the population's folder


def place_of(it: Plan, root: str | Path | None, output: str | Path) -> Place:
    """The place of a run, with absolute paths."""
    paths = (Path(path).expanduser().resolve() for path in (data_root(root), output))
    return Place(it.config.to_json(), *map(str, paths), it.networks.name)


@lru_cache(maxsize=1)
def _plan_at(place: Place) -> Plan:
    it = plan(Config.from_json(place.config), place.root, place.output)
    if it.networks.name != place.networks:
        raise InputError(
            f"precision={it.config.precision!r} would train other networks here "
            f"({describe_hardware()}: {it.networks.name}) than where the run was started "
            f"({place.networks}): give float32 or bfloat16"
        )
    return it


def train_task(place: Place, network: int) -> History:
    """Train one network of a run's population."""
    it = _plan_at(place)
    return train_network(
        it.data,
        it.config.architecture,
        it.recipe,
        it.config.seed,
        network,
        it.networks,
        stem=it.config.stem,
        device=it.config.device,
        precision=it.config.precision,
    )


def record_task(place: Place, network: int, checkpoint: float) -> None:
    """Record the activity of one network at one checkpoint."""
    steps.record(_plan_at(place), [network], checkpoint)


def analyse_task(place: Place, layer: str, checkpoint: float) -> None:
    """Analyse one layer at one checkpoint."""
    steps.analyse(_plan_at(place), layer, checkpoint)


class _Tasks:
    """Futures and what they are, in the order in which they end; an error stops the others."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.running: dict[Future, Any] = {}

    def submit(self, what: Any, task: Callable[..., Any], *given: Any) -> None:
        self.running[self.executor.submit(task, *given)] = what

    def ended(self, look: Callable[[], None] | None = None) -> Iterator[tuple[Any, Any]]:
        """What each future is, and its result; more may be submitted meanwhile.

        While none ends, ``look`` is called every `_LOOK_EVERY` seconds.
        """
        every = None if look is None else _LOOK_EVERY
        while self.running:
            done = wait(self.running, every, FIRST_COMPLETED).done
            if not done:
                look()
            for future in done:
                yield self.running.pop(future), future.result()


@contextmanager
def _tasks(executor: Executor) -> Iterator[_Tasks]:
    tasks = _Tasks(executor)
    try:
        yield tasks
    except BaseException as error:
        for future in tasks.running:
            future.cancel()
        if isinstance(error, BrokenExecutor | CancelledError):
            raise DataError(
                "a worker ended (out of memory?), or its scheduler; what was finished is kept, and "
                "the same command goes on from here"
            ) from error
        raise


def train(it: Plan, place: Place, executor: Executor, progress: Progress) -> list[History]:
    """Train the population of a run, a task a network.

    Workers do not tell how far they are; it is read from what they save.

    Raises
    ------
    DataError
        If a worker or the scheduler ended.
    Exception
        The first that a task raised; those that have not begun are cancelled.
    """
    networks, histories = range(it.config.networks), {}
    report = of_all(progress, len(networks), it.recipe.epochs)
    told = dict.fromkeys(networks, 0)

    def tell(network: int, curves: History | None) -> None:
        epochs = 0 if curves is None else len(curves.test_accuracy)
        if epochs > told[network]:
            told[network] = epochs
            report(network, epochs, it.recipe.epochs, curves.test_accuracy[-1])

    def look() -> None:
        for network in set(networks) - set(histories):
            with suppress(DataError):  # whoever trains it says what is wrong with it
                tell(network, history_so_far(it.networks, network))

    look()
    with _tasks(executor) as tasks:
        for network in networks:
            tasks.submit(network, train_task, place, network)
        for network, history in tasks.ended(look):
            histories[network] = history
            tell(network, history)
    return [histories[network] for network in networks]


def _checkpoints(
    it: Plan, place: Place, executor: Executor, checkpoints: list[float], report: Callable
) -> None:
    missing = {checkpoint: steps.missing_layers(it, checkpoint) for checkpoint in checkpoints}
    for checkpoint in (c for c, layers in missing.items() if not layers):
        report(checkpoint)
    left: Counter = Counter()
    with _tasks(executor) as tasks:
        for checkpoint in (c for c, layers in missing.items() if layers):
            for network in range(it.config.networks):
                tasks.submit(("record", checkpoint), record_task, place, network, checkpoint)
            left["record", checkpoint] = it.config.networks
            left["analyse", checkpoint] = len(missing[checkpoint])
        for what, _ in tasks.ended():
            left[what] -= 1
            kind, checkpoint = what
            if left[what]:
                continue
            if kind == "record":
                for layer in missing[checkpoint]:
                    tasks.submit(("analyse", checkpoint), analyse_task, place, layer, checkpoint)
            else:
                steps.forget_activity(it, checkpoint)
                report(checkpoint)


def analyse(it: Plan, place: Place, executor: Executor, progress: Progress) -> None:
    """Record and analyse what is not yet there, a task a network or layer and a checkpoint.

    The last checkpoint comes first, as the others are compared with it; then all others at once,
    so that their activity lies on disk at once.
    """
    done: list[float] = []

    def report(checkpoint: float) -> None:
        done.append(checkpoint)
        progress("analysis", len(done), len(it.checkpoints), f"epoch {checkpoint:g}")

    *others, last = it.checkpoints
    _checkpoints(it, place, executor, [last], report)
    _checkpoints(it, place, executor, others, report)
