"""The accuracy of single sub-bands, and the mean and deviation of bands by class."""

import numpy as np
import pytest

from audiozoo import Classifier, audio, build
from audiozoo.classifier.facts import TrainingFacts
from audiozoo.datasets import Clip, load_dataset
from audiozoo.features import LogMel, Statistics, Waveform
from audiozoo.report import band_picture, band_statistics, sub_band_accuracy, sub_band_picture

FRONTEND = LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=128, n_mels=30)


@pytest.fixture
def classifier():
    """A SubSpectralNet of two sub-bands, of which the lower says "low" and the upper says "noise", whatever they hear."""
    model = build("subspectralnet", 3, input_shape=FRONTEND.shape, auxiliary=True, seed=1)
    for name, chosen in (("logits", 0), ("sub_band_0", 1), ("sub_band_1", 2)):
        layer = model.get_layer(name)
        layer.set_weights([np.zeros_like(layer.get_weights()[0]), 9 * np.eye(3)[chosen]])
    return Classifier.from_keras(model, FRONTEND, ("high", "low", "noise"))


def test_each_sub_band_is_measured_alone(classifier, sound_folder, tmp_path):
    clips = load_dataset("folder", root=sound_folder).clips
    found = sub_band_accuracy(classifier, clips)
    assert found.joint.tolist() == [1, 0, 0]
    assert found.accuracy.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert found.clips.tolist() == [6, 6, 6]
    assert found.best == {"low": found.names[0], "noise": found.names[1]}, "no sub-band recognises the class high"
    assert found.failures == {}
    picture = sub_band_picture(found, tmp_path / "bands.png", title="a $b$")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_class_without_clips_has_no_accuracy_and_an_unreadable_clip_is_named(classifier, sound_folder, tmp_path):
    low = [clip for clip in load_dataset("folder", root=sound_folder).clips if clip.label == "low"]
    found = sub_band_accuracy(classifier, [*low, Clip(str(tmp_path / "missing.wav"), ("low",))])
    assert np.isnan(found.accuracy[:, [0, 2]]).all()
    assert list(found.best) == ["low"]
    assert list(found.failures) == [6]
    assert sub_band_picture(found, tmp_path / "bands.png").exists()


def test_sub_bands_are_named_by_their_range(classifier, sound_folder):
    clips = load_dataset("folder", root=sound_folder).clips
    assert sub_band_accuracy(classifier, clips).names == ("sub-band 1", "sub-band 2"), "the origin of the model is not known"
    classifier.about = TrainingFacts(model="subspectralnet", options={"auxiliary": True})
    first, last = (f"{value:.0f} Hz" for value in FRONTEND.axis.values[[0, 10]])
    names = sub_band_accuracy(classifier, clips).names
    assert [name.split(" to ")[0] for name in names] == [first, last]
    assert names[1].endswith(f" to {FRONTEND.axis.values[-1] / 1_000:.1f} kHz")


def test_a_model_without_sub_bands_is_refused(sound_folder):
    clips = load_dataset("folder", root=sound_folder).clips
    model = build("feature_mlp", 3, input_shape=(8,))
    frontend = Statistics(of=LogMel(sample_rate=8_000, duration=0.5, n_fft=256, n_mels=4), reduce=("mean", "deviation"))
    with pytest.raises(ValueError, match="subspectralnet"):
        sub_band_accuracy(Classifier.from_keras(model, frontend, ("high", "low", "noise")), clips)


def test_the_statistics_of_bands_are_those_of_all_frames(sound_folder, tmp_path):
    clips = load_dataset("folder", root=sound_folder).clips
    found = band_statistics(FRONTEND, clips)
    waves = [clip for clip in clips if clip.label == "low"]
    frames = np.concatenate([FRONTEND(audio.read(clip.path)[0])[..., 0] for clip in waves], axis=1)
    place = found.labels.index("low")
    np.testing.assert_allclose(found.mean[place], frames.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(found.deviation[place], frames.std(axis=1), rtol=1e-3, atol=1e-4)
    assert found.mean[place].argmax() < found.mean[found.labels.index("high")].argmax()
    assert band_picture(found, tmp_path / "bands.png", title="x").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="LogMel"):
        band_statistics(Waveform(sample_rate=8_000, duration=0.5), clips)


def test_evaluate_draws_them(audiozoo, classifier, sound_folder, tmp_path):
    classifier.save(tmp_path / "a.audiozoo")
    pictures = tmp_path / "sub.png", tmp_path / "bands.png"
    status, _, said = audiozoo(
        "evaluate", tmp_path / "a.audiozoo", sound_folder, "--sub-bands", pictures[0], "--bands", pictures[1]
    )
    assert status == 0, said
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_evaluate_refuses_sub_bands_and_bands_before_it_evaluates(audiozoo, sound_folder, tmp_path):
    model = build("feature_mlp", 3, input_shape=(8,))
    frontend = Statistics(of=LogMel(sample_rate=8_000, duration=0.5, n_fft=256, n_mels=4), reduce=("mean", "deviation"))
    Classifier.from_keras(model, frontend, ("high", "low", "noise")).save(tmp_path / "a.audiozoo")
    for option, said in (("--sub-bands", "train subspectralnet"), ("--bands", "need features (bands, frames, channels)")):
        status, printed, error = audiozoo("evaluate", tmp_path / "a.audiozoo", sound_folder, option, tmp_path / "a.png")
        assert (status, printed) == (2, "")
        assert said in " ".join(error.split())
