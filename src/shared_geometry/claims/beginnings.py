"""What is said of linear networks of several seeds, judged on networks that are trained for it."""

import numpy as np

from shared_geometry.basics.wording import number, power_of_ten
from shared_geometry.claims.catalogue import Claim
from shared_geometry.claims.judging import FAILS, HOLDS, IN_PART, NEAR, Found
from shared_geometry.theory.descent import tree_task
from shared_geometry.theory.development import SCALES, Setting, apart_by_scale, modes_over_time


def one_geometry(rng: np.random.Generator) -> Found:
    """Linear networks of several seeds from small random weights."""
    found = apart_by_scale(
        Setting(tree_task()), int(rng.integers(2**31)), scales=SCALES[:1], starts=["random"]
    )
    before, after = found.misfit.isel(start=0, scale=0, moment=[0, -1]).values
    outcome = HOLDS if after[2] <= NEAR < before[1] else FAILS
    value = f"misfit {number(before[0], 3)} before, {power_of_ten(after[0])} after training"
    return Found(outcome, value)


def one_order(rng: np.random.Generator) -> Found:
    """When each mode was half learnt in each network, and when theory says."""
    found = modes_over_time(int(rng.integers(2**31)))
    apart = np.diff(found.singular.values) < -1e-9  # modes of equal strength are learnt together
    in_order = (np.diff(found.half.values, axis=1) > 0)[:, apart]
    off = np.abs(found.half.values / found.half_predicted.values - 1).max()
    outcome = FAILS if not in_order.all() else HOLDS if off <= 0.1 else IN_PART
    value = f"in order in {int(in_order.all(1).sum())} of {len(in_order)} networks; times off by "
    return Found(outcome, value + f"{100 * off:.0f} % at most")


def imbalance_remains(rng: np.random.Generator) -> Found:
    """Large weights that are balanced, and such that are not."""
    found = apart_by_scale(Setting(tree_task()), int(rng.integers(2**31)), scales=[1.0], steps=4000)
    last = found.misfit.isel(scale=0, moment=-1)
    random, balanced = (last.sel(start=name).values for name in ("random", "balanced"))
    outcome = HOLDS if balanced[2] < 0.1 * random[1] else FAILS
    value = f"misfit {power_of_ten(balanced[0])} balanced, {power_of_ten(random[0])} random"
    return Found(outcome, value)


CLAIMS = (
    Claim(
        "one-geometry",
        "From small random weights, linear networks of all seeds end with one geometry",
        "the discussion; after Saxe et al. (2014)",
        f"weights of scale {SCALES[0]}: before training the misfit of a rotation is above "
        f"{NEAR}, after it below (95 % intervals)",
        "scales",
        one_geometry,
    ),
    Claim(
        "one-order",
        "They learn the same modes of the data in the same order, at the times that theory says",
        "the discussion; after Saxe et al. (2014)",
        "in every network a stronger mode is half learnt before a weaker one, and all times are "
        "predicted to 10 % (in part: the former alone)",
        "differentiation",
        one_order,
    ),
    Claim(
        "imbalance",
        "What linear networks keep of their beginnings is how unbalanced their weights were, not "
        "how large",
        "this chapter",
        "from weights of scale 1, balanced ones end with less than a tenth of the misfit of "
        "random ones (95 % intervals)",
        "scales",
        imbalance_remains,
    ),
)
