import ast
import importlib.util
import inspect
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import tone

import audiozoo
from audiozoo import audio, export
from audiozoo.classifier import Classifier, KerasScorer
from audiozoo.export import fourier
from audiozoo.export.fourier import spectra
from audiozoo.features import (
    CQT,
    GFCC,
    MFCC,
    LogMel,
    Scale,
    Scaler,
    Spectrogram,
    Stack,
    Statistics,
    TrimSilence,
    Waveform,
    preset,
)
from audiozoo.spectrum import Stft, window

WINDOW = {"sample_rate": 8_000, "duration": 0.5}
SMALL = {**WINDOW, "n_fft": 256, "hop_length": 100}
MEL = {**SMALL, "n_mels": 24}

FRONTENDS = {
    "waveform": Waveform(**WINDOW),
    "peak": Waveform(**WINDOW, channels=2, scaling="peak"),
    "rms": Waveform(**WINDOW, channels=2, scaling="rms"),
    "minmax": Waveform(**WINDOW, channels=2, scaling="minmax"),
    "power": Spectrogram(**SMALL, channels=2, power=1.5, frames=30, first_bin=1),
    "decibels": Spectrogram(**SMALL, compression="db", window="blackman"),
    "real_imaginary": Spectrogram(**SMALL, channels=2, representation="real_imaginary", frames=50),
    "mel": LogMel(**MEL, compression=None, power=1.0, mel_scale="htk", norm=None),
    "stereo": LogMel(**MEL, channels=2, reference="max"),
    "mid_side": LogMel(**MEL, channels=2, layout="mid_side", top_db=None, window="hamming"),
    "log": LogMel(**MEL, compression="log", framing="window", win_length=200, frames=60),
    "short": LogMel(**MEL, win_length=64, power=1.0, window="rectangular"),
    "reflected": LogMel(**MEL, win_length=201, edges="reflect", channels=2),
    "kaldi": LogMel(
        **{**MEL, "n_mels": 40},
        channels=2,
        framing="window",
        win_length=200,
        symmetric=True,
        remove_mean=True,
        frame_pre_emphasis=0.9,
        triangles="kaldi",
        norm=None,
        frames=60,
        frame_fill="zero",
        least=1e-6,
        compression="log",
        offset=0.0,
    ),
    "emphasised": LogMel(**MEL, channels=2, pre_emphasis=0.97, edges="reflect", frames=60, least=1e-4),
    "deltas": LogMel(**MEL, channels=2, deltas=2),
    "mfcc": MFCC(**MEL, lifter=22, power=1.0, deltas=1),
    "yamnet": preset("yamnet"),
    "efficientat": preset("efficientat").adapt(duration=1.0),
    "ast": preset("ast").adapt(duration=1.0),
    "dcase2018": preset("dcase2018").adapt(duration=1.0),
    "piczak": preset("piczak"),
    "freesound2018": preset("freesound2018"),
    "scale": Scale(of=LogMel(**MEL), by="minmax", gain=2.0, offset=-1.0),
    "stack": Stack(of=(LogMel(**MEL), MFCC(**{**MEL, "hop_length": 128}, n_mfcc=24))),
    "vector": Statistics(of=(LogMel(**MEL), MFCC(**MEL)), reduce=("mean", "deviation", "median"), scale="max"),
    "table": Statistics(of=(LogMel(**MEL), MFCC(**MEL, n_mfcc=24)), reduce=("minimum", "maximum"), form="table"),
}


def sounds(frontend, rng):
    """Noise, the same a thousand times softer, a tone on a constant, and silence; ``(4, samples[, channels])``."""
    noise = rng.normal(0, 0.1, (frontend.samples, frontend.channels))
    steady = 0.2 + tone(700, frontend.duration, frontend.sample_rate)[:, None] * np.linspace(0.5, 1, frontend.channels)
    waves = np.stack([noise, noise / 1_000, steady, np.zeros_like(noise)]).astype(np.float32)
    return waves[..., 0] if frontend.channels == 1 else waves


def answers(model, waves):
    return np.asarray(model.predict_on_batch(waves))


def saved_and_loaded(model, folder):
    path = folder / "model.keras"
    model.save(path)
    return keras.saving.load_model(path, safe_mode=True)


@pytest.mark.parametrize("frontend", FRONTENDS.values(), ids=FRONTENDS)
def test_the_graph_gives_what_the_frontend_gives(frontend, rng, tmp_path):
    waves = sounds(frontend, rng)
    model = export.frontend_model(frontend)
    assert model.output.shape == (None, *frontend.shape)
    got = answers(saved_and_loaded(model, tmp_path), waves)
    for wave, result in zip(waves, got, strict=True):
        expected = frontend(wave)
        # The logarithm of `freesound2018` shows the rounding of float32, at 120 dB below the peak.
        share = 7e-4 if frontend is FRONTENDS["freesound2018"] else 5e-4
        assert np.abs(result - expected).max() <= share * np.abs(expected).max() + 2e-5


@pytest.mark.parametrize("n_fft", [2, 7, 12, 251, 256, 882, 1_102])
@pytest.mark.parametrize("exact", [False, True])
def test_spectra_of_any_length(rng, n_fft, exact):
    stft = Stft(n_fft=n_fft, hop_length=max(1, n_fft // 3), win_length=n_fft, framing="window")
    waves = rng.normal(0, 1, (2, 3 * n_fft, 2)).astype(np.float32)
    frames = stft.frames_of(3 * n_fft)
    inputs = keras.Input(waves.shape[1:])
    got = answers(keras.Model(inputs, spectra(inputs, stft, frames, exact=exact)), waves)
    assert got.shape == (2, frames, 2, 2, 1 + n_fft // 2)
    starts = stft.hop_length * np.arange(frames)
    cut = np.stack([waves[:, start : start + n_fft] for start in starts], axis=1) * window("hann", n_fft)[:, None]
    expected = np.moveaxis(np.fft.rfft(cut, axis=2), 2, 3)
    assert np.abs(got[:, :, :, 0] + 1j * got[:, :, :, 1] - expected).max() < 1e-5 * n_fft**0.5
    if exact:
        assert not got[:, :, :, 1, 0].any()


def test_factors_of_the_length():
    assert [fourier.factor(size) for size in (1, 2, 7, 12, 251, 882, 2_048)] == [1, 1, 1, 3, 1, 21, 32]


def test_an_exported_transform_is_small():
    frontend = LogMel(sample_rate=44_100, duration=1.0, n_fft=2_048, hop_length=512, n_mels=40)
    # The bank of 40 bands has 41,000 values, and the matrix of a whole transform 4 million.
    assert export.frontend_model(frontend).count_params() < 60_000


def test_export_uses_public_attributes_only():
    trees = [ast.parse(inspect.getsource(module)) for module in (export.frontend, fourier)]
    accessed = [node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert "stft" in accessed
    assert [name for name in accessed if name.startswith("_") and not name.endswith("__")] == []


def test_magnitude_and_phase(rng, tmp_path):
    frontend = Spectrogram(**SMALL, channels=2, representation="magnitude_phase", power=1.0)
    waves = sounds(frontend, rng)
    got = answers(saved_and_loaded(export.frontend_model(frontend), tmp_path), waves)
    expected = np.stack([frontend(wave) for wave in waves])
    for channel in (0, 2):
        complex_got, complex_expected = (x[..., channel] * np.exp(1j * x[..., channel + 1]) for x in (got, expected))
        assert np.abs(complex_got - complex_expected).max() < 1e-4
    assert not got[3].any()
    falling = answers(export.frontend_model(frontend), np.full_like(waves, -0.1))
    assert falling[0, 0, :, 1] == pytest.approx(np.pi)


@pytest.mark.parametrize("hop_length", [200, 300])
def test_a_hop_beyond_the_window(rng, hop_length):
    frontend = LogMel(**{**MEL, "hop_length": hop_length}, win_length=150)
    waves = sounds(frontend, rng)
    got = answers(export.frontend_model(frontend), waves)
    assert np.abs(got - np.stack([frontend(wave) for wave in waves])).max() < 0.01


def test_a_policy_of_half_precision_is_not_the_frontends(rng):
    frontend = FRONTENDS["deltas"]
    waves, policy = sounds(frontend, rng), keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        got = answers(export.frontend_model(frontend), waves)
    finally:
        keras.config.set_dtype_policy(policy)
    assert np.abs(got - np.stack([frontend(wave) for wave in waves])).max() < 0.05


def test_batch_mates_change_nothing(rng):
    frontend = FRONTENDS["stereo"]
    model, waves = export.frontend_model(frontend), sounds(frontend, rng)
    together = answers(model, waves)
    for wave, result in zip(waves, together, strict=True):
        assert np.allclose(answers(model, wave[None])[0], result, atol=1e-3)


@pytest.mark.parametrize(
    ("frontend", "reason"),
    [
        (GFCC(**SMALL), "GFCC cannot be exported: train with one of LogMel, MFCC"),
        (CQT(sample_rate=22_050), "CQT cannot"),
        (Stack(of=(LogMel(**MEL), GFCC(**SMALL, n_gfcc=24))), "GFCC cannot"),
        (LogMel(**MEL, compression="pcen"), "PCEN cannot"),
        (LogMel(**MEL, prepare=(TrimSilence(),)), r"prepare=\(TrimSilence\)"),
        (LogMel(**{**MEL, "duration": 0.01}, framing="window", frames=3), "at least one frame in a window, got 0"),
    ],
)
def test_refuses_by_name_what_a_graph_cannot_hold(frontend, reason):
    with pytest.raises(ValueError, match=reason):
        export.frontend_model(frontend)


def network(shape, *, activation, outputs=1):
    """Make a small network of dense layers with known random weights; further outputs give something else."""
    inputs = keras.Input(shape, name="features")
    flat = keras.layers.Flatten()(inputs)
    initial = keras.initializers.RandomNormal(stddev=0.02, seed=3)
    logits = [keras.layers.Dense(3, kernel_initializer=initial, bias_initializer=initial)(flat) for _ in range(outputs)]
    return keras.Model(inputs, [keras.layers.Activation(activation)(x) for x in logits], name="small")


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_the_classifiers(activation, temperature, rng, tmp_path):
    frontend = FRONTENDS["stereo"]
    scaler = Scaler(rng.normal(-40, 9, (24, 1, 2)).astype(np.float32), rng.uniform(5, 15, (24, 1, 2)).astype(np.float32))
    model = network(frontend.shape, activation=activation, outputs=2)
    classifier = Classifier(frontend, scaler, KerasScorer(model), ("a", "b", "c"), temperature=temperature)
    exported = export.waveform_model(classifier)
    assert exported.output.shape == (None, 3)
    assert len(exported.outputs) == 1
    waves = sounds(frontend, rng)
    got = answers(saved_and_loaded(exported, tmp_path), waves)
    expected = [classifier.predict(wave, sample_rate=frontend.sample_rate).scores for wave in waves]
    assert np.ptp(expected) > 0.1
    assert np.allclose(got, expected, atol=1e-4)


def test_temperature_needs_an_activation_it_knows():
    frontend = Waveform(**WINDOW)
    inputs = keras.Input(frontend.shape)
    model = keras.Model(inputs, keras.ops.softmax(keras.layers.Dense(2)(keras.layers.Flatten()(inputs))))
    with pytest.raises(ValueError, match="softmax or sigmoid"):
        export.waveform_model(Classifier.from_keras(model, frontend, "ab", temperature=2.0))


@pytest.mark.parametrize("wrapped", [keras.Sequential, lambda layers: keras.Sequential([keras.Sequential(layers)])])
def test_temperature_finds_the_activation_in_nested_models(wrapped, rng):
    frontend = Waveform(**WINDOW)
    layers = [keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    inputs = keras.Input(frontend.shape)
    classifier = Classifier.from_keras(keras.Model(inputs, wrapped(layers)(inputs)), frontend, "ab", temperature=2.0)
    waves = sounds(frontend, rng)
    expected = [classifier.predict(wave, sample_rate=frontend.sample_rate).scores for wave in waves]
    assert np.allclose(answers(export.waveform_model(classifier), waves), expected, atol=1e-5)


class Guess:
    """A scorer that is no Keras model."""

    kind = "guess"
    activation = None

    def check(self, shape, classes):
        pass


def test_refuses_a_scorer_without_a_graph():
    with pytest.raises(ValueError, match="has a Guess"):
        export.waveform_model(Classifier(Waveform(**WINDOW), Scaler.identity(), Guess(), ("a",)))


@pytest.fixture(scope="module")
def house():
    frontend = audiozoo.model_info("house_cnn").frontend
    scaler = Scaler(np.full((64, 1, 1), -45, np.float32), np.full((64, 1, 1), 15, np.float32))
    return Classifier.from_keras(audiozoo.build("house_cnn", 3, seed=1), frontend, ("a", "b", "c"), scaler=scaler)


def test_real_clips(house, esc50_root):
    frontend = house.frontend
    paths = sorted((esc50_root / "audio").iterdir())[::400]
    loaded = [audio.load(path, sample_rate=frontend.sample_rate, channels=1) for path in paths]
    waves = np.stack([audio.fit(wave, frontend.samples) for wave in loaded])
    for got, wave in zip(answers(export.frontend_model(frontend), waves), waves, strict=True):
        expected = frontend(wave)
        assert np.abs(got - expected)[expected > expected.max() - 60].max() < 0.05
    expected = [house.predict(wave, sample_rate=frontend.sample_rate).scores for wave in waves]
    assert np.allclose(answers(export.waveform_model(house), waves), expected, atol=1e-3)


ALONE = """
import sys
sys.modules["audiozoo"] = None
import keras, numpy
model = keras.saving.load_model(sys.argv[1], safe_mode=True)
numpy.save(sys.argv[3], numpy.asarray(model.predict_on_batch(numpy.load(sys.argv[2]))))
"""


@pytest.mark.slow
def test_loads_without_this_package_and_on_another_backend(house, rng, tmp_path):
    model, waves = export.waveform_model(house), sounds(house.frontend, rng)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "waves.npy", waves)
    here = keras.backend.backend()
    other = next((name for name in ("jax", "tensorflow") if name != here and importlib.util.find_spec(name)), here)
    files = [str(tmp_path / name) for name in ("model.keras", "waves.npy", "scores.npy")]
    environment = {**os.environ, "KERAS_BACKEND": other}
    subprocess.run([sys.executable, "-c", ALONE, *files], check=True, env=environment, capture_output=True)
    assert np.allclose(np.load(files[2]), answers(model, waves), atol=1e-4)


def test_what_serves_training_alone_stays_behind(rng):
    frontend = Scale(of=LogMel(sample_rate=8_000, duration=0.5, n_fft=256, hop_length=250, n_mels=16), by="minmax")
    network = audiozoo.build("joint_autoencoder", 2, input_shape=frontend.shape)
    classifier = audiozoo.Classifier.from_keras(network, frontend, ["a", "b"])
    model = export.waveform_model(classifier)
    wave = rng.uniform(-0.5, 0.5, 4_000).astype(np.float32)
    assert np.allclose(
        np.asarray(model.predict_on_batch(wave[None]))[0], classifier.predict(wave, sample_rate=8_000).scores, atol=1e-5
    )
    kinds = {type(layer).__name__ for layer in model._flatten_layers(include_self=False, recursive=True)}
    assert "ReconstructionLoss" not in kinds
    assert "UpSampling2D" not in kinds
