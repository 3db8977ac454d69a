"""What the study of other measures found, as values beside chance and on one scale."""

import xarray as xr


def chance(found: xr.Dataset) -> xr.DataArray:
    """Each measure of unrelated networks, mean over pairs: (layer, measure)."""
    return found.control.sel(condition="unrelated", drop=True).mean("pair")


def as_measured(found: xr.Dataset) -> xr.DataArray:
    """Every measure at the end of training, beside that of unrelated networks.

    Returns
    -------
    DataArray of dimensions layer, measure, bound
        ``bound`` is estimate, low, high, unrelated.
    """
    return xr.concat([found.value, chance(found).expand_dims(bound=["unrelated"])], "bound")


def over_chance(found: xr.Dataset) -> xr.DataArray:
    r"""Every measure on one scale: 0 for unrelated networks, 1 for equal ones.

    .. math:: (v - v_0) / (1 - v_0), with :math:`v_0` the value of unrelated networks.

    Returns
    -------
    DataArray of dimensions layer, measure, bound
        ``bound`` is estimate, low, high, and "classes shared": pairs that share the classes alone.
    """
    floor = chance(found)
    classes = found.control.sel(condition="classes shared", drop=True).mean("pair")
    values = xr.concat([found.value, classes.expand_dims(bound=["classes shared"])], "bound")
    return (values - floor) / (1 - floor)


def class_share(found: xr.Dataset) -> xr.DataArray:
    """Part of a measure's lead over chance that sharing classes gives, all layers: (measure,)."""
    totals = over_chance(found).sum("layer")
    return totals.sel(bound="classes shared", drop=True) / totals.sel(bound="estimate", drop=True)


def is_related(found: xr.Dataset) -> xr.DataArray:
    """Where the interval of a measure lies above all unrelated pairs: (layer, measure)."""
    highest = found.control.sel(condition="unrelated", drop=True).max("pair")
    return found.value.sel(bound="low", drop=True) > highest
