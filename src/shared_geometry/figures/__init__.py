"""Figures of the book: data in, Plotly figure out, nothing else done."""

from shared_geometry.figures.answers import curves
from shared_geometry.figures.experiment import (
    consistency_by_layer,
    geometry_over_training,
    training_curves,
    variance_by_layer,
    variance_over_training,
)
from shared_geometry.figures.explorer import rsm_explorer
from shared_geometry.figures.grid import rsm_grid
from shared_geometry.figures.heads import accuracy_curves, pair_matrices
from shared_geometry.figures.patterns import class_patterns
from shared_geometry.figures.rsm import rsm_panels
from shared_geometry.figures.simulation import causes, figure_2, noise_curve, simulated_rsms
from shared_geometry.figures.solver import convergence, growth

__all__ = [
    "accuracy_curves",
    "causes",
    "class_patterns",
    "consistency_by_layer",
    "convergence",
    "curves",
    "figure_2",
    "geometry_over_training",
    "growth",
    "noise_curve",
    "pair_matrices",
    "rsm_explorer",
    "rsm_grid",
    "rsm_panels",
    "simulated_rsms",
    "training_curves",
    "variance_by_layer",
    "variance_over_training",
]
