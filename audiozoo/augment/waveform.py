"""Transforms of the level, the timing and the channels of a waveform ``(samples,)`` or ``(samples, channels)``."""

from __future__ import annotations

import math
from abc import ABC
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from audiozoo import audio
from audiozoo.augment.transform import Drawn, Leaf, Range, between
from audiozoo.checks import require_choice, require_number

_INFINITY = math.inf
_LEAST_LEVEL = 1e-30
_LEAST_DURATION = 1e-6  # seconds
SHARE = (0.0, 1.0)
ANY = (-math.inf, math.inf)
DECIBELS = (-200.0, 200.0)
"""Limits of every range in dB: beyond the range of hearing, and representable in single precision."""


@dataclass(frozen=True, kw_only=True)
class WaveTransform(Leaf, ABC):
    """A random change of a waveform.

    A subclass lists its ranges in `RANGES` and defines `_apply`, which receives one number drawn from each range.

    Transforms that compute with the samples raise a ValueError for NaN or infinity. Transforms that only move, scale or drop
    samples do not check them (`MEASURES` is false), and NaN stays NaN.

    Raises:
        ValueError: When called: `x` is not a waveform (a ``(channels, samples)`` array is refused, see
            `audiozoo.audio.check_wave`), or the sample rate is missing.
    """

    MEASURES: ClassVar[bool] = True
    """Whether the transform computes with the samples, so that they must be finite."""

    NEEDS_RATE: ClassVar[bool] = False
    """Whether the transform needs the sample rate, because a field is in seconds or hertz."""

    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        if sample_rate is None:
            if self.NEEDS_RATE:
                raise ValueError(f"{type(self).__name__} needs sample_rate (Hz): pass for example sample_rate=44100")
        elif not 0 < sample_rate < _INFINITY:
            raise ValueError(f"{type(self).__name__}: sample_rate must be a positive number (Hz), got {sample_rate}")
        if not self.MEASURES and x.ndim == 1 and x.size:
            return x  # the checks below cannot fail for it, and they take as long as the fastest transforms
        name = type(self).__name__
        if x.ndim == 3:
            raise ValueError(
                f"{name} changes waveforms (samples[, channels]), got shape {x.shape}: apply it before the frontend"
            )
        x = audio.check_layout(x, name=name)
        if self.MEASURES:
            audio.check_samples(x, name=name)
        return x


def level_of(wave: np.ndarray) -> float:
    """Return the root mean square of all samples."""
    flat = wave.ravel()
    return math.sqrt(float(np.dot(flat, flat)) / flat.size)


def peak_of(wave: np.ndarray) -> float:
    """Return the largest absolute value."""
    return float(max(wave.max(), -wave.min()))


def fitted(wave: np.ndarray, samples: int) -> np.ndarray:
    """Cut the end of a waveform or append zeros, so that it has `samples` samples."""
    return wave if len(wave) == samples else audio.fit(wave, samples, crop="start")


@dataclass(frozen=True, kw_only=True)
class Gain(WaveTransform):
    """Change the level.

    Args:
        gain_db: Range of the gain (dB).
    """

    MEASURES = False
    RANGES: ClassVar = {"gain_db": DECIBELS}

    gain_db: Range = (-6.0, 6.0)

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, gain_db: float) -> np.ndarray:
        return x * 10 ** (gain_db / 20)


@dataclass(frozen=True, kw_only=True)
class Normalize(WaveTransform):
    """Scale the sound to a level. Digital silence is unchanged.

    Args:
        level_db: Range of the target level (dBFS).
        measure: Measure of the level: "peak", the largest absolute value, or "rms", the root mean square.
    """

    RANGES: ClassVar = {"level_db": DECIBELS}

    level_db: Range = (-1.0, -1.0)
    measure: Literal["peak", "rms"] = "peak"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("measure", self.measure, ("peak", "rms"))

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, level_db: float) -> np.ndarray:
        level = level_of(x) if self.measure == "rms" else peak_of(x)
        # Below this level the factor would overflow single precision, so the sound counts as silence.
        return x * np.float32(10 ** (level_db / 20) / level) if level > _LEAST_LEVEL else x


@dataclass(frozen=True, kw_only=True)
class PolarityInversion(WaveTransform):
    """Flip the sign of every sample. The result sounds the same, which a network on waveforms has to learn."""

    MEASURES = False

    def _apply(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        return -x


@dataclass(frozen=True, kw_only=True)
class Reverse(WaveTransform):
    """Play the sound backwards."""

    MEASURES = False

    def _apply(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        return x[::-1].copy()


@dataclass(frozen=True, kw_only=True)
class Clipping(WaveTransform, formerly="Clip"):
    """Clip the samples at a threshold, as an overdriven microphone does.

    Args:
        threshold_db: Range of the threshold relative to the peak of the sound (dB, at most 0).
    """

    RANGES: ClassVar = {"threshold_db": (-math.inf, 0.0)}

    threshold_db: Range = (-20.0, -3.0)

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, threshold_db: float) -> np.ndarray:
        limit = np.float32(peak_of(x) * 10 ** (threshold_db / 20))
        return np.clip(x, -limit, limit)


@dataclass(frozen=True, kw_only=True)
class TimeShift(WaveTransform):
    """Shift the sound in time. The length is unchanged.

    Args:
        shift: Range of the shift as a fraction of the length; positive values delay the sound.
        mode: Filling of the gap: "roll" for the samples shifted out at the other end, "pad" for zeros.
    """

    MEASURES = False
    RANGES: ClassVar = {"shift": (-1.0, 1.0)}

    shift: Range = (-0.5, 0.5)
    mode: Literal["roll", "pad"] = "roll"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("mode", self.mode, ("roll", "pad"))

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, shift: float) -> np.ndarray:
        samples = round(shift * len(x))
        if self.mode == "roll":
            return np.concatenate([x[len(x) - samples % len(x) :], x[: len(x) - samples % len(x)]])
        moved = np.zeros_like(x)
        moved[max(0, samples) : len(x) + min(0, samples)] = x[max(0, -samples) : len(x) - max(0, samples)]
        return moved


@dataclass(frozen=True, kw_only=True)
class Crop(WaveTransform):
    """Keep a random excerpt. A sound that is not longer than the excerpt is unchanged.

    Args:
        duration: Length of the excerpt (seconds).
        keep_length: Whether zeros are appended up to the original length.

    Raises:
        ValueError: `duration` is not positive.
    """

    MEASURES = False
    NEEDS_RATE = True

    duration: float = 1.0
    keep_length: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("duration (seconds)", self.duration, _LEAST_DURATION)

    def _samples(self, sample_rate: float) -> int:
        return max(1, round(self.duration * sample_rate))

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        assert sample_rate is not None
        return {"start": int(rng.integers(max(0, len(x) - self._samples(sample_rate)) + 1))}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, start: int) -> np.ndarray:
        assert sample_rate is not None
        stretch = x[start : start + self._samples(sample_rate)]
        return fitted(stretch, len(x)) if self.keep_length else stretch.copy()


@dataclass(frozen=True, kw_only=True)
class Pad(WaveTransform):
    """Extend the sound to a duration. A longer sound is unchanged.

    Args:
        duration: Minimum length of the output (seconds).
        mode: Padding: "zero" for silence, "repeat" for repetitions of the sound.
        place: Position of the sound in the output: "start", or "random" with padding on both sides.

    Raises:
        ValueError: `duration` is not positive, or `mode` or `place` is not one of the words above.
    """

    MEASURES = False
    NEEDS_RATE = True

    duration: float = 1.0
    mode: Literal["zero", "repeat"] = "zero"
    place: Literal["start", "random"] = "start"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("duration (seconds)", self.duration, _LEAST_DURATION)
        require_choice("mode", self.mode, ("zero", "repeat"))
        require_choice("place", self.place, ("start", "random"))

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        assert sample_rate is not None
        missing = max(0, round(self.duration * sample_rate) - len(x))
        return {"before": int(rng.integers(missing + 1)) if self.place == "random" else 0}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, before: int) -> np.ndarray:
        assert sample_rate is not None
        missing = max(0, round(self.duration * sample_rate) - len(x))
        widths = ((before, missing - before),) + ((0, 0),) * (x.ndim - 1)
        return np.pad(x, widths, mode="constant" if self.mode == "zero" else "wrap") if missing else x


@lru_cache(maxsize=8)
def _ramp(samples: int, ndim: int) -> np.ndarray:
    """Return a linear fade-in from 0 towards 1 that broadcasts over the channels."""
    return (np.arange(samples, dtype=np.float32) / samples).reshape(-1, *[1] * (ndim - 1))


@dataclass(frozen=True, kw_only=True)
class TimeMask(WaveTransform):
    """Silence a random part of the sound.

    Args:
        width: Range of the length of the silence, as a fraction of the sound's length.
        fade: Length of the fades at both ends of the silence, which avoid clicks (seconds); at most half of the silence.

    Raises:
        ValueError: `fade` is negative.
    """

    MEASURES = False
    NEEDS_RATE = True
    RANGES: ClassVar = {"width": SHARE}

    width: Range = (0.0, 0.2)
    fade: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("fade (seconds)", self.fade, 0)

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        width = round(between(rng, self.width) * len(x))
        return {"start": int(rng.random() * (len(x) - width + 1)), "samples": width}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, start: int, samples: int) -> np.ndarray:
        assert sample_rate is not None
        stop, faded = start + samples, min(round(self.fade * sample_rate), samples // 2)
        silent, heard = start + faded, stop - faded
        out = np.empty_like(x)  # not a copy: the silenced samples need not be read
        out[:start], out[silent:heard], out[stop:] = x[:start], 0, x[stop:]
        if faded:
            ramp = _ramp(faded, x.ndim)
            np.multiply(x[start:silent], ramp[::-1], out[start:silent])
            np.multiply(x[heard:stop], ramp, out[heard:stop])
        return out


@dataclass(frozen=True, kw_only=True)
class ChannelSwap(WaveTransform):
    """Put the channels into a random order other than the original one; two channels are always swapped.

    Raises:
        ValueError: When called: the sound has only one channel.
    """

    MEASURES = False

    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        x = super()._checked(x, sample_rate)
        if x.ndim == 1 or x.shape[1] < 2:
            raise ValueError(
                f"ChannelSwap needs at least 2 channels, got shape {x.shape}: read the sound with all its channels, "
                "or remove the transform"
            )
        return x

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        channels = x.shape[1]
        order = rng.permutation(channels)
        # With the original order, the sound would be unchanged more often than 1 - p.
        return {"order": (np.roll(order, 1) if (order == np.arange(channels)).all() else order).tolist()}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, order: list[int]) -> np.ndarray:
        return x[:, order]


@dataclass(frozen=True, kw_only=True)
class Downmix(WaveTransform):
    """Replace the channels by their mean. A mono sound is unchanged.

    Args:
        keep_channels: Whether the output has as many channels as the input, all equal; otherwise it is ``(samples,)``.
    """

    keep_channels: bool = True

    def _apply(self, x: np.ndarray, sample_rate: float | None, **drawn: Any) -> np.ndarray:
        mean = audio.set_channels(x, 1)
        return np.repeat(mean[:, None], x.shape[1], axis=1) if self.keep_channels and x.ndim == 2 else mean
