"""What more units of a layer show: answers beside the same networks' own page."""

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from shared_geometry.basics.markdown import interval_cell, table
from shared_geometry.basics.wording import layer_name, number
from shared_geometry.experiment.results import config_of
from shared_geometry.statistics import bootstrap_explained

MEASURE = "left out"


def recorded_more(found: xr.Dataset, runs: Iterable[xr.Dataset]) -> xr.Dataset | None:
    """Results about networks that an answer is about, too, and about more of their units."""
    own = found.attrs.get("networks")
    fewest = config_of(found).max_units
    more = [
        run
        for run in runs
        if own is not None and run.attrs.get("networks") == own and _most(run) > fewest
    ]
    return max(more, key=_most, default=None)


def _most(results: xr.Dataset) -> int:
    return config_of(results).max_units


def _gain(run: xr.Dataset, label: str) -> np.ndarray:
    """What training adds to the variance that the others explain of each network: interval."""
    course = run.variance.sel(layer=label, measure=MEASURE)
    change = course.isel(checkpoint=-1) - course.sel(checkpoint=0.0)
    return np.asarray(bootstrap_explained(change.values, seed=config_of(run).seed))


def more_units_table(answers: Mapping[str, xr.Dataset], runs: Iterable[xr.Dataset]) -> str:
    """Answers of the study of chance, and what their networks' own pages found with more units.

    Parameters
    ----------
    answers : mapping of str to xarray.Dataset
        By population; one whose networks have no results with more units is left out.
    runs : iterable of xarray.Dataset
        Results of `experiment.run`.
    """
    runs, parts = list(runs), []
    for population, found in answers.items():
        run = recorded_more(found, runs)
        if run is None or 0.0 not in run.checkpoint:
            continue
        here, there = (
            f"{config_of(one).max_units:,} units, {one.sizes['network']} networks"
            for one in (found, run)
        )
        rows = []
        for label in found.layer.values:
            few = found.sel(layer=label)
            many = run.variance_interval.sel(layer=label, measure=MEASURE).isel(checkpoint=-1)
            value = few.value.sel(state="trained", measure=MEASURE)
            cells = (value, many, few.gain, _gain(run, label))
            rows.append([layer_name(label), *map(interval_cell, cells)])
        head = [f"{what}, {size}" for what in _COLUMNS for size in (here, there)]
        told = _order_sentence(population, found, run)
        parts.append(f"{told}\n\n{table(['layer', *head], rows)}")
    return "\n\n".join(parts)


_COLUMNS = ("others explain", "training adds")


def _least(values: xr.DataArray) -> str:
    lowest = values.idxmin("layer").item()
    return f"{layer_name(lowest)} ({number(values.sel(layer=lowest))})"


def _order_sentence(population: str, found: xr.Dataset, run: xr.Dataset) -> str:
    few = found.value.sel(state="trained", measure=MEASURE, bound="estimate")
    many = run.variance_interval.sel(measure=MEASURE, bound="estimate").isel(checkpoint=-1)
    return (
        f"*{population}* was recorded with more units on its own page. Here the others explain "
        f"least of {_least(few)}; with up to {_most(run):,} units, of {_least(many)}:"
    )
