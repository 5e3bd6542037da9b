import io
import json
import zipfile

import keras
import numpy as np
import pytest
from conftest import tone

import audiozoo
from audiozoo.classifier import Classifier, Failure, KerasScorer, Prediction, TrainingFacts, predict_files
from audiozoo.features import LogMel, Scaler, Waveform

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16)
LABELS = ("high", "low", "noise")


@pytest.fixture(scope="module")
def classifier():
    model = audiozoo.build("house_cnn", 3, input_shape=FRONTEND.shape, seed=0, filters=(4, 8))
    rng = np.random.default_rng(0)
    scaler = Scaler(rng.normal(-40, 5, (16, 1, 1)).astype(np.float32), rng.uniform(5, 9, (16, 1, 1)).astype(np.float32))
    return Classifier(FRONTEND, scaler, KerasScorer(model), LABELS, history={"loss": [1.0, 0.5]}, about=TrainingFacts(model="house_cnn"))


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


def test_temperature_and_pooling(classifier):
    wave = tone(300, 1.3, 8_000)
    hot = Classifier(FRONTEND, classifier.scaler, classifier.scorer, LABELS, temperature=100.0)
    assert np.allclose(hot.predict(wave, sample_rate=8_000).scores, 1 / 3, atol=0.05)
    best = Classifier(FRONTEND, classifier.scaler, classifier.scorer, LABELS, pooling="max")
    assert (best.predict(wave, sample_rate=8_000).scores >= classifier.predict(wave, sample_rate=8_000).scores - 1e-6).all()
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        Classifier(FRONTEND, classifier.scaler, classifier.scorer, LABELS, pooling="men")
    for temperature in (0, float("nan"), float("inf"), 1e9):
        with pytest.raises(ValueError, match="temperature must be a number from 0.001 to 1000"):
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
    with pytest.raises(ValueError, match="cut short"):
        audiozoo.load_classifier(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a classifier that this version reads: it is no ZIP"):
        audiozoo.load_classifier(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "a ZIP from elsewhere")
    with pytest.raises(ValueError, match="is no member that it may have"):
        audiozoo.load_classifier(path)


def test_a_classifier_of_the_first_schema_loads(classifier, tmp_path):
    path = tmp_path / "my.audiozoo"
    classifier.save(path)
    rewritten(path, "card.json", lambda content: content.replace(b'"class": ', b'"kind": ').replace(b'"schema": 3', b'"schema": 1'))
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
        ({"temperature": None}, "not a classifier"),
        ({"history": None}, "not a classifier"),
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


def test_what_is_no_probability_is_refused(classifier):
    logits = audiozoo.build("house_cnn", 3, input_shape=FRONTEND.shape, seed=0, filters=(4, 8), activation=None)
    mine = Classifier.from_keras(logits, FRONTEND, LABELS)
    with pytest.raises(ValueError, match="not probabilities"):
        mine.predict(tone(300, 0.5, 8_000), sample_rate=8_000)


def test_labels_do_not_repeat(classifier):
    with pytest.raises(ValueError, match="different names"):
        Classifier(FRONTEND, classifier.scaler, classifier.scorer, ("a", "a", "b"))


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


def test_a_bad_file_does_not_stop_the_others(classifier, write_sound, tmp_path):
    good = str(write_sound(tone(440, 0.5, 8_000)))
    paths = [str(tmp_path / "gone.wav"), good]
    failed, answered = predict_files(classifier, paths)
    assert isinstance(failed, Failure)
    assert "gone.wav" in failed.error
    assert answered.source == good
    with pytest.raises(FileNotFoundError):
        list(predict_files(classifier, paths, strict=True))
