import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import audiozoo
from audiozoo import registry
from audiozoo.features import LogMel
from audiozoo.registry import Reference, register

ROOT = Path(__file__).resolve().parents[1]


def test_lists_by_glob_and_kind():
    names = audiozoo.list_models()
    assert names == sorted(names)
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
    again = audiozoo.build("feature_mlp", 3, input_shape=(20,), weights=str(tmp_path / "a.weights.h5"))
    assert np.array_equal(again.get_weights()[0], model.get_weights()[0])


@pytest.fixture
def clean_register(monkeypatch):
    audiozoo.list_models()
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    monkeypatch.setattr(registry, "_ALIASES", dict(registry._ALIASES))


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
