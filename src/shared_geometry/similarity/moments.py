r"""How alike two networks' activity is: second moments, CKA, and neighbours.

X and Y are units x images, of the same images and any numbers of units.  All measures that compare
by a map of units, and linear CKA, read three matrices only: :math:`XX^\top`, :math:`YY^\top` and
:math:`XY^\top`, of activity from which each unit's mean over the images was subtracted.  So these
are formed once, and each measure is a function of `PairMoments`; `shared_geometry.similarity.cca`
and `shared_geometry.similarity.shape` hold the others.  A measure that fits a map can be given
moments of other images to be measured on.  1 says equal, and more is more alike.
"""

from typing import NamedTuple, Self

import torch

from shared_geometry.basics.arrays import Array, as_tensor
from shared_geometry.errors import InputError
from shared_geometry.srm.inputs import in_range, networks

NEIGHBOURS = 10  # of an image, as in Huh et al. (2024)


class Centred(NamedTuple):
    """Activity of one network, means of its units subtracted, and its own moments, float64."""

    x: torch.Tensor  # (n_units, n_images)
    xx: torch.Tensor  # (n_units, n_units), XX^T
    power: torch.Tensor  # (n_images,) squared length of each image's activity


class PairMoments(NamedTuple):
    """Second moments of two networks on the same images, float64."""

    xx: torch.Tensor  # (n_units_x, n_units_x)
    yy: torch.Tensor  # (n_units_y, n_units_y)
    xy: torch.Tensor  # (n_units_x, n_units_y)
    x_power: torch.Tensor  # (n_images,) squared length of each image's activity
    y_power: torch.Tensor  # (n_images,)

    @property
    def images(self) -> int:
        """How many there are."""
        return len(self.x_power)

    def reversed(self) -> Self:
        """The same with the networks in each other's place.

        Returns
        -------
        PairMoments
        """
        return type(self)(self.yy, self.xx, self.xy.mT, self.y_power, self.x_power)


def ratio(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a / b``, and 0 where b is: what does not vary is like nothing."""
    return torch.where(b > 0, a / torch.where(b > 0, b, torch.ones_like(b)), torch.zeros_like(a))


def as_centred(x: torch.Tensor) -> Centred:
    """One network whose means are off already, for example those over other images.

    Parameters
    ----------
    x : Tensor of shape (n_units, n_images)

    Returns
    -------
    Centred
        ``x`` as it is; moments in float64, of products in the type of ``x``.

    Raises
    ------
    InputError
        If x is not a matrix of float32 or float64.
    """
    if not isinstance(x, torch.Tensor) or x.dim() != 2 or not x.is_floating_point():
        kind = f"{x.dtype} of shape {tuple(x.shape)}" if hasattr(x, "dtype") else type(x).__name__
        raise InputError(f"{kind} came; expected a tensor in floating point, units x images")
    return Centred(x, (x @ x.T).double(), x.square().sum(0).double())


def centred(X: Array) -> Centred:
    """One network, prepared once for all its pairs.

    Parameters
    ----------
    X : array of shape (n_units, n_images), float32 or float64

    Returns
    -------
    Centred

    Raises
    ------
    InputError
        If X is not of that form, holds NaN or infinite values, or its squares over- or underflow.
    """
    x = networks([X], least=1)[0].double()
    found = as_centred(x - x.mean(1, keepdim=True))
    in_range([found.power.sum()], [found.x])
    return found


def together(a: Centred, b: Centred) -> PairMoments:
    """PairMoments of two prepared networks that saw the same images in the same order.

    Parameters
    ----------
    a, b : Centred

    Returns
    -------
    PairMoments

    Raises
    ------
    InputError
        If the images differ in number, or the types.
    """
    if a.x.shape[1] != b.x.shape[1]:
        raise InputError(
            f"one network has {a.x.shape[1]} images and the other {b.x.shape[1]}: give both the "
            "same images in the same order"
        )
    if a.x.dtype != b.x.dtype:
        raise InputError(f"one network is {a.x.dtype} and the other {b.x.dtype}; give one type")
    return PairMoments(a.xx, b.xx, (a.x @ b.x.T).double(), a.power, b.power)


def moments(X: Array, Y: Array) -> PairMoments:
    """PairMoments of two networks.

    Parameters
    ----------
    X, Y : array of shape (n_units, n_images)
        The same images in the same order; the numbers of units may differ.

    Returns
    -------
    PairMoments

    Raises
    ------
    InputError
        If an array is not of that form, holds NaN or infinite values, or the images differ in
        number.
    """
    return together(centred(X), centred(Y))


def linear_cka(m: PairMoments) -> float:
    r"""Linear centred kernel alignment (Kornblith et al. 2019).

    .. math:: \frac{\lVert XY^\top \rVert_F^2}{\lVert XX^\top \rVert_F \lVert YY^\top \rVert_F},

    the cosine of the centred Gram matrices, and the RV coefficient of Robert and Escoufier (1976).

    Parameters
    ----------
    m : PairMoments

    Returns
    -------
    float
        From 0 to 1; of unrelated networks not 0 but the more, the fewer images there are for the
        units.
    """
    m = _of_one_size(m)
    own = m.xx.square().sum() * m.yy.square().sum()
    return float(ratio(m.xy.square().sum(), own.sqrt()))


def _hsic(cross: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Unbiased HSIC times M(M-3), from a cross-product and the diagonals of both Gram matrices."""
    m = len(first)
    shared = cross.square().sum() - m / (m - 2) * (first * second).sum()
    return shared + first.sum() * second.sum() / ((m - 1) * (m - 2))


def debiased_cka(m: PairMoments) -> float:
    r"""Linear CKA from the unbiased estimator of HSIC by Song et al. (2012).

    With centred activity, :math:`k_p` and :math:`l_p` the squared lengths of image p in X and in Y,
    and M images, the estimator is, up to a factor,

    .. math:: \lVert XY^\top \rVert_F^2 - \tfrac{M}{M-2} \textstyle\sum_p k_p l_p
       + \frac{\sum_p k_p \sum_p l_p}{(M-1)(M-2)} .

    Parameters
    ----------
    m : PairMoments

    Returns
    -------
    float
        At most 1; about 0, on either side, of unrelated networks.

    Raises
    ------
    InputError
        If there are fewer than 4 images.
    """
    if m.images < 4:
        raise InputError(f"{m.images} images are too few for debiased CKA: at least 4")
    m = _of_one_size(m)
    own = _hsic(m.xx, m.x_power, m.x_power) * _hsic(m.yy, m.y_power, m.y_power)
    return float(ratio(_hsic(m.xy, m.x_power, m.y_power), own.clamp(min=0).sqrt()))


def _of_one_size(m: PairMoments) -> PairMoments:
    """The same of networks of power 1, whose squares do not over- or underflow."""
    x, y = (p.sum().clamp(min=torch.finfo(p.dtype).tiny) for p in (m.x_power, m.y_power))
    xy = m.xy / x.sqrt() / y.sqrt()
    return m._replace(xx=m.xx / x, yy=m.yy / y, xy=xy, x_power=m.x_power / x, y_power=m.y_power / y)


def mutual_neighbours(R1: Array, R2: Array, k: int = NEIGHBOURS) -> float:
    r"""Share of each image's k nearest neighbours that two networks agree on (Huh et al. 2024).

    .. math:: \frac1M \sum_p \tfrac1k \lvert N_1(p) \cap N_2(p) \rvert

    Parameters
    ----------
    R1, R2 : array of shape (n_images, n_images)
        Similarities, for example RSMs; an image is no neighbour of its own.
    k : int

    Returns
    -------
    float
        From 0 to 1; k / (M - 1) on average of unrelated networks.

    Raises
    ------
    InputError
        If the matrices are not square, differ in size, hold NaN, or k is not from 1 to M - 1.
    """
    r1, r2 = map(as_tensor, (R1, R2))
    if r1.shape != r2.shape or r1.dim() != 2 or r1.shape[0] != r1.shape[1]:
        raise InputError(
            f"similarities of shapes {tuple(r1.shape)} and {tuple(r2.shape)}: both (n_images, "
            "n_images), of the same images"
        )
    if not 1 <= k < len(r1):
        raise InputError(f"k={k} neighbours of {len(r1)} images: from 1 to {len(r1) - 1}")
    if any(r.is_complex() or r.isnan().any() for r in (r1, r2)):
        raise InputError("similarities hold complex numbers or NaN, which have no order")
    r1, r2 = (r if r.is_floating_point() else r.double() for r in (r1, r2))
    own = torch.eye(len(r1), dtype=torch.bool, device=r1.device)
    member = [
        torch.zeros_like(own).scatter_(1, r.masked_fill(own, -torch.inf).topk(k, 1).indices, True)
        for r in (r1, r2)
    ]
    return float((member[0] & member[1]).sum() / (k * len(r1)))
