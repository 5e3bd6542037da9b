"""Interface that classifiers and ensembles of them share: from sounds to predictions."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from audiozoo import audio
from audiozoo.classifier.prediction import Prediction, WindowScore

if TYPE_CHECKING:
    from audiozoo.classifier.facts import TrainingFacts
    from audiozoo.datasets import Clip
    from audiozoo.features import FeatureCache
    from audiozoo.layers import Activation
    from audiozoo.progress import Progress


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
    """Scores of the windows of one clip.

    Args:
        starts: Start of each window (seconds), ``(windows,)``.
        ends: End of each window (seconds).
        scores: Probabilities ``(windows, classes)`` after the temperature.
    """

    starts: np.ndarray
    ends: np.ndarray
    scores: np.ndarray


class Answering(ABC):
    """Interface of a `Classifier` and an `Ensemble`. Both are predicted with, evaluated, saved and loaded in the same way."""

    labels: tuple[str, ...]
    temperature: float
    activation: Activation
    thresholds: tuple[float, ...] | None
    rejection: float | None
    history: dict[str, list[float]]
    about: TrainingFacts

    def predict(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Prediction:
        """Classify a sound of any length, at any sample rate.

        Args:
            source: Path, bytes of a file, open file, or array ``(samples,)`` or ``(samples, channels)``.
            sample_rate: Sample rate of an array (Hz), not allowed for a file.
            hop: Time between window starts (seconds), at most the duration of a window; `None` uses the frontend's own.

        Returns:
            The prediction, pooled over the windows. The frontend pads a clip that is shorter than a window. Silence is
            classified like any other sound.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        answer = self.answer(source, sample_rate=sample_rate, hop=hop)
        name = "" if isinstance(source, np.ndarray) else audio.describe(source)
        return self.prediction(answer.scores, name, familiarity=answer.familiarity)

    def prediction(self, scores: np.ndarray, source: str = "", *, familiarity: float | None = None) -> Prediction:
        """Return the prediction for the scores of a clip, with this classifier's thresholds and rejection level.

        Args:
            scores: Probabilities of the classes, ``(classes,)``.
            source: Name of the file; "" for an array.
            familiarity: Familiarity of the clip, see `Answer`.

        Returns:
            The prediction.
        """
        levels = {"thresholds": self.thresholds, "rejection": self.rejection}
        return Prediction(self.labels, scores, source, familiarity=familiarity, **levels)  # type: ignore[arg-type]

    def predict_windows(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> list[WindowScore]:
        """Classify each window of a sound.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.

        Returns:
            ``(start, end, label, score)`` of each window, times in seconds; the last window ends with the sound.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        found = self.timeline(source, sample_rate=sample_rate, hop=hop)
        return [
            WindowScore(float(start), float(end), self.labels[int(window.argmax())], float(window.max()))
            for start, end, window in zip(*found, strict=True)
        ]

    @abstractmethod
    def answer(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Answer:
        """Compute the scores of a sound. The errors are those of `predict`.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.
        """

    @abstractmethod
    def timeline(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Timeline:
        """Compute the scores of each window of a sound. The errors are those of `predict`.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.
        """

    @abstractmethod
    def embed(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> np.ndarray:
        """Embed a sound as a vector ``(width,)``. The errors are those of `predict`.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.
        """

    @abstractmethod
    def score_clips(
        self, clips: Sequence[Clip], *, cache: FeatureCache | None = None, progress: Progress | None = None
    ) -> ClipScores:
        """Score many clips.

        Args:
            clips: Clips to score; their labels are ignored.
            cache: Cache of features; `None` for no cache.
            progress: Callback, see `audiozoo.progress`.

        Returns:
            The scores of the clips that could be read.

        Raises:
            ValueError: No clip can be read.
        """

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> None:
        """Save everything as one file, which `load_classifier` reads.

        Raises:
            OSError: The file cannot be written.
            ValueError: The path is a folder, or a value could not be loaded again.
        """


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
