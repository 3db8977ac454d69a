"""The propositions as numbers: what each proof constructs, and a check that can fail."""

import numpy as np

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import power_of_ten
from shared_geometry.errors import InputError


def same_geometry(
    s: np.ndarray, n_networks: int, n_units: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Networks with one inner-product RSM: random orthonormal bases times one response.

    Parameters
    ----------
    s : ndarray of shape (k, n_images)
        Shared response.
    n_networks, n_units : int
        ``n_units`` at least k.
    rng : numpy.random.Generator

    Returns
    -------
    list of ndarray of shape (n_units, n_images)
    """
    if n_units < len(s):
        raise InputError(f"{n_units} units cannot hold a response of {len(s)} dimensions")
    bases = [np.linalg.qr(rng.normal(size=(n_units, len(s))))[0] for _ in range(n_networks)]
    return [w @ s for w in bases]


def response_of(gram: np.ndarray, rank: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    r"""Shared response :math:`S = \Lambda^{1/2} V^\top` of an RSM :math:`G = V \Lambda V^\top`.

    Parameters
    ----------
    gram : ndarray of shape (n_images, n_images)
        Symmetric, positive semidefinite.
    rank : int, optional
        Leading eigenvalues that are kept; None: those above rounding.

    Returns
    -------
    s : ndarray of shape (rank, n_images)
    lift : ndarray of shape (n_images, rank)
        :math:`V \Lambda^{-1/2}`; a network X with this RSM has the basis ``X @ lift``.
    """
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    if rank is None:
        rank = int(np.sum(values > values[0] * len(gram) * np.finfo(gram.dtype).eps * 10))
    root = np.sqrt(values[:rank])
    return root[:, None] * vectors[:, :rank].T, vectors[:, :rank] / root


def rotation_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Orthogonal Q nearest to taking A to B; QA = B exactly where their inner products are equal.

    Parameters
    ----------
    a, b : ndarray of shape (n_units, n_images)

    Returns
    -------
    ndarray of shape (n_units, n_units)
    """
    u, _, vt = np.linalg.svd(b @ a.T)
    return u @ vt


def unexplained(gram: np.ndarray, k: int) -> float:
    """Part of the variance that no shared response of k dimensions can explain (Eckart-Young)."""
    values = np.linalg.eigvalsh(gram)[::-1]
    return float(values[k:].clip(min=0).sum() / values.sum())


def checked(statements: dict[str, float], tolerance: float = 1e-10) -> str:
    """Table of statements and the errors found in them; stops if one is not true.

    Parameters
    ----------
    statements : dict of str to float
        A statement, as Markdown, and the largest relative deviation from it.
    tolerance : float

    Returns
    -------
    str
        Markdown.

    Raises
    ------
    ArithmeticError
        If a deviation is larger than ``tolerance``; names the statement.
    """
    for statement, error in statements.items():
        if not error <= tolerance:
            raise ArithmeticError(f"not true to {tolerance:g}: {statement} (off by {error:g})")
    rows = [[text, power_of_ten(error)] for text, error in statements.items()]
    return table(["checked numerically", "largest deviation"], rows, "lr")


def deviation(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference of two arrays, over the largest value expected."""
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-300))
