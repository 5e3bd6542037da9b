"""Frontends, which preprocess sound for a model: they turn one window of a waveform into one float32 array.

A frontend is a frozen value. It knows the shape of its output without computing it, it is saved inside the classifier that was
trained with it, and its output for a window depends on that window alone.
"""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_choice, require_whole
from audiozoo.config import Configured
from audiozoo.features.cleaning import CleaningStep

_ENDS = 100
"""An end shorter than this fraction of a window does not get a window of its own."""


class Axis(NamedTuple):
    """Meaning of the first axis of a spectral feature: a label with its unit, and a value for each band."""

    label: str
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Frontend(Configured, metaclass=ABCMeta):
    """Base class of frontends.

    A subclass is a frozen dataclass that defines `shape` and `_compute`. Its fields are its settings: they are saved with a
    classifier, compared and hashed without further code::

        @dataclass(frozen=True, kw_only=True)
        class Energy(Frontend):
            exponent: float = 2.0

            @property
            def shape(self) -> tuple[int, ...]:
                return (self.channels,)

            def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
                return np.float32([np.mean(np.abs(column) ** self.exponent) for column in columns])

    Args:
        sample_rate: Sample rate of the sound (Hz).
        duration: Length of a window (seconds).
        channels: Number of channels of the sound, 1 for mono.
        layout: Content of the channels: "left_right" as in the file, or "mid_side", which replaces two channels by half
            their sum and half their difference. Mono has only the mid channel.
        pad: Filling of a clip that is shorter than a window: "zero", or "repeat" for repetitions of the clip.
        hop: Time between window starts in a longer clip (seconds); `None` means half of `duration`.
        last: Treatment of the end of a clip that no window covers: "align" adds a window that ends with the clip, unless the
            end is shorter than a hundredth of a window; "pad" adds a padded window; "drop" ignores the end.
        prepare: Cleaning steps that are applied to every window first, in this order.

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

    def __post_init__(self) -> None:
        audio.check_window(sample_rate=self.sample_rate, duration=self.duration, channels=self.channels)
        require_whole(sample_rate=self.sample_rate, channels=self.channels)
        require_choice("pad", self.pad, ("zero", "repeat"))
        require_choice("last", self.last, ("align", "pad", "drop"))
        require_choice("layout", self.layout, ("left_right", "mid_side"))
        if self.layout == "mid_side" and self.channels > 2:
            raise ValueError(f"layout='mid_side' needs one or two channels, got channels={self.channels}")
        self.hop_samples()  # raises if `hop` is out of range
        if not isinstance(self.prepare, (tuple, list)) or not all(isinstance(step, CleaningStep) for step in self.prepare):
            raise ValueError(f"prepare takes cleaning steps such as (audiozoo.features.TrimSilence(),), got {self.prepare!r}")
        # With a list, equal frontends would be unequal and not hashable.
        object.__setattr__(self, "prepare", tuple(self.prepare))

    def hop_samples(self, hop: float | None = None) -> int:
        """Return the number of samples between window starts.

        Args:
            hop: Time between window starts (seconds); `None` means the frontend's own.

        Raises:
            ValueError: `hop` is not positive, or longer than a window.
        """
        hop = self.hop if hop is None else hop
        samples = max(1, self.samples // 2) if hop is None else round(hop * self.sample_rate)
        if not 0 < samples <= self.samples:
            raise ValueError(f"hop must be positive and at most the window's {self.duration} s, got {hop} s")
        return samples

    def step(self, hop: float | None = None) -> int:
        """Return the number of samples between window starts; deprecated, use `hop_samples`."""
        warnings.warn("Frontend.step is deprecated, use Frontend.hop_samples", DeprecationWarning, stacklevel=2)
        return self.hop_samples(hop)

    @property
    def samples(self) -> int:
        """Length of a window in samples."""
        return round(self.sample_rate * self.duration)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the output for one window."""

    @property
    def axis(self) -> Axis | None:
        """Meaning of the first axis of a ``(bands, frames, channels)`` output; `None` for outputs without bands."""
        return None

    @property
    def times(self) -> np.ndarray | None:
        """Time of each frame's centre, or of each sample (seconds from the window's start); `None` without a time axis."""
        return None

    def adapt(self, *, duration: float | None = None, channels: int | None = None) -> Self:
        """Return the same frontend for windows of another length or another number of channels.

        Args:
            duration: Length of a window (seconds); `None` keeps it. A fixed `hop`, and a fixed number of frames, change in
                proportion.
            channels: Number of channels; `None` keeps it.
        """
        duration, hop = self.duration if duration is None else duration, self.hop
        if hop is not None and duration != self.duration:
            # This order of operations keeps a hop of one window at one window, whatever the rounding.
            hop = max(duration * (hop / self.duration), 1 / self.sample_rate)
        return replace(self, duration=duration, channels=self.channels if channels is None else channels, hop=hop)

    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Compute the output for one window.

        Args:
            wave: Sound at the frontend's sample rate, ``(samples,)`` or ``(samples, channels)``. A wave that is shorter than
                a window is padded.

        Returns:
            The output, float32 of the frontend's `shape`. Silence gives finite values.

        Raises:
            ValueError: The wave is longer than a window, or has another number of channels.
        """
        wave, _ = audio.check_wave(wave, self.sample_rate, channels=self.channels)
        if len(wave) > self.samples:
            raise ValueError(
                f"one window is {self.samples} samples ({self.duration} s), got {len(wave)}: "
                "cut the wave with audiozoo.audio.fit, or process all its windows with frontend.windows(wave)"
            )
        return self._window(wave)

    def windows(self, wave: np.ndarray | Iterable[np.ndarray], *, hop: float | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Cut a sound of any length into windows and compute the output for each.

        Args:
            wave: Sound of any length as for a call, or the pieces that `audiozoo.audio.stream` yields, for sounds that do
                not fit into memory.
            hop: Time between window starts (seconds); `None` means the frontend's own.

        Yields:
            The first sample of a window in the sound, and the output for the window.

        Raises:
            ValueError: `hop` is not positive or longer than a window, or a piece is not a valid wave.
        """
        pieces = [wave] if isinstance(wave, np.ndarray) else wave
        cutter = self.cutter(hop)
        for piece in pieces:
            yield from self.computed(cutter.add(audio.check_wave(piece, self.sample_rate, channels=self.channels)[0]))
        yield from self.computed(cutter.rest())

    def cutter(self, hop: float | None = None) -> audio.Cutter:
        """Return a cutter that cuts a sound into the windows of this frontend, see `windows`.

        Args:
            hop: Time between window starts (seconds); `None` means the frontend's own.

        Raises:
            ValueError: `hop` is not positive or longer than a window.
        """
        # Lossy codecs pad a clip by some samples, which are not worth a second window that nearly equals the first.
        slack = self.samples // _ENDS if self.last == "align" else 0
        return audio.Cutter(self.samples, self.hop_samples(hop), last=self.last, slack=slack)

    def computed(self, windows: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
        """Compute the outputs for windows of a `cutter`, which have been checked.

        Args:
            windows: Start (samples) and samples of each window.

        Yields:
            The start, and the output for the window.
        """
        for start, window in windows:
            yield start, self._window(window)

    def _window(self, wave: np.ndarray) -> np.ndarray:
        for step in self.prepare:
            wave = step.of_checked(wave, self.sample_rate)
        # A cleaning step may shorten the window, so padding comes last.
        fitted = audio.fit(wave, self.samples, pad=self.pad, crop="start")
        return np.ascontiguousarray(self._compute(self._columns(fitted)))

    def _columns(self, wave: np.ndarray) -> list[np.ndarray]:
        """Split a wave into its channels, contiguous ``(samples,)`` each, in the frontend's layout."""
        columns = [wave] if wave.ndim == 1 else [np.ascontiguousarray(column) for column in wave.T]
        if len(columns) != self.channels:
            raise ValueError(
                f"this frontend takes {self.channels} channel(s), got {len(columns)}: "
                f"use audiozoo.audio.set_channels(wave, {self.channels})"
            )
        if self.layout == "mid_side" and self.channels == 2:
            left, right = columns
            return [(left + right) / 2, (left - right) / 2]
        return columns

    @abstractmethod
    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        """Compute the output from the channels of one window, float32 ``(samples,)`` each, without changing them."""


@dataclass(frozen=True, kw_only=True)
class Waveform(Frontend):
    """The samples themselves, shape ``(samples, channels)``.

    Args:
        sample_rate: Sample rate of the sound (Hz).
        duration: Length of a window (seconds).
        channels: Number of channels of the sound, 1 for mono.
        layout: Content of the channels: "left_right", or "mid_side" (half the sum and half the difference of two channels).
        pad: Filling of a clip that is shorter than a window: "zero" or "repeat".
        hop: Time between window starts in a longer clip (seconds); `None` means half of `duration`.
        last: Treatment of the end of a clip that no window covers: "align", "pad" or "drop", see `Frontend`.
        prepare: Cleaning steps that are applied to every window first, in this order.
        scaling: Scaling of a window, the same for all its channels: "peak" divides by the largest magnitude, "rms" by the
            root mean square, "minmax" maps the smallest sample to -0.5 and the largest to 0.5. Silence becomes zeros.
            `None` leaves the samples as they are.

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
    scaling: Literal["peak", "rms", "minmax"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("scaling", self.scaling, ("peak", "rms", "minmax", None))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(samples, channels)``."""
        return (self.samples, self.channels)

    @property
    def times(self) -> np.ndarray:
        """Time of each sample (seconds from the window's start)."""
        return np.arange(self.samples) / self.sample_rate

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        wave = np.stack(columns, axis=-1)
        if self.scaling is None:
            return wave
        if self.scaling == "minmax":
            return min_max(wave) - np.float32(0.5) if wave.min() < wave.max() else np.zeros_like(wave)
        size = np.abs(wave).max() if self.scaling == "peak" else np.sqrt(np.mean(np.square(wave, dtype=np.float64)))
        # The root mean square of the faintest sounds is zero in single precision.
        return wave / (np.float32(size) or np.float32(1))


def min_max(values: np.ndarray) -> np.ndarray:
    """Scale an array so that its smallest value becomes 0 and its largest 1; a constant array becomes zeros."""
    low, high = values.min(), values.max()
    return (values - low) / ((high - low) or np.float32(1))
