"""Image classification networks on spectrograms, optionally with ImageNet weights.

Sources: wubinbai/Audio-Classification-Models (2020) contains `resnet_lstm` and `mobilenet_v2` under the names `resnet_ldnn` and
`mobilenet`. `inception_transfer` is the network of an article on everyday sounds, which does not specify its head. The
backbones come from keras.applications: He et al., arXiv:1512.03385 (ResNet50); Simonyan, Zisserman, arXiv:1409.1556 (VGG16);
Szegedy et al., arXiv:1512.00567 (InceptionV3); Huang et al., arXiv:1608.06993 (DenseNet121); Sandler et al., arXiv:1801.04381
(MobileNetV2); Tan, Le, arXiv:1905.11946 (EfficientNetB0); Liu et al., arXiv:2201.03545 (ConvNeXtTiny).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

from audiozoo.checks import unknown_name
from audiozoo.features import LogMel, Stack
from audiozoo.features.presets import MEL_POWER_128X128
from audiozoo.layers import Activation, classify, keras, require_size, time_first
from audiozoo.models.lstm import Attention, AttentionAt, recurrent
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, register

BackboneName = Literal["ResNet50", "VGG16", "InceptionV3", "DenseNet121", "MobileNetV2", "EfficientNetB0", "ConvNeXtTiny"]
ImageWeights = Literal["imagenet"] | None

_LOGMEL = LogMel(sample_rate=44_100, duration=128 * 1_024 / 44_100, framing="window", n_fft=1_024, hop_length=1_024, n_mels=128)
_THREE_LOGMELS = Stack(of=(_LOGMEL, _LOGMEL, _LOGMEL))
"""A log-mel image: 128 mel bands (dB) by 128 frames that do not overlap, repeated as three channels."""


class _Backbone(NamedTuple):
    """Requirements of a backbone on its input.

    Args:
        smallest: Smallest number of bands and of frames.
        deviation: Standard deviation of the pixels that its ImageNet weights were trained on.
        mean: Mean of these pixels.
    """

    smallest: int
    deviation: float
    mean: float


# The deviations and means follow the preprocessing of keras.applications: pixels from 0 to 255 without their mean (ResNet50,
# VGG16), pixels from -1 to 1 (InceptionV3, MobileNetV2), standardised (DenseNet121, ConvNeXtTiny) or raw pixels
# (EfficientNetB0).
_BACKBONES: dict[str, _Backbone] = {
    "ResNet50": _Backbone(32, 58.0, 0.0),
    "VGG16": _Backbone(32, 58.0, 0.0),
    "InceptionV3": _Backbone(75, 0.5, 0.0),
    "DenseNet121": _Backbone(32, 1.0, 0.0),
    "MobileNetV2": _Backbone(32, 0.5, 0.0),
    "EfficientNetB0": _Backbone(32, 58.0, 118.0),
    "ConvNeXtTiny": _Backbone(32, 1.0, 0.0),
}


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference((128, 128, 1), num_classes=6, parameters=25_732_806, multiply_adds=1_241_977_216),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    aliases=["resnet_ldnn"],
    recipe=Recipe(epochs=60, batch_size=32, learning_rate=1e-4, patience=20, refit=True),
)
def resnet_lstm(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    backbone: BackboneName = "ResNet50",
    backbone_weights: ImageWeights = None,
    bidirectional: bool = False,
    attention: Attention = None,
    attention_at: AttentionAt = "between",
    recurrent_dropout: float = 0.25,
    dropout: float = 0.5,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """An image backbone on a mel spectrogram, then two LSTM layers over the frames of its feature map.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 32 by 32 (75 by 75 for InceptionV3).
        num_classes: Number of classes.
        backbone: Name of the network in keras.applications: "ResNet50", "VGG16", "InceptionV3", "DenseNet121",
            "MobileNetV2", "EfficientNetB0" or "ConvNeXtTiny".
        backbone_weights: "imagenet" loads the backbone's ImageNet weights, which Keras downloads once. A single channel is then
            repeated three times, and standardised features are scaled to the range of the pixels that the backbone was trained
            on. `None` leaves the random initialisation.
        bidirectional: Whether the recurrent layers run in both directions.
        attention: "additive" or "self" attention over the frames, or `None`, as published.
        attention_at: Place of the attention: "between" the recurrent layers, or after them, where "sum" adds the weighted
            frames and "flatten" keeps them all.
        recurrent_dropout: Dropout rate of the inputs of each recurrent layer.
        dropout: Dropout rate of the embedding.
        normalization_momentum: Momentum of the backbone's batch normalisation. The usual 0.99 settles only after thousands of
            steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small, the backbone or the weights are unknown, or the network does not support the
            attention.
        OSError: Keras cannot download the backbone's weights.
    """
    inputs = keras.Input(input_shape, name="features")
    # The second axis of the feature map is still time, so its columns are the steps of the sequence.
    x = time_first(_seen(inputs, "resnet_lstm", backbone, backbone_weights, normalization_momentum))
    x = recurrent(
        x,
        (64, 64),
        dropouts=(recurrent_dropout, recurrent_dropout),
        bidirectional=bidirectional,
        attention=attention,
        attention_at=attention_at,
    )
    x = keras.layers.LeakyReLU(negative_slope=0.01, name="embedding")(keras.layers.Dense(64)(x))
    x = keras.layers.Dropout(dropout)(x)
    outputs = classify(x, num_classes, activation=activation, kernel_regularizer=keras.regularizers.L2(0.01))
    return keras.Model(inputs, outputs, name="resnet_lstm")


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference((128, 128, 1), num_classes=6, parameters=2_265_094, multiply_adds=95_442_432),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    formerly=["mobilenet"],
    recipe=Recipe(epochs=60, batch_size=32, learning_rate=1e-4, patience=20, refit=True),
)
def mobilenet_v2(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    backbone_weights: ImageWeights = None,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """MobileNetV2, optionally with ImageNet weights, on a mel spectrogram.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 32 by 32.
        num_classes: Number of classes.
        backbone_weights: "imagenet" loads the ImageNet weights, which Keras downloads once. A single channel is then repeated
            three times, and standardised features are scaled to pixels from -1 to 1. `None` leaves the random initialisation.
        normalization_momentum: Momentum of batch normalisation. The source's 0.999 needs tens of thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small, or the weights are unknown.
        OSError: Keras cannot download the weights.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _seen(inputs, "mobilenet_v2", "MobileNetV2", backbone_weights, normalization_momentum)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="mobilenet_v2")


@register(
    frontend=_LOGMEL,
    reference=Reference((128, 128, 1), num_classes=50, parameters=27_857_042, multiply_adds=1_451_509_248),
    paper="arXiv:2201.03545",
    year=2022,
    recipe=Recipe(epochs=60, batch_size=32, learning_rate=1e-4, patience=20, refit=True),
)
def convnext_tiny(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    backbone_weights: ImageWeights = None,
    activation: Activation = "softmax",
) -> keras.Model:
    """ConvNeXt-Tiny, optionally with ImageNet weights, on a log-mel image.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 32 by 32.
        num_classes: Number of classes.
        backbone_weights: "imagenet" loads the ImageNet weights, which Keras downloads once. A single channel is then repeated
            three times. `None` leaves the random initialisation.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small, or the weights are unknown.
        OSError: Keras cannot download the weights.
    """
    inputs = keras.Input(input_shape, name="features")
    # The network normalises layers and not batches, so it has no momentum.
    x = _seen(inputs, "convnext_tiny", "ConvNeXtTiny", backbone_weights, momentum=0.0)
    # The source normalises the mean over the picture before its last layer.
    x = keras.layers.LayerNormalization(epsilon=1e-6, name="embedding")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="convnext_tiny")


@register(
    frontend=_THREE_LOGMELS,
    reference=Reference((128, 128, 3), num_classes=50, parameters=21_905_234, multiply_adds=730_755_424),
    paper="article on classifying everyday sounds",
    year=2020,
    recipe=Recipe(epochs=60, batch_size=32, learning_rate=1e-4, patience=20, refit=True),
)
def inception_transfer(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    backbone_weights: ImageWeights = None,
    trainable: bool = True,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """InceptionV3, optionally with ImageNet weights, on a log-mel image.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 75 by 75.
        num_classes: Number of classes.
        backbone_weights: "imagenet" loads the ImageNet weights, which Keras downloads once. A single channel is then repeated
            three times, and standardised features are scaled to pixels from -1 to 1. `None` leaves the random initialisation.
        trainable: Whether training changes the whole network, or only the last layer.
        normalization_momentum: Momentum of batch normalisation. The usual 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small, or the weights are unknown.
        OSError: Keras cannot download the weights.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _seen(inputs, "inception_transfer", "InceptionV3", backbone_weights, normalization_momentum, trainable=trainable)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="inception_transfer")


def _seen(x: Any, model: str, name: str, weights: ImageWeights, momentum: float, *, trainable: bool = True) -> Any:
    """Return a backbone's feature map ``(bands, frames, channels)``, each axis about 1/32 as long as the input's."""
    if name not in _BACKBONES:
        raise unknown_name("backbone", name, _BACKBONES)
    if weights not in ("imagenet", None):
        raise ValueError(
            f"backbone_weights of {model} must be 'imagenet' or None, got {weights!r}; "
            "pass a file with the weights of the whole model as weights_file="
        )
    backbone = _BACKBONES[name]
    require_size(model, x.shape[1:], (backbone.smallest, backbone.smallest))
    # Random weights adapt to any range and number of channels; ImageNet weights expect three channels in the range of pixels.
    if weights:
        x = _as_picture(x, model)
    # EfficientNetB0 begins with a rescaling layer of its own, which expects pixels from 0 to 255 with any weights.
    if weights or name == "EfficientNetB0":
        x = keras.layers.Rescaling(backbone.deviation, offset=backbone.mean)(x)
    trunk = _trunk(name, x.shape[1:], weights)
    # keras.applications has no argument for the momentum.
    for layer in trunk.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
    # Batch normalisation in a frozen backbone also keeps its ImageNet statistics, because Keras then runs it in inference mode.
    trunk.trainable = trainable
    return trunk(x)


def _as_picture(x: Any, model: str) -> Any:
    channels = x.shape[-1]
    if channels == 1:
        return keras.layers.Concatenate()([x, x, x])
    if channels != 3:
        raise ValueError(f"{model} with ImageNet weights takes 3 channels, or 1, which it repeats; got {channels}")
    return x


def _trunk(name: str, input_shape: tuple[int, ...], weights: ImageWeights) -> keras.Model:
    try:
        # Unlike the others, ConvNeXt would standardise pixels itself, of which it expects three channels.
        own = {"include_preprocessing": False} if name == "ConvNeXtTiny" else {}
        return getattr(keras.applications, name)(include_top=False, weights=weights, input_shape=tuple(input_shape), **own)
    except Exception as error:
        # Keras raises a bare Exception for a failed download; only its message tells.
        address = re.search(r"URL fetch failure on (\S+)/([^/\s]+\.h5)", str(error))
        if not address:
            raise
        folder = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
        raise OSError(
            f"cannot download the ImageNet weights of {name}: check the network, or download {address[2]} from "
            f"{address[1]} on another machine and put it into {folder}"
        ) from error
