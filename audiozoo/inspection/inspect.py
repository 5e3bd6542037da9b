"""Parallel inspection of many clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from audiozoo.features.reading import measure_clip
from audiozoo.inspection.result import Inspection
from audiozoo.inspection.sounds import Labelled, SoundFacts, facts_of
from audiozoo.progress import Progress

DECODED_SECONDS = 3_600
"""Total duration up to which ``decode=None`` decodes all sounds (seconds). Two cores need about 4 s for it."""


def inspect_clips(
    clips: Sequence[Labelled], *, decode: bool | None = True, jobs: int = -1, progress: Progress | None = None
) -> Inspection:
    """Inspect labelled clips: durations, sample rates, channels, levels, copies, and the balance of the classes.

    The files are read in parallel and piece by piece, so the memory does not depend on their size.

    Args:
        clips: Clips to inspect, for example from `audiozoo.load_dataset`.
        decode: Whether to decode the sounds. False reads only headers and hashes the files, which does not detect silent or
            clipped sounds, damage behind the header, or copies in another format. `None` decodes if the clips last at most an
            hour in all.
        jobs: Number of threads; -1 uses one per core.
        progress: Callback, see `audiozoo.progress`; the stage is "inspecting" and a step is a clip.

    Returns:
        The inspection, with the facts about each clip in the order of the clips.

    Raises:
        ValueError: There are no clips.
    """
    if not clips:
        raise ValueError("there are no clips to inspect; give at least one, for example load_dataset('folder', root=DIR).clips")
    if decode is None:
        sizes = (measure_clip(clip) for clip in clips)
        decode = sum(size[0] for size in sizes if size) <= DECODED_SECONDS
    facts = []
    for one in _all_facts(clips, decode, jobs):
        facts.append(one)
        if progress:
            progress("inspecting", len(facts), len(clips), {})
    return Inspection(tuple(facts), decoded=decode)


def _all_facts(clips: Sequence[Labelled], decode: bool, jobs: int) -> Iterator[SoundFacts]:
    from joblib import Parallel, delayed

    # Threads run in parallel because libsndfile, NumPy and the hash release the GIL.
    task = delayed(partial(facts_of, decode=decode))
    yield from Parallel(n_jobs=jobs, prefer="threads", return_as="generator", batch_size=4)(task(clip) for clip in clips)
