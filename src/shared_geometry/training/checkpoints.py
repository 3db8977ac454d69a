"""What training leaves on disk: checkpoints, the training curves, and where to go on."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from shared_geometry.basics.files import read_about, read_tensors, write_tensors, write_text
from shared_geometry.errors import DataError, InputError


@dataclass
class History:
    """Training curves of one network, a value an epoch.

    Attributes
    ----------
    train_loss : list of float
        Mean cross-entropy over the epoch's batches while training.
    test_loss : list of float
        Mean cross-entropy over the test images after the epoch.
    test_accuracy : list of float
        Part of the test images that are classified correctly, between 0 and 1.
    learning_rate : list of float
        Of the epoch's last step.
    seconds : list of float
        Time the epoch took, its test included; does not count when histories are compared.
    """

    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list, compare=False)


def network_folder(folder: str | os.PathLike, network: int) -> Path:
    """Folder of one network of a population: ``network-00``, ``network-01``, ..."""
    return Path(folder) / f"network-{network:02d}"


def checkpoint_path(folder: str | os.PathLike, network: int, epoch: float) -> Path:
    """File of one network at one checkpoint.

    Parameters
    ----------
    folder : path
        Of the population.
    network : int
    epoch : float

    Returns
    -------
    Path
    """
    return network_folder(folder, network) / f"epoch-{epoch:g}.safetensors"


def load_checkpoint(
    folder: str | os.PathLike, network: int, epoch: float, *, training: str | None = None
) -> dict[str, Tensor]:
    """State dict of one network after ``epoch`` epochs.

    Parameters
    ----------
    folder : path
        Of the population.
    network : int
    epoch : float
        One of the recipe's checkpoints.
    training : str, optional
        The `training_digest` that must have made the file.

    Returns
    -------
    dict of str to Tensor

    Raises
    ------
    DataError
        If the file is missing, altered, cut short, or made by another training.
    """
    path = checkpoint_path(folder, network, epoch)
    if not path.exists():
        raise DataError(f"{path} is missing: network {network} was not trained to epoch {epoch:g}")
    expected = {"network": network, "epoch": float(epoch)}
    if training is not None:
        expected["training"] = training
    return read_tensors(path, expected)[0]


def save_checkpoint(
    folder: Path, network: int, epoch: float, state: dict[str, Tensor], training: str
) -> None:
    """Write the state dict of one network after ``epoch`` epochs."""
    about = {"training": training, "network": network, "epoch": float(epoch)}
    write_tensors(checkpoint_path(folder, network, epoch), state, about)


def history_path(folder: str | os.PathLike, network: int) -> Path:
    """File of one network's training curves."""
    return network_folder(folder, network) / "history.json"


def state_path(folder: str | os.PathLike, network: int) -> Path:
    """File from which the interrupted training of a network goes on."""
    return network_folder(folder, network) / "state.safetensors"


def _seal(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def save_history(folder: Path, network: int, history: History, training: str) -> None:
    """Write the training curves of a finished network."""
    content = {"training": training, "network": network, "history": asdict(history)}
    text = json.dumps(content | {"sha256": _seal(content)}, indent=1)
    write_text(history_path(folder, network), text)


def load_history(folder: str | os.PathLike, network: int, training: str | None = None) -> History:
    """Training curves of a finished network.

    Parameters
    ----------
    folder : path
        Of the population.
    network : int
    training : str, optional
        The `training_digest` that must have made the file.

    Returns
    -------
    History

    Raises
    ------
    DataError
        If the file is missing, altered, cut short, or made by another training.
    """
    path = history_path(folder, network)
    history, content = _sealed(path)
    if content.get("network") != network:
        raise DataError(f"{path} is of network {content.get('network')}, not of {network}")
    if training is not None and content["training"] != training:
        raise DataError(f"{path} was made by training {content['training']}, not {training}")
    return history


def check_folder(folder: Path, training: str) -> None:
    """Refuse a folder that holds finished networks of another training: they would be overwritten.

    Raises
    ------
    InputError
    """
    for path in sorted(folder.glob("network-*/history.json")):
        try:
            other = _sealed(path)[1]["training"]
        except DataError:  # which is set aside when its network comes
            continue
        if other != training:
            raise InputError(
                f"{path} is of training {other}, and this is {training}: another data set, recipe "
                "or seed; expected a folder of its own, or an empty one"
            )


def _sealed(path: Path) -> tuple[History, dict[str, Any]]:
    """A history and all else in its file, if its checksum is right."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seal = content.pop("sha256")
        history = History(**content["history"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be read as a history: {error}") from error
    if seal != _seal(content):
        raise DataError(f"{path} does not match its checksum: it was altered or cut short")
    return history, content


def history_so_far(folder: str | os.PathLike, network: int) -> History | None:
    """Training curves of a network, finished or not, as last saved.

    Parameters
    ----------
    folder : path
        Of the population.
    network : int

    Returns
    -------
    History or None
        None: nothing is saved.

    Raises
    ------
    DataError
        If what is saved cannot be read.
    """
    if history_path(folder, network).exists():
        return load_history(folder, network)
    about = read_about(state_path(folder, network))
    return None if about is None else History(**about["history"])
