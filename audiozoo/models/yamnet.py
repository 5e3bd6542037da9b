"""YAMNet: MobileNet v1 on log-mel patches, which Google trained on the 521 classes of AudioSet.

Source: Plakal, Ellis, "YAMNet", https://github.com/tensorflow/models/tree/master/research/audioset/yamnet, 2020; Howard et al.,
"MobileNets", arXiv:1704.04861; Gemmeke et al., "Audio Set", ICASSP 2017. Google publishes the weights and the
class names in `yamnet_class_map.csv` under the Apache-2.0 licence.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiozoo.features.presets import YAMNET
from audiozoo.layers import Activation, classify, keras
from audiozoo.models.audioset import class_names
from audiozoo.recipe import Recipe
from audiozoo.registry import PretrainedWeights, Reference, Score, register
from audiozoo.weights import fetch_weights, fold_normalization, layer_arrays, load_weights

if TYPE_CHECKING:
    from audiozoo.weights import Arrays

_FIRST = (32, 2)
"""Filters and stride of layer 1."""
_SEPARABLE = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1_024, 2),
    (1_024, 1),
)
"""Filters and stride of layers 2 to 14."""

# Epsilon of batch normalisation in Google's file; folding with another value changes the scores.
_EPSILON = 1e-4


_AUDIOSET = PretrainedWeights(
    url="https://storage.googleapis.com/audioset/yamnet.h5",
    sha256="13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744",
    licence="Apache-2.0",
    labels=class_names("yamnet_class_map.csv"),
    converted="5ba40c6417a76a70dde239d6d3dc29d4cff05e427477af9f736b64a31797d885",
)


def _load(model: keras.Model, source: PretrainedWeights | Path) -> None:
    path = fetch_weights(source.url, str(source.sha256), _folded) if isinstance(source, PretrainedWeights) else source
    # Another number of classes needs a last layer of its own, which keeps its random weights.
    whole = model.output_shape[-1] == len(_AUDIOSET.labels)
    load_weights(model, path, _folded, names={"logits": "classifier"}, skip=() if whole else ("logits",))


def _folded(arrays: Arrays) -> Arrays:
    """Fold the batch normalisation in Google's arrays into the kernels and biases of this network."""
    folded = {}
    # Without normalisation, inference is faster and no statistics can drift in fine-tuning.
    for layer in ("layer1/conv", *(f"layer{n}/{kind}_conv" for n in range(2, 15) for kind in ("depthwise", "pointwise"))):
        parts = layer_arrays(arrays, layer, ("kernel", "beta", "moving_mean", "moving_variance"))
        name = "layer1_fused" if layer == "layer1/conv" else layer.replace("/", "_")
        fused = fold_normalization(*parts, epsilon=_EPSILON, depthwise="depthwise" in layer)
        folded[f"{name}/kernel"], folded[f"{name}/bias"] = fused
    folded["classifier/kernel"], folded["classifier/bias"] = layer_arrays(arrays, "logits", ("kernel", "bias"))
    return folded


@register(
    frontend=YAMNET,
    reference=Reference(input_shape=(64, 96, 1), num_classes=521, parameters=3_729_481, multiply_adds=69_165_056),
    paper="tensorflow/models, research/audioset/yamnet",
    year=2020,
    scores=[Score("AudioSet", "mAP", 0.306, "the authors' page, evaluation set, balanced")],
    weights={"audioset": _AUDIOSET},
    recipe=Recipe(epochs=30, batch_size=32, learning_rate=1e-4, patience=10, refit=True, standardize=None),
    load_weights=_load,
)
def yamnet(input_shape: tuple[int, ...], num_classes: int, *, activation: Activation = "sigmoid") -> keras.Model:
    """YAMNet: MobileNet v1 on one second of log-mel bands, pretrained on the 521 classes of AudioSet.

    The network has no batch normalisation, which loading folds into the kernels. ``weights="audioset"`` downloads Google's
    weights. The path of their `yamnet.h5`, or of an ``.npz`` archive with the folded arrays, works too. With a number of
    classes other than 521, the last layer keeps its random weights and needs training.

    Args:
        input_shape: ``(bands, frames, channels)``; the published weights take one channel.
        num_classes: Number of classes; AudioSet has 521.
        activation: "sigmoid" for multi-label classification, as published, "softmax" for a single label, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.
    """
    inputs = keras.Input(input_shape, name="features")
    x = keras.layers.Permute((2, 1, 3))(inputs)  # The published kernels have time on the first axis.
    filters, stride = _FIRST
    x = _relu_conv(x, filters, 3, stride, "layer1_fused")
    for number, (filters, stride) in enumerate(_SEPARABLE, 2):
        x = _relu_depthwise(x, stride, f"layer{number}_depthwise_conv")
        x = _relu_conv(x, filters, 1, 1, f"layer{number}_pointwise_conv")
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="yamnet")


def _relu_conv(x: Any, filters: int, size: int, stride: int, name: str) -> Any:
    conv = keras.layers.Conv2D(
        filters, size, strides=stride, padding="same", activation="relu", kernel_initializer="he_normal", name=name
    )
    return conv(x)


def _relu_depthwise(x: Any, stride: int, name: str) -> Any:
    # He initialisation for the 9 inputs of each output; Keras would count the inputs of all channels.
    he = keras.initializers.TruncatedNormal(stddev=math.sqrt(2 / 9))
    conv = keras.layers.DepthwiseConv2D(
        3, strides=stride, padding="same", activation="relu", depthwise_initializer=he, name=name
    )
    return conv(x)
