"""Scores on held-out clips, and the settings of a classifier that are fitted on them."""

from __future__ import annotations

from time import monotonic

import numpy as np

from audiozoo import metrics
from audiozoo.classifier import Classifier
from audiozoo.classifier.calibration import fitted_temperature, rejection_level, tempered
from audiozoo.classifier.scorers import batch_size
from audiozoo.classifier.thresholds import fitted_thresholds
from audiozoo.training.examples import Examples


def validation_figures(classifier: Classifier, examples: Examples) -> dict[str, float]:
    """Return the metrics of an epoch on held-out clips, see `figures_of`."""
    return figures_of(pooled_scores(classifier, examples), examples.targets[examples.index])


def figures_of(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return the loss ("val_loss"), and the accuracy ("val_accuracy") or, for several labels, the mAP ("val_map")."""
    if targets.ndim == 2:
        mean = metrics.mean_average_precision(scores, targets)
        return {"val_loss": metrics.binary_log_loss(scores, targets), "val_map": mean}
    return {"val_loss": metrics.log_loss(scores, targets), "val_accuracy": metrics.accuracy(scores, targets)}


def validation_seconds(classifier: Classifier, examples: Examples) -> float:
    """Measure a batch of the validation, and return the estimated duration of all batches."""
    index = examples.window_index
    batch = index[: batch_size(examples.features.values.shape[1:])]
    classifier.window_outputs(examples.features.values, index=batch)  # the first batch compiles
    begin = monotonic()
    classifier.window_outputs(examples.features.values, index=batch)
    return (monotonic() - begin) * len(index) / len(batch)


def calibrate(classifier: Classifier, validation: Examples, *, unknown: float | None = None) -> None:
    """Set what is fitted on held-out clips: the temperature, the thresholds of several labels, and the rejection level.

    Args:
        classifier: Classifier at temperature 1, which has not learnt from these clips. It is changed.
        validation: Held-out clips.
        unknown: Share of the held-out clips that the rejection level keeps; `None` sets no level.
    """
    targets = validation.targets[validation.index]
    # The network runs once; what follows from the temperature is computed from its probabilities.
    scored = classifier.score_features(validation.features, validation.index)
    scores = scored.raw
    if classifier.activation is not None:
        classifier.temperature = fitted_temperature(scores, targets, classifier.activation)
        scores = tempered(scores, classifier.temperature, classifier.activation)
    if validation.multilabel:
        classifier.thresholds = fitted_thresholds(scores, targets)
    if unknown is not None:
        familiarity = scored.familiarity if scored.own_familiarity else scores.max(axis=1)
        classifier.rejection = rejection_level(familiarity, unknown)


def pooled_scores(classifier: Classifier, examples: Examples) -> np.ndarray:
    """Return the probabilities of each example, pooled over its windows, ``(examples, classes)``."""
    return classifier.score_features(examples.features, examples.index).scores
