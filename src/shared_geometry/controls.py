"""Controls of an analysis: populations that share less than the real one, measured alike."""

import torch

from shared_geometry.analysis import (
    Activity,
    Settings,
    fit,
    geometry,
    stacked,
    variance_explained,
)
from shared_geometry.randomness import torch_generator
from shared_geometry.rsa import compare_rsms, inter_rsms, lower_triangle, within_rsms

N_PERMUTATIONS = 99


def shuffled_control(activity: Activity, settings: Settings) -> dict[str, torch.Tensor]:
    """The same measures when each network saw the alignment images in an order of its own.

    Nothing is shared between such networks but the spectrum of their activity, so an alignment
    that explains held-out images here would be an artefact.

    Returns
    -------
    dict of str to Tensor
        ``control_geometry`` (space, bound) and ``control_variance`` (4, n_networks).
    """
    n, _, m = activity.alignment.shape
    orders = [
        torch.randperm(m, generator=torch_generator(settings.seed, "shuffle", i)) for i in range(n)
    ]
    shuffled = torch.stack(
        [x[:, order] for x, order in zip(activity.alignment, orders, strict=True)]
    )
    model = fit(shuffled, settings)
    x = activity.held_out - stacked(model.mean_)[..., None]
    shared = stacked(model.w_).mT @ x
    within = lower_triangle(within_rsms(x))
    between = {
        "native": lower_triangle(inter_rsms(x)),
        "shared": lower_triangle(inter_rsms(shared)),
    }
    return {
        "control_geometry": geometry(within, between, settings),
        "control_variance": variance_explained(model, shuffled, activity.held_out),
    }


def permuted_units(
    activity: Activity, settings: Settings, n_draws: int = N_PERMUTATIONS
) -> torch.Tensor:
    """corr(wRSM, iRSM) in native space when the units of each network stand in a random order.

    A unit's number means nothing, so the order in which networks come is one such draw.  Activity
    of few dimensions makes this correlation differ widely from draw to draw: native space has
    structure only if the real value stands out among them.

    Returns
    -------
    Tensor of shape (n_draws,), float64
        As the authors' code computes it, means kept.
    """
    x = activity.held_out
    n, units, _ = x.shape
    within = within_rsms(x).mean(0)
    found = []
    for draw in range(n_draws):
        generator = torch_generator(settings.seed, "units", draw)
        orders = torch.stack([torch.randperm(units, generator=generator) for _ in range(n)])
        turned = x.gather(1, orders[..., None].expand_as(x))
        found.append(compare_rsms(within, inter_rsms(turned).mean(0)))
    return torch.tensor(found, dtype=torch.float64)


def controls(activity: Activity, settings: Settings) -> dict[str, torch.Tensor]:
    """Entries of `shuffled_control`, and ``control_native`` of `permuted_units`."""
    return {
        **shuffled_control(activity, settings),
        "control_native": permuted_units(activity, settings),
    }
