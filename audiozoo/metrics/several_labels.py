"""Metrics of classifiers that give several labels to each clip, computed with scikit-learn.

A class without positive clips has no average precision, recall or F1. These functions return NaN for it and leave it out of
means, where scikit-learn would count it as 0 and warn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def _check(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, targets = np.asarray(scores, float), np.asarray(targets)
    if scores.ndim != 2 or targets.shape != scores.shape or not len(targets):
        raise ValueError(
            f"expected scores (clips, classes) and targets of 0 and 1 of the same shape, at least one clip; "
            f"got {scores.shape} and {targets.shape}"
        )
    if not np.isin(targets, (0, 1)).all():
        raise ValueError(f"targets must be 0 and 1, got {np.unique(targets)[:5]}")
    return scores, targets.astype(int)


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def average_precisions(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Average precision of each class, ``(classes,)``; NaN for a class without positive clips.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: 0 and 1, ``(clips, classes)``.

    Raises:
        ValueError: The shapes do not fit, there is no clip, or a target is not 0 or 1.

    >>> average_precisions([[0.9, 0.1], [0.8, 0.2]], [[0, 0], [1, 0]])
    array([0.5, nan])
    """
    from sklearn.metrics import average_precision_score

    scores, targets = _check(scores, targets)
    pairs = zip(targets.T, scores.T, strict=True)
    values = [average_precision_score(hits, ranked) if hits.any() else np.nan for hits, ranked in pairs]
    return np.minimum(values, 1.0)  # scikit-learn's sum may exceed 1 in the last digit


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean of the average precisions of the classes that have positive clips; NaN if none has.

    This is the macro mAP with which AudioSet and FSD50K are reported.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: 0 and 1, ``(clips, classes)``.

    Raises:
        ValueError: The shapes do not fit, there is no clip, or a target is not 0 or 1.

    >>> mean_average_precision([[0.9, 0.8], [0.8, 0.2]], [[0, 1], [1, 0]])
    0.75
    """
    return _mean(average_precisions(scores, targets))


def roc_auc(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean area under the ROC curve of the classes that have both positive and negative clips; NaN if none has.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: 0 and 1, ``(clips, classes)``.

    Raises:
        ValueError: The shapes do not fit, there is no clip, or a target is not 0 or 1.

    >>> roc_auc([[0.9, 0.8], [0.8, 0.2]], [[1, 1], [0, 1]])
    1.0
    """
    from sklearn.metrics import roc_auc_score

    scores, targets = _check(scores, targets)
    pairs = zip(targets.T, scores.T, strict=True)
    return _mean(np.array([roc_auc_score(hits, ranked) if hits.min() < hits.max() else np.nan for hits, ranked in pairs]))


def _present(scores: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    if np.shape(thresholds) != scores.shape[1:]:
        raise ValueError(f"expected one threshold for each of the {scores.shape[1]} classes, got {np.shape(thresholds)}")
    return (scores >= np.asarray(thresholds, float)).astype(int)


def precision_recall_f1(
    scores: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class, if it is present wherever its score reaches its threshold.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: 0 and 1, ``(clips, classes)``.
        thresholds: Lowest score with which each class counts as present, ``(classes,)``.

    Returns:
        Three arrays ``(classes,)``. The precision is NaN for a class that no score reaches, recall and F1 for a class without
        positive clips.

    Raises:
        ValueError: The shapes do not fit, there is no clip, or a target is not 0 or 1.
    """
    from sklearn.metrics import precision_recall_fscore_support

    scores, targets = _check(scores, targets)
    present = _present(scores, thresholds)
    precision, recall, f1, positives = precision_recall_fscore_support(targets, present, average=None, zero_division=np.nan)
    # scikit-learn gives 0, not NaN, to a class that is found and has no positive clips.
    return precision, recall, np.where(positives > 0, f1, np.nan)


def macro_f1(scores: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]) -> float:
    """Mean of the F1 of the classes that have positive clips; NaN if none has.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: 0 and 1, ``(clips, classes)``.
        thresholds: Lowest score with which each class counts as present, ``(classes,)``.

    Returns:
        The mean, between 0 and 1.

    Raises:
        ValueError: The shapes do not fit, there is no clip, or a target is not 0 or 1.

    >>> macro_f1([[0.9, 0.8], [0.8, 0.2]], [[1, 1], [0, 0]], (0.85, 0.1))
    0.8333333333333333
    """
    return _mean(precision_recall_f1(scores, targets, thresholds)[2])


def micro_f1(scores: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]) -> float:
    """F1 of all decisions together, each clip with each class; NaN if no class is present in any clip or found in any.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: 0 and 1, ``(clips, classes)``.
        thresholds: Lowest score with which each class counts as present, ``(classes,)``.

    Returns:
        The F1, between 0 and 1.

    Raises:
        ValueError: The shapes do not fit, there is no clip, or a target is not 0 or 1.

    >>> micro_f1([[0.9, 0.8], [0.8, 0.2]], [[1, 1], [0, 0]], (0.85, 0.1))
    0.8
    """
    from sklearn.metrics import f1_score

    scores, targets = _check(scores, targets)
    return float(f1_score(targets, _present(scores, thresholds), average="micro", zero_division=np.nan))


def binary_log_loss(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean binary cross-entropy in nats over clips and classes, of independent probabilities ``(clips, classes)``."""
    scores, targets = _check(scores, targets)
    # Clipped as in Keras, so that a wrong score of 0 or 1 gives a finite loss.
    chances = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(-np.where(targets == 1, np.log(chances), np.log(1 - chances)).mean())


LABEL_METRICS = ("map", "macro_f1", "micro_f1", "roc_auc")
"""The metrics that a `Dataset` can name if its clips have several labels."""
