"""A data set on the device, cut into batches there: normalised, shifted and flipped in one pass."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from shared_geometry.datasets import Dataset, Images, mean_image
from shared_geometry.recipes import Recipe

# The paper: minus the mean image of the training set, over 128.
SCALE = 128.0


def normalise(images: Tensor, mean: Tensor) -> Tensor:
    """Images (n, c, h, w) in uint8 minus the mean image (c, h, w), over 128, in float32."""
    return images.float().sub_(mean).div_(SCALE)


def augment(images: Tensor, shift: float, flip: bool, generator: torch.Generator) -> Tensor:
    """Shift images (n, c, h, w) by up to ``shift`` of their side in x and y, mirror half of them.

    Sub-pixel, by bilinear interpolation, border pixels repeated.
    """
    n = len(images)
    draws = torch.rand(3, n, generator=generator, device=images.device)
    theta = torch.zeros(n, 2, 3, device=images.device)
    theta[:, 0, 0] = 1 - 2 * (draws[0] < 0.5).float() if flip else 1.0
    theta[:, 1, 1] = 1.0
    theta[:, :, 2] = (draws[1:].T * 2 - 1) * (2 * shift)  # the side of an image is 2 long
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _flip(images: Tensor, generator: torch.Generator) -> Tensor:
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


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
        self, indices: Tensor, how: Recipe, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Training images (n, c, h, w) at ``indices``, normalised and augmented, and labels."""
        pixels, labels = self.train
        images = normalise(pixels[indices].permute(0, 3, 1, 2), self.mean)
        flip = how.flip and self.mirrors
        if how.shift:
            images = augment(images, how.shift, flip, generator)
        elif flip:
            images = _flip(images, generator)
        return images.contiguous(memory_format=torch.channels_last), labels[indices]

    def test_batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All test images in order, normalised, with their labels."""
        pixels, labels = self.test
        for part, classes in zip(pixels.split(size), labels.split(size), strict=True):
            yield normalise(part.permute(0, 3, 1, 2), self.mean), classes
