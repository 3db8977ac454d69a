"""The paper's experiment: the one road from a parameter to a number."""

from shared_geometry.experiment.running import print_progress, run

__all__ = ["print_progress", "run"]
