r"""When the shared geometry appears: what the results of a run say of the course of training.

Two questions hide in one correlation.  Do the networks agree at a moment, so that a rotation takes
one to another *now*?  And how far is the geometry that they share from the one of the end?  With
the averages w = wRSM and b = iRSM in shared space, at checkpoint t and at the last one T,

.. math:: r(b_t, w_T) = r(b_t, w_t) \, r(w_t, w_T) + \rho \sqrt{(1 - r(b_t, w_t)^2)
          (1 - r(w_t, w_T)^2)},

where :math:`\rho` is the partial correlation of b_t and w_T given w_t: an identity for any three
vectors.  The first factor is agreement, the second is how far the geometry has settled.
"""

from itertools import product

import numpy as np
import xarray as xr

from shared_geometry.basics.wording import layer_name
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import UNDECIDED, Found, all_above
from shared_geometry.claims.rules import NO_BEGINNING
from shared_geometry.errors import InputError
from shared_geometry.experiment.analysis import BOUNDS
from shared_geometry.experiment.results import config_of, shows_training
from shared_geometry.rsa import compare_rsms
from shared_geometry.statistics import bootstrap_mean

HALF = 0.5  # a share of the way that is most of it
NEARLY = 0.95  # a share of the way at which a layer counts as arrived
FIRST = 1.0  # the epoch by which we ask


def _course(results: xr.Dataset) -> xr.DataArray:
    """Correlation with the final geometry: (layer, checkpoint, bound)."""
    if not shows_training(results):
        shown = ", ".join(f"{c:g}" for c in results.checkpoint.values)
        raise InputError(
            f"checkpoints {shown}: a way has a start and an end; expected 0 and another one"
        )
    found = results.geometry_final.sel(reading="published", space="shared")
    return found.transpose("layer", "checkpoint", "bound")


def way(results: xr.Dataset) -> xr.DataArray:
    r"""Share of the way from the untrained geometry to the final one that each layer has covered.

    .. math:: u_t = \frac{c_t - c_0}{c_T - c_0}, \qquad c_t = r(\mathrm{iRSM}_t, \mathrm{wRSM}_T).

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.

    Returns
    -------
    xarray.DataArray
        (layer, checkpoint, bound).  The interval is the widest that those of the three correlations
        allow, and so errs on the side of caution: resamples of networks move them together.
        NaN in a layer whose interval at the end does not lie above that at the start: there is no
        way to go.

    Raises
    ------
    InputError
        If the run was not looked at before training and at the end.
    """
    course = _course(results)
    start, end = (course.isel(checkpoint=place, drop=True) for place in (0, -1))

    def share(t: str, first: str, last: str) -> xr.DataArray:
        now, a, b = (
            c.sel(bound=bound, drop=True) for c, bound in ((course, t), (start, first), (end, last))
        )
        return (now - a) / (b - a)

    corners = xr.concat([share(*which) for which in product(("low", "high"), repeat=3)], "corner")
    estimate = share(*3 * ("estimate",))
    found = xr.concat([estimate, corners.min("corner"), corners.max("corner")], "bound")
    found = found.assign_coords(bound=list(BOUNDS)).transpose("layer", "checkpoint", "bound")
    found[:, 0], found[:, -1] = 0.0, 1.0  # by definition
    return found.where(end.sel(bound="low", drop=True) > start.sel(bound="high", drop=True))


def arrival(epochs: np.ndarray, values: np.ndarray, level: float) -> float:
    """Epoch from which on a curve is at ``level`` or above it, linear between its points.

    Parameters
    ----------
    epochs, values : array of shape (n,)
        Epochs rise.
    level : float

    Returns
    -------
    float
        NaN if the curve ends below ``level``, or is not known.

    Raises
    ------
    InputError
        If there are not as many values as epochs.
    """
    if len(epochs) != len(values):
        raise InputError(f"{len(values)} values at {len(epochs)} epochs; expected as many")
    if np.isnan(values).any() or values[-1] < level:
        return float("nan")
    below = np.flatnonzero(values < level)
    if not len(below):
        return float(epochs[0])
    i = below[-1]
    step = (level - values[i]) / (values[i + 1] - values[i])
    return float(epochs[i] + step * (epochs[i + 1] - epochs[i]))


def arrivals(covered: xr.DataArray, level: float = NEARLY) -> xr.DataArray:
    """Epoch from which on each layer has covered ``level`` of its way: (layer, bound).

    Parameters
    ----------
    covered : xarray.DataArray
        From `way`.  The curve of its high bounds arrives first, that of its low bounds last.
    level : float

    Returns
    -------
    xarray.DataArray
        NaN where the curve ends below ``level``, or is not known.
    """
    flipped = covered.sel(bound=["estimate", "high", "low"])
    epochs = covered.checkpoint.values
    values = [[arrival(epochs, v, level) for v in row] for row in flipped.values.swapaxes(1, 2)]
    return xr.DataArray(values, {"layer": covered.layer, "bound": covered.bound})


def covered_by(covered: xr.DataArray, epoch: float = FIRST) -> xr.DataArray:
    """Share of the way that each layer has covered by an epoch: (layer, bound).

    Parameters
    ----------
    covered : xarray.DataArray
        From `way`; linear between its checkpoints.
    epoch : float

    Returns
    -------
    xarray.DataArray
    """
    found = covered.interp(checkpoint=epoch, kwargs={"fill_value": 1.0}).drop_vars("checkpoint")
    return found.where(covered.isel(checkpoint=-1, drop=True).notnull())


def accuracy_way(results: xr.Dataset) -> xr.DataArray:
    """Share of the way from chance to its final test accuracy that a network has covered.

    Chance is one over the number of classes: untrained networks were not tested.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.

    Returns
    -------
    xarray.DataArray
        (epoch, bound), the mean over networks and its interval; NaN if a network ends at chance or
        below.
    """
    config, chance = config_of(results), 1 / results.sizes["class"]
    gain = results.test_accuracy.transpose("epoch", "network") - chance
    final = gain.isel(epoch=-1)
    share = (gain / final).where((final > 0).all())
    how = {"n_resamples": config.bootstrap, "seed": config.seed}
    values = [bootstrap_mean(row, **how) for row in share.values]
    return xr.DataArray(values, {"epoch": results.epoch, "bound": list(BOUNDS)})


def split(results: xr.Dataset) -> xr.Dataset:
    """The identity above, term by term, from the RSMs of the images that results keep.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.

    Returns
    -------
    xarray.Dataset
        By ``layer`` and ``checkpoint``: ``final``, the left side; ``agreement`` and ``settled``,
        the two factors, and their ``product``; ``remainder``, which is ``final - product``, and
        ``most``, how large it could be.  Without intervals: results keep RSMs averaged over
        networks.
    """
    rsms = results.rsm_image.sel(reading="published")
    rsms = rsms.transpose("kind", "layer", "checkpoint", "image", "image_")
    w, b = (rsms.sel(kind=kind).values for kind in ("within, native", "between, shared"))
    terms = [
        [(compare_rsms(b_t, w_t), compare_rsms(w_t, w_row[-1]), compare_rsms(b_t, w_row[-1]))
         for w_t, b_t in zip(w_row, b_row, strict=True)]
        for w_row, b_row in zip(w, b, strict=True)
    ]  # fmt: skip
    agreement, settled, final = np.moveaxis(np.array(terms, dtype=float), -1, 0)
    spare = np.clip((1 - agreement**2) * (1 - settled**2), 0, None)
    found = {
        "final": final,
        "agreement": agreement,
        "settled": settled,
        "product": agreement * settled,
        "remainder": final - agreement * settled,
        "most": np.sqrt(spare),
    }
    return xr.Dataset(
        {name: (("layer", "checkpoint"), values) for name, values in found.items()},
        {"layer": results.layer, "checkpoint": results.checkpoint},
    )


def early(results: xr.Dataset) -> float:
    """The last checkpoint within the first epoch that is not the end of the run.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`, with a checkpoint in the first epoch before the last one.

    Returns
    -------
    float
        Epoch.
    """
    known = results.checkpoint.values[:-1]
    return float(known[known <= FIRST][-1])


def reliability(consistency: float, n: int) -> float:
    r"""Correlation to expect between the mean RSMs of two populations of ``n`` networks.

    Spearman and Brown's :math:`n c / (1 + (n - 1) c)`, with c the correlation of two networks.

    Parameters
    ----------
    consistency : float
        c.
    n : int

    Returns
    -------
    float

    Raises
    ------
    InputError
        If ``n`` is below 1.
    """
    if n < 1:
        raise InputError(f"n={n} networks; expected at least 1")
    return n * consistency / (1 + (n - 1) * consistency)


def judge(results: xr.Dataset) -> Found:
    """Share of the way that is covered by the end of the first epoch, layer by layer."""
    if not shows_training(results):
        return Found(UNDECIDED, NO_BEGINNING)
    if results.checkpoint.values[-1] <= FIRST:
        return Found(UNDECIDED, "the run ends within its first epoch")
    by_first = covered_by(way(results))
    rows = {layer_name(label): by_first.sel(layer=label).values for label in by_first.layer.values}
    return all_above(rows, HALF, unknown="no way to go")


CLAIM = Claim(
    "first-epoch",
    "Most of the way to the final geometry is covered within the first epoch",
    "after Kapoor et al. (2025)",
    f"in each layer, the share of the way that corr(wRSM, iRSM) goes from before training to the "
    f"end: the widest interval that the correlations' 95 % intervals allow is above {HALF}",
    "emergence-way",
    judge,
    trained=True,
)
