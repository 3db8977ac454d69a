"""Does a network's head work on another network's activity, once a rotation has aligned the two?

The layers of network A up to a cut, a map fitted on alignment images, and the layers of network B
behind the cut: accuracy on held-out images, for every layer and every pair of networks.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from shared_geometry.basics.arrays import Array
from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.wording import in_a_sentence, interval_text, layer_name
from shared_geometry.beyond.heads import swaps
from shared_geometry.beyond.heads.stitches import LEAST_IMAGES
from shared_geometry.beyond.heads.swaps import Layer
from shared_geometry.claims import judging
from shared_geometry.claims.catalogue import Claim
from shared_geometry.errors import InputError
from shared_geometry.experiment.analysis import BOUNDS
from shared_geometry.experiment.parts import Parts, along_layers
from shared_geometry.experiment.plan import Plan, alignment_images
from shared_geometry.experiment.population import Progress, network_at
from shared_geometry.statistics import PART, bootstrap_mean, bootstrap_pairs, bootstrap_shared

FORMAT = 2
USES = ("similarity/moments", "similarity/shape")  # that the answer hangs on

SIZES = (10, 30, 100, 300, 1000, 3000)  # alignment images that are tried, besides all
NEWCOMERS = 3  # networks that are left out of a fit, one at a time
ENOUGH = 0.05  # a loss of up to this part of (own accuracy - chance) counts as none
PLACES = ("in the fit", "newcomer")


def sizes(n_alignment: int) -> list[int]:
    """Numbers of alignment images that are tried, all of them last."""
    return [m for m in SIZES if m < n_alignment] + [n_alignment]


def loss(accuracy: Array, own: Array) -> Array:
    """Accuracy lost by a swap, of each pair: mean of A's own and B's own, minus that of the swap.

    Parameters
    ----------
    accuracy : array of shape (n_networks, n_networks)
        Row: whose layers; column: whose head.
    own : array of shape (n_networks,)

    Returns
    -------
    array of shape (n_networks, n_networks)
    """
    return (own[:, None] + own) / 2 - accuracy


def _ring(n: int) -> list[tuple[int, int]]:
    """Each network with the next."""
    return [(a, (a + 1) % n) for a in range(n)]


def _on_ring(matrix: Tensor) -> Tensor:
    """Pseudo-values of the networks, whose mean is that of the pairs on the ring.

    Each network is in two pairs, once with its layers and once with its head.
    """
    pairs = torch.stack([matrix[pair] for pair in _ring(len(matrix))])
    return pairs + pairs.roll(1) - pairs.mean()


def _matrices(layer: Layer) -> dict[str, Tensor]:
    """Accuracy of each pair by each way, with all alignment images: (n_networks, n_networks)."""
    pairs = list(product(range(len(layer.heads)), repeat=2))
    ways = {name: fit(layer) for name, fit in swaps.WAYS.items()}
    ways["none"] = swaps.no_way(layer)
    return {name: swaps.accuracies(layer, way, pairs) for name, way in ways.items()}


def _by_images(layer: Layer, final: dict[str, Tensor]) -> list[list[Tensor]]:
    """Accuracy of each network with the next's head, by way and number of alignment images."""
    tried, pairs = sizes(layer.fitted[0].shape[1]), _ring(len(layer.heads))
    kept = layer.maps[0].shape[1]  # a fit to channels takes no more images
    found = []
    for name, fit in swaps.WAYS.items():
        most = kept if name in swaps.BY_CHANNEL else tried[-1]
        matrices = [
            swaps.accuracies(layer, fit(layer, m), pairs) if m < most else final[name]
            for m in tried
        ]
        found.append([_on_ring(matrix) for matrix in matrices])
    return found


def _newcomers(layer: Layer, rotation: Tensor) -> Tensor:
    """Mean accuracy of a network through the others' heads: (place, newcomer)."""
    n, found = len(layer.heads), []
    for a in range(min(n, NEWCOMERS) if n > 2 else 0):
        others = [(a, b) for b in range(n) if b != a]
        new = swaps.accuracies(layer, swaps.newcomer(layer, a), others)
        found.append([torch.stack([m[p] for p in others]).mean() for m in (rotation, new)])
    # two networks make no fit when one is left out
    return torch.tensor(found, dtype=torch.float64).T if found else torch.full((2, 2), torch.nan)


def measure_layer(layer: Layer, how: dict[str, int]) -> xr.Dataset:
    """All that is found out about one layer; ``how`` holds the arguments of the bootstrap."""
    matrices = _matrices(layer)
    own = matrices["none"].diagonal().clone()
    by_images = _by_images(layer, matrices)
    newcomers = _newcomers(layer, matrices["rotation"])
    found = {
        "own": ("network", own),
        "own_interval": ("bound", bootstrap_mean(own, limits=PART, **how)),
        "accuracy": (("way", "lower", "head"), torch.stack(list(matrices.values()))),
        "accuracy_interval": (
            ("way", "bound"),
            [bootstrap_pairs(m, limits=PART, **how) for m in matrices.values()],
        ),
        "loss": (
            ("way", "bound"),
            [bootstrap_pairs(loss(m, own), limits=(-1, 1), **how) for m in matrices.values()],
        ),
        "by_images": (
            ("fitted_way", "images", "bound"),
            [[bootstrap_shared(v, limits=PART, **how) for v in row] for row in by_images],
        ),
        "newcomer": (("place", "newcomer_"), newcomers),
        "newcomer_interval": (
            ("place", "bound"),
            [bootstrap_mean(row, limits=PART, **how) for row in newcomers],
        ),
        "units": ((), float(layer.units)),
        "channels": ((), float(layer.channels)),
        "axes": ((), float(len(layer.fitted[0]))),
        "share": ((), float(np.mean(layer.share))),
        "kept_images": ((), float(layer.maps[0].shape[1])),
    }
    coords = {
        "way": list(matrices),
        "fitted_way": list(swaps.WAYS),
        "images": sizes(layer.fitted[0].shape[1]),
        "place": list(PLACES),
        "bound": list(BOUNDS),
    }
    return xr.Dataset({k: (dims, np.asarray(v)) for k, (dims, v) in found.items()}, coords)


def _part(it: Plan, heads: Sequence[nn.Module], label: str) -> xr.Dataset:
    """One layer, recorded and measured as the config wants it."""
    how = {"n_resamples": it.config.bootstrap, "seed": it.config.seed}
    return measure_layer(swaps.record_layer(it, heads, label), how)


def check(it: Plan) -> None:
    """Refuse alignment images so few that no penalty can be chosen.

    Raises
    ------
    InputError
    """
    if (images := alignment_images(it.config, it.data)) < LEAST_IMAGES:
        raise InputError(
            f"alignment_fraction={it.config.alignment_fraction:g} leaves {images} images to align: "
            f"too few to choose a penalty; at least {LEAST_IMAGES}"
        )


def measure(it: Plan, parts: Parts, progress: Progress) -> xr.Dataset:
    """Swap the heads of a trained population, layer by layer.

    Parameters
    ----------
    it : Plan
        Of networks that `population.train` has trained.
    parts : Parts
        What is finished.
    progress : callable
        Called as ``progress("heads", layers done, layers, layer)``.

    Returns
    -------
    xarray.Dataset
        For each layer: ``own`` (network), ``accuracy`` (way, lower, head) of whose layers with
        whose head, the diagonal through the map and back; ``accuracy_interval`` and ``loss`` (way,
        bound) over pairs; ``by_images`` (fitted_way, images, bound), each network with the next;
        ``newcomer`` (place, newcomer_) and its interval; ``units``, ``channels``, ``axes``,
        ``share`` (of the variance, in the axes), ``kept_images`` (for maps of channels).  And
        ``chance``, ``judged`` (held-out images).
    """
    device, n = resolve_device(it.config.device), it.config.networks
    heads = [network_at(it, i).to(device, memory_format=torch.channels_last) for i in range(n)]
    rows = []
    for done, label in enumerate(it.layers, start=1):
        rows.append(parts.made(f"layer-{label}", _part, it, heads, label))
        progress("heads", done, len(it.layers), layer_name(label))
    found = along_layers(it, rows)
    found["chance"] = 1 / len(it.data.class_names)
    found["judged"] = float(len(swaps.chosen_images(it)[1]))
    return found


def judge(found: xr.Dataset) -> judging.Found:
    """Whether a rotation loses no more than a part `ENOUGH` of what is better than chance."""
    rows, parts = [], []
    for label in found.layer.values:
        row = found.sel(layer=label)
        better = float(row.own.mean() - found.chance)
        values = row.loss.sel(way="rotation").values
        parts.append(judging.below(values, ENOUGH * better))
        rows.append((values[0], f"{in_a_sentence(label)} {interval_text(100 * values, 1)}"))
    rows.sort(key=lambda row: row[0])
    ends = rows[:1] if len(rows) == 1 else [rows[0], rows[-1]]
    better = 100 * float(found.own.mean() - found.chance)
    value = (
        f"{judging.counted(parts, 'layers')}; points lost, of {better:.1f} above chance: "
        + "; ".join(text for _, text in ends)
    )
    return judging.Found(judging.overall(parts), value)


CLAIM = Claim(
    "heads",
    "A rotation is enough to swap heads: one network's layers work with another's as with its own",
    "after Lenc and Vedaldi (2015)",
    f"in each layer, the accuracy lost is at most {100 * ENOUGH:g} % of own accuracy minus chance, "
    "up to the upper end of its 95 % interval",
    "heads-by-layer",
    judge,
)
