"""Binder gets what the package needs, and its hook leaves a book that is ready to run."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import nbformat
import pytest
import yaml
from conftest import ROOT

from shared_geometry.publishing.pages import read_pages

LISTED = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
ALIASES = {"pytorch-cpu": "torch"}


def names(entries):
    found = (re.match(r"[\w.-]+", entry)[0] for entry in entries)
    return {ALIASES.get(name, name) for name in found}


def test_binder_s_environment_holds_what_the_package_and_its_chapters_need():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    *conda, last = LISTED
    here = names(conda) | names(last["pip"])
    needed = names([*project["dependencies"], "papermill", "jupytext", "brainiak", "jupyterlab"])
    # h5py comes with h5netcdf
    assert needed - here <= {"h5py"}
    oldest = re.search(r"[\d.]+", project["requires-python"])[0]
    assert f"python={oldest}" in LISTED


@pytest.fixture
def copy(tmp_path):
    """The repository's tracked files, and an environment that has what Binder's would have."""
    root = tmp_path / "book"
    for name in ("src", "book", "results", "pyproject.toml", "README.md", "LICENSE", "_toc.yml",
                 "_config.yml", "postBuild"):  # fmt: skip
        source, target = ROOT / name, root / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.ipynb", "*.egg-info"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    packages = next(p for p in map(str, sys.path) if p.endswith("site-packages"))
    (site / "binder.pth").write_text(packages + "\n")
    return root, venv


def test_the_hook_installs_the_package_and_makes_the_chapters_notebooks(copy):
    root, venv = copy
    environment = os.environ | {"PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    how = {"env": environment, "capture_output": True, "text": True, "check": False}
    done = subprocess.run(["bash", "postBuild"], cwd=root, **how)
    assert done.returncode == 0, done.stderr
    where = "import shared_geometry; print(shared_geometry.__file__)"
    found = subprocess.run([venv / "bin/python", "-c", where], cwd=venv, **how)
    assert found.stdout.strip() == str(root / "src/shared_geometry/__init__.py")
    for page in read_pages(root):
        if page.is_executed(root):
            nbformat.validate(nbformat.read(root / "book" / f"{page.name}.ipynb", 4))
    (settings,) = venv.rglob("overrides.json")
    assert "Jupytext Notebook" in settings.read_text()
