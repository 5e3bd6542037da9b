"""Scores by domain: which recording devices a model can hear through, and which of them it was trained on."""

from dataclasses import replace

import numpy as np
import pytest
from made_rows import made_row

from audiozoo.crossval import TestScores, domain_scores
from audiozoo.crossval.identity import content_of
from audiozoo.datasets import Clip
from audiozoo.report import html_report, markdown_report

LABELS = ("dog", "rain")
DEVICES = ("a", "a", "a", "b", "s4", "s4")
TARGETS = np.array([0, 0, 1, 1, 0, 1])
RIGHT = np.array([1, 0, 1, 1, 0, 1])


def clips(devices=DEVICES):
    return [
        Clip(f"/data/{n}.wav", (LABELS[target],), domain=one) for n, target, one in zip(range(6), TARGETS, devices, strict=True)
    ]


def made_test(devices=DEVICES, right=RIGHT):
    scores = np.eye(2)[np.where(right, TARGETS, 1 - TARGETS)]
    return TestScores.of_clips(clips(devices), scores, TARGETS, train=[Clip("/t.wav", ("dog",), domain=one) for one in "abc"])


def test_each_domain_has_its_score_and_those_without_training_clips_come_last():
    assert domain_scores([made_test()], "accuracy") == [
        ("a", True, 3, pytest.approx(2 / 3)),
        ("b", True, 1, 1.0),
        ("s4", False, 2, 0.5),
        ("seen", True, 4, 0.75),
        ("unseen", False, 2, 0.5),
    ]
    macro = {one.domain: one.score for one in domain_scores([made_test()], "macro_accuracy")}
    assert macro["a"] == pytest.approx((1 / 2 + 1) / 2)
    both = domain_scores([made_test(), made_test(right=1 - RIGHT)], "accuracy")
    assert {(one.clips, one.score) for one in both if one.domain == "s4"} == {(4, 0.5)}


def test_without_unknown_domains_there_is_no_comparison_and_clips_without_a_domain_are_left_out():
    assert [one.domain for one in domain_scores([made_test(("a", "a", "b", "b", "", ""))], "accuracy")] == ["a", "b"]
    assert domain_scores([made_test(("",) * 6)], "accuracy") == []
    assert domain_scores([made_test(), made_test(("",) * 6)], "accuracy") == []
    assert domain_scores([made_test()], "macro_f1") == domain_scores([], "accuracy") == []


def test_a_domain_is_no_content_of_a_dataset_and_a_mark_of_validation_is():
    known, unknown = clips(), [replace(clip, domain="") for clip in clips()]
    assert content_of(LABELS, known, known) == content_of(LABELS, unknown, unknown)
    marked = [replace(clip, validation=True) for clip in known]
    assert content_of(LABELS, marked, known) != content_of(LABELS, known, known)


@pytest.mark.parametrize("devices", [DEVICES, ("",) * 6])
def test_the_reports_show_the_domains_if_there_are_any(tmp_path, devices):
    rows = [made_row(model, labels=LABELS, clips=6, test=made_test(devices)) for model in ("feature_mlp", "mel_cnn")]
    text = markdown_report(rows, tmp_path / "report.md").read_text()
    page = html_report(rows, tmp_path / "report.html").read_text()
    known = bool(devices[0])
    assert ("|  | model | seen | unseen | a | b | s4 (unseen) |" in text) is known
    assert (r"| 1 | feature\_mlp | 75.0 % | 50.0 % | 66.7 % | 100.0 % | 50.0 % |" in text) is known
    assert ("No training clip comes from an unseen domain." in page) is known
    assert ('<th scope="col">s4 (unseen)</th>' in page) is known


def test_domains_must_be_those_of_all_clips():
    with pytest.raises(ValueError, match="each clip needs a domain"):
        replace(made_test(), domains=("a",))
