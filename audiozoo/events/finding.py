"""Pure functions from the scores of windows to events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from audiozoo import audio
from audiozoo.checks import refuse_unknown
from audiozoo.events.event import Event, EventRule

if TYPE_CHECKING:  # events alone need no Keras
    from audiozoo.classifier import Answering, Timeline

_ROUNDING = 1e-9  # seconds; sums of hops miss the durations of rules by some bits


def detect(
    classifier: Answering,
    source: audio.Source | np.ndarray,
    rule: EventRule | None = None,
    *,
    rules: Mapping[str, EventRule] | None = None,
    sample_rate: float | None = None,
    hop: float | None = None,
) -> list[Event]:
    """Find the events of all classes in a recording.

    Args:
        classifier: Classifier or ensemble.
        source: Path, bytes of a file, open file, or array ``(samples,)`` or ``(samples, channels)``.
        rule: Rule of the classes; `None` takes that of `class_rules`.
        rules: Rules of single classes, which replace `rule`.
        sample_rate: Sample rate of an array (Hz), not allowed for a file.
        hop: Time between window starts (seconds); `None` uses the frontend's own.

    Returns:
        The events, sorted by start.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file or the array cannot be used, or a rule is for an unknown class.
    """
    chosen = class_rules(classifier) if rule is None else dict.fromkeys(classifier.labels, rule)
    found = classifier.timeline(source, sample_rate=sample_rate, hop=hop)
    name = "" if isinstance(source, np.ndarray) else audio.describe(source)
    return find_events(found, classifier.labels, rules={**chosen, **(rules or {})}, file=name)


def class_rules(classifier: Answering, rule: EventRule | None = None) -> dict[str, EventRule]:
    """Return a rule for each class, whose `high` is the classifier's threshold for the class if it has some.

    Args:
        classifier: Classifier or ensemble.
        rule: Rule that gives the other values; `None` is ``EventRule()``. Its `low` is kept where it is below the threshold.
    """
    rule = rule or EventRule()
    if classifier.thresholds is None:
        return dict.fromkeys(classifier.labels, rule)
    return {
        label: replace(rule, high=threshold, low=None if rule.low is None else min(rule.low, threshold))
        for label, threshold in zip(classifier.labels, classifier.thresholds, strict=True)
    }


def find_events(
    timeline: Timeline,
    labels: Sequence[str],
    rule: EventRule | None = None,
    *,
    rules: Mapping[str, EventRule] | None = None,
    file: str = "",
) -> list[Event]:
    """Find the events in the scores of a recording's windows.

    A score holds for the times that are nearer to the centre of its window than to that of any other, see `edges`. An event
    shorter than a window therefore gets about the length of a window: shorter windows, or a higher `low`, give sharper ends.

    Args:
        timeline: Times and scores of the windows, in the order of their starts.
        labels: Names of the classes, in the order of the scores.
        rule: Rule of the classes; `None` is ``EventRule()``.
        rules: Rules of single classes, which replace `rule`.
        file: Name of the recording in the events.

    Returns:
        The events, sorted by start.

    Raises:
        ValueError: The shapes do not fit, or a rule is for an unknown class.
    """
    refuse_unknown("class", rules or {}, labels)
    _check(timeline, labels)
    borders, found = edges(timeline), list[Event]()
    for place, label in enumerate(labels):
        own = (rules or {}).get(label, rule or EventRule())
        found += _class_events(smoothed(timeline.scores[:, place], own), borders, own, label=label, file=file)
    return sorted(found, key=attrgetter("start"))


def _check(timeline: Timeline, labels: Sequence[str]) -> None:
    starts, ends, scores = map(np.asarray, timeline)
    if scores.shape != (len(starts), len(labels)) or ends.shape != starts.shape or not len(starts):
        raise ValueError(
            f"a timeline needs at least one window and a score for each of the {len(labels)} classes, got {starts.shape} "
            f"starts, {ends.shape} ends and {scores.shape} scores"
        )
    if (np.diff(starts) < 0).any() or (np.diff(ends) < 0).any() or (ends < starts).any():
        raise ValueError("the windows of a timeline must be in the order of their times, and end after they start")


def edges(timeline: Timeline) -> np.ndarray:
    """Return the times (seconds) at which the score of one window gives way to that of the next, ``(windows + 1,)``.

    They lie halfway between the centres of neighbouring windows. The first is the start of the first window, and the last is
    the end of the last one. The edges of windows without overlap are thus their own.
    """
    centres = (timeline.starts + timeline.ends) / 2
    return np.concatenate([timeline.starts[:1], (centres[:-1] + centres[1:]) / 2, timeline.ends[-1:]])


def smoothed(scores: np.ndarray, rule: EventRule) -> np.ndarray:
    """Smooth the scores of consecutive windows. Beyond both ends, the first and the last score continue.

    Args:
        scores: Scores of one class, ``(windows,)``.
        rule: Rule with the number of windows and the kind of smoothing.
    """
    if rule.smooth == 1:
        return scores
    from scipy.ndimage import median_filter, uniform_filter1d

    if rule.smoothing == "median":
        return median_filter(scores, size=rule.smooth, mode="nearest")
    # In single precision, the running sum of the filter would drift over hours.
    return uniform_filter1d(scores.astype(np.float64), rule.smooth, mode="nearest")


def _class_events(scores: np.ndarray, borders: np.ndarray, rule: EventRule, *, label: str, file: str) -> Iterator[Event]:
    spans = [
        (float(borders[first]), float(borders[after]), float(scores[first:after].max()))
        for first, after in _runs(scores >= rule.floor)
        if scores[first:after].max() >= rule.high
    ]
    for start, end, score in _joined(spans, rule.least_gap):
        if end - start >= rule.least_duration - _ROUNDING:
            yield Event(file, start, end, label, score)


def _runs(active: np.ndarray) -> np.ndarray:
    """Return the first index of each run of true values and the index after it, ``(runs, 2)``."""
    return np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]))).reshape(-1, 2)


def _joined(spans: Sequence[tuple[float, float, float]], least_gap: float) -> list[tuple[float, float, float]]:
    joined: list[tuple[float, float, float]] = []
    for start, end, score in spans:
        if joined and start - joined[-1][1] < least_gap - _ROUNDING:
            start, score = joined[-1][0], max(score, joined.pop()[2])
        joined.append((start, end, score))
    return joined
