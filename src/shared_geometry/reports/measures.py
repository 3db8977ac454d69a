"""What the study of other measures found, in titles, sentences and text alternatives."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from shared_geometry.basics.wording import in_a_sentence, number
from shared_geometry.beyond.measures.study import others
from shared_geometry.claims.judging import HIGH
from shared_geometry.reports.measures_values import chance, class_share, is_related, over_chance
from shared_geometry.similarity.comparison import PAPERS
from shared_geometry.similarity.orders import ALONG

Answers = Mapping[str, xr.Dataset]  # by population


def count(part: int, whole: int, what: str) -> str:
    """How many of how many: all 12 layers, 3 of 12 layers."""
    return f"all {whole} {what}" if part == whole else f"{part} of {whole} {what}"


def percent(share: float | xr.DataArray) -> str:
    """A share of one as a whole percentage."""
    return f"{number(100 * float(share), 0)} %"


def _average(parts: list[xr.DataArray]) -> xr.DataArray:
    """Mean over populations, whose layers may differ: (measure,)."""
    return xr.concat(parts, "population").mean("population")


def _related(answers: Answers) -> np.ndarray:
    """Whether a measure lies above chance, in every layer of every population."""
    return np.concatenate([is_related(found).values.ravel() for found in answers.values()])


def _ranks(answers: Answers) -> list[np.ndarray]:
    """Agreement of the other measures with the paper's: on layers, and on checkpoints."""
    return [
        np.concatenate([others(found, along).values for found in answers.values()])
        for along in ALONG[:2]
    ]


def _ends(values: xr.DataArray) -> tuple[str, str]:
    """Names of the measures with the lowest and with the highest of ``values``."""
    low, high = (str(values.measure.values[f(values.values)]) for f in (np.argmin, np.argmax))
    return low, high


def chance_title(answers: Answers) -> str:
    """Where measures find more than chance, and how high they lie."""
    parts = _related(answers)
    means = _average([f.value.sel(bound="estimate").mean("layer") for f in answers.values()])
    low, high = _ends(means)
    return (
        f"Above chance in {count(int(parts.sum()), parts.size, 'cases')}; yet of the same "
        f"networks {low} says {number(means.min())} and {high} {number(means.max())}"
    )


def classes_title(answers: Answers) -> str:
    """How much of each measure's lead over chance is there where classes alone are shared."""
    shares = _average([class_share(found) for found in answers.values()])
    low, high = _ends(shares)
    return (
        f"Sharing the classes and nothing else gives {percent(shares.max())} of what {high} finds, "
        f"{percent(shares.min())} of what {low} does"
    )


def agreement_title(answers: Answers) -> str:
    """How many measures order layers, and how many checkpoints, as the paper's does."""
    parts = [count(int((ranks >= HIGH).sum()), ranks.size, "cases") for ranks in _ranks(answers)]
    return f"Layers are ordered as by {PAPERS[0]} in {parts[0]}, checkpoints in {parts[1]}"


def order_sentence(found: xr.Dataset, name: str) -> str:
    """Which measures order layers as the paper's does, and which checkpoints, in a population."""
    parts = []
    for along, fixed in (("layers", "checkpoint"), ("checkpoints", "layer")):
        ranks = others(found, along)
        low, high = ranks.isel(measure=0), ranks.isel(measure=-1)
        parts.append(
            f"over pairs of {along} in the same {fixed}, {HIGH:g} is reached by "
            f"{count(int((ranks >= HIGH).sum()), ranks.size, 'other measures')} (lowest: "
            f"{low.measure.item()} {number(low)}; highest: {high.measure.item()} {number(high)})"
        )
    return (
        f"{name}, {found.sizes['layer']} layers at {found.sizes['checkpoint']} checkpoints: "
        f"{'; '.join(parts)}."
    )


def order_sentences(answers: Answers) -> str:
    """`order_sentence` of every population."""
    return "\n\n".join(order_sentence(found, name) for name, found in answers.items())


def rise_sentence(answers: Answers) -> str:
    """In how many cases training makes networks more alike."""
    gains = []
    for found in answers.values():
        course = found.course.mean("pair")
        gains.append((course.isel(checkpoint=-1) - course.isel(checkpoint=0)).values.ravel())
    rising = np.concatenate(gains) > 0
    return (
        "From the first checkpoint to the last, networks become more alike in "
        f"{count(int(rising.sum()), rising.size, 'cases')}, a case being a measure in a layer."
    )


def spread_sentence(found: xr.Dataset) -> str:
    """How much of its scale each of two measures uses for the differences between layers."""
    values = over_chance(found).sel(bound="estimate")
    widths = values.max("layer") - values.min("layer")
    low, high = (widths.isel(measure=f(widths.values)) for f in (np.argmin, np.argmax))
    return (
        f"From the layer where networks are most alike to the one where they are least, "
        f"{low.measure.item()} falls by {number(low, 3)} of its way from chance to equality, "
        f"{high.measure.item()} by {number(high, 3)} ({found.attrs['title']})."
    )


def summary(answers: Answers) -> str:
    """The finding in three sentences, over all populations."""
    related, (layers, checkpoints) = _related(answers), _ranks(answers)
    over = "one population" if len(answers) == 1 else f"{len(answers)} populations"
    return (
        f"In short, over {over}: networks are more alike than chance in "
        f"{count(int(related.sum()), related.size, 'cases')}, a case being a measure in a layer. "
        f"With the paper's first measure the other ones agree {_agree(checkpoints)} on the order "
        f"of checkpoints in training, and {_agree(layers)} on the order of layers."
    )


def _agree(ranks: np.ndarray) -> str:
    middle = float(np.median(ranks))
    word = "well" if middle >= HIGH else "in part" if middle >= HIGH / 2 else "hardly"
    return f"{word} (median rank correlation {number(middle)})"


def classes_sentence(answers: Answers) -> str:
    """What classes alone give of the paper's two measures and of the two ends."""
    parts = []
    for name, found in answers.items():
        share = class_share(found)
        papers = " and ".join(f"{percent(share.sel(measure=p))} of the {p}" for p in PAPERS)
        low, high = _ends(share)
        parts.append(
            f"{name}: sharing the classes alone gives {papers}; least of {low} "
            f"({percent(share.min())}), most of {high} ({percent(share.max())})."
        )
    return "\n\n".join(parts)


def agreement_alt(found: xr.Dataset) -> str:
    """Text alternative of the map of agreement."""
    return "Heatmap, measures by measures. " + order_sentence(found, found.attrs["title"])


def same_images_sentence(found: xr.Dataset) -> str:
    """How much unrelated networks seem to share if a map is measured where it was fitted."""
    last = found.isel(layer=-1).same_images.sel(end="unrelated").mean("pair")
    worst = last.isel(fitted=int(np.argmax(last.values)))
    return (
        f"In {in_a_sentence(found.layer.values[-1])} ({found.attrs['title']}), unrelated networks "
        f"reach up to {number(worst)} ({worst.fitted.item()}) on the images of the fit."
    )


def by_layer_alt(found: xr.Dataset) -> str:
    """Text alternative of the measures by layer."""
    values, floor = found.value.sel(bound="estimate"), chance(found)
    parts = []
    for name in found.measure.values:
        own, unrelated = values.sel(measure=name), floor.sel(measure=name)
        parts.append(
            f"{name} {number(own.min())} to {number(own.max())} (unrelated: at most "
            f"{number(unrelated.max())})"
        )
    return f"A row a measure, a dot a layer; {found.attrs['title']}: " + "; ".join(parts) + "."


def over_chance_alt(found: xr.Dataset) -> str:
    """Text alternative of the measures over chance."""
    share = class_share(found)
    parts = [f"{name} {percent(share.sel(measure=name))}" for name in share.measure.values]
    return (
        "A row a measure, a dot a layer, a diamond where classes alone are shared. Part of the "
        f"lead over chance that classes give, {found.attrs['title']}: " + "; ".join(parts) + "."
    )
