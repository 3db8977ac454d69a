"""What is trained, and how, as the experiment's chapter tells it."""

import json
from dataclasses import replace

import pytest
from examples import small_results
from torch import nn

from shared_geometry.config import Config
from shared_geometry.networks.architectures import ResNet18, recorded_layers
from shared_geometry.reports import report, trained
from shared_geometry.training.recipes import recipe


@pytest.fixture(scope="module")
def results():
    return small_results()


def as_the_paper(results, architecture="convnet"):
    other = results.copy()
    config = Config.from_preset("paper", dataset="cifar10", architecture=architecture)
    other.attrs = results.attrs | {
        "config": config.to_json(),
        "recipe": recipe("paper", architecture).to_json(),
    }
    return other


def rows(text):
    lines = [line.strip("| ").split(" | ") for line in text.splitlines()]
    return {cells[0].strip("*"): cells[1:] for cells in lines[2:]}


def test_the_networks_are_told_layer_by_layer_with_the_units_that_are_recorded(results):
    found = rows(trained.networks_table(as_the_paper(results)))
    convnet, resnet = found["ConvNet"], found["ResNet18"]
    assert convnet[0].startswith("convolution 3 × 3, 32 channels; convolution 3 × 3, 32 channels; ")
    assert "dropout 0.25; convolution 3 × 3, 64 channels" in convnet[0]
    assert convnet[1] == (
        "first pooling (7,200 units); second pooling (2,304 units); dense (before its ReLU, 512 "
        "units); logits (not analysed, 4 units)"
    )
    assert resnet[0].startswith("convolution 7 × 7, 64 channels, stride 2; BatchNorm; max-pool 3")
    assert "2 blocks of 2 convolutions 3 × 3, 512 channels; BatchNorm; dense" in resnet[0]
    assert resnet[1].startswith("layer 1 (the stem's, 16,384 units); layer 3 (opens block 2, 4,096")
    assert resnet[1].endswith("layer 17 (the last, 512 units)")
    assert len(resnet[1].split("; ")) == len(recorded_layers("resnet18"))


def test_the_units_of_a_layer_are_counted_without_the_logits():
    config = Config.from_preset("paper", dataset="cifar10", architecture="convnet")
    assert trained.layer_units(config) == {"pool1": 7200, "pool2": 2304, "dense": 512}


def test_no_part_of_a_network_is_left_out_of_the_table():
    network = ResNet18(3, 32, 10, "imagenet")
    parts = [module for module in network.children() if not isinstance(module, nn.ModuleList)]
    assert all(map(trained._step, parts))
    assert not trained._step(nn.Identity())


def test_the_text_of_the_paper_and_its_code_are_both_told(results):
    said = trained.convolutions_sentence(results)
    assert "two convolutional layers" in said
    assert "there are 4, 2 before each of the 2 pools" in said


def test_the_recipe_of_the_run_stands_beside_the_papers(results):
    other = results.copy()
    how = replace(recipe("fast", "convnet", epochs=3), learning_rate=0.0015)
    other.attrs = results.attrs | {"recipe": how.to_json()}
    found = rows(trained.recipes_table(other))
    assert found["optimiser"] == ["AdamW", "RMSprop", "Adam"]
    assert found["learning rate"] == ["0.0015", "0.0001", "0.001"]
    assert found["epochs"] == ["3", "50", "100"]
    here, paper, _ = found["its schedule"]
    assert here == "rises over the first 20 % of the steps, then falls to 0"
    assert "times 0.32 when the loss on the test images has not fallen for 5 epochs" in paper
    assert found["penalty"][1:] == ["none", "10⁻⁴ × ‖w‖² of the convolutions"]
    assert found["changes to the images"][1] == "none"
    assert "10 %" in found["changes to the images"][2]


def test_images_that_set_the_learning_rate_are_not_said_to_be_unseen_by_training(results):
    assert json.loads(results.attrs["recipe"])["schedule"] == "onecycle"
    assert not trained.steered(results)
    said = trained.steering_sentence(results)
    assert "never looks at them while it trains. (Its settings for ResNet18 were chosen by" in said
    assert "images that neither training nor alignment has seen" in report.claim_in_numbers(results)
    paper = as_the_paper(results, "resnet18")
    assert trained.steered(paper)
    assert "This run follows it" in trained.steering_sentence(paper)
    said = report.claim_in_numbers(paper)
    assert "neither training" not in said
    assert "images that no gradient and no alignment has seen" in said


def test_the_claim_in_numbers_says_what_the_paper_would_count(results):
    last = results.isel(checkpoint=-1, layer=-1).variance_interval
    value = 100 * float(last.sel(measure="published", bound="estimate"))
    assert f"it is {value:.0f} %" in report.claim_in_numbers(results)
