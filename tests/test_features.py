import inspect
import json
from dataclasses import dataclass, fields, replace

import librosa
import numpy as np
import pytest
from conftest import documented, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from audiozoo import audio
from audiozoo.config import Configured
from audiozoo.datasets import Clip
from audiozoo.features import (
    CQT,
    GFCC,
    MFCC,
    Chroma,
    Descriptors,
    Features,
    Framed,
    Frontend,
    LogMel,
    Pcen,
    PreEmphasis,
    Scale,
    Scaler,
    Spectrogram,
    Stack,
    Statistics,
    TrimSilence,
    Waveform,
    extract,
    list_presets,
    preset,
)
from audiozoo.features.cepstral import dct_matrix
from audiozoo.spectrum import gammatone_filterbank

SMALL = {"sample_rate": 8_000, "duration": 0.5}
FRAMED = {**SMALL, "n_fft": 256, "hop_length": 128}
FRONTENDS = [
    Waveform(**SMALL),
    Waveform(**SMALL, channels=2),
    Spectrogram(**SMALL, n_fft=256, hop_length=128),
    LogMel(**SMALL, n_fft=256, hop_length=128, n_mels=20),
    LogMel(**SMALL, n_fft=256, hop_length=128, n_mels=20, frames=50, channels=2, compression="log"),
    LogMel(**SMALL, n_fft=256, hop_length=100, win_length=200, n_mels=20, frames=10, compression=None, framing="window"),
    LogMel(**SMALL, n_fft=256, hop_length=128, n_mels=20, power=1.0, reference="max", top_db=None, pad="repeat"),
    Statistics(of=Spectrogram(**SMALL, n_fft=256, hop_length=128, power=1.0), reduce=("mean", "deviation"), scale="max"),
    *(Waveform(**SMALL, channels=2, scaling=scaling) for scaling in ("peak", "rms", "minmax")),
    Spectrogram(**FRAMED, channels=2, representation="magnitude_phase", compression="db", first_bin=1),
    Spectrogram(**FRAMED, representation="real_imaginary", layout="mid_side", channels=2, frames=7),
    LogMel(**FRAMED, n_mels=20, compression="pcen", power=1.0, channels=2, pcen=Pcen(gain=0.9)),
    LogMel(**FRAMED, n_mels=20, deltas=2, channels=2, triangles="mel", mel_scale="htk", norm=None),
    LogMel(**FRAMED, n_mels=20, prepare=(TrimSilence(top_db=40.0), PreEmphasis()), hop=0.2, last="pad"),
    MFCC(**FRAMED, n_mels=20, n_mfcc=13, deltas=1, lifter=22.0),
    GFCC(**FRAMED, n_bands=20, n_gfcc=13, framing="window", win_length=200, window="hamming"),
    CQT(**SMALL, n_bins=24, fmin=220.0, hop_length=64),
    *(Chroma(**SMALL, kind=kind, n_octaves=3, fmin=220.0, n_fft=512, hop_length=128) for kind in ("stft", "cqt", "cens")),
    Descriptors(sample_rate=16_000, duration=0.25, n_fft=512, hop_length=128, channels=2),
    Stack(of=(MFCC(**FRAMED, n_mels=20, n_mfcc=13), GFCC(**FRAMED, n_bands=20, framing="window"))),
    Scale(of=LogMel(**FRAMED, n_mels=20), by="minmax", gain=2.0, offset=-1.0),
    Statistics(of=(MFCC(**FRAMED, n_mels=20, n_mfcc=12), Chroma(**FRAMED)), reduce=("mean", "maximum"), form="table"),
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
    assert adapted.adapt(duration=frontend.duration, channels=frontend.channels) == frontend


@EACH
def test_the_input_is_not_changed(frontend, rng):
    wave = noise(frontend, rng)
    before = wave.copy()
    wave.flags.writeable = False
    frontend(wave)
    assert np.array_equal(wave, before)


KINDS = sorted({type(frontend) for frontend in FRONTENDS}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_declares_and_documents_all_its_fields(kind):
    names = {field.name for field in fields(kind) if field.init}
    assert names <= inspect.get_annotations(kind).keys()
    assert documented(kind) == names


@pytest.mark.parametrize("kind", KINDS)
def test_the_class_line_is_short(kind):
    line = [one for one in kind.__mro__ if one is not object]
    assert len(line) <= 4
    assert line[-2:] == [Frontend, Configured]


def test_every_frontend_is_tested():
    own = {kind for kind in Frontend._kinds().values() if kind.__module__.startswith("audiozoo.")}
    assert own == set(KINDS)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("audio_classification_models", "6ae2e81402754d7a"),
        ("dcase2018", "e870d9c6cf5c9764"),
        ("freesound2018", "6095329b961ad845"),
        ("mel_power_128x128", "66e74b78ae2fb26e"),
        ("music2vec", "930da2abe4019ccb"),
        ("piczak", "ce46659a6593fe7c"),
        ("sharma", "55a9c9b63f41d9b1"),
        ("yamnet", "9fdda29aa3c3408c"),
    ],
)
def test_a_preset_keeps_its_key(name, key):
    # A cache, a saved classifier and a result find each other by it.
    assert preset(name).key == key


@dataclass(frozen=True, kw_only=True)
class Energy(Frontend):
    """A user's own frontend, as the docstring of `Frontend` shows it."""

    exponent: float = 2.0

    @property
    def shape(self):
        return (self.channels,)

    def _compute(self, columns):
        return np.float32([np.mean(np.abs(column) ** self.exponent) for column in columns])


@dataclass(frozen=True, kw_only=True)
class Envelope(Framed):
    """A user's own frontend with frames."""

    @property
    def shape(self):
        return (1, self.frame_count, self.channels)

    def _compute(self, columns):
        parts = [np.abs(column[:: self.hop_length]) for column in columns]
        return np.stack([np.resize(part, self.frame_count) for part in parts], axis=-1)[None]


@pytest.mark.parametrize("frontend", [Energy(**SMALL, channels=2, exponent=1.0), Envelope(**SMALL, hop_length=100, frames=30)])
def test_a_users_frontend_needs_a_shape_and_a_computation(frontend, rng):
    wave = noise(frontend, rng, 9_000)
    assert len(list(frontend.windows(wave))) == 4
    assert frontend(wave[:4_000]).shape == frontend.shape
    again = Frontend.from_config(json.loads(json.dumps(frontend.to_config())))
    assert (again, again.key) == (frontend, frontend.key)
    assert frontend.adapt(duration=1.0).samples == 8_000


def test_the_former_name_of_hop_samples_warns():
    with pytest.warns(DeprecationWarning, match="hop_samples"):
        assert Waveform(**SMALL).step(hop=0.25) == 2_000


@pytest.mark.parametrize(("coefficients", "bands"), [(1, 1), (13, 20), (20, 128), (60, 60)])
def test_cosine_transform_is_orthonormal(coefficients, bands):
    matrix = dct_matrix(coefficients, bands)
    assert np.allclose(matrix.T @ matrix, np.eye(coefficients), atol=1e-6)
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(coefficients))
    assert np.allclose(matrix, np.cos(angles) * np.sqrt(np.where(np.arange(coefficients), 2, 1) / bands), atol=1e-7)


def test_keys_differ():
    assert len({frontend.key for frontend in FRONTENDS}) == len(FRONTENDS)
    assert LogMel().key != replace(LogMel(), hop_length=511).key
    assert LogMel(duration=5).key == LogMel(duration=5.0).key
    assert LogMel(n_mels=np.int64(40)).key == LogMel(n_mels=40).key


@pytest.fixture
def real_waves(esc50_root):
    paths = sorted((esc50_root / "audio").iterdir())[::250]
    return [(audio.fit(audio.load(path, sample_rate=44_100), 5 * 44_100), 44_100) for path in paths]


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


def test_logmel_equals_librosa_on_real_sounds(real_waves):
    frontend = LogMel(sample_rate=44_100, duration=5.0, n_fft=2_048, hop_length=1_024, n_mels=128)
    for wave, rate in real_waves:
        theirs = librosa.feature.melspectrogram(y=wave, sr=rate, n_fft=2_048, hop_length=1_024, n_mels=128)
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


def librosas(wave, frontend, feature, **more):
    return feature(y=wave, sr=frontend.sample_rate, hop_length=frontend.hop_length, **more)


@settings(deadline=None, max_examples=20)
@given(hop=st.integers(64, 400), n_mels=st.integers(13, 30), n_mfcc=st.integers(1, 13), lifter=st.sampled_from([0, 22]))
def test_mfcc_equals_librosa(hop, n_mels, n_mfcc, lifter):
    wave = np.random.default_rng(hop).uniform(-1, 1, 4_000).astype(np.float32)
    frontend = MFCC(**SMALL, n_fft=512, hop_length=hop, n_mels=n_mels, n_mfcc=n_mfcc, lifter=lifter)
    theirs = librosas(wave, frontend, librosa.feature.mfcc, n_mfcc=n_mfcc, n_mels=n_mels, n_fft=512, lifter=lifter)
    assert np.abs(frontend(wave)[..., 0] - theirs).max() < 1e-3 * (1 + lifter / 2)


def test_mfcc_equals_librosa_on_real_sounds(real_waves):
    for wave, rate in real_waves:
        frontend = MFCC(sample_rate=rate, duration=len(wave) / rate, n_mfcc=40)
        theirs = librosas(wave, frontend, librosa.feature.mfcc, n_mfcc=40)
        assert np.abs(frontend(wave)[..., 0] - theirs).max() < 1e-3


@pytest.mark.parametrize("kind", ["noise", "tone", "click"])
def test_spectrogram_equals_librosa_within_80_db_of_the_peak(kind, rng):
    wave = {"noise": rng.uniform(-1, 1, 4_000), "tone": tone(997, 0.5, 8_000), "click": np.eye(1, 4_000, 2_000)[0]}[kind]
    wave = wave.astype(np.float32)
    theirs = np.abs(librosa.stft(wave, n_fft=256, hop_length=128))
    near = theirs > theirs.max() * 1e-4
    assert np.abs(20 * np.log10(Spectrogram(**FRAMED, power=1.0)(wave)[..., 0][near] / theirs[near])).max() < 1e-2
    decibels = Spectrogram(**FRAMED, compression="db")(wave)[..., 0]
    assert np.abs(decibels - librosa.amplitude_to_db(theirs, top_db=80))[near].max() < 1e-2


def test_complex_spectrogram_is_librosas_stft(rng):
    wave = rng.uniform(-1, 1, 4_000).astype(np.float32)
    theirs = librosa.stft(wave, n_fft=256, hop_length=128)
    rectangular = Spectrogram(**FRAMED, representation="real_imaginary")(wave)
    assert np.allclose(rectangular[..., 0], theirs.real, atol=1e-4)
    assert np.allclose(rectangular[..., 1], theirs.imag, atol=1e-4)
    polar = Spectrogram(**FRAMED, representation="magnitude_phase", power=1.0, first_bin=3)(wave)
    assert np.allclose(polar[..., 0] * np.exp(1j * polar[..., 1]), theirs[3:], atol=1e-4)


def test_phase_is_atan2_of_imaginary_and_real():
    # A cosine that begins at its crest has phase 0 in a frame whose window begins with it; a sine a quarter less.
    settings = {**FRAMED, "framing": "window", "window": "rectangular", "frames": 1, "representation": "magnitude_phase"}
    angle = 2 * np.pi * 16 * np.arange(4_000) / 256
    crest, rise = (Spectrogram(**settings)(wave.astype(np.float32))[16, 0, 1] for wave in (np.cos(angle), np.sin(angle)))
    assert crest == pytest.approx(0, abs=1e-3)
    assert rise == pytest.approx(-np.pi / 2, abs=1e-3)


def test_pcen_is_librosas(rng):
    wave = rng.uniform(-1, 1, 4_000).astype(np.float32)
    frontend = LogMel(**FRAMED, n_mels=20, compression="pcen", power=1.0)
    mel = librosas(wave, frontend, librosa.feature.melspectrogram, n_fft=256, n_mels=20, power=1.0)
    theirs = librosa.pcen(mel * 2**31, sr=8_000, hop_length=128)
    assert np.allclose(frontend(wave)[..., 0], theirs, rtol=1e-4, atol=1e-5)


def test_deltas_are_librosas(rng):
    wave = rng.uniform(-1, 1, 4_000).astype(np.float32)
    frontend = LogMel(**FRAMED, n_mels=20, deltas=2, delta_width=5)
    values = frontend(wave)
    for order in (1, 2):
        theirs = librosa.feature.delta(values[..., 0], width=5, order=order)
        assert np.allclose(values[..., order], theirs, atol=1e-5)


@pytest.mark.parametrize("bands", [20, 64])
def test_gfcc_agrees_with_spafe(bands, rng):
    gfcc = pytest.importorskip("spafe.features.gfcc", reason="spafe is installed by the extra test")
    from spafe.utils.preprocessing import SlidingWindow

    wave = rng.uniform(-0.5, 0.5, 8_000).astype(np.float32)
    frontend = GFCC(
        sample_rate=8_000, duration=1.0, n_fft=256, hop_length=100, framing="window", window="hamming", n_bands=bands, n_gfcc=13
    )
    theirs = gfcc.gfcc(
        wave,
        fs=8_000,
        num_ceps=13,
        window=SlidingWindow(256 / 8_000, 100 / 8_000, "hamming"),
        nfilts=bands,
        nfft=256,
        fbanks=gammatone_filterbank(8_000, 256, bands),
    )
    # spafe's window is symmetric and ours periodic, one sample in 256.
    assert np.abs(frontend(wave)[..., 0] - theirs.T).max() < 5e-3 * np.abs(theirs).max()


def test_cqt_is_librosas(rng):
    frontend = CQT(sample_rate=16_000, duration=1.0, n_bins=60, bins_per_octave=12, fmin=110.0, compression=None)
    wave = (tone(440, 1, 16_000) + 0.1 * rng.standard_normal(16_000)).astype(np.float32)
    theirs = np.abs(librosas(wave, frontend, librosa.cqt, n_bins=60, fmin=110.0, tuning=0.0))
    assert np.allclose(frontend(wave)[..., 0], theirs, atol=1e-4)
    assert frontend(wave)[24, 16, 0] > 2 * frontend(wave)[21:23, 16, 0].max()


@pytest.mark.parametrize("kind", ["stft", "cqt", "cens"])
@pytest.mark.parametrize("classes", [12, 40])
def test_chroma_is_librosas(kind, classes, rng):
    wave = (tone(440, 2, 22_050) + 0.01 * rng.standard_normal(44_100)).astype(np.float32)
    frontend = Chroma(sample_rate=22_050, duration=2.0, kind=kind, n_chroma=classes, n_octaves=5, fmin=110.0)
    more = {"n_chroma": classes, "tuning": 0.0}
    if kind != "stft":
        more |= {"n_octaves": 5, "fmin": 110.0, "bins_per_octave": 36 if classes == 12 else 40}
    theirs = librosas(wave, frontend, getattr(librosa.feature, f"chroma_{kind}"), **more)
    assert np.allclose(frontend(wave)[..., 0], theirs, atol=1e-4)
    if classes == 12:
        assert frontend(wave)[:, 40, 0].argmax() == 9  # A


def test_descriptors_are_librosas(rng):
    wave = rng.uniform(-1, 1, 16_000).astype(np.float32)
    frontend = Descriptors(sample_rate=16_000, duration=1.0, n_fft=512, hop_length=128)
    theirs = [
        librosa.feature.zero_crossing_rate(wave, frame_length=512, hop_length=128),
        librosa.feature.rms(y=wave, frame_length=512, hop_length=128),
        *(
            librosas(wave, frontend, getattr(librosa.feature, f"spectral_{name}"), n_fft=512)
            for name in ("centroid", "bandwidth", "rolloff")
        ),
        librosa.feature.spectral_flatness(y=wave, n_fft=512, hop_length=128),
        librosas(wave, frontend, librosa.feature.spectral_contrast, n_fft=512),
    ]
    assert np.allclose(frontend(wave)[..., 0], np.concatenate(theirs), rtol=1e-3, atol=1e-5)


def yamnets(wave):
    """Compute a patch in float64 as YAMNet's description says: (96, 64)."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([wave[start : start + 400] * taper for start in range(0, 160 * 96, 160)])
    magnitude = np.abs(np.fft.rfft(frames, 512))
    mel = lambda hertz: 1127 * np.log(1 + hertz / 700)  # noqa: E731
    bins, edges = mel(np.arange(257) * 16_000 / 512), np.linspace(mel(125), mel(7_500), 66)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bank = np.clip(np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)), 0, None)
    return np.log(magnitude @ bank.T + 0.001)


def test_yamnets_front_end_is_as_described(rng):
    frontend = preset("yamnet")
    assert frontend.samples == 15_600
    for wave in (rng.uniform(-1, 1, 15_600), 1e-3 * rng.standard_normal(15_600), tone(440, 0.975, 16_000)):
        wave = wave.astype(np.float32)
        assert np.abs(frontend(wave)[..., 0].T - yamnets(wave.astype(float))).max() < 5e-3
    noisy = wave + 0.1 * rng.standard_normal(15_600).astype(np.float32)
    assert np.abs(frontend(noisy)[..., 0].T - yamnets(noisy.astype(float))).max() < 1e-4
    assert [start for start, _ in frontend.windows(np.zeros(16_000 * 2, np.float32))] == [0, 7_680, 15_360, 23_040]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("audio_classification_models", (128, 256, 4)),
        ("dcase2018", (40, 500, 1)),
        ("freesound2018", (64, 25, 1)),
        ("mel_power_128x128", (128, 128, 1)),
        ("music2vec", (128, 128, 1)),
        ("piczak", (60, 41, 2)),
        ("sharma", (128, 256, 4)),
        ("yamnet", (64, 96, 1)),
    ],
)
def test_presets_give_their_networks_input(name, shape, rng):
    frontend = preset(name)
    assert frontend.shape == frontend(noise(frontend, rng)).shape == shape


def test_presets_are_listed():
    named = ("dcase2018", "freesound2018", "mel_power_128x128", "music2vec", "piczak", "sharma", "yamnet")
    assert list_presets() == ["audio_classification_models", *named]


def test_statistics_of_several_frontends(rng):
    wave = rng.uniform(-1, 1, 4_000).astype(np.float32)
    mfcc, chroma = MFCC(**FRAMED, n_mels=20, n_mfcc=12), Chroma(**FRAMED)
    vector = Statistics(of=(mfcc, chroma), reduce=("mean", "median"))
    assert vector.shape == (48,)
    assert np.allclose(vector(wave)[:12], mfcc(wave).mean(axis=1)[:, 0], atol=1e-4)
    table = Statistics(of=(mfcc, chroma), form="table")
    assert table.shape == (12, 2, 1)
    assert np.allclose(table(wave)[:, 1, 0], chroma(wave).mean(axis=1)[:, 0], atol=1e-6)


def test_stack_puts_frontends_beside_each_other(rng):
    wave = rng.uniform(-1, 1, 4_000).astype(np.float32)
    mfcc, gfcc = MFCC(**FRAMED, n_mels=20, n_mfcc=13), GFCC(**FRAMED, n_bands=20, framing="window")
    both = Stack(of=(mfcc, gfcc))
    assert both.shape == (13, 30, 2)
    assert np.array_equal(both(wave)[..., :1], mfcc(wave)[:, :30])
    assert np.array_equal(both(wave)[..., 1:], gfcc(wave))


def test_scale(rng):
    wave = rng.uniform(-1, 1, 4_000).astype(np.float32)
    inner = LogMel(**FRAMED, n_mels=20, reference="max")
    assert np.allclose(Scale(of=inner, gain=1 / 40, offset=1.0)(wave), (inner(wave) + 40) / 40, atol=1e-6)
    values = Scale(of=inner, by="minmax")(wave)
    assert (values.min(), values.max()) == (0, 1)
    assert not Scale(of=inner, by="minmax")(np.zeros(4_000, np.float32)).any()


def test_waveform_scaling(rng):
    wave = (0.1 + 0.2 * rng.standard_normal((4_000, 2))).astype(np.float32)
    peak, rms, minmax = (Waveform(**SMALL, channels=2, scaling=scaling)(wave) for scaling in ("peak", "rms", "minmax"))
    assert np.abs(peak).max() == pytest.approx(1)
    assert np.sqrt(np.mean(rms**2)) == pytest.approx(1, abs=1e-5)
    assert (minmax.min(), minmax.max()) == (-0.5, 0.5)


def test_mid_and_side(rng):
    wave = rng.uniform(-0.5, 0.5, (4_000, 2)).astype(np.float32)
    frontend = Waveform(**SMALL, channels=2, layout="mid_side")
    assert np.allclose(frontend(wave), np.stack([wave.mean(axis=1), (wave[:, 0] - wave[:, 1]) / 2], axis=-1), atol=1e-7)
    mono = frontend.adapt(channels=1)
    assert np.array_equal(mono(wave.mean(axis=1))[:, 0], wave.mean(axis=1))


def test_prepared_windows_are_cleaned_before_they_are_framed(rng):
    wave = np.concatenate([np.zeros(1_024, np.float32), rng.uniform(-0.5, 0.5, 2_976).astype(np.float32)])
    step = TrimSilence(top_db=40.0, frame_length=256, hop_length=64)
    plain, prepared = LogMel(**FRAMED, n_mels=20), LogMel(**FRAMED, n_mels=20, prepare=(step,))
    trimmed = step(wave, 8_000)
    assert len(trimmed) < 3_300
    assert np.array_equal(prepared(wave), plain(trimmed))
    assert not np.array_equal(prepared(wave), plain(wave))


@EACH
def test_axis_and_times_fit_the_shape(frontend):
    if len(frontend.shape) == 1 or isinstance(frontend, Statistics):
        assert frontend.times is frontend.axis is None
        return
    time_axis = 0 if len(frontend.shape) == 2 else 1
    assert frontend.times.shape == (frontend.shape[time_axis],)
    assert (np.diff(frontend.times) > 0).all()
    if frontend.axis is not None:
        assert frontend.axis.values.shape == frontend.shape[:1]
        assert (np.diff(frontend.axis.values) > 0).all()


def test_the_axis_says_where_a_tone_lies():
    wave = tone(997, 0.5, 8_000)
    for frontend in (LogMel(**FRAMED, n_mels=40), Spectrogram(**FRAMED, first_bin=2), CQT(**SMALL, n_bins=36, fmin=220.0)):
        loudest = frontend(wave).mean(axis=1)[:, 0].argmax()
        assert frontend.axis.values[loudest] == pytest.approx(997, rel=0.05)


def test_windows_from_pieces_are_those_of_the_whole(rng):
    frontend = FRONTENDS[3]
    wave = noise(frontend, rng, 20_011)
    whole = list(frontend.windows(wave))
    for size in (1, 700, 4_000, 9_999):
        pieces = list(frontend.windows(wave[i : i + size] for i in range(0, len(wave), size)))
        assert [start for start, _ in pieces] == [start for start, _ in whole]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(pieces, whole, strict=True))


@pytest.mark.parametrize(("last", "starts"), [("align", [0, 3_000, 5_001]), ("pad", [0, 3_000, 6_000]), ("drop", [0, 3_000])])
def test_the_last_window(last, starts, rng):
    frontend = Waveform(**SMALL, hop=0.375, last=last)
    wave = noise(frontend, rng, 9_001)
    windows = list(frontend.windows(wave))
    assert [start for start, _ in windows] == starts
    assert all(array.shape == frontend.shape for _, array in windows)
    assert np.array_equal(windows[-1][1][:3_000, 0], wave[starts[-1] : starts[-1] + 3_000])
    assert len(list(frontend.windows(wave[:100]))) == 1


@pytest.mark.parametrize("rate", [8_000, 192_000])
def test_files_of_other_rates_and_beyond_full_scale(rate, write_sound):
    path = write_sound(3 * tone(997, 0.5, rate), rate=rate, subtype="FLOAT", name="loud.wav")
    frontend = LogMel(sample_rate=16_000, duration=0.5, n_fft=512, hop_length=160, n_mels=40)
    louder = frontend(audio.load(path, sample_rate=16_000))
    path = write_sound(tone(997, 0.5, rate), rate=rate, subtype="FLOAT", name="usual.wav")
    usual = frontend(audio.load(path, sample_rate=16_000))
    assert (louder - usual).max() == pytest.approx(20 * np.log10(3), abs=1e-3)
    assert frontend.axis.values[usual.mean(axis=1)[:, 0].argmax()] == pytest.approx(997, rel=0.05)


def test_any_length_of_stereo_is_cut_however_short_its_pieces(rng):
    frontend = Waveform(**SMALL, channels=2, hop=0.5, last="pad", prepare=(PreEmphasis(),))
    wave = noise(frontend, rng, 8_001)
    whole = list(frontend.windows(wave))
    pieces = list(frontend.windows(wave[start : start + 8_000] for start in (0, 8_000)))
    assert [start for start, _ in whole] == [start for start, _ in pieces] == [0, 4_000, 8_000]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(whole, pieces, strict=True))
    assert frontend(wave[:1]).shape == frontend.shape
    with pytest.raises(ValueError, match=r"wave\.T"):
        Waveform(**SMALL)(wave[:4_000].T)


def test_any_duration_can_be_adapted_to():
    whole, often = LogMel(hop=5.0), LogMel(hop=1e-4)
    for duration in np.linspace(0.1, 12, 800):
        adapted = whole.adapt(duration=float(duration))
        assert adapted.hop_samples() == adapted.samples
        assert often.adapt(duration=float(duration)).hop_samples() >= 1
    assert preset("yamnet").adapt(channels=1) == preset("yamnet")


def test_steps_given_as_a_list_make_an_equal_frontend():
    assert LogMel(prepare=[PreEmphasis()]) == LogMel(prepare=(PreEmphasis(),))
    assert len({LogMel(prepare=[PreEmphasis()]), LogMel(prepare=(PreEmphasis(),))}) == 1


def test_scaling_of_the_faintest_sound_is_finite():
    for scaling in ("peak", "rms", "minmax"):
        faint = np.zeros(4_000, np.float32)
        faint[7] = 1e-45
        assert np.isfinite(Waveform(**SMALL, scaling=scaling)(faint)).all()


@pytest.mark.parametrize(("rate", "n_fft"), [(22_050, 112), (192_000, 960), (12_802, 66), (44_100, 221), (16_000, 81)])
def test_descriptors_are_finite_at_the_least_size(rate, n_fft, rng):
    frontend = Descriptors(sample_rate=rate, duration=0.1, n_fft=n_fft, hop_length=n_fft)
    assert np.isfinite(frontend(noise(frontend, rng))).all()


def test_windows_of_hours_do_not_drift():
    hop = 0.1
    hours = np.broadcast_to(np.float32(0), 3 * 3_600 * 44_100)
    starts = [start for start, _ in audio.cut([hours], 44_100, round(hop * 44_100))]
    assert starts[100_000] == 100_000 * 4_410
    assert starts[-1] == 3 * 3_600 * 44_100 - 44_100


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
        (lambda: Frontend.from_config({}), 'unknown frontend "class" None'),
        (lambda: Frontend.from_config({"class": "Statistics"}), "of"),
        (lambda: Frontend.from_config({"class": "Statistics", "of": {"n_mels": 3}}), "Statistics"),
        (lambda: LogMel(duration=0.01, framing="window"), "no frame"),
        (lambda: LogMel(n_fft=256, win_length=512), "win_length"),
        (lambda: LogMel(edges="wrap"), "edges must be"),
        (lambda: LogMel(edges="reflect", duration=0.04), "too short to be reflected by n_fft // 2 = 1024 samples"),
        (lambda: Spectrogram(n_fft=256, win_length=512, frames=9), "win_length"),
        (lambda: Statistics(of=Waveform()), "bands, frames, channels"),
        (lambda: Statistics(of=LogMel(), reduce=("average",)), "average"),
        (lambda: Statistics(of=LogMel(), scale="min"), "scale"),
        (lambda: Statistics(of=()), "takes a frontend"),
        (lambda: Statistics(of=(LogMel(), MFCC()), form="table"), "same number of bands"),
        (lambda: Stack(of=(LogMel(), LogMel(n_mels=40))), "same number of bands"),
        (lambda: Stack(of=(LogMel(), LogMel(sample_rate=44_100))), "agree in sample_rate"),
        (lambda: Stack(of=(Waveform(), Waveform())), "bands, frames, channels"),
        (lambda: Scale(of=LogMel(), by="max"), "by must be"),
        (lambda: Waveform(scaling="max"), "scaling"),
        (lambda: Waveform(layout="mid_side", channels=3), "mid_side"),
        (lambda: Waveform(layout="surround"), "layout"),
        (lambda: Waveform(last="cut"), "last"),
        (lambda: Waveform(hop=0.0), "hop must be positive"),
        (lambda: Waveform(hop=6.0), "at most the window"),
        (lambda: Waveform(prepare=("trim",)), "cleaning steps"),
        (lambda: LogMel(hop_length=0), "hop_length"),
        (lambda: LogMel(triangles="bark"), "triangles"),
        (lambda: LogMel(deltas=3), "deltas"),
        (lambda: LogMel(duration=0.1, deltas=1), "delta_width"),
        (lambda: LogMel(deltas=1, delta_width=4), "delta_width"),
        (lambda: Spectrogram(compression="pcen"), "compression"),
        (lambda: Spectrogram(representation="phase"), "representation"),
        (lambda: Spectrogram(first_bin=2_000), "first_bin"),
        (lambda: MFCC(n_mfcc=129), "n_mfcc"),
        (lambda: GFCC(n_gfcc=65), "n_gfcc"),
        (lambda: GFCC(fmax=20_000.0), "fmax"),
        (lambda: CQT(n_bins=120), "half the sample rate"),
        (lambda: CQT(n_bins=0), "positive n_bins"),
        (lambda: Chroma(kind="vqt"), "kind"),
        (lambda: Chroma(n_chroma=0), "n_chroma"),
        (lambda: Chroma(kind="cqt", sample_rate=4_000), "half the sample rate"),
        (lambda: Descriptors(kinds=("centroide",)), "did you mean 'centroid'"),
        (lambda: Descriptors(kinds=()), "each once"),
        (lambda: Descriptors(sample_rate=12_800), "above 12800 Hz"),
        (lambda: preset("yamnett"), "did you mean 'yamnet'"),
        (lambda: LogMel(top_db=float("nan")), "top_db"),
        (lambda: LogMel(power=float("nan")), "power"),
        (lambda: LogMel(offset=float("nan")), "offset"),
        (lambda: MFCC(top_db=float("nan")), "top_db"),
        (lambda: LogMel(duration=float("inf")), "positive"),
        (lambda: LogMel(duration=float("nan")), "positive"),
        (lambda: LogMel(hop_length=512.5), "hop_length must be a whole number, got 512.5"),
        (lambda: LogMel(n_fft=2_048.0), "n_fft must be a whole number"),
        (lambda: LogMel(n_mels=64.5), "n_mels must be a whole number"),
        (lambda: LogMel(pcen=None), "must be a Pcen"),
        (lambda: Pcen(time_constant=0), "positive"),
        (lambda: Pcen(exponent=-2), "positive"),
        (lambda: Chroma(n_fft=0), "n_fft"),
        (lambda: Descriptors(n_fft=64), "n_fft=64 at 22050 Hz"),
        (lambda: Descriptors(sample_rate=192_000, n_fft=512), "n_fft=512 at 192000 Hz"),
        (lambda: CQT(sample_rate=8_000), "beyond 4000 Hz"),
        (lambda: Scale(of=(LogMel(),)), "one frontend"),
        (lambda: Stack(of=LogMel()), "tuple of frontends"),
        (lambda: Waveform(prepare=PreEmphasis()), "cleaning steps"),
        (lambda: Spectrogram(representation="real_imaginary", compression="db"), "compression must be None"),
        (lambda: Frontend.from_config({"class": "LogMell"}), "did you mean 'LogMel'"),
        (lambda: Frontend.from_config({"class": "LogMel", "n_mel": 3}), "did you mean 'n_mels'"),
    ],
)
def test_refuses_impossible_settings(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


MINUTES = {"sample_rate": 16_000, "duration": 600.0}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: LogMel(hop_length=1, duration=60.0), "at most 33554432 bins.*larger hop_length"),
        (lambda: LogMel(n_fft=2**26), "at most 33554432 bins"),
        (lambda: LogMel(n_fft=2**16, n_mels=300), "at most 8388608 weights, got 300 bands of 32769 bins"),
        (lambda: LogMel(frames=2**20, n_fft=32, n_mels=17), "from 1 to 16777216 numbers, got the shape"),
        (lambda: LogMel(**MINUTES, n_fft=512, hop_length=128, deltas=2, n_mels=100), "LogMel: the output"),
        (lambda: MFCC(**MINUTES, n_fft=512, hop_length=96, n_mels=200, n_mfcc=1), "MFCC: the output for a window"),
        (lambda: GFCC(n_fft=2**14, n_bands=2_000), "GFCC: a filterbank may have at most"),
        (lambda: Spectrogram(hop_length=1, duration=60.0, first_bin=1_024), "Spectrogram: the spectra of a window"),
        (lambda: Spectrogram(**MINUTES, n_fft=512, hop_length=128), "Spectrogram: the output for a window"),
        (lambda: Descriptors(hop_length=1, duration=60.0), "Descriptors: the spectra of a window"),
        (lambda: Chroma(hop_length=1, duration=60.0), "Chroma: the spectra of a window"),
        (lambda: Chroma(n_fft=2**16, n_chroma=4_096), "Chroma: a filterbank may have at most"),
        (lambda: CQT(fmin=1e-9), "use a higher fmin"),
        (lambda: CQT(hop_length=1, duration=60.0), "CQT: the spectra of a window"),
        (lambda: CQT(hop_length=511, duration=60.0, bins_per_octave=480, n_bins=480), "CQT: "),
        (lambda: Statistics(of=(Spectrogram(**MINUTES, n_fft=256, hop_length=128),) * 2), "all inner frontends together"),
    ],
)
def test_refuses_what_needs_too_much_memory(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: LogMel(sample_rate=16_000, duration=600.0, n_fft=1_024, hop_length=320, n_mels=128),
        lambda: LogMel(sample_rate=192_000, duration=10.0, n_fft=8_192, hop_length=1_024, n_mels=256),
        lambda: LogMel(sample_rate=44_100, duration=5.0, n_fft=2_048, hop_length=32, n_mels=128, channels=2),
        lambda: CQT(sample_rate=44_100, duration=60.0, n_bins=252, bins_per_octave=36),
        lambda: Chroma(sample_rate=96_000, duration=30.0, kind="cqt"),
        lambda: Spectrogram(sample_rate=48_000, duration=60.0, n_fft=2_048, hop_length=512),
    ],
)
def test_long_and_fine_features_are_allowed(make):
    assert make().shape


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


def test_scaler_measures_only_the_windows_it_is_given():
    values = np.concatenate([np.zeros((5, 3)), np.full((5, 3), 100.0)]).astype(np.float32)
    assert Scaler.fit(values, index=np.arange(5)).mean.tolist() == [0, 0, 0]
    with pytest.warns(DeprecationWarning, match="index"):
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


def test_an_end_as_short_as_the_padding_of_a_codec_gets_no_window_of_its_own(rng):
    frontend = replace(FRONTENDS[3], hop=None)
    wave = rng.uniform(-0.5, 0.5, 2 * frontend.samples).astype(np.float32)
    longest = frontend.samples // 100
    for last, extra, count in (("align", longest, 1), ("align", longest + 1, 2), ("pad", 1, 2), ("drop", longest + 1, 1)):
        windows = list(replace(frontend, last=last).windows(wave[: frontend.samples + extra]))
        assert len(windows) == count, (last, extra)
        assert np.array_equal(windows[0][1], frontend(wave[: frontend.samples]))


def test_extract_keeps_order_and_all_windows(write_sound, rng):
    frontend = FRONTENDS[3]
    waves = [rng.uniform(-0.5, 0.5, length) for length in (1_000, 4_000, 20_000, 4_041)]
    clips = [Clip(str(write_sound(wave, name=f"{i}.wav", subtype="FLOAT")), ("a",)) for i, wave in enumerate(waves)]
    seen = []
    features = extract(clips, frontend, progress=lambda stage, done, total, figures: seen.append((done, total)))
    assert features.counts.tolist() == [1, 1, 9, 2]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for i, wave in enumerate(waves):
        expected = [array for _, array in frontend.windows(wave.astype(np.float32))]
        assert np.array_equal(features.values[features.windows(i)], expected)


def test_extract_names_every_bad_file_and_goes_on(write_sound, tmp_path):
    good = write_sound(tone(440, 0.5, 8_000))
    (tmp_path / "empty.wav").touch()
    clips = [Clip(str(path), ("a",)) for path in (tmp_path / "empty.wav", good, tmp_path / "gone.wav")]
    features = extract(clips, FRONTENDS[3])
    assert sorted(features.failures) == [0, 2]
    assert features.counts.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match=r"2 file\(s\)(.|\n)*empty\.wav(.|\n)*gone\.wav"):
        features.raise_failures()
    Features(np.zeros((0, 3)), *np.zeros((3, 0), int)).raise_failures()


def test_extract_reads_spans(write_sound, rng):
    wave = rng.uniform(-0.5, 0.5, 16_000).astype(np.float32)
    path = str(write_sound(wave, subtype="FLOAT"))
    features = extract([Clip(path, ("a",), start=0.5, end=1.0)], Waveform(**SMALL))
    assert np.array_equal(features.values[0, :, 0], wave[4_000:8_000])
