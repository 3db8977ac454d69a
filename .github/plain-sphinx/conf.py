"""The book's pages typeset by plain, current Sphinx: the way out when Jupyter Book 1 ends.

    sphinx-build -c .github/plain-sphinx _build/stage _build/plain

`make book` leaves executed chapters in ``_build/stage``; ``_config.yml`` stays the one place that
says how they look, and here it is put into Sphinx's own words.
"""

from pathlib import Path

import yaml

_ROOT = Path(__file__).resolve().parents[2]
_STAGE = _ROOT / "_build" / "stage"
_BOOK = yaml.safe_load((_ROOT / "_config.yml").read_text(encoding="utf-8"))
_SPHINX = dict(_BOOK["sphinx"]["config"])
_OF_JUPYTER_BOOK = {"jupyter_book", "sphinx_comments"}

project = html_title = _BOOK["title"]
author = _BOOK["author"]
copyright = _BOOK["copyright"]
extensions = [name for name in _SPHINX.pop("extensions") if name not in _OF_JUPYTER_BOOK]
external_toc_path = str(_ROOT / "_toc.yml")
bibtex_bibfiles = [str(_STAGE / name) for name in _BOOK["bibtex_bibfiles"]]
myst_enable_extensions = _BOOK["parse"]["myst_enable_extensions"]
nb_execution_mode = "off"
exclude_patterns = ["_build", "**.ipynb_checkpoints"]

html_theme = "sphinx_book_theme"
html_logo = str(_STAGE / _BOOK["logo"])
html_favicon = str(_STAGE / _BOOK["html"]["favicon"])
html_baseurl = _BOOK["html"]["baseurl"]
html_static_path = [str(_STAGE / "_static")]
html_css_files = sorted(path.name for path in (_STAGE / "_static").glob("*.css"))
html_js_files = sorted(path.name for path in (_STAGE / "_static").glob("*.js"))
templates_path = [str(_STAGE / name) for name in _SPHINX.pop("templates_path")]
html_theme_options = {
    "repository_url": _BOOK["repository"]["url"],
    "repository_branch": _BOOK["repository"]["branch"],
    "path_to_docs": _BOOK["repository"]["path_to_book"],
    "use_repository_button": _BOOK["html"]["use_repository_button"],
    "use_issues_button": _BOOK["html"]["use_issues_button"],
    "home_page_in_toc": _BOOK["html"]["home_page_in_navbar"],
    "extra_footer": _BOOK["html"]["extra_footer"],
    "launch_buttons": _BOOK["launch_buttons"],
    **_SPHINX.pop("html_theme_options"),
}
globals().update(_SPHINX)
