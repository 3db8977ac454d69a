"""The benchmarks run, and are fair to those that they measure us against."""

import importlib.util
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT

FOLDER = ROOT / "benchmarks"


def benchmark(name, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)  # where processes that are spawned look for it
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_can_be_imported(path, monkeypatch):
    assert benchmark(path.stem, monkeypatch).__doc__


def test_an_analysis_is_measured_and_its_memory_foreseen(monkeypatch):
    scale = benchmark("scale", monkeypatch)
    found = scale.measure(scale.QUICK)
    assert 0 < found["seconds"] < 60
    assert 0 < found["seconds_last"] < 60
    assert 0.05 < found["memory"] < 10
    assert 0.05 < found["foreseen"] < 10


def test_solvers_are_scored_alike_and_none_is_handicapped(monkeypatch):
    pytest.importorskip("brainiak")
    bench = benchmark("srm", monkeypatch)
    generator = torch.Generator().manual_seed(0)
    s = torch.randn(8, 300, generator=generator)
    x = [
        torch.linalg.qr(torch.randn(8, 8, generator=generator))[0] @ s
        + 0.3 * torch.randn(8, 300, generator=generator)
        + 3 * torch.randn(8, 1, generator=generator)  # each unit has a mean
        for _ in range(4)
    ]
    fits = {
        "ours": bench._fit_ours(x, 8, "cpu", 1, {})[0],
        "DetSRM": bench._fit_brainiak(x, 8, "DetSRM", 1)[0],
        "SRM": bench._fit_brainiak(x, 8, "SRM", 1)[0],
    }
    mean = [a.double().mean(1).numpy() for a in x]
    scores = {who: bench.explained(w, mean, x) for who, w in fits.items()}
    np.testing.assert_allclose(list(scores.values()), scores["ours"], atol=2e-3)
    assert all(isinstance(w[0], np.ndarray) for w in fits.values())


def test_a_case_of_the_solver_s_benchmark_is_measured_in_a_process_of_its_own(monkeypatch):
    bench = benchmark("srm", monkeypatch)
    row = bench.measure(bench.QUICK[0], "ours", 1, repeats=1)
    assert row["seconds"] > 0
    assert 0 < row["held_out"] <= row["fit"] <= 1
