import errno
import multiprocessing
import time
import warnings

import pytest

from shared_geometry.basics.locking import locked
from shared_geometry.errors import Waiting

pytest.importorskip("fcntl")


def hold(path, held, release):
    with locked(path):
        held.set()
        release.wait(60)


@pytest.mark.parametrize(
    ("lock", "made"), [(".5eb.lock", "5eb"), ("run/.lock", "run"), ("smoke.lock", "smoke")]
)
def test_who_has_to_wait_is_told_for_what_and_goes_on_when_it_is_free(tmp_path, lock, made):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / lock, held, release))
    other.start()
    assert held.wait(60)

    def say(message, category, *where):
        said.append((str(message), category))
        freed.append(time.monotonic())
        release.set()

    said, freed = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = say
        with locked(tmp_path / lock):
            entered = time.monotonic()
    other.join(60)
    assert other.exitcode == 0
    assert said == [(f"another process is making {tmp_path / made}; waiting for it", Waiting)]
    assert entered > freed[0]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_holds_nothing(tmp_path, monkeypatch, number):
    def none(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr("fcntl.flock", none)
    with locked(tmp_path / "a.lock"):
        assert (tmp_path / "a.lock").exists()


def test_another_fault_of_a_lock_is_told(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("fcntl.flock", broken)
    with pytest.raises(OSError, match="broken"), locked(tmp_path / "a.lock"):
        pass


def test_who_is_alone_is_told_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with locked(tmp_path / "a.lock"):
                pass
