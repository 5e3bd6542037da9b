"""Short-time Fourier transform and mel bands, as exact as librosa's and a few times faster.

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

Framing = Literal["center", "window"]
MelScale = Literal["slaney", "htk"]
MelNorm = Literal["slaney"] | None
Triangles = Literal["hertz", "mel"]

_BLOCK_SAMPLES = 2**16  # 256 KiB of float32: half of a small L2 cache, the other half is for the spectrum
_BANDS_PER_PRODUCT = 16  # a mel matrix is a band around its diagonal: products of 16 bands skip most of its zeros

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


def hz_to_mel(hertz: np.ndarray | float, scale: MelScale = "slaney") -> np.ndarray:
    """Convert hertz to mel: Slaney's Auditory Toolbox scale (linear below 1 kHz) or HTK's 2595 log10(1 + f / 700)."""
    hertz = np.asarray(hertz, float)
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    above = 15 + np.log(np.maximum(hertz, 1000) / 1000) / _SLANEY_STEP
    return np.where(hertz < 1000, hertz * 3 / 200, above)


def mel_to_hz(mel: np.ndarray | float, scale: MelScale = "slaney") -> np.ndarray:
    """Convert mel to hertz, the inverse of `hz_to_mel`."""
    mel = np.asarray(mel, float)
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * _SLANEY_STEP))


_SLANEY_STEP = np.log(6.4) / 27


def mel_filterbank(
    sample_rate: float,
    n_fft: int,
    n_mels: int,
    *,
    fmin: float = 0.0,
    fmax: float | None = None,
    mel_scale: MelScale = "slaney",
    norm: MelNorm = "slaney",
    triangles: Triangles = "hertz",
) -> np.ndarray:
    """Triangular filters evenly spaced on a mel scale.

    Equal to ``librosa.filters.mel`` with triangles="hertz", and to ``tf.signal.linear_to_mel_weight_matrix`` transposed with
    triangles="mel", mel_scale="htk" and norm=None.

    Args:
        sample_rate: Hz.
        n_fft: Length of the FFT.
        n_mels: Bands.
        fmin: Lower edge of the lowest band, Hz.
        fmax: Upper edge of the highest band, Hz; `None` is half the sample rate.
        mel_scale: Slaney's or HTK's.
        norm: "slaney" gives each filter unit area in hertz if its flanks are straight there; `None` unit height.
        triangles: The scale on which the flanks are straight: "hertz" as in librosa, "mel" as in TensorFlow, Kaldi, VGGish
            and YAMNet.

    Returns:
        float32 ``(n_mels, 1 + n_fft // 2)``.

    Raises:
        ValueError: ``0 <= fmin < fmax <= sample_rate / 2`` does not hold, some filter is so narrow that no bin falls into
            it, or `triangles` is neither.
    """
    if triangles not in ("hertz", "mel"):
        raise ValueError(f"triangles must be 'hertz' or 'mel', got {triangles!r}")
    corners = _mel_corners(sample_rate, n_mels, fmin, fmax, mel_scale)
    edges = mel_to_hz(corners, mel_scale)
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    straight = (bins, edges) if triangles == "hertz" else (hz_to_mel(bins, mel_scale), corners)
    filters = _triangles(*straight)
    _refuse_empty(filters, edges, sample_rate, n_fft)
    if norm == "slaney":
        filters *= 2 / (edges[2:] - edges[:-2])[:, None]
    return filters.astype(np.float32)


def _mel_corners(sample_rate: float, n_mels: int, fmin: float, fmax: float | None, mel_scale: MelScale) -> np.ndarray:
    fmax = _highest(sample_rate, fmin, fmax)
    return np.linspace(hz_to_mel(fmin, mel_scale), hz_to_mel(fmax, mel_scale), n_mels + 2)


def mel_centres(
    sample_rate: float, n_mels: int, *, fmin: float = 0.0, fmax: float | None = None, mel_scale: MelScale = "slaney"
) -> np.ndarray:
    """Return the frequency in Hz at which each band of `mel_filterbank` is largest, float64 ``(n_mels,)``."""
    return mel_to_hz(_mel_corners(sample_rate, n_mels, fmin, fmax, mel_scale)[1:-1], mel_scale)


def _highest(sample_rate: float, fmin: float, fmax: float | None) -> float:
    """Return the upper limit of a filterbank, once both limits are known to be possible."""
    fmax = sample_rate / 2 if fmax is None else fmax
    if not 0 <= fmin < fmax <= sample_rate / 2:
        raise ValueError(
            f"a filterbank needs 0 <= fmin < fmax <= sample_rate / 2, got fmin={fmin}, fmax={fmax} at {sample_rate} Hz"
        )
    return fmax


def _triangles(bins: np.ndarray, edges: np.ndarray) -> np.ndarray:
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def _refuse_empty(filters: np.ndarray, edges: np.ndarray, sample_rate: float, n_fft: int) -> None:
    empty = np.flatnonzero(~filters.any(axis=1))
    if len(empty):
        low, high = edges[empty[0]], edges[empty[0] + 2]
        raise ValueError(
            f"{len(empty)} of {len(filters)} mel bands hold no FFT bin (the first from {low:.1f} to {high:.1f} Hz; "
            f"bins are {sample_rate / n_fft:.1f} Hz apart): use fewer bands, a larger n_fft or a higher fmin"
        )


_EAR_Q, _MIN_BANDWIDTH = 9.26449, 24.7  # Glasberg and Moore (1990): ERB(f) = f / 9.26449 + 24.7 Hz


def gammatone_filterbank(
    sample_rate: float, n_fft: int, n_bands: int, *, fmin: float = 0.0, fmax: float | None = None
) -> np.ndarray:
    """Magnitude responses of fourth-order gammatone filters, centres evenly spaced on the ERB-rate scale.

    The lowest centre is `fmin`, the highest one step below `fmax`. Equal to spafe 0.3.3's
    ``gammatone_filter_banks(nfilts=n_bands, nfft=n_fft, fs=sample_rate, low_freq=fmin, high_freq=fmax, order=1)[0]``, row by
    row. There, `order` is the exponent in the formula of the bandwidth, not the order of the filters, which is 4 in either
    case: with spafe's default ``order=4`` the bandwidths, and so the rows, are other than Glasberg and Moore's.

    Args:
        sample_rate: Hz.
        n_fft: Length of the FFT.
        n_bands: Filters.
        fmin: Centre of the lowest filter, Hz.
        fmax: Where the centre after the highest would lie, Hz; `None` is half the sample rate.

    Returns:
        float32 ``(n_bands, 1 + n_fft // 2)``, low centres first, the largest value of each row 1.

    Raises:
        ValueError: ``0 <= fmin < fmax <= sample_rate / 2`` does not hold, or there is no band.

    Source: Slaney, "An Efficient Implementation of the Patterson-Holdsworth Auditory Filter Bank", Apple TR 35, 1993.
    """
    fmax = _highest(sample_rate, fmin, fmax)
    if n_bands < 1:
        raise ValueError(f"a gammatone filterbank needs at least 1 band, got n_bands={n_bands}")
    corner = _EAR_Q * _MIN_BANDWIDTH
    centres = np.geomspace(fmin + corner, fmax + corner, n_bands, endpoint=False)[:, None] - corner
    decay = np.exp(-2 * np.pi * 1.019 * (centres / _EAR_Q + _MIN_BANDWIDTH) / sample_rate)
    angle = 2 * np.pi * centres / sample_rate
    circle = np.exp(2j * np.pi * np.arange(1 + n_fft // 2) / n_fft)
    pole = decay * np.exp(1j * angle)
    resonance = np.abs((circle - pole) * (circle - pole.conj()))
    # scaled first: its inverse's fourth power leaves the range of numbers for the narrowest filters at high rates
    response = (resonance.min(axis=1, keepdims=True) / resonance) ** 4
    for sign in (1, -1):
        for root in (np.sqrt(3 + 2**1.5), np.sqrt(3 - 2**1.5)):
            response *= np.abs(circle - decay * (np.cos(angle) + sign * root * np.sin(angle)))
    return (response / response.max(axis=1, keepdims=True)).astype(np.float32)


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


class Filterbank:
    """A matrix ``(bands, bins)`` kept as a few small dense products, which skip most zeros of a banded one.

    Attributes:
        bands: Rows.
        of_bins: For each product its bands, the columns it takes and the weights ``(columns, bands)``.
        of_squares: The same for the squares of real and imaginary parts side by side: a product adds the two in passing.
    """

    def __init__(self, filters: np.ndarray) -> None:
        self.bands = len(filters)
        self.of_bins = self._products(filters)
        self.of_squares = self._products(np.repeat(filters, 2, axis=1))

    def _products(self, filters: np.ndarray) -> list[tuple[slice, slice, np.ndarray]]:
        starts = range(0, self.bands, _BANDS_PER_PRODUCT)
        return [self._product(filters, slice(i, min(i + _BANDS_PER_PRODUCT, self.bands))) for i in starts]

    @staticmethod
    def _product(filters: np.ndarray, bands: slice) -> tuple[slice, slice, np.ndarray]:
        used = np.flatnonzero(filters[bands].any(axis=0))
        columns = slice(int(used[0]), int(used[-1]) + 1)
        return bands, columns, np.ascontiguousarray(filters[bands, columns].T)


@lru_cache(maxsize=32)
def mel_bank(
    sample_rate: float,
    n_fft: int,
    n_mels: int,
    fmin: float,
    fmax: float | None,
    mel_scale: MelScale,
    norm: MelNorm,
    triangles: Triangles = "hertz",
) -> Filterbank:
    """`mel_filterbank` prepared for `filtered_spectrogram`, remembered."""
    return Filterbank(
        mel_filterbank(sample_rate, n_fft, n_mels, fmin=fmin, fmax=fmax, mel_scale=mel_scale, norm=norm, triangles=triangles)
    )


@lru_cache(maxsize=32)
def gammatone_bank(sample_rate: float, n_fft: int, n_bands: int, fmin: float, fmax: float | None) -> Filterbank:
    """`gammatone_filterbank` prepared for `filtered_spectrogram`, remembered."""
    return Filterbank(gammatone_filterbank(sample_rate, n_fft, n_bands, fmin=fmin, fmax=fmax))


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
