"""What a run will do, worked out and checked before any work is done."""

from pathlib import Path
from typing import NamedTuple

import torch

from shared_geometry.basics.devices import named_precision
from shared_geometry.basics.provenance import source_digest
from shared_geometry.config import Config
from shared_geometry.datasets import Dataset, load_dataset, split_alignment
from shared_geometry.errors import InputError
from shared_geometry.experiment.analysis import Settings
from shared_geometry.networks.activations import layer_sizes
from shared_geometry.networks.architectures import recorded_layers
from shared_geometry.networks.stitching import channels
from shared_geometry.srm import reference
from shared_geometry.training import Recipe, recipe, training_cost, training_digest
from shared_geometry.training.checkpoints import history_path, state_path
from shared_geometry.training.costs import analysis_memory
from shared_geometry.training.job import build_for, check_batches


class Plan(NamedTuple):
    """All that a run needs to know, worked out before any work is done."""

    config: Config
    data: Dataset
    recipe: Recipe
    checkpoints: tuple[float, ...]  # that are analysed; the last is that of the recipe
    layers: dict[str, str]  # label -> module path
    sizes: dict[str, int]  # label -> units of the layer
    channels: dict[str, int]  # label -> channels that these units lie in, equally many in each
    precision: str  # in which networks train
    networks: Path  # trained networks, shared by all configs that train alike
    folder: Path  # of this config
    code: str  # hash of the source that analyses
    root: str | Path | None = None  # folder of the data sets

    @property
    def training(self) -> str:
        """The `training_digest` of the networks."""
        return self.networks.name.removeprefix("networks-")

    @property
    def origin(self) -> dict[str, str]:
        """What a result must have come from to be used again: this source, these networks."""
        return {"code": self.code, "networks": self.networks.name}

    @property
    def settings(self) -> Settings:
        """What the analysis needs to know of the config."""
        it = self.config
        return Settings(it.components, it.centre, it.solver, it.bootstrap, it.seed)


def build(config: Config, data: Dataset, network: int) -> torch.nn.Module:
    """Network number ``network`` of a population, untrained."""
    return build_for(data, config.architecture, config.stem, config.seed, network)


def _analysed(config: Config, how: Recipe) -> tuple[float, ...]:
    if config.analysed is None:
        return how.checkpoints
    kept = ", ".join(f"{c:g}" for c in how.checkpoints)
    if strangers := sorted(set(config.analysed) - set(how.checkpoints)):
        raise InputError(f"analysed={strangers} are no checkpoints of this run: it keeps {kept}")
    if config.analysed[-1] != how.checkpoints[-1]:
        raise InputError(
            f"analysed must end with the last checkpoint, {how.checkpoints[-1]:g}: "
            "the others are compared with it"
        )
    return config.analysed


def alignment_images(config: Config, data: Dataset) -> int:
    """How many images SRM is fitted on; every class must keep some that it is not."""
    labels, fraction = data.test.labels, config.alignment_fraction
    alignment, held_out = split_alignment(labels, fraction, config.seed)
    seen = len(labels[held_out].unique())
    if seen < len(data.class_names):
        raise InputError(
            f"alignment_fraction={fraction:g} of {len(labels)} images holds out {len(held_out)}, "
            f"of {seen} classes; every one of the {len(data.class_names)} classes needs a held-out "
            "image: choose a smaller fraction"
        )
    if len(alignment) < 2:
        raise InputError(
            f"alignment_fraction={fraction:g} of {len(labels)} images leaves {len(alignment)} to "
            "align; at least 2 are needed, and hundreds to say something"
        )
    return len(alignment)


def need_both_ends(checkpoints: tuple[float, ...], why: str) -> None:
    """Refuse checkpoints that do not hold untrained networks and trained ones.

    Parameters
    ----------
    checkpoints : tuple of float
        Epochs, rising.
    why : str
        What a study does with both, in words.

    Raises
    ------
    InputError
    """
    if checkpoints[0] != 0:
        raise InputError(
            f"checkpoints={checkpoints} begin after training has: {why}; expected 0 among them"
        )
    if len(checkpoints) < 2:
        raise InputError(
            f"checkpoints={checkpoints} end where training begins: {why}; expected one after it"
        )


def plan(config: Config, root: str | Path | None = None, output: str | Path = "runs") -> Plan:
    """Check that ``config`` can be run, and say with what; nothing is written.

    Raises
    ------
    InputError
        If a layer has fewer units than ``components``, a class has no held-out image, ``analysed``
        is not kept, or the solver is not installed.
    DataError
        If the data set's files are missing or not the official ones.
    """
    output = Path(output).expanduser()
    if config.solver != "torch":
        reference.require()
    data = load_dataset(config.dataset, root, train_images=config.train_images, seed=config.seed)
    how = recipe(
        config.recipe,
        config.architecture,
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        checkpoints=config.checkpoints,
    )
    if config.checkpoints is None:
        how = how.told_apart(len(data.train))
    layers = {k: v for k, v in recorded_layers(config.architecture).items() if k != "logits"}
    network = build(config, data, 0)
    check_batches(network, how, len(data.train))
    sizes = layer_sizes(network, tuple(data.test.images.shape[1:]), layers)
    n_alignment = alignment_images(config, data)
    room = min(*sizes.values(), config.max_units, n_alignment)
    if config.components is not None and config.components > room:
        raise InputError(
            f"components={config.components} is larger than a layer's units or the alignment "
            f"images: {sizes} units, {n_alignment} images; at most {room} are possible"
        )
    precision = named_precision(config.precision, config.device)
    place = {"stem": config.stem, "device": config.device, "precision": precision}
    key = training_digest(data, config.architecture, how, config.seed, **place)
    return Plan(
        config=config,
        data=data,
        recipe=how,
        checkpoints=_analysed(config, how),
        layers=layers,
        sizes=sizes,
        channels={label: channels(network, label) for label in layers},
        precision=precision,
        networks=output / f"networks-{key}",
        folder=output / config.digest,
        code=source_digest(),
        root=root,
    )


def _recorded_units(it: Plan) -> list[int]:
    return [min(size, it.config.max_units) for size in it.sizes.values()]


def needs(config: Config, root: str | Path | None = None, output: str | Path = "runs") -> str:
    """What a run has still to take on disk and in memory, in a sentence.

    Raises
    ------
    InputError, DataError
        As `run` does.
    """
    it = plan(config, root, output)
    n = config.networks
    trained = sum(history_path(it.networks, i).exists() for i in range(n))
    begun = sum(state_path(it.networks, i).exists() for i in range(n))
    cost = training_cost(it.data, config.architecture, it.recipe, n - trained, stem=config.stem)
    units, images = _recorded_units(it), len(it.data.test)
    activity = 4 * n * images * sum(units)
    held_out = round((1 - config.alignment_fraction) * images)
    memory = analysis_memory(n, max(units), images, held_out)
    there = f", {trained} of them trained before" if trained else ""
    there += f", {begun} begun" if begun else ""
    at_most = "at most " if begun else ""
    return (
        f"{n} networks{there}; {at_most}{cost.images / 1e6:.2f} million images to train on; "
        f"needs about {(cost.disk + activity) / 1e9:.2f} GB of disk and "
        f"{max(cost.memory, memory) / 1e9:.2f} GB of memory"
    )
