"""Measures of how alike two networks are, and maps from one to the other."""
