import json
import os

import pytest
import torch
from safetensors import safe_open

from shared_geometry.basics.files import (
    fresh,
    read_about,
    read_tensors,
    reuse,
    writable_file,
    writable_folder,
    write_tensors,
    write_text,
)
from shared_geometry.errors import DataError, InputError, SetAside


def test_a_file_that_cannot_be_read_is_not_taken_for_a_bad_one(tmp_path):
    def read(path):
        raise DataError("never asked")

    path = tmp_path / "kept.nc"
    path.mkdir()  # what stands for a file that others may not read: root may read all
    with pytest.raises(OSError, match=r"kept\.nc"):
        reuse(path, read)
    assert [p.name for p in tmp_path.iterdir()] == ["kept.nc"]
    assert reuse(tmp_path / "absent.nc", read) is None


def test_files_can_be_read_by_whoever_the_user_lets(tmp_path):
    (tmp_path / "usual").touch()
    write_tensors(tmp_path / "kept.safetensors", {"a": torch.zeros(3)}, {})
    write_text(tmp_path / "kept.json", "{}")
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "kept.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3, dtype=torch.int64)}
    write_tensors(path, tensors, {"config": "c0ffee", "epoch": 2})
    return path, tensors


def test_tensors_come_back_as_they_were_written(kept):
    path, tensors = kept
    found, about = read_tensors(path)
    assert read_about(path) == about
    assert about == {"config": "c0ffee", "epoch": 2}
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


def test_every_flipped_byte_is_noticed(kept):
    path, _ = kept
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError):
            read_tensors(path)


def test_a_file_cut_short_is_refused(kept):
    path, _ = kept
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError):
        read_tensors(path)


def test_a_file_made_by_another_config_is_refused_by_name(kept):
    path, _ = kept
    with pytest.raises(DataError, match="config='c0ffee', not 'other'"):
        read_tensors(path, {"config": "other"})


def test_an_interrupted_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "text"
    write_text(path, "old")

    def interrupted():
        with fresh(path) as aside:
            aside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["text"]


def test_what_a_killed_writer_left_is_swept_and_what_one_at_work_has_is_not(tmp_path):
    path = tmp_path / "epoch-[1].nc"
    left, at_work, other = (tmp_path / f".{name}.part" for name in
                            ("epoch-[1].nc.7-a", "epoch-[1].nc.8-b", "epoch-1.nc.9-c"))  # fmt: skip
    for part in (left, at_work, other):
        part.touch()
    for part in (left, other):
        os.utime(part, (1, 1))
    write_text(path, "whole")
    assert {p.name for p in tmp_path.iterdir()} == {path.name, at_work.name, other.name}


def test_a_bad_file_is_set_aside_so_that_it_is_made_again(kept):
    path, _ = kept
    path.write_bytes(b"not safetensors")
    with pytest.warns(SetAside, match=rf"{path.name} cannot be read.*set aside as .*\.bad"):
        assert reuse(path, read_tensors) is None
    assert not path.exists()
    assert path.with_name(path.name + ".bad").exists()
    assert reuse(path, read_tensors) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "'' is a folder; name a file"),
        (".", "'.' is a folder"),
        ("there", "'there' is a folder"),
        ("x" * 300 + ".nc", r"xx.nc' cannot be written \(File name too long\)"),
        ("x" * 240 + ".nc", "cannot be written"),  # while it is written its name is longer
        ("file/below.nc", "the folder 'file' cannot be written"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=message):
        writable_file(name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "there"]
    assert writable_file("there/new.nc").name == "new.nc"
    assert not any((tmp_path / "there").iterdir())


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        writable_folder(tmp_path / "file" / "below")
    assert writable_folder(tmp_path / "new" / "deep").is_dir()


def test_a_description_alone_is_read_without_the_tensors(kept):
    path, _ = kept
    assert read_about(path.with_name("none")) is None
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match="cannot be read"):
        read_about(path)


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    done, sync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("on the disk"), sync(file)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("in place"), replace(a, b)))
    write_text(tmp_path / "text", "whole")
    assert done == ["on the disk", "in place"]


def test_a_checksum_holds_names_and_shapes_of_tensors_too(tmp_path):
    x = torch.arange(6.0)
    written = []
    for name, tensor in (("a", x), ("b", x), ("a", x.reshape(2, 3)), ("a", x.view(torch.int32))):
        write_tensors(tmp_path / "x", {name: tensor}, {})
        with safe_open(tmp_path / "x", "pt") as file:
            written.append(json.dumps(file.metadata(), sort_keys=True))
    assert len(set(written)) == 4
