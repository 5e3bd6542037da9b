"""The leaderboard, a summary of rows by model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from audiozoo import metrics
from audiozoo.crossval.rows import Row


@dataclass(frozen=True)
class LeaderboardEntry:
    """Entry of a model on the leaderboard: means and standard deviations over its folds.

    Args:
        model: Name of the model.
        parameters: Number of weights, trainable or not.
        folds: Number of folds tested.
        accuracy: Mean and standard deviation of the accuracy, from 0 to 1.
        score: Mean and standard deviation of the dataset's metric.
        map_at_3: Mean of MAP@3.
        train_seconds: Training time, summed over all folds (seconds).
        ms_per_clip: Median time to classify a clip from samples in memory (milliseconds).
        confusion: Confusion matrix of counts, summed over all folds, ``(true, predicted)``.
        labels: Class names, in the order of `confusion`.
        metric: Name of the dataset's metric.
    """

    model: str
    parameters: int
    folds: int
    accuracy: tuple[float, float]
    score: tuple[float, float]
    map_at_3: float
    train_seconds: float
    ms_per_clip: float
    confusion: np.ndarray
    labels: tuple[str, ...]
    metric: str = "accuracy"


def leaderboard(rows: Iterable[Row]) -> list[LeaderboardEntry]:
    """Summarise rows by model, sorted by the dataset's metric, best first."""
    by_model: dict[str, list[Row]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
    return sorted(map(_entry, by_model.values()), key=lambda entry: -entry.score[0])


def _entry(rows: Sequence[Row]) -> LeaderboardEntry:
    first = rows[0]
    return LeaderboardEntry(
        model=first.model,
        parameters=first.parameters,
        folds=len(rows),
        accuracy=metrics.mean_and_deviation([row.measures.accuracy for row in rows]),
        score=metrics.mean_and_deviation([row.score for row in rows]),
        map_at_3=metrics.mean_and_deviation([row.measures.map_at_3 for row in rows])[0],
        train_seconds=sum(row.train_seconds for row in rows),
        # The median, because another process on the machine may slow down a single fold.
        ms_per_clip=float(np.median([row.ms_per_clip for row in rows])),
        # The test folds are disjoint, so their counts add up.
        confusion=np.sum([row.measures.confusion for row in rows], axis=0),
        labels=first.labels,
        metric=first.metric,
    )
