"""Tests of whether two classifiers differ, and the correction of many such tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Return the p value of McNemar's exact test of two classifiers on the same clips.

    Only the clips count that one classifier gets right and the other wrong. If both are equally good, each of them is as likely
    to be the right one. Source: McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12, 1947; the binomial form is exact for any number of clips.

    Args:
        first: Whether the first classifier is right, ``(clips,)``.
        second: Whether the second classifier is right, ``(clips,)``.

    Returns:
        The two-sided p value, 1 if the classifiers are right on the same clips.

    Raises:
        ValueError: The two do not have the same number of clips.

    >>> mcnemar(np.array([True] * 8 + [False]), np.array([False] * 8 + [True])) == 2 * 10 / 2**9
    True
    """
    from scipy.stats import binomtest

    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"McNemar's test needs the same clips for both, got {first.shape} and {second.shape}")
    wins, losses = int((first & ~second).sum()), int((second & ~first).sum())
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def holm(chances: Sequence[float]) -> np.ndarray:
    """Correct the p values of several tests by Holm's step-down method.

    The chance that any of the tests is significant by accident then stays below the level. Source: Holm, "A simple sequentially
    rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.

    Args:
        chances: p value of each test.

    Returns:
        The corrected p values, in the same order, at most 1.

    Raises:
        ValueError: A p value is not from 0 to 1.

    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(chances, float)
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"p values are from 0 to 1, got {given.tolist()}")
    order = np.argsort(given, kind="stable")
    # A smaller p value must not get a larger corrected one, hence the running maximum.
    corrected = np.empty(len(given))
    corrected[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)), 1)
    return corrected
