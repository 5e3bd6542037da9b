"""Frontends on the short-time Fourier transform and its mel bands."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audiozoo import spectrum
from audiozoo.checks import require_choice, require_whole
from audiozoo.config import Configured
from audiozoo.features.framed import Compressed, TimeFrequency
from audiozoo.features.frontends import Axis


@dataclass(frozen=True, kw_only=True)
class Spectrogram(Compressed, TimeFrequency):
    """Short-time Fourier transform: magnitude (``power=1``), power (``power=2``), or both parts of the complex values.

    Args:
        representation: "magnitude"; "magnitude_phase", two channels for each of sound, the magnitude to `power`, compressed,
            and the phase, atan2(imaginary, real), in radians; or "real_imaginary".
        first_bin: The lowest bin that is kept; 1 leaves the constant part out.
        frames, hop_length, framing, n_fft, win_length, window, power: See `TimeFrequency`.
        compression, reference, top_db, offset: See `Compressed`.
    """

    representation: Literal["magnitude", "magnitude_phase", "real_imaginary"] = "magnitude"
    first_bin: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("representation", self.representation, ("magnitude", "magnitude_phase", "real_imaginary"))
        if self.representation == "real_imaginary" and self.compression is not None:
            raise ValueError(f"real and imaginary parts have signs: compression must be None, got {self.compression!r}")
        require_whole(first_bin=self.first_bin)
        if not 0 <= self.first_bin <= self.n_fft // 2:
            raise ValueError(f"first_bin must be from 0 to n_fft // 2 = {self.n_fft // 2}, got {self.first_bin}")

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1 + n_fft // 2 - first_bin, frames, channels)``, twice the channels for a complex representation."""
        parts = 1 if self.representation == "magnitude" else 2
        return (1 + self.n_fft // 2 - self.first_bin, self._frame_count, parts * self.channels)

    @property
    def axis(self) -> Axis:
        """Frequency of each bin."""
        bins = np.arange(self.first_bin, 1 + self.n_fft // 2)
        return Axis("frequency, Hz", bins * self.sample_rate / self.n_fft)

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        if self.representation == "magnitude":
            whole = self._joined([spectrum.spectrogram(column, self._stft, power=self.power) for column in columns])
            # Its own array, since compression works in place; without the cut that is what it is already.
            values = self._compress(np.ascontiguousarray(whole[:, self.first_bin :]), self.power)
        else:
            bins = self._joined([spectrum.complex_spectrogram(column, self._stft) for column in columns])
            values = self._parts(bins[:, self.first_bin :])
        return values.swapaxes(0, 1)

    def _parts(self, bins: np.ndarray) -> np.ndarray:
        if self.representation == "real_imaginary":
            parts = [bins.real, bins.imag]
        else:
            parts = [self._compress(np.abs(bins) ** np.float32(self.power), self.power), np.angle(bins)]
        # Each channel's two parts stand beside each other.
        return np.stack(parts, axis=-1).reshape(*bins.shape[:2], -1)


@dataclass(frozen=True, kw_only=True)
class Bands(TimeFrequency):
    """What frontends through a filterbank share.

    Args:
        fmin: Lower edge of the lowest band, Hz.
        fmax: Upper edge of the highest band, Hz; `None` is half the sample rate.
        deltas: How many time derivatives follow as further channels: 0, 1 or 2. They are ``librosa.feature.delta`` of the
            window's own frames.
        delta_width: Frames that a derivative is fitted to; odd.
    """

    fmin: float = 0.0
    fmax: float | None = None
    deltas: int = 0
    delta_width: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("deltas", self.deltas, (0, 1, 2))
        if self.deltas and not (self.delta_width >= 3 and self.delta_width % 2 and self.delta_width <= self._frame_count):
            raise ValueError(
                f"delta_width must be odd, at least 3 and at most the {self._frame_count} frames, got {self.delta_width}"
            )
        self._bank  # noqa: B018  an impossible filterbank shall fail here, not at the first sound

    @property
    @abstractmethod
    def _bank(self) -> spectrum.Filterbank:
        """The filters."""

    @property
    @abstractmethod
    def _rows(self) -> int:
        """Rows of the feature."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(bands or coefficients, frames, channels x (1 + deltas))``."""
        return (self._rows, self._frame_count, self.channels * (1 + self.deltas))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        bands = [spectrum.filtered_spectrogram(column, self._stft, self._bank, power=self.power) for column in columns]
        values = self._from_bands(self._joined(bands)).swapaxes(0, 1)
        return self._with_deltas(values) if self.deltas else values

    @abstractmethod
    def _from_bands(self, bands: np.ndarray) -> np.ndarray:
        """Turn ``(frames, bands, channels)``, which may be overwritten, into ``(frames, rows, channels)``."""

    def _with_deltas(self, values: np.ndarray) -> np.ndarray:
        from librosa.feature import delta

        orders = [delta(values, width=self.delta_width, order=order, axis=1) for order in range(1, 1 + self.deltas)]
        return np.concatenate([values, *orders], axis=-1, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class MelBands(Bands):
    """What frontends on mel bands share.

    Args:
        n_mels: Bands.
        mel_scale: "slaney" or "htk".
        norm: "slaney" (unit area) or `None` (unit height).
        triangles: Whether the filters' flanks are straight in "hertz", as in librosa, or in "mel", as in TensorFlow, VGGish
            and YAMNet.
    """

    n_mels: int = 128
    mel_scale: spectrum.MelScale = "slaney"
    norm: spectrum.MelNorm = "slaney"
    triangles: spectrum.Triangles = "hertz"

    def __post_init__(self) -> None:
        require_choice("mel_scale", self.mel_scale, ("slaney", "htk"))
        require_choice("norm", self.norm, ("slaney", None))
        require_choice("triangles", self.triangles, ("hertz", "mel"))
        require_whole(n_mels=self.n_mels)
        if self.n_mels < 1:
            raise ValueError(f"n_mels must be at least 1, got {self.n_mels}")
        super().__post_init__()

    @property
    def _bank(self) -> spectrum.Filterbank:
        return spectrum.mel_bank(
            self.sample_rate, self.n_fft, self.n_mels, self.fmin, self.fmax, self.mel_scale, self.norm, self.triangles
        )


@dataclass(frozen=True, kw_only=True)
class Pcen(Configured):
    """Per-channel energy normalisation of mel bands, ``librosa.pcen`` of the bands times `scale`.

    Args:
        gain: Exponent of the smoothed energy that divides.
        bias: Added before the compression.
        exponent: Of the compression.
        time_constant: Of the smoothing, seconds.
        scale: What the bands are multiplied by first, since the defaults are for 32-bit integers.

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
        """Normalise ``(frames, bands, channels)``."""
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
class LogMel(Compressed, MelBands):
    """Logarithm of mel bands, equal to librosa's ``power_to_db(melspectrogram(...))`` with the same settings.

    Args:
        n_mels, mel_scale, norm, triangles: See `MelBands`.
        fmin, fmax, deltas, delta_width: See `Bands`.
        frames, hop_length, framing, n_fft, win_length, window, power: See `TimeFrequency`.
        compression: "db", "log", "pcen", or `None` for linear mel bands.
        reference, top_db, offset: See `Compressed`.
        pcen: What "pcen" does. Usual with ``power=1``.

    Source: librosa 0.11; HTK Book (Young et al.) for the "htk" scale; Slaney's Auditory Toolbox for the other.
    """

    n_mels: int = 64
    compression: Literal["db", "log", "pcen"] | None = "db"  # type: ignore[assignment]
    pcen: Pcen = Pcen()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.pcen, Pcen):
            raise ValueError(f"pcen must be a Pcen, got {self.pcen!r}")

    @classmethod
    def _compressions(cls) -> tuple[str | None, ...]:
        return ("db", "log", "pcen", None)

    @property
    def _rows(self) -> int:
        return self.n_mels

    @property
    def axis(self) -> Axis:
        """Centre frequency of each band."""
        centres = spectrum.mel_centres(self.sample_rate, self.n_mels, fmin=self.fmin, fmax=self.fmax, mel_scale=self.mel_scale)
        return Axis("frequency, Hz", centres)

    def _from_bands(self, bands: np.ndarray) -> np.ndarray:
        if self.compression == "pcen":
            return self.pcen(bands, self.sample_rate, self.hop_length)
        return self._compress(bands, self.power)
