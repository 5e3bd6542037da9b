"""An autoencoder whose embedding is also classified; both parts train together.

Sources: the article "music2vec" (Srinivasa, Hebbar, 2017) trains both parts together. The layers follow the code of
wubinbai/Audio-Classification-Models (2020), which trains the autoencoder first and the classifier afterwards.
"""

from __future__ import annotations

from typing import Any

from audiozoo.features import Scale
from audiozoo.features.presets import MUSIC2VEC
from audiozoo.layers import Activation, classify, keras
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, register

_FILTERS = (16, 32, 64, 128)


@register(
    frontend=Scale(of=MUSIC2VEC, by="minmax"),
    reference=Reference(input_shape=(128, 128, 1), num_classes=8, parameters=728_237, multiply_adds=118_569_216),
    paper="Srinivasa, Hebbar, music2vec",
    year=2017,
    recipe=Recipe(
        epochs=100,
        batch_size=32,
        learning_rate=1e-3,
        patience=30,
        refit=True,
        # The decoder ends in a sigmoid, so the features must keep the range [0, 1] that the frontend gives.
        standardize=None,
    ),
)
def joint_autoencoder(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    reconstruction_weight: float = 1.0,
    dense_decoder: bool = False,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """Autoencoder with four convolutions in each half, and a classifier on its embedding of 64 numbers.

    The model has one output, the classification. It adds the mean squared error of the reconstruction to the loss that it is
    compiled with. ``keras.Model(model.inputs[0], model.get_layer("reconstruction").output)`` gives the reconstruction.

    Args:
        input_shape: ``(bands, frames, channels)``, values in [0, 1]. The embedding has one number for each 16 by 16 values.
        num_classes: Number of classes.
        reconstruction_weight: Weight of the reconstruction error in the loss; with 0 there is no decoder.
        dense_decoder: Whether the decoder begins with a dense layer as wide as the encoder's end, instead of one channel.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: `reconstruction_weight` is negative.
    """
    if reconstruction_weight < 0:
        raise ValueError(f"reconstruction_weight must be at least 0, got {reconstruction_weight}")
    inputs = keras.Input(input_shape, name="features")
    encoded = _encoded(inputs, normalization_momentum)
    rows, columns = encoded.shape[1:3]
    x = keras.layers.Dense(rows * columns)(keras.layers.Flatten()(encoded))
    x = keras.layers.LeakyReLU(negative_slope=0.1, name="embedding")(x)
    if reconstruction_weight:
        # This import loads Keras, so it must not happen before the model is built.
        from audiozoo.keras_layers import ReconstructionLoss

        entry = (rows, columns, _FILTERS[-1] if dense_decoder else 1)
        reconstruction = _decoded(x, entry, input_shape, normalization_momentum)
        # The decoder is not an output: a pass-through layer adds its error, so `fit` needs the labels only.
        x = ReconstructionLoss(reconstruction_weight, name="reconstruction_loss")([x, inputs, reconstruction])
    # The source has no activation here.
    for units in (64, 32):
        x = keras.layers.Dense(units)(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="joint_autoencoder")


def _encoded(x: Any, momentum: float) -> Any:
    for filters in _FILTERS:
        x = _convolved(x, filters, momentum)
        x = keras.layers.MaxPooling2D(2, padding="same")(x)
    return x


def _decoded(x: Any, entry: tuple[int, int, int], output_shape: tuple[int, ...], momentum: float) -> Any:
    rows, columns, depth = entry
    # With one channel, the embedding has the size of the entry and needs no dense layer.
    x = keras.layers.Dense(rows * columns * depth)(x) if depth > 1 else x
    x = keras.layers.Reshape(entry)(x)
    for filters in reversed(_FILTERS):
        x = _convolved(x, filters, momentum)
        x = keras.layers.UpSampling2D(2)(x)
    bands, frames, channels = output_shape
    x = keras.layers.Conv2D(channels, 3, padding="same")(x)
    x = keras.layers.BatchNormalization(momentum=momentum)(x)
    # The pooling of the encoder rounds sizes up, so the decoder's output may be larger than the input.
    x = keras.layers.Cropping2D(((0, x.shape[1] - bands), (0, x.shape[2] - frames)))(x)
    return keras.layers.Activation("sigmoid", name="reconstruction", dtype="float32")(x)


def _convolved(x: Any, filters: int, momentum: float) -> Any:
    x = keras.layers.Conv2D(filters, 3, padding="same")(x)
    x = keras.layers.BatchNormalization(momentum=momentum)(x)
    return keras.layers.LeakyReLU(negative_slope=0.1)(x)
