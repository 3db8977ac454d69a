import io
from itertools import pairwise

import pytest
from rich.console import Console

from shared_geometry.bars import Bars, Pace

EPOCH = 50.0  # seconds in which two networks side by side end an epoch


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def pairs(clock, report, epochs, first=0):
    """Report the epochs of two networks that end them within the same second."""
    for epoch in range(epochs):
        clock.now += EPOCH - 1
        report(first + 2 * epoch + 1)
        clock.now += 1
        report(first + 2 * epoch + 2)


def test_time_left_is_that_of_the_whole_stage_when_networks_end_their_epochs_together():
    clock = Clock()
    pace = Pace(clock)
    pace.update(0)
    assert pace.left(500) is None
    pairs(clock, pace.update, 10)
    assert pace.left(500) == pytest.approx(EPOCH / 2 * (500 - 20))


def test_what_was_found_on_disk_does_not_shorten_the_time_left():
    clock = Clock()
    pace = Pace(clock)
    for done in (0, 100, 200, 240):
        clock.now += 0.5
        pace.update(done)
    assert pace.left(500) is None
    pairs(clock, pace.update, 4, first=240)
    assert pace.left(500) == pytest.approx(EPOCH / 2 * (500 - 248))


def test_time_left_goes_down_between_steps_and_ends_at_nothing():
    clock = Clock()
    pace = Pace(clock)
    pairs(clock, pace.update, 2)
    before = pace.left(100)
    clock.now += 7
    assert pace.left(100) == pytest.approx(before - 7)
    clock.now += 1e6
    assert pace.left(100) == 0
    pace.update(100)
    assert pace.left(100) == 0


def test_a_log_gets_a_line_a_minute_and_one_at_each_end_of_a_stage():
    clock, log = Clock(), io.StringIO()
    with Bars(Console(file=log, width=40), clock) as bars:
        bars("training", 0, 500, "10 networks")
        pairs(clock, lambda done: bars("training", done, 500, f"[network {done % 2}]"), 10)
        clock.now += 1
        bars("training", 500, 500, "[network 0]")
        bars("analysis", 0, 2, "epoch 1")
    lines = log.getvalue().splitlines()
    assert lines[0] == "training: 0 of 500, 0:00:00 passed, -:--:-- left; 10 networks"
    assert lines[-1] == "analysis: 0 of 2, 0:00:00 passed, -:--:-- left; epoch 1"
    assert lines[-2] == "training: 500 of 500, 0:08:21 passed, 0:00:00 left; [network 0]"
    assert lines[1].startswith("training: 3 of 500, 0:01:39 passed, 4:33:")
    times = [line.split(", ")[1].removesuffix(" passed") for line in lines[:-2]]
    seconds = [3600 * int(h) + 60 * int(m) + int(s) for h, m, s in (t.split(":") for t in times)]
    assert all(60 <= b - a < 60 + EPOCH for a, b in pairwise(seconds))
    assert seconds[-1] > 10 * EPOCH - 60


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_shows_times_beside_the_bar_however_narrow_it_is(width):
    clock, screen = Clock(), io.StringIO()
    terminal = Console(file=screen, width=width, force_terminal=True, color_system=None)
    with Bars(terminal, clock) as bars:
        bars("training", 0, 500, "10 networks")
        pairs(clock, lambda done: bars("training", done, 500, f"epoch {done}"), 10)
    assert "0:08:20 left 3:20:00 epoch 20" in screen.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_stage_that_begins_anew_tells_its_own_time(terminal):
    clock, shown = Clock(), io.StringIO()
    console = Console(file=shown, width=120, force_terminal=terminal, color_system=None)
    with Bars(console, clock) as bars:
        for _ in range(2):
            bars("training", 0, 4, "2 networks")
            pairs(clock, lambda done: bars("training", done, 4, f"epoch {done}"), 1)
            bars("training", 4, 4, "epoch 4")
        bars("training", 0, 500, "2 networks")
        pairs(clock, lambda done: bars("training", done, 500, f"epoch {done}"), 10)
    wanted = "0:08:20 left 3:20:00 epoch 20" if terminal else "0:08:19 passed, 3:30:33 left"
    assert wanted in shown.getvalue()
