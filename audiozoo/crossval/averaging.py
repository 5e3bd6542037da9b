"""Ensembles of equal weights and calibrated scores, computed from the rows of models without any training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from audiozoo.classifier.calibration import fitted_temperature, tempered
from audiozoo.crossval.label_measures import LabelMeasures
from audiozoo.crossval.rows import Measures, Row
from audiozoo.crossval.testscores import TestScores, pack

CALIBRATED = "calibrated "
"""Prefix of the name of a model whose scores are calibrated, see `calibrated_rows`."""


def average_rows(members: Sequence[Iterable[Row]]) -> list[Row]:
    """Average the scores of models on the same test clips, as `Ensemble` does with equal weights.

    Args:
        members: Rows of each member, at least two, all with the same folds and seeds.

    Returns:
        A row for each fold and seed, with the sums of the members' parameters and times. Its model is "a+b".

    Raises:
        ValueError: There are fewer than two members, folds, seeds or test clips differ, clips have several labels, or a row
            lacks the scores of its clips.
    """
    cases = [{(row.fold, row.seed): row for row in rows} for rows in members]
    if len(cases) < 2:
        raise ValueError(f"an average needs at least two members, got {len(cases)}")
    for case in cases[1:]:
        if odd := set(case) ^ set(cases[0]):
            names = " and ".join(next(iter(each.values())).model for each in (cases[0], case))
            fold, seed = min(odd)
            raise ValueError(f"{names} cannot be averaged: only one of them has a row for fold {fold} and seed {seed}")
    return [_averaged([case[one] for case in cases]) for one in sorted(cases[0])]


def calibrated_rows(rows: Iterable[Row]) -> list[Row]:
    """Divide the logits of a model's scores by a temperature, see `audiozoo.classifier.calibration.fitted_temperature`.

    The temperature of a fold is fitted to the test clips of the other folds with the same seed, so no score of a fold affects
    its own. A model that is less certain than it is right, such as one trained on mixed clips, then has its due weight in an
    average.

    Args:
        rows: Rows of a model, of at least two folds.

    Returns:
        A row for each. Its model is "calibrated a".

    Raises:
        ValueError: A row has no other fold of its seed, clips have several labels, or a row lacks the scores of its clips.
    """
    rows = list(rows)
    return [_calibrated(row, [one for one in rows if one.seed == row.seed and one.fold != row.fold]) for row in rows]


def _calibrated(row: Row, others: Sequence[Row]) -> Row:
    if not others:
        raise ValueError(
            f"{row.model} cannot be calibrated: the temperature of fold {row.fold} is fitted to other folds of the seed "
            f"{row.seed}, and there are none; run `audiozoo benchmark` on all folds"
        )
    test, *tests = _tests([row, *others], "calibrated")
    scores, classes = np.concatenate([one.scores for one in tests]), np.concatenate([one.classes for one in tests])
    temperature = fitted_temperature(scores, classes, "softmax")
    test = replace(test, packed=pack(tempered(test.scores, temperature, "softmax")))
    return replace(row, average=(CALIBRATED + row.model,), measures=Measures.of(test.scores, test.classes), test=test)


def _averaged(rows: Sequence[Row]) -> Row:
    first = rows[0]
    test = _mean_scores(rows)
    about: dict[str, Any] = {
        name: sum(getattr(row, name) for row in rows)
        for name in ("parameters", "train_seconds", "feature_seconds", "ms_per_clip")
    }
    return replace(
        first,
        average=tuple(row.model for row in rows),
        measures=Measures.of(test.scores, test.classes),
        test=test,
        training_clips=min(row.training_clips for row in rows),
        best_epoch=0,
        validation=None,
        history={},
        energy=None,
        **about,
    )


def _mean_scores(rows: Sequence[Row]) -> TestScores:
    tests = _tests(rows, "averaged")
    first = tests[0]
    if any(row.labels != rows[0].labels for row in rows) or any(set(test.clips) != set(first.clips) for test in tests):
        names = " and ".join(row.model for row in rows)
        raise ValueError(f"{names} cannot be averaged: their rows for fold {rows[0].fold} differ in the classes or the clips")
    scores = [test.scores[_places(test.clips, first.clips)] for test in tests]
    return replace(first, packed=pack(np.mean(scores, axis=0)))


def _tests(rows: Sequence[Row], what: str) -> list[TestScores]:
    tests = [row.test for row in rows if row.test]
    if len(tests) < len(rows) or any(isinstance(row.measures, LabelMeasures) for row in rows):
        names = " and ".join(dict.fromkeys(row.model for row in rows))
        raise ValueError(
            f"{names} cannot be {what}: each row needs the scores of its clips, with one label a clip; compute rows of "
            "earlier versions again with `audiozoo benchmark --rerun stale`"
        )
    return tests


def _places(clips: Sequence[str], wanted: Sequence[str]) -> list[int]:
    places = {clip: place for place, clip in enumerate(clips)}
    return [places[clip] for clip in wanted]
