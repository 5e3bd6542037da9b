"""The baseline of the DCASE 2018 challenge, task 2 (Freesound general-purpose tagging).

Source: Fonseca et al., "General-purpose tagging of Freesound audio with AudioSet labels: task description, dataset, and
baseline", DCASE Workshop 2018, arXiv:1807.09902, and the table of layers published with the baseline.
"""

from __future__ import annotations

from audiozoo.features.presets import FREESOUND2018
from audiozoo.layers import Activation, classify, keras
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register


@register(
    frontend=FREESOUND2018,
    reference=Reference((64, 25, 1), num_classes=41, parameters=658_591, multiply_adds=194_088_200),
    paper="arXiv:1807.09902",
    year=2018,
    scores=[
        Score("FSDKaggle2018", "MAP@3", 0.6943, "private leaderboard"),
        Score("FSDKaggle2018", "MAP@3", 0.7049, "public leaderboard"),
    ],
    aliases=["dcase2018_task2_baseline"],
    recipe=Recipe(epochs=100, batch_size=64, learning_rate=1e-4, patience=30, refit=True),
)
def freesound2018_baseline(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    initial_deviation: float = 1e-3,
    activation: Activation = "softmax",
) -> keras.Model:
    """DCASE 2018 task 2 baseline: three convolutions on a quarter of a second of log-mel bands.

    Args:
        input_shape: ``(bands, frames, channels)``, of any size.
        num_classes: Number of classes.
        initial_deviation: Standard deviation of the initial kernels. The published 1e-3 is so small that the loss does not
            move in the first hundred steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.
    """
    inputs = x = keras.Input(input_shape, name="features")
    for filters, kernel in ((100, 7), (150, 5), (200, 3)):
        initial = keras.initializers.TruncatedNormal(stddev=initial_deviation)
        x = keras.layers.Conv2D(filters, kernel, padding="same", activation="relu", kernel_initializer=initial)(x)
        # The last convolution is followed by global pooling alone.
        if filters < 200:
            x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    # The maximum over bands and time makes the parameters independent of the size of the input.
    x = keras.layers.GlobalMaxPooling2D(name="embedding")(x)
    initial = keras.initializers.TruncatedNormal(stddev=initial_deviation)
    outputs = classify(x, num_classes, activation=activation, kernel_initializer=initial)
    return keras.Model(inputs, outputs, name="freesound2018_baseline")
