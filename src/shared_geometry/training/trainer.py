"""One network on its way through training: what a step does, and where to go on after a break.

Whatever is random in a step is drawn from the seed, the network's index and the step's number, so
that a run which goes on from a step needs no generator's state.
"""

import time
from dataclasses import asdict, fields
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared_geometry.basics.files import read_tensors, reuse, write_tensors
from shared_geometry.basics.randomness import derive_seed, torch_generator
from shared_geometry.errors import InputError
from shared_geometry.networks.layers import attach_generator
from shared_geometry.training.checkpoints import (
    History,
    checkpoint_path,
    history_path,
    load_history,
    save_checkpoint,
    save_history,
    state_path,
)
from shared_geometry.training.job import Job
from shared_geometry.training.mixed import Cast, Twin
from shared_geometry.training.optimisers import kernels, make_optimiser
from shared_geometry.training.recipes import Plateau

_TEST_BATCH = 500
_STATE = 2  # to be raised when states on disk would be read wrongly


class Run:
    """One network on its way through training."""

    def __init__(self, job: Job, network: int) -> None:
        self.job, self.network = job, network
        self.module = job.build(network).to(job.device, memory_format=torch.channels_last)
        for part in self.module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = job.how.norm_momentum
        self.generator = torch.Generator(job.device)
        on_gpu, short = job.on_gpu, job.dtype is not torch.float32
        self.answers = (
            Twin(self.module, job.dtype)
            if on_gpu and short
            else Cast(self.module, job.device, job.dtype)
        )
        attach_generator(self.answers.module, self.generator)
        self.optimiser = make_optimiser(self.module, job.how, capturable=job.on_gpu)
        self.step = 0
        self.loss = torch.zeros((), dtype=torch.float64, device=job.device)  # sum over the epoch
        self.plateau = Plateau(job.how.learning_rate)
        self.history = History()
        self.share = 1.0  # of the time that passes: one part in so many networks side by side
        self.spent = 0.0  # seconds of this epoch, before the last start
        self.saved_at = self.started_at = time.monotonic()
        self.state_path = state_path(job.folder, network)
        state = reuse(self.state_path, self._read_state)
        if state is not None and _has_checkpoints(job, network, state[1]["step"]):
            self._restore(*state)
        self.answers.refresh()

    def _read_state(self, path: Path) -> tuple[dict[str, Tensor], dict]:
        expected = {"training": self.job.training, "network": self.network, "state": _STATE}
        return read_tensors(path, expected)

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.optimiser.param_groups for p in group["params"]]

    def save_state(self) -> None:
        """Write all that is needed to go on from this step."""
        tensors = {f"network.{k}": v for k, v in self.module.state_dict().items()}
        for i, parameter in enumerate(self._parameters()):
            for key, value in self.optimiser.state[parameter].items():
                tensors[f"optimiser.{i}.{key}"] = value
        about = {
            "training": self.job.training,
            "network": self.network,
            "state": _STATE,
            "step": self.step,
            "loss": float(self.loss),
            "plateau": [self.plateau.rate, self.plateau.best, self.plateau.wait],
            "history": asdict(self.history),
            "spent": self._seconds(),
        }
        write_tensors(self.state_path, tensors, about)
        self.saved_at = time.monotonic()

    def _restore(self, tensors: dict[str, Tensor], about: dict) -> None:
        weights = {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith("network.")}
        self.module.load_state_dict(weights)
        for i, parameter in enumerate(self._parameters()):
            prefix = f"optimiser.{i}."
            for name in (n for n in tensors if n.startswith(prefix)):
                value = tensors[name]
                held = self._slot(parameter, value).copy_(value)
                self.optimiser.state[parameter][name.removeprefix(prefix)] = held
        self.step = about["step"]
        self.loss.fill_(about["loss"])
        self.plateau = Plateau(*about["plateau"])
        self.history = History(**about["history"])
        self.spent = about["spent"]

    def _slot(self, parameter: Tensor, value: Tensor) -> Tensor:
        """Empty tensor for a value of the optimiser's state, where and as it wants it."""
        if value.shape == parameter.shape:
            return torch.empty_like(parameter)  # fused optimisers walk through both in step
        near = self.optimiser.defaults.get("fused") or self.optimiser.defaults["capturable"]
        return torch.empty_like(value, device=parameter.device if near else "cpu")

    def _seconds(self) -> float:
        return self.spent + self.share * (time.monotonic() - self.started_at)

    def save_checkpoints(self, steps: dict[float, int]) -> None:
        """Keep the network if one of ``steps``, by epoch, is where it stands."""
        for epoch in (epoch for epoch, step in steps.items() if step == self.step):
            state = self.module.state_dict()
            save_checkpoint(self.job.folder, self.network, epoch, state, self.job.training)

    def seed(self) -> None:
        """Make the generator ready for this step."""
        self.generator.manual_seed(derive_seed(self.job.seed, "step", self.network, self.step))

    def set_rate(self, rate: float | Tensor) -> None:
        """Learning rate of the steps to come."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def learn(self, images: Tensor, labels: Tensor) -> None:
        """What a step does to the network."""
        loss = functional.cross_entropy(self.answers(images), labels)
        loss.backward()
        self.answers.take_gradients()
        self.optimiser.step()
        self.answers.refresh()
        self.loss += loss.detach().double()

    @torch.inference_mode()
    def test(self) -> Tensor:
        """Over the test images, the sum of the cross-entropy, and how many are right: (2,)."""
        self.answers.module.eval()
        found = torch.zeros(2, dtype=torch.float64, device=self.job.device)
        for images, labels in self.job.supply.test_batches(_TEST_BATCH):
            logits = self.answers(images)
            loss = functional.cross_entropy(logits, labels, reduction="sum")
            found += torch.stack([loss.double(), (logits.argmax(1) == labels).sum().double()])
        self.answers.module.train()
        return found

    @torch.no_grad()
    def _penalty(self) -> float:
        """What Keras adds to the test loss that it watches for a plateau."""
        if not self.job.how.l2:
            return 0.0
        squares = [float(w.double().square().sum()) for w in kernels(self.module, (nn.Conv2d,))]
        return self.job.how.l2 * sum(squares)

    def close_epoch(self, loss: float, right: float, rate: float) -> None:
        """Take down an epoch: what `test` found after it, and the rate of its last step."""
        n = len(self.job.data.test)
        test_loss, train_loss = loss / n, float(self.loss) / self.job.steps
        if not (train_loss < float("inf") and test_loss < float("inf")):
            raise InputError(
                f"training of network {self.network} diverged in epoch "
                f"{len(self.history.seconds) + 1}: lower learning_rate={self.job.how.learning_rate}"
            )
        self.loss.zero_()
        self.plateau = self.plateau.after(test_loss + self._penalty(), self.job.how)
        values = (train_loss, test_loss, right / n, rate, self._seconds())
        for curve, value in zip(fields(History), values, strict=True):
            getattr(self.history, curve.name).append(value)
        self.spent, self.started_at = 0.0, time.monotonic()

    def order(self, epoch: int) -> Tensor:
        """Training images in the order in which an epoch shows them, (n_images,)."""
        n = len(self.job.data.train)
        generator = torch_generator(self.job.seed, "order", self.network, epoch)
        return torch.randperm(n, generator=generator).to(self.job.device)

    def finish(self) -> History:
        """Write the training curves; the network is done."""
        save_history(self.job.folder, self.network, self.history, self.job.training)
        return self.history


def _has_checkpoints(job: Job, network: int, step: int) -> bool:
    """Whether every checkpoint up to ``step`` is on disk and sound."""
    for epoch, at in job.how.checkpoint_steps(len(job.data.train)).items():
        path = checkpoint_path(job.folder, network, epoch)
        expected = {"training": job.training, "network": network, "epoch": epoch}
        sound = at > step or reuse(path, lambda p, e=expected: read_tensors(p, e)) is not None
        if not sound:
            return False
    return True


def finished(job: Job, network: int) -> History | None:
    """History of a network that is wholly on disk, every checkpoint sound; else None."""
    path = history_path(job.folder, network)
    history = reuse(path, lambda _: load_history(job.folder, network, job.training))
    complete = history is not None and _has_checkpoints(job, network, job.how.epochs * job.steps)
    return history if complete else None
