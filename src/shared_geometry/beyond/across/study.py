r"""Do networks of different architectures share one space?

The paper ends with that question.  Beside the networks of a plan, others are trained: another
architecture, another stem, other widths, and the plan's architecture on other data; all are shown
the same images.  `layer_maps` compares every layer of one with every layer of another.
`common_space` asks, of the last hidden layers, what one space for all explains of a network, and
what the space of its own population explains.
"""

import json
from collections.abc import Sequence

import torch
import xarray as xr

from shared_geometry.basics.labelled import of_numbers
from shared_geometry.beyond.across import layer_maps
from shared_geometry.beyond.across.common_space import (
    exchanged,
    in_common,
    others_mean,
    part,
    shuffled,
)
from shared_geometry.beyond.across.layer_maps import MEASURES, depth_order, layer
from shared_geometry.beyond.across.partners import Population, Split, populations, recorded, train
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import Found, all_above
from shared_geometry.config import Config
from shared_geometry.experiment.analysis import BOUNDS
from shared_geometry.experiment.nulls import random_order
from shared_geometry.experiment.parts import Parts
from shared_geometry.experiment.plan import Plan
from shared_geometry.experiment.population import Progress
from shared_geometry.statistics import CORRELATION, SHARE, bootstrap_shared

FORMAT = 2
USES = ("similarity/maps", "similarity/moments", "similarity/shape")

AT_MOST = 5  # networks of a population
PAIRS = 3  # of networks that are compared layer by layer
NEARLY = 0.9  # part of what the own space explains that is nearly as much
SPACES = (
    "own",
    "common",  # as many networks as in the own one
    "common, all",
    "others",
    "common, shuffled",
    "others, shuffled",
)


def _intervals(values: torch.Tensor, config: Config, **limits: tuple) -> torch.Tensor:
    """Mean over the last axis, networks or pairs of them, with its bounds: (..., 3)."""
    rows = [
        list(bootstrap_shared(row, n_resamples=config.bootstrap, seed=config.seed, **limits))
        for row in values.reshape(-1, values.shape[-1])
    ]
    return torch.tensor(rows, dtype=torch.float64).reshape(*values.shape[:-1], 3)


def _last(population: Population, n: int, it: Plan, *, trained: bool = True) -> list[Split]:
    """The last hidden layer of the first n networks."""
    label = list(population.layers)[-1]
    return [recorded(population, i, it, [label], trained=trained)[label] for i in range(n)]


def _spaces(everyone: Sequence[Population], n: int, it: Plan) -> xr.Dataset:
    """The last hidden layers in the spaces of all populations, and in one space."""
    x = [_last(p, n, it) for p in everyone]
    k = min(min(networks[0].alignment.shape) for networks in x)
    takes_part = torch.tensor([p.same_data for p in everyone])
    kept = [networks for networks, p in zip(x, everyone, strict=True) if p.same_data]
    apart, fairly = shuffled(kept, it.config.seed), {"equally_many": True, "seed": it.config.seed}
    every = torch.ones(len(kept), dtype=torch.bool)
    exchange = exchanged(x, k)
    alone = others_mean(exchanged(apart, k), every)

    def spread(values: torch.Tensor) -> torch.Tensor:
        """A row for every population: NaN for those on other data."""
        rows = torch.full(exchange.shape[1:], torch.nan, dtype=torch.float64)
        rows[takes_part] = values
        return rows

    own = exchange.diagonal().T  # (n_populations, n_networks)
    blank = exchanged([_last(p, n, it, trained=False) for p in everyone if p.same_data], k)
    untrained = torch.stack([spread(blank.diagonal().T), spread(others_mean(blank, every))])
    values = torch.stack(
        [
            own,
            spread(in_common(kept, k, **fairly)),
            spread(in_common(kept, k)),
            others_mean(exchange, takes_part),
            spread(in_common(apart, k, **fairly)),
            spread(alone),
        ]
    )
    return of_numbers(
        {
            "exchange": ("made_by", "population", "network", exchange),
            "exchange_part": (
                "made_by",
                "population",
                "bound",
                _intervals(part(exchange, own), it.config),
            ),
            "explained": (
                "space",
                "population",
                "bound",
                _intervals(values, it.config, limits=SHARE),
            ),
            "part": ("space", "population", "bound", _intervals(part(values, own), it.config)),
            "untrained": ("before", "population", "bound", _intervals(untrained, it.config)),
            "drawn": ("population", [len(networks[0].alignment) for networks in x]),
            "k": (k,),
        },
        space=list(SPACES),
        before=["own", "others"],
        made_by=[p.name for p in everyone],
        population=[p.name for p in everyone],
        bound=list(BOUNDS),
    )


def _reordered(split: Split, seed: int, place: int, pair: int) -> Split:
    """The alignment images in a random order: nothing is left to be found in them."""
    order = random_order(split.alignment.shape[1], seed, "shuffle layer", place, pair)
    return Split(split.alignment[:, order], split.held_out)


def _pair(
    everyone: Sequence[Population], n: int, it: Plan, pair: int, progress: Progress
) -> xr.Dataset:
    """A network's layers against those of one network of each population."""
    own, deepest = everyone[0], max(len(p.layers) for p in everyone)
    shape = (len(MEASURES), len(everyone), len(own.layers), deepest)
    tables = torch.full(shape, torch.nan, dtype=torch.float64)
    order = torch.zeros(shape[:2], dtype=torch.float64)
    null = torch.zeros(len(everyone), dtype=torch.float64)
    first = [layer(split) for split in recorded(own, pair, it).values()]
    for place, other in enumerate(everyone):
        network = (pair + 1) % n if place == 0 else pair
        second = [layer(split) for split in recorded(other, network, it).values()]
        found = layer_maps.table(first, second)
        tables[:, place, :, : len(second)] = found
        order[:, place] = torch.tensor([depth_order(matches) for matches in found])
        deep = Split(second[-1].fit.x, second[-1].unseen.x)
        last = layer(_reordered(deep, it.config.seed, place, pair))
        null[place] = layer_maps.explained(first[-1], last)
        done = pair * len(everyone) + place + 1
        progress("across", done, min(n, PAIRS) * len(everyone), f"layers of {other.name}")
    return of_numbers(
        {
            "matched": ("measure", "population", "layer", "depth", tables),
            "order": ("measure", "population", order),
            "matched_null": ("population", null),
        }
    )


def _layers(
    everyone: Sequence[Population], n: int, it: Plan, parts: Parts, progress: Progress
) -> xr.Dataset:
    """Tables of layers, the plan's population against each; pairs share no network but with it."""
    pairs = [
        parts.made(f"pair-{pair}", _pair, everyone, n, it, pair, progress)
        for pair in range(min(n, PAIRS))
    ]
    dims = ("measure", "population", "pair", "layer", "depth")
    found = xr.concat(pairs, "pair").transpose(*dims)
    order = _intervals(torch.tensor(found.order.values), it.config, limits=CORRELATION)
    null = _intervals(torch.tensor(found.matched_null.values), it.config)
    return of_numbers(
        {
            "matched": (*dims, found.matched.values),
            "order": ("measure", "population", "bound", order),
            "matched_null": ("population", "bound", null),
        },
        measure=list(MEASURES),
        population=[p.name for p in everyone],
        layer=list(everyone[0].layers),
        bound=list(BOUNDS),
    )


def measure(it: Plan, parts: Parts, progress: Progress) -> xr.Dataset:
    """Train the plan's partners, and compare all populations on the images that none has seen.

    Parameters
    ----------
    it : Plan
        Of a trained population; the first `AT_MOST` networks are looked at.
    parts : Parts
        What is finished.
    progress : callable

    Returns
    -------
    xarray.Dataset
        ``matched`` (measure, population, pair, layer, depth), the plan's layers against those of
        every population, whose labels are in the attribute ``layers``; ``order`` (measure,
        population), `depth_order` of these; ``matched_null`` (population).  Of the last hidden
        layers, ``exchange`` (made_by, population, network), what one population's space explains
        of another's networks, and ``exchange_part``; ``explained`` and ``part`` (space,
        population), where `SPACES` are compared, and what they have of the own one's; NaN for
        populations that were trained on other data where they do not take part.  ``untrained``
        (before, population), explained by own and others' spaces before training.  ``accuracy``,
        ``drawn`` units and ``same_data`` of each population; ``k`` and ``networks``.

    Raises
    ------
    DataError
        If data that a partner is trained on are missing.
    """
    everyone, n = populations(it), min(AT_MOST, it.config.networks)
    accuracy = [train(p, it, n, progress) for p in everyone]
    spaces = parts.made("spaces", _spaces, everyone, n, it)
    found = _layers(everyone, n, it, parts, progress).merge(spaces)
    found["accuracy"] = ("population", "network"), torch.tensor(accuracy).double().numpy()
    found["same_data"] = "population", [float(p.same_data) for p in everyone]
    found["epochs"] = "population", [float(p.how.epochs) for p in everyone]
    found["networks"] = float(n)
    found.attrs["layers"] = json.dumps({p.name: list(p.layers) for p in everyone})
    return found


def judge(found: xr.Dataset) -> Found:
    """What the common space has of the own one's, architecture by architecture."""
    part = found["part"].sel(space="common")
    names = found.population.values[found.same_data.values > 0]
    rows = {str(name): part.sel(population=name).values for name in names}
    return all_above(rows, NEARLY, "architectures", "nothing to share")


CLAIM = Claim(
    "across",
    "Networks of different architectures share a space nearly as well as networks of one",
    "the discussion, future directions; after Huh et al. (2024)",
    "for each architecture, variance of a network that equally many others explain in the common "
    f"space, over that in its own space: 95 % interval above {NEARLY}",
    "across-spaces",
    judge,
)
