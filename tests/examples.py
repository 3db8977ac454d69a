"""Small results with every field, made from random activity in a fraction of a second."""

import numpy as np
import torch

from shared_geometry.config import Config
from shared_geometry.experiment.analysis import Activity, Settings, analyse_layer
from shared_geometry.experiment.controls import controls
from shared_geometry.experiment.results import CHANNELS, assemble
from shared_geometry.training.recipes import recipe

CHECKPOINTS = [0.0, 0.5, 2.0]
CLASSES = ("cat", "dog", "ship", "frog")


def small_results(n_networks=3):
    """Results of ``n_networks`` networks, two layers and three checkpoints, as `run` gives them."""
    generator = torch.Generator().manual_seed(0)
    settings = Settings(None, True, "torch", 50, 0)
    shared = torch.randn(8, 60, generator=generator)
    parts = []
    for noise in (0.5, 0.2):  # layers
        row, final = [], None
        for step in range(len(CHECKPOINTS)):  # the last checkpoint first
            q = torch.linalg.qr(torch.randn(n_networks, 8, 8, generator=generator))[0]
            x = q @ shared + (noise + step) * torch.randn(n_networks, 8, 60, generator=generator)
            activity = Activity(x[..., 20:], x[..., :20], torch.arange(20) // 5)
            found = analyse_layer(activity, torch.arange(0, 20, 2), final, settings)
            if final is None:
                found |= controls(activity, settings)
                final = found["within"]
            row.insert(0, found)
        parts.append(row)
    curve = np.linspace(0.25, 0.75, 2 * n_networks).reshape(n_networks, 2)
    results = assemble(
        parts,
        layers=["pool1", "dense"],
        checkpoints=CHECKPOINTS,
        class_names=CLASSES,
        images=np.arange(0, 20, 2),
        labels=np.arange(0, 20, 2) // 5,
        histories={"test_accuracy": curve, "test_loss": 1 - curve, "train_loss": 1 - curve},
    )
    config = Config.from_preset("smoke", networks=n_networks, epochs=2)
    results.attrs = {
        "title": "convnet on digits",
        "geometry_intervals": "jackknife",
        "config": config.to_json(),
        "recipe": recipe("fast", "convnet", epochs=2).to_json(),
        "command": config.command,
        "native_control": CHANNELS,
        "commit": "0123456789abcdef",
        "versions": '{"numpy": "2.0"}',
        "hardware": "a machine, 2 cores",
        "seconds": 12.0,
        "seconds_training": 7.0,
    }
    return results
