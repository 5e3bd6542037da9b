"""Further classes for a trained classifier, without the clips that it learnt from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from audiozoo.classifier import Classifier, KerasScorer, ProbeHead, ProbeScorer
from audiozoo.datasets import Clip
from audiozoo.features import FeatureCache
from audiozoo.layers import classify, keras
from audiozoo.progress import Progress
from audiozoo.training.embeddings import embeddings, network_of
from audiozoo.training.examples import target_indices
from audiozoo.training.finetuning import body_of
from audiozoo.training.probes import starting_point, statistics_of

_PENALTY = 1e-3


def extend(
    start: str | os.PathLike[str] | Classifier,
    clips: Sequence[Clip],
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    strict: bool = True,
) -> Classifier:
    """Add classes to a classifier.

    The network and the weights of the old classes do not change; only the weights of the new classes are learnt. So the scores
    of the old classes keep their ratios, and a sound of an old class is lost only where a new class wins. A few clips of the
    old classes among `clips` prevent most of that. A probe can do without them, because it knows the mean of the statistics of
    its training clips, but a network cannot.

    Args:
        start: Path of a saved classifier, or a classifier, with one network or a probe and a softmax.
        clips: Clips of the new classes, and optionally of old ones.
        cache: Cache of features and embeddings; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.
        strict: Raise if a clip cannot be read; otherwise it is left out and named in ``classifier.about.failures``.

    Returns:
        The classifier, whose labels are the old ones followed by the new ones in alphabetical order. Thresholds and the
        rejection level are removed, because they were chosen for the old classes.

    Raises:
        ValueError: No clip has a new label, a clip cannot be read, or the classifier is of another kind.
    """
    origin = starting_point(start)
    if origin.activation != "softmax":
        raise ValueError(f"only classifiers with a softmax can be extended, this one has {origin.activation!r}")
    new = sorted({clip.label for clip in clips} - set(origin.labels))
    if not new:
        raise ValueError(f"no clip has a label besides {', '.join(origin.labels)}: nothing to extend, use finetune")
    labels = (*origin.labels, *new)
    targets = target_indices(clips, labels)
    found = embeddings(origin, clips, cache=cache, progress=progress)
    if strict:
        found.raise_failures()
    head = _head_of(origin)
    statistics, kept = statistics_of(found, whole=isinstance(origin.scorer, ProbeScorer))
    _check_remembered(origin, targets[kept])
    scorer = _extended(
        origin, _grown(head, statistics, targets[kept], len(labels), known=isinstance(origin.scorer, ProbeScorer))
    )
    failures = tuple(found.failures.values())
    about = replace(origin.about, parameters=scorer.parameters, training_clips=len(kept), validation=None, failures=failures)
    return replace(origin, scorer=scorer, labels=labels, about=about, activation=None, thresholds=None, rejection=None)


def _check_remembered(origin: Classifier, targets: np.ndarray) -> None:
    present = set(targets.tolist())
    missing = [label for number, label in enumerate(origin.labels) if number not in present]
    # A probe knows mean and deviation of the clips that it learnt from. A network does not: a new class would always win.
    if missing and not isinstance(origin.scorer, ProbeScorer):
        absent = ", ".join(missing)
        raise ValueError(f"a network needs a few clips of each old class too, there is none of {absent}; a probe needs none")


def _head_of(origin: Classifier) -> ProbeHead:
    """Return the last layer as a head of embeddings, or the probe's own of statistics."""
    if isinstance(origin.scorer, ProbeScorer):
        return origin.scorer.head
    kernel, bias = _linear_head(network_of(origin).model)
    return ProbeHead(np.zeros(len(kernel)), np.ones(len(kernel)), kernel, bias)


def _linear_head(model: Any) -> list[np.ndarray]:
    """Return kernel and bias of the layers from the embedding to the logits."""
    layer, embedding = model.get_layer("logits"), model.get_layer("embedding").output
    if isinstance(layer, keras.layers.Dense):
        return list(layer.get_weights())
    # The other heads are linear too: a dense layer and a normalisation. Zeros give the bias, unit vectors the kernel.
    inputs = np.vstack([np.zeros(embedding.shape[-1]), np.eye(embedding.shape[-1])]).astype(np.float32)
    bias, *kernel = keras.Model(embedding, layer.output).predict_on_batch(inputs)
    return [np.stack(kernel) - bias, bias]


def _grown(head: ProbeHead, statistics: np.ndarray, targets: np.ndarray, classes: int, *, known: bool) -> ProbeHead:
    """Return a head with further columns that have the lowest cross-entropy, while the old ones are fixed.

    Args:
        head: Head of the old classes.
        statistics: Statistics of the clips.
        targets: Class indices ``(clips,)``.
        classes: Number of old and new classes.
        known: Whether the head standardises with the mean of its training clips.

    Returns:
        The head of all classes.
    """
    from scipy.optimize import minimize

    inputs = head.standardised(statistics)
    centre, scale = (np.zeros(inputs.shape[1]), 1.0) if known else (inputs.mean(axis=0), inputs.std() or 1.0)
    old, x = inputs @ head.kernel + head.bias, np.hstack([(inputs - centre) / scale, np.ones((len(inputs), 1))])
    hot = np.eye(classes)[targets]
    width, added = x.shape[1], classes - head.kernel.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(width, added)
        logits = np.hstack([old, x @ weights])
        logits -= logits.max(axis=1, keepdims=True)
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        # The penalty includes the bias: otherwise it would grow where no clip shows the old classes.
        value = -np.log(np.maximum((chances * hot).sum(axis=1), 1e-12)).mean() + _PENALTY * np.square(flat).sum()
        slope = x.T @ (chances - hot)[:, -added:] / len(x) + 2 * _PENALTY * weights
        return float(value), slope.ravel()

    found: Any = minimize(loss, np.zeros(width * added), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    weights = found.x.reshape(width, added)
    kernel = weights[:-1] / scale
    bias = np.append(head.bias, weights[-1] - centre @ kernel)
    return ProbeHead(head.mean, head.deviation, np.hstack([head.kernel, kernel]), bias)


def _extended(origin: Classifier, head: ProbeHead) -> KerasScorer | ProbeScorer:
    network = network_of(origin)
    if isinstance(origin.scorer, ProbeScorer):
        return ProbeScorer(network, head)
    body = body_of(network.model)
    model = keras.Model(body.inputs[0], classify(body.outputs[0], len(head.bias), activation="softmax"))
    model.get_layer("logits").set_weights([head.kernel, head.bias])
    return KerasScorer(model)
