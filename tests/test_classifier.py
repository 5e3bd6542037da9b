import errno
import io
import json
import re
import struct
import time
import tracemalloc
import zipfile
from dataclasses import dataclass, replace

import h5py
import keras
import numpy as np
import pytest
from conftest import tone

import audiozoo
from audiozoo import crossval, registry
from audiozoo.classifier import Classifier, Failure, KerasScorer, Prediction, Scorer, TrainingFacts, saved_card
from audiozoo.classifier.scorers import batch_size
from audiozoo.features import CleaningStep, LogMel, Scaler, Waveform

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16)
LABELS = ("high", "low", "noise")


@pytest.fixture(scope="module")
def classifier():
    model = audiozoo.build("house_cnn", 3, input_shape=FRONTEND.shape, seed=0, filters=(4, 8))
    rng = np.random.default_rng(0)
    scaler = Scaler(rng.normal(-40, 5, (16, 1, 1)).astype(np.float32), rng.uniform(5, 9, (16, 1, 1)).astype(np.float32))
    return Classifier(
        FRONTEND, scaler, KerasScorer(model), LABELS, history={"loss": [1.0, 0.5]}, about=TrainingFacts(model="house_cnn")
    )


def by_hand(classifier, wave):
    windows = np.stack([array for _, array in classifier.frontend.windows(wave)])
    scores = classifier.scorer.model(classifier.scaler(windows))
    return keras.ops.convert_to_numpy(scores).mean(axis=0)


def test_array_file_bytes_and_open_file_agree(classifier, write_sound):
    wave = tone(440, 1.3, 8_000)
    path = write_sound(wave, subtype="FLOAT")
    answers = [
        classifier.predict(wave, sample_rate=8_000),
        classifier.predict(path),
        classifier.predict(path.read_bytes()),
        classifier.predict(io.BytesIO(path.read_bytes())),
    ]
    for answer in answers:
        assert np.allclose(answer.scores, by_hand(classifier, wave), atol=1e-5)
        assert answer.scores.sum() == pytest.approx(1, abs=1e-5)
    assert answers[1].source == str(path)


def test_another_rate_and_more_channels_are_brought_to_the_frontend(classifier):
    wave = tone(440, 1.0, 44_100)
    stereo = np.stack([wave, wave], axis=1)
    mono, both = (classifier.predict(x, sample_rate=44_100).scores for x in (wave, stereo))
    assert np.allclose(mono, both, atol=1e-5)
    eight = np.repeat(stereo, 4, axis=1)
    assert np.allclose(classifier.predict(eight, sample_rate=44_100).scores, mono, atol=1e-5)


@pytest.mark.parametrize("seconds", [0.001, 0.2, 0.5, 0.5001, 30.0])
def test_any_length_is_answered(classifier, seconds):
    scores = classifier.predict(tone(300, seconds, 8_000), sample_rate=8_000).scores
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()


def test_silence_is_answered(classifier):
    assert np.isfinite(classifier.predict(np.zeros(8_000, np.float32), sample_rate=8_000).scores).all()


def test_windows_have_their_times(classifier):
    rows = classifier.predict_windows(tone(300, 1.3, 8_000), sample_rate=8_000)
    assert [row.start for row in rows] == pytest.approx([0, 0.25, 0.5, 0.75, 0.8])
    assert [row.end - row.start for row in rows] == pytest.approx([0.5] * 5)
    assert classifier.predict_windows(tone(300, 0.1, 8_000), sample_rate=8_000)[0].end == pytest.approx(0.1)
    assert all(row.label in LABELS and 0 < row.score <= 1 for row in rows)
    assert len(classifier.predict_windows(tone(300, 1.3, 8_000), sample_rate=8_000, hop=0.5)) == 3
    with pytest.raises(ValueError, match="hop"):
        classifier.predict_windows(tone(300, 1.3, 8_000), sample_rate=8_000, hop=0.6)


@pytest.mark.parametrize(
    ("source", "rate", "reason"),
    [
        (np.zeros(100), None, "sample rate"),
        (np.zeros((2, 100)), 8_000, r"wave\.T"),
        (np.full(100, np.nan), 8_000, "NaN"),
        (np.zeros(100, np.int16), 8_000, "floating point"),
        (b"nothing", None, "not a sound file"),
        ("a.wav", 8_000, "for arrays"),
        ([0.0] * 800, 8_000, "NumPy array, got list"),
        (None, None, "NumPy array, got NoneType"),
        (np.full(100, 1e25), 8_000, "magnitudes"),
    ],
)
def test_refuses_with_the_way_out(classifier, source, rate, reason):
    with pytest.raises(ValueError, match=reason):
        classifier.predict(source, sample_rate=rate)


def test_embedding_is_the_mean_over_windows(classifier):
    wave = tone(300, 1.3, 8_000)
    vector = classifier.embed(wave, sample_rate=8_000)
    assert vector.shape == (classifier.scorer.model.get_layer("embedding").output.shape[1],)
    single = [classifier.embed(wave[i : i + 4_000], sample_rate=8_000) for i in (0, 2_000, 4_000, 6_000, 6_400)]
    assert np.allclose(vector, np.mean(single, axis=0), atol=1e-5)


def test_scores_do_not_depend_on_how_many_are_asked_at_once(classifier, rng):
    windows = rng.normal(-40, 20, (70, *FRONTEND.shape)).astype(np.float32)
    together = classifier.window_scores(windows)
    alone = np.concatenate([classifier.window_scores(windows[i : i + 1]) for i in range(0, 70, 9)])
    assert np.allclose(together[::9], alone, atol=1e-5)
    some = classifier.window_scores(windows, index=np.arange(0, 70, 9))
    assert np.allclose(some, alone, atol=1e-5)
    with pytest.warns(DeprecationWarning, match="use index="):
        assert np.array_equal(classifier.window_scores(windows, rows=np.arange(0, 70, 9)), some)


def test_temperature_and_pooling(classifier):
    wave = tone(300, 1.3, 8_000)
    hot = Classifier(FRONTEND, classifier.scaler, classifier.scorer, LABELS, temperature=100.0)
    assert np.allclose(hot.predict(wave, sample_rate=8_000).scores, 1 / 3, atol=0.05)
    best = Classifier(FRONTEND, classifier.scaler, classifier.scorer, LABELS, pooling="max")
    assert (best.predict(wave, sample_rate=8_000).scores >= classifier.predict(wave, sample_rate=8_000).scores - 1e-6).all()
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        Classifier(FRONTEND, classifier.scaler, classifier.scorer, LABELS, pooling="men")
    for temperature in (0, float("nan"), float("inf"), 1e9):
        with pytest.raises(ValueError, match=r"temperature must be a number from 0\.001 to 1000"):
            Classifier(FRONTEND, classifier.scaler, classifier.scorer, LABELS, temperature=temperature)


def test_prediction():
    answer = Prediction(("a", "b", "c"), np.array([0.2, 0.5, 0.3]), "x.wav")
    assert (answer.label, answer.score) == ("b", 0.5)
    assert answer.top(2) == [("b", 0.5), ("c", 0.3)]
    assert json.loads(json.dumps(answer.to_dict()))["scores"] == {"a": 0.2, "b": 0.5, "c": 0.3}


def test_save_and_load_keep_everything(classifier, tmp_path):
    path = tmp_path / "my.audiozoo"
    classifier.save(path)
    again = audiozoo.load_classifier(path)
    wave = tone(300, 1.3, 8_000)
    assert np.allclose(again.predict(wave, sample_rate=8_000).scores, classifier.predict(wave, sample_rate=8_000).scores)
    for name in ("frontend", "labels", "pooling", "temperature", "history", "about", "activation"):
        assert getattr(again, name) == getattr(classifier, name)
    again.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["my.audiozoo"]


def test_a_saved_model_carries_no_optimizer(tmp_path):
    model = audiozoo.build("feature_mlp", 3, input_shape=(20,))
    plain = len(KerasScorer(model).to_files()["model.keras"])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.train_on_batch(np.zeros((2, 20), np.float32), np.zeros(2))
    assert len(KerasScorer(model).to_files()["model.keras"]) < 1.1 * plain


def rewritten(path, name, change):
    """Write a saved classifier again with one of its files changed, or left out."""
    with zipfile.ZipFile(path) as archive:
        files = {other: archive.read(other) for other in archive.namelist()}
    files[name] = change(files[name])
    with zipfile.ZipFile(path, "w") as archive:
        for other, content in files.items():
            if content is not None:
                archive.writestr(other, content)


def test_load_refuses_what_is_no_classifier(classifier, tmp_path):
    path = tmp_path / "my.audiozoo"
    with pytest.raises(FileNotFoundError, match=r"my\.audiozoo: no such file"):
        audiozoo.load_classifier(path)
    classifier.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is truncated"):
        audiozoo.load_classifier(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a classifier that this version reads: it is not a ZIP"):
        audiozoo.load_classifier(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "a ZIP from elsewhere")
    with pytest.raises(ValueError, match="is not one of the allowed members"):
        audiozoo.load_classifier(path)


def test_a_classifier_of_the_first_schema_loads(classifier, tmp_path):
    path = tmp_path / "my.audiozoo"
    classifier.save(path)
    rewritten(
        path, "card.json", lambda content: content.replace(b'"class": ', b'"kind": ').replace(b'"schema": 4', b'"schema": 1')
    )
    assert audiozoo.load_classifier(path).frontend == classifier.frontend


def test_a_long_file_is_answered_piece_by_piece(classifier, write_sound, monkeypatch):
    path = write_sound(np.concatenate([tone(300, 2, 8_000), tone(2_000, 1.3, 8_000)]), rate=8_000)
    whole = classifier.predict_windows(path), classifier.predict(path).scores
    monkeypatch.setattr("audiozoo.audio.files._BLOCK", 1_234)
    assert classifier.predict_windows(path) == whole[0]
    assert whole[0][-1].end == pytest.approx(3.3)
    assert np.array_equal(classifier.predict(path).scores, whole[1])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": 99}, "upgrade"),
        ({"schema": "1"}, "not a classifier"),
        ({"scorer": "keraz"}, "did you mean 'keras'"),
        ({"frontend": {"class": "Logmel"}}, "LogMel"),
        ({"frontend": None}, "not a classifier"),
        ({"frontend": {"class": "LogMel"}}, "does not fit"),
        ({"labels": ["a"]}, "3 outputs and there are 1 labels"),
        ({"labels": "abc"}, "list of 1 to 10,000 names"),
        ({"temperature": None}, "temperature must be a number"),
        ({"temperature": float("nan")}, "temperature must be a number.*got nan"),
        ({"temperature": float("inf")}, "temperature must be a number"),
        ({"temperature": -1}, "temperature must be a number"),
        ({"temperature": 1e-9}, "temperature must be a number"),
        ({"temperature": True}, "temperature must be a number"),
        ({"rejection": 2}, "rejection must be a number from 0 to 1"),
        ({"rejection": "often"}, "rejection must be a number"),
        ({"thresholds": 0.5}, "thresholds must be a list"),
        ({"thresholds": [0.5]}, "one threshold for each label, got 1 for 3"),
        ({"thresholds": [0.5, None, 0.5]}, "the threshold of 'b?.*' must be a number from 0 to 1"),
        ({"history": None}, "history must be an object"),
        ({"history": {"loss": "falling"}}, "history of 'loss' must be a list of numbers"),
        ({"history": {"loss": [None]}}, "history of 'loss' must be a list of numbers"),
        ({"about": []}, "about must be an object"),
        ({"about": {"parameters": "many"}}, "fact 'parameters' must not be many"),
        ({"about": {"recipe": [1]}}, "fact 'recipe' must not be"),
        ({"labels": [1, 2, 3]}, "label must be a text.*got 1"),
        ({"labels": ["a", None, "b"]}, "label must be a text.*got None"),
        ({"labels": ["a", {"b": 1}, "c"]}, "label must be a text.*got {'b': 1}"),
        ({"labels": ["a", ["b"], "c"]}, "label must be a text"),
        ({"labels": ["a", "", "c"]}, "label must be a text"),
        ({"labels": ["a", "b" * 1_001, "c"]}, "label must be a text"),
        ({"labels": ["a", "a", "c"]}, "different names"),
        ({"labels": [str(number) for number in range(10_001)]}, "list of 1 to 10,000 names"),
        ({"labels": []}, "list of 1 to 10,000 names"),
        ({"parameters": 1}, "the card states 1 parameters, but the model has 463"),
        ({"parameters": "463"}, "parameters must be a whole number"),
        ({"activation": "relu"}, "activation must be one of"),
        ({"activation": "sigmoid"}, "activation must be that of the model, 'softmax'"),
        ({"pooling": ["mean"]}, "unknown pooling"),
        ({"schema": True}, "schema must be a whole number"),
        ({"scorer": {}}, "unknown kind of model"),
        ({"frontend": {"class": "LogMel", "duration": 1e9}}, "duration must be a number"),
        ({"frontend": {"class": "LogMel", "duration": float("nan")}}, "duration must be a number"),
        ({"frontend": {"class": "LogMel", "sample_rate": 1}}, "sample_rate must be a number from 50 to"),
        ({"frontend": {"class": "LogMel", "sample_rate": 10**30}}, "sample_rate must be a number from 50 to"),
        ({"frontend": {"class": "LogMel", "n_fft": 2**40}}, "n_fft must be a number from 1 to"),
        ({"frontend": {"class": "LogMel", "n_mels": 10**9}}, "n_mels must be a number from 1 to"),
        ({"frontend": {"class": "LogMel", "fmax": float("nan")}}, "fmax must be a number"),
        (
            {"frontend": {"class": "Waveform", "duration": 3_600, "sample_rate": 10**6}},
            "a window must have from 1 to 16777216 samples",
        ),
        ({"frontend": {"class": "LogMel", "hop_length": 1, "duration": 60}}, "larger hop_length"),
        ({"frontend": {"class": "Scale", "of": {"class": "LogMel", "frames": 10**12}}}, "frames must be a number from 1 to"),
        ({"frontend": {"class": "Recipe"}}, "unknown frontend"),
    ],
)
def test_load_refuses_a_card_it_cannot_read(classifier, tmp_path, changes, reason):
    path = tmp_path / "my.audiozoo"
    classifier.save(path)
    rewritten(path, "card.json", lambda content: json.dumps(json.loads(content) | changes))
    with pytest.raises(ValueError, match=rf"my\.audiozoo: (.|\n)*{reason}"):
        audiozoo.load_classifier(path)


@pytest.mark.parametrize("name", ["card.json", "scaler.npz", "model.keras"])
@pytest.mark.parametrize("change", [lambda content: b"garbage", lambda content: None, lambda content: content[:40]])
def test_load_names_a_damaged_file(classifier, tmp_path, name, change):
    path = tmp_path / "my.audiozoo"
    classifier.save(path)
    rewritten(path, name, change)
    with pytest.raises(ValueError, match=r"my\.audiozoo: not a classifier that this version reads"):
        audiozoo.load_classifier(path)


REFUSED = r"my\.audiozoo: not a classifier that this version reads: "


@pytest.fixture(scope="module")
def saved(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "my.audiozoo"
    classifier.save(path)
    return path.read_bytes()


@pytest.fixture
def hostile(saved, tmp_path):
    """Return a saved classifier that may be spoilt."""
    path = tmp_path / "my.audiozoo"
    path.write_bytes(saved)
    return path


def refuses(path, reason):
    with pytest.raises(ValueError, match=f"{REFUSED}.*{reason}"):
        audiozoo.load_classifier(path)


def test_a_bomb_is_refused_at_once(hostile):
    with zipfile.ZipFile(hostile, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", bytes(32 * 2**20))
    assert hostile.stat().st_size < 10**6
    tracemalloc.start()
    begin = time.perf_counter()
    refuses(hostile, "readme.txt. is not one of the allowed members")
    with zipfile.ZipFile(hostile, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("card.json", b" ")
    packed = bytearray(hostile.read_bytes())
    struct.pack_into("<I", packed, packed.index(b"PK\x01\x02") + 24, 2**32 - 2)
    hostile.write_bytes(packed)
    refuses(hostile, "card.json declares 4,294,967,294 bytes")
    assert time.perf_counter() - begin < 1
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_a_bomb_inside_the_model_is_refused(hostile):
    def bomb(content):
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", b"{}")
            archive.writestr("model.weights.h5", bytes(64 * 2**20))
        return inner.getvalue()

    rewritten(hostile, "model.keras", bomb)
    refuses(hostile, "its members declare 67,108,866 bytes")


@pytest.mark.parametrize("depth", [65, 900, 100_000])
def test_deep_json_is_refused(hostile, depth):
    deep = b'{"about": ' + b"[" * depth + b"]" * depth + b"}"
    rewritten(hostile, "card.json", lambda content: deep)
    refuses(hostile, "nested deeper than 64")


def test_a_large_npz_header_is_refused(hostile):
    def change(content):
        with np.load(io.BytesIO(content)) as arrays:
            mean = io.BytesIO()
            np.save(mean, arrays["mean"])
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w") as archive:
            archive.writestr("mean.npy", mean.getvalue().replace(b"(16, 1, 1), }          ", b"(16, 10000000000, 1), }"))
            archive.writestr("deviation.npy", mean.getvalue())
        return whole.getvalue()

    rewritten(hostile, "scaler.npz", change)
    refuses(hostile, r"mean.npy declares the shape \(16, 10000000000, 1\)")


@pytest.mark.parametrize("change", [lambda content: content, lambda content: b"again"])
def test_duplicate_members_are_refused(hostile, change):
    with zipfile.ZipFile(hostile, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("card.json", change(archive.read("card.json")))
    refuses(hostile, "two members of the archive have the same name")


def with_model(path, member, change):
    """Change one file inside the model of a saved classifier."""

    def rewrite(content):
        inner = path.with_suffix(".keras")
        inner.write_bytes(content)
        rewritten(inner, member, change)
        return inner.read_bytes()

    rewritten(path, "model.keras", rewrite)


def edited(config, change):
    """Apply a change to each object of a model's configuration."""
    if isinstance(config, list):
        return [edited(item, change) for item in config]
    if not isinstance(config, dict):
        return config
    return change({key: edited(value, change) for key, value in config.items()})


def wide(units):
    """Widen the last layer, in its options and where Keras noted the shapes that it was built with."""

    def change(layer):
        if layer.get("class_name") == "Dense" and layer["config"]["name"] == "logits":
            layer["config"]["units"] = units
        return layer

    return lambda content: json.dumps(edited(json.loads(content), change)).encode()


@pytest.mark.parametrize("units", [4, 10**6, 10**9, 2**62])
def test_a_layer_of_absurd_size_is_refused_before_it_is_built(hostile, units):
    with_model(hostile, "config.json", wide(units))
    refuses(hostile, r"the layers of the model need [\d,]+ weights, but its file has 463")


def test_a_shape_that_keras_noted_is_not_believed(hostile):
    def change(layer):
        if layer.get("class_name") == "Dense":
            layer["build_config"] = {"input_shape": [None, 10**10]}
        return layer

    with_model(hostile, "config.json", lambda content: json.dumps(edited(json.loads(content), change)).encode())
    refuses(hostile, "")


def test_a_refused_layer_leaves_nothing_that_is_allocated_later(hostile):
    with_model(hostile, "config.json", wide(10**9))
    refuses(hostile, "")
    with keras.StatelessScope():
        pass  # where Keras leaves a scope, it gives values to the variables that wait for one
    assert audiozoo.build("feature_mlp", 2, input_shape=(4,)).count_params() < 10**6


def test_layers_that_blow_a_window_up_are_refused(tmp_path):
    inputs = keras.Input((80, 1))
    large = keras.layers.UpSampling1D(10**6)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalMaxPooling1D()(large)))
    path = tmp_path / "my.audiozoo"
    Classifier.from_keras(model, Waveform(sample_rate=8_000, duration=0.01), ["a", "b"]).save(path)
    refuses(path, "more than 67,108,864 numbers per window")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
@pytest.mark.parametrize("change", [lambda content: b"", lambda content: content[:100], lambda content: None])
def test_a_damaged_file_inside_the_model_is_refused(hostile, member, change):
    with_model(hostile, member, change)
    refuses(hostile, "")


def test_deep_json_inside_the_model_is_refused(hostile):
    with_model(hostile, "config.json", lambda content: b"[" * 100_000)
    refuses(hostile, "nested deeper than 64")


def test_large_datasets_inside_the_model_are_refused(hostile):
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.create_dataset("layers/dense/vars/0", (10**12,), "f4")
    with_model(hostile, "model.weights.h5", lambda content: file.getvalue())
    refuses(hostile, r"layers/dense/vars/0 declares the shape \(1000000000000,\)")


def spoilt(content, rng):
    """Flip bits, cut out a part, overwrite a part with another, or cut the end off."""
    changed = bytearray(content)
    start, stop = sorted(rng.integers(0, len(content), 2))
    kind = rng.integers(4)
    if kind == 0:
        for place in rng.integers(0, len(content), rng.integers(1, 9)):
            changed[place] ^= 1 << rng.integers(8)
    elif kind == 1:
        del changed[start : min(stop, start + 64)]
    elif kind == 2:
        changed[start : start + 16] = content[stop : stop + 16]
    else:
        del changed[start:]
    return bytes(changed)


def test_mutated_files_are_refused_by_name(saved, tmp_path, rng):
    path = tmp_path / "my.audiozoo"
    directory = saved.rindex(b"card.json") - 46  # from here on lies the archive's directory, where mutations tell most
    loaded = 0
    for number in range(200):
        begin = directory if number % 2 else 0
        path.write_bytes(saved[:begin] + spoilt(saved[begin:], rng))
        try:
            audiozoo.load_classifier(path)
            loaded += 1
        except ValueError as error:
            assert str(error).startswith(f"{path}: not a classifier that this version reads: ")  # noqa: PT017
    assert loaded < 40


def test_mutated_cards_are_refused_by_name(classifier, saved, tmp_path, rng, monkeypatch):
    monkeypatch.setattr(KerasScorer, "from_files", classmethod(lambda cls, files: cls(classifier.scorer.model)))
    path = tmp_path / "my.audiozoo"
    for _ in range(200):
        path.write_bytes(saved)
        rewritten(path, "card.json", lambda content: spoilt(content, rng))
        try:
            audiozoo.load_classifier(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: not a classifier that this version reads: ")  # noqa: PT017


def test_the_machines_trouble_is_not_the_files(hostile, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(KerasScorer, "from_files", full)
    with pytest.raises(OSError, match="No space left"):
        audiozoo.load_classifier(hostile)


def without(card, *names):
    return {name: value for name, value in card.items() if name not in names}


@pytest.mark.parametrize("schema", [1, 2])
def test_older_cards_have_their_activation_from_the_model(classifier, hostile, schema):
    def older(content):
        card = without(json.loads(content), "activation", "parameters")
        card |= {"schema": schema, "about": {"model": "house_cnn", "parameters": 463, "mine": [1]}, "temperature": 2.0}
        text = json.dumps(card)
        return (text.replace('"class": ', '"kind": ') if schema == 1 else text).encode()

    rewritten(hostile, "card.json", older)
    again = audiozoo.load_classifier(hostile)
    assert (again.activation, again.frontend) == ("softmax", classifier.frontend)
    assert again.about == TrainingFacts(model="house_cnn", parameters=463, notes={"mine": [1]})
    rewritten(hostile, "card.json", lambda content: content.replace(b"463", b"464"))
    refuses(hostile, "the card states 464 parameters, but the model has 463")


class Given(Scorer):
    """A scorer whose scores are the windows themselves."""

    kind = "given"
    parameters = 0

    activation = None

    def __init__(self, activation):
        self.activation = activation

    def check(self, shape, classes):
        pass

    def scores(self, windows):
        return windows[:, :, 0]


def tempered_scores(scores, temperature, activation, *, told=None):
    frontend = Waveform(sample_rate=100, duration=0.03)
    mine = Classifier(frontend, Scaler.identity(), Given(activation), LABELS, temperature=temperature, activation=told)
    return mine.window_scores(np.asarray(scores, np.float32)[:, :, None])


def test_a_score_does_not_depend_on_its_neighbours():
    # Together they sum to 1 within the tolerance by which a softmax was once guessed, the second alone does not.
    clip, neighbour = [0.7, 0.2, 0.1009], [0.7, 0.2, 0.1018]
    for activation in ("softmax", "sigmoid"):
        together = tempered_scores([clip, neighbour, [0.9, 0.9, 0.9]], 2.0, activation)
        for alone, beside in zip((clip, neighbour), together, strict=False):
            assert np.allclose(tempered_scores([alone], 2.0, activation)[0], beside, atol=1e-7)


@pytest.mark.parametrize("temperature", [0.001, 0.01, 0.5, 2.0, 1_000.0])
def test_a_temperature_divides_the_logits(temperature):
    scores = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.2, 0.3, 0.5]])
    logits = np.log(scores) / temperature
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.allclose(tempered_scores(scores, temperature, "softmax"), expected, atol=1e-5)
    # Independent scores that sum to 1 by chance are not taken for a softmax.
    with np.errstate(over="ignore"):
        independent = 1 / (1 + np.exp(-np.log(scores / (1 - scores)) / temperature))
    got = tempered_scores(scores, temperature, "sigmoid")
    settled = scores != 0.5  # rounding to float32 decides there
    assert np.allclose(got[settled], independent[settled], atol=1e-4)


def test_a_temperature_needs_an_activation():
    with pytest.raises(ValueError, match=r"set activation='softmax' or 'sigmoid'"):
        tempered_scores([[0.7, 0.2, 0.1]], 2.0, None)
    assert tempered_scores([[0.7, 0.2, 0.1]], 2.0, None, told="softmax").sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="activation must be that of the model, 'softmax'"):
        tempered_scores([[0.7, 0.2, 0.1]], 2.0, "softmax", told="sigmoid")


@pytest.mark.parametrize(
    ("end", "activation"),
    [
        (lambda x: keras.layers.Dense(2, activation="softmax")(x), "softmax"),
        (lambda x: keras.layers.Softmax()(keras.layers.Dense(2)(x)), "softmax"),
        (lambda x: keras.layers.Activation("sigmoid")(keras.layers.Dense(2)(x)), "sigmoid"),
        (lambda x: keras.layers.Dense(2)(x), None),
        (lambda x: keras.ops.softmax(keras.layers.Dense(2)(x)), None),
    ],
)
def test_the_last_layer_tells_the_activation(end, activation):
    inputs = keras.Input((4,))
    inner = keras.Model(inputs, end(inputs))
    outer = keras.Input((4,))
    assert KerasScorer(inner).activation == KerasScorer(keras.Model(outer, inner(outer))).activation == activation


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ("a", "b", "c" * 1_001)}, "label must be a text of 1 to 1,000"),
        ({"history": {"loss": [object()]}}, "only JSON data"),
        ({"history": {"loss": [None]}}, "list of numbers"),
        ({"about": TrainingFacts(notes={"path": object()})}, "only JSON data"),
    ],
)
def test_what_would_not_be_loaded_is_not_saved(classifier, tmp_path, changes, reason):
    path = tmp_path / "my.audiozoo"
    with pytest.raises(ValueError, match=reason):
        replace(classifier, **changes).save(path)
    assert not path.exists()


def test_facts_are_kept_as_they_are_written():
    facts = TrainingFacts(model="a", parameters=3, failures=("x",), validation={"val_loss": 0.5}, notes={"mine": 1})
    assert facts.to_dict() == {
        "model": "a",
        "parameters": 3,
        "validation": {"val_loss": 0.5},
        "failures": ["x"],
        "notes": {"mine": 1},
    }
    assert TrainingFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts
    assert TrainingFacts.from_dict({"model": None, "other": 2}) == TrainingFacts(notes={"other": 2})
    for name, value in (("model", "a"), ("mine", 1), ("best_epoch", None)):
        with pytest.warns(DeprecationWarning, match=f"about.{name}"):
            assert facts[name] == value
    with pytest.raises(KeyError, match="nothing"), pytest.warns(DeprecationWarning, match="nothing"):
        facts["nothing"]


def test_what_is_no_probability_is_refused(classifier):
    logits = audiozoo.build("house_cnn", 3, input_shape=FRONTEND.shape, seed=0, filters=(4, 8), activation=None)
    mine = Classifier.from_keras(logits, FRONTEND, LABELS)
    with pytest.raises(ValueError, match="not probabilities"):
        mine.predict(tone(300, 0.5, 8_000), sample_rate=8_000)


def test_labels_are_different_texts(classifier):
    with pytest.raises(ValueError, match="different names"):
        Classifier(FRONTEND, classifier.scaler, classifier.scorer, ("a", "a", "b"))
    for wrong in (1, None, ""):
        with pytest.raises(ValueError, match="non-empty text"):
            Classifier(FRONTEND, classifier.scaler, classifier.scorer, ("a", "b", wrong))


def test_from_keras_takes_your_own_model():
    frontend = Waveform(sample_rate=8_000, duration=0.1)
    inputs = keras.Input((800, 1))
    pooled = keras.layers.GlobalAveragePooling1D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(pooled))
    mine = Classifier.from_keras(model, frontend, ["a", "b"])
    assert mine.predict(tone(100, 1, 8_000), sample_rate=8_000).label in ("a", "b")
    with pytest.raises(ValueError, match=r"takes \(800, 1\), the frontend gives \(1600, 1\)"):
        Classifier.from_keras(model, frontend.adapt(duration=0.2), ["a", "b"])
    with pytest.raises(ValueError, match="2 outputs and there are 3 labels"):
        Classifier.from_keras(model, frontend, ["a", "b", "c"])
    with pytest.raises(ValueError, match="embedding"):
        mine.embed(tone(100, 1, 8_000), sample_rate=8_000)


@dataclass(frozen=True, kw_only=True)
class Refusing(CleaningStep):
    """A cleaning step that can clean no sound."""

    def _apply(self, wave, sample_rate):
        raise ValueError("this sound cannot be cleaned")


def test_an_error_of_a_cleaning_step_names_the_file(classifier, write_sound):
    path = str(write_sound(tone(440, 0.5, 8_000)))
    refusing = replace(classifier, frontend=replace(FRONTEND, prepare=(Refusing(),)))
    assert list(refusing.predict_many([path])) == [Failure(path, f"{path}: this sound cannot be cleaned")]
    with pytest.raises(ValueError, match=rf"{re.escape(path)}: this sound cannot be cleaned"):
        list(refusing.predict_many([path], strict=True))


def test_batches_are_limited_by_bytes():
    assert batch_size((128, 256, 4)) == batch_size((220_500,)) == batch_size(()) == 32
    assert batch_size((480_000, 2)) == 16
    assert batch_size((2**24,)) == batch_size((2**30,)) == 1


def test_large_windows_are_scored_in_smaller_batches(classifier, monkeypatch):
    wave = np.random.default_rng(0).normal(0, 0.1, 80_000).astype(np.float32)
    features = np.stack([array for _, array in FRONTEND.windows(wave)])
    whole, at_once = classifier.predict(wave, sample_rate=8_000).scores, classifier.window_scores(features)
    sizes = []
    inner = classifier.scorer.model.predict_on_batch
    monkeypatch.setattr(classifier.scorer.model, "predict_on_batch", lambda batch: sizes.append(len(batch)) or inner(batch))
    monkeypatch.setattr("audiozoo.classifier.scorers.BATCH_BYTES", 5 * features[0].nbytes)
    assert np.allclose(classifier.predict(wave, sample_rate=8_000).scores, whole, atol=1e-6)
    assert np.allclose(classifier.window_scores(features), at_once, atol=1e-6)
    assert len(features) == 39
    assert set(sizes) == {4}


def test_a_bad_file_does_not_stop_the_others(classifier, write_sound, tmp_path):
    good = str(write_sound(tone(440, 0.5, 8_000)))
    paths = [str(tmp_path / "gone.wav"), good]
    failed, answered = classifier.predict_many(paths)
    assert isinstance(failed, Failure)
    assert "gone.wav" in failed.error
    assert answered.source == good
    with pytest.raises(FileNotFoundError):
        list(classifier.predict_many(paths, strict=True))


# Half precision, and the classifiers of the package


def test_half_precision_halves_the_file_and_hardly_changes_the_scores(classifier, tmp_path, rng):
    classifier.save(tmp_path / "single.audiozoo")
    classifier.save(tmp_path / "half.audiozoo", half_precision=True)
    loaded = audiozoo.load_classifier(tmp_path / "half.audiozoo")
    wave = rng.uniform(-0.5, 0.5, 8_000)
    before, after = (one.predict(wave, sample_rate=8_000).scores for one in (classifier, loaded))
    assert np.abs(before - after).max() < 2e-3
    for weight, given in zip(loaded.scorer.model.weights, classifier.scorer.model.weights, strict=True):
        assert weight.dtype == given.dtype
        assert np.array_equal(weight.numpy() if hasattr(weight, "numpy") else weight, np.float16(given).astype(np.float32))


def test_half_precision_refuses_a_weight_beyond_its_range(classifier, tmp_path):
    model = keras.models.clone_model(classifier.scorer.model)
    model.set_weights([np.full(weight.shape, 1e5, np.float32) for weight in model.weights])
    large = replace(classifier, scorer=KerasScorer(model))
    with pytest.raises(ValueError, match="100000, beyond half precision"):
        large.save(tmp_path / "half.audiozoo", half_precision=True)
    assert not (tmp_path / "half.audiozoo").exists()


@pytest.fixture
def shipped(classifier, tmp_path, monkeypatch):
    folder = tmp_path / "house_cnn"
    folder.mkdir()
    about = replace(classifier.about, licence="CC BY", notes={"data": "three sounds", "test": "accuracy 90 %"})
    replace(classifier, about=about).save(folder / "tiny.audiozoo", half_precision=True)
    monkeypatch.setattr(registry.shipped, "_FOLDER", tmp_path)


@pytest.mark.usefixtures("shipped")
def test_a_classifier_of_the_package_is_loaded_by_name(rng):
    loaded = audiozoo.load_classifier("house_cnn/tiny")
    assert loaded.labels == LABELS
    assert loaded.predict(rng.uniform(-0.5, 0.5, 8_000), sample_rate=8_000).label in LABELS
    with pytest.raises(FileNotFoundError, match="house_cnn/tinny"):
        audiozoo.load_classifier("house_cnn/tinny")


@pytest.mark.usefixtures("shipped")
def test_the_command_line_lists_and_describes_a_classifier_of_the_package(request):
    run = request.getfixturevalue("audiozoo")
    for words in (["list", "--pretrained", "house*"], ["info", "house_cnn/tiny"]):
        status, text, _ = run(*words)
        assert status == 0
        assert "house_cnn/tiny" in text
        assert "CC BY" in text
        assert "three sounds" in text
    assert json.loads(run("list", "--pretrained", "--json")[1])[-2:] == ["yamnet", "house_cnn/tiny"]
    status, _, told = run("info", "house_cnn/tin")
    assert (status, "house_cnn/tin: no such file; the package has the classifiers house_cnn/tiny" in told) == (2, True)


SHIPPED = registry.shipped_classifiers()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_classifier_of_the_package_is_small_and_has_a_card(name):
    card = saved_card(name)
    assert SHIPPED[name].stat().st_size < 1_500_000
    assert {"data", "test", "intended use"} <= set(card["about"]["notes"])
    assert card["about"]["licence"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_classifier_of_the_package_reaches_the_accuracy_on_its_card(name, esc50_root):
    clips = [clip for clip in audiozoo.load_dataset("esc10", root=esc50_root).clips if clip.fold == 5]
    measured = crossval.evaluate(audiozoo.load_classifier(name), clips).measures.accuracy
    stated = float(re.search(r"accuracy ([\d.]+) %", saved_card(name)["about"]["notes"]["test"])[1])
    assert 100 * measured == pytest.approx(stated, abs=1.3)  # a clip more or less
