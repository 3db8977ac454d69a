"""Small networks of several seeds side by side: do their geometries come to agree, and when?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from shared_geometry.experiment.analysis import BOUNDS
from shared_geometry.rsa import rsm
from shared_geometry.statistics import bootstrap_pairs
from shared_geometry.theory.descent import (
    ITEMS,
    Gradient,
    Task,
    activity,
    descend,
    digits_task,
    linear_gradient,
    rectified_gradient,
    tree_task,
)
from shared_geometry.theory.linear_networks import (
    Weights,
    balanced_start,
    half_time,
    random_start,
    start_strength,
    strength,
)
from shared_geometry.theory.stability import misfit

SCALES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
STARTS = {"random": random_start, "balanced": balanced_start}


class Setting(NamedTuple):
    """What is learnt, by what kind of network."""

    task: Task
    rectified: bool = False

    def gradient(self) -> Gradient:
        """Gradient of the squared error."""
        return (rectified_gradient if self.rectified else linear_gradient)(self.task)

    def sizes(self, n_units: int) -> tuple[int, int, int]:
        """Inputs, hidden units, outputs."""
        return len(self.task.x), n_units, len(self.task.y)

    def strongest(self) -> float:
        """Final strength of the mode that is learnt first."""
        return float(np.linalg.norm(self.task.y @ self.task.x.T, 2))

    def rate(self, scale: float) -> float:
        """A step that is short for weights of this scale."""
        return 0.4 / (self.strongest() * (1 + 4 * scale**2))


def settings() -> dict[str, Setting]:
    """The three settings of the chapter, by name."""
    digits = digits_task()
    return {
        "eight living things, linear": Setting(tree_task()),
        "digits, linear": Setting(digits),
        "digits, rectified": Setting(digits, rectified=True),
    }


def misfits(x: np.ndarray) -> np.ndarray:
    """`stability.misfit` of every two networks.

    Parameters
    ----------
    x : ndarray of shape (n_networks, n_units, n_images)

    Returns
    -------
    ndarray of shape (n_networks, n_networks)
    """
    first, second = np.triu_indices(len(x), 1)
    found = np.zeros([len(x)] * 2)
    found[first, second] = found[second, first] = misfit(x[first], x[second])
    return found


def modes_over_time(
    seed: int = 0,
    *,
    n_networks: int = 8,
    n_units: int = 32,
    scale: float = 0.01,
    rate: float = 0.005,
    times: Sequence[float] = tuple(np.arange(0, 12.1, 0.5)),
) -> xr.Dataset:
    """Linear networks that learn the tree, mode by mode, and what was predicted of them.

    Returns
    -------
    xarray.Dataset
        ``strength`` and ``predicted`` (time, network, mode); ``misfit`` (time, bound), of
        pairs of networks; ``rsm`` (time, panel, item, item_), cosines in networks A and B and by
        theory; ``half`` and ``half_predicted`` (network, mode), when a mode is half learnt.
    """
    task = tree_task()
    target = task.y @ task.x.T
    _, s, vt = np.linalg.svd(target, full_matrices=False)
    rng = np.random.default_rng(seed)
    start = random_start(scale, n_networks, Setting(task).sizes(n_units), rng)
    kept = descend(start, linear_gradient(task), rate, [round(t / rate) for t in times])
    first = start_strength(start, target)  # (network, mode)
    found = np.stack([np.square(w[0] @ vt.T).sum(1) for w in kept])
    at = np.asarray(times)[:, None, None]
    predicted = strength(at, s, first)
    ours = [rsm(activity(w, task.x)[:2], centre=False) for w in kept]
    theory = [_cosines((vt.T * a.mean(0)) @ vt) for a in predicted]
    apart = [bootstrap_pairs(misfits(activity(w, task.x)), seed=seed) for w in kept]
    crossed = np.array(
        [
            [_crossing(times, a, s_) for a, s_ in zip(n, s, strict=True)]
            for n in found.transpose(1, 2, 0)
        ]
    )
    return xr.Dataset(
        {
            "strength": (("time", "network", "mode"), found),
            "predicted": (("time", "network", "mode"), predicted),
            "misfit": (("time", "bound"), np.array(apart)),
            "rsm": (
                ("time", "panel", "item", "item_"),
                np.stack([np.stack([*pair, t]) for pair, t in zip(ours, theory, strict=True)]),
            ),
            "half": (("network", "mode"), crossed),
            "half_predicted": (("network", "mode"), half_time(s, first)),
        },
        {
            "time": np.asarray(times),
            "singular": ("mode", s),
            "item": list(ITEMS),
            "item_": list(ITEMS),
            "panel": ["network A", "network B", "theory"],
            "bound": list(BOUNDS),
        },
    )


def _cosines(gram: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.diag(gram))
    return gram / np.outer(length, length)


def _crossing(times: Sequence[float], values: np.ndarray, final: float) -> float:
    """When a rising course passes half of ``final``, on the scale on which it is straight."""
    share = np.clip(values / final, 1e-12, 1 - 1e-12)
    return float(np.interp(0, np.log(share / (1 - share)), times))


def apart_by_scale(
    setting: Setting,
    seed: int = 0,
    *,
    scales: Sequence[float] = SCALES,
    n_networks: int = 6,
    n_units: int = 40,
    steps: int = 1000,
    moments: int = 20,
    starts: Sequence[str] = tuple(STARTS),
) -> xr.Dataset:
    """How unlike the geometries of several seeds are, by how large their weights began.

    Returns
    -------
    xarray.Dataset
        ``misfit`` (start, scale, moment, bound), of pairs of networks, on images that were not
        learnt; ``time`` (scale, moment), steps times their length; ``error`` (start, scale), what
        is left of the squared error at the end, over that of silent networks.
    """
    keep = np.unique(np.round(np.geomspace(1, steps, moments - 1)).astype(int))
    keep = np.concatenate([[0], keep])
    found = np.empty((len(starts), len(scales), len(keep), len(BOUNDS)))
    error = np.empty((len(starts), len(scales)))
    for i, name in enumerate(starts):
        for j, scale in enumerate(scales):
            rng = np.random.default_rng([seed, j])
            size = scale * np.sqrt(setting.strongest())
            weights = STARTS[name](size, n_networks, setting.sizes(n_units), rng)
            kept = descend(weights, setting.gradient(), setting.rate(scale), keep.tolist())
            for k, w in enumerate(kept):
                x = activity(w, setting.task.unseen, rectified=setting.rectified)
                found[i, j, k] = bootstrap_pairs(misfits(x), seed=seed)
            error[i, j] = _error(kept[-1], setting)
    rates = np.array([setting.rate(scale) for scale in scales])
    return xr.Dataset(
        {
            "misfit": (("start", "scale", "moment", "bound"), found),
            "time": (("scale", "moment"), rates[:, None] * keep),
            "error": (("start", "scale"), error),
        },
        {"start": list(starts), "scale": list(scales), "bound": list(BOUNDS)},
    )


def _error(weights: Weights, setting: Setting) -> float:
    task = setting.task
    left = weights[1] @ activity(weights, task.x, rectified=setting.rectified) - task.y
    return float(np.square(left).sum((1, 2)).mean() / np.square(task.y).sum())
