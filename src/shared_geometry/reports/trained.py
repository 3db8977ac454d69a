"""What is trained, and how: the networks and the recipes of a run beside the paper's, as tables."""

import json
from itertools import groupby

import xarray as xr
from torch import nn

from shared_geometry.basics.markdown import table
from shared_geometry.basics.wording import NAMES, layer_name, power_of_ten
from shared_geometry.config import Config
from shared_geometry.datasets.shapes import IMAGE_SHAPES
from shared_geometry.experiment.results import config_of
from shared_geometry.networks.activations import layer_sizes
from shared_geometry.networks.architectures import (
    ARCHITECTURES,
    Block,
    build_network,
    recorded_layers,
)
from shared_geometry.networks.layers import Conv, Dropout, Norm, PooledReLU
from shared_geometry.training.recipes import Recipe, recipe

_OPTIMISERS = {"rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
_PLACES = {
    "dense": "before its ReLU",
    "logits": "not analysed",
    "stem_norm": "the stem's",
    "norm": "the last",
}


def _build(architecture: str, config: Config, n_classes: int = 10) -> nn.Module:
    channels, size, _ = IMAGE_SHAPES[config.dataset]
    return build_network(
        architecture,
        in_channels=channels,
        image_size=size,
        n_classes=n_classes,
        stem=config.stem,
    )


def _convolution(conv: nn.Conv2d) -> str:
    side = conv.full if isinstance(conv, Conv) else conv.kernel_size[0]
    stride = "" if conv.stride[0] == 1 else f", stride {conv.stride[0]}"
    return f"convolution {side} × {side}, {conv.out_channels} channels{stride}"


def _step(module: nn.Module) -> str:
    """A part of a network in words; nothing for what does nothing."""
    match module:
        case nn.Conv2d():
            return _convolution(module)
        case Norm():
            return "BatchNorm"
        case PooledReLU():
            return "max-pool 2 × 2"
        case nn.MaxPool2d():
            return f"max-pool {module.kernel_size} × {module.kernel_size}, stride {module.stride}"
        case Dropout():
            return f"dropout {module.p:g}"
        case nn.Linear():
            return f"dense, {module.out_features} units"
    return ""


def _blocks(blocks: nn.ModuleList) -> list[str]:
    stages = groupby(blocks, key=lambda block: block.conv2.out_channels)
    return [
        f"{len(list(stage))} blocks of {_inside(blocks[0])}, {channels} channels"
        for channels, stage in stages
    ]


def _inside(block: Block) -> str:
    convs = [block.conv1, block.conv2]
    return f"{len(convs)} convolutions {convs[0].full} × {convs[0].full}"


def _steps(network: nn.Module) -> str:
    steps: list[str] = []
    for module in network.children():
        steps += _blocks(module) if isinstance(module, nn.ModuleList) else [_step(module)]
    return "; ".join(filter(None, steps))


def layer_units(config: Config) -> dict[str, int]:
    """How many units each layer has that a run analyses, recorded or not."""
    network = _build(config.architecture, config)
    sizes = layer_sizes(network, IMAGE_SHAPES[config.dataset])
    return {label: n for label, n in sizes.items() if label != "logits"}


def _recorded(network: nn.Module, config: Config) -> str:
    sizes = layer_sizes(network, IMAGE_SHAPES[config.dataset])
    points = []
    for label, path in recorded_layers(network).items():
        block = f"opens block {int(path.split('.')[1]) + 1}" if "." in path else ""
        notes = [_PLACES.get(path, block), f"{sizes[label]:,} units"]
        points.append(f"{layer_name(label)} ({', '.join(filter(None, notes))})")
    return "; ".join(points)


def networks_table(results: xr.Dataset) -> str:
    """The paper's two networks for the images of a run: their layers, and where they are recorded.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    """
    config = config_of(results)
    networks = {name: _build(name, config, results.sizes["class"]) for name in ARCHITECTURES}
    return table(
        ["network", "layers, in order", "recorded, in order"],
        [
            [f"**{NAMES[name]}**", _steps(network), _recorded(network, config)]
            for name, network in networks.items()
        ],
    )


def convolutions_sentence(results: xr.Dataset) -> str:
    """How many convolutions ConvNet has, of which the paper's text tells less than its code."""
    network = _build("convnet", config_of(results), results.sizes["class"])
    kinds = [type(module) for module in network.children()]
    n, pools = kinds.count(nn.Conv2d), kinds.count(PooledReLU)
    return (
        "The paper's text says that its ConvNets have two convolutional layers. This edition "
        f"follows the authors' code, where there are {n}, {n // pools} before each of the {pools} "
        "pools."
    )


def _schedule(how: Recipe) -> str:
    if how.schedule == "onecycle":
        return f"rises over the first {100 * how.warm_up:.0f} % of the steps, then falls to 0"
    slower = f"; divided by 1 + {power_of_ten(how.decay)} × steps" if how.decay else ""
    return (
        f"times {how.factor:.2f} when the loss on the test images has not fallen for "
        f"{how.patience} epochs, down to {power_of_ten(how.least_rate)}{slower}"
    )


def _augmentation(how: Recipe) -> str:
    by = ", by whole pixels" if how.whole_pixels else ""
    parts = [f"shifts by up to {100 * how.shift:g} % of the side{by}"] * bool(how.shift)
    parts += ["half are mirrored (not digits)"] * how.flip
    return "; ".join(parts) or "none"


def _penalty(how: Recipe) -> str:
    parts = [f"{power_of_ten(how.l2)} × ‖w‖² of the convolutions"] * bool(how.l2)
    parts += [f"all weights decay, by {how.weight_decay:g} × rate a step"] * bool(how.weight_decay)
    return "; ".join(parts) or "none"


def _column(how: Recipe) -> list[str]:
    return [
        _OPTIMISERS[how.optimiser],
        f"{how.learning_rate:g}",
        _schedule(how),
        str(how.batch_size),
        str(how.epochs),
        _augmentation(how),
        _penalty(how),
    ]


_ROWS = (
    "optimiser",
    "learning rate",
    "its schedule",
    "images a batch",
    "epochs",
    "changes to the images",
    "penalty",
)


def _recipe_of(results: xr.Dataset) -> Recipe:
    return Recipe(**json.loads(results.attrs["recipe"]))


def recipes_table(results: xr.Dataset) -> str:
    """How the networks of a run are trained, beside the paper's recipe for both networks.

    Parameters
    ----------
    results : xarray.Dataset
        From `experiment.run`.
    """
    columns = {f"this run: {NAMES[config_of(results).architecture]}": _recipe_of(results)}
    columns |= {f"the paper: {NAMES[name]}": recipe("paper", name) for name in ARCHITECTURES}
    cells = zip(_ROWS, *map(_column, columns.values()), strict=True)
    return table(["", *columns], [[f"**{row}**", *values] for row, *values in cells])


def steered(results: xr.Dataset) -> bool:
    """Whether the loss on the test images set the learning rate of a run."""
    return _recipe_of(results).schedule == "plateau"


def steering_sentence(results: xr.Dataset) -> str:
    """What the test images had to do with training, in the paper's recipe and in this run."""
    here = (
        "This run follows it."
        if steered(results)
        else "This run's recipe never looks at them while it trains. (Its settings for ResNet18 "
        "were chosen by the accuracy of other networks on the test images of CIFAR-10.)"
    )
    return (
        "The paper's recipe lowers its learning rate by the loss on the *test* images (Keras' "
        "`ReduceLROnPlateau`). No network takes a gradient on these images, which are the ones "
        f"that we call unseen, but their loss does steer the rate. {here}"
    )
