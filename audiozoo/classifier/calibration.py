"""Calibration: a temperature that makes probabilities agree with the share of correct answers.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599.
"""

from __future__ import annotations

import numpy as np

from audiozoo.layers import Activation

_SEARCHED = (0.05, 20.0)
"""Range of the temperatures that are searched. Beyond it, the held-out clips are too few or too easy to tell."""


def fitted_temperature(scores: np.ndarray, targets: np.ndarray, activation: Activation) -> float:
    """Return the temperature with the lowest cross-entropy on held-out clips.

    Args:
        scores: Pooled probabilities of clips that the model was not trained on, ``(clips, classes)``, at temperature 1.
        targets: Class indices ``(clips,)``, or 0 and 1 for several labels ``(clips, classes)``.
        activation: Last step of the model, "softmax" or "sigmoid".

    Returns:
        The temperature, from 0.05 to 20.
    """
    from scipy.optimize import minimize_scalar

    hot = targets if targets.ndim == 2 else np.eye(scores.shape[1])[targets]

    def loss(logarithm: float) -> float:
        chances = np.clip(tempered(scores, float(np.exp(logarithm)), activation).astype(float), 1e-12, 1 - 1e-12)
        absent = (1 - hot) * np.log(1 - chances) if activation == "sigmoid" else 0.0
        return float(-(hot * np.log(chances) + absent).sum(axis=1).mean())

    best = minimize_scalar(loss, bounds=tuple(np.log(_SEARCHED)), method="bounded")
    return float(np.exp(best.x))


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
