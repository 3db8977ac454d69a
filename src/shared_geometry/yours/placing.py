"""A new network in a space that others made: its basis is found, theirs stay."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shared_geometry.basics.arrays import Array
from shared_geometry.errors import InputError
from shared_geometry.experiment.nulls import random_order
from shared_geometry.experiment.shared_space import centred, over_units
from shared_geometry.rsa import compare_rsms, rsm
from shared_geometry.srm import SRM
from shared_geometry.srm.score import explained_power, part_of, power
from shared_geometry.yours import preparation
from shared_geometry.yours.comparing import given
from shared_geometry.yours.inputs import Networks, matrix
from shared_geometry.yours.preparation import MOST_UNITS, Choices

N_SHUFFLES = 19


class Placed(NamedTuple):
    """A newcomer in a space, measured on images that no basis was fitted to."""

    space: SRM  # of the networks that made it
    w: Tensor  # (n_units, k), the newcomer's basis; rows of units kept, then silent ones
    geometry: float  # correlation of its own RSM with its RSM against the shared response
    variance: float  # part of its activity that the shared response explains
    control_geometry: Tensor  # (n_shuffles,), the same for a basis from shuffled images
    control_variance: Tensor  # (n_shuffles,)
    rsms: dict[str, Tensor]  # its own, and against the response; (n_held_out, n_held_out)
    images: Tensor  # (n_held_out,), which images these are, sorted by class
    units: list[Tensor]  # of each network and, last, of the newcomer: the rows that were kept
    mean: Tensor  # (n_units,), of the newcomer's units over the alignment images; rows as in w
    size: int  # the newcomer's units, before any were drawn
    length: float | None  # what its activity was divided by; None: images were standardised

    def __repr__(self) -> str:
        k, images = self.w.shape[1], len(self.images)
        return (
            f"Placed({self.size} units in {k} dimensions of {len(self.units) - 1} networks; on "
            f"{images} images: geometry {self.geometry:.3f}, variance {self.variance:.3f}, at most "
            f"{self.control_variance.max():.3f} if shuffled)"
        )

    @property
    def letter(self) -> str:
        """What cells of its RSMs are called: r, correlations; cos, cosines."""
        return "r" if self.length is None else "cos"

    def respond(self, activity: Array) -> Tensor:
        r"""The newcomer's activity in the space, :math:`W^\top (X - \mu)`.

        ``space.inverse_transform`` takes it from there to the units of each network, as they are in
        ``units``: standardised, or divided by one number, and followed by silent ones where a
        network is smaller.

        Parameters
        ----------
        activity : array of shape (n_units, n_images)
            Of the newcomer, on any images, as `place` took it.

        Returns
        -------
        Tensor of shape (k, n_images)

        Raises
        ------
        InputError
            If it is not of that form, or of another number of units.
        """
        x = matrix(activity, "the newcomer")
        if len(x) != self.size:
            raise InputError(f"the newcomer has {self.size} units, and activity {len(x)}")
        x = preparation.prepared(x.to(self.w), self.units[-1], self.length, len(self.w))
        return self.w.T @ centred(x, self.mean)


def place(
    newcomer: Array,
    networks: Networks,
    labels: Sequence[Any] | None = None,
    *,
    components: int | None = None,
    max_units: int = MOST_UNITS,
    standardise: bool = True,
    alignment_fraction: float = 0.8,
    seed: int = 0,
) -> Placed:
    r"""How a new network fits into the space of others, which do not move for it.

    The space is the SRM of the networks, with response S; the newcomer's basis is
    :math:`\arg\min_W \lVert X - W S \rVert` over orthonormal W (`SRM.transform_network`).  Both are
    found on the alignment images.  As a control the newcomer is placed after its images were
    shuffled, `N_SHUFFLES` times.

    Parameters
    ----------
    newcomer : array of shape (n_units, n_images)
    networks : list of array of shape (n_units_i, n_images), or array of three dimensions
        One layer of the networks that make the space, two or more, on the same images.
    labels, components, max_units, standardise, alignment_fraction, seed
        As in `yours.compare`.  The newcomer counts as a network: where it is the smallest, the
        space has as many dimensions as it has units.  Give ``components`` to place newcomers of
        different sizes in one space.

    Returns
    -------
    Placed

    Raises
    ------
    InputError
        As `compare` does; the newcomer counts as the last network.
    """
    how = Choices(
        components=components,
        max_units=max_units,
        standardise=standardise,
        alignment_fraction=alignment_fraction,
        seed=seed,
    )
    if isinstance(networks, str) or not isinstance(networks, Sequence | np.ndarray | Tensor):
        raise InputError(
            f"networks are a {type(networks).__name__}; give a list with one array (n_units, "
            "n_images) a network, or one array of three dimensions"
        )
    if len(networks) < 2:
        raise InputError(f"{len(networks)} networks make no space; 2 or more are needed")
    layers, classes, _ = given([*networks, newcomer], labels, how.standardise)
    (layer, everyone), *_ = layers.items()
    alignment, held_out = preparation.split(classes, how)
    x, units, lengths = preparation.population(everyone, how, layer, alignment)
    k = preparation.components(how, [len(rows) for rows in units], len(alignment))
    *known, new = x
    space = SRM(k).fit([a[:, alignment] for a in known])
    shared = torch.stack(space.transform([a[:, held_out] for a in known])).mean(0)

    def measured(seen: Tensor) -> tuple[Tensor, Tensor, float, float]:
        w = space.transform_network(new[:, seen])
        unseen = centred(new[:, held_out], new[:, seen].mean(1))
        between = rsm(*over_units(w, w.T @ unseen, shared), centre=how.standardise)
        part = explained_power(w.T @ unseen, shared)
        explained = part_of(part, power(unseen), power(new[:, held_out]), new.dtype)
        return w, between, compare_rsms(own, between), explained.item()

    own = rsm(centred(new[:, held_out], new[:, alignment].mean(1)), centre=how.standardise)
    w, between, geometry, variance = measured(alignment)
    orders = [random_order(len(alignment), how.seed, "newcomer", i) for i in range(N_SHUFFLES)]
    shuffled = [measured(alignment[order]) for order in orders]
    return Placed(
        space,
        w,
        geometry,
        variance,
        torch.tensor([row[2] for row in shuffled]),
        torch.tensor([row[3] for row in shuffled]),
        {"within the newcomer": own, "newcomer with the space": between},
        held_out,
        units,
        new[:, alignment].mean(1),
        len(everyone[-1]),
        lengths[-1],
    )
