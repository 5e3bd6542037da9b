"""What the report says about deviations, times and curves, in words and numbers that all places share."""

import re
from dataclasses import replace

import pytest
from made_rows import made_row, made_rows

from audiozoo import metrics
from audiozoo.crossval import Measures, leaderboard
from audiozoo.report import cells, columns, html_report, markdown, markdown_report
from audiozoo.report.page.curves import curve_charts
from audiozoo.report.summary import summarised

TURNED = "\u202edog"


def test_a_training_metric_is_dashed_and_the_text_tells_of_models_without_held_out_clips(tmp_path):
    histories = {"mel_cnn": {"loss": [2.0, 1.0]}, "house_cnn": {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}}
    rows = {name: made_rows((name,), history=history) for name, history in histories.items()}
    [data] = summarised([*rows["mel_cnn"], *rows["house_cnn"]])
    kinds = {
        model.name: re.findall('class="((?:fold|curve)[^"]*)"', chart)
        for model, chart in zip(data.models, curve_charts(data.models), strict=True)
    }
    assert kinds == {
        "mel_cnn": ["fold train", "fold train", "curve train"],
        "house_cnn": ["fold", "fold", "curve train", "curve"],
    }
    said = "without held-out clips have no solid line"
    assert said in html_report([*rows["mel_cnn"], *rows["house_cnn"]], tmp_path / "both.html").read_text()
    assert said not in html_report(rows["house_cnn"], tmp_path / "held.html").read_text()


def seeded():
    return [made_row("mel_cnn", fold=fold, seed=seed, clips=60) for fold in (1, 2) for seed in (0, 1, 2)]


def test_the_deviation_over_the_seeds_is_shown_where_a_model_has_several(tmp_path):
    [entry] = leaderboard([*seeded()])
    means = [metrics.mean_and_deviation([row.score for row in seeded() if row.seed == seed])[0] for seed in (0, 1, 2)]
    shown = f"± {100 * metrics.mean_and_deviation(means)[1]:.1f} %"
    single = made_rows(("house_cnn",), clips=60)
    page = html_report([*seeded(), *single], tmp_path / "a.html").read_text()
    [of_several] = [line for line in re.findall("<tr.*?</tr>", page, re.DOTALL) if f">{shown}</td>" in line]
    assert "mel_" in of_several
    for text in (page, markdown_report(seeded(), tmp_path / "a.md").read_text(), markdown(leaderboard([*seeded(), *single]))):
        assert shown in text
        assert "over seeds" in text
    assert len(cells(entry, seeds=True)) == len(columns("accuracy", seeds=True)) == len(columns("accuracy")) + 1
    for text in (html_report(single, tmp_path / "b.html").read_text(), markdown(leaderboard(single))):
        assert "over seeds" not in text


def test_the_report_says_over_what_a_deviation_is_and_what_a_time_is(tmp_path):
    several, one = (
        html_report(rows, tmp_path / "a.html").read_text() for rows in (seeded(), made_rows(("mel_cnn",), clips=60))
    )
    assert "standard deviation over the test folds, each the mean over its seeds." in several
    assert "standard deviation over the test folds." in one
    assert "seeds" not in re.search("<p>Mean ±(.*?)</p>", one)[1]
    tables = markdown_report(seeded(), tmp_path / "a.md").read_text()
    assert "standard deviation over the test folds, each the mean over its seeds." in tables
    assert "| time per training |" in tables
    assert "all trainings" in markdown(leaderboard(seeded()))


@pytest.mark.parametrize("right", [0.9175, 0.9174999999999999, 0.9175000000000001])
def test_a_mean_with_an_error_in_its_last_bit_is_rounded_like_the_mean_itself(right, tmp_path):
    row = made_row("mel_cnn")
    measures = Measures(**{**vars(row.measures), "accuracy": right})
    text = markdown_report([replace(row, measures=measures)], tmp_path / "a.md").read_text()
    assert "91.8 %" in text
    assert "91.8 %" in markdown(leaderboard([replace(row, measures=measures)]))


def test_a_label_that_turns_the_direction_of_writing_is_isolated(tmp_path):
    rows = made_rows(labels=(TURNED, "rain", "siren"), clips=60, skill=0.5)
    page = html_report(rows, tmp_path / "a.html", sounds=tmp_path).read_text()
    assert f"<bdi>{TURNED}</bdi> → <bdi>" in page
    assert f" → <bdi>{TURNED}</bdi>" in page
    assert f"<strong><bdi>{TURNED}</bdi></strong>" in page
    # Drawn texts and cells are paragraphs of their own; elsewhere in a line nothing else may follow the label.
    inline = re.sub(r"<(svg|title|td)[ >].*?</\1>|<[^>]*>", lambda found: found[0] if "bdi" in found[0] else "", page)
    assert TURNED not in re.sub("<bdi>.*?</bdi>", "", inline)
