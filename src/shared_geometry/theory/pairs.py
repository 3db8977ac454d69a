"""Pairs of networks of many kinds, on which a bound can be seen to hold, and where it is tight.

Every kind is a function of how many units and images there are and of a random generator; it
returns the activity of two networks, units x images.
"""

from collections.abc import Callable

import numpy as np

from shared_geometry.theory.propositions import response_of

Pair = tuple[np.ndarray, np.ndarray]
Kind = Callable[[int, int, np.random.Generator], Pair]


def _activity(n: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian activity whose principal directions fall off, faster or slower."""
    spectrum = np.arange(1, n + 1) ** -rng.uniform(0, 2)
    return spectrum[:, None] * rng.normal(size=(n, m))


def _rotation(n: int, rng: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(n, n)))
    return q * np.sign(np.diag(r))


def unrelated(n: int, m: int, rng: np.random.Generator) -> Pair:
    """Two networks that have nothing to do with each other."""
    return _activity(n, m, rng), _activity(n, m, rng)


def noisy(n: int, m: int, rng: np.random.Generator) -> Pair:
    """A network, and a rotation of it with noise in every cell."""
    x = _activity(n, m, rng)
    level = 10 ** rng.uniform(-3, 0.5) * np.sqrt(np.mean(x**2))
    return x, _rotation(n, rng) @ x + level * rng.normal(size=(n, m))


def scaled(n: int, m: int, rng: np.random.Generator) -> Pair:
    """A network, and a rotation of it that is less active."""
    x = _activity(n, m, rng)
    return x, rng.uniform(0, 1) * (_rotation(n, rng) @ x)


def shrunk(n: int, m: int, rng: np.random.Generator) -> Pair:
    """Unit-length columns, and others whose cells off the diagonal are all smaller by one factor.

    The cells of the two RSMs correlate perfectly.
    """
    x = _activity(n, m, rng)
    x /= np.linalg.norm(x, axis=0)
    gram, share = x.T @ x, rng.uniform(0, 1)
    return x, response_of(share * gram + (1 - share) * np.eye(m))[0]


def apart(n: int, m: int, rng: np.random.Generator) -> Pair:
    """A common part, and a part in which each network sees images that the other does not.

    No pair misfits more for its gap.
    """
    frame = _rotation(m, rng)
    k = min(n, m) // 3
    common, first, second = (frame[i * k : (i + 1) * k] for i in range(3))
    values, share = rng.uniform(0.1, 1, size=k)[:, None], rng.uniform(0, 1)
    x, y = (
        np.concatenate([np.sqrt(1 - share) * values * common, np.sqrt(share) * values * own])
        for own in (first, second)
    )
    return x, y


def single(n: int, m: int, rng: np.random.Generator) -> Pair:
    """One direction of activity each, equally strong, at an angle over the images.

    No pair misfits less for its gap.
    """
    frame, angle = _rotation(m, rng)[:2], rng.uniform(0, np.pi / 2)
    return frame[:1], np.cos(angle) * frame[:1] + np.sin(angle) * frame[1:2]


KINDS: dict[str, Kind] = {
    "unrelated": unrelated,
    "noise added": noisy,
    "less active": scaled,
    "RSM cells shrunk": shrunk,
    "seeing other images": apart,
    "one direction each": single,
}
