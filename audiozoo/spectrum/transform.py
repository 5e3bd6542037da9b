"""Short-time Fourier transform, as exact as librosa's and a few times faster.

Frames go through window, FFT, power and filterbank in blocks that stay in the processor's cache: for these sizes the
temporaries of a whole-clip pipeline cost more than the FFT itself. The FFT is single precision, whose rounding lies about
140 dB below a frame's loudest bin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from audiozoo.spectrum.filterbanks import Filterbank

Framing = Literal["center", "window"]

_BLOCK_SAMPLES = 2**16  # 256 KiB of float32: half of a small L2 cache, the other half is for the spectrum

LEAST_POWER = 1e-10
"""Least power told apart from silence: -100 dB."""

_COSINE_WINDOWS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "rectangular": (1.0,),
}


def window(name: str, length: int) -> np.ndarray:
    """Return a periodic window of the cosine family, float64 ``(length,)``.

    Args:
        name: "hann", "hamming", "blackman" or "rectangular".
        length: Samples.

    Raises:
        ValueError: Another name.

    >>> window("hann", 4).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    if name not in _COSINE_WINDOWS:
        raise ValueError(f"unknown window {name!r}; there are {', '.join(_COSINE_WINDOWS)}")
    phase = 2 * np.pi * np.arange(length) / length
    terms = [(-1) ** k * a * np.cos(k * phase) for k, a in enumerate(_COSINE_WINDOWS[name])]
    return np.sum(terms, axis=0)


def frame_count(samples: int, length: int, hop_length: int, framing: Framing = "center") -> int:
    """Count the frames of `length` samples in a wave.

    "center" pads half a frame of zeros on both sides, "window" stays inside the wave.
    """
    if framing == "center":
        samples += 2 * (length // 2)
    return max(0, 1 + (samples - length) // hop_length)


@dataclass(frozen=True, kw_only=True)
class Stft:
    """What makes a short-time Fourier transform: sizes in samples, window, and where frames lie.

    Args:
        n_fft: Length of the FFT.
        hop_length: From one frame to the next.
        win_length: Length of the window.
        window: Name for `window`.
        framing: "center" frames are `n_fft` samples around multiples of the hop, zeros beyond the wave's ends, with the
            window in their middle (librosa). "window" frames are `win_length` samples inside the wave, the first at its
            start, with zeros behind them up to `n_fft` (TensorFlow, Kaldi, HTK).

    Raises:
        ValueError: Sizes that make no transform, or another framing.
    """

    n_fft: int
    hop_length: int
    win_length: int
    window: str = "hann"
    framing: Framing = "center"

    def __post_init__(self) -> None:
        if not 0 < self.win_length <= self.n_fft or self.hop_length <= 0 or self.n_fft < 2:
            raise ValueError(
                "an STFT needs 0 < win_length <= n_fft and hop_length > 0 in samples, got "
                f"win_length={self.win_length}, n_fft={self.n_fft}, hop_length={self.hop_length}"
            )
        if self.framing not in ("center", "window"):
            raise ValueError(f"framing must be 'center' or 'window', got {self.framing!r}")

    def frames_of(self, samples: int) -> int:
        """Count the frames of a wave."""
        length = self.n_fft if self.framing == "center" else self.win_length
        return frame_count(samples, length, self.hop_length, self.framing)

    def times(self, frames: int, sample_rate: float) -> np.ndarray:
        """Return the middle of each of so many frames in seconds, float64 ``(frames,)``."""
        first = 0 if self.framing == "center" else self.win_length / 2
        return (first + self.hop_length * np.arange(frames)) / sample_rate

    @property
    def margin(self) -> int:
        """Zeros in the FFT's input before the window."""
        return (self.n_fft - self.win_length) // 2 if self.framing == "center" else 0


def spectrogram(wave: np.ndarray, stft: Stft, *, power: float = 2.0) -> np.ndarray:
    """Magnitude to some power, without a filterbank.

    Args:
        wave: float32 ``(samples,)``.
        stft: The transform.
        power: 1 for magnitude, 2 for power.

    Returns:
        float32 ``(frames, 1 + n_fft // 2)``, frames first because that is how it is computed.
    """
    out = np.empty((stft.frames_of(len(wave)), stft.n_fft // 2 + 1), np.float32)
    for rows, squares in _squares(wave, stft):
        _magnitudes(squares, power, out=out[rows])
    return out


def complex_spectrogram(wave: np.ndarray, stft: Stft) -> np.ndarray:
    """Short-time Fourier transform with its phase.

    Args:
        wave: float32 ``(samples,)``.
        stft: The transform. "center" equals ``librosa.stft`` with zero padding; with "window" a frame's first sample is
            the FFT's first.

    Returns:
        complex64 ``(frames, 1 + n_fft // 2)``.
    """
    out = np.empty((stft.frames_of(len(wave)), stft.n_fft // 2 + 1), np.complex64)
    for rows, block in _spectra(wave, stft):
        out[rows] = block
    return out


def filtered_spectrogram(wave: np.ndarray, stft: Stft, bank: Filterbank, *, power: float = 2.0) -> np.ndarray:
    """Spectrogram through a filterbank, never holding the whole spectrogram.

    Returns:
        float32 ``(frames, bands)``.
    """
    out = np.empty((stft.frames_of(len(wave)), bank.bands), np.float32)
    for rows, block in _squares(wave, stft):
        parts = bank.of_squares
        if power != 2:
            block, parts = _magnitudes(block, power), bank.of_bins
        for bands, columns, weights in parts:
            np.matmul(block[:, columns], weights, out=out[rows, bands])
    return out


@lru_cache(maxsize=32)
def _window32(name: str, length: int) -> np.ndarray:
    return window(name, length).astype(np.float32)


def _stretch(wave: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Cut samples out of a wave, with zeros where they lie beyond its ends."""
    if start >= 0 and stop <= len(wave):
        return wave[start:stop]
    inside = wave[max(0, start) : max(0, stop)]
    stretch = np.zeros(stop - start, np.float32)
    stretch[max(0, -start) :][: len(inside)] = inside
    return stretch


def _spectra(wave: np.ndarray, stft: Stft) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield complex64 spectra ``(some frames, bins)``, which the caller may overwrite."""
    from scipy.fft import rfft

    wave, taper = np.ascontiguousarray(wave, np.float32), _window32(stft.window, stft.win_length)
    frames, hop, length = stft.frames_of(len(wave)), stft.hop_length, stft.win_length
    first = stft.margin - (stft.n_fft // 2 if stft.framing == "center" else 0)
    size = max(8, _BLOCK_SAMPLES // stft.n_fft)
    buffer = np.zeros((size, stft.n_fft), np.float32)
    for start in range(0, frames, size):
        rows = slice(start, min(start + size, frames))
        samples = _stretch(wave, first + start * hop, first + (rows.stop - 1) * hop + length)
        block = buffer[: rows.stop - start]
        tapered = block[:, stft.margin : stft.margin + length]
        # copying the overlapping frames before the product is faster than a product that reads them where they lie
        tapered[...] = np.ndarray((len(block), length), np.float32, samples, strides=(4 * hop, 4))
        tapered *= taper
        yield rows, rfft(block)


def _squares(wave: np.ndarray, stft: Stft) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield squares of real and imaginary parts side by side, ``(some frames, 2 x bins)``."""
    for rows, spectra in _spectra(wave, stft):
        parts = spectra.view(np.float32)
        yield rows, np.multiply(parts, parts, out=parts)


def _magnitudes(squares: np.ndarray, power: float, out: np.ndarray | None = None) -> np.ndarray:
    block = np.add(squares[:, 0::2], squares[:, 1::2], out=out)
    if power == 2:
        return block
    np.sqrt(block, out=block)
    return block if power == 1 else np.power(block, power, out=block)


def to_decibels(
    values: np.ndarray,
    *,
    power: float = 2.0,
    reference: float | Literal["max"] = 1.0,
    amin: float = LEAST_POWER,
    top_db: float | None = 80.0,
) -> np.ndarray:
    """Turn powers of magnitudes into decibels in place, equal to ``librosa.power_to_db`` of squares.

    Args:
        values: float32, any shape, not negative; overwritten.
        power: The power of magnitude that the values are, 2 for squares.
        reference: The squared magnitude that is 0 dB, or "max": the array's largest.
        amin: Least squared magnitude told apart from silence.
        top_db: Floor below the array's largest value, in dB; `None` for no floor.
    """
    scale = np.float32(10 / np.log(10))
    if power != 2:
        # a decibel is a tenth of a ratio of squares, whatever power the values were summed at
        np.power(values, 2 / power, out=values)
    reference = float(values.max()) if reference == "max" else reference
    np.maximum(values, amin, out=values)
    # log and a product rather than log10: NumPy has a vectorised natural logarithm only
    np.log(values, out=values)
    values *= scale
    values -= np.float32(10 * np.log10(max(amin, reference)))
    return values if top_db is None else np.maximum(values, values.max() - np.float32(top_db), out=values)
