"""Questions that the paper left open: a folder a question, see `shared_geometry.beyond.studies`."""
