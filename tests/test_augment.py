import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiozoo.augment import Compose, FilterAugment, Gain, Mix, Mixup, SpecAugment, TimeRoll, TimeShift, Transform

WAVES = [Gain(), TimeShift(), Gain(p=0.5), Compose(transforms=(Gain(), TimeShift()))]
FEATURES = [
    TimeRoll(),
    SpecAugment(),
    FilterAugment(),
    FilterAugment(knots=(1, 1)),
    Compose(transforms=(TimeRoll(), SpecAugment())),
]


def check(transform, x, seed):
    x = x.astype(np.float32)
    before = x.copy()
    x.flags.writeable = False
    once = transform(x, sample_rate=8_000, rng=np.random.default_rng(seed))
    again = transform(x, sample_rate=8_000, rng=np.random.default_rng(seed))
    assert np.array_equal(once, again)
    assert np.array_equal(x, before)
    assert (once.shape, once.dtype) == (x.shape, np.float32)
    assert np.isfinite(once).all()
    return once


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(1, 300), channels=st.integers(0, 2), seed=st.integers(0, 999))
@pytest.mark.parametrize("transform", WAVES, ids=repr)
def test_waveform_transforms_are_pure(transform, samples, channels, seed):
    shape = (samples, channels) if channels else (samples,)
    check(transform, np.random.default_rng(seed).uniform(-1, 1, shape), seed)


@settings(max_examples=25, deadline=None)
@given(bands=st.integers(1, 40), frames=st.integers(1, 60), channels=st.integers(1, 2), seed=st.integers(0, 999))
@pytest.mark.parametrize("transform", FEATURES, ids=repr)
def test_feature_transforms_are_pure(transform, bands, frames, channels, seed):
    check(transform, np.random.default_rng(seed).normal(-40, 20, (bands, frames, channels)), seed)


@pytest.mark.parametrize("transform", [*WAVES, *FEATURES], ids=repr)
def test_config_and_repr_round_trip(transform):
    assert Transform.from_config(json.loads(json.dumps(transform.to_config()))) == transform
    assert eval(repr(transform)) == transform


def test_gain_is_exact(rng):
    wave = rng.uniform(-1, 1, 100).astype(np.float32)
    assert np.allclose(Gain(gain_db=(6, 6))(wave, rng=rng), wave * 10 ** (6 / 20))


@pytest.mark.parametrize(("transform", "axis"), [(TimeShift(shift=(0.25, 0.25)), 0), (TimeRoll(shift=(0.25, 0.25)), 1)])
def test_rolls_are_exact(transform, axis, rng):
    x = rng.normal(size=(8, 8, 1)).astype(np.float32)
    assert np.array_equal(transform(x, rng=rng), np.roll(x, 2, axis=axis))


def test_spec_augment_blanks_no_more_than_it_says(rng):
    x = rng.normal(size=(40, 100, 1)).astype(np.float32)
    masked = SpecAugment(freq_masks=2, freq_width=0.125, time_masks=0)(x, rng=rng)
    rows = np.flatnonzero((masked != x).any(axis=(1, 2)))
    assert 0 < len(rows) <= 10
    assert np.allclose(masked[rows], x.mean())


def test_filter_augment_is_a_line_between_knots(rng):
    x = np.zeros((32, 5, 1), np.float32)
    coloured = FilterAugment(gain_db=(-6, 6), knots=(2, 2))(x, rng=rng)
    assert np.abs(coloured).max() <= 6
    assert np.array_equal(coloured[:, 0], coloured[:, 4])
    assert (np.abs(np.diff(coloured[:, 0, 0], 2)) > 1e-4).sum() <= 4


@pytest.mark.parametrize("transform", FEATURES, ids=repr)
def test_feature_transforms_refuse_a_vector(transform, rng):
    with pytest.raises(ValueError, match="bands, frames"):
        transform(np.zeros(40, np.float32), rng=rng)


def test_p_is_how_often(rng):
    wave = np.ones(4, np.float32)
    changed = [Gain(gain_db=(1, 1), p=0.3)(wave, rng=rng)[0] != 1 for _ in range(2_000)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.04)
    assert Gain(p=0)(wave, rng=rng) is wave


def test_mixup_mixes_labels_as_it_mixes_sounds(rng):
    y = np.eye(16, dtype=np.float32)
    mixed, labels = Mixup(alpha=1.0)(y.reshape(16, 4, 4, 1), y, rng=rng)
    assert np.allclose(mixed.reshape(16, 16), labels)
    assert np.allclose(labels.sum(axis=1), 1)
    assert (labels > 0.01).sum() > 16
    pure, same = Mixup(p=0)(y, y, rng=rng)
    assert np.array_equal(pure, y)
    assert np.array_equal(same, y)
    assert Mix.from_config(Mixup(alpha=0.4).to_config()) == Mixup(alpha=0.4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gain(p=1.5),
        lambda: Gain(gain_db=(6, -6)),
        lambda: TimeShift(shift=(1, 0)),
        lambda: TimeRoll(shift=(1, 0)),
        lambda: FilterAugment(gain_db=(1, 0)),
        lambda: FilterAugment(knots=(0, 2)),
        lambda: SpecAugment(freq_masks=-1),
        lambda: SpecAugment(time_width=25),
        lambda: Mixup(alpha=0),
        lambda: Mixup(p=2),
    ],
)
def test_refuses_impossible_settings(make):
    with pytest.raises(ValueError, match=r"must be|needs"):
        make()


def test_stands_alone():
    code = "import sys, audiozoo.augment; print([m for m in ('keras', 'librosa', 'numba', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
