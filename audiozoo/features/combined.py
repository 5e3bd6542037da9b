"""Frontends that combine others: statistics over time, stacked channels, rescaled values."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_choice
from audiozoo.features.cleaning import CleaningStep
from audiozoo.features.frontends import Axis, Frontend, min_max

_TAKEN = ("sample_rate", "duration", "channels", "layout", "pad", "hop", "last", "prepare")


@dataclass(frozen=True, kw_only=True)
class Combined(Frontend):
    """Base class of frontends that combine others.

    Settings of sound and windows (`sample_rate`, `duration`, `channels`, `layout`, `pad`, `hop`, `last`, `prepare`) are those
    of the inner frontends, which must agree in them.

    Args:
        of: Inner frontend, or a tuple of them.

    Raises:
        ValueError: `of` is neither, or the inner frontends disagree.
    """

    sample_rate: int = field(init=False)
    duration: float = field(init=False)
    channels: int = field(init=False)
    layout: audio.Layout = field(init=False)
    pad: audio.PadMode = field(init=False)
    hop: float | None = field(init=False)
    last: audio.Last = field(init=False)
    prepare: tuple[CleaningStep, ...] = field(init=False)
    of: Frontend | tuple[Frontend, ...]

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self.inner or not all(isinstance(inner, Frontend) for inner in self.inner):
            raise ValueError(f"{name} takes a frontend, or a tuple of them, got of={self.of!r}")
        for taken in _TAKEN:
            values = [getattr(inner, taken) for inner in self.inner]
            if any(value != values[0] for value in values):
                raise ValueError(f"{name}: the inner frontends must agree in {taken}, got {', '.join(map(str, values))}")
            object.__setattr__(self, taken, values[0])
        super().__post_init__()
        # The outputs of all inner frontends are in memory at the same time.
        audio.check_features(
            (sum(math.prod(inner.shape) for inner in self.inner),), name=f"{name}, all inner frontends together"
        )

    def _require_one(self, one: bool) -> None:
        if isinstance(self.of, Frontend) != one:
            raise ValueError(
                f"{type(self).__name__} takes {'one frontend' if one else 'a tuple of frontends'}, got of={self.of!r}"
            )

    @property
    def inner(self) -> tuple[Frontend, ...]:
        """Inner frontends, also if there is only one."""
        return self.of if isinstance(self.of, tuple) else (self.of,)

    def adapt(self, *, duration: float | None = None, channels: int | None = None) -> Self:
        """Return the same frontend with all inner frontends adapted.

        Args:
            duration: Length of a window (seconds); `None` keeps it.
            channels: Number of channels; `None` keeps it.
        """
        inner = tuple(one.adapt(duration=duration, channels=channels) for one in self.inner)
        return replace(self, of=inner if isinstance(self.of, tuple) else inner[0])

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        # Not by calling the inner frontends: the window has been cleaned, padded and split into channels already.
        return self._combine([inner._compute(columns) for inner in self.inner])

    @abstractmethod
    def _combine(self, parts: list[np.ndarray]) -> np.ndarray:
        """Combine the outputs of the inner frontends."""


def _require_spectral(name: str, inner: tuple[Frontend, ...], *, same_bands: bool) -> None:
    shapes = [one.shape for one in inner]
    if any(len(shape) != 3 for shape in shapes):
        raise ValueError(f"{name} needs frontends of shape (bands, frames, channels), got {', '.join(map(str, shapes))}")
    if same_bands and len({shape[0] for shape in shapes}) > 1:
        raise ValueError(f"{name} needs frontends with the same number of bands, got {', '.join(map(str, shapes))}")


_REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "mean": np.mean,
    "deviation": np.std,
    "minimum": np.min,
    "maximum": np.max,
    "median": np.median,
}


@dataclass(frozen=True, kw_only=True)
class Statistics(Combined):
    """Statistics over time of other frontends.

    The output is a vector ``(numbers,)`` or a table ``(bands, statistics x frontends, channels)``. Settings of sound and
    windows are those of the inner frontends, which must agree in them.

    Args:
        of: Frontend of shape ``(bands, frames, channels)``, or a tuple of them.
        reduce: Names of the statistics, in the order of the output: "mean", "deviation", "minimum", "maximum", "median".
        form: Form of the output: "vector" concatenates all numbers, frontend after frontend; "table" has a column for each
            statistic of each frontend, all of which need the same number of bands.
        scale: Scaling of the output: "max" divides by the largest magnitude, as the published feature MLP does, and leaves
            zeros as they are; `None` changes nothing.

    Raises:
        ValueError: A name is unknown, `reduce` is empty, an inner frontend has no time axis, or the inner frontends
            disagree.
    """

    of: Frontend | tuple[Frontend, ...]
    reduce: tuple[str, ...] = ("mean",)
    form: Literal["vector", "table"] = "vector"
    scale: Literal["max"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("scale", self.scale, ("max", None))
        require_choice("form", self.form, ("vector", "table"))
        _require_spectral("Statistics", self.inner, same_bands=self.form == "table")
        if not self.reduce or not set(self.reduce) <= set(_REDUCTIONS):
            raise ValueError(f"reduce takes some of {', '.join(_REDUCTIONS)}, got {self.reduce!r}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(numbers,)`` or ``(bands, statistics x frontends, channels)``."""
        bands = [inner.shape[0] for inner in self.inner]
        channels = self.inner[0].shape[2]
        if self.form == "table":
            return (bands[0], len(self.reduce) * len(bands), channels)
        return (sum(len(self.reduce) * inner.shape[0] * inner.shape[2] for inner in self.inner),)

    def _combine(self, parts: list[np.ndarray]) -> np.ndarray:
        columns = [_REDUCTIONS[name](part, axis=1) for part in parts for name in self.reduce]
        table = self.form == "table"
        values = np.stack(columns, axis=1) if table else np.concatenate([column.ravel() for column in columns])
        # `or 1` keeps an output of zeros at zero.
        if self.scale == "max":
            values = values / (np.abs(values).max() or 1)
        return values.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Stack(Combined):
    """Outputs of several frontends stacked as channels, cut to the smallest number of frames.

    The output has shape ``(bands, frames, channels of all)``. Settings of sound and windows are those of the inner frontends,
    which must agree in them.

    Args:
        of: Frontends of shape ``(bands, frames, channels)`` with the same number of bands.

    Raises:
        ValueError: `of` is no tuple of such frontends, or the inner frontends disagree.
    """

    of: tuple[Frontend, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_one(False)
        _require_spectral("Stack", self.inner, same_bands=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output, ``(bands, frames, channels of all)``."""
        shapes = [inner.shape for inner in self.inner]
        return (shapes[0][0], min(shape[1] for shape in shapes), sum(shape[2] for shape in shapes))

    @property
    def axis(self) -> Axis | None:
        """Axis of the first inner frontend."""
        return self.inner[0].axis

    @property
    def times(self) -> np.ndarray | None:
        """Times of the first inner frontend (seconds from the window's start)."""
        times = self.inner[0].times
        return None if times is None else times[: self.shape[1]]

    def _combine(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([part[:, : self.shape[1]] for part in parts], axis=-1)


@dataclass(frozen=True, kw_only=True)
class Scale(Combined):
    """Output of another frontend, rescaled: ``gain * values + offset``.

    The output has the shape of the inner frontend's. Settings of sound and windows are those of the inner frontend.

    Args:
        of: Inner frontend.
        by: Scaling before that: "minmax" maps the smallest value of a window to 0 and the largest to 1, and a constant window
            to zeros; `None` changes nothing.
        gain: Factor.
        offset: Summand.

    Raises:
        ValueError: `of` is not a frontend, or `by` is unknown.
    """

    of: Frontend
    by: Literal["minmax"] | None = None
    gain: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_one(True)
        require_choice("by", self.by, ("minmax", None))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the inner frontend's output."""
        return self.of.shape

    @property
    def axis(self) -> Axis | None:
        """Axis of the inner frontend."""
        return self.of.axis

    @property
    def times(self) -> np.ndarray | None:
        """Times of the inner frontend (seconds from the window's start)."""
        return self.of.times

    def _combine(self, parts: list[np.ndarray]) -> np.ndarray:
        values = min_max(parts[0]) if self.by == "minmax" else parts[0]
        return np.float32(self.gain) * values + np.float32(self.offset)
