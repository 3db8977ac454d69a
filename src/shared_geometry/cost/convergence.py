"""How solvers of the shared response model approach their best, sweep by sweep."""

from typing import NamedTuple

import numpy as np
import torch

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.srm import fitting
from shared_geometry.srm.model import SRM
from shared_geometry.srm.products import inner

_REST, _PATIENCE = 1e-9, 1000  # part of the variance a sweep may still gain; sweeps at most


class Course(NamedTuple):
    """One solver from one start."""

    name: str
    explained: np.ndarray  # (n_sweeps,) part of the variance after each sweep


def decaying(
    networks: int, units: int, images: int, noise: float, generator: torch.Generator
) -> torch.Tensor:
    r"""Networks that share a response whose j-th dimension has standard deviation j^{-3/4}.

    Returns
    -------
    Tensor of shape (networks, units, images), float64
        Each turned by an orthogonal matrix of its own, after noise of its own was added:
        ``noise`` times as strong as the response in every dimension.
    """
    spectrum = torch.arange(1, units + 1, dtype=torch.float64)[:, None] ** -0.75

    def normal(columns: int) -> torch.Tensor:
        return torch.randn(units, columns, generator=generator, dtype=torch.float64)

    shared = spectrum * normal(images)
    return torch.stack(
        [
            torch.linalg.qr(normal(units))[0] @ (shared + noise * spectrum * normal(images))
            for _ in range(networks)
        ]
    )


def _ours(x: torch.Tensor, k: int, sweeps: int, start: list[torch.Tensor] | None) -> np.ndarray:
    model = SRM(k, tol=0, max_sweeps=sweeps, center=False).fit(x, w=start)
    return np.asarray(model.objective_)


def _brainiak(x: torch.Tensor, k: int, sweeps: int, kind: str) -> np.ndarray:
    from brainiak.funcalign import srm
    from threadpoolctl import threadpool_limits

    mean = fitting.means(list(x), centre=False)
    found = []
    with threadpool_limits(1, user_api="blas"):
        for count in range(1, sweeps + 1):
            model = getattr(srm, kind)(n_iter=count, features=k, rand_seed=0)
            w = [torch.from_numpy(b) for b in model.fit([a.numpy() for a in x]).w_]
            s = fitting.shared_response(list(x), mean, w)
            found.append(float(inner(x, x).sum() - len(x) * inner(s, s)))
    return np.asarray(found)


def _random_starts(x: torch.Tensor, k: int, starts: int, seed: int) -> list[list[torch.Tensor]]:
    """Random orthonormal bases, for every start one a network."""

    def basis(r: int, i: int) -> torch.Tensor:
        generator = torch_generator(seed, "start", r, i)
        return torch.linalg.qr(torch.randn(x.shape[1], k, dtype=x.dtype, generator=generator))[0]

    return [[basis(r, i) for i in range(len(x))] for r in range(starts)]


def ends(x: torch.Tensor, k: int, starts: int, seed: int) -> np.ndarray:
    """Part of the variance that our solver explains where it comes to rest, from random starts.

    Parameters
    ----------
    x : Tensor of shape (n_networks, n_units, n_samples), float64
        Taken as it is, without subtracting means.
    k, starts, seed : int
        As in `courses`, whose random starts these are.

    Returns
    -------
    array of shape (starts,)
    """
    total = float(inner(x, x).sum())
    models = (
        SRM(k, tol=_REST, max_sweeps=_PATIENCE, center=False).fit(x, w=start)
        for start in _random_starts(x, k, starts, seed)
    )
    return np.asarray([1 - model.objective_[-1] / total for model in models])


def courses(x: torch.Tensor, k: int, sweeps: int, starts: int, seed: int) -> list[Course]:
    """Variance explained after each sweep: ours from its own and from random starts, BrainIAK's.

    Parameters
    ----------
    x : Tensor of shape (n_networks, n_units, n_samples), float64
        Taken as it is, without subtracting means.
    k : int
    sweeps : int
        Sweeps of ours, iterations of BrainIAK's.
    starts : int
        Random starts.
    seed : int

    Returns
    -------
    list of Course
        BrainIAK draws its random start from a seed of its own; the iterations that it needs to say
        anything are counted as they are.
    """
    total = float(inner(x, x).sum())
    random = _random_starts(x, k, starts, seed)
    runs = [("ours", _ours(x, k, sweeps, None))]
    runs += [(f"ours, random start {r + 1}", _ours(x, k, sweeps, w)) for r, w in enumerate(random)]
    runs += [(f"BrainIAK {kind}", _brainiak(x, k, sweeps, kind)) for kind in ("SRM", "DetSRM")]
    return [Course(name, 1 - objective / total) for name, objective in runs]
