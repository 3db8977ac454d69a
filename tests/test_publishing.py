import json
import os
import subprocess
import sys

import nbformat
import pytest

from shared_geometry.errors import DataError, InputError, SetAside
from shared_geometry.publishing import build as publishing
from shared_geometry.publishing import pages
from shared_geometry.publishing.execution import ChapterError, execute_page, executed_path
from shared_geometry.publishing.pages import Page, page_digest, read_pages, write_notebooks
from shared_geometry.publishing.staging import stage

CHAPTER = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A chapter

Text.

```{code-cell} ipython3
:tags: [parameters]

preset = "quick"
number = 1
```

```{code-cell} ipython3
print(f"{preset} {number * 10}")
```
"""
TOC = "format: jb-book\nroot: first\nchapters:\n- file: second\n- file: plain\n"
PAGES = """\
second: {chapter: first, title: Another heading, parameters: {number: 2}, smoke: {number: 3},
  reads: [results]}
"""


@pytest.fixture
def root(tmp_path):
    files = {
        "_toc.yml": TOC,
        "_config.yml": "title: t\n",
        "constraints.txt": "",
        "book/pages.yml": PAGES,
        "book/first.md": CHAPTER,
        "book/plain.md": "# Plain\n",
        "book/references.bib": "",
        "book/_static/book.css": "",
        "results/a.nc": "one",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def page(root, name):
    return next(page for page in read_pages(root) if page.name == name)


def execute(root, name, preset=None):
    return execute_page(
        root, root / "_build", page(root, name), page(root, name).given(root, preset),
        progress=False,
    )  # fmt: skip


def executed(root, name):
    return nbformat.read(executed_path(root / "_build", page(root, name)), as_version=4)


def printed(root, name):
    outputs = [out for cell in executed(root, name).cells for out in cell.get("outputs", [])]
    return "".join(out.get("text", "") for out in outputs)


def test_pages_come_in_the_order_of_the_table_of_contents(root):
    assert [(p.name, p.chapter, p.is_executed(root)) for p in read_pages(root)] == [
        ("first", "first", True),
        ("second", "first", True),
        ("plain", "plain", False),
    ]


@pytest.mark.parametrize(
    ("file", "text", "error", "message"),
    [
        ("book/pages.yml", "second: {colour: red}", InputError, "'second'.*colour.*known are"),
        ("book/pages.yml", "third: {}", DataError, "third, which _toc.yml does not list"),
        ("_toc.yml", "format: jb-book\nroot: gone\n", DataError, "no book/gone.md"),
        ("_toc.yml", None, DataError, "_toc.yml is missing"),
    ],
    ids=["unknown entry", "page in no contents", "no such chapter", "no contents"],
)
def test_what_is_wrong_with_the_list_of_pages_is_said(root, file, text, error, message):
    (root / file).unlink() if text is None else (root / file).write_text(text)
    if file == "_toc.yml" and text:
        (root / "book/pages.yml").write_text("")
    with pytest.raises(error, match=message):
        read_pages(root)


def test_a_page_shows_what_its_parameters_make_and_hides_them(root):
    assert execute(root, "second")
    assert printed(root, "second") == "quick 20\n"
    cells = executed(root, "second").cells
    assert cells[0].source.startswith("# Another heading")
    hidden = [cell.source for cell in cells if "remove-cell" in cell.metadata.tags]
    assert len(hidden) == 2
    assert all("number" in source for source in hidden)


def test_a_build_that_tests_takes_its_own_parameters(root):
    assert page(root, "first").given(root, "smoke") == {"preset": "smoke"}
    assert page(root, "second").given(root, "smoke") == {"preset": "smoke", "number": 3}
    assert page(root, "second").given(root) == {"number": 2}


def test_an_executed_page_says_where_it_comes_from(root):
    execute(root, "first")
    about = executed(root, "first").metadata["shared_geometry"]
    assert set(about) == {"digest", "seconds", "commit", "versions", "hardware", "sha256"}
    assert "torch" in json.loads(about["versions"])


def test_a_page_is_executed_only_when_something_changed(root):
    assert execute(root, "first")
    assert not execute(root, "first")
    (root / "book/first.md").write_text(CHAPTER.replace("* 10", "* 100"))
    assert execute(root, "first")
    assert printed(root, "first") == "quick 100\n"


@pytest.mark.parametrize("change", ["chapter", "results", "constraints", "parameters"])
def test_everything_that_a_page_depends_on_is_in_its_digest(root, change):
    second, given = page(root, "second"), {"number": 2}
    before = page_digest(root, second, given)
    assert page_digest(root, second, given) == before
    if change == "parameters":
        given = {"number": 3}
    else:
        names = {"chapter": "book/first.md", "results": "results/a.nc"}
        with open(root / names.get(change, "constraints.txt"), "a") as file:
            file.write("\n")
    assert page_digest(root, second, given) != before


def test_a_results_file_among_the_parameters_is_part_of_the_digest(root):
    first, given = page(root, "first"), {"results": "results/a.nc"}
    before = page_digest(root, first, given)
    (root / "results/a.nc").write_text("two")
    assert page_digest(root, first, given) != before


def test_the_modules_of_the_package_are_part_of_the_digest(root, monkeypatch):
    package = root / "package"
    package.mkdir()
    (package / "module.py").write_text("x = 1\n")
    monkeypatch.setattr(pages, "__file__", str(package / "publishing/pages.py"))
    before = page_digest(root, page(root, "first"), {})
    (package / "module.py").write_text("x = 2\n")
    assert page_digest(root, page(root, "first"), {}) != before


def test_a_failing_chapter_is_named_with_its_cell_and_error_and_the_old_page_stays(root):
    execute(root, "first")
    (root / "book/first.md").write_text(CHAPTER.replace("print(", "raise ValueError("))
    with pytest.raises(
        ChapterError, match=r"'first' \(book/first.md\) stopped in cell 2: ValueError: quick 10"
    ):
        execute(root, "first")
    assert printed(root, "first") == "quick 10\n"


def test_a_chapter_whose_kernel_is_killed_is_named(root):
    (root / "book/first.md").write_text(CHAPTER.replace("print(", "import os; os._exit(9) or ("))
    with pytest.raises(ChapterError, match=r"'first' \(book/first.md\): its kernel ended"):
        execute(root, "first")


@pytest.mark.parametrize(
    "damage",
    [lambda text: text[:200], lambda text: text.replace("quick 10", "quick 11"), lambda text: "{}"],
    ids=["cut short", "altered", "foreign"],
)
def test_a_damaged_notebook_is_named_and_executed_again(root, damage):
    execute(root, "first")
    path = executed_path(root / "_build", page(root, "first"))
    path.write_text(damage(path.read_text()))
    with pytest.warns(SetAside, match=r"first\.ipynb .*set aside"):
        assert execute(root, "first")
    assert printed(root, "first") == "quick 10\n"


def test_the_stage_touches_only_what_changed_and_drops_what_is_gone(root):
    execute(root, "first")
    pages = [page(root, "first"), page(root, "plain")]
    folder = root / "_build" / "stage"
    stage(root, root / "_build", pages)
    assert not stage(root, root / "_build", pages)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "_config.yml", "_toc.yml", "_static/book.css", "references.bib", "first.ipynb", "plain.md",
    }  # fmt: skip
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    (root / "book/plain.md").write_text("# Plainer\n")
    assert not stage(root, root / "_build", pages)
    touched = [p.name for p in folder.rglob("*") if p.is_file() and p.stat().st_mtime > 1]
    assert touched == ["plain.md"]
    (root / "book/_static/book.css").write_text("html { color: teal; }\n")
    assert stage(root, root / "_build", pages)
    assert not stage(root, root / "_build", pages)
    (root / "book/_static/new.js").write_text("// new\n")
    assert stage(root, root / "_build", pages)
    assert stage(root, root / "_build", pages[:1])
    assert not (folder / "plain.md").exists()


def test_notebooks_for_papermill_are_made_once_and_carry_their_parameters(root):
    assert [path.name for path in write_notebooks(root)] == ["first.ipynb", "second.ipynb"]
    assert write_notebooks(root) == []
    command = [sys.executable, "-m", "papermill", "book/second.ipynb", "out.ipynb"]
    subprocess.run(
        [*command, "-p", "number", "7", "--no-progress-bar"], cwd=root, check=True,
        capture_output=True,
    )  # fmt: skip
    texts = [out.text for cell in nbformat.read(root / "out.ipynb", 4).cells
             for out in cell.get("outputs", [])]  # fmt: skip
    assert texts == ["quick 70\n"]


def test_a_warning_of_sphinx_is_an_error_each_time(root, monkeypatch):
    (root / "_config.yml").write_text(
        "title: t\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
    )
    (root / "_toc.yml").write_text("format: jb-book\nroot: plain\n")
    (root / "book/pages.yml").write_text("")
    (root / "book/plain.md").write_text("# Plain\n\n[nowhere](gone.md)\n")
    for _ in range(2):
        with pytest.raises(DataError, match="errors or warnings"):
            publishing.build_book(root, say=lambda text: None)
    (root / "book/plain.md").write_text("# Plain\n")
    built = publishing.build_book(root, say=lambda text: None)
    assert built.index == root / "_build/html/index.html"
    assert built.index.exists()


def test_a_change_of_style_alone_comes_into_the_book(root):
    (root / "_config.yml").write_text(
        "title: t\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
    )
    (root / "_toc.yml").write_text("format: jb-book\nroot: plain\n")
    (root / "book/pages.yml").write_text("")
    for colour in ("teal", "tan"):
        (root / "book/_static/book.css").write_text(f"html {{ color: {colour}; }}\n")
        publishing.build_book(root, say=lambda text: None)
        assert colour in (root / "_build/html/_static/book.css").read_text()


def test_the_command_says_in_one_line_what_is_wrong(root, capsys, monkeypatch):
    (root / "_toc.yml").unlink()
    monkeypatch.chdir(root)
    assert publishing.main(["book"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_page_is_no_chapter_when_it_has_no_kernel(root):
    assert not Page("plain", "plain").is_executed(root)
    assert Page("first", "first").is_executed(root)
