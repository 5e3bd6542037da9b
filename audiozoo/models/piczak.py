"""Piczak's CNN, an early reference for ESC-50.

Source: Piczak, "Environmental Sound Classification with Convolutional Neural Networks", MLSP 2015, and the results published
with the code, karolpiczak/paper-2015-esc-convnet.
"""

from __future__ import annotations

from audiozoo.features.presets import PICZAK
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register


@register(
    frontend=PICZAK,
    reference=Reference((60, 41, 2), num_classes=50, parameters=26_934_130, multiply_adds=34_921_680),
    paper="Piczak 2015, doi:10.1109/MLSP.2015.7324337",
    year=2015,
    scores=[
        Score("ESC-10", "accuracy", 78.5, "short segments, probabilities averaged"),
        Score("ESC-10", "accuracy", 80.25, "long segments, probabilities averaged"),
        Score("ESC-50", "accuracy", 64.55, "short segments, probabilities averaged"),
        Score("ESC-50", "accuracy", 62.85, "long segments, probabilities averaged"),
    ],
    recipe=Recipe(
        epochs=300,
        min_steps=3_000,
        batch_size=1_000,
        optimizer="sgd",
        learning_rate=2e-3,
        patience=100,
        refit=True,
    ),
)
def piczak_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.5,
    l2: float = 1e-3,
    activation: Activation = "softmax",
) -> keras.Model:
    """Piczak's CNN: one convolution over nearly all bands, one over time, two wide dense layers.

    The short variant takes 41 frames, the long variant 101. The first kernel covers all bands but three (57 of the published
    60) and 6 frames. The pool after it covers the four positions along the bands that remain.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 4 bands and 14 frames. The published channels are the log-mel
            bands and their deltas.
        num_classes: Number of classes.
        dropout: Dropout rate after the first pooling and after each dense layer.
        l2: Factor of the L2 penalty on all kernels.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    require_size("piczak_cnn", input_shape, (4, 14))
    penalty = keras.regularizers.L2(l2)
    inputs = keras.Input(input_shape, name="features")
    x = keras.layers.Conv2D(80, (input_shape[0] - 3, 6), activation="relu", kernel_regularizer=penalty)(inputs)
    # A filter that spans nearly all bands is a template of a spectrum; this pool lets it shift by up to three bands in pitch.
    x = keras.layers.MaxPooling2D((4, 3), strides=(1, 3))(x)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Conv2D(80, (1, 3), activation="relu", kernel_regularizer=penalty)(x)
    # The pools of the source keep an incomplete last part; at the published sizes only this pool has one.
    x = keras.layers.MaxPooling2D((1, 3), padding="same")(x)
    x = keras.layers.Flatten()(x)
    for name in (None, "embedding"):
        x = keras.layers.Dense(5_000, activation="relu", kernel_regularizer=penalty, name=name)(x)
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation, kernel_regularizer=penalty), name="piczak_cnn")
