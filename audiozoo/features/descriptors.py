"""A frontend of numbers that describe each frame, computed by librosa."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiozoo import spectrum
from audiozoo.checks import refuse_unknown, require_whole
from audiozoo.features.framed import Framed
from audiozoo.features.frontends import Axis


def _descriptors() -> dict[str, Callable[[np.ndarray, np.ndarray, Descriptors], np.ndarray]]:
    """Map each descriptor to what computes its rows from a wave and the magnitudes ``(bins, frames)``."""
    from librosa import feature

    def of_magnitudes(function: Callable[..., Any], **fixed: Any) -> Callable[..., np.ndarray]:
        return lambda wave, magnitudes, settings: function(S=magnitudes, **fixed)

    def with_rate(function: Callable[..., Any], **fixed: Any) -> Callable[..., np.ndarray]:
        return lambda wave, magnitudes, settings: function(S=magnitudes, sr=settings.sample_rate, n_fft=settings.n_fft, **fixed)

    def of_wave(function: Callable[..., Any], **fixed: Any) -> Callable[..., np.ndarray]:
        return lambda wave, magnitudes, settings: function(
            y=wave, frame_length=settings.n_fft, hop_length=settings.hop_length, **fixed
        )

    return {
        "zero_crossing_rate": of_wave(feature.zero_crossing_rate),
        "rms": of_wave(feature.rms),
        "centroid": with_rate(feature.spectral_centroid),
        "bandwidth": with_rate(feature.spectral_bandwidth),
        "rolloff": with_rate(feature.spectral_rolloff),
        "flatness": of_magnitudes(feature.spectral_flatness),
        "contrast": with_rate(feature.spectral_contrast),
    }


_ROWS = {"zero_crossing_rate": 1, "rms": 1, "centroid": 1, "bandwidth": 1, "rolloff": 1, "flatness": 1, "contrast": 7}


def _holds_octaves(sample_rate: float, n_fft: int) -> bool:
    """Tell whether each band of librosa's contrast has something to compare; its lowest leaves its last bin out."""
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    edges = 200 * 2 ** np.arange(6)
    held = [((low <= bins) & (bins <= 2 * low)).any() for low in edges]
    return bool(sample_rate > 2 * edges[-1] and np.count_nonzero(bins <= 200) > 1 and all(held))


@dataclass(frozen=True, kw_only=True)
class Descriptors(Framed):
    """Numbers that describe each frame's spectrum and wave, as librosa computes them.

    Args:
        kinds: Of "zero_crossing_rate" (share of samples), "rms", "centroid", "bandwidth", "rolloff" (all Hz), "flatness" (from
            0, a tone, to 1, noise) and "contrast" (7 rows, dB), in the order of the rows.
        n_fft: Length of a frame, samples.
        frames, hop_length: See `Framed`.
    """

    n_fft: int = 2_048
    kinds: tuple[str, ...] = tuple(_ROWS)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unknown("descriptor", self.kinds, _ROWS)
        if not self.kinds or len(set(self.kinds)) != len(self.kinds):
            raise ValueError(f"kinds takes some of {', '.join(_ROWS)}, each once, got {self.kinds!r}")
        require_whole(n_fft=self.n_fft)
        if "contrast" in self.kinds and not _holds_octaves(self.sample_rate, self.n_fft):
            raise ValueError(
                "the spectral contrast needs an FFT bin in each octave from 200 Hz to 12800 Hz, got "
                f"n_fft={self.n_fft} at {self.sample_rate} Hz: use a larger n_fft, a rate above 12800 Hz, or other kinds"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """``(rows, frames, channels)``."""
        return (sum(_ROWS[kind] for kind in self.kinds), self._frame_count, self.channels)

    @property
    def axis(self) -> Axis:
        """Number of each row."""
        return Axis("descriptor", np.arange(self.shape[0]))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        return self._joined([self._of(column) for column in columns]).swapaxes(0, 1)

    def _of(self, wave: np.ndarray) -> np.ndarray:
        stft = spectrum.Stft(n_fft=self.n_fft, hop_length=self.hop_length, win_length=self.n_fft)
        magnitudes = spectrum.spectrogram(wave, stft, power=1.0).T
        known = _descriptors()
        rows = [known[kind](wave, magnitudes, self) for kind in self.kinds]
        return np.concatenate(rows).T.astype(np.float32)
