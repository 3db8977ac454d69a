r"""Maps from one network's activity to another's, of growing freedom.

Network A is to predict network B: :math:`B \approx M A`, with A and B units x images and each
unit's mean taken off.  Every map here minimises :math:`\lVert B - M A \rVert^2` over a class of
matrices, and so depends on the images only through :math:`A A^\top`, :math:`B B^\top` and
:math:`B A^\top`, which `Moments` holds.  A map is fitted to the moments of some images and is
judged by `explained` on those of others.
"""

from typing import NamedTuple, Self

import torch

from shared_geometry.errors import InputError
from shared_geometry.similarity import shape
from shared_geometry.similarity.moments import ratio
from shared_geometry.srm.procrustes import polar

_PENALTIES = torch.logspace(-8, 4, 97, dtype=torch.float64)  # parts of the mean eigenvalue
_ROOM = 0.01  # part of the images that a fit must leave free to be judged by cross-validation


class Moments(NamedTuple):
    """Second moments of two networks over the same images, float64."""

    source: torch.Tensor  # A A', (n_units_a, n_units_a)
    target: torch.Tensor  # B B', (n_units_b, n_units_b)
    cross: torch.Tensor  # B A', (n_units_b, n_units_a)
    images: int

    def reversed(self) -> Self:
        """The same with the networks in each other's place.

        Returns
        -------
        Moments
        """
        return type(self)(self.target, self.source, self.cross.mT, self.images)


class Spectrum(NamedTuple):
    """Eigenvalues, rising, and eigenvectors (columns) of one network's moments."""

    values: torch.Tensor  # (n_units,)
    vectors: torch.Tensor  # (n_units, n_units)


def moments(a: torch.Tensor, b: torch.Tensor) -> Moments:
    """Second moments of two networks.

    Parameters
    ----------
    a, b : Tensor of shape (n_units_a, n_images), (n_units_b, n_images)
        Means taken off.

    Returns
    -------
    Moments

    Raises
    ------
    InputError
        If these are not two matrices with a column for each of the same two or more images.
    """
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[1] or a.shape[1] < 2:
        raise InputError(
            f"A of shape {tuple(a.shape)} and B of shape {tuple(b.shape)}: both units x images, "
            "with the same images, at least 2"
        )
    a, b = a.double(), b.double()
    return Moments(a @ a.T, b @ b.T, b @ a.T, a.shape[1])


def spectrum(moment: torch.Tensor) -> Spectrum:
    r"""Spectrum of :math:`A A^\top`; what rounding made negative is 0.

    Parameters
    ----------
    moment : Tensor of shape (n_units, n_units)

    Returns
    -------
    Spectrum
    """
    values, vectors = torch.linalg.eigh(moment)
    return Spectrum(values.clamp(min=0), vectors)


def permutation(fit: Moments) -> torch.Tensor:
    r"""One unit for each unit: :math:`\max_P \langle P, B A^\top \rangle` over permutations P.

    By linear assignment (Li et al. 2015; Ainsworth et al. 2023).  With equally many units in both
    networks, soft matching (Khosla and Williams 2024) has the same optimum.

    Parameters
    ----------
    fit : Moments

    Returns
    -------
    Tensor of shape (n_units, n_units)

    Raises
    ------
    InputError
        If the networks differ in their number of units.
    """
    _square(fit)
    return shape.permutation(fit.cross)


def rotation(fit: Moments) -> torch.Tensor:
    r"""Orthogonal Procrustes: :math:`\max_Q \langle Q, B A^\top \rangle` over orthogonal Q.

    The polar factor of :math:`B A^\top` (Schönemann 1966).

    Parameters
    ----------
    fit : Moments

    Returns
    -------
    Tensor of shape (n_units, n_units)

    Raises
    ------
    InputError
        If the networks differ in their number of units.
    """
    _square(fit)
    return polar(fit.cross)


def _square(fit: Moments) -> None:
    if fit.cross.shape[0] != fit.cross.shape[1]:
        raise InputError(
            f"A has {fit.cross.shape[1]} units and B has {fit.cross.shape[0]}: a permutation or "
            "rotation needs equally many"
        )


def scaled(m: torch.Tensor, fit: Moments) -> torch.Tensor:
    r"""A map times the one number that fits best, :math:`\langle M A, B\rangle / \|M A\|^2`.

    Parameters
    ----------
    m : Tensor of shape (n_units_b, n_units_a)
    fit : Moments

    Returns
    -------
    Tensor of shape (n_units_b, n_units_a)
    """
    length = (m @ fit.source * m).sum()
    return m * ratio((m * fit.cross).sum(), length)


def ridge(fit: Moments, source: Spectrum | None = None) -> torch.Tensor:
    r"""Any linear map: :math:`M = B A^\top (A A^\top + \lambda I)^{-1}`.

    One penalty :math:`\lambda` for all units, the one that generalised cross-validation (Golub,
    Heath and Wahba 1979) finds best on the images of the fit: with
    :math:`p(\lambda) = 1 + \operatorname{tr} A A^\top (A A^\top + \lambda I)^{-1}` free numbers
    and m images, it minimises :math:`\lVert B - M A \rVert^2 / (1 - p / m)^2`.

    Parameters
    ----------
    fit : Moments
    source : Spectrum, optional
        Of ``fit.source``, where it is at hand.

    Returns
    -------
    Tensor of shape (n_units_b, n_units_a)
    """
    values, vectors = spectrum(fit.source) if source is None else source
    turned = fit.cross @ vectors  # (n_units_b, n_units_a)
    penalty = _PENALTIES.to(values)[:, None] * values.mean()
    inverse = 1 / (values + penalty).clamp(min=torch.finfo(values.dtype).tiny)
    gain = inverse * (2 - values * inverse)  # (n_penalties, n_units_a)
    residual = fit.target.trace() - gain @ turned.square().sum(0)
    room = 1 - (1 + (values * inverse).sum(1)) / fit.images
    score = torch.where(room > _ROOM, residual.clamp(min=0) / room.square(), torch.inf)
    return turned * inverse[score.argmin()] @ vectors.T


def explained(m: torch.Tensor, unseen: Moments) -> torch.Tensor:
    r"""Part of B's variance that the map explains, :math:`1 - \|B - M A\|^2 / \|B\|^2`.

    Below 0 where it predicts worse than each unit's mean does.

    Parameters
    ----------
    m : Tensor of shape (n_units_b, n_units_a)
    unseen : Moments
        Of images that the map was not fitted to.

    Returns
    -------
    Tensor of shape (), float64
    """
    return (m * (2 * unseen.cross - m @ unseen.source)).sum() / unseen.target.trace()
