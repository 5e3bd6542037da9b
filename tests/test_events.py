"""Events: from scores to spans, and their files."""

import csv
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiozoo.classifier import Timeline
from audiozoo.config import revive
from audiozoo.events import Event, EventRule, class_rules, edges, find_events, format_of, read_events, smoothed, write_events


def timeline(*columns, hop=1.0, duration=1.0):
    scores = np.array(columns, np.float32).T
    starts = hop * np.arange(len(scores))
    return Timeline(starts, starts + duration, scores)


def spans(events):
    return [(event.start, event.end) for event in events]


def test_an_event_lasts_while_the_score_stays_above_the_lower_threshold():
    found = find_events(timeline([0, 0.4, 0.6, 0.4, 0.2, 0.4, 0.4, 0.9]), ["dog"], EventRule(high=0.5, low=0.3), file="a.wav")
    assert found == [Event("a.wav", 1, 4, "dog", pytest.approx(0.6)), Event("a.wav", 5, 8, "dog", pytest.approx(0.9))]
    assert spans(find_events(timeline([0, 0.4, 0.6, 0.4]), ["dog"], EventRule(high=0.5, low=0.5))) == [(2, 3)]
    assert find_events(timeline([0.4, 0.49]), ["dog"], EventRule(high=0.5, low=0.1)) == []


def test_the_lower_threshold_is_a_share_of_the_higher_by_default():
    assert EventRule(high=0.5).floor == pytest.approx(0.3)
    assert EventRule(high=0.5, low=0.2).floor == 0.2


def test_short_gaps_are_closed_before_short_events_are_dropped():
    scores = timeline([0.9, 0, 0.9, 0, 0, 0.9, 0])
    rule = EventRule(least_gap=2.0, least_duration=2.0)
    assert spans(find_events(scores, ["dog"], rule)) == [(0, 3)]
    assert spans(find_events(scores, ["dog"], EventRule(least_gap=1.0))) == [(0, 1), (2, 3), (5, 6)]
    assert spans(find_events(scores, ["dog"], EventRule(least_duration=1.0))) == [(0, 1), (2, 3), (5, 6)]
    assert find_events(scores, ["dog"], EventRule(least_duration=1.01)) == []


def test_a_joined_event_has_the_highest_score_of_its_parts():
    found = find_events(timeline([0.9, 0, 0.7]), ["dog"], EventRule(least_gap=5))
    assert [event.score for event in found] == [pytest.approx(0.9)]


def test_the_median_drops_outliers_and_the_mean_spreads_them():
    column = np.array([0, 0, 1, 0, 0, 1, 1, 1, 0], np.float32)
    assert smoothed(column, EventRule(smooth=3)).tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 0]
    mean = smoothed(column, EventRule(smooth=3, smoothing="mean"))
    assert mean == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    assert smoothed(column, EventRule()) is column


def test_smoothing_over_more_windows_than_there_are_repeats_the_ends():
    assert smoothed(np.float32([0.2, 0.8]), EventRule(smooth=5)).tolist() == pytest.approx([0.2, 0.8])
    assert smoothed(np.float32([0.7]), EventRule(smooth=9, smoothing="mean")).tolist() == pytest.approx([0.7])


def test_a_mean_over_hours_does_not_drift():
    scores = np.random.default_rng(0).uniform(0, 1, 72_000).astype(np.float32)
    found = smoothed(scores, EventRule(smooth=5, smoothing="mean"))
    assert found[-100:] == pytest.approx(smoothed(scores[-110:], EventRule(smooth=5, smoothing="mean"))[-100:], abs=1e-9)


def test_edges_lie_between_the_centres_of_overlapping_windows():
    assert edges(timeline([0] * 4, hop=1, duration=5)).tolist() == [0, 3, 4, 5, 8]
    assert edges(timeline([0] * 3, hop=2, duration=2)).tolist() == [0, 2, 4, 6]
    aligned = Timeline(np.array([0.0, 2, 2.5]), np.array([4.0, 6, 6.5]), np.zeros((3, 1)))
    assert edges(aligned).tolist() == [0, 3, 4.25, 6.5]


def test_classes_have_rules_of_their_own():
    scores = timeline([0.6, 0.6, 0], [0.6, 0.6, 0])
    found = find_events(scores, ["dog", "cat"], EventRule(), rules={"cat": EventRule(high=0.7)})
    assert [event.label for event in found] == ["dog"]
    with pytest.raises(ValueError, match="unknown class 'cta'; did you mean 'cat'"):
        find_events(scores, ["dog", "cat"], rules={"cta": EventRule()})


def test_the_thresholds_of_a_classifier_are_the_higher_thresholds():
    class Several:
        labels, thresholds = ("dog", "cat"), (0.2, 0.8)

    rules = class_rules(Several(), EventRule(low=0.5, smooth=3))
    assert rules == {"dog": EventRule(high=0.2, low=0.2, smooth=3), "cat": EventRule(high=0.8, low=0.5, smooth=3)}
    Several.thresholds = None
    assert class_rules(Several()) == {"dog": EventRule(), "cat": EventRule()}


def reference_events(scores, borders, rule):
    """Find the events of one class window by window, as the rule is worded."""
    found, run = [], []
    for place, score in enumerate([*scores, -1.0]):
        if score >= rule.floor:
            run.append(place)
        elif run:
            if max(scores[run]) >= rule.high:
                found.append([borders[run[0]], borders[run[-1] + 1], max(scores[run])])
            run = []
    joined = []
    for start, end, score in found:
        if joined and start - joined[-1][1] < rule.least_gap:
            joined[-1][1:] = end, max(score, joined[-1][2])
        else:
            joined.append([start, end, score])
    return [(start, end, score) for start, end, score in joined if end - start >= rule.least_duration]


@settings(max_examples=150, deadline=None)
@given(
    scores=st.lists(st.integers(0, 8), min_size=1, max_size=40),
    high=st.integers(0, 8),
    low=st.integers(0, 8),
    gap=st.integers(0, 4),
    duration=st.integers(0, 4),
    smooth=st.sampled_from([1, 3, 5]),
)
def test_events_follow_the_words_of_the_rule(scores, high, low, gap, duration, smooth):
    rule = EventRule(high=high / 8, low=min(low, high) / 8, least_gap=gap, least_duration=duration, smooth=smooth)
    found = timeline(np.array(scores) / 8)
    padded = np.pad(found.scores[:, 0], smooth // 2, mode="edge")
    middles = np.median(np.lib.stride_tricks.sliding_window_view(padded, smooth), axis=1)
    expected = reference_events(middles, edges(found), rule)
    assert [(event.start, event.end, event.score) for event in find_events(found, ["x"], rule)] == expected


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: EventRule(high=1.5), "high"),
        (lambda: EventRule(high=0.3, low=0.4), "low"),
        (lambda: EventRule(smooth=2), "smooth must be odd"),
        (lambda: EventRule(least_gap=-1), "least_gap"),
        (lambda: EventRule(least_duration=math.nan), "least_duration"),
        (lambda: EventRule(smoothing="mode"), "smoothing"),
        (lambda: Event("a", 2, 1, "dog"), "start=2 and end=1"),
        (lambda: Event("a", -1, 1, "dog"), "start=-1"),
        (lambda: Event("a", 0, math.inf, "dog"), "end=inf"),
        (lambda: find_events(timeline([0.5]), ["a", "b"]), "each of the 2 classes"),
        (lambda: find_events(Timeline(np.array([1.0, 0]), np.array([2.0, 1]), np.zeros((2, 1))), ["a"]), "order"),
        (lambda: find_events(Timeline(np.zeros(0), np.zeros(0), np.zeros((0, 1))), ["a"]), "at least one window"),
    ],
)
def test_wrong_values_are_refused(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


def test_a_rule_is_saved_as_json():
    rule = EventRule(high=0.7, smooth=5, least_gap=0.5)
    assert revive(json.loads(json.dumps(rule.to_config()))) == rule


EVENTS = [Event("a.wav", 0.5, 2.25, "dog", 0.75), Event("a.wav", 3, 4, "Glass, breaking", 1.0)]


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl", "e.txt", "e.selections.txt", "E.CSV"])
def test_events_are_read_back(tmp_path, name):
    path = write_events(EVENTS, tmp_path / "new" / name)
    again = read_events(path, file="a.wav")
    if name == "e.txt":  # a label track has no scores
        assert again == [Event(e.file, e.start, e.end, e.label) for e in EVENTS]
    else:
        assert again == EVENTS


def test_csv_and_json_lines_have_these_columns(tmp_path):
    rows = list(csv.reader(write_events(EVENTS, tmp_path / "e.csv").read_text().splitlines()))
    assert rows[:2] == [["file", "start_s", "end_s", "label", "score"], ["a.wav", "0.500000", "2.250000", "dog", "0.750000"]]
    first = json.loads(write_events(EVENTS, tmp_path / "e.jsonl").read_text().splitlines()[0])
    assert first == {"file": "a.wav", "start_s": 0.5, "end_s": 2.25, "label": "dog", "score": 0.75}


def test_a_label_track_and_a_selection_table_are_as_their_programs_want_them(tmp_path):
    assert write_events(EVENTS[:1], tmp_path / "e.txt").read_text() == "0.500000\t2.250000\tdog\n"
    header, row = write_events(EVENTS[:1], tmp_path / "e.selections.txt", highest=16_000).read_text().splitlines()
    assert header.split("\t")[:5] == ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"]
    assert row.split("\t") == ["1", "Spectrogram 1", "1", "0.500000", "2.250000", "0.0", "16000.0", "dog", "0.750000", "a.wav"]


def test_a_tab_in_a_label_does_not_make_a_column(tmp_path):
    odd = [Event("a.wav", 0, 1, 'a\tb\n"c"')]
    assert [e.label for e in read_events(write_events(odd, tmp_path / "e.txt"))] == ['a b "c"']
    assert read_events(write_events(odd, tmp_path / "e.csv")) == odd
    assert read_events(write_events(odd, tmp_path / "e.jsonl")) == odd


@pytest.mark.parametrize("name", ["e.txt", "e.selections.txt"])
def test_events_of_several_recordings_need_several_label_tracks(tmp_path, name):
    with pytest.raises(ValueError, match="belongs to one recording, got events of 2"):
        write_events([*EVENTS, Event("b.wav", 0, 1, "dog")], tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_no_events_are_a_file_too(tmp_path):
    for name in ("e.csv", "e.jsonl", "e.txt", "e.selections.txt"):
        assert read_events(write_events([], tmp_path / name)) == []


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = write_events(EVENTS, tmp_path / "e.csv")
    before = path.read_text()

    def broken():
        yield EVENTS[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_events(broken(), path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_tables_of_dcase_and_of_audacity_are_read(tmp_path):
    table = tmp_path / "reference.tsv"
    table.write_text("filename\tonset\toffset\tevent_label\na.wav\t0.5\t2.25\tdog\n")
    assert read_events(table) == [Event("a.wav", 0.5, 2.25, "dog")]
    track = tmp_path / "track.txt"
    track.write_text("\ufeff0.5\t2.25\tdog\n\\\t100.0\t200.0\n\n3\t3\tpoint\n", encoding="utf-8")
    assert read_events(track, file="x") == [Event("x", 0.5, 2.25, "dog"), Event("x", 3, 3, "point")]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("e.csv", "file,start_s,label\na,1,dog\n", "line 2: lacks end_s"),
        ("e.csv", "file,start_s,end_s,label\na,1,2,dog\na,5,two,dog\n", "line 3: could not convert"),
        ("e.csv", "file,start_s,end_s,label\na,3,2,dog\n", "line 2: an event needs"),
        ("e.csv", "file,start_s,end_s,label\na,3,nan,dog\n", "line 2: an event needs"),
        ("e.jsonl", '{"file": "a"}\n', "line 1: lacks"),
        ("e.jsonl", "[[[[[[1]]]]]]\n", "not a table of events"),
        ("e.jsonl", "5\n", "not a table of events"),
        ("e.txt", "1\t2\n", "line 1: lacks label"),
        ("e.bin", "", "choose one of these suffixes"),
    ],
)
def test_a_file_that_is_no_table_of_events_is_refused(tmp_path, name, content, reason):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=reason):
        read_events(tmp_path / name)


def test_a_missing_or_huge_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file"):
        read_events(tmp_path / "none.csv")
    monkeypatch.setattr("audiozoo.events.formats._MOST_BYTES", 10)
    with pytest.raises(ValueError, match="more than 10"):
        read_events(write_events(EVENTS, tmp_path / "e.csv"))


def test_the_format_follows_the_end_of_the_name():
    assert [format_of(name) for name in ("a.csv", "a.jsonl", "a.txt", "a.Table.1.selections.txt")] == [
        "csv",
        "jsonl",
        "audacity",
        "raven",
    ]
