"""Cleaning steps, which change a window of sound before a frontend computes its features.

A cleaning step is a frozen value that is called with a wave and its sample rate. As part of a frontend's `prepare` it is saved
with the classifier, which then cleans sounds for prediction as for training. It can also be called on its own.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from audiozoo import audio
from audiozoo.config import Configured

_LOUD = 1e5  # librosa takes any RMS below 1e-5 for silence; a wave with this peak keeps its sound well above that


@dataclass(frozen=True, kw_only=True)
class CleaningStep(Configured, ABC):
    """Base class of cleaning steps: changes of a wave that depend on that wave alone.

    A subclass is a frozen dataclass that defines `_apply`. Its fields are its settings, which are saved with a frontend.
    """

    def __call__(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        """Clean a wave.

        Args:
            wave: Sound in floating point, ``(samples,)`` or ``(samples, channels)``; it is not changed.
            sample_rate: Sample rate (Hz).

        Returns:
            The cleaned wave, float32 and finite, with the same number of channels and at least one sample. Every step
            returns digital silence unchanged. A step that changes nothing may return `wave` itself.

        Raises:
            ValueError: The array is not a valid wave, see `audiozoo.audio.check_wave`.
        """
        wave, sample_rate = audio.check_wave(wave, sample_rate)
        return self.of_checked(wave, sample_rate)

    def of_checked(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        """Clean a wave that `audiozoo.audio.check_wave` has accepted already."""
        # Gains and gates divide by the level of the wave, so silence never reaches a step.
        cleaned = self._apply(wave, sample_rate) if wave.any() else wave
        return np.ascontiguousarray(cleaned, dtype=np.float32)

    @abstractmethod
    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        """Return a cleaned copy of a float32 wave that is not all zeros."""


def __getattr__(name: str) -> Any:
    if name == "Step":
        warnings.warn("Step is deprecated, use CleaningStep", DeprecationWarning, stacklevel=2)
        return CleaningStep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def non_silent(
    wave: np.ndarray, sample_rate: float, *, top_db: float = 60.0, frame_length: int = 2_048, hop_length: int = 512
) -> list[tuple[int, int]]:
    """Find the parts of a wave that are not silent, with ``librosa.effects.split`` on all channels together.

    In contrast to librosa, the result does not depend on the level of the whole wave, and digital silence has no such part.

    Args:
        wave: Sound, ``(samples,)`` or ``(samples, channels)``.
        sample_rate: Sample rate (Hz).
        top_db: Level below the loudest frame at which silence begins (dB).
        frame_length: Length of the frames whose RMS is compared (samples).
        hop_length: Distance between the starts of neighbouring frames (samples), at most half of `frame_length`. The ends of
            the parts are multiples of it.

    Returns:
        The parts in order, each as its first sample and the sample after its last.

    Raises:
        ValueError: The array is not a valid wave, or a setting is out of range.
    """
    _check_silence(top_db, frame_length, hop_length)
    wave, _ = audio.check_wave(wave, sample_rate)
    if not wave.any():
        return []
    from librosa.effects import split

    level = wave.T / np.abs(wave).max() * _LOUD
    parts = split(level, top_db=top_db, frame_length=frame_length, hop_length=hop_length)
    return [(int(start), int(end)) for start, end in parts]


def _check_silence(top_db: float, frame_length: int, hop_length: int) -> None:
    if not 0 < top_db < math.inf:
        raise ValueError(f"top_db must be positive (dB below the loudest frame), got {top_db}")
    whole = isinstance(frame_length, Integral) and isinstance(hop_length, Integral)
    if not (whole and 0 < hop_length <= frame_length // 2):
        raise ValueError(
            "0 < hop_length <= frame_length // 2 must hold in whole samples, so that no sound falls between frames, got "
            f"hop_length={hop_length} and frame_length={frame_length}"
        )


def _kept(wave: np.ndarray, spans: list[tuple[int, int]]) -> np.ndarray:
    """Join spans of a wave; return the whole wave if too little would remain."""
    kept = np.concatenate([wave[:0], *(wave[start:end] for start, end in spans)])
    # Other functions would take a wave with fewer samples than channels for a transposed one.
    return kept if len(kept) >= math.prod(wave.shape[1:]) else wave


@dataclass(frozen=True, kw_only=True)
class TrimSilence(CleaningStep):
    """Cut silence from both ends of a wave, from all channels alike, as ``librosa.effects.trim`` does.

    The result is shorter. A wave that is silent throughout is returned unchanged.

    Args:
        top_db: Level below the loudest frame at which silence begins (dB).
        frame_length: Length of the frames whose RMS is compared (samples).
        hop_length: Distance between the starts of neighbouring frames (samples), at most half of `frame_length`.

    Raises:
        ValueError: A setting is out of range or of a wrong type.
    """

    top_db: float = 60.0
    frame_length: int = 2_048
    hop_length: int = 512

    def __post_init__(self) -> None:
        _check_silence(self.top_db, self.frame_length, self.hop_length)

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        parts = non_silent(wave, sample_rate, top_db=self.top_db, frame_length=self.frame_length, hop_length=self.hop_length)
        return _kept(wave, [(parts[0][0], parts[-1][1])] if parts else [])


@dataclass(frozen=True, kw_only=True)
class RemoveSilence(CleaningStep):
    """Cut all silence out of a wave, pauses included, from all channels alike, and join the rest.

    The result is shorter. A wave that is silent throughout is returned unchanged.

    Args:
        top_db: Level below the loudest frame at which silence begins (dB).
        frame_length: Length of the frames whose RMS is compared (samples).
        hop_length: Distance between the starts of neighbouring frames (samples), at most half of `frame_length`.

    Raises:
        ValueError: A setting is out of range or of a wrong type.
    """

    top_db: float = 60.0
    frame_length: int = 2_048
    hop_length: int = 512

    def __post_init__(self) -> None:
        _check_silence(self.top_db, self.frame_length, self.hop_length)

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        return _kept(
            wave,
            non_silent(wave, sample_rate, top_db=self.top_db, frame_length=self.frame_length, hop_length=self.hop_length),
        )


@dataclass(frozen=True, kw_only=True)
class NormalizePeak(CleaningStep):
    """Scale a wave to a peak, all channels by the same gain.

    Args:
        peak: Largest magnitude of the result (full scale is 1).

    Raises:
        ValueError: `peak` is not above 0 and at most 1.
    """

    peak: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.peak <= 1:
            raise ValueError(f"peak must be above 0 and at most 1, got {self.peak}")

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        return wave / np.abs(wave).max() * np.float32(self.peak)


@dataclass(frozen=True, kw_only=True)
class PreEmphasis(CleaningStep):
    """Amplify high frequencies: subtract from each sample a fraction of the previous one.

    The first sample becomes ``(1 - coefficient) * wave[0]``, as if the same value preceded it. This is what HTK does, and
    librosa with ``zi=-coefficient * wave[0]``.

    Args:
        coefficient: Factor on the previous sample, above 0 and at most 1.

    Raises:
        ValueError: `coefficient` is out of range.
    """

    coefficient: float = 0.97

    def __post_init__(self) -> None:
        if not 0 < self.coefficient <= 1:
            raise ValueError(f"coefficient must be above 0 and at most 1, got {self.coefficient}")

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        return wave - np.float32(self.coefficient) * np.concatenate([wave[:1], wave[:-1]])


@dataclass(frozen=True, kw_only=True)
class RemoveDC(CleaningStep):
    """Subtract the mean of each channel from it."""

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        return wave - wave.mean(axis=0, dtype=np.float64)
