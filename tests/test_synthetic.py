"""The synthetic sounds are reproducible, varied and within range, in memory and on disk."""

import os
import time

import numpy as np
import pytest

from audiozoo import audio
from audiozoo.datasets import synthetic as module
from audiozoo.datasets.synthetic import LABELS, synthesize, synthetic

SMALL = {"clips_per_class": 2, "folds": 2, "duration": 0.25, "sample_rate": 8_000}


def small(root=None, **changes):
    return synthetic(root, **{**SMALL, **changes})


def dry(label, *, seed, rate):
    """Synthesise without room and background."""
    take = module._Take(np.random.default_rng(seed), rate, rate)
    return module._CLASSES[label](take)


def power(wave):
    return np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2


def test_ten_labels_in_alphabetical_order():
    assert len(set(LABELS)) == 10
    assert list(LABELS) == sorted(LABELS)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("label", LABELS)
def test_every_sound_is_a_float32_waveform_within_its_range(label, rate):
    for seed in range(2):
        wave = synthesize(label, rng=seed, sample_rate=rate, duration=0.7)
        assert wave.dtype == np.float32
        assert wave.shape == (round(0.7 * rate),)
        assert np.isfinite(wave).all()
        assert 10 ** (-20.1 / 20) < np.abs(wave).max() < 10 ** (-2.9 / 20)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("samples", [1, 2, 441])
def test_very_short_sounds_are_not_silent(label, samples):
    wave = synthesize(label, rng=0, duration=samples / 22_050)
    assert wave.shape == (samples,)
    assert np.isfinite(wave).all()
    assert wave.any()


@pytest.mark.parametrize("label", LABELS)
def test_only_the_same_seed_gives_the_same_sound(label):
    first, again, other = (synthesize(label, rng=rng, duration=0.5) for rng in (3, np.random.default_rng(3), 4))
    np.testing.assert_array_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.5


@pytest.mark.parametrize("label", ["bird_chirp", "siren", "tone"])
def test_no_partial_aliases(label):
    # Without the cut at 0.45 of the rate, partials fold back to every frequency, the top of the band included.
    for seed in range(8):
        spectrum = power(dry(label, seed=seed, rate=8_000))
        assert spectrum[3_800:].sum() < 1e-5 * spectrum.sum()


def test_a_tone_keeps_its_pitch_at_any_rate():
    # One second each, so that a bin is one hertz.
    low = [power(dry("tone", seed=seed, rate=8_000)).argmax() for seed in range(4)]
    high = [power(dry("tone", seed=seed, rate=48_000)).argmax() for seed in range(4)]
    assert np.abs(np.subtract(low, high)).max() <= 2
    assert len(set(low)) == 4


def test_clips_have_their_class_fold_and_recording():
    clips = small(clips_per_class=7, folds=3).clips
    assert [clip.labels for clip in clips] == [(label,) for label in LABELS for _ in range(7)]
    assert [clip.fold for clip in clips[:7]] == [1, 2, 3, 1, 2, 3, 1]
    assert [clip.group for clip in clips[:2]] == [f"{LABELS[0]}-00", f"{LABELS[0]}-01"]
    assert len({clip.path for clip in clips}) == len({clip.group for clip in clips}) == 70


def test_the_default_is_a_hundred_clips_of_two_seconds_in_five_balanced_folds():
    began = time.process_time()
    data = synthetic()
    # About 0.7 s; the bound leaves room for a slow machine and still notices a class that became ten times slower.
    assert time.process_time() - began < 4
    assert (data.name, data.labels, len(data)) == ("synthetic", LABELS, 100)
    for _, train, test in data.splits():
        assert (len(train), len(test)) == (80, 20)
        assert sorted(clip.label for clip in test) == sorted(2 * LABELS)
    wave, rate = audio.read(data.clips[0].path)
    assert (wave.shape, rate) == ((44_100,), 22_050)


def test_a_clip_depends_on_its_seed_class_and_number_only():
    few, more, other = small(), small(clips_per_class=4), small(seed=1)
    kept = {clip.group: clip.path for clip in more.clips}
    assert all(kept[clip.group] == clip.path for clip in few.clips)
    assert not {clip.path for clip in few.clips} & {clip.path for clip in other.clips}


def test_a_clip_equals_synthesize_with_the_same_generator():
    clip = small(seed=5).clips[3]
    wave = synthesize(LABELS[1], rng=np.random.default_rng([5, 1, 1]), sample_rate=8_000, duration=0.25)
    np.testing.assert_allclose(audio.read(clip.path)[0], wave, atol=1 / 32_768)


def test_files_contain_the_same_sounds_as_memory(tmp_path):
    written, held = small(tmp_path), small()
    for on_disk, in_memory in zip(written.clips, held.clips, strict=True):
        label, group = on_disk.label, on_disk.group
        assert on_disk.path == str(tmp_path / label / f"{group}.wav")
        assert (label, group, on_disk.fold) == (in_memory.label, in_memory.group, in_memory.fold)
        np.testing.assert_array_equal(audio.read(on_disk.path)[0], audio.read(in_memory.path)[0])
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 20


def test_only_files_with_wrong_content_are_written_again(tmp_path):
    kept, broken, *_ = (clip.path for clip in small(tmp_path).clips)
    os.utime(kept, (1, 1))
    with open(broken, "wb") as file:
        file.write(b"cut short")
    small(tmp_path)
    assert os.stat(kept).st_mtime == 1
    assert len(audio.read(broken)[0]) == 2_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"duration": 0}, "duration must be .*got 0; try 2.0"),
        ({"duration": float("nan")}, "duration must be .*got nan"),
        ({"duration": float("inf")}, "duration must be .*got inf"),
        ({"sample_rate": 0}, "sample_rate must be at least 8000 Hz.*got 0; "),
        ({"sample_rate": 7_999}, "sample_rate must be at least 8000 Hz.*got 7999.*resample"),
        ({"clips_per_class": 0}, "got folds=2, clips_per_class=0; try folds=2, clips_per_class=2"),
        ({"folds": 1}, "folds must be at least 2.*got folds=1, clips_per_class=2; try folds=2"),
        ({"folds": 3}, "at most clips_per_class, got folds=3, clips_per_class=2; try folds=2"),
        ({"seed": -1}, "seed must not be negative, got -1; use 0"),
    ],
)
def test_invalid_options_raise_with_rule_value_and_way_out(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        small(tmp_path, **changes)
    assert not list(tmp_path.iterdir())


def test_an_unknown_label_proposes_the_nearest():
    with pytest.raises(ValueError, match="unknown label 'sirene'; did you mean 'siren'"):
        synthesize("sirene", rng=0)
    with pytest.raises(ValueError, match="duration must be"):
        synthesize("siren", rng=0, duration=-1)
