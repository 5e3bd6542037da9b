"""What every model of the registry must pass; a new one is found and tested without a line here."""

import functools
import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from architectures import (
    REGENERATE,
    expected_parameters,
    is_heavy,
    is_large_relative,
    known,
    layer_lines,
    shared,
    small,
    small_shape,
)

import audiozoo

NAMES = audiozoo.list_models()
# The slow tests build all sizes of a network, those that run each time the smallest.
EACH = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if is_large_relative(name) else ()) for name in NAMES]
)

# Quicker than compiling for a few calls, but on JAX, which then compiles each operation by itself.
EAGERLY = keras.backend.backend() != "jax"
EVERY_NAME = pytest.mark.parametrize("name", NAMES)
# What takes seconds for networks that are large at any size is left to the slow tests.
EACH_IN_TIME = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if is_heavy(name) or is_large_relative(name) else ()) for name in NAMES],
)


# So small an initial deviation that the first gradients are below the least number of single precision, where they are cut.
LEARNABLE = {"freesound2018_baseline": {"initial_deviation": 0.05}}


def windows(name, count=4):
    return np.random.default_rng(7).normal(0, 1, (count, *small_shape(name))).astype(np.float32)


@functools.cache
def multiply_adds():
    return runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks" / "models.py"))["multiply_adds"]


@functools.cache
def sounds(name):
    """Return noise, quieter noise, silence and something far too loud."""
    return windows(name) * np.float32([1, 0.01, 0, 100]).reshape(4, *[1] * len(small_shape(name)))


@functools.cache
def scores(name):
    return answers(shared(name), sounds(name))


def answers(model, batch):
    """Return what the first output says."""
    outputs = model(batch) if EAGERLY else model.predict_on_batch(batch)
    return array(outputs[0] if isinstance(outputs, (list, tuple)) else outputs)


def array(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def activation_of(name):
    return audiozoo.model_info(name).options["activation"]


def examples(name, model):
    """Return windows, and for each output labels as its activation wants them."""
    labels = np.arange(6) % 3
    labels = labels if activation_of(name) == "softmax" else np.eye(3)[labels]
    return windows(name, 6), (labels,) * len(model.outputs) if len(model.outputs) > 1 else labels


def compiled(name, model, optimizer, *, eagerly=EAGERLY):
    loss = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}[activation_of(name)]
    model.compile(optimizer, [loss] * len(model.outputs) if len(model.outputs) > 1 else loss, run_eagerly=eagerly)
    return model


def step_of(model):
    """Return each trainable weight's path and downhill direction, as the first step of Adam left them in the optimizer."""
    moments = [array(variable) for variable in model.optimizer.variables if variable.path.endswith("momentum")]
    return [(weight.path, -moment) for weight, moment in zip(model.trainable_weights, moments, strict=True)]


def calm(model):
    """Rebuild a model without dropout, and so that the latest batch is all that its normalisation remembers."""
    rebuilt = type(model).from_config(_calm(model.get_config()))
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _calm(config):
    if isinstance(config, list):
        return [_calm(value) for value in config]
    if not isinstance(config, dict):
        return config
    return {key: 0.0 if key in ("rate", "dropout", "momentum") else _calm(value) for key, value in config.items()}


@EACH
def test_has_the_published_number_of_parameters_and_multiply_adds(name):
    reference = audiozoo.model_info(name).reference
    model = audiozoo.build(name, reference.num_classes, input_shape=reference.input_shape, **reference.options)
    assert model.count_params() == reference.parameters == known()[name]["parameters"]
    assert multiply_adds()(model) == reference.multiply_adds, f"see `python benchmarks/models.py --multiply-adds {name}`"


@EACH
def test_every_layer_is_as_compared_with_its_source(name):
    """The settings in the file were compared with the sources once; the numbers of parameters in it come from formulas."""
    lines = layer_lines(shared(name), lambda layer: layer.count_params())
    assert lines == known()[name]["layers"], REGENERATE


def test_the_formulas_see_every_setting():
    inputs = keras.Input((12, 10, 4))
    layers = [
        keras.layers.Conv2D(6, (3, 5), groups=2, use_bias=False),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2),
        keras.layers.BatchNormalization(axis=1, scale=False),
        keras.layers.Dense(5, use_bias=False),
    ]
    x = inputs
    for layer in layers:
        x = layer(x)
    x = keras.layers.Reshape((-1, 5))(x)
    layers += [keras.layers.GRU(3, return_sequences=True), keras.layers.Bidirectional(keras.layers.LSTM(3, use_bias=False))]
    for layer in layers[-2:]:
        x = layer(x)
    by_hand = [3 * 5 * 2 * 6, 3 * 3 * 12 + 12, 3 * 8, 12 * 5, 3 * (5 * 3 + 3 * 3 + 2 * 3), 2 * 4 * (3 * 3 + 3 * 3)]
    assert [expected_parameters(layer) for layer in layers] == by_hand == [layer.count_params() for layer in layers]


@EVERY_NAME
def test_the_small_input_is_small(name):
    assert np.prod(small_shape(name)) <= np.prod(audiozoo.model_info(name).reference.input_shape)


@EVERY_NAME
def test_the_frontend_gives_what_the_reference_takes(name):
    spec = audiozoo.model_info(name)
    assert spec.frontend.shape == spec.reference.input_shape


@EVERY_NAME
def test_the_card_is_complete(name):
    spec = audiozoo.model_info(name)
    assert spec.description.endswith(".")
    assert spec.paper
    assert 1990 < spec.year < 2100
    assert list(spec.options)[-1] in ("activation", "auxiliary")
    json.dumps(spec.frontend.to_config())
    assert audiozoo.recipe_for(name).epochs > 0


@EACH
def test_gives_probabilities_for_sound_silence_and_full_scale_noise(name):
    assert scores(name).shape == (4, 3)
    assert np.isfinite(scores(name)).all()
    if activation_of(name) == "softmax":
        assert np.allclose(scores(name).sum(axis=1), 1, atol=1e-5)
    else:
        assert ((scores(name) >= 0) & (scores(name) <= 1)).all()


@EACH
def test_ends_in_embedding_logits_probabilities(name):
    model = shared(name)
    ends = [model.get_layer(layer) for layer in ("embedding", "logits", "probabilities")]
    assert len(ends[0].output.shape) == 2
    assert ends[2].output is model.outputs[0]
    logits = small(name, activation=None)
    logits.set_weights(model.get_weights())
    activation = getattr(keras.ops, activation_of(name))
    assert np.allclose(activation(answers(logits, sounds(name))), scores(name), atol=1e-5)


@EACH_IN_TIME
def test_gives_one_label_or_several(name):
    other = {"softmax": "sigmoid", "sigmoid": "softmax"}[activation_of(name)]
    assert small(name, activation=other).get_layer("probabilities").activation is getattr(keras.activations, other)


@EACH
def test_an_answer_does_not_depend_on_its_batch_mates(name):
    alone = answers(shared(name), sounds(name)[:1])
    assert np.allclose(alone, scores(name)[:1], atol=1e-5)


@EACH_IN_TIME
def test_fits_as_any_keras_model_and_a_step_lowers_the_loss_in_use(name):
    # Without a learning rate, a step finds the gradient and what normalisation is to remember, and moves no weight.
    model = compiled(name, calm(small(name, **LEARNABLE.get(name, {}))), keras.optimizers.Adam(0.0))
    untouched = model.get_weights()
    x, y = examples(name, model)
    assert np.isfinite(model.fit(x, y, batch_size=6, epochs=1, verbose=0).history["loss"]).all()
    assert [path for path, step in step_of(model) if path.endswith(("kernel", "gamma")) and not step.any()] == []
    pairs = zip(model.weights, model.get_weights(), untouched, strict=True)
    assert [weight.path for weight, now, old in pairs if "moving" in weight.path and np.array_equal(now, old)] == []

    loss, before = evaluated(model, x, y), [array(weight) for weight in model.trainable_weights]
    steps = [step for _, step in step_of(model)]
    steepness = sum(float(np.sum(step**2)) for step in steps)

    def lowers(share):
        for weight, old, step in zip(model.trainable_weights, before, steps, strict=True):
            weight.assign(old + np.float32(share * loss / steepness) * step)
        model.train_on_batch(x, y)
        return evaluated(model, x, y) < loss

    assert any(lowers(share) for share in (1e-2, 1e-3, 1e-4))


def evaluated(model, x, y):
    results = model.evaluate(x, y, verbose=0)
    return results[0] if isinstance(results, list) else results


@EACH_IN_TIME
def test_saves_and_loads_in_safe_mode(name, tmp_path):
    shared(name).save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.allclose(answers(again, sounds(name)), scores(name), atol=1e-6)


REPRESENTATIVES = [
    "house_cnn",
    "joint_autoencoder",
    "lstm_time_distributed",
    "cldnn_attention",
    "soundnet_cnn",
    "subspectralnet",
    "bcresnet_1",
    "cp_mobile",
    "matchboxnet_3x1x64",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_trains_compiled(name):
    model = compiled(name, small(name), "adam", eagerly=False)
    x, y = examples(name, model)
    history = model.fit(x, y, batch_size=6, epochs=30, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


_OTHER = """
import sys, numpy, keras, audiozoo.keras_layers
model = keras.saving.load_model(sys.argv[1], safe_mode=True)
scores = model(numpy.load(sys.argv[2]))
numpy.save(sys.argv[3], keras.ops.convert_to_numpy(scores[0] if isinstance(scores, (list, tuple)) else scores))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", REPRESENTATIVES)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_loads_on_another_backend(name, backend, tmp_path):
    if backend == keras.backend.backend() or importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is this backend, or not there")
    model, sound, answer = tmp_path / "model.keras", tmp_path / "sound.npy", tmp_path / "answer.npy"
    shared(name).save(model)
    np.save(sound, sounds(name))
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", _OTHER, model, sound, answer], check=True, env=environment, capture_output=True)
    assert np.allclose(np.load(answer), scores(name), atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")  # Keras' export asks NumPy for an old name
@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_exports_to_onnx(name, tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the export to ONNX goes through TensorFlow")
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    expected = scores(name)
    shared(name).export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    [first, *_] = session.run(None, {session.get_inputs()[0].name: sounds(name)})
    assert np.allclose(first, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("bands", "channels", "size", "hop", "auxiliary", "parameters"),
    [
        (40, 2, 20, 10, True, 331_344),
        (40, 2, 20, 10, False, 330_354),
        (200, 2, 20, 10, True, 2_540_016),
        (200, 2, 20, 10, False, 2_533_746),
        (40, 2, 10, 10, True, 457_906),
        (40, 2, 30, 10, True, 221_214),
        (200, 2, 80, 40, True, 459_026),
        (40, 1, 20, 10, True, 326_640),
    ],
)
def test_subspectralnet_as_published(bands, channels, size, hop, auxiliary, parameters):
    model = audiozoo.build(
        "subspectralnet",
        input_shape=(bands, 500, channels),
        sub_band_size=size,
        sub_band_step=hop,
        auxiliary=auxiliary,
    )
    assert model.count_params() == parameters


SQUARE = (128, 128, 1)
SECONDS_3 = (30_000, 1)
ADDITIVE = {"attention": "additive"}


@pytest.mark.parametrize(
    ("name", "shape", "classes", "options", "parameters"),
    [
        ("subspectralnet", (40, 500, 2), 10, {"auxiliary": True, "normalization_axis": "channel"}, 332_136),
        ("dcase2018_baseline", (40, 500, 1), 10, {"normalization_axis": "channel"}, 116_310),
        ("dcase2018_baseline", (40, 500, 2), 10, {}, 117_686),
        ("dcase2018_baseline", (200, 500, 2), 10, {}, 169_654),
        ("feature_mlp", (128,), 6, {}, 158_758),
        ("feature_mlp", (200,), 6, {}, 177_190),
        ("feature_mlp", (257,), 10, {}, 191_914),
        ("feature_mlp", (257,), 50, {}, 193_234),
        ("feature_cnn", (40, 5, 1), 10, {}, 998_922),
        ("lstm", SQUARE, 6, {}, 411_078),
        ("lstm", SQUARE, 10, {}, 411_338),
        ("lstm", SQUARE, 50, {}, 413_938),
        ("lstm", (120, 300, 1), 8, {}, 403_016),
        # A weight for each of the 256 units and each of the 128 frames.
        ("lstm", SQUARE, 8, {**ADDITIVE, "attention_at": "sum"}, 411_208 + 256 + 128),
        ("lstm", SQUARE, 8, {**ADDITIVE, "attention_at": "flatten"}, 411_208 + 256 + 128 + 127 * 256 * 64),
        ("lstm", SQUARE, 8, {"attention": "self", "attention_at": "flatten"}, 411_208 + 16_449 + 127 * 256 * 64),
        ("lstm_stacked", SQUARE, 10, {}, 322_186),
        ("lstm_stacked", SQUARE, 6, ADDITIVE, 321_670 + 128 + 128),
        ("resnet_lstm", SQUARE, 6, {**ADDITIVE, "attention_at": "between"}, 25_732_806 + 64 + 4),
        ("resnet_lstm", SQUARE, 6, {"attention": "self", "attention_at": "flatten"}, 25_732_806 + 4_161 + 3 * 64 * 64),
        ("lstm_stacked", SQUARE, 6, {**ADDITIVE, "attention_at": "sum"}, 321_670 + 64 + 128),
        ("lstm_time_distributed", SQUARE, 10, {}, 284_418),
        ("lstm_time_distributed", SQUARE, 6, {**ADDITIVE, "attention_at": "flatten"}, 280_318 + 128 + 128),
        ("lstm_time_distributed", SQUARE, 6, {**ADDITIVE, "attention_at": "sum"}, 280_318 + 128 + 128 - 127 * 8 * 6),
        ("cldnn", SQUARE, 10, {}, 1_264_554),
        ("cldnn", SQUARE, 50, {}, 1_267_154),
        ("cldnn", SQUARE, 8, {"filters": (16, 32, 64)}, 1_262_824),
        ("cldnn", SQUARE, 8, ADDITIVE, 1_264_424 + 128 + 32),
        ("cldnn_bidirectional", SQUARE, 10, {}, 2_712_234),
        ("cldnn_bidirectional", SQUARE, 50, {}, 2_714_834),
        ("cldnn_bidirectional", SQUARE, 6, ADDITIVE, 2_712_262),
        ("cldnn_bidirectional", SQUARE, 6, {"attention": "self"}, 2_728_423),
        ("cldnn_attention", SQUARE, 6, {"attention_at": "sum"}, 2_712_262),
        ("cldnn_attention", SQUARE, 6, {"attention_at": "flatten"}, 3_220_166),
        ("cldnn_self_attention", SQUARE, 6, {"attention_at": "flatten"}, 2_728_423 + 31 * 256 * 64),
        ("joint_autoencoder", SQUARE, 6, {}, 728_171),
        ("joint_autoencoder", SQUARE, 10, {}, 728_303),
        ("joint_autoencoder", SQUARE, 50, {}, 729_623),
        ("joint_autoencoder", SQUARE, 10, {"dense_decoder": True}, 1_407_087),
        ("soundnet_cnn", SECONDS_3, 6, {}, 6_082_934),
        ("soundnet_cnn", SECONDS_3, 10, {}, 6_083_450),
        ("soundnet_cnn", SECONDS_3, 50, {}, 6_088_610),
        ("soundnet_cnn", SECONDS_3, 8, {"normalize": True}, 6_091_320),
        ("soundnet_cnn", SECONDS_3, 10, {"normalize": True}, 6_091_578),
        ("soundnet_lstm", SECONDS_3, 6, {}, 1_495_926),
        ("soundnet_lstm", SECONDS_3, 10, {}, 1_496_442),
        ("soundnet_lstm", SECONDS_3, 50, {}, 1_501_602),
        ("soundnet_lstm", SECONDS_3, 10, {"normalize": True}, 1_498_426),
        ("soundnet_lstm", SECONDS_3, 8, {"every_step": True}, 3_069_048),
        ("soundnet_lstm", SECONDS_3, 8, {"convolutions": 6}, 2_283_128),
        ("soundnet_lstm", SECONDS_3, 8, {"convolutions": 6, "every_step": True}, 3_855_992),
        ("soundnet_lstm", SECONDS_3, 8, {"convolutions": 6, "every_step": True, "pool_padding": "same"}, 4_118_136),
        ("soundnet_lstm", SECONDS_3, 8, ADDITIVE, 1_496_184 + 256 + 13),
        ("subspectral_cnn", (512, 128, 1), 6, {}, 35_192_102),
    ],
)
def test_variants_as_published(name, shape, classes, options, parameters):
    assert audiozoo.build(name, classes, input_shape=shape, **options).count_params() == parameters


@pytest.mark.parametrize(("name", "sub_bands"), [("subspectralnet", 3), ("subspectral_cnn", 2)])
def test_auxiliary_outputs_follow_the_first(name, sub_bands):
    assert len(shared(name).outputs) == 1 + sub_bands
    assert shared(name).output_names[0] == "probabilities"
    assert len(small(name, auxiliary=False).outputs) == 1


@pytest.mark.parametrize(
    ("name", "shape", "smallest"),
    [
        ("dcase2018_baseline", (19, 50, 1), "20, 5"),
        ("subspectralnet", (40, 4, 1), "20, 5"),
        ("house_cnn", (8, 50, 1), "16, 16"),
        ("cldnn", (3, 50, 1), "4, 4"),
        ("cldnn_bidirectional", (40, 3, 1), "4, 4"),
        ("soundnet_cnn", (7_096, 1), "7097"),
        ("soundnet_lstm", (3_576, 1), "3577"),
        ("subspectral_cnn", (127, 50, 1), "128, 16"),
    ],
)
def test_too_small_an_input_is_told_the_smallest(name, shape, smallest):
    with pytest.raises(ValueError, match=smallest):
        audiozoo.build(name, 3, input_shape=shape)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cldnn", (4, 4, 1)),
        ("cldnn_bidirectional", (4, 4, 1)),
        ("soundnet_cnn", (7_097, 1)),
        ("soundnet_lstm", (3_577, 1)),
        ("joint_autoencoder", (5, 3, 2)),
        ("feature_cnn", (1, 1, 3)),
        ("lstm", (1, 1, 2)),
    ],
)
def test_the_smallest_input_works(name, shape):
    model = audiozoo.build(name, 3, input_shape=shape)
    assert np.isfinite(answers(model, np.ones((2, *shape), np.float32))).all()


@pytest.mark.parametrize("name", ["subspectralnet", "subspectral_cnn"])
@pytest.mark.parametrize("options", [{"sub_band_size": 9}, {"sub_band_step": 0}, {"sub_band_size": 41}])
def test_impossible_sub_bands_are_refused(name, options):
    with pytest.raises(ValueError, match=r"sub_band|at least"):
        audiozoo.build(name, 3, input_shape=(40, 50, 1), **options)


def test_an_unknown_normalization_axis_is_refused():
    with pytest.raises(ValueError, match="normalization_axis"):
        audiozoo.build("subspectralnet", 3, input_shape=(40, 50, 1), normalization_axis="time")


@pytest.mark.parametrize(("name", "width"), [("subspectralnet", 32), ("subspectral_cnn", 64)])
def test_a_single_sub_band_needs_no_joining(name, width):
    model = audiozoo.build(name, 3, input_shape=(40, 50, 1), sub_band_size=40)
    assert model.get_layer("embedding").output.shape == (None, width)


@pytest.mark.parametrize(
    ("name", "options", "hint"),
    [
        ("lstm", {"attention": "additive", "attention_at": "between"}, "'sum' or 'flatten'"),
        ("cldnn", {"attention": "self", "attention_at": "sum"}, "'between' or 'flatten'"),
        ("cldnn_self_attention", {"attention_at": "sum"}, "'between' or 'flatten'"),
        ("cldnn", {"attention": "multiplicative"}, "'multiplicative'"),
        ("lstm_stacked", {"attention_at": "first"}, "'first'"),
        ("soundnet_lstm", {"convolutions": 8}, "1 to 7"),
        ("joint_autoencoder", {"reconstruction_weight": -1.0}, "at least 0"),
    ],
)
def test_impossible_options_are_refused(name, options, hint):
    with pytest.raises(ValueError, match=hint):
        small(name, **options)


@pytest.mark.parametrize("attention", ["additive", "self"])
def test_attention_sees_frames_and_not_bands(attention):
    model = small("cldnn", attention=attention)
    layer = next(layer for layer in model.layers if type(layer).__name__ in ("FrameAttention", "SelfAttention"))
    assert layer.input.shape == (None, 2, 128)


def test_the_reconstruction_is_trained_by_its_own_loss():
    model = compiled("joint_autoencoder", calm(small("joint_autoencoder")), keras.optimizers.SGD(0.01))
    x, y = np.abs(windows("joint_autoencoder", 6)) / 4, np.arange(6) % 3
    decoder = keras.Model(model.inputs[0], model.get_layer("reconstruction").output)
    error = np.mean((answers(decoder, x) - x) ** 2)
    classification = array(keras.losses.sparse_categorical_crossentropy(y, answers(model, x))).mean()
    assert evaluated(model, x, y) == pytest.approx(error + classification, rel=1e-5)
    before = decoder.get_weights()
    model.fit(x, y, epochs=1, batch_size=6, verbose=0)
    pairs = zip(decoder.weights, decoder.get_weights(), before, strict=True)
    assert [weight.path for weight, now, old in pairs if "kernel" in weight.path and np.array_equal(now, old)] == []
    error = np.mean((answers(decoder, x) - x) ** 2)
    model.fit(x, y, epochs=5, batch_size=6, verbose=0)
    assert np.mean((answers(decoder, x) - x) ** 2) < error


def test_the_reconstruction_has_the_inputs_shape_and_the_autoencoders_parameters():
    model = audiozoo.build("joint_autoencoder", 6, input_shape=SQUARE)
    autoencoder = keras.Model(model.inputs[0], model.get_layer("reconstruction").output)
    assert autoencoder.count_params() == 721_733
    odd = audiozoo.build("joint_autoencoder", 6, input_shape=(40, 50, 2))
    assert odd.get_layer("reconstruction").output.shape == (None, 40, 50, 2)


def test_without_a_reconstruction_weight_there_is_no_decoder():
    model = compiled("joint_autoencoder", small("joint_autoencoder", reconstruction_weight=0), "adam")
    assert "reconstruction" not in [layer.name for layer in model.layers]
    x, y = examples("joint_autoencoder", model)
    expected = array(keras.losses.sparse_categorical_crossentropy(y, answers(model, x))).mean()
    assert evaluated(model, x, y) == pytest.approx(expected, rel=1e-5)
