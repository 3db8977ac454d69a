"""Both ways to the solver's products give what the definitions say, in whatever order asked."""

import numpy as np
import pytest
import torch

from shared_geometry.srm_products import Grams, Samples, cross_products

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
