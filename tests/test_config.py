import json
import shlex

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared_geometry.cli import _fields
from shared_geometry.config import Config, Parameters
from shared_geometry.errors import InputError
from shared_geometry.publishing.chapters import SolvingParameters

BAD = {
    "networks=1": ({"networks": 1}, "networks=1"),
    "no network": ({"networks": 0}, "networks=0"),
    "fractional networks": ({"networks": 2.5}, "networks=2.5"),
    "a truth value for a number": ({"networks": True}, "networks=True"),
    "text for a number": ({"seed": "7"}, "seed='7'"),
    "no epoch": ({"epochs": 0}, "epochs=0"),
    "unknown data set": ({"dataset": "mnist"}, "'digits', 'cifar10' or 'cifar100'"),
    "unknown architecture": ({"architecture": "vgg"}, "'convnet' or 'resnet18'"),
    "unknown preset": ({"preset": "slow"}, "'smoke', 'quick', 'fast' or 'paper'"),
    "preset of a wrong type": ({"preset": 3}, "preset=3"),
    "misspelt name": ({"netwroks": 3}, "unknown parameter 'netwroks'; known are"),
    "one dimension, in which no pattern correlates": ({"components": 1}, "components=1"),
    "k above the units": ({"components": 999}, "components=999 is larger than max_units=150"),
    "falling checkpoints": ({"checkpoints": [2, 1]}, "rising order"),
    "checkpoint after the end": ({"epochs": 2, "checkpoints": [0, 5]}, "lies after the last epoch"),
    "checkpoints whose files would have one name": (
        {"checkpoints": [0.1234567, 0.1234568, 1]},
        "0.1234567 and 0.1234568 are not allowed together: they are equal in six digits",
    ),
    "analysed out of order": ({"analysed": [1.0, 0.5]}, "rising order"),
    "negative checkpoint": ({"checkpoints": [-1, 1]}, "checkpoints"),
    "not a number": ({"learning_rate": float("nan")}, "learning_rate=nan"),
}


@pytest.mark.parametrize(("fields", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_field_is_refused_with_its_name_and_what_is_allowed(fields, message):
    with pytest.raises(InputError) as caught:
        Config.from_preset(**fields)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_preset_fills_only_the_fields_that_are_left_out():
    filled = Config.from_preset("fast", dataset="cifar10")
    assert (filled.networks, filled.recipe) == (10, "fast")
    given = Config.from_preset("fast", dataset="cifar10", networks=3, recipe="paper")
    assert (given.networks, given.recipe) == (3, "paper")


def test_a_config_survives_the_way_to_json_and_back():
    config = Config.from_preset("smoke", checkpoints=[0, 0.25, 1])
    assert Config.from_json(config.to_json()) == config


def test_the_digest_changes_with_every_field_but_the_name_of_the_preset():
    config = Config.from_preset("quick", dataset="cifar10")
    same = Config(**(config.model_dump() | {"preset": "fast"}))
    assert same.digest == config.digest
    changed = {
        "networks": 6,
        "seed": 1,
        "epochs": 5,
        "max_units": 255,
        "centre": False,
        "dataset": "cifar100",
        "architecture": "resnet18",
        "solver": "brainiak",
    }
    digests = {Config(**(config.model_dump() | {k: v})).digest for k, v in changed.items()}
    assert len(digests | {config.digest}) == len(changed) + 1


def test_a_config_cannot_be_changed_after_the_fact():
    config = Config.from_preset()
    with pytest.raises(Exception, match="frozen"):
        config.networks = 3


def remade(config):
    """The config that the command line makes of the words of its command."""
    words = shlex.split(config.command)[2:]
    pairs = list(zip(words[::2], words[1::2], strict=True))
    flags = {name[2:]: value for name, value in pairs if name != "--set"}
    return Config.from_preset(**_fields([v for name, v in pairs if name == "--set"], flags))


EPOCHS = st.lists(st.integers(0, 20).map(lambda i: i / 4), min_size=1, max_size=4, unique=True)
CHANGES = st.fixed_dictionaries(
    {"dataset": st.sampled_from(["digits", "cifar10"])},
    optional={
        "epochs": st.sampled_from([None, 5, 12, 30]),
        "checkpoints": st.one_of(st.none(), EPOCHS.map(sorted).map(tuple)),
        "analysed": st.one_of(st.none(), EPOCHS.map(sorted).map(tuple)),
        "train_images": st.sampled_from([None, 300, 10_000]),
        "networks": st.integers(2, 12),
        "learning_rate": st.one_of(st.none(), st.floats(1e-6, 10)),
        "components": st.one_of(st.none(), st.integers(2, 64)),
        "seed": st.integers(0, 2**63 - 1),
        "recipe": st.sampled_from(["fast", "paper"]),
        "stem": st.sampled_from(["imagenet", "cifar"]),
        "centre": st.booleans(),
    },
)


@settings(deadline=None)
@example(preset="smoke", changes={"dataset": "digits", "epochs": 1}, direct=False)
@example(preset="smoke", changes={"dataset": "digits"}, direct=True)
@given(st.sampled_from(["smoke", "quick", "fast", "paper"]), CHANGES, st.booleans())
def test_the_command_of_any_config_makes_the_same_experiment(preset, changes, direct):
    try:
        config = (
            Config(preset=preset, **changes) if direct else Config.from_preset(preset, **changes)
        )
    except InputError:  # checkpoints after the preset's last epoch
        return
    assert remade(config).digest == config.digest


def test_the_command_remakes_the_config():
    config = Config.from_preset("fast", dataset="cifar10", networks=3, checkpoints=[0, 1, 4])
    assert remade(config) == config


@given(
    networks=st.one_of(st.integers(), st.floats(), st.text(max_size=4), st.none(), st.booleans()),
    dataset=st.one_of(st.text(max_size=8), st.sampled_from(["digits", "cifar10"]), st.integers()),
    components=st.one_of(st.none(), st.integers(), st.floats()),
)
def test_any_fields_give_a_config_or_one_clear_sentence(networks, dataset, components):
    refusal, config = "", None
    try:
        config = Config.from_preset(networks=networks, dataset=dataset, components=components)
    except InputError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert bool(refusal) != (config is not None and 2 <= config.networks <= 1000)


class _Chapter(Parameters):
    n_runs: int = 5


def test_a_notebook_hands_over_its_parameters_and_nothing_else():
    namespace = {"__name__": "__main__", "In": [], "json": json, "Config": Config, "n_runs": 7}
    assert _Chapter.from_notebook(namespace).n_runs == 7


def test_the_chapter_on_solving_refuses_more_units_than_images():
    with pytest.raises(InputError, match="units=500 is larger than images=400"):
        SolvingParameters(units=500)
    assert SolvingParameters(units=400).images == 400


def test_a_notebook_with_a_misspelt_parameter_is_stopped():
    with pytest.raises(InputError, match="unknown parameter 'runs'; known are n_runs"):
        _Chapter.from_notebook({"n_runs": 7, "runs": 3})


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ({"root": None, "output": None}, "output=None is not allowed: a path as text$"),
        ({"root": 3, "output": "runs"}, "root=3 is not allowed: a path as text, or None$"),
    ],
)
def test_a_path_that_a_chapter_cannot_do_without_is_asked_for(paths, words):
    with pytest.raises(InputError, match=words):
        _Chapter.from_notebook({"n_runs": 7, **paths}, besides=("root", "output"))
    found = _Chapter.from_notebook(
        {"n_runs": 7, "root": None, "output": "runs"}, besides=("root", "output")
    )
    assert found.n_runs == 7


@pytest.mark.parametrize("checkpoints", [("0", "1"), (True, 2.0), (0.0, "1")])
def test_checkpoints_are_numbers(checkpoints):
    with pytest.raises(InputError, match="checkpoints="):
        Config.from_preset("smoke", checkpoints=checkpoints)
    assert Config.from_preset("smoke", checkpoints=(0, 1)).checkpoints == (0.0, 1.0)
