"""Result rows: their identity, those that earlier versions wrote, and those of this repository."""

import base64
import json
import runpy
import shutil
import zlib
from dataclasses import field, make_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from made_rows import made_row, made_rows

from audiozoo import config, load_dataset, metrics, model_info
from audiozoo.augment import FilterAugment
from audiozoo.crossval import (
    Measures,
    Request,
    benchmark,
    distinct,
    find_row,
    fold_jobs,
    identity,
    leaderboard,
    read_row,
    read_rows,
    write_row,
)
from audiozoo.crossval.identity import differences
from audiozoo.crossval.testscores import pack
from audiozoo.features import LogMel, Pcen, Statistics
from audiozoo.registry import table
from audiozoo.report import markdown
from audiozoo.training import Recipe

HERE = Path(__file__).parent
COMMITTED = sorted((HERE.parent / "benchmarks" / "results").glob("*/rows/*.json"))
KIND, GIVEN, AUGMENTED = (
    HERE / "rows" / name
    for name in (
        "esc10-feature_mlp-fold1-2f3fa57f75c1310a.json",
        "esc10-subspectralnet-fold1-edabbe57a0648bf7.json",
        "class-conditional-esc10-house_cnn-fold1-38586a80c6972ce5.json",
    )
)


def synthetic_jobs(model="feature_mlp", **changes):
    recipe = Recipe(epochs=1, batch_size=4, validation=0.0, **changes)
    return fold_jobs(load_dataset("synthetic", clips_per_class=2, folds=2), model, folds=[1], recipe=recipe)


# What identifies a job


GROWN = [Recipe, LogMel, Pcen, Statistics, FilterAugment]


@pytest.fixture
def grow(monkeypatch):
    """Give a class one more field with a default, as a later version of this package may."""

    def grown(kind, default=0):
        monkeypatch.setitem(config._CLASSES, kind.__name__, kind)  # put back in the end
        namespace = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        more = [("later", int, field(default=default))]
        return make_dataclass(kind.__name__, more, bases=(kind,), frozen=True, kw_only=True, namespace=namespace)

    return grown


@pytest.mark.parametrize("kind", GROWN, ids=lambda kind: kind.__name__)
def test_a_new_field_with_a_default_changes_no_key(kind, grow):
    paths = [path for path in COMMITTED if f'"class": "{kind.__name__}"' in path.read_text()]
    assert paths
    grow(kind)
    for path in paths[:5]:
        row = read_row(path)
        assert '"later": 0' in json.dumps(row.to_config()), "the field is there"
        assert row.key == json.loads(path.read_text())["key"]


def test_a_value_other_than_the_default_of_a_new_field_changes_the_key(grow):
    request = read_row(COMMITTED[0]).request
    new = grow(Recipe)
    known = {name: value for name, value in request.recipe.to_config().items() if name != "class"}
    recipes = [replace(new.from_config(known), later=later) for later in (0, 1)]
    keys = [replace(request, recipe=recipe).key for recipe in recipes]
    assert keys[0] == request.key != keys[1]


def test_a_new_option_of_a_builder_changes_no_key(monkeypatch):
    request = read_row(COMMITTED[0]).request
    before, original = request.key, identity.trained_options
    monkeypatch.setattr(identity, "trained_options", lambda spec: {**original(spec), "later": 1})
    assert request.key == before
    assert replace(request, options={"later": 1}).key == before
    assert replace(request, options={"later": 2}).key != before


def test_a_changed_default_of_a_builder_is_noticed(monkeypatch):
    [job] = synthetic_jobs()
    before = job.request
    original = identity.trained_options
    monkeypatch.setattr(identity, "trained_options", lambda spec: {**original(spec), "dropout": 0.25})
    asked_now = replace(before, defaults={**before.defaults, "dropout": 0.25})
    assert before.defaults["dropout"] == 0.5
    assert before.key != asked_now.key
    assert replace(asked_now, options={"dropout": 0.5}).key == before.key


def test_a_renamed_option_keeps_its_key(tmp_path):
    committed = next(path for path in COMMITTED if "subspectralnet" in path.name)
    path = tmp_path / committed.name
    path.write_text(committed.read_text().replace('"sub_band_step": 10', '"sub_band_hop": 10'))
    assert '"sub_band_hop": 10' in path.read_text()
    request = read_row(path).request
    assert request.defaults["sub_band_step"] == 10
    assert "sub_band_hop" not in request.defaults
    assert request.key == json.loads(path.read_text())["key"]
    old, new = (replace(request, options={name: 5}) for name in ("sub_band_hop", "sub_band_step"))
    assert old == new
    assert old.key == new.key != request.key


def test_a_tuned_recipe_of_a_model_changes_what_it_is_asked_and_no_row(monkeypatch):
    path = next(path for path in COMMITTED if "house_cnn" in path.name)
    before, data = read_row(path).key, load_dataset("synthetic", clips_per_class=2, folds=2)
    [asked] = fold_jobs(data, "house_cnn", folds=[1])
    spec = model_info("house_cnn")
    monkeypatch.setitem(table._SPECS, "house_cnn", replace(spec, recipe=replace(spec.recipe, epochs=7)))
    [now] = fold_jobs(data, "house_cnn", folds=[1])
    assert read_row(path).key == before
    assert now.key != asked.key


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "esc50"},
        {"content": "0" * 16},
        {"fold": 2},
        {"model": "feature_cnn"},
        {"options": {"dropout": 0.1}},
        {"frontend": LogMel()},
        {"frontend": LogMel(pcen=Pcen(gain=0.5))},
        {"recipe": Recipe(seed=1)},
        {"recipe": Recipe(augment_features=FilterAugment(knots=(1, 2)))},
    ],
    ids=str,
)
def test_whatever_was_asked_otherwise_has_another_key(change):
    request = Request(dataset="esc10", content="f" * 16, fold=1, model="house_cnn", frontend=LogMel(n_mels=40), recipe=Recipe())
    assert replace(request, **change).key != request.key


def test_numbers_that_agree_in_twelve_digits_are_the_same():
    assert differences(LogMel(duration=0.95, hop=0.475)) == differences(LogMel(duration=0.95, hop=0.47500000000000003))
    assert differences(LogMel(duration=5)) == differences(LogMel(duration=5.0)) == {"class": "LogMel"}
    assert differences(LogMel(duration=5.000001)) != differences(LogMel())


def test_the_code_and_the_backend_stand_beside_the_question(monkeypatch):
    from audiozoo.layers import keras

    [job] = synthetic_jobs()
    monkeypatch.setattr(keras.config, "backend", lambda: "another")
    [other] = synthetic_jobs()
    assert other.key == job.key


# Rows of earlier versions


def test_the_oldest_rows_are_read():
    old, row = json.loads(KIND.read_text()), read_row(KIND)
    assert old["frontend"]["of"]["kind"] == "LogMel"
    assert isinstance(row.request.frontend, Statistics)
    assert row.request.frontend.of == LogMel(sample_rate=44_100, duration=5.0, n_fft=2048, hop_length=1024, n_mels=40)
    assert row.request.recipe == Recipe(epochs=300, patience=60, refit=True)
    assert (row.measures.accuracy, row.measures.map_at_3) == (old["accuracy"], old["map@3"])
    assert row.provenance.command == old["command"]
    assert row.request.content == "", "nothing in it says which sounds"


def test_the_auxiliary_outputs_that_training_switches_on_were_not_asked_for():
    row = read_row(GIVEN)
    assert json.loads(GIVEN.read_text())["options"] == {"auxiliary": True}
    assert row.request.options == {}
    assert row.request.defaults["auxiliary"] is True


def test_what_a_script_added_is_kept():
    row = read_row(AUGMENTED)
    assert row.notes == {"augmentation": "class-conditional"}
    assert row.request.recipe.augment_wave.transforms["dog"].kind == "peaking", "a field of that name is no class"


@pytest.mark.parametrize("path", [KIND, GIVEN, AUGMENTED], ids=["kind", "class", "augmentation"])
def test_an_old_row_is_written_as_a_new_one(path, tmp_path):
    row = read_row(path)
    write_row(tmp_path / "row.json", row)
    assert read_row(tmp_path / "row.json") == row
    assert json.loads((tmp_path / "row.json").read_text())["key"] == row.key


@pytest.mark.parametrize("model", ["feature_mlp", "subspectralnet"])
def test_a_benchmark_goes_on_from_old_rows(model, tmp_path):
    [old] = (HERE / "rows").glob(f"synthetic-{model}-fold1-*.json")
    shutil.copy(old, tmp_path)
    started = []
    [row] = benchmark(synthetic_jobs(model), tmp_path, started=started.append)
    assert started == []
    assert row.measures.accuracy == json.loads(old.read_text())["accuracy"]
    assert row.request.content == synthetic_jobs(model)[0].request.content


def test_an_old_row_of_other_sounds_is_not_taken(tmp_path):
    shutil.copy(next((HERE / "rows").glob("synthetic-feature_mlp-*.json")), tmp_path)
    [job] = synthetic_jobs()
    assert find_row(tmp_path, job) is not None
    assert find_row(tmp_path, replace(job, train=job.train[::-1])) is None
    assert find_row(tmp_path, replace(job, recipe=replace(job.recipe, seed=1))) is None


def test_old_and_new_rows_share_a_table():
    rows = [*read_rows(HERE / "rows"), *read_rows(COMMITTED[0].parent)]
    esc10 = [row for row in rows if row.request.dataset == "esc10"]
    names = [line.split("|")[1].strip() for line in markdown(leaderboard(esc10)).splitlines()[2:]]
    assert {row.model for row in esc10} == {name.split(" (")[0] for name in names}
    assert len(set(names)) == len(names), "rows of one model with other settings have names of their own"


def test_rows_still_answer_as_dictionaries_did():
    row = read_row(KIND)
    with pytest.warns(DeprecationWarning, match="attributes"):
        assert row["map@3"] == row.measures.map_at_3
    with pytest.warns(DeprecationWarning, match="attributes"):
        assert (row["model"], row["train_seconds"]) == ("feature_mlp", row.train_seconds)
    with pytest.warns(DeprecationWarning, match="attributes"), pytest.raises(KeyError, match="nothing"):
        row["nothing"]


# Files


def test_a_row_is_found_under_any_name_of_its_model(tmp_path):
    [job] = synthetic_jobs()
    row = read_row(next((HERE / "rows").glob("synthetic-feature_mlp-*.json")), job)
    write_row(tmp_path / "kind-synthetic-feature_mlp-fold1-0123456789abcdef.json", row)
    assert find_row(tmp_path, job) == row
    assert find_row(tmp_path / "nowhere", job) is None


def test_a_row_of_another_job_is_not_overwritten(tmp_path):
    [job] = synthetic_jobs()
    write_row(tmp_path / job.file_name, read_row(KIND))
    started = []
    with pytest.raises(ValueError, match=r"contains the row of another job.*take_in_rows"):
        list(benchmark([job], tmp_path, started=started.append))
    assert started == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 4}, "schema is 4.*update audiozoo"),
        ({"schema": "two"}, "schema is 'two'"),
        ({"labels": ["a", "b"]}, "10 classes.*2 labels"),
        ({"metric": "bleu"}, "metric must be one of 'accuracy'"),
        ({"request": None}, "needs a Request"),
        ({"surprise": 1}, "unknown option of Row 'surprise'"),
    ],
    ids=str,
)
def test_a_row_that_is_none_is_refused(change, reason, tmp_path):
    path = tmp_path / "row.json"
    path.write_text(json.dumps({**json.loads(COMMITTED[0].read_text()), **change}))
    with pytest.raises(ValueError, match=rf"row\.json.*{reason}"):
        read_row(path)


def test_rows_of_a_folder_share_their_frontends(tmp_path):
    for path in COMMITTED[:3]:
        shutil.copy(path, tmp_path)
    rows = list(read_rows(tmp_path))
    assert [row.to_config() for row in rows] == [read_row(path).to_config() for path in sorted(tmp_path.iterdir())]
    assert len({id(row.request.frontend) for row in rows}) == len({row.request.frontend.key for row in rows}) < 3


def test_a_row_keeps_every_measure_of_the_package():
    measures = read_row(KIND).measures
    assert list(measures.by_name()) == [*metrics.METRICS, "log_loss"]
    with pytest.raises(ValueError, match="accuracy must be a number from 0 to 1, got 2"):
        replace(measures, accuracy=2)
    with pytest.raises(ValueError, match="square"):
        replace(measures, confusion=((1, 2),))
    assert isinstance(measures, Measures)


def test_rows_are_taken_in(tmp_path, capsys):
    script = runpy.run_path(str(HERE.parent / "benchmarks" / "take_in_rows.py"))
    data = load_dataset("synthetic", clips_per_class=2, folds=2)
    old = tmp_path / "old"
    shutil.copytree(HERE / "rows", old, ignore=lambda folder, names: [name for name in names if "synthetic" not in name])
    for path in sorted(old.iterdir()):
        target = script["take_in"](path, old, data, code="c0de")
        assert not path.exists()
        row = read_row(target)
        assert (row.provenance.code, row.notes) == ("c0de", {})
        assert script["take_in"](target, old, data) == target, "again, nothing changes"
        assert read_row(target) == row
    [job] = synthetic_jobs()
    assert (old / job.file_name).is_file()
    edited = {**json.loads(next((HERE / "rows").glob("synthetic-feature_mlp-*.json")).read_text()), "key": "0" * 16}
    (tmp_path / "synthetic-feature_mlp-fold1-0.json").write_text(json.dumps(edited))
    with pytest.raises(ValueError, match=r"does not prove.*--unproven"):
        script["take_in"](tmp_path / "synthetic-feature_mlp-fold1-0.json", old, data)
    taken = read_row(script["take_in"](tmp_path / "synthetic-feature_mlp-fold1-0.json", old, data, unproven=True))
    assert taken.notes == {"content": script["NOTE"]}
    other = load_dataset("synthetic", clips_per_class=3, folds=3)
    with pytest.raises(ValueError, match="other clips"):
        script["take_in"](tmp_path / "synthetic-feature_mlp-fold1-0.json", old, other, unproven=True)


def test_a_row_that_is_taken_in_replaces_no_other_result(tmp_path, capsys):
    script = runpy.run_path(str(HERE.parent / "benchmarks" / "take_in_rows.py"))
    [row] = benchmark(synthetic_jobs(), tmp_path / "there")
    flipped = replace(row, test=replace(row.test, packed=pack(row.test.scores[:, ::-1])))
    same, other = (tmp_path / name / row.request.file_name for name in ("same", "other"))
    for path, one in ((same, row), (other, flipped)):
        path.parent.mkdir()
        write_row(path, one)
    target = script["take_in"](same, tmp_path / "there", None)
    assert not capsys.readouterr().out
    script["take_in"](other, tmp_path / "there", None)
    assert "the earlier row is kept in" in capsys.readouterr().out
    assert read_row(target) == flipped
    [kept] = (tmp_path / "there" / "superseded").iterdir()
    assert read_row(kept) == row
    beside = target.with_name(target.name.replace(row.key, "0" * 16))
    write_row(beside, row)
    script["take_in"](beside, tmp_path / "there", None)
    assert (read_row(target), beside.exists()) == (row, False)
    assert len(list((tmp_path / "there" / "superseded").iterdir())) == 2


# Rows that are computed again


def run(folder, jobs, **how):
    conflicts = []
    return list(benchmark(jobs, folder, conflict=conflicts.append, **how)), conflicts


def test_a_row_has_the_scores_the_history_and_the_hardware(tmp_path):
    [row], _ = run(tmp_path, synthetic_jobs())
    assert row == read_row(next(tmp_path.glob("*.json")))
    assert row.test.scores.shape == (row.test_clips, len(row.labels))
    assert metrics.accuracy(row.test.scores, row.test.classes) == row.measures.accuracy
    assert all(not Path(clip).is_absolute() for clip in row.test.clips)
    assert len(row.history["loss"]) == 1
    assert row.provenance.hardware["cores"] >= 1
    assert not row.stale


@pytest.mark.slow
def test_a_stale_row_is_computed_again_and_the_earlier_one_is_kept(tmp_path):
    jobs = synthetic_jobs()
    [row], _ = run(tmp_path, jobs)
    path = tmp_path / jobs[0].file_name
    old = replace(row, provenance=replace(row.provenance, code="0123456789abcdef"))
    write_row(path, old)
    assert run(tmp_path, jobs)[0] == [old]
    [again], conflicts = run(tmp_path, jobs, rerun="stale")
    assert (again.stale, conflicts) == (False, [])
    assert read_row(tmp_path / "superseded" / f"{path.stem}-0123456789abcdef.json") == old
    assert [each.stale for each in read_rows(tmp_path)] == [False]


@pytest.mark.slow
def test_another_result_of_the_same_job_is_reported(tmp_path):
    jobs = synthetic_jobs()
    [row], _ = run(tmp_path, jobs)
    scores = np.roll(row.test.scores, 1, axis=1)
    other = replace(row, test=replace(row.test, packed=pack(scores)), measures=Measures.of(scores, row.test.classes))
    write_row(tmp_path / jobs[0].file_name, other)
    [again], [conflict] = run(tmp_path, jobs, rerun="all")
    assert conflict.earlier == other
    assert again.measures == row.measures
    assert [read_row(path) for path in conflict.folder.iterdir()] == [other]
    assert f"accuracy is {row.score:.4f}, and was {other.score:.4f}" in str(conflict)
    assert str(conflict.folder) in str(conflict)
    run(tmp_path, jobs, rerun="all")
    assert len(list((tmp_path / "superseded").iterdir())) == 2


def test_a_transfer_from_other_weights_is_an_entry_of_its_own():
    rows = made_rows(("mel_cnn",))
    others = [replace(row, request=replace(row.request, weights="abcd")) for row in rows]
    assert sorted(entry.settings for entry in leaderboard([*rows, *others])) == ["", "weights_file=abcd"]


def test_copies_of_a_row_count_once():
    first = made_row("mel_cnn", dataset="esc10")
    rows = [replace(row, request=replace(row.request, content="0" * 16)) for row in (*made_rows(), made_row("mel_cnn", seed=1))]
    poor = replace(rows[0], test=None)
    assert distinct([poor, *rows, rows[2], *rows]) == rows
    unknown = made_rows()
    assert distinct([*unknown, *unknown]) == [*unknown, *unknown], "of clips that are not known, no row is a copy"
    strange = replace(rows[0], request=replace(first.request, model="my_own_model", content="0" * 16))
    assert len(distinct([strange, replace(strange, request=replace(strange.request, fold=2)), strange])) == 2
    other = replace(rows[0], test=replace(rows[0].test, packed=pack(rows[0].test.scores[:, ::-1])))
    with pytest.raises(ValueError, match="fold 1, seed 0: two rows of the same job have different results"):
        distinct([*rows, other])


def test_rerun_is_checked(tmp_path):
    with pytest.raises(ValueError, match="rerun must be"):
        run(tmp_path, synthetic_jobs(), rerun="old")


@pytest.mark.slow
def test_damaged_scores_are_refused(tmp_path):
    [row], _ = run(tmp_path, synthetic_jobs())
    for packed in ("?", row.test.packed[:-8], pack(np.zeros((1, 3)))):
        with pytest.raises(ValueError, match="scores"):
            _ = replace(row.test, packed=packed).scores
    bomb = base64.b64encode(zlib.compress(bytes(10**9 // 4))).decode()
    with pytest.raises(ValueError, match="more than"):
        _ = replace(row.test, packed=bomb).scores
