"""Two networks by every measure at once, each fitted on alignment images, measured on others."""

from typing import NamedTuple

import torch

from shared_geometry.errors import InputError
from shared_geometry.rsa import compare_rsms, rsm
from shared_geometry.similarity.cca import (
    SVCCA_VARIANCE,
    canonical,
    leading,
    mean_correlation,
    weighted_correlation,
    whitening,
)
from shared_geometry.similarity.moments import (
    NEIGHBOURS,
    Centred,
    centred,
    debiased_cka,
    linear_cka,
    mutual_neighbours,
    together,
)
from shared_geometry.similarity.shape import cosine, explained, pair_geometry, permutation, rotation

PAPERS = ("corr(wRSM, iRSM)", "variance explained")  # for two networks
OF_RSMS = ("RSA, Pearson", "RSA, Spearman", "RSA, Kendall", "neighbours", "CKA", "CKA, debiased")
OF_MAPS = ("SVCCA", "PWCCA", "rotation", "permutation")
MEASURES = (*PAPERS, *OF_RSMS, *OF_MAPS)
FITTED = (*PAPERS, *OF_MAPS)  # those that find a map of units first
RANKED = 400  # images whose pairs are ranked: Kendall's coefficient takes long


class Network(NamedTuple):
    """One network, prepared once for all its pairs."""

    fit: Centred  # on the alignment images
    test: Centred  # on the images that it is measured on
    axes: torch.Tensor  # (n_units, r), whitening of ``fit``
    few: int  # of the axes, those that SVCCA keeps
    recorded: torch.Tensor  # (n_units, n_images), its means left in
    rsm: torch.Tensor  # (n_images, n_images)


def network(alignment: torch.Tensor, held_out: torch.Tensor) -> Network:
    """Prepare one network.

    Parameters
    ----------
    alignment, held_out : Tensor of shape (n_units, n_images)
        Images on which maps are fitted, and on which networks are compared.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If activity is not of that form, or holds NaN or infinite values.
    """
    fit = centred(alignment)
    axes, variance = whitening(fit.xx)
    few = leading(variance, SVCCA_VARIANCE)
    return Network(fit, centred(held_out), axes, few, held_out, rsm(held_out))


def reordered(it: Network, alignment: torch.Tensor, held_out: torch.Tensor) -> Network:
    """The network as if it had seen the images in another order, two permutations."""
    fit, test = (
        part._replace(x=part.x[:, order], power=part.power[order])
        for part, order in ((it.fit, alignment), (it.test, held_out))
    )
    return it._replace(
        fit=fit,
        test=test,
        recorded=it.recorded[:, held_out],
        rsm=it.rsm[held_out][:, held_out],
    )


def _of_rsms(a: Network, b: Network) -> dict[str, float]:
    every = -(-len(a.rsm) // RANKED)
    some = [n.rsm[::every, ::every] for n in (a, b)]
    m = together(a.test, b.test)
    values = (
        compare_rsms(a.rsm, b.rsm),
        compare_rsms(*some, "spearman"),
        compare_rsms(*some, "kendall"),
        mutual_neighbours(a.rsm, b.rsm, min(NEIGHBOURS, len(a.rsm) - 1)),
        linear_cka(m),
        debiased_cka(m),
    )
    return dict(zip(OF_RSMS, values, strict=True))


def of_maps(a: Network, b: Network) -> dict[str, float]:
    """The measures of `FITTED` for two networks with equal numbers of units."""
    fit, m = together(a.fit, b.fit), together(a.test, b.test)
    turn = rotation(fit.xy)
    few = canonical(fit.xy, a.axes[:, : a.few], b.axes[:, : b.few])
    all_axes = canonical(fit.xy, a.axes, b.axes)
    values = (
        pair_geometry(a.recorded, b.recorded, turn),
        explained(turn, m),
        mean_correlation(few, m),
        weighted_correlation(all_axes, fit, m),
        cosine(turn, m),
        cosine(permutation(fit.xy), m),
    )
    return dict(zip(FITTED, values, strict=True))


def compare(a: Network, b: Network) -> dict[str, float]:
    """All of `MEASURES` for two networks with equal numbers of units, in their order.

    The paper's two are taken with these two networks as the whole population, for which SRM is a
    rotation of one onto the other.  RSMs are Pearson correlations of images; ranks are taken over
    the pairs of at most `RANKED` images, evenly spaced.

    Parameters
    ----------
    a, b : Network
        From `network`, of the same images and equally many units.

    Returns
    -------
    dict of str to float

    Raises
    ------
    InputError
        If the networks differ in their number of units or of images, or fewer than 4 images are
        held out.
    """
    units = [len(n.recorded) for n in (a, b)]
    if units[0] != units[1]:
        raise InputError(f"networks of {units[0]} and {units[1]} units; expected equally many")
    found = _of_rsms(a, b) | of_maps(a, b)
    return {name: found[name] for name in MEASURES}
