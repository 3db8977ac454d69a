"""What the pages need from Sphinx: Plotly and MathJax from disk, link previews, a page for 404."""

import html
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_FIGURE = '<figure class="sg-figure"'
_PUBLISHED = "gh-pages"  # branch that .github/workflows/book.yml writes
_NOT_FOUND = """
<h1>There is no such page</h1>
<p>The address may be mistyped, or the page may have moved.
<a href="{home}">Begin at the beginning</a>, or search with the field on the left.</p>
"""


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {name} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def vendor_files() -> dict[str, Path]:
    """Libraries that pages load: name under ``_static`` -> file of the installed package.

    MathJax comes as SVG output in one file: its other outputs load fonts, which browsers refuse
    to pages that were opened from the file system.
    """
    plotly = _package_folder("plotly") / "package_data"
    mathjax = _package_folder("sphinx-mathjax-offline") / "static" / "mathjax"
    return {
        "vendor/plotly.min.js": plotly / "plotly.min.js",
        "vendor/mathjax.js": mathjax / "tex-svg.js",
    }


def _has_figures(doctree: nodes.document | None) -> bool:
    return doctree is not None and any(
        _FIGURE in node.astext() for node in doctree.findall(nodes.raw)
    )


def _summary(doctree: nodes.document | None, words: int = 30) -> str:
    """Beginning of the first paragraph, for link previews and search engines."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree is not None else ():
        text = paragraph.astext().split()
        if len(text) > 8:
            return " ".join(text[:words]) + ("" if len(text) <= words else " …")
    return ""


def _preview(app: Sphinx, pagename: str, title: str, summary: str) -> str:
    base = app.config.html_baseurl.rstrip("/")
    address = f"{base}/{pagename}.html" if base else f"{pagename}.html"
    image = f"{base}/_static/preview.png" if base else "_static/preview.png"
    entries = {
        "og:type": "article",
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:description": summary,
        "og:url": address,
        "og:image": image,
        "og:image:alt": "Two constellations of points, one a rotation of the other",
    }
    lines = [f'<meta property="{k}" content="{html.escape(v)}" />' for k, v in entries.items()]
    lines.append('<meta name="twitter:card" content="summary_large_image" />')
    lines.append(f'<meta name="description" content="{html.escape(summary)}" />')
    return "\n".join(lines)


def add_to_page(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Load Plotly where there are figures, and describe the page to those who link to it."""
    # Docutils calls a bibliography a list, but not its entries: an error to screen readers.
    context["body"] = context.get("body", "").replace(
        '<div role="list" class="citation-list"', "<div"
    )
    if _has_figures(doctree):
        app.add_js_file("vendor/plotly.min.js", loading_method="defer", priority=150)
    if doctree is not None:
        title = context.get("pagetitle") or context.get("title", "")
        context["metatags"] = context.get("metatags", "") + _preview(
            app, pagename, html.unescape(title), _summary(doctree)
        )


def open_what_is_published(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Colab opens the notebook that lies beside the published page: the main branch has none."""
    groups = (group for group in context.get("header_buttons", ()) if "buttons" in group)
    for button in (button for group in groups for button in group["buttons"]):
        if button.get("text") == "Colab":
            place, _, _ = button["url"].partition("/blob/")
            button["url"] = f"{place}/blob/{_PUBLISHED}/_sources/{pagename}.ipynb"


def not_found(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The page that servers show for an address that leads nowhere."""
    body = _NOT_FOUND.format(home=f"{app.config.root_doc}.html")
    yield "404", {"title": "Not found", "body": body}, "page.html"


def finish(app: Sphinx, error: Exception | None) -> None:
    """Copy the libraries from their packages, and make the first page the site's index."""
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    for name, source in vendor_files().items():
        target = folder / "_static" / name
        if not target.exists() or target.stat().st_size != source.stat().st_size:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    shutil.copyfile(folder / f"{app.config.root_doc}.html", folder / "index.html")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("html-page-context", add_to_page)
    app.connect("html-page-context", open_what_is_published, priority=900)  # buttons are there
    app.connect("html-collect-pages", not_found)
    app.connect("build-finished", finish, priority=900)  # after sphinx-external-toc's redirect
    return {"parallel_read_safe": True, "parallel_write_safe": True}
