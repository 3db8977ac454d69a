"""Results of an experiment: one labelled data set, one small netCDF file, checked when read."""

from pathlib import Path

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.files import writable_file
from shared_geometry.basics.labelled import read_labelled, write_labelled
from shared_geometry.config import Config
from shared_geometry.errors import DataError, InputError
from shared_geometry.experiment.analysis import BOUNDS, KINDS, READINGS, SPACES, VARIANCE

FORMAT = 4

# What `analysis.analyse_layer` returns for one layer at one checkpoint, and its dimensions;
# then what `controls.controls` adds at the last one.
_PART_DIMS = {
    "geometry_final": ("reading", "space", "bound"),
    "geometry_current": ("reading", "space", "bound"),
    "consistency": ("reading", "bound"),
    "consistency_pairs": ("reading", "network", "network_"),
    "variance": ("measure", "network"),
    "variance_interval": ("measure", "bound"),
    "rsm_class": ("reading", "kind", "class", "class_"),
    "rsm_image": ("reading", "kind", "image", "image_"),
    "patterns": ("space", "network", "class", "axis"),
    "sweeps": (),
    "converged": (),
}
_CONTROL_DIMS = {
    "control_geometry": ("space", "bound"),
    "control_variance": ("measure", "network"),
    "control_native": ("draw",),
}
CHANNELS, UNITS = "channels", "units"  # what ``control_native`` puts in a random order
# How intervals of corr(wRSM, iRSM) were made: by resampling; by leaving out each network, but of
# the others' mean only nearly; by leaving out each network.
BOOTSTRAP, NEARLY, JACKKNIFE = "bootstrap", "nearly", "jackknife"
# RSMs are kept as whole numbers of this step, between -127 and 127.
RSM_STEP = 1 / 127
_RSMS = ("rsm_class", "rsm_image")
_SYMMETRIC = KINDS.index("within, native")  # kept by its lower triangle
_DIGITS = 11  # binary, of class patterns, which are only drawn


def _stacked(parts: list[list[dict[str, torch.Tensor]]], name: str) -> np.ndarray:
    return np.stack([[part[name].numpy() for part in row] for row in parts])


def assemble(
    parts: list[list[dict[str, torch.Tensor]]],
    *,
    layers: list[str],
    checkpoints: list[float],
    class_names: tuple[str, ...],
    images: np.ndarray,
    labels: np.ndarray,
    histories: dict[str, np.ndarray] | None = None,
) -> xr.Dataset:
    """One labelled data set from the analyses of all layers and checkpoints.

    Parameters
    ----------
    parts : list of list of dict
        ``parts[l][c]`` is what `analysis.analyse_layer` returned for layer l at checkpoint c.
    layers : list of str
        Names, from the input to the output of a network.
    checkpoints : list of float
        Epochs, rising.
    class_names : tuple of str
    images, labels : ndarray of shape (n_shown,)
        Index in the data set's test images, and class, of each image whose RSM cells are kept.
    histories : dict of str to ndarray of shape (n_networks, n_epochs), optional
        Training curves; None: there are none, nor a dimension ``epoch``.

    Returns
    -------
    xarray.Dataset
    """
    variables = {
        name: (("layer", "checkpoint", *dims), _stacked(parts, name))
        for name, dims in _PART_DIMS.items()
    }
    for name, dims in _CONTROL_DIMS.items():
        variables[name] = (("layer", *dims), np.stack([row[-1][name].numpy() for row in parts]))
    for name, curve in (histories or {}).items():
        variables[name] = (("network", "epoch"), curve)
    pairs = {"network_": "network", "class_": "class", "image_": "image"}
    coords = {
        "layer": layers,
        "checkpoint": np.asarray(checkpoints, dtype=np.float64),
        "network": np.arange(variables["variance"][1].shape[-1]),
        "class": list(class_names),
        "image": np.asarray(images),
        "reading": list(READINGS),
        "space": list(SPACES),
        "kind": list(KINDS),
        "measure": list(VARIANCE),
        "bound": list(BOUNDS),
        "axis": np.arange(1, 4),
    }
    if histories:
        coords["epoch"] = np.arange(1, next(iter(histories.values())).shape[1] + 1)
    coords |= {copy: coords[name] for copy, name in pairs.items()}
    coords["image_class"] = ("image", np.asarray(class_names, dtype=object)[np.asarray(labels)])
    return xr.Dataset(variables, {k: _plain(v) for k, v in coords.items()})


def _plain(values: object) -> object:
    if isinstance(values, list) and isinstance(values[0], str):
        return np.asarray(values, dtype=object)
    return values


def _packed(results: xr.Dataset) -> xr.Dataset:
    """Results as they lie in the file: RSMs as whole numbers of steps, no truth values."""
    packed = results.copy()
    for name in _RSMS:
        steps = np.rint(np.clip(results[name].values, -1, 1) / RSM_STEP).astype(np.int8)
        steps[..., _SYMMETRIC, :, :] = np.tril(steps[..., _SYMMETRIC, :, :])
        packed[name] = (results[name].dims, steps, {"scale_factor": RSM_STEP})
    mantissa, exponent = np.frexp(results.patterns.values)
    digits = np.rint(np.ldexp(mantissa, _DIGITS))
    packed["patterns"] = (results.patterns.dims, np.ldexp(digits, exponent - _DIGITS))
    packed["converged"] = results.converged.astype(np.int8)
    return packed


def save_results(results: xr.Dataset, path: Path) -> xr.Dataset:
    """Write results to a netCDF file, whole or not at all, with a checksum over its contents.

    Cells of RSMs are kept in steps of 1/127, class patterns to a part in 2,000, all else in full.

    Parameters
    ----------
    results : xarray.Dataset
        What `experiment.run` or `yours.compare` returned.
    path : path

    Returns
    -------
    xarray.Dataset
        The results as `load_results` will read them.

    Raises
    ------
    InputError
        If these are no results, or the file cannot be written.
    """
    if not isinstance(results, xr.Dataset) or not set(_RSMS) <= set(results):
        raise InputError(
            f"results are a {type(results).__name__} without {', '.join(_RSMS)}; expected what "
            "an experiment or a comparison returned"
        )
    path = writable_file(path)
    write_labelled(_packed(results), path, FORMAT)
    return load_results(path)


def load_results(path: str | Path) -> xr.Dataset:
    """Read and check a file that `save_results` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    DataError
        If the file is missing, no such file, cut short, altered, or of another format.
    """
    packed = read_labelled(path, FORMAT, "shared-geometry run")
    for name in _RSMS:
        steps = packed[name].values
        lower = steps[..., _SYMMETRIC, :, :]
        steps[..., _SYMMETRIC, :, :] = lower + np.tril(lower, -1).swapaxes(-1, -2)
        packed[name] = (packed[name].dims, steps * np.float32(RSM_STEP))
    packed["converged"] = packed.converged.astype(bool)
    return packed


def native_control(results: xr.Dataset) -> str:
    """What was put in a random order for ``control_native``: `CHANNELS` or `UNITS`.

    Files made before there was a choice do not say: theirs were units.

    Parameters
    ----------
    results : xarray.Dataset

    Returns
    -------
    str
    """
    return results.attrs.get("native_control", UNITS)


def geometry_intervals(found: xr.Dataset) -> str:
    """How intervals of corr(wRSM, iRSM) were made: `BOOTSTRAP`, `NEARLY` or `JACKKNIFE`.

    Results and answers that do not say are of the second kind.

    Parameters
    ----------
    found : xarray.Dataset
        Results of `experiment.run`, or an answer of a study.

    Returns
    -------
    str
    """
    return found.attrs.get("geometry_intervals", NEARLY)


def shows_training(results: xr.Dataset | xr.DataArray) -> bool:
    """Whether networks were looked at before training, and later again.

    Parameters
    ----------
    results : xarray.Dataset or xarray.DataArray
        With a dimension ``checkpoint``.

    Returns
    -------
    bool
    """
    checkpoints = results.checkpoint.values
    return len(checkpoints) > 1 and checkpoints[0] == 0


def config_of(results: xr.Dataset) -> Config:
    """The config that made ``results``.

    Parameters
    ----------
    results : xarray.Dataset

    Returns
    -------
    Config

    Raises
    ------
    DataError
        If no run made them, but a comparison of networks of your own.
    InputError
        If another version made them, whose config had other fields.
    """
    if "config" not in results.attrs:
        raise DataError("these results hold no config: no run of an experiment made them")
    return Config.from_json(results.attrs["config"])
