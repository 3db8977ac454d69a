r"""How many dimensions a shared space needs: variance explained as a function of k."""

from collections.abc import Sequence

import torch

from shared_geometry.errors import InputError
from shared_geometry.experiment.analysis import explained_by_others
from shared_geometry.similarity.maps import spectrum
from shared_geometry.similarity.prediction import centred
from shared_geometry.srm import SRM

ENOUGH = 0.95  # part of its best that a curve must reach


def sizes(largest: int) -> list[int]:
    """Powers of two up to ``largest``, and ``largest`` itself: 1, 2, 4, 8, 10."""
    if largest < 1:
        raise InputError(f"largest={largest} is not allowed: at least 1")
    return [*(2**i for i in range(largest.bit_length()) if 2**i < largest), largest]


def shared_variance(
    alignment: torch.Tensor, held_out: torch.Tensor, ks: Sequence[int]
) -> torch.Tensor:
    r"""Held-out variance of each network that the others explain through k shared dimensions.

    SRM with k components, fitted on the alignment images; network i is then predicted as
    :math:`W_i S_{-i}`, where :math:`S_{-i}` is the mean over the other networks of
    :math:`W_j^\top X_j`, and :math:`W_i` is fitted to it.

    Parameters
    ----------
    alignment, held_out : Tensor of shape (n_networks, n_units, n_alignment), (..., n_images)
    ks : sequence of int
        No larger than the units and the alignment images.

    Returns
    -------
    Tensor of shape (len(ks), n_networks), float64
    """
    models = (SRM(k).fit(list(alignment)) for k in ks)
    return torch.stack([explained_by_others(model, alignment, held_out) for model in models])


def own_variance(
    alignment: torch.Tensor, held_out: torch.Tensor, ks: Sequence[int]
) -> torch.Tensor:
    """Held-out variance of each network that its own first k principal axes hold.

    What k dimensions could explain of it at most if the networks shared everything, but for the
    sampling of the images that the axes come from.

    Parameters
    ----------
    alignment, held_out : Tensor of shape (n_networks, n_units, n_alignment), (..., n_images)
    ks : sequence of int
        No larger than the units.

    Returns
    -------
    Tensor of shape (len(ks), n_networks), float64
    """
    rows = []
    for x, y in zip(*centred(alignment, held_out), strict=True):
        axes = spectrum(x @ x.T).vectors.flip(1)  # the largest first
        held = (axes.T @ y).square().sum(1).cumsum(0)
        rows.append(held[[k - 1 for k in ks]] / held[-1])
    return torch.stack(rows, 1)


def reach(ks: Sequence[int], curve: Sequence[float], part: float = ENOUGH) -> float:
    """The k at which a curve first reaches ``part`` of its best value.

    Between two sizes the curve is taken to be straight over the logarithm of k.

    Parameters
    ----------
    ks : sequence of int
        Rising.
    curve : sequence of float
        Value at each k; NaN where there is none.
    part : float

    Returns
    -------
    float
        NaN where the best is not above 0: nothing is explained.

    Raises
    ------
    InputError
        If there are not as many values as sizes.
    """
    values = torch.as_tensor(curve, dtype=torch.float64)
    logs = torch.as_tensor(ks, dtype=torch.float64).log()
    if values.shape != logs.shape:
        raise InputError(f"{len(logs)} sizes and a curve of shape {tuple(values.shape)}")
    logs, values = logs[~values.isnan()], values[~values.isnan()]
    if not len(values) or values.max() <= 0:
        return float("nan")
    goal = part * values.max()
    first = int((values >= goal).nonzero()[0])
    if first == 0:
        return float(logs[0].exp())
    before, after = values[first - 1], values[first]
    step = (goal - before) / (after - before)
    return float((logs[first - 1] + step * (logs[first] - logs[first - 1])).exp())
