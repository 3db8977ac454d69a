"""What the shared response model may be asked for, and the sentence for what it may not."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from shared_geometry.basics.devices import resolve_device
from shared_geometry.errors import InputError

BACKENDS = ("torch", "brainiak", "brainiak-det")
_OF_TORCH = ("tol", "max_sweeps", "n_init", "random_state")
_LEAST = {"max_sweeps": 1, "n_init": 1, "random_state": 0}


def check(given: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
    """Refuse parameters of `SRM` that mean nothing, or that its backend would not heed.

    Parameters
    ----------
    given, usual : mapping of str to Any
        All arguments of its constructor by name, and their defaults.  ``n_components`` is checked
        against the activity (`inputs.components`).

    Raises
    ------
    InputError
        Names the first of them, and what was expected.
    """
    if (backend := given["backend"]) not in BACKENDS:
        raise InputError(f"backend={backend!r}; allowed are {', '.join(BACKENDS)}")
    if not isinstance(center := given["center"], bool | np.bool_):
        raise InputError(f"center={center!r}; expected True or False")
    if isinstance(tol := given["tol"], bool) or not isinstance(tol, Real) or not tol >= 0:
        raise InputError(f"tol={tol!r}; expected a number that is 0 or more")
    for name, least in _LEAST.items():
        value = given[name]
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise InputError(f"{name}={value!r}; expected an integer that is {least} or more")
    if given["device"] is not None:
        resolve_device(given["device"])
    if backend == "brainiak" and not center:
        raise InputError(
            "center=False with backend='brainiak': BrainIAK's probabilistic SRM always "
            "subtracts the units' means; expected backend 'torch' or 'brainiak-det'"
        )
    unheeded = [name for name in _OF_TORCH if given[name] != usual[name]]
    if backend != "torch" and unheeded:
        raise InputError(
            f"{unheeded[0]}={given[unheeded[0]]!r} with backend={backend!r}: BrainIAK makes 10 "
            "iterations from one start; expected backend 'torch'"
        )
