"""Frontends made of others: statistics over time, channels side by side, values on another scale."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_choice
from audiozoo.features.cleaning import Step
from audiozoo.features.frontends import Axis, Frontend, min_max

_TAKEN = ("sample_rate", "duration", "channels", "layout", "pad", "hop", "last", "prepare")


@dataclass(frozen=True, kw_only=True)
class Combined(Frontend):
    """What frontends made of others share: they take sound and windows as the first of these does, and all must agree.

    Args:
        of: The inner frontend, or several.
    """

    sample_rate: int = field(init=False)
    duration: float = field(init=False)
    channels: int = field(init=False)
    layout: audio.Layout = field(init=False)
    pad: audio.PadMode = field(init=False)
    hop: float | None = field(init=False)
    last: audio.Last = field(init=False)
    prepare: tuple[Step, ...] = field(init=False)
    of: Frontend | tuple[Frontend, ...]

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self._inner or not all(isinstance(inner, Frontend) for inner in self._inner):
            raise ValueError(f"{name} takes a frontend, or a tuple of them, got of={self.of!r}")
        for taken in _TAKEN:
            values = [getattr(inner, taken) for inner in self._inner]
            if any(value != values[0] for value in values):
                raise ValueError(f"{name}: the inner frontends must agree in {taken}, got {', '.join(map(str, values))}")
            object.__setattr__(self, taken, values[0])
        super().__post_init__()

    def _require_one(self, one: bool) -> None:
        if isinstance(self.of, Frontend) != one:
            raise ValueError(
                f"{type(self).__name__} takes {'one frontend' if one else 'a tuple of frontends'}, got of={self.of!r}"
            )

    @property
    def _inner(self) -> tuple[Frontend, ...]:
        return self.of if isinstance(self.of, tuple) else (self.of,)

    def adapt(self, *, duration: float | None = None, channels: int | None = None) -> Self:
        """Adapt the inner frontends."""
        inner = tuple(one.adapt(duration=duration, channels=channels) for one in self._inner)
        return replace(self, of=inner if isinstance(self.of, tuple) else inner[0])

    def _compute(self, columns: list[np.ndarray]) -> np.ndarray:
        return self._combine([inner._compute(columns) for inner in self._inner])

    @abstractmethod
    def _combine(self, parts: list[np.ndarray]) -> np.ndarray:
        """Make one array of the inner frontends' arrays."""


def _require_spectral(name: str, inner: tuple[Frontend, ...], *, same_bands: bool) -> None:
    shapes = [one.shape for one in inner]
    if any(len(shape) != 3 for shape in shapes):
        raise ValueError(f"{name} needs frontends (bands, frames, channels), got shapes {', '.join(map(str, shapes))}")
    if same_bands and len({shape[0] for shape in shapes}) > 1:
        raise ValueError(f"{name} needs frontends with as many bands each, got shapes {', '.join(map(str, shapes))}")


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

    Args:
        of: A frontend of shape ``(bands, frames, channels)``, or several.
        reduce: Of "mean", "deviation", "minimum", "maximum", "median", in the vector's order.
        form: "vector" puts all numbers behind each other, frontend after frontend; "table" makes a column of each
            statistic of each frontend, which need as many bands each.
        scale: "max" divides by the largest magnitude, as the published feature MLP does; silence stays zero.

    Raises:
        ValueError: An unknown statistic, scale or form, no statistic, or an inner frontend without a time axis.
    """

    reduce: tuple[str, ...] = ("mean",)
    form: Literal["vector", "table"] = "vector"
    scale: Literal["max"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("scale", self.scale, ("max", None))
        require_choice("form", self.form, ("vector", "table"))
        _require_spectral("Statistics", self._inner, same_bands=self.form == "table")
        if not self.reduce or not set(self.reduce) <= set(_REDUCTIONS):
            raise ValueError(f"reduce takes some of {', '.join(_REDUCTIONS)}, got {self.reduce!r}")

    @property
    def shape(self) -> tuple[int, ...]:
        """``(numbers,)``, or as a table ``(bands, statistics x frontends, channels)``."""
        bands = [inner.shape[0] for inner in self._inner]
        channels = self._inner[0].shape[2]
        if self.form == "table":
            return (bands[0], len(self.reduce) * len(bands), channels)
        return (sum(len(self.reduce) * inner.shape[0] * inner.shape[2] for inner in self._inner),)

    def _combine(self, parts: list[np.ndarray]) -> np.ndarray:
        columns = [_REDUCTIONS[name](part, axis=1) for part in parts for name in self.reduce]
        table = self.form == "table"
        values = np.stack(columns, axis=1) if table else np.concatenate([column.ravel() for column in columns])
        if self.scale == "max":
            values = values / (np.abs(values).max() or 1)
        return values.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Stack(Combined):
    """Frontends side by side as channels, cut to the fewest frames.

    Args:
        of: Frontends with as many bands each.
    """

    of: tuple[Frontend, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_one(False)
        _require_spectral("Stack", self._inner, same_bands=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(bands, fewest frames, all channels)``."""
        shapes = [inner.shape for inner in self._inner]
        return (shapes[0][0], min(shape[1] for shape in shapes), sum(shape[2] for shape in shapes))

    @property
    def axis(self) -> Axis | None:
        """That of the first."""
        return self._inner[0].axis

    @property
    def times(self) -> np.ndarray | None:
        """Those of the first."""
        times = self._inner[0].times
        return None if times is None else times[: self.shape[1]]

    def _combine(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([part[:, : self.shape[1]] for part in parts], axis=-1)


@dataclass(frozen=True, kw_only=True)
class Scale(Combined):
    """Another frontend's values on another scale: ``gain * x + offset``.

    Args:
        of: The inner frontend.
        by: "minmax" first maps the window's least value to 0 and its largest to 1; all alike become zeros.
        gain: Factor.
        offset: Summand.
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
        """That of the inner frontend."""
        return self.of.shape

    @property
    def axis(self) -> Axis | None:
        """That of the inner frontend."""
        return self.of.axis

    @property
    def times(self) -> np.ndarray | None:
        """Those of the inner frontend."""
        return self.of.times

    def _combine(self, parts: list[np.ndarray]) -> np.ndarray:
        values = min_max(parts[0]) if self.by == "minmax" else parts[0]
        return np.float32(self.gain) * values + np.float32(self.offset)
