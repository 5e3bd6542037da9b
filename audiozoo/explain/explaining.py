"""Explanations by the gradient of a class, and by Grad-CAM."""

from __future__ import annotations

import os
from itertools import islice
from typing import Literal, NamedTuple

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_choice, unknown_name
from audiozoo.classifier import Answering, Classifier
from audiozoo.explain.cam import grad_cam
from audiozoo.explain.explanation import Explanation
from audiozoo.explain.gradients import gradients
from audiozoo.explain.subbands import sub_band_scores
from audiozoo.explain.targets import Target, target_of
from audiozoo.layers import keras

Method = Literal["gradient", "gradcam"]

METHODS: tuple[Method, ...] = ("gradient", "gradcam")
"""Names of the methods."""


def explain(
    classifier: Answering,
    source: audio.Source | np.ndarray,
    *,
    label: str | None = None,
    method: Method = "gradient",
    layer: str | None = None,
    sample_rate: float | None = None,
    hop: float | None = None,
) -> Explanation:
    """Explain the answer of a classifier: attribute the score of a class to the bands and frames of the sound.

    "gradient" multiplies the gradient of the class's log-odds with the standardised features: the first-order change of the
    log-odds if a cell had the mean of the training data. "gradcam" (Selvaraju et al., arXiv:1610.02391) shows where the last
    layer with bands and frames finds evidence for the class; it is coarser and smoother.

    In a sound of several windows, the one with the highest score of the class is explained. A probe is explained through its
    network, as if the window were the clip.

    Args:
        classifier: Classifier with a Keras model, or a probe of one.
        source: Path, bytes, open file or array, as for `Classifier.predict`.
        label: Class to explain; `None` takes the one with the highest probability.
        method: "gradient" or "gradcam".
        layer: Layer for Grad-CAM; `None` takes the last one with bands and frames, or the last one of each parallel branch.
        sample_rate: Sample rate of an array (Hz).
        hop: Time between window starts (seconds); `None` uses the frontend's own.

    Returns:
        The explanation.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The sound cannot be used, the class, the method or the layer is unknown, the model has no layer that the
            method can use, or the classifier is an ensemble.
    """
    require_choice("method", method, METHODS)
    if not isinstance(classifier, Classifier):
        raise ValueError("an explanation needs a single classifier, and this is an ensemble: explain one of its members")
    if layer is not None and method != "gradcam":
        raise ValueError(f"a layer is for method='gradcam', got layer={layer!r} with method={method!r}")
    if label is not None and label not in classifier.labels:
        raise unknown_name("class", label, classifier.labels)
    name = "" if isinstance(source, np.ndarray) else audio.describe(source)
    readable = _readable(source, sample_rate)
    label = classifier.predict(readable, hop=hop).best if label is None else label
    place = classifier.labels.index(label)
    found = _best_window(classifier, readable, place, hop)
    values, layers = _attribution(target_of(classifier, place), classifier.scaler(found.features), method, layer)
    return Explanation(
        source=name,
        label=label,
        method=method,
        values=values,
        frontend=classifier.frontend,
        layers=layers,
        sub_bands=sub_band_scores(classifier, found.features, label),
        **found._asdict(),
    )


def _readable(source: audio.Source | np.ndarray, sample_rate: float | None) -> str | os.PathLike[str] | bytes:
    """Return a source that can be read several times."""
    if isinstance(source, np.ndarray):
        wave, rate = audio.check_wave(source, sample_rate)
        return audio.encode(wave, rate)
    if sample_rate is not None:
        raise ValueError(f"{audio.describe(source)}: a file states its own sample rate; sample_rate= is for arrays")
    return source if isinstance(source, (str, os.PathLike, bytes)) else source.read()


class _Window(NamedTuple):
    score: float
    features: np.ndarray
    start: float
    end: float
    window: int
    windows: int


def _best_window(classifier: Classifier, source: str | os.PathLike[str] | bytes, place: int, hop: float | None) -> _Window:
    """Return the window with the highest score of a class, with its features."""
    timeline = classifier.timeline(source, hop=hop)
    best = int(timeline.scores[:, place].argmax())
    frontend = classifier.frontend
    # Computed once more, because the features of all windows of an hour would not fit into memory.
    pieces = audio.stream(source, sample_rate=frontend.sample_rate, channels=frontend.channels)
    _, features = next(islice(frontend.windows(pieces, hop=hop), best, None))
    return _Window(
        score=float(timeline.scores[best, place]),
        features=features,
        start=float(timeline.starts[best]),
        end=float(timeline.ends[best]),
        window=best + 1,
        windows=len(timeline.starts),
    )


def _attribution(target: Target, window: np.ndarray, method: Method, layer: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    if method == "gradient":
        return _gradient_times_input(target, window), ()
    if window.ndim < 2:
        raise ValueError(f"Grad-CAM needs features with a time axis, got {window.shape}: choose method='gradient'")
    return grad_cam(target, window, layer)


def _gradient_times_input(target: Target, window: np.ndarray) -> np.ndarray:
    network = keras.Model(target.model.inputs[0], target.tensor)
    (slope,) = gradients(lambda x: target.function(network(x, training=False)), [window[None]])
    product = slope[0] * window
    return np.asarray(product.sum(axis=-1) if product.ndim > 1 else product, np.float32)
