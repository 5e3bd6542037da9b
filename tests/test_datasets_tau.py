import re

import numpy as np
import pytest
import soundfile

from audiozoo.datasets import Clip, load_dataset

NAME = "TAU-urban-acoustic-scenes-2022-mobile-development"
TRAIN = [("bus", "lyon-1", "a"), ("park", "lyon-2", "b")]
TEST = [("bus", "paris-3", "s4"), ("park", "paris-4", "a")]


def file_of(scene, identifier, device):
    return f"audio/{scene}-{identifier}-0-0-{device}.wav"


def listed(path, clips):
    path.write_text("filename\tscene_label\n" + "".join(f"{file_of(*clip)}\t{clip[0]}\n" for clip in clips))


@pytest.fixture
def root(tmp_path):
    base = tmp_path / NAME
    (base / "audio").mkdir(parents=True)
    (base / "evaluation_setup").mkdir()
    unlisted = ("tram", "oslo-5", "s6")
    lines = ["filename\tscene_label\tidentifier\tsource_label"]
    for clip in (*TRAIN, *TEST, unlisted):
        lines.append("\t".join([file_of(*clip), *clip]))
        (base / file_of(*clip)).touch()
    (base / "meta.csv").write_text("\n".join(lines) + "\n")
    listed(base / "evaluation_setup" / "fold1_train.csv", TRAIN)
    listed(base / "evaluation_setup" / "fold1_evaluate.csv", TEST)
    return tmp_path


@pytest.mark.parametrize("below", ["", NAME])
def test_the_published_split_and_devices(root, below):
    data = load_dataset("tau2022", root=root / below)
    assert (data.name, data.metric, data.labels, data.notes) == ("tau2022", "macro_accuracy", ("bus", "park"), ())
    ((fold, train, test),) = data.splits()
    assert fold == 1
    assert [(clip.label, clip.group, clip.domain) for clip in train] == TRAIN
    assert [(clip.label, clip.group, clip.domain) for clip in test] == TEST


def test_what_is_missing_is_named(root):
    base = root / NAME
    (base / file_of(*TEST[0])).unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 4 sounds are missing, .*bus-paris-3-0-0-s4\.wav"):
        load_dataset("tau2022", root=root)
    listed(base / "evaluation_setup" / "fold1_train.csv", [("bus", "rome-1", "a")])
    with pytest.raises(ValueError, match=r"1 file\(s\) are not in meta\.csv, .*rome-1"):
        load_dataset("tau2022", root=root)
    (base / "evaluation_setup" / "fold1_train.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"unpack .*meta\.zip"):
        load_dataset("tau2022", root=root)


def test_a_clip_has_no_domain_by_default():
    assert Clip("a.wav", ("a",)).domain == ""


def test_the_benchmark_prints_the_score_by_device(root, audiozoo, tmp_path):
    for place, path in enumerate(sorted((root / NAME / "audio").glob("*.wav"))):
        soundfile.write(path, np.random.default_rng(place).normal(0, 0.1, 4_000), 8_000)
    words = ("--dataset", "tau2022", "--root", root, "--models", "feature_mlp", "--epochs", 1, "--jobs", 0)
    status, out, err = audiozoo("benchmark", *words, "-o", tmp_path / "runs")
    assert status == 0, err
    head, line = (re.split(r" *[┃│] *", text)[1:-1] for text in out[out.index("by domain") :].splitlines()[2:5:2])
    assert head == ["model", "seen", "unseen", "a", "s4 (unseen)"]
    assert line[0] == "feature_mlp"
    assert all(score.endswith(" %") for score in line[1:])
