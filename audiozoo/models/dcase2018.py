"""The baseline of the DCASE 2018 challenge, task 1A (acoustic scenes).

Source: Mesaros, Heittola, Virtanen, "A multi-device dataset for urban acoustic scene classification", DCASE Workshop 2018,
arXiv:1807.09840, and the table of layers published with the baseline.
"""

from __future__ import annotations

from audiozoo.features.presets import DCASE2018
from audiozoo.layers import Activation, NormalizationAxis, axis_of, classify, keras, require_size
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register


@register(
    frontend=DCASE2018,
    reference=Reference(input_shape=(40, 500, 1), num_classes=10, parameters=116_118, multiply_adds=111_655_400),
    paper="arXiv:1807.09840",
    year=2018,
    tasks=["scenes"],
    scores=[
        Score("DCASE 2018 task 1A", "macro accuracy", 59.7, "development set, fold 1, best validation epoch"),
        Score("DCASE 2018 task 1A", "macro accuracy", 61.0, "evaluation set"),
    ],
    aliases=["dcase2018_task1a_baseline"],
    recipe=Recipe(epochs=100, batch_size=16, learning_rate=1e-3, patience=30, refit=True),
)
def dcase2018_baseline(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.3,
    normalization_axis: NormalizationAxis = "mel",
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """DCASE 2018 task 1A baseline: two 7x7 convolutions, normalised per mel band.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 20 bands and 5 frames.
        num_classes: Number of classes.
        dropout: Dropout rate after each pooling and after the dense layer.
        normalization_axis: Axis of batch normalisation: "mel" normalises each band, as published, "channel" each filter.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    require_size("dcase2018_baseline", input_shape, (20, 5))
    inputs = x = keras.Input(input_shape, name="features")
    # The published pools take 5 and then 100 of 500 frames, so the second covers all of the time; here it does at any length.
    for filters, pool in ((32, (5, 5)), (64, (4, input_shape[1] // 5))):
        x = keras.layers.Conv2D(filters, 7, padding="same")(x)
        x = keras.layers.BatchNormalization(axis=axis_of(normalization_axis), momentum=normalization_momentum)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D(pool)(x)
        x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Flatten()(x)
    # The initialisation is "uniform" in the published configuration, which Keras 3 names random_uniform (-0.05 to 0.05).
    x = keras.layers.Dense(100, activation="relu", kernel_initializer="random_uniform", name="embedding")(x)
    x = keras.layers.Dropout(dropout)(x)
    outputs = classify(x, num_classes, activation=activation, kernel_initializer="random_uniform")
    return keras.Model(inputs, outputs, name="dcase2018_baseline")
