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
from shared_geometry.similarity.moments import Centred, PairMoments, as_centred, together

MEASURES = ("variance explained", "correlation of RSMs")


class Layer(NamedTuple):
    """What is computed once for a layer of a network."""

    fit: Centred  # on the alignment images
    unseen: Centred  # on the held-out images
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
    return Layer(*map(as_centred, split), lower_triangle(rsm(split.held_out)))


def semi_orthogonal(fit: PairMoments) -> torch.Tensor:
    r"""The nearest thing to a rotation between networks of unequal sizes.

    The M with orthonormal rows or columns, whichever are fewer, that maximises
    :math:`\langle M, X Y^\top \rangle`.  Where X has at least as many units as Y, and so for a
    square M, that is the M with the least :math:`\lVert X - M Y \rVert`, Procrustes' solution.
    Where it has fewer, M adds to each direction of X only what the orthonormal rows reach of Y.

    Parameters
    ----------
    fit : PairMoments

    Returns
    -------
    Tensor of shape (n_units_x, n_units_y)
    """
    return shape.rotation(fit.xy)


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
        If the two were shown other numbers of images.
    """
    fit, unseen = together(b.fit, a.fit), together(b.unseen, a.unseen)
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
