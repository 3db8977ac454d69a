"""The folder that Sphinx reads: touched only where content changed, so that builds stay short."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from shared_geometry.publishing.elsewhere import fetching, repository
from shared_geometry.publishing.execution import executed_path
from shared_geometry.publishing.pages import Page

_CONFIGURATION = ("_config.yml", "_toc.yml")
_PAGES = {".md", ".ipynb"}
_NOT_COPIED = {*_PAGES, ".yml"}


def _sources(root: Path, build: Path, pages: Iterable[Page]) -> dict[Path, Path]:
    """Name in the stage -> file that belongs there."""
    book = root / "book"
    found = {Path(name): root / name for name in _CONFIGURATION}
    for path in sorted(book.rglob("*")):
        if path.is_file() and path.suffix not in _NOT_COPIED and "/." not in f"/{path.name}":
            found[path.relative_to(book)] = path
    for page in pages:
        if page.is_executed(root):
            found[Path(f"{page.name}.ipynb")] = executed_path(build, page)
        else:
            found[Path(f"{page.name}.md")] = page.source(root)
    return found


def _write_if_changed(content: bytes, target: Path) -> bool:
    if target.is_file() and target.read_bytes() == content:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return True


def stage(root: Path, build: Path, pages: Iterable[Page]) -> bool:
    """Bring ``build/stage`` up to date, and say whether Sphinx would miss what changed there.

    Sphinx looks at pages alone: it misses files that are gone, and styles, scripts and other files
    that are new or changed.

    Parameters
    ----------
    root : Path
        Root of the repository.
    build : Path
        Build folder; the pages' notebooks lie in ``executed`` in it.
    pages : iterable of Page
    """
    folder = build / "stage"
    wanted = _sources(root, build, pages)
    present = [path for path in folder.rglob("*") if path.is_file()]
    stale = [path for path in present if path.relative_to(folder) not in wanted]
    for path in stale:
        path.unlink()
    url, missed = repository(root), bool(stale)
    for name, source in wanted.items():
        content = source.read_bytes()
        if url is not None and name.suffix == ".ipynb":
            content = fetching(content.decode(), url).encode()
        changed = _write_if_changed(content, folder / name)
        missed |= changed and name.suffix not in _PAGES
    return missed


def forget(build: Path) -> None:
    """Remove what Sphinx made and remembers, so that the next build starts afresh."""
    for name in ("html", ".doctrees"):
        shutil.rmtree(build / name, ignore_errors=True)
