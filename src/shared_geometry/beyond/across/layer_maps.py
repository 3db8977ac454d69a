r"""Layers of one network against layers of another that may have other sizes.

Two questions for every two layers.  How much of one does the other explain through a matrix with
orthonormal rows or columns, whichever are fewer, and one scale?  And how alike are their RSMs,
for which sizes do not matter?
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from shared_geometry.beyond.across.partners import Split
from shared_geometry.errors import InputError
from shared_geometry.rsa import correlation, lower_triangle, rsm
from shared_geometry.similarity import maps, shape

MEASURES = ("variance explained", "correlation of RSMs")


class Layer(NamedTuple):
    """What is computed once for a layer of a network."""

    split: Split
    fit: torch.Tensor  # X X' of the alignment images, float64
    unseen: torch.Tensor  # of the held-out images
    similarities: torch.Tensor  # lower triangle of the RSM of the held-out images


def layer(split: Split) -> Layer:
    """A layer, ready to be compared.

    Parameters
    ----------
    split : Split

    Returns
    -------
    Layer
    """
    x, y = split
    moments = ((a @ a.T).double() for a in (x, y))
    return Layer(split, *moments, lower_triangle(rsm(y)))


def semi_orthogonal(fit: maps.Moments) -> torch.Tensor:
    r"""The nearest thing to a rotation between networks of unequal sizes.

    The M with orthonormal rows or columns, whichever are fewer, that maximises
    :math:`\langle M, B A^\top \rangle`.  Where B has at least as many units as A, and so for a
    square M, that is the M with the least :math:`\lVert B - M A \rVert`, Procrustes' solution.
    Where it has fewer, M adds to each direction of B only what the orthonormal rows reach of A.

    Parameters
    ----------
    fit : Moments
        See `similarity.maps`.

    Returns
    -------
    Tensor of shape (n_units_b, n_units_a)
    """
    return shape.rotation(fit.cross)


def explained(a: Layer, b: Layer) -> torch.Tensor:
    """Held-out variance that each layer explains of the other; the mean of both directions.

    Parameters
    ----------
    a, b : Layer
        On the same images.

    Returns
    -------
    Tensor of shape (), float64

    Raises
    ------
    InputError
        If the two were shown other numbers of alignment images.
    """
    if a.split.alignment.shape[1] != b.split.alignment.shape[1]:
        raise InputError(
            f"layers on {a.split.alignment.shape[1]} and {b.split.alignment.shape[1]} alignment "
            "images; expected the same images"
        )
    (x_a, y_a), (x_b, y_b) = a.split, b.split
    fit = maps.Moments(a.fit, b.fit, (x_b @ x_a.T).double(), x_a.shape[1])
    unseen = maps.Moments(a.unseen, b.unseen, (y_b @ y_a.T).double(), y_a.shape[1])
    m = semi_orthogonal(fit)
    there = maps.explained(maps.scaled(m, fit), unseen)
    back = maps.explained(maps.scaled(m.T, fit.reversed()), unseen.reversed())
    return (there + back) / 2


def table(a: Sequence[Layer], b: Sequence[Layer]) -> torch.Tensor:
    """Every layer of one network against every layer of another.

    Parameters
    ----------
    a, b : sequence of Layer
        In order of depth.

    Returns
    -------
    Tensor of shape (len(MEASURES), len(a), len(b)), float64
    """
    rows = [
        [
            [explained(one, other) for other in b],
            [correlation(one.similarities, other.similarities) for other in b],
        ]
        for one in a
    ]
    cells = [[torch.stack(values) for values in row] for row in rows]
    return torch.stack([torch.stack(row) for row in cells], 1)


def best_match(matches: torch.Tensor) -> list[tuple[int, int]]:
    """For each layer of the deeper network (of equals, the first) its best match: (row, column).

    Parameters
    ----------
    matches : Tensor of shape (n_layers_a, n_layers_b)

    Returns
    -------
    list of (int, int)

    Raises
    ------
    InputError
        If it is no table, or an empty one.
    """
    if matches.dim() != 2 or not matches.numel():
        raise InputError(f"a table of layers of shape {tuple(matches.shape)}: expected (n_a, n_b)")
    if matches.shape[1] > matches.shape[0]:
        return [(int(i), j) for j, i in enumerate(matches.argmax(0))]
    return [(i, int(j)) for i, j in enumerate(matches.argmax(1))]


def depth_order(matches: torch.Tensor) -> float:
    """Rank correlation of depth with the depth of the best match, over the deeper network's layers.

    1 where the matches follow depth, 0 where all layers have the same match.

    Parameters
    ----------
    matches : Tensor of shape (n_layers_a, n_layers_b)

    Returns
    -------
    float
        From -1 to 1.

    Raises
    ------
    InputError
        If it is no table, or an empty one.
    """
    from scipy.stats import spearmanr

    rows, columns = zip(*best_match(matches), strict=True)
    if len(set(rows)) < 2 or len(set(columns)) < 2:
        return 0.0
    return float(spearmanr(rows, columns).statistic)
