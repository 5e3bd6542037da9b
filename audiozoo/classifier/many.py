"""Classification and embedding of many files: threads read ahead, and the windows of several files fill a batch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from functools import partial
from typing import TypeVar

import numpy as np

from audiozoo import audio
from audiozoo.classifier.ahead import Reading, WindowsAhead
from audiozoo.classifier.prediction import Failure
from audiozoo.classifier.scorers import batch_size
from audiozoo.features import Frontend, Scaler
from audiozoo.features.reading import warm_up
from audiozoo.progress import Progress
from audiozoo.sources import opened
from audiozoo.threads import one_blas_thread

Path = str | os.PathLike[str]

_Answer = TypeVar("_Answer")

_Batch = list[tuple[Reading, np.ndarray]]


def watched(answers: Iterator[_Answer], paths: Iterable[Path], stage: str, progress: Progress | None) -> Iterator[_Answer]:
    """Yield the answers for files, and report the number of files and the speed after each.

    Args:
        answers: Answer for each file.
        paths: Paths of the files; their number is reported if it is known.
        stage: Name of the stage to report.
        progress: Callback, see `audiozoo.progress`; `None` reports nothing.

    Yields:
        The answers.

    Raises:
        ValueError: `paths` is a single path.
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise ValueError(f"expected several paths, got {paths!r}: pass a list of paths, or use predict or embed for one file")
    total, begin = len(paths) if isinstance(paths, Sized) else 0, time.perf_counter()
    for done, answer in enumerate(answers, 1):
        yield answer
        if progress:
            progress(stage, done, max(total, done), {"files/s": done / (time.perf_counter() - begin)})


def reduced_many(
    paths: Iterable[Path],
    frontend: Frontend,
    scaler: Scaler,
    compute: Callable[[np.ndarray], np.ndarray],
    reduce: Callable[[np.ndarray], _Answer],
    *,
    jobs: int,
    strict: bool,
    hop: float | None,
) -> Iterator[tuple[str, _Answer | Failure]]:
    """Compute the outputs of each file's windows, and reduce them to one answer for each file.

    Threads read files ahead, and a batch has windows of several files, so the memory in use depends neither on the number of
    files nor on their lengths. Meanwhile, NumPy's matrix products use one thread.

    Args:
        paths: Paths of sound files.
        frontend: Frontend that computes the features of a window.
        scaler: Scaler of the features.
        compute: Function from a batch of scaled windows to their outputs.
        reduce: Function from the outputs of a file's windows to its answer.
        jobs: Number of threads that read files; -1 uses one per core.
        strict: Whether to raise an error for the first file that cannot be used.
        hop: Time between window starts (seconds); `None` uses the frontend's own.

    Yields:
        The path of each file with its answer or failure, in order.

    Raises:
        OSError: With `strict`, a file cannot be opened.
        ValueError: With `strict`, a file cannot be used; or an argument is out of range.
    """
    frontend.hop_samples(hop)  # raise for a wrong hop once, and not for each file
    warm_up(frontend)
    windows = partial(windows_of, frontend=frontend, scaler=scaler, hop=hop)
    with one_blas_thread(), WindowsAhead((os.fspath(path) for path in paths), windows, jobs=jobs) as ahead:
        for file in _computed(ahead, compute, batch_size(frontend.shape)):
            answer = partial(_reduced, file.outputs, reduce)
            yield file.path, answer_or_failure(file.path, file.error, answer, strict=strict)


def windows_of(path: str, frontend: Frontend, scaler: Scaler, hop: float | None) -> Iterator[np.ndarray]:
    """Compute the scaled windows of a file.

    Args:
        path: Path of the file, or a URL.
        frontend: Frontend that computes the features of a window.
        scaler: Scaler of the features.
        hop: Time between window starts (seconds); `None` uses the frontend's own.

    Yields:
        The windows, ``(*frontend.shape)``.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file cannot be used.
    """
    with opened(path) as source:
        pieces = audio.stream(source, sample_rate=frontend.sample_rate, channels=frontend.channels)
        for _, window in frontend.windows(pieces, hop=hop):
            yield scaler(window)


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


def _reduced(outputs: list[np.ndarray], reduce: Callable[[np.ndarray], _Answer]) -> _Answer:
    return reduce(np.stack(outputs))


def answer_or_failure(path: str, error: Exception | None, answer: Callable[[], _Answer], *, strict: bool) -> _Answer | Failure:
    """Return the answer for a file, or its failure.

    Args:
        path: Path of the file.
        error: Error that the file caused when it was read; `None` if it caused none.
        answer: Function that computes the answer.
        strict: Whether to raise the error of a file that cannot be used.

    Returns:
        The answer or the failure.

    Raises:
        OSError: With `strict`, the file cannot be opened.
        ValueError: With `strict`, the file cannot be used.
    """
    try:
        if error:
            raise error
        return answer()
    # Any other exception is a bug, which must not pass as a bad file.
    except (OSError, ValueError) as found:
        return failure(path, found, strict=strict)


def failure(path: str, error: Exception, *, strict: bool) -> Failure:
    """Return the failure of a file that cannot be used, or raise the error, with the name of the file, if `strict` is set.

    Args:
        path: Path of the file.
        error: Error that the file caused.
        strict: Whether to raise it.

    Returns:
        The failure.

    Raises:
        ValueError: The error, if it is one and `strict` is set.
        OSError: Likewise.
    """
    reason = audio.explain(path, error)
    if not strict:
        return Failure(path, reason)
    if isinstance(error, ValueError):
        raise ValueError(reason) from error
    raise error
