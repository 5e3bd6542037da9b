"""Scores of held-out examples: metrics for each epoch, the temperature, and the duration."""

from __future__ import annotations

from time import monotonic

import numpy as np

from audiozoo import metrics
from audiozoo.classifier import Classifier
from audiozoo.classifier.calibration import fitted_temperature
from audiozoo.classifier.scorers import batch_size
from audiozoo.training.examples import Examples


def validation_figures(classifier: Classifier, examples: Examples) -> dict[str, float]:
    """Return the loss and the accuracy of held-out examples, pooled over windows as in `predict`."""
    scores = pooled_scores(classifier, examples)
    targets = examples.targets[examples.index]
    return {"val_loss": metrics.log_loss(scores, targets), "val_accuracy": metrics.accuracy(scores, targets)}


def validation_seconds(classifier: Classifier, examples: Examples) -> float:
    """Measure a batch of the validation, and return the estimated duration of all batches."""
    index = examples.window_index
    batch = index[: batch_size(examples.features.values.shape[1:])]
    classifier.window_outputs(examples.features.values, index=batch)  # the first batch compiles
    begin = monotonic()
    classifier.window_outputs(examples.features.values, index=batch)
    return (monotonic() - begin) * len(index) / len(batch)


def held_out_temperature(classifier: Classifier, validation: Examples) -> float:
    """Fit the temperature on held-out examples; 1 for a model of unknown activation."""
    if classifier.activation is None:
        return 1.0
    return fitted_temperature(
        pooled_scores(classifier, validation), validation.targets[validation.index], classifier.activation
    )


def pooled_scores(classifier: Classifier, examples: Examples) -> np.ndarray:
    """Return the probabilities of each example, pooled over its windows, ``(examples, classes)``."""
    features = examples.features
    outputs = classifier.window_outputs(features.values, index=examples.window_index)
    # The windows of an example are consecutive; split at the ends, they give one group for each example.
    ends = np.cumsum(features.counts[examples.index])
    return np.stack([classifier.pool(part) for part in np.split(outputs, ends[:-1])])
