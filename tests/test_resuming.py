"""Checkpoints: an interrupted training continues, and ends as one that was never interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audiozoo.augment import Gain
from audiozoo.classifier import load_classifier
from audiozoo.datasets import load_dataset
from audiozoo.features import LogMel
from audiozoo.recipe import Recipe
from audiozoo.training import Budget, Checkpoints, train

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16)
RECIPE = Recipe(
    epochs=4, min_steps=0, batch_size=8, optimizer="adamw", schedule="cosine", warmup=1, augment_wave=Gain(), refit=True
)
OPTIONS = {"filters": (4, 8), "dropout": 0.5}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    data = load_dataset("synthetic", root=tmp_path_factory.mktemp("clips"), clips_per_class=6, duration=0.6)
    return [clip for clip in data.clips if clip.label in ("bell", "rain", "tone")]


def trained(clips, recipe=RECIPE, **how):
    return train("house_cnn", clips, recipe, frontend=FRONTEND, **OPTIONS, **how)


class Interrupted(Exception):
    pass


def until(stage, epoch):
    """Return a callback that interrupts a training at the end of an epoch, before its checkpoint is written."""

    def tell(name, done, total, figures):
        if (name, done) == (stage, epoch):
            raise Interrupted

    return tell


@pytest.fixture(scope="module")
def whole(clips):
    return trained(clips)


@pytest.mark.parametrize(("stage", "epoch"), [("training", 3), ("refitting", 2)])
def test_an_interrupted_training_ends_like_a_whole_one(clips, whole, tmp_path, stage, epoch):
    kept = Checkpoints(tmp_path / "kept", minutes=0)
    epoch = min(epoch, whole.about.best_epoch) if stage == "refitting" else epoch
    with pytest.raises(Interrupted):
        trained(clips, checkpoints=kept, progress=until(stage, epoch))
    told = []
    again = trained(clips, checkpoints=kept, progress=lambda stage, done, total, figures: told.append((stage, done)))
    done = {name: [number for known, number in told if known == name] for name in ("training", "refitting")}
    # The bar starts from the last checkpoint, which is that of the epoch before.
    assert done["training"] == ([epoch - 1, *range(epoch, 5)] if stage == "training" else [4])
    if stage == "refitting":
        assert done[stage] == list(range(max(epoch - 1, 1), whole.about.best_epoch + 1))
    assert list(again.history) == list(whole.history)
    for key, values in whole.history.items():
        np.testing.assert_allclose(again.history[key], values, rtol=1e-4, err_msg=key)
    for one, other in zip(again.scorer.model.weights, whole.scorer.model.weights, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-3, atol=1e-5, err_msg=one.path)
    assert again.about.best_epoch == whole.about.best_epoch
    assert again.temperature == pytest.approx(whole.temperature, rel=1e-3)
    (tmp_path / "kept" / ".training-left.npz").touch()  # by a process that was killed while it wrote
    kept.remove()
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("step", [2, 7, 13])
def test_a_training_continues_within_an_epoch(clips, tmp_path, step):
    recipe = replace(RECIPE, batch_size=4)
    whole = trained(clips, recipe)
    asked = []

    def interrupt():
        asked.append(1)
        if len(asked) == step:
            raise Interrupted
        return False

    kept = Checkpoints(tmp_path, minutes=1e-9)
    with pytest.raises(Interrupted):
        trained(clips, recipe, checkpoints=kept, stop=interrupt)
    reached = json.loads(np.load(tmp_path / "training.npz")["about"].tobytes())["reached"]
    assert reached["steps"] == {2: 2, 7: 3, 13: 1}[step]
    again = trained(clips, recipe, checkpoints=kept)
    for key, values in whole.history.items():
        np.testing.assert_allclose(again.history[key], values, rtol=1e-4, err_msg=key)
    for one, other in zip(again.scorer.model.weights, whole.scorer.model.weights, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-3, atol=1e-5, err_msg=one.path)


def test_a_training_that_early_stopping_has_ended_is_not_repeated(clips, tmp_path):
    kept = Checkpoints(tmp_path, minutes=0)
    recipe = replace(RECIPE, epochs=30, patience=1, learning_rate=0.1, refit=False)
    first = trained(clips, recipe, checkpoints=kept)
    epochs = len(first.history["loss"])
    assert epochs < 30
    told = []
    again = trained(clips, recipe, checkpoints=kept, progress=lambda stage, *_: told.append(stage))
    assert told.count("training") == 1
    assert again.history == first.history
    for one, other in zip(again.scorer.model.weights, first.scorer.model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_the_time_between_checkpoints(clips, tmp_path):
    with pytest.raises(Interrupted):
        trained(clips, checkpoints=Checkpoints(tmp_path, minutes=60), progress=until("training", 3))
    assert not list(tmp_path.iterdir())


def test_checkpoints_of_another_training_are_refused(clips, tmp_path):
    kept = Checkpoints(tmp_path, minutes=0)
    with pytest.raises(Interrupted):
        trained(clips, checkpoints=kept, progress=until("training", 3))
    before = (tmp_path / "training.npz").read_bytes()
    with pytest.raises(ValueError, match=r"training\.npz: no checkpoint of this training.*it has another recipe"):
        trained(clips, Recipe(epochs=4, min_steps=0, batch_size=4), checkpoints=kept)
    with pytest.raises(ValueError, match="it has another set of clips"):
        trained(clips[1:], checkpoints=kept)
    assert (tmp_path / "training.npz").read_bytes() == before


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: b"", lambda content: b"PK" + content[9:]])
def test_a_damaged_checkpoint_is_refused(clips, tmp_path, damage):
    kept = Checkpoints(tmp_path, minutes=0)
    with pytest.raises(Interrupted):
        trained(clips, checkpoints=kept, progress=until("training", 2))
    path = tmp_path / "training.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"training\.npz: no checkpoint of this training: remove its folder"):
        trained(clips, checkpoints=kept)


def test_a_budget_has_no_checkpoints(clips, tmp_path):
    with pytest.raises(ValueError, match="leave the budget or the checkpoints out"):
        trained(clips, checkpoints=Checkpoints(tmp_path), budget=Budget(minutes=1))
    with pytest.raises(ValueError, match="minutes"):
        Checkpoints(tmp_path, minutes=-1)


@pytest.mark.slow
def test_killed_and_started_again_a_training_ends_as_if_never_killed(tmp_path):
    load_dataset("synthetic", root=tmp_path / "sounds", clips_per_class=6, duration=1.0)
    command = [sys.executable, "-c", "from audiozoo.cli import main; main()", "train", tmp_path / "sounds", "--epochs", "12"]
    whole, killed = tmp_path / "whole.audiozoo", tmp_path / "killed.audiozoo"
    subprocess.run([*command, "-o", whole], check=True, capture_output=True)
    kept = tmp_path / "killed.audiozoo.checkpoints"
    again = [*command, "-o", killed, "--checkpoints", "0"]
    running = subprocess.Popen(again, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (kept / "training.npz").exists():
        assert running.poll() is None
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not killed.exists()
    done = subprocess.run(again, check=True, capture_output=True, text=True)
    assert "saved" in done.stdout
    assert not kept.exists()
    ends = [load_classifier(path).history for path in (whole, killed)]
    assert list(ends[0]) == list(ends[1])
    for key, values in ends[0].items():
        np.testing.assert_allclose(ends[1][key], values, rtol=1e-3, err_msg=key)


@pytest.mark.parametrize(
    ("words", "reason"),
    [(["--minutes", "3"], "leave out --minutes 3"), (["--probe", "--model", "yamnet"], "leave it out")],
)
def test_checkpoints_that_the_way_of_training_does_not_have(audiozoo, clips, tmp_path, words, reason):
    sounds = Path(clips[0].path).parents[1]
    status, _, err = audiozoo("train", sounds, "-o", tmp_path / "a", "--checkpoints", "5", *words)
    assert status == 2
    assert reason in err.replace("\n", " ")
