"""Populations of networks, each trained from its own seed."""

from shared_geometry.training.checkpoints import (
    History,
    checkpoint_path,
    history_so_far,
    load_checkpoint,
    load_history,
)
from shared_geometry.training.costs import Cost, training_cost
from shared_geometry.training.recipes import Recipe, recipe
from shared_geometry.training.train import train_network, train_population, training_digest

__all__ = [
    "Cost",
    "History",
    "Recipe",
    "checkpoint_path",
    "history_so_far",
    "load_checkpoint",
    "load_history",
    "recipe",
    "train_network",
    "train_population",
    "training_cost",
    "training_digest",
]
