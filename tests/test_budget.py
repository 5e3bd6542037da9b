"""Training within a budget of time, and requests to stop."""

from dataclasses import replace

import numpy as np
import pytest

from audiozoo.classifier import TrainingFacts
from audiozoo.config import Configured
from audiozoo.datasets import Clip, load_dataset
from audiozoo.training import Budget, Recipe, budget, train
from audiozoo.training.budget import Clock, plan

SMALL = Recipe(epochs=4, batch_size=4, validation=0.3, schedule="cosine", learning_rate=1e-2)


@pytest.fixture
def clips(sound_folder):
    return load_dataset("folder", root=sound_folder).clips


@pytest.fixture
def time(monkeypatch):
    """Replace the clock of budgets by one that advances by a second whenever it is read, or to any later time."""

    class Time:
        now = 0.0

        def read(self):
            self.now += 1
            return self.now

    time = Time()
    monkeypatch.setattr(budget, "monotonic", time.read)
    return time


def weights_of(classifier):
    return classifier.scorer.model.get_weights()


def assert_same(classifier, other):
    for one, two in zip(weights_of(classifier), weights_of(other), strict=True):
        np.testing.assert_array_equal(one, two)
    assert classifier.history == other.history
    assert classifier.temperature == other.temperature


@pytest.mark.parametrize(
    ("seconds", "refit_epoch", "chosen"),
    [
        (222.5, 1.2, (100, True)),  # 100, 2 and 120 s
        (221, 1.2, (78, True)),  # 0.8 * 221 - 2 * 2 = 172.8 s are 78 epochs of both
        (221, None, (100, False)),
        (145, 1.2, (50, True)),  # 0.8 * 145 - 2 * 2 = 112 s are 50 epochs of both
        (120, 1.2, (100, False)),  # 47 epochs with the refit are fewer than half
        (100, 1.2, (100, False)),
        (99, 1.2, (77, False)),
        (99, None, (77, False)),
        (10, 1.2, (6, False)),
        (1, 1.2, (1, False)),
        (0, None, (1, False)),
    ],
)
def test_the_plan(seconds, refit_epoch, chosen):
    assert plan(seconds, epochs=100, start=2.0, epoch=1.0, refit_epoch=refit_epoch) == chosen


def test_the_time_spent_before_the_training_counts():
    assert Clock(Budget(minutes=1, spent=20)).left == pytest.approx(40, abs=1)
    assert Clock(Budget(minutes=1, spent=90)).ended == "budget"
    with pytest.raises(ValueError, match="spent must be a number from 0"):
        Budget(minutes=1, spent=-1)


def test_a_plan_ends_in_time():
    for seconds in np.linspace(20, 400, 77):
        epochs, refit = plan(seconds, epochs=100, start=5.0, epoch=1.5, refit_epoch=1.9)
        assert 1 <= epochs <= 100
        restarts = epochs < 100
        assert epochs * (1.5 + 1.9 * refit) + 5 * (restarts + refit) <= seconds


def test_a_budget_is_a_value():
    assert Configured.from_config(Budget(minutes=2).to_config()) == Budget(minutes=2.0)
    for minutes in (-1, float("nan"), float("inf"), True, "5"):
        with pytest.raises(ValueError, match="minutes must be a number"):
            Budget(minutes=minutes)


@pytest.mark.slow
def test_a_shortened_training_is_the_one_with_as_many_epochs(clips, time):
    seen = []
    recipe = replace(SMALL, epochs=100, refit=True)
    short = train("feature_mlp", clips, recipe, budget=Budget(minutes=3), progress=lambda *step: seen.append(step))
    epochs = short.about.recipe["epochs"]
    assert 1 < epochs < 50
    assert (short.about.stopped, len(short.history["loss"])) == (None, epochs)
    assert short.about.budget["full_epochs"] == 100
    assert short.about.budget["epochs"] == epochs
    assert [step[:3] for step in seen if step[0] == "planned"] == [("planned", epochs, 100)]
    assert seen[-1][:3] == ("training", epochs, epochs)
    assert [step[0] for step in seen].index("measuring") < seen.index(("training", 0, epochs, {}))
    assert_same(short, train("feature_mlp", clips, replace(recipe, epochs=epochs, refit=False)))
    assert_same(short, train("feature_mlp", clips, Recipe.from_config(short.about.recipe)))


@pytest.mark.slow
def test_a_budget_that_suffices_changes_nothing(clips):
    seen = []
    recipe = replace(SMALL, refit=True)
    budgeted = train("feature_mlp", clips, recipe, budget=Budget(minutes=60), progress=lambda *step: seen.append(step))
    assert_same(budgeted, train("feature_mlp", clips, recipe))
    assert Recipe.from_config(budgeted.about.recipe) == recipe
    assert [step[1] for step in seen if step[0] == "training"] == [1, 2, 3, 4]


@pytest.mark.slow
def test_when_time_is_up_training_keeps_the_best_epoch(clips, time):
    def slower(stage, done, total, figures):
        if (stage, done) == ("training", 2):
            time.now += 10_000

    classifier = train("feature_mlp", clips, replace(SMALL, refit=True), budget=Budget(minutes=100), progress=slower)
    assert (classifier.about.stopped, len(classifier.history["loss"])) == ("budget", 2)
    assert classifier.about.recipe["refit"] is False
    assert classifier.about.validation["val_loss"] == min(classifier.history["val_loss"])
    assert TrainingFacts.from_dict(classifier.about.to_dict()) == classifier.about


@pytest.mark.slow
def test_without_time_training_makes_a_step(clips, time):
    classifier = train("feature_mlp", clips, SMALL, budget=Budget(minutes=0.001))
    assert (classifier.about.stopped, len(classifier.history["loss"])) == ("budget", 1)
    assert np.isfinite(classifier.predict(clips[0].path).scores).all()


@pytest.mark.parametrize("stage", ["training", "refitting"])
def test_a_request_ends_training_and_keeps_the_best_epoch(clips, stage, monkeypatch):
    reached = []
    monkeypatch.setattr("audiozoo.training.watch.Watch.best_epoch", 3)  # so that a refit has an epoch to be stopped in
    classifier = train(
        "feature_mlp",
        clips,
        replace(SMALL, refit=True),
        progress=lambda *step: reached.append(step[:2]),
        stop=lambda: (stage, 1) in reached,
    )
    assert (classifier.about.stopped, classifier.about.recipe["refit"]) == ("request", False)
    epochs = 1 if stage == "training" else 4
    assert len(classifier.history["val_loss"]) == epochs
    assert "refit_loss" not in classifier.history
    assert classifier.about.training_clips < len(clips)


def test_a_request_in_the_first_epoch_keeps_the_weights_of_that_step(clips):
    classifier = train("feature_mlp", clips, SMALL, stop=lambda: True)
    assert classifier.about.stopped == "request"
    assert len(classifier.history["val_loss"]) == 1


def test_keyboard_interrupt_reaches_the_caller(clips):
    def progress(stage, done, total, figures):
        if stage == "training":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("feature_mlp", clips, SMALL, progress=progress, budget=Budget(minutes=5))


ONE_WAVE = {
    "all clips silent": lambda label, rng: np.zeros(4_000),
    "clips of 10 ms": lambda label, rng: rng.uniform(-1, 1, 80) * label,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ONE_WAVE)
def test_house_cnn_trains_on_clips_without_content(case, rng, write_sound):
    clips = [
        Clip(str(write_sound(ONE_WAVE[case](label, rng), name=f"{label}-{number}.wav")), (str(label),))
        for label in range(2)
        for number in range(4)
    ]
    recipe = replace(SMALL, epochs=2, refit=True)
    classifier = train("house_cnn", clips, recipe, budget=Budget(minutes=60), filters=(8, 16))
    scores = classifier.predict(clips[0].path).scores
    assert np.isfinite(scores).all()
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    if case == "all clips silent":
        assert scores.tolist() == pytest.approx([0.5, 0.5], abs=0.2)


@pytest.mark.slow
def test_without_recordings_to_hold_out_there_is_no_validation_and_no_refit(clips, time):
    single = [next(clip for clip in clips if clip.label == label) for label in ("low", "high", "noise")]
    classifier = train("feature_mlp", single, replace(SMALL, epochs=200, refit=True), budget=Budget(minutes=2))
    assert classifier.about.validation is None
    assert len(classifier.history["loss"]) == classifier.about.budget["epochs"] < 200
    assert classifier.about.best_epoch == classifier.about.budget["epochs"]
