"""What the published CNNs have besides what every model must pass: variants, sizes, axes, backbones and their weights."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

import audiozoo

MULTI = (128, 256, 4)
PICTURE = (128, 128, 1)


def layers(model, kind):
    """List a model's layers of a kind, those of its backbone too."""
    found = []
    for layer in model.layers:
        found += layers(layer, kind) if isinstance(layer, keras.Model) else [layer] * isinstance(layer, kind)
    return found


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("name", "shape", "num_classes", "options", "parameters"),
    [
        ("cnn_single_channel", PICTURE, 10, {}, 9_648_682),
        ("cnn_single_channel", PICTURE, 50, {}, 9_669_202),
        ("cnn_single_channel", (128, 128, 2), 6, {}, 9_646_726),
        ("cnn_multichannel", MULTI, 10, {}, 3_066_698),
        ("cnn_multichannel", MULTI, 50, {}, 3_087_218),
        ("cnn_multichannel", (128, 256, 2), 6, {}, 3_064_454),
        ("cnn_multichannel_attention", MULTI, 10, {}, 3_120_282),
        ("cnn_multichannel_attention", MULTI, 50, {}, 3_140_802),
        ("cnn_multichannel_sharma", MULTI, 10, {}, 13_883_914),
        ("cnn_multichannel_sharma", (128, 128, 4), 10, {}, 13_883_914),
        ("resnet_lstm", PICTURE, 10, {}, 25_733_066),
        ("inception_transfer", (299, 299, 3), 10, {}, 21_823_274),
        ("inception_transfer", PICTURE, 50, {}, 21_904_658),
        ("wave_cnn", (32_000, 1), 10, {}, 328_614),
        ("wave_cnn", (32_000, 1), 50, {}, 369_774),
        ("mel_cnn", (320, 157, 1), 10, {}, 91_966),
        ("mel_cnn", (320, 157, 1), 50, {}, 97_126),
        ("sb_cnn", (128, 64, 1), 50, {}, 244_514),
        ("sb_cnn", (64, 64, 1), 10, {}, 143_610),
        ("a_crnn", (128, 64, 1), 10, {"reset_after": True}, 381_822),
        ("piczak_cnn", (60, 41, 2), 10, {}, 26_734_090),
        ("piczak_cnn", (60, 101, 2), 10, {}, 29_134_090),
        ("piczak_cnn", (60, 101, 2), 50, {}, 29_334_130),
        ("acdnet", (30_225, 1), 10, {}, 4_716_446),
    ],
)
def test_variants_have_the_published_number_of_parameters(name, shape, num_classes, options, parameters):
    assert audiozoo.build(name, num_classes, input_shape=shape, **options).count_params() == parameters


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("cnn_single_channel", 9_645_478),
        ("cnn_multichannel", 3_063_494),
        ("cnn_multichannel_attention", 3_115_926),
        ("cnn_multichannel_sharma", 13_922_482),
        ("cnn_multichannel_sharma_attention", 14_498_882),
        ("mobilenet_v2", 2_230_982),
        ("dcase_tutorial_cnn", 105_034),
        ("freesound2018_baseline", 658_591),
        ("wave_cnn", 360_513),
        ("mel_cnn", 95_451),
        ("sb_cnn", 241_674),
        ("a_crnn", 381_300),
        ("piczak_cnn", 26_934_130),
        ("acdnet", 4_735_378),
    ],
)
def test_as_many_weights_are_trained_as_published(name, parameters):
    reference = audiozoo.model_info(name).reference
    assert trainable(audiozoo.build(name, reference.num_classes, input_shape=reference.input_shape)) == parameters


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        # bands by frames
        ("cnn_single_channel", [(1, 3), (1, 3), (1, 1), (3, 1)]),
        ("cnn_multichannel", [(3, 1), (3, 1), (1, 1), (1, 5)]),
        ("cnn_multichannel_sharma", [(3, 1), (3, 1), (1, 7), (1, 7)]),
        ("mel_cnn", [(7, 3), (7, 3), (3, 3), (3, 3)]),
        ("piczak_cnn", [(57, 6), (1, 3)]),
    ],
)
def test_kernels_lie_along_the_published_axes(name, kernels):
    model = audiozoo.build(name, 3)
    assert [layer.kernel_size for layer in layers(model, keras.layers.Conv2D)][: len(kernels)] == kernels


def test_attention_looks_along_the_axes_of_its_block():
    model = audiozoo.build("cnn_multichannel_attention", 3, input_shape=(16, 16, 1))
    kernels = [layer.kernel_size for layer in layers(model, keras.layers.DepthwiseConv2D)]
    assert kernels == [(3, 1), (1, 3), (3, 1), (1, 3), (3, 3), (3, 3)]


def test_attention_bears_loud_input(rng):
    model = audiozoo.build("cnn_multichannel_sharma_attention", 3, input_shape=(16, 16, 4), seed=0)
    loud = 100 * rng.normal(0, 1, (2, 16, 16, 4)).astype(np.float32)
    assert np.isfinite(keras.ops.convert_to_numpy(model(loud))).all()


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("dcase_tutorial_cnn", (4, 8, 1), {}),
        ("wave_cnn", (1_616, 1), {}),
        ("mel_cnn", (103, 43, 1), {}),
        ("sb_cnn", (32, 52, 1), {}),
        ("a_crnn", (20, 1, 1), {}),
        ("piczak_cnn", (4, 14, 2), {}),
        ("acdnet", (213, 1), {}),
        ("mobilenet_v2", (32, 32, 1), {}),
        ("inception_transfer", (75, 75, 1), {}),
    ],
)
def test_the_smallest_input_works_and_the_next_smaller_is_told_it(name, shape, options):
    assert audiozoo.build(name, 3, input_shape=shape, **options).output_shape == (None, 3)
    *axes, channels = shape
    for axis, size in enumerate(axes):
        if size > 1:
            smaller = [*axes[:axis], size - 1, *axes[axis + 1 :], channels]
            with pytest.raises(ValueError, match=f"at least .*{', '.join(map(str, axes))}"):
                audiozoo.build(name, 3, input_shape=smaller, **options)


@pytest.mark.parametrize("name", audiozoo.list_models(["cnn_*", "freesound2018_baseline"]))
def test_takes_the_smallest_of_pictures(name):
    assert audiozoo.build(name, 3, input_shape=(1, 1, 1)).output_shape == (None, 3)


@pytest.mark.parametrize("name", ["acdnet", "cnn_multichannel_attention", "mobilenet_v2"])
def test_the_momentum_reaches_every_normalisation(name):
    model = audiozoo.build(name, 3, input_shape=(213, 1) if name == "acdnet" else (32, 32, 1), normalization_momentum=0.5)
    assert {layer.momentum for layer in layers(model, keras.layers.BatchNormalization)} == {0.5}


def test_a_crnn_normalises_each_band_or_each_filter():
    for axis, sizes in (("mel", {20, 4, 2}), ("channel", {128})):
        model = audiozoo.build("a_crnn", 3, input_shape=(20, 4, 1), normalization_axis=axis)
        assert {layer.gamma.shape[0] for layer in layers(model, keras.layers.BatchNormalization)} == sizes


@pytest.mark.parametrize("backbone", ["VGG16", "DenseNet121", "MobileNetV2", "EfficientNetB0"])
def test_backbones_under_recurrent_layers(backbone, rng):
    model = audiozoo.build("resnet_lstm", 3, input_shape=(32, 64, 1), backbone=backbone, bidirectional=True, seed=0)
    scores = keras.ops.convert_to_numpy(model(rng.normal(0, 1, (2, 32, 64, 1)).astype(np.float32)))
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    # Two columns of the picture are left; each layer's 64 units read them both ways.
    assert [layer.output.shape for layer in layers(model, keras.layers.Bidirectional)] == [(None, 2, 128), (None, 128)]


def test_a_frozen_backbone_leaves_the_last_layer():
    model = audiozoo.build("inception_transfer", 50, input_shape=(75, 75, 3), trainable=False)
    assert trainable(model) == 102_450
    assert model.count_params() == 21_905_234


@pytest.fixture
def without_download(monkeypatch):
    """Make MobileNetV2 start from random weights whatever is asked for, and note what was."""
    asked = []
    mobilenet_v2 = keras.applications.MobileNetV2

    def fetched(**options):
        asked.append(options)
        return mobilenet_v2(**{**options, "weights": None})

    monkeypatch.setattr(keras.applications, "MobileNetV2", fetched)
    return asked


def test_one_channel_becomes_a_picture_for_imagenet_weights(without_download):
    model = audiozoo.build("resnet_lstm", 3, input_shape=(32, 32, 1), backbone="MobileNetV2", backbone_weights="imagenet")
    assert [(options["weights"], options["input_shape"]) for options in without_download] == [("imagenet", (32, 32, 3))]
    (scaling,) = [layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling)]
    values = np.full((1, 32, 32, 1), 2.0, np.float32)
    picture = keras.Model(model.input, scaling.output)(values)
    assert np.array_equal(keras.ops.convert_to_numpy(picture), np.ones((1, 32, 32, 3)))


def test_imagenet_weights_take_one_channel_or_three(without_download):
    assert audiozoo.build("mobilenet_v2", 3, input_shape=(32, 32, 3), backbone_weights="imagenet").output_shape == (None, 3)
    with pytest.raises(ValueError, match="takes 3 channels, or 1, which it repeats; got 2"):
        audiozoo.build("mobilenet_v2", 3, input_shape=(32, 32, 2), backbone_weights="imagenet")


def test_a_failed_download_names_the_file_and_its_folder(monkeypatch, tmp_path):
    asked = []

    def unreachable(**options):
        asked.append(options["weights"])
        raise Exception("URL fetch failure on https://weights.example/v3/inception_v3_notop.h5: None -- no such host")

    monkeypatch.setattr(keras.applications, "InceptionV3", unreachable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(OSError, match=r"inception_v3_notop\.h5 from https://weights\.example/v3 .* into ") as caught:
        audiozoo.build("inception_transfer", 3, backbone_weights="imagenet")
    assert str(tmp_path / "models") in str(caught.value)
    assert asked == ["imagenet"]


def test_another_failure_of_a_backbone_is_left_as_it_is(monkeypatch):
    def broken(**options):
        raise RuntimeError("no memory")

    monkeypatch.setattr(keras.applications, "InceptionV3", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        audiozoo.build("inception_transfer", 3)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("resnet_lstm", {"backbone": "MobilNetV2"}, "did you mean 'MobileNetV2'"),
        ("resnet_lstm", {"backbone": "InceptionV3", "input_shape": (74, 75, 1)}, "at least .75, 75."),
        ("resnet_lstm", {"backbone_weights": "audioset"}, "'imagenet' or None, got 'audioset'"),
        ("inception_transfer", {"backbone_weights": "imagenett"}, "'imagenet' or None, got 'imagenett'"),
        ("a_crnn", {"normalization_axis": "time"}, "normalization_axis"),
    ],
)
def test_impossible_options_are_refused(name, options, reason):
    with pytest.raises(ValueError, match=reason):
        audiozoo.build(name, 3, **options)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("feature_mlp", (10,), 10 * 256 + 256 * 256 + 256 * 128 + 128 * 128 + 128 * 64 + 64 * 32 + 32 * 3),
        ("dcase2018_baseline", (20, 5, 1), 49 * 32 * 20 * 5 + 49 * 32 * 64 * 4 * 1 + 64 * 100 + 100 * 3),
        ("lstm", (4, 6, 1), 6 * (4 + 256) * 4 * 256 + 256 * 64 + 64 * 3),
    ],
)
def test_multiply_adds_are_counted(name, shape, expected):
    count = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks" / "models.py"))["multiply_adds"]
    assert count(audiozoo.build(name, 3, input_shape=shape)) == expected


def test_multiply_adds_of_two_directions_are_twice_those_of_one():
    count = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks" / "models.py"))["multiply_adds"]
    inputs = keras.Input((5, 3))
    one = keras.Model(inputs, keras.layers.LSTM(4)(inputs))
    both = keras.Model(inputs, keras.layers.Bidirectional(keras.layers.LSTM(4))(inputs))
    assert count(both) == 2 * count(one) == 2 * 5 * (3 + 4) * 4 * 4
