"""Shared representational geometry across neural networks: train, align, compare, show.

What is used most can be imported from here; it is loaded when it is first asked for.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "SRM",
    "Config",
    "compare",
    "compare_rsms",
    "consistency",
    "inter_rsms",
    "place",
    "record",
    "rsm",
    "run",
    "within_rsms",
]
_HOMES = {
    "config": ("Config",),
    "experiment": ("run",),
    "rsa": ("compare_rsms", "consistency", "inter_rsms", "rsm", "within_rsms"),
    "srm": ("SRM",),
    "yours": ("compare", "place", "record"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
