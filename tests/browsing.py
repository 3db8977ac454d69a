"""A visit to the book in a real browser, and what must hold on every page."""

import io
import re

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from playwright import sync_api

from shared_geometry.publishing.pages import read_pages

PAGES = [page.name for page in read_pages(ROOT)]
WIDTHS = (360, 768, 1200, 1440)
DRAWN = "figure => figure.dataset.drawn !== undefined"
FRAME = "() => new Promise(requestAnimationFrame).then(() => true)"

MARKS = ".trace, .heatmaplayer image, .point, .gl-container canvas"


class Stalled(Exception):
    """The browser draws no more, whatever the page: seen where WebGL runs in software."""


ONCE_MORE = pytest.mark.flaky(reruns=1, only_rerun=["Stalled"])


class Visit:
    """One page in a fresh browser context, and everything that went wrong on it.

    A visit that runs out of time while the browser draws no frame at all ends with `Stalled` and
    the browser closed: the `browser` of the next test, or of the same test again, is a new one.
    """

    def __init__(self, browser, *, theme="light", width=1440):
        self.browser = browser
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=theme, accept_downloads=True
        )
        self.page = self.context.new_page()
        self.outside, self.troubles = [], []
        self.context.route(re.compile(r"^https?://(?!127\.0\.0\.1[:/])"), self._refuse)
        self.page.on("console", lambda m: m.type == "error" and self.troubles.append(m.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("requestfailed", lambda r: self.troubles.append(f"failed: {r.url}"))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if isinstance(error, sync_api.TimeoutError) and not self._draws():
            self.browser.close()
            raise Stalled("the browser has stopped drawing") from error
        self.context.close()

    def _draws(self):
        try:
            self.page.wait_for_function(FRAME, timeout=5_000)
        except sync_api.TimeoutError:
            return False
        return True

    def _refuse(self, route):
        self.outside.append(route.request.url)
        route.abort()

    def open(self, address):
        self.page.goto(address, wait_until="load")
        self.page.evaluate("() => window.MathJax?.startup?.promise")
        return self

    def figures(self):
        """Every figure of the page, scrolled to and drawn (or failed)."""
        figures = self.page.query_selector_all("figure.sg-figure")
        for figure in figures:
            figure.scroll_into_view_if_needed()
            handle = figure.as_element()
            self.page.wait_for_function(DRAWN, arg=handle, timeout=30_000)
        return figures


def picture(figure):
    plot = figure.query_selector(".sg-plot")
    return np.asarray(Image.open(io.BytesIO(plot.screenshot())).convert("RGB"))


def colours(pixels):
    """How many different ones there are, of 8 bits a channel."""
    return len(np.unique(pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)))


def check_figures(visit):
    """Every figure is drawn: Plotly says so, its traces are there, and one sees more than paper."""
    for figure in visit.figures():
        name = figure.get_attribute("id")
        assert figure.get_attribute("data-drawn") == "true", f"{name} is not drawn"
        traces = figure.evaluate(
            """f => f.querySelector('.sg-plot')._fullData.filter(t => t.visible === true)
                 .map(t => [t.type, t._length ?? (t.x || t.z || t.values || []).length])"""
        )
        assert traces, f"{name} has no visible trace"
        assert all(length for _, length in traces), f"{name} has an empty trace: {traces}"
        marks = figure.query_selector_all(MARKS)
        assert marks, f"{name} has no marks"
        shown = colours(picture(figure))
        assert shown > 8, f"{name} shows {shown} colours"


def check_formulas(visit):
    missing = visit.page.evaluate(
        """() => [...document.querySelectorAll('.math')]
                   .filter(e => !e.querySelector('mjx-container')).map(e => e.textContent)"""
    )
    assert missing == []
    assert visit.page.query_selector("mjx-merror, [data-mjx-error]") is None
    assert not re.search(r"\\\(|\\\[|\$\$", visit.page.inner_text("article"))


def check_quiet(visit):
    assert visit.outside == []
    assert visit.troubles == []


CUT = """() => [...document.querySelectorAll('.sg-plot .gtitle')].filter(title => {
    const plot = title.closest('.sg-plot').getBoundingClientRect();
    return title.getBoundingClientRect().right > plot.right + 1;
}).map(title => title.textContent)"""


CROSSED = """() => [...document.querySelectorAll('.sg-figure')].filter(figure => {
    const box = (selector) => [...figure.querySelectorAll(selector)]
        .map(e => e.getBoundingClientRect()).filter(r => r.width);
    return box('.modebar-btn').some(b => box('.gtitle').some(
        t => b.left < t.right && t.left < b.right && b.top < t.bottom && t.top < b.bottom));
}).map(figure => figure.id)"""


OVERLAID = """() => [...document.querySelectorAll('.sg-plot')].flatMap(plot => {
    const boxes = [...plot.querySelectorAll('.infolayer .annotation-text')]
        .map(e => [e.textContent, e.getBoundingClientRect()]).filter(([, r]) => r.width);
    return boxes.flatMap(([text, b], i) => boxes.slice(0, i).filter(([, t]) =>
        b.left + 1 < t.right && t.left + 1 < b.right && b.top + 1 < t.bottom && t.top + 1 < b.bottom
    ).map(([other]) => [other, text]));
})"""


def check_widths(visit):
    """Nothing scrolls sideways; titles are whole and free of buttons; no words on others."""
    for width in WIDTHS:
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        if any(visit.page.evaluate(fault) for fault in (CUT, CROSSED, OVERLAID)):
            visit.page.wait_for_timeout(2000)  # figures that are not in view are drawn anew later
        for fault in (CUT, CROSSED, OVERLAID):
            assert visit.page.evaluate(fault) == []


def check_accessible(visit):
    """axe-core finds no serious or critical fault."""
    from axe_playwright_python.sync_playwright import Axe

    # axe would fetch style sheets again, and look for those they import in the wrong folder.
    options = {"preload": False, "resultTypes": ["violations"]}
    found = Axe().run(visit.page, options=options).response
    faults = {
        fault["id"]: [node["html"][:160] for node in fault["nodes"]][:3]
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    }
    assert faults == {}


def background(visit):
    shown = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", shown)[:3]))
