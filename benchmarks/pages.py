"""How soon a page shows its first figure, and what it weighs, beside Plotly's own HTML.

    make book && python benchmarks/pages.py [--turns 5]

Each page is opened in headless Chromium from a server on this machine, all other hosts refused; the
peer is a page of the same figures as ``plotly.io.to_html`` writes them.  Medians go to
``benchmarks/results/pages.json``; the book says them.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import threading
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import plotly.io
from playwright.sync_api import sync_playwright

from shared_geometry.basics.files import write_text
from shared_geometry.basics.provenance import provenance
from shared_geometry.publishing.pages import read_pages

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "pages.json"
PLOTLY = "application/vnd.plotly.v1+json"
DRAWN = {  # true as soon as the first figure is on the screen
    "ours": "document.querySelector('figure.sg-figure')?.dataset.drawn === 'true'",
    "plotly": "document.querySelector('.plotly-graph-div .main-svg') !== null",
}
CHROMES = ("chromium", "chromium-browser", "google-chrome")
# The moment is noted by the page itself: what runs there later would hold up a question from here.
WATCH = """new MutationObserver(() => {{
    if (window.firstFigure === undefined && ({drawn})) window.firstFigure = performance.now();
}}).observe(document, {{subtree: true, attributes: true, childList: true}})"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        """Say nothing of every request."""

    def handle(self):
        """Answer; browsers that leave early are no error."""
        with suppress(ConnectionError):
            super().handle()


@contextmanager
def served(folder: Path):
    """Address of a server of the folder's files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def peer_page(notebook: Path) -> str:
    """The figures of an executed chapter as Plotly writes them; empty if there are none."""
    cells = [c for c in nbformat.read(notebook, 4).cells if c.cell_type == "code"]
    bundles = [o["data"] for c in cells for o in c.outputs if PLOTLY in o.get("data", {})]
    parts = [
        plotly.io.to_html(bundle[PLOTLY], full_html=False, include_plotlyjs=i == 0 and "directory")
        for i, bundle in enumerate(bundles)
    ]
    return f"<!doctype html><html><body>{''.join(parts)}</body></html>" if parts else ""


def first_figure(browser, address: str, drawn: str) -> float:
    """Seconds from the request of a page to its first figure, nothing cached."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.route("**/*", lambda r: r.continue_() if "//127.0.0.1" in r.request.url else r.abort())
    page.add_init_script(WATCH.format(drawn=drawn))
    page.goto(address, wait_until="load")
    page.wait_for_function("window.firstFigure !== undefined", timeout=120_000)
    seconds = page.evaluate("window.firstFigure") / 1000
    context.close()
    return seconds


def measure(browser, name: str, turns: int) -> dict[str, float | str] | None:
    """Medians over turns for one page and its peer; None for a page without figures."""
    html = ROOT / "_build" / "html"
    peer = peer_page(ROOT / "_build" / "executed" / f"{name}.ipynb")
    if not peer:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "peer.html").write_text(peer)
        shutil.copyfile(html / "_static/vendor/plotly.min.js", folder / "plotly.min.js")
        seconds = {"ours": [], "plotly": []}
        with served(html) as ours, served(folder) as plotly_s:
            for _ in range(turns):
                for who, address in (("ours", f"{ours}/{name}"), ("plotly", f"{plotly_s}/peer")):
                    seconds[who].append(first_figure(browser, f"{address}.html", DRAWN[who]))
    found = {who: statistics.median(times) for who, times in seconds.items()}
    size = {"ours": (html / f"{name}.html").stat().st_size, "plotly": len(peer.encode())}
    return {
        "page": name,
        "seconds": found,
        "megabytes": {who: n / 1e6 for who, n in size.items()},
        "ratio": found["plotly"] / found["ours"],
    }


def main() -> None:
    """Measure every page, print, and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, CHROMES)), None)
    if chromium is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium")
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for page in read_pages(ROOT):
            row = measure(browser, page.name, given.turns) if page.is_executed(ROOT) else None
            if row is not None:
                rows.append(row)
                ours, plain = row["seconds"]["ours"], row["seconds"]["plotly"]
                print(f"{page.name:18} {ours:5.2f} s, Plotly's {plain:5.2f} s, {row['ratio']:.1f}×")
        browser.close()
    settings = {"turns": given.turns, "browser": "Chromium, headless"}
    found = {"pages": rows, "settings": settings, **provenance()}
    write_text(RESULTS, json.dumps(found, indent=1) + "\n")
    print(f"written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
