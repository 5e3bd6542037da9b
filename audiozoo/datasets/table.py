"""Datasets: tables of labelled clips with their official splits."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from audiozoo.checks import require_choice, unknown_name
from audiozoo.datasets.clip import Clip
from audiozoo.datasets.splits import check_disjoint, check_taught, deal, is_multilabel, recordings_by_label
from audiozoo.metrics import LABEL_METRICS, METRICS
from audiozoo.recipe import Recipe

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
    """Labelled clips with their folds and the metric of the dataset.

    Args:
        name: Name of the dataset.
        clips: All clips.
        labels: Names of the classes in the order of a classifier's outputs.
        metric: Name from `audiozoo.metrics.METRICS`, or from `LABEL_METRICS` if a clip has several labels; "" is "accuracy" or
            "map".
        licence: Licence of the sounds, or "".
        notes: Messages of the loader, for example about files that it skipped.
        protocol: Function that turns a model's recipe into the one that the publishers prescribe, for example with
            `dataclasses.replace`. Benchmarks on the dataset use it.

    Raises:
        ValueError: There are no clips, a clip has a label that is not in `labels`, or the metric is not one for such clips.
    """

    name: str
    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    metric: str = ""
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
        metrics = LABEL_METRICS if is_multilabel(self.clips) else tuple(METRICS)
        object.__setattr__(self, "metric", self.metric or metrics[0])
        require_choice(f"the metric of {self.name}", self.metric, metrics)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def folds(self) -> list[int]:
        """Numbers of the official folds in order; empty if there are none."""
        return sorted({clip.fold for clip in self.clips if clip.fold is not None})

    @property
    def training_clips(self) -> tuple[Clip, ...]:
        """Clips for training without cross-validation: all clips, except those of an official test set."""
        return tuple(clip for clip in self.clips if clip.fold is None) if self._has_test_set else self.clips

    @property
    def test_clips(self) -> tuple[Clip, ...]:
        """Clips for testing without cross-validation: those of the official test set, or all clips if there is none."""
        return tuple(clip for clip in self.clips if clip.fold is not None) if self._has_test_set else self.clips

    @property
    def _has_test_set(self) -> bool:
        # A single fold is a test set if other clips have no fold.
        return len(self.folds) == 1 and any(clip.fold is None for clip in self.clips)

    def splits(self) -> Iterator[Split]:
        """Yield ``(fold, training clips, test clips)`` for each official fold; clips without a fold are always for training.

        Raises:
            ValueError: There are no folds, the only fold leaves no clips for training, a recording is on both sides, or a label
                occurs only in test clips.
        """
        if len(self.folds) < 2 and not self._has_test_set:
            raise ValueError(
                f"{self.name} has no official folds; make some with dataset.with_folds(5), or set the fold of each clip"
            )
        for fold in self.folds:
            train = [clip for clip in self.clips if clip.fold != fold]
            test = [clip for clip in self.clips if clip.fold == fold]
            # Clips of a recording share room and device: a model that recognises the recording would get too high a score.
            check_disjoint(train, test, what=f"{self.name}, fold {fold}")
            check_taught(train, test, what=f"{self.name}, fold {fold}")
            yield fold, train, test

    def with_folds(self, folds: int = 5, *, seed: int = 0) -> Self:
        """Divide the clips into stratified folds and keep the clips of a recording together.

        The marks of the publishers' validation clips are removed, because they belong to the published split.

        If clips have several labels, iterative stratification gives each fold about the same share of each label.

        Args:
            folds: Number of folds, at least 2.
            seed: Random seed.

        Returns:
            A copy of the dataset whose clips have folds, numbered from 1.

        Raises:
            ValueError: `folds` is less than 2, or a class has fewer recordings than folds.
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
        clips = tuple(replace(clip, fold=int(fold) + 1, validation=False) for clip, fold in zip(self.clips, dealt, strict=True))
        return replace(self, clips=clips)


Loader = Callable[..., Dataset]
_LOADERS: dict[str, Loader] = {}


def register_dataset(loader: Loader) -> Loader:
    """Register a loader ``(root, **options) -> Dataset`` under its function name; for use as a decorator.

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
        ValueError: The name is unknown; the message suggests the closest one.
    """
    if name not in _LOADERS:
        raise unknown_name("dataset", name, _LOADERS)
    return _LOADERS[name]


def loader_names() -> list[str]:
    """List the registered names."""
    return sorted(_LOADERS)
