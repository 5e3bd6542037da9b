"""Measurements of a server in the format of Prometheus."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SHARED = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WINDOWS = (1, 2, 4, 8, 16, 32)


class Monitor:
    """Counts the requests, their times and the sizes of the batches of one server."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        # A registry of its own, so that two servers in one process do not count together.
        self._registry: Any = CollectorRegistry()
        kept: Any = {"registry": self._registry}
        self._requests = Counter("audiozoo_requests", "Answered requests for predictions, by HTTP status.", ["status"], **kept)
        self.seconds = Histogram("audiozoo_request_seconds", "Time to answer a request (seconds).", buckets=_SECONDS, **kept)
        self.waiting = Gauge(
            "audiozoo_waiting_requests", "Requests that are answered or wait now.", multiprocess_mode="livesum", **kept
        )
        self._windows = Histogram(
            "audiozoo_batch_windows", "Windows of sound in a batch of the model.", buckets=_WINDOWS, **kept
        )

    def answered(self, status: int) -> None:
        """Count a request."""
        self._requests.labels(status=str(status)).inc()

    def batch(self, windows: int) -> None:
        """Count a batch of the model."""
        self._windows.observe(windows)

    def text(self) -> bytes:
        """Return all measurements in the text format of Prometheus: of all processes, inside `shared_measurements`."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if _SHARED in os.environ:
            MultiProcessCollector(registry := CollectorRegistry())
        return bytes(generate_latest(registry))


@contextmanager
def shared_measurements(folder: str) -> Iterator[None]:
    """Context manager in which each process that is started keeps its measurements in a folder, where all read them.

    prometheus_client decides by this variable when it is imported, so it has no effect on the process itself.
    """
    os.environ[_SHARED] = folder
    try:
        yield
    finally:
        del os.environ[_SHARED]
