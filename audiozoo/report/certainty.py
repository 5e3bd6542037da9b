"""Intervals of all models of a dataset, and the models that cannot be told apart, from one bootstrap over recordings.

Clips of one recording are not independent, so whole recordings are drawn. All models share the draws, which makes the
differences between models paired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audiozoo.crossval import Row

_DRAWS, _FEWEST = 2_000, 200
_MOST_COUNTS = 20_000_000  # numbers in memory; tens of thousands of recordings need fewer draws
_LEVEL = 0.05


class Certainty(NamedTuple):
    """Certainty about the metric of the models of a dataset.

    Args:
        intervals: 95 % interval of each model; `None` if its rows lack the scores of their clips, or its metric is not a mean
            over clips or classes.
        groups: Places of the models that each model is not told apart from at 5 %, after Holm's correction for all pairs.
            `None` for a model that has no interval, or was tested on other clips than the first model that has one.
    """

    intervals: list[tuple[float, float] | None]
    groups: list[tuple[int, ...] | None]


def certainty(models: Sequence[Sequence[Row]], metric: str) -> Certainty:
    """Estimate the certainty of a metric by a bootstrap.

    Args:
        models: Rows of each model. Seeds are averaged, so the interval is about clips and not about seeds.
        metric: Metric of the dataset.

    Returns:
        The intervals, and the groups of the models that were tested on the same clips.
    """
    tables = [_Table.of(rows, metric) for rows in models]
    means: dict[int, np.ndarray] = {}
    draws: dict[tuple[str, ...], np.ndarray] = {}
    for place, table in enumerate(tables):
        if table:
            if table.recordings not in draws:
                draws[table.recordings] = _counts(len(table.recordings))
            means[place] = table.means(draws[table.recordings])
    intervals = [_interval(means[place]) if place in means else None for place in range(len(models))]
    return Certainty(intervals, _groups(tables, means))


class _Table(NamedTuple):
    """Sums over the clips of each recording: of their values, and their numbers, ``(recordings, 1 or classes)``."""

    recordings: tuple[str, ...]
    values: np.ndarray
    clips: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Row], metric: str) -> _Table | None:
        tests = [row.test for row in rows if row.test]
        if len(tests) < len(rows) or metric not in _VALUES:
            return None
        # The names are those below the folder of a fold, so two folds may have the same.
        names = [f"{row.fold}/{name}" for row in rows if row.test for name in row.test.recordings]
        scores, targets = (np.concatenate([getattr(test, of) for test in tests]) for of in ("scores", "classes"))
        recordings, place = np.unique(names, return_inverse=True)
        # A macro average is the mean of the means of the classes, so the sums are kept apart by class.
        column = targets if metric == "macro_accuracy" else np.zeros(len(targets), int)
        values, clips = np.zeros((2, len(recordings), int(column.max()) + 1))
        np.add.at(values, (place, column), _VALUES[metric](scores, targets))
        np.add.at(clips, (place, column), 1)
        return cls(tuple(recordings.tolist()), values, clips)

    def means(self, counts: np.ndarray) -> np.ndarray:
        """Return the metric of the table in the first place, and then of each draw of recordings, ``(1 + draws,)``."""
        values, clips = counts @ self.values, counts @ self.clips
        # A draw may leave a class out, which then does not count.
        return np.nanmean(np.where(clips > 0, values / np.maximum(clips, 1e-9), np.nan), axis=1)


def _correct(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return (scores.argmax(axis=1) == targets).astype(float)


def _reciprocal_rank(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    return ((order == targets[:, None]) / np.arange(1, order.shape[1] + 1)).sum(axis=1)


_VALUES = {"accuracy": _correct, "macro_accuracy": _correct, "map@3": _reciprocal_rank}


def _counts(recordings: int) -> np.ndarray:
    """Return how often each recording is drawn: once each in the first line, then at random, the same for all models."""
    draws = max(_FEWEST, min(_DRAWS, _MOST_COUNTS // recordings))
    drawn = np.random.default_rng(0).multinomial(recordings, np.full(recordings, 1 / recordings), draws)
    return np.vstack([np.ones(recordings), drawn])


def _interval(means: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(means[1:], (50 * _LEVEL, 100 - 50 * _LEVEL))
    return float(low), float(high)


def _groups(tables: Sequence[_Table | None], means: dict[int, np.ndarray]) -> list[tuple[int, ...] | None]:
    groups: list[tuple[int, ...] | None] = [None] * len(tables)
    tested = {place: table.recordings for place, table in enumerate(tables) if table}
    same = [place for place in tested if tested[place] == tested[min(tested)]]
    if len(same) > 1:
        apart = _told_apart(np.array([means[place] for place in same]))
        for number, place in enumerate(same):
            groups[place] = tuple(other for n, other in enumerate(same) if n != number and not apart[number, n])
    return groups


def _told_apart(means: np.ndarray) -> np.ndarray:
    """Return for each pair of models whether their difference is significant after Holm's correction, ``(models, models)``."""
    differences = means[:, 0][:, None] - means[:, 0]
    covariance = np.atleast_2d(np.cov(means[:, 1:]))
    variance = covariance.diagonal()[:, None] + covariance.diagonal() - 2 * covariance
    deviation = np.sqrt(np.maximum(variance, 1e-18))
    # The bootstrap gives the deviation, and the normal distribution the tail, which 2,000 draws cannot resolve.
    pairs = list(zip(*np.triu_indices(len(means), 1), strict=True))
    chances = [math.erfc(abs(differences[pair]) / deviation[pair] / math.sqrt(2)) for pair in pairs]
    apart = np.zeros(differences.shape, bool)
    for rank, number in enumerate(np.argsort(chances, kind="stable")):
        if chances[number] > _LEVEL / (len(pairs) - rank):
            break
        apart[pairs[number]] = apart[pairs[number][::-1]] = True
    return apart
