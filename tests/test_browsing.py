"""A browser that has stopped drawing is told from a page that is at fault, and is replaced."""

from types import SimpleNamespace

import pytest
from browsing import FRAME, Stalled, Visit
from conftest import Browsers
from playwright.sync_api import TimeoutError as TooLate


class Browser:
    """Stands for Chromium: open until closed, with pages that draw frames, or do not."""

    def __init__(self, draws):
        self.draws, self.open, self.contexts_closed = draws, True, 0

    def new_context(self, **settings):
        return SimpleNamespace(
            new_page=lambda: self.page(), route=lambda *rule: None, close=self.close_context
        )

    def page(self):
        return SimpleNamespace(on=lambda *event: None, wait_for_function=self.wait_for_function)

    def wait_for_function(self, script, timeout):
        assert script == FRAME
        if not self.draws:
            raise TooLate("no frame")

    def close_context(self):
        self.contexts_closed += 1

    def close(self):
        self.open = False

    def is_connected(self):
        return self.open


def visit(browser, error):
    with Visit(browser):
        raise error


def test_a_browser_that_draws_no_more_is_closed_and_the_test_may_run_again():
    browser = Browser(draws=False)
    with pytest.raises(Stalled, match="stopped drawing"):
        visit(browser, TooLate("element is not stable"))
    assert not browser.open


@pytest.mark.parametrize(
    ("draws", "error"),
    [(True, TooLate("element is not stable")), (False, AssertionError("no marks"))],
)
def test_what_is_wrong_with_a_page_stays_an_error_of_the_page(draws, error):
    browser = Browser(draws)
    with pytest.raises(type(error), match=str(error)):
        visit(browser, error)
    assert browser.open
    assert browser.contexts_closed == 1


def test_tests_share_a_browser_until_it_is_closed():
    launched = []

    def launch(**settings):
        launched.append(Browser(draws=True))
        return launched[-1]

    browsers = Browsers(SimpleNamespace(launch=launch))
    first = browsers.get()
    assert browsers.get() is first
    first.close()
    assert browsers.get() is launched[1]
    assert len(launched) == 2
