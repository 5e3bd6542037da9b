import json
import math
import shutil
import subprocess
import sys

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
from conftest import tone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiozoo import augment
from audiozoo.augment import (
    AddBackground,
    AddNoise,
    BetweenClass,
    ByClass,
    ChannelSwap,
    Clipping,
    Codec,
    Compose,
    Crop,
    CutMix,
    Downmix,
    Filter,
    FilterAugment,
    FrequencyShift,
    Gain,
    Mix,
    Mixup,
    Normalize,
    OneOf,
    Pad,
    PitchShift,
    PolarityInversion,
    Reverse,
    RoomReverb,
    SameClassMix,
    SomeOf,
    SpecAugment,
    SpecNoise,
    Speed,
    TimeMask,
    TimeRoll,
    TimeShift,
    TimeStretch,
    Transform,
    WaveTransform,
)
from audiozoo.augment.mix import loudest_frame_db
from audiozoo.augment.noise import colored_noise
from audiozoo.augment.transform import Context

RATE = 8_000
NEEDS_RUBBERBAND = pytest.mark.skipif(not shutil.which("rubberband"), reason="the program rubberband is not installed")
ENGINES = ["signalsmith", "librosa", pytest.param("rubberband", marks=NEEDS_RUBBERBAND)]
WAVES = [
    Gain(),
    Normalize(),
    Normalize(measure="rms", level_db=(-30.0, -20.0)),
    PolarityInversion(),
    Reverse(),
    Clipping(),
    TimeShift(),
    TimeShift(mode="pad"),
    Crop(duration=0.01, keep_length=True),
    TimeMask(),
    TimeMask(width=(1.0, 1.0), fade=0.0),
    Downmix(),
    AddNoise(),
    AddNoise(color=("pink", "brown")),
    Filter(frequency=(100.0, 3_000.0)),
    Filter(kind="highpass", frequency=(20.0, 3_000.0), order=6),
    Filter(kind="bandpass", frequency=(100.0, 3_000.0)),
    Filter(kind="peaking", frequency=(100.0, 3_000.0)),
    RoomReverb(rt60=(0.01, 0.1)),
    Codec(codec="mulaw"),
    Speed(),
    Gain(p=0.5),
    Compose([Gain(), TimeShift(p=0.5)]),
    OneOf([Gain(), Reverse()], weights=(1.0, 3.0)),
    SomeOf([Gain(), Reverse(), AddNoise()], count=(0, 3)),
    SomeOf([Gain(), Reverse()], count=1),
    ByClass({"rain": Gain()}, default=Reverse()),
]
SLOW_WAVES = [
    TimeStretch(),
    PitchShift(),
    TimeStretch(engine="librosa"),
    PitchShift(engine="librosa"),
    Codec(codec="ogg"),
    Codec(codec="mp3"),
]
OTHER_LENGTH = [
    Crop(duration=0.01),
    Pad(duration=0.05),
    Pad(duration=0.05, mode="repeat", place="random"),
    TimeStretch(keep_length=False),
    Speed(keep_length=False),
    RoomReverb(rt60=(0.01, 0.1), keep_length=False),
    Downmix(keep_channels=False),
]
FEATURES = [
    TimeRoll(),
    FrequencyShift(),
    FrequencyShift(bands=(-99, 99), fill="mean"),
    SpecNoise(),
    SpecAugment(),
    SpecAugment(fill="floor", time_warp=0.3),
    FilterAugment(),
    FilterAugment(knots=(1, 1)),
    FilterAugment(form="step"),
    FilterAugment(channels=1),
    Compose([TimeRoll(), SpecAugment()]),
]
MIXES = [Mixup(), Mixup(alpha=1.0, p=0.5), CutMix(), CutMix(axis=1, p=0.7), SameClassMix(), BetweenClass(), BetweenClass(p=0.5)]


def laid_out(x, seed):
    """Give an array one of the types and layouts that arrays have."""
    match seed % 4:
        case 0:
            return x.astype(np.float64)
        case 1:
            return np.repeat(x.astype(np.float32), 2, axis=0)[::2]
        case 2:
            return np.asfortranarray(x.astype(">f4"))
    return x.astype(np.float32)


def check(transform, x, seed):
    """Run a transform as promised: pure, finite, float32; returns what came out."""
    x = laid_out(x, seed)
    before = x.copy()
    x.flags.writeable = False
    drawn, again_drawn = [], []
    once = transform(x, sample_rate=RATE, rng=np.random.default_rng([seed, 1]), label="rain", drawn=drawn)
    again = transform(x, sample_rate=RATE, rng=(seed, 1), label="rain", drawn=again_drawn)
    assert np.array_equal(once, again)
    assert drawn == again_drawn == json.loads(json.dumps(drawn))
    assert np.array_equal(x, before)
    assert once.dtype == np.float32
    assert np.isfinite(once).all()
    return once


shapes = st.integers(0, 3).flatmap(
    lambda channels: st.integers(max(1, channels), 300).map(lambda samples: (samples, channels) if channels else (samples,))
)
sounds = st.sampled_from(["noise", "silence", "quiet", "quietest", "loud"])


def made(kind, shape, seed):
    scale = {"noise": 0.5, "silence": 0.0, "quiet": 1e-20, "quietest": 1e-40, "loud": 1e4}[kind]
    return scale * np.random.default_rng(seed).uniform(-1, 1, shape)


@settings(max_examples=25, deadline=None)
@given(shape=shapes, kind=sounds, seed=st.integers(0, 999))
@pytest.mark.parametrize("transform", WAVES, ids=repr)
def test_waveform_transforms_are_pure_and_keep_the_shape(transform, shape, kind, seed):
    assert check(transform, made(kind, shape, seed), seed).shape == shape


@settings(max_examples=5, deadline=None)
@given(shape=shapes.filter(lambda shape: shape[1:] != (3,)), kind=sounds, seed=st.integers(0, 999))
@pytest.mark.parametrize(
    "transform", [*SLOW_WAVES, pytest.param(TimeStretch(engine="rubberband"), marks=NEEDS_RUBBERBAND)], ids=repr
)
def test_engines_and_encoders_are_pure_and_keep_the_shape(transform, shape, kind, seed):
    assert check(transform, made(kind, shape, seed), seed).shape == shape


@settings(max_examples=30, deadline=None)
@given(shape=shapes.filter(lambda shape: len(shape) == 2 and shape[1] > 1), kind=sounds, seed=st.integers(0, 999))
def test_channel_swap_is_pure(shape, kind, seed):
    assert check(ChannelSwap(), made(kind, shape, seed), seed).shape == shape


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=shapes, kind=sounds, seed=st.integers(0, 999))
def test_backgrounds_are_pure(backgrounds, shape, kind, seed):
    assert check(AddBackground(backgrounds), made(kind, shape, seed), seed).shape == shape


def test_a_long_sound_is_encoded_in_pieces(rng):
    wave = rng.uniform(-0.5, 0.5, 60 * 44_100).astype(np.float32)
    assert Codec(codec="ogg")(wave, sample_rate=44_100, rng=rng).shape == wave.shape


def test_the_engine_draws_the_same_phases_each_time(rng):
    wave = rng.uniform(-0.5, 0.5, 8_000).astype(np.float32)
    slow = [augment.stretch(wave, RATE, rate=0.3) for _ in range(2)]
    assert np.array_equal(*slow)


def test_numbers_of_numpy_become_pythons():
    gain = Gain(gain_db=(np.float32(1), np.float64(2)), p=np.float64(1))
    assert repr(gain) == "Gain(p=1.0, gain_db=(1.0, 2.0))"
    drawn = []
    assert gain(np.ones(4, np.float32), rng=0, drawn=drawn).dtype == np.float32
    assert json.dumps(drawn)


def test_a_mistake_shows_at_once_and_not_now_and_then():
    wave = np.ones(100, np.float32)
    for make, reason in (
        (lambda: Gain(p=0.01)(np.ones(4, np.int16), rng=0), "32768"),
        (lambda: ChannelSwap(p=0.01)(wave, rng=0), "2 channels"),
        (lambda: Filter(frequency=(20.0, 4_100.0))(wave, sample_rate=RATE, rng=0), "below half"),
        (lambda: AddNoise(color=("white", "pink"))(wave, rng=0), "sample_rate"),
        (lambda: TimeMask()(wave, sample_rate=-RATE, rng=0), "positive"),
        (lambda: Crop()(wave, sample_rate=math.inf, rng=0), "positive"),
    ):
        with pytest.raises(ValueError, match=reason):
            make()
    edge = Filter(kind="peaking", frequency=(3_999.0, 3_999.0), octaves=(20.0, 20.0))
    assert np.isfinite(edge(wave, sample_rate=RATE, rng=0)).all()


@settings(max_examples=10, deadline=None)
@given(shape=shapes, kind=sounds, seed=st.integers(0, 999))
@pytest.mark.parametrize("transform", OTHER_LENGTH, ids=repr)
def test_transforms_that_change_the_length_are_pure(transform, shape, kind, seed):
    changed = check(transform, made(kind, shape, seed), seed)
    assert len(changed) > 0
    assert changed.shape[1:] == (() if transform == Downmix(keep_channels=False) else shape[1:])


@settings(max_examples=25, deadline=None)
@given(
    bands=st.integers(1, 40),
    frames=st.integers(1, 60),
    channels=st.integers(0, 2),
    seed=st.integers(0, 999),
    spread=st.sampled_from([0.0, 20.0]),
)
@pytest.mark.parametrize("transform", FEATURES, ids=repr)
def test_feature_transforms_are_pure_and_keep_the_shape(transform, bands, frames, channels, seed, spread):
    shape = (bands, frames, channels) if channels else (bands, frames)
    assert check(transform, np.random.default_rng(seed).normal(-40, spread, shape), seed).shape == shape


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 9),
    shape=st.sampled_from([(50,), (50, 2), (3_000,)]),
    classes=st.integers(1, 4),
    kind=sounds,
    seed=st.integers(0, 999),
)
@pytest.mark.parametrize("mix", MIXES, ids=repr)
def test_mixtures_are_pure_and_keep_shape_and_weight(mix, batch, shape, classes, kind, seed):
    x = made(kind, (batch, *shape), seed).astype(np.float32)
    y = np.eye(classes, dtype=np.float32)[np.random.default_rng(seed).integers(classes, size=batch)]
    before = x.copy(), y.copy()
    x.flags.writeable = y.flags.writeable = False
    mixed, labels = mix(x, y, rng=(seed, 2), sample_rate=RATE)
    again, same = mix(x, y, rng=np.random.default_rng([seed, 2]), sample_rate=RATE)
    assert np.array_equal(mixed, again)
    assert np.array_equal(labels, same)
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])
    assert (mixed.shape, mixed.dtype, labels.shape, labels.dtype) == (x.shape, np.float32, y.shape, np.float32)
    assert np.isfinite(mixed).all()
    assert np.allclose(labels.sum(axis=1), 1, atol=1e-5)
    assert labels.min() >= 0


@pytest.mark.parametrize("value", [*WAVES, *SLOW_WAVES, *OTHER_LENGTH, *FEATURES, *MIXES, AddBackground("noises")], ids=repr)
def test_config_and_repr_round_trip(value):
    kind = Mix if isinstance(value, Mix) else Transform
    assert kind.from_config(json.loads(json.dumps(value.to_config()))) == value
    assert eval(repr(value)) == value
    assert hash(eval(repr(value))) == hash(value)


def test_every_public_transform_is_fuzzed():
    kinds = {getattr(augment, name) for name in augment.__all__ if isinstance(getattr(augment, name), type)}
    bases = {Mix, Transform, augment.WaveTransform, augment.SpectralTransform}
    elsewhere = {AddBackground, ChannelSwap}  # they need a folder, and two channels
    assert {type(one) for one in [*WAVES, *SLOW_WAVES, *OTHER_LENGTH, *FEATURES, *MIXES]} == kinds - bases - elsewhere


# Level and time


def test_levels_are_exact(rng):
    wave = rng.uniform(-0.3, 0.3, 1_000).astype(np.float32)
    assert np.allclose(Gain(gain_db=(6, 6))(wave, rng=rng), wave * 10 ** (6 / 20))
    assert np.abs(Normalize(level_db=(-6, -6))(wave, rng=rng)).max() == pytest.approx(10 ** (-6 / 20), rel=1e-5)
    loud = Normalize(level_db=(-20, -20), measure="rms")(wave, rng=rng)
    assert np.sqrt(np.mean(loud**2)) == pytest.approx(0.1, rel=1e-4)
    clipped = Clipping(threshold_db=(-6, -6))(wave, rng=rng)
    limit = np.abs(wave).max() * 10 ** (-6 / 20)
    assert np.allclose(clipped, np.clip(wave, -limit, limit), atol=1e-7)
    assert np.array_equal(PolarityInversion()(wave, rng=rng), -wave)
    assert np.array_equal(Reverse()(wave, rng=rng), wave[::-1])


@pytest.mark.parametrize("share", [-1.0, -0.25, 0.0, 0.25, 1.0])
def test_shifts_are_exact(share, rng):
    x = rng.normal(size=(8, 8, 1)).astype(np.float32)
    places = round(8 * share)
    assert np.array_equal(TimeRoll(shift=(share, share))(x, rng=rng), np.roll(x, places, axis=1))
    wave = x[..., 0]
    assert np.array_equal(TimeShift(shift=(share, share))(wave, rng=rng), np.roll(wave, places, axis=0))
    padded = TimeShift(shift=(share, share), mode="pad")(wave, rng=rng)
    expected = np.roll(wave, places, axis=0)
    expected[:places] = 0 if places > 0 else expected[:places]
    expected[8 + places :] = 0 if places < 0 else expected[8 + places :]
    assert np.array_equal(padded, expected)


def test_crop_and_pad_make_one_length(rng):
    even = Compose([Crop(duration=0.5), Pad(duration=0.5, place="random")])
    wave = np.arange(1, 3_001, dtype=np.float32) / 3_000
    for samples in (1, 3_999, 4_000, 4_001, 9_000):
        assert len(even(np.resize(wave, samples), sample_rate=RATE, rng=rng)) == 4_000
    cut = Crop(duration=0.1)(wave, sample_rate=RATE, rng=rng)
    start = round(float(cut[0]) * 3_000) - 1
    assert np.array_equal(cut, wave[start : start + 800])
    assert np.array_equal(Crop(duration=9.0)(wave, sample_rate=RATE, rng=rng), wave)
    repeated = Pad(duration=0.5, mode="repeat")(wave, sample_rate=RATE, rng=rng)
    assert np.array_equal(repeated, np.resize(wave, 4_000))


def test_time_mask_silences_a_stretch_and_fades(rng):
    wave = np.ones((RATE, 2), np.float32)
    masked = TimeMask(width=(0.1, 0.1), fade=0.01)(wave, sample_rate=RATE, rng=rng)
    changed = np.flatnonzero((masked != 1).any(axis=1))
    assert 790 <= len(changed) <= 800
    assert (masked == 0).all(axis=1).sum() == pytest.approx(640, abs=2)
    assert np.abs(np.diff(masked, axis=0)).max() < 0.02
    assert (TimeMask(width=(1, 1), fade=0)(wave, sample_rate=RATE, rng=rng) == 0).all()


def test_channels(rng):
    stereo = rng.uniform(-1, 1, (100, 2)).astype(np.float32)
    assert np.array_equal(ChannelSwap()(stereo, rng=rng), stereo[:, ::-1])
    five = rng.uniform(-1, 1, (100, 5)).astype(np.float32)
    for seed in range(20):
        assert not np.array_equal(ChannelSwap()(five, rng=seed), five)
    mixed = Downmix()(stereo, rng=rng)
    assert np.allclose(mixed, stereo.mean(axis=1, keepdims=True), atol=1e-7)
    assert mixed.shape == (100, 2)
    assert np.allclose(Downmix(keep_channels=False)(stereo, rng=rng), stereo.mean(axis=1), atol=1e-7)
    with pytest.raises(ValueError, match="at least 2 channels"):
        ChannelSwap()(stereo[:, 0], rng=rng)


def test_a_renamed_transform_keeps_its_old_name_and_files():
    with pytest.warns(DeprecationWarning, match=r"augment\.Clip is now called Clipping"):
        assert augment.Clip is Clipping
    old = {"class": "Compose", "transforms": [{"class": "Clip", "threshold_db": [-9.0, -3.0]}]}
    assert Transform.from_config(old) == Compose([Clipping(threshold_db=(-9.0, -3.0))])
    assert Transform.named("clip") == Clipping()
    with pytest.raises(AttributeError, match="Chop"):
        _ = augment.Chop


# Noise, filters, rooms, encoders


def ratio_db(wave, noisy):
    return 10 * np.log10(np.mean(wave.astype(float) ** 2) / np.mean((noisy.astype(float) - wave) ** 2))


@pytest.mark.parametrize("color", ["white", "pink", "brown"])
def test_noise_has_the_ratio_and_the_colour(color, rng):
    wave = tone(440, 4, RATE)
    noisy = AddNoise(snr_db=(10, 10), color=color)(wave, sample_rate=RATE, rng=rng)
    assert ratio_db(wave, noisy) == pytest.approx(10, abs=0.01)
    spectrum = np.abs(np.fft.rfft(colored_noise((2**16,), color, rng, RATE).astype(float))) ** 2
    octaves = [10 * np.log10(spectrum[2**k : 2 ** (k + 1)].mean()) for k in range(8, 15)]
    if color != "white":
        assert spectrum[: round(20 * 2**16 / RATE)].sum() < 1e-6 * spectrum.sum()  # nothing below 20 Hz
    assert np.polyfit(range(7), octaves, 1)[0] == pytest.approx({"white": 0, "pink": -3, "brown": -6}[color], abs=0.35)


def test_channels_of_noise_differ(rng):
    for color in ("white", "pink"):
        noise = colored_noise((40_000, 2), color, rng, RATE)
        assert abs(np.corrcoef(noise.T)[0, 1]) < 0.1


@pytest.fixture
def backgrounds(tmp_path, rng):
    folder = tmp_path / "street"
    (folder / "deep").mkdir(parents=True)
    soundfile.write(folder / "a.wav", rng.uniform(-0.5, 0.5, 1_000), RATE)
    soundfile.write(folder / "deep" / "b.flac", rng.uniform(-0.5, 0.5, (44_100 * 2, 2)), 44_100)
    return folder


def test_backgrounds_of_any_rate_and_length_are_added_at_the_ratio(backgrounds):
    transform, files = AddBackground(backgrounds, snr_db=(6, 6)), set()
    for seed in range(8):
        for shape in ((3_000,), (3_000, 2), (3_000, 5)):
            wave = np.random.default_rng(seed).uniform(-0.1, 0.1, shape).astype(np.float32)
            drawn = []
            noisy = transform(wave, sample_rate=RATE, rng=seed, drawn=drawn)
            files.add(drawn[0]["file"])
            assert noisy.shape == wave.shape
            assert ratio_db(wave, noisy) == pytest.approx(6, abs=0.01)
            assert np.array_equal(noisy, transform(wave, sample_rate=RATE, rng=seed))
    assert files == {"a.wav", "deep/b.flac"}
    silence = np.zeros(100, np.float32)
    assert not transform(silence, sample_rate=RATE, rng=0).any()


def test_background_folders_that_cannot_be_used(tmp_path, backgrounds):
    wave = tone(300, 0.1, RATE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "bad.wav").write_bytes(b"RIFF")
    for folder, kind, message in (
        ("nowhere", FileNotFoundError, "no such folder"),
        ("empty", ValueError, "no recordings"),
        ("broken", ValueError, r"bad\.wav"),
    ):
        with pytest.raises(kind, match=message):
            AddBackground(tmp_path / folder)(wave, sample_rate=RATE, rng=0)


def response_db(transform, hertz, rate=44_100):
    """Measure a filter's gain at frequencies by an impulse."""
    impulse = np.zeros(2**15, np.float32)
    impulse[0] = 1
    gains = np.abs(np.fft.rfft(transform(impulse, sample_rate=rate, rng=0).astype(float)))
    return 20 * np.log10(np.interp(hertz, np.fft.rfftfreq(2**15, 1 / rate), gains))


@pytest.mark.parametrize("order", [2, 4, 8])
@pytest.mark.parametrize("kind", ["lowpass", "highpass"])
def test_butterworth_filters_equal_scipys(kind, order, rng):
    wave = rng.uniform(-1, 1, 4_000).astype(np.float32)
    filtered = Filter(kind=kind, frequency=(900.0, 900.0), order=order)(wave, sample_rate=RATE, rng=rng)
    sections = scipy.signal.butter(order, 900, kind, fs=RATE, output="sos")
    assert np.allclose(filtered, scipy.signal.sosfilt(sections, wave), atol=1e-6)


@pytest.mark.parametrize(("frequency", "octaves", "gain_db"), [(900.0, 1.0, 9.0), (60.0, 0.1, -12.0), (3_900.0, 3.0, 6.0)])
def test_a_peaking_filter_is_that_of_the_cookbook(frequency, octaves, gain_db, rng):
    angle, amplitude = 2 * math.pi * frequency / RATE, 10 ** (gain_db / 40)
    ratio = math.tan(angle / 2) / math.tan(angle / 2 * 2 ** (-octaves / 2))  # half the gain lies at the lower edge
    alpha, middle = math.sin(angle) * (ratio - 1 / ratio) / 2, -2 * math.cos(angle)
    above = [1 + alpha * amplitude, middle, 1 - alpha * amplitude]
    below = [1 + alpha / amplitude, middle, 1 - alpha / amplitude]
    wave = rng.uniform(-1, 1, 4_000).astype(np.float32)
    peak = Filter(kind="peaking", frequency=(frequency,) * 2, octaves=(octaves,) * 2, gain_db=(gain_db,) * 2)
    filtered = peak(wave, sample_rate=RATE, rng=0)
    assert np.allclose(filtered, scipy.signal.lfilter(above, below, wave), atol=1e-5)


@pytest.mark.parametrize("frequency", [1e-3, math.nextafter(RATE / 2, 0)])
@pytest.mark.parametrize("kind", ["lowpass", "highpass", "bandpass"])
def test_the_steepest_filters_at_the_edges_are_finite(kind, frequency, rng):
    steep = Filter(kind=kind, frequency=(frequency, frequency), order=20)
    assert np.isfinite(steep(rng.uniform(-1, 1, 4_000), sample_rate=RATE, rng=rng)).all()


def test_filters_are_designed_by_scipy(monkeypatch):
    designed = []
    for name in ("butter", "iirpeak"):
        real = getattr(scipy.signal, name)
        monkeypatch.setattr(scipy.signal, name, lambda *a, real=real, name=name, **k: designed.append(name) or real(*a, **k))
    for kind in ("lowpass", "bandpass", "peaking"):
        Filter(kind=kind, frequency=(900.0, 900.0))(np.ones(9, np.float32), sample_rate=RATE, rng=0)
    assert designed == ["butter"] * 3 + ["iirpeak"]


def test_bands_are_where_they_should_be():
    peak = Filter(kind="peaking", frequency=(1_000.0, 1_000.0), octaves=(1.0, 1.0), gain_db=(9.0, 9.0))
    assert response_db(peak, [20, 1_000, 15_000]) == pytest.approx([0, 9, 0], abs=0.1)
    # The cookbook's bandwidth lies between the points of half the gain in dB.
    assert response_db(peak, [1_000 * 2**-0.5, 1_000 * 2**0.5]) == pytest.approx([4.5, 4.5], abs=0.3)
    # Where there is no room above, the band does not take all that is below.
    high = Filter(kind="peaking", frequency=(5_000.0, 5_000.0), octaves=(2.0, 2.0), gain_db=(12.0, 12.0))
    assert response_db(high, [2_500, 5_000], rate=11_025) == pytest.approx([6, 12], abs=0.1)
    assert max(response_db(high, [20, 200], rate=11_025)) < 0.1
    band = Filter(kind="bandpass", frequency=(1_000.0, 1_000.0), octaves=(2.0, 2.0), order=4)
    assert response_db(band, [500, 1_000, 2_000]) == pytest.approx([-3, 0, -3], abs=0.3)
    assert max(response_db(band, [100, 10_000])) < -50
    with pytest.raises(ValueError, match=r"below half the sample rate of 8000 Hz.*lower the range"):
        Filter(frequency=(4_500.0, 4_500.0))(np.ones(10, np.float32), sample_rate=RATE, rng=0)


def test_channels_of_a_feature_are_apart(rng):
    decibels, derivatives = rng.normal(-40, 10, (30, 50)), rng.normal(0, 0.5, (30, 50))
    x = np.stack([decibels, derivatives], axis=2).astype(np.float32)
    means, floors = x.mean((0, 1)), x.min((0, 1))
    masked = {fill: SpecAugment(fill=fill, freq_width=1.0, time_width=1.0)(x, rng=3) for fill in ("mean", "floor")}
    changed = (masked["mean"] != x).all(axis=2)
    assert changed.any()
    assert np.allclose(masked["mean"][changed], means, atol=1e-4)
    assert np.allclose(masked["floor"][changed], floors)
    assert np.allclose(FrequencyShift(bands=(99, 99), fill="mean")(x, rng=0), means, atol=1e-4)
    noise = SpecNoise(deviation=(0.5, 0.5))(x, rng=0) - x
    assert noise.std((0, 1)) == pytest.approx(0.5 * x.std((0, 1)), rel=0.1)
    coloured = FilterAugment(gain_db=(6.0, 6.0), knots=(1, 1), channels=1)(x, rng=0) - x
    assert np.allclose(coloured[..., 0], 6, atol=1e-4)
    assert not coloured[..., 1].any()


def test_a_synthetic_room_decays_as_it_says():
    impulse = np.zeros(RATE * 2, np.float32)
    impulse[0] = 1
    heard = RoomReverb(rt60=(0.5, 0.5), drr_db=(3.0, 3.0))(impulse, sample_rate=RATE, rng=1).astype(float)
    direct, tail = heard[0] ** 2, heard[1:] ** 2
    assert 10 * np.log10(direct / tail.sum()) == pytest.approx(3, abs=0.1)
    left = 10 * np.log10(np.cumsum(tail[::-1])[::-1] / tail.sum())  # Schroeder's backward integration
    seconds = [np.argmax(left < level) / RATE for level in (-5, -35)]
    assert 2 * (seconds[1] - seconds[0]) == pytest.approx(0.5, rel=0.1)


def test_a_recorded_room(tmp_path):
    impulse = np.zeros(500, np.float32)
    impulse[100], impulse[300] = 1.0, 0.5
    soundfile.write(tmp_path / "room.wav", impulse, RATE, subtype="FLOAT")
    wave = np.zeros(1_000, np.float32)
    wave[10] = 0.8
    heard = RoomReverb(impulses=tmp_path)(wave, sample_rate=RATE, rng=0)
    assert np.flatnonzero(np.abs(heard) > 1e-4).tolist() == [10, 210]  # the direct sound comes at once
    assert heard[210] / heard[10] == pytest.approx(0.5, rel=1e-3)
    assert np.mean(heard**2) == pytest.approx(np.mean(wave**2), rel=1e-4)
    longer = RoomReverb(impulses=tmp_path, keep_length=False)(wave, sample_rate=RATE, rng=0)
    assert len(longer) == 1_000 + 400 - 1


@pytest.mark.parametrize(("codec", "least_db"), [("mulaw", 30), ("ogg", 10), ("mp3", 10)])
def test_encoders_keep_the_sound_in_its_place(codec, least_db, rng):
    sweep = scipy.signal.chirp(np.arange(44_100) / 44_100, 200, 1, 4_000).astype(np.float32)
    decoded = Codec(codec=codec, compression=(0.0, 0.0))(sweep, sample_rate=44_100, rng=rng)
    assert ratio_db(sweep[2_000:-2_000], decoded[2_000:-2_000]) > least_db
    assert not np.array_equal(decoded, sweep)
    assert np.isfinite(Codec(codec=codec, compression=(1.0, 1.0))(sweep, sample_rate=44_100, rng=rng)).all()
    loud = Codec(codec=codec, compression=(0.0, 0.0))(3 * sweep, sample_rate=44_100, rng=rng)
    assert np.abs(loud).max() == pytest.approx(3, rel=0.3)


def test_encoders_say_what_they_cannot():
    with pytest.raises(ValueError, match=r"mp3 encoder does not support 1 channel\(s\) at 7000 Hz"):
        Codec(codec="mp3")(np.zeros(100, np.float32), sample_rate=7_000, rng=0)


# Stretching


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("rate", [0.7, 1.3])
def test_a_stretched_tone_keeps_its_pitch(engine, rate):
    wave = tone(1_000, 1.5, 22_050)
    changed = augment.stretch(wave, 22_050, rate=rate, engine=engine)
    assert changed.shape == (round(len(wave) / rate),)
    assert abs(1_200 * math.log2(loudest_hertz(changed, 22_050) / 1_000)) < 5


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("semitones", [-5.0, 4.0])
def test_a_shifted_tone_lands_where_it_should(engine, semitones):
    wave = tone(1_000, 1.5, 22_050)
    changed = augment.stretch(wave, 22_050, semitones=semitones, engine=engine)
    assert changed.shape == wave.shape
    assert abs(1_200 * math.log2(loudest_hertz(changed, 22_050) / (1_000 * 2 ** (semitones / 12)))) < 5


def loudest_hertz(wave, rate):
    middle = wave[len(wave) // 4 : -len(wave) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 2**20))
    return spectrum.argmax() * rate / 2**20


@pytest.mark.parametrize("engine", ENGINES)
def test_rates_in_kilohertz_are_refused(engine):
    with pytest.raises(ValueError, match=r"got 44\.1[:;] rates are in Hz, not kHz"):
        augment.stretch(np.ones(99, np.float32), 44.1, rate=1.2, engine=engine)


@pytest.mark.parametrize("change", [{"rate": 0.8}, {"rate": 1.25}, {"semitones": 2.0}])
def test_a_sound_that_ends_at_once_does_not_fade_out(change):
    wave = tone(1_000, 1.0, 22_050)
    before, after = (np.std(sound[-441:]) for sound in (wave, augment.stretch(wave, 22_050, **change)))
    assert after > 0.8 * before


@pytest.mark.parametrize("engine", ENGINES)
def test_channels_are_stretched_together(engine):
    stereo = np.stack([tone(500, 0.5, RATE), -tone(500, 0.5, RATE)], axis=1)
    changed = augment.stretch(stereo, RATE, rate=1.25, semitones=2, engine=engine)
    assert changed.shape == (3_200, 2)
    assert np.allclose(changed[:, 0], -changed[:, 1], atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("level", [1e-4, 1.0, 100.0])
def test_what_is_stretched_is_about_as_loud(engine, level, rng):
    wave = (level * np.sign(rng.standard_normal(40_000))).astype(np.float32)
    changed = augment.stretch(wave, RATE, rate=1.25, engine=engine)
    assert -4 < 20 * math.log10(np.std(changed) / np.std(wave)) < 1


def test_rubberband_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match=r"apt install rubberband-cli.*engine='signalsmith'"):
        TimeStretch(engine="rubberband", rate=(1.1, 1.1))(tone(300, 0.1, RATE), sample_rate=RATE, rng=0)


def test_rubberband_is_called_right(monkeypatch):
    def called(wave, rate, *values, rbargs=None):
        calls.append((rate, *values, rbargs))
        assert np.abs(wave).max() == 0.25  # a file of 16 bits lies between, which shall not clip
        return wave[: round(len(wave) / 1.25) + 3]

    calls = []
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("pyrubberband.time_stretch", called)
    monkeypatch.setattr("pyrubberband.pitch_shift", called)
    for semitones in (0.0, 2.0):
        changed = augment.stretch(tone(300, 0.5, RATE), RATE, rate=1.25, semitones=semitones, engine="rubberband")
        assert (changed.shape, changed.dtype) == ((3_200,), np.float32)
    assert calls == [(RATE, 1.25, {}), (RATE, 2.0, {"--tempo": 1.25})]
    assert np.abs(changed).max() == pytest.approx(0.5, rel=1e-3)


def test_speed_changes_pitch_and_length():
    wave = tone(500, 1, RATE)
    faster = Speed(rate=(1.25, 1.25), keep_length=False)(wave, sample_rate=RATE, rng=0)
    assert len(faster) == 6_400
    assert loudest_hertz(faster, RATE) == pytest.approx(625, rel=1e-3)
    assert not Speed(rate=(1.25, 1.25))(wave, sample_rate=RATE, rng=0)[6_500:].any()


# Features


def test_spec_augment_blanks_no_more_than_it_says(rng):
    x = rng.normal(size=(40, 100, 1)).astype(np.float32)
    masked = SpecAugment(freq_masks=2, freq_width=0.125, time_masks=0)(x, rng=rng)
    rows = np.flatnonzero((masked != x).any(axis=(1, 2)))
    assert 0 < len(rows) <= 10
    assert np.allclose(masked[rows], x.mean())
    floor = SpecAugment(freq_masks=0, time_masks=1, time_width=0.5, fill="floor")(x, rng=rng)
    frames = np.flatnonzero((floor != x).any(axis=(0, 2)))
    assert 0 < len(frames) <= 50
    assert (floor[:, frames] == x.min()).all()


def test_time_warp_moves_the_middle_and_keeps_the_ends(rng):
    ramp = np.repeat(np.arange(100, dtype=np.float32)[None, :, None], 3, axis=0)
    warped = SpecAugment(freq_masks=0, time_masks=0, time_warp=0.2)(ramp, rng=3)
    line = warped[0, :, 0]
    assert line[[0, -1]] == pytest.approx([0, 99], abs=1e-4)
    assert (np.diff(line) > 0).all()
    assert 1 < np.abs(line - ramp[0, :, 0]).max() <= 20


def test_frequency_shift_moves_bands(rng):
    x = rng.normal(size=(10, 5)).astype(np.float32)
    up = FrequencyShift(bands=(2, 2))(x, rng=rng)
    assert np.array_equal(up[2:], x[:-2])
    assert (up[:2] == x.min()).all()
    down = FrequencyShift(bands=(-3, -3), fill="mean")(x, rng=rng)
    assert np.array_equal(down[:-3], x[3:])
    assert np.allclose(down[-3:], x.mean(), atol=1e-6)


def test_spec_noise_has_its_share_of_the_deviation(rng):
    x = rng.normal(-40, 20, (64, 250, 1)).astype(np.float32)
    noisy = SpecNoise(deviation=(0.1, 0.1))(x, rng=rng)
    assert (noisy - x).std() == pytest.approx(0.1 * x.std(), rel=0.03)


def test_filter_augment_is_a_line_or_a_step_between_knots(rng):
    x = np.zeros((32, 5, 1), np.float32)
    coloured = FilterAugment(gain_db=(-6, 6), knots=(2, 2))(x, rng=rng)
    assert np.abs(coloured).max() <= 6
    assert np.array_equal(coloured[:, 0], coloured[:, 4])
    assert (np.abs(np.diff(coloured[:, 0, 0], 2)) > 1e-4).sum() <= 4
    stepped = FilterAugment(knots=(3, 3), form="step")(x, rng=rng)[:, 0, 0]
    assert len(np.unique(stepped)) == 3
    assert np.count_nonzero(np.diff(stepped)) == 2


# Mixtures


def test_mixup_mixes_labels_as_it_mixes_sounds(rng):
    y = np.eye(16, dtype=np.float32)
    mixed, labels = Mixup(alpha=1.0)(y.reshape(16, 4, 4, 1), y, rng=rng)
    assert np.allclose(mixed.reshape(16, 16), labels)
    assert (labels > 0.01).sum() > 16
    pure, same = Mixup(p=0)(y, y, rng=rng)
    assert np.array_equal(pure, y)
    assert np.array_equal(same, y)


@pytest.mark.parametrize("shape", [(100,), (100, 2), (4, 100, 1)])
def test_cut_mix_labels_by_the_share_of_time(shape, rng):
    y = np.eye(8, dtype=np.float32)
    x = np.broadcast_to(np.arange(1.0, 9).reshape(8, *(1,) * len(shape)), (8, *shape)).astype(np.float32)
    mixed, labels = CutMix()(x, y, rng=rng)
    for example, weights in zip(mixed, labels, strict=True):
        shares = [np.mean(example == value) for value in range(1, 9)]
        assert np.allclose(shares, weights, atol=1e-6)
    time = 1 if len(shape) == 3 else 0
    changes = np.abs(np.diff(mixed, axis=1 + time)).reshape(8, -1)
    assert changes.any()
    with pytest.raises(ValueError, match="axis of time"):
        CutMix(axis=len(shape) + 1)(x, y, rng=rng)


def test_same_class_mix_stays_within_the_class(rng):
    y = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2]]
    mixed, labels = SameClassMix()(y.copy(), y, rng=rng)
    assert np.allclose(mixed, y)
    assert np.array_equal(labels, y)
    x = np.arange(5, dtype=np.float32)[:, None]
    changed = SameClassMix()(x, y, rng=rng)[0][:, 0]
    assert changed[4] == 4
    assert (changed[:2] <= 1).all()
    assert ((changed[2:4] >= 2) & (changed[2:4] <= 3)).all()


def test_between_class_follows_the_paper(rng):
    quiet, loud = tone(1_000, 1, 16_000, level=0.05), tone(1_000, 1, 16_000, level=0.5)
    y = np.eye(2, dtype=np.float32)
    mixed, labels = BetweenClass()(np.stack([quiet, loud]), y, rng=rng, sample_rate=16_000)
    for own, other, example, label in ((quiet, loud, mixed[0], labels[0]), (loud, quiet, mixed[1], labels[1][::-1])):
        ratio = label[0]
        levels = loudest_frame_db(own, 16_000), loudest_frame_db(other, 16_000)
        t = 1 / (1 + 10 ** ((levels[0] - levels[1]) / 20) * (1 - ratio) / ratio)
        expected = (t * own + (1 - t) * other) / np.sqrt(t**2 + (1 - t) ** 2)
        assert np.allclose(example, expected, atol=1e-5)
        assert 0 < ratio < 1
    single, same = BetweenClass()(np.stack([quiet, loud]), y[[0, 0]], rng=rng, sample_rate=16_000)
    assert np.allclose(single, [quiet, loud])
    assert np.array_equal(same, y[[0, 0]])


def test_levels_are_a_weighted():
    # 0 dB is a sine of full scale at 1 kHz; the curve is librosa's.
    for hertz in (100, 1_000, 5_000):
        expected = float(librosa.A_weighting(hertz)) + 20 * np.log10(0.5)
        assert loudest_frame_db(tone(hertz, 0.5, 32_000), 32_000) == pytest.approx(expected, abs=0.5)
    assert loudest_frame_db(np.zeros(4_096, np.float32), 44_100) == -80
    assert loudest_frame_db(tone(300, 0.01, 16_000), 16_000) > -80


# Composition


def test_p_is_how_often(rng):
    wave = np.ones(4, np.float32)
    changed = [Gain(gain_db=(1, 1), p=0.3)(wave, rng=rng)[0] != 1 for _ in range(2_000)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.04)
    assert Gain(p=0)(wave, rng=rng) is wave


def test_one_of_and_some_of_choose(rng):
    wave, doublers = np.ones(4, np.float32), [Gain(gain_db=(6.0206, 6.0206)), Gain(gain_db=(12.0412, 12.0412))]
    values = [round(float(OneOf(doublers, weights=(3, 1))(wave, rng=rng)[0])) for _ in range(2_000)]
    assert np.mean(np.equal(values, 2)) == pytest.approx(0.75, abs=0.04)
    counts = [round(math.log2(SomeOf([doublers[0]] * 4, count=(1, 3))(wave, rng=rng)[0])) for _ in range(500)]
    assert set(counts) == {1, 2, 3}
    assert round(math.log2(SomeOf([doublers[0]] * 4, count=4)(wave, rng=rng)[0])) == 4
    drawn = []
    SomeOf([Reverse(), Gain(), Clipping()], count=3)(wave, rng=rng, drawn=drawn)
    assert [one["class"] for one in drawn] == ["Reverse", "Gain", "Clipping"]


def test_by_class_looks_at_the_label():
    wave = np.float32([1, 2, 3])
    transform = Compose([ByClass({"rain": Reverse(), "class": PolarityInversion()}), Gain(gain_db=(0, 0))])
    assert transform(wave, label="rain", rng=0).tolist() == [3, 2, 1]
    assert transform(wave, label="class", rng=0).tolist() == [-1, -2, -3]
    assert transform(wave, label="dog", rng=0).tolist() == [1, 2, 3]
    assert Transform.from_config(json.loads(json.dumps(transform.to_config()))) == transform
    with pytest.raises(ValueError, match="label='rain'"):
        transform(wave, rng=0)


def test_what_was_drawn_is_told_and_order_does_not_matter(rng):
    chain = Compose([Gain(), AddNoise(), TimeShift(), SomeOf([TimeMask(), Reverse()])])
    waves = {clip: rng.uniform(-1, 1, 400).astype(np.float32) for clip in range(5)}
    forward = {clip: chain(wave, sample_rate=RATE, rng=(3, 1, clip)) for clip, wave in waves.items()}
    backward = {clip: chain(waves[clip], sample_rate=RATE, rng=(3, 1, clip)) for clip in reversed(waves)}
    assert all(np.array_equal(forward[clip], backward[clip]) for clip in waves)
    drawn = []
    chain(waves[0], sample_rate=RATE, rng=0, drawn=drawn)
    assert [one["class"] for one in drawn[:3]] == ["Gain", "AddNoise", "TimeShift"]
    assert -6 <= drawn[0]["gain_db"] <= 6


# What is refused


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Gain(p=1.5), "probability p must be a number from 0 to 1"),
        (lambda: Gain(p="often"), "probability"),
        (lambda: Gain(gain_db=(6, -6)), "low <= high"),
        (lambda: Gain(gain_db=6), "range"),
        (lambda: Gain(gain_db=(float("nan"), 1)), "range"),
        (lambda: Gain(gain_db=(-math.inf, 1)), "range"),
        (lambda: Clipping(threshold_db=(-3, 3)), "within -inf to 0"),
        (lambda: TimeShift(shift=(1, 0)), "low <= high"),
        (lambda: TimeShift(mode="wrap"), "'roll', 'pad'"),
        (lambda: TimeMask(width=(0, 1.5)), "within 0 to 1"),
        (lambda: TimeMask(fade=-1), "at least 0"),
        (lambda: TimeMask(fade="long"), "number"),
        (lambda: Crop(duration=0), "at least"),
        (lambda: Crop(duration="1"), "number"),
        (lambda: Pad(place="end"), "'start', 'random'"),
        (lambda: Normalize(measure="lufs"), "'peak', 'rms'"),
        (lambda: AddNoise(color="blue"), "'white', 'pink', 'brown'"),
        (lambda: AddNoise(color=()), "'white'"),
        (lambda: AddNoise(color=3), "'white'"),
        (lambda: AddBackground(None), "folder must be a path, got None"),
        (lambda: Gain(gain_db=(0, 7_000)), "within -200 to 200"),
        (lambda: FilterAugment(channels=0), "at least 1"),
        (lambda: Filter(kind="notch"), "'lowpass'"),
        (lambda: Filter(order=3), "even"),
        (lambda: Filter(order=22), "from 2 to 20"),
        (lambda: Filter(order=2.0), "whole"),
        (lambda: Filter(frequency=(0, 100)), "within"),
        (lambda: RoomReverb(rt60=(0, 1)), "within"),
        (lambda: Codec(codec="aac"), "'mulaw', 'ogg', 'mp3'"),
        (lambda: TimeStretch(rate=(0, 1)), "within 0.1 to 10"),
        (lambda: PitchShift(engine="sox"), "'signalsmith', 'rubberband', 'librosa'"),
        (lambda: TimeRoll(shift=(1, 0)), "low <= high"),
        (lambda: FrequencyShift(bands=(-1.5, 2)), "whole"),
        (lambda: FilterAugment(gain_db=(1, 0)), "low <= high"),
        (lambda: FilterAugment(knots=(0, 2)), "within 1"),
        (lambda: SpecAugment(freq_masks=-1), "at least 0"),
        (lambda: SpecAugment(time_width=25), "time_width must be a number from 0 to 1"),
        (lambda: SpecAugment(freq_masks=1.5), "freq_masks must be a whole number"),
        (lambda: SpecAugment(fill="zero"), "'mean', 'floor'"),
        (lambda: Mixup(alpha=0), "at least"),
        (lambda: Mixup(alpha="a"), "number"),
        (lambda: Mixup(p=2), "probability"),
        (lambda: Compose([Gain]), "list of transforms"),
        (lambda: Compose(Gain()), "list of transforms"),
        (lambda: OneOf([]), "at least one"),
        (lambda: OneOf([Gain()], weights=(1, 2)), "1 numbers"),
        (lambda: OneOf([Gain()], weights=5), "1 numbers"),
        (lambda: OneOf([Gain()], weights=("a",)), "1 numbers"),
        (lambda: SomeOf([Gain()], count=(1, 2)), "within 0 to 1"),
        (lambda: SomeOf([Gain()], count=(0.5, 1)), "whole"),
        (lambda: SomeOf([Gain()], count=True), "whole"),
        (lambda: SomeOf([Gain()], count=None), "range"),
        (lambda: ByClass([Gain()]), "by label"),
        (lambda: ByClass({"rain": 3}), "by label"),
    ],
)
def test_impossible_settings_are_refused(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


def test_numbers_of_numpy_are_printed_as_pythons():
    made = [
        Crop(duration=np.float64(1.5)),
        SpecAugment(freq_width=np.float32(0.5), freq_masks=np.int64(2)),
        Mixup(alpha=np.float64(0.5), p=np.int64(1)),
        SomeOf([Gain(), Reverse()], count=np.int64(1)),
        OneOf([Gain()], weights=(np.float32(1),)),
    ]
    for value in made:
        assert "np." not in repr(value)
        assert eval(repr(value)) == value
        assert hash(eval(repr(value))) == hash(value)
    assert hash(ByClass({}, p=1)) == hash(ByClass({}, p=1.0))


@pytest.mark.parametrize("label", [None, b"rain", 3])
def test_a_class_is_a_word(label):
    with pytest.raises(ValueError, match="the class of the sound as a str"):
        ByClass({"rain": Gain()}, default=Reverse())(np.ones(8, np.float32), rng=0, label=label)


def test_mixtures_refuse_labels_and_rates_that_are_none():
    x, y = np.ones((2, 50), np.float32), np.eye(2, dtype=np.float32)
    with pytest.raises(ValueError, match="label weights of a batch must be finite"):
        Mixup()(x, y * np.nan, rng=0)
    with pytest.raises(ValueError, match="finite in single precision"):
        Mixup()(1e39 * x.astype(float), y, rng=0)
    with pytest.raises(ValueError, match=r"needs sample_rate \(Hz\)"):
        BetweenClass()(x, y, rng=0, sample_rate=0)


def test_nan_is_refused_where_it_would_spread(rng):
    wave = np.ones(100, np.float32)
    wave[3] = np.nan
    for transform in (one for one in [*WAVES, *SLOW_WAVES, *OTHER_LENGTH] if isinstance(one, WaveTransform) and one.p == 1):
        if transform.MEASURES:
            with pytest.raises(ValueError, match=f"{type(transform).__name__}: samples must be finite"):
                transform(wave, sample_rate=RATE, rng=rng)
        else:
            assert np.isnan(transform(wave, sample_rate=RATE, rng=rng)).sum() <= 30  # Pad may repeat it


@pytest.mark.parametrize("transform", [Gain(), AddNoise(), Compose([Reverse()])], ids=repr)
@pytest.mark.parametrize(
    ("wave", "reason"),
    [
        (np.ones(10, np.int16), "divide 16-bit integers by 32768"),
        (np.ones((2, 100)), "transpose"),
        (np.zeros(0), "samples in it"),
        (np.ones((4, 4, 1)), r"\(samples\[, channels\]\)"),
    ],
)
def test_what_is_no_waveform_is_refused(transform, wave, reason):
    with pytest.raises(ValueError, match=reason):
        transform(wave, sample_rate=RATE, rng=0)


@pytest.mark.parametrize("transform", FEATURES, ids=repr)
@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        (np.zeros(40), "bands, frames"),
        (np.zeros((4, 0)), "bands, frames"),
        (np.zeros((4, 4), int), "floating point"),
        (np.full((4, 4), np.inf), "finite"),
    ],
)
def test_what_is_no_feature_is_refused(transform, feature, reason):
    with pytest.raises(ValueError, match=reason):
        transform(feature, rng=0)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.ones((4, 10)), np.arange(4), r"numpy\.eye"),
        (np.ones((4, 10)), np.eye(3), "label weights"),
        (np.ones((4, 10), int), np.eye(4), "floating point"),
        (np.full((4, 10), np.nan), np.eye(4), "finite"),
    ],
)
def test_what_is_no_batch_is_refused(x, y, reason):
    with pytest.raises(ValueError, match=reason):
        Mixup()(x, y, rng=0)


def test_between_class_needs_waves_and_their_rate():
    for shape, rate in (((2, 4, 4, 1), 8_000), ((2, 100), None)):
        with pytest.raises(ValueError, match="before the frontend"):
            BetweenClass()(np.ones(shape, np.float32), np.eye(2), rng=0, sample_rate=rate)


def test_a_missing_rate_or_generator_is_named():
    wave = np.ones(100, np.float32)
    with pytest.raises(ValueError, match=r"TimeMask needs sample_rate \(Hz\): pass"):
        TimeMask()(wave, rng=0)
    for rng in (None, "seed", -1, 1.5):
        with pytest.raises(ValueError, match=r"numpy\.random\.Generator or a seed"):
            Gain()(wave, rng=rng)


def test_what_transforms_know_has_names():
    context = Context(np.random.default_rng(0), 8_000.0, "rain", None)
    assert (context.sample_rate, context.label, context.drawn) == (8_000.0, "rain", None)
    seen = []
    inner = type("_Spy", (Reverse,), {"within": lambda self, x, context: seen.append(context) or x, "__module__": "spies"})
    Compose([inner()])(np.ones(9, np.float32), rng=0, label="rain")
    assert (type(seen[0]), seen[0].label) == (Context, "rain")


def test_wide_numbers_become_float32():
    assert Gain()(np.ones(10), rng=0).dtype == np.float32
    assert TimeRoll()(np.ones((4, 4)), rng=0).dtype == np.float32


def test_stands_alone():
    code = """
import sys
import audiozoo.augment as augment
for name in augment.__all__:
    getattr(augment, name)
heavy = ("keras", "librosa", "numba", "scipy", "soundfile", "soxr")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
