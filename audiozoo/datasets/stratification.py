"""Iterative stratification: parts with the same share of each label, where clips have several labels.

Source: K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data", ECML PKDD 2011. Here the
recordings are divided instead of the clips, so that all clips of a recording are in the same part.
"""

from __future__ import annotations

import numpy as np


def iterative_parts(content: np.ndarray, wanted: np.ndarray, *, seed: int) -> np.ndarray:
    """Divide recordings into parts, those with the rarest label first.

    Each recording goes to the part that still lacks the most clips of that label, and among equal ones to the part that lacks
    the most clips in all.

    Args:
        content: Number of clips of each recording with each label, ``(recordings, labels + 1)``; the last column is the number
            of all clips of the recording. Each recording has a label.
        wanted: Number of clips that each part is to have, ``(parts, labels + 1)``, in the same columns.
        seed: Random seed.

    Returns:
        The part of each recording, integers ``(recordings,)`` from 0.
    """
    rng = np.random.default_rng(seed)
    missing = wanted.astype(float)
    dealt = np.full(len(content), -1)
    while (left := dealt < 0).any():
        remaining = content[left, :-1].sum(axis=0)
        label = int(np.where(remaining > 0, remaining, np.inf).argmin())
        holders = rng.permutation(np.flatnonzero(left & (content[:, label] > 0)))
        # The largest recordings first: the small ones then even out what is left.
        for recording in sorted(holders, key=lambda one: -content[one, label]):
            lacking = np.column_stack([missing[:, label], missing[:, -1], rng.random(len(missing))])
            # Rounded, because fractions such as 7/3 - 1 and 4/3 must compare as equal.
            part = int(np.lexsort(np.round(lacking, 6).T[::-1])[-1])
            dealt[recording] = part
            missing[part] -= content[recording]
    return dealt
