"""`extract`: the features of many clips, computed in parallel, and each only once if there is a cache."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from audiozoo import audio
from audiozoo.features.cache import FeatureCache, Store
from audiozoo.features.frontends import Frontend
from audiozoo.features.packs import Features, Key
from audiozoo.features.reading import Span, warm_up, windows_of

# A killed run loses at most one chunk. Smaller chunks would be more packs, each of which keeps a file open until the end.
_CHUNK_CLIPS = 1_024
_CHUNK_BYTES = 2**26

_Windows = list[tuple[int, np.ndarray]]


def extract(
    clips: Sequence[Span],
    frontend: Frontend,
    *,
    hop: float | None = None,
    jobs: int = -1,
    cache: FeatureCache | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> Features:
    """Compute the windows of many clips, several clips at a time.

    Args:
        clips: Clips to read.
        frontend: Frontend that computes the windows.
        hop: Time between window starts (seconds); `None` is the frontend's own.
        jobs: Number of threads; -1 is one for each core. Threads run in parallel because decoding, resampling and the FFT
            release Python's lock.
        cache: Cache of features. Clips found in it are not read, and the others are added, so that a killed run continues
            where it stopped.
        progress: Function called with the number of clips done and of all clips.

    Returns:
        The features. A clip that cannot be read has no windows and a message in `failures`.

    Raises:
        ValueError: The hop is not positive, or longer than a window.
    """
    frontend.step(hop)  # otherwise each clip would fail by a wrong hop
    store = Store(cache, frontend, hop)
    keys = store.keys(clips, jobs=jobs)
    missing = [position for position, key in enumerate(keys) if key not in store]
    if progress and len(missing) < len(keys):
        progress(len(keys) - len(missing), len(keys))
    failures: dict[int, str] = {}
    chunk_clips, chunk_bytes = (_CHUNK_CLIPS, _CHUNK_BYTES) if store.on_disk else (len(missing), math.inf)
    chunk_clips = min(chunk_clips, len(missing))
    with closing(_computed(clips, missing, frontend, hop, jobs, failures, progress)) as computed:
        while (chunk := _gathered(computed, frontend.shape, chunk_clips, chunk_bytes)).keys:
            positions = [int(position) for position in chunk.keys]
            now = store.keys([clips[position] for position in positions], jobs=jobs)
            for position, key in zip(positions, now, strict=True):
                # The content of a file that has changed meanwhile may be the old or the new one: it must not be found again.
                keys[position] = key if key == keys[position] else position
            store.add(replace(chunk, keys=tuple(keys[position] for position in positions)))
    found = store.gather(key for position, key in enumerate(keys) if position not in failures)
    return found.select(keys, failures)


def _computed(
    clips: Sequence[Span],
    positions: Sequence[int],
    frontend: Frontend,
    hop: float | None,
    jobs: int,
    failures: dict[int, str],
    progress: Callable[[int, int], Any] | None,
) -> Iterator[tuple[int, _Windows]]:
    """Yield the position and the windows of each clip that can be read, in order; put the others into `failures`."""
    if not positions:
        return
    from joblib import Parallel, delayed

    warm_up(frontend)
    tasks = (delayed(_attempt)(clips[position], frontend, hop) for position in positions)
    results = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(tasks)
    try:
        for done, (position, result) in enumerate(zip(positions, results, strict=True), 1 + len(clips) - len(positions)):
            if isinstance(result, str):
                failures[position] = result
            else:
                yield position, result
            if progress:
                progress(done, len(clips))
    finally:
        # After an interruption the threads would go on. joblib stops them here, and warns that it does.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            results.close()


def _attempt(clip: Span, frontend: Frontend, hop: float | None) -> _Windows | str:
    try:
        return windows_of(clip, frontend, hop=hop)
    except (OSError, ValueError) as error:
        return audio.explain(clip.path, error)


def _gathered(computed: Iterable[tuple[int, _Windows]], shape: tuple[int, ...], most_clips: int, most_bytes: float) -> Features:
    """Copy windows into one array until it has that many clips or bytes; the position of each clip becomes its key."""
    values = np.empty((most_clips, *shape), np.float32)
    index: dict[Key, tuple[int, int, int]] = {}
    end = 0
    for position, windows in computed:
        start, end = end, end + len(windows)
        if end > len(values):
            # In place, so that the allocator can move pages; a copy would hold all features twice.
            values.resize((max(end, len(values) * 3 // 2), *shape), refcheck=False)
        for i, (_, window) in enumerate(windows, start):
            values[i] = window
        index[position] = start, end, windows[-1][0]
        if len(index) >= most_clips or values[:end].nbytes >= most_bytes:
            break
    values.resize((end, *shape), refcheck=False)
    return Features.indexed(values, index)
