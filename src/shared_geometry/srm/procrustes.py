r"""Orthogonal Procrustes: the orthonormal polar factor of a matrix.

:math:`\max_W \langle W, M \rangle` over matrices with :math:`W^\top W = I` is solved by
:math:`U V^\top`, where :math:`M = U \Sigma V^\top`.
"""

import torch

from shared_geometry.srm.polar_iterations import orthonormal, polar_by_inverses, polar_by_products

_RESOLVED = 1e-13  # eigenvalues of M'M in float64 above this part of the largest are exact enough
_WORTH = 128  # rows from which inverses are quicker than a decomposition


def polar(m: torch.Tensor) -> torch.Tensor:
    r"""Orthonormal polar factor of ``m``: the W that maximises :math:`\langle W, M \rangle`.

    On a GPU by matrix products.  On a CPU by singular value decomposition; but in float32 by what
    takes less time there and is the more exact: for a tall matrix the eigenvectors of M'M in
    float64, for a square one inverses.

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
    n, k = m.shape[-2:]
    if m.dtype == torch.float32 and 2 * k <= n:
        found = _by_gram(m.double())
        if found is not None:
            return found.to(m)
    if m.dtype == torch.float32 and n == k >= _WORTH:
        flat = m.reshape(-1, n, n)
        found = [polar_by_inverses(a) for a in flat]
        found = [_by_svd(a) if w is None else w for a, w in zip(flat, found, strict=True)]
        return torch.stack(found).reshape(m.shape)
    return _by_svd(m)


def _by_gram(m: torch.Tensor) -> torch.Tensor | None:
    """M (M'M)^-1/2; None where M is so near to rank deficient that squaring it loses too much."""
    values, vectors = torch.linalg.eigh(m.mT @ m)
    if not (values[..., 0] > _RESOLVED * values[..., -1]).all():
        return None
    return m @ (vectors * values.rsqrt()[..., None, :] @ vectors.mT)


def _by_svd(m: torch.Tensor) -> torch.Tensor:
    try:
        u, _, vt = torch.linalg.svd(m, full_matrices=False)
    except torch.linalg.LinAlgError:  # LAPACK's divide and conquer can fail in float32
        u, _, vt = torch.linalg.svd(m.double(), full_matrices=False)
    return orthonormal(u @ vt).to(m)
