"""The book in a reader's hands: on a phone, its sliders, menus and downloads."""

import base64
import re

import numpy as np
import pytest
from browsing import (
    DRAWN,
    ONCE_MORE,
    PAGES,
    Visit,
    check_accessible,
    check_figures,
    check_formulas,
    check_quiet,
)

from shared_geometry.datasets import load_dataset

pytestmark = [pytest.mark.book, pytest.mark.browser, ONCE_MORE]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_whole_and_accessible_on_a_phone(browser, site, name):
    with Visit(browser, width=360).open(f"{site}/{name}.html") as visit:
        check_figures(visit)
        check_formulas(visit)
        for figure in visit.page.query_selector_all("figure.sg-figure"):
            box = figure.query_selector(".main-svg").bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 360
        check_accessible(visit)
        check_quiet(visit)


VISIBLE = """f => JSON.stringify(f.querySelector('.sg-plot')._fullData.map(t => [
    t.visible, [t.x, t.y, t.z, t.text].map(a => a ? Array.from(a).slice(0, 50).map(
        v => v && v.length !== undefined && typeof v !== 'string' ? Array.from(v) : v) : a)]))
    + JSON.stringify((f.querySelector('.sg-plot').layout.annotations || []).map(a => a.text))"""


@pytest.mark.parametrize("name", PAGES)
def test_every_slider_and_menu_changes_its_figure(browser, site, name):
    with Visit(browser).open(f"{site}/{name}.html") as visit:
        for figure in visit.figures():
            identity = figure.get_attribute("id")
            for rail in figure.query_selector_all(".slider-rail-touch-rect"):
                rail.scroll_into_view_if_needed()
                seen = {figure.evaluate(VISIBLE)}
                for part in (0.02, 0.5, 0.98):
                    box = rail.bounding_box()
                    visit.page.mouse.click(
                        box["x"] + part * box["width"], box["y"] + box["height"] / 2
                    )
                    visit.page.wait_for_timeout(400)
                    seen.add(figure.evaluate(VISIBLE))
                assert len(seen) > 1, f"the slider of {identity} changes nothing"
            for menu in figure.query_selector_all(".updatemenu-header"):
                before = figure.evaluate(VISIBLE)
                menu.scroll_into_view_if_needed()
                menu.click()
                visit.page.wait_for_timeout(400)
                figure.query_selector_all(".updatemenu-dropdown-button")[-1].click()
                visit.page.wait_for_timeout(400)
                assert figure.evaluate(VISIBLE) != before, f"the menu of {identity} changes nothing"
        check_quiet(visit)


SPEC = "f => JSON.parse(f.querySelector('.sg-data').textContent)"
CELLS = "f => f.querySelector('.sg-plot')._fullData.map(t => t.z)"


def unpacked(z):
    cells = np.frombuffer(base64.b64decode(z["bytes"]), np.int8).reshape(z["shape"])
    return cells * z["step"]


def opened(visit, site, identity, page="experiment"):
    visit.open(f"{site}/{page}.html")
    figure = visit.page.query_selector(f"#{identity}")
    figure.scroll_into_view_if_needed()
    visit.page.wait_for_function(DRAWN, arg=figure, timeout=30_000)
    return figure


@pytest.mark.parametrize("identity", ["rsm-triplet", "rsm-explorer"])
def test_menu_and_slider_of_the_explorer_choose_a_matrix_together(browser, site, identity):
    with Visit(browser) as visit:
        figure = opened(visit, site, identity)
        frames = {frame["name"]: frame["data"] for frame in figure.evaluate(SPEC)["frames"]}
        layer, epoch = next(reversed(frames)).split(" | ")[0], next(iter(frames)).split(" | ")[1]
        figure.query_selector(".updatemenu-header").click()
        visit.page.wait_for_timeout(300)
        figure.query_selector_all(".updatemenu-dropdown-button")[-1].click()
        visit.page.wait_for_timeout(300)
        box = figure.query_selector(".slider-rail-touch-rect").bounding_box()
        visit.page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2)
        visit.page.wait_for_timeout(600)
        for cells, trace in zip(figure.evaluate(CELLS), frames[f"{layer} | {epoch}"], strict=True):
            np.testing.assert_allclose(cells, unpacked(trace["z"]), atol=1e-3)
        headings = figure.evaluate("f => f.querySelector('.sg-plot').layout.meta.headings")
        shown = [e.text_content() for e in figure.query_selector_all(".annotation-text")]
        assert shown == headings[f"{layer} | {epoch}"]


def test_pointing_at_a_cell_reads_it_in_all_panels_and_shows_its_images(browser, site):
    with Visit(browser) as visit:
        figure = opened(visit, site, "rsm-triplet")
        first = figure.evaluate(SPEC)["data"][0]
        rows, columns = first["z"]["shape"]
        box = figure.query_selector(".heatmaplayer image").bounding_box()
        row, column = 7, columns - 4
        visit.page.mouse.move(
            box["x"] + (column + 0.5) * box["width"] / columns,
            box["y"] + (row + 0.5) * box["height"] / rows,
        )
        visit.page.wait_for_selector("#rsm-triplet .sg-pair img", timeout=5000)
        labels = figure.query_selector_all(".hoverlayer .hovertext")
        assert len(labels) == 3
        pair = figure.query_selector(".sg-pair")
        images = pair.query_selector_all("img")
        assert [image.get_attribute("alt") for image in images] == [
            first["y"][row],
            first["x"][column],
        ]
        sizes = [image.evaluate("i => i.decode().then(() => i.naturalWidth)") for image in images]
        assert sizes == [load_dataset("digits").test.images.shape[-1]] * 2
        for trace in figure.evaluate(SPEC)["data"]:
            value = f"{unpacked(trace['z'])[row, column]:.2f}".replace("-", "−")
            assert f"{trace['name']}: {value}" in pair.inner_text()


def test_zooming_into_one_panel_of_the_explorer_zooms_into_all(browser, site):
    with Visit(browser) as visit:
        figure = opened(visit, site, "rsm-triplet")
        ranges = figure.evaluate(
            """async f => {
                const plot = f.querySelector('.sg-plot');
                await Plotly.relayout(
                    plot, {'xaxis2.range': [2.5, 12.5], 'yaxis2.range': [12.5, 2.5]});
                const axis = (name) => plot._fullLayout[name].range;
                return ['xaxis', 'xaxis2', 'xaxis3'].map(axis)
                    .concat(['yaxis', 'yaxis2', 'yaxis3'].map(axis));
            }"""
        )
        assert ranges[:3] == [ranges[0]] * 3
        assert ranges[3:] == [ranges[3]] * 3
        assert ranges[0] != [-0.5, figure.evaluate(SPEC)["data"][0]["z"]["shape"][1] - 0.5]


def first_with_figures(visit, site):
    for name in PAGES:
        visit.open(f"{site}/{name}.html")
        if figures := visit.figures():
            return figures
    raise AssertionError("no page has a figure")


def test_the_data_of_a_figure_can_be_downloaded(browser, site):
    with Visit(browser) as visit:
        figure = first_with_figures(visit, site)[0]
        with visit.page.expect_download() as download:
            figure.query_selector(".sg-csv").click()
        assert download.value.suggested_filename == f"{figure.get_attribute('id')}.csv"
        rows = download.value.path().read_text().splitlines()
        assert len(rows) > 5
        assert len({row.count(",") for row in rows[:3]}) == 1


def test_a_figure_follows_the_theme_and_keeps_the_readers_view(browser, site):
    look = """f => [getComputedStyle(f.querySelector('.gtitle, .xtick text')).fill,
                    f.querySelector('.sg-plot').layout.meta_reader]"""
    with Visit(browser, theme="light") as visit:
        figure = first_with_figures(visit, site)[0]
        figure.evaluate(
            "f => Plotly.relayout(f.querySelector('.sg-plot'), {'meta_reader': 'kept'})"
        )
        light = figure.evaluate(look)
        visit.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        visit.page.wait_for_timeout(800)
        dark = figure.evaluate(look)
        assert light[0] != dark[0]
        assert light[1] == dark[1] == "kept"


def test_a_broken_figure_is_noticed(browser, site):
    def spoil(route):
        response = route.fetch()
        text = re.sub(
            r'(class="sg-data">).*?(</script>)', r"\1{\2", response.text(), count=1, flags=re.S
        )
        route.fulfill(response=response, body=text)

    with Visit(browser) as visit:
        first_with_figures(visit, site)
        address = visit.page.url
        visit.page.route(address, spoil)
        visit.open(address)
        with pytest.raises(AssertionError, match="is not drawn"):
            check_figures(visit)
        assert visit.troubles


def test_the_search_finds_a_chapter(browser, site):
    with Visit(browser).open(f"{site}/search.html?q=rotation") as visit:
        visit.page.wait_for_selector("#search-results li a", timeout=10_000)
        check_quiet(visit)


def test_the_button_turns_the_theme(browser, site):
    with Visit(browser, theme="light").open(f"{site}/index.html") as visit:
        visit.page.click(".theme-switch-button >> visible=true")
        visit.page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
        check_quiet(visit)
