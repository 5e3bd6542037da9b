"""Explanations: gradients and Grad-CAM find the part of a sound that decides, on sounds where it is known."""

import io
import json

import keras
import numpy as np
import pytest
import soundfile
from conftest import tone

from audiozoo import Classifier, Ensemble, build, load_classifier, load_dataset
from audiozoo.classifier import KerasScorer, ProbeHead, ProbeScorer
from audiozoo.classifier.facts import TrainingFacts
from audiozoo.explain import deletion_gain, explain
from audiozoo.explain.gradients import gradients
from audiozoo.explain.targets import target_of
from audiozoo.features import LogMel, Scaler, Statistics, TrimSilence, Waveform
from audiozoo.report import explanation_picture

RATE = 8_000
FRONTEND = LogMel(sample_rate=RATE, duration=2.0, n_fft=256, hop_length=160, n_mels=32)
SCALER = Scaler(np.float32(-60), np.float32(20))
METHODS = pytest.mark.parametrize("method", ["gradient", "gradcam"])


def detector(*, time_first=False):
    """Build a network that says "tone" where patches of the spectrogram are louder than the mean, without any training."""
    inputs = keras.Input(FRONTEND.shape)
    x = keras.layers.Permute((2, 1, 3))(inputs) if time_first else inputs
    convolution = keras.layers.Conv2D(1, 3, padding="same", activation="relu", name="patches")
    x = keras.layers.MaxPooling2D(2, name="pooled")(convolution(x))
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    head = keras.layers.Dense(2, name="logits")
    outputs = keras.layers.Softmax(name="probabilities")(head(x))
    convolution.set_weights([np.full((3, 3, 1, 1), 1 / 9, np.float32), np.float32([-0.5])])
    head.set_weights([np.float32([[60, 0]]), np.float32([-2, 0])])
    return keras.Model(inputs, outputs)


@pytest.fixture(scope="module")
def classifier():
    return Classifier.from_keras(detector(), FRONTEND, ("tone", "silence"), scaler=SCALER)


def burst(start=1.0, seconds=2.0, hertz=1_000, rate=RATE):
    """Return faint noise with a tone of 0.3 s."""
    wave = np.random.default_rng(1).normal(0, 1e-4, round(seconds * rate)).astype(np.float32)
    sound = tone(hertz, 0.3, rate)
    wave[round(start * rate) : round(start * rate) + len(sound)] += sound
    return wave


@METHODS
@pytest.mark.parametrize("time_first", [False, True])
def test_the_burst_decides(method, time_first):
    classifier = Classifier.from_keras(detector(time_first=time_first), FRONTEND, ("tone", "silence"), scaler=SCALER)
    found = explain(classifier, burst(), sample_rate=RATE, method=method)
    assert (found.label, found.window, found.windows, found.empty) == ("tone", 1, 1, False)
    assert found.values.shape == FRONTEND.shape[:2]
    band, frame = np.unravel_index(found.values.argmax(), found.values.shape)
    assert FRONTEND.axis.values[band] == pytest.approx(1_000, rel=0.15)
    assert 1.0 <= FRONTEND.times[frame] <= 1.3
    stretch = found.stretch()
    assert stretch.end - stretch.start == pytest.approx(0.4)
    assert stretch.start <= 1.05
    assert stretch.end >= 1.25
    assert stretch.share > 0.9
    assert found.layers == (() if method == "gradient" else ("pooled",))


@METHODS
@pytest.mark.parametrize("elsewhere", ["cells", "shifted"])
def test_without_the_marked_part_the_score_falls_further_than_without_others(classifier, method, elsewhere):
    found = explain(classifier, burst(), sample_rate=RATE, method=method)
    deletion = deletion_gain(classifier, found, share=0.05, elsewhere=elsewhere, draws=5)
    assert deletion.score == pytest.approx(found.score, abs=1e-5)
    assert deletion.marked > 0.4
    assert deletion.elsewhere.shape == (5,)
    # A shifted part may overlap with the burst.
    assert np.median(deletion.elsewhere) < deletion.marked - 0.3
    assert deletion.gain > 0.3


def test_deletion_refuses_what_does_not_fit(classifier):
    found = explain(classifier, burst(), sample_rate=RATE)
    with pytest.raises(ValueError, match=r"share must be a number from 0\.001 to 0\.5, got 0"):
        deletion_gain(classifier, found, share=0)
    with pytest.raises(ValueError, match="elsewhere must be one of 'cells', 'shifted'"):
        deletion_gain(classifier, found, elsewhere="there")
    with pytest.raises(ValueError, match="the explanation is of features"):
        deletion_gain(waves(), found)


def test_of_a_long_sound_the_window_with_the_highest_score_is_explained(classifier):
    wave = np.concatenate([burst(), burst(start=0.2), 1e-4 * np.ones(3 * RATE, np.float32)])
    wave[: 2 * RATE] *= 0.1
    found = explain(classifier, wave, sample_rate=RATE, hop=2.0, label="tone")
    assert (found.window, found.windows, found.start, found.end) == (2, 4, 2.0, 4.0)
    assert 2.0 <= found.stretch(0.3).start <= 2.25
    silence = explain(classifier, wave, sample_rate=RATE, hop=2.0, label="silence")
    assert silence.window != 2
    assert silence.score > 0.5


def test_files_bytes_and_open_files_give_the_same(classifier, write_sound):
    path = write_sound(burst(), RATE, subtype="FLOAT")
    expected = explain(classifier, path)
    assert expected.source == str(path)
    for source in (path.read_bytes(), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(explain(classifier, source).values, expected.values)


def test_repetitions_of_a_short_sound_count_for_the_sound():
    frontend = LogMel(sample_rate=RATE, duration=2.0, n_fft=256, hop_length=160, n_mels=32, pad="repeat")
    classifier = Classifier.from_keras(detector(), frontend, ("tone", "silence"), scaler=SCALER)
    found = explain(classifier, burst(start=0.25, seconds=0.7), sample_rate=RATE)
    assert found.end == pytest.approx(0.7)
    stretch = found.stretch(0.3)
    assert 0.2 <= stretch.start <= 0.3
    assert stretch.share > 0.7
    with pytest.raises(ValueError, match=r"from 0.001 to 0.7, got 0.9"):
        found.stretch(0.9)


def test_the_stretch_lies_in_the_sound_and_not_in_its_padding(classifier):
    found = explain(classifier, burst(start=0.2, seconds=0.6), sample_rate=RATE)
    assert found.stretch().end <= 0.6


def test_a_frontend_that_removes_silence_has_no_stretch(audiozoo, tmp_path):
    frontend = LogMel(sample_rate=RATE, duration=2.0, n_fft=256, hop_length=160, n_mels=32, prepare=(TrimSilence(),))
    classifier = Classifier.from_keras(detector(), frontend, ("tone", "silence"), scaler=SCALER)
    with pytest.raises(ValueError, match=r"removes silence \(TrimSilence\)"):
        explain(classifier, burst(), sample_rate=RATE).stretch()
    classifier.save(tmp_path / "trimmed.audiozoo")
    soundfile.write(tmp_path / "burst.wav", burst(), RATE)
    words = ("explain", tmp_path / "trimmed.audiozoo", tmp_path / "burst.wav")
    status, out, _ = audiozoo(*words, "-o", tmp_path / "why.png")
    assert (status, "deciding" in out) == (0, False)
    assert "removes silence" in audiozoo(*words, "--stretch", 0.5)[2]


def small(activation, fused):
    inputs = keras.Input((6, 5, 2))
    x = keras.layers.Conv2D(3, 3, activation="tanh")(inputs)
    x = keras.layers.Dense(4, activation="tanh", name="embedding")(keras.layers.Flatten()(x))
    if fused:
        return keras.Model(inputs, keras.layers.Dense(3, activation=activation)(x))
    return keras.Model(inputs, keras.layers.Activation(activation)(keras.layers.Dense(3)(x)))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("fused", [False, True])
def test_the_target_is_the_log_odds_and_its_gradient_is_right(activation, fused, rng):
    keras.utils.set_random_seed(1)
    model = small(activation, fused)
    frontend = LogMel(sample_rate=400, duration=0.5, n_fft=64, hop_length=50, n_mels=6, channels=2)
    assert frontend.shape == (6, 5, 2)
    target = target_of(Classifier.from_keras(model, frontend, list("abc")), 1)
    network, x = keras.Model(model.inputs[0], target.tensor), rng.normal(size=(1, 6, 5, 2)).astype(np.float32)

    def log_odds(values):
        return target.function(network(values, training=False))

    def value(values):
        return float(keras.ops.convert_to_numpy(log_odds(keras.ops.convert_to_tensor(values))))

    probability = float(model.predict_on_batch(x)[0, 1])
    assert value(x) == pytest.approx(np.log(probability / (1 - probability)), abs=1e-4)
    (slope,) = gradients(log_odds, [x])
    step = np.zeros_like(x)
    step[0, 2, 3, 1] = 0.05
    after, before = (value(x + sign * step) for sign in (1, -1))
    assert slope[0, 2, 3, 1] == pytest.approx((after - before) / 0.1, rel=0.02, abs=1e-4)


def test_an_argument_without_influence_has_a_gradient_of_zero():
    one, other = gradients(lambda x, y: keras.ops.sum(x * x), [np.float32([1, 2]), np.float32([3])])
    assert (one.tolist(), other.tolist()) == ([2, 4], [0])


def test_a_probe_is_explained_through_its_network(rng):
    network = KerasScorer(detector())
    head = ProbeHead(np.zeros(3), np.ones(3), np.float32([[9, -9], [9, -9], [1, 1]]), np.float32([-1, 1]))
    probe = Classifier(FRONTEND, SCALER, ProbeScorer(network, head), ("tone", "silence"))
    found = explain(probe, burst(), sample_rate=RATE, label="tone")
    target = target_of(probe, 0)
    embedding = keras.ops.convert_to_tensor(network.embed(SCALER(found.features[None])))
    assert float(keras.ops.convert_to_numpy(target.function(embedding))) == pytest.approx(
        np.log(found.score / (1 - found.score)), rel=1e-3
    )
    assert found.values.max() > 0
    assert explain(probe, burst(), sample_rate=RATE, label="tone", method="gradcam").layers == ("pooled",)


def waves():
    """Return a classifier of waveforms whose answer is "loud" where they are loud."""
    inputs = keras.Input((RATE, 1))
    x = keras.layers.Conv1D(2, 5, strides=4, padding="same", activation="relu", use_bias=False, name="filters")(inputs)
    x = keras.layers.GlobalAveragePooling1D(name="embedding")(x)
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.Dense(2)(x)))
    middle = np.zeros((5, 1, 2), np.float32)
    middle[2, 0] = [1, -1]
    model.set_weights([middle, np.float32([[40, -40], [40, -40]]), np.float32([-1, 1])])
    return Classifier.from_keras(model, Waveform(sample_rate=RATE, duration=1.0), ["loud", "soft"])


@METHODS
def test_waveforms_have_a_curve(method, tmp_path):
    found = explain(waves(), burst(start=0.5, seconds=1.0), sample_rate=RATE, method=method)
    assert found.values.shape == (RATE,)
    stretch = found.stretch()
    assert 0.45 <= stretch.start <= 0.62
    assert stretch.share == pytest.approx(2 / 3, abs=0.1)
    assert explanation_picture(found, tmp_path / "a.png", stretch=stretch).read_bytes().startswith(b"\x89PNG")


def test_vectors_have_bars_and_no_time(tmp_path):
    frontend = Statistics(of=FRONTEND, reduce=("mean", "deviation"))
    model = build("feature_mlp", 2, input_shape=frontend.shape, seed=1)
    classifier = Classifier.from_keras(model, frontend, ["a", "b"])
    found = explain(classifier, burst(), sample_rate=RATE)
    assert found.values.shape == (64,)
    assert explanation_picture(found, tmp_path / "a.png").exists()
    with pytest.raises(ValueError, match=r"Statistics gives \(64,\) without one"):
        found.stretch()
    with pytest.raises(ValueError, match="choose method='gradient'"):
        explain(classifier, burst(), sample_rate=RATE, method="gradcam")


@METHODS
def test_sub_bands_answer_for_themselves(method, tmp_path):
    model = build("subspectralnet", 2, input_shape=FRONTEND.shape, auxiliary=True, seed=1)
    layer = model.get_layer("sub_band_0")
    layer.set_weights([np.zeros_like(layer.get_weights()[0]), np.float32([3, 0])])
    about = TrainingFacts(model="subspectralnet", options={"auxiliary": True})
    classifier = Classifier.from_keras(model, FRONTEND, ["a", "b"], about=about)
    found = explain(classifier, burst(), sample_rate=RATE, label="b", method=method)
    low, high = found.sub_bands
    assert low.best == "a"
    assert low.score == pytest.approx(1 / (1 + np.e**3), rel=1e-3)
    assert low.name.split(" to ")[0] != high.name.split(" to ")[0]
    assert len(found.layers) == (0 if method == "gradient" else 2), "each sub-band has a last layer of its own"
    # Sub-bands of 20 bands, ten apart, leave the last two bands out.
    assert np.abs(found.values[:30]).max() > 0
    assert not found.values[30:].any()
    assert explanation_picture(found, tmp_path / "a.png").exists()
    assert json.loads(json.dumps(found.to_dict()))["sub_bands"][0]["best"] == "a"


def test_a_layer_of_one_sub_band_explains_its_bands_alone():
    model = build("subspectralnet", 2, input_shape=FRONTEND.shape, auxiliary=True, seed=1)
    classifier = Classifier.from_keras(model, FRONTEND, ["a", "b"])
    first = next(layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    found = [explain(classifier, burst(), sample_rate=RATE, method="gradcam", layer=first, label=label) for label in ("a", "b")]
    bands = [np.flatnonzero(one.values.any(axis=1)) for one in found if not one.empty]
    assert bands
    assert all(rows.max() - rows.min() < 20 for rows in bands)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"label": "tones"}, "unknown class 'tones'; did you mean 'tone'?"),
        ({"method": "lime"}, "method must be one of 'gradient', 'gradcam', got 'lime'"),
        ({"layer": "pooled"}, "a layer is for method='gradcam'"),
        ({"method": "gradcam", "layer": "poled"}, "unknown layer 'poled'; did you mean 'pooled'?"),
        ({"method": "gradcam", "layer": "logits"}, "needs a layer with a time axis, and logits gives (2,)"),
        ({"hop": 3.0}, "at most the window's 2.0 s"),
    ],
)
def test_wrong_arguments_are_named(classifier, how, reason):
    with pytest.raises(ValueError) as error:
        explain(classifier, burst(), sample_rate=RATE, **how)
    assert reason in str(error.value)


def test_an_ensemble_and_a_network_without_layers_in_time_are_refused(classifier):
    with pytest.raises(ValueError, match="explain one of its members"):
        explain(Ensemble((classifier, classifier)), burst(), sample_rate=RATE)
    inputs = keras.Input(FRONTEND.shape)
    flat = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs)))
    other = Classifier.from_keras(flat, FRONTEND, ["a", "b"])
    with pytest.raises(ValueError, match="has none after its input: choose method='gradient'"):
        explain(other, burst(), sample_rate=RATE, method="gradcam")
    assert explain(other, burst(), sample_rate=RATE).values.any()


def test_the_command(audiozoo, classifier, tmp_path):
    classifier.save(tmp_path / "my.audiozoo")
    stereo = np.stack([burst(rate=22_050), 0.5 * burst(rate=22_050)], axis=1)
    soundfile.write(tmp_path / "bell.wav", stereo, 22_050, subtype="FLOAT")
    words = ("explain", tmp_path / "my.audiozoo", tmp_path / "bell.wav")
    status, out, err = audiozoo(*words, "-o", tmp_path / "new" / "why.png", "--wav", tmp_path / "cut.wav", "--check")
    assert status == 0, err
    assert "bell.wav: tone" in out
    assert "the only window, 0.00 to 2.00 s" in out
    assert "without the marked fifth" in out
    assert (tmp_path / "new" / "why.png").read_bytes().startswith(b"\x89PNG")
    cut, rate = soundfile.read(tmp_path / "cut.wav", dtype="float32")
    assert (rate, cut.shape) == (22_050, (8_820, 2))
    start = next(place for place in range(len(stereo) - 8_820) if np.array_equal(stereo[place : place + 8_820], cut))
    assert 0.85 <= start / 22_050 <= 1.05
    status, out, _ = audiozoo(*words, "--method", "gradcam", "--stretch", 0.5, "--label", "tone", "--json", "--check")
    answer = json.loads(out)
    assert (status, answer["label"], answer["layers"], answer["window"]["of"]) == (0, "tone", ["pooled"], 1)
    assert answer["stretch"]["end_s"] - answer["stretch"]["start_s"] == pytest.approx(0.5)
    assert answer["deletion"]["marked"] > answer["deletion"]["elsewhere"]


def test_the_command_names_what_is_wrong(audiozoo, classifier, tmp_path):
    classifier.save(tmp_path / "my.audiozoo")
    words = ("explain", tmp_path / "my.audiozoo", tmp_path / "gone.wav")
    assert "gone.wav: no such file" in audiozoo(*words)[2]
    assert "choose a name that ends in .wav" in audiozoo(*words, "--wav", "a.ogg")[2]
    assert "is a folder" in audiozoo(*words, "-o", tmp_path)[2]
    soundfile.write(tmp_path / "gone.wav", burst(), RATE)
    status, _, err = audiozoo(*words, "--label", "bell")
    assert (status, "unknown class 'bell'" in err) == (2, True)


def test_the_shipped_classifier_falls_without_the_marked_part(esc50_root):
    classifier = load_classifier("house_cnn/esc10")
    clips = [clip for clip in load_dataset("esc10", root=esc50_root).clips if clip.fold == 5][::12]
    falls = [deletion_gain(classifier, explain(classifier, clip.path), draws=4) for clip in clips]
    assert np.mean([one.marked for one in falls]) > np.mean([one.elsewhere.mean() for one in falls]) + 0.1
