"""CP-Mobile: inverted residual blocks with global response normalisation, for acoustic scenes on microcontrollers.

Source: Schmid, Morocutti, Masoudian, Koutini, Widmer, "Distilling the Knowledge of Transformers and CNNs with CP-Mobile", DCASE
Workshop 2023, the first rank of DCASE 2023 task 1, and the baseline of DCASE 2024 task 1. This code follows the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audiozoo.augment import Compose, FilterAugment, TimeRoll
from audiozoo.features import LogMel
from audiozoo.layers import Activation, keras
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register, register_variant

_LOGMEL = LogMel(
    sample_rate=32_000,
    duration=1.0,
    n_fft=4_096,
    win_length=3_072,
    hop_length=500,
    n_mels=256,
    mel_scale="htk",
    norm=None,
    compression="log",
    edges="reflect",
    offset=1e-5,
)
"""256 log-mel bands by 65 frames: 96 ms every 16 ms in one second."""

_BLOCKS = (3, 2, 1)
"""Number of blocks in each stage."""
_STRIDES = ((1, 1), (2, 2), (1, 1), (2, 1), (1, 1), (1, 1))
_STRIDES_2024 = ((1, 1), (1, 1), (1, 2), (2, 1), (1, 1), (1, 1))
"""With these, one second takes the 29.4 million multiply-adds that the organisers state."""


@register(
    frontend=_LOGMEL,
    reference=Reference(input_shape=(256, 65, 1), num_classes=10, parameters=131_132, multiply_adds=31_564_176),
    paper="DCASE Workshop 2023, Schmid et al.",
    year=2023,
    tasks=["scenes"],
    # The baseline trains 150 epochs of 140,000 seconds in batches of 256, at a rate of 0.005.
    recipe=Recipe(
        epochs=60,
        min_steps=2_000,
        batch_size=32,
        optimizer="adamw",
        learning_rate=2e-3,
        schedule="cosine",
        warmup=3,
        weight_decay=1e-4,
        # A unit of the natural logarithm is 4.3 dB, so these gains are up to 6 dB.
        augment_features=Compose(transforms=(TimeRoll(shift=(-0.1, 0.1)), FilterAugment(gain_db=(-1.4, 1.4)))),
    ),
)
def cp_mobile(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    filters: int = 32,
    multiplier: float = 2.3,
    expansion: float = 3.0,
    strides: Sequence[tuple[int, int]] = _STRIDES,
    response_normalization: bool = True,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """CP-Mobile: six inverted residual blocks with global response normalisation, on one second of 256 log-mel bands.

    The published network normalises the scores of all places of a map before it takes their mean. Here the mean comes first: it
    is the embedding, and the answers of a trained network are the same.

    Args:
        input_shape: ``(bands, frames, channels)``; every size works.
        num_classes: Number of classes.
        filters: Width of the first stage.
        multiplier: Factor on the width from stage to stage.
        expansion: Factor on the width inside a block. All widths are rounded to multiples of 8.
        strides: Strides of each of the six blocks, ``(bands, frames)``.
        response_normalization: Whether each block ends in a global response normalisation.
        normalization_momentum: Momentum of batch normalisation.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: `filters`, `multiplier` or `expansion` is not positive, or `strides` are not six pairs of positive numbers.
    """
    if not (filters > 0 and multiplier > 0 and expansion > 0):
        raise ValueError(
            "cp_mobile needs positive filters, multiplier and expansion, got "
            f"filters={filters}, multiplier={multiplier}, expansion={expansion}"
        )
    if len(strides) != sum(_BLOCKS) or any(len(pair) != 2 or min(pair) < 1 for pair in strides):
        raise ValueError(f"strides must be {sum(_BLOCKS)} pairs of numbers of at least 1, got {strides}")
    block = _Block(expansion=expansion, responds=response_normalization, momentum=normalization_momentum)
    inputs = x = keras.Input(input_shape, name="features")
    for width in (max(1, filters // 4), filters):
        x = keras.layers.ZeroPadding2D(1)(x)
        x = block.convolved(x, width, size=3, strides=2)
    stages = [stage for stage, count in enumerate(_BLOCKS) for _ in range(count)]
    for stage, (down, along) in zip(stages, strides, strict=True):
        x = block(x, _rounded(filters * multiplier**stage), (down, along))
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, block.classified(x, num_classes, activation), name="cp_mobile")


@dataclass(frozen=True)
class _Block:
    """Settings that all blocks share. Calling it adds a block.

    Args:
        expansion: Factor on the width inside a block.
        responds: Whether a block ends in a global response normalisation.
        momentum: Momentum of batch normalisation.
    """

    expansion: float
    responds: bool
    momentum: float

    def __call__(self, x: Any, width: int, strides: tuple[int, int]) -> Any:
        before = x
        x = self.convolved(x, _rounded(x.shape[-1] * self.expansion))
        x = keras.layers.ReLU()(self._normalized(_depthwise(x, strides)))
        x = self.convolved(x, width, relu=False)
        if before.shape[-1] == width:
            x = keras.layers.Add()([x, before if strides == (1, 1) else _pooled(before, strides)])
        if self.responds:
            from audiozoo.keras_layers import ResponseNormalization

            x = ResponseNormalization()(x)
        return keras.layers.ReLU()(x)

    def convolved(self, x: Any, width: int, *, size: int = 1, strides: int = 1, relu: bool = True) -> Any:
        """Add a convolution without padding, batch normalisation and, unless told otherwise, a ReLU."""
        x = keras.layers.Conv2D(width, size, strides=strides, use_bias=False, kernel_initializer="he_normal")(x)
        x = self._normalized(x)
        return keras.layers.ReLU()(x) if relu else x

    def classified(self, x: Any, num_classes: int, activation: Activation) -> Any:
        """Add the classifier, whose scores are normalised."""
        # float32 also under a mixed-precision policy, as in `audiozoo.layers.classify`.
        x = keras.layers.Dense(num_classes, use_bias=False, name="scores", dtype="float32")(x)
        logits = self._normalized(x, name="logits", dtype="float32")
        if activation is None:
            return logits
        return keras.layers.Activation(activation, name="probabilities", dtype="float32")(logits)

    def _normalized(self, x: Any, **settings: Any) -> Any:
        return keras.layers.BatchNormalization(momentum=self.momentum, epsilon=1e-5, **settings)(x)


def _depthwise(x: Any, strides: tuple[int, int]) -> Any:
    x = keras.layers.ZeroPadding2D(1)(x)
    alike = strides[0] == strides[1]
    x = keras.layers.DepthwiseConv2D(3, strides=strides if alike else 1, use_bias=False)(x)
    # TensorFlow has no depthwise convolution with different strides, so the outputs between are dropped.
    return x if alike else x[:, :: strides[0], :: strides[1]]


def _pooled(x: Any, strides: tuple[int, int]) -> Any:
    # The padding counts in the means at the edges, as in PyTorch; the padding "same" of Keras does not count.
    return keras.layers.AveragePooling2D(3, strides=strides)(keras.layers.ZeroPadding2D(1)(x))


def _rounded(width: float) -> int:
    """Round to a multiple of 8 that is at least 90 % of the width."""
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width else nearest + 8


register_variant(
    "cp_mobile_baseline2024",
    cp_mobile,
    options={"multiplier": 1.8, "expansion": 2.1, "strides": _STRIDES_2024, "response_normalization": False},
    parameters=63_856,
    multiply_adds=29_578_768,
    description="Baseline of DCASE 2024 task 1: CP-Mobile with 61,000 weights and without response normalisation.",
    year=2024,
    scores=[
        Score("TAU Urban Acoustic Scenes 2022 Mobile", "macro accuracy", 56.99, "the organisers, all of the training data")
    ],
)
