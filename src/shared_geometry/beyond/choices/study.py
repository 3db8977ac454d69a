"""What Figure 3's numbers depend on: the analysis repeated, one choice at a time made otherwise.

The paper's text leaves some choices open, and its authors' code makes each in one way.  Here the
networks stay as they are.  Every layer is analysed as the config says, and again with one thing
changed; the change of a network's variance explained is paired, for it is the same network.  How
evenly a layer's channels carry its variance tells where units' means and scales matter most.
"""

import torch
import xarray as xr

from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.wording import interval_text, layer_name
from shared_geometry.beyond.choices.alternatives import (
    BASELINE,
    CHOICES,
    Case,
    as_configured,
    record_draws,
)
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import CLOSE, Found, counted, overall, within
from shared_geometry.errors import InputError
from shared_geometry.experiment.analysis import (
    BOUNDS,
    READINGS,
    SPACES,
    VARIANCE,
    Activity,
    analyse_layer,
)
from shared_geometry.experiment.parts import Parts, along_layers
from shared_geometry.experiment.plan import Plan
from shared_geometry.experiment.population import Progress
from shared_geometry.experiment.steps import shown_images
from shared_geometry.srm import reference
from shared_geometry.statistics import bootstrap_explained, bootstrap_mean

FORMAT = 3

MEASURES = ("variance", "variance, others only", "corr(wRSM, iRSM)", "consistency")
_SHOWN = 2  # images of a class whose RSM cells are worked out, and thrown away


def channel_shares(x: torch.Tensor, channel: torch.Tensor, n_channels: int) -> torch.Tensor:
    """Part of a layer's variance over images that lies in each channel, (n_networks, n_channels).

    Parameters
    ----------
    x : Tensor of shape (n_networks, n_units, n_images)
    channel : Tensor of shape (n_networks, n_units), int64
        Of each unit.
    n_channels : int
    """
    variance = x.double().var(-1, correction=0)
    held = variance.new_zeros(len(x), n_channels).scatter_add_(1, channel, variance)
    return held / held.sum(1, keepdim=True)


def _analysed(it: Plan, case: Case) -> dict[str, torch.Tensor]:
    """What `analyse_layer` finds."""
    labels = it.data.test.labels[case.held_out]
    device = resolve_device(it.config.device)
    parts = (case.x[..., case.alignment], case.x[..., case.held_out], labels)
    activity = Activity(*(part.to(device) for part in parts))
    images = shown_images(labels, _SHOWN * len(labels.unique()))
    return analyse_layer(activity, images, None, case.settings)


def _is_analysed_alike(case: Case, other: Case) -> bool:
    """Whether two cases differ in nothing, or in what is read from their analysis alone."""
    pairs = zip(case[:3], other[:3], strict=True)
    return case.settings == other.settings and all(torch.equal(a, b) for a, b in pairs)


def _read(case: Case, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The rows of `MEASURES`, and each network's variance."""
    reading = READINGS.index(case.reading)
    rows = (
        found["variance_interval"][VARIANCE.index(case.reading)],
        found["variance_interval"][VARIANCE.index("left out")],
        found["geometry_current"][reading, SPACES.index("shared")],
        found["consistency"][reading],
    )
    return {
        "value": torch.stack([row.cpu().double() for row in rows]),
        "variance": found["variance"][VARIANCE.index(case.reading)].cpu().double(),
    }


def check(it: Plan) -> None:
    """Refuse what one of the choices cannot do with: no BrainIAK, or means that it does not keep.

    Raises
    ------
    InputError
    """
    reference.require()
    if it.config.solver == "brainiak":
        raise InputError(
            "solver='brainiak' always subtracts the units' means, and one of the choices is to "
            "keep them; expected solver 'torch' or 'brainiak-det'"
        )
    if not it.config.centre:
        raise InputError(
            "centre=False keeps the units' means, and one of the choices is BrainIAK's SRM, which "
            "always subtracts them; expected centre=True: means kept are one of the choices"
        )


def _layer(it: Plan, layer: str, progress: Progress) -> xr.Dataset:
    """What `measure` finds out about one layer."""
    before, total = (n * len(CHOICES) for n in (list(it.layers).index(layer), len(it.layers)))
    how = {"n_resamples": it.config.bootstrap, "seed": it.config.seed}
    recorded = record_draws(it, layer)
    usual, found = as_configured(it, recorded), {}
    as_usual = _analysed(it, usual)
    for name, change in CHOICES.items():
        case = change(it, recorded, usual)
        alike = _is_analysed_alike(case, usual)
        found[name] = _read(case, as_usual if alike else _analysed(it, case))
        progress("choices", before + len(found), total, f"{layer_name(layer)}, {name}")
    base = found[BASELINE]["variance"]
    changes = [row["variance"] - base[: len(row["variance"])] for row in found.values()]
    shares = channel_shares(usual.x, recorded.channel, recorded.n_channels)
    values = torch.stack([row["value"] for row in found.values()])
    return xr.Dataset(
        {
            "channels": ((), recorded.n_channels),
            "largest": ("bound", list(bootstrap_mean(shares.amax(1), **how))),
            "effective": ("bound", list(bootstrap_mean(1 / shares.square().sum(1), **how))),
            "value": (("choice", "measure", "bound"), values.numpy()),
            "change": (("choice", "bound"), [bootstrap_explained(row, **how) for row in changes]),
        }
    )


def measure(it: Plan, parts: Parts, progress: Progress) -> xr.Dataset:
    """Figure 3's measures at the end of training, as configured and with one choice changed.

    Parameters
    ----------
    it : Plan
        Of a trained population.
    parts : Parts
        What is finished.
    progress : callable

    Returns
    -------
    xarray.Dataset
        ``value`` (layer, choice, measure, bound): `MEASURES` as the authors compute them, and
        with S the mean of the other networks; 95 % intervals over networks.  ``change`` (layer,
        choice, bound): of the first measure from `BASELINE`, paired network by network.  Of what
        is analysed as configured, ``channels`` (layer); ``largest`` (layer, bound), the part of
        the variance over images that lies in a network's largest channel; ``effective`` (layer,
        bound), the number of channels that would carry it evenly, one over the sum of the squares
        of `channel_shares`.
    """
    rows = [parts.made(f"layer-{layer}", _layer, it, layer, progress) for layer in it.layers]
    return along_layers(it, rows).assign_coords(
        choice=list(CHOICES), measure=list(MEASURES), bound=list(BOUNDS)
    )


def closeness(found: xr.Dataset) -> list[bool | None]:
    """Whether each change, by layer and choice, is within `CLOSE` of 0; None: it cannot be told."""
    changed = found.change.drop_sel(choice=BASELINE).transpose("layer", "choice", "bound")
    return [within(row, CLOSE) for of_layer in changed.values for row in of_layer]


def largest_change(found: xr.Dataset) -> xr.DataArray:
    """The change that is furthest from 0, (bound,), with its ``layer`` and ``choice``."""
    changed = found.change.drop_sel(choice=BASELINE).stack(part=("layer", "choice"))
    largest = changed.isel(part=int(abs(changed.sel(bound="estimate")).argmax("part")))
    layer, choice = largest.part.item()
    return largest.drop_vars(("part", "layer", "choice")).assign_coords(layer=layer, choice=choice)


def judge(found: xr.Dataset) -> Found:
    """Whether no choice moves the variance explained, in no layer, by more than `CLOSE`."""
    close, largest = closeness(found), largest_change(found)
    return Found(
        overall(close),
        f"{counted(close, 'choices in layers')}; the largest change "
        f"{interval_text(largest)} ({largest.choice.item()}, "
        f"{layer_name(largest.layer.item())})",
    )


CLAIM = Claim(
    "choices",
    "The variance explained does not depend on how activity is chosen, scaled and analysed",
    "Figure 3, middle; the authors' code",
    f"in each layer, by each choice: the 95 % interval of the change lies within ±{CLOSE}",
    "choices",
    judge,
)
