import pytest
from examples import small_results

from shared_geometry.config import Config
from shared_geometry.errors import DataError
from shared_geometry.experiment.results import save_results
from shared_geometry.reports import ledger
from shared_geometry.reports.ledger import NOT_TESTED
from shared_geometry.reports.populations import (
    besides,
    conditions,
    has_papers_length,
    judges,
    load_published,
)
from shared_geometry.training.recipes import recipe

CONDITION = ("cifar10", "resnet18")
NAME = "cifar10-resnet18"


def population(how, dataset="cifar10", networks=3):
    config = Config.from_preset(how, dataset=dataset, architecture="resnet18", networks=networks)
    attrs = {"config": config.to_json(), "recipe": recipe(how, "resnet18").to_json()}
    return small_results().assign_attrs(attrs)


def test_the_longer_population_judges_where_the_condition_s_own_is_short():
    own, longer = population("fast"), population("paper")
    published = {NAME: own, f"{NAME}-paper": longer, "mine": population("paper")}
    assert judges(published) == {CONDITION: f"{NAME}-paper"}
    assert conditions(published)[CONDITION] is longer
    assert besides(published) == [own]


def test_the_condition_s_own_population_judges_once_it_has_the_paper_s_length():
    published = {NAME: population("paper"), f"{NAME}-paper": population("paper")}
    assert judges(published) == {CONDITION: NAME}
    assert judges({f"{NAME}-paper": population("paper")}) == {CONDITION: f"{NAME}-paper"}


def test_a_population_of_another_name_judges_nothing():
    assert judges({"mine": population("paper"), f"{NAME}-fast": population("paper")}) == {}


def test_the_ledger_names_the_smaller_population_that_judges_and_links_to_its_page():
    own = {NAME: population("fast")}
    both = own | {f"{NAME}-paper": population("paper")}

    def row(published):
        (found,) = (
            r
            for r in ledger.experiment_rows(published)
            if r.claim.name == "aligned" and r.condition.startswith("ResNet18, CIFAR-10")
            if not r.condition.startswith("ResNet18, CIFAR-100")
        )
        return found

    alone, found = row(own), row(both)
    assert (alone.condition, alone.page, alone.verdict) == ("ResNet18, CIFAR-10", NAME, NOT_TESTED)
    assert found.condition == "ResNet18, CIFAR-10: 3 networks, 100 epochs"
    assert found.verdict != NOT_TESTED
    assert f'href="{NAME}-paper.html#' in ledger.table([found], [f"{NAME}-paper"])


@pytest.mark.parametrize(
    "changed",
    [{"train_images": 300}, {"stem": "cifar"}, {"learning_rate": 1e-6}, {"checkpoints": (0, 1)}],
)
def test_what_differs_from_the_paper_s_training_is_not_of_its_length(changed):
    config = Config.from_preset("paper", dataset="cifar10", architecture="resnet18", **changed)
    how = recipe(
        "paper",
        "resnet18",
        **{k: v for k, v in changed.items() if k in ("learning_rate", "checkpoints")},
    )
    attrs = {"config": config.to_json(), "recipe": how.to_json()}
    assert has_papers_length(population("paper"))
    assert not has_papers_length(small_results().assign_attrs(attrs))


def test_populations_are_read_by_their_names(tmp_path):
    for name in (NAME, f"{NAME}-paper", "mine"):
        save_results(population("paper"), tmp_path / f"{name}.nc")
    assert list(load_published(tmp_path)) == [NAME, f"{NAME}-paper", "mine"]


def test_a_folder_of_populations_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*mistyped; expected one with files"):
        load_published(tmp_path / "mistyped")


@pytest.mark.parametrize("name", ["cifar100-convnet", "cifar100-convnet-paper"])
def test_results_under_the_name_of_another_condition_are_refused(tmp_path, name):
    save_results(population("paper"), tmp_path / f"{name}.nc")
    with pytest.raises(DataError, match="holds resnet18 on cifar10; expected convnet on cifar100"):
        load_published(tmp_path)
