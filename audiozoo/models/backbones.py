"""Networks for images on spectrograms: under recurrent layers, alone, or with what ImageNet taught them.

Sources: `resnet_lstm` and `mobilenet` are in the code of wubinbai/Audio-Classification-Models (2020), `resnet_ldnn` and
`mobilenet`; `inception_transfer` is the network of an article on everyday sounds, which leaves the head open. The backbones are
those of keras.applications.
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

BackboneName = Literal["ResNet50", "VGG16", "InceptionV3", "DenseNet121", "MobileNetV2", "EfficientNetB0"]
ImageWeights = Literal["imagenet"] | None

_LOGMEL = LogMel(sample_rate=44_100, duration=128 * 1_024 / 44_100, framing="window", n_fft=1_024, hop_length=1_024, n_mels=128)
_THREE_LOGMELS = Stack(of=(_LOGMEL, _LOGMEL, _LOGMEL))
"""128 mel bands in decibels by 128 frames that do not overlap, thrice, as the three colours of a picture."""


class _Backbone(NamedTuple):
    """The fewest rows and columns a backbone takes, and the deviation and mean of what its ImageNet weights were fed."""

    smallest: int
    deviation: float
    mean: float


_BACKBONES: dict[str, _Backbone] = {
    "ResNet50": _Backbone(32, 58.0, 0.0),
    "VGG16": _Backbone(32, 58.0, 0.0),
    "InceptionV3": _Backbone(75, 0.5, 0.0),
    "DenseNet121": _Backbone(32, 1.0, 0.0),
    "MobileNetV2": _Backbone(32, 0.5, 0.0),
    "EfficientNetB0": _Backbone(32, 58.0, 118.0),
}


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference((128, 128, 1), num_classes=6, parameters=25_732_806),
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
    """A network for images, then two recurrent layers over the columns of what it found.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 32 by 32, for InceptionV3 75 by 75.
        num_classes: Classes.
        backbone: "ResNet50", "VGG16", "InceptionV3", "DenseNet121", "MobileNetV2" or "EfficientNetB0".
        backbone_weights: "imagenet" starts the backbone from what it learnt on images (Keras downloads it once); one channel is
            repeated to its three, and standardised features are brought to the range that it was fed.
        bidirectional: Whether the recurrent layers also run backwards.
        attention: "additive" or "self" attention over the columns; `None` for none, as published.
        attention_at: "between" the recurrent layers; after them, "sum" adds the weighed columns up and "flatten" classifies
            all of them.
        recurrent_dropout: Of what each recurrent layer takes in.
        dropout: Share of the embedding that is dropped in training.
        normalization_momentum: Of the backbone's moving averages. The usual 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small, an unknown backbone, weights that there are not, or an attention that the network
            cannot have.
        OSError: The backbone's weights could not be downloaded.
    """
    inputs = keras.Input(input_shape, name="features")
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
    reference=Reference((128, 128, 1), num_classes=6, parameters=2_265_094),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    aliases=["mobilenet_v2"],
    recipe=Recipe(epochs=60, batch_size=32, learning_rate=1e-4, patience=20, refit=True),
)
def mobilenet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    backbone_weights: ImageWeights = None,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """MobileNetV2 on the spectrogram as a picture.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 32 by 32.
        num_classes: Classes.
        backbone_weights: As for `resnet_lstm`.
        normalization_momentum: Of the moving averages. The original's 0.999 needs many thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small, or weights that there are not.
        OSError: The weights could not be downloaded.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _seen(inputs, "mobilenet", "MobileNetV2", backbone_weights, normalization_momentum)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="mobilenet")


@register(
    frontend=_THREE_LOGMELS,
    reference=Reference((128, 128, 3), num_classes=50, parameters=21_905_234),
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
    """InceptionV3, which may know images already, on the spectrogram as a picture.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 75 by 75.
        num_classes: Classes.
        backbone_weights: "imagenet" starts from what the network learnt on images (Keras downloads it once): one channel is
            repeated to its three, and standardised features are brought to the range that it was fed.
        trainable: Whether the network learns too, or the last layer alone.
        normalization_momentum: Of the moving averages. The usual 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small, or weights that there are not.
        OSError: The weights could not be downloaded.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _seen(inputs, "inception_transfer", "InceptionV3", backbone_weights, normalization_momentum, trainable=trainable)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="inception_transfer")


def _seen(x: Any, model: str, name: str, weights: ImageWeights, momentum: float, *, trainable: bool = True) -> Any:
    """Return what a backbone makes of the features, ``(rows, columns, channels)`` of some 32nd of their size."""
    if name not in _BACKBONES:
        raise unknown_name("backbone", name, _BACKBONES)
    if weights not in ("imagenet", None):
        raise ValueError(
            f"backbone_weights of {model} must be 'imagenet' or None, got {weights!r}; "
            "pass a file with the weights of the whole model as weights_file="
        )
    backbone = _BACKBONES[name]
    require_size(model, x.shape[1:], (backbone.smallest, backbone.smallest))
    if weights:
        x = _as_picture(x, model)
    # EfficientNet brings its own scaling, which expects pixels from 0 to 255 whatever its weights.
    if weights or name == "EfficientNetB0":
        x = keras.layers.Rescaling(backbone.deviation, offset=backbone.mean)(x)
    trunk = _trunk(name, x.shape[1:], weights)
    for layer in trunk.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
    trunk.trainable = trainable
    return trunk(x)


def _as_picture(x: Any, model: str) -> Any:
    channels = x.shape[-1]
    if channels == 1:
        return keras.layers.Concatenate()([x, x, x])
    if channels != 3:
        raise ValueError(f"{model} with ImageNet weights takes 1 channel, which is repeated, or 3; got {channels}")
    return x


def _trunk(name: str, input_shape: tuple[int, ...], weights: ImageWeights) -> keras.Model:
    try:
        return getattr(keras.applications, name)(include_top=False, weights=weights, input_shape=tuple(input_shape))
    except Exception as error:
        # Keras has no type of its own for a failed download.
        address = re.search(r"URL fetch failure on (\S+)/([^/\s]+\.h5)", str(error))
        if not address:
            raise
        folder = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
        raise OSError(
            f"the ImageNet weights of {name} could not be downloaded: check the network, or download {address[2]} from "
            f"{address[1]} on another machine and put it into {folder}"
        ) from error
