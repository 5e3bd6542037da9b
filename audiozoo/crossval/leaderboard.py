"""The leaderboard, a summary of rows by model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiozoo import metrics
from audiozoo.crossval.label_measures import LabelMeasures
from audiozoo.crossval.rows import Measures, Row
from audiozoo.crossval.variants import settings_apart, settings_text, variant


@dataclass(frozen=True)
class LeaderboardEntry:
    """Entry of a model on the leaderboard: means and standard deviations over its folds, each the mean over its seeds.

    Args:
        model: Name of the model.
        parameters: Number of weights, trainable or not.
        folds: Number of different test folds.
        accuracy: Mean and standard deviation of the accuracy, from 0 to 1.
        score: Mean and standard deviation of the dataset's metric.
        map_at_3: Mean of MAP@3.
        train_seconds: Training time, summed over all folds and seeds (seconds).
        ms_per_clip: Median time to classify a clip from samples in memory (milliseconds).
        confusion: Confusion matrix of counts, summed over all folds and seeds, ``(true, predicted)``.
        labels: Class names, in the order of `confusion`.
        metric: Name of the dataset's metric.
        seeds: Number of different seeds.
        seed_deviation: Standard deviation of the score over the seeds, each the mean over its folds; `None` for a single seed,
            or if a seed lacks a fold.
        settings: Text with the options, the frontend and the recipe if rows of the same model have others; "" otherwise.
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
    seeds: int = 1
    seed_deviation: float | None = None
    settings: str = ""


@dataclass(frozen=True)
class LabelLeaderboardEntry:
    """Entry of a model on the leaderboard of a dataset whose clips have several labels.

    Args:
        model: Name of the model.
        parameters: Number of weights, trainable or not.
        folds: Number of different test folds.
        score: Mean and standard deviation of the dataset's metric over the folds, each the mean over its seeds.
        figures: Mean and standard deviation of each metric, by its name in `audiozoo.metrics.LABEL_METRICS`.
        train_seconds: Training time, summed over all folds and seeds (seconds).
        ms_per_clip: Median time to classify a clip from samples in memory (milliseconds).
        average_precision: Average precision of each class, mean over the folds that have positive clips of it, NaN if none
            has, ``(classes,)``.
        f1: F1 of each class, likewise.
        labels: Class names, in the order of these arrays.
        metric: Name of the dataset's metric.
        seeds: Number of different seeds.
        seed_deviation: Standard deviation of the score over the seeds, each the mean over its folds; `None` for a single seed,
            or if a seed lacks a fold.
        settings: Text with the options, the frontend and the recipe if rows of the same model have others; "" otherwise.
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
    seeds: int = 1
    seed_deviation: float | None = None
    settings: str = ""


def leaderboard(rows: Iterable[Row]) -> list[LeaderboardEntry] | list[LabelLeaderboardEntry]:
    """Summarise rows by model, sorted by the dataset's metric, best first.

    Rows of one model with other options, frontends, recipes or initial weights are different entries; seeds and folds are not.

    Raises:
        ValueError: Some rows have one label for each clip and others several, so they cannot be ranked together.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(variant(row), []).append(row)
    kinds = {type(row.measures) for group in groups.values() for row in group}
    if len(kinds) > 1:
        raise ValueError("rows of one label and of several labels a clip cannot be ranked together: give one kind")
    settings = [settings_text(each) for each in settings_apart([group[0] for group in groups.values()])]
    entries: list[Any] = [entry_of(group, text) for group, text in zip(groups.values(), settings, strict=True)]
    return sorted(entries, key=lambda each: -each.score[0])


def entry_of(rows: Sequence[Row], settings: str = "") -> LeaderboardEntry | LabelLeaderboardEntry:
    """Return the entry of rows that differ in fold and seed only."""
    return (_label_entry if isinstance(rows[0].measures, LabelMeasures) else _entry)(rows, settings)


def _entry(rows: Sequence[Row], settings: str) -> LeaderboardEntry:
    measures = [row.measures for row in rows if isinstance(row.measures, Measures)]
    return LeaderboardEntry(
        accuracy=_over_folds(rows, "accuracy"),
        map_at_3=_over_folds(rows, "map@3")[0],
        # The test folds are disjoint, so their counts add up.
        confusion=np.sum([each.confusion for each in measures], axis=0),
        **_common(rows, settings),
    )


def _label_entry(rows: Sequence[Row], settings: str) -> LabelLeaderboardEntry:
    measures = [row.measures for row in rows if isinstance(row.measures, LabelMeasures)]
    return LabelLeaderboardEntry(
        figures={name: _over_folds(rows, name) for name in metrics.LABEL_METRICS},
        average_precision=_class_means([each.average_precision for each in measures]),
        f1=_class_means([each.f1 for each in measures]),
        **_common(rows, settings),
    )


def _over_folds(rows: Sequence[Row], metric: str) -> tuple[float, float]:
    """Return mean and deviation over the folds of the mean over the seeds, so that seeds do not pass for further folds."""
    return metrics.mean_and_deviation(list(_means(rows, metric, by="fold").values()))


def _seed_deviation(rows: Sequence[Row]) -> float | None:
    folds: dict[int, set[int]] = {}
    for row in rows:
        folds.setdefault(row.seed, set()).add(row.fold)
    # A seed without one of the folds would differ from the others because of that fold.
    if len(folds) < 2 or len(set(map(frozenset, folds.values()))) > 1:
        return None
    return metrics.mean_and_deviation(list(_means(rows, rows[0].metric, by="seed").values()))[1]


def _means(rows: Sequence[Row], metric: str, *, by: str) -> dict[int, float]:
    values: dict[int, list[float]] = {}
    for row in rows:
        values.setdefault(getattr(row, by), []).append(row.measures.measure(metric))
    return {number: float(np.mean(each)) for number, each in values.items()}


def _class_means(folds: Sequence[Sequence[float | None]]) -> np.ndarray:
    # A small fold may have no positive clips of a rare class; the other folds then count.
    columns = [[value for value in column if value is not None] for column in zip(*folds, strict=True)]
    return np.array([np.mean(column) if column else np.nan for column in columns])


def _common(rows: Sequence[Row], settings: str) -> dict[str, Any]:
    first = rows[0]
    return {
        "model": first.model,
        "parameters": first.parameters,
        "folds": len({row.fold for row in rows}),
        "score": _over_folds(rows, first.metric),
        "seeds": len({row.seed for row in rows}),
        "seed_deviation": _seed_deviation(rows),
        "settings": settings,
        "train_seconds": sum(row.train_seconds for row in rows),
        # The median, because another process on the machine may slow down a single fold.
        "ms_per_clip": float(np.median([row.ms_per_clip for row in rows])),
        "labels": first.labels,
        "metric": first.metric,
    }
