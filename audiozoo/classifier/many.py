"""Classification and embedding of many files: threads read ahead, and the windows of several files fill a batch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from functools import partial

import numpy as np

from audiozoo import audio
from audiozoo.checks import unknown_name
from audiozoo.classifier.ahead import Reading, WindowsAhead
from audiozoo.classifier.embedding import STATISTICS, Statistic
from audiozoo.classifier.prediction import Failure, Prediction
from audiozoo.classifier.scorers import Scorer, batch_size
from audiozoo.features import Frontend, Scaler
from audiozoo.features.reading import warm_up
from audiozoo.progress import Progress
from audiozoo.threads import one_blas_thread

Path = str | os.PathLike[str]

_Batch = list[tuple[Reading, np.ndarray]]


class ManyFiles:
    """Base class of `Classifier` with the methods for many files.

    `predict_many` needs `score_many` and `prediction` alone, so a subclass without a single frontend replaces `score_many`.
    """

    frontend: Frontend
    scaler: Scaler
    scorer: Scorer
    pool: Callable[[np.ndarray], np.ndarray]
    prediction: Callable[[np.ndarray, str], Prediction]

    def predict_many(
        self,
        paths: Iterable[Path],
        *,
        jobs: int = -1,
        strict: bool = False,
        hop: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Classify many files. Threads read files ahead, and a batch has windows of several files.

        The memory in use depends neither on the number of files nor on their lengths. While the iterator is in use, NumPy's
        matrix products use one thread.

        Args:
            paths: Paths of sound files.
            jobs: Number of threads that read files; -1 uses one per core.
            strict: Whether to raise an error for the first file that cannot be used, instead of yielding a `Failure`.
            hop: Time between window starts (seconds); `None` uses the frontend's own.
            progress: Callback, see `audiozoo.progress`; the stage is "predict" and a step is a file.

        Yields:
            The prediction or failure of each file, in order. A prediction equals that of `predict` up to rounding.

        Raises:
            OSError: With `strict`, a file cannot be opened.
            ValueError: With `strict`, a file cannot be classified; or an argument is out of range.
        """
        scores = self.score_many(paths, jobs=jobs, strict=strict, hop=hop)
        for path, answer in _watched(scores, paths, "predict", progress):
            yield answer if isinstance(answer, Failure) else self.prediction(answer, path)

    def score_many(
        self, paths: Iterable[Path], *, jobs: int = -1, strict: bool = False, hop: float | None = None
    ) -> Iterator[tuple[str, np.ndarray | Failure]]:
        """Compute the pooled probabilities of many files.

        Args:
            paths: Paths of sound files.
            jobs: Number of threads that read files; -1 uses one per core.
            strict: Whether to raise an error for the first file that cannot be used.
            hop: Time between window starts (seconds); `None` uses the frontend's own.

        Returns:
            Iterator over the path of each file, with its probabilities ``(classes,)`` or its failure, in order.
        """
        return _reduced_many(self, paths, self.scorer.outputs, self.pool, jobs=jobs, strict=strict, hop=hop)

    def embed_many(
        self,
        paths: Iterable[Path],
        *,
        statistic: str | Statistic = "mean",
        jobs: int = -1,
        strict: bool = False,
        hop: float | None = None,
        progress: Progress | None = None,
    ) -> Iterator[np.ndarray | Failure]:
        """Embed many files, each as one vector; see `predict_many`.

        Args:
            paths: Paths of sound files.
            statistic: Function that turns the embeddings of a clip's windows ``(windows, width)`` into a vector, or its name:
                "mean", "max", "deviation", or "all" for the three of them joined.
            jobs: Number of threads that read files; -1 uses one per core.
            strict: Whether to raise an error for the first file that cannot be used, instead of yielding a `Failure`.
            hop: Time between window starts (seconds); `None` uses the frontend's own.
            progress: Callback, see `audiozoo.progress`; the stage is "embed" and a step is a file.

        Yields:
            The vector or failure of each file, in order.

        Raises:
            OSError: With `strict`, a file cannot be opened.
            ValueError: With `strict`, a file cannot be embedded; or the model has no layer named `embedding`, or an argument
                is unknown or out of range.
        """
        reduce = statistic if callable(statistic) else _named(statistic)
        vectors = _reduced_many(self, paths, self.scorer.embed, reduce, jobs=jobs, strict=strict, hop=hop)
        for _, answer in _watched(vectors, paths, "embed", progress):
            yield answer


def _named(statistic: str) -> Statistic:
    if statistic not in STATISTICS:
        raise unknown_name("statistic", statistic, STATISTICS)
    return STATISTICS[statistic]


def _watched(
    answers: Iterator[tuple[str, np.ndarray | Failure]], paths: Iterable[Path], stage: str, progress: Progress | None
) -> Iterator[tuple[str, np.ndarray | Failure]]:
    total, begin = len(paths) if isinstance(paths, Sized) else 0, time.perf_counter()
    for done, answer in enumerate(answers, 1):
        yield answer
        if progress:
            progress(stage, done, max(total, done), {"files/s": done / (time.perf_counter() - begin)})


def _reduced_many(
    classifier: ManyFiles,
    paths: Iterable[Path],
    compute: Callable[[np.ndarray], np.ndarray],
    reduce: Callable[[np.ndarray], np.ndarray],
    *,
    jobs: int,
    strict: bool,
    hop: float | None,
) -> Iterator[tuple[str, np.ndarray | Failure]]:
    """Compute the outputs of each file's windows, and reduce them to one array for each file."""
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise ValueError(f"expected several paths, got {paths!r}: pass a list of paths, or use predict or embed for one file")
    frontend = classifier.frontend
    frontend.hop_samples(hop)  # raise for a wrong hop once, and not for each file
    warm_up(frontend)
    windows = partial(_windows, classifier, hop=hop)
    with one_blas_thread(), WindowsAhead((os.fspath(path) for path in paths), windows, jobs=jobs) as ahead:
        for file in _computed(ahead, compute, batch_size(frontend.shape)):
            yield file.path, _answer(file, reduce, strict=strict)


def _windows(classifier: ManyFiles, path: str, *, hop: float | None) -> Iterator[np.ndarray]:
    frontend = classifier.frontend
    pieces = audio.stream(path, sample_rate=frontend.sample_rate, channels=frontend.channels)
    for _, window in frontend.windows(pieces, hop=hop):
        yield classifier.scaler(window)


def _computed(ahead: WindowsAhead, compute: Callable[[np.ndarray], np.ndarray], size: int) -> Iterator[Reading]:
    """Yield each file once the model has computed the outputs of all its windows."""
    batch: _Batch = []
    ended: list[Reading] = []
    for event in ahead.take():
        if event is None:
            _compute(batch, compute)
        elif event[1] is None:
            ended.append(event[0])
        else:
            batch.append((event[0], event[1]))
            if len(batch) == size:
                _compute(batch, compute)
        if not batch:
            yield from ended
            ended.clear()
    _compute(batch, compute)
    yield from ended


def _compute(batch: _Batch, compute: Callable[[np.ndarray], np.ndarray]) -> None:
    if batch:
        for (file, _), output in zip(batch, compute(np.stack([window for _, window in batch])), strict=True):
            file.outputs.append(output)
        batch.clear()


def _answer(file: Reading, reduce: Callable[[np.ndarray], np.ndarray], *, strict: bool) -> np.ndarray | Failure:
    try:
        if file.error:
            raise file.error
        return reduce(np.stack(file.outputs))
    # Any other exception is a bug, which must not pass as a bad file.
    except (OSError, ValueError) as error:
        reason = audio.explain(file.path, error)
        if not strict:
            return Failure(file.path, reason)
        if isinstance(error, ValueError):
            raise ValueError(reason) from error
        raise
