"""Averages of the scores of several models, and their entries in comparisons and reports."""

from dataclasses import replace

import numpy as np
import pytest
from made_rows import made_row, made_rows

from audiozoo.cli.report import rows_of
from audiozoo.crossval import Measures, average_rows, calibrated_rows, leaderboard, read_rows, write_row
from audiozoo.crossval.testscores import pack


def test_an_average_has_the_mean_scores_whatever_the_order_of_the_clips():
    one, other = made_row("mel_cnn"), made_row("wave_cnn", skill=3.0)
    turned = replace(
        other.test,
        clips=other.test.clips[::-1],
        recordings=other.test.recordings[::-1],
        targets=other.test.targets[::-1],
        packed=pack(other.test.scores[::-1]),
    )
    [row] = average_rows([[one], [replace(other, test=turned)]])
    np.testing.assert_allclose(row.test.scores, (one.test.scores + other.test.scores) / 2, rtol=1e-6)
    assert row.test.clips == one.test.clips
    assert row.measures.accuracy == np.mean(row.test.scores.argmax(axis=1) == row.test.classes)
    assert (row.model, row.parameters) == ("mel_cnn+wave_cnn", one.parameters + other.parameters)
    assert row.train_seconds == one.train_seconds + other.train_seconds


def test_an_average_is_an_entry_of_its_own():
    first, second = made_rows(("mel_cnn",)), made_rows(("wave_cnn",))
    entries = leaderboard([*first, *second, *average_rows([first, second])])
    assert {(entry.model, entry.folds) for entry in entries} == {("mel_cnn", 2), ("wave_cnn", 2), ("mel_cnn+wave_cnn", 2)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: replace(row, test=None), "needs the scores"),
        (lambda row: replace(row, labels=("dog", "siren", "rain")), "differ in the classes or the clips"),
        (lambda row: made_row("wave_cnn", clips=13), "differ in the classes or the clips"),
        (lambda row: made_row("wave_cnn", fold=2), "only one of them has a row for fold 1 and seed 0"),
        (lambda row: made_row("wave_cnn", seed=4), "only one of them has a row for fold 1 and seed 0"),
    ],
)
def test_what_cannot_be_averaged_is_named(change, reason):
    with pytest.raises(ValueError, match=reason) as error:
        average_rows([[made_row("mel_cnn")], [change(made_row("wave_cnn"))]])
    assert "mel_cnn and wave_cnn" in str(error.value)
    with pytest.raises(ValueError, match="at least two members, got 1"):
        average_rows([[made_row("mel_cnn")]])


def flattened(row):
    """Return the row of a model that is less certain than it is right."""
    scores = row.test.scores**0.2 / (row.test.scores**0.2).sum(axis=1, keepdims=True)
    return replace(row, test=replace(row.test, packed=pack(scores)), measures=Measures.of(scores, row.test.classes))


def ratios_of_logits(row, former):
    """Return the ratio of a difference of logits to that in a former row, for each clip but the first, which is extreme."""
    now, then = (np.log(each.test.scores[1:, 0] / each.test.scores[1:, 1]) for each in (row, former))
    return now / then


def test_calibration_divides_the_logits_by_one_temperature_from_the_other_folds():
    rows = [flattened(made_row("mel_cnn", fold=fold, clips=200)) for fold in (1, 2, 3)]
    calibrated = calibrated_rows(rows)
    for row, done in zip(rows, calibrated, strict=True):
        ratios = ratios_of_logits(done, row)
        assert ratios == pytest.approx(ratios[0], rel=1e-3)
        assert ratios[0] > 2
        assert done.measures.accuracy == row.measures.accuracy
        assert done.measures.log_loss < row.measures.log_loss
        assert (done.model, done.fold) == ("calibrated mel_cnn", row.fold)
    # The scores of a fold do not affect its own temperature.
    changed = [flattened(made_row("mel_cnn", fold=1, clips=200, skill=0.0)), *rows[1:]]
    before, after = (ratios_of_logits(calibrated_rows(each)[0], each[0])[0] for each in (rows, changed))
    assert before == pytest.approx(after, rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([made_row("mel_cnn")], "the temperature of fold 1 is fitted to other folds of the seed 0, and there are none"),
        ([made_row("mel_cnn"), made_row("mel_cnn", fold=2, seed=1)], "other folds of the seed 0"),
        ([made_row("mel_cnn"), made_row("mel_cnn", fold=2, test=None)], "needs the scores"),
    ],
)
def test_what_cannot_be_calibrated_is_named(rows, reason):
    with pytest.raises(ValueError, match=reason) as error:
        calibrated_rows(rows)
    assert str(error.value).startswith("mel_cnn cannot be calibrated")


def test_comparisons_and_reports_average_what_is_joined_by_a_plus(audiozoo, tmp_path):
    for row in made_rows(clips=60):
        write_row(tmp_path / "rows" / row.request.file_name, row)
    status, told, _ = audiozoo("compare", "mel_cnn+house_cnn", "feature_mlp", "--rows", tmp_path)
    assert (status, "mel_cnn+house_cnn" in told) == (0, True)
    assert rows_of("mel_cnn+mel_cnn", {"mel_cnn": made_rows(("mel_cnn",))})[0] == "mel_cnn+mel_cnn"
    status, told, _ = audiozoo("compare", "calibrated mel_cnn", "mel_cnn", "--rows", tmp_path)
    assert (status, "calibrated mel_cnn" in told) == (0, True)
    averages = ("--average", "mel_cnn+house_cnn", "--average", "calibrated mel_cnn + house_cnn")
    status, told, _ = audiozoo("report", tmp_path, "-o", tmp_path / "r.html", *averages)
    assert status == 0
    assert "house\\_cnn" in (tmp_path / "r.md").read_text()
    assert "mel\\_cnn+house\\_cnn" in (tmp_path / "r.md").read_text()
    assert "calibrated mel\\_cnn+house\\_cnn" in (tmp_path / "r.md").read_text()
    assert len(list(read_rows(tmp_path / "rows"))) == 6, "an average is not saved"
    status, _, told = audiozoo("report", tmp_path, "-o", tmp_path / "r.html", "--average", "mel_cnn+hose_cnn")
    assert status == 2
    assert "did you mean 'house_cnn'" in told
    status, _, told = audiozoo("report", tmp_path, "-o", tmp_path / "r.html", "--average", "mel_cnn")
    assert status == 2
    assert "got 'mel_cnn', which has an entry already" in told
