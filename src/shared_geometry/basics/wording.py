"""Numbers and names as they stand in a sentence."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

NAMES = {
    "digits": "handwritten digits",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "convnet": "ConvNet",
    "resnet18": "ResNet18",
}
_LAYERS = {"pool1": "first pooling", "pool2": "second pooling", "dense": "dense"}


def layer_name(label: str) -> str:
    """A layer's name in a sentence or on an axis: numbers get a word, other names stay."""
    label = str(label)
    return _LAYERS.get(label, f"layer {label}" if label.isdigit() else label)


def in_a_sentence(label: str) -> str:
    """A layer with its article: the dense layer, layer 17; names of your own are quoted."""
    label, name = str(label), layer_name(label)
    return f"the {name} layer" if label in _LAYERS else name if label.isdigit() else f"“{name}”"


def moment(epoch: float) -> str:
    """A checkpoint in a sentence: before training, at epoch 0.5."""
    return f"at epoch {float(epoch):g}" if epoch > 0 else "before training"


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus sign, and none before zero; a dash for NaN."""
    if np.isnan(float(value)):
        return "–"
    text = f"{float(value):.{digits}f}"
    return (text if float(text) else text.removeprefix("-")).replace("-", "−")


def span(values: ArrayLike, digits: int = 2) -> str:
    """The smallest and the largest of some numbers, without those that are NaN: 0.91 to 0.95."""
    values = np.ravel(values)
    known = values[~np.isnan(values)]
    if not len(known):
        return "no number"
    low, high = number(known.min(), digits), number(known.max(), digits)
    return low if low == high else f"{low} to {high}"


def interval_text(values: Iterable[float], digits: int = 2) -> str:
    """Estimate and bounds, of three values: 0.94 [0.93, 0.95]; a dash where there is no number."""
    estimate, low, high = (number(value, digits) for value in values)
    return estimate if estimate == "–" else f"{estimate} [{low}, {high}]"


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(value: float) -> str:
    """A number by its order of magnitude: 3 × 10⁻¹⁵, or 10⁻¹⁵; 0 stays; a dash for NaN."""
    if not np.isfinite(value) or value == 0:
        return number(value, 0)
    mantissa, exponent = f"{value:.0e}".split("e")
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    return power if mantissa == "1" else f"{mantissa} × {power}"
