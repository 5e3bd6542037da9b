"""Models compared on a dataset's official folds, and augmentation searched for on an inner split."""

from audiozoo.crossval.jobs import (
    FeatureBank,
    FoldJob,
    LeaderboardEntry,
    Row,
    benchmark,
    evaluate,
    fold_jobs,
    leaderboard,
    measures,
    milliseconds_per_clip,
    read_row,
    run_fold,
    write_row,
)
from audiozoo.crossval.search import AugmentationSearch, search_augmentation

__all__ = [
    "AugmentationSearch",
    "FeatureBank",
    "FoldJob",
    "LeaderboardEntry",
    "Row",
    "benchmark",
    "evaluate",
    "fold_jobs",
    "leaderboard",
    "measures",
    "milliseconds_per_clip",
    "read_row",
    "run_fold",
    "search_augmentation",
    "write_row",
]
