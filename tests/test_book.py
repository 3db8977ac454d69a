"""The book as files: what was built holds what the chapters say, and asks nobody for anything."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from conftest import ROOT
from docstrings import find, unsaid
from sphinx.util.inventory import InventoryFile

from shared_geometry.experiment.results import config_of
from shared_geometry.publishing.build import build_book
from shared_geometry.publishing.elsewhere import repository
from shared_geometry.publishing.execution import executed_path
from shared_geometry.publishing.pages import read_chapter, read_pages
from shared_geometry.reports.populations import besides, called, load_published

pytestmark = pytest.mark.book

PAGES = read_pages(ROOT)
NOTEBOOKS = [page for page in PAGES if page.is_executed(ROOT)]
SHOWN = re.compile(r"\bshow\(.*?\bname=\"([^\"]+)\"", re.DOTALL)
LIBRARIES = ("vendor/plotly.min.js", "vendor/mathjax.js")


def by_name(page):
    return page.name


class Elements(HTMLParser):
    """Start tags of a page, and the text of its figures' data."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.data, self.inside = [], {}, False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        self.inside = attributes.get("class") == "sg-data"

    def handle_data(self, text):
        if self.inside:
            self.data[self.ids("figure")[-1]] = json.loads(text)
            self.inside = False

    def ids(self, tag=None):
        return [a["id"] for t, a in self.tags if "id" in a and tag in (None, t)]

    def resources(self):
        """Addresses that a browser loads by itself."""
        for tag, attributes in self.tags:
            if tag in ("script", "img", "iframe", "source", "video", "audio", "embed"):
                yield attributes.get("src")
            if tag == "link" and attributes.get("rel") not in ("canonical", "index", "search",
                                                               "next", "prev"):  # fmt: skip
                yield attributes.get("href")


@pytest.fixture(scope="session")
def elements(book):
    return {path.name: Elements(path.read_text()) for path in book.index.parent.glob("*.html")}


@pytest.fixture(scope="session")
def notebooks(book):
    build = book.index.parents[1]
    return {page.name: nbformat.read(executed_path(build, page), 4) for page in NOTEBOOKS}


def outputs(notebook):
    return [out for cell in notebook.cells for out in cell.get("outputs", [])]


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_page_of_the_contents_is_there_with_a_title(book, page):
    text = (book.index.parent / f"{page.name}.html").read_text()
    assert re.search(r"<title>[^<]+ &#8212; Shared Representational Geometry</title>", text)
    assert text.count("<h1>") >= 1


def test_the_first_page_is_the_index_of_the_site(book):
    assert book.index.read_text() == (book.index.parent / f"{PAGES[0].name}.html").read_text()


@pytest.mark.parametrize("page", NOTEBOOKS, ids=by_name)
def test_every_page_holds_exactly_the_figures_that_its_chapter_shows(page, elements):
    code = [cell.source for cell in read_chapter(page.source(ROOT)).cells]
    expected = [name for source in code for name in SHOWN.findall(source)]
    found = elements[f"{page.name}.html"].ids("figure")
    assert [name for name in found if name in expected] == expected
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("page", NOTEBOOKS, ids=by_name)
def test_no_figure_is_lost_between_notebook_and_page(page, elements, notebooks):
    shown = [
        re.search(r'<figure class="sg-figure" id="([^"]+)"', out.data.get("text/html", ""))
        for out in outputs(notebooks[page.name])
        if "application/vnd.plotly.v1+json" in out.get("data", {})
    ]
    assert all(shown), "a figure was displayed without shared_geometry.publishing.display.show"
    found = elements[f"{page.name}.html"]
    assert [match[1] for match in shown] == found.ids("figure") == list(found.data)
    assert all(figure["data"] for figure in found.data.values())


@pytest.mark.parametrize("page", NOTEBOOKS, ids=by_name)
def test_every_figure_says_what_made_its_numbers(page, book):
    text = (book.index.parent / f"{page.name}.html").read_text()
    for figure in re.findall(r'<figure class="sg-figure".*?</figure>', text, flags=re.S):
        (line,) = re.findall(r"<details><summary>Provenance</summary><p>(.*?)</p>", figure)
        assert re.search(r"[Cc]ommit \w{7}", line), line


@pytest.mark.parametrize("page", NOTEBOOKS, ids=by_name)
def test_no_cell_failed_and_no_parameter_cell_is_shown(page, book, notebooks):
    notebook = notebooks[page.name]
    assert [out for out in outputs(notebook) if out.output_type == "error"] == []
    text = (book.index.parent / f"{page.name}.html").read_text()
    tagged = [cell for cell in notebook.cells if "parameters" in str(cell.metadata.get("tags"))]
    assert all("remove-cell" in cell.metadata.tags for cell in tagged)
    assert "tag_parameters" not in text
    assert "tag_injected-parameters" not in text


def test_what_is_published_by_two_recipes_is_set_side_by_side(book):
    published = load_published(ROOT / "results")
    text = (book.index.parent / "choices.html").read_text()
    section = text.split('id="another-recipe"')[1].split("<section")[0]
    assert len(besides(published)) == len(re.findall(r"<table", section)) > 0
    for results in besides(published):
        config = config_of(results)
        assert called((config.dataset, config.architecture)) in section
        assert f"{config.recipe}, {results.sizes['epoch']} epochs" in section


def test_an_unchanged_book_is_built_without_executing_a_chapter(book):
    again = build_book(ROOT, output=book.index.parents[2], preset="smoke", say=lambda text: None)
    assert again.executed == ()
    assert again.index == book.index


def test_no_page_loads_anything_from_elsewhere_or_that_is_not_there(book, elements):
    folder = book.index.parent
    for name, found in elements.items():
        for address in filter(None, found.resources()):
            assert not urlsplit(address).scheme, f"{name} loads {address}"
            assert not address.startswith("//"), f"{name} loads {address}"
            assert (folder / urlsplit(address).path).is_file(), f"{name} loads {address}: missing"


def test_no_style_sheet_in_use_loads_anything_from_elsewhere(book, elements):
    folder = book.index.parent
    sheets = {urlsplit(a).path for e in elements.values() for a in e.resources() if a}
    for sheet in sorted(path for path in sheets if path.endswith(".css")):
        for address in re.findall(r"url\(([^)]*)\)", (folder / sheet).read_text()):
            address = address.strip("\"'")
            assert not re.match(r"(https?:)?//", address), f"{sheet} loads {address}"


def links_inside(elements):
    """(page, target, anchor) of every link from a page of the book to one of its files."""
    for name, found in elements.items():
        for tag, attributes in found.tags:
            link = urlsplit(attributes.get("href") or "")
            if tag == "a" and not link.scheme and not link.netloc:
                yield name, unquote(link.path) or name, unquote(link.fragment)


def test_every_link_inside_the_book_leads_to_a_file(book, elements):
    lost = [link for link in links_inside(elements) if not (book.index.parent / link[1]).is_file()]
    assert lost == []


def test_every_anchor_that_is_linked_to_is_there(elements):
    anchors = {name: {"", *found.ids()} for name, found in elements.items()}
    linked = [link for link in links_inside(elements) if link[1] in anchors]
    assert [link for link in linked if link[2] not in anchors[link[1]]] == []


def test_the_pages_of_the_package_tell_fields_and_link_short_names(book):
    pages = {p.name: p.read_text() for p in book.index.parent.glob("api*.html")}
    assert not any("Alias for field number" in text for text in pages.values())
    assert "bytes, about" in pages["api-experiments.html"]  # a comment beside a field
    assert "<strong>w_</strong>" in pages["api-srm.html"]
    for field in ("train", "test", "epochs", "batch_size", "train_loss"):  # described in pairs
        assert f"<strong>{field}</strong>" in pages["api-experiments.html"]
    for name in ("yours.compare", "srm.SRM", "experiment.run"):
        page = {"yours": "api-yours", "srm": "api-srm", "experiment": "api-experiments"}
        address = f"{page[name.split('.')[0]]}.html#shared_geometry.{name}"
        assert f'href="{address}"' in pages["api.html"]
    for page, name in (("api-statistics", "SRM"), ("api-yours", "SRM.transform_network")):
        assert f'href="api-srm.html#shared_geometry.srm.{name}"' in pages[f"{page}.html"]


def documented(book):
    """Full names of what the pages of the package describe."""
    with (book.index.parent / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, name: name)
    return [name for kind in ("function", "method", "class") for name in inventory[f"py:{kind}"]]


def test_what_the_pages_of_the_package_describe_says_what_it_takes_and_gives(book):
    found = documented(book)
    assert len(found) > 200
    silent = {name: missing for name in found if (missing := unsaid(find(name)))}
    assert silent == {}


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_a_page_is_light_besides_plotly_and_mathjax(page, book, elements):
    folder = book.index.parent
    loaded = {urlsplit(a).path for a in elements[f"{page.name}.html"].resources() if a}
    files = [folder / f"{page.name}.html", *(folder / name for name in loaded)]
    sizes = [f.stat().st_size for f in files if not str(f).endswith(LIBRARIES)]
    assert sum(sizes) < 1_500_000


def test_plotly_is_loaded_where_there_are_figures_and_only_there(elements):
    for page in PAGES:
        found = elements[f"{page.name}.html"]
        loads = any("plotly" in (address or "") for address in found.resources())
        assert loads == bool(found.ids("figure")), page.name


@pytest.mark.parametrize("page", NOTEBOOKS, ids=by_name)
def test_every_chapter_can_be_downloaded_as_a_notebook_and_started_in_binder(page, book, elements):
    downloaded = nbformat.read(book.index.parent / "_sources" / f"{page.name}.ipynb", 4)
    nbformat.validate(downloaded)
    links = [a.get("href", "") for tag, a in elements[f"{page.name}.html"].tags if tag == "a"]
    assert f"_sources/{page.name}.ipynb" in links
    binder = [link for link in links if link.startswith("https://mybinder.org/v2/")]
    assert binder
    assert all(link.endswith(f"lab/tree/book/{page.name}.ipynb") for link in binder)
    (colab,) = {link for link in links if "//colab." in link}
    assert colab.endswith(f"/blob/gh-pages/_sources/{page.name}.ipynb")
    assert repository(ROOT).removeprefix("https://github.com") in colab
    assert "git" in downloaded.cells[1].source
    assert repository(ROOT) in downloaded.cells[1].source


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_a_link_to_a_page_comes_with_title_text_and_picture(page, book, elements):
    tags = elements[f"{page.name}.html"].tags
    meta = {a["property"]: a["content"] for tag, a in tags if tag == "meta" and "property" in a}
    assert meta["og:title"]
    assert page.name == "bibliography" or meta["og:description"]
    assert (book.index.parent / "_static" / meta["og:image"].rsplit("/", 1)[1]).is_file()


def test_there_is_a_page_for_addresses_that_lead_nowhere(elements):
    links = [a.get("href") for tag, a in elements["404.html"].tags if tag == "a"]
    assert f"{PAGES[0].name}.html" in links
