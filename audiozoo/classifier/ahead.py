"""Threads that compute windows ahead of the model: those of many files, or the next batch of one sound."""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Self, TypeVar

import numpy as np

from audiozoo.bounded import MIB
from audiozoo.threads import thread_count

MOST_BYTES = 256 * MIB
"""Largest size of the windows that wait for the model (bytes)."""

MOST_FILES = 128
"""Largest number of files that are read ahead. It bounds the memory for files without a usable window."""

PATIENCE = 0.5
"""Time to wait for a full batch (seconds). After it the model computes the windows that are there, so slow frontends do not
delay the first answers."""

FAREWELL = 2.0
"""Longest time to wait for the end of the threads (seconds). One that waits for a slow disk or pipe may need longer."""

_Item = TypeVar("_Item")


@dataclass(eq=False)
class Reading:
    """A file that a thread reads: its windows that wait for the model, and the model's outputs so far."""

    path: str
    waiting: deque[np.ndarray] = field(default_factory=deque)
    outputs: list[np.ndarray] = field(default_factory=list)
    error: Exception | None = None
    ended: bool = False

    def has_news(self) -> bool:
        """Return whether a window waits or the file has ended."""
        return bool(self.waiting) or self.ended


class WindowsAhead:
    """Context manager whose threads compute the windows of files, in order, ahead of the one who takes them.

    Args:
        paths: Paths of the files. They are drawn as the files are needed, so the iterable may be endless.
        windows: Function that yields the windows of a file.
        jobs: Number of threads; -1 uses one per core.

    Raises:
        ValueError: `jobs` is neither positive nor -1.
    """

    def __init__(self, paths: Iterable[str], windows: Callable[[str], Iterator[np.ndarray]], *, jobs: int = -1) -> None:
        count = thread_count(jobs)
        self._paths, self._windows = iter(paths), windows
        self._changed = threading.Condition()
        self._files: deque[Reading] = deque()  # the first is the one whose windows are taken
        self._unread: deque[Reading] = deque()
        self._bytes, self._closed = 0, False
        # A process ends without waiting for daemons, even if nobody has closed the generator that owns them.
        self._threads = [threading.Thread(target=self._work, name="audiozoo-reader", daemon=True) for _ in range(count)]

    def __enter__(self) -> Self:
        # A thread that computes while the interpreter shuts down can abort the process.
        atexit.register(self._end)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        atexit.unregister(self._end)
        self._end()

    def _end(self) -> None:
        """End the threads after their present window, unless that takes long."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        until = time.monotonic() + FAREWELL
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def take(self) -> Iterator[tuple[Reading, np.ndarray | None] | None]:
        """Yield each file with its windows one by one, then with `None`; yield only `None` when no window comes for a while."""
        while self._fill():
            file = self._files[0]
            with self._changed:
                if not self._changed.wait_for(file.has_news, PATIENCE):
                    yield None
                    continue
                window = file.waiting.popleft() if file.waiting else None
                if window is None:
                    self._files.popleft()
                else:
                    self._bytes -= window.nbytes
                self._changed.notify_all()
            yield file, window

    def _fill(self) -> bool:
        """Hand files to the threads, and return whether any is left."""
        while len(self._files) < MOST_FILES and (path := next(self._paths, None)) is not None:
            with self._changed:
                file = Reading(path)
                self._files.append(file)
                self._unread.append(file)
                self._changed.notify_all()
        return bool(self._files)

    def _work(self) -> None:
        while file := self._next():
            self._read(file)

    def _next(self) -> Reading | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._unread)
            return None if self._closed else self._unread.popleft()

    def _read(self, file: Reading) -> None:
        try:
            for window in self._windows(file.path):
                if not self._put(file, window):
                    return
        except Exception as error:  # the one who takes the windows tells a bad file from a bug
            file.error = error
        with self._changed:
            file.ended = True
            self._changed.notify_all()

    def _put(self, file: Reading, window: np.ndarray) -> bool:
        """Add a window once there is room for it, and return whether anybody still wants it."""

        def has_room() -> bool:
            # The first file may always have one window waiting, or those of later files could keep it out for ever.
            first = bool(self._files) and file is self._files[0] and not file.waiting
            return self._closed or first or self._bytes + window.nbytes <= MOST_BYTES

        with self._changed:
            self._changed.wait_for(has_room)
            if self._closed:
                return False
            file.waiting.append(window)
            self._bytes += window.nbytes
            self._changed.notify_all()
            return True


class Counted:
    """Iterator over the pieces of a sound that counts the samples."""

    def __init__(self, pieces: Iterable[np.ndarray]) -> None:
        self.pieces, self.samples = pieces, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for piece in self.pieces:
            self.samples += len(piece)
            yield piece


@contextmanager
def one_ahead(items: Generator[_Item, None, None]) -> Iterator[Iterator[_Item]]:
    """Context manager that yields an iterator over the same items, whose thread computes the next item ahead.

    At the end of the block, the thread has stopped and the generator `items` is closed, which closes the file that it reads.
    """
    with closing(items), ThreadPoolExecutor(1, "audiozoo-ahead") as thread:
        yield _drawn(items, thread)


def _drawn(items: Iterator[_Item], thread: ThreadPoolExecutor) -> Iterator[_Item]:
    # Each result is a list of one item; an empty list is the end.
    following = thread.submit(_next, items)
    while item := following.result():
        following = thread.submit(_next, items)
        yield item[0]


def _next(items: Iterator[_Item]) -> list[_Item]:
    return list(islice(items, 1))
