"""Images, labels and class names: digits (embedded), CIFAR-10 and CIFAR-100."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.datasets.cifar import content_digest, find_cifar
from shared_geometry.datasets.cifar_download import advice, fetch_cifar
from shared_geometry.errors import DataError, InputError

DATASETS = ("digits", "cifar10", "cifar100")
ROOT_VARIABLE = "SHARED_GEOMETRY_DATA"

_DIGITS_TRAIN = 1000
_SCALE = 128.0  # the paper's: minus the mean image of the training set, over 128


@dataclass(frozen=True)
class Images:
    """Images and their classes.

    Attributes
    ----------
    images : Tensor of shape (n, c, h, w), uint8
    labels : Tensor of shape (n,), int64
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A data set: its name, training and test images, and the names of its classes.

    Attributes
    ----------
    name : str
    train : Images
    test : Images
    class_names : tuple of str
    mirrors : bool
        Whether a mirrored image still shows its class: not so for a written 2.
    """

    name: str
    train: Images
    test: Images
    class_names: tuple[str, ...]
    mirrors: bool = True

    def digest(self) -> str:
        """Hexadecimal SHA-256 over all pixels and labels.

        Returns
        -------
        str
        """
        return content_digest(
            self.train.images, self.train.labels, self.test.images, self.test.labels
        )


def mean_image(images: Tensor) -> Tensor:
    """Mean over images of each pixel, exact before rounding.

    Parameters
    ----------
    images : Tensor of shape (n_images, c, h, w), uint8

    Returns
    -------
    Tensor of shape (c, h, w), float32
    """
    total = images.cpu().numpy().sum(0, dtype=np.uint64)
    return torch.from_numpy((total / len(images)).astype(np.float32))


def normalise(images: Tensor, mean: Tensor) -> Tensor:
    """Images minus the mean image, over 128.

    Parameters
    ----------
    images : Tensor of shape (n_images, c, h, w), uint8
    mean : Tensor of shape (c, h, w), float32

    Returns
    -------
    Tensor of shape (n_images, c, h, w), float32
    """
    return images.float().sub_(mean).div_(_SCALE)


def _stratified(labels: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Rising indices of ``n`` images, each class in proportion to its size (largest remainders)."""
    classes, counts = labels.unique(return_counts=True)
    exact = counts.double() * n / len(labels)
    quota = exact.floor().long()
    order = torch.argsort(exact - quota, descending=True, stable=True)
    quota[order[: n - int(quota.sum())]] += 1
    drawn = []
    for c, m in zip(classes, quota, strict=True):
        members = torch.nonzero(labels == c)[:, 0]
        drawn.append(members[torch.randperm(len(members), generator=generator)[:m]])
    return torch.cat(drawn).sort().values


def _without(n: int, indices: Tensor) -> Tensor:
    rest = torch.ones(n, dtype=torch.bool)
    rest[indices] = False
    return torch.nonzero(rest)[:, 0]


def split_alignment(labels: Tensor, fraction: float = 0.8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Split images into an alignment set and a test set, stratified by class.

    Parameters
    ----------
    labels : Tensor of shape (n,)
        Class of each image.
    fraction : float
        Part of the images that goes to the alignment set, between 0 and 1.
    seed : int

    Returns
    -------
    alignment : Tensor of shape (n_alignment,), int64
        Indices, rising.
    test : Tensor of shape (n_test,), int64
        Indices, sorted by class, rising within a class.

    Raises
    ------
    InputError
        If one of the two sets would be empty.
    """
    n = round(fraction * len(labels)) if 0 < fraction < 1 else 0
    if not 0 < n < len(labels):
        raise InputError(
            f"an alignment fraction of {fraction} of {len(labels)} images is not allowed: "
            "both sets need images"
        )
    alignment = _stratified(labels, n, torch_generator(seed, "alignment split"))
    test = _without(len(labels), alignment)
    return alignment, test[torch.argsort(labels[test], stable=True)]


def _digits() -> Dataset:
    """Scikit-learn's handwritten digits, 8 x 8 pixels of 17 grey levels, as 16 x 16 of 256."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = torch.from_numpy(bunch.images * (255 / 16)).round().to(torch.uint8)
    images = grey.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None]
    labels = torch.from_numpy(bunch.target).long()
    train = _stratified(labels, _DIGITS_TRAIN, torch_generator(0, "digits split"))
    test = _without(len(labels), train)
    names = tuple(str(digit) for digit in range(10))
    halves = [Images(images[part], labels[part]) for part in (train, test)]
    return Dataset("digits", *halves, names, mirrors=False)


def data_root(root: str | os.PathLike | None = None) -> Path:
    """The data folder: ``root``, else ``$SHARED_GEOMETRY_DATA``, else ``data``.

    Parameters
    ----------
    root : path, optional

    Returns
    -------
    Path
    """
    return Path(root or os.environ.get(ROOT_VARIABLE) or "data").expanduser()


def _cifar(name: str, root: Path, download: bool) -> Dataset:
    found = find_cifar(name, root)
    if found is None:
        if not download:
            raise DataError(advice(name, root, ["downloading is switched off"]))
        fetch_cifar(name, root)
        found = find_cifar(name, root)
    arrays, names = found
    train = Images(arrays.train_images, arrays.train_labels)
    return Dataset(name, train, Images(arrays.test_images, arrays.test_labels), names)


def _subset(data: Dataset, n: int, seed: int) -> Dataset:
    least, most = len(data.class_names), len(data.train)
    if not least <= n <= most:
        raise InputError(
            f"train_images={n} is not allowed for {data.name}: between {least} and {most}"
        )
    kept = _stratified(data.train.labels, n, torch_generator(seed, "training subset"))
    train = Images(data.train.images[kept], data.train.labels[kept])
    return replace(data, train=train)


def load_dataset(
    name: str,
    root: str | os.PathLike | None = None,
    *,
    download: bool = True,
    train_images: int | None = None,
    seed: int = 0,
) -> Dataset:
    """A data set, verified byte for byte.

    Parameters
    ----------
    name : {"digits", "cifar10", "cifar100"}
        ``digits`` comes with scikit-learn: 1,000 images to train on, 797 to test, 16 x 16 pixels.
        The labels of CIFAR-100 are its 100 fine classes.
    root : path, optional
        Folder of the CIFAR files; None: ``$SHARED_GEOMETRY_DATA``, else ``data``.
    download : bool
        Fetch what is missing, with a progress bar.
    train_images : int, optional
        Keep so many training images, stratified by class; None: all.
    seed : int
        Of the draw of ``train_images``.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the name is unknown, ``train_images`` is out of range, or the folder cannot be written.
    DataError
        If files are missing and cannot be fetched, or are not the official ones.
    """
    if name not in DATASETS:
        raise InputError(f"dataset={name!r} is not allowed: {', '.join(DATASETS)}")
    data = _digits() if name == "digits" else _cifar(name, data_root(root), download)
    return data if train_images is None else _subset(data, train_images, seed)
