"""Models compared on a dataset's official folds: a job for each model and fold, a row for each job, resumed where killed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo import metrics
from audiozoo._version import __version__
from audiozoo.classifier import Classifier, versions
from audiozoo.config import digest
from audiozoo.datasets import Clip, Dataset, check_disjoint
from audiozoo.features import FeatureCache, Features, Frontend, extract
from audiozoo.features.extract import load_clip
from audiozoo.files import replacing
from audiozoo.layers import keras
from audiozoo.registry import model_info
from audiozoo.training import (
    Examples,
    Progress,
    Recipe,
    adapted,
    pooled_scores,
    recipe_for,
    target_indices,
    train_examples,
)

_TIMED_CLIPS = 20
_FINGERPRINT = 2**15  # bytes of each end: two recordings may begin and end in silence, but not both and be as long

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class FoldJob:
    """A model to be trained on all folds but one and tested on that one; everything its result depends on.

    Args:
        dataset: Name of the dataset.
        metric: The dataset's own measure.
        labels: Classes in their order.
        fold: The test fold.
        train: Training clips.
        test: Test clips.
        model: Name of the model.
        options: Options of its builder.
        frontend: What it is fed.
        recipe: How it is trained.
    """

    dataset: str
    metric: str
    labels: tuple[str, ...]
    fold: int
    train: tuple[Clip, ...]
    test: tuple[Clip, ...]
    model: str
    frontend: Frontend
    recipe: Recipe
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A hash of the job, the same in every process and wherever the files lie: of the clips content and labels count."""
        described = {
            "version": __version__,
            "backend": keras.config.backend(),
            **{name: getattr(self, name) for name in ("dataset", "metric", "labels", "fold", "model")},
            "options": {**model_info(self.model).options, **self.options},
            "frontend": self.frontend.to_config(),
            "recipe": self.recipe.to_config(),
            "train": [_identity(clip) for clip in self.train],
            "test": [_identity(clip) for clip in self.test],
        }
        return digest(described)

    @property
    def file_name(self) -> str:
        """Where its row is kept: readable, and unique by the hash."""
        return f"{self.dataset}-{self.model}-fold{self.fold}-{self.key}.json"


def _identity(clip: Clip) -> list[Any]:
    return [_fingerprint(clip.path), clip.labels, clip.group, clip.start, clip.end, clip.weight]


@cache
def _fingerprint(path: str | bytes) -> str:
    """Tell a sound by its size and its ends: files of one name in two folders differ, a dataset elsewhere is the same."""
    if isinstance(path, bytes):
        return hashlib.sha256(path).hexdigest()
    try:
        with open(path, "rb") as file:
            head = file.read(_FINGERPRINT)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _FINGERPRINT))
            return hashlib.sha256(b"%d" % size + head + file.read()).hexdigest()
    except OSError:
        return "unreadable"  # reading the clip will say why


@dataclass(eq=False)
class FeatureBank:
    """The features of a dataset's clips, computed once and used by every fold of a frontend."""

    clips: tuple[Clip, ...]
    frontend: Frontend
    features: Features
    seconds: float

    @classmethod
    def of(
        cls,
        clips: Sequence[Clip],
        frontend: Frontend,
        *,
        cache: FeatureCache | None = None,
        progress: Progress | None = None,
    ) -> FeatureBank:
        """Compute the features of clips, or find them in a cache.

        Raises:
            ValueError: Some clip cannot be read; every such one is named.
        """
        begin = time.perf_counter()
        features = extract(clips, frontend, cache=cache, progress=progress)
        features.raise_failures()
        return cls(tuple(clips), frontend, features, time.perf_counter() - begin)

    def examples(self, clips: Sequence[Clip], labels: Sequence[str]) -> Examples:
        """Return some of the clips as examples, without copying their features."""
        places = {clip: place for place, clip in enumerate(self.clips)}
        index = np.array([places[clip] for clip in clips], int)
        return Examples(self.clips, self.features, target_indices(self.clips, labels), index)


def run_fold(job: FoldJob, *, bank: FeatureBank | None = None, progress: Progress | None = None) -> tuple[Row, Classifier]:
    """Train and test one fold; the test clips are looked at once, at the end.

    Args:
        job: What to do.
        bank: The features of (at least) the job's clips; `None` computes them.
        progress: Callback, see `audiozoo.progress`.

    Returns:
        The row, JSON data with the scores and all that led to them, and the classifier.

    Raises:
        ValueError: A recording lies on both sides of the split, or a clip cannot be read.
    """
    check_disjoint(job.train, job.test, what=f"{job.dataset}, fold {job.fold}")
    bank = bank or FeatureBank.of([*job.train, *job.test], job.frontend, progress=progress)
    begin = time.perf_counter()
    learnt = bank.examples(job.train, job.labels)
    classifier = train_examples(job.model, learnt, job.labels, job.recipe, job.frontend, options=job.options, progress=progress)
    seconds = time.perf_counter() - begin
    tested = bank.examples(job.test, job.labels)
    scores, targets = pooled_scores(classifier, tested), tested.targets[tested.index]
    row = {
        "key": job.key,
        "dataset": job.dataset,
        "fold": job.fold,
        "metric": job.metric,
        "labels": list(job.labels),
        "test_clips": len(job.test),
        **classifier.about,
        "frontend": job.frontend.to_config(),
        "seed": job.recipe.seed,
        **measures(scores, targets),
        "train_seconds": round(seconds, 2),
        "feature_seconds": round(bank.seconds, 2),
        "ms_per_clip": round(milliseconds_per_clip(classifier, job.test), 3),
        "versions": versions(),
    }
    return row, classifier


def measures(scores: np.ndarray, targets: np.ndarray) -> Row:
    """Measure scores ``(clips, classes)`` against class indices in every way that a row records, as JSON data."""
    return {
        **{name: measure(scores, targets) for name, measure in metrics.METRICS.items()},
        "log_loss": metrics.log_loss(scores, targets),
        "confusion": metrics.confusion_matrix(scores, targets).tolist(),
    }


def milliseconds_per_clip(classifier: Classifier, clips: Sequence[Clip]) -> float:
    """Time how long a clip in memory takes from samples to answer, one at a time: the median over some clips."""
    rate = classifier.frontend.sample_rate
    waves = [load_clip(clip, classifier.frontend) for clip in clips[:_TIMED_CLIPS]]
    classifier.predict(waves[0], sample_rate=rate)  # the first call builds the graph
    seconds = []
    for wave in waves:
        begin = time.perf_counter()
        classifier.predict(wave, sample_rate=rate)
        seconds.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(seconds))


def fold_jobs(
    dataset: Dataset,
    model: str,
    *,
    folds: Sequence[int] = (),
    recipe: Recipe | None = None,
    frontend: Frontend | None = None,
    **options: Any,
) -> list[FoldJob]:
    """Make a model's jobs on a dataset.

    Args:
        dataset: With its official folds.
        model: Name of the model.
        folds: Which folds to test; none means all.
        recipe: `None` is the model's own, changed as the dataset's protocol prescribes.
        frontend: `None` is the model's own; either is adapted to the dataset's clips.
        **options: Options of the model's builder.

    Raises:
        ValueError: No such fold, no folds at all, or a recording on both sides of a split.
    """
    if unknown := set(folds) - set(dataset.folds):
        raise ValueError(f"{dataset.name} has the folds {dataset.folds}, not {sorted(unknown)}")
    shared: dict[str, Any] = {
        "dataset": dataset.name,
        "metric": dataset.metric,
        "labels": dataset.labels,
        "model": model,
        "frontend": adapted(frontend or model_info(model).frontend, dataset.clips),
        "recipe": recipe or recipe_for(model, **dataset.protocol),
        "options": options,
    }
    return [
        FoldJob(fold=fold, train=tuple(train), test=tuple(test), **shared)
        for fold, train, test in dataset.splits()
        if not folds or fold in folds
    ]


def benchmark(
    jobs: Sequence[FoldJob],
    folder: str | os.PathLike[str],
    *,
    command: str = "",
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    started: Callable[[FoldJob], Any] | None = None,
) -> Iterator[Row]:
    """Run jobs, keeping each row in a file as soon as it is there; a job whose row is there already is not run again.

    Args:
        jobs: Those of one frontend beside each other share its features.
        folder: Where the rows are kept, one JSON file for each job, named by what the job is.
        command: What was typed, kept in each row.
        cache: Where features are kept from one run to the next.
        progress: Callback, see `audiozoo.progress`.
        started: Called before a job is run.

    Yields:
        The rows, in the order of the jobs.

    Raises:
        ValueError: A clip cannot be read, or a row's file is damaged.
    """
    bank: FeatureBank | None = None
    for position, job in enumerate(jobs):
        path = Path(folder) / job.file_name
        if path.is_file():
            yield read_row(path)
            continue
        if started:
            started(job)
        if bank is None or bank.frontend != job.frontend:
            bank = None  # the old features are let go before the new ones are made
            clips = _clips_ahead(jobs[position:], job.frontend)
            bank = FeatureBank.of(clips, job.frontend, cache=cache, progress=progress)
        row, _ = run_fold(job, bank=bank, progress=progress)
        row["command"] = command
        write_row(path, row)
        yield row


def _clips_ahead(jobs: Sequence[FoldJob], frontend: Frontend) -> list[Clip]:
    ahead = [job for job in jobs if job.frontend == frontend]
    return list(dict.fromkeys(clip for job in ahead for clip in (*job.train, *job.test)))


def write_row(path: Path, row: Row) -> None:
    """Write a row, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")


def read_row(path: Path) -> Row:
    """Read a row.

    Raises:
        ValueError: The file is no row.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        row["accuracy"], row["fold"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: damaged, no row of results ({error!r}); delete it and run again") from error
    return row


@dataclass(frozen=True)
class LeaderboardEntry:
    """A model's place on the leaderboard: means and deviations over its folds.

    Args:
        model: Its name.
        parameters: Its weights, trainable or not.
        folds: How many folds it was tested on.
        accuracy: Mean and standard deviation, as fractions.
        score: The same of the dataset's own measure.
        map_at_3: Mean.
        train_seconds: Of all folds together.
        ms_per_clip: Median, from samples in memory to the answer.
        confusion: Counts over all folds ``(true, predicted)``.
        labels: The classes.
        metric: Name of the dataset's own measure.
    """

    model: str
    parameters: int
    folds: int
    accuracy: tuple[float, float]
    score: tuple[float, float]
    map_at_3: float
    train_seconds: float
    ms_per_clip: float
    confusion: np.ndarray
    labels: tuple[str, ...]
    metric: str = "accuracy"


def leaderboard(rows: Sequence[Row]) -> list[LeaderboardEntry]:
    """Summarise rows by model, the best first by the dataset's own measure."""
    models = dict.fromkeys(row["model"] for row in rows)
    entries = [_entry([row for row in rows if row["model"] == model]) for model in models]
    return sorted(entries, key=lambda entry: -entry.score[0])


def _entry(rows: Sequence[Row]) -> LeaderboardEntry:
    first = rows[0]
    return LeaderboardEntry(
        model=first["model"],
        parameters=first["parameters"],
        folds=len(rows),
        accuracy=metrics.mean_and_deviation([row["accuracy"] for row in rows]),
        score=metrics.mean_and_deviation([row[first["metric"]] for row in rows]),
        map_at_3=metrics.mean_and_deviation([row["map@3"] for row in rows])[0],
        train_seconds=sum(row["train_seconds"] for row in rows),
        ms_per_clip=float(np.median([row["ms_per_clip"] for row in rows])),
        confusion=np.sum([row["confusion"] for row in rows], axis=0),
        labels=tuple(first["labels"]),
        metric=first["metric"],
    )


def evaluate(
    classifier: Classifier, clips: Sequence[Clip], *, cache: FeatureCache | None = None, progress: Progress | None = None
) -> tuple[Row, dict[int, str]]:
    """Test a classifier on labelled clips.

    Returns:
        The measures, and the clips that could not be read, by position, with the reason; they do not count.

    Raises:
        ValueError: A label that the classifier does not know, or no clip that can be read.
    """
    targets = target_indices(clips, classifier.labels)
    features = extract(clips, classifier.frontend, cache=cache, progress=progress)
    index = features.readable
    if not len(index):
        features.raise_failures()
    scores = pooled_scores(classifier, Examples(clips, features, targets, index))
    return measures(scores, targets[index]), features.failures
