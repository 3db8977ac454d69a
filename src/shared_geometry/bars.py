"""How far a run is, on the command line: bars in a terminal, lines in a log."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

_FOUND = 5.0  # seconds in which a stage finds what was done before
_LINE_EVERY = 60.0  # seconds between two lines of a log


class Pace:
    """How long a stage will still take, by how long it took so far.

    What is done in its first seconds was found on disk and says nothing of the rest.  Rich's own
    guess looks at the last half minute alone, in which networks side by side end no epoch, or one
    each within a second.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.begun = clock()
        self.since = self.last = (self.begun, 0)

    def update(self, done: int) -> None:
        """Take down that ``done`` steps are behind us."""
        self.last = (self.clock(), done)
        if self.last[0] - self.begun < _FOUND:
            self.since = self.last

    @property
    def passed(self) -> float:
        """Seconds since the stage began."""
        return self.clock() - self.begun

    def left(self, total: int) -> float | None:
        """Seconds until ``total`` steps are done; None while nothing tells."""
        (first, before), (last, done) = self.since, self.last
        if done == total:
            return 0.0
        if done == before:
            return None
        each = (last - first) / (done - before)
        return max(0.0, each * (total - done) - (self.clock() - last))


def _clock_time(seconds: float | None) -> str:
    return "-:--:--" if seconds is None else str(timedelta(seconds=round(seconds)))


class _TimeLeft(ProgressColumn):
    """Of a task, by the pace in its fields."""

    def render(self, task: Task) -> Text:
        return Text(_clock_time(task.fields["pace"].left(task.total)), style="progress.remaining")


class Bars:
    """Progress of a run's stages with the time left; a context, and what to call for a step.

    Parameters
    ----------
    console : Console
        A terminal gets a bar a stage.  Elsewhere a stage writes a line when it begins, one a
        minute, and one when it ends.
    clock : callable
        Seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        whole = partial(Column, no_wrap=True, min_width=4)  # in a narrow terminal, the note wraps
        columns = (
            TextColumn("{task.description:>9}", table_column=whole()),
            BarColumn(bar_width=10, table_column=whole()),
            TextColumn("{task.percentage:3.0f}%", table_column=whole()),
            TimeElapsedColumn(table_column=whole()),
            TextColumn("left", table_column=whole()),
            _TimeLeft(table_column=whole()),
            TextColumn("{task.fields[note]}", table_column=Column(ratio=1)),
        )
        display = Progress(*columns, console=console, get_time=clock)
        self.display = display if console.is_terminal else None
        self.paces: dict[str, Pace] = {}
        self.tasks = {}
        self.written: dict[str, float] = {}  # when a stage last wrote a line

    def __enter__(self) -> Self:
        if self.display is not None:
            self.display.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.display is not None:
            self.display.stop()

    def __call__(self, stage: str, done: int, total: int, note: str) -> None:
        """Show that ``done`` of ``total`` steps of ``stage`` are behind us."""
        if stage not in self.paces or done < self.paces[stage].last[1]:
            self._begin(stage, total)  # perhaps anew: a study trains several populations
        pace = self.paces[stage]
        pace.update(done)
        if self.display is None:
            self._write(stage, pace, done, total, note)
            return
        self.display.update(self.tasks[stage], completed=done, total=total, note=note)

    def _begin(self, stage: str, total: int) -> None:
        pace = self.paces[stage] = Pace(self.clock)
        self.written.pop(stage, None)
        if self.display is not None:
            if stage in self.tasks:
                self.display.remove_task(self.tasks[stage])
            self.tasks[stage] = self.display.add_task(stage, total=total, note="", pace=pace)

    def _write(self, stage: str, pace: Pace, done: int, total: int, note: str) -> None:
        now = self.clock()
        if done < total and now - self.written.get(stage, -_LINE_EVERY) < _LINE_EVERY:
            return
        self.written[stage] = now
        times = f"{_clock_time(pace.passed)} passed, {_clock_time(pace.left(total))} left"
        line = f"{stage}: {done} of {total}, {times}; {note}"
        self.console.print(line, soft_wrap=True, markup=False)
