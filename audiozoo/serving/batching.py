"""Batches over requests: windows that wait in several threads go through the model together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, cast

import numpy as np

from audiozoo.classifier import Answering, Classifier, Ensemble
from audiozoo.classifier.scorers import batch_size


class Batcher:
    """Runs a function on the arrays of several threads at once.

    There is no waiting time: while the function runs, further arrays arrive, and they form the next batch. So a single request
    is answered at once, and many requests at once share a batch. The threads take turns to run the function, which is never
    called by two threads at a time.

    Args:
        function: Function from an array ``(items, ...)`` to an array ``(items, ...)``.
        most: Largest number of items in a batch; an array with more is a batch of its own.
        watch: Function that is told the number of items in each batch.
    """

    def __init__(
        self, function: Callable[[np.ndarray], np.ndarray], most: int, watch: Callable[[int], object] = lambda items: None
    ) -> None:
        self._function, self._most, self._watch = function, most, watch
        self._waiting: deque[tuple[np.ndarray, Future[np.ndarray]]] = deque()
        self._running = threading.Lock()

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """Return the function's result for an array, after other arrays that arrived before.

        Raises:
            Exception: The function raised it for the batch with this array.
        """
        future: Future[np.ndarray] = Future()
        self._waiting.append((array, future))
        while not future.done():
            # The thread that gets the lock may find that another one has computed its array meanwhile.
            with self._running:
                if not future.done():
                    self._run(self._next())
        return future.result()

    def _next(self) -> list[tuple[np.ndarray, Future[np.ndarray]]]:
        batch = [self._waiting.popleft()]
        items = len(batch[0][0])
        while self._waiting and items + len(self._waiting[0][0]) <= self._most:
            batch.append(self._waiting.popleft())
            items += len(batch[-1][0])
        return batch

    def _run(self, batch: list[tuple[np.ndarray, Future[np.ndarray]]]) -> None:
        sizes = [len(array) for array, _ in batch]
        self._watch(sum(sizes))
        try:
            results = np.split(self._function(np.concatenate([array for array, _ in batch])), np.cumsum(sizes)[:-1])
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)


class _BatchedScorer:
    """A scorer whose `outputs` are computed in batches over threads; all else is that of the scorer."""

    def __init__(self, scorer: Any, most: int, watch: Callable[[int], object]) -> None:
        self._scorer = scorer
        self.outputs = Batcher(scorer.outputs, most, watch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)


def batched_scorers(answering: Answering, watch: Callable[[int], object] = lambda items: None) -> Answering:
    """Return the same classifier or ensemble with models that compute batches over the threads which call `predict`.

    Args:
        answering: Classifier or ensemble. It is not changed; its models are shared.
        watch: Function that is told the number of windows in each batch.

    Returns:
        The classifier. Its `predict` and `answer` may be called by many threads.
    """
    if isinstance(answering, Ensemble):
        return replace(answering, members=tuple(_batched(member, watch) for member in answering.members))
    return _batched(cast(Classifier, answering), watch)


def _batched(classifier: Classifier, watch: Callable[[int], object]) -> Classifier:
    scorer: Any = _BatchedScorer(classifier.scorer, batch_size(classifier.frontend.shape), watch)
    return replace(classifier, scorer=scorer)
