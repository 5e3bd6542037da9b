"""Transforms made of others: one after the other, some of several, one for each class."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

import numpy as np

from audiozoo.augment.transform import Context, Transform, make_plain
from audiozoo.checks import require_range


@dataclass(frozen=True, kw_only=True)
class _Composed(Transform):
    """A transform that calls others."""

    def within(self, x: np.ndarray, context: Context) -> np.ndarray:
        """Do what a call does, as a part of another transform's."""
        rng, *_ = context
        if self.p < 1 and rng.random() >= self.p:
            return x
        return self._change(x, context)

    @abstractmethod
    def _change(self, x: np.ndarray, context: Context) -> np.ndarray:
        """Make the change, whatever `p`."""


@dataclass(frozen=True, kw_only=True)
class _Several(_Composed):
    """What is made of a list of transforms.

    Args:
        transforms: The transforms, first or by name.
    """

    transforms: Sequence[Transform] = field(default=(), kw_only=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.transforms
        if not isinstance(given, Sequence) or not all(isinstance(one, Transform) for one in given):
            raise ValueError(f"{type(self).__name__} takes a list of transforms such as [Gain(), TimeShift()], got {given!r}")
        object.__setattr__(self, "transforms", tuple(given))

    @property
    def inner(self) -> Sequence[Transform]:
        """The transforms that this one is made of."""
        return self.transforms


@dataclass(frozen=True, kw_only=True)
class Compose(_Several):
    """Transforms one after the other.

    Args:
        transforms: In their order.

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
    """One of several transforms.

    Args:
        transforms: At least one; the one chosen still has its own `p`.
        weights: How often each is chosen, in any unit; `None` for all alike.

    Raises:
        ValueError: No transforms, or weights that are not one positive number for each.
    """

    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = self.weights
        if not self.transforms:
            raise ValueError("OneOf needs at least one transform to choose from")
        if weights is not None:
            numbers = isinstance(weights, Sequence) and all(isinstance(weight, Real) and weight >= 0 for weight in weights)
            if not numbers or len(weights) != len(self.transforms) or not 0 < sum(weights) < math.inf:
                raise ValueError(f"weights must be {len(self.transforms)} numbers of at least 0, not all 0, got {weights}")
            object.__setattr__(self, "weights", tuple(weights))
            make_plain(self)

    def _change(self, x: np.ndarray, context: Context) -> np.ndarray:
        rng, *_ = context
        weights = np.asarray(self.weights or np.ones(len(self.transforms)), float)
        return self.transforms[rng.choice(len(weights), p=weights / weights.sum())].within(x, context)


@dataclass(frozen=True, kw_only=True)
class SomeOf(_Several):
    """Some of several transforms, in their order.

    Args:
        transforms: To choose from without repetition; each chosen one still has its own `p`.
        count: Range (low, high) of how many, or a number.

    Raises:
        ValueError: A count that is not from 0 to the number of transforms.
    """

    count: tuple[int, int] | int = (1, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("count", self._span, 0, len(self.transforms))
        if not all(isinstance(end, int) and not isinstance(end, bool) for end in self._span):
            raise ValueError(f"count must be whole numbers, got {self.count!r}")
        object.__setattr__(self, "count", self.count if isinstance(self.count, int) else tuple(self.count))

    @property
    def _span(self) -> tuple[int, int]:
        return (self.count, self.count) if isinstance(self.count, Real) else self.count  # type: ignore[return-value]

    def _change(self, x: np.ndarray, context: Context) -> np.ndarray:
        rng, *_ = context
        low, high = self._span
        chosen = rng.permutation(len(self.transforms))[: rng.integers(low, high + 1)]
        for place in np.sort(chosen):
            x = self.transforms[place].within(x, context)
        return x


@dataclass(frozen=True, kw_only=True)
class ByClass(_Composed):
    """For each class of sounds its own transform: what leaves a siren a siren may turn a cat into a child.

    Args:
        transforms: By label.
        default: For all other labels; `None` leaves their sounds alone.

    Raises:
        ValueError: No mapping from labels to transforms. When called: no label was given.

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
                f"ByClass takes transforms by label, such as {{'rain': Gain()}}, and one as default, got {given!r} "
                f"and {self.default!r}"
            )
        object.__setattr__(self, "transforms", dict(given))

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def inner(self) -> Sequence[Transform]:
        """The transforms that this one is made of."""
        return (*self.transforms.values(), *([] if self.default is None else [self.default]))

    def _change(self, x: np.ndarray, context: Context) -> np.ndarray:
        _, _, label, _ = context
        if not isinstance(label, str):
            raise ValueError(
                f"ByClass needs the class of the sound as a str: pass label='rain', or whatever it is, got {label!r}"
            )
        transform = self.transforms.get(label, self.default)
        return x if transform is None else transform.within(x, context)
