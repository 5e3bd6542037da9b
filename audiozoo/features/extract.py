"""The features of many clips, computed in parallel and held once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from audiozoo import audio
from audiozoo.features.cache import FeatureCache, Shelf
from audiozoo.features.frontends import Frontend
from audiozoo.features.identity import Span
from audiozoo.features.packs import Block, Key, Rows
from audiozoo.progress import Progress

# What a killed run loses at most. Each chunk is a map, and with it an open file, until the end.
_CHUNK_CLIPS = 1_024
_CHUNK_BYTES = 2**26


@dataclass(eq=False)
class Features:
    """The windows of a sequence of clips.

    Args:
        values: float32 ``(windows, *shape)``; read-only, and with windows of other clips among them, if a cache gave it.
        starts: Each clip's first window in `values`, ``(clips,)``.
        stops: The window behind its last.
        lasts: Where in the clip its last window begins, in samples of the frontend's rate, ``(clips,)``.
        failures: What was wrong with each clip that could not be read, by its position; it has no windows.
    """

    values: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    lasts: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)

    def rows(self, clip: int) -> slice:
        """Where a clip's windows stand in `values`."""
        return slice(int(self.starts[clip]), int(self.stops[clip]))

    def begins(self, clip: int, step: int) -> np.ndarray:
        """Where in the clip its windows begin, in samples, if they are `step` samples apart, ``(windows,)``."""
        return np.append(np.arange(self.counts[clip] - 1) * step, self.lasts[clip])[: self.counts[clip]]

    @property
    def counts(self) -> np.ndarray:
        """How many windows each clip has."""
        return self.stops - self.starts

    @property
    def readable(self) -> np.ndarray:
        """Positions of the clips that could be read."""
        return np.array([clip for clip in range(len(self.starts)) if clip not in self.failures], int)

    def raise_failures(self) -> None:
        """Raise a ValueError that names every clip that could not be read, if there is one."""
        if self.failures:
            raise ValueError("\n".join([f"{len(self.failures)} file(s) cannot be used:", *self.failures.values()]))


def windows_of(clip: Span, frontend: Frontend, *, hop: float | None = None) -> list[tuple[int, np.ndarray]]:
    """Read a clip and compute its windows, each with where it begins; see `Frontend.windows`.

    Raises:
        OSError, ValueError: The clip cannot be read or used; the message names the file.
    """
    pieces = audio.stream(
        clip.path, sample_rate=frontend.sample_rate, channels=frontend.channels, start=clip.start, end=clip.end
    )
    return list(frontend.windows(pieces, hop=hop))


def measure_clip(clip: Span) -> tuple[float, int] | None:
    """Read from its file's header how many seconds and channels a clip has; `None` if the file cannot be opened."""
    try:
        seconds, _, channels = audio.measure(clip.path)
    except (OSError, ValueError):
        return None  # computing its features will say why
    return min(seconds, clip.end or seconds) - clip.start, channels


def load_clip(clip: Span, frontend: Frontend) -> np.ndarray:
    """Read a clip at a frontend's rate and channels."""
    return audio.load(clip.path, sample_rate=frontend.sample_rate, channels=frontend.channels, start=clip.start, end=clip.end)


def extract(
    clips: Sequence[Span],
    frontend: Frontend,
    *,
    hop: float | None = None,
    jobs: int = -1,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Features:
    """Compute the windows of many clips, several clips at a time.

    Args:
        clips: What to read.
        frontend: What to compute.
        hop: Seconds between windows; `None` is the frontend's own.
        jobs: Clips at a time; -1 is one for each core. They are threads: decoding, resampling and the FFT run outside
            Python's lock.
        cache: Where to keep what is computed, and to find what was: those clips are not read again. A run that was killed
            goes on from there.
        progress: Callback, see `audiozoo.progress`; the stage is "features" and a step is a clip.

    Returns:
        The features. A clip that cannot be read is no error here: it has no windows and stands in `failures`.
    """
    frontend.step(hop)  # a hop that cannot be is no clip's fault
    job = _Extraction(clips, frontend, hop, jobs, progress)
    shelf = None if cache is None else cache.shelf(frontend, hop)
    if cache is None or shelf is None:
        (block,) = job.blocks(range(len(clips)), clips_each=len(clips), bytes_each=math.inf)
        return job.features(block, range(len(clips)))
    return job.cached(cache, shelf)


@dataclass(eq=False)
class _Extraction:
    """What is to be computed, and what could not be."""

    clips: Sequence[Span]
    frontend: Frontend
    hop: float | None
    jobs: int
    progress: Progress | None
    failures: dict[int, str] = field(default_factory=dict)

    def cached(self, cache: FeatureCache, shelf: Shelf) -> Features:
        """Compute what is not on the shelf, and put it there as it comes."""
        keys = cache.keys(self.clips, jobs=self.jobs)
        missing = [position for position, key in enumerate(keys) if key not in shelf]
        if self.progress and len(missing) < len(keys):
            self.progress("features", len(keys) - len(missing), len(keys), {})
        for block in self.blocks(missing, clips_each=_CHUNK_CLIPS, bytes_each=_CHUNK_BYTES):
            positions = [int(position) for position in block.rows]
            now = cache.keys([self.clips[position] for position in positions], jobs=self.jobs)
            for position, key in zip(positions, now, strict=True):
                # Of a file that changed meanwhile nobody knows which content was computed: it is not to be kept.
                keys[position] = key if key == keys[position] else position
            shelf.add(block.values, {keys[position]: block.rows[position] for position in positions})
        return self.features(shelf.gather(key for i, key in enumerate(keys) if i not in self.failures), keys)

    def blocks(self, positions: Sequence[int], *, clips_each: int, bytes_each: float) -> Iterator[Block]:
        """Compute clips, and yield them by their positions in blocks of about a size; at least one, if an empty one."""
        block = _Growing(self.frontend.shape, min(clips_each, len(positions)))
        for position, windows in self._windows(positions):
            if len(block.rows) >= clips_each or block.bytes >= bytes_each:
                yield block.finished()
                block = _Growing(self.frontend.shape, min(clips_each, len(positions)))
            block.add(position, windows)
        yield block.finished()

    def _windows(self, positions: Sequence[int]) -> Iterator[tuple[int, list[tuple[int, np.ndarray]]]]:
        if not positions:
            return
        from joblib import Parallel, delayed

        # librosa compiles what a frontend needs on first use, which two threads must not do at once.
        warm_up(self.frontend)
        tasks = (delayed(_attempt)(self.clips[position], self.frontend, self.hop) for position in positions)
        results = Parallel(n_jobs=self.jobs, prefer="threads", return_as="generator")(tasks)
        first = 1 + len(self.clips) - len(positions)
        with _stopped(results):
            for done, (position, result) in enumerate(zip(positions, results, strict=True), first):
                if isinstance(result, str):
                    self.failures[position] = result
                else:
                    yield position, result
                if self.progress:
                    self.progress("features", done, len(self.clips), {})

    def features(self, block: Block, keys: Sequence[Key]) -> Features:
        """Say where each clip's windows stand in a block."""
        nowhere = Rows(0, 0, 0)
        rows = [nowhere if position in self.failures else block.rows[key] for position, key in enumerate(keys)]
        starts, stops, lasts = np.array(rows, int).reshape(-1, 3).T
        return Features(block.values, starts, stops, lasts, self.failures)


@cache
def warm_up(frontend: Frontend) -> None:
    """Run a frontend once, before several threads do: librosa compiles what it needs on first use."""
    shape = (frontend.samples, frontend.channels)[: 1 if frontend.channels == 1 else 2]
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, shape).astype(np.float32)
    with suppress(ValueError):  # a window too short for a cleaning step: the clips will say so
        frontend(noise)


def _attempt(clip: Span, frontend: Frontend, hop: float | None) -> list[tuple[int, np.ndarray]] | str:
    try:
        return windows_of(clip, frontend, hop=hop)
    except (OSError, ValueError) as error:
        return audio.explain(clip.path, error)


@contextmanager
def _stopped(results: Any) -> Iterator[None]:
    """Stop the threads when the block ends: after an interruption they would go on, and joblib warns that they do not."""
    try:
        yield
    finally:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            results.close()


class _Growing:
    """Windows gathered clip after clip."""

    def __init__(self, shape: tuple[int, ...], clips: int) -> None:
        self._values = np.empty((clips, *shape), np.float32)
        self._end = 0
        self.rows: dict[Key, Rows] = {}

    @property
    def bytes(self) -> int:
        """Size of the windows so far."""
        return self._values[: self._end].nbytes

    def add(self, position: int, windows: list[tuple[int, np.ndarray]]) -> None:
        """Copy a clip's windows."""
        start, self._end = self._end, self._end + len(windows)
        if self._end > len(self._values):
            self._resize(max(self._end, len(self._values) * 3 // 2))
        for row, (_, array) in enumerate(windows, start):
            self._values[row] = array
        self.rows[position] = Rows(start, self._end, windows[-1][0])

    def finished(self) -> Block:
        """Return what was gathered."""
        self._resize(self._end)
        return Block(self._values, self.rows)

    def _resize(self, windows: int) -> None:
        # In place, so that the allocator can move pages instead of holding the features twice.
        self._values.resize((windows, *self._values.shape[1:]), refcheck=False)
