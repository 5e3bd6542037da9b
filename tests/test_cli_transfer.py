"""The options of ``audiozoo train`` that start from a trained network."""

from dataclasses import replace

import numpy as np
import pytest
from test_transfer import FRONTEND, chirps, network

from audiozoo import load_classifier, load_dataset
from audiozoo.cli.transfer import Transfer
from audiozoo.training import FINETUNING, probe


@pytest.fixture
def start(tmp_path):
    path = tmp_path / "start.audiozoo"
    network().save(path)
    return path


def test_a_probe_of_a_saved_classifier(audiozoo, start, sound_folder, tmp_path):
    path = tmp_path / "my.audiozoo"
    status, out, err = audiozoo("train", sound_folder, "-o", path, "--probe", "--from", start, "--no-cache")
    assert status == 0, err
    assert "% on held-out recordings" in out
    made = load_classifier(path)
    assert made.scorer.kind == "probe"
    assert made.frontend == FRONTEND
    status, out, err = audiozoo("train", sound_folder, "-o", path, "--from", path, "--epochs", 1, "--unfreeze", "0.5")
    assert status == 0, err
    assert load_classifier(path).scorer.kind == "keras"
    assert load_classifier(path).about.recipe["learning_rate"] == FINETUNING.learning_rate


def test_classes_are_added_to_a_saved_classifier(audiozoo, sound_folder, tmp_path):
    path, clips = tmp_path / "my.audiozoo", load_dataset("folder", root=sound_folder).clips
    probe(network(), clips).save(path)
    for label in ("jump", "leap"):
        chirps(tmp_path / "new", label)
    status, _, err = audiozoo("train", tmp_path / "new", "-o", tmp_path / "more.audiozoo", "--extend", "--from", path)
    assert status == 0, err
    grown = load_classifier(tmp_path / "more.audiozoo")
    assert grown.labels == ("high", "low", "noise", "jump", "leap")
    assert np.mean([grown.predict(clip.path).label == clip.label for clip in clips]) > 0.9


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--probe"], "house_cnn has no published weights to start from: pass --from FILE"),
        (["--finetune", "--model", "feature_mlp"], "feature_mlp has no published weights"),
        (["--probe", "--finetune"], "exclude each other"),
        (["--extend"], "needs the classifier to extend: --from FILE"),
        (["--unfreeze", "logits"], "--unfreeze is for --finetune"),
        (["--probe", "--from", "absent.audiozoo"], "absent.audiozoo: no such file"),
        (["--probe", "--model", "yamnet", "--devices", "2"], "--devices is for the training of a network"),
        (["--probe", "--model", "yamnet", "--checkpoints", "5"], "--checkpoints is for the training of a network"),
        (["--devices", "several"], "devices must be 'all' or a number of devices, got 'several'"),
    ],
)
def test_options_that_contradict_are_refused_before_anything_is_read(audiozoo, sound_folder, tmp_path, words, reason):
    status, _, err = audiozoo("train", sound_folder, "-o", tmp_path / "my.audiozoo", *words)
    assert status == 2
    assert reason in err
    assert not (tmp_path / "my.audiozoo").exists()


def test_the_seed_and_the_share_of_a_probe_are_those_of_the_recipe(start, sound_folder):
    clips = load_dataset("folder", root=sound_folder).clips
    transfer = Transfer("house_cnn", probe=True, origin=start)
    made = transfer.run(clips, replace(FINETUNING, seed=5, validation=0.3))
    assert {**made.about.notes["probe"], "C": 0} == {"C": 0, "seed": 5, "validation": 0.3}
