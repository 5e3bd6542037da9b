"""Benchmarks: an executor runs jobs and saves a row for each, so an interrupted run continues, and runs can share a folder."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from audiozoo.checks import require_choice
from audiozoo.claims import Claims
from audiozoo.crossval.energy import require_codecarbon
from audiozoo.crossval.executors import Executor, Failure, chosen_executor
from audiozoo.crossval.foldjob import FoldJob
from audiozoo.crossval.jobs import FeatureBank, run_fold
from audiozoo.crossval.keeping import Conflict, Rerun, keep, usable
from audiozoo.crossval.rows import Row, find_row, read_row
from audiozoo.features import FeatureCache
from audiozoo.progress import Progress

_CLAIMS = ".claims"  # subfolder of the rows
_PAUSE = 1.0  # seconds between two looks at the jobs of other runs


def benchmark(
    jobs: Sequence[FoldJob],
    folder: str | os.PathLike[str],
    *,
    command: str = "",
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    started: Callable[[FoldJob], Any] | None = None,
    executor: str | Executor | None = None,
    workers: int = 1,
    retries: int = 0,
    prepare: Callable[[], Any] | None = None,
    failed: Callable[[Failure], Any] | None = None,
    rerun: Rerun = "missing",
    conflict: Callable[[Conflict], Any] | None = None,
    energy: bool = False,
) -> Iterator[Row]:
    """Run jobs and save the row of each when it ends; jobs whose row is already in the folder are not run again.

    Several benchmarks, also on several machines, can share a folder: each claims a job before it runs it, and waits at the end
    for the jobs of the others. If one of them is killed, the others take over its job.

    Rows of other versions of the package and other backends are reused, too; see `Row.provenance` and `rerun`. A row that is
    computed again never overwrites the earlier one, which moves to the subfolder `superseded`.

    Args:
        jobs: Jobs to run. Consecutive jobs with the same frontend share its features.
        folder: Folder of the rows, with one JSON file for each job.
        command: Command line to save in each row.
        cache: Cache of features, which all processes share; `None` for no cache.
        progress: Callback, see `audiozoo.progress`. With an executor, the stage begins with the model and the fold.
        started: Callback that receives each job before it runs.
        executor: "processes" runs each job in a process of its own, so that a crash costs only that job; the name of a backend
            of joblib, such as "loky", uses that; `None` runs all jobs in this process. A script that uses processes needs
            ``if __name__ == "__main__":``.
        workers: Number of jobs at a time, for an executor by name. Processes divide the cores between them.
        retries: Number of times that a job that failed runs again.
        prepare: Picklable function that is called in each process before its first job.
        failed: Callback that receives each failure; see `Failure.final`. `None` ends the benchmark at the first final failure.
        rerun: Jobs to run although they have a row: "missing" runs none of them, "stale" those whose row another version of the
            code computed, "all" every job.
        conflict: Callback that receives a row with another result than the earlier row of the same job.
        energy: Whether to estimate the energy of the jobs that run, see `Energy`. Rows already in the folder stay unchanged.

    Yields:
        The rows: first those already in the folder, in the order of the jobs, then the others as they are finished.

    Raises:
        ValueError: A row is damaged, or the executor or `rerun` is unknown.
        ImportError: The energy cannot be estimated, because codecarbon is not installed.
        RuntimeError: A process died, and `failed` is `None`. An exception of a job in this process is raised unchanged.
    """
    require_choice("rerun", rerun, get_args(Rerun))
    if energy:
        require_codecarbon()
    waiting: dict[str, FoldJob] = {}
    earlier: dict[str, Row] = {}
    for job in jobs:
        row = find_row(folder, job)
        if row and usable(row, rerun):
            yield row
            continue
        _free_path(folder, job)
        waiting[job.key] = job
        if row:
            earlier[job.key] = row
    if not waiting:
        return
    work = FoldWork(Path(folder), command, cache, prepare, energy)
    with Claims(work.folder / _CLAIMS) as claims, closing(chosen_executor(executor, workers)) as chosen:
        followers = _Followers(started, progress, failed, conflict, named=executor is not None)
        yield from _Run(work, chosen, claims, waiting, earlier, followers, retries).rows()


@dataclass(eq=False)
class FoldWork:
    """The work on each job: its features, training and test, and the file of its row. A copy of it goes to each process.

    Args:
        folder: Folder of the rows.
        command: Command line to save in each row.
        cache: Cache of features; `None` for no cache.
        prepare: Function that is called before the first job; `None` calls none.
        energy: Whether to estimate the energy.
    """

    folder: Path
    command: str = ""
    cache: FeatureCache | None = None
    prepare: Callable[[], Any] | None = None
    energy: bool = False
    _bank: FeatureBank | None = field(default=None, repr=False)

    def __call__(self, job: FoldJob, progress: Progress | None = None) -> Row:
        """Run a job and save its row."""
        if self.prepare:
            self.prepare()
            self.prepare = None
        path = _free_path(self.folder, job)
        bank = self._features(job, progress)
        row, _ = run_fold(job, bank=bank, command=self.command, cache=self.cache, progress=progress, energy=self.energy)
        # The process that trained saves the row, so that it is not lost if the process that started it is gone.
        keep(path, row)
        return row

    def __getstate__(self) -> dict[str, Any]:
        """Leave the features out: another process reads them from the cache."""
        return {**self.__dict__, "_bank": None}

    def _features(self, job: FoldJob, progress: Progress | None) -> FeatureBank:
        clips = list(dict.fromkeys(job.featured))
        if self._bank is None or self._bank.frontend != job.frontend or not self._bank.covers(clips):
            self._bank = None  # release the old features before the new ones are computed
            # Without this claim, several processes would compute the same features at the same time.
            name = f"features-{job.frontend.key}"
            with Claims(self.folder / _CLAIMS) as claims, claims.waiting(name) if self.cache else nullcontext():
                self._bank = FeatureBank.of(clips, job.frontend, cache=self.cache, progress=progress)
        return self._bank


@dataclass(frozen=True, eq=False)
class _Followers:
    """Callbacks of a benchmark, see `benchmark`; with `named`, the stage of the progress begins with the job."""

    started: Callable[[FoldJob], Any] | None
    progress: Progress | None
    failed: Callable[[Failure], Any] | None
    conflict: Callable[[Conflict], Any] | None
    named: bool

    def progress_of(self, job: FoldJob) -> Progress | None:
        """Return the progress callback of a job."""
        told = self.progress
        if told is None or not self.named:
            return told

        def named(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
            told(f"{job.title} {job.fold} {stage}", done, total, figures)

        return named

    def fail(self, failure: Failure) -> None:
        """Report a failure, or raise it if nobody wants to know.

        Raises:
            RuntimeError: The job does not run again, and its exception is in another process.
        """
        if self.failed:
            self.failed(failure)
        elif failure.final:
            raise failure.error or RuntimeError(f"{failure}\n{failure.details}".strip())


@dataclass(eq=False)
class _Run:
    """Jobs that have no row yet, and how to get them.

    Args:
        work: Work on each job.
        executor: Executor of the jobs.
        claims: Claims of this run.
        waiting: Jobs to run, by key.
        earlier: Rows of these jobs that are to be computed again, by key.
        followers: Callbacks.
        retries: Number of times that a job that failed runs again.
    """

    work: FoldWork
    executor: Executor
    claims: Claims
    waiting: dict[str, FoldJob]
    earlier: dict[str, Row]
    followers: _Followers
    retries: int
    _failures: Counter[str] = field(default_factory=Counter)

    def _new(self, job: FoldJob) -> Row | None:
        """Return the row of a job, unless it is the earlier one that is to be computed again."""
        row, earlier = find_row(self.work.folder, job), self.earlier.get(job.key)
        # As text, a loss that is not a number equals itself.
        return None if row and earlier and repr(row) == repr(earlier) else row

    def rows(self) -> Iterator[Row]:
        """Run the jobs, and again those that failed, until each has a row, here or from another run, or has failed for good."""
        while self.waiting:
            idle = True
            with closing(self.executor.run(self.work, self._claimed(), self.followers.progress_of)) as outcomes:
                for job, outcome in outcomes:
                    idle = False
                    self.claims.release(job.key)
                    if row := self._settled(job, outcome):
                        del self.waiting[job.key]
                        self._compare(job, row)
                        yield row
            yield from self._found()
            if idle and self.waiting:  # all of them run elsewhere
                if self.followers.progress:
                    self.followers.progress("waiting for another run", 0, len(self.waiting), {})
                time.sleep(_PAUSE)

    def _claimed(self) -> Iterator[FoldJob]:
        for key, job in list(self.waiting.items()):
            if not self.claims.take(key):
                continue
            if self._new(job):  # another run has just finished it; `_found` yields it
                self.claims.release(key)
                continue
            if self.followers.started:
                self.followers.started(job)
            yield job

    def _settled(self, job: FoldJob, outcome: Row | Failure) -> Row | None:
        if isinstance(outcome, Row):
            return outcome
        if row := self._new(job):  # the process died after it had saved the row
            return row
        self._failures[job.key] += 1
        final = self._failures[job.key] > self.retries
        if final:
            del self.waiting[job.key]
        self.followers.fail(replace(outcome, final=final))
        return None

    def _found(self) -> Iterator[Row]:
        for key, job in list(self.waiting.items()):
            if row := self._new(job):
                del self.waiting[key]
                yield row

    def _compare(self, job: FoldJob, row: Row) -> None:
        found = Conflict.of(self.earlier.get(job.key), row, self.work.folder)
        if found and self.followers.conflict:
            self.followers.conflict(found)


def _free_path(folder: str | os.PathLike[str], job: FoldJob) -> Path:
    path = Path(folder) / job.file_name
    if path.exists() and read_row(path).key != job.key:
        # A default has changed, so the row in this file has another key now. Raise before training, which may take hours.
        raise ValueError(
            f"{path}: contains the row of another job, written by an earlier version; rename it with "
            "`python benchmarks/take_in_rows.py`, or choose another folder"
        )
    return path
