"""The features of many clips, computed in parallel and held once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from audiozoo import audio
from audiozoo.features.frontends import Frontend


class Span(Protocol):
    """A stretch of sound: a path or the bytes of a file, and where in it, in seconds."""

    @property
    def path(self) -> str | bytes:
        """A path, or the bytes of a file."""

    @property
    def start(self) -> float:
        """Seconds."""

    @property
    def end(self) -> float | None:
        """Seconds; `None` is the end of the file."""


@dataclass(eq=False)
class Features:
    """The windows of a sequence of clips.

    Args:
        values: float32 ``(windows, *shape)``, clip after clip.
        offsets: ``(clips + 1,)``; clip ``i`` has the windows ``offsets[i]`` to ``offsets[i + 1]``.
        failures: What was wrong with each clip that could not be read, by its position; it has no windows.
    """

    values: np.ndarray
    offsets: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)

    def rows(self, clip: int) -> slice:
        """Where a clip's windows stand in `values`."""
        return slice(int(self.offsets[clip]), int(self.offsets[clip + 1]))

    @property
    def readable(self) -> np.ndarray:
        """Positions of the clips that could be read."""
        return np.array([clip for clip in range(len(self.offsets) - 1) if clip not in self.failures], int)

    def raise_failures(self) -> None:
        """Raise a ValueError that names every clip that could not be read, if there is one."""
        if self.failures:
            raise ValueError("\n".join([f"{len(self.failures)} file(s) cannot be used:", *self.failures.values()]))


def windows_of(clip: Span, frontend: Frontend, *, hop: float | None = None) -> list[np.ndarray]:
    """Read a clip and compute its windows; see `Frontend.windows`.

    Raises:
        OSError, ValueError: The clip cannot be read or used; the message names the file.
    """
    pieces = audio.stream(
        clip.path, sample_rate=frontend.sample_rate, channels=frontend.channels, start=clip.start, end=clip.end
    )
    return [array for _, array in frontend.windows(pieces, hop=hop)]


def load_clip(clip: Span, frontend: Frontend) -> np.ndarray:
    """Read a clip at a frontend's rate and channels."""
    return audio.load(clip.path, sample_rate=frontend.sample_rate, channels=frontend.channels, start=clip.start, end=clip.end)


def extract(
    clips: Sequence[Span],
    frontend: Frontend,
    *,
    hop: float | None = None,
    jobs: int = -1,
    progress: Callable[[int, int], Any] | None = None,
) -> Features:
    """Compute the windows of many clips, several clips at a time.

    Args:
        clips: What to read.
        frontend: What to compute.
        hop: Seconds between windows; `None` is half a window.
        jobs: Clips at a time; -1 is one for each core. They are threads: decoding, resampling and the FFT run outside
            Python's lock.
        progress: Called with (clips done, clips in all).

    Returns:
        The features. A clip that cannot be read is no error here: it has no windows and stands in `failures`.
    """
    from joblib import Parallel, delayed

    tasks = (delayed(_attempt)(clip, frontend, hop) for clip in clips)
    results = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(tasks)
    return _gather(results, len(clips), frontend.shape, progress)


def _attempt(clip: Span, frontend: Frontend, hop: float | None) -> list[np.ndarray] | str:
    try:
        return windows_of(clip, frontend, hop=hop)
    except (OSError, ValueError) as error:
        return str(error)


def _gather(
    results: Iterable[list[np.ndarray] | str],
    clips: int,
    shape: tuple[int, ...],
    progress: Callable[[int, int], Any] | None,
) -> Features:
    values = np.empty((clips, *shape), np.float32)
    offsets, failures = np.zeros(clips + 1, int), {}
    for index, result in enumerate(results):
        windows = [] if isinstance(result, str) else result
        if isinstance(result, str):
            failures[index] = result
        offsets[index + 1] = end = offsets[index] + len(windows)
        if end > len(values):
            # Growing in place lets the allocator move pages instead of holding the features twice.
            values.resize((max(end, len(values) * 3 // 2), *shape), refcheck=False)
        for row, window in zip(range(offsets[index], end), windows, strict=True):
            values[row] = window
        if progress:
            progress(index + 1, clips)
    values.resize((offsets[-1], *shape), refcheck=False)
    return Features(values, offsets, failures)
