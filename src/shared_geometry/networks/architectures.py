"""The networks of the paper: its ConvNet, its pre-activation ResNet18, and the toy network.

Every network is built from a seed alone, through a generator of its own: building one leaves
torch's global generator as it was.  Initial weights follow Keras, in which the paper's networks
were written: Glorot-uniform for ConvNet (the default of its layers), He-normal, truncated at two
standard deviations, for ResNet18.  All biases start at zero.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared_geometry.basics.randomness import torch_generator
from shared_geometry.errors import InputError
from shared_geometry.networks.layers import Conv, Dropout, Norm, PooledReLU, norm_relu

ARCHITECTURES = ("convnet", "resnet18")
STEMS = ("imagenet", "cifar")
WIDTHS = {"convnet": 1.0, "convnet-narrow": 0.5, "convnet-wide": 2.0}  # parts of the paper's

# Fills a tensor with initial weights, drawn from a generator.
Draw = Callable[..., object]

# Standard deviation of a unit normal cut off at two: Keras divides by it in he_normal.
_TRUNCATED_SD = 0.87962566103423978


class ConvNet(nn.Module):
    """Four convolutions, two max-pools, a dense layer of 512 units and the logits.

    Parameters
    ----------
    in_channels, image_size, n_classes : int
        Images are (n, in_channels, image_size, image_size).
    width : float
        Every hidden layer has so many times the paper's channels or units.
    """

    def __init__(
        self, in_channels: int, image_size: int, n_classes: int, width: float = 1.0
    ) -> None:
        super().__init__()
        side = ((image_size - 2) // 2 - 2) // 2
        first, second, dense = (round(width * n) for n in (32, 64, 512))
        self.conv1 = nn.Conv2d(in_channels, first, 3, padding=1)
        self.conv2 = nn.Conv2d(first, first, 3)
        self.pool1 = PooledReLU()
        self.dropout1 = Dropout(0.25)
        self.conv3 = nn.Conv2d(first, second, 3, padding=1)
        self.conv4 = nn.Conv2d(second, second, 3)
        self.pool2 = PooledReLU()
        self.dropout2 = Dropout(0.25)
        self.dense = nn.Linear(second * side * side, dense)
        self.dropout3 = Dropout(0.5)
        self.logits = nn.Linear(dense, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images.

        Parameters
        ----------
        images : Tensor of shape (n, in_channels, image_size, image_size)

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        x = functional.relu(self.conv1(images), inplace=True)
        x = self.dropout1(self.pool1(self.conv2(x)))
        x = functional.relu(self.conv3(x), inplace=True)
        x = self.dropout2(self.pool2(self.conv4(x))).flatten(1)
        x = self.dropout3(functional.relu(self.dense(x)))
        return self.logits(x)


class Block(nn.Module):
    """Pre-activation basic block: (norm, ReLU, conv) twice, added to its input.

    The first block of the network opens with its convolution: the stem ends in norm and ReLU.

    Parameters
    ----------
    before, after : int
        Channels that come in and that go out.
    stride : int
        Of the first convolution, and of the shortcut.
    side : int
        Pixels of a side of the maps that come in.
    first : bool
        Whether it is the network's first.
    """

    def __init__(
        self, before: int, after: int, stride: int, side: int, *, first: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = None if first else Norm(before)
        self.conv1 = Conv(before, after, 3, stride, side)
        self.norm2 = Norm(after)
        self.conv2 = Conv(after, after, 3, 1, self.conv1.after_side)
        changes = before != after or stride != 1
        self.shortcut = Conv(before, after, 1, stride, side) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Maps that go out.

        Parameters
        ----------
        x : Tensor of shape (n, before, side, side)

        Returns
        -------
        Tensor of shape (n, after, side / stride, side / stride)
            An odd side is halved upwards.
        """
        opened = x if self.norm1 is None else norm_relu(self.norm1, x)
        y = norm_relu(self.norm2, self.conv1(opened))
        return self.shortcut(x) + self.conv2(y)


class ResNet18(nn.Module):
    """Pre-activation ResNet of eight basic blocks, 64 to 512 channels.

    Parameters
    ----------
    in_channels, image_size, n_classes : int
        Images are (n, in_channels, image_size, image_size).
    stem : {"imagenet", "cifar"}
        ``"imagenet"``, the paper's: 7x7 convolution with stride 2, then 3x3 max-pool with stride
        2; ``"cifar"``: one 3x3 convolution with stride 1.

    Notes
    -----
    Padding is symmetric; where TensorFlow pads strided layers on one side only, this shifts the
    sampling grid by one pixel.
    """

    def __init__(self, in_channels: int, image_size: int, n_classes: int, stem: str) -> None:
        super().__init__()
        self.image_size = image_size
        wide = stem == "imagenet"
        kernel, stride = (7, 2) if wide else (3, 1)
        self.stem_conv = Conv(in_channels, 64, kernel, stride, image_size)
        self.stem_norm = Norm(64)
        self.stem_pool = nn.MaxPool2d(3, 2, padding=1) if wide else nn.Identity()
        self.blocks = nn.ModuleList()
        before, side = 64, self.stem_conv.after_side
        if wide:
            side = (side - 1) // 2 + 1
        for stage, after in enumerate((64, 128, 256, 512)):
            stride = 1 if stage == 0 else 2
            self.blocks.append(Block(before, after, stride, side, first=stage == 0))
            side = self.blocks[-1].conv1.after_side
            self.blocks.append(Block(after, after, 1, side))
            before = after
        self.norm = Norm(512)
        self.logits = nn.Linear(512, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images.

        Parameters
        ----------
        images : Tensor of shape (n, in_channels, image_size, image_size)

        Returns
        -------
        Tensor of shape (n, n_classes)

        Raises
        ------
        InputError
            If the images are of another size than the network was built for.
        """
        if images.shape[-2:] != (self.image_size, self.image_size):
            raise InputError(
                f"images of {images.shape[-2]} x {images.shape[-1]} pixels came to a network that "
                f"was built for {self.image_size} x {self.image_size}"
            )
        x = norm_relu(self.stem_norm, self.stem_conv(images))
        x = self.stem_pool(x)
        for block in self.blocks:
            x = block(x)
        x = norm_relu(self.norm, x)
        return self.logits(x.mean((2, 3)))


class ToyNet(nn.Module):
    """Two inputs, a hidden layer of sigmoid units, one output (Figure 2).

    Parameters
    ----------
    n_hidden : int
    generator : torch.Generator
        Draws the initial weights (Glorot-uniform).
    """

    def __init__(self, n_hidden: int = 50, *, generator: torch.Generator) -> None:
        super().__init__()
        self.first = nn.Linear(2, n_hidden, device="meta").to_empty(device="cpu")
        self.second = nn.Linear(n_hidden, 1, device="meta").to_empty(device="cpu")
        _initialise(self, nn.init.xavier_uniform_, generator)

    def hidden(self, points: Tensor) -> Tensor:
        """Activity of the hidden layer.

        Parameters
        ----------
        points : Tensor of shape (n, 2)

        Returns
        -------
        Tensor of shape (n, n_hidden)
            Between 0 and 1.
        """
        return torch.sigmoid(self.first(points))

    def forward(self, points: Tensor) -> Tensor:
        """Output for each point.

        Parameters
        ----------
        points : Tensor of shape (n, 2)

        Returns
        -------
        Tensor of shape (n, 1)
        """
        return self.second(self.hidden(points))


def _he_normal(weight: Tensor, generator: torch.Generator) -> None:
    sd = math.sqrt(2 / weight[0].numel()) / _TRUNCATED_SD
    nn.init.trunc_normal_(weight, std=sd, a=-2 * sd, b=2 * sd, generator=generator)


def _draw_kernel(conv: Conv, draw: Draw, generator: torch.Generator) -> None:
    whole = torch.empty(*conv.weight.shape[:2], conv.full, conv.full)
    draw(whole, generator=generator)
    with torch.no_grad():
        conv.weight.copy_(whole[:, :, conv.reach, conv.reach])


def _initialise(network: nn.Module, draw: Draw, generator: torch.Generator) -> None:
    for module in network.modules():
        if isinstance(module, Conv):
            _draw_kernel(module, draw, generator)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            draw(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


def _check(architecture: str, stem: str, image_size: int) -> None:
    known = list(dict.fromkeys((*ARCHITECTURES, *WIDTHS)))
    if architecture not in known:
        raise InputError(f"architecture={architecture!r} is not allowed: {' or '.join(known)}")
    if stem not in STEMS:
        raise InputError(f"stem={stem!r} is not allowed: {' or '.join(STEMS)}")
    least = 10 if architecture in WIDTHS else 8
    if image_size < least:
        raise InputError(
            f"images of {image_size} x {image_size} pixels are too small for {architecture}: "
            f"it needs at least {least} x {least}"
        )


def build_network(
    architecture: str,
    *,
    in_channels: int,
    image_size: int,
    n_classes: int,
    stem: str = "imagenet",
    seed: int = 0,
    network: int = 0,
) -> nn.Module:
    """One untrained network of a population.

    Parameters
    ----------
    architecture : {"convnet", "resnet18", "convnet-narrow", "convnet-wide"}
        The paper's two, and ConvNet with half or double its channels and units.
    in_channels, image_size, n_classes : int
        Images are (n, in_channels, image_size, image_size).
    stem : {"imagenet", "cifar"}
        First stage of ResNet18; ConvNet has none.
    seed : int
        The one seed of a run.
    network : int
        Which network of the population: each has initial weights of its own.

    Returns
    -------
    nn.Module
        On the CPU, in float32, in training mode.

    Raises
    ------
    InputError
        If a name is unknown, or the images are too small.
    """
    _check(architecture, stem, image_size)
    generator = torch_generator(seed, "initialise", architecture, network)
    with torch.device("meta"):
        if architecture in WIDTHS:
            module = ConvNet(in_channels, image_size, n_classes, WIDTHS[architecture])
        else:
            module = ResNet18(in_channels, image_size, n_classes, stem)
    module.to_empty(device="cpu")
    draw = nn.init.xavier_uniform_ if architecture in WIDTHS else _he_normal
    _initialise(module, draw, generator)
    return module


def recorded_layers(network: str | nn.Module) -> dict[str, str]:
    """Layers in which the paper records activity: their label, and their module's path.

    ConvNet: the two max-pools, the dense layer before its ReLU, the logits.  ResNet18: nine
    BatchNorm outputs before their ReLU: the stem's, those that open blocks 2 to 8, and the last.

    Parameters
    ----------
    network : nn.Module, or an architecture of `build_network`

    Returns
    -------
    dict of str to str
        In the order of depth.
    """
    if isinstance(network, nn.Module):
        network = type(network).__name__.lower()
    _check(network, STEMS[0], 32)
    if network in WIDTHS:
        return {name: name for name in ("pool1", "pool2", "dense", "logits")}
    opening = {str(2 * i + 1): f"blocks.{i}.norm1" for i in range(1, 8)}
    return {"1": "stem_norm", **opening, "17": "norm"}
