"""Answers for millions of sound files: Parquet parts with a manifest, from which an interrupted run continues."""

from audiozoo.shards.reading import Predictions, read_failures, read_predictions
from audiozoo.shards.shards import Shards
from audiozoo.shards.tables import EmbeddingTable, PredictionTable, Table

__all__ = ["EmbeddingTable", "PredictionTable", "Predictions", "Shards", "Table", "read_failures", "read_predictions"]
