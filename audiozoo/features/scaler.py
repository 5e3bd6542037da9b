"""Standardisation with the mean and standard deviation of the training data."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Per = Literal["band", "all"] | None

# Number of windows that are converted to double precision at a time, so that memory does not hold all features twice.
_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Scaler:
    """Standardisation of features: subtract a mean and divide by a standard deviation.

    Args:
        mean: Mean, float32: ``(bands, 1, channels)`` for spectral features, ``(1, channels)`` for waveforms, ``(features,)``
            for vectors, or ``()`` for one mean of all values.
        deviation: Standard deviation, float32 of the same shape, positive.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def identity(cls) -> Scaler:
        """Return a scaler that changes nothing."""
        return cls(np.zeros((), np.float32), np.ones((), np.float32))

    @classmethod
    def fit(
        cls, features: np.ndarray, *, index: np.ndarray | None = None, per: Per = "band", rows: np.ndarray | None = None
    ) -> Scaler:
        """Measure mean and standard deviation over windows and over time.

        Args:
            features: Features of all windows, ``(windows, *shape)``.
            index: Indices of the windows to measure, usually the training data; `None` means all.
            per: Granularity: "band" measures each band (or feature) and channel separately, "all" everything together,
                `None` nothing, so that the scaler changes nothing.
            rows: Former name of `index`, deprecated.

        Returns:
            The scaler.

        Raises:
            ValueError: There is no window to measure, or `per` is unknown.
        """
        if rows is not None:
            warnings.warn("Scaler.fit(rows=) is deprecated, use index=", DeprecationWarning, stacklevel=2)
            index = rows
        if per is None:
            return cls.identity()
        if per not in ("band", "all"):
            raise ValueError(f"per must be 'band', 'all' or None, got {per!r}")
        index = np.arange(len(features)) if index is None else index
        if not len(index):
            raise ValueError("a scaler needs at least one window to be fitted on, got none")
        axes = _summed_axes(features.ndim, per)
        mean = _mean(features, index, axes, lambda block: block)
        variance = _mean(features, index, axes, lambda block: np.square(block - mean))
        deviation = np.sqrt(variance)
        # A constant band has no information: it becomes zero, and its rounding errors are not amplified.
        varies = deviation > 1e-6 * np.abs(mean)
        return cls(mean.astype(np.float32), np.where(varies, deviation, 1).astype(np.float32))

    def check(self, shape: tuple[int, ...]) -> None:
        """Check that the scaler fits features of a shape, and that its values are usable.

        Raises:
            ValueError: The shapes do not fit, or mean or deviation are not finite, or a deviation is not positive.
        """
        for array in (self.mean, self.deviation):
            if array.ndim > len(shape) or any(a not in (1, b) for a, b in zip(array.shape[::-1], shape[::-1], strict=False)):
                raise ValueError(f"a scaler of shape {array.shape} does not fit the frontend's {shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.deviation).all() and (self.deviation > 0).all()):
            raise ValueError("a scaler needs a finite mean and a finite positive deviation")

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Standardise features ``(..., *shape)``; the result is float32."""
        return (features - self.mean) / self.deviation


def _summed_axes(ndim: int, per: Per) -> tuple[int, ...]:
    if per == "all":
        return tuple(range(ndim))
    return {2: (0,), 3: (0, 1), 4: (0, 2)}[ndim]


def _mean(
    features: np.ndarray, index: np.ndarray, axes: tuple[int, ...], value: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the mean of a function of the chosen windows over all axes but the kept ones."""
    total: Any = 0.0
    for start in range(0, len(index), _BLOCK):
        block = value(features[index[start : start + _BLOCK]].astype(np.float64))
        total = total + block.sum(axis=axes, keepdims=True)[0]
    shape = (len(index), *features.shape[1:])
    return np.asarray(total) / math.prod(shape[axis] for axis in axes)
