"""Networks that go through training side by side, every step at the same time."""

import time
from collections.abc import Callable, Sequence

import torch

from shared_geometry.training.capture import CapturedSteps
from shared_geometry.training.checkpoints import History
from shared_geometry.training.job import Job
from shared_geometry.training.recipes import learning_rate
from shared_geometry.training.trainer import Run

# progress(network, epochs done, epochs in all, test accuracy)
Progress = Callable[[int, int, int, float], None]


class Stopped(KeyboardInterrupt):
    """Training was told to stop; where it was is on disk."""


class PlainSteps:
    """Steps of networks, one network after the other; see `CapturedSteps`."""

    def __init__(self, job: Job, runs: Sequence[Run]) -> None:
        self.job, self.runs = job, runs

    def begin(self, orders: torch.Tensor, rates: list[list[float]]) -> None:
        """An epoch: its images in order, (n_networks, n), and the rate of each step."""
        self.batches = orders.split(self.job.how.batch_size, 1)
        self.rates = rates

    def take(self, place: int) -> None:
        """The step at ``place`` of the epoch."""
        for i, run in enumerate(self.runs):
            run.seed()
            run.set_rate(self.rates[i][place])
            indices = self.batches[place][i : i + 1]
            images, labels = self.job.supply.batch(indices, self.job.how, [run.generator])
            run.learn(images[0], labels[0])

    def test(self) -> list[list[float]]:
        """What `Run.test` finds in each network."""
        return [run.test().tolist() for run in self.runs]


class Lockstep:
    """Networks of a population that take every step at the same time.

    Parameters
    ----------
    job : Job
    runs : sequence of Run
        Networks that stand at the same step.
    """

    def __init__(self, job: Job, runs: Sequence[Run]) -> None:
        self.job, self.runs = job, runs
        self.checkpoints = job.how.checkpoint_steps(len(job.data.train))
        self.steps = CapturedSteps(job, runs) if job.on_gpu else PlainSteps(job, runs)
        now = time.monotonic()  # networks at other steps may have had their turn before
        for run in runs:
            run.share = 1 / len(runs)
            run.saved_at = run.started_at = now

    @property
    def step(self) -> int:
        """Steps that every network has taken."""
        return self.runs[0].step

    def _rates(self, run: Run, epoch: int) -> list[float]:
        how, steps = self.job.how, self.job.steps
        numbers = range(epoch * steps, (epoch + 1) * steps)
        return [learning_rate(how, number, how.epochs * steps, run.plateau) for number in numbers]

    def epoch(self) -> None:
        """The rest of the epoch that ``step`` lies in."""
        number, first = divmod(self.step, self.job.steps)
        rates = [self._rates(run, number) for run in self.runs]
        self.steps.begin(torch.stack([run.order(number) for run in self.runs]), rates)
        for place in range(first, self.job.steps):
            self.steps.take(place)
            for run in self.runs:
                run.step += 1
                run.save_checkpoints(self.checkpoints)
            if place + 1 < self.job.steps:
                self._pause()
        for run, rate, found in zip(self.runs, rates, self.steps.test(), strict=True):
            run.close_epoch(*found, rate[-1])

    def _pause(self) -> None:
        """Save where the networks are when it is due, or when training is to stop here."""
        stop = self.job.stop.is_set()
        if stop or time.monotonic() - self.runs[0].saved_at > self.job.save_every:
            for run in self.runs:
                run.save_state()
        if stop:
            raise Stopped

    def train(self, progress: Progress) -> list[History]:
        """Go on from where the networks stand to the end."""
        if self.step == 0:
            for run in self.runs:
                run.save_checkpoints(self.checkpoints)
        while (done := len(self.runs[0].history.seconds)) < self.job.how.epochs:
            for run in self.runs if done else ():
                progress(run.network, done, self.job.how.epochs, run.history.test_accuracy[-1])
            self.epoch()
            self._pause()
        return [run.finish() for run in self.runs]
