import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from shared_geometry import figures
from shared_geometry.basics.randomness import torch_generator
from shared_geometry.config import Config
from shared_geometry.cost.convergence import courses, decaying, ends
from shared_geometry.cost.timings import (
    chapters_table,
    comparison,
    on_gpu,
    pages_table,
    provenance_line,
    read_timings,
    runs_table,
    slope,
    summary,
    training_table,
)
from shared_geometry.errors import DataError


def row(who, seconds, ratio, memory=1.0, fit=0.9):
    return {"who": who, "threads": 2, "seconds": seconds, "ratio": ratio, "memory": memory,
            "fit": fit, "held_out": 0.8, "over_floor": 1.5}  # fmt: skip


TIMINGS = {
    "cases": [
        {
            "case": "synthetic: 3 x 4 x 50, k = 4",
            "rows": [
                row("ours", 2.0, 1.0, 0.5, 0.90002),
                row("SRM", 20.0, 10.0, 1.5),
                row("DetSRM", 30.0, 15.0, 1.0),
            ],
        }
    ],
    "growth": {
        "units": [{"size": n, "seconds": n**2 / 1e4} for n in (10, 20, 40)],
        "k": [{"size": n, "seconds": n / 1e4} for n in (10, 20, 40)],
    },
    "commit": "abc",
    "hardware": "a machine",
    "versions": "{}",
}


def test_the_sentence_says_what_the_table_holds():
    text = summary(TIMINGS)
    assert "10 to 15 times as long" in text
    assert "2.0 to 3 times the memory" in text
    assert "+2.0 × 10⁻⁵" in text
    table = comparison(TIMINGS)
    assert "| 20.00 | 10.0 | 0.90000 |" in table
    assert "3 × 4 × 50" in table


def test_a_fit_that_was_stopped_as_soon_as_it_was_as_good_has_its_row_and_sentence():
    early = row("ours", 1.0, 0.5, fit=0.90001) | {"options": {"tol": 0.003}}
    timings = {**TIMINGS, "cases": [{**TIMINGS["cases"][0], "as_good": early}]}
    assert "they take 20 to 30 times as long" in summary(timings)
    assert "they take" not in summary(TIMINGS)
    ours, second, *_ = (line for line in comparison(timings).splitlines() if "| 0." in line)
    assert "this package" in ours
    assert second.startswith("| as good as theirs, `tol=0.003` | 1.00 | 0.5 |")


def test_the_exponent_of_a_power_law_is_found():
    assert slope([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx(2)
    figure = figures.growth(TIMINGS["growth"])
    assert [trace.name for trace in figure.data] == ["units: exponent 2.00", "k: exponent 1.00"]
    assert "power 2.0, that of the units" in figure.layout.title.text.replace("<br>", " ")


def test_chapters_and_training_are_put_into_tables():
    where = {"commit": "abcdef0123456789", "hardware": "a machine", "versions": "{}"}
    row = {"chapter": "methods", "seconds": 12.4, "memory": 0.714}
    timings = {"chapters": [row], "limit": 2.0, "cores": 1, **where}
    text = chapters_table(timings, ["methods"])
    assert "| methods | 12 | 0.71 |" in text
    assert "one core of a machine, with at most 2 GB allowed, commit abcdef012345." in text
    assert "Not measured" not in text
    text = chapters_table(timings, ["methods", "blocks", "blocks", "choices"])
    assert text.endswith("abcdef012345. Not measured yet: blocks, choices.")
    speeds = {"ours, bfloat16": 4321, "ours, float32": 2345, "plain, 0 workers": 1000}
    ratio = {"bfloat16": 4.321, "float32": 2.345}
    found = {"convnet": {"images_per_second": speeds, "peer": "plain, 0 workers", "ratio": ratio}}
    settings = {"networks": 2, "images": 5120}
    text = training_table({"results": found, "settings": settings, **where})
    assert "| ConvNet | bfloat16 | 4,321 | 1,000 | 4.32 |" in text
    assert "| ConvNet | float32 | 2,345 | 1,000 | 2.35 |" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "make bench-srm"),
        ("{", "is no JSON"),
        ("[]", "lacks an object"),
        ("{}", "lacks case"),
    ],
)
def test_a_bad_file_of_timings_is_named(tmp_path, content, message):
    path = tmp_path / "srm.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_timings(path)


def test_a_file_of_timings_is_read_back(tmp_path):
    path = tmp_path / "srm.json"
    path.write_text(json.dumps(TIMINGS))
    assert read_timings(path) == TIMINGS


def test_the_file_that_the_benchmark_wrote_can_be_put_into_words():
    timings = read_timings(Path(__file__).parent.parent / "benchmarks" / "results" / "srm.json")
    table = comparison(timings)
    assert table.count("this package") == len(timings["cases"])
    assert timings["hardware"] in summary(timings)
    assert len(figures.growth(timings["growth"]).data) == len(timings["growth"])
    assert timings["commit"] in provenance_line(timings)


def test_the_benchmark_on_a_gpu_can_be_put_into_words():
    path = Path(__file__).parent.parent / "benchmarks" / "results" / "srm-cuda.json"
    timings = read_timings(path)
    assert on_gpu(timings["hardware"])
    table = comparison(timings)
    for case in timings["cases"]:
        assert f"| this package | {case['rows'][0]['seconds']:.2g} | 1.0 |" in table


def test_the_table_of_runs_says_what_was_trained_where():
    def run(dataset, architecture, name, epochs, seconds, hardware):
        config = Config.from_preset(name, dataset=dataset, architecture=architecture)
        attrs = {"recipe": json.dumps({"name": name, "epochs": epochs}), "commit": "c" * 40}
        attrs |= {"config": config.to_json()}
        attrs |= {"seconds_training": seconds, "hardware": hardware}
        return xr.Dataset(coords={"network": range(3)}, attrs=attrs)

    table = runs_table(
        [
            run("cifar10", "convnet", "fast", 8, 630.0, "A CPU, 2 cores"),
            run("cifar100", "resnet18", "paper", 100, 120.0, "A Processor, 16 cores, A GPU"),
        ]
    ).splitlines()
    assert table[2] == (
        "| ConvNet, CIFAR-10 | 3 | fast, 8 | 10 | core | A CPU, 2 cores, commit cccccccccccc |"
    )
    assert table[3].startswith("| ResNet18, CIFAR-100 | 3 |")
    assert "| paper, 100 | 2 | GPU | A Processor, 16 cores, A GPU, commit" in table[3]


def test_the_table_of_pages_has_a_row_a_page_with_figures_and_their_ratio():
    timings = read_timings(Path(__file__).parent.parent / "benchmarks" / "results" / "pages.json")
    rows = [line for line in pages_table(timings).splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(timings["pages"])
    for row, found in zip(rows, timings["pages"], strict=True):
        name, ours, plotly, ratio = (cell.strip() for cell in row.split("|")[1:5])
        assert name == found["page"]
        assert float(ratio) == pytest.approx(float(plotly) / float(ours), abs=0.06)


@pytest.fixture(scope="module")
def runs():
    x = decaying(5, 20, 150, 0.4, torch_generator(0, "test"))
    return courses(x, 20, 8, 2, seed=0)


def test_every_course_of_ours_rises_to_one_optimum_where_bases_are_square(runs):
    ours = [run.explained for run in runs if run.name.startswith("ours")]
    assert len(ours) == 3
    assert all((np.diff(explained) >= 0).all() for explained in ours)
    np.testing.assert_allclose([e[-1] for e in ours], ours[0][-1], atol=1e-6)
    assert ours[0][0] > max(e[0] for e in ours[1:])  # our own start is ahead of a random one


def test_starts_end_apart_where_networks_share_little_and_at_one_value_where_they_share_much():
    clear, noisy = (
        ends(decaying(5, 20, 150, noise, torch_generator(0, "test")), 20, 3, seed=0)
        for noise in (0.4, 2.0)
    )
    assert np.ptp(clear) < 1e-9
    assert np.ptp(noisy) > 1e-6


def test_the_chapters_words_on_brainiak_hold(runs):
    found = {run.name: run.explained for run in runs}
    assert found["BrainIAK DetSRM"][-1] == pytest.approx(found["ours"][-1], abs=1e-5)
    probabilistic = found["BrainIAK SRM"]
    assert probabilistic[-1] < probabilistic.max() < found["ours"][-1]
    assert probabilistic[-1] > found["ours"][-1] - 1e-3


def test_the_figure_of_convergence_shows_each_run_and_switches_between_settings(runs):
    figure = figures.convergence({"k = 20": runs, "k = 5": runs}, sweeps=8)
    assert len(figure.data) == 2 * len(runs)
    assert [t.visible for t in figure.data] == [True] * len(runs) + [False] * len(runs)
    best = max(run.explained.max() for run in runs)
    np.testing.assert_allclose(figure.data[0].y[0], best - runs[0].explained[0])
    buttons = figure.layout.updatemenus[0].buttons
    assert [b.label for b in buttons] == ["k = 20", "k = 5"]
    assert buttons[1].args[0]["visible"] == [False] * len(runs) + [True] * len(runs)
