"""Result rows: the result of each job as a frozen dataclass, saved as a JSON file with a schema number."""

from __future__ import annotations

import glob
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from audiozoo import metrics
from audiozoo.checks import require_choice, require_number
from audiozoo.config import Configured, revive
from audiozoo.crossval.domains import DomainScore, domain_scores
from audiozoo.crossval.energy import Energy
from audiozoo.crossval.first_schema import migrated
from audiozoo.crossval.identity import Request, file_title
from audiozoo.crossval.label_measures import LabelMeasures
from audiozoo.crossval.sources import code_digest
from audiozoo.crossval.testscores import TestScores
from audiozoo.files import write_json
from audiozoo.registry import model_info

if TYPE_CHECKING:
    from audiozoo.crossval.foldjob import FoldJob

SCHEMA = 3
"""Version of the JSON format of rows; `read_row` reads all. Rows of schema 1 have no number; those of schema 2 have neither the
scores of the test clips nor the history nor the hardware."""

_FIELDS = {"map@3": "map_at_3"}  # metrics whose names are not valid names of fields


@dataclass(frozen=True, kw_only=True)
class Measures(Configured):
    """Metrics of scores against the true classes.

    Args:
        accuracy: Share of clips whose true class has the highest score.
        macro_accuracy: Mean of the accuracies of the classes.
        map_at_3: Mean average precision at 3.
        log_loss: Mean cross-entropy in nats; NaN after a training that diverged.
        confusion: Confusion matrix of counts, ``(true, predicted)``.

    Raises:
        ValueError: A metric is not within 0 to 1, or the confusion matrix is not square.
    """

    METRICS: ClassVar[tuple[str, ...]] = tuple(metrics.METRICS)
    """Names of the metrics that a row of such measures can be ranked by."""

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

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.confusion)

    def measure(self, metric: str) -> float:
        """Return a metric by its name in `audiozoo.metrics.METRICS`, such as "map@3"."""
        return float(getattr(self, _FIELDS.get(metric, metric)))

    def by_name(self) -> dict[str, float]:
        """Return all metrics by their names in `audiozoo.metrics.METRICS`, and the log loss."""
        return {name: self.measure(name) for name in (*metrics.METRICS, "log_loss")}

    def __getitem__(self, name: str) -> Any:
        """Deprecated: measures were a dictionary, such as ``measures["accuracy"]``."""
        return _former_item(name, self)


@dataclass(frozen=True, kw_only=True)
class Provenance(Configured):
    """Software that computed a row. It is saved with the request but is not part of it.

    Args:
        versions: Versions of the package, Python, NumPy and Keras, and the name of the backend.
        code: Hash of the source that the result depends on, see `code_digest`; "" if unknown.
        command: Command line, or "".
        hardware: Processor, number of cores, memory and GPUs, see `hardware`; empty if unknown.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    command: str = ""
    hardware: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Row(Configured):
    """Result of a job: its request, the metrics on the test fold, and the times.

    Args:
        request: Request of the job.
        metric: Metric of the dataset, a name in `audiozoo.metrics.METRICS`, or in `LABEL_METRICS` for several labels.
        labels: Classes in the order of the measures.
        measures: Metrics on the test clips.
        parameters: Number of weights of the model, trainable or not.
        training_clips: Number of clips that the weights were trained on; held-out clips count only after a refit.
        test_clips: Number of test clips.
        best_epoch: Epoch whose weights were kept, counted from 1; 0 for a probe, which has no epochs.
        validation: Metrics of that epoch on held-out clips; `None` if none were held out.
        train_seconds: Training time (seconds).
        feature_seconds: Time to compute the features of all folds, or to read them from a cache (seconds).
        ms_per_clip: Median time to classify a clip from samples in memory, one clip at a time (milliseconds).
        test: Scores of each test clip; `None` in rows of earlier versions.
        history: Metrics of each epoch by name, such as "loss" and "val_loss"; empty in rows of earlier versions.
        provenance: Versions, code and command that computed the row.
        notes: Further facts from a script, such as the kind of augmentation.
        energy: Estimated energy of the training and of predictions; `None` in rows of runs that did not ask for it.
        average: Names of the models whose scores were averaged, see `average_rows`; empty for a trained model.

    Raises:
        ValueError: A value is missing or of the wrong type, or the measures do not match the labels or the metric.
    """

    request: Request
    metric: str
    labels: tuple[str, ...]
    measures: Measures | LabelMeasures
    parameters: int
    training_clips: int
    test_clips: int
    best_epoch: int
    validation: Mapping[str, float] | None = None
    train_seconds: float
    feature_seconds: float
    ms_per_clip: float
    test: TestScores | None = None
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    notes: Mapping[str, Any] = field(default_factory=dict)
    energy: Energy | None = None
    average: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (isinstance(self.request, Request) and isinstance(self.measures, Measures | LabelMeasures)):
            raise ValueError(f"a row needs a Request and Measures, got {self.request!r} and {self.measures!r}")
        if self.measures.classes != len(self.labels):
            raise ValueError(f"{self.measures.classes} classes in the measures and {len(self.labels)} labels")
        require_choice("metric", self.metric, self.measures.METRICS)

    @property
    def key(self) -> str:
        """Key of the request, computed from the saved values by the current code."""
        return self.request.key

    @property
    def model(self) -> str:
        """Name of the model, with the way of a transfer, such as "yamnet:probe", or of the members of an average, "a+b"."""
        return "+".join(self.average) or self.request.title

    @property
    def fold(self) -> int:
        """Number of the test fold."""
        return self.request.fold

    @property
    def stale(self) -> bool:
        """Whether other code computed the row, or the model is no longer registered."""
        try:
            return self.provenance.code != code_digest(self.request.model)
        except ValueError:
            return True

    @property
    def seed(self) -> int:
        """Random seed of the training."""
        return self.request.recipe.seed

    @property
    def score(self) -> float:
        """Value of the dataset's metric."""
        return self.measures.measure(self.metric)

    def by_domain(self) -> list[DomainScore]:
        """Return the dataset's metric for each domain of the test clips, see `domain_scores`; empty if they have none."""
        return domain_scores([self.test] if self.test else [], self.metric)

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


def write_row(path: Path, row: Row) -> None:
    """Write a row atomically.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    write_json(path, {"schema": SCHEMA, "key": row.key, **row.to_config()})


def read_row(path: Path, job: FoldJob | None = None) -> Row:
    """Read a row of this or an earlier schema.

    Args:
        path: File of the row.
        job: Job that the row may belong to. A row of schema 1 does not record its sounds, but its key is a hash of them. If
            the key matches the sounds of the job, the row gets their hash.

    Returns:
        The row. For a row of schema 1 without a matching job, ``row.request.content`` is "".

    Raises:
        ValueError: The file is not a row, or was written by a newer version of this package.
    """
    return _read(path, job, _frontend)


def _read(path: Path, job: FoldJob | None, frontend: Callable[[str], Any]) -> Row:
    try:
        content = json.loads(path.read_bytes().decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: damaged, not a result row ({error}); delete it and run again") from error
    try:
        return _row(content, job, frontend)
    except ValueError as error:
        # The message does not say "delete it": the row may need a class or a model that this process has not imported.
        raise ValueError(f"{path}: not a result row that this version reads ({error})") from error


def _row(content: object, job: FoldJob | None, frontend: Callable[[str], Any]) -> Row:
    if not isinstance(content, dict):
        raise ValueError(f"a row is a JSON object, got {type(content).__name__}")
    if (schema := content.get("schema", 1)) not in range(1, SCHEMA + 1):
        raise ValueError(f"its schema is {schema!r}, and this version reads 1 to {SCHEMA}; update audiozoo")
    current = migrated(content, job) if schema == 1 else content
    if isinstance(request := current.get("request"), dict) and "frontend" in request:
        current["request"] = {**request, "frontend": frontend(json.dumps(request["frontend"]))}
    # The saved key is only for readers of the file; the key of a row is computed from its values.
    return Row.from_config({name: value for name, value in current.items() if name not in ("schema", "key")})


def _frontend(saved: str) -> Any:
    return revive(json.loads(saved))


def read_rows(folder: str | os.PathLike[str]) -> Iterator[Row]:
    """Yield the rows in a folder, sorted by file name.

    Raises:
        ValueError: A file is not a row.
    """
    frontend = cache(_frontend)  # rows of a folder share frontends, which take longer to build than the rest of a row
    for path in sorted(_rows_in(folder, "*.json")):
        yield _read(path, None, frontend)


def _rows_in(folder: str | os.PathLike[str], pattern: str) -> Iterator[Path]:
    """Yield the files of rows that match a pattern, without those that a killed process has left half-written."""
    return (path for path in Path(folder).glob(pattern) if not path.name.startswith("."))


def find_row(folder: str | os.PathLike[str], job: FoldJob) -> Row | None:
    """Find the row of a job, written by any version of this package.

    Args:
        folder: Folder of rows.
        job: Job to look up.

    Returns:
        The row, or `None` if there is none.

    Raises:
        ValueError: A file with the names of the dataset, model and fold is not a row.
    """
    for path in _candidates(Path(folder), job):
        # The key in the file name is that of the version that wrote it. The saved values decide, because a class may have been
        # renamed, or a default changed, since then.
        if (row := read_row(path, job)).key == job.key:
            return row
    return None


def _candidates(folder: Path, job: FoldJob) -> list[Path]:
    spec = model_info(job.model)
    way = job.title.removeprefix(job.model)
    titles = [file_title(name + way) for name in (spec.name, *spec.aliases, *spec.formerly)]
    names = {glob.escape(f"{job.dataset}-{title}-fold{job.fold}-") for title in titles}
    return sorted({path for name in names for path in _rows_in(folder, f"*{name}*.json")})
