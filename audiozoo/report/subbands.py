"""A look inside models of sub-bands: which bands tell which classes apart."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo.classifier import Classifier, KerasScorer
from audiozoo.classifier.scorers import POOLINGS
from audiozoo.datasets import Clip
from audiozoo.explain.subbands import sub_band_names, sub_band_outputs
from audiozoo.features import FeatureCache, Features, extract
from audiozoo.progress import Progress
from audiozoo.report.figures import new_figure, save_figure
from audiozoo.training import target_indices


@dataclass(frozen=True, eq=False)
class SubBandAccuracy:
    """Accuracy of the classifiers on single sub-bands beside that of the whole model.

    Args:
        labels: Class names.
        names: Name of each sub-band, lowest first: its range on the axis of the features, or its number.
        accuracy: Share of the clips of each class that each sub-band alone gets right, ``(sub-bands, classes)``; NaN for a
            class without clips.
        joint: Share that the whole model gets right, ``(classes,)``.
        clips: Number of clips of each class, ``(classes,)``.
        failures: Error message of each clip that could not be read, by position.
    """

    labels: tuple[str, ...]
    names: tuple[str, ...]
    accuracy: np.ndarray
    joint: np.ndarray
    clips: np.ndarray
    failures: dict[int, str]

    @property
    def best(self) -> dict[str, str]:
        """Name of the sub-band that recognises each class best; classes that none recognises are left out."""
        known = np.flatnonzero(np.nan_to_num(self.accuracy).max(axis=0))
        return {self.labels[place]: self.names[int(self.accuracy[:, place].argmax())] for place in known}


def sub_band_accuracy(
    classifier: Classifier, clips: Sequence[Clip], *, cache: FeatureCache | None = None, progress: Progress | None = None
) -> SubBandAccuracy:
    """Measure the auxiliary classifier of each sub-band on labelled clips.

    Args:
        classifier: Classifier whose Keras model has auxiliary outputs of sub-bands, such as `subspectralnet`.
        clips: Test clips with one label each.
        cache: Cache of features; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.

    Returns:
        The accuracies by class.

    Raises:
        ValueError: The model has no outputs of sub-bands, a clip has several labels or an unknown one, or no clip can be read.
    """
    outputs = require_sub_bands(classifier)
    targets = target_indices(clips, classifier.labels)
    features = extract(clips, classifier.frontend, cache=cache, progress=progress)
    index = features.readable
    if not len(index):
        features.raise_failures()
    right = np.stack([scores.argmax(axis=1) == targets[clip] for clip, scores in _pooled(classifier, features, index)])
    by_class = _by_class(right[:, [0, *outputs]], targets[index], len(classifier.labels))
    return SubBandAccuracy(
        labels=classifier.labels,
        names=sub_band_names(classifier, len(outputs)),
        accuracy=by_class[1:],
        joint=by_class[0],
        clips=np.bincount(targets[index], minlength=len(classifier.labels)),
        failures=dict(features.failures),
    )


def require_sub_bands(classifier: Classifier) -> list[int]:
    """Return the places of the outputs of sub-bands among all outputs of the model.

    Raises:
        ValueError: The model has no outputs of sub-bands.
    """
    found = sub_band_outputs(classifier)
    if not found:
        scorer = classifier.scorer
        what = (
            f"the outputs {', '.join(scorer.output_names)}" if isinstance(scorer, KerasScorer) else f"a {type(scorer).__name__}"
        )
        raise ValueError(
            f"the accuracy of sub-bands needs a model with an auxiliary output for each sub-band, and this one has {what}: "
            "train subspectralnet or subspectral_cnn, without the option auxiliary=False"
        )
    return found


def _pooled(classifier: Classifier, features: Features, index: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the scores ``(outputs, classes)`` of each clip, pooled over its windows."""
    assert isinstance(classifier.scorer, KerasScorer)
    for clip in index:
        windows = classifier.scaler(features.values[features.windows(clip)])
        yield int(clip), POOLINGS[classifier.pooling](classifier.scorer.all_scores(windows), axis=1)


def _by_class(right: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
    """Return the share of right clips by output and class, ``(outputs, classes)``."""
    shares = np.full((right.shape[1], classes), np.nan)
    for target in np.unique(targets):
        shares[:, target] = right[targets == target].mean(axis=0)
    return shares


def sub_band_picture(result: SubBandAccuracy, path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Draw the accuracy of each sub-band by class as a heat map, with the whole model in the last column.

    Args:
        result: Result of `sub_band_accuracy`.
        path: Path of the picture to write; the suffix sets the format.
        title: Title above the picture.

    Returns:
        The path of the picture.

    Raises:
        OSError: The picture cannot be written.
    """
    values = np.vstack([result.accuracy, result.joint]).T
    figure = new_figure(3.4 + 0.75 * values.shape[1], 2.0 + 0.36 * len(result.labels))
    axes = figure.add_subplot()
    image = axes.imshow(100 * values, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    axes.axvline(len(result.names) - 0.5, color="white", linewidth=4)
    _write_shares(axes, values)
    axes.set_xticks(range(values.shape[1]), [*result.names, "whole model"], rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(result.labels)), result.labels)
    axes.set(xlabel="sub-band that the auxiliary classifier sees", title=title)
    figure.colorbar(image, ax=axes, label="clips of the class that are right (%)")
    return save_figure(figure, path)


def _write_shares(axes: Any, values: np.ndarray) -> None:
    for row, column in np.argwhere(~np.isnan(values)):
        share = values[row, column]
        axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=_text_colour(share))


def _text_colour(share: float) -> str:
    """Return the colour of a text that stays legible on the colour map viridis."""
    return "black" if share > 0.6 else "white"
