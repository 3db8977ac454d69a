"""From chapters to the HTML book: execute, stage, build; each step only where something changed."""

import argparse
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from shared_geometry.basics.locking import locked
from shared_geometry.errors import DataError, InputError
from shared_geometry.publishing.execution import execute_page
from shared_geometry.publishing.pages import read_pages, write_if_changed, write_notebooks
from shared_geometry.publishing.staging import forget, stage


class Built(NamedTuple):
    """What `build_book` did: the book's first page, the pages executed, and the seconds it took."""

    index: Path
    executed: tuple[str, ...]
    seconds: float


def _say(text: str) -> None:
    print(text, flush=True)


def _execute(
    root: Path, build: Path, preset: str | None, say: Callable[[str], None]
) -> tuple[str, ...]:
    pages = [page for page in read_pages(root) if page.is_executed(root)]
    executed = []
    for number, page in enumerate(pages, 1):
        start = time.perf_counter()
        say(f"[{number}/{len(pages)}] {page.name}")
        if execute_page(root, build, page, page.given(root, preset)):
            executed.append(page.name)
            say(f"        executed in {time.perf_counter() - start:.0f} s")
        else:
            say("        unchanged")
    return tuple(executed)


def _typesetter(root: Path) -> str:
    """Hash of what shapes pages without Sphinx noticing: extensions and installed versions."""
    files = (*sorted(Path(__file__).parent.glob("sphinx_*.py")), root / "constraints.txt")
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _typeset(root: Path, output: Path) -> None:
    build = output / "_build"
    changed = write_if_changed(build / "typesetter", _typesetter(root))
    missed = stage(root, build, read_pages(root))
    if changed or missed:
        forget(build)
    script = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    words = [
        "build",
        str(build / "stage"),
        "--path-output",
        str(output),
        "-W",
        "--keep-going",
        "-q",
    ]
    command = [sys.executable, "-c", script, *words]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        forget(build)  # Sphinx repeats no warning about a page that it remembers
        raise DataError("the pages have errors or warnings, listed above; no book was made")


def build_book(
    root: Path | str = ".",
    *,
    output: Path | str | None = None,
    preset: str | None = None,
    say: Callable[[str], None] = _say,
) -> Built:
    """Execute the chapters and build the book into ``_build/html``, warnings as errors.

    Parameters
    ----------
    root : path
        Root of the repository.
    output : path, optional
        Folder that will hold ``_build``; None: the root.
    preset : str, optional
        In place of the preset of every chapter that has one; ``"smoke"`` is for tests.
    say : callable
        Takes lines of progress.

    Returns
    -------
    Built

    Raises
    ------
    ChapterError
        If a chapter stops; names the page, the cell and the error.
    DataError
        If a file is missing, or Sphinx warns.
    InputError
        If ``book/pages.yml`` says something that is not known.
    """
    start = time.perf_counter()
    root = Path(root).resolve()
    output = root if output is None else Path(output).resolve()
    build = output / "_build"
    with locked(build / ".lock"):
        executed = _execute(root, build, preset, say)
        say(f"typesetting {len(read_pages(root))} pages")
        _typeset(root, output)
    built = Built(build / "html" / "index.html", executed, time.perf_counter() - start)
    say(f"{len(executed)} chapters executed, {built.seconds:.0f} s in all. Open {built.index}")
    return built


def main(words: Sequence[str] | None = None) -> int:
    """``python -m shared_geometry.publishing [book|notebooks]``.

    Parameters
    ----------
    words : list of str, optional
        Of the command line; None: those that this process was called with.

    Returns
    -------
    int
        Exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m shared_geometry.publishing")
    parser.add_argument("what", choices=("book", "notebooks"), nargs="?", default="book")
    parser.add_argument("--preset", help="in place of the chapters' own, for example smoke")
    parser.add_argument("--output", help="folder that will hold _build (the repository's root)")
    given = parser.parse_args(words)
    try:
        if given.what == "notebooks":
            changed = write_notebooks(Path.cwd())
            _say(f"{len(changed)} notebooks made in book/")
        else:
            build_book(output=given.output, preset=given.preset)
    except (InputError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
