import csv
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import soundfile
from conftest import tone, write_sound_folder

from audiozoo import load_classifier, load_dataset
from audiozoo.classifier import Classifier
from audiozoo.cli.budget import Stages, planned_line
from audiozoo.features import Frontend, LogMel
from audiozoo.training import Recipe, train
from audiozoo.training.watch import Watch

VERBS = [
    "list",
    "info",
    "inspect",
    "train",
    "predict",
    "events",
    "explain",
    "embed",
    "similar",
    "map",
    "evaluate",
    "ensemble",
    "export",
    "benchmark",
    "compare",
    "report",
    "datasets",
    "extract",
    "plot",
    "doctor",
    "augment",
    "cache",
]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = write_sound_folder(tmp_path_factory.mktemp("trained") / "sounds", np.random.default_rng(7))
    recipe = Recipe(epochs=25, batch_size=4, learning_rate=0.003, validation=0.0, refit=False)
    path = folder.parent / "my.audiozoo"
    train("feature_mlp", load_dataset("folder", root=folder).clips, recipe).save(path)
    return path


def test_train(audiozoo, sound_folder, tmp_path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"batch_size": 4, "learning_rate": 0.003, "validation": 0.2, "refit": false}')
    path = tmp_path / "my.audiozoo"
    status, out, err = audiozoo("train", sound_folder, "-o", path, "--model", "feature_mlp", "--epochs", 25, "--recipe", recipe)
    assert status == 0, err
    assert "18 clips of 3 classes: high, low, noise" in out
    assert "held-out recordings" in out
    assert json.loads(audiozoo("evaluate", path, sound_folder, "--json")[1])["accuracy"] > 0.6


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(audiozoo, verb):
    status, out, _ = audiozoo(verb, "--help")
    assert status == 0
    assert f"audiozoo {verb}" in out.split("Example:")[1]


def test_list(audiozoo):
    assert audiozoo("list")[1].count("\n") >= 5
    assert json.loads(audiozoo("list", "*mlp", "house*", "--json")[1]) == ["feature_mlp", "house_cnn"]
    assert json.loads(audiozoo("list", "--input", "vector", "--json")[1]) == ["feature_mlp"]
    assert json.loads(audiozoo("list", "*mlp", "resnet*", "--max-parameters", "1e6", "--json")[1]) == ["feature_mlp"]
    assert "| `house_cnn` | 64 x 250 x 1 | 564,226 | 10 |" in audiozoo("list", "house*", "--markdown")[1]
    assert audiozoo("list", "nothing*")[0] == 1
    assert "yamnet" in json.loads(audiozoo("list", "--pretrained", "--json")[1])
    assert "audioset" in audiozoo("list", "yamnet", "--pretrained")[1].splitlines()[1].split()
    status, _, err = audiozoo("list", "--input", "vectro")
    assert status == 2
    assert "did you mean 'vector'" in err


def test_list_by_facts(audiozoo):
    def names(*words):
        return json.loads(audiozoo("list", *words, "--json")[1])

    assert names("bcresnet*", "sb_cnn", "--max-parameters", "0.02M", "--max-multiply-adds", "10m") == ["bcresnet_1"]
    assert names("--task", "keywords", "--family", "match*", "--min-parameters", "80k") == ["matchboxnet_3x2x64"]
    assert names("house_cnn", "yamnet", "--licence", "apache*") == ["yamnet"]
    assert names("house_cnn", "yamnet", "--licence", "cc by*") == ["house_cnn/esc10"]
    assert names("house_cnn", "--pretrained", "--max-parameters", "100k") == []
    lines = audiozoo("list", "lstm*", "house_cnn")[1].splitlines()
    # A family of several models has a heading.
    firsts = [line.split()[0] for line in lines if line[:8].strip()]
    assert firsts == ["name", "house_cnn", "lstm", "lstm", "lstm_stacked", "lstm_time_distributed"]
    for limit in ("10x", "-1", "", "nan"):
        assert (
            f"a limit must be a number such as 100k, 1.5M or 1e6, got '{limit}'"
            in audiozoo("list", "--max-parameters", limit)[2]
        )
    assert "task must be one of 'tagging'" in audiozoo("list", "--task", "keyword")[2]


def test_info(audiozoo):
    status, out, _ = audiozoo("info", "subspectralnet")
    assert status == 0
    assert "1810.12642" in out
    assert "72.18 accuracy on DCASE 2018 task 1A" in out
    card = json.loads(audiozoo("info", "house_cnn", "--json")[1])
    assert card["reference"]["parameters"] > 0
    assert card["weights"] == []
    assert (card["recipe"]["epochs"], card["recipe"]["augment_features"]["class"]) == (100, "Compose")
    assert "audioset: 521 classes, licence Apache-2.0, https://" in audiozoo("info", "yamnet")[1]
    assert json.loads(audiozoo("info", "yamnet", "--json")[1])["weights"][0]["licence"] == "Apache-2.0"
    status, out, _ = audiozoo("info", "joint_autoencoder", "--layers")
    assert (status, "reconstruction_loss" in out, "728,237 parameters" in out) == (0, True, True)
    status, _, err = audiozoo("info", "house_cn")
    assert (status, "did you mean 'house_cnn'" in err) == (2, True)


def test_info_of_a_saved_classifier(audiozoo, classifier, tmp_path):
    card = json.loads(audiozoo("info", classifier, "--json")[1])
    assert (card["name"], card["labels"]) == (str(classifier), ["high", "low", "noise"])
    assert card["frontend"]["class"] == "Statistics"
    assert "licence" in audiozoo("info", "house_cnn/esc10")[1]
    together = tmp_path / "both.audiozoo"
    audiozoo("ensemble", classifier, classifier, "-o", together)
    assert json.loads(audiozoo("info", together, "--json")[1])["members"] == 2
    (tmp_path / "no.audiozoo").write_bytes(b"no classifier")
    status, _, err = audiozoo("info", tmp_path / "no.audiozoo")
    assert (status, "not a classifier that this version reads" in err) == (2, True)


def test_predict_as_table_json_and_csv(audiozoo, classifier, sound_folder):
    low, noise = sound_folder / "low" / "0.wav", sound_folder / "noise" / "0.wav"
    expected = [load_classifier(classifier).predict(path).label for path in (low, noise)]
    status, out, _ = audiozoo("predict", classifier, low, noise)
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()[1:]] == expected
    answers = json.loads(audiozoo("predict", classifier, low, "--json")[1])
    assert answers[0]["label"] == expected[0]
    assert sum(answers[0]["scores"].values()) == pytest.approx(1, abs=1e-4)
    rows = list(csv.DictReader(io.StringIO(audiozoo("predict", classifier, low, "--csv", "--top", 2)[1])))
    assert (rows[0]["rank"], rows[0]["label"]) == ("1", expected[0])
    assert len(rows) == 2
    assert len(json.loads(audiozoo("predict", classifier, sound_folder, "--json")[1])) == 18


def test_one_bad_file_does_not_stop_the_others(audiozoo, classifier, sound_folder, tmp_path):
    (tmp_path / "empty.wav").touch()
    good = sound_folder / "low" / "0.wav"
    status, out, err = audiozoo("predict", classifier, tmp_path / "empty.wav", good)
    assert status == 1
    assert str(good) in out
    assert "1 file(s) could not be used" in err
    assert "empty.wav: the file is empty" in err
    status, out, err = audiozoo("predict", classifier, tmp_path / "empty.wav", good, "--strict")
    assert (status, out) == (2, "")
    assert "empty.wav" in err


def test_predict_refuses(audiozoo, classifier, tmp_path):
    assert "choose one" in audiozoo("predict", classifier, "a.wav", "--json", "--csv")[2]
    status, _, err = audiozoo("predict", tmp_path / "gone.audiozoo", "a.wav")
    assert (status, "no such file" in err) == (2, True)
    (tmp_path / "nothing").mkdir()
    assert "no sounds in" in audiozoo("predict", classifier, tmp_path / "nothing")[2]


def test_each_answer_is_printed_at_once(audiozoo, classifier, sound_folder, monkeypatch):
    sounds = sorted(sound_folder.rglob("*.wav"))
    whole = audiozoo("predict", classifier, *sounds)[1].splitlines()
    predict_many = Classifier.predict_many

    def stopped(*given, **how):
        yield from islice(predict_many(*given, **how), 4)
        raise KeyboardInterrupt

    monkeypatch.setattr(Classifier, "predict_many", stopped)
    for form, header in (("", 1), ("--csv", 1), ("--jsonl", 0)):
        status, out, err = audiozoo("predict", classifier, *sounds, "--top", 1, *form.split())
        assert (status, len(out.splitlines()), "printed so far are complete" in err) == (130, 4 + header, True), form
    assert [line[: whole[0].index("1.")].rstrip() for line in whole[1:]] == list(map(str, sounds))


def test_jsonl_is_one_object_a_line_with_failures(audiozoo, classifier, sound_folder):
    low = sound_folder / "low" / "0.wav"
    status, out, _ = audiozoo("predict", classifier, low, "gone.wav", "--jsonl")
    answer, failure = map(json.loads, out.splitlines())
    assert (status, answer["file"], failure) == (1, str(low), {"file": "gone.wav", "error": "gone.wav: no such file"})
    assert json.loads(audiozoo("predict", classifier, low, "gone.wav", "--json")[1])[1] == failure


def answers_of(path):
    if path.suffix == ".csv":
        return list(csv.reader(io.StringIO(path.read_text())))[1:]
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("verb", ["predict", "embed"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("lost", [5, 40, 0])
def test_a_file_of_answers_continues_where_it_was_cut(
    audiozoo, classifier, sound_folder, tmp_path, monkeypatch, verb, suffix, lost
):
    path = tmp_path / f"answers{suffix}"
    later = tmp_path / "later.wav"
    sounds = [*sorted(sound_folder.rglob("*.wav")), later]
    assert audiozoo(verb, classifier, *sounds, "-o", path)[0] == 1
    whole, asked = answers_of(path), []
    path.write_bytes(path.read_bytes()[: -lost or None])
    several = getattr(Classifier, f"{verb}_many")

    def counted(self, paths, **how):
        asked.append(len(list(paths)))
        return several(self, paths, **how)

    monkeypatch.setattr(Classifier, f"{verb}_many", counted)
    shutil.copy(sounds[0], later)
    status, out, err = audiozoo(verb, classifier, *sounds, "-o", path, "--resume")
    assert (status, f"saved {path}" in out) == (0, True), err
    again = answers_of(path)
    assert len(again) == len(whole) + (suffix == ".csv") * (3 if verb == "predict" else 1)
    assert not any("error" in answer for answer in again)
    # One answer is repeated as a check; the failed file is tried again.
    assert (asked[0], asked[1] <= 3) == (1, True)
    names = [answer["file"] if suffix == ".jsonl" else answer[0] for answer in again]
    assert list(dict.fromkeys(names)) == list(map(str, sounds))


def test_resume_refuses_the_answers_of_another_command(audiozoo, classifier, sound_folder, tmp_path):
    path, low = tmp_path / "answers.csv", sound_folder / "low"
    assert audiozoo("predict", classifier, low, "-o", path)[0] == 0
    kept = path.read_bytes()
    other = tmp_path / "other.audiozoo"
    replace(load_classifier(classifier), temperature=5.0).save(other)
    for words, reason in (
        ((classifier, low), "the file exists; continue it with --resume"),
        ((other, low, "--resume"), "differs from that of this classifier"),
        ((classifier, low, "--resume", "--top", 2), "has 3 rows, this command writes 2 for each file"),
    ):
        status, _, err = audiozoo("predict", *words, "-o", path)
        assert (status, reason in err) == (2, True), err
    assert "those of this command file, e0, e1" in audiozoo("embed", classifier, low, "-o", path, "--resume")[2]
    assert path.read_bytes() == kept
    objects = tmp_path / "answers.jsonl"
    assert audiozoo("predict", classifier, low, "-o", objects)[0] == 0
    assert "differs from that" in audiozoo("predict", other, low, "-o", objects, "--resume")[2]
    objects.write_text("[1]\n")
    assert "line 1 is not an answer" in audiozoo("predict", classifier, low, "-o", objects, "--resume")[2]


def test_predict_and_embed_refuse_files_that_they_cannot_write(audiozoo, classifier, sound_folder, tmp_path):
    low = sound_folder / "low"
    assert "one of these suffixes" in audiozoo("predict", classifier, low, "-o", tmp_path / "a.json")[2]
    assert "one of these suffixes" in audiozoo("embed", classifier, low, "-o", tmp_path / "a.txt")[2]
    assert "name it with -o" in audiozoo("predict", classifier, low, "--resume")[2]
    assert "name a .csv or .jsonl" in audiozoo("embed", classifier, low, "--resume", "-o", tmp_path / "a.npz")[2]
    assert "--csv and -o cannot be combined" in audiozoo("predict", classifier, low, "--csv", "-o", tmp_path / "a.csv")[2]


def test_embed_writes_names_and_vectors(audiozoo, classifier, sound_folder, tmp_path):
    path, loaded = tmp_path / "e.npz", load_classifier(classifier)
    sounds = sorted(sound_folder.rglob("*.wav"))
    status, out, err = audiozoo("embed", classifier, sound_folder, "gone.wav", "-o", path, "--statistic", "all")
    assert (status, "18 files" in out, "gone.wav: no such file" in err) == (1, True, True)
    with np.load(path) as saved:
        assert saved["files"].tolist() == list(map(str, sounds))
        width = len(loaded.embed(sounds[0]))
        assert saved["embeddings"].shape == (18, 3 * width)
        assert np.allclose(saved["embeddings"][0, :width], loaded.embed(sounds[0]), atol=1e-5)
    assert audiozoo("embed", classifier, "gone.wav", "-o", tmp_path / "none.npz")[0] == 1
    assert not (tmp_path / "none.npz").exists()


def test_evaluate(audiozoo, classifier, sound_folder, tmp_path):
    picture = tmp_path / "confusion.png"
    status, out, _ = audiozoo("evaluate", classifier, sound_folder, "--picture", picture)
    assert status == 0
    assert "18 clips: accuracy" in out
    assert picture.stat().st_size > 1_000
    measures = json.loads(audiozoo("evaluate", classifier, sound_folder, "--json")[1])
    assert measures["accuracy"] > 0.6
    assert measures["refused"] is None
    (sound_folder / "low" / "empty.wav").touch()
    assert audiozoo("evaluate", classifier, sound_folder)[0] == 1
    assert audiozoo("evaluate", classifier, sound_folder, "--strict")[0] == 2


def test_a_rejection_level_shows_in_every_answer(audiozoo, classifier, sound_folder, tmp_path):
    loaded = load_classifier(classifier)
    loaded.rejection, loaded.temperature = 1.0, 30.0  # no score reaches 1 at such a temperature
    loaded.save(strict := tmp_path / "strict.audiozoo")
    sound = sound_folder / "low" / "0.wav"
    best = loaded.predict(sound).best
    line = audiozoo("predict", strict, sound)[1].splitlines()[-1].split()
    assert line[1] == "unknown"
    assert line[4] == best
    rows = list(csv.DictReader(io.StringIO(audiozoo("predict", strict, sound, "--csv")[1])))
    assert [row["label"] for row in rows[:2]] == ["unknown", best]
    answer = json.loads(audiozoo("predict", strict, sound, "--json")[1])[0]
    assert (answer["label"], answer["best"], answer["known"]) == ("unknown", best, False)
    diagram = tmp_path / "reliability.png"
    status, out, _ = audiozoo("evaluate", strict, sound_folder, "--reliability", diagram)
    assert (status, "18 of 18 clips (100.0 %) refused as unknown" in out) == (0, True)
    assert diagram.stat().st_size > 1_000
    # A picture that cannot be written is an error before the evaluation.
    assert "is a folder" in audiozoo("evaluate", strict, sound_folder, "--reliability", tmp_path)[2]


def test_evaluate_tells_the_calibration_before_and_after_the_temperature(audiozoo, classifier, sound_folder, tmp_path):
    plain = json.loads(audiozoo("evaluate", classifier, sound_folder, "--json")[1])["calibration"]
    assert plain["before"] == plain["after"]
    loaded = load_classifier(classifier)
    loaded.temperature = 30.0
    loaded.save(path := tmp_path / "vague.audiozoo")
    measures = json.loads(audiozoo("evaluate", path, sound_folder, "--json")[1])
    before, after = measures["calibration"]["before"], measures["calibration"]["after"]
    assert before == plain["before"]
    assert after["ece"] > before["ece"]
    assert sum(group["clips"] for group in after["bins"]) == 18
    texts = [f"{100 * one['ece']:.1f} %" for one in (before, after)]
    out = audiozoo("evaluate", path, sound_folder)[1]
    assert f"calibration error {texts[0]} before and {texts[1]} after the temperature of 30.00" in out


@pytest.mark.slow
def test_training_with_a_rejection_level(audiozoo, sound_folder, tmp_path):
    path = tmp_path / "x.audiozoo"
    quick = ("--model", "feature_mlp", "--epochs", 1, "-o", path)
    status, _, err = audiozoo("train", sound_folder, *quick, "--unknown", 0.95)
    assert (status, "unknown=0.95 needs at least 19 held-out clips" in " ".join(err.split())) == (2, True)
    assert audiozoo("train", sound_folder, *quick, "--unknown", 0.5)[0] == 0
    assert 0 < load_classifier(path).rejection < 1
    # The training files are recorded, so that an ensemble does not learn its weights from them.
    assert load_classifier(path).about.has_learnt_from(str(sound_folder / "low" / "0.wav"))


@pytest.mark.slow
def test_training_leaves_out_bad_files_and_says_so(audiozoo, sound_folder, tmp_path):
    (sound_folder / "low" / "empty.wav").touch()
    words = ["train", sound_folder, "-o", tmp_path / "a.audiozoo", "--model", "feature_mlp", "--epochs", 1]
    status, _, err = audiozoo(*words)
    assert status == 1
    assert "empty.wav: the file is empty" in err
    assert (tmp_path / "a.audiozoo").is_file()
    status, _, err = audiozoo(*words, "--strict", "-o", tmp_path / "b.audiozoo")
    assert status == 2
    assert not (tmp_path / "b.audiozoo").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--model", "house_cn"], "did you mean 'house_cnn'"),
        (["--dataset", "fodler"], "did you mean 'folder'"),
        (["--epochs", "0"], "epochs must be a whole number"),
        (["--recipe", "bad.json"], "not valid JSON"),
        (["--recipe", "list.json"], "JSON object"),
        (["--recipe", "typo.json"], "did you mean 'epochs'"),
        (["--frontend", "typo.json"], "unknown frontend"),
        (["--seed", "-1"], "seed must be"),
        (["-o", "."], "is a folder"),
    ],
)
def test_train_refuses(audiozoo, sound_folder, tmp_path, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    for name, content in (("bad.json", "{"), ("list.json", "[]"), ("typo.json", '{"epoch": 1}')):
        (tmp_path / name).write_text(content)
    status, _, err = audiozoo("train", sound_folder, "-o", tmp_path / "a.audiozoo", *words)
    assert status == 2
    assert reason in err


@pytest.mark.slow
def test_brackets_and_bytes_in_names_are_printed_as_they_are(audiozoo, classifier, sound_folder, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/[b]\xe9.wav")
    shutil.copy(sound_folder / "low" / "0.wav", odd)
    command = [
        sys.executable,
        "-c",
        "from audiozoo.cli import main; main()",
        "predict",
        classifier,
        odd,
        tmp_path / "[gone].wav",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "[b]" in done.stdout.replace("\n", "")
    assert "[gone].wav: no such file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_benchmark_of_a_folder(audiozoo, sound_folder, tmp_path):
    words = [
        "benchmark",
        "--dataset",
        "folder",
        "--root",
        sound_folder,
        "--models",
        "feature_m*",
        "--epochs",
        2,
        "--folds",
        "1,2",
        "--jobs",
        0,
        "-o",
        tmp_path / "r",
    ]
    status, out, err = audiozoo(*words)
    assert status == 0, err
    assert "feature_mlp" in out
    assert err.count("fold") == 2
    assert {path.name for path in (tmp_path / "r").iterdir()} == {"rows", "folder.md", "folder.html", "folder-feature_mlp.png"}
    rows = [json.loads(path.read_text()) for path in (tmp_path / "r" / "rows").iterdir()]
    assert len(rows) == 2
    assert {row["provenance"]["command"] for row in rows} == {shlex.join(map(str, ["audiozoo", *words]))}
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "r" / "rows").iterdir()}
    assert audiozoo(*words)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written


@pytest.mark.slow
def test_another_front_end(audiozoo, sound_folder, tmp_path):
    (tmp_path / "frontend.json").write_text('{"class": "LogMel", "sample_rate": 8000, "n_mels": 20, "n_fft": 512}')
    words = ["--frontend", tmp_path / "frontend.json", "--model", "dcase2018_baseline", "--epochs", 1]
    status, _, err = audiozoo("train", sound_folder, "-o", tmp_path / "a.audiozoo", *words)
    assert status == 0, err
    frontend = load_classifier(tmp_path / "a.audiozoo").frontend
    assert (frontend.sample_rate, frontend.n_mels, frontend.duration) == (8_000, 20, 1.0)


def test_features_are_kept_and_cleared(audiozoo, classifier, sound_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path / "kept"))
    empty = {"folder": str(tmp_path / "kept" / "features"), "packs": 0, "clips": 0, "bytes": 0, "limit_bytes": 10 * 2**30}
    assert audiozoo("evaluate", classifier, sound_folder, "--no-cache")[0] == 0
    assert json.loads(audiozoo("cache", "info", "--json")[1]) == empty
    assert audiozoo("evaluate", classifier, sound_folder)[0] == 0
    assert "1 pack(s) with the features of 18 clips" in audiozoo("cache", "info")[1]
    status, out, _ = audiozoo("cache", "clear")
    assert (status, "deleted 1 pack(s) with the features of 18 clips" in out) == (0, True)
    assert json.loads(audiozoo("cache", "info", "--json")[1]) == empty
    monkeypatch.setenv("AUDIOZOO_CACHE_LIMIT", "much")
    status, _, err = audiozoo("evaluate", classifier, sound_folder)
    assert (status, "AUDIOZOO_CACHE_LIMIT must be a size such as 5GB" in err) == (2, True)


def test_extract_a_row_for_each_window_with_its_times(audiozoo, sound_folder, tmp_path):
    soundfile.write(sound_folder / "low" / "long.wav", tone(300, 1.3, 8_000), 8_000)
    (sound_folder / "low" / "bad.wav").write_bytes(b"no sound")
    settings = ("--set", "sample_rate=8000", "--set", "duration=0.5", "--set", "n_fft=256", "--set", "n_mels=20")
    status, out, err = audiozoo("extract", sound_folder, "--frontend", "logmel", *settings, "-o", tmp_path / "f.npz")
    assert (status, "23 windows of 20 x 8 x 1 from 19 clips" in out, "bad.wav" in err) == (1, True, True)
    with np.load(tmp_path / "f.npz") as kept:
        number = [name.endswith("long.wav") for name in kept["files"].tolist()].index(True)
        rows = kept["clip"] == number
        assert kept["start_s"][rows].tolist() == [0, 0.25, 0.5, 0.75, 0.8]
        assert np.allclose(kept["end_s"], kept["start_s"] + 0.5)
        assert kept["labels"].tolist().count("low") == 7
        frontend = Frontend.from_config(json.loads(kept["frontend"].item()))
        assert frontend == LogMel(sample_rate=8_000, duration=0.5, n_fft=256, n_mels=20)
        wave, _ = soundfile.read(sound_folder / "low" / "long.wav", dtype="float32")
        assert np.array_equal(kept["features"][rows][-1], frontend(wave[6_400:]))


def test_extract_a_row_for_each_clip(audiozoo, sound_folder, tmp_path):
    soundfile.write(sound_folder / "low" / "long.wav", tone(300, 1.3, 8_000), 8_000)
    words = ("--frontend", "waveform", "--set", "sample_rate=8000", "--per", "clip", "-o", tmp_path / "f.npz", "--no-cache")
    assert audiozoo("extract", sound_folder, *words)[0] == 0
    with np.load(tmp_path / "f.npz") as kept:
        assert kept["features"].shape == (19, 10_400, 1)


def test_extract_from_a_folder_without_classes_and_one_row_for_the_longest(audiozoo, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(300, 1, 44_101), 44_100)
    words = ("--frontend", "feature_mlp", "--set", "duration=0.5", "-o", tmp_path / "f.npz")
    assert "3 windows of 257" in audiozoo("extract", tmp_path, *words)[1]
    words = ("--frontend", "waveform", "--per", "clip", "-o", tmp_path / "f.npz")
    assert "1 windows of 22051 x 1" in audiozoo("extract", tmp_path, *words)[1]


@pytest.mark.slow
def test_augment_writes_copies_and_previews(audiozoo, sound_folder, tmp_path):
    recipe = tmp_path / "r.json"
    recipe.write_text('{"class": "Gain", "gain_db": [-6, -6]}')
    words = ("--recipe", recipe, "--copies", 2, "--seed", 1, "--jobs", 1)
    status, out, err = audiozoo("augment", sound_folder, "-o", tmp_path / "more", *words)
    assert (status, err.strip()) == (0, "")
    assert "36 copies of 18 sounds" in out
    assert len(list((tmp_path / "more" / "low").glob("*.wav"))) == 12
    assert audiozoo("augment", "files", "--jobs", 1, sound_folder, "-o", tmp_path / "more")[0] == 0
    (sound_folder / "bad.wav").write_bytes(b"RIFF")
    status, _, err = audiozoo("augment", sound_folder, "-o", tmp_path / "more", "--jobs", 1)
    assert (status, "bad.wav" in err) == (1, True)
    status, out, _ = audiozoo("augment", "preview", sound_folder / "low" / "0.wav", "-o", tmp_path / "seen", "--recipe", recipe)
    assert (status, "2 sounds" in out, (tmp_path / "seen" / "preview.png").is_file()) == (0, True, True)
    status, _, err = audiozoo("augment", "preview", sound_folder / "low" / "0.wav", "-o", tmp_path / "all")
    assert (status, "left out AddBackground: it needs a folder of recordings" in err) == (0, True)
    assert "left out ChannelSwap: ChannelSwap needs at least 2 channels" in err
    status, _, err = audiozoo("augment", tmp_path / "none", "-o", tmp_path / "more")
    assert (status, "no such file or folder" in err) == (2, True)


@pytest.mark.slow
def test_training_starts_from_a_file_of_weights(audiozoo, sound_folder, tmp_path):
    words = (sound_folder, "-o", tmp_path / "a.audiozoo", "--model", "feature_mlp", "--epochs", 1)
    status, _, err = audiozoo("train", *words, "--weights", "imagenet")
    assert (status, "unknown weights of feature_mlp 'imagenet'" in err) == (2, True)
    status, _, err = audiozoo("train", *words, "--backbone-weights", "imagenet")
    assert (status, "unknown option of feature_mlp 'backbone_weights'" in err) == (2, True)
    status, _, err = audiozoo("train", *words, "--weights-file", tmp_path / "gone.weights.h5")
    assert (status, "gone.weights.h5" in err) == (2, True)
    assert audiozoo("train", *words)[0] == 0
    load_classifier(tmp_path / "a.audiozoo").scorer.model.save_weights(tmp_path / "start.weights.h5")
    assert audiozoo("train", *words, "--weights-file", tmp_path / "start.weights.h5")[0] == 0
    assert load_classifier(tmp_path / "a.audiozoo").about.weights == "start.weights.h5"


def test_a_sound_beside_class_folders_does_not_hide_them(audiozoo, sound_folder, tmp_path):
    soundfile.write(sound_folder / "stray.wav", tone(300, 1, 8_000), 8_000)
    status, out, err = audiozoo("extract", sound_folder, "--frontend", "feature_mlp", "-o", tmp_path / "f.npz")
    assert (status, "from 18 clips" in out, "stray.wav" in err) == (0, True, True)


def test_a_sound_that_a_front_end_cannot_use_is_named(audiozoo, sound_folder, tmp_path):
    words = ("--frontend", "waveform", "--set", "sample_rate=50", "--set", "duration=1", "-o", tmp_path / "f.npz")
    soundfile.write(sound_folder / "low" / "short.wav", tone(300, 0.005, 8_000), 8_000)
    status, _, err = audiozoo("extract", sound_folder, *words)
    assert (status, "short.wav: too short" in err) == (1, True)
    status, _, err = audiozoo("extract", sound_folder, "--hop", 100, "-o", tmp_path / "g.npz")
    assert (status, err.count("hop must be")) == (2, 1)


def test_plot(audiozoo, sound_folder, tmp_path):
    low, high = sound_folder / "low" / "0.wav", sound_folder / "high" / "1.wav"
    words = (
        "--frontend",
        "logmel",
        "--set",
        "sample_rate=8000",
        "--set",
        "n_fft=256",
        "--set",
        "n_mels=20",
        "--clean",
        "remove_dc",
    )
    status, out, err = audiozoo("plot", low, high, *words, "-o", tmp_path / "pictures")
    assert status == 0, err
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["0.png", "1.png"]
    assert str(tmp_path / "pictures" / "1.png") in out
    assert audiozoo("plot", low, *words, "-o", tmp_path / "one.png")[0] == 0
    status, _, err = audiozoo("plot", low, tmp_path / "none.wav", *words, "-o", tmp_path / "pictures")
    assert (status, "no such file" in err) == (1, True)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("0.wav", "1.wav", "-o", "one.png"), "must be a folder when several"),
        (("0.wav", "-o", "one.jpg"), ".png, .pdf or .svg"),
        (("a/0.wav", "b/0.wav"), "separate runs"),
        (("0.wav", "--clean", "trim_silense"), "did you mean 'trimsilence'"),
        (("0.wav", "--frontend", "logmell"), "did you mean 'logmel'"),
    ],
)
def test_plot_refuses(audiozoo, words, reason):
    status, _, err = audiozoo("plot", *words)
    assert (status, reason in err) == (2, True)


def test_benchmark_refuses(audiozoo):
    assert "did you mean 'house_cnn'" in audiozoo("benchmark", "--models", "house_cn")[2]
    assert "no model matches 'x*'" in audiozoo("benchmark", "--models", "x*")[2]
    assert "--models must be names" in audiozoo("benchmark", "--models", ",")[2]
    assert "--folds must be numbers" in audiozoo("benchmark", "--folds", "1,x")[2]
    assert "has the folds" in audiozoo("benchmark", "--models", "feature_mlp", "--folds", "9")[2]


@pytest.mark.slow
def test_killed_and_started_again_a_benchmark_ends_as_if_never_killed(tmp_path):
    sounds = tmp_path / "sounds"
    generator = np.random.default_rng(0)
    for label, pitch in (("low", 300), ("high", 2_000)):
        (sounds / label).mkdir(parents=True)
        for number in range(6):
            soundfile.write(sounds / label / f"{number}.wav", tone(pitch * generator.uniform(0.8, 1.2), 1.0, 8_000), 8_000)
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"refit": false}')
    words = [
        "benchmark",
        "--dataset",
        "folder",
        "--root",
        str(sounds),
        "--models",
        "feature_mlp",
        "--epochs",
        "1",
        "--folds",
        "1,2",
        "--recipe",
        str(recipe),
    ]
    command = [sys.executable, "-m", "audiozoo", *words, "-o"]
    rows = tmp_path / "killed" / "rows"
    with subprocess.Popen([*command, str(tmp_path / "killed")], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
        while run.poll() is None and not list(rows.glob("[!.]*.json")):
            time.sleep(0.05)
        os.kill(run.pid, signal.SIGKILL)
    finished = {path.name: path.stat().st_mtime_ns for path in rows.glob("[!.]*.json")}
    assert len(finished) == 1

    def accuracies(folder):
        subprocess.run([*command, str(folder)], check=True, capture_output=True)
        return {
            path.name: json.loads(path.read_text())["measures"]["accuracy"] for path in (folder / "rows").glob("[!.]*.json")
        }

    assert accuracies(tmp_path / "killed") == accuracies(tmp_path / "whole")
    assert {name: (rows / name).stat().st_mtime_ns for name in finished} == finished


def broken(error):
    def run(*_, **__):
        raise error

    return run


@pytest.mark.parametrize("words", [("--traceback", "info", "house_cn"), ("info", "house_cn", "--traceback")])
def test_a_traceback_is_shown_where_it_is_asked_for(audiozoo, words):
    status, _, err = audiozoo(*words)
    assert (status, "Traceback (most recent call last)" in err, "did you mean 'house_cnn'" in err) == (2, True, True)


def test_the_environment_asks_for_tracebacks_too(audiozoo, monkeypatch):
    assert "Traceback" not in audiozoo("info", "house_cn")[2]
    monkeypatch.setenv("AUDIOZOO_TRACEBACK", "1")
    assert "Traceback" in audiozoo("info", "house_cn")[2]
    monkeypatch.setenv("AUDIOZOO_TRACEBACK", "0")
    assert "Traceback" not in audiozoo("info", "house_cn")[2]


def test_words_behind_two_dashes_are_no_options(audiozoo):
    status, _, err = audiozoo("info", "--", "--traceback")
    assert (status, "unknown model '--traceback'" in err, "Traceback" in err) == (2, True, False)
    status, _, err = audiozoo("augment", "--traceback", "preview", "nowhere.wav")
    assert (status, "Traceback" in err) == (2, True)
    assert "--traceback" in audiozoo("--help")[1]


@pytest.mark.parametrize(
    "kind", [AttributeError, TypeError, KeyError, IndexError, AssertionError, RuntimeError, ZeroDivisionError]
)
def test_a_bug_is_no_error_of_the_user(audiozoo, monkeypatch, kind):
    monkeypatch.setattr("audiozoo.cli.info.model_info", broken(kind("spec")))
    status, _, err = audiozoo("info", "house_cnn")
    assert (status, "Traceback (most recent call last)" in err, "this is a bug in audiozoo" in err) == (70, True, True)
    assert "error:" not in err


@pytest.mark.parametrize("kind", [ValueError, FileNotFoundError, MemoryError, ImportError])
def test_an_error_of_the_user_is_one_line(audiozoo, monkeypatch, kind):
    monkeypatch.setattr("audiozoo.cli.info._card", broken(kind("no such thing")))
    status, _, err = audiozoo("info", "house_cnn")
    assert (status, err.splitlines()[0]) == (2, "error: no such thing")


def test_a_value_error_of_a_library_is_named_as_one(audiozoo, monkeypatch):
    monkeypatch.setattr("audiozoo.cli.info._card", lambda spec: np.polyval(np.zeros((2, 2)), json.loads("{")))
    status, _, err = audiozoo("info", "house_cnn")
    assert (status, err.splitlines()[1]) == (
        2,
        "json raised this error, so it may be a bug in audiozoo: --traceback shows where",
    )


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m audiozoo list | true", shell=True, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_standard_error_is_silent_only_while_the_backend_loads():
    code = """
import os, sys, types
from audiozoo.cli import console
class Loading(types.ModuleType):
    def __getattr__(self, name):
        os.write(2, b"from below ")
        print("from Python", file=sys.stderr)
        raise AttributeError(name)
import audiozoo.layers
audiozoo.layers.keras = types.SimpleNamespace(ops=types.SimpleNamespace(zeros=lambda _: Loading("loading")))
try:
    console.quiet_backend()
except AttributeError:
    pass
os.write(2, b"afterwards\\n")
assert sys.stderr is sys.__stderr__
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "from Python\nafterwards\n"


@pytest.mark.slow
def test_training_says_nothing_of_the_backend(sound_folder, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    words = ["train", str(sound_folder), "-o", str(tmp_path / "a.audiozoo"), "--model", "feature_mlp", "--epochs", "1"]
    command = [sys.executable, "-m", "audiozoo", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr.strip() == ""


def interrupted(words, *, until, seconds=120):
    """Start a verb as a process, send it what Ctrl-C sends once `until()` is true, and return its status and standard error."""
    command = [sys.executable, "-m", "audiozoo", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        end = time.monotonic() + seconds
        while run.poll() is None and not until() and time.monotonic() < end:
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=seconds)
    # A process that SIGINT itself ends has the status 130 for the shell too.
    return 130 if run.returncode == -signal.SIGINT else run.returncode, err.strip()


@pytest.fixture
def features_kept(tmp_path, monkeypatch):
    """Return a function that tells whether the features of a run are in its own cache, so that its training has begun."""
    cache = tmp_path / "kept"
    monkeypatch.setenv("AUDIOZOO_CACHE", str(cache))
    # Unlike glob, walk passes over a folder that is renamed meanwhile.
    return lambda: any("index.json" in files for _, _, files in os.walk(cache))


# More epochs than any machine trains before the signal arrives.
_ENDLESS = ("--model", "feature_mlp", "--epochs", 100_000)


TRAINED = ("--model", "feature_mlp", "--epochs", 3, "--refit")
"""Three epochs, and a refit if the first or a later one is the best."""


@pytest.fixture
def control_c(monkeypatch):
    """Return a function that makes training send Ctrl-C to itself after an epoch of a stage, once or several times."""

    def after(stage, epoch, times=1):
        original = Watch.epoch_end

        def epoch_end(self, number, logs=None):
            original(self, number, logs)
            if (self.stage, number + 1) == (stage, epoch):
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Watch, "epoch_end", epoch_end)

    return after


def test_control_c_while_features_are_computed_saves_nothing(sound_folder, tmp_path, monkeypatch, audiozoo):
    monkeypatch.setattr("audiozoo.training.fit.extract", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    saved = tmp_path / "a.audiozoo"
    status, _, err = audiozoo("train", sound_folder, "-o", saved, *TRAINED)
    text = f"interrupted: {saved} was not written; the features computed so far are kept for the next run"
    assert (status, err.splitlines(), saved.exists()) == (130, [text], False)


def test_control_c_in_the_first_epoch_saves_nothing(sound_folder, tmp_path, monkeypatch, audiozoo):
    monkeypatch.setattr(Watch, "batch_end", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    saved = tmp_path / "a.audiozoo"
    assert audiozoo("train", sound_folder, "-o", saved, *TRAINED)[0] == 130
    assert not saved.exists()


def test_the_first_control_c_ends_training_and_saves_the_best_epoch(sound_folder, tmp_path, control_c, audiozoo):
    control_c("training", 1)
    saved = tmp_path / "a.audiozoo"
    handler = signal.getsignal(signal.SIGINT)
    status, out, err = audiozoo("train", sound_folder, "-o", saved, *TRAINED)
    assert (status, f"saved {saved}" in out, "Ctrl-C again stops at once" in err) == (0, True, True), err
    about, history = load_classifier(saved).about, load_classifier(saved).history
    assert (about.stopped, about.recipe["refit"], len(history["loss"])) == ("request", False, 2)
    assert f"the weights are those of epoch {about.best_epoch}" in err
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.slow
def test_control_c_while_refitting_saves_the_first_classifier(sound_folder, tmp_path, control_c, monkeypatch, audiozoo):
    monkeypatch.setattr(Watch, "best_epoch", 3)
    control_c("refitting", 1)
    saved = tmp_path / "a.audiozoo"
    assert audiozoo("train", sound_folder, "-o", saved, *TRAINED)[0] == 0
    kept = load_classifier(saved)
    assert (kept.about.stopped, kept.about.recipe["refit"], kept.about.training_clips) == ("request", False, 15)
    assert len(kept.history["val_loss"]) == 3


@pytest.mark.parametrize("stage", ["training", "refitting"])
def test_the_second_control_c_stops_at_once(sound_folder, tmp_path, control_c, audiozoo, stage):
    control_c(stage, 1, times=2)
    saved = tmp_path / "a.audiozoo"
    status, _, err = audiozoo("train", sound_folder, "-o", saved, *TRAINED)
    assert (status, "was not written" in err.splitlines()[-1], saved.exists()) == (130, True, False)


@pytest.mark.slow
def test_a_training_process_ends_on_control_c(sound_folder, tmp_path, features_kept):
    status, _ = interrupted(["train", sound_folder, "-o", tmp_path / "a.audiozoo", *_ENDLESS], until=features_kept)
    # Depending on whether an epoch had ended, the best one was saved.
    assert status == (0 if (tmp_path / "a.audiozoo").exists() else 130)


def test_training_has_a_budget_by_default_and_none_with_epochs(sound_folder, tmp_path, monkeypatch, audiozoo):
    given = []

    def fake(*_, budget, **__):
        given.append(budget)
        raise ValueError("enough")

    monkeypatch.setattr("audiozoo.training.train", fake)
    words = ["train", sound_folder, "-o", tmp_path / "a.audiozoo"]
    for further in ([], ["--minutes", 2], ["--minutes", 0], ["--epochs", 3], ["--epochs", 3, "--minutes", 0]):
        audiozoo(*words, *further)
    assert [one and one.minutes for one in given] == [5.0, 2.0, None, None, None]
    assert all(0 < one.spent < 60 for one in given[:2])  # the check of the clips counts
    status, _, err = audiozoo(*words, "--epochs", 3, "--minutes", 2)
    assert (status, "give only one of them, got --epochs 3 and --minutes 2" in err) == (2, True)
    status, _, err = audiozoo(*words, "--minutes", -1)
    assert (status, "minutes must be a number from 0" in err) == (2, True)
    assert len(given) == 5


@pytest.mark.slow
def test_training_says_what_the_budget_allows(sound_folder, tmp_path, monkeypatch, audiozoo):
    monkeypatch.setattr("audiozoo.training.budget.plan", lambda *_, **__: (2, False))
    saved = tmp_path / "a.audiozoo"
    recipe = tmp_path / "recipe.json"
    # Without patience, the training cannot end before its speed is known.
    recipe.write_text('{"epochs": 5000, "refit": true, "patience": null}')
    words = ["train", sound_folder, "-o", saved, "--model", "feature_mlp", "--recipe", recipe, "--minutes", 5]
    status, _, err = audiozoo(*words)
    assert (status, "5 minutes allow 2 of 5000 epochs (" in err) == (0, True), err
    assert ", without refitting; --minutes 0 trains in full" in err
    about = load_classifier(saved).about
    assert (about.recipe["epochs"], about.recipe["refit"]) == (2, False)
    assert (about.budget["minutes"], about.budget["epochs"], about.budget["full_epochs"]) == (5, 2, 5000)


def test_the_line_about_the_budget():
    figures = {"minutes": 1.0, "step_seconds": 0.1834, "seconds": 50.0, "refit": 1.0}
    assert planned_line(figures, 100, 100, refits=True) == "1 minute allows 100 of 100 epochs (0.18 s a step), with refitting"
    assert planned_line(figures, 100, 100, refits=False) == "1 minute allows 100 of 100 epochs (0.18 s a step)"
    assert planned_line({**figures, "refit": 0.0}, 100, 100, refits=True).endswith(
        "without refitting; --minutes 0 trains in full"
    )


def test_the_bar_counts_down_to_the_end_of_the_refit(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("audiozoo.cli.budget.monotonic", lambda: now[0])
    stages = Stages(Recipe(refit=True))
    stages.note("features", 3, 3, {})
    assert (str(stages.left.render(None)), stages.learnt) == ("", False)
    stages.note("planned", 10, 20, {"minutes": 5.0, "step_seconds": 0.1, "seconds": 125.0, "refit": 1.0})
    assert str(stages.left.render(None)) == "2:05 left"
    stages.note("training", 0, 10, {})
    assert not stages.learnt
    shown = []
    for done, loss in ((1, 0.5), (2, 0.9)):
        now[0] += 3
        shown = stages.note("training", done, 10, {"loss": 0.1, "val_loss": loss, "val_accuracy": loss})
    assert stages.learnt
    assert shown == {"loss": 0.1, "best val_accuracy": 0.5}
    assert stages.left.end == now[0] + 3 * (8 + 10)
    stages.note("refitting", 1, 2, {"loss": 0.1})
    now[0] += 4
    assert stages.note("refitting", 2, 2, {"loss": 0.1})["best val_accuracy"] == 0.5
    assert str(stages.left.render(None)) == "0:00 left"


@pytest.mark.slow
def test_control_c_ends_a_benchmark_and_an_augmentation_in_one_line(sound_folder, tmp_path, features_kept):
    folder = tmp_path / "r"
    words = ["benchmark", "--dataset", "folder", "--root", sound_folder, "-o", folder, "--models", *_ENDLESS[1:]]
    status, err = interrupted(words, until=features_kept)
    assert (status, err) == (130, f"interrupted: finished folds are kept in {folder}, and the same command continues")
    more = tmp_path / "more"
    words = ["augment", sound_folder, "-o", more, "--copies", 2_000, "--jobs", 1]
    status, err = interrupted(words, until=lambda: list(more.rglob("*-0.wav")))
    assert (status, err) == (130, f"interrupted: finished copies are in {more}, and the same command writes the others")


@pytest.mark.parametrize(
    ("words", "target", "kept"),
    [
        (("extract", "FOLDER", "-o", "f.npz"), "audiozoo.features.extract", "in the cache"),
        (("extract", "FOLDER", "-o", "f.npz", "--no-cache"), "audiozoo.features.extract", "nothing was saved"),
        (("info", "house_cnn"), "audiozoo.cli.info._card", "nothing was saved"),
        (("list",), "audiozoo.cli.list_.list_models", "nothing was saved"),
        (("predict", "CLASSIFIER", "FOLDER"), "audiozoo.classifier.Classifier.predict_many", "printed so far are complete"),
        (
            ("predict", "CLASSIFIER", "FOLDER", "--json"),
            "audiozoo.classifier.Classifier.predict_many",
            "no predictions were printed",
        ),
        (("predict", "CLASSIFIER", "FOLDER", "-o", "a.csv"), "audiozoo.classifier.Classifier.predict_many", "in a.csv, and"),
        (("embed", "CLASSIFIER", "FOLDER", "-o", "e.npz"), "audiozoo.classifier.Classifier.embed_many", "nothing was saved"),
        (("embed", "CLASSIFIER", "FOLDER", "-o", "e.csv"), "audiozoo.classifier.Classifier.embed_many", "in e.csv, and"),
        (
            ("embed", "CLASSIFIER", "FOLDER", "-o", "e.parquet"),
            "audiozoo.classifier.Classifier.embed_many",
            "nothing was saved",
        ),
    ],
)
def test_control_c_ends_any_verb_in_one_line(audiozoo, classifier, sound_folder, tmp_path, monkeypatch, words, target, kept):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(target, broken(KeyboardInterrupt()))
    names = {"FOLDER": sound_folder, "CLASSIFIER": classifier}
    status, _, err = audiozoo(*(names.get(word, word) for word in words))
    assert (status, err.count("\n"), err.startswith("interrupted: "), kept in err) == (130, 1, True, True)


def test_help_and_list_load_nothing_heavy():
    for words in (["--help"], ["list"], ["train", "--help"], ["info", "house_cnn"], ["cache", "info"]):
        code = (
            "import sys\nfrom audiozoo.cli import main\n"
            f"sys.argv = ['audiozoo', *{words!r}]\n"
            "try: main()\nexcept SystemExit: pass\n"
            "heavy = ('tensorflow', 'jax', 'torch', 'keras.src', 'librosa', 'numba', 'scipy', 'sklearn', 'matplotlib')\n"
            "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "[]", words


_NO_EPOCHS = ("--model", "feature_mlp", "--epochs", 1)


def saved_recipe(path):
    return load_classifier(path).about.recipe


@pytest.fixture
def odd_folder(sound_folder):
    """The sound folder with a class of one clip, a clipped file, and one sound in two classes."""
    (sound_folder / "rare").mkdir()
    shutil.copy(sound_folder / "low" / "0.wav", sound_folder / "rare" / "0.wav")
    soundfile.write(sound_folder / "low" / "clipped.wav", np.clip(tone(300, 0.5, 8_000, level=9.0), -1, 1), 8_000)
    return sound_folder


def test_inspect(audiozoo, odd_folder, tmp_path):
    picture = tmp_path / "shape.png"
    status, out, err = audiozoo("inspect", odd_folder, "--picture", picture)
    assert status == 0, err
    assert "20 clips of 4 classes" in out
    assert "sample rates: 8,000 Hz (20)" in out
    assert picture.stat().st_size > 1_000
    for warning in ("are clipped", "are in several classes", "have a single recording: rare", "are imbalanced"):
        assert warning.split(":")[0] in out
    data = json.loads(audiozoo("inspect", odd_folder, "--json")[1])
    assert len(data["warnings"]) == out.count("warning: ") == 4
    shutil.rmtree(odd_folder / "rare")
    (odd_folder / "low" / "clipped.wav").unlink()
    assert "no problems found" in audiozoo("inspect", odd_folder)[1]


def test_inspect_lists_bad_files(audiozoo, sound_folder, tmp_path):
    (sound_folder / "low" / "bad.wav").write_bytes(b"no sound")
    soundfile.write(sound_folder / "low" / "long.wav", tone(300, 2.0, 8_000), 8_000)
    status, out, err = audiozoo("inspect", sound_folder)
    assert status == 1
    assert "bad.wav: not a sound file" in err
    assert "unreadable" in out
    assert "2 s      1 #" in out  # the histogram of the durations
    assert audiozoo("inspect", sound_folder, "--picture", tmp_path)[0] == 2


def test_inspect_reads_a_table(audiozoo, sound_folder, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("file,label,start,end\nlow/0.wav,a,0,0.1\nlow/0.wav,b,0.1,0.5\n")
    data = json.loads(audiozoo("inspect", sound_folder, "--table", table, "--json")[1])
    assert [(one["label"], one["seconds"]) for one in data["classes"]] == [("a", 0.1), ("b", 0.4)]


@pytest.mark.slow
def test_train_warns_and_weights_imbalanced_classes(audiozoo, odd_folder, tmp_path):
    path = tmp_path / "my.audiozoo"
    status, out, err = audiozoo("train", odd_folder, "-o", path, *_NO_EPOCHS)
    assert status == 0, err
    assert err.count("warning: ") == 4
    assert 'class_weight "balanced"' in out
    assert saved_recipe(path)["class_weight"] == "balanced"


@pytest.mark.slow
def test_the_class_weight_of_a_recipe_file_is_kept(audiozoo, odd_folder, tmp_path):
    path, recipe = tmp_path / "my.audiozoo", tmp_path / "recipe.json"
    recipe.write_text('{"class_weight": null}')
    _, out, err = audiozoo("train", odd_folder, "-o", path, *_NO_EPOCHS, "--recipe", recipe)
    assert "are imbalanced" in err
    assert "balanced" not in out
    assert saved_recipe(path)["class_weight"] is None


@pytest.mark.slow
def test_balanced_folders_train_without_warnings(audiozoo, sound_folder, tmp_path):
    path = tmp_path / "my.audiozoo"
    status, out, err = audiozoo("train", sound_folder, "-o", path, *_NO_EPOCHS)
    assert (status, err) == (0, "")
    assert "weighted" not in out
    assert saved_recipe(path)["class_weight"] is None


def test_train_refuses_sounds_that_teach_nothing(audiozoo, sound_folder, tmp_path):
    for path in (sound_folder / "low").iterdir():
        path.write_bytes(b"no sound")
    words = ("train", sound_folder, "-o", tmp_path / "my.audiozoo", *_NO_EPOCHS)
    status, _, err = audiozoo(*words)
    assert status == 2
    assert "no clip of 'low' can be read" in err
    assert err.count("not a sound file") == 6
    for path in sound_folder.rglob("*.wav"):
        soundfile.write(path, np.zeros(4_000), 8_000)
    status, _, err = audiozoo(*words)
    assert status == 2
    assert "all 18 readable clips are silent" in err
    assert not (tmp_path / "my.audiozoo").exists()
