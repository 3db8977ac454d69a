r"""Canonical correlations: two networks compared up to any invertible linear map of their units.

The directions are singular vectors of :math:`T_X^\top XY^\top T_Y`, where :math:`T` whitens:
:math:`T^\top XX^\top T = I` (Hotelling 1936).  They can be measured on images other than those that
they were found on.
"""

from typing import NamedTuple

import torch

from shared_geometry.errors import InputError
from shared_geometry.similarity.moments import PairMoments, ratio

SVCCA_VARIANCE = 0.99  # of the activity that SVCCA keeps (Raghu et al. 2017)
_LEAST = 1e-10  # part of the largest variance below which a direction is rounding


class Canonical(NamedTuple):
    """Pairs of directions, from the most correlated on."""

    a: torch.Tensor  # (n_units_x, r), weights of units: a^T XX^T a = 1
    b: torch.Tensor  # (n_units_y, r)
    correlation: torch.Tensor  # (r,) on the images they were found on


def whitening(xx: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Principal axes of a network, each divided by its standard deviation.

    Parameters
    ----------
    xx : Tensor of shape (n_units, n_units)
        :math:`XX^\top`.

    Returns
    -------
    t : Tensor of shape (n_units, r)
        :math:`T = V \Lambda^{-1/2}`, from the strongest axis on, without those that are rounding.
    variance : Tensor of shape (r,)
        :math:`\Lambda`.
    """
    values, vectors = torch.linalg.eigh(xx)
    values, vectors = values.flip(0), vectors.flip(1)
    kept = values > _LEAST * values[0].clamp(min=torch.finfo(values.dtype).tiny)
    return vectors[:, kept] * values[kept].rsqrt(), values[kept]


def leading(variance: torch.Tensor, keep: float) -> int:
    """How many of the strongest axes hold at least the part ``keep`` of the variance.

    Parameters
    ----------
    variance : Tensor of shape (r,)
        Falling.
    keep : float
        Above 0, at most 1.

    Returns
    -------
    int
        From 1 to r; 0 if there are no axes.

    Raises
    ------
    InputError
        If ``keep`` is out of range.
    """
    if not 0 < keep <= 1:
        raise InputError(f"keep={keep} of the variance: above 0, at most 1")
    if len(variance) == 0:
        return 0
    parts = variance.cumsum(0) / variance.sum()
    return min(int((parts < keep - 1e-12).sum()) + 1, len(variance))


def canonical(xy: torch.Tensor, tx: torch.Tensor, ty: torch.Tensor) -> Canonical:
    """Canonical directions within the axes that two whitenings keep.

    Parameters
    ----------
    xy : Tensor of shape (n_units_x, n_units_y)
    tx, ty : Tensor of shape (n_units_x, r_x), (n_units_y, r_y)
        From `whitening`, or their leading columns.

    Returns
    -------
    Canonical
        As many pairs as the smaller of r_x and r_y.
    """
    u, s, vt = torch.linalg.svd(tx.T @ xy @ ty, full_matrices=False)
    return Canonical(tx @ u, ty @ vt.T, s.clamp(max=1))


def correlations(c: Canonical, m: PairMoments) -> torch.Tensor:
    """Correlation of every pair of directions.

    Parameters
    ----------
    c : Canonical
    m : PairMoments
        Of the images that they are measured on.

    Returns
    -------
    Tensor of shape (r,)
        0 where a direction does not vary.
    """
    cross = (c.a * (m.xy @ c.b)).sum(0)
    own = (c.a * (m.xx @ c.a)).sum(0) * (c.b * (m.yy @ c.b)).sum(0)
    return ratio(cross, own.clamp(min=0).sqrt())


def mean_correlation(c: Canonical, m: PairMoments) -> float:
    """Mean of `correlations`.

    Parameters
    ----------
    c : Canonical
    m : PairMoments

    Returns
    -------
    float
        0 if there are no directions.
    """
    found = correlations(c, m)
    return float(found.mean()) if len(found) else 0.0


def weighted_correlation(c: Canonical, fit: PairMoments, m: PairMoments) -> float:
    r"""Mean of `correlations`, weighted by how much of the activity each direction accounts for.

    A direction weighs :math:`\alpha_j = \sum_i \lvert \langle h_j, x_i \rangle \rvert`, with
    :math:`h_j` its activity and :math:`x_i` that of unit i on the images of ``fit`` (Morcos et al.
    2018); so once with the units of X and once with those of Y, and the mean of both,
    which makes the measure symmetric.

    Parameters
    ----------
    c : Canonical
    fit : PairMoments
        Of the images that the directions were found on, which give the weights.
    m : PairMoments
        Of those that they are measured on.

    Returns
    -------
    float
    """
    found = correlations(c, m)
    weights = [(own @ d).abs().sum(0) for own, d in ((fit.xx, c.a), (fit.yy, c.b))]
    return float(sum(ratio((w * found).sum(), w.sum()) for w in weights) / 2)


def _directions(fit: PairMoments, keep: float) -> Canonical:
    (tx, vx), (ty, vy) = whitening(fit.xx), whitening(fit.yy)
    return canonical(fit.xy, tx[:, : leading(vx, keep)], ty[:, : leading(vy, keep)])


def svcca(fit: PairMoments, m: PairMoments | None = None, *, keep: float = SVCCA_VARIANCE) -> float:
    """Mean canonical correlation of the leading axes that hold ``keep`` of the variance.

    Parameters
    ----------
    fit : PairMoments
        Of the images on which directions are found.
    m : PairMoments, optional
        Of those on which they are measured; None: the same, as Raghu et al. (2017) do.
    keep : float
        1 is the mean canonical correlation.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If ``keep`` is not above 0 and at most 1.
    """
    return mean_correlation(_directions(fit, keep), fit if m is None else m)


def pwcca(fit: PairMoments, m: PairMoments | None = None) -> float:
    """Projection-weighted canonical correlation (Morcos et al. 2018).

    See `weighted_correlation`.

    Parameters
    ----------
    fit, m : PairMoments
        As in `svcca`.

    Returns
    -------
    float
    """
    return weighted_correlation(_directions(fit, 1.0), fit, fit if m is None else m)
