"""Transforms of a waveform ``(samples,)`` or ``(samples, channels)``: its level, its place in time, its channels."""

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
"""What levels may be: far beyond what is heard, and within single precision."""


@dataclass(frozen=True, kw_only=True)
class WaveTransform(Leaf, ABC):
    """A random change of a waveform.

    A subclass names its ranges in `RANGES` and says in `_apply` what is done with a number drawn from each. Transforms that
    only move, scale or leave out samples do not look at them: NaN stays NaN. All others refuse it.

    Raises:
        ValueError: When called: the array is no waveform (see `audiozoo.audio.check_wave`), or the sample rate is missing.
    """

    MEASURES: ClassVar[bool] = True
    """Whether the transform computes with the samples, so that they must be finite; otherwise they are not looked at."""

    NEEDS_RATE: ClassVar[bool] = False
    """Whether the transform speaks of seconds or hertz."""

    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        if sample_rate is None:
            if self.NEEDS_RATE:
                raise ValueError(f"{type(self).__name__} speaks of seconds or hertz: pass sample_rate=44100, or whatever it is")
        elif not 0 < sample_rate < _INFINITY:
            raise ValueError(f"{type(self).__name__}: sample_rate must be positive, in Hz, got {sample_rate}")
        if not self.MEASURES and x.ndim == 1 and x.size:
            return x  # all that follows would find nothing, and for the fastest transforms it takes as long as they do
        name = type(self).__name__
        if x.ndim == 3:
            raise ValueError(f"{name} changes waveforms (samples[, channels]), got shape {x.shape}: use it before the frontend")
        x = audio.check_layout(x, name=name)
        if self.MEASURES:
            audio.check_samples(x, name=name)
        return x


def level_of(wave: np.ndarray) -> float:
    """Return the root of the mean square of all samples."""
    flat = wave.ravel()
    return math.sqrt(float(np.dot(flat, flat)) / flat.size)


def peak_of(wave: np.ndarray) -> float:
    """Return the largest magnitude."""
    return float(max(wave.max(), -wave.min()))


def fitted(wave: np.ndarray, samples: int) -> np.ndarray:
    """Cut the end off a wave, or add zeros to it."""
    return wave if len(wave) == samples else audio.fit(wave, samples, crop="start")


@dataclass(frozen=True, kw_only=True)
class Gain(WaveTransform):
    """Make the sound louder or softer.

    Args:
        gain_db: Range of the gain in dB.
    """

    MEASURES = False
    RANGES: ClassVar = {"gain_db": DECIBELS}

    gain_db: Range = (-6.0, 6.0)

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, gain_db: float) -> np.ndarray:
        return x * 10 ** (gain_db / 20)


@dataclass(frozen=True, kw_only=True)
class Normalize(WaveTransform):
    """Bring the sound to a level; digital silence stays as it is.

    Args:
        level_db: Range of the level in dB of full scale.
        measure: What is brought there: the largest magnitude, "peak", or the root mean square, "rms".
    """

    RANGES: ClassVar = {"level_db": DECIBELS}

    level_db: Range = (-1.0, -1.0)
    measure: Literal["peak", "rms"] = "peak"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("measure", self.measure, ("peak", "rms"))

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, level_db: float) -> np.ndarray:
        level = level_of(x) if self.measure == "rms" else peak_of(x)
        # What is quieter than single precision can hold is silence: the factor would be infinite.
        return x * np.float32(10 ** (level_db / 20) / level) if level > _LEAST_LEVEL else x


@dataclass(frozen=True, kw_only=True)
class PolarityInversion(WaveTransform):
    """Turn every sample's sign, which no ear hears and a network on waveforms must learn not to."""

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
class Clip(WaveTransform):
    """Cut off what is louder than a threshold, as an overdriven microphone does.

    Args:
        threshold_db: Range of the threshold in dB of the sound's own peak, at most 0.
    """

    RANGES: ClassVar = {"threshold_db": (-math.inf, 0.0)}

    threshold_db: Range = (-20.0, -3.0)

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, threshold_db: float) -> np.ndarray:
        limit = np.float32(peak_of(x) * 10 ** (threshold_db / 20))
        return np.clip(x, -limit, limit)


@dataclass(frozen=True, kw_only=True)
class TimeShift(WaveTransform):
    """Move the sound in time by a random part of its length, which it keeps.

    Args:
        shift: Range of the shift as a share of the length, positive is later.
        mode: What takes the place of what moved: the other end's sound, "roll", or zeros, "pad".
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
    """Keep a random stretch; a sound no longer than that is kept whole.

    Args:
        duration: Length of the stretch in seconds.
        keep_length: Put silence behind it, as much as was cut off.

    Raises:
        ValueError: A duration that is not positive.
    """

    MEASURES = False
    NEEDS_RATE = True

    duration: float = 1.0
    keep_length: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("duration, in seconds,", self.duration, _LEAST_DURATION)

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
    """Lengthen the sound to a duration; one that is longer already is kept as it is.

    Args:
        duration: The least length in seconds.
        mode: What is added: "zero", or the sound itself again and again, "repeat".
        place: Where the sound lies in what comes out: at the "start", or at "random", the rest before and after it.

    Raises:
        ValueError: A duration that is not positive, or another word.
    """

    MEASURES = False
    NEEDS_RATE = True

    duration: float = 1.0
    mode: Literal["zero", "repeat"] = "zero"
    place: Literal["start", "random"] = "start"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("duration, in seconds,", self.duration, _LEAST_DURATION)
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
    """Return a rise from 0 towards 1, the same for every channel."""
    return (np.arange(samples, dtype=np.float32) / samples).reshape(-1, *[1] * (ndim - 1))


@dataclass(frozen=True, kw_only=True)
class TimeMask(WaveTransform):
    """Silence a random stretch.

    Args:
        width: Range of its length as a share of the sound's.
        fade: Seconds over which the sound goes and comes back, so that there is no click; half the stretch at most.

    Raises:
        ValueError: A fade below 0.
    """

    MEASURES = False
    NEEDS_RATE = True
    RANGES: ClassVar = {"width": SHARE}

    width: Range = (0.0, 0.2)
    fade: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("fade, in seconds,", self.fade, 0)

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        width = round(between(rng, self.width) * len(x))
        return {"start": int(rng.random() * (len(x) - width + 1)), "samples": width}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, start: int, samples: int) -> np.ndarray:
        assert sample_rate is not None
        stop, faded = start + samples, min(round(self.fade * sample_rate), samples // 2)
        silent, heard = start + faded, stop - faded
        out = np.empty_like(x)  # and not a copy: what is silenced need not be read
        out[:start], out[silent:heard], out[stop:] = x[:start], 0, x[stop:]
        if faded:
            ramp = _ramp(faded, x.ndim)
            np.multiply(x[start:silent], ramp[::-1], out[start:silent])
            np.multiply(x[heard:stop], ramp, out[heard:stop])
        return out


@dataclass(frozen=True, kw_only=True)
class ChannelSwap(WaveTransform):
    """Put the channels into another order, two of them always the other way round.

    Raises:
        ValueError: When called: the sound has one channel.
    """

    MEASURES = False

    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        x = super()._checked(x, sample_rate)
        if x.ndim == 1 or x.shape[1] < 2:
            raise ValueError(
                f"ChannelSwap needs at least 2 channels, got shape {x.shape}: read the sound with its channels, "
                "or leave the transform out"
            )
        return x

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        channels = x.shape[1]
        order = rng.permutation(channels)
        # The order that changes nothing would make p a lie.
        return {"order": (np.roll(order, 1) if (order == np.arange(channels)).all() else order).tolist()}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, order: list[int]) -> np.ndarray:
        return x[:, order]


@dataclass(frozen=True, kw_only=True)
class Downmix(WaveTransform):
    """Replace each channel by the mean of all; a sound of one channel stays as it is.

    Args:
        keep_channels: Whether as many channels as before come out, all alike, or ``(samples,)``.
    """

    keep_channels: bool = True

    def _apply(self, x: np.ndarray, sample_rate: float | None, **drawn: Any) -> np.ndarray:
        mean = audio.set_channels(x, 1)
        return np.repeat(mean[:, None], x.shape[1], axis=1) if self.keep_channels and x.ndim == 2 else mean
