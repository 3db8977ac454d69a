"""What larger populations would take, from what was measured of smaller ones."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import NAMES, number
from shared_geometry.cost.timings import slope
from shared_geometry.training.costs import PROCESS, analysis_memory
from shared_geometry.training.recipes import recipe

_DAY = 24.0  # hours
_SIZES = ("networks", "units", "images")
LAST = 2  # measured points that a power is taken from: small sizes are flat


class Scenario(NamedTuple):
    """A population somebody might want, and how much of it is analysed."""

    name: str
    networks: int
    units: int
    images: int  # unseen ones, on which networks are recorded
    held_out: int  # of these, the images whose RSMs are compared
    layers: int
    checkpoints: int
    train_images: int  # each seen in every epoch of the paper's recipe


_CHECKPOINTS = len(recipe("paper", "resnet18").checkpoints)
PAPER = Scenario("one condition of the paper", 10, 1000, 10_000, 2000, 9, _CHECKPOINTS, 50_000)
SCENARIOS = (
    PAPER,
    PAPER._replace(name="1,000 networks", networks=1000),
    PAPER._replace(name="a million images", images=1_000_000, held_out=200_000),
    PAPER._replace(name="of which 2,000 held out", images=1_000_000),
)


class Need(NamedTuple):
    """What a scenario takes on the machine that was measured."""

    tasks: int  # layers x checkpoints
    task_seconds: float
    memory: float  # GB a task
    analysis_hours: float
    training_hours: Mapping[str, float]  # by architecture


def exponents(scale: Mapping[str, Any], what: str = "seconds") -> dict[str, float]:
    """Exponent of the growth with each size between its largest, from ``scale.json``.

    Parameters
    ----------
    scale : mapping
    what : {"seconds", "memory"}
        Of the memory, what comes on top of a process that does nothing.
    """
    base = PROCESS / 1e9 if what == "memory" else 0.0
    return {
        name: slope([p["size"] for p in points], [max(p[what] - base, 1e-3) for p in points])
        for name, points in ((n, p[-LAST:]) for n, p in scale["growth"].items())
    }


def need(scenario: Scenario, scale: Mapping[str, Any], training: Mapping[str, Any]) -> Need:
    """What a scenario takes: the paper's size as measured, times the powers of the largest sizes.

    Memory is that of the images held out; times are those of as large a part of them held out as
    was measured, and too long where it is smaller.

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
    images = scenario.networks * scenario.train_images  # of an epoch
    return Need(
        tasks,
        seconds,
        analysis_memory(scenario.networks, scenario.units, scenario.images, scenario.held_out)
        / 1e9,
        hours,
        {
            name: recipe("paper", name).epochs
            * images
            / found["images_per_second"][f"ours, {found['precision']}"]
            / 3600
            for name, found in training["results"].items()
        },
    )


def _amount(value: float) -> str:
    return number(value, 1) if value < 100 else f"{value:,.0f}"


def needs_table(
    scale: Mapping[str, Any],
    training: Mapping[str, Any],
    scenarios: Sequence[Scenario] = SCENARIOS,
) -> str:
    """Needs of scenarios as Markdown, a column a scenario."""
    needs = [need(scenario, scale, training) for scenario in scenarios]
    rows = {
        "layers × checkpoints": [f"{it.tasks}" for it in needs],
        "one of them, s": [_amount(it.task_seconds) for it in needs],
        "one of them, GB": [_amount(it.memory) for it in needs],
        "analysis, h": [_amount(it.analysis_hours) for it in needs],
    }
    for name in training["results"]:
        rows[f"training {NAMES[name]}s, h"] = [_amount(it.training_hours[name]) for it in needs]
    rows["machines for a day"] = [
        f"{math.ceil((max(it.training_hours.values()) + it.analysis_hours) / _DAY):,}"
        for it in needs
    ]
    head = ["", *(scenario.name for scenario in scenarios)]
    lines = [[name, *row] for name, row in rows.items()]
    align = "l" + "r" * len(scenarios)
    precisions = dict.fromkeys(found["precision"] for found in training["results"].values())
    return (
        f"{table(head, lines, align)}\n\n"
        f"Analysis was measured on {scale['hardware']}, training in {' and '.join(precisions)} "
        f"on {training['hardware']}."
    )


def memory_sentence(scale: Mapping[str, Any]) -> str:
    """Memory of an analysis at the paper's size, as foreseen and as measured."""
    paper = scale["paper"]
    sizes = [paper, *(p for points in scale["growth"].values() for p in points)]
    ratios = [p["foreseen"] / p["memory"] for p in sizes]
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
    return (
        f"Exponents between the {LAST} largest sizes, of time, and of memory on top of a process "
        f"that does nothing: {'; '.join(parts)}."
    )
