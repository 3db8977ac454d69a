"""Populations made by hand from pictures, for which the answer of a comparison is known."""

import numpy as np
import torch

from shared_geometry.theory.propositions import same_geometry

STRETCH = 1.0  # standard deviation of the logarithm of D's entries


def principal_response(images: torch.Tensor, dimensions: int) -> np.ndarray:
    """Pictures in their principal components: (dimensions, n_images), of variance 1 in all.

    Parameters
    ----------
    images : Tensor of shape (n_images, ...)
    dimensions : int
    """
    pixels = images.flatten(1).double().numpy().T
    _, s, vt = np.linalg.svd(pixels - pixels.mean(1, keepdims=True), full_matrices=False)
    response = s[:dimensions, None] * vt[:dimensions]
    return response / np.sqrt(np.mean(np.sum(response**2, 0)))


def _noisy(networks: list[np.ndarray], noise: float, rng: np.random.Generator) -> list[np.ndarray]:
    """With noise that has ``noise`` times the power of the activity."""
    return [x + np.sqrt(noise * np.mean(x**2)) * rng.normal(size=x.shape) for x in networks]


def three_kinds(
    images: torch.Tensor,
    n_networks: int,
    n_units: int,
    noise: float,
    rng: np.random.Generator,
    dimensions: int = 30,
) -> dict[str, list[np.ndarray]]:
    r"""Networks that see pictures :math:`S` through orthonormal bases :math:`W_i` of their own.

    Parameters
    ----------
    images : Tensor of shape (n_images, ...)
    n_networks, n_units : int
        Networks, and units of the first; each has a tenth more than the one before.
    noise : float
        Power of the noise on every unit, over that of the activity.
    rng : numpy.random.Generator
    dimensions : int
        Of S, no more than ``n_units``.

    Returns
    -------
    dict of str to list of ndarray of shape (n_units_i, n_images)
        ``unrelated``: :math:`W_i S` with the images in an order of each network's own;
        ``stretched``: :math:`W_i D_i S` with a positive diagonal :math:`D_i`; ``turned``:
        :math:`W_i S`.
    """
    s = principal_response(images, dimensions)
    units = [n_units + i * n_units // 10 for i in range(n_networks)]
    turned = [same_geometry(s, 1, n, rng)[0] for n in units]
    stretches = np.exp(STRETCH * rng.normal(size=(n_networks, dimensions, 1)))
    stretched = [same_geometry(d * s, 1, n, rng)[0] for d, n in zip(stretches, units, strict=True)]
    unrelated = [x[:, rng.permutation(x.shape[1])] for x in turned]
    kinds = {"unrelated": unrelated, "stretched": stretched, "turned": turned}
    return {kind: _noisy(networks, noise, rng) for kind, networks in kinds.items()}
