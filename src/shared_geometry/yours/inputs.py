"""What may be handed to a comparison, and the sentence for what may not."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared_geometry.basics.arrays import Array, as_tensor
from shared_geometry.errors import InputError

Networks = (
    Array | Sequence[Array]
)  # (n_networks, n_units, n_images) or a list of (n_units, n_images)
ONLY = "activity"  # what a layer is called that came without a name
_FORM = "a list with one array (n_units, n_images) a network, or a dict of such lists by layer"

_EXACT = 2**24  # whole numbers up to this are the same in float32
_SEEN = "shared_geometry_seen"


def mark_seen(activity: Tensor, digest: str) -> None:
    """Note which images, in which order, an array of activity is of."""
    setattr(activity, _SEEN, digest)


def _recorded_alike(found: Mapping[str, Networks]) -> None:
    """Refuse arrays that were recorded on other images, or on these in another order."""
    first = None
    for layer, networks in found.items():
        for i, activity in enumerate(networks):
            digest = getattr(activity, _SEEN, None)
            first = first or digest
            if digest and digest != first:
                raise InputError(
                    f"{_where(i, layer)} was recorded on other images than those before it, or on "
                    "the same in another order: record all in one call, or with a loader that does "
                    "not shuffle"
                )


def _where(network: int, layer: str) -> str:
    return f"network {network}" + ("" if layer == ONLY else f" in layer {layer!r}")


def matrix(array: Any, where: str) -> Tensor:
    """An array (n_units, n_images) as a tensor on the CPU, in float32 or float64.

    Raises
    ------
    InputError
        Says of ``where`` what it is instead.
    """
    if not isinstance(array, np.ndarray | Tensor):
        raise InputError(f"{where} is a {type(array).__name__}; give a NumPy array or a tensor")
    if isinstance(array, np.ndarray) and (array.dtype.kind not in "iuf" or array.itemsize > 8):
        raise InputError(f"{where} holds {array.dtype}; expected real numbers of at most 64 bits")
    x = as_tensor(array).detach().cpu()
    if x.is_complex() or x.dtype == torch.bool:
        raise InputError(f"{where} holds {str(x.dtype).removeprefix('torch.')}; expected numbers")
    if x.dim() != 2:
        hint = "; flatten it: x.reshape(len(x), -1).T" if x.dim() > 2 else ""
        raise InputError(f"{where} has shape {tuple(x.shape)}; expected (n_units, n_images){hint}")
    if len(x) < 2:
        raise InputError(f"{where} has {len(x)} units; a pattern needs 2 or more")
    if not x.shape[1]:
        raise InputError(f"{where} has shape {tuple(x.shape)}: no images")
    if x.dtype in (torch.float32, torch.float64):
        return x
    wide = x.double()  # as long as there are unsigned types that torch cannot compare
    whole = not x.is_floating_point()
    return wide if whole and (wide.abs() > _EXACT).any() else wide.float()


def _population(networks: Any, layer: str) -> list[Tensor]:
    """The networks of one layer, in one type."""
    stack = isinstance(networks, np.ndarray | Tensor) and networks.ndim == 3
    if not stack and (isinstance(networks, str) or not isinstance(networks, Sequence)):
        shape = f" of shape {tuple(networks.shape)}" if hasattr(networks, "shape") else ""
        raise InputError(f"activities hold a {type(networks).__name__}{shape}; give {_FORM}")
    if len(networks) < 2:
        raise InputError(f"there are {len(networks)} networks; a comparison needs 2 or more")
    found = [matrix(array, _where(i, layer)) for i, array in enumerate(networks)]
    widest = torch.float64 if any(x.dtype == torch.float64 for x in found) else torch.float32
    return [x.to(widest) for x in found]


def _text(name: Any) -> str:
    """A name as text that a file can hold."""
    text = str(name)
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InputError(f"the name {text!r} holds a character that no file can; give another")
    return text


def named(layers: Mapping[Any, Any]) -> dict[str, Any]:
    """Layers by their names as text.

    Raises
    ------
    InputError
        If two have one name.
    """
    found = {_text(layer): value for layer, value in layers.items()}
    if len(found) < len(layers):
        names = ", ".join(map(repr, layers))
        raise InputError(f"two layers of {names} have one name as text; give each its own")
    return found


def layers(
    activities: Any, n_labels: int | None = None, standardise: bool = True
) -> dict[str, list[Tensor]]:
    """Activity of each layer as a list of tensors (n_units, n_images), one a network, checked.

    Parameters
    ----------
    activities : mapping of str to networks, or networks
        Where networks are an array (n_networks, n_units, n_images), or a list of arrays
        (n_units, n_images) whose numbers of units may differ.
    n_labels : int, optional
        How many labels came with it.
    standardise : bool
        Whether patterns must vary over units; False: they must not be zero everywhere.

    Raises
    ------
    InputError
        If it is of another form, has fewer than two networks, holds NaN or infinities or nothing
        that varies over units, if two layers have one name, or if networks, layers or labels differ
        in the number of images.
    """
    if not isinstance(activities, Mapping):
        activities = {ONLY: activities}
    if not activities:
        raise InputError(f"activities are empty; give {_FORM}")
    activities = named(activities)
    found = {layer: _population(x, layer) for layer, x in activities.items()}
    _recorded_alike(activities)
    first = next(iter(found))
    for layer, networks in found.items():
        if len(networks) != len(found[first]):
            raise InputError(
                f"layer {layer!r} has {len(networks)} networks and layer {first!r} has "
                f"{len(found[first])}; expected the same networks in every layer"
            )
    _same_images(found, n_labels)
    for layer, networks in found.items():
        for i, x in enumerate(networks):
            if bad := int((~x.isfinite()).sum()):
                raise InputError(f"{_where(i, layer)} holds {bad} values that are NaN or infinite")
            if not standardise and not x.any():
                raise InputError(f"{_where(i, layer)} is zero everywhere; expected patterns")
            if standardise and (x == x[:1]).all():
                raise InputError(
                    f"{_where(i, layer)} has one value in all its units for every image; expected "
                    "patterns that vary over units"
                )
    return found


def _same_images(found: Mapping[str, list[Tensor]], n_labels: int | None) -> None:
    """Refuse activity on different images; say so where it may be images x units."""
    shapes = [(_where(i, layer), x.shape) for layer, xs in found.items() for i, x in enumerate(xs)]
    (first, (n_rows, m)), *others = shapes
    turned = all(shape[0] == n_rows for _, shape in shapes) and n_labels in (None, n_rows)
    hint = (
        f". Every array has {n_rows} rows: if these are the images, give units x images, the "
        "transpose x.T of each"
        if turned
        else ""
    )
    for where, (_, images) in others:
        if images != m:
            raise InputError(
                f"{where} has {images} images and {first} has {m}; every network must see the "
                f"same images in the same order{hint}"
            )
    if n_labels not in (None, m):
        raise InputError(f"there are {n_labels} labels for {m} images; expected one each{hint}")


def classes(labels: Any) -> tuple[Tensor, list[str]]:
    """Class of each image as a number, and the classes' names in order.

    Parameters
    ----------
    labels : sequence or array of shape (n_images,)
        Numbers or words; the classes are sorted by them.

    Raises
    ------
    InputError
        If it is not one value an image, or every image has a class of its own.
    """
    if isinstance(labels, Tensor):
        labels = as_tensor(labels).numpy(force=True)
    try:
        values = np.asarray(labels)
    except ValueError as error:
        raise InputError("labels have several lengths; expected one class an image") from error
    if values.ndim != 1:
        raise InputError(f"labels have shape {values.shape}; expected one class an image")
    if values.dtype.kind == "O":
        values = values.astype(str)
    known, codes = np.unique(values, return_inverse=True)
    if len(known) == len(values) > 1:
        raise InputError(
            "every image has a label of its own; give classes, or leave labels out, recorded ones "
            "too: compare(dict(activities))"
        )
    return torch.from_numpy(codes).long(), [_text(name) for name in known.tolist()]
