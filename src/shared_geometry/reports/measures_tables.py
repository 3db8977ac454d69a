"""What the study of other measures found in several populations, as tables in Markdown."""

from collections.abc import Mapping, Sequence

import xarray as xr

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import interval_text, layer_name, number
from shared_geometry.similarity.comparison import PAPERS
from shared_geometry.similarity.orders import agreement, reliability

Answers = Mapping[str, xr.Dataset]  # by population


def _table(headings: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A table whose first column names the rows."""
    lines = [[name, *cells] for name, cells in rows.items()]
    return table(headings, lines, "l" + "r" * (len(headings) - 1))


def _most_and_least(found: xr.Dataset, measure: str) -> str:
    values = found.value.sel(measure=measure, bound="estimate")
    least, most = (layer_name(values.layer.values[i]) for i in values.argsort().values[[0, -1]])
    return f"{most}; {least}"


def conclusions_table(answers: Answers) -> str:
    """In which layer networks are most alike, and in which least, by each measure."""
    names = next(iter(answers.values())).measure.values
    rows = {n: [_most_and_least(found, n) for found in answers.values()] for n in names}
    return _table(["most alike; least alike", *answers], rows)


def orders_table(answers: Answers) -> str:
    """Agreement with the paper's first measure on the order of layers, and of checkpoints.

    The first row is its agreement with itself, from one pair of networks to the others.
    """
    columns = []
    for found in answers.values():
        ceiling = reliability(found.course).sel(measure=PAPERS[0])
        own = [_two(ceiling) if ceiling.notnull().all() else "–"]
        ranks = agreement(found.course).sel(other=PAPERS[0]).drop_sel(measure=PAPERS[0])
        columns.append(own + [_two(ranks.sel(measure=name)) for name in ranks.measure.values])
    names = [f"{PAPERS[0]}, other networks", *ranks.measure.values]
    rows = {name: [column[i] for column in columns] for i, name in enumerate(names)}
    return _table(["layers; checkpoints", *answers], rows)


def _two(ranks: xr.DataArray) -> str:
    return "; ".join(number(ranks.sel(along=along)) for along in ("layers", "checkpoints"))


def same_images_table(answers: Answers) -> str:
    """Unrelated networks in the last layer, by maps measured on other images, and on their own."""
    names = next(iter(answers.values())).fitted.values
    rows: dict[str, list[str]] = {name: [] for name in names}
    for found in answers.values():
        last = found.isel(layer=-1).sel(condition="unrelated", end="unrelated").mean("pair")
        for name in names:
            other, same = last.control.sel(measure=name), last.same_images.sel(fitted=name)
            rows[name].append(f"{number(other)}; {number(same)}")
    return _table(["other images; those of the fit", *answers], rows)


def whole_table(answers: Answers) -> str:
    """The paper's measures for pairs and for all networks together, first layer and last."""
    headings = [f"{name}, {how}" for name in PAPERS for how in ("pairs", "all together")]
    rows = {}
    for population, found in answers.items():
        for place in sorted({0, found.sizes["layer"] - 1}):
            row = found.isel(layer=place)
            cells = [c for p in PAPERS for c in (row.value.sel(measure=p), row.whole.sel(papers=p))]
            name = f"{population}: {layer_name(row.layer.item())}"
            rows[name] = [interval_text(cell.values) for cell in cells]
    return _table(["population and layer", *headings], rows)
