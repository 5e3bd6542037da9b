"""Targets of an explanation: the log-odds of a class, as a function of a tensor of a network."""

from __future__ import annotations

from typing import Any, NamedTuple

from audiozoo.classifier import Classifier, KerasScorer, ProbeHead, ProbeScorer
from audiozoo.layers import keras

_LEAST = 1e-7  # probability, so that its logarithm is finite


class Target(NamedTuple):
    """A scalar that a network computes.

    Args:
        model: Network.
        tensor: Symbolic tensor in the network that the scalar follows from.
        function: Function from the value of this tensor, with a batch of one, to the scalar.
    """

    model: Any
    tensor: Any
    function: Any


def target_of(classifier: Classifier, place: int) -> Target:
    """Return the log-odds of a class, ``log(p / (1 - p))`` before the temperature.

    Unlike the probability, it has a gradient where the classifier is sure, and unlike the logit of the class alone, it does not
    grow with evidence for all classes alike.

    Args:
        classifier: Classifier with a Keras model, or a probe of one.
        place: Place of the class among the labels.

    Returns:
        The target.

    Raises:
        ValueError: The classifier has another kind of model.
    """
    scorer = classifier.scorer
    if isinstance(scorer, ProbeScorer):
        network, head = scorer.network, scorer.head
        return Target(network.model, network.model.get_layer("embedding").output, lambda x: _of_probe(x, head, place))
    if not isinstance(scorer, KerasScorer):
        raise ValueError(f"an explanation needs a Keras model or a probe of one, this classifier has a {type(scorer).__name__}")
    logits = _logits(scorer.model.outputs[0])
    if logits is None or scorer.activation is None:
        return Target(scorer.model, scorer.model.outputs[0], lambda x: _of_probabilities(x, place))
    softmax = scorer.activation == "softmax"
    return Target(scorer.model, logits, lambda x: _of_logits(x, place, softmax=softmax))


def _logits(output: Any) -> Any:
    """Return the symbolic tensor before the last activation; `None` if a layer hides it."""
    operation = output._keras_history.operation
    if isinstance(operation, (keras.layers.Softmax, keras.layers.Activation)):
        return operation.input
    if not isinstance(operation, keras.layers.Dense):
        return None
    # The activation is a part of the layer, so a copy of the layer without it computes the logits.
    linear = keras.layers.Dense(operation.units, use_bias=operation.use_bias)
    tensor = linear(operation.input)
    linear.set_weights(operation.get_weights())
    return tensor


def _of_logits(logits: Any, place: int, *, softmax: bool) -> Any:
    if not softmax or logits.shape[-1] == 1:
        return logits[0, place]
    others = keras.ops.concatenate([logits[0, :place], logits[0, place + 1 :]])
    return logits[0, place] - keras.ops.logsumexp(others)


def _of_probabilities(scores: Any, place: int) -> Any:
    score = keras.ops.clip(scores[0, place], _LEAST, 1 - _LEAST)
    return keras.ops.log(score) - keras.ops.log(1 - score)


def _of_probe(embedding: Any, head: ProbeHead, place: int) -> Any:
    """Return the log-odds of a probe for a clip of one window, see `clip_statistics`."""
    vector = keras.ops.sign(embedding[0]) * keras.ops.log1p(keras.ops.abs(embedding[0]))
    # The mean and the maximum of one window are the window; its deviation is unknown, and becomes 0.
    known = 2 * vector.shape[0]
    arrays = (head.mean[:known], head.deviation[:known], head.kernel[:known], head.bias)
    mean, deviation, kernel, bias = map(keras.ops.convert_to_tensor, arrays)
    standardised = (keras.ops.concatenate([vector, vector]) - mean) / deviation
    logits = keras.ops.matmul(standardised[None], kernel) + bias
    return _of_logits(logits, place, softmax=head.activation == "softmax")
