r"""Solver of the shared response model: equation (1) of the paper as pure functions on tensors.

With S put in, equation (1) is: maximise :math:`f = \lVert \sum_i W_i^\top X_i \rVert^2`.  The
solver visits one network after another.  With :math:`A_i = X_i \sum_{j \ne i} X_j^\top W_j`, what
f has of :math:`W_i` is :math:`2 \langle W_i, A_i \rangle + \lVert W_i^\top X_i \rVert^2`.  The last
term is constant where :math:`W_i` is square, and the polar factor of :math:`A_i` is then the best
there is for the other networks as they are.  Where it is not, the term is convex, and the polar
factor of :math:`A_i + X_i X_i^\top W_i` never lowers f.

Every function takes leading batch dimensions: one call solves many sets of networks.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch

from shared_geometry.srm.polar_iterations import orthonormal
from shared_geometry.srm.procrustes import polar
from shared_geometry.srm.products import Products, inner


class Solution(NamedTuple):
    """Bases of a fitted shared response model, or of a batch of them."""

    w: list[torch.Tensor]  # (..., n_units_i, k)
    history: list[torch.Tensor]  # f after each sweep, (...) float64
    sweeps: torch.Tensor  # how many of them count, (...)
    converged: torch.Tensor  # (...)


def _square(w: torch.Tensor) -> bool:
    return w.shape[-2] == w.shape[-1]


def _add(products: Products, i: int, w: torch.Tensor, others: torch.Tensor | None) -> torch.Tensor:
    """Place network i for the first time; what f rises by."""
    products.place(i, w)
    power = products.variance[i] if _square(w) else products.power(i)
    return power if others is None else power + 2 * inner(w, others)


def start(products: Products, k: int, order: Sequence[int]) -> torch.Tensor:
    """Progressive Procrustes: each network is aligned with the sum of those before it.

    Parameters
    ----------
    products : Products
        Its bases are set.
    k : int
    order : sequence of int
        The first network is turned to its principal axes, or not at all if its basis is square.

    Returns
    -------
    Tensor of shape (...), float64
        f.
    """
    products.clear()
    f = _add(products, order[0], products.principal(order[0], k), None)
    for i in order[1:]:
        others = products.others(i)
        f = f + _add(products, i, polar(others), others)
    return f


def resume(products: Products, w: list[torch.Tensor]) -> torch.Tensor:
    """Place given bases, which are orthonormal but for rounding; f."""
    products.clear()
    w = [orthonormal(basis) for basis in w]
    f = _add(products, 0, w[0], None)
    for i, basis in enumerate(w[1:], start=1):
        f = f + _add(products, i, basis, products.others(i))
    return f


def improve(products: Products, i: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A better basis of network i for the others as they are, and by how much f rises.

    The rise, of 2 <W, A> + ||W' X||^2, is 2 <dW, A + X X'W> + ||dW' X||^2 for a change dW.
    """
    old = products.w[i]
    if _square(old):
        target = products.others(i)
        w = polar(target)
        return w, 2 * inner(w - old, target)
    target = products.everything(i)
    w = polar(target)
    return w, 2 * inner(w - old, target) + products.power_of_change(i, w)


def visit(products: Products, i: int, active: torch.Tensor) -> torch.Tensor:
    """Improve network i where ``active`` and where f rises; how much it rises, (...)."""
    w, gain = improve(products, i)
    accept = active & (gain > 0)
    if accept.all():
        products.place(i, w)
    elif accept.any():
        products.place(i, torch.where(accept[..., None, None], w, products.w[i]))
    return torch.where(accept, gain, torch.zeros_like(gain))


def solve(
    products: Products,
    k: int,
    *,
    w: list[torch.Tensor] | None = None,
    order: Sequence[int] | None = None,
    tol: float = 1e-4,
    max_sweeps: int = 100,
) -> Solution:
    """Maximise f over orthonormal bases.

    Parameters
    ----------
    products : Products
        Of the activity.
    k : int
        Columns of each basis.
    w : list of Tensor of shape (..., n_units_i, k), optional
        Bases to start from.
    order : sequence of int, optional
        Of the networks; None: as they are numbered.
    tol : float
        Stop when another sweep promises to lower the objective, ``variance - f / N``, by no more
        than ``tol`` times the variance.  The promise is N times the mean of what the last N/2
        visits gained.  From a start of its own two visits are enough for a promise, since a
        network that was placed later gains less; given bases are all visited first.
    max_sweeps : int

    Returns
    -------
    Solution
    """
    n = len(products.units)
    order = range(n) if order is None else order
    f = start(products, k, order) if w is None else resume(products, w)
    history = [f] if w is None else []
    active = torch.ones_like(f, dtype=torch.bool)
    sweeps = torch.full(f.shape, len(history))
    recent: deque[torch.Tensor] = deque(maxlen=math.ceil(n / 2))
    visits, enough, least = 0, 2 if w is None else n, tol * sum(products.variance)
    while len(history) < max_sweeps and active.any():
        sweeps += active.cpu()
        for i in order:
            gain = visit(products, i, active)
            f = f + gain
            recent.append(gain)
            visits += 1
            if visits >= enough:
                active = active & (sum(recent) / len(recent) > least)
            if not active.any():
                break
        history.append(f)
    return Solution(list(products.w), history, sweeps, ~active.cpu())
