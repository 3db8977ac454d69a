"""Every chapter at its default parameters on a machine like Binder's: one core, 2 GB.

    python benchmarks/binder.py [page ...]

Each chapter runs by papermill in a process tree of its own that is bound to one core and may not
allocate more than 2 GB.  Seconds, and the largest resident size of the tree, go to
``benchmarks/results/binder.json``; the book says them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from shared_geometry.files import write_text
from shared_geometry.pages import default_parameters, read_pages, write_notebooks
from shared_geometry.provenance import provenance

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "binder.json"
LIMIT = 2 * 10**9  # bytes that a process may allocate


def _confine() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))


def _resident(process: psutil.Process) -> int:
    """Resident bytes of a process and all that it started."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def measure(chapter: str) -> dict[str, float | str]:
    """Run one chapter in a scratch folder; seconds and peak memory in GB."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [sys.executable, "-m", "papermill", f"book/{chapter}.ipynb", f"{scratch}/out.ipynb"]
        words += ["--no-progress-bar"]
        if "output" in default_parameters(ROOT / "book" / f"{chapter}.md"):  # begin from nothing
            words += ["-p", "output", f"{scratch}/runs"]
        start = time.perf_counter()
        work = subprocess.Popen(
            words, cwd=ROOT, preexec_fn=_confine, stderr=subprocess.PIPE, text=True
        )
        process, peak = psutil.Process(work.pid), 0
        while work.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(0.1)
        if work.returncode != 0:
            limit = f"{LIMIT / 1e9:g} GB"
            raise RuntimeError(f"{chapter} did not run in {limit}:\n{work.stderr.read()}")
        return {"chapter": chapter, "seconds": time.perf_counter() - start, "memory": peak / 1e9}


def main() -> None:
    """Measure every chapter, print, and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="chapters (all)")
    given = parser.parse_args()
    write_notebooks(ROOT)
    pages = {page.chapter: page for page in read_pages(ROOT) if page.is_executed(ROOT)}
    rows = []
    for chapter in given.pages or pages:
        rows.append(measure(chapter))
        print(f"{chapter:12} {rows[-1]['seconds']:6.0f} s {rows[-1]['memory']:6.2f} GB", flush=True)
    if not given.pages:
        found = {"limit": LIMIT / 1e9, "cores": 1, "chapters": rows, **provenance()}
        write_text(RESULTS, json.dumps(found, indent=1) + "\n")
        print(f"written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
