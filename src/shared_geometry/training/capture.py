"""Steps of many networks on a GPU, recorded once as a CUDA graph and replayed.

A step of one network is a long row of small kernels, which a GPU ends sooner than a processor can
launch them.  Recorded, all networks' kernels are launched by one call, each network on a branch of
its own, so that they run side by side; and a network computes what it would compute alone.
"""

from collections.abc import Callable, Sequence

import torch

from shared_geometry.training.job import Job
from shared_geometry.training.trainer import Run

WARM_UP = 3  # calls before a recording: libraries choose and set up their kernels in them


class Recorded:
    """A function of no arguments, on a GPU: called as it is at first, then recorded and replayed.

    Parameters
    ----------
    work : callable
        Reads and writes the same tensors in every call; what it returns is overwritten by the next.
    generators : sequence of torch.Generator
        From which it draws; seeded anew, a recording draws anew.
    """

    def __init__(
        self, work: Callable[[], object], generators: Sequence[torch.Generator] = ()
    ) -> None:
        self.work, self.generators = work, generators
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.found: object = None

    def __call__(self) -> object:
        """Do the work."""
        self.calls += 1
        if self.calls <= WARM_UP:
            return self.work()
        if self.graph is None:
            self._record()
        self.graph.replay()
        return self.found

    def _record(self) -> None:
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            self.found = self.work()
        self.graph = graph


class CapturedSteps:
    """Steps of networks on a GPU, all of them at once.

    Parameters
    ----------
    job : Job
    runs : sequence of Run
    """

    def __init__(self, job: Job, runs: Sequence[Run]) -> None:
        self.job, self.runs = job, runs
        self.streams = [torch.cuda.Stream() for _ in runs]
        n, device = len(runs), job.device
        self.orders = torch.zeros(n, len(job.data.train), dtype=torch.int64, device=device)
        self.rates = torch.zeros(n, job.steps, device=device)
        self.rate = torch.zeros(n, device=device)  # of this step
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        for i, run in enumerate(runs):
            run.set_rate(self.rate[i])
            run.optimiser._warned_capturable_if_run_uncaptured = True  # it is, after the warm-up
        self.recorded: dict[int, Recorded] = {}  # by the size of a batch
        self.tested = Recorded(lambda: self._side_by_side([run.test for run in runs]))

    def begin(self, orders: torch.Tensor, rates: list[list[float]]) -> None:
        """An epoch: its images in order, (n_networks, n), and the rate of each step."""
        self.orders.copy_(orders)
        self.rates.copy_(torch.tensor(rates))

    def take(self, place: int) -> None:
        """The step at ``place`` of the epoch."""
        size = min(self.job.how.batch_size, self.orders.shape[1] - place * self.job.how.batch_size)
        for run in self.runs:
            run.seed()
        self.place.fill_(place)
        if size not in self.recorded:
            generators = [run.generator for run in self.runs]
            self.recorded[size] = Recorded(lambda: self._step(size), generators)
        self.recorded[size]()

    def test(self) -> list[list[float]]:
        """What `Run.test` finds in each network."""
        return torch.stack(self.tested()).tolist()

    def _step(self, size: int) -> None:
        self.rate.copy_(self.rates.index_select(1, self.place)[:, 0])
        columns = self.place * self.job.how.batch_size
        columns = columns + torch.arange(size, device=self.job.device)
        images, labels = self.job.supply.batch(
            self.orders.index_select(1, columns), self.job.how, [run.generator for run in self.runs]
        )
        parts = zip(self.runs, images, labels, strict=True)
        self._side_by_side([lambda p=part: p[0].learn(*p[1:]) for part in parts])

    def _side_by_side(self, works: Sequence[Callable[[], object]]) -> list:
        """Each work on a stream of its own, and all of them done before what comes next."""
        main, found = torch.cuda.current_stream(), []
        for work, stream in zip(works, self.streams, strict=True):
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                found.append(work())
        for stream in self.streams:
            main.wait_stream(stream)
        return found
