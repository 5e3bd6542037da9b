"""Check of an explanation by deletion: does the score fall further without the marked part than without another part?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from audiozoo.checks import require_choice, require_count, require_number
from audiozoo.classifier import Classifier
from audiozoo.explain.explanation import Explanation

Elsewhere = Literal["cells", "shifted"]


@dataclass(frozen=True, eq=False)
class Deletion:
    """Fall of a score after parts of a window were replaced by the mean of the training data.

    Args:
        score: Probability of the class in the whole window.
        marked: Fall of the probability without the marked part.
        elsewhere: Fall without each of the other parts of the same size, ``(draws,)``.
    """

    score: float
    marked: float
    elsewhere: np.ndarray

    @property
    def gain(self) -> float:
        """Fall without the marked part minus the mean fall without the others; positive if the explanation is right."""
        return self.marked - float(self.elsewhere.mean())


def deletion_gain(
    classifier: Classifier,
    explanation: Explanation,
    *,
    share: float = 0.2,
    draws: int = 10,
    elsewhere: Elsewhere = "cells",
    seed: int = 0,
) -> Deletion:
    """Measure how far the score falls without the part that an explanation marks, beside other parts of the same size.

    A deleted cell gets the scaler's mean, which is 0 after standardisation, in all channels.

    Args:
        classifier: Classifier that was explained.
        explanation: Explanation of one of its answers.
        share: Share of the cells that count as marked: those with the highest values.
        draws: Number of other parts.
        elsewhere: Other parts: "cells" draws single cells that are not marked, "shifted" moves the marked part as a whole by
            random distances along each axis, with what leaves one end entering at the other.
        seed: Random seed.

    Returns:
        The falls.

    Raises:
        ValueError: An argument is out of range, or the features of the explanation do not fit the classifier.
    """
    require_number("share", share, 0.001, 0.5)
    require_count("draws", draws, 1, 1_000)
    require_choice("elsewhere", elsewhere, ("cells", "shifted"))
    features = explanation.features
    if features.shape != classifier.frontend.shape:
        raise ValueError(f"the explanation is of features {features.shape}, the classifier takes {classifier.frontend.shape}")
    marked = _highest(explanation.values, share)
    rng = np.random.default_rng(seed)
    others = [_cells(marked, rng) if elsewhere == "cells" else _shifted(marked, rng) for _ in range(draws)]
    # Windows of spectrograms have a further axis of channels, which a mask has not.
    masks = np.stack([np.zeros_like(marked), marked, *others]).reshape(
        draws + 2, *marked.shape, *[1] * (features.ndim - marked.ndim)
    )
    windows = np.where(masks, classifier.scaler.mean, features).astype(np.float32)
    scores = classifier.window_scores(windows)[:, classifier.labels.index(explanation.label)]
    return Deletion(float(scores[0]), float(scores[0] - scores[1]), scores[0] - scores[2:])


def _highest(values: np.ndarray, share: float) -> np.ndarray:
    """Return a mask of the cells with the highest values."""
    mask = np.zeros(values.size, bool)
    mask[np.argsort(-values, axis=None, kind="stable")[: max(1, round(share * values.size))]] = True
    return mask.reshape(values.shape)


def _cells(marked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros(marked.size, bool)
    mask[rng.choice(np.flatnonzero(~marked), marked.sum(), replace=False)] = True
    return mask.reshape(marked.shape)


def _shifted(marked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    distances = [int(rng.integers(size)) for size in marked.shape]
    return np.roll(marked, distances, axis=tuple(range(marked.ndim)))
