import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiozoo import __version__, metrics
from audiozoo.augment import ByClass, Filter, Gain, Mixup, SpecAugment, TimeRoll, TimeShift
from audiozoo.crossval import (
    FeatureBank,
    Measures,
    Request,
    Row,
    benchmark,
    evaluate,
    fold_jobs,
    leaderboard,
    read_row,
    run_fold,
    search_augmentation,
    write_row,
)
from audiozoo.crossval.sources import code_digest
from audiozoo.datasets import Clip, Dataset, load_dataset
from audiozoo.features import LogMel, Scaler
from audiozoo.report import markdown
from audiozoo.training import Recipe, train
from audiozoo.training.batches import Batches

QUICK = Recipe(epochs=15, batch_size=8, learning_rate=1e-2, validation=0.25)


@pytest.fixture
def data(sound_folder):
    return load_dataset("folder", root=sound_folder).with_folds(3)


@pytest.fixture
def jobs(data):
    return fold_jobs(data, "feature_mlp", recipe=QUICK)


def test_a_row_says_how_it_came_about(jobs, tmp_path):
    parts = {part: tuple(replace(clip, domain=part) for clip in getattr(jobs[0], part)) for part in ("train", "test")}
    row, classifier = run_fold(replace(jobs[0], **parts), command="python compare.py")
    write_row(tmp_path / "row.json", row)
    assert read_row(tmp_path / "row.json") == row
    assert (row.request, row.labels, row.metric) == (jobs[0].request, jobs[0].labels, "accuracy")
    assert (row.request.recipe, row.request.frontend, row.seed) == (QUICK, jobs[0].frontend, 0)
    assert (row.training_clips, row.test_clips) == (9, 6)
    assert row.parameters == classifier.scorer.model.count_params()
    assert 1 <= row.best_epoch <= 15
    assert set(row.validation) == {"val_loss", "val_accuracy"}
    assert row.provenance.versions["audiozoo"] == __version__
    assert (row.provenance.code, row.provenance.command) == (code_digest("feature_mlp"), "python compare.py")
    assert row.measures.accuracy > 0.6
    assert np.sum(row.measures.confusion) == row.test_clips
    assert row.train_seconds > 0
    assert row.ms_per_clip > 0
    answers = [classifier.predict(clip.path) for clip in jobs[0].test]
    right = np.mean([answer.label == clip.label for answer, clip in zip(answers, jobs[0].test, strict=True)])
    assert row.measures.accuracy == pytest.approx(right)
    assert row.by_domain() == [("test", False, 6, row.measures.accuracy)]


def test_the_key_is_of_everything_the_result_depends_on(jobs, data, tmp_path):
    job = jobs[0]
    changed = [
        jobs[1],
        replace(job, model="house_cnn"),
        replace(job, options={"dropout": 0.1}),
        replace(job, recipe=replace(QUICK, seed=1)),
        replace(job, frontend=job.frontend.adapt(duration=0.7)),
        replace(job, train=job.train[1:]),
        replace(job, train=(replace(job.train[0], labels=("low",)), *job.train[1:])),
    ]
    assert len({other.key for other in [job, *changed]}) == 8
    assert pickle.loads(pickle.dumps(job)).key == job.key
    named = replace(job, options={"dropout": 0.5})
    assert named.key == job.key, "a default spelled out is the same job"


def in_another_folder(job, root):
    def moved(clip):
        path = root / Path(clip.path).relative_to(Path(clip.path).parents[2])
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip.path, path)
        return replace(clip, path=str(path))

    return replace(job, train=tuple(map(moved, job.train)), test=tuple(map(moved, job.test)))


def test_the_key_is_of_content_and_not_of_names(jobs, tmp_path):
    elsewhere = in_another_folder(jobs[0], tmp_path / "elsewhere")
    assert elsewhere.key == jobs[0].key
    other = in_another_folder(jobs[0], tmp_path / "other")
    wave, rate = soundfile.read(other.train[0].path)
    soundfile.write(other.train[0].path, wave[::-1], rate)
    assert other.key != jobs[0].key


def test_a_fold_draws_the_same_whatever_else_was_read(data):
    recipe = Recipe(batch_size=4, augment_features=SpecAugment(), mix=Mixup(), min_steps=1)
    first, second, _ = fold_jobs(data, "dcase2018_baseline", recipe=recipe)

    def batch(order):
        bank = FeatureBank.of(order, second.frontend)
        examples = bank.examples(second.train, data.labels)
        with Batches(examples, recipe, Scaler.identity(), second.frontend, 3, 1).stream() as stream:
            return next(stream)

    whole, resumed = batch([*first.train, *first.test]), batch([*second.test, *second.train])
    assert all(np.array_equal(a, b) for a, b in zip(whole, resumed, strict=True))


def test_a_finished_row_is_not_run_again(jobs, tmp_path):
    started = []
    rows = list(benchmark(jobs[:2], tmp_path, command="audiozoo benchmark", started=lambda job: started.append(job.fold)))
    assert started == [1, 2]
    assert [row.provenance.command for row in rows] == ["audiozoo benchmark"] * 2
    (tmp_path / jobs[1].file_name).unlink()
    again = list(benchmark(jobs[:2], tmp_path, started=lambda job: started.append(job.fold)))
    assert started == [1, 2, 2]
    assert again[0] == rows[0]
    assert [row.measures for row in again] == [row.measures for row in rows]


def test_an_interrupted_run_keeps_its_finished_rows(jobs, tmp_path, monkeypatch):
    def killed(job):
        if job.fold == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(benchmark(jobs, tmp_path / "rows", started=killed))
    assert [path.name for path in (tmp_path / "rows").iterdir()] == [jobs[0].file_name]


@pytest.mark.slow
def test_folds_share_their_features(jobs, tmp_path, monkeypatch):
    calls = []
    original = FeatureBank.of.__func__
    monkeypatch.setattr(
        FeatureBank, "of", classmethod(lambda cls, *args, **how: calls.append(len(args[0])) or original(cls, *args, **how))
    )
    list(benchmark(jobs[:2], tmp_path))
    assert calls == [18]


def test_a_damaged_row_is_named(jobs, tmp_path):
    path = tmp_path / jobs[0].file_name
    for content, reason in (('{"accuracy": 0.5, "fo', "damaged.*delete it"), ("[]", "got list"), ("{}", "lacks accuracy")):
        path.write_text(content)
        with pytest.raises(ValueError, match=rf"fold1.*{reason}"):
            read_row(path)
        with pytest.raises(ValueError, match=rf"fold1.*{reason}"):
            list(benchmark(jobs, tmp_path))


def test_a_bad_clip_stops_before_any_training(jobs, tmp_path):
    (tmp_path / "empty.wav").touch()
    bad = replace(jobs[0], test=(*jobs[0].test, Clip(str(tmp_path / "empty.wav"), ("low",))))
    with pytest.raises(ValueError, match=r"empty\.wav"):
        run_fold(bad)


def test_a_leaking_split_is_refused(jobs):
    leaking = replace(jobs[0], test=(*jobs[0].test, jobs[0].train[0]))
    with pytest.raises(ValueError, match="both sides"):
        run_fold(leaking)


def test_jobs_of_chosen_folds(data):
    assert [job.fold for job in fold_jobs(data, "feature_mlp", folds=[3, 1])] == [1, 3]
    with pytest.raises(ValueError, match=r"has the folds \[1, 2, 3\], not \[7\]"):
        fold_jobs(data, "feature_mlp", folds=[7])
    with pytest.raises(ValueError, match="no official folds"):
        fold_jobs(Dataset("mine", (Clip("a.wav", ("a",)),), ("a",)), "feature_mlp")


def row(model, fold, accuracy):
    right = round(accuracy * 10)
    return Row(
        request=Request(dataset="d", content="", fold=fold, model=model, frontend=LogMel(), recipe=Recipe()),
        metric="accuracy",
        labels=("a", "b"),
        measures=Measures(
            accuracy=accuracy, macro_accuracy=0.5, map_at_3=accuracy, log_loss=1.0, confusion=((right, 10 - right), (0, 10))
        ),
        parameters=5,
        training_clips=40,
        test_clips=20,
        best_epoch=1,
        train_seconds=2.0,
        feature_seconds=1.0,
        ms_per_clip=float(fold),
    )


def test_the_leaderboard_ranks_by_the_datasets_measure():
    rows = [row("x", 1, 0.8), row("y", 1, 0.9), row("x", 2, 0.6), row("y", 2, 1.0)]
    first, second = leaderboard(rows)
    assert (first.model, second.model) == ("y", "x")
    assert second.accuracy == metrics.mean_and_deviation([0.8, 0.6])
    assert (second.folds, second.train_seconds, second.ms_per_clip) == (2, 4.0, 1.5)
    assert second.confusion.tolist() == [[14, 6], [0, 20]]
    by_map = [replace(r, metric="map@3", measures=replace(r.measures, map_at_3=1 - r.measures.accuracy)) for r in rows]
    assert leaderboard(by_map)[0].model == "x"


def with_recipe(given, **changes):
    return replace(given, request=replace(given.request, recipe=replace(given.request.recipe, **changes)))


def test_seeds_do_not_pass_for_folds():
    figures = {(1, 0): 0.8, (1, 1): 0.6, (2, 0): 1.0, (2, 1): 0.9}
    rows = [with_recipe(row("x", fold, value), seed=seed) for (fold, seed), value in figures.items()]
    [entry] = leaderboard(rows)
    assert (entry.folds, entry.seeds) == (2, 2)
    assert entry.score == entry.accuracy == pytest.approx(metrics.mean_and_deviation([0.7, 0.95]))
    assert entry.seed_deviation == pytest.approx(metrics.mean_and_deviation([0.9, 0.75])[1])
    # A further seed of one fold changes neither the weight of that fold nor the meaning of the deviation over seeds.
    [more] = leaderboard([*rows, with_recipe(row("x", 1, 0.7), seed=2)])
    assert more.score[0] == pytest.approx(0.825)
    assert more.seed_deviation is None


def test_other_settings_are_other_entries():
    short = [row("x", fold, 0.5) for fold in (1, 2)]
    long = [with_recipe(row("x", fold, 0.9), epochs=7) for fold in (1, 2)]
    best, worst = leaderboard([*short, *long])
    assert (best.model, best.folds, best.settings) == ("x", 2, "epochs=7")
    assert (worst.model, worst.folds, worst.settings) == ("x", 2, "")
    assert "| x (epochs=7) |" in markdown([best, worst])
    assert [entry.settings for entry in leaderboard(short)] == [""]


def test_evaluate_leaves_out_what_cannot_be_read(data, tmp_path):
    classifier = train("feature_mlp", data.clips, QUICK)
    (tmp_path / "empty.wav").touch()
    measures, failures = evaluate(classifier, [*data.clips, Clip(str(tmp_path / "empty.wav"), ("low",))])
    assert np.sum(measures.confusion) == 18
    assert list(failures) == [18]
    with pytest.raises(ValueError, match="'bark' is not one of the classes"):
        evaluate(classifier, [Clip(data.clips[0].path, ("bark",))])
    with pytest.raises(ValueError, match=r"empty\.wav"):
        evaluate(classifier, [Clip(str(tmp_path / "empty.wav"), ("low",))])


@pytest.mark.slow
def test_augmentation_is_searched_for_by_class(sound_folder):
    clips = load_dataset("folder", root=sound_folder).clips
    transforms = {"quiet": Gain(gain_db=(-200.0, -200.0)), "shift": TimeShift()}
    recipe = Recipe(epochs=12, batch_size=6, learning_rate=1e-2, augment_features=SpecAugment())
    frontend = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16, top_db=None)
    rows = []
    found = search_augmentation(
        "house_cnn", clips, transforms, recipe, frontend=frontend, validation=0.34, finished=rows.append, filters=(8, 16)
    )
    assert [row["transform"] for row in found.table] == ["none", "quiet", "shift"]
    assert rows == found.table
    assert set(found.choices) == {"low", "high", "noise"}
    # A network that heard nothing knows nothing.
    none, quiet, _ = found.table
    assert quiet["accuracy"] < none["accuracy"]
    assert "quiet" not in found.choices.values()
    expected = {label: transforms[choice] for label, choice in found.choices.items() if choice != "none"}
    assert found.best == ByClass(expected)
    for label in found.choices:
        assert 0 <= none[label] <= 1
    once = replace(recipe, epochs=1)
    rolls = {"roll": TimeRoll()}
    rolled = search_augmentation("house_cnn", clips, rolls, once, frontend=frontend, at="features", filters=(4, 8))
    assert [row["transform"] for row in rolled.table] == ["none", "roll"]


def test_a_search_that_cannot_be_made_is_refused(sound_folder):
    clips = load_dataset("folder", root=sound_folder).clips
    for transforms in ({}, {"none": Gain()}):
        with pytest.raises(ValueError, match="at least one transform"):
            search_augmentation("feature_mlp", clips, transforms)
    rows = []
    for second, reason in (
        (Mixup(), "None or a transform"),
        (SpecAugment(), "spectral"),
        (Filter(frequency=(9e4, 9e4)), "half"),
    ):
        with pytest.raises(ValueError, match=reason):
            search_augmentation("feature_mlp", clips, {"gain": Gain(), "second": second}, finished=rows.append)
    assert rows == [], "nothing is trained before"
    with pytest.raises(ValueError, match="'wave', 'features'"):
        search_augmentation("feature_mlp", clips, {"gain": Gain()}, at="waves")
    fewer = [clip for clip in clips if clip.label != "low"] + [clip for clip in clips if clip.label == "low"][:1]
    with pytest.raises(ValueError, match="no recording of low can be held out"):
        search_augmentation("feature_mlp", fewer, {"gain": Gain()})


def test_the_hash_of_the_code_covers_the_model_and_its_helpers_alone(monkeypatch, tmp_path):
    from audiozoo.crossval import sources

    package = tmp_path / "audiozoo"
    shutil.copytree(sources.PACKAGE, package, ignore=shutil.ignore_patterns("*.keras", "pretrained", "__pycache__"))
    monkeypatch.setattr(sources, "PACKAGE", package)
    monkeypatch.setattr(sources.sys.modules["audiozoo.models.cldnn"], "__file__", str(package / "models/cldnn.py"))
    sources.code_digest.cache_clear(), sources._computing_files.cache_clear()
    before = code_digest("cldnn")
    for changed, expected in {
        "models/lstm.py": False,  # imported by cldnn
        "models/house_cnn.py": True,
        "cli/train.py": True,
        "report/results.py": True,
        "training/run.py": False,
        "features/bands.py": False,
    }.items():
        saved = (package / changed).read_text("utf-8")
        (package / changed).write_text(saved + "\n", "utf-8")
        sources.code_digest.cache_clear()
        assert (code_digest("cldnn") == before) is expected, changed
        (package / changed).write_text(saved, "utf-8")
    sources.code_digest.cache_clear(), sources._computing_files.cache_clear()


def test_a_row_of_a_model_that_is_not_registered_counts_as_older_code(jobs):
    row, _ = run_fold(jobs[0])
    assert not row.stale
    assert replace(row, request=replace(row.request, model="gone")).stale
