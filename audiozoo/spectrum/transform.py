"""Short-time Fourier transforms that agree with librosa's and run two to three times as fast.

Window, FFT, power and filterbank process the frames in blocks that fit the processor's cache. A pipeline that processes the
whole clip at each stage spends more time on its large temporary arrays than on the FFT. The FFT runs in single precision: its
rounding error lies about 140 dB below the loudest bin of a frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from audiozoo.checks import unknown_name
from audiozoo.spectrum.filterbanks import Filterbank

Framing = Literal["center", "window"]
Edges = Literal["zero", "reflect"]

# 256 KiB of float32: half of a small L2 cache. The other half holds the spectrum.
_BLOCK_SAMPLES = 2**16

LEAST_POWER = 1e-10
"""Power that counts as silence (-100 dB): smaller powers are raised to it before a logarithm."""

# Coefficients of sums of cosines. scipy.signal has these windows too, but its import takes over a second.
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
        length: Length of the window (samples).

    Raises:
        ValueError: The name is unknown.

    >>> window("hann", 4).round(3).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    if name not in _COSINE_WINDOWS:
        raise unknown_name("window", name, _COSINE_WINDOWS)
    phase = 2 * np.pi * np.arange(length) / length
    terms = [(-1) ** k * a * np.cos(k * phase) for k, a in enumerate(_COSINE_WINDOWS[name])]
    return np.sum(terms, axis=0)


def frame_count(samples: int, length: int, hop_length: int, framing: Framing = "center") -> int:
    """Count the frames in a wave.

    Args:
        samples: Length of the wave (samples).
        length: Length of a frame (samples).
        hop_length: Distance between the starts of neighbouring frames (samples).
        framing: "center" pads the wave with half a frame of zeros on both sides; "window" takes only frames that lie inside
            the wave.

    Returns:
        The number of frames, 0 if the wave is too short for one.
    """
    if framing == "center":
        samples += 2 * (length // 2)
    return max(0, 1 + (samples - length) // hop_length)


@dataclass(frozen=True, kw_only=True)
class Stft:
    """Settings of a short-time Fourier transform.

    Args:
        n_fft: Length of the FFT (samples).
        hop_length: Distance between the starts of neighbouring frames (samples).
        win_length: Length of the window function (samples), at most `n_fft`.
        window: Name of the window function, see `audiozoo.spectrum.window`.
        framing: Position of the frames. "center" frames span `n_fft` samples around multiples of `hop_length`, with zeros
            beyond the ends of the wave and the window function in their middle (librosa). "window" frames span `win_length`
            samples inside the wave, starting at its first sample, and are padded at the end to `n_fft` (TensorFlow, Kaldi,
            HTK).
        edges: Samples beyond the ends of the wave, which "center" frames reach: "zero", or "reflect" for the wave mirrored
            at its first and last sample (PyTorch).

    Raises:
        ValueError: ``0 < win_length <= n_fft`` and ``hop_length > 0`` do not hold, `framing` or `edges` is unknown, or "window"
            frames are to reflect the wave.
    """

    n_fft: int
    hop_length: int
    win_length: int
    window: str = "hann"
    framing: Framing = "center"
    edges: Edges = "zero"

    def __post_init__(self) -> None:
        if not 0 < self.win_length <= self.n_fft or self.hop_length <= 0 or self.n_fft < 2:
            raise ValueError(
                "an STFT needs 0 < win_length <= n_fft and hop_length > 0 in samples, got "
                f"win_length={self.win_length}, n_fft={self.n_fft}, hop_length={self.hop_length}"
            )
        if self.framing not in ("center", "window"):
            raise ValueError(f"framing must be 'center' or 'window', got {self.framing!r}")
        if self.edges not in ("zero", "reflect"):
            raise ValueError(f"edges must be 'zero' or 'reflect', got {self.edges!r}")
        if self.edges == "reflect" and self.framing != "center":
            raise ValueError("frames of framing='window' do not reach beyond the wave: edges='reflect' needs framing='center'")

    def frames_of(self, samples: int) -> int:
        """Return the number of frames in a wave of `samples` samples."""
        length = self.n_fft if self.framing == "center" else self.win_length
        return frame_count(samples, length, self.hop_length, self.framing)

    def times(self, frames: int, sample_rate: float) -> np.ndarray:
        """Return the centres of the first `frames` frames (seconds from the start of the wave), float64 ``(frames,)``."""
        first = 0 if self.framing == "center" else self.win_length / 2
        return (first + self.hop_length * np.arange(frames)) / sample_rate

    @property
    def shortest(self) -> int:
        """Length of the shortest wave that can be transformed (samples)."""
        # A mirror needs as many samples beside the first one as it adds.
        return 1 + self.n_fft // 2 if self.edges == "reflect" else 0

    @property
    def margin(self) -> int:
        """Number of zeros before the window function in the input of the FFT (samples)."""
        return (self.n_fft - self.win_length) // 2 if self.framing == "center" else 0


def spectrogram(wave: np.ndarray, stft: Stft, *, power: float = 2.0) -> np.ndarray:
    """Compute a magnitude or power spectrogram.

    Args:
        wave: Sound, float32 ``(samples,)``.
        stft: Settings of the transform.
        power: Exponent of the magnitude: 1 for magnitude, 2 for power.

    Returns:
        The spectrogram, float32 ``(frames, 1 + n_fft // 2)``. Frames come first because they are computed one by one.
    """
    out = np.empty((stft.frames_of(len(wave)), stft.n_fft // 2 + 1), np.float32)
    for frames, squares in _squares(wave, stft):
        _magnitudes(squares, power, out=out[frames])
    return out


def complex_spectrogram(wave: np.ndarray, stft: Stft) -> np.ndarray:
    """Compute a complex short-time Fourier transform.

    Args:
        wave: Sound, float32 ``(samples,)``.
        stft: Settings of the transform. With "center" framing the result equals ``librosa.stft`` with the same padding; with
            "window" framing the phase refers to the first sample of each frame.

    Returns:
        The transform, complex64 ``(frames, 1 + n_fft // 2)``.
    """
    out = np.empty((stft.frames_of(len(wave)), stft.n_fft // 2 + 1), np.complex64)
    for frames, block in _spectra(wave, stft):
        out[frames] = block
    return out


def filtered_spectrogram(wave: np.ndarray, stft: Stft, bank: Filterbank, *, power: float = 2.0) -> np.ndarray:
    """Compute a spectrogram and sum its bins into bands, block by block, without holding the whole spectrogram.

    Args:
        wave: Sound, float32 ``(samples,)``.
        stft: Settings of the transform.
        bank: Filterbank for an FFT of the same length.
        power: Exponent of the magnitude: 1 for magnitude, 2 for power.

    Returns:
        The bands, float32 ``(frames, bands)``.
    """
    out = np.empty((stft.frames_of(len(wave)), bank.bands), np.float32)
    for frames, block in _squares(wave, stft):
        # With power 2, the product with the filterbank also adds the two squares of a bin, which saves a pass over the block.
        parts = bank.of_squares
        if power != 2:
            block, parts = _magnitudes(block, power), bank.of_bins
        for bands, columns, weights in parts:
            np.matmul(block[:, columns], weights, out=out[frames, bands])
    return out


@lru_cache(maxsize=32)
def _window32(name: str, length: int) -> np.ndarray:
    return window(name, length).astype(np.float32)


def _stretch(wave: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return the samples from `start` to `stop`, with zeros beyond the ends of the wave."""
    if start >= 0 and stop <= len(wave):
        return wave[start:stop]
    inside = wave[max(0, start) : max(0, stop)]
    stretch = np.zeros(stop - start, np.float32)
    stretch[max(0, -start) :][: len(inside)] = inside
    return stretch


def _spectra(wave: np.ndarray, stft: Stft) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks of complex64 spectra ``(frames, bins)``, which the caller may overwrite, with the frames that they cover."""
    from scipy.fft import rfft

    wave, taper = np.ascontiguousarray(wave, np.float32), _window32(stft.window, stft.win_length)
    if len(wave) < stft.shortest:
        raise ValueError(f"edges='reflect' needs a wave of more than n_fft // 2 = {stft.n_fft // 2} samples, got {len(wave)}")
    count, hop_length, length = stft.frames_of(len(wave)), stft.hop_length, stft.win_length
    first = stft.margin - (stft.n_fft // 2 if stft.framing == "center" else 0)
    if stft.edges == "reflect":
        wave, first = np.pad(wave, stft.n_fft // 2, mode="reflect"), stft.margin
    size = max(8, _BLOCK_SAMPLES // stft.n_fft)
    buffer = np.zeros((size, stft.n_fft), np.float32)
    for start in range(0, count, size):
        frames = slice(start, min(start + size, count))
        samples = _stretch(wave, first + start * hop_length, first + (frames.stop - 1) * hop_length + length)
        # One buffer serves all blocks: the zeros around the window function are written once.
        block = buffer[: frames.stop - start]
        tapered = block[:, stft.margin : stft.margin + length]
        # The frames overlap in `samples`. Copying them first is faster than multiplying through the overlapping view.
        tapered[...] = np.ndarray((len(block), length), np.float32, samples, strides=(4 * hop_length, 4))
        tapered *= taper
        yield frames, rfft(block)


def _squares(wave: np.ndarray, stft: Stft) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks of the interleaved squares of real and imaginary parts, float32 ``(frames, 2 x bins)``."""
    for frames, spectra in _spectra(wave, stft):
        parts = spectra.view(np.float32)
        yield frames, np.multiply(parts, parts, out=parts)


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
    """Convert powers of magnitudes to decibels in place; squares give what ``librosa.power_to_db`` gives.

    Args:
        values: Powers of magnitudes, float32 of any shape, not negative; they are overwritten.
        power: Exponent of the magnitude that the values have, 2 for squares.
        reference: Squared magnitude that becomes 0 dB, or "max" for the largest in the array.
        amin: Squared magnitude that smaller ones are raised to.
        top_db: Distance of the floor from the largest value in the array (dB); `None` means no floor.

    Returns:
        The array `values`, now in decibels.
    """
    scale = np.float32(10 / np.log(10))
    if power != 2:
        # Decibels compare squares of magnitudes, whatever the exponent of the values.
        np.power(values, 2 / power, out=values)
    reference = float(values.max()) if reference == "max" else reference
    np.maximum(values, amin, out=values)
    # NumPy vectorises the natural logarithm but not log10.
    np.log(values, out=values)
    values *= scale
    values -= np.float32(10 * np.log10(max(amin, reference)))
    return values if top_db is None else np.maximum(values, values.max() - np.float32(top_db), out=values)
