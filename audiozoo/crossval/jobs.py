"""Benchmark jobs, one for each model and fold: their features, and their training and test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo.classifier import Classifier, versions
from audiozoo.crossval.energy import Energy, metered
from audiozoo.crossval.evaluation import measures_of
from audiozoo.crossval.foldjob import FoldJob
from audiozoo.crossval.hardware import hardware
from audiozoo.crossval.rows import Provenance, Row
from audiozoo.crossval.sources import code_digest
from audiozoo.crossval.testscores import TestScores
from audiozoo.datasets import Clip, Dataset, check_disjoint
from audiozoo.features import FeatureCache, Features, Frontend, extract
from audiozoo.features.reading import load_clip
from audiozoo.registry import checked_options, model_info
from audiozoo.training import (
    Examples,
    Progress,
    Recipe,
    Transfer,
    adapted,
    pooled_scores,
    targets_of,
    train_examples,
)

_TIMED_CLIPS = 20


@dataclass(eq=False)
class FeatureBank:
    """Features of a dataset's clips, computed once for all folds."""

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
        """Compute the features of clips, or read them from a cache.

        Args:
            clips: Clips of any number of folds.
            frontend: Frontend that computes the features.
            cache: Cache of features; `None` for no cache.
            progress: Callback, see `audiozoo.progress`.

        Returns:
            The bank.

        Raises:
            ValueError: Some clips cannot be read; the message names each of them.
        """
        begin = time.perf_counter()
        features = extract(clips, frontend, cache=cache, progress=progress)
        features.raise_failures()
        return cls(tuple(clips), frontend, features, time.perf_counter() - begin)

    @cached_property
    def _places(self) -> dict[Clip, int]:
        return {clip: place for place, clip in enumerate(self.clips)}

    def covers(self, clips: Iterable[Clip]) -> bool:
        """Tell whether the bank has the features of all of the clips."""
        return all(clip in self._places for clip in clips)

    def examples(self, clips: Sequence[Clip], labels: Sequence[str]) -> Examples:
        """Return some of the clips as examples that share the features."""
        index = np.array([self._places[clip] for clip in clips], int)
        return Examples(self.clips, self.features, targets_of(self.clips, labels), index)


def run_fold(
    job: FoldJob,
    *,
    bank: FeatureBank | None = None,
    command: str = "",
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    energy: bool = False,
) -> tuple[Row, Classifier]:
    """Train and test one fold. The test clips are used only once, after training.

    Args:
        job: Job to run.
        bank: Features of at least the clips in `FoldJob.featured`; `None` computes them.
        command: Command line to save in the row.
        cache: Cache of the embeddings of a transfer; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.
        energy: Whether to estimate the energy, see `Energy`.

    Returns:
        The row and the classifier.

    Raises:
        ValueError: A recording is on both sides of the split, or a clip cannot be read.
        ImportError: The energy cannot be estimated, because codecarbon is not installed.
    """
    check_disjoint(job.train, job.test, what=f"{job.dataset}, fold {job.fold}")
    bank = bank or FeatureBank.of(job.featured, job.frontend, progress=progress)
    with metered(energy) as training:
        begin = time.perf_counter()  # codecarbon takes two seconds to start, which are not part of the training
        classifier = _trained(job, bank, cache, progress)
        seconds = time.perf_counter() - begin
    tested = bank.examples(job.test, job.labels)
    scores, targets = pooled_scores(classifier, tested), tested.targets[tested.index]
    about: Any = classifier.about  # after training, no fact is None
    row = Row(
        request=job.request,
        metric=job.metric,
        labels=job.labels,
        measures=measures_of(scores, targets, classifier),
        parameters=about.parameters,
        training_clips=about.training_clips,
        test_clips=len(job.test),
        best_epoch=about.best_epoch or 0,
        validation=about.validation,
        train_seconds=round(seconds, 2),
        feature_seconds=round(bank.seconds, 2),
        ms_per_clip=round(milliseconds_per_clip(classifier, job.test), 3),
        test=TestScores.of_clips(job.test, scores, targets, train=job.train),
        history={name: tuple(round(value, 6) for value in values) for name, values in classifier.history.items()},
        provenance=Provenance(versions=versions(), code=code_digest(job.model), command=command, hardware=hardware()),
        energy=Energy.of(training, _calls(classifier, job.test)) if energy else None,
    )
    return row, classifier


def _trained(job: FoldJob, bank: FeatureBank, cache: FeatureCache | None, progress: Progress | None) -> Classifier:
    if job.transfer is None:
        learnt = bank.examples(job.train, job.labels)
        return train_examples(job.model, learnt, job.labels, job.recipe, job.frontend, options=job.options, progress=progress)
    how: dict[str, Any] = {"weights_file": job.weights_file, "labels": job.labels, "frontend": job.frontend}
    return job.transfer.train(job.model, job.train, job.recipe, cache=cache, progress=progress, **how)


def milliseconds_per_clip(classifier: Classifier, clips: Sequence[Clip]) -> float:
    """Return the median time to classify a clip from samples in memory, one clip at a time (milliseconds)."""
    seconds = []
    for call in _calls(classifier, clips):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(seconds))


def _calls(classifier: Classifier, clips: Sequence[Clip]) -> list[Callable[[], Any]]:
    rate = classifier.frontend.sample_rate
    waves = [load_clip(clip, classifier.frontend) for clip in clips[:_TIMED_CLIPS]]
    calls: list[Callable[[], Any]] = [partial(classifier.predict, wave, sample_rate=rate) for wave in waves]
    calls[0]()  # the first call builds the graph
    return calls


def fold_jobs(
    dataset: Dataset,
    model: str,
    *,
    folds: Sequence[int] = (),
    recipe: Recipe | None = None,
    frontend: Frontend | None = None,
    transfer: Transfer | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    **options: Any,
) -> list[FoldJob]:
    """Create the jobs of a model on a dataset.

    Args:
        dataset: Dataset with official folds.
        model: Name of the model.
        folds: Numbers of the folds to test on; empty for all.
        recipe: Recipe of the training; `None` uses the model's own after the dataset's protocol.
        frontend: Frontend, which is adapted to the clips; `None` uses the model's own.
        transfer: Way to transfer the pretrained network of the model; `None` trains from random weights.
        weights_file: Path of a file of weights; `None` downloads the published ones once. Only a copy of these gives the same
            jobs.
        **options: Options of the model's builder.

    Returns:
        A job for each fold.

    Raises:
        ValueError: The dataset has no such fold, or none at all, the model has no such option or no published weights, or a
            recording is on both sides of a split.
    """
    if unknown := set(folds) - set(dataset.folds):
        raise ValueError(f"{dataset.name} has the folds {dataset.folds}, not {sorted(unknown)}")
    spec = model_info(model)
    shared: dict[str, Any] = {
        "dataset": dataset.name,
        "metric": dataset.metric,
        "labels": dataset.labels,
        "model": spec.name,
        # A pretrained network needs the windows that it was trained on.
        "frontend": (frontend or spec.frontend) if transfer else adapted(frontend or spec.frontend, dataset.clips),
        "recipe": recipe or dataset.protocol(transfer.RECIPE if transfer else spec.recipe),
        "transfer": transfer and transfer.of(spec.name),
        "weights_file": weights_file and Path(weights_file),
        "options": checked_options(spec, options),
    }
    return [
        FoldJob(fold=fold, train=tuple(train), test=tuple(test), **shared)
        for fold, train, test in dataset.splits()
        if not folds or fold in folds
    ]
