"""The datasets of the papers, on miniatures with the names, tables and sound formats of the published archives."""

import csv
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiozoo import cli, list_models, load_classifier, load_dataset, model_info
from audiozoo.crossval import FeatureBank, fold_jobs, leaderboard, read_rows
from audiozoo.datasets import hold_out, list_datasets, source_of
from audiozoo.datasets.clip import Clip
from audiozoo.datasets.unpacked import as_published
from audiozoo.features import Scaler
from audiozoo.training import Recipe, adapted
from audiozoo.training.batches import Batches

SCENES = [
    *("airport", "bus", "metro", "metro_station", "park", "public_square"),
    *("shopping_mall", "street_pedestrian", "street_traffic", "tram"),
]
TAGS = [
    *("Acoustic_guitar", "Applause", "Bark", "Bass_drum", "Burping_or_eructation", "Bus", "Cello", "Chime", "Clarinet"),
    *("Computer_keyboard", "Cough", "Cowbell", "Double_bass", "Drawer_open_or_close", "Electric_piano", "Fart"),
    *("Finger_snapping", "Fireworks", "Flute", "Glockenspiel", "Gong", "Gunshot_or_gunfire", "Harmonica", "Hi-hat"),
    *("Keys_jangling", "Knock", "Laughter", "Meow", "Microwave_oven", "Oboe", "Saxophone", "Scissors", "Shatter"),
    *("Snare_drum", "Squeak", "Tambourine", "Tearing", "Telephone", "Trumpet", "Violin_or_fiddle", "Writing"),
]
CITY_SOUNDS = [
    *("air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling"),
    *("engine_idling", "gun_shot", "jackhammer", "siren", "street_music"),
]
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def write_table(path, rows, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def write_noise(path, rng, *, seconds=0.2, rate=44_100, channels=1, subtype="PCM_16"):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = rng.uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(path, wave, rate, subtype=subtype)


@pytest.fixture
def scenes(tmp_path, rng):
    """TUT Urban Acoustic Scenes 2018 in small: of each scene three training locations and one more, two clips of each."""
    base = tmp_path / "TUT-urban-acoustic-scenes-2018-development"
    meta, train, test = [["filename", "scene_label", "identifier", "source_label"]], [], []
    for place in range(4 * len(SCENES)):
        scene = SCENES[place // 4]
        for segment in (2 * place, 2 * place + 1):
            name = f"audio/{scene}-barcelona-{place}-{segment}-a.wav"
            write_noise(base / name, rng, rate=48_000, channels=2, subtype="PCM_24")
            meta.append([name, scene, f"barcelona-{place}", "a"])
            (train if place % 4 else test).append([name, scene])
    write_table(base / "meta.csv", meta, "\t")
    write_table(base / "evaluation_setup" / "fold1_train.txt", train, "\t")
    write_table(base / "evaluation_setup" / "fold1_evaluate.txt", test, "\t")
    write_table(base / "evaluation_setup" / "fold1_test.txt", [row[:1] for row in test], "\t")
    return base


@pytest.mark.parametrize("parent", [False, True])
def test_dcase2018_is_split_as_published(scenes, parent):
    data = load_dataset("dcase2018", root=scenes.parent if parent else scenes)
    assert data.labels == tuple(SCENES)
    assert (data.metric, data.notes, data.folds) == ("macro_accuracy", (), [1])
    [(fold, train, test)] = data.splits()
    assert (fold, len(train), len(test)) == (1, 60, 20)
    assert {clip.group for clip in train}.isdisjoint(clip.group for clip in test)
    assert Path(test[0].path).name == "airport-barcelona-0-0-a.wav"
    assert (test[0].group, test[0].label) == ("barcelona-0", "airport")
    assert (data.training_clips, data.test_clips) == (tuple(train), tuple(test))
    assert soundfile.info(test[0].path).subtype == "PCM_24"


def test_dcase2018_runs_by_the_challenges_protocol(scenes):
    data = load_dataset("dcase2018", root=scenes)
    [job] = fold_jobs(data, "subspectralnet")
    assert (job.recipe.validation, job.recipe.refit) == (0.3, False)
    assert job.frontend.channels == 2
    held = hold_out(job.train, job.recipe.validation, seed=0)
    sides = [{clip.group for clip, out in zip(job.train, held, strict=True) if out == side} for side in (True, False)]
    assert [len(side) for side in sides] == [10, 20]
    assert sides[0].isdisjoint(sides[1])
    own = Recipe(epochs=1)
    assert fold_jobs(data, "feature_mlp", recipe=own)[0].recipe == own


def test_dcase2018_names_what_was_not_unpacked(scenes, tmp_path):
    for path in sorted((scenes / "audio").glob("bus-*")):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"8 of 80 sounds are missing, the first is .*bus-barcelona-5-10-a.*1228142"):
        load_dataset("dcase2018", root=scenes)
    (scenes / "evaluation_setup" / "fold1_train.txt").write_text("audio/gone.wav\tbus\n")
    with pytest.raises(ValueError, match=r"1 file\(s\) are not in meta\.csv, the first is 'audio/gone\.wav'"):
        load_dataset("dcase2018", root=scenes)
    (scenes / "evaluation_setup" / "fold1_train.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"fold1_train\.txt: the published list is missing"):
        load_dataset("dcase2018", root=scenes)
    (scenes / "meta.csv").write_text("filename,scene_label,identifier\na,b,c\n")
    with pytest.raises(ValueError, match="it lacks filename, identifier, scene_label"):
        load_dataset("dcase2018", root=scenes)


@pytest.mark.parametrize("name", ["dcase2018", "freesound2018", "urbansound8k"])
def test_a_folder_without_the_table_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"needs root= \(--root"):
        load_dataset(name)
    with pytest.raises(FileNotFoundError, match=r"no .*\.csv.* here; root= is the folder"):
        load_dataset(name, root=tmp_path)


@pytest.fixture
def tags(tmp_path, rng):
    """FSDKaggle2018 in small: of each tag one verified and one unverified training clip, and one test clip."""

    def make(kaggle=False):
        base = tmp_path / "FSDKaggle2018"
        before = "" if kaggle else "FSDKaggle2018."
        train, test = [], []
        for number, tag in enumerate(TAGS):
            for kind in range(3):
                name = f"{16 * number + kind:08x}.wav"
                folder = base / f"{before}audio_{'test' if kind == 2 else 'train'}"
                write_noise(folder / name, rng, seconds=30 if name == "00000000.wav" else 0.3)
                licence = ("Creative Commons 0", "Attribution", "Attribution Noncommercial")[number % 3]
                usage = "Private" if number % 5 else "Public"
                row = [name, tag, usage if kind == 2 else kind, 1_000 + 3 * number + kind, licence]
                (test if kind == 2 else train).append(row)
        header = ["fname", "label", "manually_verified", "freesound_id", "license"]
        if kaggle:
            write_table(base / "train.csv", [header[:3], *(row[:3] for row in train)])
        else:
            meta = base / "FSDKaggle2018.meta"
            write_table(meta / "train_post_competition.csv", [header, *train])
            header[2] = "usage"
            write_table(meta / "test_post_competition_scoring_clips.csv", [header, *test])
        return base, [[*header[:2], "usage", *header[3:]], *test]

    return make


def test_freesound2018_from_zenodo(tags):
    root, _ = tags()
    data = load_dataset("freesound2018", root=root)
    assert load_dataset("freesound2018", root=root.parent).clips == data.clips
    assert data.labels == tuple(TAGS)
    assert (len(data.labels), data.metric, data.notes) == (41, "map@3", ())
    [(_, train, test)] = data.splits()
    assert (len(train), len(test)) == (82, 41)
    assert (train[0].group, train[0].licence, train[0].weight) == ("1000", "Creative Commons 0", 1.0)
    assert data.licence == "Attribution; Attribution Noncommercial; Creative Commons 0"
    assert soundfile.info(test[0].path).subtype == "PCM_16"


def test_freesound2018_by_verification_and_usage(tags):
    root, _ = tags()
    verified = load_dataset("freesound2018", root=root, verified_only=True)
    assert (len(verified.training_clips), len(verified.test_clips)) == (41, 41)
    halved = load_dataset("freesound2018", root=root, unverified_weight=0.5)
    assert {clip.weight for clip in halved.training_clips} == {0.5, 1.0}
    assert {Path(clip.path).stem[-1] for clip in halved.training_clips if clip.weight == 0.5} == {"0"}
    public, private = (load_dataset("freesound2018", root=root, usage=usage).test_clips for usage in ("public", "private"))
    assert (len(public), len(private)) == (9, 32)
    for options, reason in (
        ({"usage": "ignored"}, "usage must be one of 'all', 'public', 'private'"),
        ({"verified_only": "yes"}, "verified_only must be true or false"),
        ({"unverified_weight": -1}, "at least 0, got -1"),
    ):
        with pytest.raises(ValueError, match=reason):
            load_dataset("freesound2018", root=root, **options)


def test_freesound2018_from_kaggle(tags):
    root, labelled = tags(kaggle=True)
    data = load_dataset("freesound2018", root=root)
    assert (len(data), data.folds) == (82, [])
    assert "no official split" in data.notes[0]
    assert len(list(data.with_folds(2).splits())) == 2
    with pytest.raises(FileNotFoundError, match="test_post_competition"):
        load_dataset("freesound2018", root=root, usage="private")
    padding = [["ffffffff.wav", "None", "Ignored", "", ""]]
    empty = [["0b0427e2.wav", "Bark", "Private", "9", "Attribution"]]
    soundfile.write(root / "audio_test" / "0b0427e2.wav", np.zeros(0), 44_100)
    assert (root / "audio_test" / "0b0427e2.wav").stat().st_size == 44
    write_table(root / "test_post_competition.csv", [*labelled, *padding, *empty])
    data = load_dataset("freesound2018", root=root)
    assert data.notes == ("skipped 1 file(s) without samples: 0b0427e2.wav",)
    assert (len(data.training_clips), len(data.test_clips)) == (82, 41)


def test_freesound2018_names_what_was_not_unpacked(tags):
    root, _ = tags()
    (root / "FSDKaggle2018.audio_test").rename(root / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"41 of 123 sounds are missing, the first is .*00000002\.wav.*2552860"):
        load_dataset("freesound2018", root=root)


def test_clips_of_many_lengths_keep_a_models_own_window(tags):
    root, _ = tags()
    clips = load_dataset("freesound2018", root=root).clips
    for name in list_models():
        own = model_info(name).frontend
        fitted = adapted(own, clips)
        assert (fitted.duration, fitted.channels) == (own.duration, 1)


FORMATS = [(44_100, 2, "PCM_16"), (48_000, 2, "PCM_24"), (96_000, 1, "PCM_24"), (22_050, 1, "PCM_U8"), (8_000, 1, "MS_ADPCM")]


@pytest.fixture
def city_sounds(tmp_path, rng):
    """UrbanSound8K in small: a slice of each class in each fold, in five file formats."""
    base = tmp_path / "UrbanSound8K"
    rows = [["slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"]]
    for fold in range(1, 11):
        for number, label in enumerate(CITY_SOUNDS):
            source = 100_000 + 100 * fold + number
            name, seconds = f"{source}-{number}-0-{fold}.wav", 4.0 if source == 100_100 else 0.1
            rate, channels, subtype = FORMATS[(fold + number) % len(FORMATS)]
            path = base / "audio" / f"fold{fold}" / name
            write_noise(path, rng, seconds=seconds, rate=rate, channels=channels, subtype=subtype)
            rows.append([name, source, 58.5, 58.5 + seconds, 1, fold, number, label])
    write_table(base / "metadata" / "UrbanSound8K.csv", rows)
    return base


def test_urbansound8k_has_its_ten_folds(city_sounds):
    data = load_dataset("urbansound8k", root=city_sounds)
    assert load_dataset("urbansound8k", root=city_sounds.parent).clips == data.clips
    assert (data.labels, data.metric, data.licence) == (tuple(CITY_SOUNDS), "accuracy", source_of("urbansound8k").licence)
    assert (data.folds, data.notes) == (list(range(1, 11)), ())
    assert [(len(train), len(test)) for _, train, test in data.splits()] == [(90, 10)] * 10
    assert (data.clips[0].group, data.clips[0].start, data.clips[0].end) == ("100100", 0.0, None)
    assert data.training_clips == data.test_clips == data.clips
    [job] = fold_jobs(data, "subspectralnet", folds=[10])
    assert (job.frontend.duration, job.frontend.channels) == (4.0, 2)
    assert FeatureBank.of(job.test, job.frontend).features.values.shape == (10, *job.frontend.shape)
    (city_sounds / "audio" / "fold3").rename(city_sounds / "elsewhere")
    with pytest.raises(FileNotFoundError, match="10 of 100 sounds are missing"):
        load_dataset("urbansound8k", root=city_sounds)


def test_a_recording_in_two_published_folds_is_said_and_stays(city_sounds):
    table = city_sounds / "metadata" / "UrbanSound8K.csv"
    table.write_text(table.read_text().replace(",100200,", ",100100,"))
    data = load_dataset("urbansound8k", root=city_sounds)
    assert "1 recording(s) are on both sides of a published split, for example '100100'" in data.notes[0]
    assert len(list(data.splits())) == 10
    assert {clip.group for clip in data.clips if clip.label == "air_conditioner" and clip.fold in (1, 2)} == {
        "100100 in 1",
        "100100 in 2",
    }
    alone = [Clip("a.wav", ("a",), 1), Clip("b.wav", ("a",), 2)]
    assert as_published(alone) == (tuple(alone), ())


def test_weights_reach_training(tags):
    root, _ = tags()
    data = load_dataset("freesound2018", root=root, unverified_weight=0.25)
    [job] = fold_jobs(data, "feature_mlp", recipe=Recipe(epochs=1, batch_size=82))
    examples = FeatureBank.of(job.train, job.frontend).examples(job.train, job.labels)
    with Batches(examples, job.recipe, Scaler.identity(), job.frontend, 41, 1).stream() as stream:
        batch = next(stream)
    order = np.random.default_rng([1, 0, 0]).permutation(82)  # what for, seed, epoch
    assert batch[2].tolist() == [job.train[i].weight for i in order]
    assert set(batch[2].tolist()) == {0.25, 1.0}


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command line or, by its name, a script of benchmarks/: what it printed and what it said on standard error."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run(script, *words, status=0):
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        path = str(BENCHMARKS / f"{script}.py")
        with pytest.raises(SystemExit) as end:
            cli.main() if script == "audiozoo" else runpy.run_path(path, run_name="__main__")
        captured = capsys.readouterr()
        assert (end.value.code or 0) == status, captured.err
        return captured.out, captured.err

    return run


QUICK = ("--models", "feature_mlp", "--epochs", 1, "--jobs", 0)


def test_the_script_of_dcase2018(run, scenes, tmp_path):
    out, err = run("dcase2018", scenes, *QUICK, "-o", tmp_path / "r")
    assert "feature_mlp on 1 fold(s)" in out
    assert "fold 1:" in err
    table = (tmp_path / "r" / "dcase2018.md").read_text()
    assert table.startswith("| model | parameters | macro accuracy | accuracy | MAP@3 |")
    assert "±" not in table, "one fold has no deviation"
    [row] = read_rows(tmp_path / "r" / "rows")
    assert (row.metric, row.request.recipe.validation) == ("macro_accuracy", 0.3)
    assert (row.training_clips, row.test_clips) == (40, 20)
    assert f"{100 * row.measures.macro_accuracy:.1f} %" in table
    assert row.provenance.command.startswith("audiozoo benchmark --dataset dcase2018 --root ")


@pytest.mark.slow
def test_the_example_of_subspectralnet_runs(scenes, capsys):
    example = runpy.run_path(str(Path(__file__).resolve().parents[1] / "examples" / "subspectralnet_as_published.py"))
    classifier = example["main"](scenes, epochs=1)
    printed = capsys.readouterr().out
    assert "331,344 parameters, 4 outputs, input (40, 500, 2)" in printed
    assert "on 20 clips of fold 1" in printed
    assert classifier.about.recipe["validation"] == 0.3


@pytest.mark.slow
def test_the_script_of_freesound2018(run, tags, tmp_path):
    root, _ = tags()
    run("freesound2018", root, *QUICK, "-o", tmp_path / "r", "--option", "usage=private", "--option", "unverified_weight=0.5")
    table = (tmp_path / "r" / "freesound2018.md").read_text()
    assert table.startswith("| model | parameters | MAP@3 | accuracy | all trainings |")
    [row] = read_rows(tmp_path / "r" / "rows")
    assert (row.metric, row.test_clips) == ("map@3", 32)
    measures = replace(row.measures, map_at_3=row.measures.map_at_3 + 0.1, accuracy=max(0.0, row.measures.accuracy - 0.01))
    better = replace(row, request=replace(row.request, model="better"), measures=measures)
    first, second = leaderboard([row, better])
    assert (first.model, second.metric, second.score) == ("better", "map@3", (row.measures.map_at_3, 0.0))


def test_training_leaves_the_official_test_set_out(run, tags, tmp_path):
    root, _ = tags()
    words = ("--dataset", "freesound2018", "--model", "feature_mlp", "--epochs", 1, "--option", "verified_only=true")
    out, _ = run("audiozoo", "train", root, "-o", tmp_path / "a.audiozoo", *words)
    assert "41 clips of 41 classes" in out
    assert "the 41 clips of the official test set are not used" in out
    assert load_classifier(tmp_path / "a.audiozoo").about.training_clips == 41
    words = ("--dataset", "freesound2018", "--option", "usage=public")
    out, _ = run("audiozoo", "evaluate", tmp_path / "a.audiozoo", root, *words)
    assert "9 clips: accuracy" in out


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("verified_only", "--option must be NAME=VALUE"),
        ("verified=true", "did you mean 'verified_only'"),
        ("verified_only=yes", "must be true or false, got 'yes'"),
        ("name=x", "unknown option"),
    ],
)
def test_a_wrong_option_of_a_dataset_is_named(run, tmp_path, option, reason):
    words = ("audiozoo", "benchmark", "--dataset", "freesound2018", "--root", tmp_path, "--option", option)
    assert reason in run(*words, status=2)[1]


SCRIPTS = {path.stem for path in BENCHMARKS.glob("*.py") if "from compare import" in path.read_text(encoding="utf-8")}


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_comparison_is_of_what_there_is(script, run, monkeypatch, tmp_path):
    # A script that synthesises its dataset writes into a folder that is not there.
    monkeypatch.chdir(tmp_path)
    Path("FOLDER").mkdir()
    said = []
    monkeypatch.setattr(cli, "main", lambda: sys.exit(said.extend(sys.argv)))
    run(script, "FOLDER", "--seed", 1)
    options = dict(zip(said[2::2], said[3::2], strict=True))
    assert options["--dataset"] in list_datasets()
    assert set(options["--models"].split(",")) <= set(list_models())
    assert (options["--root"], options["--seed"]) == ("FOLDER", "1")
    assert Path(options["--output"]).resolve().parent == BENCHMARKS / "results"
    assert all(Path(options.get(option, __file__)).is_file() for option in ("--frontend", "--recipes", "--recipe"))


def test_a_comparison_without_a_folder_says_how(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    for words in ([], ["--epochs", "1"]):
        monkeypatch.setattr(sys, "argv", ["esc10.py", *words])
        with pytest.raises(SystemExit, match=r"usage: python .*esc10\.py FOLDER"):
            runpy.run_path(str(BENCHMARKS / "esc10.py"), run_name="__main__")
