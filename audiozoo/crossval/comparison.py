"""Comparison of two models on the same test clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from audiozoo import metrics
from audiozoo.crossval.certainty import LEVEL, RESAMPLED, Tested, chance_of_difference, drawn_counts, informative, interval
from audiozoo.crossval.rows import Row

_Case = tuple[str, str, int]


@dataclass(frozen=True)
class Comparison:
    """Comparison of two models, paired by clip.

    Args:
        models: Names of the two models.
        metric: Metric that is compared.
        folds: Test folds that both have.
        clips: Number of test clips.
        recordings: Number of recordings that they come from; the bootstrap draws recordings.
        values: Metric of each model, from 0 to 1: the mean over the folds of the mean over the seeds.
        intervals: 95 % interval of each.
        difference: First value minus second.
        difference_interval: 95 % interval of the difference.
        p: p value of the difference, from the bootstrap.
        corrected_p: The same after Holm's correction, if several pairs were compared.
        mcnemar_p: p value of McNemar's test, which takes clips as independent, even those of one recording; `None` for several
            labels, or for several seeds, whose answers for a clip are not independent.
        corrected_mcnemar_p: The same after Holm's correction, if several pairs were compared.
        only: Names of the clips that only the first, and only the second, gets right; empty where `mcnemar_p` is `None`.
    """

    models: tuple[str, str]
    metric: str
    folds: tuple[int, ...]
    clips: int
    recordings: int
    values: tuple[float, float]
    intervals: tuple[tuple[float, float], tuple[float, float]]
    difference: float
    difference_interval: tuple[float, float]
    p: float
    corrected_p: float
    mcnemar_p: float | None
    corrected_mcnemar_p: float | None
    only: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def better(self) -> str | None:
        """Name of the model that is better at a level of 5 %; `None` if the two are not told apart."""
        if self.corrected_p >= LEVEL:
            return None
        return self.models[0] if self.difference > 0 else self.models[1]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON data."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "better": self.better}


def compare(first: Sequence[Row], second: Sequence[Row], *, models: tuple[str, str], metric: str | None = None) -> Comparison:
    """Compare two models on the folds that both were tested on.

    Seeds are averaged. Every model must have the same number of seeds in each fold, or the folds would count differently.

    Args:
        first: Rows of the first model.
        second: Rows of the second model.
        models: Names of the two models.
        metric: Metric to compare, a key of `audiozoo.crossval.RESAMPLED`; `None` uses that of the rows.

    Returns:
        The comparison.

    Raises:
        ValueError: The models have no test clips in common, or other clips or labels in a fold; a row lacks the scores of its
            clips, or is there twice; or the metric is unknown.
    """
    shared = sorted({_case(row) for row in first} & {_case(row) for row in second})
    if not shared:
        raise ValueError(
            f"{models[0]} and {models[1]} were tested on other clips: {_cases(first)} and {_cases(second)}; "
            "run `audiozoo benchmark` with both models"
        )
    sides = [[row for row in rows if _case(row) in shared] for rows in (first, second)]
    metric = metric or sides[0][0].metric
    if metric not in RESAMPLED:
        raise ValueError(f"models are compared by {', '.join(RESAMPLED)}, got {metric!r}")
    for name, rows in zip(models, sides, strict=True):
        _check(name, rows)
    _require_same_clips(sides, models)
    return _compared(sides, models, metric, tuple(fold for _, _, fold in shared))


def compare_all(models: Mapping[str, Sequence[Row]], *, metric: str | None = None) -> list[Comparison]:
    """Compare every pair of models, and correct the p values by Holm's method.

    Args:
        models: Rows of each model by its name, the best first.
        metric: Metric to compare, see `compare`.

    Returns:
        The comparisons.

    Raises:
        ValueError: See `compare`.
    """
    found = [compare(models[one], models[two], models=(one, two), metric=metric) for one, two in combinations(models, 2)]
    corrected = metrics.holm([each.p for each in found])
    exact = iter(metrics.holm([each.mcnemar_p for each in found if each.mcnemar_p is not None]))
    return [
        replace(each, corrected_p=float(p), corrected_mcnemar_p=None if each.mcnemar_p is None else float(next(exact)))
        for each, p in zip(found, corrected, strict=True)
    ]


def _case(row: Row) -> _Case:
    return row.request.dataset, row.request.content, row.fold


def _cases(rows: Sequence[Row]) -> str:
    return ", ".join(sorted({f"{row.request.dataset} fold {row.fold}" for row in rows})) or "no fold"


def _check(name: str, rows: Sequence[Row]) -> None:
    if old := sorted({row.fold for row in rows if row.test is None}):
        raise ValueError(
            f"the rows of {name} for fold {', '.join(map(str, old))} lack the scores of their clips, because an earlier "
            "version wrote them; `audiozoo benchmark --rerun stale` computes them again"
        )
    # A copy of a row would pass for a further seed.
    twice = [(fold, seed) for (fold, seed), number in Counter((row.fold, row.seed) for row in rows).items() if number > 1]
    if twice:
        raise ValueError(
            f"{name} has several rows for fold {twice[0][0]} and seed {twice[0][1]}, copies or rows of different clips: leave "
            "one of them in the folders"
        )
    counts = Counter(row.fold for row in rows)
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"{name} needs the same number of seeds in each fold, got {sorted(counts.values())}; run the missing ones, or give "
            "folders with the rows of one seed"
        )


def _require_same_clips(sides: Sequence[Sequence[Row]], models: tuple[str, str]) -> None:
    first: dict[int, set[tuple[str, str, tuple[str, ...]]]] = {}
    for row in (row for rows in sides for row in rows):
        truth = _truth(row)
        if other := truth ^ first.setdefault(row.fold, truth):
            raise ValueError(
                f"{models[0]} and {models[1]} cannot be compared: their rows for fold {row.fold} differ in the clips, their "
                f"recordings or labels, such as {min(other)[0]!r}; run `audiozoo benchmark` with both models on the same files"
            )


def _truth(row: Row) -> set[tuple[str, str, tuple[str, ...]]]:
    """Return the clips of a row with their recordings and labels. The classes of two models may be in another order."""
    assert row.test is not None
    hits = row.test.classes
    hits = hits if hits.ndim > 1 else np.arange(len(row.labels)) == hits[:, None]
    labels = [tuple(sorted(row.labels[place] for place in np.flatnonzero(clip))) for clip in hits]
    return set(zip(row.test.clips, row.test.recordings, labels, strict=True))


def _compared(sides: Sequence[Sequence[Row]], models: tuple[str, str], metric: str, folds: tuple[int, ...]) -> Comparison:
    one, other = (each for rows in sides if (each := Tested.of(rows, metric)))
    counts = drawn_counts(len(one.recordings), max(len(one.place), len(other.place)))
    first, second = one.sums(counts), other.sums(counts)
    p = chance_of_difference(first - second, informative(one, other))
    mcnemar_p, only = _decisions(sides)
    recordings = len(one.recordings)
    return Comparison(
        models=models,
        metric=metric,
        folds=tuple(sorted(folds)),
        clips=sum(row.test_clips for row in {row.fold: row for row in sides[0]}.values()),
        recordings=recordings,
        values=(float(first[0]), float(second[0])),
        intervals=(interval(first, recordings), interval(second, recordings)),
        difference=float(first[0] - second[0]),
        difference_interval=interval(first - second, recordings, lowest=-1.0),
        p=p,
        corrected_p=p,
        mcnemar_p=mcnemar_p,
        corrected_mcnemar_p=mcnemar_p,
        only=only,
    )


def _decisions(sides: Sequence[Sequence[Row]]) -> tuple[float | None, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the p value of McNemar's test, and the names of the clips that only one model gets right."""
    right = [_right(rows) for rows in sides]
    if not all(right):
        return None, ((), ())
    clips = [clip for clip in right[0] if clip in right[1]]
    first, second = (np.array([side[clip] for clip in clips]) for side in right)
    only = [
        tuple(f"fold {clips[i][0]}: {clips[i][1]}" for i in np.flatnonzero(one)) for one in (first & ~second, second & ~first)
    ]
    return metrics.mcnemar(first, second), (only[0], only[1])


def _right(rows: Sequence[Row]) -> dict[tuple[int, str], bool]:
    """Map each clip, by fold and name, to whether it is classified correctly; empty for several labels or several seeds."""
    found: dict[tuple[int, str], bool] = {}
    for row in rows:
        assert row.test is not None
        if row.test.classes.ndim > 1 or any((row.fold, clip) in found for clip in row.test.clips):
            return {}
        hits = row.test.scores.argmax(axis=1) == row.test.classes
        found |= {(row.fold, clip): bool(hit) for clip, hit in zip(row.test.clips, hits, strict=True)}
    return found
