"""Frontend with descriptors of the spectrum and the waveform, computed by librosa."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiozoo import audio, spectrum
from audiozoo.checks import refuse_unknown, require_whole
from audiozoo.features.cleaning import CleaningStep
from audiozoo.features.framed import Framed, check_sizes, joined
from audiozoo.features.frontends import Axis


def _descriptors() -> dict[str, Callable[[np.ndarray, np.ndarray, Descriptors], np.ndarray]]:
    """Map the name of each descriptor to the function that computes it from a wave and its magnitudes ``(bins, frames)``."""
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


_SIZES = {"zero_crossing_rate": 1, "rms": 1, "centroid": 1, "bandwidth": 1, "rolloff": 1, "flatness": 1, "contrast": 7}


def _holds_octaves(sample_rate: float, n_fft: int) -> bool:
    """Return whether each octave band of librosa's spectral contrast contains an FFT bin.

    The lowest band, up to 200 Hz, needs two bins because librosa ignores the last one.
    """
    # librosa takes the mean of the loudest and of the quietest bins in each band, which an empty band does not have.
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    edges = 200 * 2 ** np.arange(6)
    held = [((low <= bins) & (bins <= 2 * low)).any() for low in edges]
    return bool(sample_rate > 2 * edges[-1] and np.count_nonzero(bins <= 200) > 1 and all(held))


@dataclass(frozen=True, kw_only=True)
class Descriptors(Framed):
    """Descriptors of each frame's spectrum and wave, as librosa computes them; shape ``(values, frames, channels)``.

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
        n_fft: Length of a frame and of the FFT (samples).
        kinds: Names of the descriptors, in the order of the output: "zero_crossing_rate" (fraction of samples), "rms",
            "centroid", "bandwidth", "rolloff" (Hz), "flatness" (0 for a tone to 1 for noise), "contrast" (7 values, dB).

    Raises:
        ValueError: A setting is out of range, of a wrong type or unknown.
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
    n_fft: int = 2_048
    kinds: tuple[str, ...] = tuple(_SIZES)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unknown("descriptor", self.kinds, _SIZES)
        if not self.kinds or len(set(self.kinds)) != len(self.kinds):
            raise ValueError(f"kinds takes some of {', '.join(_SIZES)}, each once, got {self.kinds!r}")
        require_whole(n_fft=self.n_fft)
        check_sizes(self, bins=1 + self.n_fft // 2)
        if "contrast" in self.kinds and not _holds_octaves(self.sample_rate, self.n_fft):
            raise ValueError(
                "the spectral contrast needs an FFT bin in each octave from 200 Hz to 12800 Hz, got "
                f"n_fft={self.n_fft} at {self.sample_rate} Hz: use a larger n_fft, a rate above 12800 Hz, or other kinds"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(values, frames, channels)``."""
        return (sum(_SIZES[kind] for kind in self.kinds), self.frame_count, self.channels)

    @property
    def axis(self) -> Axis:
        """Number of each value."""
        return Axis("descriptor", np.arange(self.shape[0]))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        return joined([self._described(column) for column in columns], self.frame_count).swapaxes(0, 1)

    def _described(self, wave: np.ndarray) -> np.ndarray:
        """Compute the descriptors of one channel, float32 ``(frames, values)``."""
        # One transform serves all descriptors; librosa would compute it for each.
        stft = spectrum.Stft(n_fft=self.n_fft, hop_length=self.hop_length, win_length=self.n_fft)
        magnitudes = spectrum.spectrogram(wave, stft, power=1.0).T
        known = _descriptors()
        return np.concatenate([known[kind](wave, magnitudes, self) for kind in self.kinds]).T.astype(np.float32)
