"""The convolutional network that set ESC-50's first mark.

Source: Piczak, "Environmental Sound Classification with Convolutional Neural Networks", MLSP 2015, and the results published
with its code, karolpiczak/paper-2015-esc-convnet.
"""

from __future__ import annotations

from audiozoo.features.presets import PICZAK
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register


@register(
    frontend=PICZAK,
    reference=Reference((60, 41, 2), num_classes=50, parameters=26_934_130),
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
    """One convolution over nearly all bands, one over time, and two wide dense layers, by Piczak.

    Its short variant takes 41 frames, its long one 101. The first kernel spans all bands but three (57 of the published 60) and
    6 frames, and the pool after it all four places that this leaves.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 4 bands and 14 frames; the channels are the log-mel bands and their
            derivative.
        num_classes: Classes.
        dropout: After the first pooling and after each dense layer.
        l2: Weight of the squares of all kernels in the loss.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small.
    """
    require_size("piczak_cnn", input_shape, (4, 14))
    penalty = keras.regularizers.L2(l2)
    inputs = keras.Input(input_shape, name="features")
    x = keras.layers.Conv2D(80, (input_shape[0] - 3, 6), activation="relu", kernel_regularizer=penalty)(inputs)
    x = keras.layers.MaxPooling2D((4, 3), strides=(1, 3))(x)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Conv2D(80, (1, 3), activation="relu", kernel_regularizer=penalty)(x)
    # The original's pools keep a last, incomplete part; at its sizes only this one meets one.
    x = keras.layers.MaxPooling2D((1, 3), padding="same")(x)
    x = keras.layers.Flatten()(x)
    for name in (None, "embedding"):
        x = keras.layers.Dense(5_000, activation="relu", kernel_regularizer=penalty, name=name)(x)
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation, kernel_regularizer=penalty), name="piczak_cnn")
