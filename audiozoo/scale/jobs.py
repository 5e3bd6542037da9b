"""The executor that gives each job of a benchmark to a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any

from audiozoo.checks import require_count
from audiozoo.crossval.executors import Failure, Outcome, ProgressOf, Work, attempted, sendable
from audiozoo.crossval.foldjob import FoldJob
from audiozoo.crossval.rows import Row
from audiozoo.processes import limited_to
from audiozoo.scale.cluster import HERE, connect, passed_on


class RayJobs:
    """Executor for `audiozoo.crossval.benchmark` that runs each job as a Ray task with cores of its own.

    A job whose node or process is lost fails, and the benchmark runs it again if `retries` allows it. All nodes must see the
    dataset, the folder of the rows and the feature cache under the same paths as this machine.

    Args:
        address: Address of the cluster, see `connect`.
        workers: Number of jobs at a time. They share the cores, but a job gets at most those of the largest node.

    Raises:
        ImportError: Ray is not installed.
        ValueError: The address has a wrong form, or the number is not positive.
        ConnectionError: The cluster cannot be used; see `connect`.
    """

    def __init__(self, address: str = HERE, *, workers: int = 1) -> None:
        require_count("workers", workers, 1)
        self._ray = connect(address)
        self._workers = workers
        self._running: dict[Any, FoldJob] = {}

    def run(self, work: Work, jobs: Iterator[FoldJob], progress: ProgressOf) -> Generator[Outcome, None, None]:
        """Run jobs on the cluster.

        Args:
            work: Function that runs a job.
            jobs: Jobs to run.
            progress: Not used: the tasks report nothing before their end.

        Yields:
            Each job with its row or its failure, see `Executor.run`.
        """
        shared = self._ray.put(work)
        while True:
            for job in islice(jobs, self._workers - len(self._running)):
                self._running[self._task().remote(shared, job, os.getcwd())] = job
            if not self._running:
                return
            (ended,), _ = self._ray.wait(list(self._running))
            job = self._running.pop(ended)
            yield job, self._outcome(ended, job)

    def _task(self) -> Any:
        # A node may have gone since the last job, or a new one may have come.
        sizes = [int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]]
        cores = max(1, min(sum(sizes) // self._workers, max(sizes, default=1)))
        # The benchmark itself counts the attempts of a job.
        how = {"num_cpus": cores, "max_retries": 0, "runtime_env": {"env_vars": limited_to(cores) | passed_on()}}
        return self._ray.remote(**how)(_settled)

    def _outcome(self, ended: Any, job: FoldJob) -> Row | Failure:
        try:
            outcome: Row | Failure = self._ray.get(ended)
            return outcome
        except self._ray.exceptions.RayError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            return Failure(job, f"the cluster lost it ({type(error).__name__}: {reason})", details=str(error))

    def close(self) -> None:
        """Cancel the jobs that are still running."""
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._running.clear()


def _settled(work: Work, job: FoldJob, folder: str) -> Row | Failure:
    # Paths of clips and rows may be relative to the folder of the process that planned the jobs.
    os.chdir(folder)
    return sendable(attempted(work, job, None))
