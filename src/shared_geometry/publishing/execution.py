"""Chapters executed by papermill: whole or absent, and only when something has changed."""

import hashlib
import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared_geometry.basics.files import reuse, write_text
from shared_geometry.basics.provenance import provenance
from shared_geometry.errors import DataError
from shared_geometry.publishing.pages import Page, page_digest, read_chapter

# Hidden in a page: papermill's injected cell does not inherit the tags of the one it follows.
_PARAMETER_TAGS = {"parameters", "injected-parameters"}


class ChapterError(DataError):
    """A chapter stopped with an error; the message names the page, the cell and the error."""


def executed_path(build: Path, page: Page) -> Path:
    """Where the executed notebook of ``page`` lies."""
    return build / "executed" / f"{page.name}.ipynb"


def _seal(notebook: Any) -> str:
    """SHA-256 of a notebook's content, what it says of its own seal left out."""
    content = json.loads(json.dumps(notebook))
    content["metadata"].get("shared_geometry", {}).pop("sha256", None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_executed(path: Path) -> Any:
    """Executed notebook that `execute_page` wrote.

    Raises
    ------
    DataError
        If it cannot be read, or was altered or cut short.
    """
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat has many for what is no notebook
        raise DataError(f"{path.name} cannot be read as a notebook: {error}") from error
    if notebook.metadata.get("shared_geometry", {}).get("sha256") != _seal(notebook):
        raise DataError(f"{path.name} does not match its checksum: it was altered or cut short")
    return notebook


def is_current(path: Path, digest: str) -> bool:
    """Whether ``path`` is an executed notebook, whole, made from what ``digest`` stands for."""
    notebook = reuse(path, read_executed)
    return notebook is not None and notebook.metadata.shared_geometry.digest == digest


def _run(notebook, given: Mapping[str, Any], root: Path, progress: bool):
    import papermill

    logging.getLogger("papermill").setLevel(logging.WARNING)
    return papermill.execute_notebook(
        notebook,
        None,
        parameters=dict(given),
        cwd=root,
        progress_bar={"leave": False} if progress else False,
        stderr_file=sys.stderr if progress else None,  # a chapter's own progress
        start_timeout=120,
        extra_arguments=["--IPKernelApp.log_level=CRITICAL"],  # errors of cells come back anyway
    )


def _hide_parameters(notebook) -> None:
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if _PARAMETER_TAGS & set(tags) and "remove-cell" not in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]


def _retitle(notebook, title: str) -> None:
    for cell in notebook.cells:
        lines = cell.source.split("\n")
        for number, line in enumerate(lines):
            if cell.cell_type == "markdown" and line.startswith("# "):
                lines[number] = f"# {title}"
                cell.source = "\n".join(lines)
                return


def execute_page(
    root: Path, build: Path, page: Page, given: Mapping[str, Any], *, progress: bool = True
) -> bool:
    """Execute the chapter of ``page`` unless its notebook is there and current.

    Parameters
    ----------
    root : Path
        Root of the repository; the chapter runs there.
    build : Path
        Build folder; the notebook goes to ``executed/<page>.ipynb`` in it.
    page : Page
    given : mapping
        Parameters, see `Page.given`.
    progress : bool
        Show papermill's progress bar, and what the chapter writes to standard error.

    Returns
    -------
    bool
        Whether it was executed.

    Raises
    ------
    ChapterError
        If a cell fails or the kernel ends; an earlier notebook stays as it was.
    """
    import nbformat
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillException, PapermillExecutionError

    path, digest = executed_path(build, page), page_digest(root, page, given)
    if is_current(path, digest):
        return False
    start = time.perf_counter()
    try:
        notebook = _run(read_chapter(page.source(root)), given, root, progress)
    except PapermillExecutionError as error:
        raise ChapterError(
            f"page {page.name!r} (book/{page.chapter}.md) stopped in cell {error.exec_count}: "
            f"{error.ename}: {error.evalue}\n\n{error.source}"
        ) from None
    except PapermillException as error:
        raise ChapterError(f"page {page.name!r} (book/{page.chapter}.md): {error}") from None
    except DeadKernelError:
        raise ChapterError(
            f"page {page.name!r} (book/{page.chapter}.md): its kernel ended (out of memory?); "
            "chapters that were executed are kept, and the same command goes on from here"
        ) from None
    _hide_parameters(notebook)
    if page.title:
        _retitle(notebook, page.title)
    seconds = round(time.perf_counter() - start, 1)
    notebook.metadata["shared_geometry"] = {"digest": digest, "seconds": seconds, **provenance()}
    notebook.metadata["papermill"] = {"parameters": dict(given)}
    notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)  # as it will be read
    notebook.metadata.shared_geometry["sha256"] = _seal(notebook)
    write_text(path, nbformat.writes(notebook))
    return True
