"""Evaluation of a trained classifier on labelled clips: metrics, calibration and rejection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiozoo.classifier.answering import Answering, ClipScores
from audiozoo.crossval.rows import Measures
from audiozoo.datasets import Clip
from audiozoo.features import FeatureCache
from audiozoo.metrics import ReliabilityBin, expected_calibration_error, reliability
from audiozoo.progress import Progress
from audiozoo.training import target_indices


@dataclass(frozen=True)
class Calibration:
    """Agreement of probabilities with the share of correct answers.

    Args:
        error: Expected calibration error, see `audiozoo.metrics.expected_calibration_error`.
        bins: Groups of the reliability diagram.
    """

    error: float
    bins: tuple[ReliabilityBin, ...]

    @classmethod
    def of(cls, scores: np.ndarray, targets: np.ndarray) -> Calibration:
        """Measure probabilities ``(clips, classes)`` against class indices ``(clips,)``."""
        return cls(expected_calibration_error(scores, targets), tuple(reliability(scores, targets)))

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON data."""
        return {"ece": self.error, "bins": [group._asdict() for group in self.bins]}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Result of `evaluate`. It unpacks into measures and failures: ``measures, failures = evaluate(...)``.

    Args:
        measures: Metrics. They take the class with the highest probability, also for clips that are refused.
        failures: Error message of each clip that could not be read, by position. Such clips are left out.
        before: Calibration at temperature 1.
        after: Calibration at the classifier's own temperature.
        refused: Number of clips that the classifier calls "unknown"; `None` without a rejection level.
    """

    measures: Measures
    failures: Mapping[int, str]
    before: Calibration
    after: Calibration
    refused: int | None

    @classmethod
    def of(cls, scored: ClipScores, targets: np.ndarray, rejection: float | None) -> Evaluation:
        """Compare scores with the true classes.

        Args:
            scored: Scores of the clips that could be read.
            targets: Class index of each of them.
            rejection: Rejection level of the classifier.

        Returns:
            The evaluation.
        """
        return cls(
            measures=Measures.of(scored.scores, targets),
            failures=scored.failures,
            before=Calibration.of(scored.raw, targets),
            after=Calibration.of(scored.scores, targets),
            refused=None if rejection is None else int((scored.familiarity < rejection).sum()),
        )

    def __iter__(self) -> Iterator[Any]:
        yield self.measures
        yield self.failures


def evaluate(
    classifier: Answering, clips: Sequence[Clip], *, cache: FeatureCache | None = None, progress: Progress | None = None
) -> Evaluation:
    """Measure a classifier or an ensemble on labelled clips.

    Args:
        classifier: Classifier to test.
        clips: Test clips.
        cache: Cache of features; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.

    Returns:
        The evaluation, which unpacks into the measures and the error messages of clips that could not be read.

    Raises:
        ValueError: A label is not one of the classifier's, or no clip can be read.
    """
    targets = target_indices(clips, classifier.labels)
    scored = classifier.score_clips(clips, cache=cache, progress=progress)
    return Evaluation.of(scored, targets[scored.index], classifier.rejection)
