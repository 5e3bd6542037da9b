"""A multilayer perceptron on the mean spectrum of a clip.

Source: wubinbai/Audio-Classification-Models (2020), section "audio features with MLP".
"""

from __future__ import annotations

from audiozoo.features import Spectrogram, Statistics
from audiozoo.layers import Activation, classify, keras
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, register

# The scale "max" divides by the largest bin, so the level of the recording does not matter.
_MEAN_SPECTRUM = Statistics(
    of=Spectrogram(sample_rate=44_100, duration=5.0, n_fft=512, hop_length=256, power=1.0),
    reduce=("mean",),
    scale="max",
)


@register(
    frontend=_MEAN_SPECTRUM,
    reference=Reference(input_shape=(257,), num_classes=6, parameters=191_782, multiply_adds=190_912),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    recipe=Recipe(epochs=300, batch_size=32, learning_rate=1e-3, patience=60, refit=True),
)
def feature_mlp(
    input_shape: tuple[int, ...], num_classes: int, *, dropout: float = 0.5, activation: Activation = "softmax"
) -> keras.Model:
    """Multilayer perceptron on the magnitude spectrum, averaged over the clip.

    Args:
        input_shape: ``(features,)``.
        num_classes: Number of classes.
        dropout: Dropout rate of the embedding.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.
    """
    inputs = x = keras.Input(input_shape, name="features")
    for units in (256, 256, 128, 128, 64):
        x = keras.layers.Dense(units, activation="relu")(x)
    x = keras.layers.Dense(32, activation="relu", name="embedding")(x)
    x = keras.layers.Dropout(dropout)(x)
    outputs = classify(x, num_classes, activation=activation, kernel_regularizer=keras.regularizers.L2(0.01))
    return keras.Model(inputs, outputs, name="feature_mlp")
