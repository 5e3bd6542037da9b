"""Calibration on held-out clips: a temperature for the probabilities, and a level below which a sound is unknown.

Sources: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599, for the temperature; Platt,
"Probabilistic Outputs for Support Vector Machines", 1999, section 2.2, for the targets that it is fitted to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from audiozoo.checks import require_number
from audiozoo.classifier.prediction import UNKNOWN
from audiozoo.layers import Activation

TEMPERATURES = (1e-3, 1e3)
"""Smallest and largest temperature of a classifier."""

_SEARCHED = (0.05, 20.0)
"""Range of the temperatures that are searched. Beyond it, the held-out clips are too few or too easy to tell."""


def fitted_temperature(scores: np.ndarray, targets: np.ndarray, activation: Activation) -> float:
    """Return the temperature with the lowest cross-entropy on held-out clips.

    The targets of n clips are smoothed by 1 / (n + 2), as Platt does. So a few clips that are all classified correctly do not
    make the classifier certain: with 60 of them, the highest probability is about 98 %.

    Args:
        scores: Pooled probabilities of clips that the model was not trained on, ``(clips, classes)``, at temperature 1.
        targets: Class indices ``(clips,)``, or 0 and 1 for several labels ``(clips, classes)``.
        activation: Last step of the model, "softmax" or "sigmoid".

    Returns:
        The temperature, from 0.05 to 20.
    """
    from scipy.optimize import minimize_scalar

    hot = _smoothed(targets if targets.ndim == 2 else np.eye(scores.shape[1])[targets], activation)

    def loss(logarithm: float) -> float:
        chances = np.clip(tempered(scores, float(np.exp(logarithm)), activation).astype(float), 1e-12, 1 - 1e-12)
        absent = (1 - hot) * np.log(1 - chances) if activation == "sigmoid" else 0.0
        return float(-(hot * np.log(chances) + absent).sum(axis=1).mean())

    best = minimize_scalar(loss, bounds=tuple(np.log(_SEARCHED)), method="bounded")
    return float(np.exp(best.x))


def _smoothed(hot: np.ndarray, activation: Activation) -> np.ndarray:
    share = 1 / (len(hot) + 2)
    # Independent outputs have two classes each, present and absent.
    return (1 - share) * hot + share / (2 if activation == "sigmoid" else hot.shape[1])


def tempered(scores: np.ndarray, temperature: float, activation: Activation) -> np.ndarray:
    """Divide the logits of probabilities by a temperature.

    Args:
        scores: Probabilities ``(..., classes)``.
        temperature: Divisor of the logits.
        activation: Last step of the model, "softmax" or "sigmoid". It cannot be inferred from the scores, because
            independent scores may happen to sum to 1.

    Returns:
        Probabilities of the same shape. Each vector depends only on its own scores.

    Raises:
        ValueError: The activation is not known.
    """
    if activation is None:
        raise ValueError(
            f"a temperature ({temperature}) needs the activation of the model, which its last layer does not reveal: "
            "set activation='softmax' or 'sigmoid', or the temperature to 1"
        )
    # In double precision and relative to the largest, the logarithms neither overflow nor underflow at any allowed
    # temperature.
    present = np.log(np.clip(scores, 1e-12, 1), dtype=np.float64) / temperature
    if activation == "sigmoid":
        absent = np.log(np.clip(1 - scores, 1e-12, 1), dtype=np.float64) / temperature
        return (0.5 * (1 + np.tanh((present - absent) / 2))).astype(scores.dtype)
    weights = np.exp(present - present.max(axis=-1, keepdims=True))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(scores.dtype)


_SHARES = (0.5, 0.999)


def check_unknown(share: float, labels: Sequence[str], held_out: int) -> None:
    """Check that a rejection level can be found; `rejection_level` then finds it.

    Args:
        share: Share of the known clips to keep, from 0.5 to 0.999.
        labels: Names of the classes.
        held_out: Number of clips that the model is not trained on.

    Raises:
        ValueError: The share is out of range, a class is named "unknown", or there are too few clips.
    """
    require_number("unknown, the share of known clips to keep,", share, *_SHARES)
    if UNKNOWN in labels:
        raise ValueError(
            f"a class is named {UNKNOWN!r}, which would be the answer for refused sounds: rename the class, or train without "
            "unknown="
        )
    if held_out < (needed := math.ceil(round(share / (1 - share), 6))):
        raise ValueError(
            f"unknown={share:g} needs at least {needed} held-out clips, and there are {held_out}: add recordings, lower the "
            "share, or train without unknown="
        )


def rejection_level(familiarity: np.ndarray, share: float) -> float:
    """Return the level that keeps a share of known clips.

    A new known clip reaches the level with at least this probability, if it resembles the held-out clips. Source: Angelopoulos
    and Bates, "A Gentle Introduction to Conformal Prediction", arXiv:2107.07511, section 1.

    Args:
        familiarity: Familiarity of known clips that the model was not trained on, ``(clips,)``.
        share: Share to keep.

    Returns:
        One of the values; too few of them give 0, which keeps everything.
    """
    place = math.floor(round((len(familiarity) + 1) * (1 - share), 6))
    return float(np.sort(familiarity)[place - 1]) if place else 0.0
