"""Windows of one classifier brought to the longer windows of another, while a sound is read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audiozoo.classifier.clipscores import Timeline

_ROUNDING = 1e-3  # seconds; the windows of frontends with different rates start at slightly different times


class Following:
    """Windows of a member with shorter windows, read as far as the windows of the longest member need them.

    Args:
        parts: Timelines of consecutive windows of this member.
    """

    def __init__(self, parts: Iterator[Timeline]) -> None:
        self._parts, self._held = parts, next(parts)

    def inside(self, long: Timeline) -> np.ndarray:
        """Average the scores over each of some longer windows, which must follow those of the call before."""
        # Every short window that starts before the last long one ends may lie inside it or be the nearest.
        while self._held.starts[-1] <= long.ends[-1] and (part := next(self._parts, None)) is not None:
            self._held = Timeline.joined((self._held, part))
        means = _inside(self._held, long)
        # The windows cover the sound, so the nearest to a later long window ends after this start. The last one stays in any
        # case, because windows with `last="drop"` leave the end of a sound out.
        needed = int(min(np.searchsorted(self._held.ends, long.starts[-1] - _ROUNDING), len(self._held.ends) - 1))
        self._held = Timeline(*(values[needed:] for values in self._held))
        return means


def _inside(short: Timeline, long: Timeline) -> np.ndarray:
    """Average the scores of windows over each of the longer windows that they lie in."""
    centres = (short.starts + short.ends) / 2
    means = []
    for start, end in zip(long.starts, long.ends, strict=True):
        within = (short.starts >= start - _ROUNDING) & (short.ends <= end + _ROUNDING)
        nearest = int(np.abs(centres - (start + end) / 2).argmin())
        means.append(short.scores[within].mean(axis=0) if within.any() else short.scores[nearest])
    return np.stack(means)
