"""Words and tables of the chapter on choices: answers of the study in, Markdown out.

Answers are a mapping from the name of a population to what the study found of it.
"""

from collections.abc import Mapping, Sequence

import xarray as xr

from shared_geometry.basics.markdown import interval_cell, table
from shared_geometry.basics.wording import in_a_sentence, interval_text, layer_name, number
from shared_geometry.beyond.choices.alternatives import BASELINE, fewer
from shared_geometry.beyond.choices.study import MEASURES
from shared_geometry.claims.catalogue import STATED, Condition
from shared_geometry.experiment.results import config_of
from shared_geometry.reports.populations import called, has_papers_length
from shared_geometry.reports.report import source_note
from shared_geometry.srm.score import explained_with
from shared_geometry.statistics import Interval, bootstrap_mean

Answers = Mapping[str, xr.Dataset]


def changes_alt(answers: Answers) -> str:
    """Text alternative of the figure of changes, for the population that is shown first."""
    population, answer = next(iter(answers.items()))
    changed = answer.change.sel(bound="estimate").drop_sel(choice=BASELINE)
    parts = []
    for choice in changed.choice.values:
        moved = ", ".join(number(value) for value in changed.sel(choice=choice))
        parts.append(f"{choice} {moved}")
    layers = ", ".join(layer_name(label) for label in changed.layer.values)
    return f"Dots by choice, a dot a layer ({layers}). {population}: {'; '.join(parts)}."


def channels_table(answers: Answers) -> str:
    """How evenly the channels of each layer carry its variance, a table a population."""
    parts = []
    for population, answer in answers.items():
        rows = [
            [
                layer_name(label),
                str(int(part.channels)),
                interval_cell(part.largest),
                interval_cell(part.effective, 1),
            ]
            for label in answer.layer.values
            for part in [answer.sel(layer=label)]
        ]
        head = ["layer", "channels", "part in the largest", "participation ratio"]
        parts.append(f"**{population}**\n\n{table(head, rows)}")
    return "\n\n".join(parts)


_FEW = 0.1  # part of a layer's channels


def few_channels_sentence(answers: Answers) -> str:
    """Layers that few channels carry, and what is explained there once units are standardised."""
    lines = []
    for population, answer in answers.items():
        shares = answer.value.sel(measure="variance")
        for label in answer.layer.values:
            part, share = answer.sel(layer=label), shares.sel(layer=label)
            if float(part.effective.sel(bound="high")) < _FEW * int(part.channels):
                lines.append(
                    f"- {population}, {in_a_sentence(label)}: "
                    f"{interval_text(part.effective, 1)} of {int(part.channels)} channels; "
                    f"explained, as published, {interval_text(share.sel(choice=BASELINE))}; with "
                    f"units standardised, {interval_text(share.sel(choice='units standardised'))}"
                )
    whole = f"fewer than {100 * _FEW:.0f} % of the channels carry a layer"
    if not lines:
        return f"In none of these populations do {whole}."
    return f"Where {whole}, by this count:\n\n" + "\n".join(lines)


def last_layer_table(answers: Answers) -> str:
    """Every measure by every choice in the last hidden layer, a table a population."""
    parts = []
    for population, answer in answers.items():
        last = answer.isel(layer=-1)
        rows = [
            [str(choice), *(interval_cell(row, 3) for row in last.value.sel(choice=choice))]
            for choice in last.choice.values
        ]
        name = in_a_sentence(last.layer.item())
        parts.append(f"**{population}**, {name}\n\n{table(['choice', *MEASURES], rows)}")
    return "\n\n".join(parts)


def _stated(population: str, answer: xr.Dataset, share: float) -> str:
    last = answer.value.isel(layer=-1).sel(measure="variance")
    usual = last.sel(choice=BASELINE)
    estimate = last.sel(bound="estimate")
    lowest, highest = (
        estimate.isel(choice=int(f("choice"))) for f in (estimate.argmin, estimate.argmax)
    )
    reached = [
        str(choice)
        for choice, (_, low, high) in zip(last.choice.values, last.values, strict=True)
        if low <= share <= high
    ]
    length = "" if has_papers_length(answer) else ", trained for fewer epochs than the paper's"
    where = f"the interval of: {', '.join(reached)}" if reached else "no interval"
    return (
        f"- {population}{length}: the paper's {number(share, 3)}; here, as published, "
        f"{interval_text(usual, 3)}; from {number(lowest, 3)} ({lowest.choice.item()}) to "
        f"{number(highest, 3)} ({highest.choice.item()}). The paper's number lies in {where}."
    )


def stated_sentence(answers: Answers) -> str:
    """The share of variance that the paper states, beside what each choice makes of ours."""
    lines = []
    for population, answer in answers.items():
        config = config_of(answer)
        share = STATED.get((config.dataset, config.architecture))
        if share is not None:
            lines.append(_stated(population, answer, share))
    return "\n".join(lines) or "Of none of these populations does the paper state a number."


_AUTHORS = 8  # networks in a setting of the authors' code
_CANNOT_TELL = (
    "None of these populations can tell: the formula is for square bases, and two networks are the "
    "fewest there can be."
)


def networks_table(papers: Mapping[Condition, xr.Dataset]) -> str:
    """Variance explained in the last layer by other numbers of networks (`explained_with`).

    Parameters
    ----------
    papers : mapping of (str, str) to xarray.Dataset
        Results of `experiment.run` by condition; those that the paper states no share of are left
        out.
    """
    rows = []
    for condition, results in papers.items():
        if condition not in STATED or config_of(results).components is not None:
            continue
        n = config_of(results).networks
        last = results.variance_interval.isel(checkpoint=-1, layer=-1).sel(measure="published")
        others = ([explained_with(bound, n, m) for bound in last.values] for m in (_AUTHORS, None))
        cells = [interval_cell(row, 3) for row in (last.values, *others)]
        rows.append([called(condition), number(STATED[condition], 3), str(n), *cells])
    head = ["condition", "the paper", "networks", "ours", f"of {_AUTHORS}", "in the limit"]
    return table(head, rows) if rows else "None of these conditions is published yet."


def networks_sentence(answers: Answers) -> str:
    """How well `explained_with` foretells what fewer networks, fitted anew, explain."""
    lines = []
    for population, answer in answers.items():
        n = config_of(answer).networks
        if config_of(answer).components is not None or fewer(n) == n:
            continue  # a smaller space holds no network whole
        estimate = answer.value.sel(measure="variance", bound="estimate")
        usual = estimate.sel(choice=BASELINE)
        foretold = [explained_with(float(share), n, fewer(n)) for share in usual]
        off = abs(estimate.sel(choice="fewer networks") - foretold).max()
        lines.append(f"- {population}, {fewer(n)} of {n} networks: off by at most {number(off, 4)}")
    return "\n".join(lines) or _CANNOT_TELL


_BY_RECIPE = {
    "variance, published": ("variance_interval", {"measure": "published"}),
    "variance, means subtracted": ("variance_interval", {"measure": "corrected"}),
    "variance, others only": ("variance_interval", {"measure": "left out"}),
    "corr(wRSM, iRSM)": ("geometry_current", {"reading": "published", "space": "shared"}),
}
_OF_ALL = ("variance, published", "variance, means subtracted")  # S is the mean of all networks


def _accuracy(results: xr.Dataset) -> Interval:
    """Final accuracy on unseen images, in per cent, the mean over networks."""
    config = config_of(results)
    final = 100 * results.test_accuracy.isel(epoch=-1).values
    how = {"n_resamples": config.bootstrap, "seed": config.seed, "limits": (0.0, 100.0)}
    return bootstrap_mean(final, **how)


def _recipe_rows(both: Sequence[xr.Dataset]) -> list[list[str]]:
    """Rows of `recipes_table` for one condition."""
    numbers = [config_of(results).networks for results in both]
    fewest = min(numbers)
    alike = max(numbers) == fewest
    can_tell = all(config_of(results).components is None for results in both)  # `explained_with`
    ends = [results.isel(checkpoint=-1) for results in both]
    rows = [["", "accuracy, %", *(interval_cell(_accuracy(results), 1) for results in both)]]
    for label in ends[-1].layer.values:
        for measure, (name, which) in _BY_RECIPE.items():
            cells = [end[name].sel(which).sel(layer=label).values for end in ends]
            if name == "variance_interval" and not alike:
                if measure not in _OF_ALL or not can_tell:
                    continue
                cells = [
                    [explained_with(bound, n, fewest) for bound in values]
                    for values, n in zip(cells, numbers, strict=True)
                ]
                measure += f", of {fewest} networks"
            rows.append([layer_name(label), measure, *map(interval_cell, cells)])
    return rows


def recipes_table(papers: Mapping[Condition, xr.Dataset], others: Sequence[xr.Dataset]) -> str:
    """The same condition by two recipes: accuracy; variance and agreement, layer by layer.

    Of populations that are not equally large, the variance is brought to the smaller number by
    `explained_with`; what the other networks alone explain has no such formula and is left out.

    Parameters
    ----------
    papers : mapping of (str, str) to xarray.Dataset
        Results of `experiment.run` by condition.
    others : sequence of xarray.Dataset
        Of the same conditions by another recipe; those without a counterpart are left out.
    """
    parts = []
    for other in others:
        config = config_of(other)
        condition = (config.dataset, config.architecture)
        if condition not in papers:
            continue
        both = (papers[condition], other)
        head = [
            f"{how.recipe}, {results.sizes['epoch']} epochs, {how.networks} networks"
            for results in both
            for how in [config_of(results)]
        ]
        sources = "\n".join(f"- {source_note(results)}" for results in both)
        cells = table(["layer", "measure", *head], _recipe_rows(both))
        parts.append(f"**{called(condition)}**\n\n{cells}\n\n{sources}")
    return "\n\n".join(parts) or "There is no condition of which two recipes are published."
