"""One figure shown in a notebook: for JupyterLab as Plotly, for the book as light HTML."""

import csv
import html
import io
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from shared_geometry.basics.provenance import this_process
from shared_geometry.errors import InputError
from shared_geometry.publishing.packing import packed_json

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_LARGEST_TABLE = 200_000  # characters; a page should stay light

_HTML = """\
<figure class="sg-figure" id="{name}">
<div class="sg-plot" role="group" aria-label="{alt}" style="min-height:{height}px"></div>
<script type="application/json" class="sg-data">{figure}</script>
{table}<figcaption>{caption}</figcaption>
<div class="sg-about">{provenance}<button type="button" class="sg-csv">Data (CSV)</button></div>
</figure>"""


def _script(text: str) -> str:
    """``text`` as the content of a script element: nothing in it can end the element."""
    return text.replace("<", "\\u003c")


def _columns(data: Any) -> Mapping[str, Any]:
    """Columns of a table given as a mapping, a pandas table, or an xarray object."""
    if hasattr(data, "to_dataframe"):
        data = data.to_dataframe().reset_index()
    return {str(name): np.ravel(data[name]) for name in data}


def to_csv(data: Any) -> str:
    """Table as CSV, with a heading.

    Parameters
    ----------
    data : mapping of str to sequence, pandas.DataFrame, xarray.DataArray or xarray.Dataset
        Columns of equal length; an xarray object becomes a row an element.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If columns differ in length.
    """
    columns = _columns(data)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns of a figure's data must be equally long, not {lengths}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue()


def _table(data: Any) -> str:
    text = "" if data is None else to_csv(data)
    if not text or len(text) > _LARGEST_TABLE:  # the page then reads it off the figure itself
        return ""
    return f'<script type="application/json" class="sg-table">{_script(json.dumps(text))}</script>'


def _about(provenance: str | None) -> str:
    if not provenance:
        return ""
    return f"<details><summary>Provenance</summary><p>{html.escape(provenance)}</p></details>"


def figure_html(
    figure: go.Figure,
    *,
    name: str,
    caption: str,
    alt: str,
    data: Any = None,
    provenance: str | None = None,
) -> str:
    """HTML of one figure of the book: its data as JSON, drawn by ``figures.js``.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        ``layout.meta["narrow"]``, if given, holds changes of the layout for narrow screens.
    name : str
        The figure's anchor in the page: small letters, digits and hyphens.
    caption : str
        What to see.
    alt : str
        What a reader who does not see the figure should know.
    data : table, optional
        What the CSV download holds, see `to_csv`; None: the traces of the figure.
    provenance : str, optional
        What made the numbers.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the name is no anchor, or caption or text alternative is empty.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"figure name {name!r}: small letters, digits and hyphens are allowed")
    for what, text in (("caption", caption), ("alt", alt)):
        if not text.strip():
            raise InputError(f"figure {name!r} has an empty {what}: say in words what it shows")
    return _HTML.format(
        name=name,
        alt=html.escape(alt),
        height=int(figure.layout.height or 420),
        figure=_script(json.dumps(packed_json(figure), separators=(",", ":"))),
        table=_table(data),
        caption=html.escape(caption),
        provenance=_about(provenance),
    )


def show(
    figure: go.Figure,
    *,
    name: str,
    caption: str,
    alt: str,
    data: Any = None,
    provenance: str | None = None,
) -> None:
    """Display a figure in a notebook, as Plotly for JupyterLab and as HTML for the book.

    Parameters
    ----------
    figure, name, caption, alt, data
        As in `figure_html`.
    provenance : str, optional
        What made the numbers; None: this process did.

    Raises
    ------
    InputError
        As `figure_html` does.
    """
    from IPython.display import display

    page = figure_html(
        figure,
        name=name,
        caption=caption,
        alt=alt,
        data=data,
        provenance=provenance or this_process(),
    )
    bundle = {
        "application/vnd.plotly.v1+json": json.loads(figure.to_json()),
        "text/html": page,
        "text/plain": f"{name}: {caption}",
    }
    display(bundle, raw=True)
