"""Identities that are checked on random matrices, and what happens where a condition is dropped."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import number, power_of_ten
from shared_geometry.theory.propositions import deviation

TOLERANCE = 1e-10  # an identity is true if it is off by no more
DROPPED = 1e-6  # a condition matters if without it the identity is off by at least this


class Identity(NamedTuple):
    """One identity, as Markdown, and the relative errors found."""

    statement: str
    condition: str
    error: float
    dropped: str
    then: float


def off(found: float | torch.Tensor, expected: float | torch.Tensor) -> float:
    """`propositions.deviation` of numbers or tensors."""
    return deviation(*(np.asarray(v, dtype=float) for v in (found, expected)))


def related(
    generator: torch.Generator, units: int = 8, images: int = 40
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two networks, (units, images) each, that share a part of their activity; with unit means."""

    def normal(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator, dtype=torch.float64)

    shared = torch.linspace(2, 0.5, units, dtype=torch.float64)[:, None] * normal(units, images)
    x, y = (normal(units, units) @ shared + 3 * normal(units, images) for _ in range(2))
    return x + 5 * normal(units, 1), y + 5 * normal(units, 1)


def identity_table(rows: Sequence[Identity]) -> str:
    """Identities as a Markdown table; stops if one is not true, or a condition does not matter.

    Raises
    ------
    ArithmeticError
        Names the identity.
    """
    lines = []
    for row in rows:
        if not row.error <= TOLERANCE or not row.then >= DROPPED:
            raise ArithmeticError(
                f"not as stated: {row.statement} (off by {row.error:g}; where {row.dropped}, by "
                f"{row.then:g})"
            )
        error = power_of_ten(row.error).replace(" ", "\u00a0") if row.error else "0"
        what = f"{row.statement} if {row.condition}"
        lines.append([what, error, row.dropped, number(row.then, 3)])
    return table(["identity", "off by", "condition dropped", "off by"], lines, "lrlr")
