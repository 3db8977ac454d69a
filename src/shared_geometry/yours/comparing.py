"""Networks of your own, from their activity to the measures of the paper, with their nulls."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from shared_geometry.basics.provenance import provenance
from shared_geometry.experiment.analysis import Activity, Settings, analyse_layer
from shared_geometry.experiment.controls import controls
from shared_geometry.experiment.results import JACKKNIFE, UNITS, assemble
from shared_geometry.experiment.steps import shown_images
from shared_geometry.yours import inputs, preparation
from shared_geometry.yours.inputs import Networks
from shared_geometry.yours.preparation import MOST_UNITS, Choices
from shared_geometry.yours.recording import Recorded

_UNLABELLED = "image"  # the one class of images that came without labels


def compare(
    activities: Mapping[str, Networks] | Networks,
    labels: Sequence[Any] | None = None,
    *,
    components: int | None = None,
    max_units: int = MOST_UNITS,
    standardise: bool = True,
    alignment_fraction: float = 0.8,
    display_images: int = 100,
    bootstrap: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Whether networks are rotations of one another: what an experiment measures, for any networks.

    In every layer, each image's activity is standardised over units (unless ``standardise`` is
    False); orthonormal bases are found by SRM on one part of the images (the alignment set), and
    everything is measured on the rest, the controls included.

    Parameters
    ----------
    activities : mapping of str to networks, or networks
        Networks are a list of arrays (n_units, n_images), NumPy or torch, one a network, or one
        array (n_networks, n_units, n_images).  Rows are units and columns images, the same ones in
        the same order everywhere; networks may differ in their number of units.  A mapping holds
        the networks of each layer.  What `recording.record` returns can be given as it is.
    labels : sequence of shape (n_images,), optional
        Class of each image, as number or text: images are split class by class, and RSMs are sorted
        by them.  None: those that were recorded, if any.
    components : int, optional
        k, the dimensions of the shared space; None: the units of the smallest network, or the
        alignment images if these are fewer.
    max_units : int
        Of a layer with more units, each network keeps so many, drawn at random; 1000 as in the
        paper.  A rotation that is found on few images goes no further than these; but a draw loses
        what its units hold, and the more are kept, the more is shared.
    standardise : bool
        False: each network is only divided by one number, so that all are equally long, and the
        cells of RSMs are cosines, the A^T B of the paper's theory.  A rotation leaves these as they
        are; a mean over units, which standardising and a correlation take off, it moves, by about
        one part in the number of units.  So of few units False is the better question.
    alignment_fraction : float
        Part of the images that SRM is fitted on.
    display_images : int
        Held-out images whose RSM cells are kept, about.
    bootstrap : int
        Resamples of the networks for a 95 % interval.
    seed : int
        Of the split and all draws.

    Returns
    -------
    xarray.Dataset
        As `experiment.run` returns it, with one checkpoint and no training curves; besides,
        ``units`` (layer, network) that were kept, and ``components`` (layer).  It can be saved by
        `results.save_results`.

    Raises
    ------
    InputError
        If a value is not allowed, or the activity is not as described; the message names network
        and layer.

    Notes
    -----
    Networks of different sizes get silent units until they are equally many, and each image's
    pattern the same length in all of them; not standardised, as long on the whole.  RSMs and
    rotations see no silent units.

    Arrays do not say which units make up a channel, so ``control_native`` puts single units in a
    random order (`controls.relabelled_channels`).  For a convolutional layer its range can
    be too narrow: only a value inside it says something.
    """
    start = time.monotonic()
    how = Choices(
        components=components,
        max_units=max_units,
        standardise=standardise,
        alignment_fraction=alignment_fraction,
        display_images=display_images,
        bootstrap=bootstrap,
        seed=seed,
    )
    layers, classes, names = given(activities, labels, how.standardise)
    alignment, held_out = preparation.split(classes, how)
    shown = shown_images(classes[held_out], how.display_images)
    parts, units, ks = [], [], []
    for label, networks in layers.items():
        x, rows, _ = preparation.population(networks, how, label, alignment)
        kept = [len(of_network) for of_network in rows]
        activity = Activity(x[..., alignment], x[..., held_out], classes[held_out])
        units.append(kept)
        ks.append(preparation.components(how, kept, len(alignment)))
        parts.append([_analysed(activity, shown, ks[-1], how)])
    seen, images = classes[held_out].unique(), held_out[shown]
    results = assemble(
        parts,
        layers=list(layers),
        checkpoints=[0.0],
        class_names=tuple(names[c] for c in seen),
        images=images.numpy(),
        labels=torch.searchsorted(seen, classes[images]).numpy(),
    )
    results["units"] = (("layer", "network"), units)
    results["components"] = ("layer", ks)
    results.attrs = {
        "title": f"{len(units[0])} networks, {len(held_out)} of {len(classes)} images held out",
        "native_control": UNITS,
        "geometry_intervals": JACKKNIFE,
        "choices": json.dumps(how.model_dump(), sort_keys=True),
        "seconds": round(time.monotonic() - start, 1),
        **provenance(),
    }
    return results


def given(
    activities: Mapping[str, Networks] | Networks, labels: Sequence[Any] | None, standardise: bool
) -> tuple[dict[str, list[Tensor]], Tensor, list[str]]:
    """What was handed over, checked: layers, class of each image, and the classes' names.

    Raises
    ------
    InputError
        As `compare` does.
    """
    if labels is None and isinstance(activities, Recorded):
        labels = activities.labels
    if labels is not None:
        classes, names = inputs.classes(labels)
        return inputs.layers(activities, len(classes), standardise), classes, names
    layers = inputs.layers(activities, None, standardise)
    n_images = next(iter(layers.values()))[0].shape[1]
    return layers, torch.zeros(n_images, dtype=torch.long), [_UNLABELLED]


def _analysed(activity: Activity, shown: Tensor, k: int, how: Choices) -> dict[str, Tensor]:
    settings = Settings(k, True, "torch", how.bootstrap, how.seed, how.standardise)
    found = analyse_layer(activity, shown, None, settings)
    del found["within"]  # large, and for other checkpoints
    return found | controls(activity, settings)
