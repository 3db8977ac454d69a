"""Figures of the book: data in, Plotly figure out, nothing else done."""

from shared_geometry.figures.across import layers_matched, spaces_compared, spaces_exchanged
from shared_geometry.figures.answers import curves
from shared_geometry.figures.choices import changes_by_choice
from shared_geometry.figures.development import differentiation, scales
from shared_geometry.figures.emergence import (
    agreement_through_training,
    readings_by_layer,
    way_through_training,
)
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
from shared_geometry.figures.measures import agreement_map, measures_by_layer
from shared_geometry.figures.nearness import moved_correlations, near_rsms
from shared_geometry.figures.patterns import class_patterns
from shared_geometry.figures.rigidity import (
    maps_by_layer,
    share_by_layer,
    share_through_training,
    variance_by_k,
)
from shared_geometry.figures.rsm import rsm_panels
from shared_geometry.figures.simulation import causes, figure_2, noise_curve, simulated_rsms
from shared_geometry.figures.solver import convergence, growth

__all__ = [
    "accuracy_curves",
    "agreement_map",
    "agreement_through_training",
    "causes",
    "changes_by_choice",
    "class_patterns",
    "consistency_by_layer",
    "convergence",
    "curves",
    "differentiation",
    "figure_2",
    "geometry_over_training",
    "growth",
    "layers_matched",
    "maps_by_layer",
    "measures_by_layer",
    "moved_correlations",
    "near_rsms",
    "noise_curve",
    "pair_matrices",
    "readings_by_layer",
    "rsm_explorer",
    "rsm_grid",
    "rsm_panels",
    "scales",
    "share_by_layer",
    "share_through_training",
    "simulated_rsms",
    "spaces_compared",
    "spaces_exchanged",
    "training_curves",
    "variance_by_k",
    "variance_by_layer",
    "variance_over_training",
    "way_through_training",
]
