"""Transforms that combine other transforms: all in order, some of them, or one chosen by the class of the sound."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from audiozoo.augment.transform import Context, Transform, make_plain
from audiozoo.checks import require_all, require_counts, require_weights


@dataclass(frozen=True, kw_only=True)
class _Composed(Transform):
    """A transform that calls other transforms."""

    def within(self, x: np.ndarray, context: Context) -> np.ndarray:
        """Apply the transform as a part of another one."""
        if self.p < 1 and context.rng.random() >= self.p:
            return x
        return self._change(x, context)

    @abstractmethod
    def _change(self, x: np.ndarray, context: Context) -> np.ndarray:
        """Return the changed array, regardless of `p`."""


@dataclass(frozen=True, kw_only=True)
class _Several(_Composed):
    """A transform that calls a list of transforms.

    Args:
        transforms: List of transforms, which is also the first positional argument.
    """

    transforms: Sequence[Transform] = field(default=(), kw_only=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_all(type(self).__name__, self.transforms, Transform, "[Gain(), TimeShift()]")
        object.__setattr__(self, "transforms", tuple(self.transforms))

    @property
    def inner(self) -> Sequence[Transform]:
        """The transforms that this one calls."""
        return self.transforms


@dataclass(frozen=True, kw_only=True)
class Compose(_Several):
    """Apply several transforms one after the other.

    Args:
        transforms: Transforms in the order in which they are applied.

    >>> from audiozoo.augment import Gain, TimeShift
    >>> augment = Compose([Gain(gain_db=(-6, 6), p=0.5), TimeShift()])
    >>> augment(np.ones(8, np.float32), rng=(0, 1, 2)).shape
    (8,)
    """

    def _change(self, x: np.ndarray, context: Context) -> np.ndarray:
        for transform in self.transforms:
            x = transform.within(x, context)
        return x


@dataclass(frozen=True, kw_only=True)
class OneOf(_Several):
    """Apply one of several transforms, chosen at random.

    Args:
        transforms: List of at least one transform. The chosen one is applied with its own probability `p`.
        weights: Relative frequency of each transform, on any scale; `None` weights all of them equally.

    Raises:
        ValueError: `transforms` is empty, or `weights` does not hold one number of at least 0 for each transform.
    """

    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = self.weights
        if not self.transforms:
            raise ValueError("OneOf needs at least one transform to choose from")
        if weights is not None:
            require_weights("weights", weights, len(self.transforms))
            object.__setattr__(self, "weights", tuple(weights))
            make_plain(self)

    def _change(self, x: np.ndarray, context: Context) -> np.ndarray:
        weights = np.asarray(self.weights or np.ones(len(self.transforms)), float)
        return self.transforms[context.rng.choice(len(weights), p=weights / weights.sum())].within(x, context)


@dataclass(frozen=True, kw_only=True)
class SomeOf(_Several):
    """Apply some of several transforms, chosen at random, in the order of the list.

    Args:
        transforms: List to choose from without repetition. Each chosen one is applied with its own probability `p`.
        count: Range (low, high) of the number of transforms chosen, or a fixed number.

    Raises:
        ValueError: `count` is not within 0 to the number of transforms.
    """

    count: tuple[int, int] | int = (1, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_counts("count", self._span, 0, len(self.transforms))
        object.__setattr__(self, "count", self.count if isinstance(self.count, int) else tuple(self.count))

    @property
    def _span(self) -> tuple[int, int]:
        return (self.count, self.count) if isinstance(self.count, Real) else self.count  # type: ignore[return-value]

    def _change(self, x: np.ndarray, context: Context) -> np.ndarray:
        rng = context.rng
        low, high = self._span
        chosen = rng.permutation(len(self.transforms))[: rng.integers(low, high + 1)]
        for place in np.sort(chosen):
            x = self.transforms[place].within(x, context)
        return x


@dataclass(frozen=True, kw_only=True)
class ByClass(_Composed):
    """Apply a transform that depends on the class of the sound.

    A change that keeps the class of one sound may alter that of another: a siren raised by four semitones is still a siren, but
    a dog may become a puppy.

    Args:
        transforms: Mapping from a label to its transform.
        default: Transform for all other labels; `None` leaves their sounds unchanged.

    Raises:
        ValueError: `transforms` does not map labels to transforms. When called: the label is missing.

    >>> from audiozoo.augment import Gain, Reverse
    >>> augment = ByClass({"rain": Reverse()}, default=Gain(gain_db=(6.0, 6.0)))
    >>> augment(np.float32([1, 2, 3]), label="rain", rng=0).tolist()
    [3.0, 2.0, 1.0]
    """

    transforms: Mapping[str, Transform] = field(default_factory=dict, kw_only=False)
    default: Transform | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.transforms
        labelled = isinstance(given, Mapping) and all(isinstance(label, str) for label in given)
        if not (labelled and all(isinstance(value, Transform) for value in self.inner)):
            raise ValueError(
                f"ByClass takes a mapping of transforms by label, such as {{'rain': Gain()}}, and a transform or None as "
                f"default, got {given!r} and {self.default!r}"
            )
        object.__setattr__(self, "transforms", dict(given))

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def inner(self) -> Sequence[Transform]:
        """The transforms that this one calls."""
        return (*self.transforms.values(), *([] if self.default is None else [self.default]))

    def _change(self, x: np.ndarray, context: Context) -> np.ndarray:
        label = context.label
        if not isinstance(label, str):
            raise ValueError(f"ByClass needs the class of the sound as a str: pass for example label='rain', got {label!r}")
        transform = self.transforms.get(label, self.default)
        return x if transform is None else transform.within(x, context)
