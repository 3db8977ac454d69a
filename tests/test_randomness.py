import subprocess
import sys

import numpy as np
import torch

from shared_geometry.basics.randomness import derive_seed, numpy_generator, torch_generator


def test_the_same_names_give_the_same_draws():
    np.testing.assert_array_equal(
        numpy_generator(3, "units", "dense", 1).random(5),
        numpy_generator(3, "units", "dense", 1).random(5),
    )
    torch.testing.assert_close(
        torch.randn(5, generator=torch_generator(3, "init", 0)),
        torch.randn(5, generator=torch_generator(3, "init", 0)),
    )


def test_other_names_and_other_seeds_give_other_draws():
    seeds = {derive_seed(s, *names) for s in (0, 1) for names in [(), ("a",), ("b",), ("a", 1)]}
    assert len(seeds) == 8


def test_seeds_do_not_depend_on_the_process():
    command = (
        "from shared_geometry.basics.randomness import derive_seed; print(derive_seed(5, 'x', 2))"
    )
    fresh = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert int(fresh.stdout) == derive_seed(5, "x", 2)


def test_no_global_state_is_touched():
    torch.manual_seed(0)
    expected = torch.randn(3)
    torch.manual_seed(0)
    torch.randn(100, generator=torch_generator(9, "other"))
    torch.testing.assert_close(torch.randn(3), expected)
