"""Tables of answers: the columns of predictions, embeddings and failures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from audiozoo.classifier import Prediction
from audiozoo.embeddings import EmbeddingFacts, write_embeddings
from audiozoo.embeddings.store import checked_vectors
from audiozoo.files import replacing
from audiozoo.parts import pyarrow_for, stored_text

SCHEMA = 1
"""Version of the columns of predictions."""

METADATA = b"audiozoo"
"""Key of the labels in the metadata of a table of predictions."""

LONGEST_REASON = 4_096
"""Longest reason of a failure (characters); the rest is cut off."""

Rows = Sequence[tuple[str, Any]]
"""Name of each sound file, as Parquet stores it, and what `Table.row` returned for its answer."""


class Table(Protocol):
    """Layout of a Parquet table of answers."""

    def row(self, answer: Any) -> Any:
        """Return what a table stores of an answer, as a copy that takes little memory.

        Raises:
            ValueError: The answer does not fit the table.
        """

    def write(self, path: Path, rows: Rows) -> None:
        """Write a table of at least one row atomically.

        Raises:
            OSError: The file cannot be written.
        """


class EmbeddingTable:
    """Table of embeddings, which `audiozoo.embeddings.read_embeddings` reads.

    Args:
        facts: Facts about the classifier and the options.
    """

    def __init__(self, facts: EmbeddingFacts) -> None:
        self.facts = facts

    def row(self, answer: np.ndarray) -> np.ndarray:
        """Return an embedding ``(width,)`` as float32.

        Raises:
            ValueError: It has another width, or a value is not a finite number.
        """
        vector = np.array(answer)
        if vector.shape != (self.facts.width,):
            raise ValueError(f"an embedding must have {self.facts.width} values, got the shape {vector.shape}")
        return checked_vectors(vector[None])[0]

    def write(self, path: Path, rows: Rows) -> None:
        """Write embeddings atomically."""
        write_embeddings(path, rows, self.facts)


class _PredictionRow(NamedTuple):
    label: str
    score: float
    scores: np.ndarray
    present: list[str]


class PredictionTable:
    """Table of predictions, which `read_predictions` reads.

    The columns are `file`, `label` ("unknown" for a sound that the classifier does not recognise), `score` (the highest
    probability), `scores` (probabilities in the order of the labels, float32) and, for several labels, `present`, the labels
    whose scores reach their thresholds. The labels are JSON in the metadata of the schema.

    Args:
        labels: Names of all classes.
        several: Whether the classifier gives a clip several labels.
    """

    def __init__(self, labels: Sequence[str], several: bool) -> None:
        self.labels, self.several = tuple(labels), several

    def row(self, answer: Prediction) -> _PredictionRow:
        """Return the columns of a prediction.

        Raises:
            ValueError: It has other labels, or one label where the table has several, or the reverse.
        """
        if tuple(answer.labels) != self.labels:
            raise ValueError(f"{answer.source}: the prediction has other labels than the table, {', '.join(self.labels)[:200]}")
        if (answer.thresholds is not None) != self.several:
            stated, given = ("several labels", "one") if self.several else ("one label", "several")
            raise ValueError(f"{answer.source}: the table is for {stated}, and the prediction has {given}")
        scores = np.array(answer.scores, np.float32)
        if scores.shape != (len(self.labels),):
            raise ValueError(f"{answer.source}: there must be {len(self.labels)} scores, got the shape {scores.shape}")
        present = list(map(stored_text, answer.present)) if self.several else []
        return _PredictionRow(stored_text(answer.label), answer.score, scores, present)

    def write(self, path: Path, rows: Rows) -> None:
        """Write predictions atomically."""
        names, predictions = zip(*rows, strict=True)
        label, score, scores, present = zip(*predictions, strict=True)
        columns = {"file": names, "label": label, "score": score, "scores": np.concatenate(scores)}
        write_table(path, self._kinds(path), {**columns, **({"present": present} if self.several else {})}, self._metadata())

    def _kinds(self, path: Path) -> dict[str, Any]:
        pyarrow, _ = pyarrow_for(path)
        text, number = pyarrow.string(), pyarrow.float32()
        kinds = {"file": text, "label": text, "score": number}
        kinds["scores"] = pyarrow.list_(pyarrow.field("element", number, nullable=False), len(self.labels))
        several = {"present": pyarrow.list_(pyarrow.field("element", text, nullable=False))} if self.several else {}
        return {**kinds, **several}

    def _metadata(self) -> dict[bytes, str]:
        labels = list(map(stored_text, self.labels))
        return {METADATA: json.dumps({"schema": SCHEMA, "labels": labels, "several": self.several})}


def write_failures(path: Path, rows: Rows) -> None:
    """Write a table of failures atomically.

    Raises:
        OSError: The file cannot be written.
    """
    pyarrow, _ = pyarrow_for(path)
    names, reasons = zip(*rows, strict=True)
    write_table(path, {"file": pyarrow.string(), "error": pyarrow.string()}, {"file": names, "error": reasons})


def write_table(
    path: Path, kinds: Mapping[str, Any], columns: Mapping[str, Any], metadata: Mapping[bytes, str] | None = None
) -> None:
    """Write columns as a Parquet file atomically.

    Args:
        path: Path of the file.
        kinds: Type of each column.
        columns: Values of each column; those of a list of a fixed size are one array.
        metadata: Metadata of the schema.

    Raises:
        OSError: The file cannot be written.
    """
    pyarrow, parquet = pyarrow_for(path)
    schema = pyarrow.schema([pyarrow.field(name, kind, nullable=False) for name, kind in kinds.items()], metadata)
    arrays = [
        pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(columns[name]), type=kind)
        if pyarrow.types.is_fixed_size_list(kind)
        else pyarrow.array(columns[name], kind)
        for name, kind in kinds.items()
    ]
    # Names shrink to a fraction, and scores hardly at all.
    layout = {"compression": {name: "snappy" for name in ("file", "error") if name in kinds}, "write_statistics": False}
    dictionary = [name for name in ("label", "present.list.element", "error") if name.partition(".")[0] in kinds]
    with (
        replacing(path) as temporary,
        parquet.ParquetWriter(temporary, schema, use_dictionary=dictionary, **layout) as file,
    ):
        file.write_batch(pyarrow.record_batch(arrays, schema=schema))
