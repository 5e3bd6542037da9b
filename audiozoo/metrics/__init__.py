"""Metrics on NumPy arrays, for one label a clip (class indices) and for several (a matrix of 0 and 1), and on sound events."""

from audiozoo.metrics.one_label import (
    METRICS,
    ReliabilityBin,
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    log_loss,
    macro_accuracy,
    map_at_k,
    mean_and_deviation,
    reliability,
)
from audiozoo.metrics.several_labels import (
    LABEL_METRICS,
    average_precisions,
    binary_log_loss,
    macro_f1,
    mean_average_precision,
    micro_f1,
    precision_recall_f1,
    roc_auc,
)
from audiozoo.metrics.significance import holm, mcnemar
from audiozoo.metrics.sound_events import DetectionCounts, DetectionScores, event_based, segment_based

__all__ = [
    "LABEL_METRICS",
    "METRICS",
    "DetectionCounts",
    "DetectionScores",
    "ReliabilityBin",
    "accuracy",
    "average_precisions",
    "binary_log_loss",
    "confusion_matrix",
    "event_based",
    "expected_calibration_error",
    "holm",
    "log_loss",
    "macro_accuracy",
    "macro_f1",
    "map_at_k",
    "mcnemar",
    "mean_and_deviation",
    "mean_average_precision",
    "micro_f1",
    "precision_recall_f1",
    "reliability",
    "roc_auc",
    "segment_based",
]
