"""Scores of clips and of their windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from audiozoo.classifier.prediction import WindowScore


class Answer(NamedTuple):
    """Scores of one clip.

    Args:
        scores: Probabilities ``(classes,)`` after the temperature.
        raw: Probabilities at temperature 1.
        familiarity: Resemblance to the training clips, from 0 to 1; `None` if the highest probability replaces it.
    """

    scores: np.ndarray
    raw: np.ndarray
    familiarity: float | None


@dataclass(frozen=True, eq=False)
class ClipScores:
    """Scores of several clips.

    Args:
        scores: Probabilities ``(clips, classes)`` after the temperature.
        raw: Probabilities at temperature 1.
        familiarity: Resemblance of each clip to the training clips, ``(clips,)``: that of the scorer, or the highest
            probability.
        index: Positions of these clips among those that were given; the others could not be read.
        failures: Error message of each clip that could not be read, by position.
        own_familiarity: Whether the familiarity is that of the scorer.
    """

    scores: np.ndarray
    raw: np.ndarray
    familiarity: np.ndarray
    index: np.ndarray
    failures: Mapping[int, str]
    own_familiarity: bool = False

    @classmethod
    def of(cls, answers: Sequence[Answer], index: np.ndarray, failures: Mapping[int, str]) -> Self:
        """Collect the answers for some clips.

        Args:
            answers: Scores of each clip, at least one.
            index: Positions of the clips.
            failures: Error messages of the clips that could not be read.

        Returns:
            The scores.
        """
        scores, raw = np.stack([one.scores for one in answers]), np.stack([one.raw for one in answers])
        own = answers[0].familiarity is not None
        familiarity = np.array([one.familiarity for one in answers], float) if own else scores.max(axis=1)
        return cls(scores, raw, familiarity, index, failures, own)

    def answer(self, place: int) -> Answer:
        """Return the scores of one of the clips that could be read."""
        return Answer(self.scores[place], self.raw[place], float(self.familiarity[place]) if self.own_familiarity else None)


class Timeline(NamedTuple):
    """Scores of the windows of one sound, or of consecutive windows of it.

    Args:
        starts: Start of each window (seconds), ``(windows,)``.
        ends: End of each window (seconds).
        scores: Probabilities ``(windows, classes)`` after the temperature.
    """

    starts: np.ndarray
    ends: np.ndarray
    scores: np.ndarray

    @classmethod
    def joined(cls, parts: Iterable[Timeline]) -> Timeline:
        """Join timelines of consecutive windows, at least one."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    def answers(self, labels: Sequence[str], *, all_scores: bool = False) -> Iterator[WindowScore]:
        """Yield ``(start, end, label, score)`` of each window.

        Args:
            labels: Names of the classes.
            all_scores: Whether to yield an item for every class of a window, instead of one for the highest score.
        """
        for start, end, scores in zip(*self, strict=True):
            for place in range(len(scores)) if all_scores else [int(scores.argmax())]:
                yield WindowScore(float(start), float(end), labels[place], float(scores[place]))


def checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels as a tuple.

    Raises:
        ValueError: They are not distinct, non-empty names.
    """
    if isinstance(labels, str) or len(set(labels)) != len(labels):
        raise ValueError(f"labels must be a sequence of different names, got {labels!r}")
    if wrong := [label for label in labels if not isinstance(label, str) or not label]:
        raise ValueError(f"each label must be a non-empty text, got {wrong[0]!r}")
    return tuple(labels)
