"""The two stages of the work on many files: tasks that read sounds, and actors that run models."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiozoo.bounded import MIB
from audiozoo.classifier import Classifier, load_classifier
from audiozoo.classifier.many import windows_of
from audiozoo.classifier.manyfiles import What
from audiozoo.classifier.scorers import batch_size
from audiozoo.export import is_exported, load_exported
from audiozoo.export.runtime import GraphScorer
from audiozoo.features import Frontend, Scaler
from audiozoo.threads import one_blas_thread

_TABLE_BYTES = 8 * MIB  # windows in a table of the reader

ERRORS: dict[str, type[Exception]] = {kind.__name__: kind for kind in (FileNotFoundError, PermissionError, OSError, ValueError)}
"""Errors of files that cannot be used, the special ones first."""


@dataclass(frozen=True)
class Member:
    """The parts of a classifier with which its files are read.

    Args:
        frontend: Frontend of the classifier.
        scaler: Scaler of the classifier.
        hop: Time between window starts (seconds); `None` uses the frontend's own.
    """

    frontend: Frontend
    scaler: Scaler
    hop: float | None


class Parcel(NamedTuple):
    """A classifier as bytes, for other machines."""

    suffix: str
    content: bytes

    @classmethod
    def of(cls, classifier: Classifier) -> Parcel:
        """Pack a classifier.

        Raises:
            OSError: The file of an exported model is gone, or there is no space for a temporary file.
        """
        if isinstance(classifier.scorer, GraphScorer):
            path = Path(classifier.scorer.path)
            return cls(path.suffix, path.read_bytes())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.audiozoo"
            classifier.save(path)
            return cls(path.suffix, path.read_bytes())

    def opened(self) -> Any:
        """Unpack the classifier."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"model{self.suffix}"
            path.write_bytes(self.content)
            return load_exported(path) if is_exported(path) else load_classifier(path)


def read_files(batch: dict[str, Any], members: Sequence[Member]) -> Iterator[Any]:
    """Read sounds and compute their features.

    This is a task and not an actor: if a node is lost, any core can repeat its tasks, but an actor waits for a core of its own.

    Args:
        batch: Columns `number` and `file`.
        members: Parts of each member of the classifier.

    Yields:
        Tables with a row for each batch of windows of a file and member: the `number`, the `member`, the `windows` as bytes of
        float32, and the `kind` and text of an `error` that ended them.
    """
    rows: list[dict[str, Any]] = []
    size = 0
    with one_blas_thread():
        for row in _rows(batch, members):
            rows.append(row)
            size += len(row["windows"])
            # Each table costs Ray about a millisecond, and all tables of long sounds would not fit the memory.
            if size >= _TABLE_BYTES:
                yield _table(rows)
                rows, size = [], 0
    if rows:
        yield _table(rows)


def _rows(batch: dict[str, Any], members: Sequence[Member]) -> Iterator[dict[str, Any]]:
    for number, name in zip(batch["number"], batch["file"], strict=True):
        for place, member in enumerate(members):
            for part in _parts(os.fsdecode(name), member):
                yield {"number": int(number), "member": place, **part}


def _parts(path: str, member: Member) -> Iterator[dict[str, Any]]:
    held, windows = b"", windows_of(path, member.frontend, member.scaler, member.hop)
    end = {"kind": "", "error": ""}
    try:
        while batch := list(islice(windows, batch_size(member.frontend.shape))):
            if held:
                yield {"windows": held, **end}
            held = np.stack(batch).astype(np.float32, copy=False).tobytes()
    except (OSError, ValueError) as error:
        end = {"kind": next(name for name, kind in ERRORS.items() if isinstance(error, kind)), "error": str(error)}
    yield {"windows": held, **end}


class Scoring:
    """Actor that runs the models of a classifier on the tables of `read_files`. It puts `outputs` in the place of the windows.

    Args:
        parcels: Reference to the list of the packed classifiers, see `audiozoo.scale.pipeline.Work`.
        what: Method of the scorers to call.
    """

    def __init__(self, parcels: list[Any], what: What) -> None:
        import ray

        members = [parcel.opened() for parcel in ray.get(parcels[0])]
        self._compute = [getattr(member.scorer, what) for member in members]
        self._shapes = [member.frontend.shape for member in members]

    def __call__(self, table: Any) -> Any:
        """Compute the outputs of a batch of rows."""
        rows = table.to_pylist()
        for place in range(len(self._shapes)):
            self._run(place, [row for row in rows if row["member"] == place and row["windows"]])
        return _table([{"outputs": b"", "shape": [], **row, "windows": b""} for row in rows])

    def _run(self, place: int, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        windows = [np.frombuffer(row["windows"], np.float32).reshape(-1, *self._shapes[place]) for row in rows]
        outputs = self._compute[place](np.concatenate(windows))
        ends = np.cumsum([len(each) for each in windows])[:-1]
        for row, part in zip(rows, np.split(outputs, ends), strict=True):
            row |= {"outputs": part.astype(np.float32, copy=False).tobytes(), "shape": list(part.shape)}


def _table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow

    # The types are fixed, because a batch may have only empty values of a column.
    kinds = {
        "number": pyarrow.int64(),
        "member": pyarrow.int32(),
        "windows": pyarrow.large_binary(),
        "kind": pyarrow.string(),
        "error": pyarrow.string(),
        "outputs": pyarrow.large_binary(),
        "shape": pyarrow.list_(pyarrow.int32()),
    }
    return pyarrow.Table.from_pylist(rows, pyarrow.schema([(name, kinds[name]) for name in rows[0]]))
