r"""Near RSMs, near rotations: how far the best rotation can miss when two RSMs differ a little.

For activity X and Y (units x images) with RSMs :math:`G = X^\top X` and :math:`H = Y^\top Y`, put
:math:`T = \lVert X \rVert_F^2 + \lVert Y \rVert_F^2` and

.. math:: \text{gap} = \lVert G - H \rVert_* / T, \qquad
   \text{misfit} = \min_Q \lVert X - Q Y \rVert_F^2 / T .

Both lie between 0 and 1.  Whatever the networks, :math:`1 - \sqrt{1 - \text{gap}^2} \le
\text{misfit} \le \text{gap}`, and neither bound can be improved.  An SRM of two networks leaves
half the misfit unexplained, each being half of the response; of two equally strong ones, one that
is turned leaves twice the misfit of the other.  Arrays take leading batch dimensions.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from shared_geometry.errors import InputError

SHARP = 2 * (np.sqrt(2) - 1)  # of the bound for networks whose activity has full rank


def _checked(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if min(x.ndim, y.ndim) < 2 or x.shape[-1] != y.shape[-1]:
        raise InputError(
            f"X of shape {x.shape} and Y of shape {y.shape}: both (..., n_units, n_images), "
            "with activity for the same images"
        )
    return x, y


def power(x: np.ndarray) -> np.ndarray:
    """Squared Frobenius norm over the last two axes.

    Parameters
    ----------
    x : ndarray of shape (..., n_units, n_images)

    Returns
    -------
    ndarray of shape (...)
    """
    return np.square(x).sum((-2, -1))


def differences(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""Eigenvalues of :math:`X^\top X - Y^\top Y`, without those that must be zero.

    Parameters
    ----------
    x, y : ndarray of shape (..., n_units, n_images), (..., n_units_y, n_images)

    Returns
    -------
    ndarray of shape (..., min(n_images, n_units + n_units_y))

    Raises
    ------
    InputError
        If the two are not matrices with a column for each of the same images.
    """
    x, y = _checked(x, y)
    units = x.shape[-2] + y.shape[-2]
    if units >= x.shape[-1]:
        return np.linalg.eigvalsh(x.mT @ x - y.mT @ y)
    r = np.linalg.qr(np.concatenate([x, y], -2).mT, mode="r")  # all of it lies in these directions
    signs = np.repeat([1.0, -1.0], [x.shape[-2], y.shape[-2]])
    return np.linalg.eigvalsh((r * signs) @ r.mT)


def gap(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""How far two RSMs are apart: :math:`\lVert X^\top X - Y^\top Y \rVert_*` over T, 0 to 1.

    Parameters
    ----------
    x, y : ndarray of shape (..., n_units, n_images), (..., n_units_y, n_images)

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    InputError
        As `differences` does.
    """
    x, y = _checked(x, y)
    return np.abs(differences(x, y)).sum(-1) / (power(x) + power(y))


def misfit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""What the best rotation leaves: :math:`\min_Q \lVert X - Q Y \rVert_F^2` over T, 0 to 1.

    Orthogonal Procrustes (Schönemann 1966); equal to the squared Bures-Wasserstein distance of
    the RSMs (Bhatia, Jain and Lim 2019).  The smaller network is given silent units.

    Parameters
    ----------
    x, y : ndarray of shape (..., n_units, n_images), (..., n_units_y, n_images)

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    InputError
        As `differences` does.
    """
    x, y = _checked(x, y)
    total = power(x) + power(y)
    overlap = np.linalg.svd(_small(x) @ _small(y).mT, compute_uv=False).sum(-1)
    return np.clip(1 - 2 * overlap / total, 0, 1)


def _small(x: np.ndarray) -> np.ndarray:
    """Activity with the same RSM and no more units than images."""
    return np.linalg.qr(x, mode="r") if x.shape[-2] > x.shape[-1] else x


def least_misfit(apart: np.ndarray) -> np.ndarray:
    """Least misfit of networks whose RSMs are so far apart; the most is the gap itself.

    Parameters
    ----------
    apart : ndarray
        From `gap`.

    Returns
    -------
    ndarray
        Shaped as ``apart``.
    """
    apart = np.clip(apart, 0, 1)
    return apart**2 / (1 + np.sqrt(1 - apart**2))


def full_rank_misfit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""Another bound of the misfit, small where all units are needed.

    :math:`\lVert G - H \rVert_F^2 / (2 (\sqrt 2 - 1) \sigma^2)` over T, where :math:`\sigma` is the
    larger of the two networks' last singular values (Tu et al. 2016, lemma 5.4): infinite if
    the activity of neither fills its dimensions, which are the units or, if fewer, the images.

    Parameters
    ----------
    x, y : ndarray of shape (..., n_units, n_images)
        Of as many units.

    Returns
    -------
    ndarray of shape (...)

    Raises
    ------
    InputError
        As `differences` does, or if the networks differ in their number of units.
    """
    x, y = _checked(x, y)
    if x.shape[-2] != y.shape[-2]:
        raise InputError(f"{x.shape[-2]} and {y.shape[-2]} units; expected as many in both")
    smallest = [np.linalg.svd(z, compute_uv=False)[..., -1] for z in (x, y)]
    sigma = np.maximum(*smallest)
    apart = np.square(differences(x, y)).sum(-1)
    with np.errstate(divide="ignore"):
        return apart / (SHARP * sigma**2) / (power(x) + power(y))


def of_many(networks: Sequence[np.ndarray]) -> tuple[float, float, float]:
    r"""Bounds of what SRM must leave unexplained of N networks, and what it left.

    Parameters
    ----------
    networks : sequence of ndarray of shape (n_units, n_images)

    Returns
    -------
    low, found, high : float
        Parts of :math:`\sum_i \lVert X_i \rVert^2`: :math:`\frac1N \sum_{i<j} d_{ij}^2`; what an
        SRM with as many dimensions as units leaves; and
        :math:`\frac1N \sum_{i<j} \lVert G_i - G_j \rVert_*`.

    Raises
    ------
    InputError
        If there are fewer than 2 networks, images differ in number, or as `SRM.fit` does.
    """
    from shared_geometry.srm import SRM

    if len(networks) < 2:
        raise InputError(f"{len(networks)} networks; at least 2 are compared")
    total = sum(power(x) for x in networks)
    pairs = list(combinations(networks, 2))
    sizes = [power(x) + power(y) for x, y in pairs]
    low = sum(misfit(x, y) * size for (x, y), size in zip(pairs, sizes, strict=True))
    high = sum(gap(x, y) * size for (x, y), size in zip(pairs, sizes, strict=True))
    model = SRM(center=False, tol=1e-12, max_sweeps=1000).fit(list(networks))
    n = len(networks)
    return float(low / n / total), float(model.objective_[-1] / total), float(high / n / total)


def most_misfit(difference: float, n_units: int, n_images: int) -> float:
    r"""Misfit of two networks whose RSMs nearly agree, at most.

    For columns of length 1.  The difference of the RSMs has at most 2n eigenvalues other than
    zero, so that :math:`\lVert G - H \rVert_* \le \sqrt{2n} \, \lVert G - H \rVert_F`.

    Parameters
    ----------
    difference : float
        Root mean square difference of a cell.
    n_units, n_images : int

    Returns
    -------
    float
        From 0 to 1.
    """
    return min(1.0, float(difference * np.sqrt(min(2 * n_units, n_images)) / 2))
