"""Everything between a sound and an answer."""

from audiozoo.classifier.classifier import (
    Classifier,
    Failure,
    Prediction,
    WindowScore,
    load_classifier,
    predict_files,
    pretrained_classifier,
    versions,
)
from audiozoo.classifier.scorers import KerasScorer, Scorer

__all__ = [
    "Classifier",
    "Failure",
    "KerasScorer",
    "Prediction",
    "Scorer",
    "WindowScore",
    "load_classifier",
    "predict_files",
    "pretrained_classifier",
    "versions",
]
