"""Statistics of the embeddings of a clip's windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

Statistic = Literal["mean", "max", "deviation", "all", "windows"]


def all_statistics(vectors: np.ndarray) -> np.ndarray:
    """Return mean, maximum and standard deviation over windows ``(windows, width)``, concatenated: ``(3 * width,)``."""
    return np.concatenate([STATISTICS[name](vectors) for name in ("mean", "max", "deviation")])


STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda vectors: vectors.mean(axis=0),
    "max": lambda vectors: vectors.max(axis=0),
    "deviation": lambda vectors: vectors.std(axis=0),
    "all": all_statistics,
    "windows": lambda vectors: vectors,
}
"""Functions of the embeddings ``(windows, width)``, by the name that `Classifier.embed` takes."""
