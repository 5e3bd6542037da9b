"""Transforms of a batch: they mix examples ``(batch, ...)`` and their label weights ``(batch, classes)``."""

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
_SILENCE_DB = -80.0  # level of digital silence, whose logarithm would be minus infinity


@dataclass(frozen=True, kw_only=True)
class Mix(Configured, ABC):
    """A transform that mixes each example of a batch with another example of the batch.

    Args:
        p: Probability that an example is mixed.

    Raises:
        ValueError: `p` is not within 0 to 1.
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
            y: Label weights ``(batch, classes)``, one-hot or soft.
            rng: Random generator, or a seed such as ``(seed, epoch, batch, 1)``. The same seed gives the same draws, so do not
                pass a seed with which a transform is called too.
            sample_rate: Sample rate (Hz). `BetweenClass`, which measures loudness, requires it.

        Returns:
            The mixed examples and the mixed label weights, float32 arrays of the same shapes.

        Raises:
            ValueError: An array does not have the shape or type above, or the sample rate is missing.
        """
        x, y = _checked(x, y)
        rng = generator(rng)
        return self._mix(x, y, rng, sample_rate)

    @abstractmethod
    def _mix(
        self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, sample_rate: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mix float32 arrays that have been checked."""

    def _chosen(self, examples: int, rng: np.random.Generator) -> np.ndarray:
        return rng.random(examples) < self.p


def _checked(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x), np.asarray(y)
    if y.ndim != 2 or x.ndim < 2 or len(x) != len(y) or not x.size:
        raise ValueError(
            f"a batch is examples (batch, ...) and label weights (batch, classes), got shapes {x.shape} and {y.shape}: "
            "convert class numbers to weights with numpy.eye(classes)[y]"
        )
    return finite(x, "the examples of a batch"), finite(y.astype(np.float32, copy=False), "the label weights of a batch")


def _blend(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weight = _each(weight, first)
    return first * weight + second * (1 - weight)


def _each(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Reshape one value per example so that it broadcasts over the example."""
    return values.astype(np.float32).reshape(-1, *(1,) * (x.ndim - 1))


@dataclass(frozen=True, kw_only=True)
class Mixup(Mix):
    """Average two examples and their labels with a weight drawn from Beta(alpha, alpha).

    Args:
        alpha: Parameter of the Beta distribution. Small values leave most examples nearly pure; 1 draws weights uniformly.
        p: Probability that an example is mixed.

    Raises:
        ValueError: `alpha` is not positive, or `p` is not within 0 to 1.

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
    """Replace a segment of time by that of another example, and mix the labels in proportion to the time.

    Args:
        alpha: Parameter of the distribution Beta(alpha, alpha) of the replaced fraction; 1 draws it uniformly.
        axis: Axis of time; `None` is 2 for features ``(batch, bands, frames, channels)`` and 1 for waveforms. Features without
            a channel axis need ``axis=2``.
        p: Probability that an example is mixed.

    Raises:
        ValueError: `alpha` is not positive, or `p` is not within 0 to 1. When called: the batch has no such axis.

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
            raise ValueError(
                f"CutMix needs the axis of time, 1 to {x.ndim - 1} for a batch of shape {x.shape}, got axis={axis}"
            )
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
    """Mix an example with another one of the same class, at a random ratio. The labels are unchanged.

    An example is unchanged if the batch contains no other one of its class. The class of an example is the label with the
    largest weight.

    Args:
        p: Probability that an example is mixed.
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
    """Mix waveforms of two different classes so that their perceived ratio equals the ratio of their labels.

    The ratio is drawn uniformly from 0 to 1. The amplitudes follow from the ratio and from the A-weighted level of the loudest
    frame of each waveform, and the mix is scaled to preserve the energy. A silent waveform has a level of -80 dBFS. An example
    is unchanged if all examples of the batch have its class.

    Args:
        p: Probability that an example is mixed.

    Raises:
        ValueError: When called: the examples are not waveforms ``(batch, samples[, channels])``, or the sample rate is missing.

    Source: Tokozume, Ushiku, Harada, "Learning from between-class examples for deep sound recognition", arXiv:1711.10282.
    """

    def _mix(
        self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator, sample_rate: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if x.ndim > 3 or sample_rate is None or not 0 < sample_rate < math.inf:
            raise ValueError(
                f"BetweenClass mixes waveforms (batch, samples[, channels]) and needs sample_rate (Hz), got shape {x.shape} "
                f"and sample_rate={sample_rate}: apply it before the frontend"
            )
        classes = y.argmax(axis=1)
        other = _partners(classes[:, None] != classes, rng)
        mixed = self._chosen(len(x), rng) & (other != np.arange(len(x)))
        ratio = np.where(mixed, rng.random(len(x)), 1)
        levels = np.array([loudest_frame_db(wave, sample_rate) for wave in x])
        # The amplitude ratio that gives the drawn ratio of perceived levels; the maximum avoids a division by 0.
        share = 1 / (1 + 10 ** ((levels - levels[other]) / 20) * (1 - ratio) / np.maximum(ratio, 1e-9))
        energy = np.sqrt(share**2 + (1 - share) ** 2)
        return _blend(x, x[other], share) / _each(energy, x), _blend(y, y[other], ratio)


def _partners(allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a partner for each example among those allowed ``(batch, batch)``; the example itself if there is none."""
    allowed = allowed & ~np.eye(len(allowed), dtype=bool)
    chances = np.where(allowed, rng.random(allowed.shape), -1)
    return np.where(allowed.any(axis=1), chances.argmax(axis=1), np.arange(len(allowed)))


def loudest_frame_db(wave: np.ndarray, sample_rate: float) -> float:
    """Return the A-weighted level of the loudest frame and channel of a waveform (dB, at least -80).

    Frames have 2,048 samples (4,096 above 32 kHz) and overlap by half. Levels are comparable at one sample rate only.
    """
    from audiozoo import spectrum

    n_fft = 2_048 if sample_rate <= 32_000 else 4_096
    stft = spectrum.Stft(n_fft=n_fft, hop_length=n_fft // 2, win_length=n_fft)
    channels = wave.reshape(len(wave), -1).T
    bank = _a_weighted(float(sample_rate), n_fft)
    power = max(float(spectrum.filtered_spectrogram(channel, stft, bank).max()) for channel in channels)
    # 0 dB is a full-scale sine: its peak bin has (n_fft / 4)**2, and all bins of a Hann window together 1.5 times that.
    return max(_SILENCE_DB, 10 * math.log10(max(power / (1.5 * (n_fft / 4) ** 2), 1e-30)))


@lru_cache(maxsize=8)
def _a_weighted(sample_rate: float, n_fft: int):  # type: ignore[no-untyped-def]
    from audiozoo import spectrum

    return spectrum.Filterbank(spectrum.a_weighting(np.fft.rfftfreq(n_fft, 1 / sample_rate))[None].astype(np.float32))
