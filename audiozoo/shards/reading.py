"""Reading the predictions and failures of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiozoo.bounded import MIB, parse_json
from audiozoo.checks import require_count
from audiozoo.classifier import Failure
from audiozoo.classifier.prediction import UNKNOWN
from audiozoo.embeddings.store import LONGEST_NAME
from audiozoo.parts import Manifest, Table, check_columns, opened, read_manifest, texts
from audiozoo.shards.tables import LONGEST_REASON, METADATA, SCHEMA

_MOST_METADATA_BYTES = 16 * MIB
_BLOCK = 2**16  # values of scores that are copied at a time
_TEXTS = ("file", "label", "present.list.element")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of a folder.

    Args:
        labels: Names of all classes; empty if there are no predictions.
        files: Name of each sound file.
        answers: Label of each file, "unknown" if the classifier does not recognise the sound.
        scores: Probabilities ``(files, classes)``, float32, in the order of the labels.
        present: Labels of each file whose scores reach their thresholds; `None` if the classifier gives one label.
        failures: The files that could not be used.
    """

    labels: tuple[str, ...]
    files: tuple[str, ...]
    answers: tuple[str, ...]
    scores: np.ndarray
    present: tuple[tuple[str, ...], ...] | None
    failures: tuple[Failure, ...]

    def __len__(self) -> int:
        return len(self.files)


class _Layout(NamedTuple):
    """Labels in the metadata of a table."""

    labels: tuple[str, ...]
    several: bool


def read_predictions(folder: str | os.PathLike[str]) -> Predictions:
    """Read the predictions of a folder that `Shards` wrote with a `PredictionTable`, in the order of the parts.

    The folder may come from anywhere: sizes are checked before memory is allocated. The scores of all files are in memory.

    Raises:
        FileNotFoundError: The folder has no manifest, or a part is missing.
        ImportError: pyarrow is not installed.
        ValueError: The manifest or a part is damaged, or two parts have different labels.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    tables = manifest.answer_tables(folder)
    # All parts are checked before memory is allocated: the numbers in the manifest need not be true.
    layout = _shared(tables)
    files, answers, present = list[str](), list[str](), list[tuple[str, ...]]()
    scores = np.empty((sum(table.rows for table in tables), len(layout.labels)), np.float32)
    for table in tables:
        with _opened(table) as (file, _):
            _fill(file, scores[len(files) : len(files) + table.rows])
            columns = file.read(columns=["file", "label", *(["present"] if layout.several else [])])
            files += texts("file", columns.column("file"), LONGEST_NAME)
            answers += _of(texts("label", columns.column("label"), LONGEST_NAME), {*layout.labels, UNKNOWN})
            present += _present(columns.column("present"), layout.labels) if layout.several else ()
    several = tuple(present) if layout.several else None
    return Predictions(layout.labels, tuple(files), tuple(answers), scores, several, _failures(manifest, folder))


@contextmanager
def _opened(table: Table) -> Iterator[tuple[Any, _Layout]]:
    with opened(table, _TEXTS) as file:
        layout = _declared(file.schema_arrow)
        classes = len(layout.labels)
        counts = {"file": (1, 1), "label": (1, 1), "scores": (classes, classes)}
        # Parquet counts one value for an empty list.
        several = {"present": (1, classes)} if layout.several else {}
        check_columns(table.path, {**counts, **several})
        yield file, layout


def _shared(tables: list[Table]) -> _Layout:
    first: _Layout | None = None
    for table in tables:
        with _opened(table) as (_, layout):
            first = first or layout
            if layout != first:
                raise ValueError(f"its labels differ from those in {tables[0].path.name}")
    return first or _Layout((), several=False)


def _declared(schema: Any) -> _Layout:
    import pyarrow

    given = parse_json((schema.metadata or {}).get(METADATA, b"null"), most=_MOST_METADATA_BYTES, depth=4)
    if not isinstance(given, dict) or not isinstance(given.get("labels"), list):
        raise ValueError("it is not a table of predictions: its metadata have no labels")
    schema_version: Any = given.get("schema")
    require_count("schema", schema_version, 1)
    if schema_version > SCHEMA:
        raise ValueError(f"it has schema {schema_version}, and this version reads up to {SCHEMA}: upgrade audiozoo")
    labels, several = given["labels"], given.get("several")
    if not labels or not all(isinstance(label, str) for label in labels) or not isinstance(several, bool):
        raise ValueError("its metadata need labels, a list of at least one text, and several, true or false")
    needed = {"file", "label", "scores", *(["present"] if several else [])}
    if not needed <= set(schema.names) or len(set(schema.names)) != len(schema.names):
        raise ValueError(f"the columns are {', '.join(schema.names[:10])}; {', '.join(sorted(needed))} are needed, each once")
    kind = schema.field("scores").type
    if not pyarrow.types.is_fixed_size_list(kind) or (kind.value_type, kind.list_size) != (pyarrow.float32(), len(labels)):
        raise ValueError(f"the column scores must be a list of {len(labels)} values of float32, it is {kind}")
    return _Layout(tuple(labels), several)


def _fill(file: Any, scores: np.ndarray) -> None:
    start = 0
    for batch in file.iter_batches(batch_size=max(1, _BLOCK // scores.shape[1]), columns=["scores"]):
        values = batch.column("scores").flatten().to_numpy(zero_copy_only=False)
        scores[start : start + len(batch)] = values.reshape(-1, scores.shape[1])
        start += len(batch)
    if start != len(scores):
        raise ValueError(f"it declares {len(scores):,} rows of scores and has {start:,}")


def _present(column: Any, labels: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    import pyarrow

    for chunk in column.chunks:
        values = iter(_of(texts("present", pyarrow.chunked_array([chunk.flatten()]), LONGEST_NAME), set(labels)))
        for count in chunk.value_lengths().fill_null(0).to_pylist():
            yield tuple(islice(values, count))


def _of(found: list[str], allowed: set[str]) -> list[str]:
    if foreign := set(found) - allowed:
        raise ValueError(f"{min(foreign)[:80]!r} is not one of its labels")
    return found


def read_failures(folder: str | os.PathLike[str]) -> tuple[Failure, ...]:
    """Read the names of the files that could not be used, and the reasons, in a folder that `Shards` wrote.

    Raises:
        FileNotFoundError: The folder has no manifest, or a table is missing.
        ImportError: pyarrow is not installed.
        ValueError: The manifest or a table is damaged.
    """
    return _failures(read_manifest(folder), Path(folder))


def _failures(manifest: Manifest, folder: Path) -> tuple[Failure, ...]:
    return tuple(failure for table in manifest.failure_tables(folder) for failure in _failures_of(table))


def _failures_of(table: Table) -> Iterator[Failure]:
    with opened(table, ["file", "error"]) as file:
        check_columns(table.path, {"file": (1, 1), "error": (1, 1)})
        columns = file.read(columns=["file", "error"])
        names = texts("file", columns.column("file"), LONGEST_NAME)
        # Each invalid byte was stored as six characters.
        reasons = texts("error", columns.column("error"), 6 * LONGEST_REASON)
    yield from map(Failure, names, reasons)
