"""Chapters through papermill's own command, as a reader runs them."""

import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT

from shared_geometry.pages import write_notebooks

pytestmark = pytest.mark.book


def papermill(output, *parameters):
    write_notebooks(ROOT)
    words = [word for name, value in parameters for word in ("-p", name, str(value))]
    return subprocess.run(
        [sys.executable, "-m", "papermill", "book/experiment.ipynb", str(output), *words,
         "--no-progress-bar"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def ran(path):
    cells = nbformat.read(path, 4).cells
    return [c.execution_count for c in cells if c.cell_type == "code" and c.execution_count]


def test_the_experiment_runs_by_papermill_with_parameters(tmp_path):
    done = papermill(
        tmp_path / "out.ipynb", ("preset", "smoke"), ("seed", 3), ("output", tmp_path / "runs")
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = [
        out.data["text/html"]
        for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells
        for out in cell.get("outputs", [])
        if "text/html" in out.get("data", {})
    ]
    assert sum("sg-figure" in text for text in shown) > 3
    assert len(list(tmp_path.glob("runs/**/results.nc"))) == 1


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("architecture", "vgg", ["'vgg'", "convnet", "resnet18"]),
        ("dataset", "mnist", ["'mnist'", "digits", "cifar10", "cifar100"]),
        ("networks", 1, ["networks=1", "2"]),
        ("epochs", "many", ["epochs='many'", "integer"]),
        ("colour", "red", ["unknown parameter 'colour'", "dataset", "epochs"]),
    ],
)
def test_a_wrong_parameter_stops_before_any_work_and_says_what_is_allowed(
    tmp_path, name, value, allowed
):
    done = papermill(
        tmp_path / "out.ipynb", ("preset", "smoke"), ("output", tmp_path / "runs"), (name, value)
    )
    assert done.returncode != 0
    message = next(line for line in done.stderr.splitlines() if line.startswith("InputError:"))
    assert all(word in message for word in allowed)
    assert len(ran(tmp_path / "out.ipynb")) <= 3  # parameters, given parameters, the first cell
    assert not (tmp_path / "runs").exists()
