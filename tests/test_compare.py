"""Comparison of two models: McNemar's test, the paired bootstrap, Holm's correction, and the command."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from made_rows import made_row, made_rows
from scipy.stats import binom

from audiozoo import metrics
from audiozoo.crossval import RESAMPLED, Measures, TestScores, compare, compare_all, leaderboard, read_rows, write_row
from audiozoo.crossval.testscores import pack
from audiozoo.datasets import Clip
from audiozoo.report.results import measured, metric_name
from audiozoo.report.summary import summarised


def skilled(name, skill, **changes):
    rows = made_rows((name,), skill=skill, clips=200, **changes)
    return [replace(row, request=replace(row.request, model="mel_cnn")) for row in rows]


def test_mcnemar_is_the_binomial_test_of_the_clips_on_which_two_models_differ():
    first = np.array([True] * 15 + [False] * 4 + [True] * 30 + [False] * 5)
    second = np.array([False] * 15 + [True] * 4 + [True] * 30 + [False] * 5)
    assert metrics.mcnemar(first, second) == pytest.approx(2 * binom.cdf(4, 19, 0.5))
    assert metrics.mcnemar(first, second) == metrics.mcnemar(second, first)
    assert metrics.mcnemar(first, first) == 1
    with pytest.raises(ValueError, match="the same clips"):
        metrics.mcnemar(first, second[:-1])


def test_holm_orders_and_bounds():
    assert metrics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert metrics.holm([0.9, 0.8]).max() == 1
    assert len(metrics.holm([])) == 0
    with pytest.raises(ValueError, match="from 0 to 1"):
        metrics.holm([0.5, float("nan")])


def test_a_better_model_is_found_and_the_difference_turns_its_sign_with_the_order():
    good, bad = skilled("a", 4.0), skilled("ab", 1.0)
    one, two = compare(good, bad, models=("good", "bad")), compare(bad, good, models=("bad", "good"))
    assert one.better == two.better == "good"
    assert one.difference == -two.difference > 0.1
    assert one.difference_interval == pytest.approx(tuple(-end for end in reversed(two.difference_interval)))
    assert one.p == two.p < 0.001
    assert one.mcnemar_p == two.mcnemar_p < 0.001
    assert (one.clips, one.recordings, one.folds) == (400, 400, (1, 2))
    assert len(one.only[0]) - len(one.only[1]) == pytest.approx(400 * one.difference)
    assert one.only[0][0].startswith("fold 1: 1-")
    assert one.values[0] == pytest.approx(np.mean([row.score for row in good]))


def test_models_that_are_equally_good_are_not_told_apart():
    found = compare(skilled("a", 2.0), skilled("ab", 2.0), models=("a", "b"))
    assert found.better is None
    assert found.difference_interval[0] < 0 < found.difference_interval[1]


def decided(right, *, recordings=None, fold=1, seed=0, names=None, shift=0):
    """Return a row whose clips are right or wrong as given; the recordings are the clips, unless they are given."""
    targets = (np.arange(len(right)) + shift) % 3
    scores = np.eye(3)[np.where(right, targets, (targets + 1) % 3)]
    test = TestScores.of_clips([Clip(f"/data/{name}.wav", ("dog",)) for name in names or range(len(right))], scores, targets)
    test = replace(test, recordings=tuple(map(str, recordings))) if recordings is not None else test
    return replace(
        made_row("mel_cnn", fold=fold, seed=seed), test=test, test_clips=len(right), measures=Measures.of(scores, targets)
    )


@pytest.mark.parametrize("clips", [1, 2, 3, 5, 6, 8])
def test_few_clips_prove_no_more_than_the_sign_test_does(clips):
    found = compare([decided([True] * clips)], [decided([False] * clips)], models=("a", "b"))
    assert found.p == pytest.approx(found.mcnemar_p) == 0.5 ** (clips - 1)
    # The verdict and the interval agree: six clips are the first that suffice.
    assert (found.better == "a") == (found.difference_interval[0] > 0) == (clips >= 6)


def test_many_clips_of_one_recording_tell_nothing():
    sides = [[decided([right] * 30, recordings=[0] * 30)] for right in (True, False)]
    found = compare(*sides, models=("a", "b"))
    assert (found.recordings, found.p, found.better) == (1, 1, None)


def test_equal_models_are_told_apart_as_rarely_as_the_level_says(rng):
    alarms = []
    for _ in range(100):
        # Each model answers a third of the ten recordings in its own way.
        common = rng.uniform(size=10) < 0.7
        sides = [np.where(rng.uniform(size=10) < 0.6, rng.uniform(size=10) < 0.7, common) for _ in range(2)]
        alarms.append(compare([decided(sides[0])], [decided(sides[1])], models=("a", "b")).p < 0.05)
    assert np.mean(alarms) <= 0.05


@pytest.mark.parametrize("metric", ["accuracy", "macro_accuracy", "map@3"])
def test_the_values_are_those_of_the_leaderboard_for_folds_of_any_size(metric):
    rows = [replace(made_row("mel_cnn", fold=fold, clips=clips), metric=metric) for fold, clips in ((1, 12), (2, 300))]
    found = compare(rows, rows, models=("a", "b"))
    assert found.values[0] == pytest.approx(leaderboard(rows)[0].score[0])
    assert found.intervals[0][0] < found.values[0] < found.intervals[0][1]


def test_several_seeds_are_ranked_one_by_one(rng):
    targets = (rng.uniform(size=(40, 3)) < 0.3).astype(int)
    clips = [Clip(f"/{number}.wav", ("dog",)) for number in range(40)]
    scores = [rng.uniform(size=(40, 3)) for _ in range(2)]
    scores[1] /= 100  # ranks below the first seed, if both are ranked together
    rows = [
        replace(made_row("mel_cnn", seed=seed), test=TestScores.of_clips(clips, one, targets))
        for seed, one in enumerate(scores)
    ]
    found = compare(rows, rows, models=("a", "b"), metric="map")
    assert found.values[0] == pytest.approx(np.mean([metrics.mean_average_precision(one, targets) for one in scores]))


def test_the_p_value_is_uniform_if_the_models_are_equal():
    chances = [
        compare(
            [made_row("mel_cnn", clips=150, skill=1.0, seed=seed)],
            [made_row("mel_cnn", clips=150, skill=1.0, seed=seed + 500)],
            models=("a", "b"),
        ).p
        for seed in range(60)
    ]
    assert 0.3 < np.mean(chances) < 0.7
    assert np.mean(np.array(chances) < 0.05) < 0.15


def test_pairs_are_corrected_together():
    models = {"a": skilled("a", 2.0), "b": skilled("ab", 2.6), "c": skilled("abc", 2.0)}
    found = compare_all(models)
    assert [each.models for each in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [each.corrected_p for each in found] == pytest.approx(metrics.holm([each.p for each in found]))
    exact = metrics.holm([each.mcnemar_p for each in found])
    assert [each.corrected_mcnemar_p for each in found] == pytest.approx(exact)


def test_several_seeds_have_no_mcnemar_test():
    rows = [made_row("mel_cnn", clips=50, seed=seed) for seed in (0, 1)]
    others = [made_row("mel_cnn", clips=50, seed=seed) for seed in (2, 3)]
    found = compare(rows, others, models=("a", "b"))
    assert (found.mcnemar_p, found.only, found.clips, found.recordings) == (None, ((), ()), 50, 50)
    with pytest.raises(ValueError, match="the same number of seeds in each fold"):
        compare([*rows, made_row("mel_cnn", fold=2)], [*others, made_row("mel_cnn", fold=2)], models=("a", "b"))


def test_the_mean_average_precision_of_a_draw_is_that_of_its_clips(rng):
    scores, targets = rng.uniform(size=(40, 3)), (rng.uniform(size=(40, 3)) < 0.3).astype(int)
    counts = np.stack([np.ones(40), rng.integers(0, 3, 40)])
    drawn = RESAMPLED["map"](scores, targets, np.arange(40))(counts)
    repeated = np.repeat(np.arange(40), counts[1].astype(int))
    # Copies of a clip have equal scores, which scikit-learn counts together.
    jitter = scores[repeated] - 1e-9 * np.arange(len(repeated))[:, None]
    assert drawn[0] == pytest.approx(metrics.mean_average_precision(scores, targets))
    assert drawn[1] == pytest.approx(metrics.mean_average_precision(jitter, targets[repeated]), abs=0.03)


def test_what_cannot_be_compared_is_said():
    rows = [made_row("mel_cnn")]
    with pytest.raises(ValueError, match=r"a and b were tested on other clips: esc10 fold 1 and esc10 fold 2; run"):
        compare(rows, [made_row("mel_cnn", fold=2)], models=("a", "b"))
    with pytest.raises(ValueError, match=r"the rows of b for fold 1 lack the scores .*--rerun stale"):
        compare(rows, [replace(rows[0], test=None)], models=("a", "b"))
    with pytest.raises(ValueError, match="compared by accuracy, macro_accuracy, map@3, map, got 'f1'"):
        compare(rows, rows, models=("a", "b"), metric="f1")


@pytest.mark.parametrize(
    "other",
    [
        decided([True] * 6),
        decided([True] * 12, names=range(20, 32)),
        decided([True] * 12, shift=1),
        decided([True] * 12, recordings=[0] * 12),
    ],
    ids=["number", "names", "labels", "recordings"],
)
def test_other_clips_or_labels_under_the_same_name_are_refused(other):
    with pytest.raises(ValueError, match=r"a and b cannot be compared: their rows for fold 1 differ .*\.wav'; run"):
        compare([decided([True] * 12)], [other], models=("a", "b"))


def test_the_order_of_clips_does_not_matter():
    right = np.arange(12) > 3
    turned = decided(right[::-1], names=range(11, -1, -1))
    turned = replace(
        turned, test=replace(turned.test, targets=tuple(np.arange(12)[::-1] % 3), packed=pack(turned_scores(right)))
    )
    found = compare([decided(right)], [turned], models=("a", "b"))
    assert (found.difference, found.only) == (0, ((), ()))


def turned_scores(right):
    targets = np.arange(12) % 3
    return np.eye(3)[np.where(right, targets, (targets + 1) % 3)][::-1]


def test_a_copy_of_a_row_does_not_pass_for_a_seed():
    row = decided([True] * 12)
    with pytest.raises(ValueError, match="a has several rows for fold 1 and seed 0"):
        compare([row, row], [row], models=("a", "b"))


def test_a_single_clip_tells_nothing():
    scores, targets = np.array([[0.9, 0.05, 0.05]]), np.array([0])
    test = TestScores.of_clips([Clip("/a.wav", ("dog",))], scores, targets)
    row = replace(made_row("mel_cnn"), test=test, test_clips=1)
    found = compare([row], [row], models=("a", "b"))
    assert (found.difference, found.better, found.p) == (0, None, 1)


@pytest.fixture
def folder(tmp_path):
    for place, row in enumerate([*made_rows(("feature_mlp",), skill=0.5, clips=200), *made_rows(("mel_cnn",), clips=200)]):
        write_row(tmp_path / "rows" / f"{place}.json", row)
    return tmp_path


def test_the_command_compares_two_models(audiozoo, folder):
    status, text, _ = audiozoo("compare", "mel_cnn", "feature_mlp", "--rows", folder, "--clips")
    assert status == 0
    assert "400 clips of 400 recordings, folds 1, 2; accuracy" in text
    assert "mel_cnn is better: +" in text
    assert "McNemar's test: only mel_cnn is right on" in text
    assert "only mel_cnn: fold 1: 1-" in text
    [found] = json.loads(audiozoo("compare", "--rows", folder, "--json")[1])
    assert found["better"] == "mel_cnn"


def test_the_command_prints_a_metric_like_the_report(audiozoo, folder):
    [data] = summarised(read_rows(folder / "rows"))
    for metric in ("accuracy", "map@3"):
        text = audiozoo("compare", "mel_cnn", "feature_mlp", "--rows", folder, "--metric", metric)[1]
        assert f"folds 1, 2; {metric_name(metric)}" in text
        for model in data.models:
            assert re.search(f"  {model.name} +{re.escape(measured(metric, model.mean(metric)))}  ", text)
        assert (" points" in text) == (metric == "accuracy")
        assert (" %" in text.replace("95 %", "")) == (metric == "accuracy")
    assert re.search(r"is better: \+0\.\d{3}, 95 % interval \+0\.\d{3} to \+0\.\d{3}, p", text)


def test_the_command_counts_one_clip_in_the_singular(audiozoo, tmp_path):
    for name, wrong in (("mel_cnn", 1), ("house_cnn", 2)):
        row = decided([True] * (12 - wrong) + [False] * wrong)
        write_row(tmp_path / "rows" / f"{name}.json", replace(row, request=replace(row.request, model=name)))
    text = audiozoo("compare", "mel_cnn", "house_cnn", "--rows", tmp_path)[1]
    assert "only mel_cnn is right on 1 clip, only house_cnn on 0;" in text


def test_the_command_compares_all_pairs(audiozoo, folder):
    for place, row in enumerate(made_rows(("house_cnn",), clips=200)):
        write_row(folder / "rows" / f"third{place}.json", row)
    status, text, _ = audiozoo("compare", "--rows", folder)
    assert status == 0
    assert len([line for line in text.splitlines() if "to" in line and "_" in line]) == 3
    assert "p, Holm" in text


def test_the_command_reads_several_folders_and_warns_of_clips_of_one_recording(audiozoo, tmp_path):
    for name, right in (("mel_cnn", [True] * 40), ("house_cnn", [True] * 20 + [False] * 20)):
        row = decided(right, recordings=np.arange(40) // 2)
        write_row(tmp_path / name / "rows" / "1.json", replace(row, request=replace(row.request, model=name)))
    status, text, _ = audiozoo("compare", "--rows", tmp_path / "mel_cnn", "--rows", tmp_path / "house_cnn")
    assert status == 0
    assert "40 clips of 20 recordings" in text
    assert "mel_cnn is better" in text
    assert "if clips of one recording were independent" in text


def test_the_command_names_what_is_wrong(audiozoo, folder, tmp_path):
    assert "did you mean 'mel_cnn'" in audiozoo("compare", "mel_cn", "feature_mlp", "--rows", folder)[2]
    assert "needs two models, got mel_cnn" in audiozoo("compare", "mel_cnn", "--rows", folder)[2]
    assert "unknown dataset 'esc50'" in audiozoo("compare", "--rows", folder, "--dataset", "esc50")[2]
    (tmp_path / "empty").mkdir()
    assert "no result rows there" in audiozoo("compare", "--rows", tmp_path / "empty")[2]
