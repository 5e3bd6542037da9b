"""Parallel feature extraction with a cache."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np

from audiozoo import audio
from audiozoo.features.cache import FeatureCache, Store
from audiozoo.features.frontends import Frontend
from audiozoo.features.identity import signature
from audiozoo.features.packs import Features, Key, Span
from audiozoo.features.reading import Excerpt, warm_up, windows_of
from audiozoo.pieces import LocalPieces, PieceExecutor
from audiozoo.progress import Progress

# A killed run loses at most one chunk. Smaller chunks would give more packs, each of which keeps a file open until the end.
_CHUNK_CLIPS = 1_024
_CHUNK_BYTES = 2**26

_Windows = list[tuple[int, np.ndarray]]


def extract(
    clips: Sequence[Excerpt],
    frontend: Frontend,
    *,
    hop: float | None = None,
    jobs: int = -1,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    executor: PieceExecutor | None = None,
) -> Features:
    """Compute the features of many clips in parallel.

    Args:
        clips: Clips to read.
        frontend: Frontend that computes the features.
        hop: Time between window starts (seconds); `None` uses the frontend's own.
        jobs: Number of threads; -1 uses one per core. Threads run in parallel because decoding, resampling and the FFT
            release the GIL.
        cache: Cache of features. Clips in the cache are not computed again, and new clips are added to it, so a killed run
            continues where it stopped.
        progress: Callback, see `audiozoo.progress`; the stage is "features" and a step is a clip.
        executor: Executor that computes the features, such as `audiozoo.scale.RayPieces`; `None` uses threads.

    Returns:
        The features. A clip that cannot be read has no windows and a message in `failures`.

    Raises:
        ValueError: The hop is not positive, or longer than a window.
    """
    frontend.hop_samples(hop)  # raise for a wrong hop once, and not for each clip
    # Without a source file of the frontend's class, there is no signature, and changes would be missed.
    store = Store(cache, signature(frontend, hop) if cache else None, frontend.shape)
    keys, known = store.keys(clips), store.known
    missing = [position for position, key in enumerate(keys) if key not in known]
    if progress and len(missing) < len(keys):
        progress("features", len(keys) - len(missing), len(keys), {})
    limits = (min(_CHUNK_CLIPS, len(missing)), _CHUNK_BYTES) if store.folder else (len(missing), math.inf)
    failures: dict[int, str] = {}
    executor = executor or LocalPieces(jobs, threads=True)
    with closing(_computed(clips, missing, frontend, hop, executor, progress)) as computed:
        while (chunk := _gathered(computed, failures, frontend.shape, *limits)).keys:
            positions = [int(position) for position in chunk.keys]
            for position, key in zip(positions, store.keys([clips[position] for position in positions]), strict=True):
                # If a file changed after it was hashed, its features may belong to either content: do not cache them.
                keys[position] = key if key == keys[position] else position
            store.add(replace(chunk, keys=tuple(keys[position] for position in positions)))
    return store.gather(keys, failures)


def _computed(
    clips: Sequence[Excerpt],
    positions: Sequence[int],
    frontend: Frontend,
    hop: float | None,
    executor: PieceExecutor,
    progress: Progress | None,
) -> Generator[tuple[int, _Windows | str], None, None]:
    """Yield the position of each clip, in order, with its windows or an error message."""
    if not positions:
        return
    warm_up(frontend)
    attempt = partial(_attempt, frontend=frontend, hop=hop)
    with closing(executor.mapped(attempt, (clips[position] for position in positions))) as results:
        for done, (position, result) in enumerate(zip(positions, results, strict=True), 1 + len(clips) - len(positions)):
            yield position, result
            if progress:
                progress("features", done, len(clips), {})


def _attempt(clip: Excerpt, frontend: Frontend, hop: float | None) -> _Windows | str:
    try:
        return windows_of(clip, frontend, hop=hop)
    except (OSError, ValueError) as error:
        return audio.explain(clip.path, error)


def _gathered(
    computed: Iterable[tuple[int, _Windows | str]],
    failures: dict[int, str],
    shape: tuple[int, ...],
    most_clips: int,
    most_bytes: float,
) -> Features:
    """Collect windows in arrays of limited numbers of clips and bytes, by position; errors go into `failures`."""
    values = np.empty((most_clips, *shape), np.float32)
    index: dict[Key, Span] = {}
    end = 0
    for position, result in computed:
        if isinstance(result, str):
            failures[position] = result
            continue
        start, end = end, end + len(result)
        if end > len(values):
            # Resizing in place lets the allocator move pages; a copy would double the memory.
            values.resize((max(end, len(values) * 3 // 2), *shape), refcheck=False)
        for i, (_, window) in enumerate(result, start):
            values[i] = window
        index[position] = start, end, result[-1][0]
        if len(index) >= most_clips or values[:end].nbytes >= most_bytes:
            break
    values.resize((end, *shape), refcheck=False)
    return Features.located(values, index, index.values())
