"""Shared representational geometry across neural networks: train, align, compare, show."""

__version__ = "0.1.0"
