r"""The matrix products that the shared response model is solved from.

With S put in, equation (1) asks for the bases that maximise
:math:`f = \lVert \sum_i P_i \rVert^2`, where :math:`P_i = W_i^\top X_i`.  To improve one
:math:`W_i` a solver needs :math:`X_i \sum_j P_j^\top`.  `Samples` multiplies it out of the activity
anew, at a cost that grows with the samples; `Grams` first forms every :math:`X_i X_j^\top`, and
sees no sample again.  Both hold the bases placed so far, and take leading batch dimensions.
"""

from typing import Protocol

import torch

from shared_geometry.srm.polar_iterations import orthonormal
from shared_geometry.srm.procrustes import polar

_BLOCK = 2048  # samples centred and multiplied at a time

Cross = dict[tuple[int, int], torch.Tensor]  # X_i X_j' by (i, j), i >= j


def inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner product of matrices (..., n, m): rows in their own type, then float64."""
    return (a * b).sum(-1).double().sum(-1)


def power(a: torch.Tensor) -> torch.Tensor:
    """Squared norm of matrices (..., n, m), as `inner` of one with itself: (...) float64."""
    return torch.linalg.vector_norm(a, dim=-1).double().square().sum(-1)


class Products(Protocol):
    """What the solver asks for; all it knows of the activity."""

    units: list[int]
    variance: list[torch.Tensor]  # ||X_i||^2 of the centred activity, (...) float64
    w: list[torch.Tensor | None]

    def clear(self) -> None:
        """Forget the bases."""

    def place(self, i: int, w: torch.Tensor) -> None:
        """Make ``w`` (..., n_units_i, k) the basis of network i."""

    def others(self, i: int) -> torch.Tensor:
        """X_i (sum of P_j over the other networks placed)', (..., n_units_i, k)."""

    def everything(self, i: int) -> torch.Tensor:
        """The same with network i itself in the sum."""

    def power(self, i: int) -> torch.Tensor:
        """Squared norm of P_i, (...) float64."""

    def power_of_change(self, i: int, w: torch.Tensor) -> torch.Tensor:
        """Squared norm of what P_i would change by if ``w`` were the basis of network i."""

    def principal(self, i: int, k: int) -> torch.Tensor:
        """Orthonormal basis near the k principal axes of network i; the unit matrix if square."""

    def sum(self) -> torch.Tensor | None:
        """Sum of the P_i, (..., k, n_samples), if it is at hand."""


class Samples:
    """Products taken from the activity: 4 n m k operations to improve one basis.

    Of the projected activity only the sum over networks is held.  What network i has of it is taken
    off by X_i X_i', formed when a square basis is first improved (2 n^2 m operations).

    Parameters
    ----------
    x : list of Tensor of shape (..., n_units_i, n_samples)
    mean : list of Tensor of shape (..., n_units_i)
        Subtracted from every sample, without a copy of the activity.
    variance : list of Tensor of shape (...), float64
        Sum of squares of each network's centred activity.
    """

    def __init__(
        self, x: list[torch.Tensor], mean: list[torch.Tensor], variance: list[torch.Tensor]
    ) -> None:
        self.x, self.mean, self.variance = x, mean, variance
        self.units = [a.shape[-2] for a in x]
        self.centred = [not bool(mu.any()) for mu in mean]
        self.own: dict[int, torch.Tensor] = {}
        self.clear()

    def clear(self) -> None:
        """Forget the bases."""
        self.w: list[torch.Tensor | None] = [None] * len(self.x)
        self.total: torch.Tensor | None = None
        self.latest: tuple[torch.Tensor, torch.Tensor] | None = None  # a new basis and its P
        self.trial: tuple[torch.Tensor, torch.Tensor] | None = None  # a basis, and how P changes
        self.unit: torch.Tensor | None = None  # a basis that turns nothing

    def project(self, i: int, w: torch.Tensor) -> torch.Tensor:
        """W' X_i, centred: (..., k, n_samples)."""
        turn = torch.clone if w is self.unit else w.mT.matmul
        part = turn(self.x[i])
        if self.centred[i]:
            return part
        part -= turn(self.mean[i][..., None])
        # The mean was rounded; what is left of it would be multiplied by the means of others.
        return part.sub_(part.mean(-1, keepdim=True))

    def place(self, i: int, w: torch.Tensor) -> None:
        """Make ``w`` the basis of network i."""
        new = self.w[i] is None
        change = self.project(i, w) if new else self._change(i, w)
        self.latest, self.trial = (w, change) if new else None, None
        if self.total is None:
            self.total = change.clone()
        else:
            self.total += change
        self.w[i] = w

    def others(self, i: int) -> torch.Tensor:
        """X_i (sum of P_j over the other networks placed)'."""
        if self.w[i] is None:
            return self.everything(i)
        if self.w[i] is self.unit:
            return self.x[i] @ (self.total - self.project(i, self.unit)).mT
        return self.everything(i) - self._own(i) @ self.w[i]

    def everything(self, i: int) -> torch.Tensor:
        """The same with network i itself in the sum."""
        return self.x[i] @ self.total.mT

    def power(self, i: int) -> torch.Tensor:
        """Squared norm of P_i."""
        known = self.latest is not None and self.latest[0] is self.w[i]
        return power(self.latest[1] if known else self.project(i, self.w[i]))

    def power_of_change(self, i: int, w: torch.Tensor) -> torch.Tensor:
        """Squared norm of what P_i would change by if ``w`` were the basis of network i."""
        self.trial = w, self._change(i, w)
        return power(self.trial[1])

    def _change(self, i: int, w: torch.Tensor) -> torch.Tensor:
        if self.trial and self.trial[0] is w:
            return self.trial[1]
        return self.project(i, w - self.w[i])

    def _own(self, i: int) -> torch.Tensor:
        """X_i X_i', which is formed once; P_i, to be held for every network, is larger."""
        if i not in self.own:
            self.own |= {i: cross_products([self.x[i]], [self.mean[i]], diagonal=True)[0, 0]}
        return self.own[i]

    def principal(self, i: int, k: int) -> torch.Tensor:
        """Orthonormal basis near the k principal axes of network i.

        From some units, twice as many as k, by Nyström's approximation of X_i X_i' (Tropp et al.
        2017) on the span of their products with all: three products that are 2 k wide.
        """
        n, width = self.units[i], max(2 * k, k + 8)
        if k == n:
            self.unit = _unit(self.x[i], k)
            return self.unit
        if 2 * width > n:
            return _top_axes(self._own(i), k)
        x, mu = self.x[i], self.mean[i]
        rows = slice(0, width * (n // width), n // width)
        basis = torch.linalg.qr(x @ (x[..., rows, :] - mu[..., rows, None]).mT)[0]
        part = self.project(i, basis)
        values, vectors = torch.linalg.eigh((part @ part.mT).double())
        exact = values > torch.finfo(x.dtype).eps * values[..., -1:]
        scale = torch.where(exact, values, torch.inf).rsqrt()
        root = (x @ part.mT).double() @ (vectors * scale[..., None, :])
        largest = torch.linalg.eigh(root.mT @ root)[1][..., -k:].flip(-1)
        return polar((root @ largest).to(x))

    def sum(self) -> torch.Tensor:
        """Sum of the P_i."""
        return self.total


class Grams:
    """Products taken from the X_i X_j': 2 N n^2 k operations to improve one basis.

    Parameters
    ----------
    cross : dict of (int, int) to Tensor of shape (..., n_units_i, n_units_j)
        The products of centred activity, for i >= j; i = j is needed only where W_i is not square.
    units : list of int
    variance : list of Tensor of shape (...), float64
        Sum of squares of each network's centred activity.
    """

    def __init__(self, cross: Cross, units: list[int], variance: list[torch.Tensor]) -> None:
        self.cross, self.units, self.variance = cross, units, variance
        self.clear()

    def clear(self) -> None:
        """Forget the bases."""
        self.w: list[torch.Tensor | None] = [None] * len(self.units)

    def place(self, i: int, w: torch.Tensor) -> None:
        """Make ``w`` the basis of network i."""
        self.w[i] = w

    def others(self, i: int) -> torch.Tensor:
        """X_i (sum of P_j over the other networks placed)'."""
        placed = [j for j, w in enumerate(self.w) if w is not None and j != i]
        result = self._between(i, placed[0]) @ self.w[placed[0]]
        for j in placed[1:]:
            result += self._between(i, j) @ self.w[j]
        return result

    def everything(self, i: int) -> torch.Tensor:
        """The same with network i itself in the sum."""
        return self.others(i) + self.cross[i, i] @ self.w[i]

    def power(self, i: int) -> torch.Tensor:
        """Squared norm of P_i."""
        return inner(self.w[i], self.cross[i, i] @ self.w[i])

    def power_of_change(self, i: int, w: torch.Tensor) -> torch.Tensor:
        """Squared norm of what P_i would change by if ``w`` were the basis of network i."""
        change = w - self.w[i]
        return inner(change, self.cross[i, i] @ change)

    def principal(self, i: int, k: int) -> torch.Tensor:
        """Orthonormal basis of the k principal axes of network i."""
        if k == self.units[i]:
            return _unit(next(iter(self.cross.values())), k)
        return _top_axes(self.cross[i, i], k)

    def sum(self) -> None:
        """Not at hand: no sample is seen here."""

    def _between(self, i: int, j: int) -> torch.Tensor:
        return self.cross[i, j] if i > j else self.cross[j, i].mT


def _top_axes(gram: torch.Tensor, k: int) -> torch.Tensor:
    return orthonormal(torch.linalg.eigh(gram)[1][..., -k:].flip(-1))


def _unit(x: torch.Tensor, k: int) -> torch.Tensor:
    eye = torch.eye(k, dtype=x.dtype, device=x.device)
    return eye.expand(*x.shape[:-2], -1, -1)


def cross_products(x: list[torch.Tensor], mean: list[torch.Tensor], *, diagonal: bool) -> Cross:
    """Products X_i X_j' of centred activity for i >= j, a block of samples at a time.

    Parameters
    ----------
    x : list of Tensor of shape (..., n_units_i, n_samples)
    mean : list of Tensor of shape (..., n_units_i)
    diagonal : bool
        Whether to form those with i = j.
    """
    found: Cross = {}
    for first in range(0, x[0].shape[-1], _BLOCK):
        columns = slice(first, first + _BLOCK)
        block = [a[..., columns] - mu[..., None] for a, mu in zip(x, mean, strict=True)]
        add_products(found, block, diagonal=diagonal)
    return found


def add_products(found: Cross, block: list[torch.Tensor], *, diagonal: bool) -> None:
    """Add the products of one block of samples to those in ``found``."""
    for i, a in enumerate(block):
        for j in range(i + diagonal):
            product = a @ block[j].mT
            found[i, j] = found[i, j].add_(product) if (i, j) in found else product
