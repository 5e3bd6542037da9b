"""The Keras layers of the package agree with their formulas and load in a saved model."""

import sys

import keras
import numpy as np
import pytest

from audiozoo.classifier import KerasScorer
from audiozoo.keras_layers import FrameAttention, ReconstructionLoss, SelfAttention


def number(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def with_random_weights(layer, shape, rng):
    layer.build((None, *shape))
    layer.set_weights([rng.normal(0, 0.5, weight.shape) for weight in layer.get_weights()])
    return layer, [weight.astype(np.float64) for weight in layer.get_weights()]


def softmax(x, axis):
    powers = np.exp(x)
    return powers / powers.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("return_sequences", [True, False])
def test_frame_attention_equals_its_formula(return_sequences, rng):
    layer, (kernel, bias) = with_random_weights(FrameAttention(return_sequences=return_sequences), (5, 3), rng)
    x = rng.normal(0, 1, (2, 5, 3)).astype(np.float32)
    weighed = x * softmax(np.tanh(x @ kernel + bias), axis=1)
    assert np.allclose(number(layer(x)), weighed if return_sequences else weighed.sum(axis=1), atol=1e-6)


def test_self_attention_equals_its_formula(rng):
    layer, (query, key, bias, energy, offset) = with_random_weights(SelfAttention(4), (5, 3), rng)
    x = rng.normal(0, 1, (2, 5, 3)).astype(np.float32)
    expected = np.empty_like(x)
    for clip in range(2):
        for t in range(5):
            hidden = np.tanh(x[clip, t] @ query + x[clip] @ key + bias)
            scores = 1 / (1 + np.exp(-(hidden @ energy + offset)))
            expected[clip, t] = (softmax(scores, axis=0) * x[clip]).sum(axis=0)
    assert np.allclose(number(layer(x)), expected, atol=1e-6)


def test_the_reconstruction_loss_adds_the_mean_squared_error(rng):
    layer = ReconstructionLoss(0.5)
    passed, original, reconstruction = (rng.normal(0, 1, shape).astype(np.float32) for shape in ((2, 3), (2, 4), (2, 4)))
    assert np.array_equal(number(layer([passed, original, reconstruction])), passed)
    (loss,) = layer.losses
    assert float(number(loss)) == pytest.approx(0.5 * np.mean((original - reconstruction) ** 2), rel=1e-5)


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (FrameAttention(), (None, 5, 3)),
        (FrameAttention(return_sequences=False), (None, 5, 3)),
        (SelfAttention(8), (None, 5, 3)),
        (ReconstructionLoss(0.5), [(None, 3), (None, 4), (None, 4)]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_output_shape_and_config_are_right(layer, inputs):
    shapes = inputs if isinstance(inputs, list) else [inputs]
    zeros = [np.zeros((2, *shape[1:]), np.float32) for shape in shapes]
    given = layer(zeros if isinstance(inputs, list) else zeros[0])
    assert tuple(given.shape[1:]) == layer.compute_output_shape(inputs)[1:]
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape(inputs) == layer.compute_output_shape(inputs)


def test_a_small_error_does_not_underflow_in_half_precision():
    layer = ReconstructionLoss(dtype="mixed_float16")
    original = np.zeros((1, 4), np.float16)
    layer([original, original, original + np.float16(1e-4)])
    assert float(number(layer.losses[0])) == pytest.approx(1e-8, rel=0.01)


def test_a_saved_model_loads_before_anybody_imports_the_layers(rng, monkeypatch):
    inputs = keras.Input((5, 3))
    x = FrameAttention(return_sequences=False, name="embedding")(SelfAttention(4)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    files = KerasScorer(model).to_files()
    known = keras.saving.get_custom_objects()
    for name in [name for name in known if name.startswith("audiozoo>")]:
        monkeypatch.delitem(known, name)
    monkeypatch.delitem(sys.modules, "audiozoo.keras_layers")
    windows = rng.normal(0, 1, (2, 5, 3)).astype(np.float32)
    assert np.allclose(KerasScorer.from_files(files).scores(windows), KerasScorer(model).scores(windows), atol=1e-6)
