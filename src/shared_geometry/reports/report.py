"""Sentences with numbers in them: results in, Markdown out, nothing typed by hand."""

import json
from collections.abc import Mapping

import xarray as xr

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import (
    NAMES,
    in_a_sentence,
    interval_text,
    layer_name,
    moment,
    number,
)
from shared_geometry.experiment.results import (
    BOOTSTRAP,
    NEARLY,
    config_of,
    geometry_intervals,
    native_control,
)
from shared_geometry.figures.patterns import scatters
from shared_geometry.reports.trained import steered

_WITH_GEOMETRY = (
    None,
    "chance",
    "choices",
    "measures",
)  # runs, and studies that tell corr(wRSM, iRSM)


def _final(results: xr.Dataset, reading: str = "published") -> xr.Dataset:
    return results.isel(checkpoint=-1).sel(reading=reading)


def _subject(results: xr.Dataset) -> str:
    config = config_of(results)
    return f"{NAMES[config.architecture]}s on {NAMES[config.dataset]}"


def _epochs(n: int) -> str:
    return f"{n} epoch{'' if n == 1 else 's'}"


def training_length(found: xr.Dataset) -> str:
    """How long the networks of a run or a study's answer were trained."""
    epochs, images = json.loads(found.attrs["recipe"])["epochs"], config_of(found).train_images
    return _epochs(epochs) + ("" if images is None else f" of {images:,} images")


def provenance_line(found: xr.Dataset) -> str:
    """Recipe, networks, commit, machine and time of a run or a study's answer, in one line."""
    config = config_of(found)
    return (
        f"{config.networks} {_subject(found)}, recipe “{config.recipe}”, "
        f"{training_length(found)}, seed {config.seed}; "
        f"commit {found.attrs['commit'][:12]}; {found.attrs['hardware']}; "
        f"{_took(found)}; {_earlier_intervals(found)}{found.attrs['command']}"
    )


def _earlier_intervals(found: xr.Dataset) -> str:
    """By what other rules than today's intervals were made."""
    told = [found.attrs["revised"]] if "revised" in found.attrs else []
    if geometry_intervals(found) == NEARLY and found.attrs.get("study") in _WITH_GEOMETRY:
        told.append("those of corr(wRSM, iRSM) leave networks out only nearly")
    return f"intervals of an earlier rule, as “The method” tells: {'; '.join(told)}; " * bool(told)


def _took(found: xr.Dataset) -> str:
    """Time of a study, or of a run, which may have found networks that were trained before."""
    took = f"{float(found.attrs['seconds']):.0f} s"
    if "seconds_training" not in found.attrs:
        return took
    training = float(found.attrs["seconds_training"])
    return f"finished in {took}, trained in {training:.0f} s over all networks"


def source_note(found: xr.Dataset) -> str:
    """The same as Markdown, the command as code."""
    command = found.attrs["command"]
    return f"{provenance_line(found).removesuffix(command)}`{command}`"


def sources(answers: Mapping[str, xr.Dataset]) -> str:
    """Where the numbers of a figure that shows several populations come from."""
    return " | ".join(map(provenance_line, answers.values()))


def populations(answers: Mapping[str, xr.Dataset]) -> str:
    """How large the populations are that a chapter calls by their names."""
    sizes = [
        f"*{name}* is {config.networks} networks, with up to {config.max_units:,} units of a layer"
        for name, config in ((name, config_of(found)) for name, found in answers.items())
    ]
    return (
        f"In this chapter {'; '.join(sizes)}. Other chapters may have larger "
        "or smaller populations of the same name."
    )


def describe_run(results: xr.Dataset) -> str:
    """Table of what was run, and whether it was at the paper's length."""
    config, recipe = config_of(results), json.loads(results.attrs["recipe"])
    images = "all" if config.train_images is None else f"{config.train_images:,}"
    short = results.attrs.get("precision") == "bfloat16"
    one_out = "by leaving out one at a time"
    if config.networks == 2:
        one_out += "; two networks, which are one pair, leave open what they share"
    if geometry_intervals(results) == BOOTSTRAP:
        one_out = ""
    rows = {
        "Population": f"{config.networks} {_subject(results)}",
        "Training": f"preset “{config.preset}”, recipe “{config.recipe}”, "
        f"{_epochs(recipe['epochs'])}, {images} images"
        + (", layers computed in bfloat16" if short else ""),
        "Checkpoints": ", ".join(f"{c:g}" for c in results.checkpoint.values) + " epochs",
        "Alignment": f"SRM on {100 * config.alignment_fraction:.0f} % of the unseen images, k = "
        + ("number of units" if config.components is None else str(config.components))
        + f", at most {config.max_units} units a layer",
        "Intervals": f"95 % over networks, by {config.bootstrap:,} resamples"
        + (one_out and f"; of averaged RSMs {one_out}"),
    }
    told = table(["this run", ""], [[f"**{name}**", value] for name, value in rows.items()])
    note = (
        ""
        if config.recipe == "paper" and config.epochs is None
        else "\n\nThis is not the paper's training schedule: what the paper says of networks "
        "“trained until convergence” is illustrated here, not tested. What tests it is in "
        "[the ledger](ledger)."
    )
    return f"{told}{note}"


def claim_in_numbers(results: xr.Dataset) -> str:
    """The claim of the paper for one run's last layer, in three numbers."""
    last = _final(results).isel(layer=-1)
    shared, native = (last.geometry_current.sel(space=s) for s in ("shared", "native"))
    variance = last.variance_interval.sel(measure="left out")
    published = last.variance_interval.sel(measure="published", bound="estimate")
    blind = "no gradient and no alignment" if steered(results) else "neither training nor alignment"
    share, low, high = (number(100 * bound, 0) for bound in variance.values)
    return (
        f"In numbers, for {in_a_sentence(last.layer.item())} of these "
        f"{results.sizes['network']} {_subject(results)}, and images that {blind} has seen: "
        f"the similarity matrix *between* networks correlates "
        f"{interval_text(native)} with the one *within* networks before alignment and "
        f"{interval_text(shared)} after it, "
        f"and what the other networks share explains {share} % [{low}, {high}] of a network's "
        f"variance (95 % intervals over networks). As the paper counts, with the network's own "
        f"activity in the mean and the unit means kept, it is {number(100 * published, 0)} %."
    )


def accuracy_sentence(results: xr.Dataset) -> str:
    """Final accuracies over networks."""
    final = 100 * results.test_accuracy.isel(epoch=-1).values
    chance = 100 / results.sizes["class"]
    return (
        f"At the end the networks classify {final.mean():.1f} % of the unseen images correctly "
        f"(from {final.min():.1f} to {final.max():.1f} %; chance is {chance:.0f} %)."
    )


def training_alt(results: xr.Dataset) -> str:
    """Text alternative of the training curves."""
    first, last = (100 * results.test_accuracy.isel(epoch=e).mean().item() for e in (0, -1))
    return (
        f"Line chart of test accuracy over {results.sizes['epoch']} epochs for "
        f"{results.sizes['network']} networks: from {first:.0f} % to {last:.0f} % on average."
    )


def patterns_alt(results: xr.Dataset) -> str:
    """Text alternative of the class patterns, with the distances that the picture shows."""
    before, after = scatters(results)
    return (
        "Two three-dimensional scatter plots of class means. The distance between networks' means "
        f"of the same class, relative to the distance between classes, is {before:.2f} before "
        f"alignment and {after:.2f} after it."
    )


def rsm_alt(results: xr.Dataset, reading: str = "published") -> str:
    """Text alternative of the RSM triplet."""
    return "Three heatmaps. " + rsm_sentence(results, reading)


def grid_alt(results: xr.Dataset) -> str:
    """Text alternative of the grid of class RSMs."""
    layers = results.sizes["layer"]
    return (
        f"Heatmaps of class similarities in {layers} layers, through training. "
        + geometry_sentence(results)
    )


def rsm_sentence(results: xr.Dataset, reading: str = "published") -> str:
    """How much the inter-network RSM resembles the within-network RSM, last layer."""
    last = _final(results, reading).isel(layer=-1)
    shared, native = (last.geometry_current.sel(space=s) for s in ("shared", "native"))
    return (
        f"In {in_a_sentence(last.layer.item())}, over all pairs of held-out images, the "
        f"inter-network RSM correlates {interval_text(native)} with the within-network RSM in "
        f"native space and {interval_text(shared)} in the shared space."
    )


def geometry_alt(results: xr.Dataset) -> str:
    """Text alternative of the top row of Figure 3."""
    return "Line chart over training, a line a layer. " + geometry_sentence(results)


def geometry_sentence(results: xr.Dataset) -> str:
    """Start and end of the top row's curves, both readings."""
    reading = results.sel(reading="published")
    lines = []
    for label in results.layer.values:
        row = reading.sel(layer=label)
        final = row.geometry_final.sel(space="shared", bound="estimate").values
        current = row.geometry_current.sel(space="shared", bound="estimate").values
        lines.append(
            f"{layer_name(label)}: {final[0]:.2f} → {final[-1]:.2f} against the final geometry, "
            f"{current[0]:.2f} → {current[-1]:.2f} against that of the moment"
        )
    return "From the first checkpoint to the last, in the shared space: " + "; ".join(lines) + "."


def variance_alt(results: xr.Dataset) -> str:
    """Text alternative of the middle row of Figure 3."""
    return "Grouped points by layer. " + variance_sentence(results)


def variance_sentence(results: xr.Dataset) -> str:
    """Variance explained in every layer: published and left out."""
    final = _final(results)
    parts = []
    for label in results.layer.values:
        row = final.sel(layer=label).variance_interval
        parts.append(
            f"{layer_name(label)} {interval_text(row.sel(measure='published'))} as published, "
            f"{interval_text(row.sel(measure='left out'))} from the other networks only"
        )
    return "Variance explained on held-out images: " + "; ".join(parts) + "."


def variance_training_alt(results: xr.Dataset) -> str:
    """Text alternative of variance explained over layers and training."""
    rows = results.variance_interval.sel(measure="published", bound="estimate")
    first, last = (rows.isel(checkpoint=c).values for c in (0, -1))
    return (
        f"Line chart over layers. {moment(results.checkpoint[0]).capitalize()}: "
        + ", ".join(f"{v:.2f}" for v in first)
        + "; at the end: "
        + ", ".join(f"{v:.2f}" for v in last)
        + "."
    )


def consistency_alt(results: xr.Dataset) -> str:
    """Text alternative of the bottom row of Figure 3."""
    return "Points by layer. " + consistency_sentence(results)


def consistency_sentence(results: xr.Dataset) -> str:
    """Consistency of the networks' own RSMs in every layer."""
    final = _final(results)
    parts = [
        f"{layer_name(label)} {interval_text(final.sel(layer=label).consistency)}"
        for label in results.layer.values
    ]
    return "Two networks' own RSMs correlate: " + "; ".join(parts) + "."


def numbers_table(results: xr.Dataset) -> str:
    """All measures of every layer at the end of training, with their intervals."""
    head = [
        "layer",
        "geometry, aligned",
        "geometry, native",
        "variance, published",
        "means subtracted",
        "others only",
        "consistency",
    ]
    rows = []
    final = _final(results)
    for label in results.layer.values:
        row = final.sel(layer=label)
        cells = [row.geometry_current.sel(space=space) for space in ("shared", "native")]
        measures = ("published", "corrected", "left out")
        cells += [row.variance_interval.sel(measure=measure) for measure in measures]
        cells.append(row.consistency)
        rows.append([layer_name(label), *map(interval_text, cells)])
    return table(head, rows)


def control_table(results: xr.Dataset) -> str:
    """The shuffled control beside the real alignment, last checkpoint."""
    final = _final(results, "corrected")
    rows = []
    for label in results.layer.values:
        row = final.sel(layer=label)
        control = row.control_variance.sel(measure="left out").values
        rows.append(
            [
                layer_name(label),
                interval_text(row.geometry_current.sel(space="shared")),
                interval_text(row.control_geometry.sel(space="shared")),
                interval_text(row.variance_interval.sel(measure="left out")),
                f"{number(control.mean())} ({number(control.min())} to {number(control.max())})",
            ]
        )
    geometry = "corr(wRSM, iRSM), means subtracted"
    head = ["layer", geometry, "shuffled", "variance, others only", "shuffled"]
    return table(head, rows)


def native_table(results: xr.Dataset) -> str:
    """Native corr(wRSM, iRSM) of each layer at the end, and what chance makes of it."""
    final = _final(results).geometry_final.sel(space="native", bound="estimate")
    n = results.sizes["draw"]
    moved = native_control(results)
    rows = []
    for label in results.layer.values:
        draws = results.control_native.sel(layer=label).values
        low, high = draws.min(), draws.max()
        estimate = number(final.sel(layer=label))
        rows.append([layer_name(label), estimate, f"{number(low)} to {number(high)}"])
    drawn = f"{moved} in random order: range of {n} draws"
    return table(["layer", "native corr(wRSM, iRSM)", drawn], rows, "lr")


def remake(results: xr.Dataset) -> str:
    """The command that remakes a run, and where its numbers come from."""
    versions = ", ".join(f"{k} {v}" for k, v in json.loads(results.attrs["versions"]).items())
    return (
        f"These numbers are remade by\n\n```bash\n{results.attrs['command']}\n```\n\n"
        f"They were made at commit `{results.attrs['commit'][:12]}` on {results.attrs['hardware']} "
        f"with {versions}. The run that finished them took "
        f"{float(results.attrs['seconds']):.0f} s; training, all networks added up, "
        f"{float(results.attrs['seconds_training']):.0f} s."
    )


def overview(runs: list[xr.Dataset]) -> str:
    """Table of several runs, each by its first and its last layer at the end of training."""
    rows = []
    for results in runs:
        final = _final(results)
        accuracy = 100 * float(results.test_accuracy.isel(epoch=-1).mean())
        for place in (0, -1):
            row = final.isel(layer=place)
            rows.append(
                [
                    f"{results.sizes['network']} {_subject(results)}, "
                    f"{results.sizes['epoch']} epochs",
                    layer_name(row.layer.item()),
                    f"{accuracy:.1f} %",
                    interval_text(row.geometry_current.sel(space="shared")),
                    interval_text(row.variance_interval.sel(measure="published")),
                    interval_text(row.variance_interval.sel(measure="left out")),
                ]
            )
    measured = ("corr(wRSM, iRSM)", "variance, published", "others only")
    return table(["population", "layer", "accuracy", *measured], rows)
