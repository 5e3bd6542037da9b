"""``audiozoo predict --windows`` and ``audiozoo events``, on a classifier that hears how loud a sound is."""

import csv
import json
from functools import cache

import keras
import numpy as np
import pytest
import soundfile

from audiozoo.classifier import Classifier, load_classifier
from audiozoo.events import Event, read_events, write_events
from audiozoo.features import Waveform

RATE = 400


def loudness_classifier(**how):
    """Build a network whose answer is "loud" where the mean magnitude of a window exceeds 0.25."""
    model = keras.Sequential(
        [
            keras.layers.Input((RATE, 1)),
            keras.layers.Conv1D(2, 1, activation="relu", use_bias=False),
            keras.layers.GlobalAveragePooling1D(name="embedding"),
            keras.layers.Dense(2, name="logits"),
            keras.layers.Softmax(name="probabilities"),
        ]
    )
    both = np.float32([[12, -12], [12, -12]])  # steeper, and a probability is rounded to 1
    model.set_weights([np.float32([[[1, -1]]]), both, np.float32([-3, 3])])
    return Classifier.from_keras(model, Waveform(sample_rate=RATE, duration=1.0), ["loud", "soft"], **how)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "loudness.audiozoo"
    loudness_classifier().save(path)
    return path


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """Keep the classifiers that a test has loaded for the next one, because a network is compiled at its first batch."""
    monkeypatch.setattr("audiozoo.classifier.load_classifier", loaded)


@cache
def loaded(path):
    return load_classifier(path)


@pytest.fixture
def recording(tmp_path):
    """Write ten seconds that are loud from 2 to 4 s and from 6 to 9 s."""
    seconds = np.arange(10 * RATE) / RATE
    loud = ((seconds >= 2) & (seconds < 4)) | ((seconds >= 6) & (seconds < 9))
    path = tmp_path / "yard.wav"
    soundfile.write(path, np.where(loud, 0.9, 0.01) * np.where(np.arange(10 * RATE) % 2, 1, -1), RATE)
    return path


def test_windows_are_printed_one_by_one(audiozoo, model, recording):
    status, out, err = audiozoo("predict", model, recording, "--windows", "--hop", 1)
    assert status == 0, err
    header, *lines = out.splitlines()
    assert header.split() == ["file", "start", "end", "label", "score"]
    assert [line.split()[3] for line in lines] == [
        "soft",
        "soft",
        "loud",
        "loud",
        "soft",
        "soft",
        "loud",
        "loud",
        "loud",
        "soft",
    ]
    assert lines[2].split()[1:3] == ["2.00", "3.00"]


def test_windows_with_all_scores_in_csv_and_json_lines(audiozoo, model, recording, tmp_path):
    rows = list(csv.DictReader(audiozoo("predict", model, recording, "--windows", "--all-scores", "--csv")[1].splitlines()))
    assert len(rows) == 2 * 19  # two classes, a window every half second
    assert [rows[9][name] for name in ("start_s", "end_s", "label")] == ["2.000000", "3.000000", "soft"]
    assert float(rows[8]["score"]) + float(rows[9]["score"]) == pytest.approx(1, abs=1e-5)
    status, out, _ = audiozoo("predict", model, recording, "--windows", "--all-scores", "-o", tmp_path / "new" / "w.jsonl")
    assert (status, "saved" in out) == (0, True)
    objects = [json.loads(line) for line in (tmp_path / "new" / "w.jsonl").read_text().splitlines()]
    assert len(objects) == 19
    assert objects[4]["label"] == "loud"
    assert list(objects[4]["scores"]) == ["loud", "soft"]
    assert objects[4]["scores"]["loud"] == objects[4]["score"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--windows", "--json"], "--windows cannot be combined with --json"),
        (["--windows", "-o", "a.csv", "--resume"], "--windows cannot be combined with --resume"),
        (["--all-scores"], "add --windows"),
        (["--windows", "--hop", "1.5"], "at most the window's 1.0 s, got 1.5"),
        (["--windows", "-o", "windows.txt"], "choose one of these suffixes"),
    ],
)
def test_options_of_windows_that_do_not_fit_are_refused(audiozoo, model, recording, options, reason):
    status, out, err = audiozoo("predict", model, recording, *options)
    assert (status, out) == (2, "")
    assert reason in err


def test_an_existing_file_of_windows_is_kept(audiozoo, model, recording, tmp_path):
    (tmp_path / "w.csv").write_text("mine")
    status, _, err = audiozoo("predict", model, recording, "--windows", "-o", tmp_path / "w.csv")
    assert (status, (tmp_path / "w.csv").read_text()) == (2, "mine")
    assert "the file exists" in err


def test_a_bad_file_among_windows_is_listed_at_the_end(audiozoo, model, recording, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFFgarbage")
    status, out, err = audiozoo("predict", model, tmp_path / "bad.wav", recording, "--windows", "--csv")
    assert status == 1
    assert len(out.splitlines()) == 1 + 19
    assert "bad.wav: not a sound file" in err
    status, out, err = audiozoo("predict", model, tmp_path / "bad.wav", recording, "--windows", "--csv", "--strict")
    assert status == 2
    assert len(out.splitlines()) == 1


def test_events_are_printed(audiozoo, model, recording):
    status, out, err = audiozoo("events", model, recording, "--label", "loud", "--hop", "0.5")
    assert status == 0, err
    found = [line.split()[-5:-2] for line in out.splitlines()]
    # The windows at 1.5 and 3.5 s are half loud, which is above the threshold of 0.25 too.
    assert found == [["1.75", "4.25", "loud"], ["5.75", "9.25", "loud"]]


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl", "e.txt", "e.selections.txt"])
def test_events_are_written(audiozoo, model, recording, tmp_path, name):
    status, out, err = audiozoo("events", model, recording, "-o", tmp_path / name, "--hop", 1, "--label", "loud")
    assert status == 0, err
    assert "(2 events)" in out
    found = read_events(tmp_path / name)
    assert [(event.start, event.end, event.label) for event in found] == [(2, 4, "loud"), (6, 9, "loud")]
    if name == "e.selections.txt":
        assert f"\t{RATE / 2}\t" in (tmp_path / name).read_text()


def test_rules_of_the_command_line(audiozoo, model, recording, tmp_path):
    def found(*options):
        status, _, err = audiozoo("events", model, recording, "--hop", 1, "-o", tmp_path / "e.csv", *options)
        assert status == 0, err
        return [(event.label, event.start, event.end) for event in read_events(tmp_path / "e.csv")]

    assert found("--label", "loud", "--min-duration", 2.5) == [("loud", 6, 9)]
    assert found("--label", "loud", "--min-gap", 2.5) == [("loud", 2, 9)]
    # The median over five windows fills the gap from the middle of its left neighbours.
    assert found("--label", "loud", "--smooth", 5) == [("loud", 4, 9)]
    (tmp_path / "rules.json").write_text('{"soft": {"least_duration": 1.5}}')
    assert found("--rules", tmp_path / "rules.json") == [("soft", 0, 2), ("loud", 2, 4), ("soft", 4, 6), ("loud", 6, 9)]


def test_the_thresholds_of_the_classifier_are_the_default(audiozoo, recording, tmp_path):
    loudness_classifier(thresholds=(1.0, 0.5)).save(tmp_path / "strict.audiozoo")
    assert "loud" not in audiozoo("events", tmp_path / "strict.audiozoo", recording)[1]
    assert "loud" in audiozoo("events", tmp_path / "strict.audiozoo", recording, "--high", 0.5)[1]


def test_a_recording_without_events_says_so(audiozoo, model, recording):
    status, out, err = audiozoo("events", model, recording, "--high", 1)
    assert (status, out) == (0, "")
    assert "no event reaches --high" in err


def test_a_file_for_each_recording(audiozoo, model, recording, tmp_path):
    other = tmp_path / "street.wav"
    soundfile.write(other, np.full(RATE, 0.9), RATE)
    status, _, err = audiozoo("events", model, recording, other, "-o", tmp_path / "labels", "--format", "audacity")
    assert status == 0, err
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == ["street.txt", "yard.txt"]
    assert (tmp_path / "labels" / "street.txt").read_text() == "0.000000\t1.000000\tloud\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-o", "labels.txt"], "belongs to one recording, got 2 recordings"),
        (["--format", "raven"], "name the folder with -o"),
        (["-o", "labels", "--format", "xml"], "--format must be one of"),
        (["-o", "events.xml"], "choose one of these suffixes"),
        (["--label", "lout"], "did you mean 'loud'"),
        (["--high", "2"], "high must be"),
        (["--low", "0.7"], "low must be"),
        (["--smooth", "4"], "smooth must be odd"),
        (["--hop", "7"], "hop must be positive"),
        (["--picture", "one.png"], "several files"),
        (["--rules", "rules.json"], "unknown option of EventRule 'hihg'; did you mean 'high'"),
    ],
)
def test_options_of_events_that_do_not_fit_are_refused(audiozoo, model, recording, tmp_path, monkeypatch, options, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.json").write_text('{"loud": {"hihg": 0.7}}')
    soundfile.write(tmp_path / "street.wav", np.full(RATE, 0.9), RATE)
    before = sorted(tmp_path.iterdir())
    status, out, err = audiozoo("events", model, recording, "street.wav", *options)
    assert (status, out) == (2, "")
    assert reason in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"loud": 0.7}', "the rule of 'loud' must be an object"),
        ('{"loud": {"high": "much"}}', "high must be"),
        ('{"loud": {"high": null}}', "high must be"),
        ('{"loud": {"class": "LogMel"}}', "LogMel"),
        ('{"lout": {}}', "did you mean 'loud'"),
        ("[]", "a file of rules is a JSON object"),
        ("{", "not valid JSON"),
    ],
)
def test_a_file_of_wrong_rules_is_refused(audiozoo, model, recording, tmp_path, content, reason):
    (tmp_path / "rules.json").write_text(content)
    status, out, err = audiozoo("events", model, recording, "--rules", tmp_path / "rules.json")
    assert (status, out) == (2, ""), err
    assert reason in err


def test_a_reference_gives_metrics(audiozoo, model, recording, tmp_path):
    truth = [Event("yard.wav", 2, 4, "loud"), Event("yard.wav", 6, 9, "loud"), Event("elsewhere.wav", 0, 1, "loud")]
    table = write_events(truth, tmp_path / "truth.csv")
    command = "events", model, recording, "--hop", 1, "--label", "loud", "--reference", table, "-o", tmp_path / "e.csv"
    status, out, err = audiozoo(*command)
    assert status == 0, err
    assert "segments of 1 s: F1 1.000" in out
    assert "5 in the reference" in out
    assert "events, collar 0.2 s: F1 1.000" in out
    write_events([Event("elsewhere.wav", 0, 1, "loud")], table)
    status, _, err = audiozoo(*command)
    assert status == 2
    assert "has no event of these recordings; it names elsewhere.wav" in err


def test_a_bad_recording_does_not_stop_the_others(audiozoo, model, recording, tmp_path):
    wave = np.zeros(200 * RATE, np.float32)
    wave[-1] = np.nan
    soundfile.write(tmp_path / "nan.wav", wave, RATE, subtype="FLOAT")
    status, _, err = audiozoo("events", model, tmp_path / "nan.wav", recording, "-o", tmp_path / "e.csv")
    assert status == 1
    assert "nan.wav: contains NaN" in err
    assert {event.file for event in read_events(tmp_path / "e.csv")} == {str(recording)}


def test_a_picture_is_drawn(audiozoo, model, recording, tmp_path):
    status, out, err = audiozoo("events", model, recording, "--picture", tmp_path / "new" / "yard.png")
    assert status == 0, err
    assert "saved" in out
    assert (tmp_path / "new" / "yard.png").read_bytes().startswith(b"\x89PNG")
