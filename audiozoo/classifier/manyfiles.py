"""Interface of classifiers and ensembles for many files, and of the executors that classify these elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from audiozoo.classifier.clipscores import Answer
from audiozoo.classifier.embedding import Statistic, statistic_named
from audiozoo.classifier.many import Path, watched
from audiozoo.classifier.prediction import Failure, Prediction
from audiozoo.progress import Progress

What = Literal["outputs", "embed"]
"""Method of a scorer that gives what is wanted of each window."""

Outputs = list[np.ndarray]
"""Arrays ``(windows, ...)`` that the members of a classifier give for the windows of a file."""

_Result = TypeVar("_Result")


class FileExecutor(Protocol):
    """Reads and classifies many files elsewhere than in this process, for example on a cluster."""

    def reduced(
        self,
        paths: Iterable[Path],
        members: Sequence[tuple[Any, float | None]],
        what: What,
        reduce: Callable[[Outputs], _Result],
        *,
        strict: bool,
    ) -> Iterator[tuple[str, _Result | Failure]]:
        """Run models on the windows of files, and reduce what they give to one result for each file.

        Args:
            paths: Paths of sound files.
            members: Classifiers that see each file, each with its time between window starts (seconds); `None` uses the
                frontend's own.
            what: Method of their scorers to call.
            reduce: Function from what the members give for a file to the result. It runs in this process.
            strict: Whether to raise an error for the first file that cannot be used.

        Yields:
            The path of each file with its result or its failure, in order.
        """


class ManyFiles(ABC):
    """Interface for many files, which `Answering` contains."""

    def predict_many(
        self,
        paths: Iterable[Path],
        *,
        jobs: int = -1,
        strict: bool = False,
        hop: float | None = None,
        progress: Progress | None = None,
        executor: FileExecutor | None = None,
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
            executor: Executor that reads and classifies the files elsewhere, such as `audiozoo.scale.RayFiles`; `None` does it
                here.

        Yields:
            The prediction or failure of each file, in order. A prediction equals that of `predict` up to rounding.

        Raises:
            OSError: With `strict`, a file cannot be opened.
            ValueError: With `strict`, a file cannot be classified; or an argument is out of range.
        """
        if executor:
            answers = executor.reduced(paths, self._members(hop), "outputs", self._combined, strict=strict)
        else:
            answers = self._answers(paths, jobs=jobs, strict=strict, hop=hop)
        for path, answer in watched(answers, paths, "predict", progress):
            if isinstance(answer, Failure):
                yield answer
            else:
                yield self.prediction(answer.scores, path, familiarity=answer.familiarity)

    def embed_many(
        self,
        paths: Iterable[Path],
        *,
        statistic: str | Statistic = "mean",
        jobs: int = -1,
        strict: bool = False,
        hop: float | None = None,
        progress: Progress | None = None,
        executor: FileExecutor | None = None,
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
            executor: Executor that embeds the files elsewhere, as for `predict_many`.

        Yields:
            The vector or failure of each file, in order.

        Raises:
            OSError: With `strict`, a file cannot be opened.
            ValueError: With `strict`, a file cannot be embedded; or the model has no layer named `embedding`, or an argument
                is unknown or out of range.
        """
        reduce = statistic_named(statistic)
        if executor:
            vectors = executor.reduced(paths, self._members(hop), "embed", partial(_joined, reduce), strict=strict)
        else:
            vectors = self._vectors(paths, reduce, jobs=jobs, strict=strict, hop=hop)
        for _, answer in watched(vectors, paths, "embed", progress):
            yield answer

    def _members(self, hop: float | None) -> list[tuple[Any, float | None]]:
        """Return the classifiers that see each file, each with its time between window starts (seconds)."""
        return [(self, hop)]

    def _combined(self, outputs: Outputs) -> Answer:
        """Return the scores of a file from the outputs of its windows, for each of `_members`."""
        return self.combine(*outputs)

    @abstractmethod
    def combine(self, parts: Any) -> Answer:
        """Return the scores of a file from the outputs of its windows or, for an ensemble, from the answers of its members."""

    @abstractmethod
    def _answers(
        self, paths: Iterable[Path], *, jobs: int, strict: bool, hop: float | None
    ) -> Iterator[tuple[str, Answer | Failure]]:
        """Yield the path of each file with its scores or its failure, in order."""

    @abstractmethod
    def _vectors(
        self, paths: Iterable[Path], statistic: Statistic, *, jobs: int, strict: bool, hop: float | None
    ) -> Iterator[tuple[str, np.ndarray | Failure]]:
        """Yield the path of each file with its vector or its failure, in order."""

    @abstractmethod
    def prediction(self, scores: np.ndarray, source: str = "", *, familiarity: float | None = None) -> Prediction:
        """Return the prediction for the scores of a clip, see `Answering.prediction`.

        Args:
            scores: Probabilities of the classes, ``(classes,)``.
            source: Name of the file.
            familiarity: Familiarity of the clip.

        Returns:
            The prediction.
        """


def _joined(statistic: Statistic, outputs: Outputs) -> np.ndarray:
    return np.concatenate([statistic(part) for part in outputs])
