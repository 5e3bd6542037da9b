"""Splits of clips that keep recordings together: stratified folds, validation clips, and checks of both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audiozoo.datasets.clip import Clip
from audiozoo.datasets.stratification import iterative_parts


def is_multilabel(clips: Sequence[Clip]) -> bool:
    """Tell whether any of the clips has several labels. All of them are then trained and tested with several."""
    return any(len(set(clip.labels)) > 1 for clip in clips)


def recording_of(clip: Clip) -> str | bytes:
    """Return the recording that a clip comes from: its group, or its file if it has none."""
    return clip.path if clip.group is None else clip.group


def recordings_by_label(clips: Sequence[Clip]) -> dict[str, list[str | bytes]]:
    """Collect the distinct recordings of each label, in the order of the clips."""
    # The inner dictionary is an ordered set: the order of a set of strings changes from one process to the next.
    found: dict[str, dict[str | bytes, None]] = {}
    for clip in clips:
        for label in clip.labels:
            found.setdefault(label, {})[recording_of(clip)] = None
    return {label: list(recordings) for label, recordings in found.items()}


def deal(clips: Sequence[Clip], parts: int, *, seed: int) -> np.ndarray:
    """Divide clips into stratified parts and keep the clips of a recording together.

    Args:
        clips: Clips to divide.
        parts: Number of parts.
        seed: Random seed.

    Returns:
        The part of each clip, integers ``(clips,)`` from 0.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if is_multilabel(clips):
        recordings, content = _content(clips)
        wanted = np.tile(content.sum(axis=0) / parts, (parts, 1))
        return iterative_parts(content, wanted, seed=seed)[recordings]
    # scikit-learn sorts the groups, and a dataset in memory may mix paths and bytes, which have no order.
    numbers: dict[str | bytes, int] = {}
    groups = [numbers.setdefault(recording_of(clip), len(numbers)) for clip in clips]
    labels = [clip.label for clip in clips]
    dealt = np.empty(len(clips), int)
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    for part, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
        dealt[held_out] = part
    return dealt


def hold_out(clips: Sequence[Clip], share: float, *, seed: int) -> np.ndarray:
    """Choose clips for validation: those that the publishers of the dataset mark, or a share of the recordings of each class.

    A recording that is chosen is held out with all of its clips.

    Args:
        clips: Clips to choose from. If some of them have the mark `Clip.validation`, they are chosen, and no others.
        share: Fraction of the recordings of each class, between 0 and 1. At least one recording of each class is chosen. If
            clips have several labels, iterative stratification approximates the share for all labels at once.
        seed: Random seed.

    Returns:
        Booleans ``(clips,)``, true for validation. A class with a single recording stays in training.

    Raises:
        ValueError: `share` is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share for validation must be between 0 and 1, got {share}")
    marked = np.array([clip.validation for clip in clips], bool)
    if marked.any() and not marked.all():
        return marked
    if is_multilabel(clips):
        return _hold_out_several(clips, share, seed)
    rng = np.random.default_rng(seed)
    by_label = {label: set(recordings) for label, recordings in recordings_by_label(clips).items()}
    chosen: set[str | bytes] = set()
    for recordings in recordings_by_label(clips).values():
        wanted = max(1, round(share * len(recordings)))
        for place in rng.permutation(len(recordings)):
            if len(chosen & set(recordings)) >= wanted:
                break
            # A recording may contain several classes, and each of them needs another recording for training.
            if all(recordings[place] not in left or len(left - chosen) > 1 for left in by_label.values()):
                chosen.add(recordings[place])
    return np.array([recording_of(clip) in chosen for clip in clips])


def _hold_out_several(clips: Sequence[Clip], share: float, seed: int) -> np.ndarray:
    recordings, content = _content(clips)
    content = np.minimum(content, 1)  # the share is one of recordings
    total = content.sum(axis=0)
    # A label with a single recording is for training; of two recordings, one is held out, however small the share.
    held = np.where(total > 1, np.maximum(1, np.round(share * total)), 0)
    chosen = iterative_parts(content, np.stack([total - held, held]), seed=seed) == 1
    # Recordings that were held out for other labels may have taken all recordings of a label; one of them goes back.
    for label in range(content.shape[1]):
        holders = content[:, label] > 0
        if not (holders & ~chosen).any():
            chosen[np.flatnonzero(holders)[0]] = False
    return chosen[recordings]


def _content(clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
    """Return the recording of each clip, and the number of clips of each recording with each label and, last, with any."""
    numbers: dict[str | bytes, int] = {}
    recordings = np.array([numbers.setdefault(recording_of(clip), len(numbers)) for clip in clips])
    labels = {label: column for column, label in enumerate(recordings_by_label(clips))}
    content = np.zeros((len(numbers), len(labels) + 1), int)
    for recording, clip in zip(recordings, clips, strict=True):
        content[recording, [*(labels[label] for label in set(clip.labels)), -1]] += 1
    return recordings, content


def check_taught(train: Sequence[Clip], test: Sequence[Clip], *, what: str = "the split") -> None:
    """Check that training clips have every label of the test clips.

    Args:
        train: Training clips.
        test: Test clips.
        what: Name of the split, for the message.

    Raises:
        ValueError: A label occurs only in test clips.
    """
    taught = {label for clip in train for label in clip.labels}
    if missing := sorted({label for clip in test for label in clip.labels} - taught):
        raise ValueError(
            f"{what}: no training clip has the label(s) {', '.join(missing)}, which test clips have, so no model can learn "
            "them; add training clips, or leave the label(s) out"
        )


def check_disjoint(train: Sequence[Clip], test: Sequence[Clip], *, what: str = "the split") -> None:
    """Check that training and test clips share no recording and no file.

    Args:
        train: Training clips.
        test: Test clips.
        what: Name of the split, for the message.

    Raises:
        ValueError: A recording or a file is on both sides.
    """
    for kind, of in (("recording", lambda clip: clip.group), ("file", lambda clip: clip.path)):
        both = {of(clip) for clip in train if of(clip) is not None} & {of(clip) for clip in test}
        if both:
            example = min(both, key=str)
            raise ValueError(
                f"{what}: {len(both)} {kind}(s) are on both sides, for example {str(example)[:80]!r}, "
                "so test scores would be too high; put all clips of a recording into one fold"
            )
