"""Frontends on the short-time Fourier transform: spectrogram, mel bands, cepstra, spectral descriptors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np

from audiozoo import spectrum
from audiozoo.config import Configured, refuse_unknown
from audiozoo.features.frontends import Axis, Frontend, require_choice


@dataclass(frozen=True, kw_only=True)
class Framed(Frontend):
    """What frontends with a time axis of frames share.

    Args:
        frames: Exact number of frames, cut or padded with silence; `None` for what the window gives.
        hop_length: Samples from one frame to the next.
    """

    frames: int | None = None
    hop_length: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.frames is None or (isinstance(self.frames, int) and self.frames > 0)) or self.hop_length < 1:
            raise ValueError(
                "frames must be None or a whole number of at least 1, hop_length at least 1, got "
                f"frames={self.frames}, hop_length={self.hop_length}"
            )

    @property
    def _natural_frames(self) -> int:
        """Frames that a window gives of itself, their centres a hop apart from its first sample on."""
        return 1 + self.samples // self.hop_length

    @property
    def _frame_count(self) -> int:
        return self._natural_frames if self.frames is None else self.frames

    @property
    def times(self) -> np.ndarray:
        """Seconds of each frame's centre."""
        return np.arange(self._frame_count) * self.hop_length / self.sample_rate

    def adapt(self, *, duration: float | None = None, channels: int | None = None) -> Self:
        """Return the same frontend for other data; fixed frames and the hop follow the duration in proportion."""
        adapted = super().adapt(duration=duration, channels=channels)
        if self.frames is None:
            return adapted
        return replace(adapted, frames=max(1, round(self.frames * adapted.duration / self.duration)))

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        """Put the channels' ``(frames, bands)`` behind each other as ``(frames, bands, channels)``, frames cut or padded."""
        return np.stack([self._fit_frames(part) for part in parts], axis=-1)

    def _fit_frames(self, part: np.ndarray) -> np.ndarray:
        missing = self._frame_count - len(part)
        return part[: self._frame_count] if missing <= 0 else np.pad(part, ((0, missing), (0, 0)))


@dataclass(frozen=True, kw_only=True)
class TimeFrequency(Framed):
    """What frontends on a short-time Fourier transform share.

    Args:
        framing: "center" pads half a frame of zeros on both sides, so that frames are centred on multiples of the hop;
            "window" takes frames of `win_length` that lie inside the window.
        n_fft, win_length: Samples; ``win_length=None`` is `n_fft`.
        window: "hann", "hamming", "blackman" or "rectangular", periodic.
        power: Exponent of the magnitude.
    """

    framing: spectrum.Framing = "center"
    n_fft: int = 2_048
    win_length: int | None = None
    window: str = "hann"
    power: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        spectrum.window(self.window, 1)
        if self.power <= 0:
            raise ValueError(f"power must be positive, got {self.power}")
        if self._frame_count < 1:
            raise ValueError(
                f"a window of {self.duration} s holds no frame of {self._stft.win_length} samples: use a longer duration, "
                "a smaller win_length or framing='center'"
            )

    @property
    def _stft(self) -> spectrum.Stft:
        return spectrum.Stft(
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            win_length=self.n_fft if self.win_length is None else self.win_length,
            window=self.window,
            framing=self.framing,
        )

    @property
    def _natural_frames(self) -> int:
        return self._stft.frames_of(self.samples)

    @property
    def times(self) -> np.ndarray:
        """Seconds of each frame's centre."""
        return self._stft.times(self._frame_count, self.sample_rate)


@dataclass(frozen=True, kw_only=True)
class Compressed(Framed):
    """What frontends share whose values may be put on a logarithmic scale.

    Args:
        compression: "db", "log" (natural, of the value plus `offset`), or `None` for linear values.
        reference: With "db", the power that is 0 dB, or "max" for the window's own largest.
        top_db: With "db", the floor below the window's largest value; `None` for none.
        offset: With "log", what is added first.
    """

    compression: Literal["db", "log"] | None = None
    reference: float | Literal["max"] = 1.0
    top_db: float | None = 80.0
    offset: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("compression", self.compression, self._compressions())
        if self.offset <= 0 or (self.top_db is not None and self.top_db <= 0):
            raise ValueError(f"offset and top_db must be positive, got offset={self.offset}, top_db={self.top_db}")
        if self.reference != "max" and not (isinstance(self.reference, (int, float)) and self.reference > 0):
            raise ValueError(f"reference must be a positive number or 'max', got {self.reference!r}")

    @classmethod
    def _compressions(cls) -> tuple[str | None, ...]:
        return ("db", "log", None)

    def _compress(self, values: np.ndarray, power: float) -> np.ndarray:
        """Compress in place values that are magnitudes to some power."""
        if self.compression == "db":
            # A decibel is a tenth of a power ratio, whatever power the values were summed at.
            values = values if power == 2 else np.power(values, 2 / power, out=values)
            return spectrum.to_decibels(values, reference=self.reference, top_db=self.top_db)
        if self.compression == "log":
            values += np.float32(self.offset)
            return np.log(values, out=values)
        return values


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


@lru_cache(maxsize=32)
def dct_matrix(coefficients: int, bands: int) -> np.ndarray:
    """Return the first rows of the orthonormal cosine transform of type 2, float32 ``(bands, coefficients)``."""
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(coefficients))
    matrix = np.sqrt(2 / bands) * np.cos(angles)
    matrix[:, 0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def _cepstrum(bands: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    # (frames, bands, channels) to (frames, coefficients, channels)
    return np.swapaxes(np.swapaxes(bands, 1, 2) @ cosines, 1, 2)


@dataclass(frozen=True, kw_only=True)
class MFCC(MelBands):
    """Mel-frequency cepstral coefficients, equal to ``librosa.feature.mfcc``.

    The orthonormal cosine transform of the mel bands in decibels.

    Args:
        n_mfcc: Coefficients, at most `n_mels`.
        top_db: Floor of the decibels below the window's largest value; `None` for none.
        lifter: Sinusoidal liftering; 0 is none.
        n_mels, mel_scale, norm, triangles: See `MelBands`.
        fmin, fmax, deltas, delta_width: See `Bands`.
        frames, hop_length, framing, n_fft, win_length, window, power: See `TimeFrequency`.

    Source: Davis and Mermelstein, IEEE TASSP 28, 1980; librosa 0.11.
    """

    n_mfcc: int = 20
    top_db: float | None = 80.0
    lifter: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.n_mfcc <= self.n_mels or self.lifter < 0 or (self.top_db is not None and self.top_db <= 0):
            raise ValueError(
                "MFCC needs 1 <= n_mfcc <= n_mels, lifter of at least 0 and a positive top_db, got "
                f"n_mfcc={self.n_mfcc}, n_mels={self.n_mels}, lifter={self.lifter}, top_db={self.top_db}"
            )

    @property
    def _rows(self) -> int:
        return self.n_mfcc

    @property
    def axis(self) -> Axis:
        """Number of each coefficient."""
        return Axis("coefficient", np.arange(self.n_mfcc))

    def _from_bands(self, bands: np.ndarray) -> np.ndarray:
        powers = bands if self.power == 2 else np.power(bands, 2 / self.power, out=bands)
        return _cepstrum(spectrum.to_decibels(powers, top_db=self.top_db), self._cosines)

    @property
    def _cosines(self) -> np.ndarray:
        """The transform and the lifter, float32 ``(n_mels, n_mfcc)``."""
        cosines = dct_matrix(self.n_mfcc, self.n_mels)
        if not self.lifter:
            return cosines
        weights = 1 + self.lifter / 2 * np.sin(np.pi * np.arange(1, 1 + self.n_mfcc) / self.lifter)
        return cosines * weights.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class GFCC(Bands):
    """Gammatone-frequency cepstral coefficients: cosine transform of the cubic root of gammatone bands.

    Args:
        n_gfcc: Coefficients, at most `n_bands`.
        n_bands: Gammatone filters, evenly spaced on the ERB scale.
        pre_emphasis: Share of the sample before that is first taken away from each; 0 is none.
        fmin, fmax, deltas, delta_width: See `Bands`.
        frames, hop_length, framing, n_fft, win_length, window, power: See `TimeFrequency`.

    Source: Shao, Srinivasan and Wang, "Incorporating auditory feature uncertainties in robust speaker identification",
    ICASSP 2007. With ``framing="window"`` and ``window="hamming"`` it is what spafe computes, but for its symmetric window.
    """

    n_gfcc: int = 13
    n_bands: int = 64
    pre_emphasis: float = 0.97

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.n_gfcc <= self.n_bands or not 0 <= self.pre_emphasis <= 1:
            raise ValueError(
                "GFCC needs 1 <= n_gfcc <= n_bands and pre_emphasis from 0 to 1, got "
                f"n_gfcc={self.n_gfcc}, n_bands={self.n_bands}, pre_emphasis={self.pre_emphasis}"
            )

    @property
    def _bank(self) -> spectrum.Filterbank:
        return spectrum.gammatone_bank(self.sample_rate, self.n_fft, self.n_bands, self.fmin, self.fmax)

    @property
    def _rows(self) -> int:
        return self.n_gfcc

    @property
    def axis(self) -> Axis:
        """Number of each coefficient."""
        return Axis("coefficient", np.arange(self.n_gfcc))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        return super()._compute([self._emphasised(column) for column in columns])

    def _emphasised(self, wave: np.ndarray) -> np.ndarray:
        out = wave.copy()
        out[1:] -= np.float32(self.pre_emphasis) * wave[:-1]
        return out

    def _from_bands(self, bands: np.ndarray) -> np.ndarray:
        bands *= np.float32(1 / self.n_fft)
        return _cepstrum(np.cbrt(bands, out=bands), dct_matrix(self.n_gfcc, self.n_bands))


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
        # The highest of the seven bands of the contrast begins at 200 x 2^5 Hz.
        if "contrast" in self.kinds and self.sample_rate < 2 * 6_400:
            raise ValueError(f"the spectral contrast needs a sample_rate of at least 12800 Hz, got {self.sample_rate}")

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
