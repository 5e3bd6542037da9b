import base64
import inspect
import json
import subprocess
import sys
import zlib
from dataclasses import fields, replace

import librosa
import noisereduce
import numpy as np
import pytest
from conftest import documented, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from audiozoo import audio, features
from audiozoo.features import (
    CleaningStep,
    NoiseClip,
    NormalizeLoudness,
    NormalizePeak,
    PreEmphasis,
    ReduceNoise,
    RemoveDC,
    RemoveSilence,
    TrimSilence,
    loudness,
    non_silent,
)
from audiozoo.features.loudness import k_weighting

HISS = np.random.default_rng(1).normal(0, 0.05, 11_025).astype(np.float32)
STEPS = [
    TrimSilence(),
    TrimSilence(top_db=20.0, frame_length=7, hop_length=3),
    RemoveSilence(),
    RemoveSilence(top_db=10.0, frame_length=2, hop_length=1),
    ReduceNoise(),
    ReduceNoise(stationary=True, amount=0.7),
    ReduceNoise(stationary=True, noise=NoiseClip.of(HISS, 11_025)),
    NormalizeLoudness(),
    NormalizePeak(peak=0.5),
    PreEmphasis(),
    RemoveDC(),
]
EACH = pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
CUTS = (TrimSilence, RemoveSilence)
KINDS = {
    "noise": lambda rng, n: rng.uniform(-1, 1, n),
    "quiet": lambda rng, n: 1e-30 * rng.uniform(-1, 1, n),
    "beyond 1": lambda rng, n: 50 * rng.uniform(-1, 1, n),
    "clipped": lambda rng, n: np.sign(rng.uniform(-1, 1, n)),
    "constant": lambda rng, n: np.full(n, 0.3),
    "alternating": lambda rng, n: 0.3 * (-1.0) ** np.arange(n),
    "click": lambda rng, n: np.eye(1, n, int(rng.integers(n)))[0],
    "pauses": lambda rng, n: rng.uniform(-1, 1, n) * (np.arange(n) // 700 % 2),
    "silence": lambda rng, n: np.zeros(n),
}


@settings(deadline=None, max_examples=150)
@given(
    step=st.sampled_from(STEPS),
    kind=st.sampled_from(sorted(KINDS)),
    length=st.integers(1, 5_000) | st.sampled_from([1, 2, 3]),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    seed=st.integers(0, 99),
)
def test_whatever_the_wave(step, kind, length, rate, seed):
    wave = KINDS[kind](np.random.default_rng(seed), length).astype(np.float32)
    before = wave.copy()
    wave.flags.writeable = False
    cleaned = step(wave, rate)
    assert np.array_equal(wave, before)
    assert cleaned.dtype == np.float32
    assert cleaned.flags.c_contiguous
    assert np.isfinite(cleaned).all()
    assert cleaned.ndim == 1
    assert 1 <= len(cleaned) <= length
    assert all(0 <= start < end <= length for start, end in non_silent(wave, rate, frame_length=8, hop_length=4))
    assert len(cleaned) == length or isinstance(step, CUTS)
    assert np.array_equal(step(wave, rate), cleaned)
    if kind == "silence":
        assert np.array_equal(cleaned, wave)
    if length > 1 and not isinstance(step, NormalizeLoudness):  # two channels are louder than one
        twice = step(np.stack([wave, wave], axis=-1), rate)
        assert twice.flags.c_contiguous
        assert twice.shape[1:] == (2,)
        if len(twice) == len(cleaned):
            assert np.array_equal(twice, np.stack([cleaned, cleaned], axis=-1))
        else:  # fewer samples than channels are left of it, and it is kept
            assert len(cleaned) == 1
            assert np.array_equal(twice[:, 0], wave)


@EACH
def test_config_round_trip_gives_the_same_bits(step, rng):
    again = CleaningStep.from_config(json.loads(json.dumps(step.to_config())))
    wave = rng.uniform(-0.5, 0.5, (4_000, 2))
    assert again == step
    assert hash(again) == hash(step)
    assert again.key == step.key
    assert np.array_equal(again(wave, 16_000), step(wave, 16_000))


@EACH
def test_a_step_declares_and_documents_all_its_fields(step):
    names = {field.name for field in fields(step)}
    assert type(step).__bases__ == (CleaningStep,)
    assert names <= inspect.get_annotations(type(step)).keys()
    assert documented(type(step)) == names


def test_the_former_name_of_the_base_class_warns():
    for module in (features, sys.modules["audiozoo.features.cleaning"]):
        with pytest.warns(DeprecationWarning, match="CleaningStep"):
            assert module.Step is CleaningStep
        with pytest.raises(AttributeError, match="Stap"):
            _ = module.Stap


def test_keys_differ():
    assert len({step.key for step in STEPS}) == len(STEPS)


@EACH
def test_the_wave_is_checked(step):
    with pytest.raises(ValueError, match="needs its sample rate"):
        step(np.ones(10), None)
    with pytest.raises(ValueError, match=r"wave\.T"):
        step(np.ones((2, 10)), 8_000)
    with pytest.raises(ValueError, match="NaN"):
        step(np.float32([np.nan]), 8_000)
    assert step(np.float64([0.5]), 8_000).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: TrimSilence(top_db=0), "top_db must be positive"),
        (lambda: RemoveSilence(top_db=float("nan")), "top_db must be positive"),
        (lambda: TrimSilence(hop_length=1_025), "between frames"),
        (lambda: TrimSilence(hop_length=0), "between frames"),
        (lambda: TrimSilence(frame_length=512.0, hop_length=64), "whole samples"),
        (lambda: non_silent(np.ones(9), 8_000, frame_length=1), "between frames"),
        (lambda: ReduceNoise(amount=0), "amount"),
        (lambda: ReduceNoise(amount=1.1), "amount"),
        (lambda: ReduceNoise(stationary="yes"), "True or False"),
        (lambda: ReduceNoise(noise=NoiseClip.of(HISS, 11_025)), "stationary=True"),
        (lambda: ReduceNoise(stationary=True, noise=HISS), r"NoiseClip\.of"),
        (lambda: ReduceNoise()(HISS, 999), "at least 1000 Hz"),
        (lambda: NormalizeLoudness(target_lufs=1), "target_lufs"),
        (lambda: NormalizeLoudness(target_lufs=-70), "target_lufs"),
        (lambda: NormalizePeak(peak=0), "peak"),
        (lambda: PreEmphasis(coefficient=1.5), "coefficient"),
        (lambda: loudness(HISS, 3_999), "at least 4000 Hz.*resample"),
        (lambda: CleaningStep.from_config({"class": "TrimSilense"}), "unknown cleaning step .*did you mean 'TrimSilence'"),
        (lambda: CleaningStep.from_config({"class": "TrimSilence", "topdb": 3}), "did you mean 'top_db'"),
    ],
)
def test_refuses_impossible_settings(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


def test_trims_the_ends_and_keeps_the_pause():
    wave = np.zeros(40_000, np.float32)
    wave[8_000:16_000] = wave[24_000:30_000] = 0.5
    trimmed = TrimSilence(frame_length=256, hop_length=64)(wave, 8_000)
    assert 22_000 <= len(trimmed) <= 22_000 + 2 * 256
    assert np.count_nonzero(trimmed) == 14_000
    removed = RemoveSilence(frame_length=256, hop_length=64)(wave, 8_000)
    assert 14_000 <= len(removed) <= 14_000 + 4 * 256
    assert np.count_nonzero(removed) == 14_000
    parts = non_silent(wave, 8_000, frame_length=256, hop_length=64)
    assert np.abs(np.array(parts) - [[8_000, 16_000], [24_000, 30_000]]).max() <= 256
    assert np.array_equal(np.concatenate([wave[start:end] for start, end in parts]), removed)


def test_silence_is_relative_to_the_loudest_frame(rng):
    wave = KINDS["pauses"](rng, 5_000) + 1e-4 * rng.standard_normal(5_000)
    settings = {"top_db": 30.0, "frame_length": 128, "hop_length": 32}
    parts = non_silent(wave, 8_000, **settings)
    assert len(parts) == 4
    assert non_silent(wave * 2.0**-30, 8_000, **settings) == parts
    assert non_silent(np.zeros(5_000), 8_000, **settings) == []


def test_channels_are_cut_together():
    wave = np.zeros((20_000, 2), np.float32)
    wave[4_000:6_000, 0] = wave[12_000:15_000, 1] = 0.5
    trimmed = TrimSilence(frame_length=256, hop_length=64)(wave, 8_000)
    assert np.count_nonzero(trimmed, axis=0).tolist() == [2_000, 3_000]
    assert 11_000 <= len(trimmed) <= 11_000 + 2 * 256


@pytest.mark.parametrize("kind", CUTS)
def test_what_is_left_is_still_a_wave(kind):
    wave = np.zeros((50, 2), np.float32)
    wave[-1] = 1
    step = kind(frame_length=2, hop_length=1)
    assert step(wave[:, 0], 8_000).tolist() == [1]
    assert np.array_equal(step(step(wave, 8_000), 8_000), wave)


def real_sounds(root):
    return [audio.read(path) for path in sorted((root / "audio").iterdir())[::250]]


def test_cuts_like_librosa_on_real_sounds(esc50_root):
    cut = 0
    for wave, rate in real_sounds(esc50_root):
        loud = wave / np.abs(wave).max()  # librosa's floor is absolute, ours is not
        expected, _ = librosa.effects.trim(loud, top_db=40)
        assert np.array_equal(TrimSilence(top_db=40.0)(loud, rate), expected)
        assert np.array_equal(non_silent(loud, rate, top_db=40.0), librosa.effects.split(loud, top_db=40))
        kept = RemoveSilence(top_db=40.0)(loud, rate)
        assert len(kept) == np.diff(librosa.effects.split(loud, top_db=40)).sum()
        cut += len(kept) < len(loud)
    assert cut >= 2


def signal_to_noise(signal, wave):
    """Return dB between the part of a wave that is the signal, at whatever gain, and the rest."""
    part = (signal @ wave) / (signal @ signal) * signal
    return 10 * np.log10((part @ part) / ((wave - part) @ (wave - part)))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_noise_falls_below_a_steady_tone(rate, rng):
    signal = tone(440, 3, rate).astype(np.float64)
    noisy = signal + rng.normal(0, 0.05, len(signal))
    step = ReduceNoise(stationary=True, noise=NoiseClip.of(rng.normal(0, 0.05, 2 * rate), rate))
    before = signal_to_noise(signal, noisy)
    after = signal_to_noise(signal, step(noisy, rate))
    assert after > before + 3
    assert before + 1 < signal_to_noise(signal, replace(step, amount=0.5)(noisy, rate)) < after


def test_noise_falls_below_short_tones(rng):
    rate = 44_100
    on = np.arange(3 * rate) % rate < 0.3 * rate
    signal = tone(440, 3, rate).astype(np.float64) * on
    noise = rng.normal(0, 0.05, len(signal))
    cleaned = ReduceNoise()(signal + noise, rate)
    assert signal_to_noise(signal, cleaned) > signal_to_noise(signal, signal + noise) + 6
    assert 10 * np.log10(np.mean(cleaned[~on] ** 2) / np.mean(noise[~on] ** 2)) < -15


def test_noise_falls_below_real_sounds(esc50_root, rng):
    gains = []
    for wave, rate in real_sounds(esc50_root):
        signal = wave / np.abs(wave).max()
        noise = rng.normal(0, 0.1, len(signal) + rate)
        step = ReduceNoise(stationary=True, noise=NoiseClip.of(noise[-rate:], rate))
        noisy = signal + noise[: len(signal)]
        gains.append(signal_to_noise(signal, step(noisy, rate)) - signal_to_noise(signal, noisy))
    assert np.median(gains) > 3


def test_gates_as_noisereduce_does(rng):
    wave = rng.normal(0, 0.1, 30_000) * np.linspace(0, 1, 30_000)
    for stationary in (False, True):
        expected = noisereduce.reduce_noise(y=wave, sr=44_100, stationary=stationary, prop_decrease=0.8)
        assert np.abs(ReduceNoise(stationary=stationary, amount=0.8)(wave, 44_100) - expected).max() < 1e-6
    expected = noisereduce.reduce_noise(y=wave, sr=44_100, stationary=True, y_noise=HISS)
    step = ReduceNoise(stationary=True, noise=NoiseClip.of(HISS, 44_100))
    assert np.abs(step(wave, 44_100) - expected).max() < 1e-4


def test_a_noise_clip_of_another_rate_is_resampled(rng):
    noise = rng.normal(0, 0.1, 44_100).astype(np.float32)
    wave = rng.normal(0, 0.1, 8_000)
    other = ReduceNoise(stationary=True, noise=NoiseClip.of(noise, 44_100))(wave, 8_000)
    same = ReduceNoise(stationary=True, noise=NoiseClip.of(audio.resample(noise, 44_100, 8_000), 8_000))(wave, 8_000)
    assert np.array_equal(other, same)
    assert not np.array_equal(other, ReduceNoise(stationary=True, noise=NoiseClip.of(noise, 8_000))(wave, 8_000))


@pytest.mark.parametrize("stationary", [False, True])
def test_noise_reduction_meets_silence(stationary, rng):
    step = ReduceNoise(stationary=stationary)
    wave = np.zeros((1_300_000, 2), np.float32)  # long enough for noisereduce to meet a piece of silence alone
    wave[:50_000, 0] = rng.uniform(-0.5, 0.5, 50_000)
    cleaned = step(wave, 44_100)
    assert np.abs(cleaned[:50_000, 0]).max() > 1e-3
    assert np.abs(cleaned[60_000:]).max() < 1e-9
    assert not cleaned[:, 1].any()


def test_noise_reduction_keeps_what_is_shorter_than_a_frame(rng):
    wave = rng.uniform(-0.5, 0.5, 1_024).astype(np.float32)
    for stationary in (False, True):
        assert np.array_equal(ReduceNoise(stationary=stationary)(wave[:-1], 44_100), wave[:-1])
        assert not np.array_equal(ReduceNoise(stationary=stationary)(wave, 44_100), wave)


def test_noise_clip_keeps_every_bit(write_sound):
    stereo = np.stack([HISS, -0.5 * HISS], axis=-1)
    clip = NoiseClip.read(write_sound(stereo, 11_025, subtype="FLOAT"))
    assert clip == NoiseClip.of(stereo, 11_025)
    assert clip.sample_rate == 11_025
    assert np.array_equal(clip.wave, stereo.mean(axis=1))
    assert len(repr(clip)) < 100
    assert clip != NoiseClip.of(HISS, 11_025)


def packed(data):
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: NoiseClip.of(np.zeros(9_000), 8_000), "digital silence"),
        (lambda: NoiseClip.of(np.ones(799), 8_000), "must last"),
        (lambda: NoiseClip.of(np.ones(2**22 + 1), 8_000), "at most 4194304"),
        (lambda: NoiseClip.of(np.ones(9_000, np.int16), 8_000), "floating point"),
        (lambda: NoiseClip(sample_rate=8_000, samples="no base64"), r"NoiseClip\.of"),
        (lambda: NoiseClip(sample_rate=8_000, samples=HISS), r"NoiseClip\.of"),
        (lambda: NoiseClip(sample_rate=8_000, samples="AAAA"), r"NoiseClip\.of"),
        (lambda: NoiseClip(sample_rate=8_000, samples=packed(HISS.tobytes())[:400]), "cut short"),
        (lambda: NoiseClip(sample_rate=8_000, samples=packed(bytes(4 * 2**22 + 4))), "cut short or longer"),
        (lambda: NoiseClip(sample_rate=8_000, samples=packed(bytes(3))), "whole float32"),
        (lambda: NoiseClip(sample_rate=8_000, samples=packed(np.full(900, np.nan, "<f4").tobytes())), "noise clip.*NaN"),
    ],
)
def test_refuses_what_is_no_noise_clip(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


def test_k_weighting_is_the_table_of_the_standard():
    table = [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585],
        [1, -2, 1, 1, -1.99004745483398, 0.99007225036621],
    ]
    assert np.abs(k_weighting(48_000) - table).max() < 1e-13


@pytest.mark.parametrize(("rate", "within"), [(48_000, 0.01), (44_100, 0.01), (192_000, 0.01), (16_000, 0.1), (8_000, 0.25)])
def test_a_full_scale_sine_measures_minus_3(rate, within):
    assert loudness(tone(997, 3, rate, level=1), rate) == pytest.approx(-3.01, abs=within)


@pytest.mark.parametrize(
    "levels",
    [
        [(-23, 20)],
        [(-36, 10), (-23, 60), (-36, 10)],
        [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)],
        [(-26, 20), (-20, 20.1), (-26, 20)],
    ],
)
def test_gating_as_ebu_tech_3341_checks_it(levels):
    parts = [tone(1_000, seconds, 32_000, level=10 ** (db / 20)) for db, seconds in levels]
    wave = np.concatenate(parts)
    assert loudness(np.stack([wave, wave], axis=-1), 32_000) == pytest.approx(-23, abs=0.1)


def test_silence_does_not_lower_the_loudness():
    wave = tone(997, 4, 16_000)
    padded = np.concatenate([np.zeros(160_000, np.float32), wave, np.zeros(160_000, np.float32)])
    # 37 blocks of sound and six, sharing three blocks' worth, at its ends; ungated it would be 8 dB less
    expected = loudness(wave, 16_000) + 10 * np.log10(40 / 43)
    assert loudness(padded, 16_000) == pytest.approx(expected, abs=0.01)
    assert loudness(np.zeros(16_000), 16_000) == -np.inf
    assert loudness(1e-4 * wave, 16_000) == -np.inf


def test_short_and_fractional_blocks():
    wave = tone(997, 0.3, 11_025, level=1)
    assert loudness(wave, 11_025) == pytest.approx(-3.1, abs=0.2)
    assert np.isfinite(loudness(np.ones(1), 11_025))
    for samples in range(4_405, 4_415):
        assert loudness(tone(997, 1, 11_025, level=1)[:samples], 11_025) == pytest.approx(-3.1, abs=0.1)


def test_loudness_is_normalised(rng):
    wave = rng.normal(0, 0.01, (20_000, 2)) * [1, 0.3]
    louder = NormalizeLoudness(target_lufs=-14.0)(wave, 16_000)
    assert loudness(louder, 16_000) == pytest.approx(-14, abs=1e-3)
    assert np.allclose(louder / wave, (louder / wave)[0, 0], rtol=1e-4)
    faint = (1e-6 * wave).astype(np.float32)
    assert np.array_equal(NormalizeLoudness()(faint, 16_000), faint)
    click = np.eye(1, 16_000, 8_000)[0]
    assert NormalizeLoudness(target_lufs=-10.0)(click, 16_000).max() > 1


def test_peak_is_normalised(rng):
    wave = rng.normal(0, 0.01, (500, 2)) * [1, 0.3]
    louder = NormalizePeak(peak=0.8)(wave, 16_000)
    assert np.abs(louder).max() == np.float32(0.8)
    assert np.allclose(louder, wave / np.abs(wave).max() * 0.8, atol=1e-6)


def test_preemphasis_equals_librosa(rng):
    wave = rng.uniform(-1, 1, 1_000).astype(np.float32)
    ours = PreEmphasis(coefficient=0.95)(wave, 16_000)
    assert np.abs(ours - librosa.effects.preemphasis(wave, coef=0.95, zi=-0.95 * wave[:1])).max() < 1e-6
    assert PreEmphasis()(np.float32([1, 1]), 16_000) == pytest.approx([0.03, 0.03], abs=1e-6)


def test_dc_is_removed_from_each_channel(rng):
    sound = rng.uniform(-0.1, 0.1, (1_000, 2))
    sound -= sound.mean(axis=0)
    assert np.allclose(RemoveDC()(sound + np.array([0.5, -0.2]), 8_000), sound, atol=1e-6)
    assert np.abs(RemoveDC()(np.full(7, 0.1), 8_000)).max() < 1e-8


def test_steps_load_little():
    heavy = ("keras", "librosa", "noisereduce", "scipy", "soxr")
    code = f"import sys, audiozoo.features; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
