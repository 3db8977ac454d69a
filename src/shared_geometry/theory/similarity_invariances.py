"""What each measure does not see: changes of one network that leave it as it is, measured."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

from shared_geometry.basics.markdown import table
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.basics.wording import number, power_of_ten
from shared_geometry.similarity.comparison import MEASURES, compare, network
from shared_geometry.theory.identities import related
from shared_geometry.theory.toys import permutations, rotations

SEEN = 1e-9  # a measure that moves by less does not see the change
_UNITS, _IMAGES = 20, 120

Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def _linear(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """An invertible map that stretches some directions by up to three times as much as others."""
    (u, v), stretch = rotations(2, len(x), generator), torch.linspace(0.5, 1.5, len(x)).double()
    return u.double() @ (stretch[:, None] * (v.double() @ x))


CHANGES: Mapping[str, Change] = {
    "order of units": lambda x, g: permutations(1, len(x), g)[0].to(x) @ x,
    "rotation": lambda x, g: rotations(1, len(x), g)[0].to(x) @ x,
    "scale": lambda x, g: 3.0 * x,
    "constant added to units": lambda x, g: x + torch.randn(len(x), 1, generator=g, dtype=x.dtype),
    "invertible linear map": _linear,
}


class Moved(NamedTuple):
    """How far each measure moves when one of two networks is changed."""

    value: dict[str, float]  # measure -> its value before
    by: dict[str, dict[str, float]]  # change -> measure -> largest absolute difference


def invariances(seed: int, draws: int = 3) -> Moved:
    """Measure pairs of random networks before and after each change of the second one.

    Maps are fitted and measured on the same images.  The largest difference of all draws counts.
    """
    values: list[dict[str, float]] = []
    by = {change: dict.fromkeys(MEASURES, 0.0) for change in CHANGES}
    for draw in range(draws):
        x, y = related(torch_generator(seed, "invariance", draw), _UNITS, _IMAGES)
        first = network(x, x)
        values.append(compare(first, network(y, y)))
        for change, made in CHANGES.items():
            z = made(y, torch_generator(seed, "invariance", draw, change))
            for name, value in compare(first, network(z, z)).items():
                by[change][name] = max(by[change][name], abs(value - values[-1][name]))
    return Moved({name: values[0][name] for name in MEASURES}, by)


def invariance_table(moved: Moved) -> str:
    """A row a measure, a column a change: what it moved by, or that it did not; and how still."""
    rows = [
        [name, *("same" if by[name] < SEEN else number(by[name], 3) for by in moved.by.values())]
        for name in moved.value
    ]
    still = max(v for by in moved.by.values() for v in by.values() if v < SEEN)
    limit = power_of_ten(still) if still else "0"
    kept = f"How far each measure moves; *same*: by at most {limit}."
    return f"{table(['measure', *moved.by], rows)}\n\n{kept}"
