"""Result rows: a frozen dataclass for each job's result, kept as a JSON file with a schema number."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiozoo import metrics
from audiozoo.checks import require_number
from audiozoo.config import Configured
from audiozoo.crossval.first_schema import migrated
from audiozoo.crossval.identity import Request
from audiozoo.files import replacing
from audiozoo.registry import model_info

if TYPE_CHECKING:
    from audiozoo.crossval.jobs import FoldJob

SCHEMA = 2
"""Number of the shape in which rows are written. Rows of schema 1 had no number; `read_row` reads both."""

_FIELDS = {"map@3": "map_at_3"}  # the measures whose names are no names of fields


@dataclass(frozen=True, kw_only=True)
class Measures(Configured):
    """How well scores fit the true classes.

    Args:
        accuracy: Share of clips whose highest score is the true class.
        macro_accuracy: Mean over classes of the share of the class's clips that are right.
        map_at_3: Mean average precision at 3.
        log_loss: Mean cross-entropy in nats; NaN after a training that diverged.
        confusion: Counts of clips ``(true, predicted)``.

    Raises:
        ValueError: A share is outside 0 to 1, or the counts are not square.
    """

    accuracy: float
    macro_accuracy: float
    map_at_3: float
    log_loss: float
    confusion: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        for name in ("accuracy", "macro_accuracy", "map_at_3"):
            require_number(name, getattr(self, name), 0, 1)
        if any(len(line) != len(self.confusion) for line in self.confusion):
            raise ValueError(f"confusion must be square, got lines of {[len(line) for line in self.confusion]} counts")

    @classmethod
    def of(cls, scores: np.ndarray, targets: np.ndarray) -> Measures:
        """Measure scores ``(clips, classes)`` against class indices ``(clips,)``."""
        shares = {_FIELDS.get(name, name): measure(scores, targets) for name, measure in metrics.METRICS.items()}
        counts = metrics.confusion_matrix(scores, targets).tolist()
        return cls(**shares, log_loss=metrics.log_loss(scores, targets), confusion=tuple(map(tuple, counts)))

    def measure(self, metric: str) -> float:
        """Return a measure by its name in `audiozoo.metrics.METRICS`, such as "map@3"."""
        return float(getattr(self, _FIELDS.get(metric, metric)))

    def by_name(self) -> dict[str, float]:
        """Return every measure by its name in `audiozoo.metrics.METRICS`, and the log loss."""
        return {name: self.measure(name) for name in (*metrics.METRICS, "log_loss")}

    def __getitem__(self, name: str) -> Any:
        """Deprecated: measures were a dictionary, such as ``measures["accuracy"]``."""
        return _former_item(name, self)


@dataclass(frozen=True, kw_only=True)
class Provenance(Configured):
    """What computed a row. It is kept beside the question and is no part of it.

    Args:
        versions: Versions of the package, Python, NumPy and Keras, and the name of the backend.
        code: Digest of the package's source, see `code_digest`; "" if unknown.
        command: Command that was typed, or "".
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Row(Configured):
    """The result of a job: what was asked, how well the classifier did on the test fold, and what it cost.

    Args:
        request: Question that the row answers.
        metric: The dataset's own measure, a name in `audiozoo.metrics.METRICS`.
        labels: Classes in the order of the confusion matrix.
        measures: Measures on the test clips.
        parameters: Number of the model's weights, trainable or not.
        training_clips: Number of clips that the kept weights were trained on; held-out clips count only if refitted.
        test_clips: Number of test clips.
        best_epoch: Number of epochs after which the weights were kept.
        validation: Figures of the best epoch on held-out clips; `None` if none were held out.
        train_seconds: Time for training (seconds).
        feature_seconds: Time for computing the features of all folds, or for reading them from a cache (seconds).
        ms_per_clip: Median time from samples in memory to the answer, one clip at a time (milliseconds).
        provenance: Versions, code and command that computed the row.
        notes: What a script adds, such as the kind of augmentation.

    Raises:
        ValueError: A part is missing or of another kind, or the confusion matrix is not of these labels.
    """

    request: Request
    metric: str
    labels: tuple[str, ...]
    measures: Measures
    parameters: int
    training_clips: int
    test_clips: int
    best_epoch: int
    validation: Mapping[str, float] | None = None
    train_seconds: float
    feature_seconds: float
    ms_per_clip: float
    provenance: Provenance = field(default_factory=Provenance)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isinstance(self.request, Request) and isinstance(self.measures, Measures)):
            raise ValueError(f"a row needs what was asked and the measures, got {self.request!r} and {self.measures!r}")
        if len(self.measures.confusion) != len(self.labels):
            raise ValueError(f"{len(self.measures.confusion)} classes in the confusion matrix and {len(self.labels)} labels")
        if self.metric not in metrics.METRICS:
            raise ValueError(f"metric must be one of {', '.join(metrics.METRICS)}, got {self.metric!r}")

    @property
    def key(self) -> str:
        """Hash of what was asked, computed from the recorded values by today's code."""
        return self.request.key

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.request.model

    @property
    def fold(self) -> int:
        """Number of the test fold."""
        return self.request.fold

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.request.recipe.seed

    @property
    def score(self) -> float:
        """The dataset's own measure."""
        return self.measures.measure(self.metric)

    def __getitem__(self, name: str) -> Any:
        """Deprecated: rows were dictionaries, such as ``row["accuracy"]``."""
        return _former_item(name, self, self.measures, self.request, self.provenance)


def _former_item(name: str, *homes: Any) -> Any:
    warnings.warn(f"the item {name!r} is deprecated: rows and measures have attributes", DeprecationWarning, stacklevel=3)
    attribute = _FIELDS.get(name, name)
    for home in homes:
        if hasattr(home, attribute):
            return getattr(home, attribute)
    raise KeyError(name)


@cache
def code_digest(package: Path = Path(__file__).parents[1]) -> str:
    """Return a digest of a package's source files, which tells apart two states of the code with one version number."""
    hashed = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        hashed.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:16]


def write_row(path: Path, row: Row) -> None:
    """Write a row, whole or not at all.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    with replacing(path) as temporary:
        content = {"schema": SCHEMA, "key": row.key, **row.to_config()}
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_row(path: Path, job: FoldJob | None = None) -> Row:
    """Read a row of this or an earlier schema.

    Args:
        path: File of the row.
        job: Job that the row may answer. A row of schema 1 does not say which sounds it is about, but its key is a hash of
            them: the sounds of the job are taken for the row's if the key proves it.

    Returns:
        The row; without a proof, ``row.request.content`` of a row of schema 1 is "".

    Raises:
        ValueError: The file holds no row, or one that a newer version of this package wrote.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: damaged, no row of results ({error}); delete it and run again") from error
    try:
        return _row(content, job)
    except ValueError as error:
        # Not "delete it": the row may be of a class or a model that this process has not imported.
        raise ValueError(f"{path}: no row of results that this version reads ({error})") from error


def _row(content: object, job: FoldJob | None) -> Row:
    if not isinstance(content, dict):
        raise ValueError(f"a row is a JSON object, got {type(content).__name__}")
    if (schema := content.get("schema", 1)) not in range(1, SCHEMA + 1):
        raise ValueError(f"its schema is {schema!r}, and this version knows 1 to {SCHEMA}; update audiozoo")
    current = migrated(content, job) if schema == 1 else content
    # The key is written for who looks at the file. What a row answers is computed from its values.
    return Row.from_config({name: value for name, value in current.items() if name not in ("schema", "key")})


def read_rows(folder: str | os.PathLike[str]) -> Iterator[Row]:
    """Yield the rows of a folder in the order of their file names.

    Raises:
        ValueError: A file holds no row.
    """
    for path in sorted(Path(folder).glob("*.json")):
        yield read_row(path)


def find_row(folder: str | os.PathLike[str], job: FoldJob) -> Row | None:
    """Find the row that answers a job, whatever version of this package wrote it.

    Args:
        folder: Folder of rows.
        job: Job that is to be done.

    Returns:
        The row, or `None` if there is none.

    Raises:
        ValueError: A file that by its name is about the model and the fold holds no row.
    """
    for path in _candidates(Path(folder), job):
        # A file's name has the key that it was written with. The recorded values decide: a class may have been renamed, a
        # default changed, since then.
        if (row := read_row(path, job)).key == job.key:
            return row
    return None


def _candidates(folder: Path, job: FoldJob) -> list[Path]:
    spec = model_info(job.model)
    names = {glob.escape(f"{job.dataset}-{name}-fold{job.fold}-") for name in (spec.name, *spec.aliases, *spec.formerly)}
    return sorted({path for name in names for path in folder.glob(f"*{name}*.json")})
