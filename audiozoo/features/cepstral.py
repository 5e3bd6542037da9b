"""Frontends with cepstral coefficients, the cosine transform of mel or gammatone bands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from audiozoo import audio, spectrum
from audiozoo.checks import require_whole
from audiozoo.features.bands import check_deltas, check_mel, filtered, with_deltas
from audiozoo.features.cleaning import CleaningStep
from audiozoo.features.framed import Framed, check_transform, stft_of
from audiozoo.features.frontends import Axis


@lru_cache(maxsize=32)
def dct_matrix(coefficients: int, bands: int) -> np.ndarray:
    """Return the first columns of the orthonormal cosine transform of type 2, float32 ``(bands, coefficients)``."""
    from scipy.fft import dct

    # The transform of the unit vectors is its matrix. An exported model multiplies by the same one.
    return dct(np.eye(bands), type=2, norm="ortho", axis=1)[:, :coefficients].astype(np.float32)


def _cepstrum(bands: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """Turn ``(frames, bands, channels)`` into ``(coefficients, frames, channels)``."""
    return np.moveaxis(np.swapaxes(bands, 1, 2) @ cosines, 2, 0)


@dataclass(frozen=True, kw_only=True)
class MFCC(Framed):
    """Mel-frequency cepstral coefficients, shape ``(n_mfcc, frames, channels x (1 + deltas))``.

    They are the orthonormal cosine transform of the mel bands in decibels, as in ``librosa.feature.mfcc``.

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
        framing: Position of the frames: "center" puts their centres at multiples of `hop_length` and pads the window with
            half a frame of zeros at both ends; "window" takes only frames of `win_length` inside the window.
        n_fft: Length of the FFT (samples).
        win_length: Length of the window function (samples); `None` means `n_fft`.
        window: Name of the window function: "hann", "hamming", "blackman" or "rectangular", all periodic.
        power: Exponent of the magnitude: 1 for magnitude, 2 for power.
        fmin: Lower edge of the lowest band (Hz).
        fmax: Upper edge of the highest band (Hz); `None` means half of `sample_rate`.
        deltas: Number of time derivatives that follow as further channels: 0, 1 or 2, as ``librosa.feature.delta`` computes
            them from the frames of the window.
        delta_width: Number of frames that a derivative is fitted to; odd.
        n_mels: Number of mel bands.
        mel_scale: Mel scale: "slaney" (linear below 1 kHz) or "htk".
        norm: Normalisation of the filters: "slaney" for unit area, `None` for unit height.
        triangles: Scale on which the flanks of the filters are straight lines: "hertz" as in librosa, "mel" as in
            TensorFlow, VGGish and YAMNet, or "kaldi" as in Kaldi.
        n_mfcc: Number of coefficients, at most `n_mels`.
        top_db: Distance of the floor of the mel bands from their largest value in the window (dB); `None` means no floor.
        lifter: Length of the sinusoidal lifter (coefficients); 0 means no lifter.

    Raises:
        ValueError: A setting is out of range, of a wrong type or unknown.

    Source: Davis and Mermelstein, IEEE TASSP 28, 1980; librosa 0.11.
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
    framing: spectrum.Framing = "center"
    n_fft: int = 2_048
    win_length: int | None = None
    window: str = "hann"
    power: float = 2.0
    fmin: float = 0.0
    fmax: float | None = None
    deltas: int = 0
    delta_width: int = 9
    n_mels: int = 128
    mel_scale: spectrum.MelScale = "slaney"
    norm: spectrum.MelNorm = "slaney"
    triangles: spectrum.Triangles = "hertz"
    n_mfcc: int = 20
    top_db: float | None = 80.0
    lifter: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_mel(self.n_mels, mel_scale=self.mel_scale, norm=self.norm, triangles=self.triangles)
        check_transform(
            self,
            n_fft=self.n_fft,
            win_length=self.win_length,
            window=self.window,
            power=self.power,
            bands=self.n_mels,
        )
        check_deltas(self.deltas, width=self.delta_width, frames=self.frame_count)
        self.filterbank  # noqa: B018  an impossible filterbank must fail here and not at the first sound
        require_whole(n_mfcc=self.n_mfcc)
        floor = self.top_db is None or self.top_db > 0
        if not (1 <= self.n_mfcc <= self.n_mels and self.lifter >= 0 and floor):
            raise ValueError(
                "MFCC needs 1 <= n_mfcc <= n_mels, lifter of at least 0 and a positive top_db, got "
                f"n_mfcc={self.n_mfcc}, n_mels={self.n_mels}, lifter={self.lifter}, top_db={self.top_db}"
            )
        audio.check_features(self.shape, name="MFCC")

    @property
    def stft(self) -> spectrum.Stft:
        """Settings of the short-time Fourier transform."""
        return stft_of(self)

    @property
    def filterbank(self) -> spectrum.Filterbank:
        """Mel filters."""
        return spectrum.mel_bank(
            self.sample_rate, self.n_fft, self.n_mels, self.fmin, self.fmax, self.mel_scale, self.norm, self.triangles
        )

    @property
    def cosines(self) -> np.ndarray:
        """Cosine transform and lifter, float32 ``(n_mels, n_mfcc)``."""
        cosines = dct_matrix(self.n_mfcc, self.n_mels)
        if not self.lifter:
            return cosines
        weights = 1 + self.lifter / 2 * np.sin(np.pi * np.arange(1, 1 + self.n_mfcc) / self.lifter)
        return cosines * weights.astype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(n_mfcc, frames, channels x (1 + deltas))``."""
        return (self.n_mfcc, self.frame_count, self.channels * (1 + self.deltas))

    @property
    def axis(self) -> Axis:
        """Number of each coefficient."""
        return Axis("coefficient", np.arange(self.n_mfcc))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        bands = filtered(columns, self.stft, self.filterbank, power=self.power, frames=self.frame_count)
        values = _cepstrum(spectrum.to_decibels(bands, power=self.power, top_db=self.top_db), self.cosines)
        return with_deltas(values, self.deltas, width=self.delta_width)


@dataclass(frozen=True, kw_only=True)
class GFCC(Framed):
    """Gammatone-frequency cepstral coefficients, shape ``(n_gfcc, frames, channels x (1 + deltas))``.

    They are the orthonormal cosine transform of the cubic root of gammatone bands.

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
        framing: Position of the frames: "center" puts their centres at multiples of `hop_length` and pads the window with
            half a frame of zeros at both ends; "window" takes only frames of `win_length` inside the window.
        n_fft: Length of the FFT (samples).
        win_length: Length of the window function (samples); `None` means `n_fft`.
        window: Name of the window function: "hann", "hamming", "blackman" or "rectangular", all periodic.
        power: Exponent of the magnitude: 1 for magnitude, 2 for power.
        fmin: Centre of the lowest gammatone filter (Hz).
        fmax: Frequency at which the centre after the highest filter would lie (Hz); `None` means half of
            `sample_rate`.
        deltas: Number of time derivatives that follow as further channels: 0, 1 or 2, as ``librosa.feature.delta`` computes
            them from the frames of the window.
        delta_width: Number of frames that a derivative is fitted to; odd.
        n_gfcc: Number of coefficients, at most `n_bands`.
        n_bands: Number of gammatone filters, evenly spaced on the ERB scale.
        pre_emphasis: Factor on the previous sample, which is subtracted from each sample first; 0 means no pre-emphasis.

    Raises:
        ValueError: A setting is out of range, of a wrong type or unknown.

    Source: Shao, Srinivasan and Wang, "Incorporating auditory feature uncertainties in robust speaker identification",
    ICASSP 2007. With ``framing="window"`` and ``window="hamming"`` it agrees with spafe, except that spafe's window function
    is symmetric.
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
    framing: spectrum.Framing = "center"
    n_fft: int = 2_048
    win_length: int | None = None
    window: str = "hann"
    power: float = 2.0
    fmin: float = 0.0
    fmax: float | None = None
    deltas: int = 0
    delta_width: int = 9
    n_gfcc: int = 13
    n_bands: int = 64
    pre_emphasis: float = 0.97

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole(n_gfcc=self.n_gfcc, n_bands=self.n_bands)
        check_transform(
            self,
            n_fft=self.n_fft,
            win_length=self.win_length,
            window=self.window,
            power=self.power,
            bands=self.n_bands,
        )
        check_deltas(self.deltas, width=self.delta_width, frames=self.frame_count)
        self.filterbank  # noqa: B018  an impossible filterbank must fail here and not at the first sound
        if not 1 <= self.n_gfcc <= self.n_bands or not 0 <= self.pre_emphasis <= 1:
            raise ValueError(
                "GFCC needs 1 <= n_gfcc <= n_bands and pre_emphasis from 0 to 1, got "
                f"n_gfcc={self.n_gfcc}, n_bands={self.n_bands}, pre_emphasis={self.pre_emphasis}"
            )
        audio.check_features(self.shape, name="GFCC")

    @property
    def stft(self) -> spectrum.Stft:
        """Settings of the short-time Fourier transform."""
        return stft_of(self)

    @property
    def filterbank(self) -> spectrum.Filterbank:
        """Gammatone filters."""
        return spectrum.gammatone_bank(self.sample_rate, self.n_fft, self.n_bands, self.fmin, self.fmax)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(n_gfcc, frames, channels x (1 + deltas))``."""
        return (self.n_gfcc, self.frame_count, self.channels * (1 + self.deltas))

    @property
    def axis(self) -> Axis:
        """Number of each coefficient."""
        return Axis("coefficient", np.arange(self.n_gfcc))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        emphasised = [self._emphasised(column) for column in columns]
        bands = filtered(emphasised, self.stft, self.filterbank, power=self.power, frames=self.frame_count)
        bands *= np.float32(1 / self.n_fft)
        values = _cepstrum(np.cbrt(bands, out=bands), dct_matrix(self.n_gfcc, self.n_bands))
        return with_deltas(values, self.deltas, width=self.delta_width)

    def _emphasised(self, wave: np.ndarray) -> np.ndarray:
        # Unlike `PreEmphasis`, this keeps the first sample, as spafe does.
        out = wave.copy()
        out[1:] -= np.float32(self.pre_emphasis) * wave[:-1]
        return out
