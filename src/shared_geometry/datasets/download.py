"""Fetch one file over HTTP: resumed after a break, checked, moved into place whole."""

import errno
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from shared_geometry.basics.locking import locked
from shared_geometry.errors import DataError

# progress(bytes there, bytes in all or 0 where the server does not say)
Progress = Callable[[int, int], None]

_CHUNK = 1 << 18
_TIMEOUT = 30.0  # seconds without a byte
_BREAKS = 5  # in a row, without a new byte between them
_BROKEN = (OSError, http.client.HTTPException)
_HERE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO)


class TooSlow(Exception):
    """The server sends more slowly than the caller can bear; what came is kept."""


def md5(path: Path) -> str:
    """Hexadecimal MD5 of the file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _total(response: http.client.HTTPResponse, start: int) -> int:
    length = response.headers.get("Content-Length")
    return start + int(length) if length else 0


def _request(url: str, start: int) -> http.client.HTTPResponse | None:
    """Response from byte ``start`` on, or None where nothing comes after it."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        return urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        raise


def _copy(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    total: int,
    least_speed: float,
    patience: float,
    progress: Progress,
) -> None:
    begin, first = time.monotonic(), file.tell()
    while block := response.read(_CHUNK):
        file.write(block)
        progress(file.tell(), total)
        seconds = time.monotonic() - begin
        if seconds > patience and file.tell() - first < least_speed * seconds:
            raise TooSlow(f"{(file.tell() - first) / seconds / 1000:.0f} kB/s")


def _continue(
    url: str, part: Path, least_speed: float, patience: float, progress: Progress
) -> bool:
    """Fetch what ``part`` lacks; whether it is then as long as the server says."""
    start = part.stat().st_size if part.exists() else 0
    response = _request(url, start)
    if response is None:
        return True
    with response:
        if response.status != http.client.PARTIAL_CONTENT:
            start = 0  # the server sends the whole file again
        total = _total(response, start)
        with open(part, "ab" if start else "wb") as file:
            _copy(response, file, total, least_speed, patience, progress)
    return total in (0, part.stat().st_size)


def _fetch(url: str, part: Path, least_speed: float, patience: float, progress: Progress) -> None:
    breaks, size = 0, -1
    while True:
        try:
            if _continue(url, part, least_speed, patience, progress):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            raise DataError(f"{url} answers {error.code} {error.reason}") from error
        except _BROKEN as error:
            if getattr(error, "errno", None) in _HERE:  # of the disk, and no fault of the server
                raise
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        grown = part.exists() and part.stat().st_size > size
        size = part.stat().st_size if part.exists() else -1
        breaks = 1 if grown else breaks + 1
        if breaks >= _BREAKS or size <= 0:
            raise DataError(f"{url} cannot be reached ({reason})")


def download(
    url: str,
    path: Path,
    check: Callable[[Path], None],
    *,
    least_speed: float = 0.0,
    patience: float = 10.0,
    progress: Progress = lambda done, total: None,
) -> None:
    """Bring ``url`` to ``path``: whole and checked, or not at all.

    What came so far lies beside it as ``.part`` and is continued from after a break.  When a file
    that was continued fails its check, it is fetched once more from its first byte.

    Parameters
    ----------
    url : str
    path : Path
    check : callable
        Called with the finished ``.part`` file; raises `DataError` if it is not the right one.
    least_speed : float
        Bytes a second, averaged from the start, below which `TooSlow` is raised...
    patience : float
        ... after this many seconds.
    progress : callable
        Called as ``progress(bytes there, bytes in all or 0)``.

    Raises
    ------
    DataError
        If the server cannot be reached, or sends a file that fails the check.
    TooSlow
    """
    part = path.with_name(path.name + ".part")
    with locked(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        resumed = part.exists() and part.stat().st_size > 0
        for attempt in range(2):
            _fetch(url, part, least_speed, patience, progress)
            try:
                check(part)
            except DataError:
                part.unlink()
                if attempt or not resumed:
                    raise
                continue
            os.replace(part, path)
            return
