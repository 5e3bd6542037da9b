"""Filterbanks: matrices that sum the bins of an FFT into bands."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from audiozoo.checks import require_choice
from audiozoo.spectrum.scales import MelScale, hz_to_mel, mel_to_hz

MelNorm = Literal["slaney"] | None
Triangles = Literal["hertz", "mel", "kaldi"]

# A mel matrix is zero outside a band around its diagonal: products of 16 bands skip most of these zeros, and are still large
# enough for BLAS to be fast.
_BANDS_PER_PRODUCT = 16


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
    """Make triangular filters that are evenly spaced on a mel scale.

    With ``triangles="hertz"`` the result equals ``librosa.filters.mel``. With ``triangles="mel"``, ``mel_scale="htk"`` and
    ``norm=None`` it equals the transpose of ``tf.signal.linear_to_mel_weight_matrix``, and with ``triangles="kaldi"`` the mel
    banks of Kaldi and of torchaudio's ``compliance.kaldi``.

    Args:
        sample_rate: Sample rate of the sound (Hz).
        n_fft: Length of the FFT (samples).
        n_mels: Number of bands.
        fmin: Lower edge of the lowest band (Hz).
        fmax: Upper edge of the highest band (Hz); `None` means half the sample rate.
        mel_scale: Mel scale, "slaney" or "htk".
        norm: "slaney" divides each filter by half its width in hertz (unit area); `None` keeps unit height.
        triangles: Scale on which the flanks are straight lines: "hertz" as in librosa, or "mel" as in TensorFlow, VGGish and
            YAMNet. "kaldi" is "mel" without the bin at half the sample rate, and keeps filters that contain no FFT bin: their
            bands are always 0.

    Returns:
        The weights, float32 ``(n_mels, 1 + n_fft // 2)``.

    Raises:
        ValueError: ``0 <= fmin < fmax <= sample_rate / 2`` does not hold, a filter is so narrow that it contains no FFT bin
            (not with "kaldi"), or `triangles` is unknown.
    """
    require_choice("triangles", triangles, get_args(Triangles))
    corners = _mel_corners(sample_rate, n_mels, fmin, fmax, mel_scale)
    edges = mel_to_hz(corners, mel_scale)
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    straight = (bins, edges) if triangles == "hertz" else (hz_to_mel(bins, mel_scale), corners)
    filters = _triangles(*straight)
    if triangles == "kaldi":
        filters[:, n_fft // 2 + n_fft % 2 :] = 0  # no bin lies at half the sample rate if n_fft is odd
    else:
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
    """Return the centre frequency of each band of `mel_filterbank`.

    Args:
        sample_rate: Sample rate of the sound (Hz).
        n_mels: Number of bands.
        fmin: Lower edge of the lowest band (Hz).
        fmax: Upper edge of the highest band (Hz); `None` means half the sample rate.
        mel_scale: Mel scale, "slaney" or "htk".

    Returns:
        Frequencies at which the filters peak (Hz), float64 ``(n_mels,)``.

    Raises:
        ValueError: ``0 <= fmin < fmax <= sample_rate / 2`` does not hold.
    """
    return mel_to_hz(_mel_corners(sample_rate, n_mels, fmin, fmax, mel_scale)[1:-1], mel_scale)


def _highest(sample_rate: float, fmin: float, fmax: float | None) -> float:
    """Check both limits of a filterbank and return the upper one."""
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
            f"{len(empty)} of {len(filters)} mel bands hold no FFT bin (the first spans {low:.1f} to {high:.1f} Hz, and bins "
            f"are {sample_rate / n_fft:.1f} Hz apart): use fewer bands, a larger n_fft or a higher fmin"
        )


_EAR_Q, _MIN_BANDWIDTH = 9.26449, 24.7  # Glasberg and Moore (1990): ERB(f) = f / 9.26449 + 24.7 Hz


def gammatone_filterbank(
    sample_rate: float, n_fft: int, n_bands: int, *, fmin: float = 0.0, fmax: float | None = None
) -> np.ndarray:
    """Make the magnitude responses of fourth-order gammatone filters.

    The centre frequencies are evenly spaced on the ERB-rate scale. The lowest is `fmin`, the highest lies one step below
    `fmax`. The result equals spafe 0.3.3's
    ``gammatone_filter_banks(nfilts=n_bands, nfft=n_fft, fs=sample_rate, low_freq=fmin, high_freq=fmax, order=1)[0]``. In
    spafe, `order` is the exponent in the formula of the bandwidth and not the order of the filters, which is always 4; its
    default ``order=4`` gives bandwidths that differ from Glasberg and Moore's.

    Args:
        sample_rate: Sample rate of the sound (Hz).
        n_fft: Length of the FFT (samples).
        n_bands: Number of filters.
        fmin: Centre of the lowest filter (Hz).
        fmax: Frequency at which the centre after the highest filter would lie (Hz); `None` means half the sample rate.

    Returns:
        The responses, float32 ``(n_bands, 1 + n_fft // 2)``, low centres first; the largest value of each filter is 1.

    Raises:
        ValueError: ``0 <= fmin < fmax <= sample_rate / 2`` does not hold, or `n_bands` is below 1.

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
    # The fourth power of 1 / resonance overflows for narrow filters at high rates, so the resonance is scaled first.
    response = (resonance.min(axis=1, keepdims=True) / resonance) ** 4
    for sign in (1, -1):
        for root in (np.sqrt(3 + 2**1.5), np.sqrt(3 - 2**1.5)):
            response *= np.abs(circle - decay * (np.cos(angle) + sign * root * np.sin(angle)))
    return (response / response.max(axis=1, keepdims=True)).astype(np.float32)


class Filterbank:
    """A filterbank stored as a few small dense matrices, which leaves out most of its zeros.

    Args:
        filters: The weights, float32 ``(bands, bins)``.

    Attributes:
        bands, bins: Number of bands, and of FFT bins.
        of_bins: Products for a spectrogram. Each has a slice of bands, the slice of bins that these bands need, and the
            weights ``(bins, bands)``.
        of_squares: The same for the interleaved squares of real and imaginary parts. Every weight occurs twice, so that the
            product also adds the two squares of a bin.
    """

    def __init__(self, filters: np.ndarray) -> None:
        self.bands, self.bins = filters.shape
        self.of_bins = self._products(filters)
        self.of_squares = self._products(np.repeat(filters, 2, axis=1))

    @property
    def matrix(self) -> np.ndarray:
        """The weights, float32 ``(bands, bins)``."""
        matrix = np.zeros((self.bands, self.bins), np.float32)
        for bands, bins, weights in self.of_bins:
            matrix[bands, bins] = weights.T
        return matrix

    def _products(self, filters: np.ndarray) -> list[tuple[slice, slice, np.ndarray]]:
        starts = range(0, self.bands, _BANDS_PER_PRODUCT)
        return [self._product(filters, slice(i, min(i + _BANDS_PER_PRODUCT, self.bands))) for i in starts]

    @staticmethod
    def _product(filters: np.ndarray, bands: slice) -> tuple[slice, slice, np.ndarray]:
        used = np.flatnonzero(filters[bands].any(axis=0))
        # A product over no bins gives the zeros of bands that hold none.
        columns = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)
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
    """Prepare a `mel_filterbank` for `filtered_spectrogram`; the same arguments return the same object.

    Args:
        sample_rate, n_fft, n_mels, fmin, fmax, mel_scale, norm, triangles: See `mel_filterbank`.

    Returns:
        The filterbank. It is shared, so it must not be changed.

    Raises:
        ValueError: `mel_filterbank` refuses the arguments.
    """
    return Filterbank(
        mel_filterbank(sample_rate, n_fft, n_mels, fmin=fmin, fmax=fmax, mel_scale=mel_scale, norm=norm, triangles=triangles)
    )


@lru_cache(maxsize=32)
def gammatone_bank(sample_rate: float, n_fft: int, n_bands: int, fmin: float, fmax: float | None) -> Filterbank:
    """Prepare a `gammatone_filterbank` for `filtered_spectrogram`; the same arguments return the same object.

    Args:
        sample_rate, n_fft, n_bands, fmin, fmax: See `gammatone_filterbank`.

    Returns:
        The filterbank. It is shared, so it must not be changed.

    Raises:
        ValueError: `gammatone_filterbank` refuses the arguments.
    """
    return Filterbank(gammatone_filterbank(sample_rate, n_fft, n_bands, fmin=fmin, fmax=fmax))
