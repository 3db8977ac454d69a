"""Files that are whole or absent: written aside, flushed, moved into place, checked when read."""

import errno
import glob
import hashlib
import json
import os
import secrets
import stat
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from shared_geometry.errors import DataError, InputError, SetAside

_ABANDONED = 3600  # seconds after which a file that nobody finished is nobody's


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of the file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_in(folder: str | os.PathLike, pattern: str) -> list[Path]:
    """Files of a folder whose names match ``pattern``, sorted by what stands before the ending.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; expected one with files {pattern}")
    return sorted(folder.glob(pattern), key=lambda path: path.stem)


def writable_folder(path: str | os.PathLike) -> Path:
    """``path`` as a folder that exists and takes files.

    Raises
    ------
    InputError
        If it is a file, or cannot be made or written.
    """
    folder = Path(path).expanduser()
    probe = folder / f".probe-{secrets.token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"the folder {str(folder)!r} cannot be written ({error.strerror}); name one that can"
        ) from error
    return folder


def _aside(path: Path) -> Path:
    """A name of one's own to write ``path`` under."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def writable_file(path: str | os.PathLike) -> Path:
    """``path`` as a file that `fresh` can write.

    Raises
    ------
    InputError
        If it is a folder, or cannot be written.
    """
    file = Path(path).expanduser()
    folder = writable_folder(file.parent)
    if not file.name or os.path.isdir(file):
        raise InputError(f"{str(path)!r} is a folder; name a file")
    probe = _aside(folder / file.name)
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"the file {str(file)!r} cannot be written ({error.strerror}); name one that can"
        ) from error
    return file


def _sweep(path: Path) -> None:
    """Remove what writers of ``path`` that were killed have left; none is at it for so long."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(FileNotFoundError):  # another writer sweeps too
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()


@contextmanager
def fresh(path: Path) -> Iterator[Path]:
    """Name to write ``path`` under; moved into place when the block ends well, removed when not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    aside = _aside(path)
    try:
        aside.touch()
        mode = aside.stat().st_mode
        yield aside
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        if aside.stat().st_mode != mode:  # some writers would keep others from reading
            os.chmod(aside, stat.S_IMODE(mode))
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    with fresh(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _content_digest(tensors: Mapping[str, torch.Tensor], about: str) -> str:
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping) -> None:
    """Write named tensors and a JSON description with a checksum over both (safetensors).

    Parameters
    ----------
    path : Path
        Where the file will lie.
    tensors : mapping of str to Tensor
        What to keep.
    about : mapping
        JSON-compatible description: what made the tensors (the hash of a config, a seed, an epoch).
    """
    text = json.dumps(dict(about), sort_keys=True)
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with fresh(path) as aside:
        try:
            save_file(held, str(aside), {"about": text, "sha256": _content_digest(held, text)})
        except SafetensorError as error:  # it tells of a full disk in words alone
            full = "No space left" in str(error)
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(path)) from error


def read_tensors(
    path: Path, expected: Mapping | None = None
) -> tuple[dict[str, torch.Tensor], dict]:
    """Read what `write_tensors` wrote, and check it.

    Parameters
    ----------
    path : Path
        The file.
    expected : mapping, optional
        Entries that its description must hold.

    Returns
    -------
    tensors : dict of str to Tensor
    about : dict

    Raises
    ------
    DataError
        If the file is missing, truncated, altered, or made by something else than ``expected``.
    """
    path = Path(path)
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path.name} cannot be read as safetensors: {error}") from error
    text = metadata.get("about", "")
    if metadata.get("sha256") != _content_digest(tensors, text):
        raise DataError(f"{path.name} does not match its checksum: it was altered or cut short")
    about = json.loads(text)
    for key, value in (expected or {}).items():
        if about.get(key) != value:
            raise DataError(f"{path.name} was made with {key}={about.get(key)!r}, not {value!r}")
    return tensors, about


def read_about(path: Path) -> dict | None:
    """Description in a file that `write_tensors` wrote, tensors and checksum unseen; None: no file.

    Raises
    ------
    DataError
        If there is a file that is none of these.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            return json.loads((file.metadata() or {})["about"])
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{path.name} cannot be read as safetensors: {error}") from error


def reuse(path: Path, read: Callable[[Path], object]) -> object | None:
    """``read(path)`` if the file is sound; else None, and a bad one is set aside as ``.bad``.

    Raises
    ------
    OSError
        If the file cannot be read: it may be sound, and stays where it is.

    Warns
    -----
    SetAside
        Names a file that was set aside, and what is wrong with it.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            file.read(1)
    except FileNotFoundError:
        return None
    try:
        return read(path)
    except DataError as error:
        aside = path.with_name(path.name + ".bad")
        os.replace(path, aside)
        warnings.warn(f"{error}; set aside as {aside}, made again", SetAside, stacklevel=2)
        return None
