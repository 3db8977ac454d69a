"""Runs that are killed, stopped or out of disk lose nothing finished and keep nothing wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr
from conftest import ROOT

from shared_geometry.config import Config
from shared_geometry.experiment.plan import needs
from shared_geometry.experiment.results import load_results

SMOKE = Config.from_preset("smoke", device="cpu")
RESULTS = f"{SMOKE.digest}/results.nc"
COMMAND = [sys.executable, "-m", "shared_geometry"]
KILLS = 50

# Imports once, then starts the run in forked children, each killed after a time drawn at random.
_KILLER = """
import json, os, random, signal, sys, time
from shared_geometry.config import Config
from shared_geometry.experiment import run

output, kills = sys.argv[1], int(sys.argv[2])
config = Config.from_preset("smoke", device="cpu")

def start():
    child = os.fork()
    if child == 0:
        run(config, output=output)
        os._exit(0)
    return child

survived, moments = 0, random.Random(0)
for _ in range(kills):
    child = start()
    time.sleep(moments.uniform(0.02, 0.9))
    os.kill(child, signal.SIGKILL)
    survived += os.waitpid(child, 0)[1] == 0
_, status = os.waitpid(start(), 0)
print(json.dumps({"survived": survived, "status": status}))
"""


def killed_run(output, kills):
    done = subprocess.run(
        [sys.executable, "-c", _KILLER, str(output), str(kills)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["status"] == 0, done.stderr
    return load_results(output / RESULTS).drop_attrs(), said["survived"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return killed_run(tmp_path_factory.mktemp("whole"), 0)[0]


def test_a_run_killed_fifty_times_gives_the_same_results_bit_for_bit(whole, tmp_path):
    results, survived = killed_run(tmp_path, KILLS)
    assert survived < KILLS / 2
    xr.testing.assert_identical(results, whole)
    assert [p.name for p in (tmp_path / SMOKE.digest).iterdir()] == ["results.nc"]


def started(*words, cwd):
    return subprocess.Popen(
        [*COMMAND, "run", "--preset", "smoke", "--device", "cpu", *words],
        cwd=cwd,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # a shell's background job, and all that it starts, would ignore Control-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(folder, pattern, process):
    for _ in range(1200):
        if any(folder.glob(pattern)):
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError(f"{pattern} did not appear")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_control_c_and_schedulers_end_a_run_at_once_and_it_says_how_to_go_on(sent, tmp_path):
    process = started("--networks", "8", cwd=tmp_path)
    wait_for(tmp_path, "runs/networks-*/network-*/epoch-0.safetensors", process)
    process.send_signal(sent)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "the same command goes on from here" in said
    assert "Traceback" not in said
    begun = len(list(tmp_path.glob("runs/networks-*/network-*/state.safetensors")))
    assert begun
    config = Config.from_preset("smoke", device="cpu", networks=8)
    assert f", {begun} begun; at most " in needs(config, output=tmp_path / "runs")


def test_control_c_before_a_command_is_read_ends_it_in_a_line(tmp_path):
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")  # imported by the command line
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    ended = subprocess.run(
        [*COMMAND, "run"], capture_output=True, text=True, check=False, env=environment
    )
    assert ended.returncode == 130
    assert ended.stderr == "stopped before anything was begun\n"


def workers_of(folder):
    """Processes, besides the run's own, that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder) and b"spawn_main" in (
                process / "cmdline"
            ).read_bytes().replace(b"\0", b" "):
                found.append(int(process.name))
        except OSError:  # gone, or not ours
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_workers_of_a_run_end_with_it(sent, tmp_path):
    # would train for minutes
    words = ("--networks", "4", "--epochs", "3000", "--executor", "processes://2")
    process = started(*words, cwd=tmp_path)
    try:
        wait_for(tmp_path, "runs/networks-*/network-01/epoch-1.safetensors", process)
        assert len(workers_of(tmp_path)) == 2
        process.send_signal(sent)
        _, said = process.communicate(timeout=20)
        if sent == signal.SIGTERM:
            assert process.returncode == 130
            assert "the same command goes on from here" in said
            assert "Traceback" not in said
        for _ in range(200):
            if not workers_of(tmp_path):
                break
            time.sleep(0.05)
        assert workers_of(tmp_path) == []
    finally:
        process.kill()
        for worker in workers_of(tmp_path):
            os.kill(worker, signal.SIGKILL)


def test_two_runs_started_together_share_the_work(tmp_path):
    both = [started(cwd=tmp_path) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    tables = [out for out, _ in outputs]
    assert tables[0] == tables[1]
    assert len(list((tmp_path / "runs").glob("networks-*"))) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 6 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be made here (mount is not allowed)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_with_more_room_the_run_goes_on(small_disk, whole):
    words = ("--output", str(small_disk / "runs"))
    process = started(*words, cwd=small_disk)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "the disk is full" in said
    assert "Traceback" not in said
    assert not list(small_disk.rglob("*.part"))
    finished = {p: p.stat().st_mtime_ns for p in small_disk.rglob("epoch-*.safetensors")}
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    again = started(*words, cwd=small_disk)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in finished.items())
    results = load_results(small_disk / "runs" / RESULTS).drop_attrs()
    xr.testing.assert_allclose(results, whole, rtol=1e-4, atol=1e-5)


def test_a_papermill_run_that_was_killed_goes_on(tmp_path):
    words = [
        sys.executable,
        "-m",
        "papermill",
        "book/experiment.ipynb",
        str(tmp_path / "out.ipynb"),
    ]
    words += ["-p", "preset", "smoke", "-p", "output", str(tmp_path / "runs")]
    process = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)
    for _ in range(1200):
        if any(tmp_path.glob("runs/*/parts/*")):
            break
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    networks = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("epoch-*.safetensors")}
    assert networks
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in networks.items())
    assert len(list(tmp_path.glob("runs/*/results.nc"))) == 1
