"""Predictions of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from audiozoo.checks import require_number

UNKNOWN = "unknown"
"""Label of a sound that a classifier with a rejection level does not recognise."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Prediction for one clip.

    Args:
        labels: Names of all classes.
        scores: Probability of each class, ``(classes,)``.
        source: Name of the file; "" for an array.
        thresholds: Lowest score with which each class counts as present, for several labels; `None` for one label.
        rejection: Lowest score of the best class with which the sound is known; `None` if the classifier never rejects.
    """

    labels: tuple[str, ...]
    scores: np.ndarray
    source: str = ""
    thresholds: tuple[float, ...] | None = None
    rejection: float | None = None

    @property
    def known(self) -> bool:
        """Whether the highest probability reaches the rejection level."""
        return self.rejection is None or self.score >= self.rejection

    @property
    def label(self) -> str:
        """The class with the highest probability, or "unknown" if the sound is not known."""
        return self.labels[int(self.scores.argmax())] if self.known else UNKNOWN

    @property
    def present(self) -> tuple[str, ...]:
        """The classes whose scores reach their thresholds; without thresholds, the class with the highest probability.

        It is empty if no class reaches its threshold, or if the sound is not known.
        """
        if not self.known:
            return ()
        if self.thresholds is None:
            return (self.label,)
        return tuple(
            label for label, score, least in zip(self.labels, self.scores, self.thresholds, strict=True) if score >= least
        )

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
        several = {} if self.thresholds is None else {"present": list(self.present)}
        return {"file": self.source, "label": self.label, "score": self.score, **several, "scores": scores}


class Failure(NamedTuple):
    """A file that could not be classified, and the reason."""

    source: str
    error: str


class WindowScore(NamedTuple):
    """Prediction for one window of a clip, with times in seconds."""

    start: float
    end: float
    label: str
    score: float


def checked_levels(
    thresholds: Sequence[float] | None, rejection: float | None, labels: Sequence[str]
) -> tuple[float, ...] | None:
    """Check the thresholds and the rejection level of a classifier, and return the thresholds.

    Args:
        thresholds: Lowest score with which each class is present; `None` for one label a clip.
        rejection: Lowest score of a known sound; `None` for no rejection.
        labels: Names of the classes.

    Returns:
        The thresholds as a tuple, or `None`.

    Raises:
        ValueError: There is not one threshold for each label, or a number is not from 0 to 1.
    """
    if rejection is not None:
        require_number("rejection", rejection, 0, 1)
    if thresholds is None:
        return None
    if len(thresholds) != len(labels):
        raise ValueError(f"there must be one threshold for each label, got {len(thresholds)} for {len(labels)} labels")
    for label, threshold in zip(labels, thresholds, strict=True):
        require_number(f"the threshold of {label!r}", threshold, 0, 1)
    return tuple(map(float, thresholds))
