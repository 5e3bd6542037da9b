"""Thresholds of classifiers that give several labels: the lowest score with which each class counts as present."""

from __future__ import annotations

import numpy as np

FALLBACK = 0.5
"""Threshold of a class that has no positive clips to fit it on."""


def fitted_thresholds(scores: np.ndarray, targets: np.ndarray) -> tuple[float, ...]:
    """Return the threshold of each class with which its F1 is highest on held-out clips.

    Args:
        scores: Pooled probabilities of clips that the model was not trained on, after the temperature, ``(clips, classes)``.
        targets: 0 and 1, ``(clips, classes)``.

    Returns:
        A threshold for each class, halfway between the lowest score that it accepts and the next one. Among thresholds with
        the same F1, it is the one closest to 0.5. A class without positive clips gets 0.5.
    """
    return tuple(_fitted(one, hits) for one, hits in zip(scores.T.astype(float), targets.T, strict=True))


def fallback_thresholds(classes: int) -> tuple[float, ...]:
    """Return the thresholds of classes without any held-out clips, 0.5 each."""
    return (FALLBACK,) * classes


def _fitted(scores: np.ndarray, hits: np.ndarray) -> float:
    if not hits.any():
        return FALLBACK
    order = np.argsort(-scores)
    ranked, found = scores[order], np.cumsum(hits[order])
    f1 = 2 * found / (np.arange(1, len(ranked) + 1) + hits.sum())
    below = np.append(ranked[1:], 0.0)
    # No threshold separates equal scores. Halfway between two scores leaves a margin on either side for new clips.
    places = (ranked + below) / 2
    allowed = ranked > below
    best = allowed & np.isclose(f1, f1[allowed].max(initial=0))
    return float(min(places[best], key=lambda place: abs(place - FALLBACK), default=FALLBACK))
