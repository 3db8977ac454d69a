"""Published populations of networks, and which of them judges a condition of the paper."""

import json
from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from shared_geometry.basics.files import files_in
from shared_geometry.basics.wording import NAMES
from shared_geometry.claims.catalogue import CONDITIONS, Condition
from shared_geometry.config import Config
from shared_geometry.errors import DataError
from shared_geometry.experiment.results import config_of, load_results
from shared_geometry.training.recipes import recipe


def called(condition: Condition) -> str:
    """A condition's name in a table."""
    dataset, architecture = condition
    return f"{NAMES[architecture]}, {NAMES[dataset]}"


def page_of(condition: Condition) -> str:
    """The page of a condition, and the name of its results."""
    return "-".join(condition)


def has_papers_length(results: xr.Dataset) -> bool:
    """Whether the networks were trained as the paper's were, and looked at after as many epochs.

    On all images, by its recipe, ResNet18s with its stem; for more epochs, if need be.
    """
    config, made = config_of(results), json.loads(results.attrs["recipe"])
    papers = json.loads(recipe("paper", config.architecture).to_json())
    epochs = papers["epochs"]
    kept = made.keys() - {"epochs", "checkpoints"}
    return (
        all(made[name] == papers.get(name) for name in kept)
        and config.train_images is None
        and config.stem == Config.model_fields["stem"].default
        and min(made["epochs"], made["checkpoints"][-1]) >= epochs
    )


def named_for(name: str) -> Condition | None:
    """The condition that a file's name says."""
    for condition in CONDITIONS:
        page = page_of(condition)
        if name == page or name.startswith(f"{page}-"):
            return condition
    return None


def _check(name: str, results: xr.Dataset) -> None:
    config, named = config_of(results), named_for(name)
    if named and (config.dataset, config.architecture) != named:
        raise DataError(
            f"{name}.nc holds {config.architecture} on {config.dataset}; expected {named[1]} on "
            f"{named[0]}"
        )


def load_published(folder: str | Path) -> dict[str, xr.Dataset]:
    """Results of all populations that are published, by their names.

    Parameters
    ----------
    folder : str or Path
        Holds a file a population. Those of the paper's conditions are called
        ``<dataset>-<architecture>``, and others of the same condition ``<that>-<more>``; the page
        that shows a population, if there is one, has its name.

    Raises
    ------
    DataError
        If there is no folder, a file cannot be read, or one holds another condition than its name
        says.
    """
    found = {path.stem: load_results(path) for path in files_in(folder, "*.nc")}
    for name, results in found.items():
        _check(name, results)
    return found


def judges(published: Mapping[str, xr.Dataset]) -> dict[Condition, str]:
    """The name of the population that judges each of the paper's conditions.

    It is the condition's own, but for one that was trained for fewer epochs than the paper's: there
    ``<condition>-paper`` judges, if it is published.
    """
    found = {}
    for condition in CONDITIONS:
        own, longer = page_of(condition), f"{page_of(condition)}-paper"
        if longer in published and not (own in published and has_papers_length(published[own])):
            found[condition] = longer
        elif own in published:
            found[condition] = own
    return found


def conditions(published: Mapping[str, xr.Dataset]) -> dict[Condition, xr.Dataset]:
    """Results that judge each of the paper's conditions, of those for which there are any."""
    return {condition: published[name] for condition, name in judges(published).items()}


def besides(published: Mapping[str, xr.Dataset]) -> list[xr.Dataset]:
    """Populations of the paper's conditions that do not judge them."""
    judging = set(judges(published).values())
    return [
        results for name, results in published.items() if named_for(name) and name not in judging
    ]
