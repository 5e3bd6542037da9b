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
    n_fft=st.sampled_from([1_024, 2_047, 4_096]),
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


@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels", "fmin", "fmax"),
    [(16_000, 512, 64, 125.0, 7_500.0), (16_000, 512, 20, 0.0, 8_000.0), (44_100, 2_048, 40, 20.0, 22_050.0)],
)
def test_triangles_straight_in_mel_equal_tensorflows(rate, n_fft, n_mels, fmin, fmax):
    tensorflow = pytest.importorskip("tensorflow")
    options = {"fmin": fmin, "fmax": fmax, "mel_scale": "htk", "norm": None}
    ours = spectrum.mel_filterbank(rate, n_fft, n_mels, **options, triangles="mel")
    theirs = tensorflow.signal.linear_to_mel_weight_matrix(
        n_mels, 1 + n_fft // 2, rate, fmin, fmax, dtype=tensorflow.float64
    ).numpy()
    assert np.allclose(ours, theirs.T, atol=1e-6)
    assert not ours[:, 0].any()
    assert np.abs(ours - spectrum.mel_filterbank(rate, n_fft, n_mels, **options)).max() > 1e-3


@settings(deadline=None, max_examples=20)
@given(
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    n_fft=st.sampled_from([255, 512, 2_048]),
    n_bands=st.integers(1, 300),
    fmin=st.floats(0, 500),
    fmax=st.floats(1_000, 4_000),
)
def test_gammatone_filterbank_equals_spafe(rate, n_fft, n_bands, fmin, fmax):
    spafe = pytest.importorskip("spafe.fbanks.gammatone_fbanks")
    theirs, _ = spafe.gammatone_filter_banks(nfilts=n_bands, nfft=n_fft, fs=rate, low_freq=fmin, high_freq=fmax, order=1)
    ours = spectrum.gammatone_filterbank(rate, n_fft, n_bands, fmin=fmin, fmax=fmax)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-5


def test_gammatone_filterbank_equals_scipys_filters():
    from scipy import signal

    ours = spectrum.gammatone_filterbank(16_000, 1_024, 6, fmin=300.0, fmax=7_000.0)
    corner = 9.26449 * 24.7
    for response_of_band, centre in zip(
        ours, (300 + corner) * ((7_000 + corner) / (300 + corner)) ** (np.arange(6) / 6) - corner, strict=True
    ):
        _, response = signal.freqz(*signal.gammatone(centre, "iir", fs=16_000), worN=1_024, whole=True)
        magnitude = np.abs(response[:513])
        assert np.allclose(response_of_band, magnitude / magnitude.max(), atol=1e-4)


@pytest.mark.parametrize(("rate", "n_bands"), [(1_000, 500), (192_000, 3), (1e9, 64)])
def test_gammatone_filters_are_finite_with_a_maximum_of_one_and_rising_peaks(rate, n_bands):
    filters = spectrum.gammatone_filterbank(rate, 1_024, n_bands)
    assert np.isfinite(filters).all()
    assert (filters.max(axis=1) == 1).all()
    assert (np.diff(filters.argmax(axis=1)) >= 0).all()


def test_a_dense_filterbank_multiplies_the_whole_spectrogram(rng):
    stft = Stft(n_fft=512, hop_length=256, win_length=512)
    wave = rng.standard_normal(5_000).astype(np.float32)
    bank = spectrum.gammatone_bank(16_000, 512, 24, 50.0, None)
    expected = spectrum.spectrogram(wave, stft) @ spectrum.gammatone_filterbank(16_000, 512, 24, fmin=50.0).T
    assert np.allclose(spectrum.filtered_spectrogram(wave, stft, bank), expected, rtol=1e-4)
    assert spectrum.gammatone_bank(16_000, 512, 24, 50.0, None) is bank
    assert np.array_equal(bank.matrix, spectrum.gammatone_filterbank(16_000, 512, 24, fmin=50.0))


@pytest.mark.parametrize("limits", [{"fmin": -1}, {"fmin": 9_000}, {"fmax": 9_000}, {"fmin": 500, "fmax": 400}])
def test_filterbanks_refuse_impossible_limits(limits):
    for filterbank in (spectrum.mel_filterbank, spectrum.gammatone_filterbank):
        with pytest.raises(ValueError, match=r"0 <= fmin < fmax <= sample_rate / 2, got fmin="):
            filterbank(16_000, 1_024, 10, **limits)


def test_filterbanks_refuse_no_band_and_unknown_triangles():
    with pytest.raises(ValueError, match=r"at least 1 band, got n_bands=0"):
        spectrum.gammatone_filterbank(16_000, 1_024, 0)
    with pytest.raises(ValueError, match=r"'hertz' or 'mel', got 'bark'"):
        spectrum.mel_filterbank(16_000, 1_024, 10, triangles="bark")


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_scale_equals_librosa_and_inverts(scale):
    hertz = np.linspace(0, 20_000, 500)
    assert np.allclose(spectrum.hz_to_mel(hertz, scale), librosa.hz_to_mel(hertz, htk=scale == "htk"))
    assert np.allclose(spectrum.mel_to_hz(spectrum.hz_to_mel(hertz, scale), scale), hertz)


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman"])
def test_windows_equal_scipys(name):
    assert np.allclose(spectrum.window(name, 1_920), librosa.filters.get_window(name, 1_920))


def test_a_mel_bank_has_the_weights_of_its_filterbank():
    bank = spectrum.mel_bank(16_000, 512, 40, 50.0, 6_000.0, "htk", None)
    expected = spectrum.mel_filterbank(16_000, 512, 40, fmin=50.0, fmax=6_000.0, mel_scale="htk", norm=None)
    assert np.array_equal(bank.matrix, expected)


def test_an_unknown_window_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="unknown window 'hanning'; did you mean 'hann'"):
        spectrum.window("hanning", 8)


def test_filterbank_refuses_empty_bands():
    with pytest.raises(ValueError, match=r"mel bands hold no FFT bin.*fewer bands"):
        spectrum.mel_filterbank(44_100, 512, 128)


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


@pytest.mark.parametrize(("samples", "n_fft", "length"), [(257, 512, 512), (3_000, 512, 300), (70_000, 255, 201)])
def test_reflected_edges_equal_librosas(samples, n_fft, length, rng):
    wave = rng.standard_normal(samples).astype(np.float32)
    stft = Stft(n_fft=n_fft, hop_length=100, win_length=length, edges="reflect")
    padded = np.pad(wave, n_fft // 2, mode="reflect")
    theirs = librosa.stft(padded, n_fft=n_fft, hop_length=100, win_length=length, center=False)
    ours = spectrum.complex_spectrogram(wave, stft).T
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_a_wave_that_is_too_short_to_be_reflected_is_refused():
    with pytest.raises(ValueError, match=r"more than n_fft // 2 = 256 samples, got 256"):
        spectrum.spectrogram(np.ones(256, np.float32), Stft(n_fft=512, hop_length=100, win_length=512, edges="reflect"))


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
    times = stft.times(stft.frames_of(4_000), 8_000)
    clicks = np.zeros(4_000, np.float32)
    clicks[2_000] = 1
    energy = spectrum.spectrogram(clicks, stft).sum(axis=1)
    assert len(times) == stft.frames_of(4_000) == len(energy)
    assert times[energy.argmax()] == pytest.approx(2_000 / 8_000, abs=40 / 8_000)
    assert np.allclose(np.diff(times), 0.01)


def test_centred_times_equal_librosas():
    stft = Stft(n_fft=512, hop_length=160, win_length=400)
    assert np.allclose(
        stft.times(stft.frames_of(3_000), 16_000), librosa.times_like(stft.frames_of(3_000), sr=16_000, hop_length=160)
    )


@pytest.mark.parametrize(
    "sizes",
    [
        {"win_length": 600},
        {"hop_length": 0},
        {"win_length": 0},
        {"framing": "left"},
        {"n_fft": 1, "win_length": 1},
        {"edges": "wrap"},
        {"edges": "reflect", "framing": "window"},
    ],
)
def test_stft_refuses_impossible_sizes(sizes):
    with pytest.raises(ValueError, match=r"STFT needs|(framing|edges) must|edges='reflect' needs framing='center'"):
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
