"""BrainIAK's shared response models behind this package's face: the reference."""

from importlib.util import find_spec

import torch

from shared_geometry.errors import InputError
from shared_geometry.srm.fitting import Fit, shared_response
from shared_geometry.srm.products import power

_SMALL = 256  # units up to which threads wait for each other longer than they work


def require() -> None:
    """Refuse to go on without BrainIAK.

    Raises
    ------
    InputError
        If it is not installed.
    """
    if find_spec("brainiak") is None:
        raise InputError(
            "BrainIAK's SRM needs the package brainiak: pip install 'shared-geometry[brainiak]'"
        )


def fit(
    x: list[torch.Tensor],
    mean: list[torch.Tensor],
    k: int,
    *,
    probabilistic: bool,
    n_iter: int = 10,
) -> Fit:
    """W and S by BrainIAK, in its own defaults (Chen et al. 2015; Anderson et al. 2016).

    Parameters
    ----------
    x : list of Tensor of shape (n_units_i, n_samples)
    mean : list of Tensor of shape (n_units_i,)
        Subtracted before BrainIAK sees the activity.
    k : int
        Dimensions of the shared response.
    probabilistic : bool
        The probabilistic model (`brainiak.funcalign.srm.SRM`), else the deterministic one.
    n_iter : int
        Iterations; BrainIAK has no convergence test.

    Returns
    -------
    Fit
        With S the mean of W_i^T X_i in either case (BrainIAK's probabilistic S is shrunk towards
        0), the one value of the objective that they give, and ``converged`` False.

    Raises
    ------
    InputError
        If BrainIAK is not installed.
    """
    require()
    from brainiak.funcalign.srm import SRM, DetSRM
    from threadpoolctl import threadpool_limits

    model = (SRM if probabilistic else DetSRM)(n_iter=n_iter, features=k, rand_seed=0)
    centred = [a - mu[:, None] for a, mu in zip(x, mean, strict=True)]
    small = max(len(a) for a in x) <= _SMALL
    with threadpool_limits(1 if small else None, user_api="blas"):
        model.fit([activity.double().cpu().numpy() for activity in centred])
    w = [torch.from_numpy(basis).to(x[0]) for basis in model.w_]
    s = shared_response(x, mean, w)
    variance = sum(power(activity) for activity in centred)
    objective = (variance - len(x) * power(s)).clamp(min=0)[None]
    return Fit(w, s, objective, torch.tensor(n_iter), torch.tensor(False))
