r"""Deep linear networks, in closed form: what geometry their hidden layers have, and when.

A network is a tuple of weights :math:`W_1, \dots, W_L` and computes :math:`W = W_L \cdots W_1`.
Gradient flow keeps :math:`W_{l+1}^\top W_{l+1} - W_l W_l^\top` as it was.  Where that is zero (the
weights are *balanced*), the RSM of layer l is :math:`X^\top (W^\top W)^{l/L} X`: the function alone
fixes the geometry.  Weights are arrays (..., n_units_out, n_units_in).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from shared_geometry.errors import InputError

Weights = tuple[np.ndarray, ...]


def product(weights: Weights) -> np.ndarray:
    r"""The map that layers make one after another, :math:`W_l \cdots W_1`.

    Parameters
    ----------
    weights : sequence of array
        From the first layer on, at least one.

    Returns
    -------
    ndarray of shape (..., n_units_l, n_inputs)
    """
    whole = weights[0]
    for w in weights[1:]:
        whole = w @ whole
    return whole


def imbalance(weights: Weights) -> list[np.ndarray]:
    r""":math:`W_l W_l^\top - W_{l+1}^\top W_{l+1}` of each hidden layer (Du, Hu and Lee 2018).

    Parameters
    ----------
    weights : tuple of array

    Returns
    -------
    list of ndarray of shape (..., n_units_l, n_units_l)
        All zeros if the weights are balanced.
    """
    return [a @ a.mT - b.mT @ b for a, b in pairwise(weights)]


def geometry_of(function: np.ndarray, part: float) -> np.ndarray:
    r""":math:`(W^\top W)^{part}`, which makes the RSM of a balanced network's hidden layer.

    Parameters
    ----------
    function : ndarray of shape (..., n_outputs, n_inputs)
        W.
    part : float
        How deep the layer lies, l / L: above 0, the input, and up to 1, the output.

    Returns
    -------
    ndarray of shape (..., n_inputs, n_inputs)

    Raises
    ------
    InputError
        If ``part`` is out of range.
    """
    if not 0 < part <= 1:
        raise InputError(f"part={part} is not allowed: above 0 (the input), at most 1 (the output)")
    _, s, vt = np.linalg.svd(function, full_matrices=False)
    rounding = max(function.shape[-2:]) * np.finfo(s.dtype).eps * s[..., :1]
    s = np.where(s > rounding, s, 0)  # a root would make rounding visible
    return (vt.mT * s[..., None, :] ** (2 * part)) @ vt


def random_start(
    scale: float, n_networks: int, sizes: Sequence[int], rng: np.random.Generator
) -> Weights:
    r"""Independent Gaussian weights: activity begins with about ``scale`` times the input's length.

    Parameters
    ----------
    scale : float
        The standard deviation of a weight is ``scale`` over the square root of the hidden units.
    n_networks : int
    sizes : sequence of int
        Inputs, units of each hidden layer, outputs.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of ndarray of shape (n_networks, n_units_out, n_units_in)
    """
    pairs = pairwise(sizes)
    width = np.sqrt(max(sizes[1:-1]))
    return tuple(scale / width * rng.normal(size=(n_networks, out, into)) for into, out in pairs)


def balanced_start(
    scale: float, n_networks: int, sizes: Sequence[int], rng: np.random.Generator
) -> Weights:
    """Random weights of which neighbouring layers are balanced: random directions and strengths.

    Parameters
    ----------
    scale : float
        Root of the mean square of the singular values other than 0, to expect.
    n_networks, sizes, rng
        As in `random_start`.

    Returns
    -------
    tuple of ndarray of shape (n_networks, n_units_out, n_units_in)
        Of rank ``min(sizes)``.
    """
    rank = min(sizes)
    frames = [np.linalg.qr(rng.normal(size=(n_networks, n, rank)))[0] for n in sizes]
    roots = scale * np.sqrt(rng.uniform(0.2, 1.8, size=(n_networks, 1, rank)))
    return tuple((b * roots) @ a.mT for a, b in pairwise(frames))


def strength(t: np.ndarray, s: np.ndarray, start: np.ndarray) -> np.ndarray:
    r"""Strength of a mode, :math:`a(t) = s e^{2st} / (e^{2st} - 1 + s / a_0)` (Saxe et al. 2014).

    The solution of :math:`\dot a = 2 a (s - a)`.

    Parameters
    ----------
    t, s, start : array, broadcast against each other
        Time, singular value, and the strength at time 0, above 0.

    Returns
    -------
    ndarray
    """
    left = np.exp(-2 * s * np.asarray(t))
    return s / (1 - left + s / start * left)


def half_time(s: np.ndarray, start: np.ndarray) -> np.ndarray:
    r"""When a mode has half its final strength: :math:`\ln(s / a_0 - 1) / 2s`.

    Parameters
    ----------
    s, start : array, broadcast against each other
        Singular value, and the strength at time 0, between 0 and s.

    Returns
    -------
    ndarray
        Below 0 if the mode begins with more than half.
    """
    return np.log(s / start - 1) / (2 * s)


def start_strength(weights: Weights, target: np.ndarray) -> np.ndarray:
    r"""Strength with which each mode sets out from small weights that are not balanced.

    The part that grows is :math:`\frac12 (W_1 v + W_2^\top u)`, and the mode's strength is its
    squared length.

    Parameters
    ----------
    weights : tuple of two arrays
    target : ndarray of shape (n_outputs, n_inputs)
        Its singular vectors u, v are the modes.

    Returns
    -------
    ndarray of shape (..., n_modes)
    """
    u, _, vt = np.linalg.svd(target, full_matrices=False)
    first, second = weights
    return np.square((first @ vt.T + second.mT @ u) / 2).sum(-2)


def exact(weights: Weights, target: np.ndarray, times: Sequence[float]) -> list[np.ndarray]:
    r"""Gradient flow of a balanced two-layer network on white inputs, solved.

    With :math:`Q = (W_1, W_2^\top)^\top` the matrix :math:`M = Q Q^\top` obeys the Riccati equation
    :math:`\dot M = F M + M F - M^2`, where F holds the target and its transpose off the diagonal.
    Its solution is :math:`P (I + \int_0^t P^\top P)^{-1} P^\top`, :math:`P = e^{F t} Q_0` (compare
    Braun et al. 2022).

    Parameters
    ----------
    weights : tuple of two arrays of shape (n_units, n_inputs), (n_outputs, n_units)
        At time 0, balanced.
    target : ndarray of shape (n_outputs, n_inputs)
        Correlation of output with input, which the network comes to compute.
    times : sequence of float
        Rising, from 0 on.

    Returns
    -------
    list of ndarray of shape (n_inputs + n_outputs, n_inputs + n_outputs)
        M: at the upper left :math:`W_1^\top W_1`, at the lower left :math:`W_2 W_1`.

    Raises
    ------
    InputError
        If the weights are not balanced.
    """
    first, second = weights
    (left,) = imbalance(weights)
    if np.abs(left).max() > 1e-9 * max(np.abs(first @ first.T).max(), 1e-300):
        raise InputError("the weights are not balanced: W1 W1' differs from W2' W2")
    inputs = first.shape[1]
    f = np.zeros([sum(target.shape)] * 2)
    f[inputs:, :inputs], f[:inputs, inputs:] = target, target.T
    values, vectors = np.linalg.eigh(f)
    q, now, found = vectors.T @ np.concatenate([first.T, second]), 0.0, []
    for t in times:
        pieces = max(1, int(np.ceil(values[-1] * (t - now))))  # exact, but exponentials stay small
        for _ in range(pieces):
            q = _flow(q, values, (t - now) / pieces)
        now = t
        found.append(vectors @ (q @ q.T) @ vectors.T)
    return found


def _flow(q: np.ndarray, values: np.ndarray, t: float) -> np.ndarray:
    """A factor of M after time t, in the eigenvectors of F."""
    rate = np.where(values == 0, 1.0, 2 * values)
    grown = np.where(values == 0, t, np.expm1(rate * t) / rate)
    c, frame = np.linalg.eigh(np.eye(q.shape[1]) + (q.T * grown) @ q)
    return (np.exp(values * t)[:, None] * q) @ (frame / np.sqrt(c))
