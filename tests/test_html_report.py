"""The report as one HTML page: complete, self-contained, harmless, and readable on a phone."""

import json
import math
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import tone
from made_rows import SAVED, made_row, made_rows

from audiozoo import metrics
from audiozoo.crossval import Energy, LabelMeasures, average_rows, write_row
from audiozoo.report import html_report, markdown_report
from audiozoo.report.columns import columns
from audiozoo.report.hardest import hardest_clips
from audiozoo.report.page.curves import MOST_LINES, curve_charts, shown
from audiozoo.report.page.markup import Html, tag
from audiozoo.report.page.scatter import pareto_front
from audiozoo.report.page.sounds import located, sound_files
from audiozoo.report.page.style import SCRIPT
from audiozoo.report.page.svg import Scale
from audiozoo.report.pairs import confused_pairs
from audiozoo.report.summary import summarised
from audiozoo.report.tables import table

SCRIPTED, PICTURED = "<script>alert(1)</script>", '"><img src=x onerror=alert(2)>'
HOSTILE = (SCRIPTED, PICTURED, "a & 'b' | `c`", "plain")
AVERAGED = ("yamnet:probe", "yamnet:finetune", "somebodysnetworkwithaverylongnamethatcannotbreakanywhere")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Page(HTMLParser):
    """Elements and texts of a page."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(Path(path).read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


# Parts of the page


def test_every_text_is_escaped_unless_it_was_built_here():
    assert tag("b", "<i>", title='"', data_first="x") == '<b title="&quot;" data-first="x">&lt;i&gt;</b>'
    assert tag("b", Html("<i></i>"), None, ["&", 1.25], hidden=True, id=None) == "<b hidden><i></i>&amp;1.2</b>"


def test_scales_have_round_ticks_within_them():
    assert Scale(0.62, 0.97, 100, 0).ticks(4) == [0.7, 0.8, 0.9]
    assert Scale(900, 2e6, 0, 100, log=True).ticks() == [1e3, 1e4, 1e5, 1e6]
    assert Scale(1, 100, 0, 100, log=True)(10) == pytest.approx(50)
    assert Scale.around([5, 5], 0, 100)(5) == pytest.approx(50), "values that are all equal are in the middle"


def test_the_front_has_no_point_that_another_beats():
    points = [(float(cost), score) for cost, score in np.random.default_rng(1).uniform(size=(40, 2))]
    front = pareto_front(points)
    beaten = {a for a, (cost, score) in enumerate(points) for other in points if other[0] < cost and other[1] >= score}
    assert sorted(front) == sorted(set(range(40)) - beaten)


def test_the_most_confused_pairs_come_first_and_correct_clips_are_none():
    pairs = confused_pairs(np.array([[9, 1, 0], [4, 3, 0], [0, 2, 5]]), ["a", "b", "c"], most=2)
    assert [(pair.true, pair.predicted, pair.clips, pair.total) for pair in pairs] == [("b", "a", 4, 7), ("c", "b", 2, 7)]
    assert confused_pairs(np.eye(3, dtype=int), ["a", "b", "c"]) == []


# Summaries


def test_the_energy_has_columns_and_charts_where_rows_have_it(tmp_path):
    without = made_rows(("mel_cnn", "house_cnn"))
    [data] = summarised(without)
    assert not any("Wh" in column.name for column in columns(data))
    energy = Energy(kwh_training=0.0025, kwh_per_thousand=0.00004)
    rows = [
        *without[1:],
        *(replace(row, energy=energy) for row in made_rows(("wave_cnn",))),
        replace(without[0], energy=energy),
    ]
    page, tables = html_report(rows, tmp_path / "a.html").read_text(), markdown_report(rows, tmp_path / "a.md").read_text()
    assert page.count("<svg") > html_report(without, tmp_path / "b.html").read_text().count("<svg")
    assert "Wh per training (estimated)" in page
    assert "Wh per 1,000 clips (estimated)" in tables
    assert "| 2.5 | 0.04 |" in tables


def test_seeds_and_folds_share_an_entry_and_settings_do_not():
    rows = [made_row("mel_cnn", fold=fold, seed=seed) for fold in (1, 2) for seed in (0, 1)]
    longer = replace(rows[0].request, recipe=replace(rows[0].request.recipe, epochs=7))
    [data] = summarised([*rows, replace(rows[0], request=longer)])
    assert {(model.name, model.folds, model.seeds) for model in data.models} == {
        ("mel_cnn (epochs=300)", 2, 2),
        ("mel_cnn (epochs=7)", 1, 1),
    }


def test_a_model_tested_on_an_easy_fold_alone_is_not_first():
    [data] = summarised([*made_rows(("mel_cnn",), skill=1.0), made_row("house_cnn", skill=9.0)])
    assert [model.entry.model for model in data.models] == ["mel_cnn", "house_cnn"]
    assert data.models[1].marks(data.folds)[0] == "1 of 2 folds"


def test_the_calibration_error_needs_the_scores_of_all_rows():
    rows = made_rows(("mel_cnn",))
    [with_scores], [without] = (
        data[0].models for data in (summarised(rows), summarised([rows[0], replace(rows[1], test=None)]))
    )
    scores, targets = (np.concatenate([getattr(row.test, name) for row in with_scores.rows]) for name in ("scores", "classes"))
    assert with_scores.calibration_error == metrics.expected_calibration_error(scores, targets)
    assert without.calibration_error is None


def test_the_hardest_clips_are_wrong_for_most_models():
    [data] = summarised([row for seed in (0, 1) for row in made_rows(seed=seed, skill=4.0)])
    hardest = hardest_clips(data)
    assert {(clip.name, clip.label, clip.wrong, clip.models) for clip in hardest[:2]} == {
        (f"{fold}-0.wav", "dog", 1.0, 3) for fold in (1, 2)
    }
    assert all(clip.taken_for != clip.label and clip.wrong > 0.5 for clip in hardest)


def test_a_clip_that_more_models_get_wrong_is_harder():
    rows = [made_row("feature_mlp", fold=1, skill=9.0), *made_rows(("mel_cnn",), skill=9.0)]
    clips = hardest_clips(*summarised(rows))
    assert [(clip.name, clip.share) for clip in clips] == [
        ("1-0.wav", "100 % of 2 models"),
        ("2-0.wav", "the only model tested on it"),
    ]


def test_a_report_needs_rows(tmp_path):
    with pytest.raises(ValueError, match="at least one row"):
        html_report([], tmp_path / "a.html")


# The whole page


def test_nothing_in_the_page_comes_from_elsewhere_and_no_name_becomes_markup(tmp_path):
    command = replace(SAVED.provenance, command=f"audiozoo benchmark {SCRIPTED}")
    rows = made_rows(labels=HOSTILE, dataset=PICTURED, provenance=command, skill=0.5)
    path = html_report(rows, tmp_path / "report.html", title=SCRIPTED)
    page = Page(path)
    assert not [name for name, _ in page.elements if name in ("img", "iframe", "link", "object", "embed", "base")]
    assert [text for text in page.texts if "sortable" in text] == [SCRIPT], "the only script is that of the report"
    assert len(page.all("script")) == 1
    for name, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on")], name
        for key in ("src", "href", "xlink:href", "srcset", "action"):
            assert attributes.get(key, "#").startswith(("#", "data:"))
    source = path.read_text()
    assert not re.search(r"url\(|@import", source)
    assert any(SCRIPTED in text for text in page.texts), "a name is shown as it was given"


def test_a_page_has_all_sections_and_few_bytes(tmp_path):
    rows = made_rows(labels=[f"class {number}" for number in range(50)], clips=150)
    path = html_report(rows, tmp_path / "report.html")
    texts = Page(path).texts
    for heading in ("Leaderboard", "Accuracy and cost", "Classes", "Confusion", "Hardest clips", "Commands"):
        assert heading in texts
    assert path.stat().st_size < 150_000
    names = [attributes["aria-label"] for attributes in Page(path).all("svg")]
    assert all(names), "each picture says what it shows"
    assert any("On the front" in name for name in names)


def test_a_matrix_of_very_many_classes_is_a_list_of_pairs(tmp_path):
    labels = tuple(f"class {number}" for number in range(201))
    path = html_report([made_row("mel_cnn", labels=labels, clips=402, skill=3.0)], tmp_path / "report.html")
    texts = Page(path).texts
    assert any("201 classes is too large to draw" in text for text in texts)
    assert any(" → " in text for text in texts)


def test_rows_of_several_labels_and_rows_without_scores_have_a_page(tmp_path, rng):
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    several = replace(
        made_row("mel_cnn", labels=("a", "b"), dataset="mixtures"),
        measures=LabelMeasures.of(rng.uniform(size=(4, 2)), targets, (0.5, 0.5)),
        metric="map",
        test=None,
    )
    page = Page(html_report([several, SAVED], tmp_path / "report.html"))
    assert {"mixtures", "esc10"} <= set(page.texts)
    assert "mAP" in page.texts


def test_more_models_than_can_be_told_apart_are_left_out_and_counted(tmp_path):
    settings = [replace(SAVED.request, recipe=replace(SAVED.request.recipe, epochs=1 + number)) for number in range(23)]
    path = html_report([replace(SAVED, request=request) for request in settings], tmp_path / "report.html")
    page = Page(path)
    assert any("the best 20 of 23 models" in text for text in page.texts)
    assert sum("name" in attributes.get("class", "") for attributes in page.all("td")) == 0
    assert len([attributes for attributes in page.all("td") if attributes.get("class") == "model"]) == 23


def test_learning_curves_are_means_over_the_trainings_that_got_so_far():
    [data] = summarised(made_rows(("mel_cnn",)))
    [model] = data.models
    assert curve_charts([model]) == [], "these rows have no history"
    curves = {"loss": [[2.0, 1.0]], "accuracy": [[0.0, 0.5, 1.0], [0.5]], "val_accuracy": [[0.0, math.nan, 0.5], [0.5]]}
    model.__dict__["curves"] = curves
    assert shown(curves) == ("accuracy", "val_accuracy")
    [chart] = curve_charts([model])
    paths = re.findall('d="([^"]*)"[^>]*class="(fold|curve|curve train)"', chart)
    assert [kind for _, kind in paths] == ["fold", "fold", "curve train", "curve"]
    heights = [float(each) for each in re.findall(r"[ML][\d.]+ ([\d.]+)", {kind: d for d, kind in paths}["curve train"])]
    assert heights == sorted(heights, reverse=True), "0.25, 0.5 and 1.0, upwards"
    assert {kind: d for d, kind in paths}["curve"].count("M") == 2, "a gap where no training has a value"


def test_the_chart_of_many_trainings_shows_some_and_the_mean_of_all(tmp_path):
    rows = [replace(made_row("mel_cnn", seed=seed), history={"loss": (2.0, 1.0 + seed)}) for seed in range(MOST_LINES + 1)]
    [data] = summarised(rows)
    [chart] = curve_charts(data.models)
    kinds = Counter(re.findall('class="(fold train|curve train)"', chart))
    assert kinds == {"fold train": MOST_LINES, "curve train": 1}
    assert f"{MOST_LINES + 1} trainings" in chart
    said = f"Thin lines are single trainings, the first {MOST_LINES} of each model."
    assert said in html_report(rows, tmp_path / "many.html").read_text()
    assert said not in html_report(rows[1:], tmp_path / "few.html").read_text()


# Sounds


def test_a_sound_is_found_by_the_end_of_its_path_and_never_outside_the_folder(write_sound, tmp_path):
    write_sound(tone(440, 0.2, 8_000), name="root/a/1.wav")
    write_sound(tone(440, 0.2, 8_000), name="root/b/1.wav")
    write_sound(tone(440, 0.2, 8_000), name="root/b/2.wav")
    write_sound(tone(440, 0.2, 8_000), name="secret.wav")
    files = sound_files(tmp_path / "root")
    assert located("b/1.wav", files)[0].parts[-2:] == ("b", "1.wav")
    assert located("2.wav 0.5-1.5 s", files)[1:] == (0.5, 1.5)
    assert located("2.wav 0.5- s", files)[1:] == (0.5, None)
    for name in ("1.wav", "3.wav", "../secret.wav", str(tmp_path / "secret.wav"), "x\0y", "2.wav e-e s"):
        assert located(name, files) is None, name
    with pytest.raises(FileNotFoundError, match="--sounds"):
        sound_files(tmp_path / "nowhere")


def test_the_hardest_clips_can_be_heard_and_their_origin_is_stated(write_sound, tmp_path):
    for fold in (1, 2):
        write_sound(tone(440, 6, 22_050), 22_050, name=f"sounds/{fold}-0.wav")
    path = html_report(made_rows(skill=4.0), tmp_path / "report.html", sounds=tmp_path / "sounds")
    page = Page(path)
    assert len(page.all("audio")) == len(page.all("img")) == 2
    assert all(attributes["src"].startswith("data:audio/") for attributes in page.all("audio"))
    assert all(attributes["alt"] for attributes in page.all("img"))
    assert any("CC BY" in text for text in page.texts)
    assert path.stat().st_size < 400_000


# Markdown and the command line


def test_no_name_breaks_a_markdown_table(tmp_path):
    assert table(["x"], [["a|b\n<i>"]]).splitlines()[-1] == r"| a\|b \<i\> |"
    text = markdown_report(made_rows(labels=HOSTILE, skill=0.5), tmp_path / "report.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| 1 ")]
    assert len(lines) == 1
    assert "<script" not in text.replace(r"\<script", "")
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in text.split("##")[1].splitlines() if line.startswith("|")}
    assert len(bars) == 1


def test_the_verb_finds_the_rows_of_a_benchmark(audiozoo, tmp_path):
    for row in made_rows():
        write_row(tmp_path / "runs" / "rows" / row.request.file_name, row)
    status, printed, _ = audiozoo("report", tmp_path / "runs", "-o", tmp_path / "out.html", "--title", "My models")
    assert status == 0
    assert "6 rows" in printed
    assert "My models" in Page(tmp_path / "out.html").texts
    assert (tmp_path / "out.md").read_text().startswith("## esc10")
    assert audiozoo("report", tmp_path / "runs", "-o", tmp_path / "out.txt")[0] == 2
    assert audiozoo("report", tmp_path / "nowhere")[0] == 2
    status, _, said = audiozoo("report", tmp_path, "-o", tmp_path / "no.html", "--sounds", tmp_path / "nowhere")
    assert (status, "--sounds" in said, (tmp_path / "no.html").exists()) == (2, True, False)
    status, printed, _ = audiozoo("report", tmp_path, "-o", tmp_path / "all.html")
    assert (status, printed[:6]) == (0, "6 rows"), "a folder of benchmarks"


# A browser


MEASURE = """
const head = [...document.querySelectorAll("table.sortable th")].find((each) => each.textContent === "parameters");
const right = document.querySelector("table.sortable tbody tr").cells[1].getBoundingClientRect().right;
const first = () => document.querySelector("table.sortable tbody tr").textContent;
const button = head.querySelector("button");
button.click(); const up = first(); button.click();
parent.postMessage("MEASURED" + JSON.stringify({
  inner: innerWidth, right, scroll: document.documentElement.scrollWidth, up, down: first(),
  loaded: performance.getEntriesByType("resource").map((each) => each.name).filter((name) => !name.startsWith("data:")),
}) + "END", "*");
"""
# Chromium's own windows are at least 500 pixels wide.
PHONE = """<!doctype html><script>addEventListener("message", (event) => document.body.append(event.data))</script>
<body><iframe src="copy.html" width="390" height="844" style="border: 0"></iframe></body>"""


def browsed(path, folder):
    """Open a page in Chromium; return its document and what it wrote to its console."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder}"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_a_browser_shows_the_page_on_a_phone(tmp_path, write_sound):
    write_sound(tone(440, 1, 8_000), name="sounds/1-0.wav")
    labels = (*HOSTILE, "a_very_long_name_of_a_class_" * 5, *(f"class {number}" for number in range(25)))
    command = replace(SAVED.provenance, command="audiozoo benchmark --models " + "x" * 300)
    rows = made_rows(labels=labels, clips=60, dataset=SCRIPTED + "d" * 60, provenance=command)
    members = [made_rows((name,), labels=labels, clips=60, dataset=SCRIPTED + "d" * 60) for name in AVERAGED]
    rows += average_rows(members)
    path = html_report(rows, tmp_path / "report.html", title=PICTURED, sounds=tmp_path / "sounds")
    document, console = browsed(path, tmp_path / "first")
    assert console == []
    assert "<button>" in document, "the policy of the page lets its own script run"
    # The copy has a further script, which the policy of the page would refuse.
    copy, phone = tmp_path / "copy.html", tmp_path / "phone.html"
    phone.write_text(PHONE)
    source = path.read_text().replace("</body>", f"<script>{MEASURE}</script></body>")
    copy.write_text(source)
    assert "MEASURED{" not in browsed(phone, tmp_path / "second")[0]
    copy.write_text(re.sub("script-src &#x27;[^;]*", "script-src 'unsafe-inline'", source))
    document, console = browsed(phone, tmp_path / "third")
    assert console == []
    measured = json.loads(re.search("MEASURED({.*})END", document)[1].replace("&lt;", "<").replace("&gt;", ">"))
    assert measured["loaded"] == []
    assert measured["scroll"] <= measured["inner"] == 390
    assert measured["right"] <= 390, "the metric stands beside even a long name"
    assert "feature_mlp" in measured["up"]
    assert "mel_cnn" in measured["down"]
