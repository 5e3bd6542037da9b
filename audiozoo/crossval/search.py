"""Which augmentation suits which class: one training for each, judged on held-out recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from audiozoo import metrics
from audiozoo.augment import ByClass, Transform
from audiozoo.checks import require_choice
from audiozoo.crossval.jobs import FeatureBank
from audiozoo.datasets import Clip, hold_out
from audiozoo.features import FeatureCache, Frontend, Scaler
from audiozoo.training import (
    Examples,
    Progress,
    Recipe,
    frontend_for,
    pooled_scores,
    recipe_for,
    train_examples,
)
from audiozoo.training.examples import Batches

NONE = "none"
"""What the row of the training without augmentation is called."""


@dataclass(frozen=True, eq=False)
class AugmentationSearch:
    """What a search found.

    Args:
        best: For each class the transform it was best recognised with; classes for which none was best have none.
        choices: The same by the transforms' names, "none" included.
        table: A row for each training: "transform", "accuracy", "log_loss", and under each label the share of its held-out
            clips that were recognised.
    """

    best: ByClass
    choices: dict[str, str]
    table: list[dict[str, Any]]


def search_augmentation(
    name: str,
    clips: Sequence[Clip],
    transforms: Mapping[str, Transform],
    recipe: Recipe | None = None,
    *,
    at: Literal["wave", "features"] = "wave",
    validation: float = 0.25,
    labels: Sequence[str] | None = None,
    frontend: Frontend | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    finished: Callable[[dict[str, Any]], Any] | None = None,
    **options: Any,
) -> AugmentationSearch:
    """Find for each class the transform that helps it, by a training with each and one without, on an inner split.

    A class's transform is the one with which most of its held-out clips are recognised; of several, "none" among them, the one
    with the largest mean logarithm of the probability of the true class. With few held-out clips a class, this is a noisy
    choice: the table shows by how much it was made.

    Args:
        name: A model of `audiozoo.list_models`.
        clips: To train with: never clips of a test fold.
        transforms: By any names.
        recipe: `None` is the model's own. Its number of epochs is kept for every training: none is held out to choose it by. So
            is what it augments elsewhere than `at`: for transforms alone, give one without.
        at: What is changed: the "wave" before the frontend, or the "features" after it.
        validation: Share of each class's recordings that is held out.
        labels: The classes in their order; `None` is all that occur, sorted.
        frontend: `None` is the model's own, adapted to the clips.
        cache: Where features are kept from one run to the next.
        progress: Callback, see `audiozoo.progress`.
        finished: Called with each row of the table as soon as it is there.
        **options: The builder's own.

    Returns:
        The choice, and the table that it was made from.

    Raises:
        ValueError: No transforms, one called "none" or that cannot change the clips, a class without two recordings, or
            clips that cannot be read.
    """
    if not transforms or NONE in transforms:
        raise ValueError(f"a search needs transforms by name, none of them called {NONE!r}, got {list(transforms)}")
    require_choice("at", at, ("wave", "features"))
    recipe = recipe or recipe_for(name)
    classes = tuple(sorted({clip.label for clip in clips})) if labels is None else tuple(labels)
    bank = FeatureBank.of(clips, frontend or frontend_for(name, clips), cache=cache, progress=progress)
    examples = bank.examples(clips, classes)
    held_out = hold_out(clips, validation, seed=recipe.seed)
    learnt, judged = examples.subset(~held_out), examples.subset(held_out)
    _require_each(classes, judged)
    plain = replace(recipe, validation=0.0, refit=False, patience=None)
    recipes = {title: _augmented(plain, transform, at) for title, transform in {NONE: None, **transforms}.items()}
    for changed in recipes.values():
        _try(changed, learnt, bank.frontend, len(classes))
    measured = {}
    for title, changed in recipes.items():
        classifier = train_examples(name, learnt, classes, changed, bank.frontend, options=options, progress=progress)
        measured[title] = _Measured.of(pooled_scores(classifier, judged), judged.targets[judged.index])
        if finished:
            finished(measured[title].row(title, classes))
    choices = {label: _best(measured, number) for number, label in enumerate(classes)}
    best = {label: transforms[choice] for label, choice in choices.items() if choice != NONE}
    return AugmentationSearch(ByClass(best), choices, [found.row(title, classes) for title, found in measured.items()])


def _augmented(recipe: Recipe, transform: Transform | None, at: str) -> Recipe:
    return replace(recipe, augment_wave=transform) if at == "wave" else replace(recipe, augment_features=transform)


def _try(recipe: Recipe, learnt: Examples, frontend: Frontend, classes: int) -> None:
    """Raise now what a transform would raise in the first batch, after the trainings of those before it."""
    with Batches(learnt, recipe, Scaler.identity(), frontend, classes, 1).stream() as batches:
        next(batches)


def _require_each(classes: Sequence[str], judged: Examples) -> None:
    present = set(judged.targets[judged.index].tolist())
    if missing := [label for number, label in enumerate(classes) if number not in present]:
        raise ValueError(
            f"no recording can be held out of {', '.join(missing)}: a search needs at least two of each class; add "
            "recordings, or raise validation"
        )


@dataclass(frozen=True, eq=False)
class _Measured:
    """How one training did: its accuracy and log loss, and of each class the recall and the mean logarithm of its score."""

    accuracy: float
    log_loss: float
    recalls: np.ndarray
    confidence: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, targets: np.ndarray) -> _Measured:
        right = scores.argmax(axis=1) == targets
        own = np.log(np.maximum(scores[np.arange(len(targets)), targets], 1e-12))
        means = [[values[targets == number].mean() for number in range(scores.shape[1])] for values in (right, own)]
        return cls(metrics.accuracy(scores, targets), metrics.log_loss(scores, targets), *map(np.array, means))

    def row(self, title: str, classes: Sequence[str]) -> dict[str, Any]:
        recalls = dict(zip(classes, self.recalls.tolist(), strict=True))
        return {"transform": title, "accuracy": self.accuracy, "log_loss": self.log_loss, **recalls}


def _best(measured: Mapping[str, _Measured], number: int) -> str:
    # The first of equals is the one without augmentation.
    return max(measured, key=lambda title: (measured[title].recalls[number], measured[title].confidence[number]))
