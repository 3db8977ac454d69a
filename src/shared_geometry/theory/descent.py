"""Gradient descent, plain and on all data at once, of many small networks side by side."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from shared_geometry.datasets import load_dataset
from shared_geometry.errors import InputError
from shared_geometry.theory.linear_networks import Weights, product

Gradient = Callable[[Weights], Weights]
ITEMS = ("canary", "robin", "salmon", "trout", "oak", "pine", "rose", "daisy")


class Task(NamedTuple):
    """What is to be learnt: outputs for inputs, and inputs on which hidden layers are compared."""

    x: np.ndarray  # (n_inputs, n_images)
    y: np.ndarray  # (n_outputs, n_images)
    unseen: np.ndarray  # (n_inputs, n_unseen)


def tree_task() -> Task:
    """Eight living things, an input each, and what is true of them (after Saxe et al. 2019).

    Every branching of a tree of kinds has an output that is 1 for what lies below it: things are
    plants or animals, animals are birds or fish, birds are canaries or robins.

    Returns
    -------
    Task
        x: (8, 8), y: (15, 8).
    """
    rows = [np.repeat(np.eye(2**level), 8 // 2**level, 1) for level in range(4)]
    return Task(np.eye(8), np.concatenate(rows), np.eye(8))


def digits_task(n_images: int = 150, n_unseen: int = 100) -> Task:
    """Handwritten digits of 8 x 8 pixels, and their classes, an output each.

    The mean of the images that are seen is taken off all; the largest singular value of the
    inputs is 1, and outputs are scaled by the root of the number of images.

    Parameters
    ----------
    n_images, n_unseen : int
        That are learnt, and on which hidden layers are compared.

    Returns
    -------
    Task
    """
    data = load_dataset("digits")

    def pixels(images) -> np.ndarray:
        return images[:, 0, ::2, ::2].flatten(1).double().numpy().T

    x, unseen = pixels(data.train.images[:n_images]), pixels(data.test.images[:n_unseen])
    mean = x.mean(1, keepdims=True)
    longest = np.linalg.norm(x - mean, 2)
    y = np.eye(len(data.class_names))[:, data.train.labels[:n_images]] / np.sqrt(n_images)
    return Task((x - mean) / longest, y, (unseen - mean) / longest)


def linear_gradient(task: Task) -> Gradient:
    r"""Gradient of :math:`\frac12 \lVert Y - W_L \cdots W_1 X \rVert_F^2`, by products of data.

    Parameters
    ----------
    task : Task

    Returns
    -------
    callable
        From weights to their gradient, shaped as they are.
    """
    xx, yx = task.x @ task.x.T, task.y @ task.x.T

    def gradient(weights: Weights) -> Weights:
        below = [product(weights[:layer]) for layer in range(1, len(weights))]
        error = product(weights) @ xx - yx
        found = []
        for layer in reversed(range(len(weights))):
            found.append(error @ below[layer - 1].mT if layer else error)
            error = weights[layer].mT @ error
        return tuple(reversed(found))

    return gradient


def rectified_gradient(task: Task) -> Gradient:
    """Gradient of the same loss for two layers with rectified units between them.

    Parameters
    ----------
    task : Task

    Returns
    -------
    callable
        From two weights to their gradient.
    """

    def gradient(weights: Weights) -> Weights:
        first, second = weights
        hidden = np.maximum(first @ task.x, 0)
        error = second @ hidden - task.y
        return ((second.mT @ error) * (hidden > 0)) @ task.x.T, error @ hidden.mT

    return gradient


def descend(
    weights: Weights, gradient: Gradient, rate: float, keep: Sequence[int]
) -> list[Weights]:
    """Weights after so many steps of gradient descent.

    Parameters
    ----------
    weights : tuple of array of shape (n_networks, n_units_out, n_units_in)
    gradient : callable
    rate : float
        Length of a step: time is steps times rate.
    keep : sequence of int
        Steps, rising, after which weights are kept; 0: as they began.

    Returns
    -------
    list of tuple of array
        One for each of ``keep``.

    Raises
    ------
    InputError
        If weights grow without bound: the steps are too long.
    """
    found, step = [], 0
    for wanted in keep:
        while step < wanted:
            weights = tuple(w - rate * g for w, g in zip(weights, gradient(weights), strict=True))
            step += 1
        if not all(np.isfinite(w).all() for w in weights):
            raise InputError(f"rate={rate:g} is too long a step: weights grow without bound")
        found.append(weights)
    return found


def activity(weights: Weights, x: np.ndarray, *, rectified: bool = False) -> np.ndarray:
    """Activity of the first hidden layer.

    Parameters
    ----------
    weights : tuple of array
    x : ndarray of shape (n_inputs, n_images)
    rectified : bool
        Whether what is below 0 becomes 0.

    Returns
    -------
    ndarray of shape (n_networks, n_units, n_images)
    """
    found = weights[0] @ x
    return np.maximum(found, 0) if rectified else found
