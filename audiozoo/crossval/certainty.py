"""Intervals of all models of a dataset, and the models that cannot be told apart, from one bootstrap over recordings.

Clips of one recording are not independent, so whole recordings are drawn. All models share the draws, which makes the
differences between models paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from audiozoo import metrics
from audiozoo.crossval.rows import Row

_DRAWS, _FEWEST = 2_000, 200
_MOST_COUNTS = 20_000_000  # numbers in memory; tens of thousands of clips need fewer draws

LEVEL = 0.05
"""Level of significance; intervals cover 95 %."""


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
    tested = [Tested.of(rows, metric) for rows in models]
    means: dict[int, np.ndarray] = {}
    draws: dict[tuple[str, ...], np.ndarray] = {}
    for place, each in enumerate(tested):
        if each:
            if each.recordings not in draws:
                draws[each.recordings] = drawn_counts(len(each.recordings), len(each.place))
            means[place] = each.sums(draws[each.recordings])
    intervals = [interval(means[place]) if place in means else None for place in range(len(models))]
    return Certainty(intervals, _groups(tested, means))


class Tested(NamedTuple):
    """Results of a model by recording, from which its metric follows for any draw of recordings.

    Args:
        recordings: Names of the recordings, with their folds.
        place: Recording of each clip, ``(clips,)``.
        sums: Function from how often each recording counts, ``(draws, recordings)``, to the metric of each draw, ``(draws,)``.
    """

    recordings: tuple[str, ...]
    place: np.ndarray
    sums: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def of(cls, rows: Sequence[Row], metric: str) -> Tested | None:
        """Collect the scores of rows; `None` if a row lacks them, or the metric is not one of `RESAMPLED`."""
        tests = [row.test for row in rows if row.test]
        if len(tests) < len(rows) or metric not in RESAMPLED:
            return None
        # The names are those below the folder of a fold, so two folds may have the same.
        names = [f"{row.fold}/{name}" for row in rows if row.test for name in row.test.recordings]
        scores, targets = (np.concatenate([getattr(test, of) for test in tests]) for of in ("scores", "classes"))
        recordings, place = np.unique(names, return_inverse=True)
        return cls(tuple(recordings.tolist()), place, RESAMPLED[metric](scores, targets, place))


def _mean(values: np.ndarray, place: np.ndarray, column: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that averages values over the drawn clips: over those of each column, then over the columns."""
    sums, clips = np.zeros((2, int(place.max()) + 1, int(column.max()) + 1))
    np.add.at(sums, (place, column), values)
    np.add.at(clips, (place, column), 1)

    def drawn(counts: np.ndarray) -> np.ndarray:
        above, below = counts @ sums, counts @ clips
        # A draw may leave a class out, which then does not count.
        return np.asarray(np.nanmean(np.where(below > 0, above / np.maximum(below, 1e-9), np.nan), axis=1))

    return drawn


def _accuracy(scores: np.ndarray, targets: np.ndarray, place: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return _mean(scores.argmax(axis=1) == targets, place, np.zeros(len(targets), int))


def _macro_accuracy(scores: np.ndarray, targets: np.ndarray, place: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return _mean(scores.argmax(axis=1) == targets, place, targets)


def _map_at_3(scores: np.ndarray, targets: np.ndarray, place: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    gains = ((order == targets[:, None]) / np.arange(1, order.shape[1] + 1)).sum(axis=1)
    return _mean(gains, place, np.zeros(len(targets), int))


def _mean_average_precision(scores: np.ndarray, targets: np.ndarray, place: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    # The ranking of the clips is the same in every draw; only their weights change.
    orders = np.argsort(-scores, axis=0, kind="stable").T

    def drawn(counts: np.ndarray) -> np.ndarray:
        weights = counts[:, place]
        each = [_weighted_precision(weights[:, order], targets[order, one]) for one, order in enumerate(orders)]
        return np.asarray(np.nanmean(each, axis=0))

    return drawn


def _weighted_precision(weights: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Return the average precision of ranked clips for each draw of weights, ``(draws,)``; NaN without positive clips."""
    found = weights * hits
    precision = found.cumsum(axis=1) / np.maximum(weights.cumsum(axis=1), 1e-9)
    positives = found.sum(axis=1)
    return np.where(positives > 0, (precision * found).sum(axis=1) / np.maximum(positives, 1e-9), np.nan)


RESAMPLED: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "accuracy": _accuracy,
    "macro_accuracy": _macro_accuracy,
    "map@3": _map_at_3,
    "map": _mean_average_precision,
}
"""Metrics with a bootstrap over recordings: functions of scores, targets and the recording of each clip, see `Tested`."""


def drawn_counts(recordings: int, clips: int) -> np.ndarray:
    """Return how often each recording is drawn: once each in the first line, then at random, the same for all models.

    Args:
        recordings: Number of recordings.
        clips: Number of their clips, which limits the number of draws.

    Returns:
        Counts ``(1 + draws, recordings)``.
    """
    draws = max(_FEWEST, min(_DRAWS, _MOST_COUNTS // max(recordings, clips)))
    drawn = np.random.default_rng(0).multinomial(recordings, np.full(recordings, 1 / recordings), draws)
    return np.vstack([np.ones(recordings), drawn])


def interval(means: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a metric from its values in all draws, the first of which has each recording once."""
    low, high = np.percentile(means[1:], (50 * LEVEL, 100 - 50 * LEVEL))
    return float(low), float(high)


def chance_of_difference(differences: np.ndarray) -> float:
    """Return the two-sided p value of a difference from its values in all draws, the first of which has each recording once.

    The draws give the standard deviation, and the normal distribution the tail, which 2,000 draws cannot resolve.
    """
    deviation = max(float(differences[1:].std(ddof=1)), 1e-9)
    return math.erfc(abs(float(differences[0])) / deviation / math.sqrt(2))


def _groups(tested: Sequence[Tested | None], means: dict[int, np.ndarray]) -> list[tuple[int, ...] | None]:
    groups: list[tuple[int, ...] | None] = [None] * len(tested)
    names = {place: each.recordings for place, each in enumerate(tested) if each}
    same = [place for place in names if names[place] == names[min(names)]]
    if len(same) > 1:
        apart = _told_apart([means[place] for place in same])
        for number, place in enumerate(same):
            groups[place] = tuple(other for n, other in enumerate(same) if n != number and not apart[number, n])
    return groups


def _told_apart(means: Sequence[np.ndarray]) -> np.ndarray:
    """Return for each pair of models whether their difference is significant after Holm's correction, ``(models, models)``."""
    pairs = np.triu_indices(len(means), 1)
    chances = [chance_of_difference(means[int(one)] - means[int(other)]) for one, other in zip(*pairs, strict=True)]
    apart = np.zeros((len(means), len(means)), bool)
    apart[pairs] = metrics.holm(chances) < LEVEL
    return np.asarray(apart | apart.T)
