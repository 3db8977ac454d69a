r"""Orthogonal Procrustes: the orthonormal polar factor of a matrix.

:math:`\max_W \langle W, M \rangle` over matrices with :math:`W^\top W = I` is solved by
:math:`U V^\top`, where :math:`M = U \Sigma V^\top`.  Every function takes leading batch dimensions.
"""

import torch

_SMALLEST = 1e-8  # singular values below this part of the largest count as 0 in `polar_by_products`
_MOST_STEPS = 60
_LIFTED = 0.99
_NEAR = 1e-4  # so near to X'X = I that one Newton step gives it
_RESOLVED = 1e-13  # eigenvalues of M'M in float64 above this part of the largest are exact enough


def polar(m: torch.Tensor) -> torch.Tensor:
    r"""Orthonormal polar factor of ``m``: the W that maximises :math:`\langle W, M \rangle`.

    On a GPU by `polar_by_products`.  On a CPU by singular value decomposition, which costs no more
    there; or, for a tall matrix in float32, by the eigenvectors of M'M in float64, which take half
    the time or less and are the more exact.

    Parameters
    ----------
    m : Tensor of shape (..., n, k), n >= k

    Returns
    -------
    Tensor of shape (..., n, k)
        Where M is rank deficient, some deterministic completion.
    """
    if m.is_cuda:
        return polar_by_products(m)
    if m.dtype == torch.float32 and 2 * m.shape[-1] <= m.shape[-2]:
        found = _polar_by_gram(m.double())
        if found is not None:
            return found.to(m)
    return _polar_by_svd(m)


def _polar_by_gram(m: torch.Tensor) -> torch.Tensor | None:
    """M (M'M)^-1/2; None where M is so near to rank deficient that squaring it loses too much."""
    values, vectors = torch.linalg.eigh(m.mT @ m)
    if not (values[..., 0] > _RESOLVED * values[..., -1]).all():
        return None
    return m @ (vectors * values.rsqrt()[..., None, :] @ vectors.mT)


def _polar_by_svd(m: torch.Tensor) -> torch.Tensor:
    try:
        u, _, vt = torch.linalg.svd(m, full_matrices=False)
    except torch.linalg.LinAlgError:  # LAPACK's divide and conquer can fail in float32
        u, _, vt = torch.linalg.svd(m.double(), full_matrices=False)
    return (u @ vt).to(m)


def _upper_bound(m: torch.Tensor) -> torch.Tensor:
    """Bound of the largest singular value: sqrt(||M||_1 ||M||_inf), as (..., 1, 1)."""
    columns, rows = (m.abs().sum(dim).amax(-1) for dim in (-2, -1))
    bound = (columns * rows).sqrt()[..., None, None]
    return torch.where(bound > 0, bound, torch.ones_like(bound))


def _completion(m: torch.Tensor) -> torch.Tensor:
    """Near the unit matrix, and with a part in every direction: the same for every M of a shape."""
    generator = torch.Generator(m.device).manual_seed(0)
    like = {"dtype": torch.float64, "device": m.device}
    noise = torch.randn(*m.shape[-2:], generator=generator, **like)
    return torch.eye(*m.shape[-2:], **like) + noise / (4 * m.shape[-2] ** 0.5)


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
    x = m.double()
    x = x / _upper_bound(x)
    x = (x + _SMALLEST * _completion(m)) / (1 + 2 * _SMALLEST)
    unit = torch.eye(m.shape[-1], dtype=x.dtype, device=x.device)
    low = _SMALLEST
    for _ in range(_MOST_STEPS):
        gram = x.mT @ x
        if low > _LIFTED and (gram - unit).abs().amax() < _NEAR:
            break
        scale = (3 / (1 + low + low * low)) ** 0.5
        x = x @ (1.5 * scale * unit - 0.5 * scale**3 * gram)
        low = min(1.0, 0.5 * scale * low * (3 - (scale * low) ** 2))
    return orthonormal(x).to(m)


def orthonormal(w: torch.Tensor) -> torch.Tensor:
    """Nearest orthonormal matrix to one that is orthonormal but for rounding (a Newton step)."""
    eye = torch.eye(w.shape[-1], dtype=w.dtype, device=w.device)
    return w @ (1.5 * eye - 0.5 * (w.mT @ w))
