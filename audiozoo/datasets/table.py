"""A dataset is a table of labelled clips with its official splits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from audiozoo.checks import unknown_name
from audiozoo.recipe import Recipe


@dataclass(frozen=True)
class Clip:
    """A labelled stretch of sound.

    Args:
        path: A path, or the bytes of a sound file.
        labels: What is heard; one label for most datasets.
        fold: The official test fold it belongs to; `None` belongs to none and is only learnt from.
        group: The recording it was cut from; clips of one recording must not be split. `None`: it stands alone.
        start: Where in the file it begins, seconds.
        end: Where it ends, seconds; `None`, or beyond the file, is the file's end.
        weight: Weight in training.
        licence: Of this sound, where those of a dataset differ; otherwise "".

    Raises:
        ValueError: No label, a span that is none, or a negative weight.
    """

    path: str | bytes
    labels: tuple[str, ...]
    fold: int | None = None
    group: str | None = None
    start: float = 0.0
    end: float | None = None
    weight: float = 1.0
    licence: str = ""

    def __post_init__(self) -> None:
        if not (0 <= self.start < math.inf and (self.end is None or self.start < self.end)):
            raise ValueError(f"a clip needs 0 <= start < end in seconds, got start={self.start} and end={self.end}")
        if not self.labels or not 0 <= self.weight < math.inf:
            raise ValueError(f"a clip needs a label and a weight of at least 0, got {self.labels} and {self.weight}")

    @property
    def label(self) -> str:
        """The first label."""
        return self.labels[0]


Split = tuple[int, list[Clip], list[Clip]]
TrainingProtocol = Callable[[Recipe], Recipe]


def own_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe unchanged: the protocol of a dataset whose publishers prescribe no training."""
    return recipe


def _former_protocol(fields: Mapping[str, Any]) -> TrainingProtocol:
    warnings.warn(
        "Dataset(protocol={...}) is deprecated: pass a function from a recipe to a recipe, such as "
        "lambda recipe: dataclasses.replace(recipe, epochs=200)",
        DeprecationWarning,
        stacklevel=4,
    )
    return partial(replace, **fields)


@dataclass(frozen=True)
class Dataset:
    """Clips, the labels they may have, and the measure by which the field compares results on them.

    Args:
        name: Of the dataset.
        clips: All of them.
        labels: In the order of a classifier's outputs.
        metric: A name from `audiozoo.metrics.METRICS`.
        licence: Of the sounds, or "".
        notes: What the loader has to say, for example about files it passed over.
        protocol: Function that turns a model's recipe into the one that the dataset's publishers prescribe, for example with
            `dataclasses.replace`. Comparisons on the dataset train by it.

    Raises:
        ValueError: No clips, or a clip with a label that is not among the labels.
    """

    name: str
    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    metric: str = "accuracy"
    licence: str = ""
    notes: tuple[str, ...] = ()
    protocol: TrainingProtocol = own_recipe

    def __post_init__(self) -> None:
        if isinstance(self.protocol, Mapping):
            object.__setattr__(self, "protocol", _former_protocol(self.protocol))
        if not self.clips:
            raise ValueError(f"the dataset {self.name!r} has no clips")
        known = set(self.labels)
        for clip in self.clips:
            if not set(clip.labels) <= known:
                raise ValueError(f"{self.name}: a clip is labelled {clip.labels}; the labels are {', '.join(self.labels)}")

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def folds(self) -> list[int]:
        """The official folds, in order; empty where there are none."""
        return sorted({clip.fold for clip in self.clips if clip.fold is not None})

    @property
    def training_clips(self) -> tuple[Clip, ...]:
        """What to learn from without cross-validation: all clips, but those of a test set that is the only fold."""
        return tuple(clip for clip in self.clips if clip.fold is None) if self._has_test_set else self.clips

    @property
    def test_clips(self) -> tuple[Clip, ...]:
        """What to test on without cross-validation: the test set that is the only fold, or else all clips."""
        return tuple(clip for clip in self.clips if clip.fold is not None) if self._has_test_set else self.clips

    @property
    def _has_test_set(self) -> bool:
        return len(self.folds) == 1 and any(clip.fold is None for clip in self.clips)

    def splits(self) -> Iterator[Split]:
        """Yield each official fold as ``(fold, training clips, test clips)``; clips of no fold are learnt from in each.

        Raises:
            ValueError: There are no folds, or a single one with nothing to learn from, or a recording lies on both sides.
        """
        if len(self.folds) < 2 and not self._has_test_set:
            raise ValueError(
                f"{self.name} has no official folds; make some with dataset.with_folds(5), or name a fold for each clip"
            )
        for fold in self.folds:
            train = [clip for clip in self.clips if clip.fold != fold]
            test = [clip for clip in self.clips if clip.fold == fold]
            check_disjoint(train, test, what=f"{self.name}, fold {fold}")
            yield fold, train, test

    def with_folds(self, folds: int = 5, *, seed: int = 0) -> Self:
        """Deal the clips into folds with all classes in each, the clips of one recording together.

        Raises:
            ValueError: Fewer than two folds, or a class with fewer recordings than folds.
        """
        if folds < 2:
            raise ValueError(f"cross-validation needs at least two folds, got {folds}")
        recordings = recordings_by_label(self.clips)
        label, fewest = min(((label, len(found)) for label, found in recordings.items()), key=lambda item: item[1])
        if fewest < folds:
            raise ValueError(
                f"the class {label!r} has {fewest} recording(s), too few for {folds} folds: "
                f"add some, leave the class out, or use {fewest} folds"
            )
        dealt = deal(self.clips, folds, seed=seed)
        clips = tuple(replace(clip, fold=int(fold) + 1) for clip, fold in zip(self.clips, dealt, strict=True))
        return replace(self, clips=clips)


def recording_of(clip: Clip) -> str | bytes:
    """Name the recording that a clip was cut from; one that names none is its file."""
    return clip.path if clip.group is None else clip.group


def recordings_by_label(clips: Sequence[Clip]) -> dict[str, list[str | bytes]]:
    """Collect the recordings of each (first) label, each once, in the order of the clips."""
    found: dict[str, dict[str | bytes, None]] = {}
    for clip in clips:
        found.setdefault(clip.label, {})[recording_of(clip)] = None
    return {label: list(recordings) for label, recordings in found.items()}


def deal(clips: Sequence[Clip], parts: int, *, seed: int) -> np.ndarray:
    """Deal clips into parts of nearly equal class shares, the clips of one recording together; ``(clips,)`` from 0."""
    from sklearn.model_selection import StratifiedGroupKFold

    numbers: dict[str | bytes, int] = {}
    groups = [numbers.setdefault(recording_of(clip), len(numbers)) for clip in clips]
    labels = [clip.label for clip in clips]
    dealt = np.empty(len(clips), int)
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    for part, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
        dealt[held_out] = part
    return dealt


def hold_out(clips: Sequence[Clip], share: float, *, seed: int) -> np.ndarray:
    """Choose clips for validation: a share of each class's recordings, whole recordings, at least one where there are two.

    Args:
        clips: To choose from.
        share: Between 0 and 1.
        seed: Of the choice.

    Returns:
        Booleans ``(clips,)``. A class with a single recording is left in training.

    Raises:
        ValueError: The share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share held out must lie between 0 and 1, got {share}")
    rng = np.random.default_rng(seed)
    by_label = {label: set(recordings) for label, recordings in recordings_by_label(clips).items()}
    chosen: set[str | bytes] = set()
    for recordings in recordings_by_label(clips).values():
        wanted = max(1, round(share * len(recordings)))
        for place in rng.permutation(len(recordings)):
            if len(chosen & set(recordings)) >= wanted:
                break
            # A recording may hold several classes: none of them may lose its last one.
            if all(recordings[place] not in left or len(left - chosen) > 1 for left in by_label.values()):
                chosen.add(recordings[place])
    return np.array([recording_of(clip) in chosen for clip in clips])


def check_disjoint(train: Sequence[Clip], test: Sequence[Clip], *, what: str = "the split") -> None:
    """Refuse a split that has clips of one recording, or of one file, on both sides.

    Raises:
        ValueError: Naming the recording.
    """
    for kind, of in (("recording", lambda clip: clip.group), ("file", lambda clip: clip.path)):
        both = {of(clip) for clip in train if of(clip) is not None} & {of(clip) for clip in test}
        if both:
            example = min(both, key=str)
            raise ValueError(
                f"{what}: {len(both)} {kind}(s) lie on both sides, for example {str(example)[:80]!r}; "
                "a score on such a split says nothing. Put all clips of a recording into one fold."
            )


Loader = Callable[..., Dataset]
_LOADERS: dict[str, Loader] = {}


def register_dataset(loader: Loader) -> Loader:
    """Register a loader ``(root, **options) -> Dataset`` under its own name, and return it untouched.

    Raises:
        ValueError: The name is taken.
    """
    if loader.__name__ in _LOADERS:
        raise ValueError(f"a dataset named {loader.__name__!r} is registered already")
    _LOADERS[loader.__name__] = loader
    return loader


def loader_named(name: str) -> Loader:
    """Return a registered loader.

    Raises:
        ValueError: An unknown name; the nearest is proposed.
    """
    if name not in _LOADERS:
        raise unknown_name("dataset", name, _LOADERS)
    return _LOADERS[name]


def loader_names() -> list[str]:
    """List the registered names."""
    return sorted(_LOADERS)
