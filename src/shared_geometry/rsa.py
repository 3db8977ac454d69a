"""Representational similarity: which images lie near which, within a network and between networks.

X is units x images; RSM(A, B)[p, q] is the Pearson correlation of column p of A with column q of B
(Lu et al. 2018, section 2; Kriegeskorte et al. 2008).  With ``centre=False`` it is the inner
product of columns of length 1, the A^T B of the paper's theory: a rotation of the units leaves that
as it is, but moves the mean over units that a Pearson correlation takes off.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from shared_geometry.basics.arrays import Array, as_tensor, like, within_range
from shared_geometry.errors import InputError

METHODS = ("pearson", "spearman", "kendall")


def _columns(X: Array, name: str) -> torch.Tensor:
    x = as_tensor(X)
    if x.dim() < 2 or x.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"{name} of shape {tuple(x.shape)} and type {x.dtype} is not an array of float32 or "
            "float64, units x images"
        )
    return _finite(x, name)


def _finite(x: torch.Tensor, name: str) -> torch.Tensor:
    if not x.sum().isfinite() and not x.isfinite().all():  # the sum is quick, and most often enough
        which = (~x.isfinite()).flatten(-2).any(-1).nonzero().flatten().tolist()
        where = f" in network {which[0]}" if x.dim() > 2 else ""
        raise InputError(f"{name} holds NaN or infinite values{where}")
    return x


def _unit_columns(x: torch.Tensor, centre: bool = True, eps: float | None = None) -> torch.Tensor:
    """Columns of length 1, and mean 0 if ``centre``; a column that has no length is zeros.

    ``eps`` is the rounding that x came with; None: that of its type.
    """
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    size = torch.linalg.vector_norm(x, dim=-2, keepdim=True)
    if (scaled := within_range(x, size)) is not x:
        x, size = scaled, torch.linalg.vector_norm(scaled, dim=-2, keepdim=True)
    moved = x - x.mean(-2, keepdim=True) if centre else x
    length = torch.linalg.vector_norm(moved, dim=-2, keepdim=True)
    # what is left of a constant column once its mean is off is rounding, not a pattern
    floor = 8 * eps * size
    return torch.where(length > floor, moved / length, torch.zeros_like(moved))


def _comparable(a: torch.Tensor, b: torch.Tensor) -> None:
    if a.shape[-2] != b.shape[-2]:
        raise InputError(
            f"A has {a.shape[-2]} units and B has {b.shape[-2]}: an RSM compares patterns over "
            "the same number of units"
        )
    if (a.dtype, a.device) != (b.dtype, b.device):
        raise InputError(
            f"A is {a.dtype} on {a.device} and B {b.dtype} on {b.device}; give both one type and "
            "one device"
        )
    leading = zip(a.shape[-3::-1], b.shape[-3::-1], strict=False)
    if any(p != q and 1 not in (p, q) for p, q in leading):
        raise InputError(
            f"A of shape {tuple(a.shape)} and B of shape {tuple(b.shape)} are of other networks; "
            "give as many of both, or one"
        )


def rsm(A: Array, B: Array | None = None, *, centre: bool = True) -> Array:
    """Pearson correlations between the columns of A and those of B.

    Parameters
    ----------
    A : array of shape (..., n_units, n_images)
    B : array of shape (..., n_units, n_images_b), optional
        None: A itself.
    centre : bool
        False: cosines, without taking off each column's mean over units.

    Returns
    -------
    array of shape (..., n_images, n_images_b)
        Between -1 and 1; 0 where a column is constant (or zero, for cosines): it has no pattern.

    Raises
    ------
    InputError
        If shapes, types or devices do not fit, or a value is NaN or infinite.
    """
    a = _columns(A, "A")
    b = a if B is None else _columns(B, "B")
    _comparable(a, b)
    a = _unit_columns(a, centre)
    b = a if B is None else _unit_columns(b, centre)
    return like((a.mT @ b).clamp_(-1, 1), A)


def _networks(X: Array, least: int) -> torch.Tensor:
    x = _columns(X, "X")
    if x.dim() != 3 or len(x) < least:
        raise InputError(
            f"X of shape {tuple(x.shape)} is not (n_networks, n_units, n_images) with at least "
            f"{least} networks"
        )
    return x


def within_rsms(X: Array, *, centre: bool = True) -> Array:
    """RSM of each network with itself; their mean is the wRSM.

    Parameters
    ----------
    X : array of shape (n_networks, n_units, n_images)
    centre : bool
        See `rsm`.

    Returns
    -------
    array of shape (n_networks, n_images, n_images)

    Raises
    ------
    InputError
        As `rsm`, or if X is not of that form.
    """
    return like(as_tensor(rsm(_networks(X, 1), centre=centre)), X)


def inter_rsms(
    X: Array, *, centre: bool = True, bases: Array | Sequence[Array] | None = None
) -> Array:
    """RSM of each network with the mean of the others; their mean is the iRSM.

    Parameters
    ----------
    X : array of shape (n_networks, n_units, n_images)
        All networks in one space, native or shared.
    centre : bool
        See `rsm`.
    bases : list of array of shape (n_units_i, k), optional
        Of a shared space with fewer dimensions k than units: W_i of each network, and X is
        (n_networks, k, n_images).  Patterns are then compared over the units of network i, as
        W_i X_i and W_i times the mean of the others.  (Which k axes span a space is arbitrary, and
        with them the mean over axes that a Pearson correlation takes off.)  None: over rows of X.

    Returns
    -------
    array of shape (n_networks, n_images, n_images)
        Row p, column q: image p in the network, image q in the mean of the others.

    Raises
    ------
    InputError
        As `rsm`, or if X is not of that form with at least 2 networks, or ``bases`` do not fit it.
    """
    x = _networks(X, 2)
    w = None if bases is None else _bases(bases, x)
    total = x.sum(0)
    found = x.new_empty(len(x), x.shape[2], x.shape[2])
    for i, a in enumerate(x):  # one at a time: only the result is large
        pair = a, (total - a) / (len(x) - 1)
        found[i] = rsm(*(pair if w is None else (w[i] @ part for part in pair)), centre=centre)
    return like(found, X)


def _bases(bases: Array | Sequence[Array], x: torch.Tensor) -> list[torch.Tensor]:
    """One matrix a network, with a column for each row of its activity."""
    w = [as_tensor(basis).to(x) for basis in bases]
    if len(w) != len(x) or any(b.dim() != 2 or b.shape[1] != x.shape[1] for b in w):
        shapes = ", ".join(str(tuple(basis.shape)) for basis in w[:3])
        raise InputError(
            f"{len(w)} bases of shapes {shapes}{', …' if len(w) > 3 else ''} for X of shape "
            f"{tuple(x.shape)}; expected (n_units, {x.shape[1]}) for each of {len(x)} networks"
        )
    return w


def lower_triangle(R: Array) -> Array:
    """Cells below the diagonal of square matrices, as vectors.

    Parameters
    ----------
    R : array of shape (..., n_images, n_images)

    Returns
    -------
    array of shape (..., n_images * (n_images - 1) / 2)

    Raises
    ------
    InputError
        If R is not square, with at least 2 images.
    """
    r = as_tensor(R)
    if r.dim() < 2 or r.shape[-1] != r.shape[-2] or r.shape[-1] < 2:
        raise InputError(f"an RSM of shape {tuple(r.shape)} is not square with at least 2 images")
    i, j = torch.tril_indices(r.shape[-1], r.shape[-1], -1, device=r.device)
    return like(r[..., i, j], R)


def correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Pearson correlation along the last axis.

    Parameters
    ----------
    a, b : Tensor of shape (..., n)

    Returns
    -------
    Tensor of shape (...), float64
        0 where one is constant, but for rounding.
    """
    units = []
    for v in (a, b):
        eps = torch.finfo(v.dtype if v.is_floating_point() else torch.float64).eps
        units.append(_unit_columns(v.double()[..., None], eps=eps).squeeze(-1))
    return (units[0] * units[1]).sum(-1)


def compare_rsms(R1: Array, R2: Array, method: str = "pearson") -> float:
    """Correlation of two RSMs over the pairs of images below the diagonal.

    Parameters
    ----------
    R1, R2 : array of shape (n_images, n_images)
    method : {"pearson", "spearman", "kendall"}
        Kendall's is tau-b, which counts ties.

    Returns
    -------
    float
        Between -1 and 1; 0 if all cells of one are equal.

    Raises
    ------
    InputError
        If one is no RSM, holds NaN or infinite values, or they are of other images.
    """
    from scipy import stats

    if method not in METHODS:
        raise InputError(f"method={method!r} is not allowed: {', '.join(METHODS)}")
    r1, r2 = as_tensor(R1), as_tensor(R2)
    for name, r in (("R1", r1), ("R2", r2)):
        if r.dim() != 2:
            raise InputError(f"{name} of shape {tuple(r.shape)} is not one RSM, images x images")
    a, b = (lower_triangle(_finite(r, name)) for name, r in (("R1", r1), ("R2", r2)))
    if a.shape != b.shape:
        raise InputError(f"RSMs of {tuple(r1.shape)} and {tuple(r2.shape)} are of other images")
    if method == "pearson":
        return float(correlation(a, b))
    if (a == a[0]).all() or (b == b[0]).all():
        return 0.0
    test = stats.spearmanr if method == "spearman" else stats.kendalltau
    return float(test(a.numpy(force=True), b.numpy(force=True)).statistic)


def consistency(R: Array) -> Array:
    """Correlation of every two networks' own RSMs.

    Parameters
    ----------
    R : array of shape (n_networks, n_images, n_images) or (n_networks, n_pairs)
        RSMs, or their lower triangles.

    Returns
    -------
    array of shape (n_networks, n_networks)
        float64; ones on the diagonal; 0 for an RSM whose cells are all equal.

    Raises
    ------
    InputError
        If R is of another form, or holds NaN or infinite values.
    """
    r = as_tensor(R)
    if r.dim() not in (2, 3):
        raise InputError(f"R of shape {tuple(r.shape)}: one RSM, or its lower triangle, a network")
    vectors = lower_triangle(r) if r.dim() == 3 else r
    vectors = vectors if vectors.is_floating_point() else vectors.double()
    _finite(vectors[:, None], "R")
    # float64, one network at a time: the vectors of many images are long
    eps = torch.finfo(vectors.dtype).eps
    unit = torch.stack([_unit_columns(v.double()[:, None], eps=eps)[:, 0] for v in vectors])
    return like((unit @ unit.T).clamp_(-1, 1).fill_diagonal_(1), R)


def class_rsm(R: Array, labels: Array | Sequence[Any]) -> Array:
    """Mean similarity of the images of two classes, for every two classes.

    Parameters
    ----------
    R : array of shape (n_images, n_images)
    labels : sequence of shape (n_images,)
        Numbers or words; classes are sorted by them.

    Returns
    -------
    array of shape (n_classes, n_classes)
        Within a class, the similarity of an image with itself does not count.

    Raises
    ------
    InputError
        If R is no RSM, or labels are not one number or word an image.
    """
    r = as_tensor(R)
    if r.dim() != 2 or r.shape[0] != r.shape[1]:
        raise InputError(f"R of shape {tuple(r.shape)} is not one RSM, images x images")
    if isinstance(labels, torch.Tensor):
        y = labels
    else:
        if (kind := np.asarray(labels).dtype).kind not in "iufbU":
            raise InputError(f"labels hold {kind}; expected numbers or words")
        _, codes = np.unique(labels, return_inverse=True)
        y = torch.from_numpy(codes)
    if y.shape != r.shape[:1]:
        raise InputError(f"labels of shape {tuple(y.shape)} for {len(r)} images; one each")
    classes = y.unique()
    member = (y[None] == classes[:, None]).to(r)  # (n_classes, n_images)
    size = member.sum(1)
    sums = member @ r @ member.T - torch.diag(member @ r.diagonal())
    counts = size[:, None] * size[None] - torch.diag(size)
    return like(sums / counts.clamp(min=1), R)
