"""The same networks analysed twice, by two solvers: how far the numbers differ."""

from pathlib import Path

import numpy as np
import xarray as xr

from shared_geometry.basics import markdown
from shared_geometry.basics.files import files_in
from shared_geometry.basics.wording import NAMES, layer_name, number
from shared_geometry.errors import DataError
from shared_geometry.experiment.results import config_of, load_results
from shared_geometry.reports.report import source_note

_SOLVERS = {
    "torch": "ours",
    "brainiak": "BrainIAK SRM",
    "brainiak-det": "BrainIAK DetSRM",
}


def _measures(results: xr.Dataset) -> dict[str, xr.DataArray]:
    last = results.isel(checkpoint=-1).sel(bound="estimate")
    geometry = last.geometry_current.sel(space="shared")
    variance = last.variance_interval
    return {
        "corr(wRSM, iRSM), published": geometry.sel(reading="published"),
        "corr(wRSM, iRSM), means subtracted": geometry.sel(reading="corrected"),
        "variance, published": variance.sel(measure="published"),
        "variance, means subtracted": variance.sel(measure="corrected"),
        "variance, others only": variance.sel(measure="left out"),
    }


def published(folder: str | Path) -> list[tuple[xr.Dataset, list[xr.Dataset]]]:
    """Results that lie in ``folder`` as ``<name>-<solver>.nc``: ours, and those of other solvers.

    Raises
    ------
    DataError
        If there is no folder, a file is damaged, or there is none of ours to compare with.
    """
    names: dict[str, dict[str, xr.Dataset]] = {}
    for path in files_in(folder, "*.nc"):
        found = load_results(path)
        solver = config_of(found).solver
        names.setdefault(path.stem.removesuffix(f"-{solver}"), {})[solver] = found
    for name, solvers in names.items():
        if "torch" not in solvers:
            raise DataError(f"{name}: {', '.join(solvers)} but no {name}-torch.nc to compare with")
    return [(solvers.pop("torch"), list(solvers.values())) for solvers in names.values()]


def report(results: xr.Dataset, others: list[xr.Dataset]) -> str:
    """How far the solvers differ on one population, as Markdown: a line for each, with its source.

    Parameters
    ----------
    results, others : xarray.Dataset
        As for `table`.
    """
    config = config_of(results)
    lines = [f"**{NAMES[config.architecture]}, {NAMES[config.dataset]}**", ""]
    for other in others:
        gap, where = largest_difference(results, other, published=False)
        whole, there = largest_difference(results, other)
        gap, whole = number(gap, 4), number(whole, 4)
        also = f"; over all measures by {whole} ({there})" if whole != gap else ""
        lines.append(
            f"- {_SOLVERS[config_of(other).solver]}: by at most {gap} where means are subtracted "
            f"({where}){also}. {source_note(other)}."
        )
    return "\n".join(lines)


def table(results: xr.Dataset, others: list[xr.Dataset]) -> str:
    """Measures of the last checkpoint by several solvers, as Markdown, a row a layer and measure.

    Parameters
    ----------
    results, others : xarray.Dataset
        Of `experiment.run`; configs that differ in nothing but ``solver`` and ``analysed``.

    Raises
    ------
    DataError
        If they differ in anything else; names the fields.
    """
    configs = [config_of(r) for r in (results, *others)]
    free = {"solver", "analysed", "preset", "device"}
    kept = [c.model_dump(exclude=free) for c in configs]
    for other in kept[1:]:
        differ = [name for name, value in other.items() if value != kept[0][name]]
        if differ:
            raise DataError(f"results to be compared differ in {', '.join(differ)}")
    columns = [_measures(r) for r in (results, *others)]
    names = [_SOLVERS[c.solver] for c in configs]
    rows = [
        [
            layer_name(layer),
            measure,
            *(number(column[measure].sel(layer=layer), 4) for column in columns),
        ]
        for layer in results.layer.values
        for measure in columns[0]
    ]
    return markdown.table(["layer", "measure", *names], rows, "ll" + "r" * len(names))


def largest_difference(
    results: xr.Dataset, other: xr.Dataset, *, published: bool = True
) -> tuple[float, str]:
    """Largest difference of a measure between two solvers at the last checkpoint, and where.

    Parameters
    ----------
    results, other : xarray.Dataset
    published : bool
        Whether the measures count that keep the units' means. Where a layer varies in fewer
        dimensions than k, as small networks and dead units make it, the fit leaves free what
        becomes of the means, and solvers rightly differ.

    Returns
    -------
    difference : float
    where : str
        Measure and layer.
    """
    theirs = _measures(other)
    found = []
    for name, ours in _measures(results).items():
        if name.endswith("published") and not published:
            continue
        gap = np.abs(ours.values - theirs[name].values)
        place = int(gap.argmax())
        found.append((float(gap[place]), f"{name}, {layer_name(ours.layer.values[place])}"))
    return max(found)
