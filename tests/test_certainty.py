"""Intervals of models and the groups that cannot be told apart."""

from dataclasses import replace

import numpy as np
import pytest
from made_rows import made_rows

from audiozoo import metrics
from audiozoo.crossval.certainty import RESAMPLED, certainty, drawn_counts, interval
from audiozoo.crossval.testscores import pack


def certain(*skills, clips=200, metric="accuracy", **changes):
    """Return the certainty about models of some skills on the same clips; each has noise of its own."""
    models = []
    for number, skill in enumerate(skills):
        rows = made_rows(("mel_cnn" + "x" * number,), skill=skill, clips=clips, **changes)
        models.append([replace(row, request=replace(row.request, model="mel_cnn")) for row in rows])
    return models, certainty(models, metric)


def test_an_interval_covers_the_accuracy_and_shrinks_with_more_clips():
    widths = []
    for clips in (50, 800):
        [[*rows], *_], found = certain(2.0, clips=clips)
        low, high = found.intervals[0]
        assert low < np.mean([row.score for row in rows]) < high
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25), "the square root of 16"


def test_the_interval_of_independent_clips_is_that_of_the_binomial_distribution():
    [[*rows]], found = certain(2.0, clips=400)
    share = np.mean([row.score for row in rows])
    expected = 2 * 1.96 * np.sqrt(share * (1 - share) / 800)
    assert found.intervals[0][1] - found.intervals[0][0] == pytest.approx(expected, rel=0.1)


def test_clips_of_one_recording_are_not_independent():
    [rows], found = certain(2.0)
    # Twenty copies of each of ten clips are no better than ten clips, and copies of a recording must not pass for 200 of them.
    copies = np.repeat(np.arange(10), 20)
    tests = [
        replace(
            row.test,
            recordings=tuple(map(str, copies)),
            targets=tuple(row.test.classes[copies]),
            packed=pack(row.test.scores[copies]),
        )
        for row in rows
    ]
    joined = certainty([[replace(row, test=test) for row, test in zip(rows, tests, strict=True)]], "accuracy")
    width, usual = (high - low for low, high in (joined.intervals[0], found.intervals[0]))
    assert width > 3 * usual


def test_equal_models_are_not_told_apart_and_different_ones_are():
    _, found = certain(3.0, 3.0, 0.5)
    assert found.groups == [(1,), (0,), ()]


def test_models_without_scores_or_on_other_clips_belong_to_no_group():
    models, _ = certain(3.0, 3.0)
    old = [replace(row, test=None) for row in models[0]]
    found = certainty([*models, old, models[0][:1]], "accuracy")
    assert found.groups == [(1,), (0,), None, None]
    assert found.intervals[2] is None
    assert found.intervals[3] is not None
    assert certainty([old], "accuracy") == ([None], [None])


@pytest.mark.parametrize("metric", ["accuracy", "macro_accuracy", "map@3"])
def test_the_bootstrap_is_of_the_metric_itself(metric):
    [rows], found = certain(1.0, metric=metric)
    scores, targets = (np.concatenate([getattr(row.test, of) for row in rows]) for of in ("scores", "classes"))
    low, high = found.intervals[0]
    assert (low + high) / 2 == pytest.approx(metrics.METRICS[metric](scores, targets), abs=0.02)


def test_the_interval_covers_the_truth_as_often_as_it_says(rng):
    covered = []
    for _ in range(200):
        place = np.repeat(np.arange(40), 5)
        # Whole recordings are right or wrong, apart from a few clips: an interval over clips would be too narrow.
        right = (rng.uniform(size=40) < 0.8)[place] ^ (rng.uniform(size=200) < 0.05)
        sums = RESAMPLED["accuracy"](np.eye(2)[right.astype(int)], np.ones(200, int), place)
        low, high = interval(sums(drawn_counts(40, 200)), 40)
        covered.append(low <= 0.8 * 0.95 + 0.2 * 0.05 <= high)
    assert 0.9 < np.mean(covered) < 0.99


def test_a_model_without_errors_is_not_certain():
    assert interval(np.ones(201), 40) == pytest.approx((0.025 ** (1 / 40), 1))
    assert interval(np.zeros(201), 40) == pytest.approx((0, 1 - 0.025 ** (1 / 40)))
    low, high = interval(np.full(201, 0.75), 1)
    assert high - low == 1, "one recording, of whose clips some are right"


def test_a_draw_without_a_fold_is_no_error():
    [rows], found = certain(2.0, clips=2, folds=(1, 2))
    assert found.intervals[0][0] <= np.mean([row.score for row in rows]) <= found.intervals[0][1]


def test_the_interval_of_a_low_mean_average_precision_holds_it(rng):
    targets = (rng.random((1_000, 20)) < 0.02).astype(int)
    place = np.arange(len(targets))
    draws = RESAMPLED["map"](rng.normal(size=targets.shape) + 0.3 * targets, targets, place)(drawn_counts(1_000, 1_000)[:200])
    low, high = interval(draws, 1_000)
    # Clips that are drawn twice raise their own ranks, so that few draws are as low as the value.
    assert np.mean(draws[1:] > draws[0]) > 0.8
    assert low < draws[0] < high
    assert (low + high) / 2 == pytest.approx(draws[0], rel=0.1)
