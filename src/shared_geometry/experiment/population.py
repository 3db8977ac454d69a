"""A trained population: trained where it is not, and its activity, layer by layer."""

from collections.abc import Callable, Iterator, Sequence

import torch

from shared_geometry.experiment import steps
from shared_geometry.experiment.analysis import Activity
from shared_geometry.experiment.plan import Plan, build
from shared_geometry.training import History, load_checkpoint, train_population

# progress(stage, steps done, steps in all, what was done last)
Progress = Callable[[str, int, int, str], None]


def silent(stage: str, done: int, total: int, note: str) -> None:
    """Progress that nobody sees."""


def of_all(progress: Progress, n_networks: int, epochs: int, whose: str = "") -> Callable:
    """Progress of single networks, told as the epochs of all of them together, from 0 on."""
    done: dict[int, int] = {}

    def report(network: int, epoch: int, total: int, accuracy: float) -> None:
        done[network] = epoch
        note = f"network {network + 1}: epoch {epoch} of {total}, test accuracy {accuracy:.1%}"
        progress("training", sum(done.values()), n_networks * total, whose + note)

    progress("training", 0, n_networks * epochs, f"{whose}{n_networks} networks")
    return report


def train(it: Plan, progress: Progress = silent) -> list[History]:
    """Train the networks of a plan, or find them trained."""
    config = it.config
    return train_population(
        it.data,
        config.architecture,
        it.recipe,
        n_networks=config.networks,
        seed=config.seed,
        folder=it.networks,
        stem=config.stem,
        device=config.device,
        precision=config.precision,
        progress=of_all(progress, config.networks, it.recipe.epochs),
    )


def network_at(it: Plan, network: int) -> torch.nn.Module:
    """One trained network in evaluation mode, as it was at the last checkpoint."""
    module = build(it.config, it.data, network)
    module.load_state_dict(
        load_checkpoint(it.networks, network, it.checkpoints[-1], training=it.training)
    )
    return module.eval()


def activities(
    it: Plan, checkpoint: float | None = None, layers: Sequence[str] | None = None
) -> Iterator[tuple[str, Activity]]:
    """Activity of all trained networks at a checkpoint, one layer after the other.

    Only one layer is in memory at a time; the others lie on disk while the loop runs.

    Parameters
    ----------
    it : Plan
        Of networks that `train` has trained.
    checkpoint : float, optional
        Epoch; None: the last.
    layers : sequence of str, optional
        Labels of the layers that are wanted; None: all.

    Yields
    ------
    layer : str
        From the input on, if all are wanted.
    activity : Activity
        Units x images, standardised image by image, split into alignment and held-out images.
    """
    epoch = it.checkpoints[-1] if checkpoint is None else checkpoint
    try:
        steps.record(it, range(it.config.networks), epoch)
        for label in it.layers if layers is None else layers:
            yield label, steps.activity_of(it, label, epoch)
    finally:
        steps.forget_activity(it, epoch)
