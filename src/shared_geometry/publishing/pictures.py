"""The images behind the rows of an RSM, as pictures a page can hold."""

import base64
import io

import numpy as np
import xarray as xr
from torch import Tensor

from shared_geometry.datasets import load_dataset
from shared_geometry.experiment.results import config_of

FREE = ("digits",)  # data sets whose images may be shown; CIFAR's came without a licence


def _png(pixels: np.ndarray) -> str:
    """Image of shape (channels, height, width), uint8, as a data URI."""
    from PIL import Image

    levels = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def pictures_of(images: Tensor, results: xr.Dataset) -> list[str]:
    """Of some images, those whose RSMs are kept, as data URIs.

    Parameters
    ----------
    images : Tensor of shape (n_images, channels, height, width)
        All that the results are about; uint8, or floats between 0 and 1.
    results : xarray.Dataset
        From `yours.compare` or `experiment.run`.

    Returns
    -------
    list of str
        In the order of the dimension ``image``.
    """
    shown = images[results.image.values.tolist()]
    if shown.is_floating_point():
        shown = (shown.clamp(0, 1) * 255).round()
    return [_png(image) for image in shown.byte().numpy()]


def pictures(results: xr.Dataset) -> list[str] | None:
    """Images whose RSMs are kept, as data URIs.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.

    Returns
    -------
    list of str, or None
        In the order of the dimension ``image``; None if the data set's images are not free.
    """
    name = config_of(results).dataset
    if name not in FREE:
        return None
    return pictures_of(load_dataset(name).test.images, results)
