r"""Canonical correlation: what two networks share once no direction counts more than another.

Two uses that differ.  `through_variates` is one more way to fit a linear map: it predicts X's own
activity.  `agreement` is another yardstick: it asks of each direction how well it is
predicted, and forgets how much the network varies along it.
"""

from typing import NamedTuple, Self

import torch

from shared_geometry.errors import InputError
from shared_geometry.similarity.cca import canonical
from shared_geometry.similarity.maps import Spectrum
from shared_geometry.similarity.moments import PairMoments, ratio

_RANK = 1e-8  # eigenvalues below this part of the largest are rounding


class Variates(NamedTuple):
    """Canonical variates of two networks: pairs of directions whose activities correlate most."""

    source: torch.Tensor  # (n_units_y, n_pairs), activity along each has length 1
    target: torch.Tensor  # (n_units_x, n_pairs)
    correlations: torch.Tensor  # (n_pairs,), falling
    ranks: tuple[int, int]  # dimensions of Y and of X

    def reversed(self) -> Self:
        """The same with the networks in each other's place.

        Returns
        -------
        Variates
        """
        return type(self)(self.target, self.source, self.correlations, self.ranks[::-1])


def variates(fit: PairMoments, source: Spectrum, target: Spectrum) -> Variates:
    """Canonical correlation analysis of network Y, the source, and X (see `cca.canonical`).

    In the directions in which each network varies at all.

    Parameters
    ----------
    fit : PairMoments
    source, target : Spectrum
        Of ``fit.yy`` and of ``fit.xx``.

    Returns
    -------
    Variates
        As many pairs as the network of fewer dimensions has.

    Raises
    ------
    InputError
        If a network varies in as many dimensions as there are images less one: any two such
        networks correlate perfectly.
    """
    whiten = [_whitening(of) for of in (source, target)]
    ranks = tuple(w.shape[1] for w in whiten)
    if max(ranks) >= fit.images - 1:
        raise InputError(
            f"{fit.images} images and networks of {ranks[0]} and {ranks[1]} dimensions: canonical "
            "correlation needs more images than dimensions"
        )
    return Variates(*canonical(fit.xy.T, *whiten), ranks)


def _whitening(of: Spectrum) -> torch.Tensor:
    keep = of.values > _RANK * of.values.max()
    return of.vectors[:, keep] / of.values[keep].sqrt()


def through_variates(fit: PairMoments, found: Variates) -> torch.Tensor:
    r"""The linear map that predicts X through canonical variates, each shrunk by cross-validation.

    With all variates at their full correlation c this is least squares.  Here the prediction of a
    variate of X is multiplied by what generalised cross-validation leaves of it,

    .. math:: d = \frac{(1 - r)(c^2 - r)}{(1 - r)^2 c^2 + r^2 (1 - c^2)},

    but at least 0, where r is the number of Y's dimensions over that of images (Breiman and
    Friedman 1997).

    Parameters
    ----------
    fit : PairMoments
    found : Variates
        From `variates` of the same images.

    Returns
    -------
    Tensor of shape (n_units_x, n_units_y)
    """
    r = found.ranks[0] / (fit.images - 1)
    square = found.correlations.square()
    left = (1 - r) * (square - r) / ((1 - r) ** 2 * square + r**2 * (1 - square))
    weight = left.clamp(min=0) * found.correlations
    return fit.xx @ (found.target * weight) @ found.source.T


def agreement(found: Variates, unseen: PairMoments) -> torch.Tensor:
    """Mean squared correlation of the pairs of variates on unseen images, all pairs counted alike.

    How much a direction varies has no say in it, so that any invertible linear map of either
    network leaves it as it is (Kornblith et al. 2019).  A square keeps its correlation's sign:
    where nothing is shared, the mean is 0.

    Parameters
    ----------
    found : Variates
    unseen : PairMoments
        Of images that the variates were not found on.

    Returns
    -------
    Tensor of shape (), float64
    """
    across = (found.target * (unseen.xy @ found.source)).sum(0)
    own = [
        (directions * (moment @ directions)).sum(0).clamp(min=0)
        for directions, moment in ((found.source, unseen.yy), (found.target, unseen.xx))
    ]
    r = ratio(across, (own[0] * own[1]).sqrt()).clamp(-1, 1)
    return (r * r.abs()).mean()
