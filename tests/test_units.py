import json
from pathlib import Path

import numpy as np
import pytest

from shared_geometry.basics.wording import interval_text
from shared_geometry.beyond import studies
from shared_geometry.reports import populations, units

RESULTS = Path(__file__).parents[1] / "results"


@pytest.fixture(scope="module")
def runs():
    return list(populations.load_published(RESULTS).values())


@pytest.fixture(scope="module")
def answers():
    return studies.published("chance", RESULTS / "beyond")


def with_units(found, most):
    config = json.loads(found.attrs["config"]) | {"max_units": most}
    return found.assign_attrs(config=json.dumps(config))


def test_the_same_networks_with_more_units_are_found(runs, answers):
    answer = answers["ResNet18, CIFAR-10"]
    run = units.recorded_more(answer, runs)
    assert run.attrs["networks"] == answer.attrs["networks"]
    assert json.loads(run.attrs["config"])["max_units"] == 1000
    assert units.recorded_more(with_units(answer, 1000), runs) is None
    assert units.recorded_more(answer, [with_units(run, 300), run]) is run
    unnamed = answer.drop_attrs(deep=False).assign_attrs(config=answer.attrs["config"])
    nameless = run.drop_attrs(deep=False).assign_attrs(config=run.attrs["config"])
    assert units.recorded_more(unnamed, [nameless]) is None


def test_the_table_sets_both_beside_each_other(runs, answers):
    name, answer = "ResNet18, CIFAR-10", answers["ResNet18, CIFAR-10"]
    run = units.recorded_more(answer, runs)
    text = units.more_units_table(answers, runs)
    assert text.count("| layer ") == 1 + answer.sizes["layer"]  # one population, and its head
    assert f"*{name}* was recorded with more units" in text
    assert "256 units, 6 networks | others explain, 1,000 units, 10 networks" in text
    row = next(line for line in text.splitlines() if line.startswith("| layer 1 |"))
    many = run.variance.sel(layer="1", measure="left out")
    change = many.isel(checkpoint=-1) - many.sel(checkpoint=0.0)
    cells = [cell.strip().replace("\N{NO-BREAK SPACE}", " ") for cell in row.split("|")[2:6]]
    assert cells[0] == interval_text(
        answer.value.sel(layer="1", state="trained", measure="left out").values
    )
    assert cells[1].startswith(f"{float(many.isel(checkpoint=-1).mean()):.2f} [")
    assert cells[3].startswith(f"{float(change.mean()):.2f} [".replace("-", "−"))


def test_which_layer_is_least_alike_is_read_off_both(runs, answers):
    answer = answers["ResNet18, CIFAR-10"]
    run = units.recorded_more(answer, runs)
    few = answer.value.sel(state="trained", measure="left out", bound="estimate")
    many = run.variance.sel(measure="left out").isel(checkpoint=-1).mean("network")
    least = [values.layer.values[np.argmin(values.values)] for values in (few, many)]
    text = units.more_units_table({"a": answer}, runs)
    assert f"least of layer {least[0]} ({float(few.min()):.2f})" in text
    assert f"of layer {least[1]} ({float(many.min()):.2f}):" in text


def test_answers_without_such_results_are_left_out(answers):
    assert units.more_units_table(answers, []) == ""
