"""MatchboxNet: separable convolutions over time on the cepstrum, for keyword spotting.

Source: Majumdar, Ginsburg, "MatchboxNet: 1D Time-Channel Separable Convolutional Neural Network Architecture for Speech
Commands Recognition", Interspeech 2020, arXiv:2004.08531.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audiozoo.augment import SpecAugment, TimeShift
from audiozoo.features import MFCC
from audiozoo.layers import Activation, classify, keras, time_first
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register, register_variant

_MFCC = MFCC(
    sample_rate=16_000,
    duration=1.28,
    frames=128,
    n_fft=512,
    win_length=400,
    hop_length=160,
    n_mfcc=64,
    n_mels=64,
    mel_scale="htk",
    norm=None,
)
"""64 cepstral coefficients by 128 frames: 25 ms every 10 ms in 1.28 s, so that a command of one second has silence after it."""

_KERNELS = (13, 15, 17)
"""Length of the kernels of each block (frames)."""


@register(
    frontend=_MFCC,
    reference=Reference(input_shape=(64, 128, 1), num_classes=30, parameters=78_750, multiply_adds=4_599_552),
    paper="arXiv:2004.08531",
    year=2020,
    tasks=["keywords"],
    scores=[Score("Speech Commands v1-30", "accuracy", 97.21, "paper")],
    # The paper trains 200 epochs in batches of 128 with the optimizer NovoGrad, at a rate of 0.05.
    recipe=Recipe(
        epochs=50,
        min_steps=2_000,
        batch_size=64,
        optimizer="adamw",
        learning_rate=2e-3,
        schedule="cosine",
        warmup=3,
        weight_decay=1e-3,
        augment_wave=TimeShift(shift=(-0.1, 0.1), mode="pad"),
        augment_features=SpecAugment(freq_masks=2, freq_width=0.23, time_masks=2, time_width=0.2),
    ),
)
def matchboxnet_3x1x64(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    repeat: int = 1,
    filters: int = 64,
    dropout: float = 0.1,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """MatchboxNet-3x1x64: three residual blocks of separable convolutions over time, on cepstral coefficients.

    The paper takes the mean over time after the last convolution. That convolution is linear, so the network takes the mean
    before it, with the same result; this mean is the embedding.

    Args:
        input_shape: ``(coefficients, frames, channels)``; every size works.
        num_classes: Number of classes.
        repeat: Number of separable convolutions in each block.
        filters: Number of filters of the convolutions in the blocks.
        dropout: Dropout rate after each convolution of the blocks.
        normalization_momentum: Momentum of batch normalisation.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: `repeat` or `filters` is below 1.
    """
    if repeat < 1 or filters < 1:
        raise ValueError(f"matchboxnet needs repeat and filters of at least 1, got repeat={repeat} and filters={filters}")
    layers = _Layers(dropout=dropout, momentum=normalization_momentum)
    inputs = keras.Input(input_shape, name="features")
    x = layers.activated(layers.separable(time_first(inputs), 128, 11, strides=2), dropout=False)
    for size in _KERNELS:
        x = layers.block(x, filters, size, repeat)
    x = layers.activated(layers.separable(x, 128, 29, dilation_rate=2), dropout=False)
    x = layers.activated(layers.pointwise(x, 128), dropout=False)
    x = keras.layers.GlobalAveragePooling1D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="matchboxnet_3x1x64")


@dataclass(frozen=True)
class _Layers:
    """Groups of layers with common settings.

    Args:
        dropout: Dropout rate.
        momentum: Momentum of batch normalisation.
    """

    dropout: float
    momentum: float

    def block(self, x: Any, filters: int, size: int, repeat: int) -> Any:
        """Add a residual block: the shortcut joins before the last ReLU."""
        shortcut = self.pointwise(x, filters)
        for _ in range(repeat - 1):
            x = self.activated(self.separable(x, filters, size))
        x = keras.layers.Add()([self.separable(x, filters, size), shortcut])
        return self.activated(x)

    def separable(self, x: Any, filters: int, size: int, *, strides: int = 1, **settings: Any) -> Any:
        """Add a depthwise convolution, a pointwise one and batch normalisation."""
        # The padding is the same on both sides; the padding "same" of Keras is not, with a stride.
        padding = settings.get("dilation_rate", 1) * (size - 1) // 2
        x = keras.layers.ZeroPadding1D(padding)(x)
        x = keras.layers.DepthwiseConv1D(size, strides=strides, use_bias=False, **settings)(x)
        return self.pointwise(x, filters)

    def pointwise(self, x: Any, filters: int) -> Any:
        """Add a convolution of one frame and batch normalisation."""
        x = keras.layers.Conv1D(filters, 1, use_bias=False)(x)
        return keras.layers.BatchNormalization(momentum=self.momentum, epsilon=1e-3)(x)

    def activated(self, x: Any, *, dropout: bool = True) -> Any:
        """Add a ReLU and the dropout."""
        x = keras.layers.ReLU()(x)
        return keras.layers.Dropout(self.dropout)(x) if dropout and self.dropout else x


register_variant(
    "matchboxnet_3x2x64",
    matchboxnet_3x1x64,
    options={"repeat": 2},
    parameters=94_686,
    multiply_adds=5_570_304,
    description="MatchboxNet-3x2x64: MatchboxNet with two separable convolutions in each block.",
    scores=[Score("Speech Commands v1-30", "accuracy", 97.48, "paper")],
)
