"""One seed, many named generators: every draw says what it is for, and none disturbs another."""

import hashlib

import numpy as np
import torch


def derive_seed(seed: int, *names: object) -> int:
    """Seed of the draw called ``names`` under ``seed``.

    Parameters
    ----------
    seed : int
        The one seed of a run.
    *names : object
        What the draw is for, for example ``"units", layer, network``; compared by ``repr``.

    Returns
    -------
    int
        In ``[0, 2**63)``; equal on every machine and in every process.
    """
    digest = hashlib.sha256(repr((int(seed), *names)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def numpy_generator(seed: int, *names: object) -> np.random.Generator:
    """NumPy generator of the draw called ``names`` (see `derive_seed`).

    Parameters
    ----------
    seed, *names
        As in `derive_seed`.

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.default_rng(derive_seed(seed, *names))


def torch_generator(seed: int, *names: object, device: str = "cpu") -> torch.Generator:
    """Torch generator on ``device`` of the draw called ``names`` (see `derive_seed`).

    Parameters
    ----------
    seed, *names
        As in `derive_seed`.
    device : str

    Returns
    -------
    torch.Generator
    """
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *names))
