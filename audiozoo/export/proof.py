"""Comparison of an exported model with the classifier that it was made from, on clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from audiozoo import audio
from audiozoo.classifier import Classifier
from audiozoo.datasets import Clip
from audiozoo.datasets.synthetic import LABELS, synthesize
from audiozoo.features import Frontend
from audiozoo.progress import Progress

MOST_DIFFERENCE = 1e-3
"""Largest allowed difference of a probability, for models of full precision."""

_LENGTHS = (1.0, 2.3, 0.4)
"""Lengths of synthetic clips (windows): whole, several with an aligned end, and one to pad."""

_LOWEST_RATE = 8_000  # Hz, that of synthetic sounds
_TIMED = 15


@dataclass(frozen=True)
class Proof:
    """Comparison of an exported model with its classifier.

    Args:
        clips: Number of clips.
        windows: Number of windows in them.
        difference: Largest absolute difference of a probability, of windows and of clips.
        agreement: Share of the clips that get the same class.
        accuracy: Share of the clips whose class is right; `None` if their labels are not those of the classifier.
        milliseconds: Median time for one window (milliseconds), without reading the sound.
        size: Size of the file or folder (bytes).
    """

    clips: int
    windows: int
    difference: float
    agreement: float
    accuracy: float | None
    milliseconds: float
    size: int


def synthetic_clips(frontend: Frontend) -> list[Clip]:
    """Synthesise clips for a frontend, shorter and longer than its window, and one of silence.

    Args:
        frontend: Frontend that will cut them into windows.

    Returns:
        A clip for each class of the dataset "synthetic", and the silence, as the contents of WAV files.
    """
    rate = max(frontend.sample_rate, _LOWEST_RATE)
    waves = {
        label: synthesize(label, rng=number, sample_rate=rate, duration=frontend.duration * _LENGTHS[number % len(_LENGTHS)])
        for number, label in enumerate(LABELS)
    }
    waves["silence"] = np.zeros(max(1, round(rate * frontend.duration)), np.float32)
    return [Clip(audio.encode(wave, rate), (label,)) for label, wave in waves.items()]


class Answers(NamedTuple):
    """Probabilities that Keras gives a clip.

    Args:
        windows: Those of its windows, ``(windows, classes)``.
        clip: Those of the clip, ``(classes,)``.
    """

    windows: np.ndarray
    clip: np.ndarray


def prove(
    answers: Callable[[Clip], Answers],
    exported: Classifier,
    clips: Sequence[Clip],
    *,
    pools: bool,
    size: int,
    progress: Progress | None = None,
) -> Proof:
    """Compare an exported model with its classifier.

    Args:
        answers: Function that returns the answers of the classifier through Keras.
        exported: Exported model.
        clips: Clips to compare on, at least one.
        pools: Whether the exported model also gives the answers for clips of several windows.
        size: Size of the file or folder (bytes), which is passed on.
        progress: Callback, see `audiozoo.progress`; a step is a clip.

    Returns:
        The comparison.

    Raises:
        OSError: A clip cannot be opened.
        ValueError: A clip cannot be used.
    """
    differences, windows, same, right = [0.0], 0, [], []
    labelled = all(clip.label in exported.labels for clip in clips)
    for done, clip in enumerate(clips, 1):
        (expected, wanted), found = answers(clip), exported.timeline(clip.path).scores
        windows += len(expected)
        differences.append(_largest(expected, found))
        given = exported.answer(clip.path).scores
        if pools:
            differences.append(_largest(wanted, given))
        same.append(wanted.argmax() == given.argmax())
        right.append(exported.labels[int(given.argmax())] in clip.labels)
        if progress:
            progress("compare", done, len(clips), {})
    return Proof(
        clips=len(clips),
        windows=windows,
        difference=max(differences),
        agreement=float(np.mean(same)),
        accuracy=float(np.mean(right)) if labelled else None,
        milliseconds=milliseconds(exported, clips[0]),
        size=size,
    )


def milliseconds(classifier: Classifier, clip: Clip, *, repeats: int = _TIMED) -> float:
    """Measure the time of a classifier's model for one window.

    Args:
        classifier: Classifier.
        clip: Clip whose first window is used.
        repeats: Number of measurements, after one that is not counted.

    Returns:
        Median time (milliseconds), without reading the sound; features that the model takes are computed before.
    """
    frontend = classifier.frontend
    wave = audio.load(clip.path, sample_rate=frontend.sample_rate, channels=frontend.channels)
    window = classifier.scaler(next(iter(frontend.windows(wave)))[1][None])
    classifier.scorer.scores(window)
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        classifier.scorer.scores(window)
        times.append(time.perf_counter() - begin)
    return 1000 * float(np.median(times))


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    # NaN anywhere must not pass as equal.
    return float(np.nan_to_num(np.abs(one - other).max(), nan=np.inf))
