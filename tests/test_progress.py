import inspect

import pytest

import audiozoo
from audiozoo import augment, crossval, training
from audiozoo.augment.files import augment_files, find_sources
from audiozoo.features import LogMel, extract
from audiozoo.progress import Progress
from audiozoo.training import Recipe, train


@pytest.mark.parametrize(
    "function", [extract, train, training.train_examples, augment_files, crossval.benchmark, crossval.evaluate]
)
def test_whatever_takes_long_has_the_same_protocol(function):
    progress = inspect.signature(function).parameters["progress"]
    assert (progress.annotation, progress.default) == ("Progress | None", None)
    assert function.__globals__["Progress"] is Progress


def test_one_callback_serves_extraction_augmentation_and_training(sound_folder, tmp_path):
    seen = []

    def progress(stage, done, total, figures):
        seen.append((stage, done, total, sorted(figures)))

    clips = audiozoo.load_dataset("folder", root=sound_folder).clips
    extract(clips, LogMel(sample_rate=8_000, duration=0.5, n_fft=256, n_mels=20), progress=progress)
    assert seen[-1] == ("features", 18, 18, [])
    augment_files(find_sources([sound_folder]), augment.Gain(), tmp_path / "more", progress=progress)
    assert seen[-1] == ("copies", 18, 18, [])
    train("feature_mlp", clips, Recipe(epochs=2, validation=0.0, refit=False), progress=progress)
    assert ("features", 18, 18, []) in seen
    assert seen[-1] == ("training", 2, 2, ["loss"])
