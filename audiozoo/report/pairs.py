"""Pairs of classes that a model confuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Pair(NamedTuple):
    """Two classes that a model confuses: the true class, the predicted class, the number of clips and of the true class."""

    true: str
    predicted: str
    clips: int
    total: int


def confused_pairs(matrix: np.ndarray, labels: Sequence[str], *, most: int = 12) -> list[Pair]:
    """List the most confused pairs of classes, most clips first.

    Args:
        matrix: Confusion matrix of counts, ``(true, predicted)``.
        labels: Class names, in the order of the matrix.
        most: Largest number of pairs.

    Returns:
        The pairs; empty if every clip is right.

    >>> confused_pairs(np.array([[3, 1], [0, 4]]), ["cat", "dog"])
    [Pair(true='cat', predicted='dog', clips=1, total=4)]
    """
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    places = [divmod(int(place), len(labels)) for place in order]
    totals = matrix.sum(axis=1)
    return [Pair(labels[i], labels[j], int(wrong[i, j]), int(totals[i])) for i, j in places if wrong[i, j]]
