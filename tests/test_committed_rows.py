"""The result rows in this repository: each is of schema 2 or 3, and a job of today finds it."""

import json
import runpy
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from audiozoo import load_dataset
from audiozoo.augment import ByClass
from audiozoo.augment.transform import Transform
from audiozoo.cli.planning import Settings, planned, read_recipes
from audiozoo.crossval import find_row, fold_jobs, read_row, read_rows
from audiozoo.crossval.identity import differences
from audiozoo.features import Statistics
from audiozoo.training import examples, recipe_for

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
COMMITTED = sorted((BENCHMARKS / "results").glob("*/rows/*.json"))


def test_every_committed_row_was_found():
    folders = Counter(path.parts[-3] for path in COMMITTED)
    assert folders == {
        "esc10": 115,
        "esc10-seeds": 15,
        "esc10-statistics": 5,
        "esc10-augmentation": 35,
        "esc10-every-model": 33,
        "esc50": 35,
        "speech-commands-miniature": 4,
    }


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_row_has_the_key_of_what_it_records(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    row = read_row(path)
    assert content["schema"] in (2, 3)
    assert (content["schema"] == 3) == (row.test is not None)
    assert len(row.request.content) == 16
    advice = "run `python benchmarks/take_in_rows.py FOLDER` on the folder of the rows"
    assert row.key == content["key"], advice
    assert path.name.endswith(row.request.file_name), advice
    counts = row.measures.confusion
    clips = {"esc10": 80, "esc50": 400, "speech_commands_12": 192}[row.request.dataset]
    assert sum(map(sum, counts)) == row.test_clips == clips
    assert row.measures.accuracy == pytest.approx(sum(counts[i][i] for i in range(len(counts))) / clips)


def test_each_committed_row_answers_another_question():
    for folder in {path.parent for path in COMMITTED}:
        keys = [row.key for row in read_rows(folder)]
        assert len(set(keys)) == len(keys)


def test_every_committed_row_is_found_by_a_job_of_today(esc50_root, monkeypatch):
    # Each model's frontend is adapted to the lengths of all clips, which are the same for every model.
    monkeypatch.setattr(examples, "measure_clip", cache(examples.measure_clip))
    datasets = {name: load_dataset(name, root=esc50_root) for name in ("esc10", "esc50")}
    recipes = Settings(tables=read_recipes(BENCHMARKS / "recipes.py"))
    frontend = json.loads((BENCHMARKS / "frontends" / "logmel_statistics.json").read_text())
    short = json.loads((BENCHMARKS / "short_recipe.json").read_text())
    changes = {
        "cnn_multichannel_sharma": {"epochs": 3},
        "subspectral_cnn": {"epochs": 3},
        "cnn_multichannel_sharma_attention": {"epochs": 12},
        "yamnet": {"standardize": "band"},  # its own recipe leaves the standardisation out since
    }
    found = Counter()
    real = [path for path in COMMITTED if path.parts[-3] != "speech-commands-miniature"]
    for path in real:
        row, folder = read_row(path), path.parts[-3]
        data, own = datasets[row.request.dataset], None
        if folder == "esc10-every-model":
            own = recipe_for(row.model, **{**short, **changes.get(row.model, {})})
        if folder == "esc10-augmentation":
            own = row.request.recipe  # another test compares it with the script's
        fed = Statistics.from_config(frontend) if folder == "esc10-statistics" else None
        if folder in datasets or folder == "esc10-seeds":
            [job] = planned([data], [row.model], [row.fold], [row.seed], recipes).jobs
        else:
            [job] = fold_jobs(data, row.model, folds=[row.fold], recipe=own, frontend=fed)
        assert find_row(path.parent, job) == row
        found[folder] += 1
    assert found.total() == len(real)


@pytest.mark.slow
def test_the_rows_of_the_miniature_have_the_settings_of_the_script(tmp_path):
    script = runpy.run_path(str(BENCHMARKS / "speech_commands.py"))
    script["write"](tmp_path / "miniature")
    data = load_dataset("speech_commands_12", root=tmp_path / "miniature")
    settings = Settings(tables=read_recipes(BENCHMARKS / "speech_commands.py"))
    jobs = {job.model: job for job in planned([data], script["MODELS"], [1], [0], settings).jobs}
    rows = {row.model: row for row in read_rows(BENCHMARKS / "results" / "speech-commands-miniature" / "rows")}
    assert set(rows) == set(jobs)
    for model, row in rows.items():
        # The samples may differ by rounding from one processor to another, and so may the key.
        assert differences(row.request.recipe) == differences(jobs[model].recipe)
        assert row.test_clips == len(jobs[model].test)


def test_the_augmentations_of_the_rows_are_those_of_the_script(monkeypatch):
    script = runpy.run_path(str(BENCHMARKS / "esc10_augmentation.py"))
    rows = list(read_rows(script["RESULTS"] / "rows"))
    for kind, recipe in script["KINDS"].items():
        of_kind = [row for row in rows if row.notes["augmentation"] == kind]
        assert sorted(row.fold for row in of_kind) == [1, 2, 3, 4, 5]
        for row in of_kind:
            if recipe is None:
                [search] = (script["RESULTS"] / "search").glob(f"fold{row.fold}-*.json")
                best = Transform.from_config(json.loads(search.read_text())["best"])
                recipe_of_fold = replace(script["NONE"], augment_wave=best)
            assert differences(row.request.recipe) == differences(recipe or recipe_of_fold)


def test_the_searches_of_the_script_are_found(esc50_root, monkeypatch):
    script = runpy.run_path(str(BENCHMARKS / "esc10_augmentation.py"))
    monkeypatch.setitem(script["searched"].__globals__, "search_augmentation", None)
    [job] = fold_jobs(load_dataset("esc10", root=esc50_root), "house_cnn", folds=[2], recipe=script["NONE"])
    assert isinstance(script["searched"](job).augment_wave, ByClass)
