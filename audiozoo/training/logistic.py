"""Logistic regression on many statistics of few clips, for a path of regularisation strengths."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from audiozoo.classifier import ProbeHead
from audiozoo.threads import one_blas_thread

_TOLERANCE, _ITERATIONS = 1e-3, 100
_LEAST_EIGENVALUE = 1e-6


def fitted_heads(
    statistics: np.ndarray, targets: np.ndarray, strengths: Sequence[float], *, weights: np.ndarray | None = None
) -> Iterator[ProbeHead]:
    """Fit scikit-learn's logistic regression for several strengths; each fit starts from the one before.

    Args:
        statistics: Statistics of the clips, ``(clips, statistics)``; NaN is unknown.
        targets: Class indices ``(clips,)`` for one label, or 0 and 1 ``(clips, classes)`` for several labels.
        strengths: Inverse strengths of the L2 regularisation, the C of scikit-learn, ascending.
        weights: Weight of each clip; `None` weighs all alike.

    Yields:
        The head for each strength: a softmax for one label, a sigmoid for each class for several.
    """
    mean, deviation = _standardisation(statistics)
    standardised = ProbeHead(mean, deviation, np.zeros((len(mean), 1)), np.zeros(1)).standardised(statistics)
    basis = row_space(standardised)
    inputs = standardised @ basis
    several = targets.ndim == 2
    columns = list(targets.T) if several else [targets]
    models = [_model() for _ in columns]
    for strength in strengths:
        fits = [_fit(model, inputs, column, strength, weights) for model, column in zip(models, columns, strict=True)]
        kernel, bias = (np.concatenate(parts, axis=-1) for parts in zip(*fits, strict=True))
        # scikit-learn has one column of weights for two classes: the difference of their logits.
        if not several and kernel.shape[1] == 1:
            kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.hstack([-bias / 2, bias / 2])
        yield ProbeHead(mean, deviation, basis @ kernel, bias, "sigmoid" if several else "softmax")


def _standardisation(statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # a statistic that no clip knows
        mean, deviation = (reduce(statistics, axis=0, dtype=np.float64) for reduce in (np.nanmean, np.nanstd))
    mean = np.nan_to_num(mean)
    # A constant statistic becomes zero; the comparison is false for an unknown one too.
    return np.asarray(mean), np.where(deviation > 1e-6 * np.abs(mean), deviation, 1)


def row_space(x: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the rows of ``(clips, statistics)``, in its columns.

    The solution of an L2-regularised problem lies in this space, where it has one coordinate for each clip. A rotation does
    not change the penalty, so the smaller problem has the same solution.
    """
    if len(x) >= x.shape[1]:
        return np.eye(x.shape[1], dtype=np.float32)
    with one_blas_thread():
        values, vectors = np.linalg.eigh(x.astype(np.float64) @ x.T.astype(np.float64))
        kept = values > _LEAST_EIGENVALUE * max(values[-1], 1e-12)
        kept[-1] = True  # clips that are all alike keep one direction, in which they are zero
        return (x.T @ (vectors[:, kept] / np.sqrt(np.maximum(values[kept], 1e-12)))).astype(np.float32)


def _model() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(warm_start=True, tol=_TOLERANCE, max_iter=_ITERATIONS)


def _fit(
    model: Any, inputs: np.ndarray, targets: np.ndarray, strength: float, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel ``(inputs, columns)`` and bias ``(columns,)``."""
    if len(np.unique(targets)) == 1:
        # The class is in every clip or in none, so only the bias can tell; half a clip is added to each side.
        positive, count = float(targets.sum()), len(targets)
        odds = np.log((positive + 0.5) / (count - positive + 0.5))
        return np.zeros((inputs.shape[1], 1), np.float32), np.array([odds], np.float32)
    model.C = strength
    with warnings.catch_warnings(action="ignore"), one_blas_thread():  # a path needs no full convergence
        model.fit(inputs, targets, sample_weight=weights)
    return model.coef_.T, model.intercept_
