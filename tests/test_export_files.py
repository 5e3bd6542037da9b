"""Exported files: what they contain, what they answer without Keras, and what is refused."""

import io
import json
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import tone

import audiozoo
from audiozoo import export
from audiozoo.classifier import Classifier, Ensemble, KerasScorer
from audiozoo.export import ExportCard, export_classifier, load_exported
from audiozoo.export import formats as written
from audiozoo.features import GFCC, LogMel, Scaler
from audiozoo.files import replacing_folder

LABELS = ("low", "high", "noise")
FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=125, n_mels=16, pad="repeat", hop=0.2)

needs_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="these formats are written by TensorFlow")
pytestmark = needs_tensorflow


def dense(frontend, labels=LABELS, *, seed=0, activation="softmax", **rest):
    inputs = keras.Input(frontend.shape)
    outputs = keras.layers.Dense(len(labels), activation=activation)(keras.layers.Flatten()(inputs))
    model, rng = keras.Model(inputs, outputs, name="small"), np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.02, weight.shape) for weight in model.get_weights()])
    scaler = Scaler(np.float32(-40), np.float32(20))
    return Classifier(frontend, scaler, KerasScorer(model), tuple(labels), **rest)


@pytest.fixture(scope="module")
def classifier():
    about = audiozoo.classifier.TrainingFacts(licence="CC0")
    return dense(FRONTEND, temperature=0.4, about=about, thresholds=(0.4, 0.3, 0.2), activation="sigmoid")


@pytest.fixture(scope="module")
def files(classifier, tmp_path_factory):
    """The classifier as ONNX and LiteRT files."""
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("exported")
    for name in ("my.onnx", "my.tflite"):
        exported = export_classifier(classifier, folder / name)
        assert exported.proof.difference < 1e-4
        assert exported.exact
    classifier.save(folder / "my.audiozoo")
    return folder


@pytest.fixture
def sound():
    # The last window is aligned with the end, and another rate has to be resampled.
    return np.concatenate([tone(300, 0.5, 11_025, level=0.9), tone(1_900, 0.63, 11_025, level=0.05)])


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_gelu(suffix, tmp_path):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    inputs = keras.Input(FRONTEND.shape)
    wide = keras.layers.Dense(8, activation="gelu")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(wide))
    exported = export_classifier(Classifier.from_keras(model, FRONTEND, LABELS), tmp_path / f"my{suffix}")
    assert exported.proof.difference < 1e-5


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_a_file_answers_like_its_classifier(suffix, files, classifier, sound):
    loaded = load_exported(files / f"my{suffix}")
    for wave in (sound, sound[:2_000], np.zeros_like(sound)):
        for hop in (None, 0.3):
            expected = classifier.predict(wave, sample_rate=11_025, hop=hop)
            found = loaded.predict(wave, sample_rate=11_025, hop=hop)
            assert np.allclose(found.scores, expected.scores, atol=1e-4)
            assert found.present == expected.present
    expected, found = (one.timeline(sound, sample_rate=11_025) for one in (classifier, loaded))
    assert len(expected.starts) > 3
    assert np.array_equal(found.starts, expected.starts)
    assert np.allclose(found.scores, expected.scores, atol=1e-4)


def test_the_temperature_applies_after_the_pooling(files, classifier, sound):
    mean = classifier.timeline(sound, sample_rate=11_025).scores.mean(axis=0)
    assert np.abs(mean - classifier.predict(sound, sample_rate=11_025).scores).max() > 1e-3


def test_the_metadata_is_in_the_files(files, classifier):
    onnx = pytest.importorskip("onnx")
    (entry,) = onnx.load(files / "my.onnx").metadata_props
    with zipfile.ZipFile(files / "my.tflite") as archive:
        assert archive.read("labels.txt").decode().split() == list(LABELS)
        assert json.loads(archive.read("audiozoo.json")) == json.loads(entry.value)
    card = ExportCard.parse(entry.value)
    assert entry.key == "audiozoo"
    assert card.labels == LABELS
    assert (card.frontend.sample_rate, card.frontend.samples, card.frontend.hop_samples()) == (8_000, 4_000, 1_600)
    assert (card.frontend.pad, card.pooling, card.licence, card.version) == ("repeat", "mean", "CC0", audiozoo.__version__)
    assert card.thresholds == (0.4, 0.3, 0.2)
    assert card.members == ((1.0, 0.4),)
    assert json.loads(entry.value)["samples"] == 4_000


@pytest.mark.parametrize(("name", "form"), [("my.keras", None), ("folder", "saved_model")])
def test_further_formats(name, form, classifier, tmp_path, rng):
    for _ in range(2):  # the second one replaces the first
        exported = export_classifier(classifier, tmp_path / name, format=form)
    assert exported.proof.difference < 1e-4
    waves = rng.uniform(-0.5, 0.5, (2, FRONTEND.samples)).astype(np.float32)
    expected = [classifier.predict(wave, sample_rate=8_000).scores for wave in waves]
    if form:
        import tensorflow as tf

        loaded = tf.saved_model.load(tmp_path / name)
        found = loaded.signatures["serving_default"](waveform=tf.constant(waves))["probabilities"].numpy()
        text = (tmp_path / name / "assets.extra" / "audiozoo.json").read_bytes()
    else:
        found = np.asarray(keras.saving.load_model(tmp_path / name, safe_mode=True).predict_on_batch(waves))
        text = zipfile.ZipFile(tmp_path / name).read("audiozoo.json")
    assert np.allclose(found, expected, atol=1e-4)
    assert ExportCard.parse(text).labels == LABELS
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_features_go_in_where_no_graph_can_hold_the_frontend(tmp_path, sound):
    frontend = GFCC(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=125)
    one = dense(frontend, pooling="max")
    exported = export_classifier(one, tmp_path / "my.tflite", features=True)
    assert exported.card.frontend == frontend
    found = load_exported(tmp_path / "my.tflite").predict(sound, sample_rate=11_025)
    assert np.allclose(found.scores, one.predict(sound, sample_rate=11_025).scores, atol=1e-4)
    with pytest.raises(ValueError, match="GFCC cannot be exported"):
        export_classifier(one, tmp_path / "other.tflite")
    both = Ensemble((one, one))
    with pytest.raises(ValueError, match="export its members one by one"):
        export_classifier(both, tmp_path / "other.tflite", features=True)


def test_an_ensemble_answers_the_same_for_several_windows(tmp_path, sound):
    first, second = dense(FRONTEND, temperature=3.0), dense(FRONTEND, LABELS[::-1], seed=2, temperature=0.5)
    both = Ensemble((first, second), (0.7, 0.3), temperature=0.6)
    export_classifier(both, tmp_path / "both.tflite")
    found = load_exported(tmp_path / "both.tflite").predict(sound, sample_rate=11_025)
    assert np.allclose(found.scores, both.predict(sound, sample_rate=11_025).scores, atol=1e-4)
    with pytest.raises(ValueError, match="same hop, pad, last and pooling"):
        export_classifier(Ensemble((first, replace(second, pooling="max"))), tmp_path / "other.tflite")


def test_a_file_that_differs_is_not_written(classifier, tmp_path, monkeypatch):
    path = tmp_path / "my.keras"
    path.write_bytes(b"older")
    other = export.waveform_model(dense(FRONTEND, seed=5, activation="sigmoid"))
    kind = written.FORMATS["keras"]
    monkeypatch.setitem(written.FORMATS, "keras", kind._replace(write=lambda _, card, path: kind.write(other, card, path)))
    with pytest.raises(ValueError, match=r"my\.keras: not written, because a probability .* differs by 0\.\d+ .* 0\.001 is"):
        export_classifier(classifier, path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "form", "reason"),
    [
        ("my.bin", None, r"suffix names no format, \.onnx \(onnx\), \.tflite"),
        ("my.onnx", "litert", r"litert is written to a \.tflite file, such as .*my\.tflite"),
        ("my.onnx", "onx", "unknown format 'onx'; did you mean 'onnx'"),
        ("my.pt", None, "torchscript is written on the backend torch, this process uses tensorflow: set KERAS_BACKEND=torch"),
    ],
)
def test_refuses_what_a_format_cannot_hold(name, form, reason, classifier, tmp_path):
    with pytest.raises(ValueError, match=reason):
        export_classifier(classifier, tmp_path / name, format=form)


def test_a_folder_of_other_content_is_kept(classifier, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"not a folder with saved_model\.pb, so it is not replaced"):
        export_classifier(classifier, tmp_path, format="saved_model")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_is_whole_whoever_writes_it(tmp_path):
    path, failures = tmp_path / "folder", []

    def write(content):
        for _ in range(20):
            try:
                with replacing_folder(path, mark="a") as temporary:
                    for name in "ab":
                        (temporary / name).write_text(content)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({(path / name).read_text() for name in "ab"}) == 1
    assert list(tmp_path.iterdir()) == [path]


def lying(files, folder, suffix, **changes):
    """Write the exported file again with other values in its metadata."""
    path = folder / f"lying{suffix}"
    if suffix == ".onnx":
        import onnx

        model = onnx.load(files / "my.onnx")
        (entry,) = model.metadata_props
        entry.value = json.dumps({**json.loads(entry.value), **changes})
        onnx.save(model, path)
        return path
    content = (files / "my.tflite").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        card = {**json.loads(archive.read("audiozoo.json")), **changes}
        begin = min(info.header_offset for info in archive.infolist())
    path.write_bytes(content[:begin])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("audiozoo.json", json.dumps(card))
    return path


LIES = [
    ({"samples": 10**12}, r"samples must be a number from 1 to"),
    ({"samples": 8_000}, r"states an input of \(8000,\) for a window, the model has \(4000,\)"),
    ({"sample_rate": 1}, "the sample rate must be from 50 to 10000000 Hz, got 1"),
    ({"sample_rate": 51, "samples": 2**20}, "at most 3600 s"),
    ({"sample_rate": "8000"}, "sample_rate must be a whole number, got '8000'"),
    ({"channels": 10**9}, "number of channels must be positive and at most"),
    ({"hop_samples": 0}, "hop_samples must be a number from 1 to 4000"),
    ({"labels": ["a", "b"]}, r"one threshold for each label, got 3 for 2 labels"),
    (
        {"labels": ["a", "b"], "thresholds": None},
        r"states an output 'probabilities' of \(2,\) for a window, the model has \(3,\)",
    ),
    ({"labels": ["a", "a", "b"]}, "labels must be a sequence of different names"),
    ({"labels": ["a"] * 20_000}, "labels must be a list of 1 to 10,000 names"),
    (
        {"members": [{"weight": 0.5, "temperature": 1}] * 2},
        r"an output 'members' of \(2, 3\) for a window, the model has \(1, 3\)",
    ),
    ({"members": [{"weight": 7, "temperature": 1}]}, "weight of a member must be a number from 0 to 1"),
    ({"members": [{"weight": 1, "temperature": 0}]}, "temperature of a member must be a number from 0.001"),
    ({"members": [{"weight": 0.5, "temperature": 1}]}, "weights of the members must sum to 1, they sum to 0.5"),
    ({"pooling": "sum"}, "pooling must be one of 'mean', 'max'"),
    ({"pad": "mirror"}, "pad must be one of"),
    ({"input": "spectrum"}, "input must be one of"),
    ({"input": "features"}, "no .frontend."),
    ({"input": "features", "frontend": GFCC().to_config()}, "states windows of .* but its frontend has"),
    ({"schema": 99}, "exported in schema 99, and this version reads up to 1: upgrade audiozoo"),
    ({"name": "n" * 2_000}, "name must be a text of at most 1,000 characters"),
    ({"rejection": 3}, "rejection must be a number from 0 to 1"),
]


@pytest.mark.parametrize(("changes", "reason"), LIES)
def test_metadata_is_not_believed(changes, reason, files, tmp_path):
    with pytest.raises(ValueError, match=rf"lying\.onnx: not a model that this version reads: .*({reason})"):
        load_exported(lying(files, tmp_path, ".onnx", **changes))


def test_metadata_of_a_litert_file_is_not_believed(files, tmp_path):
    with pytest.raises(ValueError, match=r"lying\.tflite: not a model that this version reads: .*\(8000,\)"):
        load_exported(lying(files, tmp_path, ".tflite", samples=8_000))
    with pytest.raises(ValueError, match=r"lying\.tflite: .*output 'probabilities' of \(2,\)"):
        load_exported(lying(files, tmp_path, ".tflite", labels=["a", "b"], thresholds=None))


def test_foreign_and_damaged_files_are_refused(files, tmp_path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(files / "my.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(ValueError, match=r"foreign\.onnx: an ONNX model without audiozoo's metadata .*`audiozoo export MODEL"):
        load_exported(tmp_path / "foreign.onnx")
    content = (files / "my.tflite").read_bytes()
    (tmp_path / "foreign.tflite").write_bytes(content[: content.index(b"PK\x03\x04")])
    with pytest.raises(ValueError, match=r"foreign\.tflite: a LiteRT model without audiozoo's metadata"):
        load_exported(tmp_path / "foreign.tflite")
    for name in ("my.onnx", "my.tflite"):
        (tmp_path / name).write_bytes((files / name).read_bytes()[:5_000])
        with pytest.raises(ValueError, match=rf"{name}: (not an? |a LiteRT model without)"):
            load_exported(tmp_path / name)
    (tmp_path / "noise.tflite").write_bytes(b"\0" * 5_000 + content[content.index(b"PK\x03\x04") :])
    with pytest.raises(ValueError, match=r"noise\.tflite: not a LiteRT model"):
        load_exported(tmp_path / "noise.tflite")
    with pytest.raises(FileNotFoundError, match="no such file; a model is exported by"):
        load_exported(tmp_path / "absent.onnx")
    with pytest.raises(ValueError, match=r"is a \.onnx or \.tflite file"):
        load_exported(files / "my.audiozoo")


def test_without_a_runtime_the_error_names_the_command(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'audiozoo\[onnx\]'"):
        load_exported(files / "my.onnx")
    for name in ("ai_edge_litert.interpreter", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'audiozoo\[litert\]'"):
        load_exported(files / "my.tflite")


def test_tensorflow_runs_litert_files_where_the_interpreter_is_missing(files, classifier, sound, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    found = load_exported(files / "my.tflite").predict(sound, sample_rate=11_025)
    assert np.allclose(found.scores, classifier.predict(sound, sample_rate=11_025).scores, atol=1e-4)


def test_an_exported_model_says_what_it_lacks(files, tmp_path, sound):
    loaded = load_exported(files / "my.onnx")
    with pytest.raises(ValueError, match="no embeddings"):
        loaded.embed(sound, sample_rate=11_025)
    with pytest.raises(ValueError, match="cannot be saved as a classifier: copy its file"):
        loaded.save(tmp_path / "my.audiozoo")
    assert list(tmp_path.iterdir()) == []


WITHOUT_KERAS = """
import sys
from audiozoo import cli
sys.argv = ["audiozoo", "predict", *sys.argv[1:]]
cli.main()
loaded = [name for name in ("tensorflow", "keras.src", "librosa", "sklearn", "scipy") if name in sys.modules]
assert loaded == [], loaded
"""


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_predict_needs_no_keras(suffix, files, audiozoo, sound, write_sound):
    path = write_sound(sound, 11_025)
    words = [str(files / f"my{suffix}"), str(path), "--json"]
    done = subprocess.run([sys.executable, "-c", WITHOUT_KERAS, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    status, expected, _ = audiozoo("predict", files / "my.audiozoo", path, "--json")
    assert status == 0
    (one,), (other,) = json.loads(done.stdout), json.loads(expected)
    assert one.keys() == other.keys()
    assert one["scores"] == pytest.approx(other["scores"], abs=1e-4)
    assert (one["present"], one["label"]) == (other["present"], other["label"])


def test_windows_and_files_of_answers(files, audiozoo, sound, write_sound, tmp_path):
    path = write_sound(sound, 11_025)
    texts = [audiozoo("predict", files / name, path, "--windows", "--csv")[1] for name in ("my.onnx", "my.audiozoo")]
    assert texts[0].splitlines()[0] == texts[1].splitlines()[0]
    assert [line.split(",")[1:4] for line in texts[0].splitlines()] == [line.split(",")[1:4] for line in texts[1].splitlines()]
    status, _, said = audiozoo("predict", files / "my.onnx", path, tmp_path / "absent.wav", "-o", tmp_path / "answers.csv")
    assert status == 1
    assert "absent.wav: no such file" in said
    assert (tmp_path / "answers.csv").read_text().startswith("file,rank,label,score\n")


def test_export_on_the_command_line(files, audiozoo, sound_folder, tmp_path):
    status, printed, said = audiozoo("export", files / "my.audiozoo", "-o", tmp_path / "my.keras", "--clips", sound_folder)
    assert (status, said) == (0, "")
    first, second, third = printed.splitlines()
    assert first.startswith("largest difference of a probability to Keras: ")
    assert first.endswith("(18 clips, 18 windows)")
    assert second.startswith("accuracy on these clips: ")
    assert "(keras, 0." in third
    assert "waveform of 4000 samples at 8000 Hz; 3 classes, licence CC0)" in third
    status, _, said = audiozoo("export", files / "my.audiozoo", "-o", tmp_path / "my.what")
    assert status == 2
    assert "the suffix names no format" in said
