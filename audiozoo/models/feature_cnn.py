"""A small CNN on the means over time of five features of a clip, as the columns of a table.

Source: wubinbai/Audio-Classification-Models (2020), section "audio features with 2-D CNN".
"""

from __future__ import annotations

from dataclasses import replace

from audiozoo.features import MFCC, Chroma, LogMel, Statistics
from audiozoo.layers import Activation, classify, keras
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, register

_CHROMA = Chroma(sample_rate=22_050, duration=5.0, n_chroma=40)
_MEAN_FEATURES = Statistics(
    of=(
        MFCC(sample_rate=22_050, duration=5.0, n_mfcc=40),
        LogMel(sample_rate=22_050, duration=5.0, n_mels=40, fmax=8_000.0, compression=None),
        _CHROMA,
        replace(_CHROMA, kind="cqt"),
        replace(_CHROMA, kind="cens"),
    ),
    form="table",
)
"""Means of 40 MFCC, 40 mel bands (linear power), and 40 pitch classes from the STFT, from the CQT and of CENS: five columns.

The source stacks the features as rows and reshapes the result to 40x5, which mixes them. Here each column is one feature.
"""


@register(
    frontend=_MEAN_FEATURES,
    reference=Reference(input_shape=(40, 5, 1), num_classes=6, parameters=996_870, multiply_adds=13_397_504),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    recipe=Recipe(epochs=200, batch_size=32, learning_rate=1e-3, patience=40, refit=True),
)
def feature_cnn(
    input_shape: tuple[int, ...], num_classes: int, *, dropout: float = 0.3, activation: Activation = "softmax"
) -> keras.Model:
    """Two 5x5 convolutions on a table of five features, averaged over the clip.

    Args:
        input_shape: ``(bands, features, channels)``, of any size.
        num_classes: Number of classes.
        dropout: Dropout rate after the convolutions and after each dense layer.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.
    """
    inputs = x = keras.Input(input_shape, name="features")
    for filters in (64, 128):
        x = keras.layers.Conv2D(filters, 5, padding="same", activation="relu")(x)
        # Without padding, the first pooling would drop the last of the five features.
        x = keras.layers.MaxPooling2D(2, padding="same")(x)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(256, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(512, activation="relu", name="embedding")(x)
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="feature_cnn")
