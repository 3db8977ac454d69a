"""Orthonormal polar factors by iterations, which beat decompositions where products are quick."""

import math
from functools import lru_cache

import torch

_MOST_STEPS = 60
_NEAR = 1e-4  # so near to X'X = I, in float64, that one Newton step gives it
_SMALLEST = 1e-8  # singular values below this part of the largest count as 0 in `polar_by_products`
_LIFTED = 0.99
_ROUNDED = 1e-7  # the same in `polar_by_inverses`: float32 does not resolve them
_CLOSE = 300.0  # ratio of singular values at which Halley's steps take over from Newton's
_UNITED = 0.97  # the smallest of them at which products alone finish
_NEAR_SINGLE = 1e-3  # as `_NEAR`, in float32
_NOISE = 1e-4  # by which rounding may take X'X off


def orthonormal(w: torch.Tensor) -> torch.Tensor:
    """Nearest orthonormal matrix to one that is orthonormal but for rounding (a Newton step)."""
    eye = torch.eye(w.shape[-1], dtype=w.dtype, device=w.device)
    return w @ (1.5 * eye - 0.5 * (w.mT @ w))


def _upper_bound(m: torch.Tensor) -> torch.Tensor:
    """Bound of the largest singular value: sqrt(||M||_1 ||M||_inf), as (..., 1, 1)."""
    columns, rows = (m.abs().sum(dim).amax(-1).sqrt() for dim in (-2, -1))
    bound = (columns * rows)[..., None, None]
    return torch.where(bound > 0, bound, torch.ones_like(bound))


def _completion(n: int, k: int, device: torch.device) -> torch.Tensor:
    """Near the unit matrix, and with a part in every direction: always the same."""
    generator = torch.Generator(device).manual_seed(0)
    like = {"dtype": torch.float64, "device": device}
    noise = torch.randn(n, k, generator=generator, **like)
    return torch.eye(n, k, **like) + noise / (4 * n**0.5)


def polar_by_products(m: torch.Tensor) -> torch.Tensor:
    """Orthonormal polar factor by matrix products alone, which a GPU is quickest at.

    Newton and Schulz's iteration in float64, X (3 I - X'X) / 2, scaled at every step so that it
    lifts the smallest singular values as far as a cubic can (Chen and Chow 2014): some twenty steps
    for those of `_SMALLEST` of the norm; what lies below takes a few more.

    Parameters
    ----------
    m : Tensor of shape (..., n, k), n >= k

    Returns
    -------
    Tensor of shape (..., n, k)
        Directions in which M is 0 to `_SMALLEST` of its norm are completed, towards the unit matrix
        where they are the same on both sides, in the same way every time.
    """
    x = m.double().reshape(-1, *m.shape[-2:])
    x = x / _upper_bound(x)
    x = (x + _SMALLEST * _completion(*m.shape[-2:], m.device)) / (1 + 2 * _SMALLEST)
    unit = torch.eye(m.shape[-1], dtype=x.dtype, device=x.device)
    low = _SMALLEST
    for _ in range(_MOST_STEPS):
        gram = torch.bmm(x.mT, x)
        if low > _LIFTED and (gram - unit).abs().amax() < _NEAR:
            break
        scale = (3 / (1 + low + low * low)) ** 0.5
        # In one call: of small matrices, the calls are what takes the time.
        x = torch.baddbmm(x, x, gram, beta=1.5 * scale, alpha=-0.5 * scale**3)
        low = min(1.0, 0.5 * scale * low * (3 - (scale * low) ** 2))
    return orthonormal(x).reshape(m.shape).to(m)


@lru_cache(maxsize=4)
def _below_rounding(n: int) -> torch.Tensor:
    """What is added to a matrix of norm 1, so that it has an inverse."""
    return (_ROUNDED * _completion(n, n, torch.device("cpu"))).float()


def polar_by_inverses(m: torch.Tensor) -> torch.Tensor | None:
    """Orthonormal polar factor of a square matrix by inverses, in float32 on a CPU.

    Newton's iteration brings singular values together, Halley's follows when they are within
    `_CLOSE` of each other, Newton and Schulz's finishes: six to eight steps in all, in half to
    three quarters of the time of a singular value decomposition.

    Parameters
    ----------
    m : Tensor of shape (n, n), float32

    Returns
    -------
    Tensor of shape (n, n), or None
        Directions in which M is 0 to `_ROUNDED` of its norm are completed as `polar_by_products`
        does.  None: rounding was too much for the inverses.
    """
    x, low = _halley(*_newton(m / _upper_bound(m) + _below_rounding(len(m))))
    unit, far = torch.eye(len(m), dtype=m.dtype), 1.0
    while far > _NEAR_SINGLE:
        gram, far = x.mT @ x, 1 - low**2  # its distance from I, which a step squares
        if not (gram - unit).abs().amax() < far + _NOISE:
            return None
        x = x @ (1.5 * unit - 0.5 * gram)
        low *= 1.5 - 0.5 * low**2
    return x


def _newton(x: torch.Tensor) -> tuple[torch.Tensor, float]:
    """X with its singular values between a bound, which is returned, and 1.

    X <- (g X + X^-T / g) / 2, with g from Frobenius norms (Higham 1986); the ratio of the largest
    singular value to the smallest becomes about its square root.
    """
    norm = x.norm().item()
    for _ in range(_MOST_STEPS):
        inverse = torch.linalg.inv_ex(x)[0]
        g = math.sqrt(inverse.norm().item() / norm)
        x = torch.add(inverse.mT, x, alpha=g * g).mul_(0.5 / g)
        norm = x.norm().item()
        # No singular value is below 1 now, and the sum of their squares bounds the largest.
        largest = math.sqrt(max(1.0, 1 + norm * norm - len(x)))
        if not largest >= _CLOSE:
            break
    return x.div_(largest), 1 / largest


def _halley(x: torch.Tensor, low: float) -> tuple[torch.Tensor, float]:
    """X with its singular values between at least `_UNITED`, which is returned, and 1.

    X <- X (a I + b X'X) (I + c X'X)^-1, with the weights that lift ``low`` most (Nakatsukasa, Bai
    and Gygi 2010) from where the smallest singular value is.
    """
    unit = torch.eye(len(x), dtype=x.dtype)
    while low < _UNITED:
        d = (4 * (1 - low**2) / low**4) ** (1 / 3)
        a = math.sqrt(1 + d)
        a += 0.5 * math.sqrt(8 - 4 * d + 8 * (2 - low**2) / (low**2 * a))
        b = (a - 1) ** 2 / 4
        c = a + b - 1
        root = torch.linalg.cholesky_ex(torch.addmm(unit, x.mT, x, alpha=c))[0]
        solved = torch.cholesky_solve(x.mT, root).mT
        x = torch.add(solved.mul_(a - b / c), x, alpha=b / c)
        low = low * (a + b * low**2) / (1 + c * low**2)
    return x, low
