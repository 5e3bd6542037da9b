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
        rejection: Lowest familiarity with which the sound is known; `None` if the classifier never rejects.
        familiarity: Resemblance to the training clips, from 0 to 1; `None` if the highest probability replaces it.
    """

    labels: tuple[str, ...]
    scores: np.ndarray
    source: str = ""
    thresholds: tuple[float, ...] | None = None
    rejection: float | None = None
    familiarity: float | None = None

    @property
    def known(self) -> bool:
        """Whether the familiarity, or else the highest probability, reaches the rejection level."""
        return self.rejection is None or self._level >= self.rejection

    @property
    def _level(self) -> float:
        return self.score if self.familiarity is None else self.familiarity

    @property
    def best(self) -> str:
        """The class with the highest probability, whether the sound is known or not."""
        return self.labels[int(self.scores.argmax())]

    @property
    def label(self) -> str:
        """The class with the highest probability, or "unknown" if the sound is not known."""
        return self.best if self.known else UNKNOWN

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

    def ranked(self, k: int = 3) -> list[tuple[str, float]]:
        """Return the `k` best answers: those of `top`, after "unknown" if the sound is not known.

        The score of "unknown" is the value that was compared with the rejection level.
        """
        return self.top(k) if self.known else [(UNKNOWN, self._level), *self.top(k - 1)][:k]

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON data, with the probabilities of all classes."""
        scores = dict(zip(self.labels, map(float, self.scores), strict=True))
        several = {} if self.thresholds is None else {"present": list(self.present)}
        # A classifier without a rejection level knows every sound.
        open_set = {} if self.rejection is None else {"known": self.known, "best": self.best}
        return {"file": self.source, "label": self.label, "score": self.score, **open_set, **several, "scores": scores}


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
        rejection: Lowest familiarity of a known sound; `None` for no rejection.
        labels: Names of the classes.

    Returns:
        The thresholds as a tuple, or `None`.

    Raises:
        ValueError: There is not one threshold for each label, a number is not from 0 to 1, or there is a rejection level and a
            class named "unknown".
    """
    if rejection is not None:
        require_number("rejection", rejection, 0, 1)
        if UNKNOWN in labels:
            raise ValueError(
                f"a rejection level needs the answer {UNKNOWN!r} for itself, and it is one of the labels: "
                "rename that class, or leave the level out"
            )
    if thresholds is None:
        return None
    if len(thresholds) != len(labels):
        raise ValueError(f"there must be one threshold for each label, got {len(thresholds)} for {len(labels)} labels")
    for label, threshold in zip(labels, thresholds, strict=True):
        require_number(f"the threshold of {label!r}", threshold, 0, 1)
    return tuple(map(float, thresholds))
