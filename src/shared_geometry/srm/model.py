r"""The shared response model (SRM): one response that many networks share, each through its own W.

Given activity :math:`X_i` (units x samples) of N networks that saw the same samples, find

.. math:: \min_{W_i, S} \sum_{i=1}^N \lVert X_i - W_i S \rVert_F^2
   \quad\text{subject to}\quad W_i^\top W_i = I_k,

equation (1) of Lu et al. (2018).  `SRM` is the estimator; `shared_geometry.srm.fitting` decides how
to solve, and `shared_geometry.srm.solver` does.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Self

import torch

from shared_geometry.basics.arrays import Array, like
from shared_geometry.basics.devices import resolve_device
from shared_geometry.basics.estimators import Estimator
from shared_geometry.errors import InputError
from shared_geometry.srm import fitting, inputs, parameters, reference, stream
from shared_geometry.srm.procrustes import polar
from shared_geometry.srm.score import explained_power, part_of, power

_AT_ONCE = 2**27  # numbers copied into one batch


def _as_given(arrays: list[torch.Tensor], X: Array | Sequence[Array]) -> Array | list[Array]:
    """Stacked if X was one array, a list if X was a list; NumPy or torch as X was."""
    if isinstance(X, Sequence):
        return [like(array, X[0]) for array in arrays]
    return like(torch.stack(arrays), X)


def _batches(populations: list[list[torch.Tensor]]) -> Iterator[list[int]]:
    """Indices of populations of equal shapes, so many at once as `_AT_ONCE` allows."""
    kinds: dict[tuple, list[int]] = {}
    for index, x in enumerate(populations):
        kinds.setdefault((x[0].dtype, x[0].device, *(a.shape for a in x)), []).append(index)
    for alike in kinds.values():
        size = max(1, _AT_ONCE // sum(a.numel() for a in populations[alike[0]]))
        yield from (alike[i : i + size] for i in range(0, len(alike), size))


class SRM(Estimator):
    r"""Shared response model of a population of networks.

    Parameters
    ----------
    n_components : int, optional
        k, the dimensions of the shared response. None: the number of units (of the smallest
        network), as in the paper, but no more than there are samples. A k larger than the units
        or the samples is refused.
    backend : {"torch", "brainiak", "brainiak-det"}
        Who solves: this package; or, for reference, BrainIAK's probabilistic SRM or its
        deterministic one (10 iterations, float64, CPU).
    center : bool
        Subtract from each unit its mean over the samples of `fit`, there and in `transform`.
    tol : float
        Stop when another sweep promises to lower the objective by no more than ``tol`` times the
        variance of X. This and the next three are of "torch"; BrainIAK takes none of them.
    max_sweeps : int
        Stop after this many sweeps in any case; `converged_` then says False.
    n_init : int
        Starts, each from another order of the networks; the best solution is kept.
    random_state : int
        Seed of these orders; a fit is otherwise free of chance.
    device : {"auto", "cpu", "cuda"} or torch.device, optional
        Where to compute; None: where X is. Results return to where X is.

    Attributes
    ----------
    w_ : list of array of shape (n_units_i, k)
        Bases with orthonormal columns.
    s_ : array of shape (k, n_samples)
        Shared response: the mean over networks of :math:`W_i^\top X_i`; None after `fit_blocks`.
    mean_ : list of array of shape (n_units_i,)
        What was subtracted from each unit (0 with ``center=False``).
    objective_ : list of float
        :math:`\sum_i \lVert X_i - W_i S \rVert^2` after each sweep; it never rises. Of BrainIAK
        the last value alone.
    n_sweeps_ : int
        Sweeps made, the start included; BrainIAK's iterations.
    converged_ : bool
        Whether ``tol`` was met.

    Examples
    --------
    >>> import numpy as np
    >>> from shared_geometry.srm import SRM
    >>> X = np.random.default_rng(0).normal(size=(3, 20, 200))
    >>> model = SRM(n_components=5).fit(X)
    >>> model.s_.shape, model.w_[0].shape
    ((5, 200), (20, 5))
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        backend: str = "torch",
        center: bool = True,
        tol: float = 1e-4,
        max_sweeps: int = 100,
        n_init: int = 1,
        random_state: int = 0,
        device: str | torch.device | None = None,
    ):
        self.n_components = n_components
        self.backend = backend
        self.center = center
        self.tol = tol
        self.max_sweeps = max_sweeps
        self.n_init = n_init
        self.random_state = random_state
        self.device = device

    def _check_parameters(self) -> None:
        usual = {name: parameter.default for name, parameter in self._parameters().items()}
        parameters.check(self.get_params(), usual)

    def _networks_and_means(
        self, X: Array | Sequence[Array]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Checked activity and what is to be subtracted from it: one pass over the samples."""
        x = self._placed(inputs.shaped(X))
        mean = fitting.means(x, self.center)
        inputs.finite(x, mean if self.center else None)
        return x, mean

    def _placed(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
        if self.device is None:
            return x
        return [activity.to(resolve_device(self.device)) for activity in x]

    def _centred(self, X: Array | Sequence[Array]) -> list[torch.Tensor]:
        self._check_fitted("w_")
        x = inputs.shaped(X)
        inputs.same_units(x, self._w)
        x = [a.to(w) for a, w in zip(x, self._w, strict=True)]  # the type and device of the fit
        inputs.finite(x)
        return [a - mean[:, None] for a, mean in zip(x, self._mean, strict=True)]

    def fit(
        self, X: Array | Sequence[Array], y: None = None, *, w: Sequence[Array] | None = None
    ) -> Self:
        """Find W and S for networks that saw the same samples.

        Parameters
        ----------
        X : array of shape (n_networks, n_units, n_samples), or list of (n_units_i, n_samples)
            Activity, float32 or float64; column t of every network belongs to the same sample.
        y : None
            Not used.
        w : list of array of shape (n_units_i, k), optional
            Bases to start from (a warm start), for example those of the neighbouring checkpoint.

        Returns
        -------
        SRM
            Itself, fitted.

        Raises
        ------
        InputError
            If X or a parameter is not as described; the message says what came.
        """
        self._check_parameters()
        if w is not None and self.backend != "torch":
            raise InputError(
                f"w with backend={self.backend!r}: only 'torch' starts from given bases"
            )
        x, mean = self._networks_and_means(X)
        k = inputs.components(self.n_components, [len(a) for a in x], x[0].shape[1])
        if self.backend == "torch":
            first = None if w is None else inputs.bases(w, x, k)
            found = fitting.fit(x, mean, k, w=first, **self._how())
        else:
            found = reference.fit(x, mean, k, probabilistic=self.backend == "brainiak")
        return self._take(found, mean, X[0])

    def _how(self) -> dict[str, float]:
        return {
            "tol": self.tol,
            "max_sweeps": self.max_sweeps,
            "restarts": self.n_init,
            "seed": self.random_state,
        }

    def _take(self, found: fitting.Fit, mean: list[torch.Tensor], example: Array) -> Self:
        """Become the model that ``found`` is, in arrays like ``example``."""
        self._w, self._s, self._mean = found.w, found.s, mean
        self.w_ = [like(basis, example) for basis in found.w]
        self.s_ = None if found.s is None else like(found.s, example)
        self.mean_ = [like(m, example) for m in mean]
        self.n_sweeps_ = int(found.sweeps)
        self.converged_ = bool(found.converged)
        # In a batch the others' sweeps go on, and leave this one as it is.
        *before, last = found.objective.tolist()
        self.objective_ = [*before[: self.n_sweeps_ - 1], last]
        return self

    def fit_blocks(self, blocks: Iterable[Array | Sequence[Array]]) -> Self:
        """Fit activity that comes a block of samples at a time, and need not fit into memory.

        Parameters
        ----------
        blocks : iterable of X
            Each as in `fit`, with the same networks and any number of samples.  They are gone
            through once.

        Returns
        -------
        SRM
            Itself, fitted as `fit` on all samples would; but `s_` is None.

        Raises
        ------
        InputError
            As `fit` does, or if a block differs from the first in its networks.
        """
        self._check_parameters()
        if self.backend != "torch" or self.n_init != 1:
            raise InputError(
                f"fit_blocks solves with backend='torch' and n_init=1, not {self.backend!r} "
                f"and {self.n_init}"
            )
        blocks = iter(blocks)
        first = next(blocks, None)
        place = None if self.device is None else resolve_device(self.device)
        found = stream.moments([] if first is None else chain([first], blocks), place)
        products, mean = found.products(self.center)
        k = inputs.components(self.n_components, products.units, found.count)
        solved = fitting.fit_products(products, k, tol=self.tol, max_sweeps=self.max_sweeps)
        return self._take(solved, mean, first[0])

    def fit_many(self, populations: Sequence[Array | Sequence[Array]]) -> list[Self]:
        """Fit one model to each population, those of equal shapes in batched calls.

        Parameters
        ----------
        populations : sequence of X
            Each as in `fit`; for example one a layer and checkpoint.

        Returns
        -------
        list of SRM
            New models with the parameters of this one, in the order of ``populations``.
        """
        self._check_parameters()
        models = [type(self)(**self.get_params()) for _ in populations]
        if self.backend != "torch" or self.n_init != 1:
            return [model.fit(X) for model, X in zip(models, populations, strict=True)]
        checked = [self._networks_and_means(X) for X in populations]
        for batch in _batches([x for x, _ in checked]):
            x, mean = (
                [torch.stack(same) for same in zip(*parts, strict=True)]
                for parts in zip(*(checked[b] for b in batch), strict=True)
            )
            k = inputs.components(self.n_components, [a.shape[-2] for a in x], x[0].shape[-1])
            found = fitting.fit(x, mean, k, **self._how())
            for place, b in enumerate(batch):
                models[b]._take(found.element(place), [m[place] for m in mean], populations[b][0])
        return models

    def transform(self, X: Array | Sequence[Array]) -> Array | list[Array]:
        r"""Activity of each fitted network in the shared space, :math:`W_i^\top (X_i - \mu_i)`.

        Parameters
        ----------
        X : array of shape (n_networks, n_units, n_samples), or list of (n_units_i, n_samples)
            The networks of `fit`, in their order, on any samples.

        Returns
        -------
        array of shape (n_networks, k, n_samples), or list of (k, n_samples)
            A list if X is one.
        """
        x = self._centred(X)
        return _as_given([w.mT @ a for w, a in zip(self._w, x, strict=True)], X)

    def fit_transform(self, X: Array | Sequence[Array], y: None = None) -> Array | list[Array]:
        """Fit, and return the fitted activity in the shared space.

        Parameters
        ----------
        X, y
            As in `fit`.

        Returns
        -------
        array of shape (n_networks, k, n_samples), or list of (k, n_samples)
            See `transform`.

        Raises
        ------
        InputError
            As `fit` does.
        """
        return self.fit(X).transform(X)

    def transform_network(self, X: Array, shared: Array | None = None) -> Array:
        r"""Basis of one network that was not in the fit: the W nearest to the shared response.

        Parameters
        ----------
        X : array of shape (n_units, n_samples)
            Its activity on the samples of `fit`; its own means are subtracted if ``center``.
        shared : array of shape (k, n_samples), optional
            Response to align with; None: `s_`.

        Returns
        -------
        array of shape (n_units, k)
            :math:`\arg\min_W \lVert X - W S \rVert^2` over orthonormal W.

        Raises
        ------
        InputError
            If the model keeps no response, or samples or components do not fit.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        self._check_fitted("w_")
        (x,) = inputs.networks([X], least=1)
        if shared is None and self._s is None:
            raise InputError("a model fitted by fit_blocks keeps no shared response; give shared")
        s = self._s if shared is None else inputs.response(shared)
        x, s = x.to(self._w[0]), s.to(self._w[0])
        if x.shape[1] != s.shape[1]:
            raise InputError(
                f"the network has {x.shape[1]} samples and the shared response {s.shape[1]}; "
                "give the samples of the fit"
            )
        if x.shape[0] < s.shape[0]:
            raise InputError(
                f"the network has {x.shape[0]} units, fewer than the {s.shape[0]} components"
            )
        x = x - x.mean(1, keepdim=True) if self.center else x
        return like(polar(x @ s.mT), X)

    def inverse_transform(self, S: Array | Sequence[Array]) -> Array | list[Array]:
        r"""Activity that shared responses stand for, :math:`W_i S_i + \mu_i`.

        Parameters
        ----------
        S : array of shape (k, n_samples), (n_networks, k, n_samples), or list of (k, n_samples)
            One response for all networks, or one for each.

        Returns
        -------
        array of shape (n_networks, n_units, n_samples), or list of (n_units_i, n_samples)
            An array if S is one of three dimensions, else a list.

        Raises
        ------
        InputError
            If S is not of the model's networks and components.
        sklearn.exceptions.NotFittedError
            Before `fit`.
        """
        self._check_fitted("w_")
        if getattr(S, "ndim", None) == 2:
            S = [S] * len(self._w)
        s = inputs.networks(S)
        k = self._w[0].shape[1]
        if len(s) != len(self._w) or any(a.shape[0] != k for a in s):
            raise InputError(
                f"S holds {len(s)} responses of {s[0].shape[0]} dimensions; the model has "
                f"{len(self._w)} networks and {k} components"
            )
        parts = zip(self._w, s, self._mean, strict=True)
        return _as_given([w @ a.to(w) + mean[:, None] for w, a, mean in parts], S)

    def score(
        self,
        X: Array | Sequence[Array],
        y: None = None,
        *,
        leave_one_out: bool = False,
        per_network: bool = False,
    ) -> float | Array:
        r"""Variance of (held-out) activity that the shared response explains.

        :math:`1 - \lVert X_i - W_i S \rVert^2 / \lVert X_i \rVert^2` with the means of `fit`
        subtracted and S the mean of :math:`W_j^\top X_j`. Where networks share nothing, the
        expected value is :math:`\kappa/N` with S over all networks, which holds network i itself,
        and :math:`-\kappa/(N-1)` with ``leave_one_out``; :math:`\kappa` is the part of the power
        that the k axes keep: 1 if W is square, :math:`k/n` for white noise.

        Parameters
        ----------
        X : array of shape (n_networks, n_units, n_samples), or list of (n_units_i, n_samples)
            The networks of `fit`, in their order, best on samples that were not in the fit.
        y : None
            Not used.
        leave_one_out : bool
            Predict each network from the others alone: S over the networks j other than i, with
            the W of the common fit.
        per_network : bool
            Return one value a network, not the one of all networks together.

        Returns
        -------
        float, or array of shape (n_networks,)
            NaN for a network that does not vary.
        """
        x = self._centred(X)
        projected = torch.stack([w.mT @ a for w, a in zip(self._w, x, strict=True)])
        n = len(x)
        target = projected.mean(0).expand_as(projected)
        if leave_one_out:
            target = (n * target - projected) / (n - 1)
        total = torch.stack([power(a) for a in x])
        means = torch.stack([mu.double().square().sum() for mu in self._mean])
        whole = total + x[0].shape[1] * means
        inputs.in_range(whole, x)
        explained = explained_power(projected, target)
        if per_network:
            return like(part_of(explained, total, whole, x[0].dtype), X[0])
        return part_of(explained.sum(), total.sum(), whole.sum(), x[0].dtype).item()
