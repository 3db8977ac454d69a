"""Every page in a real browser, with every request to another host refused and recorded."""

import pytest
from browsing import (
    ONCE_MORE,
    PAGES,
    Visit,
    background,
    check_accessible,
    check_figures,
    check_formulas,
    check_quiet,
    check_widths,
)

pytestmark = [pytest.mark.book, pytest.mark.browser, ONCE_MORE]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn_whole_quiet_and_accessible_at_every_width(browser, site, name):
    with Visit(browser).open(f"{site}/{name}.html") as visit:
        check_figures(visit)
        check_formulas(visit)
        assert background(visit) > 380
        check_accessible(visit)
        check_widths(visit)
        check_quiet(visit)


def test_what_opens_the_contents_says_which(browser, site):
    with Visit(browser).open(f"{site}/intro.html") as visit:
        visit.page.wait_for_selector("summary[aria-label]", state="attached")
        toggles = "summary:has(> .toctree-toggle)"
        labels = visit.page.eval_on_selector_all(toggles, "s => s.map(e => e.ariaLabel)")
        assert labels == ["Pages below The package"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_from_a_folder_is_the_same_and_accessible_in_the_dark(browser, book, name):
    address = (book.index.parent / f"{name}.html").as_uri()
    with Visit(browser, theme="dark").open(address) as visit:
        check_figures(visit)
        check_formulas(visit)
        assert background(visit) < 380
        check_accessible(visit)
        check_quiet(visit)


@pytest.mark.parametrize("name", ["search", "404"])
def test_a_page_that_is_no_chapter_is_quiet_and_accessible(browser, site, name):
    with Visit(browser).open(f"{site}/{name}.html") as visit:
        check_accessible(visit)
        check_widths(visit)
        check_quiet(visit)
