"""Sentences with numbers about networks of your own: what was found, and what it took."""

import json

import xarray as xr

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import number
from shared_geometry.training.costs import analysis_memory
from shared_geometry.yours.placing import Placed

_SIZES = ((5, 1000, 1000), (10, 1000, 10_000), (10, 1000, 50_000))  # networks, units, images


def placed_sentence(placed: Placed) -> str:
    """What was found of a newcomer, with its control."""
    geometry, variance = (
        f"{number(draws.min())} to {number(draws.max())}"
        for draws in (placed.control_geometry, placed.control_variance)
    )
    return (
        f"On {len(placed.images)} held-out images, the newcomer's own RSM correlates "
        f"{number(placed.geometry)} with its RSM against the space (placed by shuffled images: "
        f"{geometry}), and what the others share explains {number(placed.variance)} of its "
        f"variance (shuffled: {variance})."
    )


def placed_title(placed: Placed) -> str:
    """The finding, as a figure's title."""
    return (
        f"A newcomer in the space of others: r = {number(placed.geometry)}, and "
        f"{100 * placed.variance:.0f} % of its variance"
    ).replace("-", "−")


def spent(*comparisons: xr.Dataset) -> str:
    """What some comparisons took, as a list in Markdown."""
    lines = []
    for results in comparisons:
        fraction = json.loads(results.attrs["choices"])["alignment_fraction"]
        lines.append(
            f"- {results.attrs['title']}; {results.sizes['layer']} layers of at most "
            f"{int(results.units.max())} units, {100 * fraction:.0f} % of the images to align: "
            f"{float(results.attrs['seconds']):.0f} s on {results.attrs['hardware']}"
        )
    return "\n".join(lines)


def memory_table(alignment_fraction: float = 0.8) -> str:
    """Memory that the analysis of one layer takes, for some sizes, as Markdown."""
    rows = []
    for networks, units, images in _SIZES:
        held_out = round((1 - alignment_fraction) * images)
        size = analysis_memory(networks, units, images, held_out) / 1e9
        counts = (f"{n:,}" for n in (networks, units, images, held_out))
        rows.append([*counts, f"{size:.1f} GB"])
    head = ["networks", "units", "images", "held out", "memory, about"]
    return table(head, rows, "r" * len(head))
