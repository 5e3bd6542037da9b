"""Jobs of a comparison on a dataset's official folds: one for each model and fold, each with its row, resumed where killed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo.classifier import Classifier, versions
from audiozoo.config import revive
from audiozoo.crossval.identity import Request, content_of, differing
from audiozoo.crossval.rows import Measures, Provenance, Row, code_digest, find_row, write_row
from audiozoo.datasets import Clip, Dataset, check_disjoint
from audiozoo.features import FeatureCache, Features, Frontend, extract
from audiozoo.features.reading import load_clip
from audiozoo.registry import model_info
from audiozoo.training import (
    Examples,
    Progress,
    Recipe,
    adapted,
    pooled_scores,
    target_indices,
    train_examples,
    trained_options,
)

_TIMED_CLIPS = 20


@dataclass(frozen=True, eq=False)
class FoldJob:
    """A model to be trained on all folds but one and tested on that one.

    Args:
        dataset: Name of the dataset.
        metric: The dataset's own measure.
        labels: Classes in the order of the model's outputs.
        fold: Number of the test fold.
        train: Training clips.
        test: Test clips.
        model: Name of the model.
        options: Options of the model's builder.
        frontend: Frontend of the model.
        recipe: Recipe of the training.
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

    @cached_property  # the digest of the sounds reads every file
    def request(self) -> Request:
        """What the job asks for, as its row records it."""
        spec = model_info(self.model)
        return Request(
            dataset=self.dataset,
            content=content_of(self.labels, self.train, self.test),
            fold=self.fold,
            model=spec.name,
            options=revive(differing(self.options, trained_options(spec))),
            defaults=trained_options(spec),
            frontend=self.frontend,
            recipe=self.recipe,
        )

    @property
    def key(self) -> str:
        """Hash of the request, the same in every process and wherever the files of the dataset lie."""
        return self.request.key

    @property
    def file_name(self) -> str:
        """Name of the file of the job's row: readable, and unique by the key."""
        return self.request.file_name


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

        Args:
            clips: Clips of any number of folds.
            frontend: Frontend that computes the features.
            cache: Cache that keeps features from one run to the next.
            progress: Function that is called as the features are computed.

        Raises:
            ValueError: Some clips cannot be read; the message names each of them.
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


def run_fold(
    job: FoldJob, *, bank: FeatureBank | None = None, command: str = "", progress: Progress | None = None
) -> tuple[Row, Classifier]:
    """Train and test one fold; the test clips are looked at once, at the end.

    Args:
        job: Job to do.
        bank: Features of (at least) the job's clips; `None` computes them.
        command: Command that was typed, to be kept in the row.
        progress: Callback, see `audiozoo.progress`.

    Returns:
        The row and the classifier.

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
    about: Any = classifier.about  # training fills in the facts that other classifiers may lack
    row = Row(
        request=job.request,
        metric=job.metric,
        labels=job.labels,
        measures=Measures.of(pooled_scores(classifier, tested), tested.targets[tested.index]),
        parameters=about.parameters,
        training_clips=about.training_clips,
        test_clips=len(job.test),
        best_epoch=about.best_epoch,
        validation=about.validation,
        train_seconds=round(seconds, 2),
        feature_seconds=round(bank.seconds, 2),
        ms_per_clip=round(milliseconds_per_clip(classifier, job.test), 3),
        provenance=Provenance(versions=versions(), code=code_digest(), command=command),
    )
    return row, classifier


def milliseconds_per_clip(classifier: Classifier, clips: Sequence[Clip]) -> float:
    """Return the median time from a clip's samples to the answer, one clip at a time (milliseconds)."""
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
        dataset: Dataset with official folds.
        model: Name of the model.
        folds: Numbers of the folds to test; none means all.
        recipe: Recipe of the training; `None` is the model's own, changed as the dataset's protocol prescribes.
        frontend: Frontend, which is adapted to the dataset's clips; `None` is the model's own.
        **options: Options of the model's builder.

    Returns:
        A job for each fold.

    Raises:
        ValueError: There is no such fold, there are no folds at all, or a recording lies on both sides of a split.
    """
    if unknown := set(folds) - set(dataset.folds):
        raise ValueError(f"{dataset.name} has the folds {dataset.folds}, not {sorted(unknown)}")
    spec = model_info(model)
    shared: dict[str, Any] = {
        "dataset": dataset.name,
        "metric": dataset.metric,
        "labels": dataset.labels,
        "model": spec.name,
        "frontend": adapted(frontend or spec.frontend, dataset.clips),
        "recipe": recipe or dataset.protocol(spec.recipe),
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
    """Run jobs and keep the row of each in a file as soon as it is there; a job whose row is in the folder is not run again.

    A row counts whatever version of the package and whatever backend computed it: `Row.provenance` says which. To compute
    a row again, delete its file or choose another folder.

    Args:
        jobs: Jobs to do. Neighbours with the same frontend share its features.
        folder: Folder of the rows, one JSON file for each job.
        command: Command that was typed, to be kept in each row.
        cache: Cache that keeps features from one run to the next.
        progress: Callback, see `audiozoo.progress`.
        started: Function that is called with each job before it is run.

    Yields:
        The rows, in the order of the jobs.

    Raises:
        ValueError: A clip cannot be read, or the file of a row is damaged.
    """
    bank: FeatureBank | None = None
    for position, job in enumerate(jobs):
        if kept := find_row(folder, job):
            yield kept
            continue
        path = _free_path(folder, job)
        if started:
            started(job)
        if bank is None or bank.frontend != job.frontend:
            bank = None  # the old features are let go before the new ones are made
            clips = _clips_ahead(jobs[position:], job.frontend)
            bank = FeatureBank.of(clips, job.frontend, cache=cache, progress=progress)
        row, _ = run_fold(job, bank=bank, command=command, progress=progress)
        write_row(path, row)
        yield row


def _free_path(folder: str | os.PathLike[str], job: FoldJob) -> Path:
    path = Path(folder) / job.file_name
    if path.exists():
        # Its recorded values ask for something else today, as a default changed. Said before hours of training.
        raise ValueError(
            f"{path}: holds the row of another job, which an earlier version wrote; give it its present name with "
            "`python benchmarks/take_in_rows.py`, or choose another folder"
        )
    return path


def _clips_ahead(jobs: Sequence[FoldJob], frontend: Frontend) -> list[Clip]:
    ahead = [job for job in jobs if job.frontend == frontend]
    return list(dict.fromkeys(clip for job in ahead for clip in (*job.train, *job.test)))


def evaluate(
    classifier: Classifier, clips: Sequence[Clip], *, cache: FeatureCache | None = None, progress: Progress | None = None
) -> tuple[Measures, dict[int, str]]:
    """Test a classifier on labelled clips.

    Args:
        classifier: Classifier to test.
        clips: Test clips.
        cache: Cache that keeps features from one run to the next.
        progress: Function that is called as the features are computed.

    Returns:
        The measures, and for each clip that could not be read its position and the reason; such clips do not count.

    Raises:
        ValueError: The classifier does not know a label, or no clip can be read.
    """
    targets = target_indices(clips, classifier.labels)
    features = extract(clips, classifier.frontend, cache=cache, progress=progress)
    index = features.readable
    if not len(index):
        features.raise_failures()
    scores = pooled_scores(classifier, Examples(clips, features, targets, index))
    return Measures.of(scores, targets[index]), features.failures
