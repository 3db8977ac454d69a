"""A chapter's notebook away from its repository: it begins by fetching what it needs."""

from pathlib import Path

FOLDER = "shared-geometry"
_CELL = """\
# Where the book is not installed (Colab, a downloaded notebook): fetch it and what it needs, once.
import importlib.util

if importlib.util.find_spec("shared_geometry") is None:
    import os
    import subprocess
    import sys

    if not os.path.isdir("{folder}"):
        subprocess.run(["git", "clone", "--depth", "1", "{url}", "{folder}"], check=True)
    os.chdir("{folder}")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", ".[brainiak]"], check=True)
"""


def repository(root: Path) -> str | None:
    """Address of the repository, from ``_config.yml``; None if it says none."""
    import yaml

    configuration = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8")) or {}
    return configuration.get("repository", {}).get("url")


def fetching(notebook: str, url: str) -> str:
    """A notebook with a cell below its title that fetches the repository where it is not.

    Parameters
    ----------
    notebook : str
        JSON.
    url : str
        Of the repository.
    """
    import nbformat

    chapter = nbformat.reads(notebook, as_version=4)
    cell = nbformat.v4.new_code_cell(_CELL.format(url=url, folder=FOLDER).rstrip())
    cell.id = "elsewhere"
    cell.metadata["tags"] = ["remove-cell"]
    chapter.cells.insert(1, cell)
    return nbformat.writes(chapter)
