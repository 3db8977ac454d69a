"""Images a second of our population against a plain PyTorch loop, in the same run.

    python benchmarks/training.py [--device cuda] [--architectures convnet resnet18]

The plain loop is what a tutorial writes: torchvision's data set and transforms, a DataLoader, a
network in float32, AdamW with the same schedule, one network after another, every core at work on
each operation.  It may have DataLoader workers or not, whichever is quicker.  Both sides train the
same recipe on the same images for one epoch and test once; ours also writes its checkpoints.  An
epoch is a quarter of CIFAR-10's: a shorter one would measure how training starts.  The two take
turns, and the ratio is the median over the turns.  Where the machine multiplies in bfloat16, ours
takes that by itself; then it is measured in float32, too.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Subset

from shared_geometry.basics.devices import named_precision, resolve_device
from shared_geometry.basics.files import write_text
from shared_geometry.basics.provenance import provenance
from shared_geometry.datasets import Dataset, Images, data_root, load_dataset
from shared_geometry.datasets._torchvision import import_torchvision
from shared_geometry.training import Recipe, recipe, train_population

RESULTS = Path(__file__).parent / "results" / "training.json"


class PlainConvNet(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout(0.25)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
            *(nn.Linear(2304, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)),
        )


class PlainBlock(nn.Module):
    def __init__(self, before: int, after: int, stride: int, first: bool) -> None:
        super().__init__()
        self.opening = (
            nn.Sequential() if first else nn.Sequential(nn.BatchNorm2d(before), nn.ReLU())
        )
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            *(nn.BatchNorm2d(after), nn.ReLU()),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
        )
        changes = before != after or stride != 1
        self.shortcut = (
            nn.Conv2d(before, after, 1, stride, bias=False) if changes else nn.Sequential()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.body(self.opening(x))


class PlainResNet18(nn.Sequential):
    def __init__(self) -> None:
        blocks, before = [], 64
        for stage, after in enumerate((64, 128, 256, 512)):
            blocks.append(PlainBlock(before, after, 2 if stage else 1, first=stage == 0))
            blocks.append(PlainBlock(after, after, 1, first=False))
            before = after
        super().__init__(
            *(nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            nn.MaxPool2d(3, 2, padding=1),
            *blocks,
            *(nn.BatchNorm2d(512), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            nn.Linear(512, 10),
        )


PLAIN = {"convnet": PlainConvNet, "resnet18": PlainResNet18}


def loaders(root: Path, shift: float, batch: int, n: int, workers: int) -> list[DataLoader]:
    """DataLoaders over the first ``n`` training and ``n / 5`` test images."""
    torchvision = import_torchvision()
    transforms = torchvision.transforms
    plain = [transforms.ToTensor(), transforms.Normalize((0.49, 0.48, 0.45), (0.5, 0.5, 0.5))]
    moving = [transforms.RandomHorizontalFlip()]
    if shift:
        moving.append(transforms.RandomAffine(0, translate=(shift, shift)))
    made = []
    for train, count in ((True, n), (False, n // 5)):
        steps = transforms.Compose(moving + plain if train else plain)
        data = torchvision.datasets.CIFAR10(root, train=train, transform=steps)
        part = Subset(data, range(count))
        made.append(
            DataLoader(
                part, batch if train else 500, shuffle=train, num_workers=workers, drop_last=train
            )
        )
    return made


def train_plainly(
    architecture: str,
    train: DataLoader,
    test: DataLoader,
    how: Recipe,
    device: torch.device,
    networks: int,
) -> float:
    """Train ``networks`` networks one after another; the last one's accuracy."""
    for _ in range(networks):
        network = PLAIN[architecture]().to(device)
        optimiser = torch.optim.AdamW(network.parameters(), weight_decay=how.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, how.learning_rate, total_steps=len(train)
        )
        for images, labels in train:
            loss = functional.cross_entropy(network(images.to(device)), labels.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            right = sum(
                int((network(images.to(device)).argmax(1) == labels.to(device)).sum())
                for images, labels in test
            )
    return right / len(test.dataset)


def train_ours(
    architecture: str,
    data: Dataset,
    how: Recipe,
    device: torch.device,
    networks: int,
    precision: str,
) -> float:
    """Train a population; its last network's accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        histories = train_population(
            data,
            architecture,
            how,
            n_networks=networks,
            seed=0,
            folder=folder,
            device=str(device),
            precision=precision,
        )
    return histories[-1].test_accuracy[-1]


def seconds(work: Callable[[], float]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(architecture: str, arguments: argparse.Namespace) -> dict:
    """Both sides in turn: images a second of each, and the ratio."""
    root, device = data_root(arguments.root), resolve_device(arguments.device)
    n, networks = arguments.images, arguments.networks
    whole = load_dataset("cifar10", root)
    data = replace(
        whole,
        train=Images(whole.train.images[:n], whole.train.labels[:n]),
        test=Images(whole.test.images[: n // 5], whole.test.labels[: n // 5]),
    )
    how = recipe("fast", architecture, epochs=1, checkpoints=(0, 1))
    auto = named_precision("auto", str(device))
    precisions = list(dict.fromkeys([auto, "float32"]))
    sides = {
        f"ours, {precision}": lambda precision=precision: train_ours(
            architecture, data, how, device, networks, precision
        )
        for precision in precisions
    }
    for workers in (0, min(2, os.cpu_count() or 1)):
        train, test = loaders(root, how.shift, how.batch_size, n, workers)
        sides[f"plain, {workers} workers"] = lambda train=train, test=test: train_plainly(
            architecture, train, test, how, device, networks
        )
    times: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(arguments.turns):
        for side, work in sides.items():
            times[side].append(seconds(work))
            rate = networks * n / times[side][-1]
            print(f"{architecture}, turn {turn + 1}, {side}: {rate:.0f} images/s", flush=True)
    plain = min((side for side in sides if side.startswith("plain")), key=lambda s: sum(times[s]))
    ratios = {
        precision: [b / a for a, b in zip(times[f"ours, {precision}"], times[plain], strict=True)]
        for precision in precisions
    }
    medians = {side: statistics.median(times[side]) for side in sides}
    return {
        "images_per_second": {side: round(networks * n / t) for side, t in medians.items()},
        "peer": plain,
        "precision": auto,
        "ratio": {p: round(statistics.median(found), 2) for p, found in ratios.items()},
        "ratios": {p: [round(ratio, 2) for ratio in found] for p, found in ratios.items()},
        "seconds": {"ours": round(medians[f"ours, {auto}"], 2), "plain": round(medians[plain], 2)},
    }


def main() -> None:
    """Run the benchmark, print the ratios, write them beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--architectures", nargs="+", default=["convnet", "resnet18"])
    parser.add_argument("--root", help="folder of the data sets")
    parser.add_argument("--images", type=int, default=12_800, help="training images of an epoch")
    parser.add_argument("--networks", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: the machine is not idle (load {load:.1f}): the ratios will be off")
    found = {name: compare(name, arguments) for name in arguments.architectures}
    for name, numbers in found.items():
        for precision, ratio in numbers["ratio"].items():
            print(f"{name}, {precision}: {ratio} times the plain loop ({numbers['peer']})")
    plain, ours = (sum(f["seconds"][side] for f in found.values()) for side in ("plain", "ours"))
    print(f"all together: {plain / ours:.2f} times the plain loop")
    settings = {k: v for k, v in vars(arguments).items() if k in ("device", "images", "networks")}
    content = {
        "results": found,
        "ratio of the total times": round(plain / ours, 2),
        "settings": settings,
        "load before": round(load, 2),
        **provenance(),
    }
    write_text(arguments.output, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
