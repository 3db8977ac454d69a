import re

import numpy as np
import pytest
from examples import small_results

from shared_geometry.config import Config
from shared_geometry.experiment.results import config_of
from shared_geometry.figures.patterns import class_patterns, scatter
from shared_geometry.reports import report

SENTENCES = (
    "provenance_line",
    "describe_run",
    "claim_in_numbers",
    "accuracy_sentence",
    "training_alt",
    "patterns_alt",
    "rsm_alt",
    "rsm_sentence",
    "geometry_alt",
    "geometry_sentence",
    "variance_alt",
    "variance_sentence",
    "variance_training_alt",
    "consistency_alt",
    "consistency_sentence",
    "control_table",
    "numbers_table",
    "native_table",
    "remake",
)


@pytest.fixture(scope="module")
def results():
    return small_results()


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_follows_the_numbers(results, name):
    said = getattr(report, name)(results)
    assert said
    assert not re.search(r"nan|None|<xarray|Dataset", said)
    other = small_results(n_networks=4)
    other.attrs["seconds"] = 99.0
    assert getattr(report, name)(other) != said


def test_the_time_of_networks_that_were_trained_before_is_told(results):
    found = results.assign_attrs(seconds=0.4, seconds_training=5000.0)
    assert "; finished in 0 s, trained in 5000 s over all networks; " in report.provenance_line(
        found
    )
    del found.attrs["seconds_training"]  # a study's answer
    assert "; 0 s; " in report.provenance_line(found)


def test_the_rsm_sentence_quotes_estimate_and_interval(results):
    row = results.isel(checkpoint=-1, layer=-1).sel(reading="published", space="shared")
    estimate, low, high = row.geometry_current.values
    expected = f"{estimate:.2f} [{low:.2f}, {high:.2f}]".replace("-0.00", "0.00")
    assert expected.replace("-", "−") in report.rsm_sentence(results)


def test_accuracies_are_given_beside_chance(results):
    said = report.accuracy_sentence(results)
    final = 100 * results.test_accuracy.isel(epoch=-1).values
    assert f"{final.mean():.1f} %" in said
    assert "chance is 25 %" in said


def test_a_short_schedule_is_said_to_test_nothing(results):
    assert "illustrated here, not tested" in report.describe_run(results)
    paper = results.copy()
    paper.attrs = results.attrs | {"config": Config.from_preset("paper").to_json()}
    assert "not tested" not in report.describe_run(paper)


def test_a_shorter_type_is_named(results):
    assert "bfloat16" not in report.describe_run(results)
    short = results.copy()
    short.attrs = results.attrs | {"precision": "bfloat16"}
    assert "layers computed in bfloat16" in report.describe_run(short)


@pytest.mark.parametrize("table", [report.control_table, report.numbers_table, report.native_table])
def test_a_table_has_a_row_a_layer(results, table):
    lines = table(results).splitlines()
    assert len(lines) == 2 + results.sizes["layer"]
    assert len({line.count("|") for line in lines}) == 1


def test_the_overview_has_the_first_and_the_last_layer_of_each_run(results):
    lines = report.overview([results, results]).splitlines()
    assert len(lines) == 2 + 2 * 2
    assert "first pooling" in lines[2]
    assert "dense" in lines[3]


def test_the_command_in_the_text_is_that_of_the_config(results):
    assert config_of(results).command in report.remake(results)


def test_title_and_words_of_the_class_patterns_speak_of_the_same_networks():
    many = small_results(n_networks=6)  # of which four are drawn
    title = class_patterns(many).layout.title.text.replace("<br>", " ")
    said = re.findall(r"\d\.\d\d", report.patterns_alt(many))
    assert re.findall(r"\d\.\d\d", title) == said
    four = many.isel(checkpoint=-1, layer=-1, network=slice(4))
    assert said == [f"{scatter(four.patterns.sel(space=s)):.2f}" for s in ("native", "shared")]


def test_intervals_of_earlier_rules_are_told_where_the_numbers_come_from(results):
    del results.attrs["geometry_intervals"]
    said = report.provenance_line
    nearly = "intervals of an earlier rule, as “The method” tells: those of corr(wRSM, iRSM) leave"
    assert nearly in said(results)
    assert nearly in said(results.assign_attrs(study="chance"))
    assert "earlier rule" not in said(results.assign_attrs(study="rigidity"))
    assert "earlier rule" not in said(results.assign_attrs(geometry_intervals="jackknife"))
    resampled = results.assign_attrs(geometry_intervals="bootstrap", revised="made longer")
    assert "intervals of an earlier rule, as “The method” tells: made longer; " in said(resampled)


def test_populations_of_one_name_are_told_apart_by_their_sizes(results):
    said = report.populations({"ConvNet, here": results, "there": small_results(n_networks=4)})
    assert (
        "*ConvNet, here* is 3 networks, with up to 64 units of a layer; *there* is 4 networks"
        in said
    )


def test_scatter_is_zero_where_networks_agree_and_grows_with_their_distance(results):
    patterns = results.patterns.isel(checkpoint=-1, layer=-1, space=0)
    agreeing = patterns.copy(data=np.broadcast_to(patterns.values[:1], patterns.shape))
    assert scatter(agreeing) == pytest.approx(0)
    far = patterns.copy(data=patterns.values.copy())
    far.values[0] += 1e3
    assert scatter(far) > scatter(patterns)
