"""An event, and the rule by which scores become events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from audiozoo.checks import require_choice, require_count, require_number
from audiozoo.config import Configured

_LOW = 0.6  # default ratio of the two thresholds; the score of a fading sound stays above it for some windows

_MOST_SMOOTHED = 10_001


@dataclass(frozen=True)
class Event:
    """A sound of one class in a recording.

    Args:
        file: Name of the recording; "" for an array.
        start: Start in the recording (seconds).
        end: End in the recording (seconds), not before the start.
        label: Class of the sound.
        score: Highest smoothed score of the class in the event.

    Raises:
        ValueError: The times are negative, not finite, or in the wrong order.
    """

    file: str
    start: float
    end: float
    label: str
    score: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end < math.inf:
            raise ValueError(f"an event needs 0 <= start <= end (seconds), got start={self.start} and end={self.end}")

    @property
    def duration(self) -> float:
        """Length of the event (seconds)."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class EventRule(Configured):
    """Rule by which the scores of a class become events.

    An event begins and ends where the smoothed score crosses `low`, and reaches `high` at least once between. Then events
    with too small a gap are joined, and those that are still too short are dropped.

    Args:
        high: Score that an event reaches at least once, from 0 to 1.
        low: Score that an event keeps throughout, at most `high`; `None` means 0.6 times `high`. With the value of `high`,
            there is no hysteresis.
        least_duration: Shortest event (seconds).
        least_gap: Shortest gap between two events of a class (seconds); a shorter one becomes part of an event.
        smooth: Number of neighbouring windows whose scores are combined, odd; 1 does not smooth.
        smoothing: Combination of these scores: "median", which drops single outliers and keeps edges, or "mean".

    Raises:
        ValueError: A value is out of range or of a wrong type.
    """

    high: float = 0.5
    low: float | None = None
    least_duration: float = 0.0
    least_gap: float = 0.0
    smooth: int = 1
    smoothing: Literal["median", "mean"] = "median"

    def __post_init__(self) -> None:
        require_number("high", self.high, 0, 1)
        if self.low is not None:
            require_number("low", self.low, 0, self.high)
        require_number("least_duration", self.least_duration, 0)
        require_number("least_gap", self.least_gap, 0)
        require_count("smooth", self.smooth, 1, _MOST_SMOOTHED)
        if self.smooth % 2 == 0:
            raise ValueError(f"smooth must be odd, so that a window has as many neighbours on both sides, got {self.smooth}")
        require_choice("smoothing", self.smoothing, ("median", "mean"))

    @property
    def floor(self) -> float:
        """Score that an event keeps throughout."""
        return _LOW * self.high if self.low is None else self.low
