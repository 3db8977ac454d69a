"""The ledger: the paper's claims in order, what this edition found for each, and a verdict.

A run that is shorter than the paper's cannot judge what the paper says of networks trained until
convergence: its finding is shown, and the verdict is `NOT_TESTED`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from shared_geometry.basics import markdown
from shared_geometry.basics.wording import NAMES
from shared_geometry.beyond import studies
from shared_geometry.claims import beginnings, centring, emergence, nearness
from shared_geometry.claims.catalogue import (
    CAPACITY,
    CONDITIONS,
    EXPERIMENTS,
    SIMULATION,
    STATED,
    THEORY,
    Claim,
    Condition,
    stated,
)
from shared_geometry.claims.judging import FAILS, HOLDS, IN_PART, UNDECIDED, Found
from shared_geometry.experiment.results import config_of
from shared_geometry.reports.populations import called, has_papers_length, judges, page_of
from shared_geometry.reports.report import training_length

NOT_TESTED = "not tested at the paper's length"
NOT_RUN = "not run yet"
VERDICTS = {  # of one, of several
    HOLDS: ("holds", "hold"),
    IN_PART: ("holds in part", "hold in part"),
    FAILS: ("does not hold", "do not hold"),
    UNDECIDED: (UNDECIDED,) * 2,
    NOT_TESTED: (f"is {NOT_TESTED}", f"are {NOT_TESTED}"),
    NOT_RUN: ("has not been run yet", "have not been run yet"),
}


class Row(NamedTuple):
    """One claim under one condition."""

    claim: Claim
    condition: str
    page: str  # where the figure is
    found: Found | None  # None: there are no results
    verdict: str


def _judged(claim: Claim, condition: str, page: str, *results: Any) -> Row:
    if any(r is None for r in results):
        return Row(claim, condition, page, None, NOT_RUN)
    found = claim.judge(*results)
    tested = not claim.trained or all(has_papers_length(r) for r in results)
    return Row(claim, condition, page, found, found.outcome if tested else NOT_TESTED)


def theory_rows(seed: int) -> list[Row]:
    """Proposition 1 and what belongs to it, on random matrices."""
    return mathematical_rows(THEORY, np.random.default_rng(seed), "theory")


def mathematical_rows(
    claims: Sequence[Claim], rng: np.random.Generator, page: str = ""
) -> list[Row]:
    """Claims that need no results: each is judged on random matrices, one after the other."""
    return [_judged(claim, "", page, rng) for claim in claims]


def further_rows(seed: int) -> list[Row]:
    """Theory that goes beyond the paper's, on random matrices and small linear networks."""
    claims = (*nearness.CLAIMS, *centring.CLAIMS, *beginnings.CLAIMS)
    return mathematical_rows(claims, np.random.default_rng(seed), "dynamics")


def simulation_rows(figure_2: xr.Dataset) -> list[Row]:
    """Claims about Figure 2, from `simulation.figure_2`."""
    return [_judged(claim, "", "simulation", figure_2) for claim in SIMULATION]


def experiment_rows(published: Mapping[str, xr.Dataset]) -> list[Row]:
    """Claims about trained networks under each of the paper's conditions, claim by claim.

    Parameters
    ----------
    published : mapping of str to xarray.Dataset
        From `populations.load_published`.
    """
    pages = {c: page_of(c) for c in CONDITIONS} | judges(published)

    def row(claim: Claim, condition: Condition) -> Row:
        name, page = called(condition), pages[condition]
        results = published.get(page)
        if results is not None and page != page_of(condition):
            name = _population(name, results)
        return _judged(claim, name, page, results)

    rows = [row(claim, c) for claim in EXPERIMENTS for c in pages if c[1] in claim.architectures]
    rows += [row(stated(share), condition) for condition, share in STATED.items()]
    for dataset in dict.fromkeys(dataset for dataset, _ in CONDITIONS):
        pair = [pages[dataset, architecture] for architecture in ("resnet18", "convnet")]
        rows.append(_judged(CAPACITY, NAMES[dataset], pair[0], *map(published.get, pair)))
    return rows


def _population(name: str, found: xr.Dataset) -> str:
    return f"{name}: {config_of(found).networks} networks, {training_length(found)}"


def beyond_rows(
    folder: str | Path, conditions: Mapping[Condition, xr.Dataset] | None = None
) -> list[Row]:
    """Claims beyond the paper, for each population of which there are answers.

    Parameters
    ----------
    folder : path
        Holds answers of studies as ``<study>-<condition>.nc``, see `studies.published`; one
        that is not there holds none.
    conditions : mapping, optional
        From `populations.conditions`, for the claim that is about their course.
    """
    rows = []
    for name in studies.names():
        claim, answers = studies.claim_of(name), studies.published(name, folder, optional=True)
        if not answers:
            rows.append(_judged(claim, "", name, None))
        rows += [
            _judged(claim, _population(title, answer), name, answer)
            for title, answer in answers.items()
        ]
    return rows + [
        _judged(emergence.CLAIM, _population(called(condition), result), "emergence", result)
        for condition, result in (conditions or {}).items()
    ]


def _cell(row: Row, pages: frozenset[str]) -> str:
    if row.found is None:
        return "–"
    value = escape(row.found.value)
    if row.page not in pages:
        return value
    anchor, word = (f"#{row.claim.figure}", "figure") if row.claim.figure else ("", "chapter")
    return f'{value} (<a href="{row.page}.html{anchor}">{word}</a>)'


def verdict_text(row: Row) -> str:
    """The verdict, and what a run too short for one found."""
    if row.verdict == NOT_TESTED:
        return f"*{NOT_TESTED}* (here it {row.found.outcome})"
    return f"*{row.verdict}*" if row.verdict == NOT_RUN else f"**{row.verdict}**"


def table(rows: Sequence[Row], pages: Sequence[str]) -> str:
    """The ledger as Markdown: each claim with its rule, then a row a condition.

    Parameters
    ----------
    rows : sequence of Row
    pages : sequence of str
        Pages of the book: only to these are there links.
    """
    known, parts = frozenset(pages), []
    for name in dict.fromkeys(row.claim.name for row in rows):
        of_claim = [row for row in rows if row.claim.name == name]
        claim = of_claim[0].claim
        told = [[row.condition or "all", _cell(row, known), verdict_text(row)] for row in of_claim]
        parts.append(
            f"**{claim.text}.** *{claim.place}.* Rule: {claim.rule}.\n\n"
            f"{markdown.table(['condition', 'ours', 'verdict'], told)}\n"
        )
    return "\n".join(parts)


def claim_table(
    claim: Claim, answers: Mapping[str, xr.Dataset], page: str = "", pages: Sequence[str] = ()
) -> str:
    """One claim under several populations as Markdown, as the ledger has it.

    Parameters
    ----------
    claim : Claim
    answers : mapping of str to xarray.Dataset
        Population -> what the claim's rule judges.
    page, pages
        The page of the claim's figure and those that can be linked to; none: without a link.
    """
    rows = [_judged(claim, population, page, answer) for population, answer in answers.items()]
    return table(rows, pages)


def summary(rows: Sequence[Row]) -> str:
    """How many claims hold, in a sentence."""
    text = (
        f"The claims make {len(rows)} entries, one for each claim and condition: "
        f"{_counts(rows, 'verdict')}."
    )
    short = [row.found for row in rows if row.verdict == NOT_TESTED]
    if short:
        text += f" Of these last, shown by shorter runs alone, {_counts(short, 'outcome')}."
    return text


def _counts(entries: Sequence[Row] | Sequence[Found], what: str) -> str:
    found = Counter(getattr(entry, what) for entry in entries)
    return ", ".join(
        f"{found[v]} {texts[found[v] > 1]}" for v, texts in VERDICTS.items() if found[v]
    )
