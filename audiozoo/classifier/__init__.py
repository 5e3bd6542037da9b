"""Trained classifiers: prediction, saving and loading."""

from audiozoo.classifier.answering import Answering
from audiozoo.classifier.card import versions
from audiozoo.classifier.classifier import Classifier
from audiozoo.classifier.clipscores import Answer, ClipScores, Timeline
from audiozoo.classifier.ensemble import Ensemble
from audiozoo.classifier.facts import TrainingFacts
from audiozoo.classifier.files import predict_files
from audiozoo.classifier.many import failure
from audiozoo.classifier.manyfiles import FileExecutor
from audiozoo.classifier.prediction import Failure, Prediction, WindowScore
from audiozoo.classifier.probe import ProbeHead, ProbeScorer, clip_statistics
from audiozoo.classifier.saved import load_classifier, pretrained_classifier, saved_card
from audiozoo.classifier.scorers import KerasScorer, Scorer
from audiozoo.classifier.steps import AnswerSteps
from audiozoo.classifier.streaming import Stream

__all__ = [
    "Answer",
    "AnswerSteps",
    "Answering",
    "Classifier",
    "ClipScores",
    "Ensemble",
    "Failure",
    "FileExecutor",
    "KerasScorer",
    "Prediction",
    "ProbeHead",
    "ProbeScorer",
    "Scorer",
    "Stream",
    "Timeline",
    "TrainingFacts",
    "WindowScore",
    "clip_statistics",
    "failure",
    "load_classifier",
    "predict_files",
    "pretrained_classifier",
    "saved_card",
    "versions",
]
