"""Transforms of a whole batch: examples ``(batch, ...)`` with label weights ``(batch, classes)``, both mixed."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from audiozoo.augment.transform import Rng, finite, generator, make_plain
from audiozoo.checks import require_number
from audiozoo.config import Configured

_LEAST_ALPHA = 1e-6
_SILENCE_DB = -80.0  # what counts as the level of a clip that has none


@dataclass(frozen=True, kw_only=True)
class Mix(Configured, ABC):
    """A mixture of a batch with other examples of itself.

    Args:
        p: Share of the examples that are mixed at all.

    Raises:
        ValueError: `p` is no probability.
    """

    PACKAGE = "audiozoo.augment"

    p: float = 1.0

    def __post_init__(self) -> None:
        require_number("the probability p", self.p, 0, 1)
        object.__setattr__(self, "p", float(self.p))
        make_plain(self)

    def __call__(
        self, x: np.ndarray, y: np.ndarray, *, rng: Rng, sample_rate: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return mixed copies of the examples and of their label weights.

        Args:
            x: Waveforms ``(batch, samples[, channels])`` or features ``(batch, bands, frames, channels)``, floating point.
            y: Label weights ``(batch, classes)``: one-hot, or soft already.
            rng: A generator, or a seed such as ``(seed, epoch, batch, 1)``: not one that a transform is called with, which
                begins with the same numbers.
            sample_rate: Hz; needed by mixtures that measure loudness.

        Returns:
            float32 arrays of the same shapes.

        Raises:
            ValueError: The arrays are not as said here, or the sample rate is missing.
        """
        x, y = _checked(x, y)
        rng = generator(rng)
        return self._mix(x, y, rng, sample_rate)

    @abstractmethod
    def _mix(
        self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, sample_rate: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mix float32 arrays."""

    def _chosen(self, examples: int, rng: np.random.Generator) -> np.ndarray:
        return rng.random(examples) < self.p


def _checked(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x), np.asarray(y)
    if y.ndim != 2 or x.ndim < 2 or len(x) != len(y) or not x.size:
        raise ValueError(
            f"a batch is examples (batch, ...) with label weights (batch, classes), got {x.shape} with {y.shape}: "
            "turn class numbers into weights with numpy.eye(classes)[y]"
        )
    return finite(x, "the examples of a batch"), finite(y.astype(np.float32, copy=False), "the label weights of a batch")


def _blend(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weight = _each(weight, first)
    return first * weight + second * (1 - weight)


def _each(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Shape one value for each example so that it meets all of that example."""
    return values.astype(np.float32).reshape(-1, *(1,) * (x.ndim - 1))


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

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("alpha", self.alpha, _LEAST_ALPHA)

    def _mix(
        self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, sample_rate: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        weight = rng.beta(self.alpha, self.alpha, len(x)).astype(np.float32)
        weight = np.where(self._chosen(len(x), rng), weight, np.float32(1))
        other = rng.permutation(len(x))
        return _blend(x, x[other], weight), _blend(y, y[other], weight)


@dataclass(frozen=True, kw_only=True)
class CutMix(Mix):
    """Replace a stretch of time by that of another example; the labels by the share of time.

    Args:
        alpha: The share is drawn from Beta(alpha, alpha); 1 draws every share alike.
        axis: The axis of time; `None` is 2 for features ``(batch, bands, frames, channels)`` and 1 for waveforms. Features
            without an axis of channels need ``axis=2``.
        p: Share of the examples that are mixed at all.

    Raises:
        ValueError: `alpha` is not positive, or `p` is no probability. When called: there is no such axis.

    Source: Yun et al., CutMix, arXiv:1905.04899, along time instead of in a square.
    """

    alpha: float = 1.0
    axis: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("alpha", self.alpha, _LEAST_ALPHA)

    def _mix(
        self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, sample_rate: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        axis = (2 if x.ndim == 4 else 1) if self.axis is None else self.axis
        if not 1 <= axis < x.ndim:
            raise ValueError(f"CutMix needs the axis of time, from 1 to {x.ndim - 1} of a batch {x.shape}, got axis={axis}")
        length = x.shape[axis]
        width = np.round(rng.beta(self.alpha, self.alpha, len(x)) * length).astype(int) * self._chosen(len(x), rng)
        start = rng.integers(length - width + 1)
        other = rng.permutation(len(x))
        time = np.arange(length)
        taken = (time >= start[:, None]) & (time < (start + width)[:, None])
        shape = [len(x), *(length if place == axis else 1 for place in range(1, x.ndim))]
        return np.where(taken.reshape(shape), x[other], x), _blend(y, y[other], 1 - width / length)


@dataclass(frozen=True, kw_only=True)
class SameClassMix(Mix):
    """Add another example of the same class, at any ratio; labels stay as they are.

    An example whose class has no other in the batch stays as it is. A class is the label with the largest weight.

    Args:
        p: Share of the examples that are mixed at all.
    """

    def _mix(
        self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, sample_rate: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        classes = y.argmax(axis=1)
        other = _partners(classes[:, None] == classes, rng)
        weight = np.where(self._chosen(len(x), rng), rng.random(len(x)), 1)
        return _blend(x, x[other], weight), y.copy()


@dataclass(frozen=True, kw_only=True)
class BetweenClass(Mix):
    """Mix waveforms of two different classes so that they are heard in the ratio of their labels.

    The ratio is drawn evenly from 0 to 1. Amplitudes follow from it and from the A-weighted level of the loudest frame of each;
    the energy is kept. A silent waveform counts as 80 dB below full scale. An example of a batch with one class stays as it is.

    Args:
        p: Share of the examples that are mixed at all.

    Raises:
        ValueError: When called: these are no waveforms ``(batch, samples[, channels])``, or the sample rate is missing.

    Source: Tokozume, Ushiku, Harada, "Learning from between-class examples for deep sound recognition", arXiv:1711.10282.
    """

    def _mix(
        self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, sample_rate: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if x.ndim > 3 or sample_rate is None or not 0 < sample_rate < math.inf:
            raise ValueError(
                f"BetweenClass mixes waveforms (batch, samples[, channels]) and needs their sample_rate in Hz, got {x.shape} "
                f"and sample_rate={sample_rate}: use it before the frontend"
            )
        classes = y.argmax(axis=1)
        other = _partners(classes[:, None] != classes, rng)
        mixed = self._chosen(len(x), rng) & (other != np.arange(len(x)))
        ratio = np.where(mixed, rng.random(len(x)), 1)
        levels = np.array([loudest_frame_db(wave, sample_rate) for wave in x])
        # The ratio of amplitudes in which both are heard as the labels say; 0 would be divided by.
        share = 1 / (1 + 10 ** ((levels - levels[other]) / 20) * (1 - ratio) / np.maximum(ratio, 1e-9))
        energy = np.sqrt(share**2 + (1 - share) ** 2)
        return _blend(x, x[other], share) / _each(energy, x), _blend(y, y[other], ratio)


def _partners(allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw for each example another among those allowed ``(batch, batch)``; itself where there is none."""
    allowed = allowed & ~np.eye(len(allowed), dtype=bool)
    chances = np.where(allowed, rng.random(allowed.shape), -1)
    return np.where(allowed.any(axis=1), chances.argmax(axis=1), np.arange(len(allowed)))


def loudest_frame_db(wave: np.ndarray, sample_rate: float) -> float:
    """Measure the A-weighted level of a waveform's loudest frame, of its loudest channel.

    Frames are 2,048 samples long, above 32 kHz 4,096, and begin every half of that. Levels are comparable with each other at
    one rate, in dB, and -80 at least.
    """
    from audiozoo import spectrum

    n_fft = 2_048 if sample_rate <= 32_000 else 4_096
    stft = spectrum.Stft(n_fft=n_fft, hop_length=n_fft // 2, win_length=n_fft)
    channels = wave.reshape(len(wave), -1).T
    bank = _a_weighted(float(sample_rate), n_fft)
    power = max(float(spectrum.filtered_spectrogram(channel, stft, bank).max()) for channel in channels)
    # A sine of full scale has a quarter of the window's sum squared in its bin, times 1.5 in all bins of a Hann window.
    return max(_SILENCE_DB, 10 * math.log10(max(power / (1.5 * (n_fft / 4) ** 2), 1e-30)))


@lru_cache(maxsize=8)
def _a_weighted(sample_rate: float, n_fft: int):  # type: ignore[no-untyped-def]
    from audiozoo import spectrum

    return spectrum.Filterbank(spectrum.a_weighting(np.fft.rfftfreq(n_fft, 1 / sample_rate))[None].astype(np.float32))
