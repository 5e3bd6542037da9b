"""What a model is fed: one window of sound in, one float32 array out.

A frontend is a frozen value. It knows the shape of what it gives without running, is saved inside the classifier that was
trained with it, and its result for a window depends on that window alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np

from audiozoo import audio, spectrum
from audiozoo.config import Configured


@dataclass(frozen=True, kw_only=True)
class Frontend(Configured, ABC):
    """What all frontends share.

    Args:
        sample_rate: Rate of the sound it expects, Hz.
        duration: Length of a window, seconds.
        channels: 1 (mono) or more.
        pad: What fills a clip shorter than a window: "zero", or "repeat" for the clip again and again.

    Raises:
        ValueError: A rate, a duration or a number of channels that is not positive.
    """

    sample_rate: int = 22_050
    duration: float = 5.0
    channels: int = 1
    pad: audio.Pad = "zero"

    def __post_init__(self) -> None:
        if self.sample_rate <= 0 or self.channels <= 0 or self.samples <= 0:
            raise ValueError(
                "a frontend needs a positive sample_rate (Hz), duration (s) and channels, got "
                f"sample_rate={self.sample_rate}, duration={self.duration}, channels={self.channels}"
            )
        if self.pad not in ("zero", "repeat"):
            raise ValueError(f"pad must be 'zero' or 'repeat', got {self.pad!r}")

    @property
    def samples(self) -> int:
        """Length of a window in samples."""
        return round(self.sample_rate * self.duration)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the array for one window, known without running."""

    def adapt(self, *, duration: float | None = None, channels: int | None = None) -> Self:
        """Return the same frontend for other data; a fixed number of frames follows the duration in proportion."""
        duration = self.duration if duration is None else duration
        return replace(self, duration=duration, channels=self.channels if channels is None else channels)

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Compute the array for one window.

        Args:
            wave: ``(samples,)``, or ``(samples, channels)`` for more than one channel, at the frontend's sample rate; shorter
                than a window is padded.

        Returns:
            float32 of the frontend's `shape`. Silence gives finite values.

        Raises:
            ValueError: The wave is longer than a window, or has another number of channels.
        """
        wave, _ = audio.check_wave(wave, self.sample_rate)
        if len(wave) > self.samples:
            raise ValueError(
                f"one window is {self.samples} samples ({self.duration} s), got {len(wave)}: "
                "cut it with audiozoo.audio.fit, or take all windows with frontend.windows(wave)"
            )
        return self._window(wave)

    def windows(self, wave: np.ndarray, *, hop: float | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Cut a wave of any length into windows and compute each.

        Args:
            wave: As for a call, but of any length.
            hop: Seconds from one window to the next; `None` is half a window. The last is aligned to the end of the wave.

        Yields:
            The window's start in samples, and its array.
        """
        wave, _ = audio.check_wave(wave, self.sample_rate)
        step = max(1, self.samples // 2) if hop is None else round(hop * self.sample_rate)
        for start in audio.window_starts(len(wave), self.samples, step):
            yield start, self._window(wave[start : start + self.samples])

    def _window(self, wave: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self._compute(self._columns(audio.fit(wave, self.samples, pad=self.pad))))

    def _columns(self, wave: np.ndarray) -> list[np.ndarray]:
        """Return the channels as contiguous one-dimensional arrays."""
        columns = [wave] if wave.ndim == 1 else [np.ascontiguousarray(column) for column in wave.T]
        if len(columns) != self.channels:
            raise ValueError(
                f"this frontend takes {self.channels} channel(s), got {len(columns)}: "
                f"use audiozoo.audio.set_channels(wave, {self.channels})"
            )
        return columns

    @abstractmethod
    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        """Compute the array from the channels of one window, each ``(samples,)``."""


@dataclass(frozen=True, kw_only=True)
class Waveform(Frontend):
    """The samples themselves, ``(samples, channels)``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(samples, channels)``."""
        return (self.samples, self.channels)

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        return np.stack(columns, axis=-1)


@dataclass(frozen=True, kw_only=True)
class _TimeFrequency(Frontend):
    """What frontends built on a short-time Fourier transform share; sizes in samples."""

    frames: int | None = None
    framing: spectrum.Framing = "center"
    n_fft: int = 2_048
    win_length: int | None = None
    hop_length: int = 512
    window: str = "hann"
    power: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        spectrum.window(self.window, 1)
        if self.power <= 0 or not (self.frames is None or (isinstance(self.frames, int) and self.frames > 0)):
            raise ValueError(
                f"power must be positive and frames None or a whole number of at least 1, got {self.power} and {self.frames}"
            )
        if self._frame_count < 1:
            raise ValueError(
                f"a window of {self.duration} s holds no frame of n_fft={self.n_fft}: use a longer duration, "
                "a smaller n_fft or framing='center'"
            )

    @property
    def _stft(self) -> spectrum.Stft:
        length = self.n_fft if self.win_length is None else self.win_length
        return spectrum.Stft(
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            win_length=length,
            window=self.window,
            framing=self.framing,
        )

    @property
    def _frame_count(self) -> int:
        return self._stft.frames_of(self.samples) if self.frames is None else self.frames

    def adapt(self, *, duration: float | None = None, channels: int | None = None) -> Self:
        adapted = super().adapt(duration=duration, channels=channels)
        if self.frames is None:
            return adapted
        return replace(adapted, frames=max(1, round(self.frames * adapted.duration / self.duration)))

    def _fit_frames(self, spectrogram: np.ndarray) -> np.ndarray:
        """Cut or pad ``(frames, ...)`` to the frames asked for; what is added is silence."""
        missing = self._frame_count - len(spectrogram)
        if missing <= 0:
            return spectrogram[: self._frame_count]
        return np.pad(spectrogram, ((0, missing), (0, 0)))


@dataclass(frozen=True, kw_only=True)
class Spectrogram(_TimeFrequency):
    """Magnitude (``power=1``) or power (``power=2``) of the short-time Fourier transform, linear.

    Args:
        frames: Exact number of frames, cut or padded; `None` for what framing gives.
        framing: "center" pads half a frame of zeros on both sides; "window" takes frames inside the window only.
        n_fft, win_length, hop_length: Samples; ``win_length=None`` is `n_fft`.
        window: "hann", "hamming", "blackman" or "rectangular", periodic.
        power: Exponent of the magnitude.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """``(1 + n_fft // 2, frames, channels)``."""
        return (1 + self.n_fft // 2, self._frame_count, self.channels)

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        parts = [spectrum.spectrogram(column, self._stft, power=self.power) for column in columns]
        return np.stack([self._fit_frames(part) for part in parts], axis=-1).swapaxes(0, 1)


@dataclass(frozen=True, kw_only=True)
class LogMel(_TimeFrequency):
    """Logarithm of mel bands, equal to librosa's ``power_to_db(melspectrogram(...))`` with the same settings.

    Args:
        frames, framing, n_fft, win_length, hop_length, window, power: As for `Spectrogram`.
        n_mels: Bands.
        fmin: Lower edge of the lowest band, Hz.
        fmax: Upper edge of the highest band, Hz; `None` is half the sample rate.
        mel_scale: "slaney" or "htk".
        norm: "slaney" (unit area) or `None` (unit height).
        compression: "db", "log" (natural, of the value plus `offset`), or `None` for linear mel bands.
        reference: The value that is 0 dB, or "max" for the window's own largest.
        top_db: With "db", the floor below the window's largest value; `None` for none.
        offset: With "log", what is added first.

    Source: librosa 0.11; HTK Book (Young et al.) for the "htk" scale; Slaney's Auditory Toolbox for the other.
    """

    n_mels: int = 64
    fmin: float = 0.0
    fmax: float | None = None
    mel_scale: spectrum.MelScale = "slaney"
    norm: spectrum.MelNorm = "slaney"
    compression: Literal["db", "log"] | None = "db"
    reference: float | Literal["max"] = 1.0
    top_db: float | None = 80.0
    offset: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, choices in (
            ("compression", ("db", "log", None)),
            ("mel_scale", ("slaney", "htk")),
            ("norm", ("slaney", None)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        if self.n_mels < 1 or self.offset <= 0 or (self.top_db is not None and self.top_db <= 0):
            raise ValueError(
                "n_mels must be at least 1, offset and top_db positive, got "
                f"n_mels={self.n_mels}, offset={self.offset}, top_db={self.top_db}"
            )
        if self.reference != "max" and not (isinstance(self.reference, (int, float)) and self.reference > 0):
            raise ValueError(f"reference must be a positive number or 'max', got {self.reference!r}")
        self._bank  # noqa: B018  an impossible filterbank shall fail here, not at the first sound

    @property
    def _bank(self) -> spectrum.Filterbank:
        return spectrum.mel_bank(self.sample_rate, self.n_fft, self.n_mels, self.fmin, self.fmax, self.mel_scale, self.norm)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_mels, frames, channels)``."""
        return (self.n_mels, self._frame_count, self.channels)

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        parts = [spectrum.filtered_spectrogram(column, self._stft, self._bank, power=self.power) for column in columns]
        mel = np.stack([self._fit_frames(part) for part in parts], axis=-1)
        return self._compressed(mel).swapaxes(0, 1)

    def _compressed(self, mel: np.ndarray) -> np.ndarray:
        if self.compression == "db":
            # A decibel is a tenth of a power ratio, whatever power the bands were summed at.
            mel = mel if self.power == 2 else np.power(mel, 2 / self.power, out=mel)
            return spectrum.to_decibels(mel, reference=self.reference, top_db=self.top_db)
        if self.compression == "log":
            mel += np.float32(self.offset)
            return np.log(mel, out=mel)
        return mel


_REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "mean": np.mean,
    "deviation": np.std,
    "minimum": np.min,
    "maximum": np.max,
    "median": np.median,
}


@dataclass(frozen=True, kw_only=True)
class Statistics(Frontend):
    """Statistics over time of another frontend: a vector for models that take one.

    The sample rate, duration, channels and padding are those of the inner frontend.

    Args:
        of: A frontend of shape ``(bands, frames, channels)``.
        reduce: Of "mean", "deviation", "minimum", "maximum", "median", in the vector's order.
        scale: "max" divides the vector by its largest magnitude, as the published feature MLP does; silence stays zero.

    Raises:
        ValueError: An unknown statistic or scale, no statistic, or an inner frontend without a time axis.
    """

    sample_rate: int = field(init=False)
    duration: float = field(init=False)
    channels: int = field(init=False)
    pad: audio.Pad = field(init=False)
    of: Frontend
    reduce: tuple[str, ...] = ("mean",)
    scale: Literal["max"] | None = None

    def __post_init__(self) -> None:
        for name in ("sample_rate", "duration", "channels", "pad"):
            object.__setattr__(self, name, getattr(self.of, name))
        super().__post_init__()
        if len(self.of.shape) != 3:
            raise ValueError(f"Statistics needs a frontend (bands, frames, channels), got shape {self.of.shape}")
        if self.scale not in ("max", None):
            raise ValueError(f"scale must be 'max' or None, got {self.scale!r}")
        if not self.reduce or not set(self.reduce) <= set(_REDUCTIONS):
            raise ValueError(f"reduce takes some of {', '.join(_REDUCTIONS)}, got {self.reduce!r}")

    @property
    def shape(self) -> tuple[int, ...]:
        """``(statistics x bands x channels,)``."""
        bands, _, channels = self.of.shape
        return (len(self.reduce) * bands * channels,)

    def adapt(self, *, duration: float | None = None, channels: int | None = None) -> Self:
        """Adapt the inner frontend."""
        return replace(self, of=self.of.adapt(duration=duration, channels=channels))

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        inner = self.of._compute(columns)
        vector = np.concatenate([_REDUCTIONS[name](inner, axis=1).ravel() for name in self.reduce])
        if self.scale == "max":
            vector = vector / (np.abs(vector).max() or 1)
        return vector.astype(np.float32)
