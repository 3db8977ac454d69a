"""What turns gradients into steps: the optimiser of a recipe, and which weights decay."""

import torch
from torch import Tensor, nn

from shared_geometry.training.recipes import Recipe


def kernels(network: nn.Module, kinds: tuple[type, ...]) -> list[Tensor]:
    """Weights of the modules of some kinds, without their biases."""
    return [m.weight for m in network.modules() if isinstance(m, kinds)]


class RMSprop(torch.optim.Adam):
    """RMSprop that keeps 0.9 of its mean square, in one pass over the weights.

    torch has no fused kernel for it, but it is Adam without momentum whose correction for a young
    mean has worn off: such an Adam begins at a step so late that the correction is exactly 1.

    Parameters
    ----------
    params, eps, fused, capturable
        As in `torch.optim.Adam`.  ``eps`` is added to the root of the mean square, as in Keras.
    """

    _LATE = 10_000.0  # 0.9 to this power is 0 in double precision

    def __init__(self, params: list, *, eps: float, fused: bool, capturable: bool) -> None:
        betas = (0.0, 0.9)
        super().__init__(params, betas=betas, eps=eps, fused=fused, capturable=capturable)
        for parameter in (p for group in self.param_groups for p in group["params"]):
            step = torch.full((), self._LATE, dtype=torch.float32, device=parameter.device)
            self.state[parameter] = {
                "step": step,
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }


def _order(weight: Tensor) -> tuple[int, ...]:
    """Axes of a weight in the order in which it lies in memory."""
    last = weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)
    return (0, 2, 3, 1) if last else tuple(range(weight.ndim))


class _HandOver:
    """Gives an optimiser, before each step, the gradients of the weights that its views show.

    torch's fused kernels on a CPU walk through weight and gradient in memory, and copy a gradient
    whose axes are in another order than its memory without using the copy.  So both come with their
    axes in the order of the weight's memory.

    Parameters
    ----------
    views : dict of Tensor to Tensor
        Of each weight the view that the optimiser has in its place, its axes in `_order`.
    """

    def __init__(self, views: dict[Tensor, Tensor]) -> None:
        self.views = views

    def __call__(self, *_: object) -> None:
        for weight, view in self.views.items():
            gradient, weight.grad = weight.grad, None
            if gradient is not None:  # it lies as the weight does, unless somebody else made it
                gradient = gradient.permute(_order(weight)).contiguous()
            view.grad = gradient


def make_optimiser(
    network: nn.Module, how: Recipe, *, capturable: bool = False
) -> torch.optim.Optimizer:
    """The recipe's optimiser over all parameters; its learning rate is set at every step.

    A step takes the parameters' gradients away, so that none is left to be zeroed.

    Parameters
    ----------
    network : nn.Module
    how : Recipe
    capturable : bool
        Keep all of its state on the GPU, so that its steps can be recorded (see `capture`).
    """
    decayed = kernels(network, (nn.Conv2d,) if how.l2 else (nn.Conv2d, nn.Linear))
    ids = {id(weight) for weight in decayed}
    rest = [weight for weight in network.parameters() if id(weight) not in ids]
    # torch adds weight_decay * w to the gradient, and the gradient of l2 * ||w||^2 is 2 l2 w.
    decay = 2 * how.l2 or how.weight_decay
    views = {w: w.detach().permute(_order(w)) for w in decayed + rest}
    groups = [
        {"params": [views[weight] for weight in decayed], "weight_decay": decay},
        {"params": [views[weight] for weight in rest], "weight_decay": 0.0},
    ]
    if not decay:  # one group takes half the kernels
        groups = [{"params": list(views.values())}]
    kinds = {"rmsprop": RMSprop, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimiser = kinds[how.optimiser](groups, eps=how.epsilon, fused=True, capturable=capturable)
    optimiser.register_step_pre_hook(_HandOver(views))
    return optimiser
