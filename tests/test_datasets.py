import contextlib
import errno
import hashlib
import io
import json
import os
import pickle
import random
import shutil
import signal
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shared_geometry.datasets import (
    DATASETS,
    _torchvision,
    cifar,
    cifar_download,
    load_dataset,
    mean_image,
    split_alignment,
)
from shared_geometry.datasets import download as downloads
from shared_geometry.datasets.cifar import SOURCES, Mirror, Source, content_digest
from shared_geometry.datasets.download import TooSlow, download, md5
from shared_geometry.datasets.shapes import IMAGE_SHAPES
from shared_geometry.errors import DataError, InputError

# --- splits and the embedded data set ------------------------------------------------------------


@given(
    counts=st.lists(st.integers(5, 30), min_size=1, max_size=8),
    fraction=st.floats(0.2, 0.8),
    seed=st.integers(0, 2**40),
)
@settings(deadline=None)
def test_a_split_takes_every_image_once_and_its_share_of_every_class(counts, fraction, seed):
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    n = round(fraction * len(labels))
    alignment, test = split_alignment(labels, fraction, seed)
    assert len(alignment) == n
    assert torch.equal(torch.cat([alignment, test]).sort().values, torch.arange(len(labels)))
    for c, count in enumerate(counts):
        share = n * count / len(labels)
        assert abs(int((labels[alignment] == c).sum()) - share) < 1
    key = labels[test] * len(labels) + test
    assert torch.equal(key, key.sort().values)


def test_the_shape_of_an_image_is_known_without_the_files_of_its_data_set():
    assert set(IMAGE_SHAPES) == set(DATASETS)
    assert load_dataset("digits").train.images.shape[1:] == IMAGE_SHAPES["digits"]


def test_a_split_depends_on_the_seed_alone():
    labels = torch.arange(10).repeat(30)
    first, again, other = (split_alignment(labels, 0.8, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 0.001, float("nan")])
def test_a_split_that_leaves_a_set_empty_is_refused(fraction):
    with pytest.raises(InputError, match="both sets need images"):
        split_alignment(torch.arange(10).repeat(10), fraction)


def test_digits_are_scikit_learn_s_each_once_with_every_pixel_four_times():
    from sklearn.datasets import load_digits

    data = load_dataset("digits")
    assert (len(data.train), len(data.test)) == (1000, 797)
    assert data.class_names == tuple("0123456789")
    images = torch.cat([data.train.images, data.test.images])
    labels = torch.cat([data.train.labels, data.test.labels])
    assert images.shape == (1797, 1, 16, 16)
    assert images.dtype == torch.uint8
    small = images[:, 0, ::2, ::2]
    for dy, dx in ((0, 1), (1, 0), (1, 1)):
        assert torch.equal(images[:, 0, dy::2, dx::2], small)
    bunch = load_digits()
    mine = sorted((int(c), bytes(s.numpy().tobytes())) for c, s in zip(labels, small, strict=True))
    grey = np.rint(bunch.images * 255 / 16).astype(np.uint8)
    theirs = sorted((int(c), g.tobytes()) for c, g in zip(bunch.target, grey, strict=True))
    assert mine == theirs


def test_a_training_subset_is_stratified_and_leaves_the_test_images_alone():
    whole = load_dataset("digits")
    part = load_dataset("digits", train_images=200, seed=3)
    assert len(part.train) == 200
    assert torch.equal(part.test.images, whole.test.images)
    counts = torch.bincount(part.train.labels)
    assert (int(counts.min()), int(counts.max())) == (20, 20) or int(counts.max()) <= 21
    other = load_dataset("digits", train_images=200, seed=4)
    assert not torch.equal(part.train.images, other.train.images)
    assert part.digest() != whole.digest()


@pytest.mark.parametrize("n", [0, 9, 1001, -5])
def test_a_training_subset_that_cannot_be_drawn_is_refused(n):
    with pytest.raises(InputError, match="between 10 and 1000"):
        load_dataset("digits", train_images=n)


@pytest.mark.parametrize("name", ["mnist", "CIFAR10", "", "../digits"])
def test_an_unknown_data_set_is_refused_with_those_there_are(name):
    with pytest.raises(InputError, match="digits, cifar10, cifar100"):
        load_dataset(name)


def test_the_mean_image_is_numpy_s():
    images = torch.randint(0, 256, (501, 2, 3, 3), dtype=torch.uint8)
    expected = images.numpy().astype(np.float64).mean(0)
    np.testing.assert_allclose(mean_image(images).numpy(), expected, rtol=1e-7)


# --- torchvision, with and without its operators -------------------------------------------------


def test_torchvision_s_missing_operators_are_defined_and_its_data_sets_import():
    module = _torchvision.import_torchvision()
    assert module.datasets.CIFAR10.tgz_md5 == "c58f30108f718f92721af3b95e74349a"


def test_operators_that_are_there_are_not_defined_again(monkeypatch):
    defined = []
    monkeypatch.setattr(torch.library, "define", lambda name, schema: defined.append(name))
    monkeypatch.setattr(_torchvision, "_is_defined", lambda name: name == "torchvision::nms")
    assert _torchvision.define_missing_operators() == defined == ["torchvision::qnms"]


@pytest.mark.parametrize("loads", [True, False])
def test_schemas_are_defined_only_where_torchvision_s_own_library_cannot_be_loaded(
    monkeypatch, tmp_path, loads
):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("fake = True")
    (tmp_path / "torchvision" / "_C.so").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)

    def load(path):
        if not loads:
            raise OSError("libcudart.so: cannot open shared object file")

    calls = []
    monkeypatch.setattr(torch.ops, "load_library", load)
    monkeypatch.setattr(_torchvision, "define_missing_operators", lambda: calls.append(1))
    module = _torchvision.import_torchvision()
    assert isinstance(module, ModuleType)
    assert module.fake
    assert len(calls) == (0 if loads else 1)


# --- a small CIFAR of our own, served on the loopback --------------------------------------------

_N = 12  # images a file


def _md5(raw):
    return hashlib.md5(raw).hexdigest()


def _archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, raw in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return buffer.getvalue()


def _small_cifar():
    """Files, archive and mirror of a CIFAR-10 of 60 + 12 random images, and torchvision's class."""
    rng = np.random.default_rng(0)
    parts = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    pixels = {part: rng.integers(0, 256, (_N, 3072), dtype=np.uint8) for part in parts}
    labels = {part: rng.integers(0, 3, _N).tolist() for part in parts}
    files = {p: pickle.dumps({"data": pixels[p], "labels": labels[p]}) for p in parts}
    files["batches.meta"] = pickle.dumps({"label_names": ["a", "b", "c"]})
    archive = _archive({f"small/{name}": raw for name, raw in files.items()})
    sheets = {}
    for part in parts:
        rows = pixels[part].reshape(_N, 3, 1024).transpose(0, 2, 1)
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(rows)).save(buffer, "png")
        sheets[f"package/{part}.png"] = buffer.getvalue()
    train = [label for part in parts[:5] for label in labels[part]]
    sheets["package/train_lables.json"] = json.dumps(train).encode()
    sheets["package/test_lables.json"] = json.dumps(labels["test_batch"]).encode()
    mirror = _archive(sheets)
    sums = {name: _md5(raw) for name, raw in files.items()}
    fields = {
        "base_folder": "small",
        "filename": "small.tar.gz",
        "tgz_md5": _md5(archive),
        "train_list": [[p, sums[p]] for p in parts[:5]],
        "test_list": [["test_batch", sums["test_batch"]]],
        "meta": {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]},
    }
    kind = type("Small", (_torchvision.import_torchvision().datasets.CIFAR10,), fields)
    images = np.concatenate([pixels[p] for p in parts]).reshape(-1, 3, 32, 32)
    digest = content_digest(
        torch.from_numpy(images[:-_N]),
        torch.tensor(train),
        torch.from_numpy(images[-_N:]),
        torch.tensor(labels["test_batch"]),
    )
    return files, archive, mirror, kind, images, digest


class _Server(ThreadingHTTPServer):
    """Serves bytes by path; can ignore ranges, break off, send slowly, and remembers requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.requests, self.sent = {}, [], 0
        self.ranges, self.break_after, self.slow = True, None, 0.0
        self.piece, self.pause = 1 << 30, 0.0  # bytes sent at once, seconds between
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # clients of these tests are killed


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        name, wanted = self.path.lstrip("/"), self.headers.get("Range")
        server.requests.append((name, wanted))
        if name not in server.files:
            self.send_error(404)
            return
        raw, start = server.files[name], 0
        if wanted and server.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(raw):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(raw) - start))
        self.end_headers()
        body = raw[start:]
        if server.break_after is not None:
            body, server.break_after = body[: server.break_after], None
        if server.slow:
            threading.Event().wait(server.slow)
        for start in range(0, len(body), server.piece):
            piece = body[start : start + server.piece]
            server.sent += len(piece)  # before the client has it, and looks
            self.wfile.write(piece)
            threading.Event().wait(server.pause)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with _Server() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def small():
    return _small_cifar()


@pytest.fixture
def hosts(small, server, monkeypatch):
    """CIFAR-10 replaced by the small one; the server has its archive and its mirror."""
    _, archive, mirror, kind, _, digest = small
    server.files = {"small.tar.gz": archive, "mirror.tgz": mirror}
    kind.url = f"{server.url}/small.tar.gz"
    source = Source(
        "Small", digest, ("a", "b", "c"), Mirror(f"{server.url}/mirror.tgz", _md5(mirror))
    )
    monkeypatch.setitem(cifar.SOURCES, "cifar10", source)
    for module in (cifar, cifar_download):
        monkeypatch.setattr(module, "official", lambda source: kind)
    return server


def _is_small(data, small):
    images = torch.cat([data.train.images, data.test.images]).numpy()
    return np.array_equal(images, small[4]) and data.class_names == ("a", "b", "c")


def _names(folder):
    return {p.name for p in folder.iterdir() if not p.name.startswith(".")}


def test_a_missing_data_set_is_fetched_checked_and_then_found(hosts, small, tmp_path):
    assert _is_small(load_dataset("cifar10", tmp_path), small)
    assert _names(tmp_path) == {"small.tar.gz", "small"}
    requests = len(hosts.requests)
    assert _is_small(load_dataset("cifar10", tmp_path), small)
    assert len(hosts.requests) == requests


def test_the_root_comes_from_the_argument_then_the_environment_then_data(
    hosts, small, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for root, folder in ((tmp_path / "a", "a"), (None, "b"), (None, "data")):
        monkeypatch.delenv("SHARED_GEOMETRY_DATA", raising=False)
        if folder == "b":
            monkeypatch.setenv("SHARED_GEOMETRY_DATA", str(tmp_path / "b"))
        load_dataset("cifar10", root)
        assert (tmp_path / folder / "small").is_dir()


def test_the_mirror_gives_the_same_pixels_where_the_official_host_is_gone(hosts, small, tmp_path):
    del hosts.files["small.tar.gz"]
    assert _is_small(load_dataset("cifar10", tmp_path), small)
    assert _names(tmp_path) == {"cifar10.safetensors"}
    assert _is_small(load_dataset("cifar10", tmp_path, download=False), small)


def test_the_mirror_is_taken_where_the_official_host_is_slow(hosts, small, tmp_path, monkeypatch):
    real = cifar_download.download

    def slow(url, path, check, *, least_speed, progress):
        if least_speed:
            raise TooSlow("55 kB/s")
        real(url, path, check, progress=progress)

    monkeypatch.setattr(cifar_download, "download", slow)
    assert _is_small(load_dataset("cifar10", tmp_path), small)
    assert [name for name, _ in hosts.requests] == ["mirror.tgz"]


def test_a_mirror_with_other_pixels_is_refused_and_leaves_nothing_to_be_found(
    hosts, small, tmp_path, monkeypatch
):
    del hosts.files["small.tar.gz"]
    source = cifar.SOURCES["cifar10"]
    other = Source(source.kind, "0" * 64, source.classes, source.mirror)
    monkeypatch.setitem(cifar.SOURCES, "cifar10", other)
    with pytest.raises(DataError, match="does not hold the pixels and labels of cifar10"):
        load_dataset("cifar10", tmp_path)
    assert _names(tmp_path) <= {"mirror.tgz"}


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_wrong_byte_never_enters_the_data_folder(hosts, small, tmp_path, place):
    for name, raw in hosts.files.items():
        wrong = bytearray(raw)
        wrong[place] ^= 1
        hosts.files[name] = bytes(wrong)
    with pytest.raises(DataError, match="expected"):
        load_dataset("cifar10", tmp_path)
    assert _names(tmp_path) == set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_fetching_that_is_killed_at_any_moment_goes_on_and_brings_the_right_bytes(
    hosts, small, tmp_path, monkeypatch
):
    monkeypatch.setattr("shared_geometry.datasets.download._CHUNK", 9000)
    hosts.piece, hosts.pause = 10_000, 0.002
    moments, killed = random.Random(0), 0
    for _ in range(25):
        until, goal = time.monotonic() + 10, hosts.sent + moments.randrange(len(small[1]) // 2)
        after = moments.choice([0, 0, 0.01, 0.1])  # into the check, the unpacking
        child = os.fork()
        if child == 0:
            load_dataset("cifar10", tmp_path)
            os._exit(0)
        while hosts.sent <= goal and os.waitpid(child, os.WNOHANG)[0] == 0:
            assert time.monotonic() < until
            time.sleep(0.001)
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            killed += os.waitpid(child, 0)[1] != 0
        assert _names(tmp_path) <= {"small.tar.gz", "small.tar.gz.part", "small"}
        if (tmp_path / "small.tar.gz").exists():
            assert (tmp_path / "small.tar.gz").read_bytes() == small[1]
            (tmp_path / "small.tar.gz").unlink()
        if (tmp_path / "small").exists():
            found = {p.name: p.read_bytes() for p in (tmp_path / "small").iterdir()}
            assert found == small[0]
            shutil.rmtree(tmp_path / "small")
    assert killed > 5
    assert sum(1 for _, wanted in hosts.requests if wanted) > 5  # gone on from the middle
    assert _is_small(load_dataset("cifar10", tmp_path), small)
    assert _names(tmp_path) == {"small.tar.gz", "small"}


def test_offline_the_message_names_the_file_its_sum_and_the_ways_to_give_it(hosts, small, tmp_path):
    hosts.shutdown()
    hosts.server_close()
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", tmp_path)
    message = str(caught.value)
    for part in ("small.tar.gz", small[3].tgz_md5, "--root", "$SHARED_GEOMETRY_DATA", "reached"):
        assert part in message
    assert "\n" not in message


def test_with_downloading_off_nothing_is_asked_for(hosts, tmp_path):
    with pytest.raises(DataError, match="downloading is switched off"):
        load_dataset("cifar10", tmp_path, download=False)
    assert hosts.requests == []


def test_a_truncated_archive_is_named_with_both_sums(hosts, small, tmp_path):
    path = tmp_path / "small.tar.gz"
    path.write_bytes(small[1][:-100])
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", tmp_path)
    for part in (str(path), _md5(small[1][:-100]), small[3].tgz_md5):
        assert part in str(caught.value)
    assert hosts.requests == []
    assert _names(tmp_path) == {"small.tar.gz"}


def test_a_foreign_file_is_named_and_never_unpickled(hosts, small, tmp_path, monkeypatch):
    load_dataset("cifar10", tmp_path)

    class Bomb:
        def __reduce__(self):
            return exec, ("raise SystemExit('unpickled')",)

    foreign = tmp_path / "small" / "data_batch_3"
    foreign.write_bytes(pickle.dumps(Bomb()))
    words = "data_batch_3 is not the official file: its md5 is .*; delete the folder .*small to"
    with pytest.raises(DataError, match=words):
        load_dataset("cifar10", tmp_path)
    foreign.unlink()
    with pytest.raises(DataError, match="data_batch_3 is missing"):
        load_dataset("cifar10", tmp_path)


def test_an_altered_file_of_our_own_is_named(hosts, small, tmp_path):
    del hosts.files["small.tar.gz"]
    load_dataset("cifar10", tmp_path)
    path = tmp_path / "cifar10.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match=r"cifar10\.safetensors"):
        load_dataset("cifar10", tmp_path)


def test_a_data_folder_that_cannot_be_written_is_refused_before_a_download(hosts, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        load_dataset("cifar10", tmp_path / "file")
    assert hosts.requests == []


# --- the downloader ------------------------------------------------------------------------------

_BODY = np.random.default_rng(1).bytes(700_000)


def _whole(path):
    if path.read_bytes() != _BODY:
        raise DataError("wrong bytes")


def test_a_download_goes_on_where_it_stopped(server, tmp_path):
    server.files["file"] = _BODY
    (tmp_path / "file.part").write_bytes(_BODY[:500_000])
    seen = []
    download(f"{server.url}/file", tmp_path / "file", _whole, progress=lambda *a: seen.append(a))
    assert (tmp_path / "file").read_bytes() == _BODY
    assert server.requests == [("file", "bytes=500000-")]
    assert server.sent == 200_000
    assert seen[-1] == (len(_BODY), len(_BODY))
    assert not (tmp_path / "file.part").exists()


def test_a_connection_that_breaks_is_taken_up_again(server, tmp_path):
    server.files["file"], server.break_after = _BODY, 300_000
    download(f"{server.url}/file", tmp_path / "file", _whole)
    assert (tmp_path / "file").read_bytes() == _BODY
    assert server.requests == [("file", None), ("file", "bytes=300000-")]


def test_a_server_without_ranges_sends_the_file_again(server, tmp_path):
    server.files["file"], server.ranges = _BODY, False
    (tmp_path / "file.part").write_bytes(_BODY[:500_000])
    download(f"{server.url}/file", tmp_path / "file", _whole)
    assert (tmp_path / "file").read_bytes() == _BODY
    assert server.sent == len(_BODY)


@pytest.mark.parametrize("begun", [b"rubbish", _BODY[:-1] + b"x", _BODY + b"and more"])
def test_a_bad_beginning_is_thrown_away_and_the_file_fetched_whole(server, tmp_path, begun):
    server.files["file"] = _BODY
    (tmp_path / "file.part").write_bytes(begun)
    download(f"{server.url}/file", tmp_path / "file", _whole)
    assert (tmp_path / "file").read_bytes() == _BODY


def test_a_finished_part_is_moved_into_place_without_a_byte_more(server, tmp_path):
    server.files["file"] = _BODY
    (tmp_path / "file.part").write_bytes(_BODY)
    download(f"{server.url}/file", tmp_path / "file", _whole)
    assert (tmp_path / "file").read_bytes() == _BODY
    assert server.sent == 0


def test_a_server_that_keeps_breaking_off_is_given_up_and_what_came_is_kept(server, tmp_path):
    server.files["file"] = _BODY

    class Breaking(_Handler):
        def do_GET(self):
            self.server.break_after = 0 if self.headers.get("Range") else 1000
            super().do_GET()

    server.RequestHandlerClass = Breaking
    with pytest.raises(DataError, match="cannot be reached"):
        download(f"{server.url}/file", tmp_path / "file", _whole)
    assert (tmp_path / "file.part").read_bytes() == _BODY[:1000]
    assert not (tmp_path / "file").exists()


def test_a_full_disk_is_not_taken_for_a_server_that_cannot_be_reached(
    server, tmp_path, monkeypatch
):
    server.files["file"] = _BODY

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "_copy", full)
    with pytest.raises(OSError, match="No space left") as told:
        download(f"{server.url}/file", tmp_path / "file", _whole)
    assert not isinstance(told.value, DataError)
    assert len(server.requests) == 1


def test_a_slow_server_is_left_with_what_came_kept(server, tmp_path):
    server.files["file"], server.slow = _BODY, 0.05
    with pytest.raises(TooSlow):
        download(f"{server.url}/file", tmp_path / "file", _whole, least_speed=1e12, patience=0)
    assert _BODY.startswith((tmp_path / "file.part").read_bytes())
    server.slow = 0
    download(f"{server.url}/file", tmp_path / "file", _whole)
    assert (tmp_path / "file").read_bytes() == _BODY


def test_two_downloads_of_one_file_fetch_it_once(server, tmp_path):
    server.files["file"], server.slow = _BODY, 0.1
    threads = [
        threading.Thread(
            target=download, args=(f"{server.url}/file", tmp_path / "file", _whole), daemon=True
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (tmp_path / "file").read_bytes() == _BODY
    assert len(server.requests) == 1


def test_the_md5_of_a_file_is_hashlib_s(tmp_path):
    (tmp_path / "file").write_bytes(_BODY)
    assert md5(tmp_path / "file") == _md5(_BODY)


# --- the real archives ---------------------------------------------------------------------------


@pytest.mark.cifar
@pytest.mark.parametrize("name", DATASETS[1:])
def test_the_official_files_have_the_pixels_and_labels_that_a_mirror_must_have(name):
    try:
        data = load_dataset(name, download=False)
    except DataError as error:
        pytest.skip(str(error))
    assert data.digest() == SOURCES[name].sha256
    assert data.train.images.shape == (50_000, *IMAGE_SHAPES[name])
    assert data.test.images.shape == (10_000, 3, 32, 32)
    n_classes = {"cifar10": 10, "cifar100": 100}[name]
    assert len(data.class_names) == n_classes
    counts = torch.bincount(data.train.labels)
    assert torch.equal(counts, torch.full((n_classes,), 50_000 // n_classes))
    if SOURCES[name].classes is not None:
        assert data.class_names == SOURCES[name].classes
