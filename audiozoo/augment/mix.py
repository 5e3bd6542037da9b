"""Transforms of a whole batch: examples ``(batch, ...)`` with label weights ``(batch, classes)``, both mixed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from audiozoo.config import Configured


@dataclass(frozen=True, kw_only=True)
class Mix(Configured, ABC):
    """A mixture of a batch with a permutation of itself."""

    @abstractmethod
    def __call__(self, x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return mixed copies of the examples and of their label weights."""


@dataclass(frozen=True, kw_only=True)
class Mixup(Mix):
    """Weighted means of two examples and of their labels, the weight drawn for each pair from Beta(alpha, alpha).

    Args:
        alpha: Small values leave most examples nearly pure; 1 draws every weight alike.
        p: Share of the examples that are mixed at all.

    Raises:
        ValueError: `alpha` is not positive, or `p` is no probability.

    Source: Zhang et al., mixup, arXiv:1710.09412.
    """

    alpha: float = 0.3
    p: float = 1.0

    def __post_init__(self) -> None:
        if self.alpha <= 0 or not 0 <= self.p <= 1:
            raise ValueError(f"mixup needs alpha > 0 and 0 <= p <= 1, got alpha={self.alpha} and p={self.p}")

    def __call__(self, x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Mix ``(batch, ...)`` and ``(batch, classes)``."""
        weight = rng.beta(self.alpha, self.alpha, len(x)).astype(np.float32)
        weight = np.where(rng.random(len(x)) < self.p, weight, np.float32(1))
        other = rng.permutation(len(x))
        return _blend(x, x[other], weight), _blend(y, y[other], weight)


def _blend(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weight = weight.reshape(-1, *(1,) * (first.ndim - 1))
    return first * weight + second * (1 - weight)
