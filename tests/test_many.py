"""Classification and embedding of many files at once."""

import gc
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import count, islice

import numpy as np
import pytest
import soundfile
from conftest import tone

import audiozoo
from audiozoo.classifier import Classifier, Failure, predict_files
from audiozoo.classifier.ahead import WindowsAhead
from audiozoo.features import LogMel, Scaler

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16)


@pytest.fixture(scope="module")
def classifier():
    model = audiozoo.build("house_cnn", 3, input_shape=FRONTEND.shape, seed=0, filters=(4, 8))
    scaler = Scaler(np.full((16, 1, 1), -40, np.float32), np.full((16, 1, 1), 9, np.float32))
    return Classifier.from_keras(model, FRONTEND, ["a", "b", "c"], scaler=scaler, temperature=1.5)


@pytest.fixture
def sounds(tmp_path, rng):
    """Write files of 1 to 60 windows, so that batches have parts of several files, and files parts of several batches."""
    paths = []
    for number, seconds in enumerate((0.2, 0.5, 15.3, 0.7, 2.0, 0.4, 1.1, 9.0, *[0.5] * 40)):
        paths.append(str(tmp_path / f"{number:02}.wav"))
        wave = tone(rng.uniform(200, 3_000), seconds, 8_000) + rng.normal(0, 0.05, round(seconds * 8_000))
        soundfile.write(paths[-1], wave, 8_000)
    return paths


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "audiozoo-reader"]


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("hop", [None, 0.1])
def test_answers_equal_those_of_one_file_at_a_time(classifier, sounds, pooling, hop):
    pooled = replace(classifier, pooling=pooling)
    answers = list(pooled.predict_many(sounds, jobs=3, hop=hop))
    assert [answer.source for answer in answers] == sounds
    for path, answer in zip(sounds, answers, strict=True):
        assert np.allclose(answer.scores, pooled.predict(path, hop=hop).scores, atol=1e-6)
    assert not readers()


def test_the_first_windows_of_a_long_sound_equal_those_of_its_beginning(classifier, rng):
    wave = rng.uniform(-0.5, 0.5, 8_000 * 30).astype(np.float32)
    whole, cut = (classifier.timeline(part, sample_rate=8_000) for part in (wave, wave[: 8_000 * 7]))
    assert np.allclose(whole.scores[: len(cut.scores)], cut.scores, atol=1e-6)  # the sizes of their batches differ


def test_windows_of_several_files_fill_a_batch(classifier, sounds, monkeypatch):
    sizes, outputs = [], classifier.scorer.outputs
    monkeypatch.setattr(classifier.scorer, "outputs", lambda windows: sizes.append(len(windows)) or outputs(windows))
    monkeypatch.setattr("audiozoo.classifier.ahead.PATIENCE", 60)
    list(classifier.predict_many(sounds))
    assert set(sizes[:-1]) == {32}


def test_embeddings_equal_those_of_one_file_at_a_time(classifier, sounds):
    for path, vector in zip(sounds, classifier.embed_many(sounds), strict=True):
        assert np.allclose(vector, classifier.embed(path), atol=1e-6)


def test_statistics_of_embeddings(classifier, sounds):
    windows = np.stack([window for _, window in FRONTEND.windows(audiozoo.audio.load(sounds[4], sample_rate=8_000))])
    vectors = classifier.scorer.embed(classifier.scaler(windows))
    expected = {"mean": vectors.mean(0), "max": vectors.max(0), "deviation": vectors.std(0)}
    expected["all"] = np.concatenate(list(expected.values()))
    for statistic, vector in expected.items():
        (answer,) = classifier.embed_many([sounds[4]], statistic=statistic)
        assert np.allclose(answer, vector, atol=1e-6)
    (least,) = classifier.embed_many([sounds[4]], statistic=lambda vectors: vectors.min(axis=0))
    assert np.allclose(least, vectors.min(0), atol=1e-6)
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        list(classifier.embed_many(sounds, statistic="meen"))


def test_a_model_without_embedding_fails_at_once_and_not_once_a_file(sounds):
    import keras

    inputs = keras.Input(FRONTEND.shape)
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(inputs)))
    with pytest.raises(ValueError, match="embedding"):
        next(Classifier.from_keras(model, FRONTEND, ["a", "b"]).embed_many(sounds))


def test_a_file_that_fails_in_the_middle_fails_alone(classifier, sounds, monkeypatch):
    stream = audiozoo.audio.stream

    def broken(path, **how):
        yield from stream(path, **how)
        if path == sounds[2]:
            raise ValueError("damaged after 15 seconds")

    expected = [classifier.predict(path).scores for path in sounds]
    monkeypatch.setattr("audiozoo.audio.stream", broken)
    answers = list(classifier.predict_many(["gone.wav", *sounds]))
    assert answers[0] == Failure("gone.wav", "gone.wav: no such file")
    assert answers[3] == Failure(sounds[2], f"{sounds[2]}: damaged after 15 seconds")
    for number, scores in enumerate(expected):
        assert number == 2 or np.allclose(answers[1 + number].scores, scores, atol=1e-6)
    with pytest.raises(ValueError, match="damaged after 15 seconds"):
        list(classifier.predict_many(sounds, strict=True))
    with pytest.raises(FileNotFoundError):
        list(classifier.predict_many(["gone.wav"], strict=True))


def test_a_bug_is_not_a_bad_file(classifier, sounds, monkeypatch):
    def broken(path, **how):
        raise KeyError("a bug")

    monkeypatch.setattr("audiozoo.audio.stream", broken)
    with pytest.raises(KeyError, match="a bug"):
        list(classifier.predict_many(sounds))
    assert not readers()


def test_wrong_arguments_are_refused(classifier, sounds):
    with pytest.raises(ValueError, match="hop must be positive"):
        list(classifier.predict_many(sounds, hop=0.6))
    with pytest.raises(ValueError, match="or -1 for one per core, got 0"):
        list(classifier.predict_many(sounds, jobs=0))
    with pytest.raises(ValueError, match="pass a list of paths"):
        list(classifier.predict_many(sounds[0]))
    assert list(classifier.predict_many([])) == []


def test_progress_and_paths_without_end(classifier, sounds):
    seen = []
    answers = list(classifier.predict_many(sounds, progress=lambda *step: seen.append(step)))
    assert [step[:3] for step in seen] == [("predict", 1 + i, len(sounds)) for i in range(len(answers))]
    assert all(step[3]["files/s"] > 0 for step in seen)
    endless = (sounds[number % len(sounds)] for number in count())
    assert len(list(islice(classifier.predict_many(endless), 100))) == 100
    gc.collect()
    assert not readers()


def test_the_first_answers_do_not_wait_for_a_full_batch(classifier, sounds, monkeypatch):
    monkeypatch.setattr("audiozoo.classifier.ahead.PATIENCE", 0.05)
    proceed, stream = threading.Event(), audiozoo.audio.stream

    def slow(path, **how):
        if path != sounds[0]:
            proceed.wait(60)
        yield from stream(path, **how)

    monkeypatch.setattr("audiozoo.audio.stream", slow)
    answers = classifier.predict_many(sounds[:3])
    assert next(answers).source == sounds[0]
    proceed.set()
    assert len(list(answers)) == 2


def test_windows_in_flight_are_bounded_by_bytes(monkeypatch):
    monkeypatch.setattr("audiozoo.classifier.ahead.MOST_BYTES", 5_000)
    made, taken, most = [], 0, 0

    def windows(path):
        for _ in range(40):
            made.append(path)
            yield np.zeros(1_000, np.uint8)

    with WindowsAhead(map(str, range(6)), windows, jobs=3) as ahead:
        order = []
        for event in ahead.take():
            if event is None or event[1] is None:
                continue
            order.append(event[0].path)
            time.sleep(0.001)
            taken += 1
            most = max(most, len(made) - taken)
    assert order == [path for path in map(str, range(6)) for _ in range(40)]
    # Five windows wait, the first file may add one, and each thread holds one more.
    assert most <= 5 + 1 + 3


def test_closing_the_iterator_ends_the_threads(classifier, sounds, monkeypatch):
    monkeypatch.setattr("audiozoo.classifier.ahead.MOST_BYTES", 1)
    answers = classifier.predict_many(sounds, jobs=3)
    next(answers)
    assert len(readers()) == 3
    answers.close()
    assert not readers()


def test_a_process_with_an_unfinished_iterator_ends_its_threads_first():
    code = (
        "import atexit, threading, time\n"
        "import numpy as np\n"
        "import audiozoo.classifier.ahead as ahead\n"
        "def windows(path):\n"
        "    for _ in range(9):\n"
        "        time.sleep(0.2)\n"
        "        yield np.zeros(9)\n"
        "ahead.MOST_BYTES = 1\n"
        "atexit.register(lambda: print(threading.active_count()))\n"
        "reading = ahead.WindowsAhead(map(str, range(9)), windows, jobs=2)\n"
        "reading.__enter__()\n"
        "print(next(reading.take())[0].path, threading.active_count())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, env=environment)
    assert (done.returncode, done.stdout) == (0, "0 3\n1\n")


def test_the_former_function_warns(classifier, sounds):
    with pytest.warns(DeprecationWarning, match="use Classifier.predict_many"):
        answers = list(predict_files(classifier, sounds[:2]))
    assert [answer.source for answer in answers] == sounds[:2]
