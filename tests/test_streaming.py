"""Classification of sounds that arrive in blocks: the answers of the whole sound, whatever the blocks."""

import queue
import sys
import types
from dataclasses import replace

import keras
import numpy as np
import pytest

from audiozoo import Classifier, Ensemble, audio
from audiozoo.audio import PcmDecoder
from audiozoo.cli import script, stream
from audiozoo.features import LogMel

RATE = 8_000
FRONTEND = LogMel(sample_rate=RATE, duration=0.5, n_fft=256, hop_length=128, n_mels=16, hop=0.2)


def classifier_with(frontend, seed=0):
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Input(frontend.shape), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    model = keras.Sequential([*layers, keras.layers.Activation("softmax")])
    return Classifier.from_keras(model, frontend, ["a", "b", "c"])


@pytest.fixture(scope="module")
def classifier():
    return classifier_with(FRONTEND)


def sound(samples, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    wave = rng.uniform(-1, 1, (samples, channels)) * np.linspace(0, 0.9, samples)[:, None]
    return wave.astype(np.float32)[:, 0] if channels == 1 else wave.astype(np.float32)


def streamed(answering, wave, sample_rate, *, seed=0, longest=700, **options):
    flow = answering.stream(sample_rate=sample_rate, **options)
    rng, start, answers = np.random.default_rng(seed), 0, []
    while start < len(wave):
        size = int(rng.integers(1, longest))
        answers += flow.write(wave[start : start + size])
        start += size
    return answers + flow.finish()


def assert_same(answers, expected):
    assert [answer[:3] for answer in answers] == [answer[:3] for answer in expected]
    assert np.allclose([answer.score for answer in answers], [answer.score for answer in expected], atol=1e-5)


@pytest.mark.parametrize("last", ["align", "pad", "drop"])
@pytest.mark.parametrize("sample_rate", [RATE, 22_050])
@pytest.mark.parametrize("seconds", [0.1, 0.5, 0.503, 2.345])
def test_a_stream_answers_as_for_the_whole_sound(last, sample_rate, seconds):
    classifier = classifier_with(replace(FRONTEND, last=last))
    wave = sound(int(seconds * sample_rate))
    assert_same(streamed(classifier, wave, sample_rate), classifier.predict_windows(wave, sample_rate=sample_rate))


def test_all_scores_and_another_hop(classifier):
    wave = sound(20_000, channels=2)
    how = {"hop": 0.1, "all_scores": True}
    answers = streamed(classifier, wave, RATE, **how)
    assert_same(answers, classifier.predict_windows(wave, sample_rate=RATE, **how))
    assert len(answers) == 3 * 21


def test_the_size_of_the_blocks_does_not_matter(classifier):
    wave = sound(10_000)
    whole = streamed(classifier, wave, 11_025, longest=10**6)
    assert_same(streamed(classifier, wave, 11_025, longest=2), whole)


def test_a_window_is_answered_with_its_last_sample(classifier):
    flow = classifier.stream(sample_rate=RATE)
    wave = sound(6_000)
    assert flow.write(wave[:3_999]) == []
    assert [answer.end for answer in flow.write(wave[3_999:4_000])] == [0.5]
    assert flow.write(wave[4_000:5_599]) == []
    assert [answer.start for answer in flow.write(wave[5_599:])] == [0.2]


def test_an_ensemble_answers_as_for_the_whole_sound(classifier):
    other = classifier_with(replace(FRONTEND, sample_rate=11_025, n_mels=20), seed=1)
    ensemble = Ensemble((classifier, other), weights=(0.7, 0.3), temperature=2.0)
    wave = sound(30_000)
    assert_same(streamed(ensemble, wave, 16_000), ensemble.predict_windows(wave, sample_rate=16_000))


def test_an_ensemble_with_different_windows_is_refused(classifier):
    ensemble = Ensemble((classifier, classifier_with(replace(FRONTEND, duration=1.0))))
    with pytest.raises(
        ValueError, match=r"same windows, they have 0\.5 s every 0\.2 s, last='align'; 1 s every 0\.2 s.*each member"
    ):
        ensemble.stream(sample_rate=RATE)


def test_wrong_blocks_leave_the_stream_as_it_was(classifier):
    wave = sound(9_000)
    flow = classifier.stream(sample_rate=RATE)
    answers = flow.write(wave[:4_500])
    for block, message in [
        (np.zeros(4, np.int16), "divide 16-bit integers"),
        (np.float32([0, np.nan]), "block: samples must be finite"),
        (np.zeros(0, np.float32), "with samples in it"),
        (np.zeros((9, 2), np.float32), "channels changes from 1 to 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            flow.write(block)
    with pytest.raises(ValueError, match="rate changes from 8000 to 16000 Hz: finish this stream"):
        flow.write(wave, sample_rate=16_000)
    answers += flow.write(wave[4_500:], sample_rate=RATE) + flow.finish()
    assert_same(answers, classifier.predict_windows(wave, sample_rate=RATE))
    for call in (flow.finish, lambda: flow.write(wave)):
        with pytest.raises(ValueError, match="finished"):
            call()


@pytest.mark.parametrize(
    ("rate", "hop", "message"), [(0, None, "rate"), (100, None, "cannot resample from 100 Hz"), (RATE, 0.6, "hop must be")]
)
def test_a_wrong_rate_or_hop(classifier, rate, hop, message):
    with pytest.raises(ValueError, match=message):
        classifier.stream(sample_rate=rate, hop=hop)


def test_no_sound_gives_no_answer(classifier):
    assert classifier.stream(sample_rate=RATE).finish() == []


@pytest.mark.parametrize("form", audio.PCM_FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_decoding_pcm(form, channels):
    kind = np.dtype(audio.PCM_FORMATS[form])
    wave = sound(300, channels)
    half = 2 ** (8 * kind.itemsize - 1)
    stored = wave if kind.kind == "f" else np.round(wave.astype(float) * (half - 1)) + half * (kind.kind == "u")
    data = stored.astype(kind).tobytes() + b"\0" * (kind.itemsize * channels - 1)
    decoder = PcmDecoder(form, channels)
    decoded = np.concatenate([decoder.decode(data[i : i + 7]) for i in range(0, len(data), 7)])
    assert decoded.dtype == np.float32
    assert np.allclose(decoded, wave, atol=2 / half)
    assert decoder.undecoded == kind.itemsize * channels - 1


def test_wrong_pcm_formats():
    with pytest.raises(ValueError, match=r"PCM format must be one of .*s16le.*'mp3'"):
        PcmDecoder("mp3")
    with pytest.raises(ValueError, match="channels must be positive"):
        PcmDecoder("s16le", 0)


@pytest.fixture
def saved(classifier, tmp_path):
    classifier.save(tmp_path / "my.audiozoo")
    return str(tmp_path / "my.audiozoo")


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["audiozoo", "stream", *arguments])
    with pytest.raises(SystemExit) as exit_:
        script()
    return exit_.value.code, *capsys.readouterr()


def test_streaming_from_standard_input(classifier, saved, tmp_path, monkeypatch, capsys):
    samples = (sound(12_000) * 32767).astype("<i2")
    (tmp_path / "pipe").write_bytes(samples.tobytes() + b"\1")
    with open(tmp_path / "pipe") as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        code, out, err = run(monkeypatch, capsys, saved, "--rate", str(RATE), "--csv")
    assert not code
    rows = [line.split(",") for line in out.splitlines()]
    assert rows[0] == ["file", "start_s", "end_s", "label", "score"]
    expected = classifier.predict_windows(samples.astype(np.float32) / 32768, sample_rate=RATE)
    assert [(row[0], float(row[1]), float(row[2]), row[3]) for row in rows[1:]] == [("stdin", *one[:3]) for one in expected]
    assert "the last 1 byte(s) were left out" in " ".join(err.split())


def fake_microphone(blocks, broken=False):
    class PortAudioError(Exception):
        pass

    class InputStream:
        def __init__(self, rate, *, callback, device, channels, dtype):
            if broken:
                raise PortAudioError("no device")
            self.send = callback

        def __enter__(self):
            memory = np.zeros((blocks.shape[1], 1), np.float32)
            for block in blocks:
                memory[:] = block[:, None]
                self.send(memory, len(memory), None, None)

        def __exit__(self, *error):
            pass

    return types.SimpleNamespace(InputStream=InputStream, PortAudioError=PortAudioError)


def test_streaming_from_the_microphone_until_ctrl_c(classifier, saved, monkeypatch, capsys):
    wave = sound(12_000)
    monkeypatch.setitem(sys.modules, "sounddevice", fake_microphone(wave.reshape(-1, 500)))

    class Interrupted(queue.Queue):
        def get(self):
            if self.empty():
                raise KeyboardInterrupt
            return super().get()

    monkeypatch.setattr(stream, "queue", types.SimpleNamespace(Queue=Interrupted, Full=queue.Full))
    code, out, err = run(monkeypatch, capsys, saved, "--rate", str(RATE), "--microphone", "--csv")
    assert not code, err
    starts = [float(line.split(",")[1]) for line in out.splitlines()[1:]]
    assert starts == [one.start for one in classifier.predict_windows(wave, sample_rate=RATE)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "mp3"], "--format must be one of"),
        (["--csv", "--jsonl"], "cannot be combined"),
        (["--device", "1"], "add --microphone"),
        (["--microphone"], "the microphone cannot be used: no device"),
    ],
)
def test_wrong_options(saved, monkeypatch, capsys, arguments, message):
    monkeypatch.setitem(sys.modules, "sounddevice", fake_microphone(np.zeros((1, 1)), broken=True))
    code, _, err = run(monkeypatch, capsys, saved, *arguments)
    assert code
    assert message in " ".join(err.split())


def test_a_missing_sounddevice_names_the_extra(saved, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    code, _, err = run(monkeypatch, capsys, saved, "--microphone")
    assert code
    assert "pip install 'audiozoo[microphone]'" in " ".join(err.split())
