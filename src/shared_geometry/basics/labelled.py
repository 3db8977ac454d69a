"""Labelled data sets in netCDF files: written whole, with a checksum over what they say."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.files import fresh
from shared_geometry.errors import DataError


def of_numbers(variables: Mapping[str, tuple], **coords: object) -> xr.Dataset:
    """Data set of float64.

    Parameters
    ----------
    variables : mapping of str to tuple
        Of each name its dimensions and, last, its values: numbers, an array, or tensors that can be
        made one.
    **coords
        Labels along dimensions.

    Returns
    -------
    xarray.Dataset
    """
    values = {
        name: (dims, torch.as_tensor(value, dtype=torch.float64).numpy())
        for name, (*dims, value) in variables.items()
    }
    return xr.Dataset(values, coords)


def _digest(dataset: xr.Dataset) -> str:
    digest = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        values = dataset[name].values
        digest.update(f"{name}:{dataset[name].dims}:{values.shape}".encode())
        if values.dtype.kind in "OUST":
            digest.update(json.dumps([str(v) for v in values.ravel()]).encode())
        else:
            digest.update(np.ascontiguousarray(values).tobytes())
    attributes = {k: str(v) for k, v in dataset.attrs.items() if k != "sha256"}
    digest.update(json.dumps(attributes, sort_keys=True).encode())
    return digest.hexdigest()


def write_labelled(dataset: xr.Dataset, path: Path, form: int | str) -> None:
    """Write a data set to a netCDF file, whole or not at all, with a checksum over its contents.

    Parameters
    ----------
    dataset : xarray.Dataset
    path : Path
    form : int or str
        What the file holds, in which version; `read_labelled` asks for it.
    """
    dataset = dataset.copy()
    dataset.attrs |= {"format": form}
    dataset.attrs["sha256"] = _digest(dataset)
    squeezed = {"zlib": True, "complevel": 6, "shuffle": True}
    encoding = {str(n): dict(squeezed) for n, v in dataset.data_vars.items() if v.ndim}
    with fresh(path) as aside:
        dataset.to_netcdf(aside, engine="h5netcdf", encoding=encoding)


def read_labelled(path: str | Path, form: int | str, remake: str) -> xr.Dataset:
    """Read and check what `write_labelled` wrote.

    Parameters
    ----------
    path : path
    form : int or str
        What the file must hold.
    remake : str
        The command that makes such a file, for an error.

    Raises
    ------
    DataError
        If the file is missing, no such file, cut short, altered, or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no results file {str(path)!r}; `{remake}` makes one")
    try:
        dataset = xr.load_dataset(path, engine="h5netcdf", mask_and_scale=False)
    except Exception as error:
        raise DataError(f"{path.name} cannot be read as netCDF: {error}") from error
    found = dataset.attrs.get("format", "none")
    if found != form:
        raise DataError(
            f"{path.name} has format {found!r}; expected {form!r}, which `{remake}` makes"
        )
    if dataset.attrs.get("sha256") != _digest(dataset):
        raise DataError(f"{path.name} does not match its checksum: it was altered or cut short")
    return dataset
