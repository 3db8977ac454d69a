"""A results file becomes a page of the book: kept under `results/`, listed, in its place."""

import json
import re
import shutil
from pathlib import Path

from shared_geometry.basics.files import fresh, sha256, write_text
from shared_geometry.basics.wording import NAMES
from shared_geometry.errors import InputError
from shared_geometry.experiment.results import config_of, load_results
from shared_geometry.publishing.pages import MANIFEST, find_root, read_pages
from shared_geometry.reports.populations import named_for

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_CHAPTER = "experiment"
_RESERVED = ("genindex", "index", "py-modindex", "search")
SUMS = "SHA256SUMS"


def checksums(folder: Path) -> str:
    """SHA-256 of every results file below ``folder``, as ``sha256sum --check`` reads them."""
    paths = sorted(folder.rglob("*.nc"))
    return "".join(f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths)


def _listed(toc: str, name: str, after: set[str]) -> str:
    """Table of contents with page ``name`` behind the last of the pages ``after``."""
    lines = toc.splitlines()
    places = [
        place
        for place, line in enumerate(lines)
        if (found := re.fullmatch(r"\s*- file: (\S+)\s*", line)) and found[1] in after
    ]
    if not places:
        raise InputError(
            f"_toc.yml names none of {', '.join(sorted(after))}, behind which to add {name}"
        )
    before = lines[places[-1]]
    lines.insert(places[-1] + 1, f"{before[: before.index('-')]}- file: {name}")
    return "\n".join(lines) + "\n"


def add_page(
    results: str | Path, *, name: str | None = None, title: str | None = None, root: Path = Path()
) -> str:
    """Make a page of the book from a results file, or give a page that is there new results.

    The file is copied to ``results/<name>.nc``; a new page is added to ``book/pages.yml`` and,
    behind the pages of other conditions, to ``_toc.yml``.  ``make book`` then builds it.

    Parameters
    ----------
    results : path
        A file that `experiment.run` made.
    name : str, optional
        Of the page: small letters, digits and hyphens; None: data set and architecture.
    title : str, optional
        Heading of a new page; None: architecture and data set.
    root : Path
        A folder in the repository.

    Returns
    -------
    str
        The page's name.

    Raises
    ------
    InputError
        If the name is no page's name, or another chapter's, or another condition's, or that of a
        page with another title.
    DataError
        If the file is no sound results file, or ``root`` is not in the repository.
    """
    root = find_root(root.resolve())
    config = config_of(load_results(results))
    name = name or f"{config.dataset}-{config.architecture}"
    if not _NAME.fullmatch(name):
        raise InputError(f"page name {name!r}: small letters, digits and hyphens are allowed")
    if name in _RESERVED:
        raise InputError(f"page {name!r} is a page that Sphinx makes; choose another name")
    shows, named = (config.dataset, config.architecture), named_for(name)
    if named and shows != named:
        raise InputError(
            f"page {name!r} is named for {'-'.join(named)}, and the results are of "
            f"{'-'.join(shows)}; choose another name"
        )
    pages = {page.name: page for page in read_pages(root)}
    if name in pages and (pages[name].chapter != _CHAPTER or name == _CHAPTER):
        raise InputError(f"page {name!r} is a chapter of its own; choose another name")
    if name in pages and title not in (None, pages[name].title):
        raise InputError(
            f"page {name!r} is there, with the title {pages[name].title!r}; change it in {MANIFEST}"
        )
    target = root / "results" / f"{name}.nc"
    if target.resolve() != Path(results).resolve():
        with fresh(target) as aside:
            shutil.copyfile(results, aside)
    if name not in pages:
        title = title or f"{NAMES[config.architecture]}s on {NAMES[config.dataset]}"
        _enter(root, name, title, {p.name for p in pages.values() if p.chapter == _CHAPTER})
    write_text(root / "results" / SUMS, checksums(root / "results"))
    return name


def _enter(root: Path, name: str, title: str, conditions: set[str]) -> None:
    path, toc = root / MANIFEST, root / "_toc.yml"
    contents = _listed(toc.read_text(encoding="utf-8"), name, conditions)
    entry = (
        f"\n{name}:\n  chapter: {_CHAPTER}\n  title: {json.dumps(title, ensure_ascii=False)}\n"
        f"  parameters: {{results: results/{name}.nc}}\n  reads: [results/{name}.nc]\n"
    )
    write_text(toc, contents)  # first: a manifest that names an unlisted page is an error
    write_text(path, path.read_text(encoding="utf-8").rstrip("\n") + "\n" + entry)
