import errno
import os
import shutil
import subprocess
import sys

import pytest
from examples import small_results

from shared_geometry import __version__, cli
from shared_geometry.beyond import studies
from shared_geometry.config import Config
from shared_geometry.experiment.results import load_results


def command(*words, cwd, **environment):
    return subprocess.run(
        [sys.executable, "-m", "shared_geometry", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        env=os.environ | {"COLUMNS": "160"} | environment,
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    words = ("run", "--preset", "smoke", "--set", "max_units=32", "--save", "kept/digits.nc")
    return command(*words, cwd=folder), folder


def test_a_run_says_its_needs_its_summary_and_where_the_results_are(ran):
    done, folder = ran
    assert done.returncode == 0, done.stderr
    n = Config.from_preset("smoke").networks
    assert f"{n} networks; " in done.stderr
    assert "GB of disk" in done.stderr
    assert f"training: 0 of {n}, " in done.stderr
    assert f"training: {n} of {n}, " in done.stderr
    assert "test accuracy" in done.stderr
    assert "left; done" in done.stderr
    assert "variance, published" in done.stdout
    assert "kept/digits.nc" in done.stdout
    results = load_results(folder / "kept" / "digits.nc")
    assert Config.from_json(results.attrs["config"]).max_units == 32


def test_a_folder_below_home_is_found_again_and_a_path_is_printed_as_it_is(ran, tmp_path):
    words = ("run", "--preset", "smoke", "--set", "max_units=32", "--output=~/runs")
    shutil.copytree(ran[1] / "runs", tmp_path / "runs")
    done = command(*words, "--save=~/[kept]/digits.nc", cwd=tmp_path, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert load_results(tmp_path / "[kept]/digits.nc").sizes["network"]
    assert f"Results: {tmp_path}/[kept]/digits.nc" in done.stdout


def test_a_damaged_file_is_named_in_a_line_and_made_again(ran):
    _, folder = ran
    (path,) = folder.glob("runs/*/results.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    again = command("run", "--preset", "smoke", "--set", "max_units=32", cwd=folder)
    assert again.returncode == 0, again.stderr
    n = Config.from_preset("smoke").networks
    said = f"{n} networks, {n} of them trained before; 0.00 million images to train on"
    assert said in again.stderr
    (line,) = (line for line in again.stderr.splitlines() if "set aside" in line)
    assert line.startswith("warning: results.nc")
    kept, made = load_results(folder / "kept" / "digits.nc"), load_results(path)
    assert made.drop_attrs().identical(kept.drop_attrs())


def test_show_prints_a_results_file_with_its_provenance(ran):
    _, folder = ran
    done = command("show", "kept/digits.nc", cwd=folder)
    assert done.returncode == 0, done.stderr
    for word in ("command: shared-geometry run", "commit: ", "hardware: ", "dense"):
        assert word in done.stdout


def test_the_version_is_told(tmp_path):
    done = command("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, __version__)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--dataset", "mnist"), "'digits', 'cifar10' or 'cifar100'"),
        (("run", "--networks", "1"), "networks=1"),
        (("run", "--networks", "two"), "two"),
        (("run", "--set", "epochs"), "field=value"),
        (("run", "--set", "epoch=3"), "unknown parameter 'epoch'"),
        (("run", "--networks", "2", "--set", "networks=3"), "networks is given twice"),
        (("run", "--preset", "fast", "--set", "preset=quick"), "preset is given twice"),
        (
            ("run", "--architecture", "resnet18", "--set", "batch_size=1", "--output", "new"),
            "needs batches of 2 images or more",
        ),
        (("run", "--nonsense"), "nonsense"),
        (("run", "--save", ""), "'.' is a folder; name a file"),
        (("study", "rigidity", "--save", "x" * 300), "too long"),
        (("run", "--output", "x" * 300), "too long"),
        (("run", "--set", "components=5000", "--output", "new"), "components=5000 is larger than"),
        (("study", "chance", "--set", "components=5000", "--output", "new"), "components=5000"),
        (("study", "chance", "--set", "checkpoints=[1,4]", "--save", "new/kept.nc"), "untrained"),
        (("show", "absent.nc"), "no results file"),
        (("data", "mnist"), "mnist"),
    ],
)
def test_what_a_user_did_wrong_is_said_in_a_line(tmp_path, words, message):
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "value"),
    [("[0, 1]", [0, 1]), ("0,1", (0, 1)), ("(0, 0.5)", (0, 0.5)), ("False", False),
     ("false", False), ("None", None), ("1e-4", 1e-4), ("cifar10", "cifar10"), ("processes://2", "processes://2"),
     ("(" * 300, "(" * 300)],
)  # fmt: skip
def test_values_are_json_or_python_or_text(text, value):
    assert cli._value(text) == value


def test_a_file_that_may_not_be_read_is_named_in_a_line(monkeypatch, capsys):
    def refuse(**how):
        raise PermissionError(errno.EACCES, "Permission denied", "runs/[a]/results.nc")

    monkeypatch.setattr(cli, "app", refuse)
    with pytest.raises(SystemExit):
        cli.main()
    assert "error: runs/[a]/results.nc: Permission denied" in capsys.readouterr().err


def test_names_of_layers_are_no_markup(capsys):
    named = small_results().assign_coords(layer=["a[/b]", "[x]"])
    cli.Console().print(cli.summary(named))
    said = capsys.readouterr().out
    assert "a[/b]" in said
    assert "[x]" in said


def test_a_study_says_its_claim_and_its_verdict(tmp_path):
    done = command("study", "heads", "--preset", "smoke", "--save", "heads.nc", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    claim = studies.claim_of("heads")
    assert done.stdout.startswith(f"{claim.text}: ")
    assert f"Rule: {claim.rule}" in done.stdout
    shown = command("show", "heads.nc", cwd=tmp_path)
    assert shown.returncode == 2
    assert "heads.nc has format 'heads " in shown.stderr


def test_a_full_disk_is_named_by_the_file_that_does_not_fit(monkeypatch, capsys):
    def copy(**how):
        raise OSError(errno.ENOSPC, "No space left on device", "runs/results.nc", None, "kept.nc")

    monkeypatch.setattr(cli, "app", copy)
    with pytest.raises(SystemExit):
        cli.main()
    assert "the disk is full (kept.nc)" in capsys.readouterr().err
