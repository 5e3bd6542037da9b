"""Comparison of models on official folds, and search for augmentation on an inner split."""

import warnings
from typing import Any

from audiozoo.crossval.averaging import average_rows, calibrated_rows
from audiozoo.crossval.benchmarking import benchmark
from audiozoo.crossval.certainty import RESAMPLED
from audiozoo.crossval.comparison import Comparison, compare, compare_all
from audiozoo.crossval.domains import DomainScore, domain_scores
from audiozoo.crossval.energy import Energy
from audiozoo.crossval.evaluation import Calibration, Evaluation, evaluate
from audiozoo.crossval.executors import Executor, Failure
from audiozoo.crossval.foldjob import FoldJob
from audiozoo.crossval.identity import Request
from audiozoo.crossval.jobs import FeatureBank, fold_jobs, milliseconds_per_clip, run_fold
from audiozoo.crossval.keeping import Conflict, distinct
from audiozoo.crossval.label_measures import LabelMeasures
from audiozoo.crossval.leaderboard import LabelLeaderboardEntry, LeaderboardEntry, leaderboard
from audiozoo.crossval.rows import Measures, Provenance, Row, find_row, read_row, read_rows, write_row
from audiozoo.crossval.search import AugmentationSearch, search_augmentation
from audiozoo.crossval.testscores import TestScores

__all__ = [
    "RESAMPLED",
    "AugmentationSearch",
    "Calibration",
    "Comparison",
    "Conflict",
    "DomainScore",
    "Energy",
    "Evaluation",
    "Executor",
    "Failure",
    "FeatureBank",
    "FoldJob",
    "LabelLeaderboardEntry",
    "LabelMeasures",
    "LeaderboardEntry",
    "Measures",
    "Provenance",
    "Request",
    "Row",
    "TestScores",
    "average_rows",
    "benchmark",
    "calibrated_rows",
    "compare",
    "compare_all",
    "distinct",
    "domain_scores",
    "evaluate",
    "find_row",
    "fold_jobs",
    "leaderboard",
    "milliseconds_per_clip",
    "read_row",
    "read_rows",
    "run_fold",
    "search_augmentation",
    "write_row",
]


def __getattr__(name: str) -> Any:
    if name != "measures":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("audiozoo.crossval.measures is now Measures.of", DeprecationWarning, stacklevel=2)
    return Measures.of
