"""One network predicted from another, map by map: fitted on alignment images, judged on others."""

from typing import NamedTuple, Self

import torch

from shared_geometry.similarity import canonical, maps, shape
from shared_geometry.similarity.moments import Centred, PairMoments, as_centred, together

RIGID = ("rotation", "rotation and scale")
FEW = (*RIGID, "linear")
MEASURES = (
    *FEW,
    "permutation",
    "permutation and scale",
    "canonical",
    "canonical, directions alike",
)
LEAST = 0.05  # variance that a linear map must explain for a share of it to mean something


def centred(alignment: torch.Tensor, held_out: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in float64, each unit's mean over the alignment images taken off.

    Parameters
    ----------
    alignment, held_out : Tensor of shape (..., n_units, n_alignment), (..., n_units, n_images)

    Returns
    -------
    alignment, held_out : Tensor, float64
        Shaped as those given.
    """
    x, y = (activity.to(torch.float64, copy=True) for activity in (alignment, held_out))
    mean = x.mean(-1, keepdim=True)
    return x.sub_(mean), y.sub_(mean)


class _Pair(NamedTuple):
    """Network X to be predicted from Y, and what a prediction of Y from X has in common with it."""

    fit: PairMoments
    unseen: PairMoments
    spectra: tuple[maps.Spectrum, maps.Spectrum]  # of Y and of X
    turn: torch.Tensor
    match: torch.Tensor | None = None
    variates: canonical.Variates | None = None

    def reversed(self) -> Self:
        """Y to be predicted from X: orthogonal maps turn round."""
        return type(self)(
            self.fit.reversed(),
            self.unseen.reversed(),
            self.spectra[::-1],
            self.turn.T,
            None if self.match is None else self.match.T,
            None if self.variates is None else self.variates.reversed(),
        )

    def explained(self) -> torch.Tensor:
        """What each map explains of X, in the order of `MEASURES`, or of `FEW`."""
        found = [
            self.turn,
            maps.scaled(self.turn, self.fit),
            maps.ridge(self.fit, self.spectra[0]),
        ]
        if self.match is not None:
            found += [
                self.match,
                maps.scaled(self.match, self.fit),
                canonical.through_variates(self.fit, self.variates),
            ]
        values = [maps.explained(m, self.unseen) for m in found]
        if self.variates is not None:
            values.append(canonical.agreement(self.variates, self.unseen))
        return torch.stack(values)


def explained_by_maps(
    alignment: torch.Tensor, held_out: torch.Tensor, *, few: bool = False
) -> torch.Tensor:
    """Held-out variance of every network that every other explains, map by map.

    Parameters
    ----------
    alignment, held_out : Tensor of shape (n_networks, n_units, n_alignment), (..., n_images)
    few : bool
        Only the maps `FEW`, which cost less than all.

    Returns
    -------
    Tensor of shape (n_measures, n_networks, n_networks), float64
        Entry (measure, target, source), in the order of `MEASURES`; NaN on the diagonals.
    """
    own, unseen = _prepared(alignment, held_out)
    spectra = [maps.spectrum(network.xx) for network in own]
    n, n_measures = len(own), len(FEW if few else MEASURES)
    found = torch.full((n_measures, n, n), torch.nan, dtype=torch.float64)
    for i in range(n):
        for j in range(i):
            fit, judge = together(own[i], own[j]), together(unseen[i], unseen[j])
            pair = _Pair(fit, judge, (spectra[j], spectra[i]), shape.rotation(fit.xy))
            if not few:
                variates = canonical.variates(fit, *pair.spectra)
                pair = pair._replace(match=shape.permutation(fit.xy), variates=variates)
            found[:, i, j], found[:, j, i] = pair.explained(), pair.reversed().explained()
    return found


def explained_by_rotations(alignment: torch.Tensor, held_out: torch.Tensor) -> torch.Tensor:
    """The first of what `explained_by_maps` tells, without fitting the others.

    Parameters
    ----------
    alignment, held_out : Tensor of shape (n_networks, n_units, n_alignment), (..., n_images)

    Returns
    -------
    Tensor of shape (n_networks, n_networks), float64
        Entry (target, source); NaN on the diagonal.
    """
    own, unseen = _prepared(alignment, held_out)
    found = torch.full((len(own), len(own)), torch.nan, dtype=torch.float64)
    for i, j in torch.tril_indices(len(own), len(own), -1).T.tolist():
        turn, judge = shape.rotation(together(own[i], own[j]).xy), together(unseen[i], unseen[j])
        found[i, j] = maps.explained(turn, judge)
        found[j, i] = maps.explained(turn.T, judge.reversed())
    return found


def _prepared(
    alignment: torch.Tensor, held_out: torch.Tensor
) -> tuple[list[Centred], list[Centred]]:
    """Every network on the alignment images, and on those held out."""
    x, y = centred(alignment, held_out)
    return [as_centred(network) for network in x], [as_centred(network) for network in y]


def within_and_between(explained: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What one half of a network explains of the other half, and halves of other networks.

    Parameters
    ----------
    explained : Tensor of shape (n_measures, 2 * n_networks, 2 * n_networks)
        From `explained_by_maps` of all first halves, followed by all second ones.

    Returns
    -------
    within : Tensor of shape (n_measures, n_networks)
    between : Tensor of shape (n_measures, n_networks, n_networks)
        (measure, target, source); NaN on the diagonals.
    """
    n = explained.shape[-1] // 2
    blocks = explained.reshape(-1, 2, n, 2, n)
    within = (blocks[:, 0, :, 1] + blocks[:, 1, :, 0]).diagonal(dim1=-2, dim2=-1) / 2
    between = blocks.mean((1, 3))  # on the diagonals are halves with themselves, which are NaN
    return within, between


def share(rigid: torch.Tensor, linear: torch.Tensor) -> torch.Tensor:
    """Part of what the linear map explains that a rigid one does, comparison by comparison.

    Parameters
    ----------
    rigid, linear : Tensor of equal shape
        Variance explained; NaN where there is no comparison.

    Returns
    -------
    Tensor of that shape
        NaN everywhere if the linear map once explains less than `LEAST`.
    """
    if linear[~linear.isnan()].min() < LEAST:
        return torch.full_like(linear, torch.nan)
    return rigid / linear
