import importlib.util
import subprocess
from pathlib import Path

import nbformat
import pytest

from shared_geometry.publishing.elsewhere import FOLDER, fetching


@pytest.mark.parametrize("installed", [True, False])
def test_a_downloaded_notebook_fetches_the_book_only_where_it_is_not(
    installed, tmp_path, monkeypatch
):
    blank = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title")])
    notebook = nbformat.reads(fetching(nbformat.writes(blank), "https://host/book"), as_version=4)
    nbformat.validate(notebook)
    said = []

    def clone_or_install(words, check):
        said.append(words)
        if "clone" in words:
            (tmp_path / words[-1]).mkdir()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", clone_or_install)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if installed else None)
    exec(notebook.cells[1].source, {})
    if installed:
        assert said == []
        assert Path.cwd() == tmp_path
        return
    assert said[0] == ["git", "clone", "--depth", "1", "https://host/book", FOLDER]
    assert said[1][1:] == ["-m", "pip", "install", "-q", ".[brainiak]"]
    assert Path.cwd() == tmp_path / FOLDER
