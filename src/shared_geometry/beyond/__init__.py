"""Questions that the paper left open: a module a question, see `shared_geometry.studies`."""
