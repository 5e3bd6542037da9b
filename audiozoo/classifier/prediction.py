"""Predictions of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class Prediction:
    """Prediction for one clip.

    Args:
        labels: Names of all classes.
        scores: Probability of each class, ``(classes,)``.
        source: Name of the file; "" for an array.
    """

    labels: tuple[str, ...]
    scores: np.ndarray
    source: str = ""

    @property
    def label(self) -> str:
        """The class with the highest probability."""
        return self.labels[int(self.scores.argmax())]

    @property
    def score(self) -> float:
        """The highest probability."""
        return float(self.scores.max())

    def top(self, k: int = 3) -> list[tuple[str, float]]:
        """Return the `k` classes with the highest probabilities, in descending order."""
        order = np.argsort(-self.scores, kind="stable")[:k]
        return [(self.labels[i], float(self.scores[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON data, with the probabilities of all classes."""
        scores = dict(zip(self.labels, map(float, self.scores), strict=True))
        return {"file": self.source, "label": self.label, "score": self.score, "scores": scores}


class WindowScore(NamedTuple):
    """Prediction for one window of a clip, with times in seconds."""

    start: float
    end: float
    label: str
    score: float
