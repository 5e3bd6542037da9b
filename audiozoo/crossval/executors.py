"""Executors, which run the jobs of a benchmark: in this process, in processes of their own, or by a backend of joblib."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from audiozoo.checks import require_count, unknown_name
from audiozoo.crossval.foldjob import FoldJob
from audiozoo.crossval.rows import Row
from audiozoo.progress import Progress

Work = Callable[[FoldJob, Progress | None], Row]
"""Function that runs a job and saves its row. It must be picklable."""

ProgressOf = Callable[[FoldJob], Progress | None]
"""Function that returns the progress callback of a job."""

PROCESSES = "processes"
"""Name of the executor that gives each job a process."""


@dataclass(frozen=True, eq=False)
class Failure:
    """A job that ended without a row.

    Args:
        job: The job.
        reason: The exception with its message, or the signal that ended the process.
        error: The exception, if the job ran in this process.
        details: Traceback, or "".
        final: Whether the job does not run again.
    """

    job: FoldJob
    reason: str
    error: Exception | None = None
    details: str = ""
    final: bool = True

    def __str__(self) -> str:
        """Name the job and the reason."""
        job = self.job
        return f"{job.title} on {job.dataset}, fold {job.fold}, seed {job.recipe.seed}: {self.reason}"


Outcome = tuple[FoldJob, Row | Failure]


class Executor(Protocol):
    """Runs independent, picklable jobs.

    A cluster needs nothing else: an object with these two methods, or a backend registered with
    ``joblib.register_parallel_backend``.
    """

    def run(self, work: Work, jobs: Iterator[FoldJob], progress: ProgressOf) -> Generator[Outcome, None, None]:
        """Run jobs. An executor takes the next job only when it can run it at once, so that other runs can take the others.

        Args:
            work: Function that runs a job, the same in all calls.
            jobs: Jobs to run.
            progress: Function that returns the progress callback of a job; an executor may ignore it.

        Yields:
            Each job with its row or its failure, as they end.
        """

    def close(self) -> None:
        """End the processes of the executor, also those that are still running a job."""


def attempted(work: Work, job: FoldJob, progress: Progress | None) -> Row | Failure:
    """Run a job, and return an exception as a failure.

    Args:
        work: Function that runs a job.
        job: Job to run.
        progress: Callback, see `audiozoo.progress`.

    Returns:
        The row, or the failure.
    """
    try:
        return work(job, progress)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Failure(job, reason, error, "".join(traceback.format_exception(error)))


def sendable(outcome: Row | Failure) -> Row | Failure:
    """Return an outcome for another process: without the exception, because not every exception can be pickled."""
    return replace(outcome, error=None) if isinstance(outcome, Failure) else outcome


class InThisProcess:
    """Executor that runs one job after another in this process, without a copy of anything."""

    def run(self, work: Work, jobs: Iterator[FoldJob], progress: ProgressOf) -> Generator[Outcome, None, None]:
        """Run jobs in turn.

        Args:
            work: Function that runs a job.
            jobs: Jobs to run.
            progress: Function that returns the progress callback of a job.

        Yields:
            Each job with its row or its failure, see `Executor.run`.
        """
        for job in jobs:
            yield job, attempted(work, job, progress(job))

    def close(self) -> None:
        """Do nothing."""


class Joblib:
    """Executor that hands jobs to a backend of joblib, such as "loky" or one of a cluster.

    A process that dies ends all jobs of the backend at that time; `audiozoo.crossval.processes.Processes` loses only one.

    Args:
        backend: Name of a backend that joblib knows.
        workers: Number of jobs at a time.

    Raises:
        ValueError: The name is unknown, or the jobs would share a process.
    """

    def __init__(self, backend: str, workers: int) -> None:
        from joblib import parallel

        if backend not in parallel.BACKENDS and backend not in parallel.EXTERNAL_BACKENDS:
            raise unknown_name("executor", backend, [PROCESSES, *parallel.BACKENDS, *parallel.EXTERNAL_BACKENDS])
        if backend == "threading" and workers > 1:
            raise ValueError(
                "trainings in threads of one process would draw their initial weights from one random generator, so "
                f"'threading' runs one job at a time, got {workers} workers; use 'loky' or {PROCESSES!r}"
            )
        self.backend, self.workers = backend, workers

    def run(self, work: Work, jobs: Iterator[FoldJob], progress: ProgressOf) -> Generator[Outcome, None, None]:
        """Run jobs by the backend.

        Args:
            work: Function that runs a job.
            jobs: Jobs to run.
            progress: Function that returns the progress callback of a job, which joblib cannot call.

        Yields:
            Each job with its row or its failure, see `Executor.run`.
        """
        from joblib import Parallel, delayed

        running: dict[str, FoldJob] = {}

        def tasks() -> Iterator[Any]:
            for job in jobs:
                running[job.key] = job
                yield delayed(_settled)(work, job, os.getpid())

        # joblib would otherwise take jobs ahead, and other runs could not take them.
        ahead = {"pre_dispatch": self.workers, "batch_size": 1, "return_as": "generator_unordered"}
        try:
            with closing(Parallel(self.workers, backend=self.backend, **ahead)(tasks())) as outcomes:
                for key, outcome in outcomes:
                    yield running.pop(key), outcome
        except Exception as error:
            if not running:  # the backend does not work at all
                raise
            # A worker died, or the cluster is gone; joblib does not tell with which job.
            for job in list(running.values()):
                yield job, Failure(job, f"{type(error).__name__}: {error}", details=traceback.format_exc())

    def close(self) -> None:
        """Do nothing: joblib ends its processes itself."""


_followed: set[int] = set()
"""Parents with which this process will end."""


def _settled(work: Work, job: FoldJob, parent: int) -> tuple[str, Row | Failure]:
    from audiozoo.processes import end_with

    if os.getppid() == parent and parent not in _followed:  # not in this process, and not on a cluster
        _followed.add(parent)
        end_with(parent)
    return job.key, sendable(attempted(work, job, None))


def chosen_executor(executor: str | Executor | None, workers: int) -> Executor:
    """Return an executor by name.

    Args:
        executor: "processes", the name of a backend of joblib, an executor, or `None` for this process.
        workers: Number of jobs at a time, for an executor by name.

    Returns:
        The executor.

    Raises:
        ValueError: The name is unknown, or the number is not positive.
    """
    from audiozoo.crossval.processes import Processes

    require_count("workers", workers, 1)
    if executor is None:
        return InThisProcess()
    if not isinstance(executor, str):
        return executor
    return Processes(workers) if executor == PROCESSES else Joblib(executor, workers)
