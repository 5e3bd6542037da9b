"""Classifiers as Keras models: from a waveform, or from features, to probabilities.

Frontend and scaler become layers and operations of Keras itself. If the network has no layer of this package either,
``keras.saving.load_model`` alone can load the saved model, in safe mode and on any backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from audiozoo.classifier import Classifier, Ensemble, KerasScorer, ProbeScorer
from audiozoo.export.fourier import linear
from audiozoo.export.frontend import frontend_model
from audiozoo.features import Scaler
from audiozoo.layers import Activation, keras

PROBABILITIES = "probabilities"
"""Name of the first output."""

MEMBERS = "members"
"""Name of the second output, see `exported_model`."""


def waveform_model(classifier: Classifier | Ensemble) -> keras.Model:
    """Combine frontend, scaler, network and temperature into one model.

    Args:
        classifier: Classifier, or an ensemble of classifiers whose windows have the same rate, length and channels. The new
            model shares the weights of the networks and keeps only the first output of each. Of a probe, it computes the
            answer for a clip of one window.

    Returns:
        A model from whole windows at the frontend's sample rate, float32 ``(batch, samples)`` for mono or
        ``(batch, samples, channels)``, to probabilities ``(batch, classes)``. It does not cut clips into windows, pad short
        clips or pool the probabilities of several windows.

    Raises:
        ValueError: The frontend cannot be exported, the scorer is neither a Keras model nor a probe, a temperature other than 1
            is used with a network whose last layer is not a softmax or sigmoid, or the windows of an ensemble's members differ.
    """
    return exported_model(classifier)


def features_model(classifier: Classifier | Ensemble) -> keras.Model:
    """Combine scaler, network and temperature into one model, for programs that compute the features themselves.

    Args:
        classifier: Classifier with any frontend.

    Returns:
        A model from features that are not standardised, float32 ``(batch, *frontend.shape)``, to probabilities
        ``(batch, classes)``.

    Raises:
        ValueError: The classifier is an ensemble, or see `waveform_model`.
    """
    return exported_model(classifier, features=True)


def exported_model(classifier: Classifier | Ensemble, *, features: bool = False, members: bool = False) -> keras.Model:
    """Build the model of `waveform_model` or `features_model`, for the formats that have several outputs by name.

    Args:
        classifier: Classifier or ensemble.
        features: Whether the model takes features instead of a waveform.
        members: Whether to add the output "members" ``(batch, members, classes)``: the probabilities of each member of an
            ensemble, or of the classifier, before any temperature. A clip of several windows needs them, because its scores
            are pooled before the temperature. A classifier without a temperature, and a probe, do not get the output.

    Returns:
        The model, whose outputs are named "probabilities" and "members".

    Raises:
        ValueError: See `waveform_model` and `features_model`.
    """
    if isinstance(classifier, Ensemble):
        if features:
            raise ValueError("an ensemble has several frontends, so it cannot take features: export its members one by one")
        _check_windows(classifier)
        inputs = keras.Input(_window_shape(classifier.window_frontend), name="waveform")
        raw = [_member(member, inputs) for member in classifier.members]
    else:
        inputs = keras.Input(classifier.frontend.shape, name="features") if features else None
        inputs, scores = _raw(classifier, inputs)
        raw = [(scores, classifier.temperature)]
    outputs = {PROBABILITIES: _combined(classifier, raw)}
    if members and has_members(classifier):
        outputs[MEMBERS] = keras.ops.stack([scores for scores, _ in raw], axis=1)
    name = "ensemble" if isinstance(classifier, Ensemble) else _network_name(classifier)
    shown = outputs if members else outputs[PROBABILITIES]
    return keras.Model(inputs, shown, name=f"{name}_from_{'features' if features else 'waveform'}")


def has_members(classifier: Classifier | Ensemble) -> bool:
    """Tell whether the answer for several windows needs the output "members"."""
    if isinstance(classifier, Ensemble):
        return is_exact(classifier)
    return is_exact(classifier) and classifier.temperature != 1


def is_exact(classifier: Classifier | Ensemble) -> bool:
    """Tell whether the scores of a clip follow from those of its windows: those of a probe do not."""
    members = classifier.members if isinstance(classifier, Ensemble) else (classifier,)
    return not any(isinstance(member.scorer, ProbeScorer) for member in members)


def _network_name(classifier: Classifier) -> str:
    scorer = classifier.scorer
    return str(scorer.network.model.name if isinstance(scorer, ProbeScorer) else scorer.model.name)  # type: ignore[attr-defined]


def _window_shape(frontend: Any) -> tuple[int, ...]:
    return (frontend.samples,) if frontend.channels == 1 else (frontend.samples, frontend.channels)


def _check_windows(ensemble: Ensemble) -> None:
    windows = [(one.frontend.sample_rate, one.frontend.samples, one.frontend.channels) for one in ensemble.members]
    if len(set(windows)) > 1:
        found = "; ".join(f"{rate} Hz, {samples} samples, {channels} channel(s)" for rate, samples, channels in windows)
        raise ValueError(
            f"the members of an exported ensemble must take the same windows of sound, they take {found}: export each member, "
            "or train with frontends of one rate, duration and number of channels"
        )


def _member(member: Classifier, waves: Any) -> tuple[Any, float]:
    """Return the scores of a member before its temperature, in the order of its own labels, and the temperature."""
    entry, scores = _raw(member, None)
    return keras.Model(entry, scores)(waves), member.temperature


def _combined(classifier: Classifier | Ensemble, raw: list[tuple[Any, float]]) -> Any:
    if not isinstance(classifier, Ensemble):
        return _tempered(raw[0][0], classifier.temperature, classifier.activation)
    for place, (order, member) in enumerate(zip(classifier.orders, classifier.members, strict=True)):
        # A matrix brings the scores of a member into the order of the ensemble's labels.
        raw[place] = linear(raw[place][0], np.eye(len(order))[order]), member.temperature
    parts = [
        _tempered(scores, temperature, member.activation) * weight
        for (scores, temperature), member, weight in zip(raw, classifier.members, classifier.weights or (), strict=True)
    ]
    return _tempered(keras.layers.Add()(parts), classifier.temperature, classifier.activation)


def _raw(classifier: Classifier, inputs: Any) -> tuple[Any, Any]:
    """Return input and scores before the temperature; an input of `None` becomes a waveform."""
    scorer = classifier.scorer
    if not isinstance(scorer, (KerasScorer, ProbeScorer)):
        raise ValueError(
            f"only a classifier with a KerasScorer or a probe can be exported, this one has a {type(scorer).__name__}"
        )
    if inputs is None:
        frontend = frontend_model(classifier.frontend)
        inputs, values = frontend.input, frontend.output
    else:
        values = inputs
    values = _standardised(values, classifier.scaler)
    return inputs, _probed(scorer, values) if isinstance(scorer, ProbeScorer) else _for_use(scorer.model)(values)


def _probed(scorer: ProbeScorer, values: Any) -> Any:
    """Return the scores of a probe for clips of one window: mean and maximum are the embedding, the deviation is unknown."""
    network = scorer.network.model
    embedding = keras.Model(network.inputs[0], network.get_layer("embedding").output)(values)
    statistics = keras.ops.sign(embedding) * keras.ops.log(1 + keras.ops.absolute(embedding))
    head, width = scorer.head, scorer.network.embedding_width
    weights = (head.kernel.astype(np.float64) / head.deviation[:, None])[: 2 * width]
    bias = head.bias - head.mean[: 2 * width] @ weights
    layer = keras.layers.Dense(len(head.bias), activation=head.activation, dtype="float32", trainable=False)
    scores = layer(statistics)
    layer.set_weights([weights[:width] + weights[width:], bias])
    return scores


def _for_use(network: Any) -> Any:
    """Remove everything that only training needs: compilation, further outputs, a reconstruction and its loss."""
    from audiozoo.keras_layers import ReconstructionLoss

    inputs, outputs = network.inputs[0], network.outputs[0]
    for layer in network.layers:
        if isinstance(layer, ReconstructionLoss):
            # The layer passes its first input through: one model ends there, and the other continues from there.
            passed = keras.Model(inputs, layer.input[0])
            outputs = keras.Model(layer.output, outputs)(passed(inputs))
    return keras.Model(inputs, outputs, name=network.name)


def _standardised(x: Any, scaler: Scaler) -> Any:
    # Two layers, as the scaler has two operations. keras.layers.Normalization would limit deviations to 1e-7.
    centred = keras.layers.Rescaling(1.0, offset=-scaler.mean, dtype="float32")(x)
    return keras.layers.Rescaling(1 / scaler.deviation, dtype="float32")(centred)


def _tempered(scores: Any, temperature: float, activation: Activation) -> Any:
    """Divide the logits by the temperature, as the classifier itself does."""
    if temperature == 1:
        return scores
    if activation is None:
        raise ValueError(
            f"export with a temperature ({temperature}) needs a network whose last layer has the activation softmax or "
            "sigmoid: add such a layer, or set the temperature to 1"
        )
    present, absent = (keras.ops.log(keras.ops.maximum(p, 1e-12)) / temperature for p in (scores, 1 - scores))
    return keras.ops.softmax(present) if activation == "softmax" else keras.ops.sigmoid(present - absent)
