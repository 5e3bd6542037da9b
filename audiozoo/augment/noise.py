"""Transforms that add synthetic noise or recordings to a waveform."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np

from audiozoo import audio
from audiozoo.augment.recordings import choose_recording, read_stretch
from audiozoo.augment.transform import Drawn, Range, between
from audiozoo.augment.waveform import DECIBELS, WaveTransform, level_of
from audiozoo.checks import require_choice, require_path

Color = Literal["white", "pink", "brown"]

_LOWEST = 20.0  # Hz
_SLOPES = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""Exponents of the amplitude's decay 1/f**slope: 0, 3 and 6 dB less per octave."""


@dataclass(frozen=True, kw_only=True)
class AddNoise(WaveTransform):
    """Add synthetic noise.

    The signal-to-noise ratio is that of the mean squares over the whole length. Digital silence has no such ratio and is
    unchanged.

    Args:
        snr_db: Range of the signal-to-noise ratio (dB).
        color: "white", "pink" (3 dB less per octave) or "brown" (6 dB less), or a tuple of them, from which each call draws
            one. Pink and brown noise have no energy below 20 Hz, where otherwise most of it would be, inaudibly.

    Raises:
        ValueError: `color` is not one of these. When called: pink or brown noise without a sample rate.
    """

    RANGES: ClassVar = {"snr_db": DECIBELS}

    snr_db: Range = (5.0, 40.0)
    color: Color | tuple[Color, ...] = "white"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.color, Sequence) and not isinstance(self.color, str):
            object.__setattr__(self, "color", tuple(self.color))
        for color in self._colors or ("none",):
            require_choice("color", color, list(_SLOPES))

    @property
    def _colors(self) -> tuple[str, ...]:
        return self.color if isinstance(self.color, tuple) else (self.color,)

    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        if sample_rate is None and set(self._colors) != {"white"}:
            raise ValueError("AddNoise needs sample_rate (Hz) for pink and brown noise: pass for example sample_rate=44100")
        return super()._checked(x, sample_rate)

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        color = self._colors[rng.integers(len(self._colors))]
        return {"snr_db": between(rng, self.snr_db), "color": color, "seed": int(rng.integers(2**32))}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, snr_db: float, color: str, seed: int) -> np.ndarray:
        return _added(x, colored_noise(x.shape, color, fast_generator(seed), sample_rate), snr_db)


def fast_generator(seed: int) -> np.random.Generator:
    """Return a generator for long noise. Its seed is drawn and recorded, so that the noise can be made again from `drawn`."""
    return np.random.Generator(np.random.SFC64(seed))


def colored_noise(shape: tuple[int, ...], color: str, rng: np.random.Generator, sample_rate: float | None) -> np.ndarray:
    """Make Gaussian noise.

    Args:
        shape: Shape of the noise, ``(samples,)`` or ``(samples, channels)``.
        color: "white", "pink" or "brown".
        rng: Random generator.
        sample_rate: Sample rate (Hz); may be `None` for white noise.

    Returns:
        float32 noise of an arbitrary level, with independent channels.
    """
    slope = _SLOPES[color]
    if not slope:
        return gaussian(shape, rng)
    from scipy.fft import irfft, next_fast_len

    length = next_fast_len(shape[0], real=True)
    bins = 1 + length // 2
    parts = gaussian((*shape[1:], bins, 2), rng)
    assert sample_rate is not None
    spectrum = parts.view(np.complex64)[..., 0] * _weights(bins, slope, math.ceil(_LOWEST * length / sample_rate))
    return np.ascontiguousarray(irfft(spectrum, length)[..., : shape[0]].T)


def gaussian(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw float32 normal deviates with the Box-Muller method on whole arrays, more than twice as fast as NumPy's ziggurat."""
    count = math.prod(shape)
    half = (count + 1) // 2
    radius, angle = rng.random((2, half), np.float32)
    np.subtract(1, radius, out=radius)  # the logarithm needs (0, 1], and random gives [0, 1)
    np.log(radius, out=radius)
    radius *= -2
    np.sqrt(radius, out=radius)
    angle *= np.float32(2 * np.pi)
    pairs = np.empty((2, half), np.float32)
    np.cos(angle, out=pairs[0])
    np.sin(angle, out=pairs[1])
    pairs *= radius
    return pairs.ravel()[:count].reshape(shape)


@lru_cache(maxsize=8)
def _weights(bins: int, slope: float, lowest: int) -> np.ndarray:
    weights = np.arange(bins, dtype=np.float32)
    weights[1:] **= -slope
    weights[: min(max(1, lowest), bins - 1)] = 0
    return weights


def _added(x: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Add noise to a sound at a signal-to-noise ratio, in place of `noise`; return `x` itself if either is silent."""
    sound, level = level_of(x), level_of(noise)
    if not sound or not level:
        return x
    noise *= np.float32(sound / level * 10 ** (-snr_db / 20))
    noise += x
    return noise


@dataclass(frozen=True, kw_only=True)
class AddBackground(WaveTransform):
    """Add a random excerpt of a random recording, such as rain or street noise.

    The recording is converted to the sample rate and the number of channels of the sound, and repeated if it is shorter. The
    signal-to-noise ratio is that of the mean squares over the whole length; if the sound or the excerpt is silent, nothing is
    added. Each process lists the folder once.

    Args:
        folder: Folder of recordings, searched at any depth.
        snr_db: Range of the signal-to-noise ratio (dB).

    Raises:
        FileNotFoundError: When called: the folder does not exist.
        ValueError: When called: the folder contains no recordings, or the one drawn cannot be read (the message names it).
    """

    NEEDS_RATE = True
    RECORDINGS = "folder"
    RANGES: ClassVar = {"snr_db": DECIBELS}

    folder: str = field(kw_only=False)
    snr_db: Range = (0.0, 20.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_path("folder", self.folder)
        object.__setattr__(self, "folder", os.fspath(self.folder))

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        return {"file": choose_recording(self.folder, rng), "start": rng.random(), "snr_db": between(rng, self.snr_db)}

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, file: str, start: float, snr_db: float) -> np.ndarray:
        assert sample_rate is not None
        path = os.path.join(self.folder, file)
        channels = 1 if x.ndim == 1 else x.shape[1]
        stretch = read_stretch(path, start, len(x) / sample_rate, sample_rate=round(sample_rate), channels=channels)
        return _added(x, audio.fit(stretch, len(x), pad="repeat", crop="start").reshape(x.shape).copy(), snr_db)
