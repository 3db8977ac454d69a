"""Representational similarity: which images lie near which, within a network and between networks.

X is units x images; RSM(A, B)[p, q] is the Pearson correlation of column p of A with column q of B
(Lu et al. 2018, section 2; Kriegeskorte et al. 2008).  With ``centre=False`` it is the inner
product of columns of length 1, the A^T B of the paper's theory: a rotation of the units leaves that
as it is, but moves the mean over units that a Pearson correlation takes off.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from shared_geometry.basics.arrays import Array, as_tensor, like, spread, within_range
from shared_geometry.errors import InputError

METHODS = ("pearson", "spearman", "kendall")
EXACTLY = 6  # networks, at most, without each of which RSMs are made anew
SOME = 8  # networks, at most, from which lengths without another one are taken


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


def _norm(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(x, dim=-2, keepdim=True)


def _patterns(
    x: torch.Tensor, centre: bool = True, eps: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns, without their means if ``centre``, and their lengths; 0 where there is no pattern.

    ``eps`` is the rounding that x came with; None: that of its type.
    """
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    size = _norm(x)
    if (scaled := within_range(x, size)) is not x:
        x, size = scaled, _norm(scaled)
    moved = x - x.mean(-2, keepdim=True) if centre else x
    length = _norm(moved) if centre else size
    # what is left of a constant column once its mean is off is rounding, not a pattern
    return moved, length * (length > 8 * eps * size)


def _unit_columns(x: torch.Tensor, centre: bool = True, eps: float | None = None) -> torch.Tensor:
    """`_patterns` of length 1, or zeros."""
    moved, length = _patterns(x, centre, eps)
    return torch.where(length > 0, moved / length, torch.zeros_like(moved))


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
    found = x.new_empty(len(x), x.shape[2], x.shape[2])
    for row, (a, b) in zip(found, _with_the_others(x, _bases(bases, x), centre), strict=True):
        torch.matmul(a.mT, b, out=row).clamp_(-1, 1)
    return like(found, X)


def _with_the_others(
    x: torch.Tensor, w: Sequence[torch.Tensor | None], centre: bool
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Patterns of length 1 of each network and of the mean of the others, over its units."""
    total = x.sum(0)
    for a, basis in zip(x, w, strict=True):
        pair = a, (total - a) / (len(x) - 1)
        yield tuple(_unit_columns(_over(basis, part), centre) for part in pair)


def _over(basis: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    return x if basis is None else basis @ x


def inter_rsm(
    X: Array, *, centre: bool = True, bases: Array | Sequence[Array] | None = None
) -> Array:
    """The iRSM, mean of `inter_rsms`, without holding these.

    Parameters
    ----------
    X, centre, bases
        As in `inter_rsms`.

    Returns
    -------
    array of shape (n_images, n_images)

    Raises
    ------
    InputError
        As `inter_rsms`.
    """
    x = _networks(X, 2)
    return like(_inter_rsm(x, _bases(bases, x), centre), X)


def _inter_rsm(x: torch.Tensor, w: Sequence[torch.Tensor | None], centre: bool) -> torch.Tensor:
    found = x.new_zeros(x.shape[2], x.shape[2])
    for a, b in _with_the_others(x, w, centre):
        found.addmm_(a.mT, b)
    return found.div_(len(x)).clamp_(-1, 1)


class Between(NamedTuple):
    """The iRSM of a population, and of the networks that are left without each one."""

    mean: Array  # (n_images, n_images)
    without: Array  # (n_networks, n_pairs), lower triangles; of two networks none


def between(
    X: Array, *, centre: bool = True, bases: Array | Sequence[Array] | None = None
) -> Between:
    r"""The iRSM, and what it is without each network: what a jackknife asks for.

    Made anew without each of up to `EXACTLY` networks.  Of more, without network k, network i
    meets :math:`V_i - X_k`, where :math:`V_i` is the sum of the others.  Its RSM with that is the
    one with :math:`V_i`, less that of network i with :math:`X_k`, each by its lengths; summed over
    i, this takes one product for each k if the lengths of :math:`V_i - X_k` are the same for all
    networks but for one factor a network.  The interval that follows is within some hundredths of
    that from RSMs made anew, of ten networks within one.

    Parameters
    ----------
    X, centre, bases
        As in `inter_rsms`.

    Returns
    -------
    Between

    Raises
    ------
    InputError
        As `inter_rsms`.
    """
    x = _networks(X, 2)
    w, n = _bases(bases, x), len(x)
    x = within_range(x.flatten(0, 1), _norm(x.flatten(0, 1))).view_as(x)
    if n > EXACTLY:
        mean, without = _nearly_without_each(x, w, centre)
        return Between(like(mean, X), like(without, X))
    without = x.new_empty(n if n > 2 else 0, x.shape[2] * (x.shape[2] - 1) // 2)
    for k, row in enumerate(without):
        kept = [i for i in range(n) if i != k]
        row[:] = lower_triangle(_inter_rsm(x[kept], [w[i] for i in kept], centre))
    return Between(like(_inter_rsm(x, w, centre), X), like(without, X))


def _nearly_without_each(
    x: torch.Tensor, w: Sequence[torch.Tensor | None], centre: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """``mean`` and ``without`` of `between`, by two products a network."""
    n, m, total = len(x), x.shape[2], x.sum(0)
    mean, own = x.new_zeros(m, m), torch.empty_like(x)
    without = x.new_empty(n, m * (m - 1) // 2)
    length = x.new_empty(n, m)
    for i, (a, b) in enumerate(_with_the_others(x, w, centre)):
        with_others = a.mT @ b
        mean += with_others
        without[i] = lower_triangle(with_others)
        own[i] = a if w[i] is None else w[i].mT @ a
        length[i] = _patterns(_over(w[i], total - x[i]), centre)[1]
    shorter = _inverse(length)
    factor = (shorter * _inverse(shorter.mean(0))).sum(1)
    factor *= n * _inverse(factor.sum())  # of 1 / length, one a network
    own *= factor[:, None, None]
    summed, triangle = own.sum(0), without.sum(0)
    column = torch.tril_indices(m, m, -1, device=x.device)[1]
    for k in range(n):
        others = [i for i in range(n) if i != k]
        some = [others[i] for i in spread(n - 1, SOME)]
        left = torch.cat([_patterns(_over(w[i], total - x[i] - x[k]), centre)[1] for i in some])
        shorter = _inverse(left)
        grown = (length[some] * shorter).mean(0)
        scale = (shorter * _inverse(factor[some, None])).mean(0)
        gone = lower_triangle((summed - own[k]).mT @ x[k])
        without[k] = ((triangle - without[k]) * grown[column] - gone * scale[column]) / (n - 1)
    return mean.div_(n).clamp_(-1, 1), without


def _inverse(length: torch.Tensor) -> torch.Tensor:
    return torch.where(length > 0, 1 / length, torch.zeros_like(length))


def _bases(bases: Array | Sequence[Array] | None, x: torch.Tensor) -> Sequence[torch.Tensor | None]:
    """One matrix a network, with a column for each row of its activity, or None for each."""
    if bases is None:
        return [None] * len(x)
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


def correlation(a: torch.Tensor, b: torch.Tensor, eps: float | None = None) -> torch.Tensor:
    """Pearson correlation along the last axis.

    Parameters
    ----------
    a, b : Tensor of shape (..., n)
    eps : float, optional
        The rounding that they came with; None: that of their types.

    Returns
    -------
    Tensor of shape (...), float64
        0 where one is constant, but for rounding.
    """
    units = []
    for v in (a, b):
        own = torch.finfo(v.dtype if v.is_floating_point() else torch.float64).eps
        units.append(_unit_columns(v.double()[..., None], eps=eps or own).squeeze(-1))
    return (units[0] * units[1]).sum(-1)


def is_flat(values: torch.Tensor, eps: float) -> bool:
    """Whether all of some numbers are equal, but for rounding.

    Parameters
    ----------
    values : Tensor of shape (n,)
    eps : float
        The rounding that they came with, of a number near 1.

    Returns
    -------
    bool
    """
    return not _patterns(values.double()[:, None], eps=eps)[1].item()


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
