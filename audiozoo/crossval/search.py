"""Search for the best augmentation of each class, with one training for each transform."""

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
    target_indices,
    train_examples,
)
from audiozoo.training.batches import Batches

NONE = "none"
"""Name of the training without augmentation."""


@dataclass(frozen=True, eq=False)
class AugmentationSearch:
    """Result of `search_augmentation`.

    Args:
        best: Transform that applies to each class the transform chosen for it. Classes that were recognised best without
            augmentation are left unchanged.
        choices: Name of the chosen transform of each class, or "none".
        table: One entry for each training, with "transform", "accuracy", "log_loss", and the recall of each class under its
            label.
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
    """Find the best transform for each class: train once with each transform and once without, and compare on held-out clips.

    The transform chosen for a class is the one with the highest recall on its held-out clips. Ties are broken by the mean log
    probability of the true class. With few held-out clips for each class the choice is noisy: see the recalls in the table.

    Args:
        name: Name of a model, see `audiozoo.list_models`.
        clips: Training clips. They must not include clips of a test fold, on which the choice would then be overfitted.
        transforms: Transforms to compare, by names of your choice.
        recipe: Training options; `None` uses the model's own. Each training runs for all `recipe.epochs`, without early
            stopping, because the held-out clips are needed for the comparison. Augmentation that the recipe has in other places
            than `at` is applied in every training.
        at: Place of the transforms: "wave" before the frontend, "features" after it.
        validation: Share of each class's recordings that is held out.
        labels: Class names in the order of the model's outputs; `None` uses all labels of the clips, sorted.
        frontend: Frontend; `None` uses the model's own, adapted to the clips.
        cache: Cache of features.
        progress: Callback, see `audiozoo.progress`.
        finished: Callback that receives each entry of the table when its training ends.
        **options: Options of the model's builder.

    Returns:
        The transform of each class, and the table of all trainings.

    Raises:
        ValueError: There are no transforms, one is named "none" or cannot be applied to the clips, a class has fewer than two
            recordings, or a clip cannot be read.
    """
    if not transforms or NONE in transforms:
        raise ValueError(f"transforms needs at least one transform, and none named {NONE!r}, got {list(transforms)}")
    require_choice("at", at, ("wave", "features"))
    recipe = recipe or recipe_for(name)
    classes = tuple(sorted({clip.label for clip in clips})) if labels is None else tuple(labels)
    target_indices(clips, classes)  # raises before the features are computed, because `ByClass` needs one label for each clip
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
    """Compute one batch, so that a transform that fails does so before the first training and not between two trainings."""
    with Batches(learnt, recipe, Scaler.identity(), frontend, classes, 1).stream() as batches:
        next(batches)


def _require_each(classes: Sequence[str], judged: Examples) -> None:
    present = set(judged.targets[judged.index].tolist())
    if missing := [label for number, label in enumerate(classes) if number not in present]:
        raise ValueError(
            f"no recording of {', '.join(missing)} can be held out: a search needs at least two recordings of each class; add "
            "recordings, or raise validation"
        )


@dataclass(frozen=True, eq=False)
class _Measured:
    """Metrics of one training; `confidence` is the mean log probability of the true class, for each class."""

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
    # Training without augmentation comes first in `measured`, and `max` keeps the first of equals.
    return max(measured, key=lambda title: (measured[title].recalls[number], measured[title].confidence[number]))
