"""What every model of the registry must pass; a new one is found and tested without a line here."""

import json

import keras
import numpy as np
import pytest

import audiozoo

NAMES = audiozoo.list_models()
EACH = pytest.mark.parametrize("name", NAMES)
SMALL = {"vector": (30,), "waveform": (4_000, 1), "spectral": (40, 50, 1)}


def small(name, **options):
    return audiozoo.build(name, 3, input_shape=SMALL[audiozoo.model_info(name).input], seed=0, **options)


def windows(name, rng, count=4):
    return rng.normal(0, 1, (count, *SMALL[audiozoo.model_info(name).input])).astype(np.float32)


def first(outputs):
    return np.asarray(keras.ops.convert_to_numpy(outputs[0] if isinstance(outputs, (list, tuple)) else outputs))


@EACH
def test_has_the_published_number_of_parameters(name):
    reference = audiozoo.model_info(name).reference
    model = audiozoo.build(name, reference.num_classes, input_shape=reference.input_shape, **reference.options)
    assert model.count_params() == reference.parameters


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
        sub_band_hop=hop,
        auxiliary=auxiliary,
    )
    assert model.count_params() == parameters


@pytest.mark.parametrize(
    ("name", "shape", "options", "parameters"),
    [
        ("subspectralnet", (40, 500, 2), {"auxiliary": True, "normalization_axis": "channel"}, 332_136),
        ("dcase2018_baseline", (40, 500, 1), {"normalization_axis": "channel"}, 116_310),
        ("dcase2018_baseline", (40, 500, 2), {}, 117_686),
        ("dcase2018_baseline", (200, 500, 2), {}, 169_654),
        ("feature_mlp", (128,), {}, 158_758 + 4 * 33),
    ],
)
def test_variants_as_published(name, shape, options, parameters):
    assert audiozoo.build(name, 10, input_shape=shape, **options).count_params() == parameters


@EACH
def test_the_frontend_gives_what_the_reference_takes(name):
    spec = audiozoo.model_info(name)
    assert spec.frontend.shape == spec.reference.input_shape


@EACH
def test_the_card_is_complete(name):
    spec = audiozoo.model_info(name)
    assert spec.description.endswith(".")
    assert spec.paper
    assert 1990 < spec.year < 2100
    assert list(spec.options)[-1] in ("activation", "auxiliary")
    json.dumps(spec.frontend.to_config())
    assert audiozoo.recipe_for(name).epochs > 0


@EACH
def test_gives_probabilities_for_sound_silence_and_full_scale_noise(name, rng):
    model = small(name)
    for batch in (windows(name, rng), 0 * windows(name, rng), 100 * windows(name, rng)):
        scores = first(model(batch))
        assert scores.shape == (4, 3)
        assert np.isfinite(scores).all()
        if audiozoo.model_info(name).options["activation"] == "sigmoid":
            assert ((scores >= 0) & (scores <= 1)).all()
        else:
            assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)


@EACH
def test_ends_in_embedding_logits_probabilities(name, rng):
    model = small(name, activation="softmax")
    assert [model.get_layer(layer).name for layer in ("embedding", "logits", "probabilities")]
    logits = small(name, activation=None)
    logits.set_weights(model.get_weights())
    batch = windows(name, rng)
    assert np.allclose(first(keras.ops.softmax(logits(batch))), first(model(batch)), atol=1e-5)
    several = first(small(name, activation="sigmoid")(batch))
    assert ((several >= 0) & (several <= 1)).all()


@EACH
def test_an_answer_does_not_depend_on_its_batch_mates(name, rng):
    model, batch = small(name), windows(name, rng)
    alone = np.concatenate([first(model(batch[i : i + 1])) for i in range(4)])
    assert np.allclose(first(model(batch)), alone, atol=1e-5)


@EACH
def test_every_weight_learns(name, rng):
    options = {"auxiliary": True} if "auxiliary" in audiozoo.model_info(name).options else {}
    model = small(name, **options)
    before = [weight.copy() for weight in model.get_weights()]
    outputs = len(model.outputs)
    model.compile(keras.optimizers.SGD(0.1), ["sparse_categorical_crossentropy"] * outputs, run_eagerly=True)
    x, y = windows(name, rng, 8), np.arange(8) % 3
    model.train_on_batch(x, (y,) * outputs if outputs > 1 else y)
    frozen = [
        w.path for w, old in zip(model.weights, before, strict=True) if np.array_equal(keras.ops.convert_to_numpy(w), old)
    ]
    assert [path for path in frozen if "kernel" in path or "gamma" in path or "moving" in path] == []


@EACH
def test_compiles_and_fits_as_any_keras_model(name, rng):
    model = small(name)
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    history = model.fit(windows(name, rng, 6), np.arange(6) % 3, batch_size=6, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@EACH
def test_saves_and_loads_in_safe_mode(name, rng, tmp_path):
    model, batch = small(name), windows(name, rng)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.allclose(first(again(batch)), first(model(batch)), atol=1e-6)


def test_auxiliary_outputs_follow_the_first(rng):
    model, plain = small("subspectralnet", auxiliary=True), small("subspectralnet")
    assert len(model.outputs) == 1 + 3
    assert model.output_names[0] == "probabilities"
    assert len(plain.outputs) == 1


@pytest.mark.parametrize(
    ("name", "shape", "smallest"),
    [
        ("dcase2018_baseline", (19, 50, 1), "20, 5"),
        ("subspectralnet", (40, 4, 1), "20, 5"),
        ("house_cnn", (8, 50, 1), "16, 16"),
    ],
)
def test_too_small_an_input_is_told_the_smallest(name, shape, smallest):
    with pytest.raises(ValueError, match=smallest):
        audiozoo.build(name, 3, input_shape=shape)


@pytest.mark.parametrize(
    "options", [{"sub_band_size": 9}, {"sub_band_hop": 0}, {"normalization_axis": "time"}, {"sub_band_size": 41}]
)
def test_subspectralnet_refuses_impossible_sub_bands(options):
    with pytest.raises(ValueError, match=r"sub_band|normalization_axis|at least"):
        audiozoo.build("subspectralnet", 3, input_shape=(40, 50, 1), **options)


def test_a_single_sub_band_needs_no_joining_layer():
    model = audiozoo.build("subspectralnet", 3, input_shape=(40, 50, 1), sub_band_size=40)
    assert model.get_layer("embedding").output.shape == (None, 32)
