"""The package's rooms: their order, as CONTRIBUTING tells it, and that imports keep to it."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import shared_geometry

PACKAGE = Path(shared_geometry.__file__).parent
CONTRIBUTING = PACKAGE.parent.parent / "CONTRIBUTING.md"
ROWS = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", CONTRIBUTING.read_text(), re.MULTILINE)
HEIGHT = {room: height for height, row in enumerate(ROWS) for room in re.findall(r"\w+", row)}


def name_of(path: Path) -> str:
    parts = ["shared_geometry", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
FILES.pop("shared_geometry")


def imported(path: Path) -> set[str]:
    """Files of the package that a file imports, at its top or where it needs them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            inside = {f"{node.module}.{a.name}" for a in node.names}
            found |= inside if inside <= set(FILES) else inside | {node.module}
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
    return found & set(FILES) - {name_of(path)}


def room(name: str) -> str:
    return name.split(".")[1]


def test_every_file_lies_in_a_room_that_is_listed():
    assert {room(name) for name in FILES} == set(HEIGHT)


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_from_its_room_and_from_those_above(name):
    wrong = [it for it in imported(FILES[name]) if HEIGHT[room(it)] > HEIGHT[room(name)]]
    assert not wrong, f"{name} imports from rooms below its own: {wrong}"


def test_files_form_no_cycle():
    TopologicalSorter({name: imported(path) for name, path in FILES.items()}).prepare()


def test_a_question_takes_nothing_from_another():
    for name, path in FILES.items():
        own = name.split(".")[:3]
        if own[1] != "beyond" or len(own) < 3 or own[2] == "studies":
            continue
        others = [it for it in imported(path) if room(it) == "beyond" and it.split(".")[:3] != own]
        assert not others, f"{name} imports {others}"
