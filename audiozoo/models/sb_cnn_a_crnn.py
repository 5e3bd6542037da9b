"""SB-CNN and A-CRNN, two small networks for urban sounds and sound events.

Sources: Salamon, Bello, "Deep Convolutional Neural Networks and Data Augmentation for Environmental Sound Classification", IEEE
Signal Processing Letters 2017, arXiv:1608.04363; Adavanne, Pertilä, Virtanen, "Sound Event Detection Using Spatial Features and
Convolutional Recurrent Neural Network", ICASSP 2017, arXiv:1706.02291. Both follow the library pzinemanas/DCASE-models (2020).

That library puts time on the first axis. Here the first axis is frequency, so the sizes of each kernel and pool are swapped.
"""

from __future__ import annotations

from audiozoo.features import LogMel
from audiozoo.layers import Activation, NormalizationAxis, axis_of, classify, keras, require_size, time_first
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register

_LOGMEL = LogMel(sample_rate=22_050, duration=64 * 680 / 22_050, frames=64, n_fft=1_024, hop_length=680, n_mels=128)
"""128 mel bands (dB) by 64 frames, one every 31 ms, which is two seconds."""

_RECIPE = Recipe(epochs=50, batch_size=128, learning_rate=1e-3, min_steps=1_000, patience=30, refit=True)
"""The settings of the library. An epoch takes one window of each clip, so `min_steps` gives a small dataset 1,000 steps."""


@register(
    frontend=_LOGMEL,
    reference=Reference((128, 64, 1), num_classes=10, parameters=241_914, multiply_adds=50_928_640),
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
    """SB-CNN (Salamon and Bello): three 5x5 convolutions without padding and a small dense layer.

    The first pool covers 2 bands by 2 frames, the second 2 bands by 4 frames.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 32 bands and 52 frames.
        num_classes: Number of classes.
        dropout: Dropout rate before and after the dense layer.
        l2: Factor of the L2 penalty on the kernels and biases of the dense layers.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    require_size("sb_cnn", input_shape, (32, 52))
    inputs = x = keras.Input(input_shape, name="features")
    for filters, pool in ((24, (2, 2)), (48, (2, 4)), (48, (1, 1))):
        x = keras.layers.Conv2D(filters, 5, activation="relu")(x)
        # The library builds no pooling layer after the third convolution.
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
    reference=Reference((128, 64, 1), num_classes=10, parameters=381_630, multiply_adds=363_987_264),
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
    """A-CRNN (Adavanne et al.): three convolutions with pooling over bands only, then two GRU layers.

    The logits of a clip are the mean over its frames. The layers after the GRU layers are linear, so the network takes the mean
    before the last of them, with the same result; this mean is the embedding.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 20 bands.
        num_classes: Number of classes.
        dropout: Dropout rate after each pooling, of the inputs and states of the GRU layers, and before the mean.
        reset_after: Whether the GRU layers apply the reset gate after the matrix product, as cuDNN does. The source applies it
            before.
        normalization_axis: Axis of batch normalisation: "mel" normalises each band, as published, "channel" each filter.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    require_size("a_crnn", input_shape, (20, 1))
    inputs = x = keras.Input(input_shape, name="features")
    # Pooling over bands only keeps the time resolution for the GRU layers.
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
