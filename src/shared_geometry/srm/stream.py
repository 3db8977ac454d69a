"""Shared response model of activity that comes a block of samples at a time.

Every :math:`X_i X_j^\\top` is added up block by block; from these `products.Grams` solves as
exactly as from the activity itself.  Memory grows with the units of all networks squared, and not
with the samples.
"""

from collections.abc import Iterable, Sequence

import torch

from shared_geometry.basics.arrays import Array
from shared_geometry.errors import InputError
from shared_geometry.srm import inputs
from shared_geometry.srm.products import Cross, Grams, add_products


class Moments:
    """Running means and products of the activity of a population."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, block: list[torch.Tensor]) -> None:
        """Take in one block, a list of ``(n_units_i, n_samples)`` tensors."""
        if self.count == 0:
            # Sums are taken around the first block's means: far fewer digits are lost to them.
            self.shift = [a.mean(1) for a in block]
            self.sum = [torch.zeros_like(mu, dtype=torch.float64) for mu in self.shift]
            self.cross: Cross = {}
        self._check(block)
        moved = [a - mu[:, None] for a, mu in zip(block, self.shift, strict=True)]
        for total, a in zip(self.sum, moved, strict=True):
            total += a.sum(1, dtype=torch.float64)
        add_products(self.cross, moved, diagonal=True)
        self.count += block[0].shape[1]

    def _check(self, block: list[torch.Tensor]) -> None:
        units, known = [len(a) for a in block], [len(mu) for mu in self.shift]
        if units != known or block[0].dtype != self.shift[0].dtype:
            raise InputError(
                f"after {self.count} samples a block holds networks of {units} units in "
                f"{block[0].dtype}; the first block had {known} in {self.shift[0].dtype}"
            )

    def products(self, centre: bool) -> tuple[Grams, list[torch.Tensor]]:
        """What the solver asks for, and the mean that was subtracted from each network."""
        around = [total / self.count for total in self.sum]  # means, from the shift
        means = [mu.double() + d for mu, d in zip(self.shift, around, strict=True)]
        cross = {}
        for (i, j), product in self.cross.items():
            change = -torch.outer(around[i], around[j])
            if not centre:
                change += torch.outer(means[i], means[j])
            cross[i, j] = product + (self.count * change).to(product)
        units = [len(mu) for mu in means]
        variance = [cross[i, i].diagonal().sum(dtype=torch.float64) for i in range(len(units))]
        squares = [
            v + self.count * mu.square().sum() if centre else v
            for v, mu in zip(variance, means, strict=True)
        ]
        inputs.in_range(
            squares, [mu.to(s)[:, None] for mu, s in zip(means, self.shift, strict=True)]
        )
        mean = [
            mu.to(s) if centre else torch.zeros_like(s)
            for mu, s in zip(means, self.shift, strict=True)
        ]
        return Grams(cross, units, variance), mean


def moments(blocks: Iterable[Array | Sequence[Array]], place: object = None) -> Moments:
    """Moments of all ``blocks``, each checked as `shared_geometry.srm.inputs.networks` does.

    Raises
    ------
    InputError
        If there is no block, or one differs from the first in its networks, units or type.
    """
    found = Moments()
    for block in blocks:
        x = inputs.networks(block)
        found.add(x if place is None else [a.to(place) for a in x])
    if found.count == 0:
        raise InputError("there are no blocks of samples to fit")
    return found
