"""Statistics that turn the embeddings of a clip's windows into one vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from audiozoo.checks import unknown_name


def mean(vectors: np.ndarray) -> np.ndarray:
    """Return the mean over windows ``(windows, width)``, as ``(width,)``."""
    return vectors.mean(axis=0)


def maximum(vectors: np.ndarray) -> np.ndarray:
    """Return the maximum over windows ``(windows, width)``, as ``(width,)``."""
    return vectors.max(axis=0)


def deviation(vectors: np.ndarray) -> np.ndarray:
    """Return the standard deviation over windows ``(windows, width)``, as ``(width,)``; zeros for one window."""
    return vectors.std(axis=0)


def every(vectors: np.ndarray) -> np.ndarray:
    """Return the mean, the maximum and the deviation over windows ``(windows, width)``, joined to ``(3 * width,)``."""
    return np.concatenate([mean(vectors), maximum(vectors), deviation(vectors)])


Statistic = Callable[[np.ndarray], np.ndarray]

STATISTICS: dict[str, Statistic] = {"mean": mean, "max": maximum, "deviation": deviation, "all": every}
"""Statistics by name; each takes the embeddings of a clip's windows, ``(windows, width)``, and returns a vector."""


def whole(vectors: np.ndarray) -> np.ndarray:
    """Return the embeddings of all windows, ``(windows, width)``, as they are."""
    return vectors


EMBEDDINGS: dict[str, Statistic] = {**STATISTICS, "windows": whole}
"""The statistics, and "windows" for the embedding of every window."""


def statistic_named(statistic: str | Statistic, known: Mapping[str, Statistic] = STATISTICS) -> Statistic:
    """Return the function for a name; a function is returned unchanged.

    Raises:
        ValueError: The name is unknown; the message suggests the closest one.
    """
    if callable(statistic):
        return statistic
    if statistic not in known:
        raise unknown_name("statistic", statistic, known)
    return known[statistic]
