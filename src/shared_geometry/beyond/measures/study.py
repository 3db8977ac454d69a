"""What other measures of similarity would have said of the same networks.

Every pair of networks in every layer, by the measures of `shared_geometry.similarity.comparison`,
at the end of training; some pairs at other checkpoints; and pairs that share less, by
`shared_geometry.beyond.measures.controls`.
"""

from collections.abc import Sequence
from functools import partial
from itertools import combinations, count

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.arrays import spread
from shared_geometry.basics.labelled import of_numbers
from shared_geometry.basics.wording import number
from shared_geometry.beyond.measures.controls import (
    CONDITIONS,
    ENDS,
    Labels,
    controlled,
    disjoint_pairs,
    on_the_same_images,
)
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import HIGH, Found, overall
from shared_geometry.datasets import split_alignment
from shared_geometry.experiment.analysis import (
    BOUNDS,
    VARIANCE,
    Activity,
    Settings,
    fit,
    geometry,
    share_intervals,
    variance_explained,
)
from shared_geometry.experiment.parts import Parts
from shared_geometry.experiment.plan import Plan
from shared_geometry.experiment.population import Progress
from shared_geometry.experiment.shared_space import shared_between, stacked
from shared_geometry.rsa import lower_triangle, within_rsms
from shared_geometry.similarity.comparison import (
    FITTED,
    MEASURES,
    PAPERS,
    Network,
    compare,
    network,
)
from shared_geometry.similarity.orders import agreement, reliability
from shared_geometry.statistics import CORRELATION, bootstrap_pairs

FORMAT = 2
USES = tuple(f"similarity/{name}" for name in ("moments", "cca", "orders", "shape", "comparison"))
MOST_PLACES = 36  # layers times checkpoints at which pairs are compared


def prepared(activity: Activity) -> list[Network]:
    """All networks of a layer, ready to be compared."""
    return [network(*x) for x in zip(activity.alignment, activity.held_out, strict=True)]


def of_pairs(nets: Sequence[Network], pairs: Sequence[tuple[int, int]]) -> torch.Tensor:
    """All measures of some pairs of networks: (n_measures, n_pairs)."""
    rows = [list(compare(nets[i], nets[j]).values()) for i, j in pairs]
    return torch.tensor(rows, dtype=torch.float64).T


def intervals(values: torch.Tensor, n: int, how: dict[str, int]) -> torch.Tensor:
    """Mean over all pairs of ``n`` networks with its interval over networks: (n_measures, 3)."""
    i, j = torch.combinations(torch.arange(n)).T
    found = torch.zeros(len(values), 3, dtype=torch.float64)
    for row, bounds in zip(values, found, strict=True):
        matrix = torch.zeros(n, n, dtype=torch.float64)
        matrix[i, j] = matrix[j, i] = row
        bounds[:] = torch.tensor(bootstrap_pairs(matrix, limits=CORRELATION, **how))
    return found


def whole(activity: Activity, settings: Settings) -> torch.Tensor:
    """The paper's two measures with all networks aligned together, others only: (2, 3)."""
    model = fit(activity.alignment, settings)
    between = shared_between(stacked(model.w_), activity.held_out)
    within = lower_triangle(within_rsms(activity.held_out))
    variance = variance_explained(model, activity.alignment, activity.held_out)
    return torch.stack(
        [
            geometry(within, between),
            share_intervals(variance, settings)[VARIANCE.index("left out")],
        ]
    )


def at_the_end(activity: Activity, labels: Labels, settings: Settings) -> dict[str, torch.Tensor]:
    """What is measured of one layer at the end of training."""
    n, seed = len(activity.held_out), settings.seed
    how = {"n_resamples": settings.n_resamples, "seed": seed}
    nets = prepared(activity)
    found = {
        "value": intervals(of_pairs(nets, list(combinations(range(n), 2))), n, how),
        "control": controlled(nets, labels, seed),
    }
    del nets  # they are large
    found["same_images"] = on_the_same_images(activity.held_out, labels.held_out, seed)
    found["whole"] = whole(activity, settings)
    return found


DIMS = {
    "value": ("measure", "bound"),
    "control": ("measure", "condition", "pair"),
    "same_images": ("fitted", "end", "pair"),
    "whole": ("papers", "bound"),
}


def _at_the_end(labels: Labels, settings: Settings, _: str, activity: Activity) -> xr.Dataset:
    """A layer at the end of training, and of it what is followed through training."""
    found = at_the_end(activity, labels, settings)
    variables = {name: (*dims, found[name]) for name, dims in DIMS.items()}
    return of_numbers(variables | {"course": ("measure", "pair", found["control"][:, 0])})


def _on_the_way(n_networks: int, _: str, activity: Activity) -> xr.Dataset:
    found = of_pairs(prepared(activity), disjoint_pairs(n_networks))
    return of_numbers({"course": ("measure", "pair", found)})


def measure(it: Plan, parts: Parts, progress: Progress) -> xr.Dataset:
    """Answer for the population of a plan, whose networks are trained.

    Parameters
    ----------
    it : Plan
    parts : Parts
        What is finished.
    progress : callable

    Returns
    -------
    xarray.Dataset
        At the end of training: ``value`` (layer, measure, bound), of all pairs; ``control`` (layer,
        measure, condition, pair) and ``same_images`` (layer, fitted, end, pair), of disjoint pairs
        (`controls`); ``whole`` (layer, papers, bound), of the population.  ``course``
        (checkpoint, layer, measure, pair), of disjoint pairs.
    """
    config, labels = it.config, it.data.test.labels
    images = split_alignment(labels, config.alignment_fraction, config.seed)
    classes = Labels(*(labels[part] for part in images))
    places = spread(len(it.checkpoints), max(2, MOST_PLACES // len(it.layers)))
    chosen, course = [it.checkpoints[place] for place in places], []
    end, way = partial(_at_the_end, classes, it.settings), partial(_on_the_way, config.networks)
    done, steps = count(1), len(chosen) * len(it.layers)

    def told(note: str) -> None:
        progress("measures", next(done), steps, note)

    for checkpoint in chosen:
        ask = end if checkpoint == chosen[-1] else way
        course.append(parts.of_layers(it, checkpoint, ask, told))
    followed = xr.concat([row.course for row in course], "checkpoint")
    coords = {
        "checkpoint": chosen,
        "measure": list(MEASURES),
        "fitted": list(FITTED),
        "papers": list(PAPERS),
        "condition": list(CONDITIONS),
        "end": list(ENDS),
        "bound": list(BOUNDS),
    }
    return course[-1].assign(course=followed).assign_coords(coords)


def others(found: xr.Dataset, along: str = "layers") -> xr.DataArray:
    """`agreement` of the measures that are not the paper's with its first one, rising."""
    table = agreement(found.course).sel(along=along, other=PAPERS[0], drop=True)
    ranks = table.drop_sel(measure=list(PAPERS))
    return ranks.sortby(ranks)


def judge(found: xr.Dataset) -> Found:
    """Order of the layers by each other measure, and by the paper's."""
    ranks = others(found)
    parts = [bool(value >= HIGH) for value in ranks.values]
    listed = "; ".join(f"{rank.measure.item()} {number(rank)}" for rank in ranks)
    value = f"{sum(parts)} of {len(parts)} measures: {listed}"
    own = float(reliability(found.course).sel(along="layers", measure=PAPERS[0]))
    if np.isfinite(own):
        value += f"; the paper's with itself on other networks: {number(own)}"
    return Found(overall(parts), value)


CLAIM = Claim(
    "measures",
    "Other measures of similarity order the layers as the paper's does",
    "after Kornblith et al. (2019), Klabunde et al. (2024)",
    "for each measure but the paper's two of aligned networks, Kendall's rank correlation with "
    "corr(wRSM, iRSM), "
    f"over pairs of layers at one checkpoint, is at least {HIGH}",
    "measures-agreement",
    judge,
)
