"""Batches over requests: windows of several sounds go through the model together, while threads read further sounds."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from audiozoo.classifier import Answer, AnswerSteps, Scorer
from audiozoo.classifier.scorers import batch_size
from audiozoo.classifier.steps import advance
from audiozoo.threads import thread_count

LINGER = 0.1
"""Longest time that windows wait for those of other sounds that are being read (seconds)."""


class Waiting(NamedTuple):
    """Windows that wait for the model, and the future for their outputs."""

    windows: np.ndarray
    outputs: asyncio.Future[np.ndarray]
    since: float


class Batcher:
    """Runs a function on the arrays of several coroutines at once.

    A batch starts when it is full, when no further array is expected, or when its first array has waited for `LINGER` seconds.
    So a single request is answered at once, and many requests at once share batches. There is one batch at a time.

    Args:
        function: Function from an array ``(items, ...)`` to an array ``(items, ...)``.
        most: Largest number of items in a batch; an array with more is a batch of its own.
        expects: Function that tells whether further arrays may arrive soon.
        executor: Executor that runs the function.
        watch: Function that is told the number of items in each batch.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        most: int,
        *,
        expects: Callable[[], bool],
        executor: Executor,
        watch: Callable[[int], object],
    ) -> None:
        self._function, self._most, self._watch = function, most, watch
        self._expects, self._executor = expects, executor
        self._waiting: deque[Waiting] = deque()
        self._running: asyncio.Task[None] | None = None
        self._late = -math.inf

    async def __call__(self, array: np.ndarray) -> np.ndarray:
        """Return the function's result for an array.

        Raises:
            Exception: The function raised it for the batch with this array.
        """
        loop = asyncio.get_running_loop()
        waiting = Waiting(array, loop.create_future(), loop.time())
        self._waiting.append(waiting)
        loop.call_later(LINGER, self._overdue, waiting.since)
        self.start()
        return await waiting.outputs

    def start(self) -> None:
        """Start a batch, unless one runs or waiting longer is better."""
        if self._waiting and not self._running and self._is_due():
            self._running = asyncio.ensure_future(self._run(self._next()))
            self._running.add_done_callback(self._go_on)

    def _is_due(self) -> bool:
        return self._items() >= self._most or not self._expects() or self._waiting[0].since <= self._late

    def _overdue(self, since: float) -> None:
        """Let no windows that arrived until then wait longer. Timers can be early, so no clock is compared."""
        self._late = since
        self.start()

    def _items(self) -> int:
        return sum(len(one.windows) for one in self._waiting)

    def _go_on(self, _: asyncio.Task[None]) -> None:
        self._running = None
        self.start()

    def _next(self) -> list[Waiting]:
        # A batch is padded to a power of two. The rest can wait, if more arrives to fill its batch.
        most = 1 << (min(self._items(), self._most).bit_length() - 1) if self._expects() else self._most
        batch = [self._waiting.popleft()]
        items = len(batch[0].windows)
        while self._waiting and items + len(self._waiting[0].windows) <= most:
            batch.append(self._waiting.popleft())
            items += len(batch[-1].windows)
        return batch

    async def _run(self, batch: list[Waiting]) -> None:
        sizes = [len(one.windows) for one in batch]
        self._watch(sum(sizes))
        wanted = [one.outputs for one in batch]
        try:
            windows = np.concatenate([one.windows for one in batch])
            outputs = await asyncio.get_running_loop().run_in_executor(self._executor, self._function, windows)
        except Exception as error:
            for future in wanted:
                if not future.done():  # a client that went away has cancelled its request
                    future.set_exception(error)
        else:
            for future, result in zip(wanted, np.split(outputs, np.cumsum(sizes)[:-1]), strict=True):
                if not future.done():
                    future.set_result(result)


class Batches:
    """Answers many requests at a time: one thread per core reads sounds, and one thread runs the models, batch by batch.

    Args:
        watch: Function that is told the number of windows in each batch.
    """

    def __init__(self, watch: Callable[[int], object] = lambda windows: None) -> None:
        self._watch = watch
        self._readers = ThreadPoolExecutor(thread_count(-1), "audiozoo-uploads")
        self._model = ThreadPoolExecutor(1, "audiozoo-model")
        self._batchers: dict[int, Batcher] = {}
        self._reading = 0

    async def answer(self, steps: AnswerSteps) -> Answer:
        """Return the answer at the end of the steps.

        Args:
            steps: Steps of a sound. They run in a thread.

        Returns:
            The scores of the sound.

        Raises:
            Exception: The steps or the model raised it.
        """
        step = await self._read(steps, None)
        while not isinstance(step, Answer):
            scorer, windows = step
            step = await self._read(steps, await self._batcher(scorer, windows.shape[1:])(windows))
        return step

    async def _read(self, steps: AnswerSteps, outputs: np.ndarray | None) -> tuple[Scorer, np.ndarray] | Answer:
        loop = asyncio.get_running_loop()
        self._reading += 1
        try:
            return await loop.run_in_executor(self._readers, advance, steps, outputs)
        finally:
            self._reading -= 1
            if not self._reading:
                # The windows that have just been read are to belong to the batch, so it starts after them.
                loop.call_soon(self._start)

    def _start(self) -> None:
        for batcher in self._batchers.values():
            batcher.start()

    def _batcher(self, scorer: Scorer, shape: tuple[int, ...]) -> Batcher:
        if id(scorer) not in self._batchers:
            how: dict[str, Any] = {"executor": self._model, "watch": self._watch, "expects": lambda: self._reading > 0}
            self._batchers[id(scorer)] = Batcher(scorer.outputs, batch_size(shape), **how)
        return self._batchers[id(scorer)]
