"""The base classes of all transforms.

A transform is a frozen dataclass and a pure function: the same input and the same generator state give the same output. A
call changes neither the transform nor its input.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

import numpy as np

from audiozoo.checks import require_number, require_range
from audiozoo.config import Configured

_FLOAT32 = np.dtype(np.float32)
_GENERATOR = np.random.Generator

Range = tuple[float, float]
Rng = np.random.Generator | int | Sequence[int]
Drawn = dict[str, Any]


class Context(NamedTuple):
    """Input of a transform besides the array.

    Args:
        rng: Generator that every draw comes from.
        sample_rate: Sample rate (Hz), or `None` if the caller gave none.
        label: Class of the sound, or `None`.
        drawn: List to which each transform appends the change that it makes, or `None`.
    """

    rng: np.random.Generator
    sample_rate: float | None
    label: str | None
    drawn: list[Drawn] | None


def make_plain(value: Any) -> None:
    """Convert the NumPy numbers in a dataclass to Python numbers, which JSON accepts and which print as plain numbers."""
    for field in fields(value):
        object.__setattr__(value, field.name, _plain(getattr(value, field.name)))


def _plain(value: Any) -> Any:
    if type(value) is tuple:
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def finite(x: np.ndarray, what: str) -> np.ndarray:
    """Return `x` as float32 if it is floating point and finite.

    Raises:
        ValueError: `x` is not floating point, or it contains NaN or infinity.
    """
    if x.dtype.kind != "f":
        raise ValueError(f"{what} must be floating point, got {x.dtype}: convert with astype(numpy.float32)")
    with np.errstate(over="ignore"):  # float64 beyond the range of float32 becomes infinity, which the next check refuses
        x = x.astype(np.float32, copy=False)
    if not math.isfinite(float(x.sum(dtype=np.float64))):
        raise ValueError(f"{what} must be finite in single precision, got NaN or infinity: clean with numpy.nan_to_num")
    return x


def generator(rng: Rng) -> np.random.Generator:
    """Return `rng` itself if it is a generator, or a generator seeded with it.

    Raises:
        ValueError: `rng` is neither a generator nor one or several integers of at least 0.
    """
    try:
        if rng is not None:
            return np.random.default_rng(rng)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"rng must be a numpy.random.Generator or a seed such as 7 or (seed, epoch, clip), got {rng!r}; "
        "transforms have no global random state"
    )


def between(rng: np.random.Generator, span: Range) -> float:
    """Draw uniformly from a range. ``rng.uniform`` gives the same value and takes eight times as long."""
    low, high = span
    return low + (high - low) * rng.random()


@dataclass(frozen=True, kw_only=True)
class Transform(Configured, ABC):
    """A random change of a waveform or a feature.

    Args:
        p: Probability that the transform is applied.

    Raises:
        ValueError: `p` is not within 0 to 1, or a range has ``low > high`` or exceeds its limits.
    """

    PACKAGE = "audiozoo.augment"
    RANGES: ClassVar[Mapping[str, Range]] = {}
    """Names of the fields that are ranges to draw from, and the limits of each."""

    RECORDINGS: ClassVar[str] = ""
    """Name of the field that holds a folder of recordings; empty if there is none."""

    p: float = 1.0

    def __post_init__(self) -> None:
        require_number("the probability p", self.p, 0, 1)
        object.__setattr__(self, "p", float(self.p))
        for name, limits in self.RANGES.items():
            require_range(name, getattr(self, name), *limits)
            object.__setattr__(self, name, tuple(getattr(self, name)))
        make_plain(self)

    def __call__(
        self,
        x: np.ndarray,
        *,
        rng: Rng,
        sample_rate: float | None = None,
        label: str | None = None,
        drawn: list[Drawn] | None = None,
    ) -> np.ndarray:
        """Return a changed copy of `x`, or `x` itself.

        Args:
            x: Waveform ``(samples,)`` or ``(samples, channels)``, or feature ``(bands, frames[, channels])``. Floating point.
            rng: Random generator, or a seed such as ``(seed, epoch, clip)``. The same seed gives the same draws, so two
                transforms that are called with the same seed make correlated choices: pass the same generator to both, or a
                different seed to each, such as ``(seed, epoch, clip, 1)``.
            sample_rate: Sample rate (Hz). Transforms with a field in seconds or hertz require it.
            label: Class of the sound, which `ByClass` requires.
            drawn: List to which the call appends a dict for each change that it makes: the class and the values drawn.

        Returns:
            float32 array. It has the shape of `x` unless the transform says otherwise.

        Raises:
            ValueError: `x` is not an array that this transform changes, or the sample rate or the label is missing.
        """
        if type(rng) is not _GENERATOR:
            rng = generator(rng)
        if type(x) is not np.ndarray or x.dtype is not _FLOAT32:
            x = self._as_float32(np.asarray(x))
        # Faster than Context(...) by one Python call, a twentieth of the time that Gain takes for a second of sound.
        return self.within(x, tuple.__new__(Context, (rng, sample_rate, label, drawn)))

    @property
    def inner(self) -> Sequence[Transform]:
        """The transforms that this one calls."""
        return ()

    def parts(self) -> Iterator[Transform]:
        """Yield this transform and all that it calls, at any depth."""
        yield self
        for one in self.inner:
            yield from one.parts()

    def _as_float32(self, x: np.ndarray) -> np.ndarray:
        if x.dtype.kind != "f":
            raise ValueError(
                f"{type(self).__name__}: samples and features must be floating point, got {x.dtype}; divide 16-bit integers by "
                "32768, or convert with astype(numpy.float32)"
            )
        with np.errstate(over="ignore"):  # float64 beyond the range of float32 becomes infinity
            return x.astype(np.float32)

    @abstractmethod
    def within(self, x: np.ndarray, context: Context) -> np.ndarray:
        """Apply the transform as a part of another one, which has checked `x` and made the generator."""


@dataclass(frozen=True, kw_only=True)
class Leaf(Transform):
    """A transform that first draws a few values and then computes its output from `x` and these values alone."""

    def within(self, x: np.ndarray, context: Context) -> np.ndarray:
        """Apply the transform as a part of another one.

        This method runs for every clip of every epoch, and the fastest transforms take as long as ten Python calls, so it
        makes as few calls as possible.
        """
        rng, sample_rate, _, drawn_so_far = context
        # The check precedes the draw of p: otherwise a wrong input would raise only in some calls.
        x = self._checked(x, sample_rate)
        if self.p < 1 and rng.random() >= self.p:
            return x
        drawn = self._draw(x, rng, sample_rate)
        if drawn_so_far is not None:
            drawn_so_far.append({"class": type(self).__name__, **drawn})
        return self._apply(x, sample_rate, **drawn)

    @abstractmethod
    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        """Return the float32 array `x` if the transform can change it; raise a ValueError otherwise."""

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        """Draw the keyword arguments of `_apply`, as JSON data; by default one number from each range."""
        drawn = {}
        for name in self.RANGES:  # for a single range, a dict comprehension takes a quarter longer
            drawn[name] = between(rng, getattr(self, name))
        return drawn

    @abstractmethod
    def _apply(self, x: np.ndarray, *sample_rate: Any, **drawn: Any) -> np.ndarray:
        """Return the changed array; subclasses declare ``(x, sample_rate, *, ...)`` with one keyword for each value drawn."""
