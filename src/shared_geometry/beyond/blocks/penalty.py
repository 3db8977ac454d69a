r"""How fast a penalty shrinks weights that Adam trains, by the size of their gradients.

The gradient of :math:`\lambda \lVert w \rVert^2` goes through Adam's quotient like any other.  With
a total gradient of root mean square :math:`g`, the mean over many weights falls as
:math:`\dot w = - \eta \, 2 \lambda w / g` per step, and halves in :math:`g \ln 2 / (2 \eta
\lambda)` steps.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from shared_geometry.datasets import Images, normalise
from shared_geometry.networks.architectures import ResNet18
from shared_geometry.training import Recipe

_BATCHES = 8
N_WEIGHTS = 10_000  # of a simulation


def gradient_sizes(
    network: ResNet18, images: Images, mean_image: Tensor, recipe: Recipe, order: Tensor
) -> Tensor:
    """Root mean square, over weights and batches, of the gradient of each branch's kernels.

    Parameters
    ----------
    network : ResNet18
        Its running statistics change, as in training.
    images : Images
        That it is trained on; neither shifted nor mirrored here.
    mean_image : Tensor of shape (c, h, w)
    recipe : Recipe
        Its batch size, and its penalty, whose gradient is part of the whole.
    order : Tensor of shape (n,)
        Indices of images, the first of which make the batches.

    Returns
    -------
    Tensor of shape (n_blocks,)
    """
    device = next(network.parameters()).device
    squares = torch.zeros(len(network.blocks), dtype=torch.float64)
    batches = order.split(recipe.batch_size)[:_BATCHES]
    network.train()
    for batch in batches:
        network.zero_grad()
        x = normalise(images.images[batch].to(device), mean_image.to(device))
        functional.cross_entropy(network(x), images.labels[batch].to(device)).backward()
        for i, block in enumerate(network.blocks):
            kernels = [conv.weight for conv in (block.conv1, block.conv2)]
            whole = [w.grad + 2 * recipe.l2 * w.detach() for w in kernels]
            size = sum(w.numel() for w in kernels)
            squares[i] += sum(float(g.double().square().sum()) for g in whole) / size
    network.zero_grad()
    network.eval()
    return (squares / len(batches)).sqrt()


def half_life(size: float, recipe: Recipe) -> float:
    """Steps in which the penalty of a recipe halves weights whose gradients have this size.

    Parameters
    ----------
    size : float
        Root mean square of the gradient, the penalty's part included.
    recipe : Recipe
        Its first learning rate, and its penalty, which must not be 0.

    Returns
    -------
    float
        Steps of training, Adam's epsilon left out.
    """
    return math.log(2) * size / (2 * recipe.learning_rate * recipe.l2)


def simulated_half_life(size: float, recipe: Recipe, generator: torch.Generator) -> int:
    """Steps in which the mean of `N_WEIGHTS` weights halves, with noise for gradients, by Adam.

    Parameters
    ----------
    size : float
        Standard deviation of the noise.
    recipe : Recipe
        Its rate, its penalty, which must not be 0, and its epsilon.
    generator : torch.Generator

    Returns
    -------
    int
        Steps of torch's own Adam; all weights begin at 0.05.
    """
    start = 0.05
    weights = torch.full((N_WEIGHTS,), start, requires_grad=True)
    optimiser = torch.optim.Adam(
        [weights], lr=recipe.learning_rate, eps=recipe.epsilon, weight_decay=2 * recipe.l2
    )
    steps = 0
    while weights.detach().mean() > start / 2:
        weights.grad = size * torch.randn(N_WEIGHTS, generator=generator)
        optimiser.step()
        steps += 1
    return steps
