"""Frontends on the short-time Fourier transform: spectrograms and mel bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from audiozoo import audio, spectrum
from audiozoo.checks import require_choice, require_whole
from audiozoo.config import Configured, added
from audiozoo.features.bands import check_deltas, check_mel, filtered, with_deltas
from audiozoo.features.cleaning import CleaningStep
from audiozoo.features.framed import Framed, check_compression, check_transform, compress, joined, stft_of
from audiozoo.features.frontends import Axis


@dataclass(frozen=True, kw_only=True)
class Spectrogram(Framed):
    """Spectrogram: magnitude, power, magnitude and phase, or real and imaginary parts.

    The output has shape ``(1 + n_fft // 2 - first_bin, frames, channels)``; a complex representation has two channels for
    each channel of the sound.

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
        compression: Scale of the magnitude: "db" for decibels, "log" for the natural logarithm of the value plus `offset`,
            `None` for a linear scale.
        reference: With "db", the squared magnitude that becomes 0 dB, or "max" for the largest in the window.
        top_db: With "db", the distance of the floor from the largest value in the window (dB); `None` means no floor.
        offset: With "log", the summand before the logarithm.
        representation: "magnitude" for the magnitude to `power`, compressed; "magnitude_phase" for that and the phase
            atan2(imaginary, real) (radians); "real_imaginary" for the two parts.
        first_bin: Lowest FFT bin of the output; 1 leaves out the bin at 0 Hz.

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
    framing: spectrum.Framing = "center"
    n_fft: int = 2_048
    win_length: int | None = None
    window: str = "hann"
    power: float = 2.0
    compression: Literal["db", "log"] | None = None
    reference: float | Literal["max"] = 1.0
    top_db: float | None = 80.0
    offset: float = 1e-6
    representation: Literal["magnitude", "magnitude_phase", "real_imaginary"] = "magnitude"
    first_bin: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_transform(self, n_fft=self.n_fft, win_length=self.win_length, window=self.window, power=self.power)
        check_compression(self.compression, reference=self.reference, top_db=self.top_db, offset=self.offset)
        require_choice("representation", self.representation, ("magnitude", "magnitude_phase", "real_imaginary"))
        if self.representation == "real_imaginary" and self.compression is not None:
            raise ValueError(f"real and imaginary parts can be negative: compression must be None, got {self.compression!r}")
        require_whole(first_bin=self.first_bin)
        if not 0 <= self.first_bin <= self.n_fft // 2:
            raise ValueError(f"first_bin must be from 0 to n_fft // 2 = {self.n_fft // 2}, got {self.first_bin}")
        audio.check_features(self.shape, name="Spectrogram")

    @property
    def stft(self) -> spectrum.Stft:
        """Settings of the short-time Fourier transform."""
        return stft_of(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(bins, frames, channels)``, with twice the channels for a complex representation."""
        parts = 1 if self.representation == "magnitude" else 2
        return (1 + self.n_fft // 2 - self.first_bin, self.frame_count, parts * self.channels)

    @property
    def axis(self) -> Axis:
        """Frequency of each bin."""
        bins = np.arange(self.first_bin, 1 + self.n_fft // 2)
        return Axis("frequency, Hz", bins * self.sample_rate / self.n_fft)

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        stft = self.stft
        if self.representation == "magnitude":
            whole = joined([spectrum.spectrogram(column, stft, power=self.power) for column in columns], self.frame_count)
            # Compression works in place, and is fastest on a contiguous array.
            values = self._compressed(np.ascontiguousarray(whole[:, self.first_bin :]))
        else:
            bins = joined([spectrum.complex_spectrogram(column, stft) for column in columns], self.frame_count)
            values = self._parts(bins[:, self.first_bin :])
        return values.swapaxes(0, 1)

    def _parts(self, bins: np.ndarray) -> np.ndarray:
        if self.representation == "real_imaginary":
            parts = [bins.real, bins.imag]
        else:
            parts = [self._compressed(np.abs(bins) ** np.float32(self.power)), np.angle(bins)]
        # The two parts of a channel become neighbouring channels.
        return np.stack(parts, axis=-1).reshape(*bins.shape[:2], -1)

    def _compressed(self, values: np.ndarray) -> np.ndarray:
        return compress(
            values, self.compression, power=self.power, reference=self.reference, top_db=self.top_db, offset=self.offset
        )


@dataclass(frozen=True, kw_only=True)
class Pcen(Configured):
    """Per-channel energy normalisation of mel bands: ``librosa.pcen`` of the bands times `scale`.

    Args:
        gain: Exponent of the smoothed energy, by which the bands are divided.
        bias: Summand before the compression.
        exponent: Exponent of the compression.
        time_constant: Time constant of the smoothing (seconds).
        scale: Factor on the bands before all else. The defaults suit samples in the range of 32-bit integers, hence 2^31.

    Raises:
        ValueError: A setting is negative, or one other than `gain` and `bias` is zero.

    Source: Wang et al., "Trainable frontend for robust and far-field keyword spotting", ICASSP 2017.
    """

    gain: float = 0.98
    bias: float = 2.0
    exponent: float = 0.5
    time_constant: float = 0.4
    scale: float = 2.0**31

    def __post_init__(self) -> None:
        positive = {"exponent": self.exponent, "time_constant": self.time_constant, "scale": self.scale}
        if not (self.gain >= 0 and self.bias >= 0 and all(value > 0 for value in positive.values())):
            raise ValueError(f"PCEN needs gain and bias of at least 0, and positive {', '.join(positive)}, got {self}")

    def __call__(self, bands: np.ndarray, sample_rate: int, hop_length: int) -> np.ndarray:
        """Normalise mel bands.

        Args:
            bands: Mel bands ``(frames, bands, channels)``.
            sample_rate: Sample rate of the sound (Hz).
            hop_length: Distance between the starts of neighbouring frames (samples).

        Returns:
            float32 of the same shape.
        """
        import librosa

        return librosa.pcen(
            bands * np.float32(self.scale),
            sr=sample_rate,
            hop_length=hop_length,
            gain=self.gain,
            bias=self.bias,
            power=self.exponent,
            time_constant=self.time_constant,
            axis=0,
        ).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class LogMel(Framed):
    """Log-mel spectrogram, shape ``(n_mels, frames, channels x (1 + deltas))``.

    With the same settings it equals librosa's ``power_to_db(melspectrogram(...))``.

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
            half a frame at both ends; "window" takes only frames of `win_length` inside the window.
        edges: With framing="center", the samples beyond the ends of the window: "zero", or "reflect" for the window mirrored at
            its first and last sample.
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
        triangles: Scale on which the flanks of the filters are straight lines: "hertz" as in librosa, or "mel" as in
            TensorFlow, VGGish and YAMNet.
        compression: Scale of the bands: "db" for decibels, "log" for the natural logarithm of the value plus `offset`, "pcen"
            for per-channel energy normalisation, `None` for a linear scale.
        reference: With "db", the squared magnitude that becomes 0 dB, or "max" for the largest in the window.
        top_db: With "db", the distance of the floor from the largest value in the window (dB); `None` means no floor.
        offset: With "log", the summand before the logarithm.
        pcen: With "pcen", its settings; ``power=1`` is usual then.

    Raises:
        ValueError: A setting is out of range, of a wrong type or unknown.

    Source: librosa 0.11; HTK Book (Young et al.) for the "htk" scale; Slaney's Auditory Toolbox for the "slaney" scale.
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
    edges: spectrum.Edges = added("zero")
    n_fft: int = 2_048
    win_length: int | None = None
    window: str = "hann"
    power: float = 2.0
    fmin: float = 0.0
    fmax: float | None = None
    deltas: int = 0
    delta_width: int = 9
    n_mels: int = 64
    mel_scale: spectrum.MelScale = "slaney"
    norm: spectrum.MelNorm = "slaney"
    triangles: spectrum.Triangles = "hertz"
    compression: Literal["db", "log", "pcen"] | None = "db"
    reference: float | Literal["max"] = 1.0
    top_db: float | None = 80.0
    offset: float = 1e-6
    pcen: Pcen = Pcen()

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
        known = ("db", "log", "pcen", None)
        check_compression(self.compression, reference=self.reference, top_db=self.top_db, offset=self.offset, choices=known)
        if not isinstance(self.pcen, Pcen):
            raise ValueError(f"pcen must be a Pcen, got {self.pcen!r}")
        audio.check_features(self.shape, name="LogMel")

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
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(n_mels, frames, channels x (1 + deltas))``."""
        return (self.n_mels, self.frame_count, self.channels * (1 + self.deltas))

    @property
    def axis(self) -> Axis:
        """Centre frequency of each band."""
        centres = spectrum.mel_centres(self.sample_rate, self.n_mels, fmin=self.fmin, fmax=self.fmax, mel_scale=self.mel_scale)
        return Axis("frequency, Hz", centres)

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        bands = filtered(columns, self.stft, self.filterbank, power=self.power, frames=self.frame_count)
        if self.compression == "pcen":
            values = self.pcen(bands, self.sample_rate, self.hop_length)
        else:
            values = compress(
                bands, self.compression, power=self.power, reference=self.reference, top_db=self.top_db, offset=self.offset
            )
        return with_deltas(values.swapaxes(0, 1), self.deltas, width=self.delta_width)
