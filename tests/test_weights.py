"""Published weights: YAMNet's file as Google lays it out, read, folded, cached and put into the network."""

from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest
from conftest import SHARED, tone

import audiozoo
from audiozoo.files import checksum
from audiozoo.weights import fold_normalization, layer_arrays

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
FILTERS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1_024, 1_024)
CONVS = ["layer1/conv", *(f"layer{n}/{kind}_conv" for n in range(2, 15) for kind in ("depthwise", "pointwise"))]


def unfolded():
    """Build YAMNet as it was trained: time first, normalisation after each convolution, padded as TensorFlow pads."""

    def block(x, layer):
        x = keras.layers.BatchNormalization(epsilon=1e-4, scale=False)(layer(x))
        return keras.layers.ReLU()(x)

    def padded(x, stride):
        return keras.layers.ZeroPadding2D(((0, 1), (0, 1)) if stride == 2 else 1)(x)

    inputs = keras.Input((96, 64, 1))
    x = block(padded(inputs, 2), keras.layers.Conv2D(32, 3, strides=2, use_bias=False))
    for filters, stride in zip(FILTERS, STRIDES, strict=True):
        x = block(padded(x, stride), keras.layers.DepthwiseConv2D(3, strides=stride, use_bias=False))
        x = block(x, keras.layers.Conv2D(filters, 1, use_bias=False))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(521, activation="sigmoid")(x))


def randomised(model):
    """Draw all weights so that the signal keeps its size from layer to layer."""
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = layer.beta.shape[0]
            layer.set_weights([rng.normal(0, 0.3, channels), rng.normal(0, 0.1, channels), rng.uniform(0.7, 1.4, channels)])
        elif layer.weights:
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            kernel, *bias = layer.get_weights()
            gain = np.sqrt(2 / (9 if depthwise else np.prod(kernel.shape[:-1])))
            layer.set_weights([rng.normal(0, gain, kernel.shape), *bias])
    return model


def arrays_of(model):
    """Name the network's arrays as in Google's file."""
    layers = [layer for layer in model.layers if layer.weights]
    arrays = {}
    for name, conv, norm in zip(CONVS, layers[:-1:2], layers[1:-1:2], strict=True):
        kernel = "depthwise_kernel" if "depthwise" in name else "kernel"
        arrays[f"{name}/{name}/{kernel}:0"] = conv.get_weights()[0]
        ends = [f"{name}/bn/{name}/bn/{end}:0" for end in ("beta", "moving_mean", "moving_variance")]
        arrays |= dict(zip(ends, norm.get_weights(), strict=True))
    return arrays | dict(zip(("logits/logits/kernel:0", "logits/logits/bias:0"), layers[-1].get_weights(), strict=True))


def written(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


@pytest.fixture(scope="module")
def original():
    return randomised(unfolded())


@pytest.fixture(scope="module")
def arrays(original):
    return arrays_of(original)


@pytest.fixture(scope="module")
def published(arrays, tmp_path_factory):
    """Write an `.h5` of Google's layout and return its path."""
    return written(tmp_path_factory.mktemp("published") / "yamnet.h5", arrays)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOZOO_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def put(cache, monkeypatch):
    """Put a file into the cache folder as if Google had published it, with its checksum."""

    def publish(path):
        copied = cache / "yamnet.h5"
        copied.write_bytes(path.read_bytes())
        known = audiozoo.model_info("yamnet").weights
        monkeypatch.setitem(known, "audioset", replace(known["audioset"], sha256=checksum(copied)))

    return publish


def scores(model, batch):
    return keras.ops.convert_to_numpy(model(batch))


def test_folded_equals_unfolded(original, published, rng):
    batch = rng.normal(0, 1, (3, 64, 96, 1)).astype(np.float32)
    model = audiozoo.build("yamnet", 521, weights_file=published)
    expected = scores(original, batch.swapaxes(1, 2))
    assert np.ptp(expected) > 0.1
    assert np.allclose(scores(model, batch), expected, atol=1e-4)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)


def test_the_cache_keeps_what_was_converted(cache, put, published, arrays, rng, tmp_path_factory):
    batch = rng.normal(0, 1, (1, 64, 96, 1)).astype(np.float32)
    put(published)
    first = audiozoo.build("yamnet", 521, weights="audioset")
    [folded] = cache.glob("yamnet-*.npz")
    made = folded.stat().st_mtime_ns
    again = audiozoo.build("yamnet", 521, weights="audioset")
    assert folded.stat().st_mtime_ns == made
    by_hand = audiozoo.build("yamnet", 521, weights_file=folded)
    assert np.array_equal(scores(first, batch), scores(again, batch))
    assert np.array_equal(scores(first, batch), scores(by_hand, batch))
    changed = {**arrays, "logits/logits/bias:0": arrays["logits/logits/bias:0"] + 1}
    put(written(tmp_path_factory.mktemp("changed") / "yamnet.h5", changed))
    other = audiozoo.build("yamnet", 521, weights="audioset")
    assert scores(other, batch).mean() > scores(first, batch).mean()


def test_a_file_with_another_checksum_is_never_used(cache, published, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (cache / "yamnet.h5").write_bytes(published.read_bytes())
    with pytest.raises(OSError, match=r"the file that is there now has the SHA-256 .* instead of 13c3308955bb"):
        audiozoo.build("yamnet", 521, weights="audioset")
    assert list(cache.glob("*.npz")) == []


def test_other_classes_keep_a_random_last_layer(published):
    whole = audiozoo.build("yamnet", 521, weights_file=published)
    mine, random = (audiozoo.build("yamnet", 4, weights_file=file, seed=1) for file in (published, None))
    for layer in [layer for layer in mine.layers if layer.weights]:
        same = random if layer.name == "logits" else whole
        pairs = zip(layer.get_weights(), same.get_layer(layer.name).get_weights(), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs), layer.name


def without(arrays, end):
    return {name: array for name, array in arrays.items() if not name.endswith(end)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda a: without(a, "layer3/pointwise_conv/kernel:0"),
            "'layer3/pointwise_conv' must have kernel, beta.*there is layer3",
        ),
        (lambda a: without(a, "logits/bias:0"), "'logits' must have kernel, bias; there is logits/logits/kernel:0"),
        (lambda a: {"dense/kernel:0": np.zeros(3)}, "'layer1/conv' must have .*; there is dense"),
        (lambda a: {}, "there is nothing"),
        (lambda a: {**a, "layer1/conv/bn/layer1/conv/bn/gamma:0": np.ones(32)}, "there is .*gamma"),
        (
            lambda a: {**a, "layer1/conv/layer1/conv/kernel:0": np.ones((5, 5, 1, 32))},
            r"layer1_fused/kernel is \(5, 5, 1, 32\)",
        ),
        (lambda a: {**a, "layer1/conv/bn/layer1/conv/bn/beta:0": np.ones(31)}, r"normalisation of \(31,\)"),
    ],
)
def test_another_structure_is_refused(arrays, tmp_path, change, reason):
    path = written(tmp_path / "other.h5", change(arrays))
    with pytest.raises(ValueError, match=rf"other\.h5: not a file of weights for this model: .*{reason}"):
        audiozoo.build("yamnet", 521, weights_file=path)


def test_what_is_no_file_of_weights_is_refused(tmp_path, published):
    for name in ("bad.h5", "bad.npz"):
        (tmp_path / name).write_bytes(b"garbage")
        with pytest.raises(ValueError, match=f"{name}: not a file of weights for this model"):
            audiozoo.build("yamnet", 521, weights_file=tmp_path / name)
    np.savez(tmp_path / "empty.npz")
    with pytest.raises(ValueError, match=r"layer1_fused/kernel.* missing; there is nothing"):
        audiozoo.build("yamnet", 521, weights_file=tmp_path / "empty.npz")
    with pytest.raises(FileNotFoundError, match=r"gone\.h5"):
        audiozoo.build("yamnet", 521, weights_file=tmp_path / "gone.h5")
    with pytest.raises(ValueError, match=r"layer1_fused/kernel is \(3, 3, 1, 32\), the model needs \(3, 3, 2, 32\)"):
        audiozoo.build("yamnet", 521, input_shape=(64, 96, 2), weights_file=published)


def test_names_of_weights():
    assert {"cnn6", "cnn14", "yamnet"} <= set(audiozoo.list_models(pretrained=True))
    with pytest.raises(ValueError, match="unknown weights of yamnet 'audioste'; did you mean 'audioset'"):
        audiozoo.build("yamnet", 521, weights="audioste")
    with pytest.raises(ValueError, match="unknown weights of house_cnn 'audioset'; choose from none"):
        audiozoo.build("house_cnn", 521, weights="audioset")


def test_without_network_the_message_says_what_to_do(cache, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(OSError, match=r"storage\.googleapis\.com/audioset/yamnet\.h5 could not be .* put it at .*yamnet\.h5"):
        audiozoo.build("yamnet", 521, weights="audioset")


def test_kerass_own_files_are_read_as_of_any_model(tmp_path):
    model = audiozoo.build("yamnet", 3, seed=1)
    model.save_weights(tmp_path / "mine.weights.h5")
    again = audiozoo.build("yamnet", 3, seed=2, weights_file=tmp_path / "mine.weights.h5")
    assert np.array_equal(model.get_weights()[-2], again.get_weights()[-2])


def test_the_classes_have_names():
    labels = audiozoo.model_info("yamnet").weights["audioset"].labels
    assert (len(labels), len(set(labels))) == (521, 521)
    assert (labels[0], labels[1], labels[-1]) == ("Speech", "Child speech, kid speaking", "Field recording")


def test_a_classifier_of_published_weights(published, tmp_path):
    classifier = audiozoo.pretrained_classifier("yamnet", weights_file=published)
    wave = tone(440, 2.0, 16_000)
    answer = classifier.predict(wave, sample_rate=16_000)
    assert answer.scores.shape == (521,)
    assert answer.scores.sum() > 2
    assert classifier.embed(wave, sample_rate=16_000).shape == (1_024,)
    assert [row.start for row in classifier.predict_windows(wave, sample_rate=16_000)] == pytest.approx([0, 0.48, 0.96, 1.44])
    classifier.temperature = 2.0
    softer = classifier.predict(wave[:15_600], sample_rate=16_000).scores
    classifier.temperature = 1.0
    sharp = classifier.predict(wave[:15_600], sample_rate=16_000).scores
    logit = np.log(sharp / (1 - sharp))
    assert np.allclose(softer, 1 / (1 + np.exp(-logit / 2)), atol=1e-4)
    classifier.save(tmp_path / "a.audiozoo")
    again = audiozoo.load_classifier(tmp_path / "a.audiozoo")
    assert again.labels == classifier.labels
    assert np.allclose(again.predict(wave, sample_rate=16_000).scores, answer.scores, atol=1e-5)


def test_a_classifier_of_a_copy_of_the_published_file(published):
    classifier = audiozoo.pretrained_classifier("yamnet", weights="audioset", weights_file=published)
    assert classifier.about.weights == "audioset"
    with pytest.warns(DeprecationWarning, match="weights_file="):
        former = audiozoo.pretrained_classifier("yamnet", weights=published)
    pairs = zip(classifier.scorer.model.get_weights(), former.scorer.model.get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    with pytest.raises(ValueError, match="unknown weights of yamnet 'audioste'; did you mean 'audioset'"):
        audiozoo.pretrained_classifier("yamnet", weights="audioste", weights_file=published)


def test_a_model_with_published_weights_is_loaded_by_name(cache, put, published, monkeypatch):
    put(published)
    monkeypatch.chdir(cache)
    classifier = audiozoo.load_classifier("yamnet")
    assert (len(classifier.labels), classifier.about.licence) == (521, "Apache-2.0")


def test_a_model_without_published_weights_is_no_classifier():
    with pytest.raises(ValueError, match=r"house_cnn has no published weights; models with published weights: .*yamnet"):
        audiozoo.pretrained_classifier("house_cnn")


@pytest.mark.parametrize("depthwise", [False, True])
def test_folding(depthwise, rng):
    kernel = rng.normal(0, 1, (3, 3, 5, 1) if depthwise else (1, 1, 3, 5))
    beta, mean, variance = rng.normal(0, 1, 5), rng.normal(0, 1, 5), rng.uniform(0.1, 2, 5)
    x = rng.normal(0, 1, kernel.shape[:3])
    inputs, outputs = (x, kernel[..., 0]) if depthwise else (x[..., None], kernel)
    before = (inputs * outputs).sum(axis=(0, 1) if depthwise else (0, 1, 2))
    folded, bias = fold_normalization(kernel, beta, mean, variance, epsilon=1e-3, depthwise=depthwise)
    after = (inputs * (folded[..., 0] if depthwise else folded)).sum(axis=(0, 1) if depthwise else (0, 1, 2)) + bias
    assert np.allclose(after, (before - mean) / np.sqrt(variance + 1e-3) + beta)


def test_layers_are_told_apart_by_their_whole_names():
    arrays = {"model/layer1/conv/kernel:0": np.ones(1), "model/layer10/conv/kernel:0": np.zeros(1)}
    assert layer_arrays(arrays, "layer1/conv", ["kernel"])[0] == 1
    with pytest.raises(ValueError, match="'layer2/conv' must have kernel; there is model"):
        layer_arrays(arrays, "layer2/conv", ["kernel"])


@pytest.fixture(scope="module")
def audioset():
    path = SHARED / "weights" / "yamnet" / "yamnet.npz"
    if not path.is_file():
        pytest.skip(f"YAMNet's weights are not at {path}; set AUDIOZOO_SHARED to the folder that has weights/yamnet")
    return audiozoo.pretrained_classifier("yamnet", weights_file=path)


ESC10_IN_AUDIOSET = {
    "chainsaw": "Chainsaw",
    "clock_tick": "Tick-tock",
    "crackling_fire": "Fire",
    "crying_baby": "Baby cry, infant cry",
    "dog": "Dog",
    "helicopter": "Helicopter",
    "rain": "Rain",
    "rooster": "Chicken, rooster",
    "sea_waves": "Ocean",
    "sneezing": "Sneeze",
}


def test_it_hears_esc10_by_the_names_of_the_classes(audioset, esc50_root):
    data = audiozoo.load_dataset("esc10", root=esc50_root)
    columns = [audioset.labels.index(ESC10_IN_AUDIOSET[label]) for label in data.labels]
    clips = [clip for clip in data.clips if clip.fold == 1][::2]
    heard = [data.labels[audioset.predict(clip.path).scores[columns].argmax()] for clip in clips]
    assert np.mean([a == clip.label for a, clip in zip(heard, clips, strict=True)]) > 0.9
