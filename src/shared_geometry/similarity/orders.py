"""Orders: whether measures put layers, or checkpoints, into the same one."""

import numpy as np
import xarray as xr

ALONG = ("layers", "checkpoints", "both")  # what measures are asked to put into an order


def _orders(course: xr.DataArray) -> dict[str, np.ndarray]:
    """Which of two places each measure puts higher: for each of `ALONG`, (n_measures, n_pairs)."""
    values = course.transpose("measure", "checkpoint", "layer").values
    views = (values, values.swapaxes(1, 2), values.reshape(len(values), -1))
    found = {}
    for along, view in zip(ALONG, views, strict=True):
        i, j = np.triu_indices(view.shape[-1], 1)
        found[along] = np.sign(view[..., j] - view[..., i]).reshape(len(view), -1)
    return found


def _tau(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of the rows of ``a`` with those of ``b``; 0 where one orders nothing."""
    sizes = np.sqrt(np.outer(np.square(a).sum(1), np.square(b).sum(1)))
    return a @ b.T / np.maximum(sizes, 1)


def agreement(course: xr.DataArray) -> xr.DataArray:
    r"""How far every two measures put the same things into the same order (Kendall's tau-b).

    .. math:: \sum_{p} s_p t_p \Bigl/ \bigl( \textstyle\sum_p s_p^2 \sum_p t_p^2 \bigr)^{1/2}

    over pairs p of places, with :math:`s_p` and :math:`t_p` (1, -1, or 0 for a tie) the order in
    which two measures put them; 0.8 says that nine pairs in ten are put into the same order.

    Parameters
    ----------
    course : DataArray of dimensions checkpoint, layer, measure, pair
        Each measure, of pairs of networks.

    Returns
    -------
    DataArray of dimensions along, measure, other
        ``along``, see `ALONG`: pairs of layers at one checkpoint, of checkpoints in one layer, or
        of any two places.
    """
    names, orders = course.measure.values, _orders(course.mean("pair"))
    coords = {"along": list(ALONG), "measure": names, "other": names}
    tables = np.stack([_tau(signs, signs) for signs in orders.values()])
    return xr.DataArray(tables, coords, ("along", "measure", "other"))


def reliability(course: xr.DataArray) -> xr.DataArray:
    """Agreement of each measure with itself, a pair of networks against all others: a ceiling.

    Parameters
    ----------
    course : DataArray of dimensions checkpoint, layer, measure, pair

    Returns
    -------
    DataArray of dimensions along, measure
        NaN if there is only one pair.
    """
    n, parts = course.sizes["pair"], []
    for pair in range(n if n > 1 else 0):
        one = _orders(course.isel(pair=pair))
        rest = _orders(course.drop_isel(pair=pair).mean("pair"))
        parts.append([np.diag(_tau(one[along], rest[along])) for along in ALONG])
    empty = np.full((len(ALONG), course.sizes["measure"]), np.nan)
    coords = {"along": list(ALONG), "measure": course.measure.values}
    return xr.DataArray(np.mean(parts, 0) if parts else empty, coords, ("along", "measure"))
