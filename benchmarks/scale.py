"""How the time and memory of an analysis grow: networks, units, images, layers x checkpoints.

    python benchmarks/scale.py [--quick]

Activity of random networks that share a response is laid where a run would lay it, and analysed by
the very step that a run takes, in a process of its own.  ``seconds`` are those of one layer at one
checkpoint before the last; the last one, ``seconds_last``, also holds the controls.  ``memory`` is
the largest resident size of the whole process, Python and libraries included.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch

from shared_geometry.basics.files import write_tensors, write_text
from shared_geometry.basics.provenance import provenance, source_digest
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.config import Config
from shared_geometry.cost.convergence import decaying
from shared_geometry.datasets import Dataset, Images
from shared_geometry.experiment import steps
from shared_geometry.experiment.plan import Plan
from shared_geometry.networks.activations import standardise
from shared_geometry.training.costs import analysis_memory
from shared_geometry.training.recipes import recipe

RESULTS = Path(__file__).parent / "results" / "scale.json"
N_CLASSES = 10


class Size(NamedTuple):
    """A population to analyse, and how many of its layers and checkpoints."""

    networks: int
    units: int
    images: int
    analyses: int = 1  # layers x checkpoints, besides the last


PAPER = Size(10, 1000, 10_000)
BASE = Size(6, 400, 4000)
GROWTH = {
    "networks": [BASE._replace(networks=n) for n in (3, 6, 12, 24)],
    "units": [BASE._replace(units=n) for n in (100, 200, 400, 800)],
    "images": [BASE._replace(images=m) for m in (2000, 4000, 8000, 16_000)],
    "layers x checkpoints": [BASE._replace(analyses=c) for c in (1, 2, 4)],
}
QUICK = Size(3, 50, 400)
LAYER = "made"


def plan_of(size: Size, folder: Path) -> Plan:
    """What `plan.plan` would return, for networks that nobody trained."""
    labels = torch.arange(size.images) % N_CLASSES
    images = Images(torch.zeros(size.images, 1, 1, 1, dtype=torch.uint8), labels)
    config = Config.from_preset("fast", networks=size.networks, max_units=size.units)
    return Plan(
        config=config,
        data=Dataset("made", images, images, tuple(map(str, range(N_CLASSES)))),
        recipe=recipe("fast", "convnet"),
        checkpoints=tuple(float(c) for c in range(size.analyses + 1)),
        layers={LAYER: LAYER},
        sizes={LAYER: size.units},
        channels={LAYER: size.units},
        precision="float32",
        networks=folder / "networks",
        folder=folder / "run",
        code=source_digest(),
    )


def lay_activity(it: Plan, size: Size, checkpoint: float) -> None:
    """Write what `steps.record` would: one response, turned and made noisy in each network."""
    generator = torch_generator(0, "scale", checkpoint)
    for i, x in enumerate(decaying(*size[:3], 0.5, generator).float()):
        path = steps.activity_path(it, LAYER, i, checkpoint)
        write_tensors(path, {"x": standardise(x)}, steps.key_of(it, checkpoint))


def largest() -> float:
    """Largest resident size of this process so far, in GB."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


def _measure(size: Size, folder: str, answer) -> None:
    it = plan_of(size, Path(folder))
    took = []
    for checkpoint in reversed(it.checkpoints):
        start = time.perf_counter()
        steps.analyse(it, LAYER, checkpoint)
        took.append(time.perf_counter() - start)
    answer.put({"seconds_last": took[0], "seconds": sum(took[1:]), "memory": largest()})


def measure(size: Size) -> dict:
    """Seconds and memory of an analysis, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        it = plan_of(size, Path(folder))
        for checkpoint in it.checkpoints:
            lay_activity(it, size, checkpoint)
        work = context.Process(target=_measure, args=(size, folder, answer))
        work.start()
        work.join()
        if work.exitcode:
            raise RuntimeError(f"the analysis of {size} ended with {work.exitcode}")
    found = {**size._asdict(), **answer.get()}
    held_out = round((1 - it.config.alignment_fraction) * size.images)
    found["foreseen"] = analysis_memory(*size[:3], held_out) / 1e9
    print(
        f"{size.networks:4} networks {size.units:5} units {size.images:6} images "
        f"{size.analyses:2} tasks: {found['seconds']:7.2f} s, last {found['seconds_last']:.2f} s,"
        f" {found['memory']:5.2f} GB, {found['foreseen']:.2f} GB foreseen",
        flush=True,
    )
    return found


def main() -> None:
    """Measure, print, and write the results file that the book's page is made from."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small case: does it run?")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.quick:
        measure(QUICK)
        return
    field = {"layers x checkpoints": "analyses"}
    growth = {
        what: [found | {"size": found[field.get(what, what)]} for found in map(measure, sizes)]
        for what, sizes in GROWTH.items()
    }
    found = {"paper": measure(PAPER), "growth": growth, **provenance()}
    write_text(given.output, json.dumps(found, indent=1) + "\n")
    print(f"written to {given.output}")


if __name__ == "__main__":
    main()
