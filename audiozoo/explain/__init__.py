"""Explanations of an answer: which parts of a sound made a classifier choose a class."""

from audiozoo.explain.deletion import Deletion, deletion_gain
from audiozoo.explain.explaining import METHODS, Method, explain
from audiozoo.explain.explanation import Explanation, Stretch
from audiozoo.explain.subbands import SubBandScore, sub_band_scores

__all__ = [
    "METHODS",
    "Deletion",
    "Explanation",
    "Method",
    "Stretch",
    "SubBandScore",
    "deletion_gain",
    "explain",
    "sub_band_scores",
]
