"""What the study of other measures found, as tables in Markdown."""

from collections.abc import Callable, Mapping

import xarray as xr

from shared_geometry import ledger
from shared_geometry.beyond.measures import CLAIM
from shared_geometry.comparison import PAPERS
from shared_geometry.measures_report import class_share, percent
from shared_geometry.orders import agreement, reliability
from shared_geometry.wording import interval_text, layer_name, number


def _rises(found: xr.Dataset, measure: str) -> str:
    course = found.course.sel(measure=measure).mean("pair")
    gains = (course.isel(checkpoint=-1) - course.isel(checkpoint=0)).values
    return f"{int((gains > 0).sum())} of {len(gains)}"


def conclusions_table(found: xr.Dataset) -> str:
    """What one would have concluded by each measure: where networks agree, and since when."""
    lines = [
        "| measure | at the end | most alike | least alike | layers in which it rises "
        "| classes alone | layers ordered as by the paper's | as by itself, other networks |",
        "|:--|:--|:--|:--|--:|--:|--:|--:|",
    ]
    ranks = agreement(found.course).sel(along="layers", other=PAPERS[0])
    own, share = reliability(found.course).sel(along="layers"), class_share(found)
    for name in found.measure.values:
        values = found.value.sel(measure=name, bound="estimate")
        order = values.layer.values[values.argsort().values]
        lines.append(
            f"| {name} | {number(values.min(), 3)} to {number(values.max(), 3)} "
            f"| {layer_name(order[-1])} | {layer_name(order[0])} | {_rises(found, name)} "
            f"| {percent(share.sel(measure=name))} | {number(ranks.sel(measure=name))} "
            f"| {number(own.sel(measure=name)) if own.notnull().all() else '–'} |"
        )
    return "\n".join(lines)


def same_images_table(found: xr.Dataset) -> str:
    """Maps measured on the images they were fitted on, and on others: last layer, pairs."""
    last = found.isel(layer=-1)
    held_out = last.control.sel(measure=last.fitted.values).mean("pair")
    same = last.same_images.mean("pair")
    lines = [
        "| measure | other images | other images, unrelated | images of the fit "
        "| images of the fit, unrelated |",
        "|:--|--:|--:|--:|--:|",
    ]
    for name in last.fitted.values:
        cells = [held_out.sel(measure=name, condition=c) for c in ("as they are", "unrelated")]
        cells += [same.sel(fitted=name, condition=c) for c in ("as they are", "unrelated")]
        lines.append(f"| {name} | " + " | ".join(map(number, cells)) + " |")
    return "\n".join(lines)


def whole_table(found: xr.Dataset) -> str:
    """The paper's measures for pairs of networks, and for all networks aligned together."""
    lines = [
        "| layer | " + " | ".join(f"{name}, pairs | all together" for name in PAPERS) + " |",
        "|:--|" + ":--|" * (2 * len(PAPERS)),
    ]
    for label in found.layer.values:
        row = found.sel(layer=label)
        cells = [c for p in PAPERS for c in (row.value.sel(measure=p), row.whole.sel(papers=p))]
        texts = (interval_text(cell.values, 3) for cell in cells)
        lines.append(f"| {layer_name(label)} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def for_each(answers: Mapping[str, xr.Dataset], say: Callable[[xr.Dataset], str]) -> str:
    """What ``say`` makes of each population, under its name if there are several."""
    if len(answers) == 1:
        return say(next(iter(answers.values())))
    return "\n\n".join(f"**{name}**\n\n{say(found)}" for name, found in answers.items())


def claim_table(answers: Mapping[str, xr.Dataset]) -> str:
    """The chapter's claim, its rule, and what each population says of it."""
    judged = {name: CLAIM.judge(found) for name, found in answers.items()}
    rows = [ledger.Row(CLAIM, name, "", found, found.outcome) for name, found in judged.items()]
    return ledger.table(rows, [])
