"""The executor that gives each job a process, so that a crash, or the end of the memory, costs only that job."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait

from audiozoo.crossval.executors import Failure, Outcome, ProgressOf, Work, attempted, sendable
from audiozoo.crossval.foldjob import FoldJob
from audiozoo.crossval.rows import Row
from audiozoo.processes import end_with, ignore_interrupts, limited_to, without_interrupts
from audiozoo.threads import thread_count

_STEP = 0.2  # seconds between two reports of a worker
_PATIENCE = 2.0  # seconds for a process to end before it is killed


class Processes:
    """Executor with processes, each of which runs several jobs in turn, because loading the backend takes seconds.

    A process that dies loses only its job. After a failure of any kind, the next job gets a new process.

    Args:
        workers: Number of jobs at a time. They share the cores: each process limits its threads.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._workers: list[_Worker] = []

    def run(self, work: Work, jobs: Iterator[FoldJob], progress: ProgressOf) -> Generator[Outcome, None, None]:
        """Run jobs in processes.

        Args:
            work: Function that runs a job.
            jobs: Jobs to run.
            progress: Function that returns the progress callback of a job.

        Yields:
            Each job with its row or its failure, see `Executor.run`.
        """
        while busy := self._supplied(work, jobs, progress):
            ready = wait([worker.connection for worker in busy])
            for worker in (one for one in busy if one.connection in ready):
                job, result = worker.job, worker.received(progress)
                if result is None or job is None:
                    continue
                if isinstance(result, Failure):
                    self._workers.remove(worker)
                    worker.end()
                # Before the result is dealt with, so that no process waits meanwhile.
                self._supplied(work, jobs, progress)
                yield job, result

    def _supplied(self, work: Work, jobs: Iterator[FoldJob], progress: ProgressOf) -> list[_Worker]:
        """Give each idle worker a job, and return those that have one."""
        for _ in range(self.workers - sum(worker.job is not None for worker in self._workers)):
            if (job := next(jobs, None)) is None:
                break
            self._idle(work).start(job, reports=progress(job) is not None)
        return [worker for worker in self._workers if worker.job]

    def _idle(self, work: Work) -> _Worker:
        for worker in [one for one in self._workers if not one.job]:
            if worker.process.is_alive():
                return worker
            self._workers.remove(worker)
        self._workers.append(_Worker(work, shared_by(self.workers)))
        return self._workers[-1]

    def close(self) -> None:
        """End the processes at once."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.end()
        self._workers.clear()


def shared_by(workers: int) -> dict[str, str]:
    """Return the environment variables with which a number of processes share the cores and the memory of a GPU."""
    return {} if workers == 1 else limited_to(max(1, thread_count(-1) // workers))


class _Worker:
    """A process that runs jobs in turn.

    Args:
        work: Function that runs a job.
        variables: Environment variables of the process; those that are set already keep their values.
    """

    def __init__(self, work: Work, variables: Mapping[str, str]) -> None:
        # A forked process would inherit the locks of the backend's threads without the threads.
        context = multiprocessing.get_context("spawn")
        self.connection, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there, os.getpid(), work), name="audiozoo-job", daemon=True)
        with without_interrupts(), _environment(variables):
            self.process.start()
        there.close()  # otherwise the end of the process would not be the end of the stream
        self.job: FoldJob | None = None

    def start(self, job: FoldJob, *, reports: bool) -> None:
        """Send a job to the process, and tell it whether anybody follows its progress."""
        self.job = job
        with suppress(OSError):  # the process has died; `received` finds out why
            self.connection.send((job, reports))

    def received(self, progress: ProgressOf) -> Row | Failure | None:
        """Read a message: the result of the job, which ends it, or `None` after a report of its progress."""
        assert self.job is not None
        try:
            message = self.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            message = Failure(self.job, self._death())
        if isinstance(message, tuple):
            if told := progress(self.job):
                told(*message)
            return None
        self.job = None
        return message

    def _death(self) -> str:
        self.process.join(_PATIENCE)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"its process ended with status {code}"
        name = signal.Signals(-code).name
        return f"its process was ended by {name}" + (", perhaps because memory ran out" if name == "SIGKILL" else "")

    def end(self) -> None:
        """Wait for the process, and kill it if it does not end."""
        self.connection.close()
        self.process.join(_PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables that are not set, for the processes that the block starts."""
    new = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


def _serve(connection: Connection, parent: int, work: Work) -> None:
    """Run jobs until the other end of the connection is closed, or one fails."""
    ignore_interrupts()  # the parent decides
    end_with(parent)
    with suppress(EOFError, OSError):
        while True:
            job, reports = connection.recv()
            result = attempted(work, job, _Report(connection) if reports else None)
            connection.send(sendable(result))
            if isinstance(result, Failure):
                break
    os._exit(0)  # Python's shutdown sometimes crashes under the threads of a backend


class _Report:
    """Progress callback that sends some of its calls to the parent.

    Args:
        connection: Connection to the parent.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._sent = connection, 0.0

    def __call__(self, stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        if (now := time.monotonic()) - self._sent >= _STEP:
            self._sent = now
            self._connection.send((stage, done, total, {name: float(value) for name, value in figures.items()}))
