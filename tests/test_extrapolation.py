import pytest

from shared_geometry.cost.extrapolation import (
    LAST,
    PAPER,
    exponents,
    growth_sentence,
    memory_sentence,
    need,
    needs_table,
)
from shared_geometry.figures import growth
from shared_geometry.training.costs import PROCESS, analysis_memory


def points(sizes, power, memory):
    return [
        {
            "size": n,
            "seconds": 3.0 * n**power,
            "memory": PROCESS / 1e9 + n**memory,
            "foreseen": 2 * (PROCESS / 1e9 + n**memory),
        }
        for n in sizes
    ]


SCALE = {
    "hardware": "one machine",
    "paper": {
        "networks": 10,
        "units": 1000,
        "images": 10_000,
        "seconds": 10.0,
        "seconds_last": 60.0,
        "memory": 3.0,
        "foreseen": 3.3,
    },
    "growth": {
        "networks": points((2, 4, 8), 1, 1),
        "units": points((10, 20, 40), 2, 1),
        "images": points((10, 20, 40), 1, 2),
        "layers x checkpoints": points((1, 2, 4), 1, 0),
    },
}
TRAINING = {
    "hardware": "another machine",
    "results": {
        "convnet": {"images_per_second": {"ours, float32": 2000}, "precision": "float32"},
        "resnet18": {"images_per_second": {"ours, float32": 500}, "precision": "float32"},
    },
}


def test_powers_are_those_of_the_points():
    assert exponents(SCALE) == pytest.approx(
        {"networks": 1, "units": 2, "images": 1, "layers x checkpoints": 1}
    )
    assert exponents(SCALE, "memory")["images"] == pytest.approx(2)


def test_small_sizes_that_all_take_the_same_do_not_flatten_the_power_of_large_ones():
    flat = [{"size": n, "seconds": max(8.0, n**2 / 50), "memory": 1.0} for n in (5, 10, 40, 80)]
    assert exponents({"growth": {"images": flat}})["images"] == pytest.approx(2)
    figure = growth({"images": flat}, last=LAST)
    assert figure.data[0].name == "images: exponent 2.00"
    title = figure.layout.title.text.replace("<br>", " ")
    assert "the power 2.0, that of the images, between the 2 largest sizes" in title
    assert growth({"images": flat}).data[0].name != figure.data[0].name
    assert figure.layout.xaxis.dtick == 1
    assert {10, 20, 50, 100} <= set(figure.layout.yaxis.tickvals)


def test_the_paper_s_size_takes_what_was_measured():
    it = need(PAPER, SCALE, TRAINING)
    assert it.task_seconds == pytest.approx(10)
    assert it.tasks == 9 * 16  # layers and checkpoints of ResNet18 by the paper's recipe
    assert it.analysis_hours == pytest.approx((9 * 60 + 9 * 15 * 10) / 3600)
    assert it.training_hours["resnet18"] == pytest.approx(10 * 100 * 50_000 / 500 / 3600)
    assert it.training_hours["convnet"] == pytest.approx(10 * 50 * 50_000 / 2000 / 3600)


def test_larger_sizes_take_their_powers_more():
    wide = PAPER._replace(units=2000, networks=30)
    it, paper = (need(s, SCALE, TRAINING) for s in (wide, PAPER))
    assert it.task_seconds == pytest.approx(2**2 * 3 * paper.task_seconds)
    assert it.training_hours["convnet"] == pytest.approx(3 * paper.training_hours["convnet"])


def test_held_out_images_are_what_memory_grows_with_most():
    few, many = (analysis_memory(10, 1000, 1_000_000, m) for m in (2000, 200_000))
    assert few < 0.5e12 < 4e12 < many


def test_the_table_has_a_column_a_scenario_and_counts_machines():
    table = needs_table(SCALE, TRAINING, [PAPER, PAPER._replace(name="more", networks=1000)])
    assert "measured on one machine, training in float32 on another machine." in table
    rows = {cells[1].strip(): cells[2:4] for line in table.splitlines()
            if len(cells := line.split("|")) > 1}  # fmt: skip
    assert rows["layers × checkpoints"] == [" 144 ", " 144 "]
    assert rows["one of them, s"] == [" 10.0 ", " 1,000 "]
    assert rows["training ConvNets, h"] == [" 3.5 ", " 347 "]
    assert rows["machines for a day"] == [" 2 ", f" {-(-(2778 + 48) // 24)} "]


def test_sentences_say_what_was_measured():
    assert "took 3.00 GB, 3.30 GB were foreseen" in memory_sentence(SCALE)
    assert "1.10 to 2.00 times" in memory_sentence(SCALE)
    assert "layers × checkpoints 1.00 and 0.00" in growth_sentence(SCALE)
