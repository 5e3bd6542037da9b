import tracemalloc

import numpy as np
import pytest
import soundfile
from conftest import tone

from audiozoo.classifier import Timeline
from audiozoo.events import Event
from audiozoo.report import timeline_picture
from audiozoo.report.figures import new_figure
from audiozoo.report.timeline import _clock, _draw_scores, _reduced, overview


def test_the_spectrogram_shows_the_frequency_and_the_time_of_a_tone(write_sound):
    wave = np.concatenate([np.zeros(8_000, np.float32), tone(1_000, 1, 8_000), np.zeros(8_000, np.float32)])
    found = overview(write_sound(wave))
    band = found.decibels.max(axis=1).argmax()
    assert found.hertz[band] == pytest.approx(1_000, rel=0.05)
    times = np.linspace(*found.span, found.decibels.shape[1] + 1)
    loud = times[:-1][found.decibels[band] > -6]
    assert (loud.min(), loud.max()) == pytest.approx((1, 2), abs=0.05)
    assert found.seconds == 3
    assert found.decibels.min() == -80


def test_a_long_recording_has_as_many_columns_as_a_short_one_and_takes_no_more_memory(tmp_path):
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        for minute in range(20):
            file.write(tone(500 + 120 * minute, 60, 8_000))
    overview(path, columns=50)
    tracemalloc.start()
    try:
        found = overview(path)
        assert tracemalloc.get_traced_memory()[1] < 25e6  # the sound has 38 MB
    finally:
        tracemalloc.stop()
    assert 1_400 < found.decibels.shape[1] <= 1_500
    loudest = found.hertz[found.decibels.argmax(axis=0)]
    assert loudest[[0, 749, -2]] == pytest.approx([500, 1_580, 2_780], rel=0.06)


@pytest.mark.parametrize("rate", [50, 400, 11_025, 96_000, 10_000_000])
def test_every_sample_rate_has_a_spectrogram(write_sound, rng, rate):
    found = overview(write_sound(rng.uniform(-1, 1, 4_000).astype(np.float32), rate=rate))
    assert np.isfinite(found.decibels).all()
    assert found.hertz[-1] < rate / 2


@pytest.mark.parametrize("samples", [1, 8_000])
def test_short_sounds_have_a_picture_too(write_sound, tmp_path, samples):
    path = write_sound(tone(440, samples / 8_000, 8_000) + 0.1)
    end = samples / 8_000
    scores = Timeline(np.array([0.0]), np.array([end]), np.array([[0.3, 0.7]]))
    picture = timeline_picture(path, scores, ["a", "b"], tmp_path / "p.png", events=[Event(str(path), 0, end, "b")])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_only_the_classes_with_the_highest_scores_are_shown(write_sound, tmp_path, monkeypatch):
    rows = []
    monkeypatch.setattr("audiozoo.report.timeline._draw_scores", lambda axes, timeline, names, *rest: rows.extend(names))
    scores = np.zeros((2, 40))
    scores[1, 39] = scores[0, 3] = 0.9
    names = [f"class {number}" for number in range(40)]
    timeline = Timeline(np.array([0.0, 1]), np.array([1.0, 2]), scores)
    timeline_picture(write_sound(tone(440, 2, 8_000)), timeline, names, tmp_path / "p.png")
    assert len(rows) == 20
    assert {"class 3", "class 39"} <= set(rows)
    assert rows == sorted(rows, key=names.index)


def test_the_bars_of_events_have_their_times():
    axes = new_figure(5, 5).subplots()
    timeline = Timeline(np.array([0.0, 1, 2]), np.array([1.0, 2, 3]), np.array([[0, 0.5], [1, 0.5], [0, 0.5]]))
    _draw_scores(axes, timeline, ["dog", "cat"], [0, 1], [Event("", 1, 2, "dog", 1.0)])
    mesh, dogs, cats = axes.collections
    assert mesh.get_array().tolist() == [[0, 1, 0], [0.5, 0.5, 0.5]]
    assert (dogs.get_paths()[0].vertices[:, 0].min(), dogs.get_paths()[0].vertices[:, 0].max()) == (1, 2)
    assert not cats.get_paths()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["dog", "cat"]


def test_a_column_of_many_windows_shows_their_highest_score():
    scores = np.zeros((4_000, 1))
    scores[2_345] = 0.9
    borders, reduced = _reduced(np.arange(4_001.0), scores)
    assert len(reduced) <= 1_500
    assert len(borders) == len(reduced) + 1
    (peak,) = np.flatnonzero(reduced)
    assert borders[peak] <= 2_345 < borders[peak + 1]
    assert borders[-1] == 4_000


def test_times_are_written_as_on_a_clock():
    assert [_clock(False)(seconds, 0) for seconds in (0, 75, 3_599)] == ["0:00", "1:15", "59:59"]
    assert _clock(True)(36_000 + 61, 0) == "10:01:01"
