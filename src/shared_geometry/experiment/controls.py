"""Controls of an analysis: populations that share less than the real one, measured alike."""

import torch

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.experiment.analysis import (
    Activity,
    Settings,
    fit,
    geometry,
    variance_explained,
)
from shared_geometry.experiment.nulls import random_order, shuffled
from shared_geometry.experiment.shared_space import (
    centred,
    over_units,
    responses_of_others,
    shared_between,
    stacked,
)
from shared_geometry.rsa import (
    between,
    correlation,
    inter_rsm,
    lower_triangle,
    rsm,
    within_rsms,
)
from shared_geometry.srm import SRM
from shared_geometry.srm.score import explained_power, power

N_PERMUTATIONS = 99


def shuffled_control(activity: Activity, settings: Settings) -> dict[str, torch.Tensor]:
    """The same measures when each network saw the alignment images in an order of its own.

    An alignment that explains held-out images of `nulls.shuffled` would be an artefact.

    Returns
    -------
    dict of str to Tensor
        ``control_geometry`` (space, bound) and ``control_variance`` (4, n_networks).
    """
    control = shuffled(activity, settings.seed)
    model = fit(control.alignment, settings)
    x = centred(control.held_out, stacked(model.mean_))
    how = {"centre": settings.correlate}
    within = lower_triangle(within_rsms(x, **how))
    spaces = between(x, **how), shared_between(stacked(model.w_), x, **how)
    return {
        "control_geometry": torch.stack([geometry(within, space) for space in spaces]),
        "control_variance": variance_explained(model, *control[:2]),
    }


def lone_shuffles(
    activity: Activity, model: SRM, seed: int, n_draws: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """How well the others predict each network, as it is and with its alignment images shuffled.

    One network at a time: the others keep their bases, and what they share is as strong as ever.

    Parameters
    ----------
    activity : Activity
    model : SRM
        Fitted on the alignment activity.
    seed : int
    n_draws : int

    Returns
    -------
    value : Tensor of shape (2, n_networks), float64
        Correlation of the network's RSM with that between it and the mean of the others, in the
        shared space; variance explained, as from `explained_by_others`.
    draws : Tensor of shape (2, n_networks, n_draws), float64
        The same with the images of that network in a random order.
    """
    others, targets = (responses_of_others(model, x) for x in activity[:2])
    found = []
    for i, (x, target) in enumerate(zip(activity.alignment, targets, strict=True)):
        y = centred(activity.held_out[i], model.mean_[i])
        own, columns = lower_triangle(rsm(y)), x.shape[1]
        orders = [random_order(columns, seed, "lone", i, draw) for draw in range(n_draws)]
        row = []
        for order in (torch.arange(columns), *orders):
            w = model.transform_network(x[:, order], shared=others[i])
            projected = w.mT @ y
            share = explained_power(projected, target) / power(y)
            between = rsm(*over_units(w, projected, target))
            geometry = correlation(own, lower_triangle(between))
            row.append((geometry.item(), share.item()))
        found.append(row)
    both = torch.tensor(found, dtype=torch.float64).permute(2, 0, 1)
    return both[..., 0], both[..., 1:]


def relabelled_channels(
    activity: Activity,
    settings: Settings,
    channels: torch.Tensor | None = None,
    n_draws: int = N_PERMUTATIONS,
) -> torch.Tensor:
    """corr(wRSM, iRSM) in native space when each network's channels are numbered anew, at random.

    A channel's number means nothing: initial weights are drawn alike for all channels, and training
    treats all alike.  So the order in which networks come is one such draw.  A place in a channel
    does mean something: it sees the same part of every image in all networks, and a channel's units
    are alike.  They stay together, and in their order; a dense layer's channels have one unit each.
    Activity of few dimensions makes this correlation differ widely from draw to draw: native space
    has structure only if the real value stands out among them.

    Parameters
    ----------
    activity : Activity
    settings : Settings
    channels : Tensor of shape (n_networks, n_units), int64, optional
        Channel of each unit, rising: units come in the order of channel and place, as those do that
        `draw_units` draws.  None: each unit is a channel of its own.
    n_draws : int

    Returns
    -------
    Tensor of shape (n_draws,), float64
        As the authors' code computes it, means kept.
    """
    x = activity.held_out
    n, units, _ = x.shape
    channels = torch.arange(units).expand(n, -1) if channels is None else channels
    present = [c.unique(return_inverse=True)[1] for c in channels]  # 0 to their number
    how = {"centre": settings.correlate}
    within = lower_triangle(within_rsms(x, **how).mean(0))
    found = []
    for draw in range(n_draws):
        generator = torch_generator(settings.seed, "units", draw)
        numbers = [torch.randperm(int(c.max()) + 1, generator=generator)[c] for c in present]
        orders = torch.stack(numbers).argsort(dim=1, stable=True)
        turned = x.gather(1, orders.to(x.device)[..., None].expand_as(x))
        found.append(correlation(within, lower_triangle(inter_rsm(turned, **how))).item())
    return torch.tensor(found, dtype=torch.float64)


def controls(
    activity: Activity, settings: Settings, channels: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    """Entries of `shuffled_control`, and ``control_native`` of `relabelled_channels`."""
    return {
        **shuffled_control(activity, settings),
        "control_native": relabelled_channels(activity, settings, channels),
    }
