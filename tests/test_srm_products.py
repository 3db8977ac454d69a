"""Both ways to the solver's products give what the definitions say, in whatever order asked."""

import numpy as np
import pytest
import torch

from shared_geometry.srm.products import Grams, Samples, cross_products

N, UNITS, SAMPLES = 4, 12, 50


def definition(x, w, i):
    parts = [b.mT @ a for a, b in zip(x, w, strict=True)]
    others = sum(p for j, p in enumerate(parts) if j != i)
    return x[i] @ others.mT, x[i] @ sum(parts).mT, parts[i].square().sum()


@pytest.mark.parametrize("kind", ["samples", "grams"])
@pytest.mark.parametrize("k", [UNITS, 5])
def test_products_are_their_definitions_after_any_changes(kind, k):
    r = np.random.default_rng(k)
    x = [torch.from_numpy(r.normal(3, 1, size=(UNITS, SAMPLES))) for _ in range(N)]
    mean = [a.mean(1) for a in x]
    centred = [a - mu[:, None] for a, mu in zip(x, mean, strict=True)]
    variance = [a.square().sum() for a in centred]
    products = (
        Samples(x, mean, variance)
        if kind == "samples"
        else Grams(cross_products(x, mean, diagonal=True), [UNITS] * N, variance)
    )

    def basis():
        return torch.from_numpy(np.linalg.qr(r.normal(size=(UNITS, k)))[0])

    w = [products.principal(0, k), *(basis() for _ in range(N - 1))]
    for i in range(N):
        products.place(i, w[i])
    for i in (2, 0, 2, 1):  # what was asked of one network, or placed, leaves no trace in another
        for j in range(N):
            others, everything, power = definition(centred, w, j)
            torch.testing.assert_close(products.others(j), others)
            torch.testing.assert_close(products.everything(j), everything)
            torch.testing.assert_close(products.power(j), power)
        new = basis()
        change = ((new - w[i]).mT @ centred[i]).square().sum()
        torch.testing.assert_close(products.power_of_change(i, new), change)
        w[i] = new
        products.place(i, new)
    total = products.sum()
    if kind == "samples":
        parts = [b.mT @ a for a, b in zip(centred, w, strict=True)]
        torch.testing.assert_close(total, sum(parts))
    else:
        assert total is None


def decaying(seed, units, samples, rank, dtype=torch.float64, batch=()):
    g = torch.Generator().manual_seed(seed)
    spectrum = torch.arange(1, rank + 1, dtype=torch.float64) ** -0.75
    turned = torch.randn(*batch, units, rank, generator=g, dtype=torch.float64) * spectrum
    x = turned @ torch.randn(*batch, rank, samples, generator=g, dtype=torch.float64)
    return (x + 2).to(dtype)


def captured(x, k):
    """Part of the variance of k axes that `principal` finds, over what the best k have of it."""
    mean = x.mean(-1)
    w = Samples([x], [mean], [x.square().sum()]).principal(0, k).double()
    unit = torch.eye(k, dtype=torch.float64).expand(*x.shape[:-2], k, k)
    torch.testing.assert_close(w.mT @ w, unit, atol=1e-6, rtol=0)
    centred = x.double() - mean.double()[..., None]
    best = torch.linalg.svdvals(centred)[..., :k].square().sum(-1)
    return (w.mT @ centred).square().sum((-2, -1)) / best


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 5, 25, 60, 150])  # narrow, and wide enough for X X' itself
def test_the_first_basis_holds_what_the_principal_axes_hold(k, dtype):
    part = captured(decaying(k, 200, 400, 200, dtype), k)
    assert 0.98 < part <= 1 + 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_basis_is_exact_where_the_rank_allows_it(dtype):
    x = decaying(3, 200, 400, 8, dtype)
    for k in (8, 12):  # 12: four axes have nothing to hold
        torch.testing.assert_close(
            captured(x, k), torch.tensor(1.0, dtype=torch.float64), atol=1e-5, rtol=0
        )


def test_silent_units_do_not_hide_the_principal_axes():
    x = decaying(4, 300, 400, 60)
    x[:150] = 2
    assert captured(x, 10) > 0.98
    assert captured(torch.flip(x, (0,)), 10) > 0.98


def test_the_first_bases_of_a_batch_are_those_of_its_elements():
    x = decaying(5, 120, 200, 60, batch=(3,))
    together = captured(x, 6)
    torch.testing.assert_close(together, torch.stack([captured(a, 6) for a in x]))
