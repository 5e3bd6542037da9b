"""Metrics of classifiers that give one label to each clip."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from audiozoo.checks import require_count


def _check(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, targets = np.asarray(scores, float), np.asarray(targets)
    if scores.ndim != 2 or targets.shape != scores.shape[:1] or not len(targets):
        raise ValueError(
            f"expected scores (clips, classes) and integer targets (clips,), at least one clip; "
            f"got {scores.shape} and {targets.shape}"
        )
    # Negative indices would silently count from the end.
    if targets.dtype.kind not in "iu" or targets.min() < 0 or targets.max() >= scores.shape[1]:
        raise ValueError(f"targets must be integers from 0 to {scores.shape[1] - 1}, got {targets.dtype} {targets}")
    return scores, targets


def accuracy(scores: np.ndarray, targets: np.ndarray) -> float:
    """Fraction of clips whose true class has the highest score.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: Class indices ``(clips,)``.

    Raises:
        ValueError: The shapes do not fit, there is no clip, or a target is not a class index.

    >>> accuracy([[0.9, 0.1], [0.8, 0.2]], [0, 1])
    0.5
    """
    scores, targets = _check(scores, targets)
    return float((scores.argmax(axis=1) == targets).mean())


def macro_accuracy(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean of the accuracies of the classes, the class-wise accuracy of DCASE.

    Classes without a clip in `targets` are left out of the mean.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: Class indices ``(clips,)``.

    Raises:
        ValueError: The shapes do not fit, there is no clip, or a target is not a class index.

    >>> macro_accuracy([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], [0, 0, 1])
    0.5
    """
    matrix = confusion_matrix(scores, targets)
    clips = matrix.sum(axis=1)
    return float((matrix.diagonal()[clips > 0] / clips[clips > 0]).mean())


def map_at_k(scores: np.ndarray, targets: np.ndarray, k: int = 3) -> float:
    """Mean average precision at k for one true class per clip: the mean of 1 / rank, or 0 beyond rank `k`.

    With k = 3, this is the metric of the Freesound 2018 challenge (Fonseca et al., arXiv:1807.09902). Among equal scores, the
    lower class index ranks first.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: Class indices ``(clips,)``.
        k: Number of ranks that count.

    Returns:
        The mean, between 0 and 1.

    Raises:
        ValueError: The shapes do not fit, there is no clip, a target is not a class index, or `k` is less than 1.

    >>> round(map_at_k([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]], [1, 2]), 2)
    0.75
    """
    scores, targets = _check(scores, targets)
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return float(reciprocal_ranks(scores, targets, k).mean())


def reciprocal_ranks(scores: np.ndarray, targets: np.ndarray, k: int = 3) -> np.ndarray:
    """Return 1 / rank of the true class of each clip, 0 beyond rank `k`; the terms of `map_at_k`, without its checks.

    Args:
        scores: Scores ``(clips, classes)``.
        targets: Class indices ``(clips,)``.
        k: Number of ranks that count.

    Returns:
        A number from 0 to 1 for each clip, ``(clips,)``.
    """
    # A stable sort ranks equal scores the same way on every platform.
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.asarray(((order == targets[:, None]) / np.arange(1, order.shape[1] + 1)).sum(axis=1))


def confusion_matrix(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Count clips by true class (first axis) and predicted class (second axis), ``(classes, classes)``."""
    scores, targets = _check(scores, targets)
    matrix = np.zeros((scores.shape[1],) * 2, dtype=int)
    # add.at counts a pair as often as it occurs; `matrix[a, b] += 1` would count it once.
    np.add.at(matrix, (targets, scores.argmax(axis=1)), 1)
    return matrix


def log_loss(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean cross-entropy in nats of probabilities ``(clips, classes)`` against class indices ``(clips,)``."""
    scores, targets = _check(scores, targets)
    # Probabilities are clipped at 1e-7, as in Keras, so that a score of 0 gives a finite loss.
    return float(-np.log(np.clip(scores[np.arange(len(targets)), targets], 1e-7, 1)).mean())


class ReliabilityBin(NamedTuple):
    """Clips whose highest probabilities lie in one interval, a bar of a reliability diagram.

    Args:
        low: Lower end of the interval, excluded (included for the first).
        high: Upper end of the interval, included.
        clips: Number of clips.
        confidence: Mean of their highest probabilities; the middle of the interval if there are no clips.
        accuracy: Share of the clips whose true class has the highest probability; 0 if there are no clips.
    """

    low: float
    high: float
    clips: int
    confidence: float
    accuracy: float


def reliability(scores: np.ndarray, targets: np.ndarray, *, bins: int = 15) -> list[ReliabilityBin]:
    """Group clips by their highest probability, for a reliability diagram.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599, section 2.

    Args:
        scores: Probabilities ``(clips, classes)``.
        targets: Class indices ``(clips,)``.
        bins: Number of intervals, which divide 0 to 1 evenly.

    Returns:
        A group for each interval, in ascending order, empty ones included.

    Raises:
        ValueError: The shapes do not fit, there is no clip, a target is not a class index, or `bins` is not from 1 to 10,000.
    """
    scores, targets = _check(scores, targets)
    require_count("bins", bins, 1, 10_000)
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == targets
    # Sums in single precision may exceed 1 by a rounding error.
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    groups = []
    for one in range(bins):
        low, high, chosen = one / bins, (one + 1) / bins, number == one
        count = int(chosen.sum())
        mean, share = (confidence[chosen].mean(), right[chosen].mean()) if count else ((low + high) / 2, 0.0)
        groups.append(ReliabilityBin(low, high, count, float(mean), float(share)))
    return groups


def expected_calibration_error(scores: np.ndarray, targets: np.ndarray, *, bins: int = 15) -> float:
    """Mean difference between the highest probability and the share of correct answers, over the groups of `reliability`.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599, equation 3.

    Args:
        scores: Probabilities ``(clips, classes)``.
        targets: Class indices ``(clips,)``.
        bins: Number of intervals, as for `reliability`.

    Returns:
        The mean weighted by the number of clips, from 0 to 1.

    Raises:
        ValueError: As for `reliability`.

    >>> round(expected_calibration_error([[0.9, 0.1], [0.8, 0.2]], [0, 1]), 2)
    0.45
    """
    groups = reliability(scores, targets, bins=bins)
    total = sum(group.clips for group in groups)
    return sum(group.clips * abs(group.confidence - group.accuracy) for group in groups) / total


def mean_and_deviation(values: list[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1); a single value has deviation 0.

    Raises:
        ValueError: There are no values.

    >>> mean_and_deviation([1.0, 3.0])
    (2.0, 1.4142135623730951)
    """
    if not values:
        raise ValueError("the mean needs at least one value, got none")
    # ddof=1: the folds are a sample of all possible splits.
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


METRICS = {"accuracy": accuracy, "macro_accuracy": macro_accuracy, "map@3": map_at_k}
"""The metrics that a `Dataset` can name."""
