"""How a network is trained: every hyper-parameter by name, and the learning rate as a function."""

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from shared_geometry.errors import InputError
from shared_geometry.networks.architectures import ARCHITECTURES

RECIPES = ("fast", "paper")

# Log-spaced within the first epoch, where later work finds most of the alignment; then the paper's.
_FIRST_EPOCH = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
_PAPER_EPOCHS = {
    "convnet": (1, 2, 4, 6, 9, 14, 21, 32, 50),
    "resnet18": (1, 2, 3, 5, 8, 13, 22, 36, 60, 100),
}


@dataclass(frozen=True)
class Recipe:
    """Every hyper-parameter of training.

    Attributes
    ----------
    name : {"fast", "paper"}
        Where the values come from.
    epochs : int
    batch_size : int
    optimiser : {"rmsprop", "adam", "adamw"}
    learning_rate : float
        The first of ``plateau``, the highest of ``onecycle``.
    schedule : {"plateau", "onecycle"}
        ``plateau`` lowers the rate when the test loss has stopped falling; ``onecycle`` lets it
        rise from zero over the first steps and fall to zero over the rest, in straight lines.
    least_rate : float
        Below which ``plateau`` does not go, ``decay`` apart.
    factor : float
        By which ``plateau`` multiplies the rate.
    patience : int
        Epochs without a fall of the test loss by 1e-4, after which ``plateau`` lowers the rate.
    warm_up : float
        Part of all steps in which ``onecycle`` rises.
    decay : float
        The rate is divided by ``1 + decay * steps``.
    l2 : float
        ``l2 * ||w||^2`` of the convolutions' kernels is added to the loss.
    weight_decay : float
        Decoupled decay of all kernels and weights (AdamW).
    epsilon : float
        Added to the optimiser's denominator.
    shift : float
        Images are shifted by up to this part of their side, in x and in y, their border pixels
        repeated.
    whole_pixels : bool, optional
        Shift by whole pixels.  Shifted between pixels, images blur, which test images do not.
    flip : bool
        Half of the images are mirrored, in a data set whose images may be (`Dataset.mirrors`).
    norm_momentum : float
        Weight of a batch in BatchNorm's running statistics.
    drop_last : bool
        Leave out the last, smaller batch of an epoch.
    checkpoints : tuple of float
        Epochs after which a network is kept; 0 is the untrained one, fractions lie within an
        epoch.
    """

    name: str
    epochs: int
    batch_size: int
    optimiser: str
    learning_rate: float
    schedule: str
    checkpoints: tuple[float, ...]
    least_rate: float = 0.0
    factor: float = math.sqrt(0.1)
    patience: int = 5
    warm_up: float = 0.2
    decay: float = 0.0
    l2: float = 0.0
    weight_decay: float = 0.0
    epsilon: float = 1e-7
    shift: float = 0.0
    flip: bool = False
    norm_momentum: float = 0.01
    drop_last: bool = False
    whole_pixels: bool | None = None  # None, not False: see `said`

    def said(self) -> dict[str, Any]:
        """All hyper-parameters that are not None: a new one that may be None renames no recipe.

        Returns
        -------
        dict of str to object
        """
        return {name: value for name, value in asdict(self).items() if value is not None}

    def to_json(self) -> str:
        """All hyper-parameters as JSON with sorted keys.

        Returns
        -------
        str
        """
        return json.dumps(self.said(), sort_keys=True)

    def steps_per_epoch(self, n_images: int) -> int:
        """Batches in an epoch; BatchNorm cannot use a last batch of one image.

        Parameters
        ----------
        n_images : int

        Returns
        -------
        int
            At least 1.
        """
        whole, rest = divmod(n_images, self.batch_size)
        if whole == 0:
            return 1
        return whole + (rest > 1 and not self.drop_last)

    def checkpoint_steps(self, n_images: int) -> dict[float, int]:
        """The step after which each checkpoint is taken; any but 0 comes after the first step.

        Parameters
        ----------
        n_images : int
            Of an epoch.

        Returns
        -------
        dict of float to int
            By checkpoint.
        """
        steps = self.steps_per_epoch(n_images)
        return {c: max(round(c * steps), int(c > 0)) for c in self.checkpoints}

    def told_apart(self, n_images: int) -> "Recipe":
        """The same with no two checkpoints after one step, each at the epoch when it is taken.

        A small set of images has few steps an epoch; of 50,000 images nothing changes.  Epochs are
        rounded to a hundredth.

        Parameters
        ----------
        n_images : int
            Of an epoch.

        Returns
        -------
        Recipe
        """
        steps = self.steps_per_epoch(n_images)
        taken = dict.fromkeys(self.checkpoint_steps(n_images).values())
        return replace(self, checkpoints=tuple(round(step / steps, 2) for step in taken))


_PAPER = {
    "convnet": Recipe("paper", 50, 32, "rmsprop", 1e-4, "plateau", (), least_rate=1e-5, decay=1e-6),
    "resnet18": Recipe(
        "paper",
        100,
        32,
        "adam",
        1e-3,
        "plateau",
        (),
        least_rate=0.5e-6,
        l2=1e-4,
        shift=0.1,
        flip=True,
    ),
}
_MODERN = {
    "batch_size": 128,
    "optimiser": "adamw",
    "schedule": "onecycle",
    "checkpoints": (),
    "flip": True,
    "norm_momentum": 0.1,
    "drop_last": True,
}
_FAST = {
    "convnet": Recipe("fast", 8, learning_rate=2e-3, weight_decay=0.01, **_MODERN),
    "resnet18": Recipe(
        "fast",
        20,
        learning_rate=2e-3,
        weight_decay=0.3,
        shift=0.1,
        whole_pixels=True,
        **_MODERN,
    ),
}


def _checkpoints(architecture: str, epochs: int) -> tuple[float, ...]:
    later = list(_PAPER_EPOCHS[architecture])
    while later[-1] < epochs:
        later.append(round(1.6 * later[-1]))
    return (*_FIRST_EPOCH, *(float(e) for e in later if e < epochs), float(epochs))


def _check_checkpoints(checkpoints: tuple[float, ...], epochs: int) -> None:
    rising = list(checkpoints) == sorted(set(checkpoints))
    if not checkpoints or not rising or checkpoints[0] < 0 or not checkpoints[-1] <= epochs:
        raise InputError(
            f"checkpoints={checkpoints} is not allowed: epochs in rising order, each once, "
            f"between 0 and {epochs}"
        )


def _check_positive(name: str, value: float | None, kind: type | tuple[type, ...]) -> None:
    if value is None:
        return
    least = 1 if kind is int else 0
    fits = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or value < least or value == 0:
        allowed = "a whole number, 1 or more" if kind is int else "a number above 0"
        raise InputError(f"{name}={value!r} is not allowed: {allowed}")


def recipe(
    name: str,
    architecture: str,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    checkpoints: tuple[float, ...] | None = None,
) -> Recipe:
    """The recipe of that name for ``architecture``, with the values given here in place of its own.

    Parameters
    ----------
    name : {"fast", "paper"}
        ``paper`` follows Lu et al. and their code; ``fast`` trains the same networks with a modern
        schedule.
    architecture : {"convnet", "resnet18"}
    epochs, batch_size : int, optional
    learning_rate : float, optional
    checkpoints : tuple of float, optional
        None: untrained, five within the first epoch, then the paper's up to ``epochs``.

    Returns
    -------
    Recipe

    Raises
    ------
    InputError
        If a name is unknown or a value is out of range.
    """
    if name not in RECIPES:
        raise InputError(f"recipe={name!r} is not allowed: {' or '.join(RECIPES)}")
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"architecture={architecture!r} is not allowed: {' or '.join(ARCHITECTURES)}"
        )
    _check_positive("epochs", epochs, int)
    _check_positive("batch_size", batch_size, int)
    _check_positive("learning_rate", learning_rate, (int, float))
    base = (_PAPER if name == "paper" else _FAST)[architecture]
    epochs = epochs or base.epochs
    if checkpoints is None:
        checkpoints = _checkpoints(architecture, epochs)
    checkpoints = tuple(float(c) for c in checkpoints)
    _check_checkpoints(checkpoints, epochs)
    return replace(
        base,
        epochs=epochs,
        batch_size=batch_size or base.batch_size,
        learning_rate=float(learning_rate or base.learning_rate),
        checkpoints=checkpoints,
    )


@dataclass(frozen=True)
class Plateau:
    """State of reduce-on-plateau: the rate, the lowest loss so far, epochs since it last fell."""

    rate: float
    best: float = math.inf
    wait: int = 0

    def after(self, loss: float, how: Recipe) -> "Plateau":
        """State after an epoch that ended with ``loss`` on the test images (as in Keras)."""
        if loss < self.best - 1e-4:
            return Plateau(self.rate, loss, 0)
        if self.wait + 1 < how.patience:
            return Plateau(self.rate, self.best, self.wait + 1)
        return Plateau(max(self.rate * how.factor, min(how.least_rate, self.rate)), self.best, 0)


def learning_rate(how: Recipe, step: int, n_steps: int, plateau: Plateau) -> float:
    """Rate of step ``step`` (from 0) of ``n_steps``."""
    if how.schedule == "plateau":
        return plateau.rate / (1 + how.decay * step)
    peak = max(how.warm_up * n_steps, 1.0)
    done = step + 1
    rising, falling = done / peak, (n_steps - step) / max(n_steps - peak, 1.0)
    return how.learning_rate * min(rising, falling, 1.0)
