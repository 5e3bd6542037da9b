"""Intervals of all models of a dataset, and the models that cannot be told apart, from one bootstrap over recordings.

Clips of one recording are not independent, so whole recordings are drawn. All models share the draws, which makes the
differences between models paired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from audiozoo import metrics
from audiozoo.crossval.rows import Row
from audiozoo.crossval.testscores import TestScores
from audiozoo.metrics.one_label import reciprocal_ranks

_Sums = Callable[[np.ndarray], np.ndarray]
_Resampled = Callable[[np.ndarray, np.ndarray, np.ndarray], _Sums]

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
    intervals = [interval(means[place], len(each.recordings)) if each else None for place, each in enumerate(tested)]
    return Certainty(intervals, _groups(tested, means))


class Tested(NamedTuple):
    """Results of a model by recording, from which its metric follows for any draw of recordings.

    Args:
        recordings: Names of the recordings, with their folds.
        place: Recording of each clip, ``(clips,)``.
        sums: Function from how often each recording counts, ``(draws, recordings)``, to the metric of each draw, ``(draws,)``.
            The metric is the mean over the folds of the mean over the seeds, as on the leaderboard.
        gains: Sum of the clips' gains in each recording, ``(recordings,)``; `None` if the metric is not a mean over clips.
    """

    recordings: tuple[str, ...]
    place: np.ndarray
    sums: Callable[[np.ndarray], np.ndarray]
    gains: np.ndarray | None

    @classmethod
    def of(cls, rows: Sequence[Row], metric: str) -> Tested | None:
        """Collect the scores of rows; `None` if a row lacks them, or the metric is not one of `RESAMPLED`."""
        tests = [(row.fold, row.test) for row in rows if row.test]
        if len(tests) < len(rows) or metric not in RESAMPLED:
            return None
        # The names are those below the folder of a fold, so two folds may have the same.
        names = [f"{fold}/{name}" for fold, test in tests for name in test.recordings]
        recordings, place = np.unique(names, return_inverse=True)
        places = np.split(place, np.cumsum([len(test.clips) for _, test in tests])[:-1])
        folds: dict[int, list[_Sums]] = {}
        for (fold, test), where in zip(tests, places, strict=True):
            folds.setdefault(fold, []).append(_of_row(RESAMPLED[metric], test, where))
        return cls(tuple(recordings.tolist()), place, _over_folds(list(folds.values())), _gains(tests, place, metric))


def _of_row(resampled: _Resampled, test: TestScores, where: np.ndarray) -> _Sums:
    """Return the metric of one row, for counts of the recordings of all rows."""
    # The names begin with the fold, so its recordings are side by side, and a slice copies none of the counts.
    start, end = int(where.min()), int(where.max()) + 1
    metric = resampled(test.scores, test.classes, where - start)
    return lambda counts: metric(counts[:, start:end])


def _over_folds(folds: Sequence[Sequence[_Sums]]) -> _Sums:
    def drawn(counts: np.ndarray) -> np.ndarray:
        return _defined_mean(np.array([np.mean([seed(counts) for seed in seeds], axis=0) for seeds in folds]), axis=0)

    return drawn


def _gains(tests: Sequence[tuple[int, TestScores]], place: np.ndarray, metric: str) -> np.ndarray | None:
    if metric not in _GAINS:
        return None
    seeds = Counter(fold for fold, _ in tests)
    each = [_GAINS[metric](test.scores, test.classes) / seeds[fold] for fold, test in tests]
    return np.bincount(place, np.concatenate(each))


def _defined_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean without NaN: a draw may leave a fold or a class out. Where all are NaN, so is the mean."""
    number = (~np.isnan(values)).sum(axis=axis)
    return np.where(number > 0, np.nansum(values, axis=axis) / np.maximum(number, 1), np.nan)


def _mean(values: np.ndarray, place: np.ndarray, column: np.ndarray) -> _Sums:
    """Return the function that averages values over the drawn clips: over those of each column, then over the columns."""
    columns = int(column.max()) + 1
    cell, cells = place * columns + column, (int(place.max()) + 1) * columns
    both = np.hstack([np.bincount(cell, weights, cells).reshape(-1, columns) for weights in (values, None)])

    def drawn(counts: np.ndarray) -> np.ndarray:
        above, below = np.split(counts @ both, 2, axis=1)
        return _defined_mean(np.where(below > 0, above / np.maximum(below, 1e-9), np.nan), axis=1)

    return drawn


def _hits(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return (scores.argmax(axis=1) == targets).astype(float)


_GAINS = {"accuracy": _hits, "macro_accuracy": _hits, "map@3": reciprocal_ranks}


def _accuracy(scores: np.ndarray, targets: np.ndarray, place: np.ndarray) -> _Sums:
    return _mean(_hits(scores, targets), place, np.zeros(len(targets), int))


def _macro_accuracy(scores: np.ndarray, targets: np.ndarray, place: np.ndarray) -> _Sums:
    return _mean(_hits(scores, targets), place, targets)


def _map_at_3(scores: np.ndarray, targets: np.ndarray, place: np.ndarray) -> _Sums:
    return _mean(reciprocal_ranks(scores, targets), place, np.zeros(len(targets), int))


def _mean_average_precision(scores: np.ndarray, targets: np.ndarray, place: np.ndarray) -> _Sums:
    # The ranking of the clips is the same in every draw; only their weights change.
    orders = np.argsort(-scores, axis=0, kind="stable").T

    def drawn(counts: np.ndarray) -> np.ndarray:
        weights = counts[:, place]
        each = [_weighted_precision(weights[:, order], targets[order, one]) for one, order in enumerate(orders)]
        return _defined_mean(np.array(each), axis=0)

    return drawn


def _weighted_precision(weights: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Return the average precision of ranked clips for each draw of weights, ``(draws,)``; NaN without positive clips."""
    found = weights * hits
    precision = found.cumsum(axis=1) / np.maximum(weights.cumsum(axis=1), 1e-9)
    positives = found.sum(axis=1)
    return np.where(positives > 0, (precision * found).sum(axis=1) / np.maximum(positives, 1e-9), np.nan)


RESAMPLED: dict[str, _Resampled] = {
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


def interval(means: np.ndarray, recordings: int, *, lowest: float = 0.0) -> tuple[float, float]:
    """Return the 95 % interval of a metric. Its ends are percentiles of the draws, minus their bias.

    A positive clip that is drawn twice raises its own precision, so that mean average precision is higher in a draw than in the
    sample. The mean of this difference is subtracted (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).

    If all draws are equal, as for a model without any error, the percentiles would claim certainty. The interval is then as
    wide as what happens in none of the recordings can be frequent (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        means: Values of the metric in all draws, the first of which has each recording once.
        recordings: Number of recordings.
        lowest: Lowest value of the metric; -1 for a difference.

    Returns:
        Lower and upper end.
    """
    bias = np.nanmean(means[1:]) - means[0]
    unbiased = means[1:] - np.nan_to_num(bias)
    low, high = np.clip(np.nanpercentile(unbiased, (50 * LEVEL, 100 - 50 * LEVEL)), lowest, 1.0)
    if high - low < 1e-9:
        margin = (1 - lowest) * (1 - (LEVEL / 2) ** (1 / recordings))
        low, high = max(low - margin, lowest), min(high + margin, 1.0)
    return float(low), float(high)


def informative(first: Tested, second: Tested) -> int:
    """Return the number of recordings in which two models differ; all of them for a metric that is not a mean over clips."""
    if first.gains is None or second.gains is None:
        return len(first.recordings)
    return int((np.abs(first.gains - second.gains) > 1e-9).sum())


def chance_of_difference(differences: np.ndarray, recordings: int) -> float:
    """Return the two-sided p value of the difference between two models.

    The draws give the standard deviation, and Student's t distribution the tail, which 2,000 draws cannot resolve. With few
    recordings the draws vary too little, so the p value is at least that of the sign test: if chance decides which of two
    models wins each of n recordings, the same one wins all of them in one case of 2 ** (n - 1).

    Args:
        differences: Differences in all draws, the first of which has each recording once.
        recordings: Number of recordings in which the models differ, see `informative`.

    Returns:
        The p value, 1 if fewer than two recordings tell the models apart.
    """
    from scipy.special import stdtr

    if recordings < 2:
        return 1.0
    deviation = max(float(np.nanstd(differences[1:], ddof=1)), 1e-9)
    tail = 2 * float(stdtr(recordings - 1, -abs(float(differences[0])) / deviation))
    return max(tail, 0.5 ** (recordings - 1))


def _groups(tested: Sequence[Tested | None], means: dict[int, np.ndarray]) -> list[tuple[int, ...] | None]:
    groups: list[tuple[int, ...] | None] = [None] * len(tested)
    names = {place: each.recordings for place, each in enumerate(tested) if each}
    same = [place for place in names if names[place] == names[min(names)]]
    if len(same) > 1:
        apart = _told_apart([(each, means[place]) for place, each in enumerate(tested) if each and place in same])
        for number, place in enumerate(same):
            groups[place] = tuple(other for n, other in enumerate(same) if n != number and not apart[number, n])
    return groups


def _told_apart(models: Sequence[tuple[Tested, np.ndarray]]) -> np.ndarray:
    """Return for each pair of models whether their difference is significant after Holm's correction, ``(models, models)``."""
    chances = [
        chance_of_difference(means - others, informative(one, other))
        for (one, means), (other, others) in combinations(models, 2)
    ]
    apart = np.zeros((len(models), len(models)), bool)
    apart[np.triu_indices(len(models), 1)] = metrics.holm(chances) < LEVEL
    return np.asarray(apart | apart.T)
