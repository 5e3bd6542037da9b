"""Metrics of a test in which clips have several labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from audiozoo import metrics
from audiozoo.checks import require_number
from audiozoo.config import Configured

_FIELDS = {"map": "mean_average_precision"}


@dataclass(frozen=True, kw_only=True)
class LabelMeasures(Configured):
    """Metrics of scores against the true labels of clips that have several.

    The means leave out classes without positive clips. The figures of each class are in the order of the labels, and `None`
    where the class has none.

    Args:
        mean_average_precision: Mean of the average precisions, mAP.
        macro_f1: Mean of the F1 of the classes.
        micro_f1: F1 of all decisions together.
        roc_auc: Mean area under the ROC curve; `None` if no class has both positive and negative clips.
        log_loss: Mean binary cross-entropy in nats; NaN after a training that diverged.
        positives: Number of clips with each label.
        thresholds: Lowest score with which each class counts as present.
        average_precision: Average precision of each class.
        precision: Share of the clips found that have the label, for each class.
        recall: Share of the clips with the label that were found, for each class.
        f1: Harmonic mean of precision and recall, for each class.

    Raises:
        ValueError: A metric is not within 0 to 1, or there is not one figure for each class.
    """

    METRICS: ClassVar[tuple[str, ...]] = metrics.LABEL_METRICS
    """Names of the metrics that a row of such measures can be ranked by."""

    mean_average_precision: float
    macro_f1: float
    micro_f1: float
    roc_auc: float | None
    log_loss: float
    positives: tuple[int, ...]
    thresholds: tuple[float, ...]
    average_precision: tuple[float | None, ...]
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    f1: tuple[float | None, ...]

    def __post_init__(self) -> None:
        for name in ("mean_average_precision", "macro_f1", "micro_f1", "roc_auc"):
            if (value := getattr(self, name)) is not None or name != "roc_auc":
                require_number(name, value, 0, 1)
        for name in ("thresholds", "average_precision", "precision", "recall", "f1"):
            if len(getattr(self, name)) != self.classes:
                raise ValueError(f"{name} must have a figure for each of the {self.classes} classes, got {getattr(self, name)}")

    @classmethod
    def of(cls, scores: np.ndarray, targets: np.ndarray, thresholds: Sequence[float]) -> LabelMeasures:
        """Measure scores against labels.

        Args:
            scores: Scores ``(clips, classes)``.
            targets: 0 and 1, ``(clips, classes)``; at least one 1.
            thresholds: Lowest score with which each class counts as present.

        Returns:
            The measures.
        """
        precision, recall, f1 = metrics.precision_recall_f1(scores, targets, thresholds)
        area = metrics.roc_auc(scores, targets)
        return cls(
            mean_average_precision=metrics.mean_average_precision(scores, targets),
            macro_f1=metrics.macro_f1(scores, targets, thresholds),
            micro_f1=metrics.micro_f1(scores, targets, thresholds),
            roc_auc=None if np.isnan(area) else area,
            log_loss=metrics.binary_log_loss(scores, targets),
            positives=tuple(targets.sum(axis=0, dtype=int).tolist()),
            thresholds=tuple(map(float, thresholds)),
            average_precision=_known(metrics.average_precisions(scores, targets)),
            precision=_known(precision),
            recall=_known(recall),
            f1=_known(f1),
        )

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.positives)

    def measure(self, metric: str) -> float:
        """Return a metric by its name in `audiozoo.metrics.LABEL_METRICS`, such as "map"; NaN if it is not defined."""
        value = getattr(self, _FIELDS.get(metric, metric))
        return float("nan") if value is None else float(value)

    def by_name(self) -> dict[str, float | None]:
        """Return all metrics by their names in `audiozoo.metrics.LABEL_METRICS`, and the log loss."""
        return {name: getattr(self, _FIELDS.get(name, name)) for name in (*self.METRICS, "log_loss")}

    def by_label(self, labels: Sequence[str]) -> dict[str, dict[str, float | None]]:
        """Return the figures of each class by its label."""
        names = ("positives", "thresholds", "average_precision", "precision", "recall", "f1")
        columns = zip(*(getattr(self, name) for name in names), strict=True)
        # One class has one threshold.
        keys = ("positives", "threshold", *names[2:])
        return {label: dict(zip(keys, figures, strict=True)) for label, figures in zip(labels, columns, strict=True)}


def _known(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)
