"""Frontends on musical pitch: constant-Q transform and chroma, computed by librosa."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from audiozoo.checks import require_choice, require_whole
from audiozoo.features.framed import Compressed, Framed
from audiozoo.features.frontends import Axis

C1 = 32.703_195_662_574_83
"""The note C1 in Hz, where librosa's constant-Q transforms begin."""


@dataclass(frozen=True, kw_only=True)
class CQT(Compressed):
    """Magnitude of the constant-Q transform, equal to ``abs(librosa.cqt(...))``, by default in decibels.

    Args:
        n_bins: Rows.
        bins_per_octave: Rows in an octave.
        fmin: Frequency of the lowest row, Hz.
        frames, hop_length: See `Framed`.
        compression, reference, top_db, offset: See `Compressed`. In decibels, 0 dB is `reference` of the magnitude's square.

    Raises:
        ValueError: The highest row does not fit below half the sample rate.

    Source: Brown, "Calculation of a constant Q spectral transform", JASA 89, 1991; librosa 0.11.
    """

    n_bins: int = 84
    bins_per_octave: int = 12
    fmin: float = C1
    compression: Literal["db", "log"] | None = "db"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole(n_bins=self.n_bins, bins_per_octave=self.bins_per_octave)
        require_range(self.sample_rate, self.n_bins, self.bins_per_octave, self.fmin)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_bins, frames, channels)``."""
        return (self.n_bins, self._frame_count, self.channels)

    @property
    def axis(self) -> Axis:
        """Frequency of each row."""
        return Axis("frequency, Hz", self.fmin * 2 ** (np.arange(self.n_bins) / self.bins_per_octave))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        import librosa

        settings = {"sr": self.sample_rate, "hop_length": self.hop_length, "fmin": self.fmin, "n_bins": self.n_bins}
        longest = longest_filter(self.sample_rate, self.bins_per_octave, self.fmin)
        parts = [
            librosa.cqt(lengthened(column, longest), bins_per_octave=self.bins_per_octave, tuning=0.0, **settings)
            for column in columns
        ]
        magnitudes = self._joined([np.abs(part).T.astype(np.float32)[: self._natural_frames] for part in parts])
        return self._compress(magnitudes, 1.0).swapaxes(0, 1)


def require_range(sample_rate: float, bins: int, bins_per_octave: int, fmin: float) -> None:
    """Refuse constant-Q rows whose highest filter reaches beyond half the sample rate.

    Raises:
        ValueError: With the highest frequency that was asked for.
    """
    if bins < 1 or bins_per_octave < 1 or fmin <= 0:
        raise ValueError(
            f"a constant-Q transform needs positive n_bins, bins_per_octave and fmin, got {bins}, {bins_per_octave}, {fmin}"
        )
    highest = fmin * 2 ** ((bins - 1) / bins_per_octave)
    # A filter reaches half a bandwidth beyond its centre; 0.5 is half the width of a Hann window's main lobe in units of 1 / Q.
    reach = highest * (1 + 0.5 * 1.5 * (2 ** (1 / bins_per_octave) - 1))
    if reach > sample_rate / 2:
        raise ValueError(
            f"the highest of {bins} rows, {highest:.0f} Hz and its width, lies beyond {sample_rate / 2:g} Hz, half the "
            "sample rate: use fewer rows or octaves, more rows in an octave, or a lower fmin"
        )


def longest_filter(sample_rate: float, bins_per_octave: int, fmin: float) -> int:
    """Return the length in samples of the transform that librosa uses for the lowest row."""
    ratio = 4 ** (1 / bins_per_octave)
    quality = (ratio + 1) / (ratio - 1)
    return 2 ** math.ceil(math.log2(quality * sample_rate / fmin))


def lengthened(wave: np.ndarray, least: int) -> np.ndarray:
    """Put zeros behind a wave shorter than the longest filter: librosa assumes them there, but warns."""
    return np.pad(wave, (0, max(0, least - len(wave))))


@dataclass(frozen=True, kw_only=True)
class Chroma(Framed):
    """Energy of each pitch class, equal to librosa's ``chroma_stft``, ``chroma_cqt`` and ``chroma_cens``; silence is zeros.

    Args:
        kind: "stft", "cqt", or "cens" (normalised, quantised and smoothed over time).
        n_chroma: Pitch classes; 12 are semitones.
        n_fft: With "stft", length of a frame, samples.
        tuning: Deviation from A4 = 440 Hz in fractions of a pitch class.
        fmin: With "cqt" and "cens", the lowest frequency, Hz.
        n_octaves: With "cqt" and "cens", octaves above `fmin`.
        frames, hop_length: See `Framed`.

    Source: Müller and Ewert, "Chroma Toolbox", ISMIR 2011; librosa 0.11.
    """

    kind: Literal["stft", "cqt", "cens"] = "stft"
    n_chroma: int = 12
    n_fft: int = 2_048
    tuning: float = 0.0
    fmin: float = C1
    n_octaves: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("kind", self.kind, ("stft", "cqt", "cens"))
        require_whole(n_chroma=self.n_chroma, n_fft=self.n_fft, n_octaves=self.n_octaves)
        if self.n_chroma < 1 or self.n_fft < 2:
            raise ValueError(f"n_chroma must be at least 1 and n_fft 2, got n_chroma={self.n_chroma}, n_fft={self.n_fft}")
        if self.kind != "stft":
            require_range(self.sample_rate, self.n_octaves * self._bins_per_octave, self._bins_per_octave, self.fmin)

    @property
    def _bins_per_octave(self) -> int:
        # librosa's 36 for 12 classes; for other numbers it wants a multiple of them.
        return self.n_chroma * math.ceil(36 / self.n_chroma)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_chroma, frames, channels)``."""
        return (self.n_chroma, self._frame_count, self.channels)

    @property
    def axis(self) -> Axis:
        """Number of each pitch class, C first."""
        return Axis("pitch class", np.arange(self.n_chroma))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        return self._joined([self._of(column)[: self._natural_frames] for column in columns]).swapaxes(0, 1)

    def _of(self, wave: np.ndarray) -> np.ndarray:
        from librosa import feature

        if not wave.any():
            return np.zeros((self._natural_frames, self.n_chroma), np.float32)
        shared: dict[str, Any] = {
            "sr": self.sample_rate,
            "hop_length": self.hop_length,
            "n_chroma": self.n_chroma,
            "tuning": self.tuning,
        }
        if self.kind == "stft":
            chroma = feature.chroma_stft(y=wave, n_fft=self.n_fft, **shared)
        else:
            compute = feature.chroma_cqt if self.kind == "cqt" else feature.chroma_cens
            wave = lengthened(wave, longest_filter(self.sample_rate, self._bins_per_octave, self.fmin))
            shared |= {"fmin": self.fmin, "n_octaves": self.n_octaves, "bins_per_octave": self._bins_per_octave}
            chroma = compute(y=wave, **shared)
        return chroma.T.astype(np.float32)
