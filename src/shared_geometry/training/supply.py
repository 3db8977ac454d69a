"""A data set on the device, cut into batches there: normalised, shifted and flipped in one pass."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from shared_geometry.datasets import Dataset, Images, mean_image, normalise
from shared_geometry.training.recipes import Recipe


def draw(how: Recipe, mirrors: bool, n: int, generator: torch.Generator) -> Tensor:
    """What `augment` needs for ``n`` images, between 0 and 1: (3, n), (1, n) or (0, n).

    Whether an image is mirrored, and, where the recipe shifts, how far in x and in y.
    """
    rows = 3 if how.shift else int(how.flip and mirrors)
    return torch.rand(rows, n, generator=generator, device=generator.device)


def augment(
    images: Tensor, shift: float, flip: bool, draws: Tensor, whole_pixels: bool = False
) -> Tensor:
    """Shift images (n, c, h, w) by up to ``shift`` of their side in x and y, mirror half of them.

    By whole pixels, or sub-pixel, by bilinear interpolation; border pixels repeated.
    """
    if not shift:
        return _flip(images, draws[0]) if flip else images
    sides = (images.shape[3], images.shape[2])
    x, y = (_centres(side, images.device) for side in sides)
    move_x, move_y = (
        _moves(drawn, shift, side, whole_pixels)
        for drawn, side in zip(draws[1:], sides, strict=True)
    )
    sign = 1 - 2 * (draws[0] < 0.5).float() if flip else torch.ones_like(draws[0])
    at_x = sign[:, None] * x + move_x[:, None]  # (n, w)
    at_y = y + move_y[:, None]  # (n, h)
    shape = (len(images), len(y), len(x))
    grid = torch.stack([at_x[:, None].expand(shape), at_y[:, :, None].expand(shape)], -1)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _moves(drawn: Tensor, shift: float, side: int, whole_pixels: bool) -> Tensor:
    """How far images move along a side that is 2 long, from numbers between 0 and 1."""
    if not whole_pixels:
        return (drawn * 2 - 1) * (2 * shift)
    most = round(shift * side)
    return ((drawn * (2 * most + 1)).floor() - most) * (2 / side)


def _centres(side: int, device: torch.device) -> Tensor:
    """Where the pixels of an image's side lie that reaches from -1 to 1."""
    return torch.linspace(-1, 1, side, device=device) * (side - 1) / side


def _flip(images: Tensor, drawn: Tensor) -> Tensor:
    return torch.where((drawn < 0.5)[:, None, None, None], images.flip(3), images)


class Supply:
    """Images and labels of a data set on one device, in batches.

    Parameters
    ----------
    data : Dataset
    device : torch.device
    """

    def __init__(self, data: Dataset, device: torch.device) -> None:
        self.mirrors = data.mirrors
        self.mean = mean_image(data.train.images).to(device).contiguous()
        self.train = self._held(data.train, device)
        self.test = self._held(data.test, device)

    @staticmethod
    def _held(part: Images, device: torch.device) -> tuple[Tensor, Tensor]:
        pixels = part.images.to(device).permute(0, 2, 3, 1).contiguous()  # a pixel's channels lie
        return pixels, part.labels.to(device)  # together, as channels_last wants them

    def batch(
        self, indices: Tensor, how: Recipe, generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        """Batches of several networks, each augmented by a generator of its own.

        Parameters
        ----------
        indices : Tensor of shape (n_networks, n)
            Of training images.
        how : Recipe
        generators : sequence of torch.Generator

        Returns
        -------
        images : Tensor of shape (n_networks, n, c, h, w)
            Normalised and augmented.
        labels : Tensor of shape (n_networks, n)
        """
        pixels, labels = self.train
        n_networks, n = indices.shape
        images = normalise(pixels[indices.flatten()].permute(0, 3, 1, 2), self.mean)
        draws = torch.cat([draw(how, self.mirrors, n, g) for g in generators], 1)
        flip = how.flip and self.mirrors
        images = augment(images, how.shift, flip, draws, bool(how.whole_pixels))
        images = images.contiguous(memory_format=torch.channels_last)
        return images.unflatten(0, (n_networks, n)), labels[indices]

    def test_batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All test images in order, normalised, with their labels."""
        pixels, labels = self.test
        for part, classes in zip(pixels.split(size), labels.split(size), strict=True):
            yield normalise(part.permute(0, 3, 1, 2), self.mean), classes
