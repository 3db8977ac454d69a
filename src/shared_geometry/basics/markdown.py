"""Tables as Markdown has them, and their cells."""

import re
from collections.abc import Iterable, Sequence

from shared_geometry.basics.wording import interval_text


def table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """A table of cells that are text already; a bar in one is text, too.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : iterable of sequence of str
        As many cells each.
    align : str
        ``l`` or ``r`` for each column, left or right; left where it says nothing.
    """
    rule = "|".join("--:" if side == "r" else ":--" for side in align.ljust(len(head), "l"))
    told = ([re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells] for cells in (head, *rows))
    first, *others = (f"| {' | '.join(cells)} |" for cells in told)
    return "\n".join([first, f"|{rule}|", *others])


def plain(text: str) -> str:
    """A list or a sentence in Markdown as one line without marks: for text alternatives."""
    lines = [re.sub(r"^- ", "", line) for line in text.splitlines() if line.strip()]
    return re.sub(r"(\*{1,2}|`)(\S(?:.*?\S)?)\1", r"\2", " ".join(lines))


def interval_cell(values: Iterable[float], digits: int = 2) -> str:
    """Estimate and bounds in a cell that breaks before the interval, not within."""
    return interval_text(values, digits).replace(", ", ",\N{NO-BREAK SPACE}")
