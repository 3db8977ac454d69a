r"""From one network's layer into another's: the best map of each kind, fitted on the same images.

All maps are affine, :math:`\hat x_B = \mu_B + M (x_A - \mu_A)`, and minimise
:math:`\lVert X_B - \hat X_B \rVert^2` over the images of the fit.  They differ in what M may be:
a permutation of units, a rotation, or any matrix.  Rotations come from the shared response model
of all networks, :math:`M = W_B W_A^\top`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from shared_geometry.errors import InputError
from shared_geometry.similarity import shape
from shared_geometry.srm import SRM

PENALTIES = tuple(10.0**p for p in range(-5, 2))  # of a ridge regression, in mean eigenvalues
LEAST_IMAGES = 5  # for choosing one of them


class Stitch(NamedTuple):
    """An affine map from one network's layer into another's."""

    matrix: Tensor  # M, (units of B, units of A)
    before: Tensor  # mean of A, (units of A, 1)
    after: Tensor  # mean of B, (units of B, 1)

    def __call__(self, X: Tensor) -> Tensor:
        """What B's layer is given for A's activity.

        Parameters
        ----------
        X : Tensor of shape (n_units_a, n_images)

        Returns
        -------
        Tensor of shape (n_units_b, n_images)
        """
        return self.after + self.matrix @ (X - self.before)


def principal_axes(X: Tensor, k: int, generator: torch.Generator, passes: int = 2) -> Tensor:
    r"""Orthonormal axes on which the columns of X keep all but the least of their variance.

    Nearly :math:`\arg\max_P \lVert P^\top X \rVert^2` over :math:`P^\top P = I_k`, by the
    randomised subspace iteration of Halko, Martinsson and Tropp (2011, algorithm 4.4).

    Parameters
    ----------
    X : Tensor of shape (n, m)
        Unit means subtracted.
    k : int
        At most n and m; nothing is lost if k is the rank of X.
    generator : torch.Generator
        Of the axes that it starts from; on the CPU.
    passes : int
        Over X X', each of which brings the axes closer to the best.

    Returns
    -------
    Tensor of shape (n, k)
        In no order.

    Raises
    ------
    InputError
        If k is not from 1 to the lesser of n and m.
    """
    if not 1 <= k <= min(X.shape):
        raise InputError(
            f"{k} axes of {X.shape[0]} units x {X.shape[1]} images: at most the lesser"
        )
    start = torch.randn(X.shape[1], k, generator=generator).to(X)
    axes = torch.linalg.qr(X @ start)[0]
    for _ in range(passes):
        axes = torch.linalg.qr(X @ (X.mT @ axes))[0]
    return axes


def rotation(model: SRM, a: int, b: int) -> Stitch:
    r"""Network a into network b through the space that they share: :math:`W_b W_a^\top`.

    Parameters
    ----------
    model : SRM
        Fitted to Tensors.
    a, b : int
        Places of the networks in the fit.

    Returns
    -------
    Stitch
    """
    return through(model.w_[a], model.mean_[a], model.w_[b], model.mean_[b])


def through(w_a: Tensor, mean_a: Tensor, w_b: Tensor, mean_b: Tensor) -> Stitch:
    """From one network into another by their bases in a shared space.

    Parameters
    ----------
    w_a, w_b : Tensor of shape (n_units_a, k), (n_units_b, k)
    mean_a, mean_b : Tensor of shape (n_units_a,), (n_units_b,)

    Returns
    -------
    Stitch
    """
    return Stitch(w_b @ w_a.mT, mean_a[:, None], mean_b[:, None])


def _centred(X: Tensor) -> tuple[Tensor, Tensor]:
    mean = X.mean(1, keepdim=True)
    return X - mean, mean


def permutation(X: Tensor, Y: Tensor) -> Stitch:
    r"""The one-to-one matching of units of X with units of Y that leaves the smallest difference.

    :math:`\arg\min_P \lVert Y - P X \rVert^2` over permutations, means subtracted: a linear
    assignment between units, by their covariance.

    Parameters
    ----------
    X, Y : Tensor of shape (n_units, n_images)

    Returns
    -------
    Stitch

    Raises
    ------
    InputError
        If the two have other units or images.
    """
    (x, before), (y, after) = _centred(X), _centred(Y)
    if x.shape != y.shape:
        raise InputError(f"X of shape {tuple(x.shape)} and Y of {tuple(y.shape)} do not match")
    return Stitch(shape.permutation(y @ x.mT), before, after)


class Ridge:
    r"""Linear maps out of one network: :math:`\arg\min_M \lVert Y - M X \rVert^2 + \lambda
    \lVert M \rVert^2`, means subtracted.

    With :math:`X = V \Sigma U^\top` it is :math:`M = Y U \Sigma (\Sigma^2 + \lambda)^{-1} V^\top`.

    Parameters
    ----------
    X : Tensor of shape (n_units, n_images)
        What is mapped.  One eigendecomposition, of the smaller of X X' and X' X, serves every
        target and every :math:`\lambda`.
    """

    def __init__(self, X: Tensor) -> None:
        x, self.before = _centred(X)
        few_units = x.shape[0] <= x.shape[1]
        y = (x if few_units else x.mT).double()
        values, vectors = torch.linalg.eigh(y @ y.mT)
        self._values, vectors = values.clamp(min=0).to(X), vectors.to(X)
        self._unit = x.square().sum() / len(x)  # mean eigenvalue of X X'
        self._left = x.mT @ vectors if few_units else vectors  # (n_images, r)
        self._right = vectors.mT if few_units else vectors.mT @ x.mT  # (r, n_units)

    def _solved(self, penalty: float) -> Tensor:
        """The rows behind Y, (r, n_units)."""
        if not penalty > 0:
            raise InputError(f"penalty={penalty} is not allowed: a number above 0")
        least = torch.finfo(self._values.dtype).tiny  # a layer that is silent stays so
        return self._right / (self._values + penalty * self._unit).clamp(min=least)[:, None]

    def _seen(self, Y: Tensor) -> tuple[Tensor, Tensor]:
        """Activity Y along the images' axes, (n_targets, r), and its mean."""
        if Y.shape[1] != len(self._left):
            raise InputError(f"Y has {Y.shape[1]} images and X {len(self._left)}: give the same")
        y, after = _centred(Y)
        return y @ self._left, after

    def onto(self, Y: Tensor, penalty: float) -> Stitch:
        r"""The map to activity Y of the same images.

        Parameters
        ----------
        Y : Tensor of shape (n_targets, n_images)
        penalty : float
            :math:`\lambda` in units of the mean eigenvalue of X X'.

        Returns
        -------
        Stitch

        Raises
        ------
        InputError
            If Y has other images than X, or the penalty is not above 0.
        """
        seen, after = self._seen(Y)
        return Stitch(seen @ self._solved(penalty), self.before, after)

    def errors(self, Y: Tensor, X: Tensor, target: Tensor, penalties: Sequence[float]) -> Tensor:
        """Squared error of each penalty on other images.

        Parameters
        ----------
        Y : Tensor of shape (n_targets, n_images)
            Activity that maps are fitted to, on the images of the fit.
        X : Tensor of shape (n_units, n_other)
            Activity that is mapped, on other images.
        target : Tensor of shape (n_targets, n_other)
            What it should be mapped to.
        penalties : sequence of float

        Returns
        -------
        Tensor of shape (n_penalties,), float64

        Raises
        ------
        InputError
            As `onto` does.
        """
        seen, after = self._seen(Y)
        rest, x = target - after, X - self.before
        off = [(rest - seen @ (self._solved(p) @ x)).square().sum() for p in penalties]
        return torch.stack(off).double().cpu()


def best_penalty(X: Sequence[Tensor], penalties: Sequence[float] = PENALTIES) -> float:
    """The penalty that predicts best, among networks each predicting the next.

    Fitted on the first four fifths of the images, judged on the last.

    Parameters
    ----------
    X : sequence of Tensor of shape (n_units, n_images)
        One a network, at least 2; at least 5 images.
    penalties : sequence of float

    Returns
    -------
    float
        One of ``penalties``.

    Raises
    ------
    InputError
        If there are fewer than 5 images, or a penalty is not above 0.
    """
    m = X[0].shape[1]
    if m < LEAST_IMAGES:
        raise InputError(f"{m} images are too few to choose a penalty: at least {LEAST_IMAGES}")
    cut = m - m // 5
    errors = sum(
        Ridge(x[:, :cut]).errors(y[:, :cut], x[:, cut:], y[:, cut:], penalties)
        for x, y in zip(X, [*X[1:], X[0]], strict=True)
    )
    return penalties[int(errors.argmin())]
