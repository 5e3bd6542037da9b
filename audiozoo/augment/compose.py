"""What every transform is, and transforms made of others.

A transform is a frozen value and a pure function: the same input and the same generator give the same output, and nothing
is kept on the object or changed in the input.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiozoo.config import Configured


def check_range(name: str, span: Sequence[float]) -> None:
    """Refuse a range that is not (low, high) with low <= high."""
    if len(span) != 2 or not span[0] <= span[1]:
        raise ValueError(f"{name} must be a range (low, high) with low <= high, got {tuple(span)}")


@dataclass(frozen=True, kw_only=True)
class Transform(Configured, ABC):
    """A random change of a waveform or of a feature.

    Args:
        p: Probability that the change is made at all.

    Raises:
        ValueError: `p` is no probability.
    """

    p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"p must be a probability from 0 to 1, got {self.p}")

    def __call__(self, x: np.ndarray, *, sample_rate: float | None = None, rng: np.random.Generator) -> np.ndarray:
        """Return a changed copy of `x`, or `x` itself.

        Args:
            x: Waveform ``(samples,)`` or ``(samples, channels)``, or feature ``(bands, frames, channels)``.
            sample_rate: Hz; needed by waveform transforms that speak of seconds.
            rng: Where all randomness comes from.
        """
        if self.p < 1 and rng.random() >= self.p:
            return x
        return self._apply(x, sample_rate=sample_rate, rng=rng)

    @abstractmethod
    def _apply(self, x: np.ndarray, *, sample_rate: float | None, rng: np.random.Generator) -> np.ndarray:
        """Make the change, whatever `p`."""


@dataclass(frozen=True, kw_only=True)
class Compose(Transform):
    """Transforms one after the other.

    Args:
        transforms: In their order.
    """

    transforms: tuple[Transform, ...] = ()

    def _apply(self, x: np.ndarray, *, sample_rate: float | None, rng: np.random.Generator) -> np.ndarray:
        for transform in self.transforms:
            x = transform(x, sample_rate=sample_rate, rng=rng)
        return x
