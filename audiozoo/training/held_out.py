"""Scores on held-out clips, and the settings of a classifier that are fitted on them."""

from __future__ import annotations

import numpy as np

from audiozoo import metrics
from audiozoo.classifier import Classifier
from audiozoo.classifier.calibration import fitted_temperature, tempered
from audiozoo.classifier.thresholds import fitted_thresholds
from audiozoo.training.examples import Examples


def validation_figures(classifier: Classifier, examples: Examples) -> dict[str, float]:
    """Return the metrics of an epoch on held-out clips: the loss, and the accuracy or, for several labels, the mAP."""
    scores = pooled_scores(classifier, examples)
    targets = examples.targets[examples.index]
    if examples.multilabel:
        mean = metrics.mean_average_precision(scores, targets)
        return {"val_loss": metrics.binary_log_loss(scores, targets), "val_map": mean}
    return {"val_loss": metrics.log_loss(scores, targets), "val_accuracy": metrics.accuracy(scores, targets)}


def held_out_temperature(classifier: Classifier, validation: Examples) -> float:
    """Return the temperature fitted on held-out clips; 1 if the activation of the model is not known."""
    if classifier.activation is None:
        return 1.0
    return fitted_temperature(
        pooled_scores(classifier, validation), validation.targets[validation.index], classifier.activation
    )


def held_out_thresholds(classifier: Classifier, validation: Examples, temperature: float) -> tuple[float, ...] | None:
    """Return the thresholds fitted on held-out clips, or `None` for one label a clip.

    Args:
        classifier: Classifier at temperature 1, which has not learnt from these clips.
        validation: Held-out clips.
        temperature: Temperature with which the thresholds will be used.

    Returns:
        The thresholds, see `fitted_thresholds`, or `None`.
    """
    if not validation.multilabel:
        return None
    scores = tempered(pooled_scores(classifier, validation), temperature, classifier.activation)
    return fitted_thresholds(scores, validation.targets[validation.index])


def pooled_scores(classifier: Classifier, examples: Examples) -> np.ndarray:
    """Return the probabilities of each example, pooled over its windows, ``(examples, classes)``."""
    features = examples.features
    outputs = classifier.window_outputs(features.values, index=examples.window_index)
    # The windows of an example are consecutive; split at the ends, they give one group for each example.
    ends = np.cumsum(features.counts[examples.index])
    return np.stack([classifier.pool(part) for part in np.split(outputs, ends[:-1])])
