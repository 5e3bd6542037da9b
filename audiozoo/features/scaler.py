"""Standardisation by the mean and deviation of the training data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Per = Literal["band", "all"] | None

_BLOCK = 64  # windows summed at a time in double precision, so that the features are never held twice


@dataclass(frozen=True, eq=False)
class Scaler:
    """Subtract a mean and divide by a deviation, both broadcast against one window's array.

    Args:
        mean: float32; for a spectral frontend ``(bands, 1, channels)``, for a waveform ``(1, channels)``, for a vector
            ``(features,)``; a scalar ``()`` standardises all alike.
        deviation: float32, same shape, positive.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def identity(cls) -> Scaler:
        """Make the scaler that changes nothing."""
        return cls(np.zeros((), np.float32), np.ones((), np.float32))

    @classmethod
    def fit(cls, features: np.ndarray, *, rows: np.ndarray | None = None, per: Per = "band") -> Scaler:
        """Measure mean and deviation over windows (and over time, and samples).

        Args:
            features: ``(windows, *shape)``.
            rows: Which windows are training data; `None` is all.
            per: "band" keeps one pair for each band (or feature) and channel, "all" one pair for everything, `None` changes
                nothing.

        Raises:
            ValueError: No window to measure, or an unknown `per`.
        """
        if per is None:
            return cls.identity()
        if per not in ("band", "all"):
            raise ValueError(f"per must be 'band', 'all' or None, got {per!r}")
        rows = np.arange(len(features)) if rows is None else rows
        if not len(rows):
            raise ValueError("a scaler is fitted on at least one window, got none")
        axes = _summed_axes(features.ndim, per)
        mean = _mean(features, rows, axes, lambda block: block)
        variance = _mean(features, rows, axes, lambda block: np.square(block - mean))
        deviation = np.sqrt(variance)
        # A band that never changes carries nothing; leave it at zero instead of dividing by (nearly) nothing.
        varies = deviation > 1e-6 * np.abs(mean)
        return cls(mean.astype(np.float32), np.where(varies, deviation, 1).astype(np.float32))

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse a frontend's shape that this mean and deviation were not measured on, or a deviation that is none.

        Raises:
            ValueError: With the shapes, or the deviation's range.
        """
        for array in (self.mean, self.deviation):
            if array.ndim > len(shape) or any(a not in (1, b) for a, b in zip(array.shape[::-1], shape[::-1], strict=False)):
                raise ValueError(f"a scaler of shape {array.shape} does not fit the frontend's {shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.deviation).all() and (self.deviation > 0).all()):
            raise ValueError("a scaler needs a finite mean and a finite positive deviation")

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Standardise ``(..., *shape)``; float32."""
        return (features - self.mean) / self.deviation


def _summed_axes(ndim: int, per: Per) -> tuple[int, ...]:
    if per == "all":
        return tuple(range(ndim))
    return {2: (0,), 3: (0, 1), 4: (0, 2)}[ndim]


def _mean(
    features: np.ndarray, rows: np.ndarray, axes: tuple[int, ...], value: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    total: Any = 0.0
    for start in range(0, len(rows), _BLOCK):
        block = value(features[rows[start : start + _BLOCK]].astype(np.float64))
        total = total + block.sum(axis=axes, keepdims=True)[0]
    shape = (len(rows), *features.shape[1:])
    return np.asarray(total) / math.prod(shape[axis] for axis in axes)
