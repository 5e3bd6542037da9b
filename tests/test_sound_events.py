"""Metrics of detected events. The values of sed_eval were computed with its version 0.2.1."""

import math

import pytest

from audiozoo.events import Event
from audiozoo.metrics import event_based, segment_based

REFERENCE = [
    Event(file, start, end, label)
    for file, start, end, label in [
        ("f1", 12.155, 15.903, "c"),
        ("f1", 12.621, 14.161, "c"),
        ("f2", 19.65, 21.532, "b"),
        ("f1", 19.461, 21.212, "a"),
        ("f2", 1.821, 2.214, "b"),
        ("f2", 12.965, 14.751, "c"),
        ("f1", 12.784, 15.119, "a"),
        ("f2", 10.104, 10.45, "a"),
        ("f2", 1.372, 3.734, "a"),
        ("f1", 7.037, 7.759, "a"),
        ("f2", 17.931, 18.881, "c"),
    ]
]
ESTIMATED = [
    Event(file, start, end, label)
    for file, start, end, label in [
        ("f2", 18.076, 18.74, "c"),
        ("f2", 10.163, 10.573, "a"),
        ("f1", 12.613, 14.156, "c"),
        ("f2", 18.007, 19.017, "c"),
        ("f1", 7.116, 7.956, "a"),
        ("f2", 10.179, 10.47, "a"),
        ("f2", 19.519, 21.637, "a"),
        ("f1", 12.584, 14.135, "c"),
        ("f2", 13.013, 14.787, "c"),
        ("f1", 19.389, 20.802, "a"),
        ("f2", 1.342, 3.999, "c"),
        ("f1", 19.417, 20.833, "a"),
    ]
]


def test_segment_based_metrics_equal_those_of_sed_eval():
    overall = segment_based(REFERENCE, ESTIMATED, segment=1.0).overall
    assert (overall.f1, overall.error_rate) == pytest.approx((0.465116, 0.653846), abs=1e-6)


def test_event_based_metrics_equal_those_of_sed_eval():
    overall = event_based(REFERENCE, ESTIMATED, collar=0.25, offset_share=0.3).overall
    assert (overall.f1, overall.error_rate) == pytest.approx((0.521739, 0.818182), abs=1e-6)


def test_counts_by_hand():
    scores = segment_based(
        [Event("x", 0, 3, "dog"), Event("x", 0, 1, "cat")], [Event("x", 0, 2, "dog"), Event("x", 2, 4, "cat")]
    )
    dog, cat = scores.by_label["dog"], scores.by_label["cat"]
    assert (dog.reference, dog.estimated, dog.correct) == (3, 2, 2)
    assert (cat.reference, cat.estimated, cat.correct) == (1, 2, 0)
    overall = scores.overall
    # In the first segment a cat is missed, in the third a dog is taken for a cat, in the fourth a cat is invented.
    assert (overall.substitutions, overall.deletions, overall.insertions) == (1, 1, 1)
    assert overall.error_rate == pytest.approx(3 / 4)
    assert scores.macro_f1 == pytest.approx((0.8 + 0) / 2)


def test_recordings_are_kept_apart():
    reference, estimated = [Event("a", 0, 2, "dog")], [Event("b", 0, 2, "dog")]
    assert segment_based(reference, estimated).overall.correct == 0
    assert event_based(reference, estimated).overall.correct == 0


def test_no_event_is_in_two_pairs():
    # Greedy pairing in this order would give the second detection away and find one pair.
    reference = [Event("x", 1.0, 2.0, "dog"), Event("x", 1.3, 2.3, "dog")]
    estimated = [Event("x", 1.15, 2.15, "dog"), Event("x", 0.85, 1.85, "dog")]
    assert event_based(reference, estimated, collar=0.2, offset_share=0.2).overall.correct == 2
    assert event_based(reference, estimated[:1], collar=0.2).overall.correct == 1


def test_ends_need_not_be_compared():
    reference, estimated = [Event("x", 0, 1, "dog")], [Event("x", 0, 9, "dog")]
    assert event_based(reference, estimated).overall.correct == 0
    assert event_based(reference, estimated, offset_share=None).overall.correct == 1


def test_nothing_against_nothing_has_no_metrics():
    for scores in (segment_based([], []), event_based([], [])):
        assert math.isnan(scores.overall.f1)
        assert math.isnan(scores.overall.error_rate)
        assert math.isnan(scores.macro_f1)
    only = segment_based([], [Event("x", 0, 1, "dog")]).overall
    assert (only.insertions, only.f1) == (1, 0)
    assert event_based([Event("x", 0, 1, "dog")], []).overall.error_rate == 1


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: segment_based([], [], segment=0), "segment"),
        (lambda: segment_based([Event("x", 0, 1e300, "dog")], []), "at most 10,000,000 segments"),
        (lambda: event_based([], [], collar=-1), "collar"),
        (lambda: event_based([], [], offset_share=1.5), "offset_share"),
    ],
)
def test_wrong_arguments_are_refused(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()
