"""What every transform is.

A transform is a frozen value and a pure function: the same input and the same generator give the same output, and nothing
is kept on the object or changed in the input.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from audiozoo.checks import require_number, require_range
from audiozoo.config import Configured

_FLOAT32 = np.dtype(np.float32)
_GENERATOR = np.random.Generator

Range = tuple[float, float]
Rng = np.random.Generator | int | Sequence[int]
Drawn = dict[str, Any]

# What a transform may know besides the array: where to draw from, the sample rate, the label, the list of what was drawn. It is
# a bare tuple because one with names takes a tenth of the fastest transforms' Python to make.
Context = tuple[np.random.Generator, float | None, str | None, list[Drawn] | None]


def make_plain(value: Any) -> None:
    """Make of NumPy's numbers in a dataclass Python's, which are JSON and print as they are written."""
    for field in fields(value):
        object.__setattr__(value, field.name, _plain(getattr(value, field.name)))


def _plain(value: Any) -> Any:
    if type(value) is tuple:
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def finite(x: np.ndarray, what: str) -> np.ndarray:
    """Return an array that is no waveform as float32, or refuse it.

    Raises:
        ValueError: It is not floating point, or holds NaN or infinity.
    """
    if x.dtype.kind != "f":
        raise ValueError(f"{what} must be floating point, got {x.dtype}: convert with astype(numpy.float32)")
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        x = x.astype(np.float32, copy=False)
    if not math.isfinite(float(x.sum(dtype=np.float64))):
        raise ValueError(f"{what} must be finite in single precision, got NaN or infinity: clean with numpy.nan_to_num")
    return x


def generator(rng: Rng) -> np.random.Generator:
    """Return a generator as it is, or make one of a seed.

    Raises:
        ValueError: Neither a generator nor whole numbers of at least 0.
    """
    try:
        if rng is not None:
            return np.random.default_rng(rng)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"rng must be a numpy.random.Generator or a seed such as 7 or (seed, epoch, clip), got {rng!r}: "
        "augmentation draws from nothing else"
    )


def between(rng: np.random.Generator, span: Range) -> float:
    """Draw from a range, as ``rng.uniform`` does in eight times the time."""
    low, high = span
    return low + (high - low) * rng.random()


@dataclass(frozen=True, kw_only=True)
class Transform(Configured, ABC):
    """A random change of a waveform or of a feature.

    Args:
        p: Probability that the change is made at all.

    Raises:
        ValueError: `p` is no probability, or a range is upside down or beyond its limits.
    """

    PACKAGE = "audiozoo.augment"
    RANGES: ClassVar[Mapping[str, Range]] = {}
    """The fields that are ranges to draw from, and their limits."""

    RECORDINGS: ClassVar[str] = ""
    """The field, if there is one, that names a folder of recordings."""

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
            rng: Where all randomness comes from: a generator, or a seed such as ``(seed, epoch, clip)``, with which the result
                depends on nothing else. Every transform begins with the same numbers of one seed: what is called besides this
                one needs its own, such as ``(seed, epoch, clip, 1)``, or the same generator after it.
            sample_rate: Hz; needed by waveform transforms that speak of seconds or hertz.
            label: The class of the sound, which `ByClass` looks at.
            drawn: A list to which each change that is made is added: its class and the values drawn.

        Returns:
            float32, as a rule of the same shape.

        Raises:
            ValueError: The array is not what the transform changes, or the sample rate or the label is missing.
        """
        if type(rng) is not _GENERATOR:
            rng = generator(rng)
        if type(x) is not np.ndarray or x.dtype is not _FLOAT32:
            x = self._as_float32(np.asarray(x))
        return self.within(x, (rng, sample_rate, label, drawn))

    @property
    def inner(self) -> Sequence[Transform]:
        """The transforms that this one is made of."""
        return ()

    def parts(self) -> Iterator[Transform]:
        """Yield this transform and, at any depth, those that it is made of."""
        yield self
        for one in self.inner:
            yield from one.parts()

    def _as_float32(self, x: np.ndarray) -> np.ndarray:
        if x.dtype.kind != "f":
            raise ValueError(
                f"{type(self).__name__}: samples and features must be floating point, got {x.dtype}; divide 16-bit integers by "
                "32768, or convert with astype(numpy.float32)"
            )
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            return x.astype(np.float32)

    @abstractmethod
    def within(self, x: np.ndarray, context: Context) -> np.ndarray:
        """Do what a call does, as a part of another transform's."""


@dataclass(frozen=True, kw_only=True)
class Leaf(Transform):
    """A transform that draws a few values and then is a function of these."""

    def within(self, x: np.ndarray, context: Context) -> np.ndarray:
        """Do what a call does, in as few steps as can be: the fastest transforms take no longer than ten of Python's calls."""
        rng, sample_rate, _, told = context
        # Before the coin is tossed, or a mistake would show itself only now and then.
        x = self._checked(x, sample_rate)
        if self.p < 1 and rng.random() >= self.p:
            return x
        drawn = self._draw(x, rng, sample_rate)
        if told is not None:
            told.append({"class": type(self).__name__, **drawn})
        return self._apply(x, sample_rate, **drawn)

    @abstractmethod
    def _checked(self, x: np.ndarray, sample_rate: float | None) -> np.ndarray:
        """Return a float32 array as it is, or refuse it."""

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        """Draw what `_apply` needs, as JSON data: by default a number from each range."""
        drawn = {}
        for name in self.RANGES:  # a comprehension takes a quarter longer for one range
            drawn[name] = between(rng, getattr(self, name))
        return drawn

    @abstractmethod
    def _apply(self, x: np.ndarray, *sample_rate: Any, **drawn: Any) -> np.ndarray:
        """Change the array ``(x, sample_rate, *, ...)`` by the values drawn, each under its name."""
