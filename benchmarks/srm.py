"""Our shared response model against BrainIAK's, in the same run, on the same data.

    python benchmarks/srm.py [--device cuda] [--real [PRESET]] [--growth] [--quick]

``--real`` adds the activity of ConvNets trained on CIFAR-10, five at preset quick unless another is
named, which it trains if ``--runs`` does not hold them yet.

Every fit on a processor runs in a process of its own, and its memory is the largest resident size
of the process during the fit less what it held before, the data included.  A GPU fits all cases
first, before BrainIAK is at work beside it, and its memory is what it held at most, data excluded.
BrainIAK runs its 10 iterations at each number of BLAS threads, and its best counts; ours stops by
its own rule.  Both are scored by the same code in float64 on samples that neither has seen.  Where
ours then explains more, it is run again with looser tolerances, to find how soon it explains as
much as BrainIAK's better solver.  The floor is the time of the matrix products of one sweep at the
rate that this machine multiplies at, in float32, measured here.
"""

import argparse
import json
import multiprocessing
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from shared_geometry.basics.devices import usable_cores
from shared_geometry.basics.files import read_tensors, write_tensors, write_text
from shared_geometry.basics.provenance import provenance
from shared_geometry.basics.randomness import torch_generator

RESULTS = Path(__file__).parent / "results"
HELD_OUT = 0.2
# How ours is stopped sooner, the soonest first, for a fit no worse than BrainIAK's.
SOONER = ({"max_sweeps": 1}, {"tol": 1e-2}, {"tol": 3e-3}, {"tol": 1e-3}, {"tol": 3e-4})


class Case(NamedTuple):
    """A population to align; ``activity`` is a file of real activity, None: synthetic."""

    networks: int
    units: int
    samples: int
    k: int
    activity: str | None = None

    @property
    def name(self) -> str:
        what = Path(self.activity).stem if self.activity else "synthetic"
        return f"{what}: {self.networks} x {self.units} x {self.samples}, k = {self.k}"


PAPER = Case(10, 1000, 8000, 1000)
CASES = [PAPER, Case(10, 512, 4000, 512), Case(10, 1000, 8000, 50)]
QUICK = [Case(5, 100, 600, 100), Case(5, 100, 600, 10)]


def synthetic(case: Case) -> list[torch.Tensor]:
    """One response with a spectrum that decays as j^-3/4, turned and made noisy in each network."""
    count = round(case.samples / (1 - HELD_OUT))
    spectrum = torch.arange(1, case.units + 1.0)[:, None] ** -0.75

    def normal(*shape: object) -> torch.Tensor:
        return torch.randn(case.units, int(shape[-1]), generator=torch_generator(0, *shape))

    shared = spectrum * normal("shared", count)
    return [
        torch.linalg.qr(normal("basis", i, case.units))[0]
        @ (shared + 0.45 * spectrum * normal("noise", i, count))
        for i in range(case.networks)
    ]


def activity(case: Case) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Samples to fit, samples held out."""
    if case.activity is None:
        x = synthetic(case)
    else:
        x = list(read_tensors(Path(case.activity))[0]["x"][: case.networks, : case.units])
    return [a[:, : case.samples].contiguous() for a in x], [a[:, case.samples :] for a in x]


def real_activity(preset: str, runs: Path) -> list[Case]:
    """Two layers of trained ConvNets: the widest, and the one before the answer."""
    from shared_geometry.config import Config
    from shared_geometry.datasets import mean_image
    from shared_geometry.experiment.plan import build, plan
    from shared_geometry.networks.activations import draw_units, record_activations, standardise
    from shared_geometry.training import load_checkpoint, train_population

    config = Config.from_preset(
        preset, dataset="cifar10", architecture="convnet", max_units=PAPER.units
    )
    it = plan(config, None, runs)
    n, last = config.networks, it.recipe.checkpoints[-1]
    train_population(
        it.data, "convnet", it.recipe, n_networks=n, seed=config.seed, folder=it.networks
    )
    layers = [max(it.sizes, key=it.sizes.__getitem__), list(it.sizes)[-1]]
    found: dict[str, list[torch.Tensor]] = {layer: [] for layer in layers}
    for i in range(n):
        module = build(config, it.data, i)
        module.load_state_dict(load_checkpoint(it.networks, i, last))
        units = {a: draw_units(it.sizes[a], config.max_units, config.seed, i, a) for a in layers}
        recorded = record_activations(
            module,
            it.data.test.images,
            {layer: it.layers[layer] for layer in layers},
            mean_image=mean_image(it.data.train.images),
            units=units,
            device=torch.device("cpu"),
            name=f"network {i}",
        )
        for layer in layers:
            found[layer].append(standardise(recorded[layer]))
    cases = []
    for layer, x in found.items():
        path = runs / f"CIFAR-10 ConvNet {layer}.safetensors"
        write_tensors(path, {"x": torch.stack(x)}, {"layer": layer})
        units, samples = x[0].shape
        cases.append(Case(n, units, round(samples * (1 - HELD_OUT)), units, str(path)))
    return cases


def explained(w: list[np.ndarray], mean: list[np.ndarray], x: list[torch.Tensor]) -> float:
    """1 - sum ||X - W S||^2 / sum ||X||^2 with S the mean of W'X, in float64."""
    here = x[0].device
    mean = [torch.from_numpy(mu).to(here) for mu in mean]
    centred = [a.double() - mu[:, None] for a, mu in zip(x, mean, strict=True)]
    w = [torch.from_numpy(np.asarray(b)).to(here).double() for b in w]
    parts = [b.mT @ a for b, a in zip(w, centred, strict=True)]
    s = sum(parts) / len(parts)
    rest = sum((a - b @ s).square().sum() for b, a in zip(w, centred, strict=True))
    return float(1 - rest / sum(a.square().sum() for a in centred))


def _memory(entry: str) -> float:
    """``VmRSS``, what this process holds, or ``VmHWM``, the most it held since `_forget`; GiB."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{entry}:")[2].split()[0]) / 2**20


def _forget() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # the largest size begins anew


def _fit_ours(x: list[torch.Tensor], k: int, device: str, repeats: int, options: dict):
    from shared_geometry.srm import SRM

    on_gpu, seconds = device != "cpu", []
    x = [a.to(device) for a in x]
    for _ in range(repeats + on_gpu):  # a GPU's first fit loads its kernels
        start = time.perf_counter()
        model = SRM(k, **options).fit(x)
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return [b.cpu().numpy() for b in model.w_], min(seconds), model.n_sweeps_


def _fit_brainiak(x: list[torch.Tensor], k: int, kind: str, threads: int):
    from brainiak.funcalign import srm

    x = [a.numpy().astype(np.float64) for a in x]  # BrainIAK would convert them too
    with threadpool_limits(threads):
        start = time.perf_counter()
        if kind == "DetSRM":  # fits what it is given; SRM subtracts the means itself
            x = [a - a.mean(1, keepdims=True) for a in x]
        model = getattr(srm, kind)(n_iter=10, features=k).fit(x)
        return model.w_, time.perf_counter() - start, 10


def _measure(
    case: Case, who: str, threads: int, device: str, repeats: int, options: dict, answer
) -> None:
    """In a process of its own: fit, score, report."""
    x, held_out = activity(case)
    before = _memory("VmRSS")
    _forget()
    if who == "ours":
        torch.set_num_threads(threads)
        w, seconds, sweeps = _fit_ours(x, case.k, device, repeats, options)
    else:
        w, seconds, sweeps = _fit_brainiak(x, case.k, who, threads)
    memory = _memory("VmHWM") - before
    torch.set_num_threads(usable_cores())
    mean = [a.double().mean(1).numpy() for a in x]
    answer.put(
        {
            "who": who,
            "threads": threads,
            "seconds": seconds,
            "sweeps": sweeps,
            "memory": memory,
            "fit": explained(w, mean, x),
            "held_out": explained(w, mean, held_out),
        }
    )


def _measure_on_gpu(cases: list[Case], device: str, answer) -> None:
    """In a process of its own: fit all cases, score, report."""
    found = []
    for case in cases:
        x, held_out = activity(case)
        held = torch.cuda.memory_allocated(device) + sum(4 * a.numel() for a in x)
        torch.cuda.reset_peak_memory_stats(device)
        w, seconds, sweeps = _fit_ours(x, case.k, device, 3, {})
        memory = (torch.cuda.max_memory_allocated(device) - held) / 2**30
        mean = [a.double().mean(1).numpy() for a in x]
        found.append(
            {
                "who": "ours",
                "threads": usable_cores(),
                "seconds": seconds,
                "sweeps": sweeps,
                "memory": memory,
                "fit": explained(w, mean, [a.to(device) for a in x]),
                "held_out": explained(w, mean, [a.to(device) for a in held_out]),
                "rate": gemm_rate(case, device),
            }
        )
    answer.put(found)


def measure_on_gpu(cases: list[Case], device: str) -> list[dict]:
    """Our fit of every case on a GPU, and the rate at which it multiplies."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    work = context.Process(target=_measure_on_gpu, args=(cases, device, answer))
    work.start()
    found = answer.get()
    work.join()
    return found


def measure(
    case: Case, who: str, threads: int, device: str = "cpu", repeats: int = 3, **options: float
) -> dict:
    """One fit in a process of its own; ``options`` are of our estimator."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    given = case, who, threads, device, repeats, options, answer
    work = context.Process(target=_measure, args=given)
    work.start()
    while True:
        try:
            found = answer.get(timeout=5)
            break
        except Exception:
            if not work.is_alive():
                raise RuntimeError(f"{who} on {case.name} ended with {work.exitcode}") from None
    work.join()
    return found


def gemm_rate(case: Case, device: str) -> float:
    """Multiplications and additions a second of the products of a sweep, in float32."""
    a = torch.randn(case.units, case.k, device=device)
    b = torch.randn(case.units, case.samples, device=device)

    def once() -> float:
        start = time.perf_counter()
        b @ (a.mT @ b).mT
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return 4 * case.units * case.samples * case.k / min(once() for _ in range(8))


def compare(case: Case, device: str, on_gpu: dict | None = None) -> dict:
    """Both sides on one case, in turns: a machine that is slow for a while is so for both.

    ``on_gpu`` is ours, measured before.
    """
    rates, ours, theirs = [], [], {"SRM": [], "DetSRM": []}

    def turn() -> None:
        rates.append(gemm_rate(case, device))
        ours.append(measure(case, "ours", usable_cores(), device))

    if on_gpu is None:
        turn()
    else:
        rates.append(on_gpu.pop("rate"))
        ours.append(on_gpu)
    for threads in sorted({1, usable_cores()}, reverse=True):
        for kind, runs in theirs.items():
            runs.append(measure(case, kind, threads))
            print(f"    {kind}, {threads} threads: {runs[-1]['seconds']:.2f} s", flush=True)
        if on_gpu is None:
            turn()
    rate = max(rates)
    floor = 4 * case.networks * case.units * case.samples * case.k / rate
    rows = [min(runs, key=lambda run: run["seconds"]) for runs in (ours, *theirs.values())]
    ours = rows[0]
    for row in rows:
        row["ratio"] = row["seconds"] / ours["seconds"]
        row["over_floor"] = row["seconds"] / (floor * (row["sweeps"] if row is ours else 10))
    found = {"case": case.name, **case._asdict(), "rate": rate, "floor": floor, "rows": rows}
    sooner = as_good(case, device, rows) if on_gpu is None else None
    if sooner:
        sooner["ratio"] = sooner["seconds"] / ours["seconds"]
        sooner["over_floor"] = sooner["seconds"] / (floor * sooner["sweeps"])
        found["as_good"] = sooner
    return found


def as_good(case: Case, device: str, rows: list[dict]) -> dict | None:
    """Ours, stopped as early as it may for a fit no worse than theirs; None: no earlier."""
    ours, theirs = rows[0]["fit"], max(row["fit"] for row in rows[1:])
    for options in SOONER if theirs < ours else ():
        run = measure(case, "ours", usable_cores(), device, **options)
        if run["fit"] >= theirs:
            return {**run, "options": options} if run["fit"] < ours else None
    return None


GROWTH = {
    "networks": [Case(n, 256, 2048, 256) for n in (4, 8, 16, 32)],
    "units": [Case(8, n, 4096, 64) for n in (128, 256, 512, 1024)],
    "examples": [Case(8, 256, m, 256) for m in (1024, 2048, 4096, 8192, 16384)],
    "k": [Case(8, 512, 4096, k) for k in (32, 64, 128, 256, 512)],
}


def growth(device: str) -> dict[str, list[dict]]:
    """Seconds of our fit as one of its sizes grows."""
    found = {}
    for what, cases in GROWTH.items():
        size = {"networks": "networks", "units": "units", "examples": "samples", "k": "k"}[what]
        found[what] = []
        for case in cases:
            run = measure(case, "ours", usable_cores(), device)
            found[what].append(
                {
                    "size": getattr(case, size),
                    "seconds": run["seconds"],
                    "sweeps": run["sweeps"],
                    "memory": run["memory"],
                }
            )
    return found


def table(results: list[dict]) -> str:
    """The comparison as text."""
    lines = [
        f"{'':42} {'seconds':>9} {'ratio':>7} {'fit':>8} {'held out':>9} {'GiB':>6} {'/floor':>7}"
    ]
    for result in results:
        lines.append(result["case"])
        rows = [
            ("ours" if r["who"] == "ours" else f"BrainIAK {r['who']}", r) for r in result["rows"]
        ]
        if "as_good" in result:
            rows.insert(1, ("ours, as good as theirs", result["as_good"]))
        for who, row in rows:
            lines.append(
                f"    {who + ', ' + str(row['threads']) + ' threads':38} {row['seconds']:9.2f} "
                f"{row['ratio']:7.1f} {row['fit']:8.5f} {row['held_out']:9.5f} "
                f"{row['memory']:6.2f} {row['over_floor']:7.2f}"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write the results file that the book's page is made from."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--real",
        nargs="?",
        const="quick",
        choices=["quick", "fast", "paper"],
        help="also ConvNets trained on CIFAR-10; how they are trained (%(const)s)",
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where they are, or go")
    parser.add_argument("--growth", action="store_true", help="also how time grows with each size")
    parser.add_argument("--quick", action="store_true", help="small cases: does it run?")
    parser.add_argument("--output", type=Path, help="file to write")
    given = parser.parse_args()
    name = "srm.json" if given.device == "cpu" else f"srm-{given.device}.json"
    output = given.output or RESULTS / name
    cases = list(QUICK if given.quick else CASES)
    if given.real:
        cases += real_activity(given.real, given.runs)
    results, early = [], [None] * len(cases)
    if given.device != "cpu":
        early = measure_on_gpu(cases, given.device)
        for case, found in zip(cases, early, strict=True):
            print(f"ours, {case.name}: {found['seconds']:.4f} s", flush=True)
    for case, on_gpu in zip(cases, early, strict=True):
        print(f"measuring {case.name} ...", flush=True)
        result = compare(case, given.device, on_gpu)
        result["activity"] = None if case.activity is None else Path(case.activity).stem
        results.append(result)
    print(table(results))
    found = {"device": given.device, "cases": results, **provenance()}
    if given.growth:
        found["growth"] = growth(given.device)
    if not given.quick:
        write_text(output, json.dumps(found, indent=1) + "\n")
        print(f"written to {output}")


if __name__ == "__main__":
    main()
