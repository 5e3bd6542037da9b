"""Deep CNNs whose kernels cover one axis at a time, on one feature or on several features as channels.

Sources: Sharma, Granmo, Goodwin, "Environment Sound Classification using Multiple Feature Channels and Attention based Deep
Convolutional Neural Network", Interspeech 2020, arXiv:1908.11219 (Table I, and Figure 2 for the attention);
wubinbai/Audio-Classification-Models (2020), whose code contains the smaller networks `sfc_dcnn` and `mfc_dcnn`.

The paper and the code of the multi-channel networks put time on the first axis. Here the first axis is frequency, so the two
sizes of each kernel and each pool are swapped; the arithmetic is the same.
"""

from __future__ import annotations

from typing import Any

from audiozoo.features.presets import AUDIO_CLASSIFICATION_MODELS, MEL_POWER_128X128, SHARMA
from audiozoo.layers import Activation, classify, convolution_block, keras
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register, register_variant

_Blocks = tuple[tuple[int, tuple[int, int], tuple[int, int]], ...]
"""Filters, kernel (bands, frames) and pool (bands, frames) of each block."""

_SINGLE: _Blocks = (
    (32, (1, 3), (1, 2)),
    (32, (3, 1), (2, 1)),
    (64, (1, 3), (1, 2)),
    (64, (3, 1), (2, 1)),
    (128, (3, 3), (2, 2)),
    (256, (3, 3), (2, 2)),
)
_MULTI: _Blocks = (
    (32, (3, 1), (2, 1)),
    (32, (1, 5), (1, 4)),
    (64, (3, 1), (2, 1)),
    (64, (1, 5), (1, 4)),
    (128, (3, 5), (2, 4)),
    (256, (3, 5), (2, 4)),
)
# Table I of the paper, with its kernels and pools swapped to (bands, frames).
_SHARMA: _Blocks = (
    (32, (3, 1), (2, 1)),
    (32, (1, 7), (1, 4)),
    (64, (3, 1), (2, 1)),
    (64, (1, 7), (1, 4)),
    (128, (3, 1), (2, 1)),
    (128, (1, 7), (1, 4)),
    (256, (3, 7), (2, 4)),
    (512, (3, 7), (2, 4)),
)

_RECIPE = Recipe(epochs=100, batch_size=32, learning_rate=1e-4, patience=30, refit=True)
"""The optimiser and learning rate of the source, which does not state the number of epochs."""

_SHARMA_SCORES = [
    Score("ESC-10", "accuracy", 94.75, "paper, with attention"),
    Score("ESC-50", "accuracy", 87.45, "paper, with attention"),
    Score("UrbanSound8K", "accuracy", 97.52, "paper, with attention"),
]


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference((128, 128, 1), num_classes=6, parameters=9_646_630, multiply_adds=773_327_872),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    aliases=["sfc_dcnn"],
    recipe=_RECIPE,
)
def cnn_single_channel(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.5,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """Six blocks of three convolutions along time, bands or both, on one feature.

    The 1x3 kernels act on time and the 3x1 kernels on bands, as in the code of the source; its text says the opposite.

    Args:
        input_shape: ``(bands, frames, channels)``, of any size; the dense layer grows with the input.
        num_classes: Number of classes.
        dropout: Dropout rate of the embedding.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, _SINGLE, normalization_momentum)
    return _classified("cnn_single_channel", inputs, x, num_classes, (512,), dropout, activation)


@register(
    frontend=AUDIO_CLASSIFICATION_MODELS,
    reference=Reference((128, 256, 4), num_classes=6, parameters=3_064_646, multiply_adds=812_649_472),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    aliases=["mfc_dcnn"],
    recipe=_RECIPE,
)
def cnn_multichannel(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    attention: bool = False,
    dropout: float = 0.5,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """Six blocks of three convolutions along bands, time or both, on four features as channels.

    The 3x1 kernels act on bands and the 1x5 kernels on time. The pools pad an incomplete last part of an axis. This changes
    nothing at the published size, and the network then takes fewer than 256 frames.

    Args:
        input_shape: ``(bands, frames, channels)``, of any size; the dense layer grows with the input.
        num_classes: Number of classes.
        attention: Whether an attention branch multiplies the output of each block, as in the paper's Figure 2. The paper gives
            the layers of the branch. Here its weights start near 1, so that training starts from the network without
            attention, and are clipped at 6, so that loud input does not overflow.
        dropout: Dropout rate of the embedding.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, _MULTI, normalization_momentum, attention=attention)
    return _classified("cnn_multichannel", inputs, x, num_classes, (512,), dropout, activation)


register_variant(
    "cnn_multichannel_attention",
    cnn_multichannel,
    options={"attention": True},
    parameters=3_118_230,
    multiply_adds=826_949_632,
    paper="wubinbai/Audio-Classification-Models, arXiv:1908.11219",
)


@register(
    frontend=SHARMA,
    reference=Reference((128, 256, 4), num_classes=50, parameters=13_924_914, multiply_adds=838_912_000),
    paper="arXiv:1908.11219",
    year=2020,
    recipe=_RECIPE,
)
def cnn_multichannel_sharma(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    attention: bool = False,
    dropout: float = 0.5,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """Eight blocks of two convolutions along bands, time or both, on four features as channels (Sharma et al.).

    The paper's 1x3 kernels act on bands and its 7x1 kernels on time. The paper does not state the padding of the pools, the
    dropout and the regularisation. Here the pools pad, because the published size does not fit otherwise; dropout and
    regularisation are those of `cnn_multichannel`.

    Args:
        input_shape: ``(bands, frames, channels)``, of any size; the dense layers grow with the input.
        num_classes: Number of classes.
        attention: Whether each block also has a 1x1 convolution and an attention branch, see `cnn_multichannel`.
        dropout: Dropout rate after each dense layer.
        normalization_momentum: Momentum of batch normalisation. The usual 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, _SHARMA, normalization_momentum, pointwise=attention, attention=attention)
    return _classified("cnn_multichannel_sharma", inputs, x, num_classes, (1_024, 1_024), dropout, activation)


register_variant(
    "cnn_multichannel_sharma_attention",
    cnn_multichannel_sharma,
    options={"attention": True},
    parameters=14_503_746,
    multiply_adds=950_775_808,
    scores=_SHARMA_SCORES,
)


def _convolutions(x: Any, blocks: _Blocks, momentum: float, *, pointwise: bool = True, attention: bool = False) -> Any:
    # As in Figure 2 of the paper, the attention branch sees the input of its block, not the output.
    for block in blocks:
        found = convolution_block(x, *block, momentum=momentum, pointwise=pointwise, padding="same")
        x = keras.layers.Multiply()([found, _attention(x, *block, momentum)]) if attention else found
    return keras.layers.Flatten()(x)


def _attention(x: Any, filters: int, kernel: tuple[int, int], pool: tuple[int, int], momentum: float) -> Any:
    """Compute a weight for each value of a block's output: a depthwise and a 1x1 convolution on the block's pooled input."""
    x = keras.layers.MaxPooling2D(pool, padding="same")(x)
    # Figure 2 of the paper: depthwise kernels of 1x3, 3x1 and 3x3, whatever the length of the block's own kernel.
    x = keras.layers.DepthwiseConv2D(tuple(min(size, 3) for size in kernel), padding="same")(x)
    x = keras.layers.Conv2D(filters, 1)(x)
    # The weights start near 1. With the usual initialisation they are centred on 0 and the ReLU cuts half of them off, so the
    # network multiplies six blocks of noise and overfits (22 % on held-out ESC-10 clips after 36 epochs, against 69 % here).
    gain = keras.initializers.Constant(0.1)
    x = keras.layers.BatchNormalization(momentum=momentum, gamma_initializer=gain, beta_initializer="ones")(x)
    # Weights without a bound grow with the input, so each block squares it: ten times the level overflows after a few blocks.
    return keras.layers.ReLU(max_value=6.0)(x)


def _classified(
    name: str, inputs: Any, x: Any, num_classes: int, widths: tuple[int, ...], dropout: float, activation: Activation
) -> keras.Model:
    for index, units in enumerate(widths, start=1):
        x = keras.layers.Dense(units)(x)
        x = keras.layers.LeakyReLU(negative_slope=0.01, name="embedding" if index == len(widths) else None)(x)
        x = keras.layers.Dropout(dropout)(x)
    outputs = classify(x, num_classes, activation=activation, kernel_regularizer=keras.regularizers.L2(0.01))
    return keras.Model(inputs, outputs, name=name)
