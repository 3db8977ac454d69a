"""The built book and a browser, shared by the tests that need them."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

pytest.register_assert_rewrite("browsing")  # so that its checks say what they found

ROOT = Path(__file__).resolve().parents[1]
CHROMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, CHROMES)), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL in software: the three-dimensional figures
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


# The longest files, in the order in which processes take them: one makes the book, while another
# has work without it.
LONG = (
    "test_book.py",
    "test_chapters.py",
    "test_browser_use.py",
    "test_studies.py",
    "test_browser.py",
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(n) if (n := item.path.name) in LONG else len(LONG))


@pytest.fixture(scope="session")
def repository():
    return ROOT


@pytest.fixture(scope="session")
def book():
    """The real book at preset smoke: every chapter executed, every page typeset.

    Where tests run in several processes, the first to ask builds it, and others find it built.
    """
    from shared_geometry.basics.locking import locked
    from shared_geometry.publishing.build import build_book

    output = ROOT / "_build" / "smoke"
    with locked(output.with_suffix(".lock")):
        return build_book(ROOT, output=output, preset="smoke")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture(scope="session")
def site(book):
    """Address of a server on this machine that holds the book and nothing else."""
    handler = functools.partial(_Quiet, directory=str(book.index.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Browsers:
    """One browser for all tests of a process, and another once that is closed."""

    def __init__(self, chromium):
        self.chromium, self.current = chromium, None

    def get(self):
        if self.current is None or not self.current.is_connected():
            self.current = self.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        return self.current


@pytest.fixture(scope="session")
def browsers():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browsers = Browsers(playwright.chromium)
        yield browsers
        browsers.get().close()


@pytest.fixture
def browser(browsers):
    return browsers.get()
