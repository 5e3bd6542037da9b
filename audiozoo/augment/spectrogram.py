"""Transforms of a spectral feature ``(bands, frames, channels)``; those that speak of dB expect a feature in dB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiozoo.augment.compose import Transform, check_range


@dataclass(frozen=True, kw_only=True)
class _Spectral(Transform):
    def __call__(self, x: np.ndarray, *, sample_rate: float | None = None, rng: np.random.Generator) -> np.ndarray:
        if x.ndim not in (2, 3):
            raise ValueError(
                f"{type(self).__name__} changes spectral features (bands, frames[, channels]), got shape {x.shape}: "
                "a model on vectors or waveforms needs another transform"
            )
        return super().__call__(x, sample_rate=sample_rate, rng=rng)


@dataclass(frozen=True, kw_only=True)
class TimeRoll(_Spectral):
    """Roll the frames around by a random part of the length.

    Args:
        shift: Range of the shift as a share of the length, positive is later.
    """

    shift: tuple[float, float] = (-0.5, 0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("shift", self.shift)

    def _apply(self, x: np.ndarray, *, sample_rate: float | None, rng: np.random.Generator) -> np.ndarray:
        return np.roll(x, round(rng.uniform(*self.shift) * x.shape[1]), axis=1)


@dataclass(frozen=True, kw_only=True)
class SpecAugment(_Spectral):
    """Blank random stretches of bands and of frames with the feature's mean.

    Args:
        freq_masks: Number of masks over bands.
        freq_width: Widest mask, as a share of the bands; the width is drawn from 0 to this.
        time_masks: Number of masks over frames.
        time_width: Widest mask, as a share of the frames.

    Raises:
        ValueError: A number below 0, or a width that is no share from 0 to 1.

    Source: Park et al., SpecAugment, arXiv:1904.08779, without its time warping.
    """

    freq_masks: int = 2
    freq_width: float = 0.125
    time_masks: int = 2
    time_width: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.freq_masks, self.time_masks) < 0 or not (0 <= self.freq_width <= 1 and 0 <= self.time_width <= 1):
            raise ValueError(f"numbers of masks must be at least 0 and widths shares from 0 to 1, got {self}")

    def _apply(self, x: np.ndarray, *, sample_rate: float | None, rng: np.random.Generator) -> np.ndarray:
        x, fill = x.copy(), x.mean()
        for _ in range(self.freq_masks):
            x[_stretch(rng, x.shape[0], self.freq_width)] = fill
        for _ in range(self.time_masks):
            x[:, _stretch(rng, x.shape[1], self.time_width)] = fill
        return x


def _stretch(rng: np.random.Generator, length: int, widest: float) -> slice:
    width = int(rng.integers(round(widest * length) + 1))
    start = int(rng.integers(length - width + 1))
    return slice(start, start + width)


@dataclass(frozen=True, kw_only=True)
class FilterAugment(_Spectral):
    """Colour the sound: gains at random bands, joined by straight lines, as another room or microphone would.

    Args:
        gain_db: Range of the gains in dB.
        knots: Range of the number of bands that get a gain, at least 1; 1 is a plain gain.

    Source: Nam et al., FilterAugment, arXiv:2107.13260, its linear form.
    """

    gain_db: tuple[float, float] = (-6.0, 6.0)
    knots: tuple[int, int] = (2, 5)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("gain_db", self.gain_db)
        check_range("knots", self.knots)
        if self.knots[0] < 1:
            raise ValueError(f"knots must be at least 1, got {self.knots}")

    def _apply(self, x: np.ndarray, *, sample_rate: float | None, rng: np.random.Generator) -> np.ndarray:
        count = int(rng.integers(self.knots[0], self.knots[1] + 1))
        places = np.sort(rng.uniform(0, len(x) - 1, count))
        gains = np.interp(np.arange(len(x)), places, rng.uniform(*self.gain_db, count))
        return x + gains.astype(np.float32).reshape(-1, *(1,) * (x.ndim - 1))
