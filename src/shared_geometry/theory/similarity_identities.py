r"""What is equal to what among measures of similarity, and when: each checked on random matrices.

Every function states one identity, the relative error that is found in it, and what is found
when its condition is dropped.  Both sides are computed by different roads.
"""

from collections.abc import Callable
from itertools import permutations

import torch

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.rsa import consistency, lower_triangle, rsm
from shared_geometry.similarity.cca import canonical, whitening
from shared_geometry.similarity.moments import linear_cka, moments
from shared_geometry.similarity.shape import (
    explained,
    procrustes_distance,
    rotation,
    soft_matching_distance,
)
from shared_geometry.srm import SRM
from shared_geometry.theory.identities import Identity, off, related


def _without_means(x: torch.Tensor) -> torch.Tensor:
    return x - x.mean(1, keepdim=True)


def _nuclear(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.linalg.svdvals(x @ y.T).sum()


def nearest_rotation(generator: torch.Generator) -> Identity:
    """Procrustes distance and nuclear norm; dropped: reflections are allowed."""
    x, y = map(_without_means, related(generator, units=3))
    if torch.linalg.det(x @ y.T) > 0:
        y = torch.cat([-y[:1], y[1:]])  # so that the best map reflects
    square = x.square().sum() + y.square().sum() - 2 * _nuclear(x, y)
    u, _, vt = torch.linalg.svd(x @ y.T)
    proper = torch.cat([u[:, :-1], -u[:, -1:]], 1) @ vt
    return Identity(
        r"Procrustes distance: $\min_Q \lVert X - QY \rVert^2$ is "
        r"$\lVert X \rVert^2 + \lVert Y \rVert^2 - 2 \lVert XY^\top \rVert_*$",
        "Q may be any orthogonal matrix",
        off(procrustes_distance(moments(x, y)) ** 2, square),
        "Q must not reflect",
        off((x - proper @ y).square().sum(), square),
    )


def bures(generator: torch.Generator) -> Identity:
    """Procrustes distance and the RSMs alone; dropped: RSMs are inner products."""
    x, y = related(generator, 24, 12)
    lengths = torch.linspace(0.2, 2, 12).double()  # of the images: correlations do not see them
    x, y = x * lengths, y * lengths.flip(0)

    def fidelity(k: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        values, vectors = torch.linalg.eigh(k)
        root = vectors * values.clamp(min=0).sqrt() @ vectors.T
        found = torch.linalg.eigvalsh(root @ other @ root).clamp(min=0).sqrt().sum()
        return found / (k.trace() * other.trace()).sqrt()

    angle = _nuclear(x, y) / (x.norm() * y.norm())
    return Identity(
        "Procrustes and Bures: the cosine after the best rotation is "
        r"$\operatorname{tr} (K^{1/2} L K^{1/2})^{1/2} / "
        r"\sqrt{\operatorname{tr} K \operatorname{tr} L}$",
        r"RSMs are inner products, $K = X^\top X$ and $L = Y^\top Y$",
        off(fidelity(x.T @ x, y.T @ y), angle),
        "they are correlations",
        off(fidelity(rsm(x), rsm(y)), angle),
    )


def _cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum() / (a.norm() * b.norm())


def cka_is_a_cosine(generator: torch.Generator) -> Identity:
    """CKA and Gram matrices; dropped: centring."""
    x, y = related(generator)
    h = torch.eye(x.shape[1], dtype=x.dtype) - 1 / x.shape[1]
    return Identity(
        r"CKA is the RV coefficient, the cosine of $HKH$ and $HLH$",
        r"RSMs are centred, $H = I - \mathbf{1}\mathbf{1}^\top / M$",
        off(linear_cka(moments(x, y)), _cosine(h @ x.T @ x @ h, h @ y.T @ y @ h)),
        "they are not",
        off(linear_cka(moments(x, y)), _cosine(x.T @ x, y.T @ y)),
    )


def cka_is_rsa(generator: torch.Generator) -> Identity:
    """CKA and the Pearson correlation of RSMs; dropped: every cell of centred RSMs."""
    x, y = related(generator)
    grams = [_without_means(z).T @ _without_means(z) for z in (x, y)]
    cells = torch.corrcoef(torch.stack([g.flatten() for g in grams]))[0, 1]
    off_diagonal = consistency(torch.stack([lower_triangle(z.T @ z) for z in (x, y)]))[0, 1]
    return Identity(
        "CKA is RSA with Pearson's coefficient",
        "it is taken over all cells of centred inner products",
        off(cells, linear_cka(moments(x, y))),
        "below the diagonal, not centred",
        off(off_diagonal, linear_cka(moments(x, y))),
    )


def cca_is_whitened_cka(generator: torch.Generator) -> Identity:
    r"""Canonical correlations and CKA; dropped: whitening."""
    x, y = related(generator)
    m = moments(x, y)
    tx, ty = whitening(m.xx)[0], whitening(m.yy)[0]
    mean_square = canonical(m.xy, tx, ty).correlation.square().mean()
    return Identity(
        r"CCA is CKA of whitened activity: both are $\frac1r \sum_j \rho_j^2$",
        "all r dimensions of both have equal variance",
        off(linear_cka(moments(tx.T @ x, ty.T @ y)), mean_square),
        "activity as it is",
        off(linear_cka(m), mean_square),
    )


def prediction_is_an_angle(generator: torch.Generator) -> Identity:
    """Variance explained by the other network and angular distance; dropped: equal sizes."""
    fit = related(generator)
    x, y = (_without_means(z) for z in related(generator))
    x, y = x / x.norm(), y / y.norm()
    q = rotation(moments(*fit).xy)  # found on other images
    angle = _cosine(x, q @ y)
    residual = (x - q @ y).square().sum()
    larger = explained(q, moments(x, 2 * y))
    return Identity(
        r"Variance explained by the other network: $1 - \lVert X - QY \rVert^2 / "
        r"\lVert X \rVert^2$ is $2 \cos\theta - 1$, on any images",
        r"$\lVert X \rVert = \lVert Y \rVert$",
        max(off(1 - residual, 2 * angle - 1), off(explained(q, moments(x, y)), 2 * angle - 1)),
        r"$\lVert Y \rVert = 2 \lVert X \rVert$",
        off(larger, 2 * angle - 1),
    )


def correlations_are_products(generator: torch.Generator) -> Identity:
    """Pearson RSM and inner products; dropped: mean 0 over units."""
    x, _ = related(generator)
    z = (x - x.mean(0)) / x.std(0, correction=0)
    scaled = x / x.square().mean(0).sqrt()
    return Identity(
        r"RSM of correlations: $\mathrm{RSM}(X) = X^\top X / n$",
        "each image has mean 0 and variance 1 over units",
        off(z.T @ z / len(z), rsm(z)),
        "its variance about 0 is 1",
        off(scaled.T @ scaled / len(x), rsm(x)),
    )


def srm_is_procrustes(generator: torch.Generator) -> Identity:
    """SRM of two networks and Procrustes; dropped: k = n."""
    x, y = map(_without_means, related(generator))
    square = procrustes_distance(moments(x, y)) ** 2
    full, small = (
        SRM(k, center=False, tol=1e-15, max_sweeps=2000).fit([x, y]) for k in (None, len(x) // 2)
    )
    turn = full.w_[0] @ full.w_[1].T
    return Identity(
        r"SRM of two networks: $W_1 W_2^\top$ is the best rotation, and the objective half its "
        "squared distance",
        "k = n",
        max(off(turn, rotation(x @ y.T)), off(2 * full.objective_[-1], square)),
        "k = n/2",
        off(2 * small.objective_[-1], square),
    )


def matching_is_soft_matching(generator: torch.Generator) -> Identity:
    """Soft matching and the best of all permutations; dropped: equal numbers of units."""
    x, y = map(_without_means, related(generator, units=6))

    def best(a: torch.Tensor, b: torch.Tensor) -> float:
        """Mean squared distance of the units of ``a`` to their own partners in ``b``, at best."""
        orders = permutations(range(len(b)), len(a))
        return min(float((a - b[list(order)]).square().sum()) for order in orders) / len(a)

    return Identity(
        r"Soft matching: $n \, d^2 = \min_\Pi \lVert X - \Pi Y \rVert^2$ over permutations",
        "units are equal in number",
        off(soft_matching_distance(moments(x, y)) ** 2, best(x, y)),
        "a unit of X is missing",
        off(soft_matching_distance(moments(x[1:], y)) ** 2, best(x[1:], y)),
    )


ALL: tuple[Callable[[torch.Generator], Identity], ...] = (
    correlations_are_products,
    nearest_rotation,
    bures,
    srm_is_procrustes,
    prediction_is_an_angle,
    matching_is_soft_matching,
    cka_is_a_cosine,
    cka_is_rsa,
    cca_is_whitened_cka,
)


def identities(seed: int) -> list[Identity]:
    """All identities, each on matrices of its own."""
    return [check(torch_generator(seed, "identity", check.__name__)) for check in ALL]
