"""Do networks forget how they began, and how near to rotations of each other do they come?"""

from functools import partial

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.arrays import spread
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.basics.wording import interval_text, layer_name
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.centring import typical_change
from shared_geometry.claims.judging import NO_STRUCTURE, Found, below, counted, overall
from shared_geometry.experiment.analysis import BOUNDS, Activity, Settings, fit
from shared_geometry.experiment.parts import Parts, along_layers
from shared_geometry.experiment.plan import Plan, need_both_ends
from shared_geometry.experiment.population import Progress
from shared_geometry.experiment.shared_space import stacked
from shared_geometry.rsa import consistency, lower_triangle, within_rsms
from shared_geometry.statistics import bootstrap_excess
from shared_geometry.theory.stability import gap, misfit

FORMAT = 2
USES = ("theory/stability", "claims/centring")
IMAGES = 500  # held-out images that are compared, at most; evenly spaced over the classes


def compared(n_images: int) -> np.ndarray:
    """Indices of at most `IMAGES` images, evenly spaced: those of a class lie side by side."""
    return np.array(spread(n_images, IMAGES))


def halves(x: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Activity of two halves of the units, (n_networks, n_units // 2, n_images) each.

    A layer's units are a draw, the same at every checkpoint.  What an RSM owes to the draw must not
    count as what the network remembers, so what is compared comes from different units.
    """
    order = torch.randperm(x.shape[1], generator=generator)
    half = x.shape[1] // 2
    return x[:, order[:half]], x[:, order[half : 2 * half]]


def cross_correlations(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """Correlation of every network's RSM in one set with every network's in another.

    Parameters
    ----------
    a, b : Tensor of shape (n_networks, n_units, n_images)

    Returns
    -------
    ndarray of shape (n_networks, n_networks)
    """
    cells = torch.cat([lower_triangle(within_rsms(x)) for x in (a, b)])
    return consistency(cells)[: len(a), len(a) :].numpy()


def own_and_others(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of each network (row) with itself (column), and its mean with the others."""
    own = np.diag(r)
    return own, (r.sum(1) - own) / (len(r) - 1)


def memory(now: torch.Tensor, then: torch.Tensor, generator: torch.Generator) -> np.ndarray:
    """How like each network's geometry (row) is to each one's beginning (column).

    Parameters
    ----------
    now, then : Tensor of shape (n_networks, n_units, n_images)
        The same units and images.
    generator : torch.Generator
        Divides the units into halves.

    Returns
    -------
    ndarray of shape (n_networks, n_networks)
        Correlations of RSMs over different halves of the units.
    """
    n = len(now)
    a, b = halves(torch.cat([now, then]), generator)  # the same units now and then
    return (cross_correlations(a[:n], b[n:]) + cross_correlations(b[:n], a[n:])) / 2


def neighbours(x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Gap of the RSMs and misfit of the best rotation, of each network with the next: (n,)."""
    now = x.double().numpy()
    after = np.roll(now, -1, 0)
    return gap(now, after), misfit(now, after)


def moved(
    alignment: torch.Tensor, held_out: torch.Tensor, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """How far SRM's rotations move correlations, and how far random ones would.

    Returns
    -------
    found, expected : ndarray of shape (n_networks,)
        Root mean square change of a network's RSM; `centring.typical_change` of its cells.
    """
    w = stacked(fit(alignment, settings).w_)
    if w.shape[1] != w.shape[2]:  # a projection, no rotation
        return np.full(len(w), np.nan), np.full(len(w), np.nan)
    native, shared = (lower_triangle(within_rsms(x)).double() for x in (held_out, w.mT @ held_out))
    found = (shared - native).square().mean(1).sqrt().numpy()
    expected = typical_change(native.numpy(), held_out.shape[1])
    return found, np.sqrt(np.square(expected).mean(1))


def check(it: Plan) -> None:
    """Refuse a run in which networks are not looked at both untrained and trained.

    Raises
    ------
    InputError
    """
    need_both_ends(it.checkpoints, "the study asks what networks keep of their beginning")


def _chosen(activity: Activity) -> torch.Tensor:
    return activity.held_out[..., compared(activity.held_out.shape[2])]


def _memory(it: Plan, label: str, now: torch.Tensor, then: torch.Tensor) -> dict[str, tuple]:
    r = memory(now, then, torch_generator(it.config.seed, "halves", label))
    own, others = own_and_others(r)
    return {
        "likeness": (("network", "beginning"), r),
        "own": ("network", own),
        "others": ("network", others),
    }


def _nearness(x: torch.Tensor) -> dict[str, tuple]:
    gaps, misfits = neighbours(x)
    return {"gap": ("network", gaps), "misfit": ("network", misfits)}


def _at_first(it: Plan, label: str, activity: Activity) -> xr.Dataset:
    """What is asked of a layer before training, and ``start``, its activity."""
    x = _chosen(activity)
    start = {"start": (("network", "unit", "image"), x.numpy())}
    return xr.Dataset(_memory(it, label, x, x) | _nearness(x) | start)


def _on_the_way(
    it: Plan, start: dict[str, torch.Tensor], label: str, activity: Activity
) -> xr.Dataset:
    return xr.Dataset(_memory(it, label, _chosen(activity), start[label]))


def _at_the_end(
    it: Plan, start: dict[str, torch.Tensor], label: str, activity: Activity
) -> xr.Dataset:
    x = _chosen(activity)
    change, at_random = moved(activity.alignment, x, it.settings)
    centring = {"moved": ("network", change), "moved_random": ("network", at_random)}
    return xr.Dataset(_memory(it, label, x, start[label]) | _nearness(x) | centring)


def measure(it: Plan, parts: Parts, progress: Progress) -> xr.Dataset:
    """Memory of the beginning at every checkpoint; nearness and centring at both ends.

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
        ``likeness`` (layer, checkpoint, network, beginning), correlations of RSMs; ``own``,
        ``others`` and ``memory``, their difference, (layer, checkpoint, network), with
        ``memory_interval`` (layer, checkpoint, bound); ``gap`` and ``misfit`` (end, layer,
        network), of each network with the next; ``moved`` and ``moved_random`` (layer, network).
    """
    config, start, course = it.config, {}, []
    ask = {checkpoint: partial(_on_the_way, it, start) for checkpoint in it.checkpoints}
    ask[it.checkpoints[-1]] = partial(_at_the_end, it, start)
    ask[it.checkpoints[0]] = partial(_at_first, it)
    for done, checkpoint in enumerate(it.checkpoints, start=1):
        row = []
        for label, part in parts.each_layer(it, checkpoint, ask[checkpoint]):
            if done == 1:
                start[label] = torch.from_numpy(part.start.values)
            row.append(part.drop_vars("start", errors="ignore"))
        course.append(along_layers(it, row))
        progress("dynamics", done, len(it.checkpoints), f"epoch {checkpoint:g}")
    ends = xr.concat([row[["gap", "misfit"]] for row in (course[0], course[-1])], "end")
    found = xr.concat([row[["likeness", "own", "others"]] for row in course], "checkpoint")
    found = found.transpose("layer", "checkpoint", "network", "beginning")
    found["memory"] = found.own - found.others
    how = {"n_resamples": config.bootstrap, "seed": config.seed}
    found["memory_interval"] = (
        ("layer", "checkpoint", "bound"),
        [[bootstrap_excess(r, **how) for r in of_layer] for of_layer in found.likeness.values],
    )
    return xr.merge([found, ends, course[-1][["moved", "moved_random"]]]).assign_coords(
        checkpoint=list(it.checkpoints),
        bound=list(BOUNDS),
        end=["first checkpoint", "last checkpoint"],
    )


def forgets(found: xr.Dataset) -> Found:
    """Memory at the end, layer by layer."""
    last = found.memory_interval.isel(checkpoint=-1)
    rows = {layer_name(label): last.sel(layer=label).values for label in last.layer.values}
    parts = [below(row, NO_STRUCTURE) for row in rows.values()]
    shown = "; ".join(f"{name} {interval_text(row)}" for name, row in rows.items())
    return Found(overall(parts), f"{counted(parts, 'layers')}: {shown}")


CLAIM = Claim(
    "forgets",
    "Training makes a network forget how it began: at the end, its geometry is no nearer to its "
    "own beginning than to another network's",
    "the discussion; after Saxe et al. (2014)",
    "in each layer, the correlation of RSMs with its own beginning exceeds that with another's by "
    f"at most {NO_STRUCTURE} (95 % interval), on different halves of the units",
    "beginnings",
    forgets,
)
