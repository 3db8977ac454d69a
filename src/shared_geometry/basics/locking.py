"""Two processes that want to make the same file: the second one waits for the first."""

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared_geometry.errors import Waiting

_NONE = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # a file system has no such locks


def _guarded(path: Path) -> Path:
    """The file or folder that a lock file stands for."""
    name = path.name.removeprefix(".").removesuffix(".lock")
    return path.parent if path.name == ".lock" else path.with_name(name)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs; wait while somebody else does.

    The operating system lets go of it when its holder dies.  Where there are no such locks
    (Windows, some file systems of clusters), nothing is held.

    Warns
    -----
    Waiting
        Before it waits.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = f"another process is making {_guarded(path)}; waiting for it"
            warnings.warn(said, Waiting, stacklevel=4)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NONE:
                raise
        yield
