"""An autoencoder and a classifier in one network: what is classified must also tell what was heard.

Sources: the article "music2vec" (Srinivasa, Hebbar, 2017), which trains both together, and the layers in the code of
wubinbai/Audio-Classification-Models (2020), which trains one after the other.
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
    reference=Reference(input_shape=(128, 128, 1), num_classes=8, parameters=728_237),
    paper="Srinivasa, Hebbar, music2vec",
    year=2017,
    recipe=Recipe(
        epochs=100,
        batch_size=32,
        learning_rate=1e-3,
        patience=30,
        refit=True,
        # The frontend's [0, 1] is what the decoder's sigmoid can give.
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
    """Autoencoder of four convolutions each way, whose 64 numbers are classified as it trains.

    The model's one output is the classification. The mean squared error of the reconstruction is added to whatever loss it is
    compiled with; ``keras.Model(model.inputs[0], model.get_layer("reconstruction").output)`` shows the reconstruction.

    Args:
        input_shape: ``(bands, frames, channels)``, values in [0, 1]. The embedding has a number for each 16x16 of it.
        num_classes: Classes.
        reconstruction_weight: Of the reconstruction's error beside the classification's; 0 builds no decoder.
        dense_decoder: Begin the decoder with a dense layer as wide as the encoder's end, instead of one channel.
        normalization_momentum: Of the moving averages. The original's 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: A negative weight.
    """
    if reconstruction_weight < 0:
        raise ValueError(f"reconstruction_weight must be at least 0, got {reconstruction_weight}")
    inputs = keras.Input(input_shape, name="features")
    encoded = _encoded(inputs, normalization_momentum)
    rows, columns = encoded.shape[1:3]
    x = keras.layers.Dense(rows * columns)(keras.layers.Flatten()(encoded))
    x = keras.layers.LeakyReLU(negative_slope=0.1, name="embedding")(x)
    if reconstruction_weight:
        from audiozoo.keras_layers import ReconstructionLoss

        entry = (rows, columns, _FILTERS[-1] if dense_decoder else 1)
        reconstruction = _decoded(x, entry, input_shape, normalization_momentum)
        x = ReconstructionLoss(reconstruction_weight, name="reconstruction_loss")([x, inputs, reconstruction])
    # Linear in the source.
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
    x = keras.layers.Dense(rows * columns * depth)(x) if depth > 1 else x
    x = keras.layers.Reshape(entry)(x)
    for filters in reversed(_FILTERS):
        x = _convolved(x, filters, momentum)
        x = keras.layers.UpSampling2D(2)(x)
    bands, frames, channels = output_shape
    x = keras.layers.Conv2D(channels, 3, padding="same")(x)
    x = keras.layers.BatchNormalization(momentum=momentum)(x)
    # The encoder's pooling rounds up.
    x = keras.layers.Cropping2D(((0, x.shape[1] - bands), (0, x.shape[2] - frames)))(x)
    return keras.layers.Activation("sigmoid", name="reconstruction", dtype="float32")(x)


def _convolved(x: Any, filters: int, momentum: float) -> Any:
    x = keras.layers.Conv2D(filters, 3, padding="same")(x)
    x = keras.layers.BatchNormalization(momentum=momentum)(x)
    return keras.layers.LeakyReLU(negative_slope=0.1)(x)
