"""What frontends with a time axis share: frames, the settings of a short-time Fourier transform, logarithmic scales."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from audiozoo import spectrum
from audiozoo.checks import require_choice, require_whole
from audiozoo.features.frontends import Frontend


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
        require_whole(hop_length=self.hop_length, frames=1 if self.frames is None else self.frames)
        if self.hop_length < 1 or (self.frames is not None and self.frames < 1):
            raise ValueError(
                "frames must be None or at least 1, hop_length at least 1, got "
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
        require_whole(n_fft=self.n_fft, win_length=self.n_fft if self.win_length is None else self.win_length)
        if not self.power > 0:
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
        if not self.offset > 0 or not (self.top_db is None or self.top_db > 0):
            raise ValueError(f"offset and top_db must be positive, got offset={self.offset}, top_db={self.top_db}")
        if self.reference != "max" and not (isinstance(self.reference, (int, float)) and self.reference > 0):
            raise ValueError(f"reference must be a positive number or 'max', got {self.reference!r}")

    @classmethod
    def _compressions(cls) -> tuple[str | None, ...]:
        return ("db", "log", None)

    def _compress(self, values: np.ndarray, power: float) -> np.ndarray:
        """Compress in place values that are magnitudes to some power."""
        if self.compression == "db":
            return spectrum.to_decibels(values, power=power, reference=self.reference, top_db=self.top_db)
        if self.compression == "log":
            values += np.float32(self.offset)
            return np.log(values, out=values)
        return values
