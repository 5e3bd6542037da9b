"""What a model is fed: one window of sound in, one float32 array out.

A frontend is a frozen value. It knows the shape of what it gives without running, is saved inside the classifier that was
trained with it, and its result for a window depends on that window alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_choice, require_whole
from audiozoo.config import Configured
from audiozoo.features.cleaning import Step


class Axis(NamedTuple):
    """What the rows of a feature are: a label with its unit, and a value for each row."""

    label: str
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Frontend(Configured, ABC):
    """What all frontends share.

    Args:
        sample_rate: Rate of the sound it expects, Hz.
        duration: Length of a window, seconds.
        channels: 1 (mono) or more.
        layout: What the channels are: "left_right" as they come, or "mid_side" (half the sum and half the difference of two;
            of one channel, the mix, only mid).
        pad: What fills a clip shorter than a window: "zero", or "repeat" for the clip again and again.
        hop: Seconds from one window to the next in a longer clip; `None` is half a window.
        last: What becomes of a clip's end that no window covers: "align" adds a window that ends with the clip, "pad" one
            that is padded, "drop" leaves the end out.
        prepare: Cleaning steps that every window goes through first, in this order.

    Raises:
        ValueError: A rate, a duration or a number of channels that is not positive, or an option that is none of these.
    """

    sample_rate: int = 22_050
    duration: float = 5.0
    channels: int = 1
    layout: audio.Layout = "left_right"
    pad: audio.PadMode = "zero"
    hop: float | None = None
    last: audio.Last = "align"
    prepare: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        audio.check_window(sample_rate=self.sample_rate, duration=self.duration, channels=self.channels)
        require_whole(sample_rate=self.sample_rate, channels=self.channels)
        require_choice("pad", self.pad, ("zero", "repeat"))
        require_choice("last", self.last, ("align", "pad", "drop"))
        require_choice("layout", self.layout, ("left_right", "mid_side"))
        if self.layout == "mid_side" and self.channels > 2:
            raise ValueError(f"layout='mid_side' is of two channels (or of their mix), got channels={self.channels}")
        self.step()
        if not isinstance(self.prepare, (tuple, list)) or not all(isinstance(step, Step) for step in self.prepare):
            raise ValueError(f"prepare takes cleaning steps such as audiozoo.features.TrimSilence(), got {self.prepare!r}")
        object.__setattr__(self, "prepare", tuple(self.prepare))

    def step(self, hop: float | None = None) -> int:
        """Return the samples from one window to the next.

        Args:
            hop: Seconds; `None` is the frontend's own.

        Raises:
            ValueError: It is not positive, or longer than a window.
        """
        hop = self.hop if hop is None else hop
        step = max(1, self.samples // 2) if hop is None else round(hop * self.sample_rate)
        if not 0 < step <= self.samples:
            raise ValueError(f"hop must be positive and at most the window's {self.duration} s, got {hop} s")
        return step

    @property
    def samples(self) -> int:
        """Length of a window in samples."""
        return round(self.sample_rate * self.duration)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the array for one window, known without running."""

    @property
    def axis(self) -> Axis | None:
        """What the rows of ``(bands, frames, channels)`` are; `None` where there are no rows."""
        return None

    @property
    def times(self) -> np.ndarray | None:
        """Seconds from the window's start of each frame's centre, or of each sample; `None` where there is no time axis."""
        return None

    def adapt(self, *, duration: float | None = None, channels: int | None = None) -> Self:
        """Return the same frontend for other data; fixed frames and the hop follow the duration in proportion."""
        duration, hop = self.duration if duration is None else duration, self.hop
        if hop is not None and duration != self.duration:
            hop = max(duration * (hop / self.duration), 1 / self.sample_rate)
        return replace(self, duration=duration, channels=self.channels if channels is None else channels, hop=hop)

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
        wave, _ = audio.check_wave(wave, self.sample_rate, channels=self.channels)
        if len(wave) > self.samples:
            raise ValueError(
                f"one window is {self.samples} samples ({self.duration} s), got {len(wave)}: "
                "cut it with audiozoo.audio.fit, or take all windows with frontend.windows(wave)"
            )
        return self._window(wave)

    def windows(self, wave: np.ndarray | Iterable[np.ndarray], *, hop: float | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Cut a sound of any length into windows and compute each.

        Args:
            wave: As for a call, but of any length; or the pieces of one as `audiozoo.audio.stream` yields them, for sounds
                that shall not be held whole.
            hop: Seconds from one window to the next; `None` is the frontend's own.

        Yields:
            The window's start in samples, and its array.

        Raises:
            ValueError: As for a call, or a hop that is not positive or longer than a window.
        """
        pieces = [wave] if isinstance(wave, np.ndarray) else wave
        step = self.step(hop)
        checked = (audio.check_wave(piece, self.sample_rate, channels=self.channels)[0] for piece in pieces)
        for start, window in audio.cut(checked, self.samples, step, last=self.last):
            yield start, self._window(window)

    def _window(self, wave: np.ndarray) -> np.ndarray:
        for step in self.prepare:
            wave = step.of_checked(wave, self.sample_rate)
        fitted = audio.fit(wave, self.samples, pad=self.pad, crop="start")
        return np.ascontiguousarray(self._compute(self._columns(fitted)))

    def _columns(self, wave: np.ndarray) -> list[np.ndarray]:
        """Return the channels as contiguous one-dimensional arrays."""
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
        """Compute the array from the channels of one window, each ``(samples,)``."""


@dataclass(frozen=True, kw_only=True)
class Waveform(Frontend):
    """The samples themselves, ``(samples, channels)``.

    Args:
        scaling: "peak" divides by the largest magnitude, "rms" by the root mean square, "minmax" maps the least sample to
            -0.5 and the largest to 0.5; all channels of a window alike. Silence becomes zeros. `None` changes nothing.
    """

    scaling: Literal["peak", "rms", "minmax"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("scaling", self.scaling, ("peak", "rms", "minmax", None))

    @property
    def shape(self) -> tuple[int, ...]:
        """``(samples, channels)``."""
        return (self.samples, self.channels)

    @property
    def times(self) -> np.ndarray:
        """Seconds of each sample."""
        return np.arange(self.samples) / self.sample_rate

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        wave = np.stack(columns, axis=-1)
        if self.scaling == "minmax":
            return min_max(wave) - np.float32(0.5) if wave.min() < wave.max() else np.zeros_like(wave)
        if self.scaling is None:
            return wave
        size = np.abs(wave).max() if self.scaling == "peak" else np.sqrt(np.mean(np.square(wave, dtype=np.float64)))
        return wave / (np.float32(size) or np.float32(1))


def min_max(values: np.ndarray) -> np.ndarray:
    """Map the least value to 0 and the largest to 1; all alike become zeros."""
    low, high = values.min(), values.max()
    return (values - low) / ((high - low) or np.float32(1))
