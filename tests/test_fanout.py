"""A run by processes and by Dask's workers gives what a run in one process gives."""

import json
import os
import re
import shutil
import signal
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest
import xarray as xr

from shared_geometry.config import Config
from shared_geometry.errors import DataError, InputError
from shared_geometry.experiment import fanout, run, steps
from shared_geometry.experiment.executors import executor_at
from shared_geometry.experiment.plan import plan


def numbers(results):
    """Results without what differs from run to run: times and provenance."""
    return results.drop_attrs()


SMOKE = Config.from_preset("smoke", device="cpu")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    output = tmp_path_factory.mktemp("here")
    return run(SMOKE, output=output), output


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
    ) as cluster:
        yield cluster


def address(cluster):
    return cluster.scheduler_address.replace("tcp://", "dask://")


def check(results, here):
    xr.testing.assert_allclose(numbers(results), numbers(here[0]), rtol=1e-4, atol=1e-5)


def test_processes_give_the_same_results(here, tmp_path):
    told = []
    with executor_at("processes://2") as executor:
        results = run(
            SMOKE, output=tmp_path, executor=executor, progress=lambda *report: told.append(report)
        )
    check(results, here)
    assert [report[1] for report in told if report[0] == "training"] == [0, 1, 2]
    assert [report[1] for report in told if report[0] == "analysis"] == [1, 2, 3]
    assert [p.name for p in (tmp_path / SMOKE.digest).iterdir()] == ["results.nc"]


def test_how_far_networks_are_is_told_while_they_train(tmp_path, monkeypatch):
    longer = Config.from_preset("smoke", device="cpu", epochs=4)
    told, train_network = [], fanout.train_network
    monkeypatch.setattr(fanout, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(
        fanout, "train_network", lambda *given, **more: train_network(*given, **more, save_every=0)
    )
    it = plan(longer, None, tmp_path)
    place = fanout.place_of(it, None, tmp_path)

    def train_them():
        told.clear()
        with ThreadPoolExecutor(1) as executor:
            fanout.train(it, place, executor, lambda *report: told.append(report[1:]))
        return [done for done, _, _ in told]

    total = 4 * longer.networks
    done = train_them()
    assert done[0] == 0
    assert done[-1] == total
    assert done == sorted(set(done))
    assert set(done) - set(range(0, total, 4))  # told before a network was finished
    assert {of for _, of, _ in told} == {total}
    assert re.match(r"network 1: epoch \d of 4, test accuracy \d", told[1][2])
    assert train_them() == list(range(0, total + 1, 4))  # found finished, before any work


def test_dasks_workers_give_the_same_results(here, cluster, tmp_path):
    with executor_at(address(cluster)) as executor:
        check(run(SMOKE, output=tmp_path, executor=executor), here)


def test_a_scheduler_is_found_by_its_file(cluster, tmp_path):
    path = tmp_path / "scheduler.json"
    path.write_text(json.dumps({"address": cluster.scheduler_address}))
    with executor_at(f"dask://{path}") as executor:
        assert executor.submit(int, "7").result(timeout=20) == 7


def test_a_worker_that_is_killed_loses_nothing(here, cluster, tmp_path):
    killed = []

    def kill_one(stage, done, total, note):
        if not killed and stage == "training":
            worker = next(iter(cluster.workers.values()))
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)

    with executor_at(address(cluster)) as executor:
        results = run(SMOKE, output=tmp_path, executor=executor, progress=kill_one)
    assert killed
    check(results, here)


def test_a_process_that_is_killed_ends_the_run_in_a_sentence_and_it_goes_on(here, tmp_path):
    def kill_one(stage, done, total, note):
        if stage == "training" and done == 1:
            os.kill(next(iter(executor._processes)), signal.SIGKILL)

    with (
        pytest.raises(DataError, match=r"a worker ended \(out of memory\?\)"),
        executor_at("processes://1") as executor,
    ):
        run(SMOKE, output=tmp_path, executor=executor, progress=kill_one)
    check(run(SMOKE, output=tmp_path), here)


def test_tasks_that_a_lost_scheduler_cancels_end_the_run_in_a_sentence(tmp_path):
    class Lost(Executor):
        def submit(self, task, *given):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with pytest.raises(DataError, match="or its scheduler; what was finished"):
        run(SMOKE, output=tmp_path, executor=Lost())


def test_only_what_is_missing_is_analysed(here, tmp_path, monkeypatch):
    shutil.copytree(here[1], tmp_path / "runs")
    (tmp_path / "runs" / SMOKE.digest / "results.nc").unlink()
    analyse, calls = steps.analyse, []

    def counted(it, layer, checkpoint):
        calls.append((layer, checkpoint))
        return analyse(it, layer, checkpoint)

    def dying(it, layer, checkpoint):
        if len(calls) == 5:
            raise RuntimeError("the machine went away")
        return counted(it, layer, checkpoint)

    monkeypatch.setattr(steps, "analyse", dying)
    with ThreadPoolExecutor(1) as executor, pytest.raises(RuntimeError, match="went away"):
        run(SMOKE, output=tmp_path / "runs", executor=executor)
    assert [checkpoint for _, checkpoint in calls[:3]] == [1.0] * 3  # the reference comes first
    monkeypatch.setattr(steps, "analyse", counted)
    first, calls[:] = list(calls), []
    with ThreadPoolExecutor(1) as executor:
        check(run(SMOKE, output=tmp_path / "runs", executor=executor), here)
    assert set(first).isdisjoint(calls)
    assert len(first) + len(calls) == 9


def test_a_task_carries_no_data(tmp_path):
    import pickle

    place = fanout.place_of(plan(SMOKE, None, tmp_path), None, tmp_path)
    assert len(pickle.dumps((fanout.analyse_task, place, "dense", 1.0))) < 2000


def test_a_worker_that_would_train_other_networks_says_so(tmp_path):
    place = fanout.place_of(plan(SMOKE, None, tmp_path), None, tmp_path)
    with pytest.raises(InputError, match=r"precision='auto' would train other networks here"):
        fanout.analyse_task(place._replace(networks="networks-0"), "dense", 1.0)


def test_a_run_can_be_sent_from_where_its_device_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    there = Config.from_preset("smoke", device="cuda")
    with pytest.raises(InputError, match="device='cuda' is not allowed here"):
        plan(there, None, tmp_path)
    told = Config.from_preset("smoke", device="cuda", precision="float32")
    assert plan(told, None, tmp_path).precision == "float32"
    with pytest.raises(InputError, match="device='cuda' is not allowed here"):
        run(told, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("slurm://4", "processes://4, dask://host:port"),
        ("processes", "processes://4, dask://host:port"),
        ("processes://", "processes://4, dask://host:port"),
        ("processes://none", "how many, 1 or more"),
        ("processes://0", "how many, 1 or more"),
        ("dask://127.0.0.1:9", "no scheduler answers"),
        ("dask:///nowhere/scheduler.json", "no scheduler answers"),
        ("dask:///etc/hostname", "none that a Dask scheduler wrote"),
        ("dask:///etc", "none that a Dask scheduler wrote"),
        ("dask://localhost", "is not allowed: dask://host:port"),
        ("dask://localhost:", "is not allowed: dask://host:port"),
        ("dask://localhost:99999", "is not allowed: dask://host:port"),
    ],
)
def test_an_executor_that_cannot_be_had_is_refused(where, message, monkeypatch):
    monkeypatch.setattr("shared_geometry.experiment.executors._PATIENCE", 0.5)
    with pytest.raises(InputError, match=message), executor_at(where):
        raise AssertionError("an executor was made")
