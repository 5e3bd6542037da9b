"""The leaderboard: rows summarised by model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from audiozoo import metrics
from audiozoo.crossval.rows import Row


@dataclass(frozen=True)
class LeaderboardEntry:
    """A model's place on the leaderboard: means and deviations over its folds.

    Args:
        model: Name of the model.
        parameters: Number of its weights, trainable or not.
        folds: Number of folds on which it was tested.
        accuracy: Mean and standard deviation of the accuracy, as shares from 0 to 1.
        score: Mean and standard deviation of the dataset's own measure.
        map_at_3: Mean of MAP@3.
        train_seconds: Training time of all folds together (seconds).
        ms_per_clip: Median time from samples in memory to the answer (milliseconds).
        confusion: Counts over all folds ``(true, predicted)``.
        labels: Classes in the order of the counts.
        metric: Name of the dataset's own measure.
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
    """Summarise rows by model, the best first by the dataset's own measure."""
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
        ms_per_clip=float(np.median([row.ms_per_clip for row in rows])),
        confusion=np.sum([row.measures.confusion for row in rows], axis=0),
        labels=first.labels,
        metric=first.metric,
    )
