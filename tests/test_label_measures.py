"""Measures, rows, leaderboards, pictures and verbs for clips with several labels."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as oracle

from audiozoo import metrics
from audiozoo.augment import Gain
from audiozoo.crossval import (
    LabelMeasures,
    benchmark,
    evaluate,
    fold_jobs,
    leaderboard,
    read_row,
    read_rows,
    search_augmentation,
)
from audiozoo.datasets import load_dataset
from audiozoo.report import cells, columns, label_picture, markdown
from audiozoo.training import Recipe, train

QUICK = Recipe(epochs=30, batch_size=8, learning_rate=1e-2, validation=0.25)


@pytest.fixture
def data(mixtures):
    return load_dataset("folder", root=mixtures.parent, table=mixtures).with_folds(2)


def test_metrics_agree_with_scikit_learn(rng):
    scores, targets = rng.random((50, 4)), rng.integers(0, 2, (50, 4))
    thresholds = (0.2, 0.4, 0.5, 0.9)
    present = scores >= thresholds
    assert metrics.mean_average_precision(scores, targets) == pytest.approx(oracle.average_precision_score(targets, scores))
    assert metrics.roc_auc(scores, targets) == pytest.approx(oracle.roc_auc_score(targets, scores))
    for average, ours in (("macro", metrics.macro_f1), ("micro", metrics.micro_f1)):
        assert ours(scores, targets, thresholds) == pytest.approx(oracle.f1_score(targets, present, average=average))
    precision, recall, _ = metrics.precision_recall_f1(scores, targets, thresholds)
    assert precision == pytest.approx(oracle.precision_score(targets, present, average=None))
    assert recall == pytest.approx(oracle.recall_score(targets, present, average=None))
    each = [oracle.log_loss(targets[:, number], scores[:, number]) for number in range(4)]
    assert metrics.binary_log_loss(scores, targets) == pytest.approx(np.mean(each))


@pytest.mark.filterwarnings("error")
def test_classes_without_positives_do_not_count(rng):
    scores, targets = rng.random((20, 3)), rng.integers(0, 2, (20, 3))
    without = np.column_stack([targets, np.zeros(20, int)])
    more = np.column_stack([scores, np.linspace(0.6, 0.9, 20)])
    assert metrics.mean_average_precision(more, without) == metrics.mean_average_precision(scores, targets)
    assert metrics.roc_auc(more, without) == metrics.roc_auc(scores, targets)
    assert metrics.macro_f1(more, without, (0.5,) * 4) == metrics.macro_f1(scores, targets, (0.5,) * 3)
    # What was found wrongly counts in the decisions taken together.
    assert metrics.micro_f1(more, without, (0.5,) * 4) < metrics.micro_f1(scores, targets, (0.5,) * 3)
    measures = LabelMeasures.of(more, without, (0.5, 0.5, 1.0, 0.5))
    assert measures.average_precision[3] is measures.recall[3] is measures.f1[3] is None
    assert (measures.precision[2], measures.precision[3], measures.positives[3]) == (None, 0.0, 0)
    everywhere = LabelMeasures.of(scores, np.ones_like(targets), (0.5,) * 3)
    assert everywhere.roc_auc is None
    assert np.isnan(everywhere.measure("roc_auc"))


@pytest.mark.parametrize(
    ("scores", "targets", "reason"),
    [
        (np.zeros((2, 2)), np.zeros(2, int), "same shape"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one clip"),
        (np.zeros((1, 2)), np.array([[0, 2]]), "must be 0 and 1, got"),
    ],
)
def test_invalid_scores_and_targets_raise(scores, targets, reason):
    with pytest.raises(ValueError, match=reason):
        metrics.mean_average_precision(scores, targets)
    with pytest.raises(ValueError, match="one threshold for each of the 2 classes"):
        metrics.micro_f1(np.zeros((1, 2)), np.zeros((1, 2)), (0.5,))


@pytest.mark.slow
def test_a_benchmark_of_several_labels(data, tmp_path):
    jobs = fold_jobs(data, "feature_mlp", recipe=QUICK)
    rows = list(benchmark(jobs, tmp_path))
    assert [row.metric for row in rows] == ["map", "map"]
    assert all(isinstance(row.measures, LabelMeasures) for row in rows)
    assert list(read_rows(tmp_path)) == sorted(rows, key=lambda row: row.fold)
    assert [row.measures for row in benchmark(jobs, tmp_path)] == [row.measures for row in rows]
    assert min(row.score for row in rows) > 0.6, "chance is 0.5"
    [entry] = leaderboard(rows)
    assert entry.score == entry.figures["map"] == metrics.mean_and_deviation([row.score for row in rows])
    assert entry.average_precision == pytest.approx(np.mean([row.measures.average_precision for row in rows], axis=0))
    assert columns("map")[2:-2] == ("mAP", "macro F1", "micro F1", "ROC-AUC")
    assert cells(entry)[2] == f"{entry.score[0]:.3f} ± {entry.score[1]:.3f}"
    assert markdown([entry]).count("\n") == 3
    ranked = leaderboard([replace(row, metric="macro_f1") for row in rows])[0]
    assert (ranked.score, columns("macro_f1")[2]) == (entry.figures["macro_f1"], "macro F1")
    rare = replace(rows[0].measures, average_precision=(None, 0.5, None))
    one = leaderboard([replace(rows[0], measures=rare), rows[1]])[0].average_precision
    assert one[0] == rows[1].measures.average_precision[0]


@pytest.mark.slow
def test_rows_of_the_two_kinds_do_not_mix(data, tmp_path):
    row = next(benchmark(fold_jobs(data, "feature_mlp", recipe=replace(QUICK, epochs=1)), tmp_path))
    single = read_row(next((tmp_path).glob("*.json")))
    assert single == row
    with pytest.raises(ValueError, match="metric must be one of 'map'"):
        replace(row, metric="accuracy")
    with pytest.raises(ValueError, match="3 classes in the measures and 2 labels"):
        replace(row, labels=("a", "b"))
    with pytest.raises(ValueError, match="recall must have a figure for each of the 3 classes"):
        replace(row.measures, recall=(0.5,))
    with pytest.raises(ValueError, match="macro_f1 must be a number from 0 to 1"):
        replace(row.measures, macro_f1=2.0)


@pytest.mark.slow
def test_evaluate_chooses_the_measures(data, sound_folder):
    quick = replace(QUICK, epochs=1)
    several = train("feature_mlp", data.clips, quick)
    one = load_dataset("folder", root=sound_folder).clips
    measures, _ = evaluate(several, one)
    assert (sum(measures.positives), measures.thresholds) == (18, several.thresholds)
    several.thresholds = None
    assert evaluate(several, data.clips).measures.thresholds == (0.5,) * 3
    with pytest.raises(ValueError, match="this classifier gives each clip one"):
        evaluate(train("feature_mlp", one, quick), data.clips)


def test_a_search_of_augmentation_needs_one_label(data):
    with pytest.raises(ValueError, match="exactly one is needed"):
        search_augmentation("feature_mlp", data.clips, {"gain": Gain()}, QUICK)


def test_a_picture_of_figures_by_class(tmp_path):
    figures = {"average precision": [0.5, None, 0.9], "F1": np.array([0.4, np.nan, 0.8])}
    path = label_picture(figures, ("a", "b", "c"), tmp_path / "labels.svg", title="x")
    text = path.read_text()
    # The best class is at the top, one without positives at the bottom; SVG draws from the bottom.
    assert text.index("<!-- b -->") < text.index("<!-- a -->") < text.index("<!-- c -->")


@pytest.mark.slow
def test_the_verbs_with_several_labels(audiozoo, mixtures, tmp_path):
    sounds, saved = mixtures.parent, tmp_path / "several.audiozoo"
    status, out, _ = audiozoo("train", sounds, "--table", mixtures, "-o", saved, "--model", "feature_mlp", "--epochs", 60)
    assert status == 0
    assert "clips have up to 2 labels" in out
    assert "mAP 0." in out or "mAP 1." in out
    picture = tmp_path / "labels.png"
    status, out, _ = audiozoo("evaluate", saved, sounds, "--table", mixtures, "--picture", picture)
    assert (status, picture.read_bytes()[:4]) == (0, b"\x89PNG")
    assert "24 clips: mAP" in out
    assert "micro F1" in out
    assert "threshold" in out
    measures = json.loads(audiozoo("evaluate", saved, sounds, "--table", mixtures, "--json")[1])
    assert measures["map"] > 0.7
    assert measures["by_label"]["low"]["positives"] == 12
    present = json.loads(audiozoo("predict", saved, sounds / "3.wav", "--json")[1])[0]["present"]
    rows = list(csv.DictReader(io.StringIO(audiozoo("predict", saved, sounds / "3.wav", "--csv", "--top", 1)[1])))
    assert sorted(row["label"] for row in rows) == (sorted(present) or [""])
    assert all(label in audiozoo("predict", saved, sounds / "3.wav")[1] for label in present)


def test_a_sound_without_any_label_has_a_line(audiozoo, data, tmp_path):
    classifier = train("feature_mlp", data.clips, replace(QUICK, epochs=1))
    classifier.thresholds = (1.0,) * 3
    classifier.save(tmp_path / "strict.audiozoo")
    out = audiozoo("predict", tmp_path / "strict.audiozoo", data.clips[0].path, "--csv")[1].splitlines()
    assert out[1].startswith(f"{data.clips[0].path},1,,0.")
    assert "(none)" in audiozoo("predict", tmp_path / "strict.audiozoo", data.clips[0].path)[1]


@pytest.mark.slow
def test_the_verb_benchmark_with_several_labels(audiozoo, mixtures, tmp_path):
    words = ("--root", mixtures.parent, "--table", mixtures, "--models", "feature_mlp", "--epochs", 2, "-o", tmp_path / "runs")
    status, out, _ = audiozoo("benchmark", "--dataset", "folder", *words, "--folds", "1", "--jobs", 0)
    assert status == 0
    assert "ROC-AUC" in out
    assert "figures by class of feature_mlp" in out
    assert (tmp_path / "runs" / "folder-feature_mlp.png").is_file()
    assert "| mAP |" in (tmp_path / "runs" / "folder.md").read_text()
