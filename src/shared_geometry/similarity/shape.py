r"""Shape: two networks compared up to a rotation, or up to the order of their units.

Both ask for the map Q of a class that maximises :math:`\langle Q, XY^\top \rangle`, and so
minimises :math:`\lVert X - QY \rVert`: among orthogonal matrices (Schönemann 1966; Williams et al.
2021), or among permutations (Khosla and Williams 2024).  On the images of the fit a larger class
cannot do worse; on others it can.
"""

import math

import numpy as np
import torch

from shared_geometry.errors import InputError
from shared_geometry.rsa import compare_rsms, rsm, within_rsms
from shared_geometry.similarity.moments import PairMoments, ratio
from shared_geometry.srm.procrustes import polar


def rotation(xy: torch.Tensor) -> torch.Tensor:
    r"""Orthogonal Q that takes Y nearest to X, the polar factor of :math:`XY^\top`.

    Parameters
    ----------
    xy : Tensor of shape (n_units_x, n_units_y)

    Returns
    -------
    Tensor of shape (n_units_x, n_units_y)
        Of unequal numbers of units, orthonormal along the larger one, as if the smaller network had
        silent units more.
    """
    return polar(xy) if xy.shape[0] >= xy.shape[1] else polar(xy.T).T


def transport(xy: torch.Tensor) -> torch.Tensor:
    r"""Soft permutation P that takes Y nearest to X (Khosla and Williams 2024).

    :math:`\max_P \langle P, XY^\top \rangle` over nonnegative P whose rows sum to
    :math:`1/n_X` and whose columns sum to :math:`1/n_Y`: an assignment for equal numbers of units,
    else a linear program.

    Parameters
    ----------
    xy : Tensor of shape (n_units_x, n_units_y)

    Returns
    -------
    Tensor of shape (n_units_x, n_units_y)
        A permutation matrix over n for equal numbers of units.
    """
    from scipy.optimize import linear_sum_assignment

    n_x, n_y = xy.shape
    if n_x != n_y:
        return torch.from_numpy(_transport(xy.double().numpy(force=True))).to(xy)
    rows, columns = map(torch.from_numpy, linear_sum_assignment(xy.numpy(force=True), True))
    p = torch.zeros(n_x, n_y, dtype=xy.dtype)
    return p.index_put_((rows, columns), torch.ones((), dtype=xy.dtype) / n_x).to(xy)


def _transport(gain: np.ndarray) -> np.ndarray:
    """`transport` as a linear program."""
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    n_x, n_y = gain.shape
    rows = kron(eye_array(n_x), np.ones((1, n_y)))
    columns = kron(np.ones((1, n_x)), eye_array(n_y))
    sums = np.concatenate([np.full(n_x, n_y), np.full(n_y, n_x)])  # of P n_X n_Y
    scale = np.abs(gain).max() or 1.0
    found = linprog(
        -gain.ravel() / scale, A_eq=vstack([rows, columns]).tocsr(), b_eq=sums, method="highs"
    )
    return found.x.reshape(n_x, n_y) / (n_x * n_y)


def permutation(xy: torch.Tensor) -> torch.Tensor:
    """Permutation matrix that takes the units of Y nearest to those of X, one to one.

    Parameters
    ----------
    xy : Tensor of shape (n_units, n_units)

    Returns
    -------
    Tensor of shape (n_units, n_units)

    Raises
    ------
    InputError
        If the networks differ in their number of units.
    """
    if xy.shape[0] != xy.shape[1]:
        raise InputError(
            f"{xy.shape[0]} and {xy.shape[1]} units have no permutation between them: give both "
            "networks as many units, or use transport"
        )
    return (transport(xy) * len(xy)).round()


def cosine(q: torch.Tensor, m: PairMoments) -> float:
    r""":math:`\langle X, QY \rangle / (\lVert X \rVert \lVert Y \rVert)` on the images of ``m``.

    For the best rotation it is the cosine of the angular shape distance (Williams et al. 2021).

    Parameters
    ----------
    q : Tensor of shape (n_units_x, n_units_y)
        Orthonormal; takes Y to X, for example from `rotation`.
    m : PairMoments

    Returns
    -------
    float
        Between -1 and 1; 0 where a network does not vary.
    """
    return float(ratio((q * m.xy).sum(), m.xx.trace().sqrt() * m.yy.trace().sqrt()))


def shape_similarity(fit: PairMoments, m: PairMoments | None = None) -> float:
    """Cosine of X and Y after the best rotation.

    Parameters
    ----------
    fit : PairMoments
        Of the images on which the rotation is found.
    m : PairMoments, optional
        Of those on which it is measured; None: the same.

    Returns
    -------
    float
        At most 1; not below 0 on the images of the fit.
    """
    return cosine(rotation(fit.xy), fit if m is None else m)


def matching_similarity(fit: PairMoments, m: PairMoments | None = None) -> float:
    """Cosine of X and Y after the best permutation of the units.

    Parameters
    ----------
    fit, m : PairMoments
        As in `shape_similarity`, of equally many units.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the networks differ in their number of units.
    """
    return cosine(permutation(fit.xy), fit if m is None else m)


def angular_distance(m: PairMoments) -> float:
    r"""Angular shape distance :math:`\arccos`, in radians (Williams et al. 2021): a metric.

    Parameters
    ----------
    m : PairMoments

    Returns
    -------
    float
        From 0 to :math:`\pi / 2`.
    """
    return math.acos(min(max(shape_similarity(m), -1.0), 1.0))


def procrustes_distance(m: PairMoments) -> float:
    r""":math:`\min_Q \lVert X - QY \rVert_F` over orthogonal Q (Williams et al. 2021): a metric.

    Parameters
    ----------
    m : PairMoments

    Returns
    -------
    float
        In units of the activity; 0 for rotations of one another.
    """
    square = m.xx.trace() + m.yy.trace() - 2 * (rotation(m.xy) * m.xy).sum()
    return float(square.clamp(min=0).sqrt())


def soft_matching_distance(m: PairMoments) -> float:
    r"""Soft matching distance (Khosla and Williams 2024): a metric, for any numbers of units.

    .. math:: \Bigl( \min_P \sum_{ij} P_{ij} \lVert x_i - y_j \rVert^2 \Bigr)^{1/2},

    with :math:`x_i` the activity of unit i over the images, and P as in `transport`.

    Parameters
    ----------
    m : PairMoments

    Returns
    -------
    float
        In units of the activity; 0 for permutations of one another.

    """
    square = (
        m.xx.trace() / len(m.xx) + m.yy.trace() / len(m.yy) - 2 * (transport(m.xy) * m.xy).sum()
    )
    return float(square.clamp(min=0).sqrt())


def explained(q: torch.Tensor, m: PairMoments) -> float:
    r"""Part of one network's variance that the other, turned by Q, explains; the mean of both ways.

    .. math:: 1 - \lVert X - QY \rVert^2 / \lVert X \rVert^2,

    the variance explained of the paper when the shared response is the other network alone.

    Parameters
    ----------
    q : Tensor of shape (n_units, n_units)
        Orthogonal: takes Y to X, its transpose X to Y.
    m : PairMoments

    Returns
    -------
    float
        At most 1; below 0 where each unit's mean would have been the better guess.
    """
    x, y, both = m.xx.trace(), m.yy.trace(), 2 * (q * m.xy).sum()
    return float((ratio(both - y, x) + ratio(both - x, y)) / 2)


def pair_geometry(X: torch.Tensor, Y: torch.Tensor, q: torch.Tensor) -> float:
    """corr(wRSM, iRSM in the shared space) of Lu et al. (2018) for two networks.

    Parameters
    ----------
    X, Y : Tensor of shape (n_units, n_images)
        As recorded: the authors' code leaves the units' means in.
    q : Tensor of shape (n_units, n_units)
        Takes Y into the space of X, in which they are compared.

    Returns
    -------
    float
        Between -1 and 1.
    """
    within = within_rsms(torch.stack([X, Y])).mean(0)
    between = rsm(X, q.to(Y) @ Y)
    between = (between + between.mT) / 2
    return compare_rsms(within, between)
