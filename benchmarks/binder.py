"""Every chapter at its default parameters on a machine like Binder's: one core, 2 GB.

    python benchmarks/binder.py [--clean] [page ...]

Each chapter runs by papermill in a process tree of its own that is bound to one core and may not
allocate more than 2 GB.  Seconds, and the largest resident size of the tree, go to
``benchmarks/results/binder.json``; the book says them.  ``--clean`` first does what Binder does: in
a clone of the last commit, a new environment from the list in ``environment.yml``, by pip as far as
conda's packages have a namesake there, and then ``postBuild``.
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
import yaml

from shared_geometry.basics.files import write_text
from shared_geometry.basics.provenance import provenance
from shared_geometry.publishing.pages import default_parameters, read_pages, write_notebooks

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "binder.json"
LIMIT = 2 * 10**9  # bytes that a process may allocate
_NAMESAKES = {"pytorch-cpu": "torch"}  # what pip calls a package of conda


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


def measure(chapter: str, python: str, root: Path) -> dict[str, float | str]:
    """Run one chapter in a scratch folder; seconds and peak memory in GB."""
    with tempfile.TemporaryDirectory() as scratch, open(f"{scratch}/said", "w+") as said:
        words = [python, "-m", "papermill", f"book/{chapter}.ipynb", f"{scratch}/out.ipynb"]
        words += ["--no-progress-bar"]
        if "output" in default_parameters(ROOT / "book" / f"{chapter}.md"):  # begin from nothing
            words += ["-p", "output", f"{scratch}/runs"]
        start = time.perf_counter()
        work = subprocess.Popen(
            words,
            cwd=root,
            preexec_fn=_confine,
            stderr=said,
            env=_path(python),
        )
        process, peak = psutil.Process(work.pid), 0
        while work.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(0.1)
        if work.returncode != 0:
            said.seek(0)
            limit = f"{LIMIT / 1e9:g} GB"
            raise RuntimeError(f"{chapter} did not run in {limit}:\n{said.read()}")
        return {"chapter": chapter, "seconds": time.perf_counter() - start, "memory": peak / 1e9}


def _path(python: str) -> dict[str, str]:
    """The environment of a shell in which that Python was activated."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return kept | {"PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"}


def by_pip(entry: str) -> str | None:
    """What pip calls an entry of ``environment.yml``; None for Python itself."""
    name, equals, version = entry.partition("=")
    if name == "python":
        return None
    if not equals or name[-1] in "<>":
        return entry
    return f"{_NAMESAKES.get(name, name)}=={version}.*"


def clean(folder: Path) -> tuple[str, Path]:
    """A new environment and a clone of the last commit in it; its Python, and the clone."""
    root, python = folder / "book", str(folder / "venv" / "bin" / "python")
    subprocess.run(["git", "clone", "-q", ROOT, root], check=True)
    *conda, last = yaml.safe_load((root / "environment.yml").read_text())["dependencies"]
    packages = [name for entry in (*conda, *last["pip"]) if (name := by_pip(entry))]
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    subprocess.run(["bash", "postBuild"], cwd=root, env=_path(python), check=True)
    return python, root


def run(chosen: list[str], python: str, root: Path) -> None:
    """Measure chapters in a copy of the repository, by that Python."""
    chapters = dict.fromkeys(page.chapter for page in read_pages(ROOT) if page.is_executed(ROOT))
    rows = []
    for chapter in chosen or chapters:
        rows.append(measure(chapter, python, root))
        print(f"{chapter:12} {rows[-1]['seconds']:6.0f} s {rows[-1]['memory']:6.2f} GB", flush=True)
    if not chosen:
        found = {
            "clean": root != ROOT,
            "limit": LIMIT / 1e9,
            "cores": 1,
            "chapters": rows,
            **provenance(),
        }
        write_text(RESULTS, json.dumps(found, indent=1) + "\n")
        print(f"written to {RESULTS.relative_to(ROOT)}")


def main() -> None:
    """Measure every chapter, print, and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", help="chapters (all)")
    parser.add_argument("--clean", action="store_true", help="in an environment made for this")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.clean:
            run(given.pages, *clean(Path(folder)))
        else:
            write_notebooks(ROOT)
            run(given.pages, sys.executable, ROOT)


if __name__ == "__main__":
    main()
