"""Between checked activity and an analysis: the split of the images, the units that are kept, k."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import pad

from shared_geometry.config import Parameters
from shared_geometry.datasets import split_alignment
from shared_geometry.errors import InputError
from shared_geometry.networks.activations import draw_units, standardise

MOST_UNITS = 1000  # of a layer, as in the paper
LEAST_HELD_OUT = 3  # images: fewer make too few pairs for a correlation


class Numbers(Parameters):
    """Parameters that may be NumPy's numbers, too."""

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


class Choices(Numbers):
    """What a comparison lets one choose; all but ``standardise`` as the fields of `Config`."""

    components: int | None = Field(None, ge=2)
    max_units: int = Field(MOST_UNITS, ge=2)
    standardise: bool = True
    alignment_fraction: float = Field(0.8, gt=0, lt=1)
    display_images: int = Field(100, ge=2, le=2000)
    bootstrap: int = Field(2000, ge=10, le=1_000_000)
    seed: int = Field(0, ge=0, lt=2**63)


def split(classes: Tensor, how: Choices) -> tuple[Tensor, Tensor]:
    """Alignment and held-out images, as `split_alignment` gives them.

    Raises
    ------
    InputError
        If one of the two parts is too small.
    """
    n_alignment = round(how.alignment_fraction * len(classes))
    n_held_out = len(classes) - n_alignment
    if n_alignment < 2 or n_held_out < LEAST_HELD_OUT:
        raise InputError(
            f"alignment_fraction={how.alignment_fraction:g} of {len(classes)} images leaves "
            f"{n_alignment} to align and {n_held_out} to measure; at least 2 and {LEAST_HELD_OUT} "
            "are needed, and hundreds to say something"
        )
    return split_alignment(classes, how.alignment_fraction, how.seed)


def components(how: Choices, units: Sequence[int], n_alignment: int) -> int:
    """k: the one chosen, or the largest that there can be.

    Raises
    ------
    InputError
        If more were chosen.
    """
    room = min(*units, n_alignment)
    if how.components is not None and how.components > room:
        raise InputError(
            f"components={how.components} is larger than the units of a network or the alignment "
            f"images: {min(units)} units, {n_alignment} images; at most {room} are possible"
        )
    return how.components or room


class Prepared(NamedTuple):
    """The networks of one layer, ready to be compared."""

    x: Tensor  # (n_networks, n_units, n_images), smaller networks followed by rows of zeros
    units: list[Tensor]  # of each network the rows that were kept
    lengths: list[float | None]  # what each was divided by; None: its images were standardised


def population(networks: Sequence[Tensor], how: Choices, layer: str, alignment: Tensor) -> Prepared:
    """The networks of one layer as one array, prepared as ``how`` says.

    Parameters
    ----------
    networks : sequence of Tensor of shape (n_units_i, n_images)
    how : Choices
        Units that are kept of a larger network, drawn at random by `draw_units`, the seed of the
        draws, and whether each image's activity is standardised over units.
    layer : str
    alignment : Tensor of shape (n_alignment,)
        Images by which a network is measured that is not standardised.

    Returns
    -------
    Prepared
        Networks are equally long: in every image, or, not standardised, over all of them.
    """
    units = [draw_units(len(x), how.max_units, how.seed, i, layer) for i, x in enumerate(networks)]
    lengths = [None] * len(networks)
    if not how.standardise:
        pairs = zip(networks, units, strict=True)
        lengths = [_length(x[rows][:, alignment].double()) for x, rows in pairs]
    most = max(map(len, units))
    three = zip(networks, units, lengths, strict=True)
    return Prepared(torch.stack([prepared(*one, most) for one in three]), units, lengths)


def _length(x: Tensor) -> float:
    """Root mean square of the length of images' patterns, each unit's mean subtracted."""
    largest = x.abs().max().clamp(min=torch.finfo(x.dtype).tiny)
    varying = x / largest
    varying -= varying.mean(1, keepdim=True)
    return float(torch.linalg.vector_norm(varying) / x.shape[1] ** 0.5 * largest) or 1.0


def prepared(x: Tensor, rows: Tensor, length: float | None, most: int) -> Tensor:
    """One network as `population` has it: its rows ``rows``, and silent ones up to ``most``."""
    kept = x[rows]
    kept = standardise(kept) * (most / len(kept)) ** 0.5 if length is None else kept / length
    return pad(kept, (0, 0, 0, most - len(kept)))
