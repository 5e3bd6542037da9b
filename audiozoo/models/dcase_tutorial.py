"""The CNN of the DCASE 2018 tutorial on acoustic scene classification.

Source: the tutorial's notebook, which shows the table of layers and the result on the development set of DCASE 2018 task 1A.
"""

from __future__ import annotations

from audiozoo.features.presets import DCASE2018
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register


@register(
    frontend=DCASE2018,
    reference=Reference((40, 500, 1), num_classes=10, parameters=105_290, multiply_adds=288_000_640),
    paper="DCASE 2018 tutorial",
    year=2018,
    tasks=["scenes"],
    scores=[Score("DCASE 2018 task 1A", "macro accuracy", 61.6, "development set, fold 1")],
    recipe=Recipe(epochs=100, batch_size=16, learning_rate=1e-3, patience=30, refit=True),
)
def dcase_tutorial_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.2,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """DCASE 2018 tutorial CNN: two 5x5 convolutions and global max pooling.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 4 bands and 8 frames.
        num_classes: Number of classes.
        dropout: Dropout rate after each pooling.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    require_size("dcase_tutorial_cnn", input_shape, (4, 8))
    inputs = x = keras.Input(input_shape, name="features")
    for pool in ((2, 4), (2, 2)):
        x = keras.layers.Conv2D(64, 5, padding="same")(x)
        x = keras.layers.BatchNormalization(momentum=normalization_momentum)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D(pool)(x)
        x = keras.layers.Dropout(dropout)(x)
    # The maximum and not the mean: a sound that identifies the scene may be short.
    x = keras.layers.GlobalMaxPooling2D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="dcase_tutorial_cnn")
