"""The Keras layers of the package agree with their formulas and load in a saved model."""

import sys

import keras
import numpy as np
import pytest

from audiozoo.classifier import KerasScorer
from audiozoo.keras_layers import (
    FrameAttention,
    ReconstructionLoss,
    ResponseNormalization,
    SelfAttention,
    SubSpectralNormalization,
)


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


def test_sub_spectral_normalisation_is_batch_normalisation_of_each_group(rng):
    layer = SubSpectralNormalization(2, momentum=0.0, epsilon=1e-5)
    x = rng.normal(3, 2, (4, 6, 5, 3)).astype(np.float32)
    layer(x)
    gamma, beta = rng.normal(0, 1, (2, 6)).astype(np.float32)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    trained, used = number(layer(x, training=True)), number(layer(x, training=False))
    for group, bands in enumerate((slice(0, 3), slice(3, 6))):
        part, own = x[:, bands].astype(np.float64), slice(3 * group, 3 * group + 3)
        mean, variance = part.mean(axis=(0, 1, 2)), part.var(axis=(0, 1, 2))
        expected = (part - mean) / np.sqrt(variance + 1e-5) * gamma[own] + beta[own]
        assert np.allclose(trained[:, bands], expected, atol=1e-4)
        assert np.allclose(used[:, bands], expected, atol=2e-2)  # PyTorch corrects the variance that it remembers
        assert np.allclose(number(layer.moving_mean)[own], mean, atol=1e-4)


def test_groups_must_divide_the_bands():
    with pytest.raises(ValueError, match="multiple of groups=5, got 8 bands"):
        SubSpectralNormalization(5).build((None, 8, 3, 2))


def test_response_normalisation_equals_its_formula(rng):
    x = rng.normal(0, 1, (2, 4, 3, 5)).astype(np.float32)
    layer = ResponseNormalization()
    assert np.array_equal(number(layer(x)), x)
    layer.set_weights([np.float32([0.7]), np.float32([-0.2])])
    norms = np.sqrt(np.sum(x.astype(np.float64) ** 2, axis=(1, 2), keepdims=True))
    relative = norms / (norms.mean(axis=-1, keepdims=True) + 1e-6)
    assert np.allclose(number(layer(x)), x + 0.7 * x * relative - 0.2, atol=1e-5)


def test_response_normalisation_takes_silence_and_half_precision():
    layer = ResponseNormalization(dtype="mixed_float16")
    layer.build((None, 64, 64, 2))
    layer.set_weights([np.float32([1.0]), np.float32([0.0])])
    assert not number(layer(np.zeros((1, 64, 64, 2), np.float16))).any()
    loud = number(layer(np.full((1, 64, 64, 2), 100, np.float16)))
    assert np.allclose(loud, 200)  # the sum of the squares is beyond half precision


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (SubSpectralNormalization(2), (None, 4, 5, 3)),
        (ResponseNormalization(1e-3), (None, 4, 5, 3)),
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
