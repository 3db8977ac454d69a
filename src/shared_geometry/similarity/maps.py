r"""Maps from one network's activity to another's, of growing freedom.

Network Y is to predict network X: :math:`X \approx M Y`, with X and Y units x images and each
unit's mean taken off.  Every map minimises :math:`\lVert X - M Y \rVert^2` over a class of
matrices, and so depends on the images only through `PairMoments`.  It is fitted to the moments of
some images and is judged by `explained` on those of others.  Rotations and permutations, which
turn round, are those of `shape`.
"""

from typing import NamedTuple

import torch

from shared_geometry.similarity.moments import PairMoments, ratio

_PENALTIES = torch.logspace(-8, 4, 97, dtype=torch.float64)  # parts of the mean eigenvalue
_ROOM = 0.01  # part of the images that a fit must leave free to be judged by cross-validation


class Spectrum(NamedTuple):
    """Eigenvalues, rising, and eigenvectors (columns) of one network's moments."""

    values: torch.Tensor  # (n_units,)
    vectors: torch.Tensor  # (n_units, n_units)


def spectrum(moment: torch.Tensor) -> Spectrum:
    r"""Spectrum of :math:`X X^\top`; what rounding made negative is 0.

    Parameters
    ----------
    moment : Tensor of shape (n_units, n_units)

    Returns
    -------
    Spectrum
    """
    values, vectors = torch.linalg.eigh(moment)
    return Spectrum(values.clamp(min=0), vectors)


def scaled(m: torch.Tensor, fit: PairMoments) -> torch.Tensor:
    r"""A map times the one number that fits best, :math:`\langle M Y, X\rangle / \|M Y\|^2`.

    Parameters
    ----------
    m : Tensor of shape (n_units_x, n_units_y)
    fit : PairMoments

    Returns
    -------
    Tensor of shape (n_units_x, n_units_y)
    """
    length = (m @ fit.yy * m).sum()
    return m * ratio((m * fit.xy).sum(), length)


def ridge(fit: PairMoments, source: Spectrum | None = None) -> torch.Tensor:
    r"""Any linear map: :math:`M = X Y^\top (Y Y^\top + \lambda I)^{-1}`.

    One penalty :math:`\lambda` for all units, the one that generalised cross-validation (Golub,
    Heath and Wahba 1979) finds best on the images of the fit: with
    :math:`p(\lambda) = 1 + \operatorname{tr} Y Y^\top (Y Y^\top + \lambda I)^{-1}` free numbers
    and m images, it minimises :math:`\lVert X - M Y \rVert^2 / (1 - p / m)^2`.

    Parameters
    ----------
    fit : PairMoments
    source : Spectrum, optional
        Of ``fit.yy``, where it is at hand.

    Returns
    -------
    Tensor of shape (n_units_x, n_units_y)
    """
    values, vectors = spectrum(fit.yy) if source is None else source
    turned = fit.xy @ vectors  # (n_units_x, n_units_y)
    penalty = _PENALTIES.to(values)[:, None] * values.mean()
    inverse = 1 / (values + penalty).clamp(min=torch.finfo(values.dtype).tiny)
    gain = inverse * (2 - values * inverse)  # (n_penalties, n_units_y)
    residual = fit.xx.trace() - gain @ turned.square().sum(0)
    room = 1 - (1 + (values * inverse).sum(1)) / fit.images
    score = torch.where(room > _ROOM, residual.clamp(min=0) / room.square(), torch.inf)
    return turned * inverse[score.argmin()] @ vectors.T


def explained(m: torch.Tensor, unseen: PairMoments) -> torch.Tensor:
    r"""Part of X's variance that the map explains, :math:`1 - \|X - M Y\|^2 / \|X\|^2`.

    Below 0 where it predicts worse than each unit's mean does.

    Parameters
    ----------
    m : Tensor of shape (n_units_x, n_units_y)
    unseen : PairMoments
        Of images that the map was not fitted to.

    Returns
    -------
    Tensor of shape (), float64
    """
    return (m * (2 * unseen.xy - m @ unseen.yy)).sum() / unseen.xx.trace()
