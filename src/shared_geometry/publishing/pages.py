"""The pages of the book: which chapter each is made from, with which parameters."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from shared_geometry.basics.files import sha256, write_text
from shared_geometry.errors import DataError, InputError

MANIFEST = "book/pages.yml"
_FIELDS = {"chapter", "title", "parameters", "smoke", "reads"}


@dataclass(frozen=True)
class Page:
    """One page: a chapter, and the parameters that it is executed with.

    Attributes
    ----------
    name : str
        Of the page's file, and in ``_toc.yml``.
    chapter : str
        Name of the MyST file in ``book/`` that it is made from.
    title : str or None
        Heading in place of the chapter's own, for a chapter that makes several pages.
    parameters : mapping
        What papermill passes to the chapter.
    smoke : mapping
        Parameters that take their place in a build that only tests (``--preset smoke``).
    reads : tuple of str
        Files or folders, from the root of the repository, whose content the page depends on.
    """

    name: str
    chapter: str
    title: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    smoke: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    reads: tuple[str, ...] = ()

    def source(self, root: Path) -> Path:
        """The MyST file of the chapter.

        Parameters
        ----------
        root : Path
            Root of the repository.

        Returns
        -------
        Path
        """
        return root / "book" / f"{self.chapter}.md"

    def is_executed(self, root: Path) -> bool:
        """Whether the chapter is a notebook: text without a kernel is only typeset.

        Parameters
        ----------
        root : Path

        Returns
        -------
        bool
        """
        return "\nkernelspec:" in self.source(root).read_text(encoding="utf-8").split("\n---\n")[0]

    def given(self, root: Path, preset: str | None = None) -> dict[str, Any]:
        """Parameters for a build.

        Parameters
        ----------
        root : Path
        preset : str, optional
            In place of the page's own, where the chapter has one; None: as it is.  ``"smoke"``
            puts the page's ``smoke`` parameters in place, too.

        Returns
        -------
        dict of str to object
        """
        given = dict(self.parameters)
        if preset == "smoke":
            given |= self.smoke
        if preset is not None and "preset" in default_parameters(self.source(root)):
            given["preset"] = preset
        return given


def find_root(start: Path | None = None) -> Path:
    """Root of the repository: the nearest folder above that holds ``_toc.yml``.

    Parameters
    ----------
    start : Path, optional
        Where to begin; None: the working directory, which for a chapter that is opened in
        JupyterLab is ``book/``.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If there is none.
    """
    start = Path.cwd() if start is None else start.resolve()
    for folder in (start, *start.parents):
        if (folder / "_toc.yml").is_file():
            return folder
    raise DataError(f"no folder above {start} holds _toc.yml: run this inside the repository")


def _entry(name: str, entry: Mapping[str, Any] | None) -> Page:
    entry = dict(entry or {})
    if unknown := sorted(set(entry) - _FIELDS):
        raise InputError(
            f"{MANIFEST}: page {name!r} has unknown entries {', '.join(unknown)}; "
            f"known are {', '.join(sorted(_FIELDS))}"
        )
    entry.setdefault("chapter", name)
    entry["reads"] = tuple(entry.get("reads", ()))
    return Page(name=name, **entry)


def _names(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for part in node for name in _names(part)]
    if not isinstance(node, dict):
        return []
    own = [node[key] for key in ("root", "file") if key in node]
    return own + [name for part in node.values() for name in _names(part)]


def read_pages(root: Path) -> tuple[Page, ...]:
    """Pages of the book in the order of ``_toc.yml``, with what ``book/pages.yml`` says of each.

    Parameters
    ----------
    root : Path
        Root of the repository.

    Returns
    -------
    tuple of Page

    Raises
    ------
    DataError
        If a file is missing, or a page of the manifest is in no table of contents.
    InputError
        If the manifest says something that is not known.
    """
    import yaml

    try:
        toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
        manifest = yaml.safe_load((root / MANIFEST).read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        raise DataError(f"{error.filename} is missing: run this in the repository's root") from None
    names = _names(toc)
    if strangers := sorted(set(manifest) - set(names)):
        raise DataError(f"{MANIFEST} names {', '.join(strangers)}, which _toc.yml does not list")
    pages = tuple(_entry(name, manifest.get(name)) for name in names)
    for page in pages:
        if not page.source(root).exists():
            raise DataError(f"_toc.yml lists {page.name!r}, but there is no book/{page.chapter}.md")
    return pages


def read_chapter(source: Path):
    """A chapter as papermill takes it.

    Parameters
    ----------
    source : Path
        Its MyST file.

    Returns
    -------
    nbformat.NotebookNode
    """
    import jupytext

    notebook = jupytext.read(source, fmt="md:myst")
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
        cell.metadata.setdefault("papermill", {})
    notebook.metadata.setdefault("papermill", {"parameters": {}})
    return notebook


def default_parameters(source: Path) -> dict[str, str]:
    """Parameters of a chapter.

    Parameters
    ----------
    source : Path
        Its MyST file.

    Returns
    -------
    dict of str to str
        The text of each default; empty if the chapter has no parameters.
    """
    from papermill.inspection import _infer_parameters

    notebook = read_chapter(source)
    return {entry.name: entry.default for entry in _infer_parameters(notebook)}


def write_notebooks(root: Path) -> list[Path]:
    """Make ``book/<page>.ipynb`` for every page that can be executed.

    They hold no output, and their parameters are those of the page; papermill and JupyterLab read
    them, git does not keep them.

    Parameters
    ----------
    root : Path
        Root of the repository.

    Returns
    -------
    list of Path
        Those that changed.

    Raises
    ------
    DataError, InputError
        As `read_pages` does.
    """
    import nbformat
    from papermill.parameterize import parameterize_notebook

    changed = []
    for page in read_pages(root):
        if not page.is_executed(root):
            continue
        notebook = read_chapter(page.source(root))
        if page.parameters:
            notebook = parameterize_notebook(notebook, dict(page.parameters))
        for number, cell in enumerate(notebook.cells):
            cell.id = hashlib.sha256(f"{number}:{cell.source}".encode()).hexdigest()[:12]
        if write_if_changed(
            target := root / "book" / f"{page.name}.ipynb", nbformat.writes(notebook)
        ):
            changed.append(target)
    return changed


def write_if_changed(path: Path, text: str) -> bool:
    """Write ``text`` to ``path`` unless it stands there already; say whether it was written."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    write_text(path, text)
    return True


def _files(root: Path, page: Page, given: Mapping[str, Any]) -> list[Path]:
    package = sorted(Path(__file__).parent.parent.rglob("*.py"))
    named = [root / name for name in page.reads]
    named += [root / value for value in given.values() if _names_file(root, value)]
    inside = [p for path in named for p in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [page.source(root), root / "constraints.txt", *package, *filter(Path.is_file, inside)]


def _names_file(root: Path, value: Any) -> bool:
    return isinstance(value, str) and len(value) < 200 and (root / value).is_file()


def page_digest(root: Path, page: Page, given: Mapping[str, Any]) -> str:
    """Hash of all that an execution of a page depends on.

    Parameters
    ----------
    root : Path
    page : Page
    given : mapping
        Parameters of the execution.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps(dict(given), sort_keys=True).encode())
    for path in _files(root, page, given):
        digest.update(f"\n{path.name}:{sha256(path)}".encode())
    return digest.hexdigest()
