"""Chapters through papermill's own command, as a reader runs them."""

import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT

from shared_geometry.errors import DataError
from shared_geometry.publishing.pages import (
    default_parameters,
    read_chapter,
    read_pages,
    write_notebooks,
)

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


CHAPTERS = {page.chapter: page for page in read_pages(ROOT) if page.is_executed(ROOT)}
POPULATION = {
    "preset": "smoke",
    "dataset": "digits",
    "architecture": "convnet",
    "networks": 3,
    "epochs": 2,
    "seed": 5,
}
# A value for every parameter of every chapter, other than its default where there is another.
GIVEN = {
    "intro": POPULATION,
    "methods": {"seed": 5, "networks": 3, "units": 20, "noise": 0.1},
    "theory": {"seed": 5, "networks": 3, "units": 20, "images": 30, "dimensions": 5},
    "simulation": {
        "seed": 5,
        "runs": 3,
        "copies": 4,
        "units": 20,
        "points": 30,
        "steps": 50,
        "side_runs": 2,
        "bootstrap": 50,
    },
    "solving": {
        "seed": 5,
        "networks": 4,
        "units": 24,
        "images": 100,
        "noise": 0.2,
        "sweeps": 5,
        "starts": 2,
    },
    "experiment": POPULATION
    | {
        "architecture": "resnet18",
        "stem": "cifar",
        "recipe": "paper",
        "networks": 2,
        "epochs": 1,
        "batch_size": 50,
        "learning_rate": 1e-4,
        "train_images": 200,
        "checkpoints": [0, 0.5, 1],
        "analysed": [0.5, 1],
        "max_units": 40,
        "alignment_fraction": 0.7,
        "components": 30,
        "centre": False,
        "solver": "brainiak-det",
        "bootstrap": 50,
        "display_images": 20,
        "device": "cpu",
        "precision": "float32",
    },
    "ledger": {"seed": 5, "runs": 3, "bootstrap": 50},
    "discussion": {name: POPULATION[name] for name in ("preset", "networks", "epochs", "seed")},
    **dict.fromkeys(
        ("choices", "chance", "rigidity", "heads", "emergence", "measures", "dynamics"), POPULATION
    ),
    "across": POPULATION | {"networks": 2, "epochs": 1},
    "blocks": POPULATION | {"architecture": "resnet18", "networks": 2, "epochs": 1},
    "yours": {"seed": 5, "networks": 3, "images": 200, "units": 40, "noise": 0.1},
}


@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if c in GIVEN])
def test_a_chapter_runs_with_each_of_its_parameters(chapter, tmp_path):
    import papermill

    known = default_parameters(CHAPTERS[chapter].source(ROOT))
    empty = tmp_path / "empty"
    empty.mkdir()
    paths = {"root": str(empty), "output": str(tmp_path / "runs"), "folder": str(empty)}
    given = GIVEN[chapter] | {name: path for name, path in paths.items() if name in known}
    assert set(given) == set(known) - {"results"}
    write_notebooks(ROOT)
    made = papermill.execute_notebook(
        ROOT / "book" / f"{chapter}.ipynb",
        tmp_path / "out.ipynb",
        parameters=given | ({"results": None} if "results" in known else {}),
        cwd=ROOT,
        progress_bar=False,
        extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
    )
    (cell,) = (c for c in made.cells if "injected-parameters" in c.metadata.tags)
    assert all(f"{name} = " in cell.source for name in given)
    assert "sg-figure" in str(made) or chapter in ("ledger", "discussion")


LIVE = [  # makes a population, and reads what is published
    chapter
    for chapter, page in CHAPTERS.items()
    if "output" in default_parameters(page.source(ROOT))
    and "find_root()" in page.source(ROOT).read_text()
]


@pytest.mark.parametrize("chapter", LIVE)
def test_outside_the_repository_a_chapter_says_so_before_any_work(chapter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = read_chapter(CHAPTERS[chapter].source(ROOT)).cells
    code, scope = "\n".join(c.source for c in cells if c.cell_type == "code"), {}
    with pytest.raises(DataError, match="run this inside the repository"):
        exec(code, scope)
    assert "config" in scope
    assert not (tmp_path / "runs").exists()


def test_every_chapter_that_is_live_and_reads_what_is_published_is_asked():
    assert len(LIVE) >= 10


def test_no_chapter_with_parameters_is_left_out():
    with_parameters = {c for c, page in CHAPTERS.items() if default_parameters(page.source(ROOT))}
    assert with_parameters == set(GIVEN)
