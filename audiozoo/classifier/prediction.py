"""Predictions of a classifier, and classification of many files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from audiozoo.audio import explain

if TYPE_CHECKING:
    from audiozoo.classifier.classifier import Classifier


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


class Failure(NamedTuple):
    """A file that could not be classified, and the reason."""

    source: str
    error: str


def predict_files(classifier: Classifier, paths: Iterable[str], *, strict: bool = False) -> Iterator[Prediction | Failure]:
    """Classify files one after the other.

    Args:
        classifier: Classifier to use.
        paths: Paths of sound files.
        strict: Whether to raise an error for the first file that cannot be used, instead of yielding a `Failure`.

    Yields:
        The prediction or failure of each file, in order.

    Raises:
        OSError: With `strict`, a file cannot be opened.
        ValueError: With `strict`, a file cannot be classified.
    """
    for path in paths:
        try:
            yield classifier.predict(path)
        # Any other exception is a bug, which must not pass as a bad file.
        except (OSError, ValueError) as error:
            if strict and isinstance(error, ValueError):
                raise ValueError(explain(path, error)) from error
            if strict:
                raise
            yield Failure(path, explain(path, error))
