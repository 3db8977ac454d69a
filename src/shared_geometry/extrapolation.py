"""What larger populations would take, from what was measured of smaller ones."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shared_geometry.costs import analysis_memory
from shared_geometry.timings import slope
from shared_geometry.wording import NAMES, number

_DAY = 24.0  # hours
_SIZES = ("networks", "units", "images")


class Scenario(NamedTuple):
    """A population somebody might want, and how much of it is analysed."""

    name: str
    networks: int
    units: int
    images: int  # unseen ones, on which networks are recorded
    held_out: int  # of these, the images whose RSMs are compared
    layers: int
    checkpoints: int
    epochs: int
    train_images: int


PAPER = Scenario("one condition of the paper", 10, 1000, 10_000, 2000, 9, 14, 100, 50_000)
SCENARIOS = (
    PAPER,
    PAPER._replace(name="1,000 networks", networks=1000),
    PAPER._replace(name="a million unseen images", images=1_000_000, held_out=200_000),
    PAPER._replace(name="the same, 2,000 of them held out", images=1_000_000),
)


class Need(NamedTuple):
    """What a scenario takes on the machine that was measured."""

    tasks: int  # layers x checkpoints
    task_seconds: float
    memory: float  # GB a task
    analysis_hours: float
    training_hours: Mapping[str, float]  # by architecture


def exponents(scale: Mapping[str, Any], what: str = "seconds") -> dict[str, float]:
    """Exponent of the growth with each size, from ``scale.json``."""
    return {
        name: slope([p["size"] for p in points], [p[what] for p in points])
        for name, points in scale["growth"].items()
    }


def need(scenario: Scenario, scale: Mapping[str, Any], training: Mapping[str, Any]) -> Need:
    """What a scenario takes: the paper's size as measured, times the measured powers.

    Parameters
    ----------
    scenario : Scenario
    scale, training : mapping
        What `benchmarks/scale.py` and `benchmarks/training.py` measured.
    """
    paper, powers = scale["paper"], exponents(scale)
    factor = math.prod((getattr(scenario, size) / paper[size]) ** powers[size] for size in _SIZES)
    seconds, last = (factor * paper[name] for name in ("seconds", "seconds_last"))
    tasks = scenario.layers * scenario.checkpoints
    hours = scenario.layers * (last + (scenario.checkpoints - 1) * seconds) / 3600
    images = scenario.networks * scenario.epochs * scenario.train_images
    return Need(
        tasks,
        seconds,
        analysis_memory(scenario.networks, scenario.units, scenario.images, scenario.held_out)
        / 1e9,
        hours,
        {
            name: images / found["images_per_second"]["ours"] / 3600
            for name, found in training["results"].items()
        },
    )


def _hours(value: float) -> str:
    return number(value, 1) if value < 100 else f"{value:,.0f}"


def needs_table(
    scale: Mapping[str, Any],
    training: Mapping[str, Any],
    scenarios: Sequence[Scenario] = SCENARIOS,
) -> str:
    """Needs of scenarios as Markdown, a row a scenario."""
    architectures = list(training["results"])
    heads = " | ".join(f"training {NAMES[name]}s, h" for name in architectures)
    lines = [
        f"| | tasks | a task, s | a task, GB | analysis, h | {heads} | machines for a day |",
        "|:--|--:|--:|--:|--:|" + "--:|" * len(architectures) + "--:|",
    ]
    for scenario in scenarios:
        it = need(scenario, scale, training)
        most = max(it.training_hours.values()) + it.analysis_hours
        trained = " | ".join(_hours(it.training_hours[name]) for name in architectures)
        lines.append(
            f"| {scenario.name} | {it.tasks} | {_hours(it.task_seconds)} | {_hours(it.memory)} "
            f"| {_hours(it.analysis_hours)} | {trained} | {math.ceil(most / _DAY):,} |"
        )
    return "\n".join(lines)


def memory_sentence(scale: Mapping[str, Any]) -> str:
    """Memory of an analysis at the paper's size, as foreseen and as measured."""
    paper = scale["paper"]
    ratios = [p["foreseen"] / p["memory"] for points in scale["growth"].values() for p in points]
    return (
        f"At the paper's size ({paper['networks']} networks, {paper['units']:,} units, "
        f"{paper['images']:,} images) a task took {number(paper['memory'])} GB, "
        f"{number(paper['foreseen'])} GB were foreseen; over all sizes measured, the foreseen "
        f"memory was {number(min(ratios))} to {number(max(ratios))} times that which was taken."
    )


def growth_sentence(scale: Mapping[str, Any]) -> str:
    """Exponents of time and memory, in words."""
    time, memory = exponents(scale), exponents(scale, "memory")
    parts = [f"{name.replace(' x ', ' × ')} {number(time[name])} and {number(memory[name])}"
             for name in time]  # fmt: skip
    return f"Exponents of time and of memory: {'; '.join(parts)}."
