"""One layer's analysis as configured, and with one choice made otherwise."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.datasets import mean_image, split_alignment
from shared_geometry.experiment.analysis import Settings
from shared_geometry.experiment.plan import Plan
from shared_geometry.experiment.population import network_at
from shared_geometry.networks.activations import draw_units, record_activations, standardise
from shared_geometry.networks.stitching import channels

BASELINE = "as published"


class Recorded(NamedTuple):
    """One layer of all networks, raw: units x images."""

    own: torch.Tensor  # (n_networks, n_units, n_images): units that each network drew
    other: torch.Tensor  # the same, of another draw
    same: torch.Tensor  # the same, of the first network's draw
    channel: torch.Tensor  # (n_networks, n_units): of each unit of `own`
    n_channels: int


class Case(NamedTuple):
    """What is analysed, and how."""

    x: torch.Tensor  # (n_networks, n_units, n_images), all unseen images
    alignment: torch.Tensor  # (n_alignment,), indices of images
    held_out: torch.Tensor  # (n_held_out,)
    settings: Settings
    reading: str = "published"


Change = Callable[[Plan, Recorded, Case], Case]


def _half(n: int, least: int, it: Plan, what: str) -> torch.Tensor:
    """Half of so many things, drawn at random, but at least so many; rising indices."""
    generator = torch_generator(it.config.seed, "choices", what)
    return torch.randperm(n, generator=generator)[: max(n // 2, min(n, least))].sort().values


def _scaled_units(_: Plan, recorded: Recorded, case: Case) -> Case:
    seen = recorded.own[..., case.alignment]
    mean, deviation = seen.mean(-1, keepdim=True), seen.std(-1, keepdim=True, correction=0)
    x = (recorded.own - mean) / deviation
    return case._replace(x=x.where(deviation > 0, 0.0))


def _half_units(it: Plan, recorded: Recorded, case: Case) -> Case:
    k = case.settings.n_components
    x = standardise(recorded.own[:, _half(recorded.own.shape[1], 2, it, "units")])
    return case._replace(
        x=x, settings=case.settings._replace(n_components=k and min(k, x.shape[1]))
    )


def _half_images(it: Plan, _: Recorded, case: Case) -> Case:
    kept = _half(len(case.alignment), case.x.shape[1], it, "images")
    return case._replace(alignment=case.alignment[kept])


def _other_images(it: Plan, _: Recorded, case: Case) -> Case:
    config = it.config
    parts = split_alignment(it.data.test.labels, config.alignment_fraction, config.seed + 1)
    return case._replace(alignment=parts[0], held_out=parts[1])


def fewer(n: int) -> int:
    """Eight networks in ten, but two at least."""
    return max(2, round(0.8 * n))


def _fewer_networks(_: Plan, __: Recorded, case: Case) -> Case:
    return case._replace(x=case.x[: fewer(len(case.x))])


CHOICES: dict[str, Change] = {
    BASELINE: lambda it, recorded, case: case,
    "after the ReLU": lambda it, r, case: case._replace(x=standardise(r.own.relu())),
    "not standardised": lambda it, r, case: case._replace(x=r.own),
    "units standardised": _scaled_units,
    "other units": lambda it, r, case: case._replace(x=standardise(r.other)),
    "same units": lambda it, r, case: case._replace(x=standardise(r.same)),
    "half the units": _half_units,
    "other images": _other_images,
    "half the images": _half_images,
    "fewer networks": _fewer_networks,
    "means subtracted": lambda it, r, case: case._replace(reading="corrected"),
    "means kept": lambda it, r, case: case._replace(settings=case.settings._replace(centre=False)),
    "BrainIAK's SRM": lambda it, r, case: case._replace(
        settings=case.settings._replace(solver="brainiak")
    ),
}


def _draws(it: Plan, layer: str, network: int) -> list[torch.Tensor]:
    """Units of one network, for the first three of `Recorded`."""
    size, config = it.sizes[layer], it.config
    seeds = ((config.seed, network), (config.seed + 1, network), (config.seed, 0))
    return [draw_units(size, config.max_units, seed, who, layer) for seed, who in seeds]


def record_draws(it: Plan, layer: str) -> Recorded:
    """One layer of all trained networks over all unseen images."""
    mean, found, own = mean_image(it.data.train.images), [], []
    for network in range(it.config.networks):
        draws = _draws(it, layer, network)
        union = torch.cat(draws).unique()
        module = network_at(it, network)
        (x,) = record_activations(
            module,
            it.data.test.images,
            {layer: it.layers[layer]},
            mean_image=mean,
            units={layer: union},
            device=resolve_device(it.config.device),
            name=f"network {network}",
        ).values()
        found.append([x[torch.searchsorted(union, units)] for units in draws])
        own.append(draws[0])
    n_channels = channels(module, layer)
    activity = (torch.stack(parts) for parts in zip(*found, strict=True))
    places = it.sizes[layer] // n_channels
    return Recorded(*activity, torch.stack(own) // places, n_channels)


def as_configured(it: Plan, recorded: Recorded) -> Case:
    """What the config says; `CHOICES` change one thing in it each."""
    config, labels = it.config, it.data.test.labels
    parts = split_alignment(labels, config.alignment_fraction, config.seed)
    return Case(standardise(recorded.own), *parts, it.settings)
