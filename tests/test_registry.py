import functools
import os
import random
import re
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import audiozoo
from audiozoo import registry
from audiozoo.features import LogMel
from audiozoo.files import checksum
from audiozoo.recipe import Recipe
from audiozoo.registry import PretrainedWeights, Reference, register, register_variant

ROOT = Path(__file__).resolve().parents[1]


def test_lists_by_glob_and_kind():
    names = audiozoo.list_models()
    assert names == sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])
    assert {"dcase2018_baseline", "feature_mlp", "house_cnn", "subspectralnet"} <= set(names)
    assert audiozoo.list_models("feature_*", input="vector") == ["feature_mlp"]
    assert "feature_mlp" not in audiozoo.list_models(input="spectral")
    assert audiozoo.list_models(["house*", "subspectralnet"], exclude="*net") == ["house_cnn"]
    assert audiozoo.list_models("no such*") == []
    with pytest.raises(ValueError, match="did you mean 'waveform'"):
        audiozoo.list_models(input="wavform")


def test_info_knows_aliases_and_proposes_names():
    assert audiozoo.model_info("sub_spectral_net") is audiozoo.model_info("subspectralnet")
    with pytest.raises(ValueError, match="unknown model 'house_cn'; did you mean 'house_cnn'"):
        audiozoo.model_info("house_cn")


def test_a_former_name_still_works_and_warns():
    with pytest.warns(DeprecationWarning, match="'mobilenet' is now named 'mobilenet_v2'"):
        assert audiozoo.model_info("mobilenet") is audiozoo.model_info("mobilenet_v2")
    with pytest.warns(DeprecationWarning, match="mobilenet_v2"):
        assert audiozoo.build("mobilenet", 3, input_shape=(32, 32, 1)).name == "mobilenet_v2"
    assert "mobilenet" not in audiozoo.list_models()
    assert [registry.current_name(name) for name in ("mobilenet", "resnet_ldnn", "house_cnn", "none")] == [
        "mobilenet_v2",
        "resnet_lstm",
        "house_cnn",
        "none",
    ]
    with pytest.raises(ValueError, match="'mobilenet' is registered already"):
        register(frontend=LogMel(), reference=Reference((64, 216, 1), 10, 0), paper="", year=2026, aliases=["mobilenet"])(
            lambda shape, classes: None
        )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"name": "hose_cnn"}, "did you mean 'house_cnn'"),
        ({"droput": 0.1}, "did you mean 'dropout'"),
        ({"num_classes": 0}, "num_classes"),
        ({"input_shape": (64, 250)}, "without the batch"),
        ({"input_shape": (4, 4, 1)}, "at least"),
    ],
)
def test_build_refuses(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        audiozoo.build(**{"name": "house_cnn", "num_classes": 3, **arguments})


def test_a_seed_repeats_the_weights_and_leaves_no_trace():
    state = random.getstate()
    first, second, other = (audiozoo.build("feature_mlp", 3, input_shape=(20,), seed=seed) for seed in (1, 1, 2))
    assert random.getstate() == state
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


def test_weights_come_from_a_file(tmp_path):
    model = audiozoo.build("feature_mlp", 3, input_shape=(20,))
    model.save_weights(tmp_path / "a.weights.h5")
    again = audiozoo.build("feature_mlp", 3, input_shape=(20,), weights_file=str(tmp_path / "a.weights.h5"))
    assert np.array_equal(again.get_weights()[0], model.get_weights()[0])


SMALL = {"num_classes": 3, "input_shape": (20,)}


@pytest.fixture
def own_weights(tmp_path):
    """Save a model and return it, with the paths of both of its files."""
    model = audiozoo.build("feature_mlp", **SMALL)
    paths = tmp_path / "mine.weights.h5", tmp_path / "mine.keras"
    model.save_weights(paths[0])
    model.save(paths[1])
    return model, *paths


def refused(path, reason):
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}: not a file of weights for this model: .*{reason}"):
        audiozoo.build("feature_mlp", **SMALL, weights_file=path)
    assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    tracemalloc.stop()


def test_a_keras_file_holds_weights(own_weights):
    model, _, path = own_weights
    again = audiozoo.build("feature_mlp", **SMALL, weights_file=path)
    assert all(map(np.array_equal, again.get_weights(), model.get_weights()))


def test_hostile_weights_are_refused_by_name(own_weights, tmp_path):
    _, weights, archive = own_weights
    with h5py.File(weights, "a") as file:
        del file["layers/dense/vars/0"]
        file.create_dataset("layers/dense/vars/0", (10**12,), "f4")
    refused(weights, r"layers/dense/vars/0 declares the shape \(1000000000000,\)")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.weights.h5", bytes(64 * 2**20))
    refused(archive, "its members declare 67,108,864 bytes")
    with zipfile.ZipFile(archive, "w") as file:
        file.write(weights, "model.weights.h5")
    refused(archive, "declares the shape")
    with h5py.File(weights, "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/other.h5", "/layers")
    refused(weights, "is a link")


@pytest.mark.parametrize("name", ["bad.weights.h5", "bad.keras", "bad.h5"])
def test_what_is_no_file_of_weights_is_refused_by_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"garbage")
    refused(path, "")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(f"{path}: no such weights file")):
        audiozoo.build("feature_mlp", **SMALL, weights_file=path)


def test_weights_of_another_model_are_refused_by_name(own_weights, tmp_path):
    for path in own_weights[1:]:
        with pytest.raises(ValueError, match=rf"{re.escape(str(path))}: not a file of weights for this model"):
            audiozoo.build("feature_mlp", 3, input_shape=(21,), weights_file=path)
    (tmp_path / "mine.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"mine\.pt: weights are read from a file that Keras saved"):
        audiozoo.build("feature_mlp", **SMALL, weights_file=tmp_path / "mine.pt")


@pytest.fixture
def clean_register(monkeypatch):
    audiozoo.list_models()
    for names in ("_SPECS", "_ALIASES", "_FORMER_NAMES"):
        monkeypatch.setattr(registry.table, names, dict(getattr(registry.table, names)))


FACTS = {"frontend": LogMel(), "reference": Reference((64, 216, 1), 2, 130), "paper": "none", "year": 2026}


def test_your_own_model(clean_register):
    @register(**FACTS, aliases=["mine_too"])
    def my_model(input_shape, num_classes, *, width=1):
        """Average the bands."""
        import keras

        inputs = keras.Input(input_shape)
        x = keras.layers.GlobalAveragePooling2D(name="embedding")(inputs)
        x = keras.layers.Dense(num_classes, name="logits")(x)
        return keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x))

    assert "my_model" in audiozoo.list_models()
    assert audiozoo.model_info("mine_too").description == "Average the bands."
    assert audiozoo.model_info("my_model").options == {"width": 1}
    assert audiozoo.build("my_model", 5).output_shape == (None, 5)


def test_published_weights_may_be_a_file_that_keras_saved(clean_register, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path))
    register(**FACTS)(two_layers)
    model = audiozoo.build("two_layers", 2)
    path = tmp_path / "two.weights.h5"
    model.save_weights(path)
    published = PretrainedWeights("https://example.org/two.weights.h5", checksum(path), "MIT", ("a", "b"))
    assert published.is_copy(path)
    assert replace(published, sha256=None, md5=checksum(path, "md5")).is_copy(path)
    assert not replace(published, sha256="0" * 64).is_copy(path)
    assert not replace(published, sha256=None).is_copy(path), "it cannot be known"
    spec = replace(audiozoo.model_info("two_layers"), weights={"mine": published})
    monkeypatch.setitem(registry.table._SPECS, "two_layers", spec)
    again = audiozoo.build("two_layers", 2, weights="mine")
    assert all(map(np.array_equal, again.get_weights(), model.get_weights()))


def test_a_taken_name_or_a_missing_docstring_is_refused(clean_register):
    def house_cnn(input_shape, num_classes):
        """Take a name that is there."""

    def silent(input_shape, num_classes):
        pass

    with pytest.raises(ValueError, match="registered already"):
        register(**FACTS)(house_cnn)
    with pytest.raises(ValueError, match="docstring"):
        register(**FACTS)(silent)


def test_listing_loads_nothing_heavy():
    code = (
        "import sys, audiozoo; audiozoo.list_models(); audiozoo.model_info('house_cnn');"
        "print([m for m in ('tensorflow', 'jax', 'torch', 'keras.src', 'librosa', 'numba', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


PLUGIN = """
from audiozoo.features import LogMel
from audiozoo.layers import classify, keras
from audiozoo.registry import Reference, register

@register(
    frontend=LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16),
    reference=Reference((16, 32, 1), num_classes=2, parameters=4),
    paper="a package of its own",
    year=2026,
)
def plugged_in(input_shape, num_classes, *, activation="softmax"):
    "Mean over time and bands, from elsewhere."
    inputs = keras.Input(input_shape)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(inputs)
    return keras.Model(inputs, classify(x, num_classes, activation=activation))
"""


def installed(folder, name, code):
    """Lay down a package as pip would, with its entry point."""
    (folder / f"{name}.py").write_text(code)
    (folder / f"{name}-1.dist-info").mkdir()
    (folder / f"{name}-1.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (folder / f"{name}-1.dist-info" / "entry_points.txt").write_text(f"[audiozoo.models]\n{name} = {name}\n")


@pytest.mark.slow
def test_an_installed_package_brings_models_to_every_verb(tmp_path, sound_folder):
    installed(tmp_path, "brings_models", PLUGIN)
    installed(tmp_path, "broken_models", "raise RuntimeError('broken')")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])}

    def run(*words):
        command = [sys.executable, "-m", "audiozoo", *map(str, words)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)

    listed = run("list", "plug*", "--json")
    assert listed.stdout.strip() == '["plugged_in"]'
    assert "broken_models" in listed.stderr
    trained = run("train", sound_folder, "-o", "my.audiozoo", "--model", "plugged_in", "--epochs", 1)
    assert trained.returncode == 0, trained.stderr
    assert run("predict", "my.audiozoo", sound_folder / "low").returncode == 0


def test_lists_by_parameters():
    small, large = audiozoo.list_models(max_parameters=1e6), audiozoo.list_models(min_parameters=1_000_001)
    assert sorted([*small, *large]) == sorted(audiozoo.list_models())
    assert "house_cnn" in small
    assert "resnet_lstm" in large


def two_layers(input_shape, num_classes, *, width=4, depth=1, activation="softmax"):
    """Dense layers on the mean of the bands.

    Args:
        width: Units of each layer.
        depth: Number of layers.
    """
    import keras

    inputs = keras.Input(input_shape)
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    for _ in range(depth):
        x = keras.layers.Dense(width)(x)
    x = keras.layers.Dense(num_classes, name="logits")(keras.layers.Identity(name="embedding")(x))
    return keras.Model(inputs, keras.layers.Activation(activation, name="probabilities")(x), name="two_layers")


def test_a_variant_is_a_model_with_some_options_fixed(clean_register):
    register(**FACTS, recipe=Recipe(epochs=7), scores=["of the base alone"])(two_layers)
    register_variant("deep", two_layers, options={"depth": 3}, parameters=58, aliases=["deeper"], year=2027)
    spec, base = audiozoo.model_info("deeper"), audiozoo.model_info("two_layers")
    assert (spec.name, spec.year, spec.paper, spec.frontend) == ("deep", 2027, base.paper, base.frontend)
    assert (spec.recipe, spec.scores, spec.description) == (Recipe(epochs=7), (), "`two_layers` with depth=3.")
    assert spec.options == {"width": 4, "activation": "softmax"}
    model = audiozoo.build("deep", 2)
    assert (model.name, model.count_params()) == ("deep", spec.reference.parameters)
    same = audiozoo.build("two_layers", 2, depth=3, width=5, seed=1)
    assert same.count_params() == audiozoo.build("deep", 2, width=5).count_params()
    pairs = zip(same.get_weights(), audiozoo.build("deep", 2, width=5, seed=1).get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    with pytest.raises(ValueError, match="unknown option of deep 'depth'"):
        audiozoo.build("deep", 2, depth=2)


def test_a_variant_may_have_its_own_frontend_and_number_of_classes(clean_register):
    register(**FACTS)(two_layers)
    wide = LogMel(n_mels=128)
    register_variant("wide", two_layers, options={"width": 8}, parameters=1, frontend=wide, num_classes=5, description="Wide.")
    spec = audiozoo.model_info("wide")
    assert (spec.reference.input_shape, spec.reference.num_classes, spec.description) == (wide.shape, 5, "Wide.")


def test_a_variant_needs_a_registered_builder_and_its_options(clean_register):
    with pytest.raises(ValueError, match="builder of a registered model, got 'two_layers'"):
        register_variant("deep", two_layers, options={"depth": 3}, parameters=58)
    register(**FACTS)(two_layers)
    with pytest.raises(ValueError, match="unknown option of two_layers 'dept'; did you mean 'depth'"):
        register_variant("deep", two_layers, options={"dept": 3}, parameters=58)
    with pytest.raises(ValueError, match="registered already"):
        register_variant("house_cnn", two_layers, options={"depth": 3}, parameters=58)


def test_a_variant_was_once_named_otherwise(clean_register):
    register(**FACTS)(two_layers)
    register_variant("deep", two_layers, options={"depth": 3}, parameters=58, formerly=["dense_3"])
    with pytest.warns(DeprecationWarning, match="'dense_3' is now named 'deep'"):
        assert audiozoo.model_info("dense_3") is audiozoo.model_info("deep")
    assert registry.current_name("dense_3") == "deep"
    with pytest.raises(ValueError, match="'dense_3' is registered already"):
        register_variant("dense_3", two_layers, options={"depth": 3}, parameters=58)


def test_a_dictionary_as_a_recipe_is_deprecated(clean_register):
    with pytest.warns(DeprecationWarning, match="recipe=audiozoo.Recipe") as caught:
        register(**FACTS, recipe={"epochs": 7})(two_layers)
    assert caught[0].filename == __file__
    assert audiozoo.model_info("two_layers").recipe == Recipe(epochs=7)


def test_weights_are_a_name_and_a_file_is_said_to_be_one(tmp_path):
    path = tmp_path / "a.weights.h5"
    model = audiozoo.build("feature_mlp", 3, input_shape=(20,))
    model.save_weights(path)
    for weights in (path, str(path)):
        with pytest.warns(DeprecationWarning, match="pass the path of a file as weights_file=") as caught:
            again = audiozoo.build("feature_mlp", 3, input_shape=(20,), weights=weights)
        assert caught[0].filename == __file__
        assert np.array_equal(again.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError, match=r"unknown weights of yamnet 'audioste'; did you mean 'audioset'.*weights_file="):
        audiozoo.build("yamnet", 3, weights="audioste")
    with pytest.raises(ValueError, match=r"pass one of them, got weights='audioset' and weights_file='.*a\.weights\.h5'"):
        audiozoo.build("yamnet", 3, weights="audioset", weights_file=path)
    # A file is a file whatever its name is.
    with pytest.raises((OSError, ValueError), match="no_suffix"):
        audiozoo.build("yamnet", 3, weights_file=tmp_path / "no_suffix")


@pytest.mark.parametrize("name", ["resnet_lstm", "mobilenet_v2", "inception_transfer"])
def test_weights_of_a_backbone_were_called_weights(name, monkeypatch):
    builder = audiozoo.model_info(name).builder
    assert audiozoo.model_info(name).options["backbone_weights"] is None
    seen = []
    spec = replace(audiozoo.model_info(name), builder=functools.wraps(builder)(lambda *shape, **options: seen.append(options)))
    monkeypatch.setitem(registry.table._SPECS, name, spec)
    with pytest.warns(DeprecationWarning, match="pass backbone_weights='imagenet' to") as caught:
        audiozoo.build(name, 3, weights="imagenet")
    assert caught[0].filename == __file__
    audiozoo.build(name, 3, backbone_weights="imagenet")
    assert seen == [{"backbone_weights": "imagenet"}] * 2


@pytest.mark.parametrize(
    ("name", "shape", "size"), [("subspectralnet", (40, 50, 1), 20), ("subspectral_cnn", (128, 32, 1), 32)]
)
def test_a_former_option_still_works_and_warns(name, shape, size):
    with pytest.warns(DeprecationWarning, match="option sub_band_hop of .* is now sub_band_step") as warned:
        old = audiozoo.build(name, 3, input_shape=shape, sub_band_size=size, sub_band_hop=size)
    assert [Path(warning.filename).name for warning in warned] == ["test_registry.py"]
    new = audiozoo.build(name, 3, input_shape=shape, sub_band_size=size, sub_band_step=size)
    default = audiozoo.build(name, 3, input_shape=shape, sub_band_size=size)
    assert old.count_params() == new.count_params() != default.count_params()
    with pytest.raises(ValueError, match="pass only sub_band_step"):
        audiozoo.build(name, 3, input_shape=shape, sub_band_step=size, sub_band_hop=size)


def test_lists_by_family_task_and_multiply_adds(clean_register):
    register(**FACTS, tasks=["keywords", "scenes"], family="layered")(two_layers)
    register_variant("deep", two_layers, options={"depth": 3}, parameters=58, multiply_adds=40)
    assert audiozoo.list_models(family="layered") == ["deep", "two_layers"]
    assert audiozoo.list_models(family=["layered", "house*"], task="keywords") == ["deep", "two_layers"]
    assert audiozoo.list_models(family="layered", task="tagging") == []
    # Nobody counted those of the base.
    assert audiozoo.list_models(family="layered", max_multiply_adds=40) == ["deep"]
    assert audiozoo.list_models(family="layered", max_multiply_adds=39) == []
    with pytest.raises(ValueError, match="unknown task 'keyword'; did you mean 'keywords'"):
        register(**FACTS, tasks=["keyword"])
    with pytest.raises(ValueError, match="task must be one of 'tagging'"):
        audiozoo.list_models(task="keyword")


def test_a_model_without_family_and_tasks_has_sensible_ones(clean_register):
    register(**FACTS)(two_layers)
    spec = audiozoo.model_info("two_layers")
    assert (spec.family, spec.tasks) == ("test_registry", ("tagging",))

    def noted(shape, classes):
        """Come from a notebook."""

    noted.__module__ = "__main__"
    register(**FACTS)(noted)
    assert audiozoo.model_info("noted").family == "noted"


def test_weights_are_for_embedding_and_have_a_licence(clean_register):
    published = PretrainedWeights("https://example.org/two.weights.h5", "0" * 64, "CC-BY-4.0", ("a", "b"))
    register(**FACTS, weights={"mine": published}, tasks=["scenes"])(two_layers)
    assert audiozoo.model_info("two_layers").suits("embedding")
    assert {"two_layers", "yamnet"} <= set(audiozoo.list_models(task="embedding"))
    assert "two_layers" in audiozoo.list_models(licence="cc-by*")
    assert "yamnet" in audiozoo.list_models(licence=["MIT", "apache-2.0"])
    assert "two_layers" not in audiozoo.list_models(licence=["MIT", "apache-2.0"])


def test_the_families_of_the_zoo_have_tasks():
    keywords = audiozoo.list_models(task="keywords")
    assert keywords == ["ast_speech_commands", *audiozoo.list_models(family=["bcresnet", "matchboxnet"])]
    assert {"cp_mobile", "dcase2018_baseline", "subspectralnet"} <= set(audiozoo.list_models(task="scenes"))
