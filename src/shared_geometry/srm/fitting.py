"""From the activity of a population to a fitted shared response model: what is solved, and how.

Activity is centred, taken through its thin factor where a network has more units than samples,
handed to the solver in the form that costs least, and mapped back.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.srm import inputs
from shared_geometry.srm.products import Grams, Products, Samples, cross_products, power
from shared_geometry.srm.solver import solve

_SWEEPS = 3.0  # that a fit is expected to take, when the cost of its products is weighed
_SOON = 1.5  # the same with a tolerance of `_LOOSE` or more
_LOOSE = 1e-3
_LEFT = 0.9  # part of the squares that may belong to the means, and be taken off them afterwards


class Fit(NamedTuple):
    """A fitted shared response model, or a batch of them along leading dimensions."""

    w: list[torch.Tensor]  # (..., n_units_i, k)
    s: torch.Tensor | None  # (..., k, n_samples)
    objective: torch.Tensor  # after each sweep, (n_sweeps, ...) float64
    sweeps: torch.Tensor  # (...)
    converged: torch.Tensor  # (...)

    def element(self, index: int) -> "Fit":
        """One fit out of a batch with one leading dimension."""
        return Fit(
            [w[index] for w in self.w],
            self.s[index],
            self.objective[:, index],
            self.sweeps[index],
            self.converged[index],
        )


def means(x: Sequence[torch.Tensor], centre: bool) -> list[torch.Tensor]:
    """Mean of each unit over samples, (..., n_units_i); zeros unless ``centre``."""
    return [a.mean(-1) if centre else a.new_zeros(a.shape[:-1]) for a in x]


def _variance(x: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Sum of squares of centred activity, without a copy of it."""
    squares = power(x)
    offset = x.shape[-1] * mean.double().square().sum(-1)
    if (offset <= _LEFT * squares).all():
        return squares - offset
    rows = (x[..., i : i + 64, :] - mean[..., i : i + 64, None] for i in range(0, x.shape[-2], 64))
    return torch.stack([power(part) for part in rows]).sum(0)


def _check_size(
    x: list[torch.Tensor], mean: list[torch.Tensor], variance: list[torch.Tensor]
) -> None:
    """Refuse activity whose products would over- or underflow."""
    squares = [
        v + a.shape[-1] * mu.double().square().sum(-1)
        for a, mu, v in zip(x, mean, variance, strict=True)
    ]
    inputs.in_range(squares, x)


def _thin(
    x: list[torch.Tensor], mean: list[torch.Tensor]
) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor | None]]:
    """Networks with more units than samples, in an orthonormal basis of their samples."""
    x, mean = list(x), list(mean)
    bases: list[torch.Tensor | None] = [None] * len(x)
    for i, (a, mu) in enumerate(zip(x, mean, strict=True)):
        if a.shape[-2] > a.shape[-1]:
            bases[i], x[i] = torch.linalg.qr(a - mu[..., None])
            mean[i] = x[i].new_zeros(x[i].shape[:-1])
    return x, mean, bases


def _cheapest(
    x: list[torch.Tensor],
    mean: list[torch.Tensor],
    variance: list[torch.Tensor],
    k: int,
    sweeps: float,
) -> Products:
    """`Grams` where their products, once formed, cost less over so many sweeps.

    S falls out of `Samples`, and has to be multiplied out after `Grams`.
    """
    n, units, samples = len(x), max(a.shape[-2] for a in x), x[0].shape[-1]
    square = all(a.shape[-2] == k for a in x)
    response = 2 * n * units * samples * k
    from_samples = (2 * sweeps + square * min(1, sweeps - 1)) * response
    from_grams = n * n * units * units * (samples + sweeps * 2 * k) + response
    if from_samples <= from_grams:
        return Samples(x, mean, variance)
    return Grams(cross_products(x, mean, diagonal=not square), [a.shape[-2] for a in x], variance)


def _orders(n: int, restarts: int, seed: int) -> list[list[int]]:
    draws = [
        torch.randperm(n, generator=torch_generator(seed, "restart", i)).tolist()
        for i in range(1, restarts)
    ]
    return [list(range(n)), *draws]


def shared_response(
    x: list[torch.Tensor], mean: list[torch.Tensor], w: list[torch.Tensor]
) -> torch.Tensor:
    """Mean over networks of W_i' (X_i - mean_i), (..., k, n_samples)."""
    total = w[0].mT @ x[0]
    offset = w[0].mT @ mean[0][..., None]
    for a, mu, basis in zip(x[1:], mean[1:], w[1:], strict=True):
        if a.dim() == 2:
            total.addmm_(basis.mT, a)
        else:
            total.baddbmm_(basis.mT, a)
        offset += basis.mT @ mu[..., None]
    return total.sub_(offset).div_(len(x))


def _objective(
    history: list[torch.Tensor], variance: torch.Tensor, last: torch.Tensor, n: int
) -> torch.Tensor:
    """Objective after each sweep; the last one is that of W and S themselves.

    Earlier values were added up gain by gain: what rounding made of them is not let below it.
    """
    last = last.clamp(min=0)
    values = [torch.maximum(variance - f / n, last) for f in history[:-1]]
    return torch.stack([*values, last]).flip(0).cummax(0)[0].flip(0)


def fit(
    x: list[torch.Tensor],
    mean: list[torch.Tensor],
    k: int,
    *,
    w: list[torch.Tensor] | None = None,
    restarts: int = 1,
    seed: int = 0,
    tol: float = 1e-4,
    max_sweeps: int = 100,
) -> Fit:
    r"""Minimise :math:`\sum_i \lVert X_i - \mu_i - W_i S \rVert^2` over orthonormal W_i and S.

    Parameters
    ----------
    x : list of Tensor of shape (..., n_units_i, n_samples)
    mean : list of Tensor of shape (..., n_units_i)
    k : int
        No more than the units of any network and the samples.
    w : list of Tensor of shape (..., n_units_i, k), optional
        Bases of a warm start.
    restarts : int
        Starts, each from another order of the networks; the best solution is kept.
    seed : int
        Of the orders.
    tol, max_sweeps
        See `shared_geometry.srm.solver.solve`.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        If the squares of the activity over- or underflow.
    """
    n = len(x)
    variance = [_variance(a, mu) for a, mu in zip(x, mean, strict=True)]
    _check_size(x, mean, variance)
    thin, thin_mean, bases = _thin(x, mean)
    if w is not None:
        w = [b if q is None else q.mT @ b for b, q in zip(w, bases, strict=True)]
    expected = min(max_sweeps, _SOON if tol >= _LOOSE else _SWEEPS)
    products = _cheapest(thin, thin_mean, variance, k, expected)
    best, s = None, None
    for order in _orders(n, restarts, seed):
        found = solve(products, k, w=w, order=order, tol=tol, max_sweeps=max_sweeps)
        if best is None or found.history[-1].sum() > best.history[-1].sum():
            best, total = found, products.sum()
            s = None if total is None else total / n
    wide = [b if q is None else q @ b for b, q in zip(best.w, bases, strict=True)]
    s = shared_response(x, mean, wide) if s is None else s
    total = sum(variance)
    objective = _objective(best.history, total, total - n * power(s), n)
    return Fit(wide, s, objective, best.sweeps, best.converged)


def fit_products(products: Products, k: int, *, tol: float, max_sweeps: int) -> Fit:
    """The same from products alone: S, which would need the samples, is None."""
    found = solve(products, k, tol=tol, max_sweeps=max_sweeps)
    n, total = len(products.units), sum(products.variance)
    objective = _objective(found.history, total, total - found.history[-1] / n, n)
    return Fit(found.w, None, objective, found.sweeps, found.converged)
