"""Transforms of a spectral feature ``(bands, frames[, channels])``. Those with a field in dB expect a feature in dB."""

from __future__ import annotations

import math
from abc import ABC
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audiozoo.augment.noise import fast_generator, gaussian
from audiozoo.augment.transform import Drawn, Leaf, Range, Transform, finite
from audiozoo.augment.waveform import ANY, DECIBELS
from audiozoo.checks import require_choice, require_count, require_counts, require_number

Fill = Literal["mean", "floor"]


@dataclass(frozen=True, kw_only=True)
class SpectralTransform(Leaf, ABC):
    """A random change of a spectral feature.

    A subclass lists its ranges in `RANGES` and defines `_apply`, which receives one number drawn from each range.

    Raises:
        ValueError: When called: `x` is not a spectral feature, not floating point, empty, or contains NaN or infinity.
    """

    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        name = type(self).__name__
        if x.ndim not in (2, 3) or not x.size:
            raise ValueError(
                f"{name} changes spectral features (bands, frames[, channels]), got shape {x.shape}: "
                "use another transform for a model on vectors or waveforms"
            )
        return finite(x, f"the feature that {name} changes")


def _filling(x: np.ndarray, fill: Fill) -> np.ndarray:
    """Return the fill value of each channel. Channels differ: one may be in dB and the next one its derivative."""
    return x.mean((0, 1), dtype=np.float64).astype(np.float32) if fill == "mean" else x.min((0, 1))


def require_waves(transform: Transform, name: str) -> None:
    """Raise a ValueError if a part of `transform` changes features: to it, a stereo waveform would look like a feature."""
    if spectral := [part for part in transform.parts() if isinstance(part, SpectralTransform)]:
        raise ValueError(
            f"{name} changes waveforms, but {type(spectral[0]).__name__} changes spectral features: apply it after the "
            "frontend, with a recipe's augment_features"
        )


def _column(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Reshape one value per band so that it broadcasts over the frames and channels."""
    return values.astype(np.float32).reshape(-1, *(1,) * (x.ndim - 1))


@dataclass(frozen=True, kw_only=True)
class TimeRoll(SpectralTransform):
    """Shift the frames circularly in time.

    Args:
        shift: Range of the shift as a fraction of the length; positive values shift to later frames.
    """

    RANGES: ClassVar = {"shift": (-1.0, 1.0)}

    shift: Range = (-0.5, 0.5)

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, shift: float) -> np.ndarray:
        return np.roll(x, round(shift * x.shape[1]), axis=1)


@dataclass(frozen=True, kw_only=True)
class FrequencyShift(SpectralTransform):
    """Shift the feature up or down by some bands. On a mel or octave scale this resembles a change of pitch.

    Args:
        bands: Range of the shift (bands, integers); positive values shift up.
        fill: Fill value at the edge: "floor", the minimum of each channel, or "mean".
    """

    RANGES: ClassVar = {"bands": ANY}

    bands: tuple[int, int] = (-4, 4)
    fill: Fill = "floor"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("fill", self.fill, ("mean", "floor"))
        require_counts("bands", self.bands)

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        return {"bands": int(rng.integers(self.bands[0], self.bands[1] + 1))}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, bands: int) -> np.ndarray:
        moved = np.full_like(x, _filling(x, self.fill))
        bands = max(-len(x), min(len(x), bands))
        moved[max(0, bands) : len(x) + min(0, bands)] = x[max(0, -bands) : len(x) - max(0, bands)]
        return moved


@dataclass(frozen=True, kw_only=True)
class SpecNoise(SpectralTransform):
    """Add Gaussian noise to every value.

    Args:
        deviation: Range of the standard deviation of the noise, as a fraction of each channel's standard deviation; a constant
            channel is unchanged.
    """

    RANGES: ClassVar = {"deviation": (0.0, math.inf)}

    deviation: Range = (0.0, 0.2)

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        return {**super()._draw(x, rng, sample_rate), "seed": int(rng.integers(2**32))}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, deviation: float, seed: int) -> np.ndarray:
        noise = gaussian(x.shape, fast_generator(seed))
        noise *= (deviation * x.std((0, 1), dtype=np.float64)).astype(np.float32)
        noise += x
        return noise


@dataclass(frozen=True, kw_only=True)
class SpecAugment(SpectralTransform):
    """Mask random bands and frames, and warp time.

    Args:
        freq_masks: Number of frequency masks.
        freq_width: Maximum width of a frequency mask, as a fraction of the bands; each width is drawn from 0 to this.
        time_masks: Number of time masks.
        time_width: Maximum width of a time mask, as a fraction of the frames.
        fill: Value of masked elements: "mean" or "floor" (the minimum), of each channel.
        time_warp: Maximum distance by which a random point in time is moved, as a fraction of the frames; the feature is
            stretched on one side of it and compressed on the other. 0 disables warping.

    Raises:
        ValueError: A number of masks is negative, a width or `time_warp` is not within 0 to 1, or `fill` is another word.

    Source: Park et al., SpecAugment, arXiv:1904.08779. There, widths are in bands and frames, and the warp is two-dimensional.
    """

    freq_masks: int = 2
    freq_width: float = 0.125
    time_masks: int = 2
    time_width: float = 0.1
    fill: Fill = "mean"
    time_warp: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("fill", self.fill, ("mean", "floor"))
        for name in ("freq_masks", "time_masks"):
            require_count(name, getattr(self, name))
        for name in ("freq_width", "time_width", "time_warp"):
            require_number(name, getattr(self, name), 0, 1)

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        bands, frames = x.shape[:2]
        warp = [rng.random(), rng.uniform(-self.time_warp, self.time_warp)] if self.time_warp else None
        return {
            "bands": [_stretch(rng, bands, self.freq_width) for _ in range(self.freq_masks)],
            "frames": [_stretch(rng, frames, self.time_width) for _ in range(self.time_masks)],
            **({"warp": warp} if warp else {}),
        }

    def _apply(
        self,
        x: np.ndarray,
        sample_rate: float | None,
        *,
        bands: list[list[int]],
        frames: list[list[int]],
        warp: list[float] | None = None,
    ) -> np.ndarray:
        fill = _filling(x, self.fill)
        x = _warped(x, *warp) if warp else x.copy()
        for start, stop in bands:
            x[start:stop] = fill
        for start, stop in frames:
            x[:, start:stop] = fill
        return x


def _stretch(rng: np.random.Generator, length: int, widest: float) -> list[int]:
    width = int(rng.integers(round(widest * length) + 1))
    start = int(rng.integers(length - width + 1))
    return [start, start + width]


def _warped(x: np.ndarray, point: float, shift: float) -> np.ndarray:
    """Move a point in time by `shift` (both are fractions of the frames), with the two ends fixed."""
    last = x.shape[1] - 1
    # The moved point stays away from the ends, where one side would be compressed to nothing; a single frame has last = 0.
    target = min(0.99, max(0.01, point + shift)) * last
    origin = np.interp(np.arange(last + 1), [0, target, max(last, 1e-9)], [0, min(0.99, max(0.01, point)) * last, last])
    before = np.minimum(origin.astype(int), max(0, last - 1))
    share = (origin - before).astype(np.float32).reshape(1, -1, *(1,) * (x.ndim - 2))
    return x[:, before] * (1 - share) + x[:, np.minimum(before + 1, last)] * share


@dataclass(frozen=True, kw_only=True)
class FilterAugment(SpectralTransform):
    """Apply a random frequency response, as another room or microphone would.

    Args:
        gain_db: Range of the gains (dB).
        knots: Range of the number of random bands that get a gain of their own, at least 1; 1 gives the same gain to all bands.
        form: Interpolation between these bands: "linear", or "step", which keeps each gain up to the next band.
        channels: Number of channels in dB, counted from the first; `None` for all. Set it if the frontend appends deltas, which
            a gain does not change.

    Raises:
        ValueError: `channels` is less than 1, or `form` is another word.

    Source: Nam et al., FilterAugment, arXiv:2107.13260.
    """

    RANGES: ClassVar = {"gain_db": DECIBELS, "knots": (1, math.inf)}

    gain_db: Range = (-6.0, 6.0)
    knots: tuple[int, int] = (2, 5)
    form: Literal["linear", "step"] = "linear"
    channels: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("form", self.form, ("linear", "step"))
        require_counts("knots", self.knots, 1)
        if self.channels is not None:
            require_count("channels", self.channels, 1)

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        count = int(rng.integers(self.knots[0], self.knots[1] + 1))
        places = np.sort(rng.uniform(0, len(x) - 1, count))
        return {"places": places.tolist(), "gains_db": rng.uniform(*self.gain_db, count).tolist()}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, places: list[float], gains_db: list[float]) -> np.ndarray:
        bands = np.arange(len(x))
        if self.form == "linear":
            gains = np.interp(bands, places, gains_db)
        else:
            gains = np.asarray(gains_db)[np.searchsorted(places[1:], bands, side="right")]
        column = _column(gains, x)
        if self.channels is None or x.ndim == 2:
            return x + column
        # The gain adds a constant to each band over time, which changes no delta.
        return x + column * (np.arange(x.shape[2]) < self.channels)
