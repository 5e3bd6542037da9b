"""Base class of frontends with a time axis of frames, and functions that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Self

import numpy as np

from audiozoo import audio, spectrum
from audiozoo.checks import require_choice, require_whole
from audiozoo.features.frontends import Frontend

# Looked up once, because every window builds the transform.
_STFT_FIELDS = tuple(field.name for field in fields(spectrum.Stft))


@dataclass(frozen=True, kw_only=True)
class Framed(Frontend):
    """Base class of frontends whose output has a time axis of frames.

    Args:
        sample_rate, duration, channels, layout, pad, hop, last, prepare: See `Frontend`.
        frames: Number of frames of the output: further ones are cut off, missing ones are zeros before compression. `None`
            keeps the number that a window gives.
        hop_length: Distance between the starts of neighbouring frames (samples).

    Raises:
        ValueError: A setting is out of range, of a wrong type or unknown.
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
    def stft(self) -> spectrum.Stft | None:
        """Short-time Fourier transform that defines the frames; `None` if they are centred on multiples of `hop_length`."""
        return None

    @property
    def natural_frames(self) -> int:
        """Number of frames in a window, before `frames` cuts or pads them."""
        stft = self.stft
        return 1 + self.samples // self.hop_length if stft is None else stft.frames_of(self.samples)

    @property
    def frame_count(self) -> int:
        """Number of frames in the output."""
        return self.natural_frames if self.frames is None else self.frames

    @property
    def times(self) -> np.ndarray:
        """Time of each frame's centre (seconds from the window's start)."""
        if (stft := self.stft) is not None:
            return stft.times(self.frame_count, self.sample_rate)
        return np.arange(self.frame_count) * self.hop_length / self.sample_rate

    def adapt(self, *, duration: float | None = None, channels: int | None = None) -> Self:
        """Return the same frontend for windows of another length or another number of channels.

        Args:
            duration: Length of a window (seconds); `None` keeps it. A fixed `hop`, and a fixed number of frames, change in
                proportion.
            channels: Number of channels; `None` keeps it.
        """
        adapted = super().adapt(duration=duration, channels=channels)
        if self.frames is None:
            return adapted
        return replace(adapted, frames=max(1, round(self.frames * adapted.duration / self.duration)))


def joined(parts: Sequence[np.ndarray], frames: int) -> np.ndarray:
    """Join the ``(frames, bands)`` arrays of all channels to ``(frames, bands, channels)``, cut or zero-padded to `frames`."""
    fitted = [part[:frames] if len(part) >= frames else np.pad(part, ((0, frames - len(part)), (0, 0))) for part in parts]
    # np.stack would copy a single channel, which needs no copy.
    return fitted[0][..., None] if len(fitted) == 1 else np.stack(fitted, axis=-1)


def stft_of(frontend: Framed) -> spectrum.Stft:
    """Build a short-time Fourier transform from those fields of a frontend that `Stft` has too."""
    # A frontend need not have a field for every setting; the others keep the defaults of `Stft`.
    settings = {name: getattr(frontend, name) for name in _STFT_FIELDS if hasattr(frontend, name)}
    if settings["win_length"] is None:
        settings["win_length"] = settings["n_fft"]
    return spectrum.Stft(**settings)


def check_sizes(frontend: Framed, *, bins: int, bands: int = 1) -> None:
    """Check that the spectra of a window, and the bands made of them, fit into memory.

    Args:
        frontend: Frontend whose frames and channels count.
        bins: Number of FFT bins in a frame.
        bands: Number of bands that a filterbank makes of the bins; 1 without a filterbank.

    Raises:
        ValueError: They are beyond a bound of `audiozoo.audio.check_spectrum`.
    """
    # All frames of a window are computed, also those that `frames` cuts off.
    frames = max(frontend.natural_frames, frontend.frame_count)
    name = type(frontend).__name__
    audio.check_spectrum(frames=frames, bins=bins, channels=frontend.channels, bands=bands, name=name)


def check_transform(frontend: Framed, *, n_fft: int, win_length: int | None, window: str, power: float, bands: int = 1) -> None:
    """Check the settings of a frontend that is computed from a short-time Fourier transform.

    Args:
        frontend: Frontend with these settings.
        n_fft: Length of the FFT (samples).
        win_length: Length of the window function (samples); `None` means `n_fft`.
        window: Name of the window function.
        power: Exponent of the magnitude.
        bands: Number of bands that a filterbank makes of the spectrum; 1 without a filterbank.

    Raises:
        ValueError: A setting is out of range or of a wrong type, a window contains no frame, or its spectra are too large.
    """
    spectrum.window(window, 1)
    length = n_fft if win_length is None else win_length
    require_whole(n_fft=n_fft, win_length=length, bands=bands)
    if not power > 0:
        raise ValueError(f"power must be positive, got {power}")
    stft = stft_of(frontend)  # raises if the sizes do not fit each other
    if frontend.samples < stft.shortest:
        raise ValueError(
            f"a window of {frontend.duration} s is too short to be reflected by n_fft // 2 = {n_fft // 2} samples: "
            "use a longer duration, a smaller n_fft or edges='zero'"
        )
    if frontend.frame_count < 1:
        raise ValueError(
            f"a window of {frontend.duration} s contains no frame of {length} samples: use a longer duration, a smaller "
            "win_length or framing='center'"
        )
    check_sizes(frontend, bins=1 + n_fft // 2, bands=bands)


def check_compression(
    compression: str | None,
    *,
    reference: float | str,
    top_db: float | None,
    offset: float,
    choices: tuple[str | None, ...] = ("db", "log", None),
) -> None:
    """Check the settings of a logarithmic scale.

    Args:
        compression: Name of the scale.
        reference: Power that becomes 0 dB, or "max".
        top_db: Distance of the floor from the largest value (dB), or `None`.
        offset: Summand before the natural logarithm.
        choices: Scales that the frontend knows.

    Raises:
        ValueError: The scale is unknown, or a setting is not positive.
    """
    require_choice("compression", compression, choices)
    if not offset > 0 or not (top_db is None or top_db > 0):
        raise ValueError(f"offset and top_db must be positive, got offset={offset}, top_db={top_db}")
    if reference != "max" and not (isinstance(reference, (int, float)) and reference > 0):
        raise ValueError(f"reference must be a positive number or 'max', got {reference!r}")


def compress(
    values: np.ndarray,
    compression: str | None,
    *,
    power: float,
    reference: float | Literal["max"],
    top_db: float | None,
    offset: float,
) -> np.ndarray:
    """Put values on a logarithmic scale.

    Args:
        values: Powers of magnitudes, float32 of any shape, not negative; they may be overwritten.
        compression: "db" for decibels, "log" for the natural logarithm of the value plus `offset`, `None` for no change.
        power: Exponent of the magnitude that the values have, 2 for squares.
        reference: With "db", the squared magnitude that becomes 0 dB, or "max" for the largest in the array.
        top_db: With "db", the distance of the floor from the largest value in the array (dB); `None` means no floor.
        offset: With "log", the summand.

    Returns:
        An array of the same shape.
    """
    if compression == "db":
        return spectrum.to_decibels(values, power=power, reference=reference, top_db=top_db)
    if compression == "log":
        values += np.float32(offset)
        return np.log(values, out=values)
    return values
