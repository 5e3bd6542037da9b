"""Transforms of a waveform ``(samples,)`` or ``(samples, channels)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiozoo.augment.compose import Transform, check_range


@dataclass(frozen=True, kw_only=True)
class Gain(Transform):
    """Make the sound louder or softer.

    Args:
        gain_db: Range of the gain in dB, drawn uniformly.
    """

    gain_db: tuple[float, float] = (-6.0, 6.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("gain_db", self.gain_db)

    def _apply(self, x: np.ndarray, *, sample_rate: float | None, rng: np.random.Generator) -> np.ndarray:
        return x * np.float32(10 ** (rng.uniform(*self.gain_db) / 20))


@dataclass(frozen=True, kw_only=True)
class TimeShift(Transform):
    """Roll the sound around by a random part of its length.

    Args:
        shift: Range of the shift as a share of the length, positive is later.
    """

    shift: tuple[float, float] = (-0.5, 0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("shift", self.shift)

    def _apply(self, x: np.ndarray, *, sample_rate: float | None, rng: np.random.Generator) -> np.ndarray:
        return np.roll(x, round(rng.uniform(*self.shift) * len(x)), axis=0)
