"""EfficientAT: MobileNetV3-Large on Kaldi mel bands, which learnt the 527 classes of AudioSet from an ensemble of transformers.

Sources: Schmid, Koutini, Widmer, "Efficient Large-Scale Audio Tagging via Transformer-to-CNN Knowledge Distillation", ICASSP
2023, arXiv:2211.04772, and its code and weights (MIT); Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from audiozoo.augment import Mixup
from audiozoo.checks import require_number
from audiozoo.features.presets import EFFICIENTAT
from audiozoo.layers import Activation, classify, keras
from audiozoo.models.audioset import class_names
from audiozoo.recipe import Recipe
from audiozoo.registry import PretrainedWeights, Reference, Score, register, register_variant
from audiozoo.weights import load_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

_PAGE = "https://github.com/fschmid56/EfficientAT/releases"
_EPSILON = 1e-3


class _Row(NamedTuple):
    """Settings of a block at width 1, a row of Table 1 of the MobileNetV3 paper.

    Args:
        kernel: Size of the depthwise kernel.
        expanded: Number of channels inside the block.
        out: Number of channels of its output.
        excite: Whether it has squeeze and excitation.
        activation: "relu" or "hard_silu", which the paper calls h-swish.
        stride: Stride of the depthwise convolution, the same for bands and frames.
    """

    kernel: int
    expanded: int
    out: int
    excite: bool
    activation: str
    stride: int


_FIRST, _HEAD = 16, 1_280
_ROWS = (
    _Row(3, 16, 16, False, "relu", 1),
    _Row(3, 64, 24, False, "relu", 2),
    _Row(3, 72, 24, False, "relu", 1),
    _Row(5, 72, 40, True, "relu", 2),
    *[_Row(5, 120, 40, True, "relu", 1)] * 2,
    _Row(3, 240, 80, False, "hard_silu", 2),
    _Row(3, 200, 80, False, "hard_silu", 1),
    *[_Row(3, 184, 80, False, "hard_silu", 1)] * 2,
    _Row(3, 480, 112, True, "hard_silu", 1),
    _Row(3, 672, 112, True, "hard_silu", 1),
    _Row(5, 672, 160, True, "hard_silu", 2),
    *[_Row(5, 960, 160, True, "hard_silu", 1)] * 2,
)


def _rounded(channels: float) -> int:
    """Round to a multiple of 8, and up where the nearest is more than a tenth smaller."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8


_OUTSIDE = {"stem": "features.0", "tail": f"features.{1 + len(_ROWS)}", "head": "classifier.2", "logits": "classifier.5"}
_PARTS = {"squeeze": "conc_se_layers.0.fc1", "excite": "conc_se_layers.0.fc2"}


def _published_name(layer: str) -> str:
    """Return the name of a layer in the published files, where a convolution and its normalisation are "0" and "1"."""
    name, normalization = re.subn("_norm$", "", layer)
    if name in ("head", "logits"):
        return _OUTSIDE[name]
    if name in _OUTSIDE:
        return f"{_OUTSIDE[name]}.{normalization}"
    number, step, part = re.fullmatch(r"block(\d+)_(\d)_(\w+)", name).groups()  # type: ignore[union-attr]
    return f"features.{number}.block.{step}.{_PARTS.get(part, normalization)}"


def _load(model: keras.Model, source: PretrainedWeights | Path) -> None:
    path = source.fetch() if isinstance(source, PretrainedWeights) else source
    load_checkpoint(model, path, _published_name, published_classes=len(class_names()))


def _published(file: str, sha256: str | None = None) -> dict[str, PretrainedWeights]:
    url = f"{_PAGE}/download/v0.0.1/{file}"
    return {"audioset": PretrainedWeights(url=url, licence="MIT", labels=class_names(), page=_PAGE, sha256=sha256)}


@register(
    frontend=EFFICIENTAT,
    reference=Reference(input_shape=(128, 1_000, 1), num_classes=527, parameters=4_901_231, multiply_adds=541_078_208),
    paper="arXiv:2211.04772",
    year=2023,
    scores=[Score("AudioSet", "mAP", 0.471, "the authors' page, evaluation set")],
    weights=_published("mn10_as_mAP_471.pt", "0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e"),
    recipe=Recipe(epochs=80, batch_size=32, schedule="cosine", warmup=5, mix=Mixup(alpha=0.3), standardize=None),
    load_weights=_load,
    any_length=True,
)
def mn10(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    width: float = 1.0,
    dropout: float = 0.2,
    normalization_momentum: float = 0.9,
    activation: Activation = "sigmoid",
) -> keras.Model:
    """EfficientAT mn10: MobileNetV3-Large on Kaldi mel bands, pretrained on the 527 classes of AudioSet.

    ``weights="audioset"`` downloads the published weights. The path of a copy works as `weights_file`. With a number of classes
    other than 527, the last layer keeps its random weights and needs training. The embedding is the mean of the last
    convolution over bands and frames.

    Args:
        input_shape: ``(bands, frames, channels)`` of any size; `None` bands or frames mean any number. The published weights
            take one channel, and were trained on 128 bands.
        num_classes: Number of classes; AudioSet has 527.
        width: Factor on the number of channels of each layer.
        dropout: Dropout rate before the last layer.
        normalization_momentum: Momentum of batch normalisation. The published 0.99 settles only after hundreds of steps.
        activation: "sigmoid" for multi-label classification, as published, "softmax" for a single label, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: `width` is not positive.
    """
    require_number("width", width, 0.05)
    momentum = normalization_momentum
    inputs = keras.Input(input_shape, name="features")
    x = _convolution(inputs, _rounded(width * _FIRST), "stem", "hard_silu", momentum, size=3, stride=2)
    for number, row in enumerate(_ROWS, 1):
        x = _block(x, row, width, f"block{number}", momentum)
    x = _convolution(x, 6 * x.shape[-1], "tail", "hard_silu", momentum)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    x = _dense(x, _rounded(width * _HEAD), "head", "hard_silu")
    x = keras.layers.Dropout(dropout)(x)
    outputs = classify(x, num_classes, activation=activation, kernel_initializer=_small())
    return keras.Model(inputs, outputs, name="mn10")


def _block(x: Any, row: _Row, width: float, name: str, momentum: float) -> Any:
    expanded, out, before, step = _rounded(width * row.expanded), _rounded(width * row.out), x, 0
    if expanded != x.shape[-1]:
        x, step = _convolution(x, expanded, f"{name}_0_expand", row.activation, momentum), 1
    x = _depthwise(x, row, f"{name}_{step}_depthwise", momentum)
    if row.excite:
        step += 1
        x = _excited(x, f"{name}_{step}")
    x = _convolution(x, out, f"{name}_{step + 1}_project", None, momentum)
    return keras.layers.Add()([before, x]) if row.stride == 1 and out == before.shape[-1] else x


def _excited(x: Any, name: str) -> Any:
    """Multiply each channel by a weight from 0 to 1 that depends on the means of all channels."""
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = _dense(weights, _rounded(x.shape[-1] / 4), f"{name}_squeeze", "relu")
    return keras.layers.Multiply()([x, _dense(weights, x.shape[-1], f"{name}_excite", "sigmoid")])


def _small() -> Any:
    return keras.initializers.RandomNormal(stddev=0.01)


def _dense(x: Any, units: int, name: str, activation: str) -> Any:
    return keras.layers.Dense(units, activation=activation, kernel_initializer=_small(), name=name)(x)


def _convolution(
    x: Any, filters: int, name: str, activation: str | None, momentum: float, *, size: int = 1, stride: int = 1
) -> Any:
    he = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="untruncated_normal")
    kernel = keras.layers.Conv2D(filters, size, strides=stride, use_bias=False, kernel_initializer=he, name=name)
    return _normalized(kernel(_padded(x, size)), name, activation, momentum)


def _depthwise(x: Any, row: _Row, name: str, momentum: float) -> Any:
    # He initialisation for the inputs of one output; Keras would count the inputs of all channels.
    he = keras.initializers.RandomNormal(stddev=math.sqrt(2) / row.kernel)
    kernel = keras.layers.DepthwiseConv2D(row.kernel, strides=row.stride, use_bias=False, depthwise_initializer=he, name=name)
    return _normalized(kernel(_padded(x, row.kernel)), name, row.activation, momentum)


def _padded(x: Any, size: int) -> Any:
    # Keras' own padding "same" adds more at the end than at the beginning where a convolution strides.
    return keras.layers.ZeroPadding2D(size // 2)(x) if size > 1 else x


def _normalized(x: Any, name: str, activation: str | None, momentum: float) -> Any:
    x = keras.layers.BatchNormalization(momentum=momentum, epsilon=_EPSILON, name=f"{name}_norm")(x)
    return x if activation is None else keras.layers.Activation(activation)(x)


def _variant(name: str, width: float, counts: tuple[int, int], precision: float, weights: dict[str, PretrainedWeights]) -> None:
    parameters, multiply_adds = counts
    register_variant(
        name,
        mn10,
        options={"width": width},
        parameters=parameters,
        multiply_adds=multiply_adds,
        description=f"EfficientAT {name}: MobileNetV3-Large of {width:g} times the width, pretrained on AudioSet.",
        scores=[Score("AudioSet", "mAP", precision, "the authors' page, evaluation set")],
        weights=weights,
    )


_MN04 = _published("mn04_as_mAP_432.pt", "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c")
_variant("mn04", 0.4, (993_439, 110_643_072), 0.432, _MN04)
_variant("mn05", 0.5, (1_443_591, 159_964_672), 0.443, _published("mn05_as_mAP_443.pt"))
_variant("mn20", 2.0, (17_958_087, 2_059_375_488), 0.478, _published("mn20_as_mAP_478.pt"))
_variant("mn40", 4.0, (68_524_903, 8_027_611_904), 0.487, _published("mn40_as_ext_mAP_487.pt"))
