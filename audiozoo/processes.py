"""Processes that this one starts: their cores, Ctrl-C, and the end of their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

_POLL = 0.5  # seconds between two looks at the parent


def limited_to(threads: int) -> dict[str, str]:
    """Return the environment variables with which a process uses some cores, and shares the memory of a GPU."""
    pools = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMBA", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")
    names = [f"{pool}_THREADS" if pool.startswith(("TF", "VECLIB")) else f"{pool}_NUM_THREADS" for pool in pools]
    # LOKY_MAX_CPU_COUNT limits joblib, which reads the sounds. The backends would otherwise take the whole memory of a GPU.
    return dict.fromkeys((*names, "LOKY_MAX_CPU_COUNT"), str(threads)) | {
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Start processes in this block that ignore Ctrl-C, which a terminal sends to all processes.

    This thread notices it after the block. The new processes call `ignore_interrupts` before anything else.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # The first process that is spawned starts the tracker, which lets signals through afterwards.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C in this process, until something else handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def end_with(parent: int) -> None:
    """Start a thread that ends this process soon after its parent, even if the parent is killed."""
    threading.Thread(target=_watch, args=(parent,), name="audiozoo-parent", daemon=True).start()


def _watch(parent: int) -> None:
    if os.name == "posix":
        while os.getppid() == parent:  # an orphan gets another parent
            time.sleep(_POLL)
    elif process := multiprocessing.parent_process():
        process.join()
    os._exit(1)
