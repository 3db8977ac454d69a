import shutil

import pytest
from conftest import ROOT
from examples import small_results

from shared_geometry.errors import DataError, InputError
from shared_geometry.experiment.results import load_results, save_results
from shared_geometry.publishing import new_page
from shared_geometry.publishing.new_page import SUMS, add_page, checksums
from shared_geometry.publishing.pages import read_pages


@pytest.fixture
def root(tmp_path):
    """The book's chapters and lists, without its results."""
    (tmp_path / "results").mkdir()
    for name in ("_toc.yml", "book"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "made.nc"
    save_results(small_results(), path)
    return path


def test_a_run_becomes_a_page_behind_the_other_conditions(root, made):
    before = {page.name: page for page in read_pages(root)}
    assert add_page(made, name="mine", title='My "own": networks', root=root) == "mine"
    after = {page.name: page for page in read_pages(root)}
    page = after.pop("mine")
    assert after == before
    assert page.chapter == "experiment"
    assert page.title == 'My "own": networks'
    assert page.parameters == {"results": "results/mine.nc"}
    names = [p.name for p in read_pages(root)]
    conditions = [p.name for p in before.values() if p.chapter == "experiment"]
    assert names.index("mine") == names.index(conditions[-1]) + 1
    assert load_results(root / "results/mine.nc").identical(load_results(made))
    assert (root / "results" / SUMS).read_text() == checksums(root / "results")


def test_a_table_of_contents_without_the_other_conditions_is_refused():
    with pytest.raises(InputError, match=r"_toc.yml names none of other, behind which to add mine"):
        new_page._listed("- file: book/intro\n", "mine", {"other"})


def test_the_comments_of_both_lists_stay(root, made):
    comments = [(root / n).read_text().split("\n")[0] for n in ("_toc.yml", "book/pages.yml")]
    add_page(made, root=root)
    assert comments == [
        (root / n).read_text().split("\n")[0] for n in ("_toc.yml", "book/pages.yml")
    ]


def test_a_page_takes_its_name_and_heading_from_the_run(root, made):
    assert add_page(made, root=root) == "digits-convnet"
    (page,) = (p for p in read_pages(root) if p.name == "digits-convnet")
    assert page.title == "ConvNets on handwritten digits"


def test_a_page_that_is_there_gets_new_results_and_is_not_listed_twice(root, made):
    add_page(made, root=root)
    lists = [(root / n).read_text() for n in ("_toc.yml", "book/pages.yml")]
    save_results(small_results(4), made)
    add_page(made, root=root)
    assert lists == [(root / n).read_text() for n in ("_toc.yml", "book/pages.yml")]
    assert load_results(root / "results/digits-convnet.nc").sizes["network"] == 4


@pytest.mark.parametrize("name", ["cifar10-resnet18", "cifar10-convnet-fast", "search", "genindex"])
def test_a_name_that_means_another_condition_or_page_is_refused(root, made, name):
    kept = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="choose another name"):
        add_page(made, name=name, root=root)
    assert kept == {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_another_title_for_a_page_that_is_there_is_refused_and_nothing_is_written(root, made):
    add_page(made, title="Old", root=root)
    save_results(small_results(4), made)
    with pytest.raises(InputError, match=r"with the title 'Old'; change it in book/pages\.yml"):
        add_page(made, title="New", root=root)
    assert load_results(root / "results/digits-convnet.nc").sizes["network"] != 4
    add_page(made, title="Old", root=root)
    assert load_results(root / "results/digits-convnet.nc").sizes["network"] == 4


@pytest.mark.parametrize("name", ["theory", "experiment", "../up", "Capital", "a b"])
def test_a_name_that_is_taken_or_no_name_is_refused_and_nothing_is_written(root, made, name):
    with pytest.raises(InputError, match="page"):
        add_page(made, name=name, root=root)
    assert not list((root / "results").iterdir())


def test_a_file_that_is_no_results_is_refused(root, tmp_path):
    (tmp_path / "foreign.nc").write_text("foreign")
    with pytest.raises(DataError, match=r"foreign\.nc"):
        add_page(tmp_path / "foreign.nc", root=root)
