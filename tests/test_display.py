import base64
import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from shared_geometry.errors import InputError
from shared_geometry.publishing.display import figure_html, show, to_csv


class Page(HTMLParser):
    """Elements of a page in order, with their attributes and the text directly inside."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))
        self.open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, text):
        if self.open:
            self.open[-1][2].append(text)

    def one(self, tag, **attributes):
        found = [
            (a, "".join(text))
            for t, a, text in self.elements
            if t == tag and all(a.get(k.rstrip("_")) == v for k, v in attributes.items())
        ]
        assert len(found) == 1, (tag, attributes, found)
        return found[0]


def a_figure(text="title"):
    return go.Figure(go.Heatmap(z=np.eye(3, dtype="float32")), layout={"title": text})


def an_html(**given):
    words = {"name": "a-figure", "caption": "What to see.", "alt": "A heatmap."}
    return figure_html(a_figure(), **(words | given))


@given(text=st.text(min_size=1).filter(lambda t: t.strip() and "\x00" not in t))
def test_no_text_of_a_figure_escapes_its_element(text):
    text = text.replace("\r", " ") + "</script><script>alert(1)</script>"
    figure = a_figure(text)
    page = Page(
        figure_html(figure, name="x", caption=text, alt=text, data={text: [text]}, provenance=text)
    )
    tags = " ".join(tag for tag, _, _ in page.elements)
    assert tags == "figure div script script figcaption div details summary p button"
    assert page.one("figcaption")[1] == text
    assert page.one("div", class_="sg-plot")[0]["aria-label"] == text
    assert page.one("p")[1] == text
    assert json.loads(page.one("script", class_="sg-data")[1])["layout"]["title"]["text"] == text


def test_arrays_stay_packed_and_come_back_the_same():
    values = np.random.default_rng(0).normal(size=(20, 20)).astype("float32")
    page = Page(figure_html(go.Figure(go.Heatmap(z=values)), name="x", caption="c", alt="a"))
    packed = json.loads(page.one("script", class_="sg-data")[1])["data"][0]["z"]
    assert packed["dtype"] == "f4"
    assert len(packed["bdata"]) < 1.4 * values.nbytes
    unpacked = np.frombuffer(base64.b64decode(packed["bdata"]), "<f4").reshape(20, 20)
    np.testing.assert_array_equal(unpacked, values)


@pytest.mark.parametrize("name", ["", "Two Words", "ärger", 'a"b', "1st", "a_b"])
def test_a_name_that_is_no_anchor_is_refused(name):
    with pytest.raises(InputError, match="small letters, digits and hyphens"):
        an_html(name=name)


@pytest.mark.parametrize("missing", ["caption", "alt"])
def test_a_figure_without_words_is_refused(missing):
    with pytest.raises(InputError, match=f"empty {missing}"):
        an_html(**{missing: "  "})


@pytest.mark.parametrize(
    "data",
    [
        {"layer": ["dense", "pool, 1"], "value": [0.5, -1.25]},
        xr.Dataset({"value": ("layer", [0.5, -1.25])}, {"layer": ["dense", "pool, 1"]}),
        xr.DataArray([0.5, -1.25], {"layer": ["dense", "pool, 1"]}, name="value"),
    ],
    ids=["mapping", "dataset", "array"],
)
def test_the_table_of_a_figure_reads_back_as_it_was_given(data):
    rows = list(csv.DictReader(io.StringIO(to_csv(data))))
    assert [row["layer"] for row in rows] == ["dense", "pool, 1"]
    assert [float(row["value"]) for row in rows] == [0.5, -1.25]


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(InputError, match="equally long"):
        to_csv({"a": [1, 2], "b": [1]})


def test_a_table_too_large_for_a_page_is_left_to_the_figure():
    assert "sg-table" in an_html(data={"a": np.arange(10)})
    assert "sg-table" not in an_html(data={"a": np.arange(100_000)})


def test_a_notebook_gets_the_figure_for_jupyterlab_and_for_the_book(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    show(a_figure(), name="x", caption="What to see.", alt="A heatmap.")
    (bundle,) = shown
    assert set(bundle) == {"application/vnd.plotly.v1+json", "text/html", "text/plain"}
    assert bundle["application/vnd.plotly.v1+json"]["data"][0]["type"] == "heatmap"
    assert 'id="x"' in bundle["text/html"]
    assert not re.search(r"https?://|<script(?! type=.application/json)", bundle["text/html"])


def test_a_matrix_with_a_step_takes_a_byte_a_cell_in_the_page_and_its_frames():
    matrix = np.linspace(-1, 1, 400, dtype="float32").reshape(20, 20)
    matrix[3, 4] = np.nan
    figure = go.Figure(
        go.Heatmap(z=matrix, meta={"step": 1 / 127}),
        frames=[go.Frame(name="turned", data=[go.Heatmap(z=-matrix)])],
    )
    page = Page(figure_html(figure, name="x", caption="c", alt="a"))
    spec = json.loads(page.one("script", class_="sg-data")[1])
    for trace, sign in ((spec["data"][0], 1), (spec["frames"][0]["data"][0], -1)):
        z = trace["z"]
        assert len(z["bytes"]) < 1.4 * matrix.size
        cells = np.frombuffer(base64.b64decode(z["bytes"]), np.int8).reshape(z["shape"])
        assert cells[3, 4] == -128
        here = ~np.isnan(matrix)
        np.testing.assert_allclose(
            cells[here] * z["step"], sign * matrix[here], atol=z["step"] / 2 + 1e-6
        )


def test_a_cell_beyond_a_byte_of_steps_is_refused():
    figure = go.Figure(go.Heatmap(z=np.full((2, 2), 1.5), meta={"step": 1 / 127}))
    with pytest.raises(InputError, match=r"±1 in steps of 0\.00787, but one is 1\.5"):
        figure_html(figure, name="x", caption="c", alt="a")
