"""Networks for small devices equal their published code, and take what they can take."""

import functools

import keras
import numpy as np
import pytest
from parity import assert_parity, fixture, made_tensors, save_checkpoint
from torchfiles import save_torch

import audiozoo

SUB_SPECTRAL = "BCBlocks.0.0.f2.1.block.1.ssnorm.bias"


def reference_input():
    """Return the input of the fixtures, as (bands, frames, channels)."""
    return np.random.default_rng(2_026).standard_normal((1, 1, 40, 101)).astype(np.float32)[0].transpose(1, 2, 0)


@pytest.mark.parametrize("name", ["bcresnet_1", pytest.param("bcresnet_3", marks=pytest.mark.slow)])
def test_bcresnet_computes_what_the_authors_code_computes(name, tmp_path):
    assert_parity(name, save_checkpoint(tmp_path, fixture(name)[0]), inputs=reference_input())


def checkpoint_of(name, folder, **changes):
    """Write a made checkpoint with some tensors changed; `None` leaves a tensor out."""
    tensors = {**made_tensors(fixture(name)[0]), **changes}
    return save_torch(folder / "made.pth", {key: tensor for key, tensor in tensors.items() if tensor is not None})


@functools.cache
def bcresnet():
    """Build a network once for all tests that only try to fill it."""
    return audiozoo.build("bcresnet_1", 12)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("bcresnet_1", {"classifier.5.bias": None}, r"classifier\.5\.bias missing"),
        ("bcresnet_1", {"BCBlocks.9.weight": np.zeros(3, np.float32)}, r"no place for BCBlocks\.9\.weight"),
        ("bcresnet_1", {SUB_SPECTRAL: np.zeros(60, np.float32)}, r"ssnorm\.bias is \(60,\), .* needs \(40,\)"),
        ("bcresnet_1", {SUB_SPECTRAL: np.zeros(41, np.float32)}, r"ssnorm\.bias is \(41,\), .* needs \(40,\)"),
        ("bcresnet_1", {"cnn_head.1.bias": np.full(16, np.nan, np.float32)}, r"cnn_head\.1\.bias"),
        ("bcresnet_3", {}, r"cnn_head\.0\.weight is \(48, 1, 5, 5\), bcresnet_1 needs \(16, 1, 5, 5\)"),
    ],
)
def test_another_checkpoint_is_refused(name, changes, reason, tmp_path):
    before = bcresnet().get_weights()
    with pytest.raises(ValueError, match=rf"made\.pth: .*{reason}"):
        audiozoo.model_info("bcresnet_1").load_weights(bcresnet(), checkpoint_of(name, tmp_path, **changes))
    assert all(map(np.array_equal, bcresnet().get_weights(), before))


def test_for_other_classes_a_checkpoint_fills_all_layers_but_the_last(tmp_path):
    path = checkpoint_of("bcresnet_1", tmp_path)
    *same, kernel, bias = audiozoo.build("bcresnet_1", 5, weights_file=path).get_weights()
    audiozoo.model_info("bcresnet_1").load_weights(bcresnet(), path)
    assert all(map(np.array_equal, same, bcresnet().get_weights()))
    assert (kernel.shape, bias.tolist()) == ((32, 5), [0.0] * 5)


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("name", "classes", "options", "weights"),
    [
        ("bcresnet_1_5", 12, {}, 17_154),
        ("cp_mobile", 10, {}, 126_952),
        ("cp_mobile", 10, {"multiplier": 1.8, "expansion": 2.1}, 61_160),
        ("cp_mobile", 10, {"filters": 8, "multiplier": 1.8, "expansion": 2}, 5_734),
        ("cp_mobile_baseline2024", 10, {}, 61_148),
    ],
)
def test_the_trainable_weights_are_as_published(name, classes, options, weights):
    assert trainable(audiozoo.build(name, classes, **options)) == weights


def test_the_baseline_takes_the_multiply_adds_that_its_authors_state():
    # They count the scores of all places; this network takes the mean first, but computes some places that it then drops.
    assert audiozoo.model_info("cp_mobile_baseline2024").reference.multiply_adds == pytest.approx(29.42e6, rel=0.01)


def test_bcresnet_groups_any_number_of_bands():
    model = audiozoo.build("bcresnet_1", 3, input_shape=(33, 1, 2))
    halved = [model.get_layer(f"stage{stage}_block0_bands_norm") for stage in range(3)]
    assert [(layer.input.shape[1], layer.groups) for layer in halved] == [(17, 1), (9, 3), (5, 5)]
    assert np.isfinite(keras.ops.convert_to_numpy(model(np.ones((2, 33, 1, 2), np.float32)))).all()


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("bcresnet_1", {"width": 0.1}, "width of at least 0.125, got 0.1"),
        ("bcresnet_1", {"input_shape": (32, 101, 1)}, r"bcresnet needs an input of at least \(33, 1\)"),
        ("cp_mobile", {"filters": 0}, "positive filters"),
        ("cp_mobile", {"strides": ((1, 1),) * 5}, "strides must be 6 pairs"),
        ("cp_mobile", {"strides": ((1, 0),) * 6}, "strides must be 6 pairs"),
        ("matchboxnet_3x1x64", {"repeat": 0}, "repeat and filters of at least 1, got repeat=0"),
    ],
)
def test_impossible_settings_are_refused(name, options, reason):
    with pytest.raises(ValueError, match=reason):
        audiozoo.build(name, 3, **options)


@pytest.mark.parametrize(("name", "shape"), [("cp_mobile", (1, 1, 1)), ("matchboxnet_3x2x64", (1, 1, 2))])
def test_the_smallest_input_works(name, shape):
    model = audiozoo.build(name, 3, input_shape=shape)
    assert np.isfinite(keras.ops.convert_to_numpy(model(np.ones((2, *shape), np.float32)))).all()


def test_cp_mobile_scores_the_mean_as_the_mean_of_the_scores(rng):
    model = audiozoo.build("cp_mobile", 3, input_shape=(32, 20, 1), filters=8, activation=None)
    model.get_layer("logits").set_weights(rng.uniform(0.5, 1, (4, 3)))
    x = rng.normal(0, 1, (2, 32, 20, 1)).astype(np.float32)
    places = keras.Model(model.inputs[0], model.get_layer("embedding").input)(x)
    # As published: a 1x1 convolution, its normalisation, then the mean over all places.
    scored = model.get_layer("logits")(model.get_layer("scores")(keras.ops.reshape(places, (-1, places.shape[-1]))))
    expected = keras.ops.convert_to_numpy(keras.ops.mean(keras.ops.reshape(scored, (2, -1, 3)), axis=1))
    assert np.allclose(keras.ops.convert_to_numpy(model(x)), expected, rtol=1e-4)


def test_paddings_are_the_same_on_both_sides():
    """A stride of 2 with Keras' own padding would look at other samples of an even input."""
    model = audiozoo.build("matchboxnet_3x1x64", 3, input_shape=(1, 64, 1))
    depthwise = next(layer for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv1D))
    assert depthwise.input.shape == (None, 64 + 5 + 5, 1)
    assert depthwise.output.shape == (None, 32, 1)
