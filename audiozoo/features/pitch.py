"""Frontends on musical pitch: constant-Q transform and chroma, computed by librosa."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_choice, require_whole
from audiozoo.features.cleaning import CleaningStep
from audiozoo.features.framed import Framed, check_compression, check_sizes, compress, joined
from audiozoo.features.frontends import Axis

C1 = 32.703_195_662_574_83
"""Frequency of the note C1 (Hz), at which librosa's constant-Q transforms begin by default."""


@dataclass(frozen=True, kw_only=True)
class CQT(Framed):
    """Magnitude of the constant-Q transform, shape ``(n_bins, frames, channels)``.

    On a linear scale it equals ``abs(librosa.cqt(...))``.

    Args:
        sample_rate: Sample rate of the sound (Hz).
        duration: Length of a window (seconds).
        channels: Number of channels of the sound, 1 for mono.
        layout: Content of the channels: "left_right", or "mid_side" (half the sum and half the difference of two channels).
        pad: Filling of a clip that is shorter than a window: "zero" or "repeat".
        hop: Time between window starts in a longer clip (seconds); `None` means half of `duration`.
        last: Treatment of the end of a clip that no window covers: "align", "pad" or "drop", see `Frontend`.
        prepare: Cleaning steps that are applied to every window first, in this order.
        frames: Number of frames of the output, cut or padded with silence; `None` keeps the number that a window gives.
        hop_length: Distance between the starts of neighbouring frames (samples).
        compression: Scale of the magnitude: "db" for decibels, "log" for the natural logarithm of the value plus `offset`,
            `None` for a linear scale.
        reference: With "db", the squared magnitude that becomes 0 dB, or "max" for the largest in the window.
        top_db: With "db", the distance of the floor from the largest value in the window (dB); `None` means no floor.
        offset: With "log", the summand before the logarithm.
        n_bins: Number of frequency bins.
        bins_per_octave: Number of bins in an octave.
        fmin: Frequency of the lowest bin (Hz).

    Raises:
        ValueError: A setting is out of range, of a wrong type or unknown, or the highest bin reaches beyond half the sample
            rate.

    Source: Brown, "Calculation of a constant Q spectral transform", JASA 89, 1991; librosa 0.11.
    """

    sample_rate: int = 22_050
    duration: float = 5.0
    channels: int = 1
    layout: audio.Layout = "left_right"
    pad: audio.PadMode = "zero"
    hop: float | None = None
    last: audio.Last = "align"
    prepare: tuple[CleaningStep, ...] = ()
    frames: int | None = None
    hop_length: int = 512
    compression: Literal["db", "log"] | None = "db"
    reference: float | Literal["max"] = 1.0
    top_db: float | None = 80.0
    offset: float = 1e-6
    n_bins: int = 84
    bins_per_octave: int = 12
    fmin: float = C1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_compression(self.compression, reference=self.reference, top_db=self.top_db, offset=self.offset)
        require_whole(n_bins=self.n_bins, bins_per_octave=self.bins_per_octave)
        check_pitches(self, self.n_bins, self.bins_per_octave, self.fmin)
        audio.check_features(self.shape, name="CQT")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(n_bins, frames, channels)``."""
        return (self.n_bins, self.frame_count, self.channels)

    @property
    def axis(self) -> Axis:
        """Frequency of each bin."""
        return Axis("frequency, Hz", self.fmin * 2 ** (np.arange(self.n_bins) / self.bins_per_octave))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        magnitudes = joined([self._magnitudes(column) for column in columns], self.frame_count)
        values = compress(
            magnitudes, self.compression, power=1.0, reference=self.reference, top_db=self.top_db, offset=self.offset
        )
        return values.swapaxes(0, 1)

    def _magnitudes(self, wave: np.ndarray) -> np.ndarray:
        import librosa

        bins = librosa.cqt(
            lengthened(wave, longest_filter(self.sample_rate, self.bins_per_octave, self.fmin)),
            sr=self.sample_rate,
            hop_length=self.hop_length,
            fmin=self.fmin,
            n_bins=self.n_bins,
            bins_per_octave=self.bins_per_octave,
            tuning=0.0,
        )
        # A contiguous copy: joined() keeps the layout of a single channel, and compression is fastest on this one.
        return np.ascontiguousarray(np.abs(bins).T[: self.natural_frames], np.float32)


def check_pitches(frontend: Framed, bins: int, bins_per_octave: int, fmin: float) -> None:
    """Check that the highest filter of a constant-Q transform lies below half the sample rate, and that the lowest fits memory.

    Args:
        frontend: Frontend that computes the transform.
        bins: Number of frequency bins.
        bins_per_octave: Number of bins in an octave.
        fmin: Frequency of the lowest bin (Hz).

    Raises:
        ValueError: They do not, or an argument is not positive.
    """
    sample_rate = frontend.sample_rate
    if bins < 1 or bins_per_octave < 1 or fmin <= 0:
        raise ValueError(
            f"a constant-Q transform needs positive n_bins, bins_per_octave and fmin, got {bins}, {bins_per_octave}, {fmin}"
        )
    highest = fmin * 2 ** ((bins - 1) / bins_per_octave)
    # A filter reaches half a bandwidth beyond its centre; 0.5 is half the width of a Hann window's main lobe in units of 1 / Q.
    reach = highest * (1 + 0.5 * 1.5 * (2 ** (1 / bins_per_octave) - 1))
    if reach > sample_rate / 2:
        raise ValueError(
            f"the filter of the highest of {bins} bins, at {highest:.0f} Hz, reaches beyond {sample_rate / 2:g} Hz, half the "
            "sample rate: use fewer bins or octaves, more bins in an octave, or a lower fmin"
        )
    _check_longest_filter(frontend, bins, bins_per_octave, fmin)


def _check_longest_filter(frontend: Framed, bins: int, bins_per_octave: int, fmin: float) -> None:
    length = longest_filter(frontend.sample_rate, bins_per_octave, fmin)
    if length > audio.MAX_WINDOW:
        raise ValueError(
            f"the filter at fmin={fmin} Hz is {length} samples long, at most {audio.MAX_WINDOW} are allowed: use a higher fmin "
            "or fewer bins in an octave"
        )
    # librosa halves the rate from octave to octave as long as hop_length is even, and the length of the filters with it.
    evens = (frontend.hop_length & -frontend.hop_length).bit_length() - 1
    halvings = min(evens, math.ceil(bins / bins_per_octave) - 1)
    check_sizes(frontend, bins=1 + (length >> halvings) // 2, bands=bins_per_octave)


def longest_filter(sample_rate: float, bins_per_octave: int, fmin: float) -> int:
    """Return the FFT length that librosa uses for the lowest bin of a constant-Q transform.

    Args:
        sample_rate: Sample rate of the sound (Hz).
        bins_per_octave: Number of bins in an octave.
        fmin: Frequency of the lowest bin (Hz).

    Returns:
        The length in samples, a power of two.
    """
    ratio = 4 ** (1 / bins_per_octave)
    quality = (ratio + 1) / (ratio - 1)
    return 2 ** math.ceil(math.log2(quality * sample_rate / fmin))


def lengthened(wave: np.ndarray, least: int) -> np.ndarray:
    """Pad a wave with zeros to at least `least` samples; librosa would pad it too, but warn about each window."""
    return np.pad(wave, (0, max(0, least - len(wave))))


@dataclass(frozen=True, kw_only=True)
class Chroma(Framed):
    """Energy of each pitch class, shape ``(n_chroma, frames, channels)``.

    It equals librosa's ``chroma_stft``, ``chroma_cqt`` or ``chroma_cens``. Silence gives zeros.

    Args:
        sample_rate: Sample rate of the sound (Hz).
        duration: Length of a window (seconds).
        channels: Number of channels of the sound, 1 for mono.
        layout: Content of the channels: "left_right", or "mid_side" (half the sum and half the difference of two channels).
        pad: Filling of a clip that is shorter than a window: "zero" or "repeat".
        hop: Time between window starts in a longer clip (seconds); `None` means half of `duration`.
        last: Treatment of the end of a clip that no window covers: "align", "pad" or "drop", see `Frontend`.
        prepare: Cleaning steps that are applied to every window first, in this order.
        frames: Number of frames of the output, cut or padded with silence; `None` keeps the number that a window gives.
        hop_length: Distance between the starts of neighbouring frames (samples).
        kind: Method: "stft", "cqt", or "cens" (normalised, quantised and smoothed over time).
        n_chroma: Number of pitch classes; 12 are semitones.
        n_fft: With "stft", the length of the FFT (samples).
        tuning: Deviation of A4 from 440 Hz (fractions of a pitch class).
        fmin: With "cqt" and "cens", the lowest frequency (Hz).
        n_octaves: With "cqt" and "cens", the number of octaves above `fmin`.

    Raises:
        ValueError: A setting is out of range, of a wrong type or unknown, or the highest octave reaches beyond half the
            sample rate.

    Source: Müller and Ewert, "Chroma Toolbox", ISMIR 2011; librosa 0.11.
    """

    sample_rate: int = 22_050
    duration: float = 5.0
    channels: int = 1
    layout: audio.Layout = "left_right"
    pad: audio.PadMode = "zero"
    hop: float | None = None
    last: audio.Last = "align"
    prepare: tuple[CleaningStep, ...] = ()
    frames: int | None = None
    hop_length: int = 512
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
            check_pitches(self, self.n_octaves * self._bins_per_octave, self._bins_per_octave, self.fmin)
        else:
            check_sizes(self, bins=1 + self.n_fft // 2, bands=self.n_chroma)
        audio.check_features(self.shape, name="Chroma")

    @property
    def _bins_per_octave(self) -> int:
        # librosa's default is 36 for 12 classes; it requires a multiple of the number of classes.
        return self.n_chroma * math.ceil(36 / self.n_chroma)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(n_chroma, frames, channels)``."""
        return (self.n_chroma, self.frame_count, self.channels)

    @property
    def axis(self) -> Axis:
        """Number of each pitch class, starting with 0 for C."""
        return Axis("pitch class", np.arange(self.n_chroma))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        # A constant-Q transform of a lengthened wave has more frames than the window.
        parts = [self._energies(column)[: self.natural_frames] for column in columns]
        return joined(parts, self.frame_count).swapaxes(0, 1)

    def _energies(self, wave: np.ndarray) -> np.ndarray:
        """Compute the energies of one channel, float32 ``(frames, n_chroma)``."""
        from librosa import feature

        if not wave.any():
            return np.zeros((self.natural_frames, self.n_chroma), np.float32)
        shared: dict[str, Any] = {
            "sr": self.sample_rate,
            "hop_length": self.hop_length,
            "n_chroma": self.n_chroma,
            "tuning": self.tuning,
        }
        if self.kind == "stft":
            return feature.chroma_stft(y=wave, n_fft=self.n_fft, **shared).T.astype(np.float32)
        compute = feature.chroma_cqt if self.kind == "cqt" else feature.chroma_cens
        octaves = {"fmin": self.fmin, "n_octaves": self.n_octaves, "bins_per_octave": self._bins_per_octave}
        wave = lengthened(wave, longest_filter(self.sample_rate, self._bins_per_octave, self.fmin))
        return compute(y=wave, **octaves, **shared).T.astype(np.float32)
