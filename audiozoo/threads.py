"""The number of threads, of our own and of NumPy."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


def thread_count(jobs: int) -> int:
    """Return a number of threads; -1 is one for each core that this process may use.

    Raises:
        ValueError: `jobs` is neither positive nor -1.
    """
    if jobs != -1 and jobs < 1:
        raise ValueError(f"jobs must be a positive number of threads, or -1 for one per core, got {jobs}")
    if jobs > 0:
        return jobs
    # A container or `taskset` may allow fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _BlasLimit:
    """Limit of NumPy's threads that several users share; the last one to leave lifts it."""

    def __init__(self) -> None:
        self._lock, self._users, self._limits = threading.Lock(), 0, ExitStack()

    def enter(self) -> None:
        from threadpoolctl import ThreadpoolController

        with self._lock:
            self._users += 1
            if self._users == 1:
                # The products of the backends are not concerned: TensorFlow and JAX have threads of their own.
                self._limits.enter_context(ThreadpoolController().select(internal_api="openblas").limit(limits=1))

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._limits.close()


_BLAS = _BlasLimit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Context manager in which NumPy's matrix products use one thread, in the whole process.

    OpenBLAS uses a thread per core for each product. Beside threads that read files there are then more threads than cores,
    which wait for each other: on a busy machine the log-mel bands of a clip take ten times as long. The number of threads
    changes the last bits of a product, so functions that must repeat their values bit by bit do not use this. Two blocks may
    overlap without one being inside the other, as those of generators do.
    """
    _BLAS.enter()
    try:
        yield
    finally:
        _BLAS.leave()
