import json
from dataclasses import replace

import librosa
import numpy as np
import pytest
from conftest import tone
from hypothesis import given, settings
from hypothesis import strategies as st

from audiozoo import audio
from audiozoo.datasets import Clip
from audiozoo.features import Features, Frontend, LogMel, Scaler, Spectrogram, Statistics, Waveform, extract

SMALL = {"sample_rate": 8_000, "duration": 0.5}
FRONTENDS = [
    Waveform(**SMALL),
    Waveform(**SMALL, channels=2),
    Spectrogram(**SMALL, n_fft=256, hop_length=128),
    LogMel(**SMALL, n_fft=256, hop_length=128, n_mels=20),
    LogMel(**SMALL, n_fft=256, hop_length=128, n_mels=20, frames=50, channels=2, compression="log"),
    LogMel(**SMALL, n_fft=256, hop_length=100, win_length=200, n_mels=20, frames=10, compression=None, framing="window"),
    LogMel(**SMALL, n_fft=256, hop_length=128, n_mels=20, power=1.0, reference="max", top_db=None, pad="repeat"),
    Statistics(of=Spectrogram(**SMALL, n_fft=256, hop_length=128, power=1.0), reduce=("mean", "deviation"), scale="max"),
]
EACH = pytest.mark.parametrize("frontend", FRONTENDS, ids=lambda frontend: type(frontend).__name__)


def noise(frontend, rng, samples=None):
    length = frontend.samples if samples is None else samples
    shape = (length,) if frontend.channels == 1 else (length, frontend.channels)
    return rng.uniform(-0.5, 0.5, shape).astype(np.float32)


@EACH
def test_shape_is_known_without_running(frontend, rng):
    for samples in (frontend.samples, 700, 1):
        array = frontend(noise(frontend, rng, max(samples, frontend.channels)))
        assert array.shape == frontend.shape
        assert array.dtype == np.float32


@EACH
def test_silence_gives_finite_values(frontend):
    shape = (frontend.samples,) if frontend.channels == 1 else (frontend.samples, frontend.channels)
    assert np.isfinite(frontend(np.zeros(shape, np.float32))).all()
    assert np.isfinite(frontend(np.full(shape, 0.3, np.float32))).all()


@EACH
def test_config_round_trip_gives_the_same_bits(frontend, rng):
    again = Frontend.from_config(json.loads(json.dumps(frontend.to_config())))
    wave = noise(frontend, rng)
    assert again == frontend
    assert again.key == frontend.key
    assert np.array_equal(again(wave), frontend(wave))


@EACH
def test_adapt_changes_duration_and_channels_only(frontend):
    adapted = frontend.adapt(duration=1.0, channels=2)
    assert (adapted.duration, adapted.channels) == (1.0, 2)
    assert frontend.adapt() == frontend
    assert adapted.adapt(duration=0.5, channels=frontend.channels) == frontend


@EACH
def test_the_input_is_not_changed(frontend, rng):
    wave = noise(frontend, rng)
    before = wave.copy()
    wave.flags.writeable = False
    frontend(wave)
    assert np.array_equal(wave, before)


def test_keys_differ():
    assert len({frontend.key for frontend in FRONTENDS}) == len(FRONTENDS)
    assert LogMel().key != replace(LogMel(), hop_length=511).key
    assert LogMel(duration=5).key == LogMel(duration=5.0).key
    assert LogMel(n_mels=np.int64(40)).key == LogMel(n_mels=40).key


@pytest.mark.parametrize(
    ("rate", "n_fft", "hop", "n_mels"),
    [
        (44_100, 2_048, 1_024, 128),
        (22_050, 2_048, 512, 64),
        (16_000, 512, 160, 64),
        (32_000, 1_024, 640, 64),
        (48_000, 2_048, 960, 40),
    ],
)
@pytest.mark.parametrize("kind", ["noise", "tone", "click", "quiet"])
def test_logmel_equals_librosa(rate, n_fft, hop, n_mels, kind, rng):
    wave = {
        "noise": lambda: rng.uniform(-1, 1, rate),
        "tone": lambda: tone(997, 1, rate),
        "click": lambda: np.eye(1, rate, rate // 2)[0],
        "quiet": lambda: 1e-4 * rng.standard_normal(rate),
    }[kind]().astype(np.float32)
    ours = LogMel(sample_rate=rate, duration=1.0, n_fft=n_fft, hop_length=hop, n_mels=n_mels)(wave)[..., 0]
    theirs = librosa.feature.melspectrogram(y=wave, sr=rate, n_fft=n_fft, hop_length=hop, n_mels=n_mels)
    assert np.abs(ours - librosa.power_to_db(theirs)).max() < 1e-3


@settings(deadline=None, max_examples=30)
@given(
    hop=st.integers(64, 400),
    n_mels=st.integers(1, 20),
    htk=st.booleans(),
    norm=st.sampled_from(["slaney", None]),
    fmin=st.floats(0, 100),
    win=st.integers(200, 512),
    seed=st.integers(0, 50),
)
def test_logmel_equals_librosa_whatever_the_settings(hop, n_mels, htk, norm, fmin, win, seed):
    wave = np.random.default_rng(seed).uniform(-1, 1, 4_000).astype(np.float32)
    frontend = LogMel(
        **SMALL,
        n_fft=512,
        win_length=win,
        hop_length=hop,
        n_mels=n_mels,
        fmin=fmin,
        fmax=3_800.0,
        mel_scale="htk" if htk else "slaney",
        norm=norm,
    )
    theirs = librosa.feature.melspectrogram(
        y=wave, sr=8_000, n_fft=512, win_length=win, hop_length=hop, n_mels=n_mels, fmin=fmin, fmax=3_800.0, htk=htk, norm=norm
    )
    assert np.abs(frontend(wave)[..., 0] - librosa.power_to_db(theirs)).max() < 1e-3


def test_logmel_equals_librosa_on_real_sounds(esc50_root):
    frontend = LogMel(sample_rate=44_100, duration=5.0, n_fft=2_048, hop_length=1_024, n_mels=128)
    for path in sorted((esc50_root / "audio").iterdir())[::250]:
        wave = audio.fit(audio.load(path, sample_rate=44_100), frontend.samples)
        theirs = librosa.feature.melspectrogram(y=wave, sr=44_100, n_fft=2_048, hop_length=1_024, n_mels=128)
        assert np.abs(frontend(wave)[..., 0] - librosa.power_to_db(theirs)).max() < 1e-3


def test_natural_logarithm_of_the_magnitude():
    frontend = LogMel(**SMALL, n_fft=256, hop_length=128, n_mels=10, power=1.0, compression="log", offset=1e-3)
    wave = tone(440, 0.5, 8_000)
    magnitude = librosa.feature.melspectrogram(y=wave, sr=8_000, n_fft=256, hop_length=128, n_mels=10, power=1.0)
    assert np.allclose(frontend(wave)[..., 0], np.log(magnitude + 1e-3), atol=1e-4)


def test_frames_are_cut_or_padded_with_silence(rng):
    base = LogMel(**SMALL, n_fft=256, hop_length=128, n_mels=10, top_db=None)
    wave = noise(base, rng)
    whole = base(wave)
    count = whole.shape[1]
    assert np.array_equal(replace(base, frames=count - 3)(wave), whole[:, :-3])
    padded = replace(base, frames=count + 3)(wave)
    assert np.array_equal(padded[:, :count], whole)
    assert np.allclose(padded[:, count:], -100)


def test_a_window_does_not_depend_on_its_neighbours(rng):
    frontend = FRONTENDS[3]
    quiet, loud = 1e-3 * noise(frontend, rng), noise(frontend, rng)
    arrays = [array for _, array in frontend.windows(np.concatenate([quiet, loud]), hop=0.5)]
    assert np.array_equal(arrays[0], frontend(quiet))
    assert np.array_equal(arrays[1], frontend(loud))


def test_windows_default_to_half_overlap_and_end_with_the_clip(rng):
    frontend = FRONTENDS[0]
    wave = noise(frontend, rng, 9_001)
    starts = [start for start, _ in frontend.windows(wave)]
    assert starts == [0, 2_000, 4_000, 5_001]
    assert np.array_equal(list(frontend.windows(wave))[-1][1][:, 0], wave[-4_000:])


def test_statistics_are_those_of_the_mean_spectrum(rng):
    wave = rng.uniform(-1, 1, 4_000).astype(np.float32)
    frontend = Statistics(of=Spectrogram(**SMALL, n_fft=512, hop_length=256, power=1.0), scale="max")
    spectrum = np.abs(librosa.stft(wave, n_fft=512, hop_length=256)).mean(axis=1)
    assert np.allclose(frontend(wave), spectrum / spectrum.max(), atol=1e-4)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: LogMel(duration=0), "positive"),
        (lambda: LogMel(channels=0), "positive"),
        (lambda: LogMel(pad="mirror"), "pad"),
        (lambda: LogMel(fmax=20_000.0), "fmax"),
        (lambda: LogMel(n_mels=2_000), "hold no FFT bin"),
        (lambda: LogMel(window="hanning"), "window"),
        (lambda: LogMel(compression="decibel"), "compression"),
        (lambda: LogMel(mel_scale="HTK"), "mel_scale"),
        (lambda: LogMel(norm="l2"), "norm"),
        (lambda: LogMel(n_mels=0), "n_mels"),
        (lambda: LogMel(power=0), "power"),
        (lambda: LogMel(frames=2.5), "frames"),
        (lambda: LogMel(reference="min"), "reference"),
        (lambda: Frontend.from_config({}), 'unknown frontend "kind" None'),
        (lambda: Frontend.from_config({"kind": "Statistics"}), "of"),
        (lambda: Frontend.from_config({"kind": "Statistics", "of": {"n_mels": 3}}), "Statistics"),
        (lambda: LogMel(duration=0.01, framing="window"), "no frame"),
        (lambda: LogMel(n_fft=256, win_length=512), "win_length"),
        (lambda: Statistics(of=Waveform()), "bands, frames, channels"),
        (lambda: Statistics(of=LogMel(), reduce=("average",)), "average"),
        (lambda: Statistics(of=LogMel(), scale="min"), "scale"),
        (lambda: Frontend.from_config({"kind": "LogMell"}), "did you mean 'LogMel'"),
        (lambda: Frontend.from_config({"kind": "LogMel", "n_mel": 3}), "did you mean 'n_mels'"),
    ],
)
def test_refuses_impossible_settings(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


def test_refuses_a_wrong_wave():
    frontend = FRONTENDS[3]
    with pytest.raises(ValueError, match=r"one window is 4000 samples.*frontend\.windows"):
        frontend(np.zeros(4_001, np.float32))
    with pytest.raises(ValueError, match="1 channel"):
        frontend(np.zeros((4_000, 2), np.float32))
    with pytest.raises(ValueError, match=r"wave\.T"):
        frontend(np.zeros((2, 4_000), np.float32))


def test_scaler_standardises_each_band(rng):
    values = rng.normal(rng.uniform(-50, 0, (1, 5, 1, 2)), 3, (300, 5, 7, 2)).astype(np.float32)
    scaler = Scaler.fit(values)
    scaled = scaler(values)
    assert scaler.mean.shape == (5, 1, 2)
    assert scaled.dtype == np.float32
    assert np.allclose(scaled.mean(axis=(0, 2)), 0, atol=1e-3)
    assert np.allclose(scaled.std(axis=(0, 2)), 1, atol=1e-3)


@pytest.mark.parametrize(("shape", "expected"), [((9,), (9,)), ((50, 2), (1, 2)), ((4, 6, 1), (4, 1, 1))])
def test_scaler_shapes(rng, shape, expected):
    values = rng.normal(5, 2, (40, *shape)).astype(np.float32)
    assert Scaler.fit(values).mean.shape == expected
    whole = Scaler.fit(values, per="all")
    assert whole.mean.size == 1
    assert whole.mean.item() == pytest.approx(values.mean(), abs=1e-3)
    assert np.array_equal(Scaler.fit(values, per=None)(values), values)


def test_scaler_measures_only_the_rows_it_is_given():
    values = np.concatenate([np.zeros((5, 3)), np.full((5, 3), 100.0)]).astype(np.float32)
    assert Scaler.fit(values, rows=np.arange(5)).mean.tolist() == [0, 0, 0]


def test_scaler_leaves_a_constant_band_at_zero_and_refuses_nothing():
    values = np.full((4, 3), 7, np.float32)
    assert np.array_equal(Scaler.fit(values)(values), np.zeros((4, 3)))
    with pytest.raises(ValueError, match="got none"):
        Scaler.fit(values[:0])
    with pytest.raises(ValueError, match="per must"):
        Scaler.fit(values, per="row")


def test_scaler_standardises_quiet_features_too(rng):
    quiet = (1e-8 * rng.uniform(1, 2, (50, 4, 9, 1))).astype(np.float32)
    assert np.allclose(Scaler.fit(quiet)(quiet).std(axis=(0, 2)), 1, atol=1e-2)


def test_scaler_knows_what_it_fits():
    scaler = Scaler(np.zeros((4, 1, 1), np.float32), np.ones((4, 1, 1), np.float32))
    scaler.check((4, 30, 2))
    with pytest.raises(ValueError, match="does not fit"):
        scaler.check((5, 30, 1))
    with pytest.raises(ValueError, match="positive deviation"):
        Scaler(np.zeros(3, np.float32), np.zeros(3, np.float32)).check((3,))


def test_extract_keeps_order_and_all_windows(write_sound, rng):
    frontend = FRONTENDS[3]
    waves = [rng.uniform(-0.5, 0.5, length) for length in (1_000, 4_000, 20_000, 4_001)]
    clips = [Clip(str(write_sound(wave, name=f"{i}.wav", subtype="FLOAT")), ("a",)) for i, wave in enumerate(waves)]
    seen = []
    features = extract(clips, frontend, progress=lambda done, total: seen.append((done, total)))
    assert features.counts.tolist() == [1, 1, 9, 2]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for i, wave in enumerate(waves):
        expected = [array for _, array in frontend.windows(wave.astype(np.float32))]
        assert np.array_equal(features.values[features.rows(i)], expected)


def test_extract_names_every_bad_file_and_goes_on(write_sound, tmp_path):
    good = write_sound(tone(440, 0.5, 8_000))
    (tmp_path / "empty.wav").touch()
    clips = [Clip(str(path), ("a",)) for path in (tmp_path / "empty.wav", good, tmp_path / "gone.wav")]
    features = extract(clips, FRONTENDS[3])
    assert sorted(features.failures) == [0, 2]
    assert features.counts.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match=r"2 file\(s\)(.|\n)*empty\.wav(.|\n)*gone\.wav"):
        features.raise_failures()
    Features(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0, int)).raise_failures()


def test_extract_reads_spans(write_sound, rng):
    wave = rng.uniform(-0.5, 0.5, 16_000).astype(np.float32)
    path = str(write_sound(wave, subtype="FLOAT"))
    features = extract([Clip(path, ("a",), start=0.5, end=1.0)], Waveform(**SMALL))
    assert np.array_equal(features.values[0, :, 0], wave[4_000:8_000])
