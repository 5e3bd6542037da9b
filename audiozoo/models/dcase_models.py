"""SB-CNN and A-CRNN, two small networks for urban sounds.

Sources: Salamon, Bello, "Deep Convolutional Neural Networks and Data Augmentation for Environmental Sound Classification", IEEE
Signal Processing Letters 2017, arXiv:1608.04363; Adavanne, Pertilä, Virtanen, "Sound Event Detection Using Spatial Features and
Convolutional Recurrent Neural Network", ICASSP 2017, arXiv:1706.02291; both as configured in pzinemanas/DCASE-models (2020).

That library puts time first; here the bands come first, and so the axes of its kernels and pools stand the other way round.
"""

from __future__ import annotations

from audiozoo.features import LogMel
from audiozoo.layers import Activation, NormalizationAxis, axis_of, classify, keras, require_size, time_first
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register

_LOGMEL = LogMel(sample_rate=22_050, duration=64 * 680 / 22_050, frames=64, n_fft=1_024, hop_length=680, n_mels=128)
"""128 mel bands in decibels by 64 frames, one every 31 ms: two seconds."""

_RECIPE = Recipe(epochs=50, batch_size=128, learning_rate=1e-3, min_steps=1_000, patience=30, refit=True)
"""The library's own settings; few clips, of which an epoch takes one window each, get 1,000 steps."""


@register(
    frontend=_LOGMEL,
    reference=Reference((128, 64, 1), num_classes=10, parameters=241_914),
    paper="arXiv:1608.04363",
    year=2017,
    scores=[
        Score("UrbanSound8K", "accuracy", 73.0, "paper, mean of ten folds, without augmentation"),
        Score("UrbanSound8K", "accuracy", 79.0, "paper, mean of ten folds, with augmentation"),
    ],
    recipe=_RECIPE,
)
def sb_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.5,
    l2: float = 1e-3,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """Three 5x5 convolutions without padding and a small dense layer, by Salamon and Bello.

    The first pool is 2x2; the second takes 2 bands by 4 frames.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 32 bands and 52 frames.
        num_classes: Classes.
        dropout: Before and after the dense layer.
        l2: Weight of the squares of the dense layers' weights in the loss.
        normalization_momentum: Of the moving averages. The original's 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small.
    """
    require_size("sb_cnn", input_shape, (32, 52))
    inputs = x = keras.Input(input_shape, name="features")
    for filters, pool in ((24, (2, 2)), (48, (2, 4)), (48, (1, 1))):
        x = keras.layers.Conv2D(filters, 5, activation="relu")(x)
        if pool != (1, 1):
            x = keras.layers.MaxPooling2D(pool)(x)
        x = keras.layers.BatchNormalization(momentum=normalization_momentum)(x)
    x = keras.layers.Dropout(dropout)(keras.layers.Flatten()(x))
    penalty = keras.regularizers.L2(l2)
    x = keras.layers.Dense(64, activation="relu", kernel_regularizer=penalty, bias_regularizer=penalty, name="embedding")(x)
    x = keras.layers.Dropout(dropout)(x)
    penalties = {"kernel_regularizer": penalty, "bias_regularizer": penalty}
    return keras.Model(inputs, classify(x, num_classes, activation=activation, **penalties), name="sb_cnn")


@register(
    frontend=_LOGMEL,
    reference=Reference((128, 64, 1), num_classes=10, parameters=381_630),
    paper="arXiv:1706.02291",
    year=2017,
    recipe=_RECIPE,
)
def a_crnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.5,
    reset_after: bool = False,
    normalization_axis: NormalizationAxis = "mel",
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """Three convolutions that pool bands alone, then two recurrent layers, by Adavanne and others.

    A clip's logits are the mean over its frames. As the layers after the recurrent ones are linear, the mean is taken before
    the last of them, which makes it the embedding.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 20 bands.
        num_classes: Classes.
        dropout: After each pooling, on what the recurrent layers take in and keep, and before the mean.
        reset_after: Whether the recurrent layers reset after their product, as cuDNN does; the original resets before.
        normalization_axis: "mel" normalises each band, as published; "channel" each filter.
        normalization_momentum: Of the moving averages. The original's 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small.
    """
    require_size("a_crnn", input_shape, (20, 1))
    inputs = x = keras.Input(input_shape, name="features")
    for pool in (5, 2, 2):
        x = keras.layers.Conv2D(128, 3, padding="same")(x)
        x = keras.layers.BatchNormalization(axis=axis_of(normalization_axis), momentum=normalization_momentum)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D((pool, 1))(x)
        x = keras.layers.Dropout(dropout)(x)
    x = time_first(x)
    for _ in range(2):
        x = keras.layers.GRU(32, dropout=dropout, recurrent_dropout=dropout, return_sequences=True, reset_after=reset_after)(x)
    x = keras.layers.Dropout(dropout)(keras.layers.Dense(32)(x))
    x = keras.layers.GlobalAveragePooling1D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="a_crnn")
