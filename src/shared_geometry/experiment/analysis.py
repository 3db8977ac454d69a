"""One layer at one checkpoint: align a population, compare it, say how sure we are.

Two readings run through every measure.  ``published`` is what the authors' code computes:
W is fitted on activity from which each unit's mean over the alignment images was subtracted, and
is then applied to held-out activity from which it was not (BrainIAK's issue 406).  ``corrected``
subtracts the same means from the held-out activity as well, in both spaces.
"""

from typing import NamedTuple

import torch

from shared_geometry.experiment.shared_space import (
    centred,
    responses_of_others,
    shared_between,
    stacked,
)
from shared_geometry.rsa import (
    Between,
    between,
    class_rsm,
    consistency,
    lower_triangle,
    within_rsms,
)
from shared_geometry.srm import SRM
from shared_geometry.srm.score import explained_power, part_of, power
from shared_geometry.statistics import (
    CORRELATION,
    SHARE,
    Interval,
    bootstrap_explained,
    bootstrap_pairs,
    correlation_of_means,
)

READINGS = ("published", "corrected")
SPACES = ("native", "shared")
KINDS = ("within, native", "between, native", "between, shared")
VARIANCE = ("published", "corrected", "left out", "native")
BOUNDS = ("estimate", "low", "high")
_LEAST_OF_TWO = (0.0, 0.0, -3.0, 0.0)  # each of `VARIANCE`, of two networks of equal power


class Settings(NamedTuple):
    """What an analysis needs to know besides the activity."""

    n_components: int | None  # k; None: the number of units
    centre: bool  # subtract each unit's alignment mean before fitting
    solver: str  # SRM backend
    n_resamples: int  # of a bootstrap interval
    seed: int
    # What cells of RSMs are to `analyse_layer` and `controls.controls`: correlations, or cosines.
    correlate: bool = True


class Activity(NamedTuple):
    """Activity of a population in one layer, units x images, and the classes of the held-out."""

    alignment: torch.Tensor  # (n_networks, n_units, n_alignment)
    held_out: torch.Tensor  # (n_networks, n_units, n_images), images sorted by class
    labels: torch.Tensor  # (n_images,)


def fit(alignment: torch.Tensor, settings: Settings) -> SRM:
    """SRM of the alignment activity ``(n_networks, n_units, n_alignment)`` (equation 1)."""
    model = SRM(settings.n_components, backend=settings.solver, center=settings.centre)
    return model.fit(list(alignment))


def explained_by_others(
    model: SRM, alignment: torch.Tensor, held_out: torch.Tensor
) -> torch.Tensor:
    """Variance of each network that the others' mean explains, its own W fitted to that mean.

    Parameters
    ----------
    model : SRM
        Fitted on ``alignment``.
    alignment, held_out : Tensor of shape (n_networks, n_units, n_alignment), (..., n_images)

    Returns
    -------
    Tensor of shape (n_networks,), float64
        NaN for a network whose held-out activity does not vary.
    """
    others, targets = (responses_of_others(model, x) for x in (alignment, held_out))
    explained = []
    for i, target in enumerate(targets):
        w = model.transform_network(alignment[i], shared=others[i])  # (n_units, k)
        x = held_out[i] - model.mean_[i][:, None]
        part = explained_power(w.T @ x, target)
        explained.append(part_of(part, power(x), power(held_out[i]), x.dtype))
    return torch.stack(explained)


def variance_explained(model: SRM, alignment: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
    """Variance of held-out activity that the shared response explains, four ways.

    Parameters
    ----------
    model : SRM
        Fitted on ``alignment``.
    alignment, held_out : Tensor of shape (n_networks, n_units, n_images)

    Returns
    -------
    Tensor of shape (4, n_networks)
        In the order of `VARIANCE`: as the authors' code computes it (held-out means kept, S over
        all networks); with means subtracted; with S the mean of the other networks (their bases
        from the common fit) and the network's own W fitted to that S; and without alignment
        (W = I). NaN for a network whose held-out activity does not vary.
    """
    w = stacked(model.w_)
    mean = stacked(model.mean_)[..., None]
    raw = w.mT @ held_out
    x = held_out - mean
    shared = w.mT @ x
    total, whole = power(x), power(held_out)
    spread = power(held_out - held_out.mean((-2, -1), keepdim=True))
    residual = whole - explained_power(raw, raw.mean(0))
    return torch.stack(
        [
            1 - part_of(residual, spread, whole, x.dtype),
            part_of(explained_power(shared, shared.mean(0)), total, whole, x.dtype),
            explained_by_others(model, alignment, held_out),
            part_of(explained_power(x, x.mean(0)), total, whole, x.dtype),
        ]
    )


def class_patterns(activity: torch.Tensor, labels: torch.Tensor, n_axes: int = 3) -> torch.Tensor:
    """Mean pattern of each class in each network, on the principal axes they have in common.

    Parameters
    ----------
    activity : Tensor of shape (n_networks, n_units, n_images)
    labels : Tensor of shape (n_images,)
    n_axes : int
        Principal axes of the patterns of all networks taken together.

    Returns
    -------
    Tensor of shape (n_networks, n_classes, n_axes)
        Each axis points to where its largest coordinate is positive.
    """
    classes = labels.unique()
    means = torch.stack([activity[..., labels == c].mean(-1) for c in classes], 1)
    means = means.cpu()  # small, and no GPU is quick at what follows
    points = means.flatten(0, 1)  # (n_networks * n_classes, n_units)
    points = points - points.mean(0)
    u, s, _ = torch.linalg.svd(points, full_matrices=False)
    scores = torch.nn.functional.pad((u * s)[:, :n_axes], (0, max(0, n_axes - len(s))))
    peak = scores.gather(0, scores.abs().argmax(0, keepdim=True))
    scores = scores * torch.where(peak < 0, -1.0, 1.0)
    return scores.reshape(*means.shape[:2], n_axes)


def _interval(interval: Interval) -> torch.Tensor:
    return torch.tensor([float(bound) for bound in interval], dtype=torch.float64)


def geometry(within: torch.Tensor, between: Between) -> torch.Tensor:
    """corr(wRSM, iRSM) of the averages, with its interval over networks: (3,).

    Parameters
    ----------
    within : Tensor of shape (n_networks, n_pairs)
        Lower triangles of the networks' own RSMs.
    between : Between
    """
    return _interval(correlation_of_means(within, lower_triangle(between.mean), between.without))


def compare(
    native: torch.Tensor,
    w: torch.Tensor,
    labels: torch.Tensor,
    images: torch.Tensor,
    final: torch.Tensor | None,
    settings: Settings,
) -> dict[str, torch.Tensor]:
    """RSMs of a population in native and shared space, and the measures of Figure 3's rows.

    Parameters
    ----------
    native : Tensor of shape (n_networks, n_units, n_images)
        Held-out activity before alignment.
    w : Tensor of shape (n_networks, n_units, k)
        Bases that align it.
    labels : Tensor of shape (n_images,)
    images : Tensor of shape (n_shown,)
        Images whose RSM cells are kept.
    final : Tensor of shape (n_networks, n_pairs), optional
        Lower triangles of the networks' own RSMs at the last checkpoint; None: this is the last.
    settings : Settings

    Returns
    -------
    dict of str to Tensor
        ``within`` (n_networks, n_pairs); ``geometry_final`` and ``geometry_current``
        (space, bound); ``consistency_pairs`` (n, n); ``consistency`` (bound,); ``rsm_class``
        (kind, class, class); ``rsm_image`` (kind, image, image).
    """
    how = {"centre": settings.correlate}
    own = within_rsms(native, **how)
    within, mean = lower_triangle(own), own.mean(0)
    del own  # it is large
    spaces = between(native, **how), shared_between(w, native, **how)
    current = torch.stack([geometry(within, space) for space in spaces])
    means = dict(zip(KINDS, (mean, *(space.mean for space in spaces)), strict=True))
    pairs = consistency(within)
    sampling = {"n_resamples": settings.n_resamples, "seed": settings.seed}
    return {
        "within": within,
        "geometry_final": current
        if final is None
        else torch.stack([geometry(final, space) for space in spaces]),
        "geometry_current": current,
        "consistency_pairs": pairs,
        "consistency": _interval(bootstrap_pairs(pairs, limits=CORRELATION, **sampling)),
        "rsm_class": torch.stack([class_rsm(means[kind], labels) for kind in KINDS]),
        "rsm_image": torch.stack([means[kind][images][:, images] for kind in KINDS]),
    }


def share_intervals(shares: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Mean over networks of shares of variance, with intervals over networks.

    Two networks explain each other alike: how little their shares differ says nothing of other
    pairs.  So theirs are from the least to the most that is possible.

    Parameters
    ----------
    shares : Tensor of shape (n_measures, n_networks)
        The first of `VARIANCE`, in their order.
    settings : Settings

    Returns
    -------
    Tensor of shape (n_measures, 3)
        See `BOUNDS`.
    """
    how = {"n_resamples": settings.n_resamples, "seed": settings.seed}
    low, high = SHARE
    lows = _LEAST_OF_TWO if shares.shape[1] == 2 else [low] * len(shares)
    rows = [
        bootstrap_explained(row, limits=(least, high), **how)
        for row, least in zip(shares, lows, strict=False)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def analyse_layer(
    activity: Activity,
    images: torch.Tensor,
    final: torch.Tensor | None,
    settings: Settings,
) -> dict[str, torch.Tensor]:
    """All measures of one layer at one checkpoint.

    Parameters
    ----------
    activity : Activity
    images : Tensor of shape (n_shown,)
        Indices of the held-out images whose RSM cells are kept.
    final : Tensor of shape (2, n_networks, n_pairs), optional
        ``within`` of the last checkpoint, one row a reading; None where this is the last.
    settings : Settings

    Returns
    -------
    dict of str to Tensor
        The entries of `compare` with a leading axis of `READINGS`; ``variance`` (4, n_networks)
        with ``variance_interval`` (4, 3); ``patterns`` (space, network, class, 3); ``sweeps``;
        ``converged``.
    """
    model = fit(activity.alignment, settings)
    w, off = stacked(model.w_), centred(activity.held_out, stacked(model.mean_))
    images = images.to(activity.held_out.device)
    readings = []
    for index, reading in enumerate(READINGS):
        native = off if reading == "corrected" else activity.held_out
        reference = None if final is None else final[index]
        readings.append(compare(native, w, activity.labels, images, reference, settings))
    found = {name: torch.stack([r[name] for r in readings]) for name in readings[0]}
    variance = variance_explained(model, activity.alignment, activity.held_out)
    found |= {
        "variance": variance,
        "variance_interval": share_intervals(variance, settings),
        "patterns": torch.stack([class_patterns(x, activity.labels) for x in (off, w.mT @ off)]),
        "sweeps": torch.tensor(model.n_sweeps_),
        "converged": torch.tensor(model.converged_),
    }
    return found
