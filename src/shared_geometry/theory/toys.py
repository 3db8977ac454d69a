"""Small networks that solve XOR, trained together, and copies of them that are exact rotations."""

from typing import NamedTuple

import torch
from torch.func import functional_call, stack_module_state

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.errors import InputError
from shared_geometry.networks.architectures import ToyNet

CORNERS = ((2.0, 0.0), (0.0, 2.0), (2.0, 2.0), (0.0, 0.0))  # opposite corners share a class
TARGETS = (0.0, 0.0, 1.0, 1.0)
SPREAD = 0.3


class Toys(NamedTuple):
    """Hidden activity of trained toy networks, one a run, float64."""

    alignment: torch.Tensor  # (n_runs, n_units, n_examples), the points of training
    test: torch.Tensor  # (n_runs, n_units, n_examples), a fresh draw
    accuracy: torch.Tensor  # (n_runs,), on the fresh draw
    corner: torch.Tensor  # (n_examples,), index into CORNERS


def draw_points(points: int, generator: torch.Generator) -> torch.Tensor:
    """Four Gaussian clouds of ``points`` points each, one after the other: (4 * points, 2)."""
    centres = torch.tensor(CORNERS).repeat_interleave(points, 0)
    return centres + SPREAD * torch.randn(centres.shape, generator=generator)


def _untrained(n_units: int, generator: torch.Generator) -> ToyNet:
    """Toy network as the authors' PyTorch code begins: everything within 1/sqrt(inputs)."""
    network = ToyNet(n_units, generator=generator)
    for layer in (network.first, network.second):
        bound = layer.in_features**-0.5
        for values in (layer.weight, layer.bias):
            torch.nn.init.uniform_(values, -bound, bound, generator=generator)
    return network


def _fit(networks: list[ToyNet], x: torch.Tensor, y: torch.Tensor, steps: int) -> torch.Tensor:
    """Train all networks in place, each on its own points; returns their losses."""
    state, _ = stack_module_state(networks)

    def loss(weights: dict[str, torch.Tensor], points: torch.Tensor) -> torch.Tensor:
        return (functional_call(networks[0], weights, points)[:, 0] - y).square().mean()

    optimiser = torch.optim.Adam(state.values(), lr=3e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        losses = torch.vmap(loss)(state, x)
        losses.sum().backward()  # no weight is shared, so each network has its own gradient
        optimiser.step()
    for i, network in enumerate(networks):
        network.load_state_dict({name: weights[i].detach() for name, weights in state.items()})
    return losses.detach()


def train_toys(
    n_runs: int = 50, *, n_units: int = 50, points: int = 50, steps: int = 1000, seed: int = 0
) -> Toys:
    """Toy networks 2-``n_units``-1, trained on XOR by Adam (METHOD of Figure 2), all at once.

    Parameters
    ----------
    n_runs : int
        Networks, each with its own initial weights and its own points.
    n_units : int
        Hidden units, sigmoid.
    points : int
        Points of each of the four clouds.
    steps : int
        Full-batch steps.
    seed : int

    Returns
    -------
    Toys

    Raises
    ------
    InputError
        If a number is not positive.
    """
    for name, value in {
        "n_runs": n_runs,
        "n_units": n_units,
        "points": points,
        "steps": steps,
    }.items():
        if value < 1:
            raise InputError(f"{name}={value} is not allowed: at least 1")
    networks = [
        _untrained(n_units, torch_generator(seed, "toy", "weights", run)) for run in range(n_runs)
    ]
    x, fresh = (
        torch.stack(
            [draw_points(points, torch_generator(seed, "toy", use, run)) for run in range(n_runs)]
        )
        for use in ("training", "test")
    )
    y = torch.tensor(TARGETS).repeat_interleave(points)
    _fit(networks, x, y, steps)
    with torch.no_grad():
        alignment, test = (
            torch.stack([net.hidden(p).T for net, p in zip(networks, where, strict=True)])
            for where in (x, fresh)
        )
        outputs = torch.stack([net(p)[:, 0] for net, p in zip(networks, fresh, strict=True)])
    right = (outputs.round() == y).double().mean(1)
    corner = torch.arange(len(CORNERS)).repeat_interleave(points)
    return Toys(alignment.double(), test.double(), right, corner)


def rotations(n: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """``n`` orthogonal matrices drawn uniformly (by Haar's measure): (n, size, size).

    The QR factor of a Gaussian matrix, with the signs that make R's diagonal positive
    (Mezzadri 2007).
    """
    gaussian = torch.randn(n, size, size, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian)
    return q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]


def uneven_rotations(n: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """QR factors of ``n`` matrices with entries between 0 and 1, as in the authors' code.

    Their first columns are all alike, close to a constant vector.
    """
    return torch.linalg.qr(torch.rand(n, size, size, generator=generator, dtype=torch.float64))[0]


def permutations(n: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """``n`` permutation matrices drawn uniformly: (n, size, size)."""
    orders = torch.stack([torch.randperm(size, generator=generator) for _ in range(n)])
    return torch.eye(size, dtype=torch.float64)[orders]


class Copies(NamedTuple):
    """Copies of one network on two draws of points, (n_copies, n_units, n_examples) each."""

    alignment: torch.Tensor
    test: torch.Tensor
    q: torch.Tensor  # (n_copies, n_units, n_units)


def make_copies(
    toys: Toys, run: int, q: torch.Tensor, *, noise: float = 0.0, seed: int = 0
) -> Copies:
    """Copies Q_i H of one run's network, with noise of their own.

    Parameters
    ----------
    toys : Toys
    run : int
    q : Tensor of shape (n_copies, n_units, n_units)
        Orthogonal.
    noise : float
        Standard deviation of Gaussian noise on every unit of every copy, relative to that of a
        unit's activity over examples (root mean square over units).
    seed : int
    """
    alignment, test = q @ toys.alignment[run], q @ toys.test[run]
    if noise:
        spread = noise * toys.alignment[run].var(1).mean().sqrt()
        generator = torch_generator(seed, "noise", run, noise)
        for x in (alignment, test):
            x += spread * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return Copies(alignment, test, q)
