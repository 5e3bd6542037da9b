"""Evaluation of a trained classifier on labelled clips: metrics, calibration and rejection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiozoo.classifier.answering import Answering
from audiozoo.classifier.clipscores import ClipScores
from audiozoo.classifier.thresholds import fallback_thresholds
from audiozoo.crossval.label_measures import LabelMeasures
from audiozoo.crossval.rows import Measures
from audiozoo.datasets import Clip, is_multilabel
from audiozoo.features import FeatureCache
from audiozoo.metrics import ReliabilityBin, expected_calibration_error, reliability
from audiozoo.progress import Progress
from audiozoo.training import target_indices, target_matrix


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
        measures: Metrics, `LabelMeasures` for several labels. They use the probabilities also of clips that are refused.
        failures: Error message of each clip that could not be read, by position. Such clips are left out.
        before: Calibration at temperature 1; `None` for several labels.
        after: Calibration at the classifier's own temperature; `None` for several labels.
        refused: Number of clips that the classifier calls "unknown"; `None` without a rejection level.
    """

    measures: Measures | LabelMeasures
    failures: Mapping[int, str]
    before: Calibration | None
    after: Calibration | None
    refused: int | None

    @classmethod
    def of(cls, scored: ClipScores, targets: np.ndarray, classifier: Answering) -> Evaluation:
        """Compare scores with the true classes.

        Args:
            scored: Scores of the clips that could be read.
            targets: Class index of each of them, or 0 and 1 for several labels, ``(clips, classes)``.
            classifier: Classifier of the scores, with its thresholds and its rejection level.

        Returns:
            The evaluation, see `measures_of`.
        """
        rejection, several = classifier.rejection, targets.ndim == 2
        return cls(
            measures=measures_of(scored.scores, targets, classifier),
            failures=scored.failures,
            before=None if several else Calibration.of(scored.raw, targets),
            after=None if several else Calibration.of(scored.scores, targets),
            refused=None if rejection is None else int((scored.familiarity < rejection).sum()),
        )

    def __iter__(self) -> Iterator[Any]:
        yield self.measures
        yield self.failures


def measures_of(scores: np.ndarray, targets: np.ndarray, classifier: Answering) -> Measures | LabelMeasures:
    """Measure scores against the true classes.

    Args:
        scores: Probabilities of the classifier, ``(clips, classes)``.
        targets: Class indices ``(clips,)``, or 0 and 1 for several labels, ``(clips, classes)``.
        classifier: Classifier of the scores. Without thresholds, several labels are measured with 0.5 for each class.

    Returns:
        The measures.
    """
    if targets.ndim == 1:
        return Measures.of(scores, targets)
    return LabelMeasures.of(scores, targets, classifier.thresholds or fallback_thresholds(len(classifier.labels)))


def evaluate(
    classifier: Answering, clips: Sequence[Clip], *, cache: FeatureCache | None = None, progress: Progress | None = None
) -> Evaluation:
    """Measure a classifier or an ensemble on labelled clips.

    If the classifier has thresholds or a clip has several labels, the measures are `LabelMeasures`.

    Args:
        classifier: Classifier to test.
        clips: Test clips.
        cache: Cache of features; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.

    Returns:
        The evaluation, which unpacks into the measures and the error messages of clips that could not be read.

    Raises:
        ValueError: A label is not one of the classifier's, no clip can be read, or clips have several labels and the classifier
            gives one.
    """
    targets = _targets(classifier, clips)
    scored = classifier.score_clips(clips, cache=cache, progress=progress)
    return Evaluation.of(scored, targets[scored.index], classifier)


def _targets(classifier: Answering, clips: Sequence[Clip]) -> np.ndarray:
    if classifier.thresholds is None and not is_multilabel(clips):
        return target_indices(clips, classifier.labels)
    if classifier.activation == "softmax":
        raise ValueError(
            "some clips have several labels, and this classifier gives each clip one (its activation is a softmax): train one "
            "on a table with several labels, or evaluate on clips with one label"
        )
    return target_matrix(clips, classifier.labels)
