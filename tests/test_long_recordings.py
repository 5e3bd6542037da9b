"""Windows of long recordings, and of files at the limits: hours, one sample, an end inside a frame."""

import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from conftest import python_blocks, tone

import audiozoo
from audiozoo.classifier import Classifier, Ensemble, Scorer
from audiozoo.classifier.ahead import one_ahead
from audiozoo.events import EventRule, detect
from audiozoo.features import Scaler, Waveform

ROOT = Path(__file__).resolve().parents[1]
RATE = 200  # an hour has 720,000 samples
LABELS = ("loud", "soft")


class Loudness(Scorer):
    """Scorer of waveforms without Keras: the probability of "loud" is the mean magnitude of the window."""

    kind, files, activation, parameters = "loudness", {}, "softmax", 0

    def scores(self, windows):
        loud = np.abs(windows).mean(axis=(1, 2))
        return np.stack([loud, 1 - loud], axis=1)

    def check(self, shape, classes):
        pass


def loudness(duration=2.0, **how):
    return Classifier(Waveform(sample_rate=RATE, duration=duration, **how), Scaler.identity(), Loudness(), LABELS)


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """Write an hour of noise whose loudness drifts, and return its path and its wave."""
    rng, path = np.random.default_rng(3), tmp_path_factory.mktemp("hour") / "hour.wav"
    level = 0.5 + 0.4 * np.sin(np.arange(3_600 * RATE) / 9_000)
    wave = (level * rng.uniform(-1, 1, len(level))).astype(np.float32)
    soundfile.write(path, wave, RATE)
    return path, soundfile.read(path, dtype="float32")[0]


def ahead_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("audiozoo-ahead")]


def test_the_first_minute_of_an_hour_equals_the_cut_out_minute(hour):
    path, wave = hour
    classifier = loudness()
    whole = classifier.timeline(path, hop=0.5)
    minute = classifier.timeline(wave[: 60 * RATE], sample_rate=RATE, hop=0.5)
    assert len(minute.starts) == 117  # starts 0, 0.5, ..., 58
    assert len(whole.starts) == 2 * 3_600 - 3
    for long, short in zip(whole, minute, strict=True):
        assert np.array_equal(long[:117], short)
    assert whole.ends[-1] == 3_600


def test_resampled_minutes_agree_to_rounding(hour):
    path, wave = hour
    classifier = Classifier(Waveform(sample_rate=150, duration=2.0), Scaler.identity(), Loudness(), LABELS)
    whole = classifier.timeline(path, hop=0.5)
    minute = classifier.timeline(wave[: 60 * RATE], sample_rate=RATE, hop=0.5)
    # The resampling filter reaches beyond the cut, so the last windows see other samples.
    assert np.allclose(whole.scores[:113], minute.scores[:113], atol=1e-6)


def test_ten_hours_take_no_more_memory_than_a_minute(tmp_path):
    path, hours, rate = tmp_path / "long.flac", 10, 500
    minute = np.random.default_rng(0).uniform(-0.5, 0.5, 60 * rate)
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        for _ in range(60 * hours):
            file.write(minute)
    classifier = Classifier(Waveform(sample_rate=rate, duration=30.0), Scaler.identity(), Loudness(), LABELS)
    classifier.timeline(minute.astype(np.float32), sample_rate=rate)
    tracemalloc.start()
    try:
        count = sum(1 for _ in classifier.iter_windows(path, hop=30.0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == hours * 120
    assert peak < 40e6  # the sound has 72 MB


def test_all_scores_have_an_item_for_each_class(hour):
    classifier = loudness()
    sound = hour[1][: 10 * RATE]
    every = classifier.predict_windows(sound, sample_rate=RATE, hop=2.0, all_scores=True)
    assert [(item.start, item.end, item.label) for item in every[:4]] == [
        (0, 2, "loud"),
        (0, 2, "soft"),
        (2, 4, "loud"),
        (2, 4, "soft"),
    ]
    best = classifier.predict_windows(sound, sample_rate=RATE, hop=2.0)
    assert [item.score for item in best] == [max(a.score, b.score) for a, b in zip(every[::2], every[1::2], strict=True)]


def test_windows_come_while_the_sound_is_read(hour, monkeypatch):
    monkeypatch.setattr("audiozoo.audio.files._BLOCK", 20 * RATE)
    read, stream = [], audiozoo.audio.stream
    monkeypatch.setattr("audiozoo.audio.stream", lambda *args, **how: (read.append(len(p)) or p for p in stream(*args, **how)))
    windows = loudness().iter_windows(hour[0])
    first = next(windows)
    assert (first.start, first.end) == (0, 2)
    assert sum(read) < 600 * RATE
    windows.close()
    assert not ahead_threads()


def test_an_error_in_the_middle_arrives_and_the_thread_ends(tmp_path):
    wave = np.zeros(400 * RATE, np.float32)
    wave[-10:] = np.nan
    path = tmp_path / "nan.wav"
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    windows = loudness().iter_windows(path)
    with pytest.raises(ValueError, match=r"nan\.wav: contains NaN"):
        list(windows)
    assert not ahead_threads()


def test_one_ahead_yields_every_item_in_order():
    closed = []

    def items():
        try:
            yield from (None, 0, 1)
        finally:
            closed.append(True)

    with one_ahead(items()) as drawn:
        assert list(drawn) == [None, 0, 1]
    with one_ahead(items()) as drawn:
        assert next(drawn) is None
    assert closed == [True, True]


def test_a_file_of_one_sample_has_one_window(write_sound):
    window = loudness(pad="repeat").predict_windows(write_sound(np.float32([0.75]), rate=RATE, subtype="FLOAT"))
    assert len(window) == 1
    assert (window[0].start, window[0].end, window[0].label) == (0, 1 / RATE, "loud")
    assert window[0].score == pytest.approx(0.75)


def test_a_file_of_one_sample_at_a_higher_rate_is_refused(write_sound):
    with pytest.raises(ValueError, match="too short, less than one sample at 200 Hz"):
        loudness().predict_windows(write_sound(np.float32([0.75]), rate=44_100))


@pytest.mark.parametrize("surplus", [1, 2, 3])
def test_a_file_that_ends_inside_a_sample_frame_is_read_to_its_last_complete_frame(write_sound, surplus):
    path = write_sound(np.tile(np.float32([[0.5, -0.5]]), (5 * RATE, 1)), rate=RATE)  # four bytes for each frame
    content = bytearray(path.read_bytes() + b"\x11" * surplus)
    place = content.index(b"data") + 4
    content[place : place + 4] = (5 * RATE * 4 + surplus).to_bytes(4, "little")
    path.write_bytes(content)
    assert loudness().timeline(path).ends[-1] == 5


def test_a_file_that_ends_inside_a_window_gets_a_last_window_at_its_end():
    found = loudness().timeline(np.full(5 * RATE + 77, 0.5, np.float32), sample_rate=RATE)
    assert found.starts.tolist() == [0, 1, 2, 3, 3 + 77 / RATE]
    assert found.ends[-1] == pytest.approx(5 + 77 / RATE)


@pytest.mark.parametrize("hop", [None, 0.1])
@pytest.mark.parametrize("last", ["align", "drop"])
def test_an_ensemble_answers_a_long_sound_in_parts(hop, last, rng):
    wave = rng.uniform(-1, 1, 300 * RATE).astype(np.float32) * np.linspace(0.1, 1, 300 * RATE, dtype=np.float32)
    wave = wave[: 300 * RATE - 33]
    members = [loudness(0.5), loudness(2.0, last=last)]
    found = Ensemble(tuple(members)).timeline(wave, sample_rate=RATE, hop=hop)
    short, long = (member.timeline(wave, sample_rate=RATE, hop=hop) for member in members)
    spans = zip(long.starts, long.ends, strict=True)
    inside = [(short.starts >= start - 1e-3) & (short.ends <= end + 1e-3) for start, end in spans]
    expected = [(short.scores[within].mean(axis=0) + scores) / 2 for within, scores in zip(inside, long.scores, strict=True)]
    assert np.allclose(found.scores, expected, atol=1e-6)
    assert len(found.starts) > 64  # more than two batches


def test_the_windows_of_an_open_file_and_of_an_array_agree(hour):
    with open(hour[0], "rb") as file:
        opened = loudness().timeline(file, hop=2.0)
    assert np.array_equal(opened.scores, loudness().timeline(hour[1], sample_rate=RATE, hop=2.0).scores)


def test_events_of_a_recording_and_of_an_array(write_sound):
    wave = np.repeat(np.float32([0.1, 0.9, 0.1, 0.9]), [4 * RATE, 3 * RATE, 5 * RATE, 2 * RATE])
    path, classifier = write_sound(wave, rate=RATE, subtype="FLOAT"), loudness(1.0, hop=1.0)
    found = detect(classifier, path, EventRule(high=0.8, low=0.8))
    loud = [event for event in found if event.label == "loud"]
    assert [(event.file, event.start, event.end, event.score) for event in loud] == [
        (str(path), 4, 7, pytest.approx(0.9)),
        (str(path), 12, 14, pytest.approx(0.9)),
    ]
    assert [(event.start, event.end) for event in found if event.label == "soft"] == [(0, 4), (7, 12)]
    same = detect(classifier, wave, rules=dict.fromkeys(LABELS, EventRule(high=0.8, low=0.8)), sample_rate=RATE)
    assert [(event.start, event.end, event.label) for event in same] == [(e.start, e.end, e.label) for e in found]
    assert {event.file for event in same} == {""}
    several = replace(classifier, thresholds=(0.95, 0.05))
    assert [event.label for event in detect(several, wave, sample_rate=RATE)] == ["soft"]


def test_an_mp3_that_ends_inside_a_frame_is_read_to_its_last_complete_frame(tmp_path, rng):
    whole, cut = tmp_path / "whole.mp3", tmp_path / "cut.mp3"
    soundfile.write(whole, rng.uniform(-0.5, 0.5, 16_000 * 20), 16_000)
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) // 2 - 101])
    classifier = Classifier(Waveform(sample_rate=16_000, duration=2.0), Scaler.identity(), Loudness(), LABELS)
    found = classifier.timeline(cut)
    assert found.ends[-1] == pytest.approx(10, abs=0.3)
    common = len(found.starts) - 2
    assert np.allclose(found.scores[:common], classifier.timeline(whole).scores[:common], atol=1e-3)


def test_events_alone_need_no_keras():
    code = "import sys, audiozoo.events; print(sorted({'keras', 'tensorflow', 'librosa', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_code_of_the_guide_runs(tmp_path, monkeypatch, write_sound, capsys):
    blocks = python_blocks(ROOT / "docs" / "recordings.md")
    assert len(blocks) == 3
    monkeypatch.chdir(tmp_path)
    write_sound(tone(40, 8, RATE), rate=RATE, name="yard.wav")
    # Not the classifier of the guide, which takes seconds to load.
    names = {"audiozoo": SimpleNamespace(load_classifier={"house_cnn/esc10": loudness(2.0)}.get)}
    names["blocks"] = np.split(np.ones(8 * 16_000, np.float32), 16)
    for block in blocks:
        exec(compile(block, "recordings.md", "exec", dont_inherit=True), names)
    assert len(capsys.readouterr().out.splitlines()) == 13 + 13
    assert (tmp_path / "yard.selections.txt").read_text().startswith("Selection\tView")
