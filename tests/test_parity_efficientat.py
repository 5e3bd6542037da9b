"""EfficientAT against its published code, and what its checkpoints can be used for."""

import keras
import numpy as np
import pytest
from parity import assert_near, assert_parity, fixture, made_sound, made_tensors, save_checkpoint
from torchfiles import save_torch

import audiozoo

NAMES = ("mn04", "mn05", "mn10", "mn20", "mn40")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("mn04"), fixture("mn04")[0])


@pytest.mark.parametrize("name", ["mn04", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mn05", "mn10"))])
def test_equals_the_reference(name, tmp_path):
    checkpoint = save_checkpoint(tmp_path, fixture(name)[0])
    assert_parity(name, checkpoint, features=lambda values: values[..., 0])


@pytest.fixture(scope="module")
def any_length(checkpoint):
    return audiozoo.build("mn04", 527, input_shape=(128, None, 1), weights_file=checkpoint, activation=None)


def test_takes_sounds_of_any_length(any_length):
    facts, expected = fixture("mn04")
    features = audiozoo.model_info("mn04").frontend.adapt(duration=facts["seconds"])(made_sound(facts))
    assert_near(any_length.predict_on_batch(features[None])[0], expected["logits"], relative=1e-4)
    assert np.isfinite(any_length.predict_on_batch(features[None, :, :1])).all()


def test_other_classes_keep_a_random_last_layer(checkpoint):
    model = audiozoo.build("mn04", 3, input_shape=(128, 100, 1), weights_file=checkpoint)
    tensors = made_tensors(fixture("mn04")[0])
    head = keras.ops.convert_to_numpy(model.get_layer("head").kernel)
    assert np.array_equal(head, tensors["classifier.2.weight"].T)
    assert model.get_layer("logits").kernel.shape == (tensors["classifier.2.weight"].shape[0], 3)


def test_a_checkpoint_of_another_width_is_refused(any_length, tmp_path):
    other = save_checkpoint(tmp_path, fixture("mn05")[0])
    before = any_length.get_weights()
    with pytest.raises(ValueError, match=r"made\.pth.*mn04 needs .*build the variant that the checkpoint is from"):
        audiozoo.model_info("mn04").load_weights(any_length, other)
    assert all(map(np.array_equal, any_length.get_weights(), before))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"features.1.block.1.0.weight": None}, r"features\.1\.block\.1\.0\.weight missing"),
        ({"features.17.0.weight": np.ones(3, np.float32)}, r"no place for features\.17\.0\.weight"),
        ({"classifier.5.bias": np.full(527, np.nan, np.float32)}, r"classifier\.5\.bias holds NaN"),
        ({"classifier.2.bias": np.ones(3, np.float32)}, r"classifier\.2\.bias is \(3,\), mn04 needs \(512,\)"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_the_tensor(changed, reason, any_length, tmp_path):
    tensors = {**made_tensors(fixture("mn04")[0]), **changed}
    path = save_torch(tmp_path / "bad.pt", {name: tensor for name, tensor in tensors.items() if tensor is not None})
    with pytest.raises(ValueError, match=reason):
        audiozoo.model_info("mn04").load_weights(any_length, path)


def test_weights_tell_their_origin():
    for name in NAMES:
        [published] = audiozoo.model_info(name).weights.values()
        assert published.licence == "MIT"
        assert published.labels[0] == "Speech"
        assert len(published.labels) == 527
        assert f"/v0.0.1/{name}_as_" in published.url


def test_impossible_widths_are_refused():
    with pytest.raises(ValueError, match="width must be"):
        audiozoo.build("mn10", 3, width=0.0)


@pytest.mark.slow
def test_finetuning_runs_from_a_checkpoint(checkpoint, sound_folder):
    clips = audiozoo.load_dataset("folder", root=sound_folder).clips
    # The made statistics of normalisation are not those of the sounds, so these layers must stay frozen.
    recipe = audiozoo.Recipe(epochs=2, batch_size=6, learning_rate=1e-4, standardize=None)
    tuned = audiozoo.training.finetune("mn04", clips, recipe, weights_file=checkpoint, unfreeze="tail")
    assert tuned.frontend.duration == 1.0
    assert tuned.about.licence == "MIT"
    right = [tuned.predict(clip.path).label in clip.labels for clip in clips]
    assert np.mean(right) > 0.5
