import itertools
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
import soundfile
from conftest import tone

import audiozoo
from audiozoo import metrics
from audiozoo.augment import (
    AddBackground,
    AddNoise,
    BetweenClass,
    ByClass,
    Compose,
    Downmix,
    Filter,
    FilterAugment,
    Gain,
    Mixup,
    Speed,
    TimeRoll,
    TimeShift,
    TimeStretch,
)
from audiozoo.datasets import Clip, hold_out, load_dataset
from audiozoo.features import LogMel, Scaler, extract
from audiozoo.registry import table
from audiozoo.training import Examples, Recipe, frontend_for, held_out, run, start, target_indices, train
from audiozoo.training.batches import Batches
from audiozoo.training.examples import example_weights
from audiozoo.training.optimization import optimizer as optimizer_of

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=16)
QUICK = Recipe(epochs=15, batch_size=6, learning_rate=1e-2, validation=0.3)


@pytest.fixture
def clips(sound_folder):
    return load_dataset("folder", root=sound_folder).clips


@pytest.fixture
def examples(clips):
    labels = sorted({clip.label for clip in clips})
    return Examples(clips, extract(clips, FRONTEND), target_indices(clips, labels), np.arange(len(clips)))


def test_the_windows_of_some_examples(examples):
    some = examples.subset(np.array([4, 1]))
    assert some.window_index.tolist() == [4, 1]
    with pytest.warns(DeprecationWarning, match=r"Examples\.window_index"):
        assert some.rows.tolist() == [4, 1]


def batches_of(examples, recipe, outputs=1):
    return Batches(examples, recipe, Scaler.identity(), FRONTEND, 3, outputs)


def batches(*arguments, **options):
    with batches_of(*arguments, **options).stream() as stream:
        yield from stream


@pytest.fixture
def trained(clips):
    return train("house_cnn", clips, QUICK, frontend=FRONTEND, filters=(8, 16))


def test_training_separates_three_sounds(trained, clips):
    assert trained.history["loss"][-1] < trained.history["loss"][0] / 2
    assert np.mean([trained.predict(clip.path).label == clip.label for clip in clips]) > 0.8
    assert trained.labels == ("high", "low", "noise")


def test_the_best_epoch_is_restored(trained):
    losses = trained.history["val_loss"]
    assert trained.about.best_epoch == int(np.argmin(losses)) + 1
    assert trained.about.validation["val_loss"] == min(losses)
    assert len(losses) == 15
    assert trained.about.training_clips == 12


def test_the_same_seed_gives_the_same_classifier(clips):
    def weights(seed):
        recipe = Recipe(epochs=2, batch_size=8, seed=seed, mix=Mixup(), augment_features=TimeRoll())
        return train("house_cnn", clips, recipe, frontend=FRONTEND, filters=(4, 8)).scorer.model.get_weights()

    first, second, other = weights(3), weights(3), weights(4)
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(first, second, strict=True))
    assert not np.allclose(first[0], other[0])


def test_training_starts_from_weights(trained, clips, tmp_path):
    trained.scorer.model.save_weights(tmp_path / "start.weights.h5")
    gently = Recipe(epochs=1, learning_rate=1e-9, validation=0)
    options = {"frontend": FRONTEND, "weights_file": tmp_path / "start.weights.h5", "filters": (8, 16)}
    continued = train("house_cnn", clips, gently, **options)
    before, after = (model.scorer.model.get_layer("logits").get_weights() for model in (trained, continued))
    assert all(np.allclose(one, other, atol=1e-6) for one, other in zip(before, after, strict=True))
    assert continued.about.weights == "start.weights.h5"
    with pytest.warns(DeprecationWarning, match="weights_file="):
        former = train("house_cnn", clips, gently, **{**options, "weights": options.pop("weights_file")})
    assert former.about.weights == "start.weights.h5"
    with pytest.raises(ValueError, match="unknown weights of house_cnn 'audioset'"):
        train("house_cnn", clips, gently, frontend=FRONTEND, weights="audioset")


def test_min_steps_adds_epochs(clips):
    classifier = train("feature_mlp", clips, Recipe(epochs=2, min_steps=10, batch_size=8, validation=0))
    assert len(classifier.history["loss"]) == 4


def test_patience_stops_early(clips):
    recipe = Recipe(epochs=60, batch_size=8, learning_rate=1e-12, validation=0.3, patience=3, optimizer="sgd")
    history = train("feature_mlp", clips, recipe).history
    assert len(history["loss"]) == 4


@pytest.mark.slow
def test_refitting_uses_all_clips_for_the_best_number_of_epochs(clips):
    recipe = Recipe(epochs=4, batch_size=8, validation=0.3, refit=True)
    classifier = train("feature_mlp", clips, recipe)
    assert classifier.about.training_clips == 18
    assert len(classifier.history["val_loss"]) == 4
    assert len(classifier.history["refit_loss"]) == classifier.about.best_epoch
    assert classifier.about.validation["val_loss"] == min(classifier.history["val_loss"])


@pytest.mark.slow
@pytest.mark.parametrize("refit", [False, True])
def test_the_rejection_level_keeps_a_share_of_the_held_out_clips(clips, refit, monkeypatch):
    judged = []
    monkeypatch.setattr(held_out, "rejection_level", lambda familiarity, share: judged.append((familiarity, share)) or 0.25)
    recipe = Recipe(epochs=2, batch_size=8, validation=0.3, refit=refit)
    classifier = train("feature_mlp", clips, recipe, unknown=0.6)
    # One level for both trainings, from the clips that the first has not learnt from, after the temperature.
    ((familiarity, share),) = judged
    assert (classifier.rejection, share, len(familiarity)) == (0.25, 0.6, 6)
    if not refit:
        chosen = hold_out(clips, 0.3, seed=recipe.seed)
        scored = classifier.score_clips([clip for clip, out in zip(clips, chosen, strict=True) if out])
        assert familiarity == pytest.approx(scored.scores.max(axis=1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unknown": 0.95}, r"unknown=0\.95 needs at least 19 held-out clips, and there are 6"),
        ({"unknown": 1.0}, "must be a number from"),
        ({"unknown": 0.5, "labels": ("high", "low", "unknown")}, "a class is named 'unknown'"),
    ],
)
def test_a_rejection_level_that_cannot_be_found_is_refused_before_the_training(clips, changes, reason, monkeypatch):
    monkeypatch.setattr(start, "build", None)
    named = [
        replace(clip, labels=tuple("unknown" if "labels" in changes and x == "noise" else x for x in clip.labels))
        for clip in clips
    ]
    with pytest.raises(ValueError, match=reason):
        train("feature_mlp", named, Recipe(epochs=1, validation=0.3), **changes)


def test_without_validation_the_last_epoch_is_kept(clips):
    classifier = train("feature_mlp", clips, Recipe(epochs=2, validation=0))
    assert classifier.about.validation is None
    assert classifier.about.best_epoch == 2
    assert "val_loss" not in classifier.history


@pytest.mark.slow
def test_training_uses_auxiliary_outputs_and_prediction_the_first_output(clips):
    frontend = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=64, n_mels=20)
    before = audiozoo.build("subspectralnet", 3, input_shape=frontend.shape, auxiliary=True, seed=0)
    classifier = train(
        "subspectralnet", clips, Recipe(epochs=1, batch_size=9, validation=0), frontend=frontend, sub_band_size=10
    )
    model = classifier.scorer.model
    assert len(model.outputs) == 3
    assert len(before.outputs) == 2
    assert classifier.predict(tone(250, 0.5, 8_000), sample_rate=8_000).scores.shape == (3,)
    assert classifier.about.options == {"auxiliary": True, "sub_band_size": 10}


def test_a_sigmoid_trains_with_binary_crossentropy_and_logits_raise(clips):
    recipe = Recipe(epochs=1, batch_size=6, validation=0)
    classifier = train("feature_mlp", clips, recipe, activation="sigmoid")
    sums = [classifier.predict(clip.path).scores.sum() for clip in clips]
    assert max(abs(total - 1) for total in sums) > 0.05
    assert classifier.history["loss"][0] == pytest.approx(np.log(2), abs=0.15)
    with pytest.raises(ValueError, match="activation"):
        train("feature_mlp", clips, recipe, activation=None)


def test_a_model_with_a_default_sigmoid_trains_with_binary_crossentropy(clips, monkeypatch):
    spec = audiozoo.model_info("feature_mlp")
    several = replace(spec, name="several", builder=partial(spec.builder, activation="sigmoid"))
    monkeypatch.setitem(table._SPECS, "several", several)
    classifier = train("several", clips, Recipe(epochs=1, batch_size=6, validation=0))
    assert classifier.history["loss"][0] == pytest.approx(np.log(2), abs=0.15)


def test_every_clip_gives_one_window_an_epoch(examples):
    recipe = Recipe(batch_size=5)
    epoch = list(itertools.islice(batches(examples, recipe), 4))
    assert [len(x) for x, _, _ in epoch] == [5, 5, 5, 3]
    seen = np.concatenate([x for x, _, _ in epoch])
    assert sorted(seen.sum(axis=(1, 2, 3))) == pytest.approx(sorted(examples.features.values.sum(axis=(1, 2, 3))))


def test_windows_and_augmentation_depend_on_epoch_and_clip_only(examples):
    recipe = Recipe(batch_size=18, augment_features=Compose(transforms=(TimeRoll(), FilterAugment())))
    whole = next(batches(examples, recipe))
    part = next(batches(examples.subset(np.arange(7)), recipe))
    find = {round(float(y.argmax())): None for y in whole[1]}
    assert len(find) == 3
    matches = [(np.abs(whole[0] - x).max(axis=(1, 2, 3)) < 1e-6).sum() for x in part[0]]
    assert matches == [1] * 7
    first, second = itertools.islice(batches(examples, recipe), 2)
    assert not np.allclose(np.sort(first[0].sum(axis=(1, 2, 3))), np.sort(second[0].sum(axis=(1, 2, 3))))


def test_waveform_augmentation_reaches_the_features(examples, clips):
    louder = Recipe(batch_size=18, augment_wave=Gain(gain_db=(6.0, 6.0)))
    x, _, _ = next(batches(examples, louder))
    plain, _, _ = next(batches(examples, Recipe(batch_size=18)))
    assert np.allclose(x - plain, 6, atol=1e-2)
    classifier = train("feature_mlp", clips, Recipe(epochs=1, augment_wave=TimeShift(), batch_size=8))
    assert np.isfinite(classifier.history["loss"]).all()


def test_classes_have_their_own_augmentation(examples):
    by_class = Recipe(batch_size=18, augment_wave=ByClass({"low": Gain(gain_db=(6.0, 6.0))}))
    (x, y, _), (plain, _, _) = next(batches(examples, by_class)), next(batches(examples, Recipe(batch_size=18)))
    changed = np.abs(x - plain).max(axis=(1, 2, 3)) > 1
    assert np.array_equal(changed, y.argmax(axis=1) == examples.targets[[clip.label for clip in examples.clips].index("low")])
    features = replace(by_class, augment_wave=None, augment_features=ByClass({"low": FilterAugment(gain_db=(6.0, 6.0))}))
    assert np.allclose(next(batches(examples, features))[0][changed] - plain[changed], 6, atol=1e-3)


def test_waveforms_are_mixed_before_the_frontend(examples):
    mixed, y, _ = next(batches(examples, Recipe(batch_size=18, mix_wave=BetweenClass())))
    plain, _, _ = next(batches(examples, Recipe(batch_size=18)))
    assert mixed.shape == plain.shape
    assert ((y > 0).sum(axis=1) == 2).all()
    assert not np.allclose(mixed, plain, atol=1)


def test_augmented_waves_of_another_length_fit_the_window_again(examples):
    shorter = Recipe(batch_size=18, augment_wave=Speed(rate=(1.5, 1.5), keep_length=False))
    assert next(batches(examples, shorter))[0].shape == next(batches(examples, Recipe(batch_size=18)))[0].shape


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_are_the_same_with_any_number_of_workers(examples, workers, monkeypatch):
    # Too few bytes for all waveforms, so that training reads some again.
    monkeypatch.setattr("audiozoo.training.batches._WAVES_KEPT", 40_000)
    chain = Compose([AddNoise(), TimeStretch(), TimeShift(p=0.5)])
    made = batches_of(examples, Recipe(batch_size=4, augment_wave=chain, mix=Mixup()))
    with made.stream(0) as alone, made.stream(workers) as stream:
        for _ in range(12):
            (x, y, _), (same, labels, _) = next(alone), next(stream)
            assert np.array_equal(x, same)
            assert np.array_equal(y, labels)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_augmentation_stops_training_with_its_own_message(clips, workers, tmp_path):
    (tmp_path / "noises").mkdir()
    write = partial(soundfile.write, samplerate=8_000)
    for number in range(9):
        write(tmp_path / "noises" / f"{number}.wav", np.full(800, 0.1))
    (tmp_path / "noises" / "bad.wav").write_bytes(b"RIFF")
    recipe = Recipe(epochs=30, batch_size=4, validation=0, augment_wave=AddBackground(tmp_path / "noises", p=0.3))
    with pytest.raises(ValueError, match=r"bad\.wav"):
        train("feature_mlp", clips, recipe, workers=workers)
    with pytest.raises(ValueError, match="below half the sample rate"):
        train("feature_mlp", clips, replace(recipe, augment_wave=Filter(frequency=(90_000.0, 90_000.0))), workers=workers)


@pytest.mark.slow
def test_training_can_be_stopped_while_batches_are_made(clips):
    class Stop(Exception):
        pass

    def progress(stage, done, total, figures):
        if stage == "training" and done == 2:
            raise Stop

    slow = Recipe(epochs=30, batch_size=4, validation=0, augment_wave=TimeStretch())
    with pytest.raises(Stop):
        train("feature_mlp", clips, slow, progress=progress, workers=2)


def test_an_unknown_class_in_by_class_raises(clips):
    recipe = Recipe(epochs=1, validation=0, augment_wave=ByClass({"lwo": Gain()}))
    with pytest.raises(ValueError, match="unknown class in ByClass 'lwo'; did you mean 'low'"):
        train("feature_mlp", clips, recipe)


def test_augmentation_that_drops_channels_raises(clips):
    stereo = replace(FRONTEND, channels=2)
    examples = Examples(clips, extract(clips, stereo), target_indices(clips, ["high", "low", "noise"]), np.arange(len(clips)))
    recipe = Recipe(augment_wave=Downmix(keep_channels=False))
    batches = Batches(examples, recipe, Scaler.identity(), stereo, 3, 1)
    with pytest.raises(ValueError, match=r"must not change the channels, \(2,\),.* got \(\)"), batches.stream() as stream:
        next(stream)


def test_mixed_labels_are_soft_and_the_same_for_each_output(examples):
    _, y, weights = next(batches(examples, Recipe(batch_size=18, mix=Mixup(alpha=1.0)), outputs=3))
    assert isinstance(y, tuple)
    assert len(y) == 3
    assert ((y[0] > 0.05) & (y[0] < 0.95)).any()
    assert np.allclose(y[0].sum(axis=1), 1)
    assert weights.tolist() == [1] * 18


def test_class_and_clip_weights(examples):
    fewer = examples.subset(np.r_[0:6, 6:8, 12:14])
    weights = example_weights(fewer, Recipe(class_weight="balanced"))
    assert weights[[0, 6, 12]] == pytest.approx([10 / 18, 10 / 6, 10 / 6])
    heavy = Examples([Clip("a.wav", ("a",), weight=2.5)], examples.features, np.zeros(1, int), np.arange(1))
    assert example_weights(heavy, Recipe()).tolist() == [2.5]


def rates(recipe, steps=10, epochs=20):
    rate = optimizer_of(recipe, steps, epochs)._learning_rate
    return [float(keras.ops.convert_to_numpy(rate(step))) for step in range(0, steps * epochs + 1, steps)]


def test_schedules():
    cosine = rates(Recipe(schedule="cosine", learning_rate=0.1))
    assert (cosine[0], cosine[10], cosine[20]) == (pytest.approx(0.1), pytest.approx(0.05), pytest.approx(0, abs=1e-6))
    warm = rates(Recipe(schedule="cosine", learning_rate=0.1, warmup=4))
    assert warm[0] == pytest.approx(0.001)
    assert warm[4] == pytest.approx(0.1)
    assert warm[20] == pytest.approx(0, abs=1e-6)
    flat = rates(Recipe(learning_rate=0.1, warmup=4))
    assert flat[4:] == pytest.approx([0.1] * 17)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_optimizers(optimizer):
    made = optimizer_of(Recipe(optimizer=optimizer, learning_rate=0.02), 5, 5)
    assert type(made).__name__.lower() == optimizer
    assert float(made.learning_rate) == pytest.approx(0.02)


def test_a_frontend_fits_the_clips(write_sound, clips, tmp_path):
    assert frontend_for("house_cnn", clips).duration == 1.0
    stereo = write_sound(np.zeros((3 * 8_000, 2)), name="stereo.wav")
    frontend = frontend_for("subspectralnet", [*clips, Clip(str(stereo), ("low",)), Clip(str(tmp_path / "gone.wav"), ("low",))])
    assert (frontend.duration, frontend.channels, frontend.shape) == (3.0, 2, (40, 150, 2))
    assert frontend_for("house_cnn", [Clip(str(stereo), ("low",), end=1.5)]).duration == 1.5
    assert frontend_for("subspectralnet", [Clip("gone.wav", ("low",))]) == audiozoo.model_info("subspectralnet").frontend


def test_unreadable_clips_raise_or_are_recorded(clips, tmp_path):
    (tmp_path / "empty.wav").touch()
    spoilt = [*clips, Clip(str(tmp_path / "empty.wav"), ("low",))]
    with pytest.raises(ValueError, match=r"empty\.wav"):
        train("feature_mlp", spoilt, Recipe(epochs=1))
    classifier = train("feature_mlp", spoilt, Recipe(epochs=1, validation=0), strict=False)
    assert "empty.wav" in classifier.about.failures[0]
    assert classifier.about.training_clips == 18
    only = [clip for clip in clips if clip.label != "low"] + spoilt[-1:]
    with pytest.raises(ValueError, match=r"no clips of low(.|\n)*empty\.wav"):
        train("feature_mlp", only, Recipe(epochs=1), strict=False)


def test_invalid_training_data_raise(clips):
    with pytest.raises(ValueError, match="at least two classes"):
        train("feature_mlp", [clip for clip in clips if clip.label == "low"])
    with pytest.raises(ValueError, match="no clips of bark"):
        train("feature_mlp", clips, labels=["low", "high", "noise", "bark"])
    with pytest.raises(ValueError, match="'noise' is not one of the classes"):
        train("feature_mlp", clips, labels=["low", "high"])
    with pytest.raises(ValueError, match="did you mean 'dropout'"):
        train("feature_mlp", clips, droput=0.1)
    several = [*clips, Clip(clips[0].path, ("low", "high"))]
    with pytest.raises(ValueError, match="has the labels low, high, but exactly one is needed"):
        target_indices(several, ["low", "high", "noise"])


def test_a_class_with_one_clip_is_for_training_only(clips):
    single = [clip for clip in clips if clip.label != "low"] + [clip for clip in clips if clip.label == "low"][:1]
    classifier = train("feature_mlp", single, Recipe(epochs=1, validation=0.3))
    assert classifier.about.training_clips == 4 + 4 + 1


def test_a_loss_that_is_not_finite_raises(clips):
    with pytest.raises(ValueError, match="smaller learning_rate"):
        train("feature_mlp", clips, Recipe(epochs=3, learning_rate=1e30, optimizer="sgd", validation=0))


def test_progress_is_reported(clips):
    seen = []
    train("feature_mlp", clips, Recipe(epochs=2, validation=0.3), progress=lambda *step: seen.append(step))
    assert [step[:3] for step in seen if step[0] == "training"] == [("training", 1, 2), ("training", 2, 2)]
    assert seen[0][:3] == ("features", 1, 18)
    assert set(seen[-1][3]) == {"loss", "val_loss", "val_accuracy"}


@pytest.mark.parametrize("refit", [False, True])
def test_training_in_half_precision_gives_a_model_in_full_precision(clips, monkeypatch, refit):
    policies = []

    class Spied(run.KerasScorer):
        def __init__(self, model):
            policies.append(model.layers[1].compute_dtype)
            super().__init__(model)

    monkeypatch.setattr(run, "KerasScorer", Spied)
    recipe = replace(QUICK, epochs=4, mixed_precision=True, refit=refit)
    classifier = train("house_cnn", clips, recipe, frontend=replace(FRONTEND, frames=32))
    half = policies[0]
    assert half in ("bfloat16", "float16")
    assert policies == [half, "float32"] * (1 + refit)
    assert {layer.compute_dtype for layer in classifier.scorer.model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    if not refit:
        held = [clip for clip, out in zip(clips, hold_out(clips, recipe.validation, seed=0), strict=True) if out]
        classifier.temperature = 1.0
        scores = np.stack([classifier.answer(clip.path).scores for clip in held])
        loss = metrics.log_loss(scores, target_indices(held, classifier.labels))
        assert loss == pytest.approx(classifier.about.validation["val_loss"], rel=0.05)
