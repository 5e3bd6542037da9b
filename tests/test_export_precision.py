"""LiteRT files in float16 and int8, and models as C headers."""

import ctypes
import re
import shutil
import subprocess
from dataclasses import replace

import keras
import numpy as np
import pytest
import soundfile

import audiozoo
from audiozoo.classifier import Classifier
from audiozoo.datasets import Clip
from audiozoo.export import c_header, export_classifier, load_exported
from audiozoo.export import header as headers
from audiozoo.features import LogMel, Scaler, Waveform, extract

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="LiteRT is written by TensorFlow")

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=125, n_mels=40)
LABELS = ("bell", "rain", "tone")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return audiozoo.load_dataset(
        "synthetic", root=tmp_path_factory.mktemp("sounds"), clips_per_class=8, folds=2, duration=0.5, sample_rate=8_000
    ).clips


@pytest.fixture(scope="module")
def classifier(clips):
    """A small network that has learnt three classes."""
    chosen = [clip for clip in clips if clip.label in LABELS]
    x = extract(chosen, FRONTEND).values
    scaler = Scaler.fit(x)
    layers = [keras.layers.Flatten(), keras.layers.Dense(24, "relu"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input(FRONTEND.shape), *layers], name="small")
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(scaler(x), np.array([LABELS.index(clip.label) for clip in chosen]), epochs=15, batch_size=8, verbose=0)
    return Classifier.from_keras(model, FRONTEND, LABELS, scaler=scaler)


@pytest.fixture(scope="module")
def small(classifier, clips, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "small.tflite"
    return export_classifier(classifier, path, features=True, precision="int8", calibrate=clips, header=path.with_suffix(".h"))


def test_float16_halves_the_weights_and_answers_alike(clips, tmp_path):
    model = keras.Sequential([keras.Input(FRONTEND.shape), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    kernel = np.random.default_rng(0).normal(0, 0.002, model.weights[0].shape)
    model.set_weights([kernel, np.zeros(3)])
    plain = Classifier.from_keras(model, FRONTEND, LABELS)
    exported = export_classifier(plain, tmp_path / "half.tflite", features=True, precision="float16", clips=clips[:8])
    assert exported.card.precision == "float16"
    assert exported.proof.size < exported.beside.size - 1.5 * kernel.size
    assert 0 < exported.proof.difference < 1e-2
    assert exported.beside.difference < 1e-5


def test_int8_is_smaller_and_calibrated(small, classifier, clips):
    assert small.card.precision == "int8"
    assert small.proof.size < small.beside.size
    assert small.proof.agreement >= 0.9
    assert small.proof.difference > small.beside.difference
    loaded = load_exported(small.path)
    for clip in clips[:3]:
        difference = loaded.predict(clip.path).scores - classifier.predict(clip.path).scores
        assert np.abs(difference).max() <= small.proof.difference + 1e-6


def test_the_ranges_come_from_the_clips(classifier, clips, tmp_path, monkeypatch):
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(4_000), 8_000)
    monkeypatch.setattr("audiozoo.export.export.LEAST_AGREEMENT", 0.0)
    how = {"features": True, "precision": "int8", "clips": clips[::8]}
    good = export_classifier(classifier, tmp_path / "good.tflite", calibrate=clips, **how)
    bad = export_classifier(classifier, tmp_path / "bad.tflite", calibrate=[Clip(str(silence), ("",))], **how)
    assert bad.proof.difference > 2 * good.proof.difference
    monkeypatch.undo()
    monkeypatch.setattr("audiozoo.export.export.LEAST_AGREEMENT", 1.1)
    with pytest.raises(ValueError, match=r"not written, because in int8 only .* calibrate on more clips"):
        export_classifier(classifier, tmp_path / "bad.tflite", calibrate=clips[:2], **how)


def test_a_frontend_beyond_the_range_of_float16_is_named(tmp_path):
    frontend = audiozoo.model_info("feature_mlp").frontend
    model = keras.Sequential([keras.Input(frontend.shape), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    plain = Classifier.from_keras(model, frontend, LABELS)
    with pytest.raises(ValueError, match=r"beyond the range of float16 .*add --features"):
        export_classifier(plain, tmp_path / "a.tflite", precision="float16")  # the clips include silence
    assert not list(tmp_path.iterdir())


def test_recurrent_layers_are_refused(clips, tmp_path):
    # TensorFlow's converter ends the process.
    inner = keras.Sequential([keras.Input(FRONTEND.shape[:2]), keras.layers.Bidirectional(keras.layers.LSTM(4))])
    model = keras.Sequential([keras.Input(FRONTEND.shape), keras.layers.Reshape(FRONTEND.shape[:2]), inner])
    model.add(keras.layers.Dense(3, "softmax"))
    plain = Classifier.from_keras(model, FRONTEND, LABELS)
    with pytest.raises(ValueError, match=r"recurrent layers .*choose float16"):
        export_classifier(plain, tmp_path / "a.tflite", features=True, precision="int8", calibrate=clips)


def test_samples_need_no_spectrum_in_float(clips, tmp_path, monkeypatch):
    monkeypatch.setattr("audiozoo.export.export.LEAST_AGREEMENT", 0.0)  # the network has learnt nothing
    model = keras.Sequential([keras.Input((4_000, 1)), keras.layers.AveragePooling1D(4_000), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3, "softmax"))
    plain = Classifier.from_keras(model, Waveform(sample_rate=8_000, duration=0.5), LABELS)
    exported = export_classifier(plain, tmp_path / "wave.tflite", precision="int8", calibrate=clips)
    assert (exported.card.input, exported.card.precision) == ("waveform", "int8")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"precision": "int4"}, "precision"),
        ({"precision": "int8"}, "got 0 clips with int8"),
        ({"calibrate": [Clip("a.wav", ("",))]}, "got 1 clips with float32"),
        ({"precision": "int8", "calibrate": [Clip("a.wav", ("",))]}, "loses its quiet parts.*add --features"),
        ({"precision": "float16", "format": "keras", "path": "a.keras"}, "needs the format litert, got keras"),
        ({"header": "a.h", "format": "keras", "path": "a.keras"}, "C header contains a model of the format litert"),
    ],
)
def test_what_does_not_fit_is_refused(how, reason, classifier, tmp_path):
    path = tmp_path / how.pop("path", "a.tflite")
    with pytest.raises(ValueError, match=reason):
        export_classifier(classifier, path, **how)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_header_compiles_and_contains_the_model(small, tmp_path):
    card = replace(small.card, labels=('a"b\\n??/', "ü", "7*/"), licence="CC0 */ int evil;")
    text = c_header(small.path, card, "7 small")
    (tmp_path / "small.h").write_text(text)
    (tmp_path / "use.c").write_text(
        '#include "small.h"\nconst unsigned char *model(void) { return _7_small_model; }\n'
        "unsigned int length(void) { return _7_small_model_length; }\n"
        "const char *label(int place) { return _7_small_labels[place]; }\n"
        "int rate(void) { return _7_SMALL_SAMPLE_RATE; }\n"
    )
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", "use.so", "use.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    use = ctypes.CDLL(str(tmp_path / "use.so"))
    use.model.restype, use.label.restype = ctypes.POINTER(ctypes.c_ubyte), ctypes.c_char_p
    content = bytes(use.model()[: use.length()])
    assert content[4:8] == b"TFL3"
    assert small.path.read_bytes().startswith(content)
    assert ctypes.addressof(use.model().contents) % 16 == 0
    assert [use.label(place).decode() for place in range(3)] == list(card.labels)
    assert use.rate() == 8_000
    assert text.isascii()


def test_a_large_model_gets_no_header(small, classifier, clips, tmp_path, monkeypatch):
    assert re.search(r"static const unsigned char small_model\[\]", small.path.with_suffix(".h").read_text())
    monkeypatch.setattr(headers, "MOST_BYTES", 1_000)
    with pytest.raises(ValueError, match=r"at most 1,000 bytes, this one has [\d,]+: add --precision int8 --features"):
        export_classifier(classifier, tmp_path / "a.tflite", features=True, header=tmp_path / "a.h", clips=clips[:2])
    assert not list(tmp_path.iterdir())


def test_precision_on_the_command_line(classifier, clips, audiozoo, tmp_path):
    classifier.save(tmp_path / "my.audiozoo")
    folder = next(iter(clips)).path.rsplit("/", 2)[0]
    words = ("export", tmp_path / "my.audiozoo", "-o", tmp_path / "my.tflite", "--features", "--clips", folder)
    status, out, err = audiozoo(*words, "--precision", "int8", "--calibrate", folder, "--c-header", tmp_path / "my.h")
    assert status == 0, err
    assert re.search(r"float32 +0\.\d\d +\d", out)
    assert re.search(r"int8 +0\.\d\d +\d", out)
    assert (tmp_path / "my.h").read_text().startswith("/* small_from_features")
    assert "saved" in out
