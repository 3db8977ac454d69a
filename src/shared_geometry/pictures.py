"""The images behind the rows of an RSM, as pictures a page can hold."""

import base64
import io

import numpy as np
import xarray as xr

from shared_geometry.datasets import load_dataset
from shared_geometry.results import config_of

FREE = ("digits",)  # data sets whose images may be shown; CIFAR's came without a licence


def _png(pixels: np.ndarray) -> str:
    """Image of shape (channels, height, width), uint8, as a data URI."""
    from PIL import Image

    levels = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


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
    images = load_dataset(name).test.images[results.image.values.tolist()]
    return [_png(image) for image in images.numpy()]
