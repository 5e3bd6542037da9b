"""Clips with several labels: splits, training, thresholds, benchmarks and the command line."""

from dataclasses import replace

import numpy as np
import pytest

import audiozoo
from audiozoo.augment import ByClass, Gain, Mixup
from audiozoo.classifier import load_classifier
from audiozoo.classifier.thresholds import fitted_thresholds
from audiozoo.datasets import Clip, Dataset, hold_out, load_dataset
from audiozoo.training import Recipe, target_matrix, targets_of, train
from audiozoo.training.examples import example_weights

QUICK = Recipe(epochs=40, batch_size=8, learning_rate=1e-2, validation=0.25)


@pytest.fixture
def data(mixtures):
    return load_dataset("folder", root=mixtures.parent, table=mixtures)


def tagged(rng, clips=400, labels=12, per_recording=2):
    """Return clips with one to three labels, of which the last are rare, `per_recording` clips a recording."""
    chances = 1 / np.arange(1, labels + 1)
    names = np.array([f"label {number}" for number in range(labels)])
    sets = [rng.choice(names, rng.integers(1, 4), replace=False, p=chances / chances.sum()) for _ in range(clips)]
    return tuple(
        Clip(f"{number}.wav", tuple(map(str, chosen)), group=str(number // per_recording)) for number, chosen in enumerate(sets)
    )


def unevenness(clips, parts, count):
    """Return the mean distance between the share of each label in each part and its share of all clips (Sechidis et al.)."""
    labels = sorted({label for clip in clips for label in clip.labels})
    matrix = target_matrix(clips, labels)
    each = [matrix[parts == part].sum(axis=0) / matrix.sum(axis=0) for part in range(count)]
    return np.abs(np.array(each) - 1 / count).mean()


def test_folds_have_the_same_share_of_each_label(rng):
    clips = tagged(rng)
    data = Dataset("tags", clips, tuple(sorted({label for clip in clips for label in clip.labels})))
    folds = np.array([clip.fold - 1 for clip in data.with_folds(5).clips])
    ours = unevenness(clips, folds, 5)
    random = [unevenness(clips, np.repeat(rng.permutation(200) % 5, 2), 5) for _ in range(20)]
    assert ours < 0.5 * min(random)
    assert np.ptp(np.bincount(folds)) <= 0.2 * len(clips) / 5
    recordings = {clip.group: set() for clip in clips}
    for clip, fold in zip(clips, folds, strict=True):
        recordings[clip.group].add(fold)
    assert {len(found) for found in recordings.values()} == {1}
    assert data.with_folds(5) == data.with_folds(5) != data.with_folds(5, seed=1)


@pytest.mark.parametrize("seed", range(5))
def test_hold_out_leaves_each_label_on_both_sides(seed):
    clips = tagged(np.random.default_rng(seed), clips=60, labels=10)
    once = Clip("once.wav", ("once", "label 0"))
    clips = (*clips, once)
    held = hold_out(clips, 0.2, seed=seed)
    assert not held[-1], "a label with a single recording is for training"
    labels = sorted({label for clip in clips for label in clip.labels} - {"once"})
    sides = [{label for clip, out in zip(clips, held, strict=True) if out == side for label in clip.labels} for side in (0, 1)]
    recordings = {label: {clip.group for clip in clips if label in clip.labels} for label in labels}
    assert sides[0] == {*labels, "once"}
    assert {label for label in labels if len(recordings[label]) > 1} - sides[1] == set()
    assert 0.1 < held.mean() < 0.35
    assert (
        len({clip.group for clip in np.array(clips, object)[held]} & {clip.group for clip in np.array(clips, object)[~held]})
        == 0
    )


def test_thresholds_of_highest_f1():
    scores = np.array([[0.9, 0.2, 0.3, 0.4], [0.8, 0.1, 0.3, 0.6], [0.3, 0.3, 0.3, 0.1], [0.1, 0.4, 0.2, 0.2]], np.float32)
    targets = np.array([[1, 0, 1, 0], [1, 0, 1, 1], [0, 1, 1, 0], [0, 1, 0, 0]])
    assert fitted_thresholds(scores, targets) == pytest.approx((0.55, 0.25, 0.25, 0.5))
    assert fitted_thresholds(scores, np.zeros_like(targets)) == (0.5,) * 4, "without positives"
    # The best set has the two highest of three equal scores' clips: equal scores cannot be separated.
    assert fitted_thresholds(np.array([[0.4], [0.4], [0.2]]), np.array([[1], [0], [0]])) == pytest.approx((0.3,))
    everywhere = fitted_thresholds(np.array([[0.4], [0.2]]), np.ones((2, 1), int))
    assert everywhere == pytest.approx((0.1,)), "each clip is positive"


@pytest.mark.slow
def test_a_classifier_learns_which_classes_are_present(data, tmp_path):
    assert (data.metric, data.labels) == ("map", ("high", "low", "noise"))
    classifier = train("feature_mlp", data.clips, QUICK)
    assert classifier.activation == "sigmoid"
    assert classifier.about.options["activation"] == "sigmoid"
    assert set(classifier.about.validation) == {"val_loss", "val_map"}
    assert classifier.about.validation["val_map"] > 0.8
    right = np.mean([set(classifier.predict(clip.path).present) == set(clip.labels) for clip in data.clips])
    assert right > 0.6  # one of six sets of labels would be right by chance
    assert classifier.thresholds != (0.5,) * 3
    classifier.save(tmp_path / "several.audiozoo")
    again = load_classifier(tmp_path / "several.audiozoo")
    assert again.thresholds == classifier.thresholds
    assert again.predict(data.clips[3].path).present == classifier.predict(data.clips[3].path).present


@pytest.mark.slow
def test_thresholds_belong_to_tempered_scores_and_are_kept_by_the_refit(data):
    chosen = train("feature_mlp", data.clips, QUICK)
    refitted = train("feature_mlp", data.clips, replace(QUICK, refit=True))
    assert refitted.thresholds == chosen.thresholds
    assert refitted.temperature == chosen.temperature != 1
    held = [clip for clip, out in zip(data.clips, hold_out(data.clips, 0.25, seed=0), strict=True) if out]
    scores = np.stack([chosen.predict(clip.path).scores for clip in held])
    assert chosen.thresholds == pytest.approx(fitted_thresholds(scores, target_matrix(held, chosen.labels)), abs=1e-5)


@pytest.mark.slow
def test_without_held_out_clips_the_thresholds_are_one_half(data):
    classifier = train("feature_mlp", data.clips, replace(QUICK, epochs=1, validation=0))
    assert classifier.thresholds == (0.5,) * 3
    # Each label has a single recording, so none can be held out.
    once = [replace(clip, group="one recording") for clip in data.clips]
    assert train("feature_mlp", once, replace(QUICK, epochs=1)).thresholds == (0.5,) * 3


def test_augmentation_mixes_several_labels(data):
    recipe = replace(QUICK, epochs=2, mix=Mixup(), augment_wave=Gain(), class_weight="balanced", label_smoothing=0.1)
    assert len(train("feature_mlp", data.clips, recipe).history["val_map"]) == 2


def test_one_label_a_clip_stays_one_label(sound_folder):
    clips = load_dataset("folder", root=sound_folder).clips
    assert targets_of(clips, ("high", "low", "noise")).shape == (18,)
    classifier = train("feature_mlp", clips, replace(QUICK, epochs=1))
    assert (classifier.activation, classifier.thresholds) == ("softmax", None)


def test_a_clip_has_the_mean_weight_of_its_classes(data):
    from audiozoo.training import Examples

    targets = np.array([[1, 0], [1, 0], [1, 1], [0, 1]])
    examples = Examples(data.clips[:4], None, targets, np.arange(3))
    weights = example_weights(examples, Recipe(class_weight="balanced"))[:3]
    # Four labels of two classes: 4 / (2 * 3) and 4 / (2 * 1).
    assert weights == pytest.approx([2 / 3, 2 / 3, (2 / 3 + 2) / 2])


def test_bad_input_is_refused(data):
    with pytest.raises(ValueError, match="need activation='sigmoid', got 'softmax'"):
        train("feature_mlp", data.clips, QUICK, activation="softmax")
    with pytest.raises(ValueError, match="ByClass needs one label"):
        train("feature_mlp", data.clips, replace(QUICK, augment_wave=ByClass({"low": Gain()})))
    with pytest.raises(ValueError, match="no clips of nobody"):
        train("feature_mlp", data.clips, QUICK, labels=[*data.labels, "nobody"])
    with pytest.raises(ValueError, match="'noise' is not one of the classes"):
        train("feature_mlp", data.clips, QUICK, labels=["high", "low"])
    with pytest.raises(ValueError, match="must be one of 'map'"):
        Dataset("mine", data.clips, data.labels, metric="accuracy")
    folds = replace(data, clips=tuple(replace(clip, fold=1 + ("noise" in clip.labels)) for clip in data.clips))
    with pytest.raises(ValueError, match=r"fold 2: no training clip has the label\(s\) noise"):
        list(folds.splits())


def test_a_table_without_a_label_is_refused(mixtures):
    mixtures.write_text(mixtures.read_text() + "0.wav, ;\n")
    with pytest.raises(ValueError, match="has no label; give clips with none of the classes one such as 'background'"):
        load_dataset("folder", root=mixtures.parent, table=mixtures)
    mixtures.write_text("file,label\n0.wav,low;low\n1.wav,high\n")
    once = load_dataset("folder", root=mixtures.parent, table=mixtures)
    assert (once.clips[0].labels, once.metric) == (("low",), "accuracy")


def test_every_model_can_give_several_labels():
    without = [name for name in audiozoo.list_models() if "activation" not in audiozoo.model_info(name).options]
    assert without == []
