"""Outputs of models of sub-bands: the classifier that each sub-band has of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from audiozoo.classifier import Classifier, KerasScorer
from audiozoo.features import Axis
from audiozoo.registry import model_info

_NAME = "sub_band_"  # `audiozoo.layers.sub_band_outputs` begins the names of its layers so


@dataclass(frozen=True)
class SubBandScore:
    """Answer of the classifier of one sub-band.

    Args:
        name: Range of the sub-band on the axis of the features, or its number.
        score: Probability of the class that is explained.
        best: Class with the highest probability.
        best_score: Its probability.
    """

    name: str
    score: float
    best: str
    best_score: float


def sub_band_scores(classifier: Classifier, window: np.ndarray, label: str) -> tuple[SubBandScore, ...]:
    """Return the answer of each sub-band's classifier for one window.

    Args:
        classifier: Classifier whose Keras model has auxiliary outputs of sub-bands, such as `subspectralnet`.
        window: Window ``(bands, frames, channels)`` that the frontend has computed, not standardised.
        label: Class whose scores to return.

    Returns:
        The answers, the lowest sub-band first; empty if the model has no such outputs.
    """
    outputs = sub_band_outputs(classifier)
    if not outputs:
        return ()
    assert isinstance(classifier.scorer, KerasScorer)
    scores = classifier.scorer.all_scores(classifier.scaler(window[None]))[outputs, 0]
    place, labels = classifier.labels.index(label), classifier.labels
    return tuple(
        SubBandScore(name, float(one[place]), labels[int(one.argmax())], float(one.max()))
        for name, one in zip(sub_band_names(classifier, len(outputs)), scores, strict=True)
    )


def sub_band_outputs(classifier: Classifier) -> list[int]:
    """Return the places of the outputs of sub-bands among all outputs of the model; empty if it has none."""
    scorer = classifier.scorer
    names = scorer.output_names if isinstance(scorer, KerasScorer) else ()
    return [place for place, name in enumerate(names) if name.startswith(_NAME)]


def sub_band_names(classifier: Classifier, count: int) -> tuple[str, ...]:
    """Name the sub-bands by their range, if the size and the step in the options of the model explain their number."""
    options = {**_defaults(classifier.about.model), **classifier.about.options}
    size, step = options.get("sub_band_size"), options.get("sub_band_step")
    axis, bands = classifier.frontend.axis, classifier.frontend.shape[0]
    if not (size and step and axis) or len(range(0, bands - size + 1, step)) != count:
        return tuple(f"sub-band {number}" for number in range(1, count + 1))
    return tuple(
        f"{_axis_text(axis, first)} to {_axis_text(axis, first + size - 1)}" for first in range(0, bands - size + 1, step)
    )


def _defaults(model: str | None) -> dict[str, Any]:
    try:
        return dict(model_info(model).options) if model else {}
    except ValueError:
        return {}  # a model of the user that this process has not registered


def _axis_text(axis: Axis, place: int) -> str:
    """Return the value of a band with its unit, such as "1.2 kHz" for an axis in hertz.

    >>> _axis_text(Axis("frequency, Hz", np.array([50.0, 1_234.0])), 1)
    '1.2 kHz'
    """
    value = float(axis.values[place])
    if not axis.label.endswith("Hz"):
        return f"{axis.label} {value:g}"
    return f"{value / 1_000:.1f} kHz" if value >= 1_000 else f"{value:.0f} Hz"
