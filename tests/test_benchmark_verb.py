"""The plan of `audiozoo benchmark`, its progress, and its exit status."""

import io
import json
import re
import runpy
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_rows import made_row
from rich.console import Console

from audiozoo.cli import console
from audiozoo.cli.planning import Settings, chosen_models, numbers, opened, planned, read_recipes
from audiozoo.cli.schedule import Schedule
from audiozoo.crossval import Request, fold_jobs, read_rows
from audiozoo.datasets import list_datasets, load_dataset
from audiozoo.features import LogMel
from audiozoo.registry import build, model_info, recipe_for
from audiozoo.registry.spec import arrays_checksum
from audiozoo.training import FINETUNING, Finetune, Probe

RECIPES = Path(__file__).resolve().parents[1] / "benchmarks" / "recipes.py"


@pytest.fixture
def data(sound_folder):
    return load_dataset("folder", root=sound_folder).with_folds(3)


def test_a_plan_combines_datasets_models_folds_and_seeds(data):
    synthetic = load_dataset("synthetic", clips_per_class=5)
    plan = planned([data, synthetic], ["feature_mlp", "lstm"], [1, 2], [0, 3], Settings(epochs=2))
    asked = {(job.dataset, job.model, job.fold, job.recipe.seed) for job in plan.jobs}
    assert len(asked) == len(plan.jobs) == 16
    assert (plan.models, plan.seeds, list(plan.datasets)) == (["feature_mlp", "lstm"], [0, 3], ["folder", "synthetic"])
    assert {job.recipe.epochs for job in plan.jobs} == {2}
    with pytest.raises(ValueError, match="need different names, got folder, folder"):
        planned([data, data], ["lstm"], [], [0], Settings())


def test_several_seeds_are_the_jobs_of_each(sound_folder):
    without = load_dataset("folder", root=sound_folder)
    settings = Settings(epochs=1)
    both = planned([without], ["feature_mlp"], [], [0, 1], settings).jobs
    each = [planned([without], ["feature_mlp"], [], [seed], settings).jobs for seed in (0, 1)]
    assert [job.key for job in both] == [job.key for jobs in each for job in jobs]
    assert {clip.path for clip in both[0].test} != {clip.path for clip in both[5].test}, "the seed deals the folds too"


def test_datasets_have_a_folder_each_or_share_one(sound_folder, tmp_path):
    other = shutil.copytree(sound_folder, tmp_path / "other=1")
    assert opened([f"folder={other}"], sound_folder, None, None)[0].clips[0].path.startswith(str(other))
    assert opened(["folder", "synthetic"], sound_folder, None, None)[0].clips[0].path.startswith(str(sound_folder))
    with pytest.raises(ValueError, match="--table belongs to one dataset, got --dataset folder --dataset synthetic"):
        opened(["folder", "synthetic"], sound_folder, tmp_path / "a.csv", None)


def test_numbers():
    assert (numbers("2, 1,2", "--folds"), numbers("", "--folds")) == ([2, 1], [])
    for wrong in ("1,x", "-1", "1.5"):
        with pytest.raises(ValueError, match="--seeds must be numbers"):
            numbers(wrong, "--seeds")


def test_models_have_settings_of_their_own(data, tmp_path):
    table = {
        "folder": {
            "lstm": {
                "recipe": {"epochs": 7, "learning_rate": 0.5},
                "options": {"attention": "self"},
                "frontend": {"n_mels": 40},
            },
            "cldnn": {"frontend": {"class": "LogMel", "n_mels": 32}},
        }
    }
    (tmp_path / "a.json").write_text(json.dumps(table))
    (tmp_path / "a.py").write_text(f"'''Text.'''\nimport nothing_of_this_name\n\nRECIPES = {table!r}\n")
    assert read_recipes(tmp_path / "a.json") == read_recipes(tmp_path / "a.py") == table
    (tmp_path / "all.json").write_text('{"learning_rate": 0.25}')
    settings = Settings(tables=table)
    lstm, cldnn, mlp = (planned([data], [name], [1], [5], settings).jobs[0] for name in ("lstm", "cldnn", "feature_mlp"))
    assert lstm.recipe == replace(recipe_for("lstm"), epochs=7, learning_rate=0.5, seed=5)
    assert (lstm.options, lstm.frontend.n_mels, lstm.frontend.n_fft) == ({"attention": "self"}, 40, 512)
    assert (cldnn.frontend.n_mels, cldnn.frontend.n_fft) == (32, LogMel().n_fft)
    assert mlp.recipe == replace(recipe_for("feature_mlp"), seed=5)
    settings = Settings(tables=table, recipe=tmp_path / "all.json", epochs=3, frontend=LogMel(n_mels=50))
    [lstm] = planned([data], ["lstm"], [1], [0], settings).jobs
    assert (lstm.recipe.epochs, lstm.recipe.learning_rate, lstm.frontend.n_mels) == (3, 0.25, 50)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", "{", "no settings of models can be read"),
        ("a.py", "RECIPES = {", "no settings of models can be read"),
        ("a.py", "RECIPES = {'esc10': open('/etc/passwd')}", "no settings of models can be read"),
        ("a.py", "OTHER = {}", "assigns nothing to RECIPES"),
        ("a.json", "[]", "objects in objects"),
        ("a.json", '{"esc10": {"lstm": 3}}', "objects in objects"),
        ("a.json", '{"esc11": {"lstm": {}}}', "unknown dataset in .*did you mean 'esc10'"),
        ("a.json", '{"esc10": {"lstn": {}}}', "did you mean 'lstm'"),
        ("a.json", '{"esc10": {"soundnet": {}}}', "unknown model in .*did you mean 'soundnet_"),
        ("a.json", '{"esc10": {"lstm": {"recipes": {}}}}', "did you mean 'recipe'"),
        ("a.json", '{"esc10": {"lstm": {"recipe": 3}}}', "objects in objects"),
    ],
)
def test_wrong_settings_are_named(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=reason) as error:
        read_recipes(tmp_path / name)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--set", "n_mels=3"), "--set changes the frontend that --frontend names, got --set n_mels=3 alone: add --frontend"),
        (("--weights-file", "a.npz"), "--weights-file is for transfers such as yamnet:probe, and --models has none"),
        (("--on", "ray", "--executor", "loky"), "--on ray gives the trainings to a cluster, without --executor loky"),
        (("--jobs", "0", "--executor", "loky"), "--jobs 0 trains in this process, without --executor loky"),
        (("--recipes", "gone.json"), "error: gone.json: No such file or directory"),
        (("--output", __file__), "--output must be a folder, and"),
    ],
)
def test_options_that_cannot_work_are_refused(audiozoo, tmp_path, options, told):
    status, _, found = audiozoo("benchmark", "-o", tmp_path, "--models", "feature_mlp", *options)
    assert (status, told in found) == (2, True), found


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_bar_shows_the_jobs_and_the_time_that_remains_on_one_line(data, monkeypatch, width):
    jobs = planned([data], ["feature_mlp"], [1, 2], [0], Settings()).jobs
    schedule = Schedule(jobs, 1)
    schedule.finished(made_row("feature_mlp", dataset="folder", train_seconds=3_000.0))
    shown = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=shown, force_terminal=True, width=width))
    with console.progress_bar(further=(schedule,)) as show:
        show(
            "cnn_multichannel_attention 1 training 26/200", schedule.done, schedule.total, {"loss": 0.5, "val_accuracy": 0.8125}
        )
        time.sleep(0.3)  # the bar is drawn ten times a second
    [drawn, *_] = [
        line for line in re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())) if "1/2" in line
    ]
    assert drawn.startswith("cnn_multichannel_attention 1 tr")
    assert "50:00 left" in drawn
    assert ("val_accuracy 0.812" in drawn) is (width > 120)


def test_the_recipes_of_the_benchmarks_are_of_datasets_and_models_there_are(data):
    tables = read_recipes(RECIPES)
    assert tables == runpy.run_path(str(RECIPES))["RECIPES"]
    assert set(tables) <= set(list_datasets())
    for table in tables.values():
        here = replace(data, name="esc10")
        for model in table:
            [job], [own] = (planned([here], [model], [1], [0], Settings(tables=known)).jobs for known in ({"esc10": table}, {}))
            assert job.recipe != own.recipe, f"the entry of {model} changes nothing"


def test_a_transfer_is_a_job_of_its_own(data, tmp_path):
    assert chosen_models("yamnet,yamn?t:probe,yamnet:finetune") == ["yamnet", "yamnet:probe", "yamnet:finetune"]
    tables = {"folder": {"yamnet:finetune": {"recipe": {"epochs": 2}, "transfer": {"unfreeze": "layer14.*"}}}}
    names = ["yamnet", "yamnet:probe", "yamnet:finetune"]
    plan = planned([data], names, [1], [7], Settings(tables=tables))
    scratch, probe, finetune = plan.jobs
    assert plan.models == names
    assert len({job.key for job in plan.jobs}) == 3
    assert "transfer" not in scratch.request._identity()
    assert (probe.transfer, finetune.transfer) == (
        Probe(weights="audioset"),
        Finetune(weights="audioset", unfreeze="layer14.*"),
    )
    assert (finetune.recipe.epochs, finetune.recipe.learning_rate, probe.recipe.seed) == (2, FINETUNING.learning_rate, 7)
    assert probe.file_name.startswith("folder-yamnet-probe-fold1-")
    assert Request.from_config(json.loads(json.dumps(probe.request.to_config()))).key == probe.key
    for wrong, reason in (("yamnet:prob", "did you mean 'probe'"), ("lstm:probe", "needs a model with published weights")):
        with pytest.raises(ValueError, match=reason):
            planned([data], [wrong], [1], [0], Settings())


@pytest.mark.slow
def test_a_transfer_has_a_row_that_is_found_again(tmp_path, sound_folder, audiozoo):
    build("yamnet", 521, seed=1).save_weights(tmp_path / "mine.weights.h5")
    words = [
        "benchmark",
        "--dataset",
        "folder",
        "--root",
        sound_folder,
        "--models",
        "yamnet:probe,yamnet:finetune",
        "--epochs",
        "1",
    ]
    words += ["--folds", "1", "--jobs", "0", "--weights-file", tmp_path / "mine.weights.h5", "-o", tmp_path / "runs"]
    audiozoo(*words)
    rows = list(read_rows(tmp_path / "runs" / "rows"))
    assert [(row.model, row.best_epoch) for row in rows] == [("yamnet:finetune", 1), ("yamnet:probe", 0)]
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs" / "rows").iterdir()}
    audiozoo(*words)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs" / "rows").iterdir()} == written
    assert "yamnet:probe" in (tmp_path / "runs" / "folder.md").read_text()
    audiozoo("compare", "yamnet:probe", "yamnet:finetune", "--rows", tmp_path / "runs")


def test_a_transfer_from_other_weights_is_another_job(data, tmp_path, monkeypatch):
    def key(file):
        settings = Settings(weights_file=file and tmp_path / file)
        [job] = planned([data], ["yamnet:probe"], [1], [0], settings).jobs
        return job.key

    published, other = {"layer/kernel": np.ones((2, 3), np.float32)}, {"layer/kernel": np.zeros((2, 3), np.float32)}
    weights = replace(model_info("yamnet").weights["audioset"], converted=arrays_checksum(published))
    monkeypatch.setitem(model_info("yamnet").weights, "audioset", weights)
    np.savez(tmp_path / "copy.npz", **published)
    np.savez_compressed(tmp_path / "another-copy.npz", **published)
    np.savez(tmp_path / "other.npz", **other)
    assert key("copy.npz") == key("another-copy.npz") == key(None) != key("other.npz")
    with pytest.raises(FileNotFoundError, match=r"gone\.npz: no such file of weights; without one"):
        key("gone.npz")


def test_the_time_that_remains_follows_from_jobs_of_the_same_model(data, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("audiozoo.cli.schedule.monotonic", lambda: now[0])
    jobs = [job for model in ("feature_mlp", "lstm") for job in fold_jobs(data, model)]
    schedule = Schedule(jobs, 2)
    assert (schedule.left(), str(schedule.render(None))) == (None, "")

    def row(job, seconds):
        class Row:
            request, model, key, train_seconds = job.request, job.title, job.key, seconds

        return Row

    schedule.finished(row(jobs[0], 60.0))  # it was there before
    assert schedule.left() == 5 * 60 / 2
    schedule.started(jobs[3])
    now[0] += 20
    schedule.finished(row(jobs[3], 19.0))
    assert schedule.left() == (2 * 60 + 2 * 20) / 2
    schedule.started(jobs[1])
    now[0] += 50
    assert schedule.left() == (2 * 60 + 2 * 20 - 50) / 2
    assert str(schedule.render(None)) == "0:55 left"
    schedule.stopped(jobs[1], final=False)
    assert (schedule.left(), schedule.done) == (80.0, 2)
    for job in jobs[1:3]:
        schedule.stopped(job, final=True)
    schedule.started(jobs[4])
    schedule.started(jobs[5])
    now[0] += 5
    assert schedule.left() == 15.0, "the jobs that run cannot be divided"
    now[0] += 100
    assert (schedule.left(), schedule.done) == (0.0, 4)


@pytest.mark.slow
def test_a_failed_training_is_listed_and_the_others_are_kept(audiozoo, sound_folder, tmp_path, monkeypatch):
    from audiozoo.crossval import benchmarking

    calls, trained, train = [], [], benchmarking.run_fold

    def failing(job, **rest):
        calls.append(job.fold)
        if job.fold == 1:
            raise MemoryError("no room")
        trained[:] = trained or train(job, **rest)
        return replace(trained[0], request=job.request), trained[1]

    monkeypatch.setattr(benchmarking, "run_fold", failing)
    words = [
        "--dataset",
        f"folder={sound_folder}",
        "--models",
        "feature_mlp",
        "--epochs",
        1,
        "--folds",
        "1,2",
        "--seeds",
        "0,1",
    ]
    status, out, err = audiozoo("benchmark", *words, "--jobs", 0, "-o", tmp_path / "r")
    assert status == 1
    assert calls == [1, 2, 1, 2, 1, 1]
    reason = "feature_mlp on folder, fold 1, seed 0: MemoryError: no room"
    assert err.count(f"failed: {reason}; it runs once more") == 1
    assert err.count(reason) == 3
    assert "2 of 4 trainings failed" in err
    assert "fold 2 seed 1:" in err
    assert "folds tested: 1, seeds: 2" in out
    assert len(list(read_rows(tmp_path / "r" / "rows"))) == 2
