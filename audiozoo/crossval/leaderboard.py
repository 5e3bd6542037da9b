"""The leaderboard, a summary of rows by model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiozoo import metrics
from audiozoo.crossval.label_measures import LabelMeasures
from audiozoo.crossval.rows import Measures, Row


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


@dataclass(frozen=True)
class LabelLeaderboardEntry:
    """Entry of a model on the leaderboard of a dataset whose clips have several labels.

    Args:
        model: Name of the model.
        parameters: Number of weights, trainable or not.
        folds: Number of folds tested.
        score: Mean and standard deviation of the dataset's metric over the folds.
        figures: Mean and standard deviation of each metric, by its name in `audiozoo.metrics.LABEL_METRICS`.
        train_seconds: Training time, summed over all folds (seconds).
        ms_per_clip: Median time to classify a clip from samples in memory (milliseconds).
        average_precision: Average precision of each class, mean over the folds that have positive clips of it, NaN if none
            has, ``(classes,)``.
        f1: F1 of each class, likewise.
        labels: Class names, in the order of these arrays.
        metric: Name of the dataset's metric.
    """

    model: str
    parameters: int
    folds: int
    score: tuple[float, float]
    figures: Mapping[str, tuple[float, float]]
    train_seconds: float
    ms_per_clip: float
    average_precision: np.ndarray
    f1: np.ndarray
    labels: tuple[str, ...]
    metric: str = "map"


def leaderboard(rows: Iterable[Row]) -> list[LeaderboardEntry] | list[LabelLeaderboardEntry]:
    """Summarise rows by model, sorted by the dataset's metric, best first.

    Raises:
        ValueError: Some rows have one label for each clip and others several, so they cannot be ranked together.
    """
    by_model: dict[str, list[Row]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
    kinds = {type(row.measures) for rows in by_model.values() for row in rows}
    if len(kinds) > 1:
        raise ValueError("rows of one label and of several labels a clip cannot be ranked together: give one kind")
    if kinds == {LabelMeasures}:
        return sorted(map(_label_entry, by_model.values()), key=lambda entry: -entry.score[0])
    return sorted(map(_entry, by_model.values()), key=lambda entry: -entry.score[0])


def _entry(rows: Sequence[Row]) -> LeaderboardEntry:
    measures = [row.measures for row in rows if isinstance(row.measures, Measures)]
    return LeaderboardEntry(
        accuracy=metrics.mean_and_deviation([each.accuracy for each in measures]),
        map_at_3=metrics.mean_and_deviation([each.map_at_3 for each in measures])[0],
        # The test folds are disjoint, so their counts add up.
        confusion=np.sum([each.confusion for each in measures], axis=0),
        **_common(rows),
    )


def _label_entry(rows: Sequence[Row]) -> LabelLeaderboardEntry:
    measures = [row.measures for row in rows if isinstance(row.measures, LabelMeasures)]
    names = metrics.LABEL_METRICS
    return LabelLeaderboardEntry(
        figures={name: metrics.mean_and_deviation([each.measure(name) for each in measures]) for name in names},
        average_precision=_class_means([each.average_precision for each in measures]),
        f1=_class_means([each.f1 for each in measures]),
        **_common(rows),
    )


def _class_means(folds: Sequence[Sequence[float | None]]) -> np.ndarray:
    # A small fold may have no positive clips of a rare class; the other folds then count.
    columns = [[value for value in column if value is not None] for column in zip(*folds, strict=True)]
    return np.array([np.mean(column) if column else np.nan for column in columns])


def _common(rows: Sequence[Row]) -> dict[str, Any]:
    first = rows[0]
    return {
        "model": first.model,
        "parameters": first.parameters,
        "folds": len(rows),
        "score": metrics.mean_and_deviation([row.score for row in rows]),
        "train_seconds": sum(row.train_seconds for row in rows),
        # The median, because another process on the machine may slow down a single fold.
        "ms_per_clip": float(np.median([row.ms_per_clip for row in rows])),
        "labels": first.labels,
        "metric": first.metric,
    }
