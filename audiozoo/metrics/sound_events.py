"""Metrics of detected sound events beside those of a reference, for recordings with overlapping events.

Definitions: Mesaros, Heittola and Virtanen, "Metrics for polyphonic sound event detection", Applied Sciences 6(6):162, 2016.
The values equal those of the authors' package sed_eval.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audiozoo.checks import require_number

_LEAST_SEGMENT = 0.001  # seconds
_MOST_SEGMENTS = 10**7  # in all events together; a table may state any time, and these take a gigabyte


class Occurrence(Protocol):
    """A sound of one class in a recording, such as `audiozoo.events.Event`."""

    @property
    def file(self) -> str:
        """Name of the recording."""

    @property
    def start(self) -> float:
        """Start in the recording (seconds)."""

    @property
    def end(self) -> float:
        """End in the recording (seconds)."""

    @property
    def label(self) -> str:
        """Class of the sound."""


@dataclass(frozen=True)
class DetectionCounts:
    """Numbers of events, or of active segments, and the metrics made of them.

    Args:
        reference: Number in the reference.
        estimated: Number that the system gave.
        correct: Number of those that agree, the true positives.
        substitutions: Number of pairs of a missed and a false one at the same time, of different classes.
    """

    reference: int
    estimated: int
    correct: int
    substitutions: int = 0

    @property
    def deletions(self) -> int:
        """Number that the system missed and did not replace by another class."""
        return self.reference - self.correct - self.substitutions

    @property
    def insertions(self) -> int:
        """Number that the system gave without any counterpart in the reference."""
        return self.estimated - self.correct - self.substitutions

    @property
    def precision(self) -> float:
        """Share of the system's that are correct; NaN if it gave none."""
        return self.correct / self.estimated if self.estimated else math.nan

    @property
    def recall(self) -> float:
        """Share of the reference that the system found; NaN if the reference is empty."""
        return self.correct / self.reference if self.reference else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN if neither the reference nor the system has any."""
        both = self.reference + self.estimated
        return 2 * self.correct / both if both else math.nan

    @property
    def error_rate(self) -> float:
        """Substitutions, deletions and insertions divided by the size of the reference, 0 at best; NaN if that is 0."""
        wrong = self.substitutions + self.deletions + self.insertions
        return wrong / self.reference if self.reference else math.nan


@dataclass(frozen=True)
class DetectionScores:
    """Metrics of a system.

    Args:
        overall: Counts over all classes together, the micro average.
        by_label: Counts of each class, which have no substitutions.
    """

    overall: DetectionCounts
    by_label: Mapping[str, DetectionCounts]

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that the reference or the system has."""
        values = [counts.f1 for counts in self.by_label.values() if not math.isnan(counts.f1)]
        return float(np.mean(values)) if values else math.nan


def segment_based(reference: Sequence[Occurrence], estimated: Sequence[Occurrence], *, segment: float = 1.0) -> DetectionScores:
    """Compare which classes are active in each segment of a fixed length.

    Args:
        reference: Events of the reference.
        estimated: Events that the system found.
        segment: Length of a segment (seconds), at least 0.001. An event is active in every segment that it touches.

    Returns:
        Counts of active segments.

    Raises:
        ValueError: The length is out of range, or the events cover more than ten million segments.

    >>> from collections import namedtuple
    >>> Sound = namedtuple("Sound", "file start end label")
    >>> segment_based([Sound("a", 0, 4, "dog")], [Sound("a", 1, 5, "dog")]).overall.f1
    0.75
    """
    require_number("segment", segment, _LEAST_SEGMENT)
    if (count := sum(1 + (event.end - event.start) / segment for event in (*reference, *estimated))) > _MOST_SEGMENTS:
        raise ValueError(
            f"the events may cover at most {_MOST_SEGMENTS:,} segments, got {count:.3g} of {segment} s; use longer segments, "
            "or correct the times in the table"
        )
    truth, found = _active(reference, segment), _active(estimated, segment)
    by_label = {
        label: DetectionCounts(len(truth[label]), len(found[label]), len(truth[label] & found[label]))
        for label in sorted({*truth, *found})
    }
    missed = Counter(place for label in by_label for place in truth[label] - found[label])
    false = Counter(place for label in by_label for place in found[label] - truth[label])
    return DetectionScores(_total(by_label.values(), (missed & false).total()), by_label)


def _active(events: Iterable[Occurrence], segment: float) -> defaultdict[str, set[tuple[str, int]]]:
    """Return the segments of the recordings in which each class is active."""
    active: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    for event in events:
        first, after = math.floor(event.start / segment), math.ceil(event.end / segment)
        active[event.label].update((event.file, place) for place in range(first, after))
    return active


def _total(counts: Iterable[DetectionCounts], substitutions: int) -> DetectionCounts:
    each = list(counts)
    reference, estimated, correct = (sum(getattr(one, name) for one in each) for name in ("reference", "estimated", "correct"))
    return DetectionCounts(reference, estimated, correct, substitutions)


def event_based(
    reference: Sequence[Occurrence],
    estimated: Sequence[Occurrence],
    *,
    collar: float = 0.2,
    offset_share: float | None = 0.5,
) -> DetectionScores:
    """Compare the events themselves: a detection is correct if its class is right and its times are close enough.

    As many pairs as possible are formed, and no event is in two of them.

    Args:
        reference: Events of the reference.
        estimated: Events that the system found.
        collar: Largest distance of the starts, and of the ends (seconds).
        offset_share: Share of the length of the reference's event that the ends may differ by, if that is more than the collar,
            from 0 to 1; `None` does not compare the ends.

    Returns:
        Counts of events.

    Raises:
        ValueError: The collar is negative, or the share is out of range.

    >>> from collections import namedtuple
    >>> Sound = namedtuple("Sound", "file start end label")
    >>> event_based([Sound("a", 0, 4, "dog")], [Sound("a", 0.1, 3, "dog")]).overall.f1
    1.0
    """
    require_number("collar", collar, 0)
    if offset_share is not None:
        require_number("offset_share", offset_share, 0, 1)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    substitutions = 0
    for truth, found in _by_file(reference, estimated):
        close = _close(truth, found, collar, offset_share)
        pairs = _matched(close & _same_label(truth, found))
        for name, events in (("reference", truth), ("estimated", found), ("correct", [truth[place] for place, _ in pairs])):
            for event in events:
                counts[event.label][name] += 1
        substitutions += _substituted(close, pairs)
    by_label = {
        label: DetectionCounts(each["reference"], each["estimated"], each["correct"]) for label, each in sorted(counts.items())
    }
    return DetectionScores(_total(by_label.values(), substitutions), by_label)


def _by_file(*lists: Sequence[Occurrence]) -> Iterator[list[list[Occurrence]]]:
    """Yield the events of each recording, in each of the lists."""
    grouped: list[defaultdict[str, list[Occurrence]]] = [defaultdict(list) for _ in lists]
    for groups, events in zip(grouped, lists, strict=True):
        for event in events:
            groups[event.file].append(event)
    for file in sorted({file for groups in grouped for file in groups}):
        yield [groups[file] for groups in grouped]


def _close(truth: Sequence[Occurrence], found: Sequence[Occurrence], collar: float, offset_share: float | None) -> np.ndarray:
    """Return which detections have times close enough to which events of the reference, ``(reference, estimated)``."""
    (starts, ends), (begun, ended) = (
        np.array([(one.start, one.end) for one in events], float).reshape(-1, 2).T for events in (truth, found)
    )
    close = np.abs(starts[:, None] - begun) <= collar
    if offset_share is None:
        return close
    allowed = np.maximum(collar, offset_share * (ends - starts))
    return close & (np.abs(ends[:, None] - ended) <= allowed[:, None])


def _same_label(truth: Sequence[Occurrence], found: Sequence[Occurrence]) -> np.ndarray:
    numbers = {label: number for number, label in enumerate({one.label for one in (*truth, *found)})}
    own, given = (np.array([numbers[one.label] for one in events], int) for events in (truth, found))
    return own[:, None] == given


def _matched(allowed: np.ndarray) -> list[tuple[int, int]]:
    """Return as many pairs of a row and a column as possible, none of them used twice."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    columns = maximum_bipartite_matching(csr_array(allowed), perm_type="column")
    return [(row, int(column)) for row, column in enumerate(columns) if column >= 0]


def _substituted(close: np.ndarray, pairs: Sequence[tuple[int, int]]) -> int:
    """Count the pairs that the remaining events form whatever their class, each with the first one free, as in sed_eval."""
    rest = close.copy()
    for row, column in pairs:
        rest[row], rest[:, column] = False, False
    count = 0
    for each in rest:
        if each.any():
            rest[:, each.argmax()] = False
            count += 1
    return count
