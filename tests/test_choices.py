from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from shared_geometry import figures
from shared_geometry.beyond.choices import alternatives
from shared_geometry.beyond.choices import study as choices
from shared_geometry.beyond.studies import load_study, study, study_path
from shared_geometry.claims.judging import CLOSE, FAILS, HOLDS, IN_PART, UNDECIDED
from shared_geometry.config import Config
from shared_geometry.experiment import run
from shared_geometry.experiment.analysis import BOUNDS
from shared_geometry.experiment.plan import plan
from shared_geometry.experiment.results import config_of
from shared_geometry.experiment.steps import activity_of, forget_activity, record
from shared_geometry.networks.activations import draw_units, standardise
from shared_geometry.reports import choices as choices_report
from shared_geometry.reports import populations
from shared_geometry.srm.score import explained_with
from shared_geometry.statistics import bootstrap_explained
from shared_geometry.training.recipes import recipe

ROOT = Path(__file__).parents[1]
NAMES = list(alternatives.CHOICES)


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def config():
    return Config.from_preset("smoke", networks=3, max_units=24, train_images=150)


@pytest.fixture(scope="module")
def experiment(config, output):
    return run(config, output=output)


@pytest.fixture(scope="module")
def found(config, output, experiment):
    return study("choices", config, output=output)


def test_the_study_is_kept_and_read_again(found, config, output):
    path = study_path("choices", config, output)
    assert path.stat().st_size < 100_000
    xr.testing.assert_identical(load_study("choices", path), found)
    assert found.sizes == {"layer": 3, "choice": 13, "measure": 4, "bound": 3}
    assert found.value.notnull().all()
    wide = found.change.isnull()  # three networks: what is left of them is one pair
    assert set(wide.choice.values[wide.any(["layer", "bound"])]) == {"fewer networks"}
    assert found.change.sel(bound="estimate").notnull().all()


def test_as_published_it_is_the_experiment(found, experiment):
    here = found.value.sel(choice=alternatives.BASELINE)
    end = experiment.isel(checkpoint=-1)
    published = end.sel(reading="published")
    for measure, expected in (
        ("variance", end.variance_interval.sel(measure="published")),
        ("variance, others only", end.variance_interval.sel(measure="left out")),
        ("corr(wRSM, iRSM)", published.geometry_current.sel(space="shared")),
        ("consistency", published.consistency),
    ):
        np.testing.assert_allclose(here.sel(measure=measure), expected, atol=1e-5)
    assert (found.change.sel(choice=alternatives.BASELINE) == 0).all()


def test_with_means_subtracted_it_is_the_other_reading(found, experiment):
    here = found.value.sel(choice="means subtracted")
    end = experiment.isel(checkpoint=-1)
    other = end.sel(reading="corrected")
    expected = end.variance_interval.sel(measure="corrected")
    np.testing.assert_allclose(here.sel(measure="variance"), expected, atol=1e-5)
    expected = other.geometry_current.sel(space="shared")
    np.testing.assert_allclose(here.sel(measure="corr(wRSM, iRSM)"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "fields"),
    [
        ("means kept", {"centre": False}),
        ("BrainIAK's SRM", {"solver": "brainiak"}),
    ],
)
def test_a_choice_that_a_config_can_make_gives_its_numbers(choice, fields, found, config, output):
    other = run(Config.from_preset("smoke", **_given(config), **fields), output=output)
    expected = other.isel(checkpoint=-1).variance_interval.sel(measure="published")
    here = found.value.sel(choice=choice, measure="variance")
    np.testing.assert_allclose(here, expected, atol=1e-5)


def _given(config):
    return {name: getattr(config, name) for name in ("networks", "max_units", "train_images")}


def test_changes_are_paired_by_network(found, experiment, config):
    end = experiment.isel(checkpoint=-1).sel(layer="dense")
    each = (end.variance.sel(measure="corrected") - end.variance.sel(measure="published")).values
    oracle = bootstrap_explained(torch.tensor(each), n_resamples=config.bootstrap, seed=config.seed)
    here = found.change.sel(layer="dense", choice="means subtracted")
    np.testing.assert_allclose(here, oracle, atol=1e-5)


def test_a_relu_changes_only_what_was_recorded_before_one(found):
    moved = found.change.sel(choice="after the ReLU")
    assert (moved.sel(layer=["pool1", "pool2"]) == 0).all()
    assert (moved.sel(layer="dense") != 0).all()


# What is analysed.


@pytest.fixture(scope="module")
def it(config, output, found):
    return plan(config, output=output)


@pytest.fixture(scope="module")
def cases(it):
    recorded = alternatives.record_draws(it, "pool1")
    usual = alternatives.as_configured(it, recorded)
    return {name: change(it, recorded, usual) for name, change in alternatives.CHOICES.items()}


def test_activity_is_that_of_the_experiment(it, cases):
    last = it.checkpoints[-1]
    record(it, range(3), last)
    expected = activity_of(it, "pool1", last)
    forget_activity(it, last)
    case = cases[alternatives.BASELINE]
    torch.testing.assert_close(case.x[..., case.alignment], expected.alignment)
    torch.testing.assert_close(case.x[..., case.held_out], expected.held_out)


def test_units_are_drawn_again_or_shared_or_halved(it):
    own, other, same = zip(*(alternatives._draws(it, "pool1", i) for i in range(3)), strict=True)
    size = it.sizes["pool1"]
    for i in range(3):
        assert torch.equal(own[i], draw_units(size, 24, it.config.seed, i, "pool1"))
        assert not torch.equal(own[i], other[i])
        assert torch.equal(same[i], own[0])
    assert not torch.equal(own[0], own[1])


def test_each_choice_changes_one_thing(cases):
    usual = cases[alternatives.BASELINE]

    def differ(case):
        fields = {
            "x": case.x.shape == usual.x.shape and torch.equal(case.x, usual.x),
            "alignment": torch.equal(case.alignment, usual.alignment),
            "held_out": torch.equal(case.held_out, usual.held_out),
            "settings": case.settings == usual.settings,
            "reading": case.reading == usual.reading,
        }
        return {name for name, same in fields.items() if not same}

    assert {name: differ(case) for name, case in cases.items()} == {
        "as published": set(),
        "after the ReLU": set(),  # a pooling layer
        "not standardised": {"x"},
        "units standardised": {"x"},
        "other units": {"x"},
        "same units": {"x"},
        "half the units": {"x"},
        "other images": {"alignment", "held_out"},
        "half the images": {"alignment"},
        "fewer networks": {"x"},
        "means subtracted": {"reading"},
        "means kept": {"settings"},
        "BrainIAK's SRM": {"settings"},
    }


def test_halves_are_halves_and_the_rest_stays(cases):
    usual, units, images, networks = (
        cases[name]
        for name in ("as published", "half the units", "half the images", "fewer networks")
    )
    assert units.x.shape == (3, 12, usual.x.shape[2])
    assert len(images.alignment) == len(usual.alignment) // 2
    assert set(images.alignment.tolist()) < set(usual.alignment.tolist())
    assert networks.x.shape[0] == 2
    torch.testing.assert_close(networks.x, usual.x[:2])
    for case in cases.values():
        assert not set(case.alignment.tolist()) & set(case.held_out.tolist())


def test_units_are_standardised_by_the_images_aligned_on_and_silent_ones_stay_silent(it, cases):
    recorded = alternatives.record_draws(it, "pool1")
    usual = cases["as published"]
    recorded.own[1, 3, usual.alignment] = 0.0
    x = alternatives.CHOICES["units standardised"](it, recorded, usual).x
    assert (x[1, 3] == 0).all()
    seen = x[..., usual.alignment].double()
    varies = seen.var(-1) > 0
    assert varies.sum() > 0.8 * varies.numel()
    assert not varies[1, 3]
    torch.testing.assert_close(seen.mean(-1), torch.zeros_like(seen[..., 0]), atol=1e-4, rtol=0)
    deviation = seen.std(-1, correction=0)[varies]
    torch.testing.assert_close(deviation, torch.ones_like(deviation), atol=1e-3, rtol=0)


def test_a_channel_holds_the_variance_of_its_units():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, 5000, generator=generator) * torch.tensor([3.0, 1, 1, 1, 2, 0])[:, None]
    channel = torch.tensor([[0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 1, 1]])
    shares = choices.channel_shares(x + 7, channel, 4)
    expected = torch.tensor([[10, 2, 4, 0], [9, 7, 0, 0]], dtype=torch.float64) / 16
    torch.testing.assert_close(shares, expected, atol=0.01, rtol=0)


def test_channels_of_a_layer_are_those_of_its_network(found, it):
    assert found.channels.values.tolist() == [32, 64, 512]
    assert ((found.effective >= 1) & (found.effective <= found.channels)).all()
    assert ((found.largest > 0) & (found.largest <= 1)).all()
    recorded = alternatives.record_draws(it, "pool2")
    assert int(recorded.channel.min()) >= 0
    assert int(recorded.channel.max()) < recorded.n_channels == 64
    text = choices_report.channels_table({"one": found})
    assert "| participation ratio |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert "| second pooling | 64 |" in rows[3]


def test_a_layer_that_few_channels_carry_is_named(found):
    even = found.assign(effective=found.effective * 0 + found.channels)
    told = choices_report.few_channels_sentence({"one": even})
    assert told == "In none of these populations do fewer than 10 % of the channels carry a layer."
    few = even.copy(deep=True)
    few.effective.loc["pool2"] = [2.2, 1.8, 2.6]
    told = choices_report.few_channels_sentence({"one": even, "two": few})
    (line,) = [line for line in told.splitlines() if line.startswith("-")]
    assert line.startswith("- two, the second pooling layer: 2.2 [1.8, 2.6] of 64 channels; ")
    few.effective.loc["pool2"] = [2.2, 1.8, 6.5]
    assert "two" not in choices_report.few_channels_sentence({"one": even, "two": few})


def test_half_the_images_are_no_fewer_than_units(it, cases):
    usual = cases["as published"]
    few = usual._replace(alignment=usual.alignment[:30])
    kept = alternatives.CHOICES["half the images"](it, None, few).alignment
    assert len(kept) == 24


def test_a_small_shared_space_is_no_larger_than_half_the_units(it):
    config = it.config.model_copy(update={"components": 20})
    small = it._replace(config=config)
    recorded = alternatives.record_draws(small, "pool1")
    usual = alternatives.as_configured(small, recorded)
    case = alternatives.CHOICES["half the units"](small, recorded, usual)
    assert (usual.settings.n_components, case.settings.n_components) == (20, 12)


def test_the_number_of_networks_counts_as_the_formula_says():
    x = standardise(torch.randn(5, 20, 30, dtype=torch.float64) + torch.randn(20, 30).double())

    def explained(networks):
        turned = x[list(networks)]
        return (1 - (turned - turned.mean(0)).square().mean() / turned.square().mean()).item()

    of_all = explained(range(5))
    for m in (2, 3, 5):
        mean = np.mean([explained(some) for some in combinations(range(5), m)])
        assert explained_with(of_all, 5, m) == pytest.approx(mean)
    pairs = [(x[i] * x[j]).mean().item() for i, j in combinations(range(5), 2)]
    assert explained_with(of_all, 5, None) == pytest.approx(np.mean(pairs))


# The claim, the figure, the words.


def answer(changes, values=None, **attrs):
    """An answer whose changes are these in every layer, with narrow intervals."""
    layers = ["pool1", "pool2", "dense"]
    estimate = np.broadcast_to([0.0, *changes], (3, 1 + len(changes)))
    change = np.stack([estimate, estimate - 0.01, estimate + 0.01], -1)
    if values is None:
        values = estimate + 0.9
    value = np.stack([values, values - 0.01, values + 0.01], -1)[:, :, None].repeat(4, 2)
    return xr.Dataset(
        {
            "value": (("layer", "choice", "measure", "bound"), value),
            "change": (("layer", "choice", "bound"), change),
        },
        {
            "layer": layers,
            "choice": NAMES[: 1 + len(changes)],
            "measure": list(choices.MEASURES),
            "bound": list(BOUNDS),
        },
        attrs,
    )


def test_the_claim_holds_if_no_choice_moves_much_in_part_or_not_at_all():
    assert choices.judge(answer([0.0, CLOSE - 0.02])).outcome == HOLDS
    assert choices.judge(answer([0.0, -0.045])).outcome == IN_PART  # the interval leaves ±0.05
    assert choices.judge(answer([0.2, -0.3])).outcome == FAILS
    assert choices.judge(answer([-0.045])).outcome == UNDECIDED
    assert "(3 cannot be told)" in choices.judge(answer([0.0, -0.045])).value


def test_the_largest_change_is_named():
    value = choices.judge(answer([0.01, -0.3])).value
    assert value == (
        "3 of 6 choices in layers; the largest change −0.30 [−0.31, −0.29] "
        "(not standardised, first pooling)"
    )


def test_the_figure_shows_each_change_with_its_interval(found):
    answers = {"one": found, "another": found}
    figure = figures.changes_by_choice(answers)
    shown = [t for t in figure.data if t.visible]
    assert [t.name for t in shown] == ["first pooling", "second pooling", "dense"]
    estimate, low, high = (
        found.change.sel(layer="dense", bound=bound).drop_sel(choice=alternatives.BASELINE)
        for bound in BOUNDS
    )
    np.testing.assert_allclose(shown[2].x, estimate)
    np.testing.assert_allclose(shown[2].x - shown[2].error_x.arrayminus, low)
    np.testing.assert_allclose(shown[2].x + shown[2].error_x.array, high)
    assert list(shown[2].y) == NAMES[1:]
    assert sorted(shape.x0 for shape in figure.layout.shapes) == [-CLOSE, CLOSE]
    assert [b.label for b in figure.layout.updatemenus[0].buttons] == list(answers)


def test_the_title_names_the_largest_change_and_counts_the_small_ones():
    figure = figures.changes_by_choice({"one": answer([0.0, 0.3]), "two": answer([0.0, 0.01])})
    title = figure.layout.title.text.replace("<br>", " ")
    assert title == ("The largest change is 0.30 (not standardised; one); 9 of 12 stay within 0.05")


def test_the_table_has_a_row_a_choice_and_every_measure(found):
    text = choices_report.last_layer_table({"one": found})
    assert text.startswith("**one**, the dense layer")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(NAMES)
    assert all(measure in rows[0] for measure in choices.MEASURES)


def published(epochs, values):
    how = recipe("paper", "convnet", epochs=epochs)
    config = Config.from_preset("paper", dataset="cifar10")
    found = answer([0.0] * (len(values) - 1), np.broadcast_to(values, (3, len(values))))
    return found.assign_attrs(config=config.to_json(), recipe=how.to_json())


def test_the_papers_number_stands_beside_what_each_choice_makes_of_ours():
    line = choices_report.stated_sentence({"ours": published(50, [0.85, 0.905, 0.7])})
    assert line == (
        "- ours: the paper's 0.910; here, as published, 0.850 [0.840, 0.860]; from 0.700 (not "
        "standardised) to 0.905 (after the ReLU). The paper's number lies in the "
        "interval of: after the ReLU."
    )
    line = choices_report.stated_sentence({"ours": published(8, [0.85, 0.8, 0.7])})
    assert line.startswith("- ours, trained for fewer epochs than the paper's: ")
    assert line.endswith("The paper's number lies in no interval.")


def test_where_the_paper_states_nothing_that_is_said(found):
    assert "no" in choices_report.stated_sentence({"digits": found}).lower()
    assert choices_report.changes_alt({"digits": found}).startswith("Dots by choice, a dot a layer")


def test_two_recipes_of_one_condition_stand_side_by_side(experiment):
    papers = {("digits", "convnet"): experiment}
    text = choices_report.recipes_table(papers, [experiment])
    assert text.count(f"; `{experiment.attrs['command']}`") == 2
    head = "fast, 1 epochs, 3 networks"
    assert f"| layer | measure | {head} | {head} |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 1 + 3 * 4
    accuracy = 100 * float(experiment.test_accuracy.isel(epoch=-1).mean())
    assert rows[2].startswith("|  | accuracy, % | ")
    assert rows[2].count(f"| {accuracy:.1f} [") == 2
    end = experiment.isel(checkpoint=-1)
    for row, measure in zip(rows[-4:], ("published", "corrected", "left out"), strict=False):
        value = float(end.variance_interval.sel(measure=measure, bound="estimate", layer="dense"))
        assert row.count(f"| {value:.2f} [") == 2
    value = float(end.geometry_current.sel(reading="published", space="shared", layer="dense")[0])
    assert rows[-1].count(f"| {value:.2f} [") == 2
    assert "no condition" in choices_report.recipes_table({}, [experiment])


def test_published_recipes_show_that_equal_accuracy_is_not_equal_similarity():
    published = populations.load_published(ROOT / "results")
    papers, others = populations.conditions(published), populations.besides(published)
    gaps = {}
    for other in others:
        both = (papers[config_of(other).dataset, config_of(other).architecture], other)
        accuracies = [100 * run.test_accuracy.isel(epoch=-1).values.mean() for run in both]
        ends = [run.isel(checkpoint=-1).variance_interval for run in both]
        shares = [end.sel(measure="corrected", bound="estimate").values for end in ends]
        gaps[abs(np.subtract(*accuracies))] = abs(np.subtract(*shares)).max()
    assert gaps[min(gaps)] > 0.1  # "need not be equally similar", says the chapter
    assert min(gaps) < 0.5


def test_recipes_of_unlike_numbers_of_networks_are_compared_at_the_smaller(experiment, config):
    papers = {("digits", "convnet"): experiment}
    fewer = config.model_copy(update={"networks": 2})
    two = experiment.assign_attrs(config=fewer.to_json())
    text = choices_report.recipes_table(papers, [two]).replace("\N{NO-BREAK SPACE}", " ")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0].count("2 networks") == rows[0].count("3 networks") == 1
    assert len(rows) == 2 + 1 + 3 * 3
    assert "others only" not in text
    end = experiment.isel(checkpoint=-1, layer=-1)
    for row, measure in zip(rows[-3:-1], ("published", "corrected"), strict=True):
        share = float(end.variance_interval.sel(measure=measure, bound="estimate"))
        pairs = (3 * share - 1) / 2
        assert f", of 2 networks | {1 / 2 + pairs / 2:.2f} [" in row
        assert f"] | {share:.2f} [" in row
    few = fewer.model_copy(update={"components": 4}).to_json()
    text = choices_report.recipes_table(papers, [experiment.assign_attrs(config=few)])
    assert "variance" not in text.split("- ")[0]


def test_other_numbers_of_networks_are_foretold(found, experiment):
    made = experiment.copy(deep=True)
    made.variance_interval.loc[{"measure": "published"}] = [0.9, 0.88, 0.92]
    row = choices_report.networks_table({("cifar10", "convnet"): made}).splitlines()[-1]
    row = row.replace("\N{NO-BREAK SPACE}", " ")
    pairs = (3 * 0.9 - 1) / 2
    assert row.startswith("| ConvNet, CIFAR-10 | 0.910 | 3 | 0.900 [0.880, 0.920] | ")
    assert f"| {1 / 8 + 7 / 8 * pairs:.3f} [" in row
    assert f"| {pairs:.3f} [" in row
    assert "yet" in choices_report.networks_table({})
    said = choices_report.networks_sentence({"one": found})
    assert said.startswith("- one, 2 of 3 networks: off by at most 0.")


def test_the_formula_is_for_square_bases_alone(found, experiment, config):
    few = config.model_copy(update={"components": 4}).to_json()
    answer, made = found.assign_attrs(config=few), experiment.assign_attrs(config=few)
    assert "can tell" in choices_report.networks_sentence({"one": answer})
    two = found.assign_attrs(config=config.model_copy(update={"networks": 2}).to_json())
    assert "can tell" in choices_report.networks_sentence({"one": two})
    assert "yet" in choices_report.networks_table({("cifar10", "convnet"): made})
