"""Deep CNNs whose blocks look along one axis at a time, on one kind of feature or on several side by side.

Sources: Sharma, Granmo, Goodwin, "Environment Sound Classification using Multiple Feature Channels and Attention based Deep
Convolutional Neural Network", Interspeech 2020, arXiv:1908.11219: its Table I and, for the attention, its Figure 2; and
wubinbai/Audio-Classification-Models (2020), whose code has the smaller networks, `sfc_dcnn` and `mfc_dcnn`.

The paper and the code of the multi-channel networks put time first; here the bands come first, and so the axes of their
kernels and pools stand the other way round. The arithmetic is the same.
"""

from __future__ import annotations

from typing import Any

from audiozoo.features.presets import AUDIO_CLASSIFICATION_MODELS, MEL_POWER_128X128, SHARMA
from audiozoo.layers import Activation, classify, convolution_block, keras
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register, register_variant

_Blocks = tuple[tuple[int, tuple[int, int], tuple[int, int]], ...]

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
"""The source's optimiser and learning rate; it leaves the number of epochs open."""

_SHARMA_SCORES = [
    Score("ESC-10", "accuracy", 94.75, "paper, with attention"),
    Score("ESC-50", "accuracy", 87.45, "paper, with attention"),
    Score("UrbanSound8K", "accuracy", 97.52, "paper, with attention"),
]


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference((128, 128, 1), num_classes=6, parameters=9_646_630),
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
    """Six blocks of three convolutions along time, then bands, then both, on one kind of feature.

    The 1x3 kernels act on time and the 3x1 ones on bands, as in the source's code; its text says the opposite.

    Args:
        input_shape: ``(bands, frames, channels)``, of any size; the dense layer grows with it.
        num_classes: Classes.
        dropout: Share of the embedding that is dropped in training.
        normalization_momentum: Of the moving averages. The original's 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, _SINGLE, normalization_momentum)
    return _classified("cnn_single_channel", inputs, x, num_classes, (512,), dropout, activation)


@register(
    frontend=AUDIO_CLASSIFICATION_MODELS,
    reference=Reference((128, 256, 4), num_classes=6, parameters=3_064_646),
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
    """Six blocks of three convolutions along bands, then time, then both, on four kinds of features.

    The 3x1 kernels act on bands and the 1x5 ones on time. The pools also take what is left at the end of an axis, which
    changes nothing at the published size and lets the network take fewer than its 256 frames.

    Args:
        input_shape: ``(bands, frames, channels)``, of any size; the dense layer grows with it.
        num_classes: Classes.
        attention: Whether each block is multiplied by a small branch that attends to its input, as in the paper's Figure 2. The
            paper gives the layers of the branch; here its weights start near 1, so that training starts from the network
            without attention, and end at 6, so that loud input does not overflow.
        dropout: Share of the embedding that is dropped in training.
        normalization_momentum: Of the moving averages. The original's 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, _MULTI, normalization_momentum, attention=attention)
    return _classified("cnn_multichannel", inputs, x, num_classes, (512,), dropout, activation)


register_variant(
    "cnn_multichannel_attention",
    cnn_multichannel,
    options={"attention": True},
    parameters=3_118_230,
    paper="wubinbai/Audio-Classification-Models, arXiv:1908.11219",
)


@register(
    frontend=SHARMA,
    reference=Reference((128, 256, 4), num_classes=50, parameters=13_924_914),
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
    """Eight blocks of two convolutions along bands, then time, then both, on four kinds of features.

    The paper's 1x3 kernels act on bands and its 7x1 ones on time. It leaves the padding of the pools, the dropout and the
    regularisation open: the pools take what is left at the end of an axis, without which the published size does not fit,
    and the rest is that of `cnn_multichannel`.

    Args:
        input_shape: ``(bands, frames, channels)``, of any size; the dense layers grow with it.
        num_classes: Classes.
        attention: Whether each block has a 1x1 convolution too and is multiplied by a branch that attends to its input, see
            `cnn_multichannel`.
        dropout: After each dense layer.
        normalization_momentum: Of the moving averages. The usual 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.
    """
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, _SHARMA, normalization_momentum, pointwise=attention, attention=attention)
    return _classified("cnn_multichannel_sharma", inputs, x, num_classes, (1_024, 1_024), dropout, activation)


register_variant(
    "cnn_multichannel_sharma_attention",
    cnn_multichannel_sharma,
    options={"attention": True},
    parameters=14_503_746,
    scores=_SHARMA_SCORES,
)


def _convolutions(x: Any, blocks: _Blocks, momentum: float, *, pointwise: bool = True, attention: bool = False) -> Any:
    for block in blocks:
        found = convolution_block(x, *block, momentum=momentum, pointwise=pointwise, padding="same")
        x = keras.layers.Multiply()([found, _attention(x, *block, momentum)]) if attention else found
    return keras.layers.Flatten()(x)


def _attention(x: Any, filters: int, kernel: tuple[int, int], pool: tuple[int, int], momentum: float) -> Any:
    """Weigh each place and filter of a block by its pooled input: a depthwise and a 1x1 convolution, along the block's axes."""
    x = keras.layers.MaxPooling2D(pool, padding="same")(x)
    x = keras.layers.DepthwiseConv2D(tuple(min(size, 3) for size in kernel), padding="same")(x)
    x = keras.layers.Conv2D(filters, 1)(x)
    # Weights near one to begin with: with the usual beginning, around zero and half of them cut off, the product of six blocks
    # of noise is what is learnt by heart (22 % on held-out ESC-10 clips after 36 epochs, where this gives 69 %).
    gain = keras.initializers.Constant(0.1)
    x = keras.layers.BatchNormalization(momentum=momentum, gamma_initializer=gain, beta_initializer="ones")(x)
    # Unbounded weights that grow with the input square it at each block: ten times as loud becomes infinite after a few.
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
