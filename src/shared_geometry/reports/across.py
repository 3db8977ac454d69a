"""Words and tables of the chapter on architectures: answers of the study in, Markdown out.

Answers are a mapping from the name of a population to what the study found of it.
"""

import json
from collections.abc import Mapping
from itertools import groupby

import numpy as np
import torch
import xarray as xr

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import interval_text, layer_name, number
from shared_geometry.beyond.across.layer_maps import MEASURES, best_match
from shared_geometry.beyond.across.partners import KINDS
from shared_geometry.beyond.across.study import NEARLY
from shared_geometry.figures.across import matches

Answers = Mapping[str, xr.Dataset]


def _names(answer: xr.Dataset, same_data: bool = False) -> list[str]:
    names = [str(name) for name in answer.population.values]
    kept = answer.same_data.values > 0
    return [n for n, keep in zip(names, kept, strict=True) if keep or not same_data]


def _value(values: xr.DataArray) -> str:
    return "–" if bool(values.isnull().any()) else interval_text(values.values)


def populations_table(answers: Answers) -> str:
    """Who is compared: accuracy on unseen images of what each was trained on, last hidden layer."""
    parts = []
    for name, answer in answers.items():
        rows = []
        for who in _names(answer):
            one = answer.sel(population=who)
            layers = json.loads(answer.attrs["layers"])[who]
            accuracy = 100 * one.accuracy.values
            rows.append(
                [
                    who,
                    f"{int(one.epochs)}",
                    f"{accuracy.mean():.0f} % ({accuracy.min():.0f} to {accuracy.max():.0f})",
                    f"{layer_name(layers[-1])}, {int(one.drawn)}",
                ]
            )
        head = ["networks", "epochs", "accuracy", "last hidden layer, units recorded"]
        counted = f"**{name}**: {int(answer.networks)} networks each, k = {int(answer.k)}"
        parts.append(f"{counted}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def absent_sentence(answers: Answers) -> str:
    """Which architectures take no part, and where; empty if all do everywhere."""
    absent = {
        name: [kind for kind in KINDS if kind not in _names(a)] for name, a in answers.items()
    }
    said = [f"{', '.join(kinds)} ({name})" for name, kinds in absent.items() if kinds]
    return f"Not among them: {'; '.join(said)}." if said else ""


def _matched(answer: xr.Dataset, measure: str, population: str) -> str:
    """Layers of the deeper networks, those that follow each other together, and their match."""
    found = best_match(torch.as_tensor(matches(answer, measure, population)))
    other = json.loads(answer.attrs["layers"])[population]
    own = [str(v) for v in answer.layer.values]
    deeper_other = len(other) > len(own)
    pairs = [(other[j], own[i]) if deeper_other else (own[i], other[j]) for i, j in found]
    if all(deep == match for deep, match in pairs):
        return "each layer its namesake"
    runs = []
    for match, run in groupby(pairs, key=lambda pair: pair[1]):
        first, *rest = (layer_name(deep) for deep, _ in run)
        runs.append(f"{first}{f' to {rest[-1]}' if rest else ''} → {layer_name(match)}")
    return ", ".join(runs)


def order_table(answers: Answers) -> str:
    """Which layer matches which, and how well matches follow depth, by both measures."""
    parts = []
    for name, answer in answers.items():
        rows = []
        for who in _names(answer):
            order = answer.order.sel(population=who)
            rows.append(
                [
                    who,
                    _matched(answer, MEASURES[0], who),
                    *(_value(order.sel(measure=m)) for m in MEASURES),
                    _value(answer.matched_null.sel(population=who)),
                ]
            )
        head = ["with", "best matches, by variance", "order, by variance", "order, by RSMs"]
        parts.append(f"**{name}**\n\n{table([*head, 'last layers, shuffled'], rows)}")
    return "\n\n".join(parts)


def itself_sentence(answers: Answers) -> str:
    """How often a layer's best match among networks of one architecture is the same layer."""
    lines = []
    for name, answer in answers.items():
        own, counts = _names(answer)[0], []
        for measure in MEASURES:
            tables = answer.matched.sel(measure=measure, population=own).values
            n = tables.shape[1]
            hits = [int((t[:, :n].argmax(1) == np.arange(n)).sum()) for t in tables]
            counts.append(f"{sum(hits)} of {n * len(hits)} by {measure}")
        lines.append(f"- {name}: {'; '.join(counts)}")
    return (
        "Layers whose best match in another network of the same architecture is the same layer, "
        "over all pairs:\n\n" + "\n".join(lines)
    )


def spaces_table(answers: Answers) -> str:
    """Variance explained in each space, and what the common one has of their own."""
    head = ["networks", "own", "common", "common ÷ own", "others’", "others’ ÷ own"]
    head += ["common, shuffled", "others’, shuffled"]
    parts = []
    for name, answer in answers.items():
        rows = []
        for who in _names(answer, same_data=True):
            explained, part = (answer[v].sel(population=who) for v in ("explained", "part"))
            cells = [
                explained.sel(space="own"),
                explained.sel(space="common"),
                part.sel(space="common"),
                explained.sel(space="others"),
                part.sel(space="others"),
                explained.sel(space="common, shuffled"),
                explained.sel(space="others, shuffled"),
            ]
            rows.append([who, *map(_value, cells)])
        parts.append(f"**{name}**\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def data_sentence(answers: Answers) -> str:
    """What becomes of sharing where networks were trained on other data."""
    lines = []
    for name, answer in answers.items():
        own = _names(answer)[0]
        strangers = [n for n in _names(answer) if n not in _names(answer, same_data=True)]
        for makers in (own, *strangers):
            parts = [
                f"{who} {_value(answer.exchange_part.sel(made_by=makers, population=who))}"
                for who in strangers
                if who != makers
            ]
            lines.append(f"- {name}, space of {makers}: {'; '.join(parts)}")
    return (
        "What a space explains of a network that was trained on other data than its makers, over "
        "what that network's own population explains:\n\n" + "\n".join(lines)
    )


def untrained_table(answers: Answers) -> str:
    """Variance explained by own and by others' spaces, before training and after it."""
    head = ["networks", "own, before", "own, after", "others’, before", "others’, after"]
    parts = []
    for name, answer in answers.items():
        rows = []
        for who in _names(answer, same_data=True):
            one = answer.sel(population=who)
            cells = [
                found
                for space in ("own", "others")
                for found in (one.untrained.sel(before=space), one.explained.sel(space=space))
            ]
            rows.append([who, *map(_value, cells)])
        parts.append(f"**{name}**\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def loss_sentence(answers: Answers) -> str:
    """What is lost by sharing across architectures, or that nothing is."""
    lines = []
    for name, answer in answers.items():
        for space, text in (("common", "in the common space"), ("others", "in others’ spaces")):
            part = answer["part"].sel(space=space, population=_names(answer, same_data=True))
            low, high = part.sel(bound="low").values, part.sel(bound="high").values
            less, enough = int((high < 1).sum()), int((low >= NEARLY).sum())
            lines.append(
                f"- {name}, {text}: less than in their own in {less} of {len(low)} architectures "
                f"(by their intervals), and at least {number(NEARLY, 1)} of it in {enough}"
            )
    return "\n".join(lines)


def matches_alt(answers: Answers, measure: str) -> str:
    """Text alternative of a figure of layers, for the answer that is shown first."""
    name, answer = next(iter(answers.items()))
    parts = [
        f"with {who}, rank correlation of best matches with depth "
        f"{number(answer.order.sel(measure=measure, population=who, bound='estimate'))}"
        for who in _names(answer)
    ]
    return f"Heatmaps of layers by layers, {measure}. {name}: {'; '.join(parts)}."


def exchange_alt(answers: Answers) -> str:
    """Text alternative of the figure of exchanged spaces, for the answer that is shown first."""
    name, answer = next(iter(answers.items()))
    own = _names(answer)[0]
    row = answer.exchange_part.sel(made_by=own, bound="estimate")
    parts = [f"{who} {number(row.sel(population=who))}" for who in _names(answer)]
    return f"Heatmap of populations by populations. {name}, space of {own}: {', '.join(parts)}."


def spaces_alt(answers: Answers) -> str:
    """Text alternative of the figure of spaces, for the answer that is shown first."""
    name, answer = next(iter(answers.items()))
    parts = []
    for who in _names(answer, same_data=True):
        found = answer.explained.sel(population=who, bound="estimate")
        values = [f"{s} {number(found.sel(space=s))}" for s in ("own", "common", "others")]
        parts.append(f"{who}: {', '.join(values)}")
    return f"Points by architecture, a colour a space. {name}: {'; '.join(parts)}."
