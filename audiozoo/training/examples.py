"""Training examples (clips with features and targets), and batches of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audiozoo import audio
from audiozoo.datasets import Clip, is_multilabel
from audiozoo.features import Features, Frontend
from audiozoo.features.reading import measure_clip
from audiozoo.recipe import Recipe
from audiozoo.registry import model_info


def frontend_for(name: str, clips: Sequence[Clip]) -> Frontend:
    """Return a model's frontend after `adapted` has fitted it to the clips."""
    return adapted(model_info(name).frontend, clips)


def adapted(frontend: Frontend, clips: Sequence[Clip]) -> Frontend:
    """Limit the duration of a frontend to that of the longest clip (at least 1 s), and its channels to those of the clips.

    Clips that cannot be opened are ignored.
    """
    sizes = [size for clip in clips if (size := measure_clip(clip))]
    if not sizes:
        return frontend
    longest = max(seconds for seconds, _ in sizes)
    channels = max(channels for _, channels in sizes)
    # At least a second: networks pool over time, and a shorter window could be too small for them.
    return frontend.adapt(duration=min(frontend.duration, max(longest, 1.0)), channels=min(frontend.channels, max(1, channels)))


@dataclass(eq=False)
class Examples:
    """Clips with their features and targets.

    Args:
        clips: All clips in `features`, including those that are not used here.
        features: Features of all clips.
        targets: Class index of each clip, ``(clips,)``; for several labels 0 and 1, ``(clips, classes)``. See `targets_of`.
        index: Indices of the clips used here.
        numbers: Number of each used clip, which seeds its random draws; `None` counts from 0. The numbers do not depend on the
            unused clips, so a fold gives the same draws whichever other clips are in `features`.
    """

    clips: Sequence[Clip]
    features: Features
    targets: np.ndarray
    index: np.ndarray
    numbers: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.numbers is None:
            self.numbers = np.arange(len(self.index))

    def subset(self, chosen: np.ndarray) -> Examples:
        """Return some of the used examples, selected by a boolean mask or by positions."""
        assert self.numbers is not None
        return replace(self, index=self.index[chosen], numbers=self.numbers[chosen])

    @property
    def multilabel(self) -> bool:
        """Whether the clips have several labels, see `targets_of`."""
        return self.targets.ndim == 2

    @property
    def window_index(self) -> np.ndarray:
        """Indices of the windows of the used clips in `features.values`."""
        return np.concatenate([np.r_[self.features.windows(i)] for i in self.index])

    @property
    def rows(self) -> np.ndarray:
        """`window_index`; deprecated name."""
        warnings.warn("Examples.rows is deprecated, use Examples.window_index", DeprecationWarning, stacklevel=2)
        return self.window_index


def target_indices(clips: Sequence[Clip], labels: Sequence[str]) -> np.ndarray:
    """Return the index of each clip's label in `labels`, ``(clips,)``.

    Raises:
        ValueError: A clip has another label, or several labels.
    """
    for clip in clips:
        if len(set(clip.labels)) > 1:
            raise ValueError(f"{audio.describe(clip.path)}: has the labels {', '.join(clip.labels)}, but exactly one is needed")
    return target_matrix(clips, labels).argmax(axis=1)


def target_matrix(clips: Sequence[Clip], labels: Sequence[str]) -> np.ndarray:
    """Return for each clip and class whether the clip has this label, 0 or 1, ``(clips, classes)``.

    Raises:
        ValueError: A clip has another label.
    """
    numbers = {label: index for index, label in enumerate(labels)}
    matrix = np.zeros((len(clips), len(labels)), np.int8)
    for row, clip in zip(matrix, clips, strict=True):
        if unknown := [label for label in clip.labels if label not in numbers]:
            raise ValueError(
                f"{audio.describe(clip.path)}: the label {unknown[0]!r} is not one of the classes: {', '.join(labels)}. "
                "Correct the label, leave the clip out, or train with this class"
            )
        row[[numbers[label] for label in clip.labels]] = 1
    return matrix


def targets_of(clips: Sequence[Clip], labels: Sequence[str]) -> np.ndarray:
    """Return the targets of clips: class indices ``(clips,)``, or a `target_matrix` if any of the clips has several labels.

    Raises:
        ValueError: A clip has another label.
    """
    return target_matrix(clips, labels) if is_multilabel(clips) else target_indices(clips, labels)


def check_classes(classes: Sequence[str], targets: np.ndarray) -> None:
    """Check that there are two classes at least, and that each of them has clips.

    Raises:
        ValueError: There are fewer than two classes, or a class has no clips.
    """
    if len(classes) < 2:
        raise ValueError(f"a classifier needs at least two classes, got {', '.join(classes) or 'none'}")
    present = set((targets.max(axis=0).nonzero()[0] if targets.ndim == 2 else targets).tolist())
    if missing := [label for number, label in enumerate(classes) if number not in present]:
        raise ValueError(f"no clips of {', '.join(missing)}: add clips, or leave the class out of the labels")


def check_present(classes: Sequence[str], targets: np.ndarray, found: Features) -> None:
    """Check the classes of the clips that could be read.

    Args:
        classes: Names of the classes.
        targets: Targets of these clips.
        found: Features of all clips.

    Raises:
        ValueError: As for `check_classes`; the message has the failures, because a class often has no clips for this reason.
    """
    try:
        check_classes(classes, targets)
    except ValueError as error:
        raise ValueError("\n".join([str(error), *found.failures.values()])) from error


def one_hot(targets: np.ndarray, classes: int) -> np.ndarray:
    """Return targets of either form as label weights, float32 ``(clips, classes)``."""
    return targets.astype(np.float32) if targets.ndim == 2 else np.eye(classes, dtype=np.float32)[targets]


def example_weights(examples: Examples, recipe: Recipe) -> np.ndarray:
    """Return the weight of each clip in the loss, ``(clips,)``: `Clip.weight`, times the weight of its class if balanced.

    A clip with several labels has the mean of the weights of its classes.
    """
    return clip_weights(examples.clips, examples.targets, recipe.class_weight, index=examples.index)


def clip_weights(
    clips: Sequence[Clip], targets: np.ndarray, class_weight: str | None, *, index: np.ndarray | None = None
) -> np.ndarray:
    """Return the weight of each clip in the loss.

    Args:
        clips: Clips.
        targets: Targets of the clips, see `targets_of`.
        class_weight: "balanced" or `None`, as in a `Recipe`.
        index: Indices of the clips whose classes are counted; `None` counts all.

    Returns:
        The weights, float32 ``(clips,)``.
    """
    weights = np.array([clip.weight for clip in clips], np.float32)
    if class_weight == "balanced":
        hot = one_hot(targets, int(targets.max()) + 1)
        counts = (hot if index is None else hot[index]).sum(axis=0, dtype=float)
        by_class = counts.sum() / (len(counts) * np.maximum(counts, 1))
        weights *= hot @ by_class / hot.sum(axis=1)
    return weights.astype(np.float32)
