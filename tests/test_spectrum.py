import librosa
import numpy as np
import pytest
from conftest import tone
from hypothesis import given, settings
from hypothesis import strategies as st

from audiozoo import spectrum
from audiozoo.spectrum import Stft


@settings(deadline=None, max_examples=40)
@given(
    rate=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
    n_fft=st.sampled_from([1_024, 2_048, 4_096]),
    n_mels=st.integers(4, 40),
    fmin=st.floats(0, 200),
    htk=st.booleans(),
    norm=st.sampled_from(["slaney", None]),
)
def test_mel_filterbank_equals_librosa(rate, n_fft, n_mels, fmin, htk, norm):
    ours = spectrum.mel_filterbank(
        rate, n_fft, n_mels, fmin=fmin, fmax=rate / 2.5, mel_scale="htk" if htk else "slaney", norm=norm
    )
    theirs = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=rate / 2.5, htk=htk, norm=norm)
    assert np.allclose(ours, theirs, rtol=1e-4, atol=theirs.max() * 1e-6)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_scale_equals_librosa_and_inverts(scale):
    hertz = np.linspace(0, 20_000, 500)
    assert np.allclose(spectrum.hz_to_mel(hertz, scale), librosa.hz_to_mel(hertz, htk=scale == "htk"))
    assert np.allclose(spectrum.mel_to_hz(spectrum.hz_to_mel(hertz, scale), scale), hertz)


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman"])
def test_windows_equal_scipys(name):
    assert np.allclose(spectrum.window(name, 1_920), librosa.filters.get_window(name, 1_920))


def test_filterbank_refuses_empty_bands_and_impossible_edges():
    with pytest.raises(ValueError, match=r"mel bands hold no FFT bin.*fewer bands"):
        spectrum.mel_filterbank(44_100, 512, 128)
    with pytest.raises(ValueError, match="fmax=9000"):
        spectrum.mel_filterbank(16_000, 512, 40, fmax=9_000)


@settings(deadline=None, max_examples=40)
@given(
    samples=st.integers(1, 6_000),
    n_fft=st.sampled_from([64, 255, 512, 1_024]),
    shorter=st.integers(0, 40),
    hop=st.integers(10, 600),
    power=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 99),
)
def test_spectrogram_equals_librosa(samples, n_fft, shorter, hop, power, seed):
    wave = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    ours = spectrum.spectrogram(wave, Stft(n_fft=n_fft, hop_length=hop, win_length=n_fft - shorter), power=power).T
    theirs = np.abs(
        librosa.stft(np.pad(wave, n_fft // 2), n_fft=n_fft, hop_length=hop, win_length=n_fft - shorter, center=False)
    )
    assert ours.shape == theirs.shape
    assert np.allclose(ours, theirs**power, rtol=1e-3, atol=1e-4 * theirs.max() ** power)


@settings(deadline=None, max_examples=40)
@given(
    samples=st.integers(1, 6_000),
    n_fft=st.sampled_from([64, 255, 512, 1_024]),
    shorter=st.integers(0, 40),
    hop=st.integers(10, 600),
    seed=st.integers(0, 99),
)
def test_complex_spectrogram_equals_librosa(samples, n_fft, shorter, hop, seed):
    wave = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    ours = spectrum.complex_spectrogram(wave, Stft(n_fft=n_fft, hop_length=hop, win_length=n_fft - shorter)).T
    theirs = librosa.stft(np.pad(wave, n_fft // 2), n_fft=n_fft, hop_length=hop, win_length=n_fft - shorter, center=False)
    assert ours.dtype == np.complex64
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_phase_counts_from_the_start_of_a_window_frame(rng):
    wave = rng.standard_normal(1_000).astype(np.float32)
    ours = spectrum.complex_spectrogram(wave, Stft(n_fft=512, hop_length=300, win_length=400, framing="window"))
    expected = np.fft.rfft([wave[start : start + 400] * spectrum.window("hann", 400) for start in (0, 300, 600)], 512)
    assert np.abs(ours - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("samples", [100, 399, 400, 511, 512, 2_000])
def test_window_frames_stay_inside_and_start_with_the_wave(samples, rng):
    wave = rng.standard_normal(samples).astype(np.float32)
    stft = Stft(n_fft=512, hop_length=100, win_length=400, framing="window")
    cuts = [wave[start : start + 400] for start in range(0, samples - 399, 100)]
    expected = np.array([np.abs(np.fft.rfft(cut * spectrum.window("hann", 400), 512)) for cut in cuts]).reshape(-1, 257)
    assert stft.frames_of(samples) == len(cuts)
    assert np.allclose(spectrum.spectrogram(wave, stft, power=1.0), expected, atol=1e-3)


@pytest.mark.parametrize("framing", ["center", "window"])
def test_times_are_the_middle_of_the_frames(framing):
    stft = Stft(n_fft=512, hop_length=80, win_length=200, framing=framing)
    times = stft.times(4_000, 8_000)
    clicks = np.zeros(4_000, np.float32)
    clicks[2_000] = 1
    energy = spectrum.spectrogram(clicks, stft).sum(axis=1)
    assert len(times) == stft.frames_of(4_000) == len(energy)
    assert times[energy.argmax()] == pytest.approx(2_000 / 8_000, abs=40 / 8_000)
    assert np.allclose(np.diff(times), 0.01)


def test_centred_times_equal_librosas():
    stft = Stft(n_fft=512, hop_length=160, win_length=400)
    assert np.allclose(stft.times(3_000, 16_000), librosa.times_like(stft.frames_of(3_000), sr=16_000, hop_length=160))


@pytest.mark.parametrize(
    "sizes", [{"win_length": 600}, {"hop_length": 0}, {"win_length": 0}, {"framing": "left"}, {"n_fft": 1, "win_length": 1}]
)
def test_stft_refuses_impossible_sizes(sizes):
    with pytest.raises(ValueError, match=r"STFT needs|framing must"):
        Stft(**{"n_fft": 512, "hop_length": 128, "win_length": 512, **sizes})


def test_decibels_equal_librosa(rng):
    power = rng.uniform(0, 1, (40, 50)).astype(np.float32) ** 9
    for options, theirs in [({}, {}), ({"top_db": None}, {"top_db": None}), ({"reference": "max"}, {"ref": np.max})]:
        assert np.allclose(spectrum.to_decibels(power.copy(), **options), librosa.power_to_db(power, **theirs), atol=1e-4)


def test_single_precision_keeps_a_pure_tone_within_a_thousandth_of_a_decibel():
    wave = tone(1_000.3, 5, 44_100)
    bank = spectrum.mel_bank(44_100, 2_048, 128, 0.0, None, "slaney", "slaney")
    stft = Stft(n_fft=2_048, hop_length=1_024, win_length=2_048)
    ours = spectrum.to_decibels(spectrum.filtered_spectrogram(wave, stft, bank)).T
    theirs = librosa.power_to_db(
        librosa.feature.melspectrogram(y=wave.astype(np.float64), sr=44_100, n_fft=2_048, hop_length=1_024, n_mels=128)
    )
    assert np.abs(ours - theirs).max() < 1e-3
