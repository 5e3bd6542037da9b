"""Columns of progress bars: the latest figures, and the time that remains of all jobs of ``audiozoo benchmark``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from time import monotonic
from typing import TYPE_CHECKING

from rich.progress import ProgressColumn, Task
from rich.table import Column
from rich.text import Text

if TYPE_CHECKING:
    from audiozoo.crossval import FoldJob, Row

_Kind = tuple[str, str]


class Figures(ProgressColumn):
    """Column with the latest figures, the only one that is cut where a terminal is too narrow."""

    def __init__(self) -> None:
        super().__init__(Column())

    def render(self, task: Task) -> Text:
        """Return the figures as one line."""
        return Text(task.fields["figures"], no_wrap=True, overflow="ellipsis")


class WholeColumn(ProgressColumn):
    """Column that is not cut, however narrow the terminal is."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))


class Schedule(WholeColumn):
    """Column with the time that remains, estimated from the finished jobs of the same dataset and model.

    A model without a finished job is expected to take as long as the mean of the other models.

    Args:
        jobs: All jobs.
        workers: Number of jobs at a time.
    """

    def __init__(self, jobs: Sequence[FoldJob], workers: int) -> None:
        super().__init__()
        self.done, self.total, self.workers = 0, len(jobs), max(1, workers)
        self._waiting = [_kind(job) for job in jobs]
        self._running: dict[str, tuple[_Kind, float]] = {}
        self._seconds: dict[_Kind, list[float]] = defaultdict(list)

    def started(self, job: FoldJob) -> None:
        """Note that a job begins."""
        self._running[job.key] = _kind(job), monotonic()

    def stopped(self, job: FoldJob, *, final: bool) -> None:
        """Note that a job failed, and whether it does not run again."""
        kind, _ = self._running.pop(job.key, (_kind(job), 0.0))
        if final:
            self._end(kind)

    def finished(self, row: Row) -> None:
        """Note a row, of a job that ran here, or that was there before or ran elsewhere."""
        kind = row.request.dataset, row.model
        _, begin = self._running.pop(row.key, (kind, None))
        self._seconds[kind].append(row.train_seconds if begin is None else monotonic() - begin)
        self._end(kind)

    def _end(self, kind: _Kind) -> None:
        self.done += 1
        if kind in self._waiting:
            self._waiting.remove(kind)

    def left(self) -> float | None:
        """Return the time that remains (seconds), or `None` while no job is finished."""
        if not self._seconds:
            return None
        means = {kind: fmean(seconds) for kind, seconds in self._seconds.items()}
        usual = fmean(means.values())
        now = monotonic()
        spent = [(means.get(kind, usual), now - begin) for kind, begin in list(self._running.values())]
        work = sum(means.get(kind, usual) for kind in self._waiting) - sum(min(seconds, mean) for mean, seconds in spent)
        # The last jobs of all cannot be divided.
        longest = max((mean - seconds for mean, seconds in spent), default=0.0)
        return max(work / self.workers, longest, 0.0)

    def render(self, task: Task) -> Text:
        """Return the time that remains, or an empty text while it is not known."""
        left = self.left()
        return Text("" if left is None else f"{_clock(left)} left")


def _kind(job: FoldJob) -> _Kind:
    return job.dataset, job.title


def _clock(seconds: float) -> str:
    """Format a time.

    >>> _clock(59.6), _clock(3_725)
    ('1:00', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
