"""Layers and checks that the builders of several models share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import lazy_loader

if TYPE_CHECKING:
    import keras as keras
else:
    # Importing Keras takes seconds. A model file that imports it from here loads it on first use, so the registry can import
    # every model file for `list_models` and `--help`.
    keras = lazy_loader.load("keras")

Activation = Literal["softmax", "sigmoid"] | None
NormalizationAxis = Literal["mel", "channel"]


def classify(x: Any, num_classes: int, *, activation: Activation, **dense: Any) -> Any:
    """Add the output of a classifier: a dense layer named `logits` and an activation named `probabilities`.

    Args:
        x: Embedding ``(features,)``.
        num_classes: Number of classes.
        activation: "softmax", "sigmoid", or `None` to return the logits.
        **dense: Further arguments of the dense layer, for example `kernel_regularizer`.

    Returns:
        Probabilities or logits ``(num_classes,)``.
    """
    # float32 also under a mixed-precision policy: in half precision a softmax over many classes loses small probabilities.
    logits = keras.layers.Dense(num_classes, name="logits", dtype="float32", **dense)(x)
    if activation is None:
        return logits
    return keras.layers.Activation(activation, name="probabilities", dtype="float32")(logits)


def axis_of(normalization_axis: NormalizationAxis) -> int:
    """Return the axis argument of batch normalisation for ``(batch, bands, frames, channels)``.

    Raises:
        ValueError: `normalization_axis` is neither "mel" nor "channel".
    """
    if normalization_axis not in ("mel", "channel"):
        raise ValueError(f"normalization_axis must be 'mel' or 'channel', got {normalization_axis!r}")
    return 1 if normalization_axis == "mel" else -1


def require_size(name: str, input_shape: Sequence[int | None], smallest: Sequence[int]) -> None:
    """Check that an input is large enough for the pooling of a network.

    Args:
        name: Name of the model, for the message.
        input_shape: Shape of the input without the batch; an axis of `None` may have any size.
        smallest: Smallest size of each of its first axes.

    Raises:
        ValueError: An axis is too small.
    """
    if any(size is not None and size < least for size, least in zip(input_shape, smallest, strict=False)):
        raise ValueError(
            f"{name} needs an input of at least {tuple(smallest)} along its first axes, got {tuple(input_shape)}: "
            "use a longer duration or more bands"
        )


def time_first(x: Any) -> Any:
    """Reshape ``(bands, frames, channels)`` to ``(frames, bands * channels)`` for recurrent layers."""
    _, bands, frames, channels = x.shape
    # A reshape alone would mix bands and frames.
    x = keras.layers.Permute((2, 1, 3))(x)
    return keras.layers.Reshape((frames, bands * channels))(x)


def convolution_block(
    x: Any,
    filters: int,
    kernel: tuple[int, int],
    pool: tuple[int, int],
    *,
    momentum: float,
    kernel_initializer: str = "glorot_uniform",
    pointwise: bool = True,
    padding: Literal["valid", "same"] = "valid",
) -> Any:
    """Apply two convolutions and a 1x1 convolution with leaky ReLUs, then batch normalisation, then max pooling.

    Source: wubinbai/Audio-Classification-Models (2020), whose convolutional networks all consist of this block.

    Args:
        x: Features ``(bands, frames, channels)``.
        filters: Number of filters of each convolution.
        kernel: Size of the first two kernels, ``(bands, frames)``.
        pool: Size of the pooling, ``(bands, frames)``.
        momentum: Momentum of batch normalisation.
        kernel_initializer: Initialiser of the kernels.
        pointwise: Whether the block has the 1x1 convolution.
        padding: Padding of the pooling: "valid" drops an incomplete last part of an axis, "same" pools it too.

    Returns:
        Features ``(bands, frames, filters)`` after the pooling.
    """
    # The leaky ReLU has the slope 0.01 of the source; the default of Keras is 0.3.
    for size in (kernel, kernel, (1, 1))[: 3 if pointwise else 2]:
        x = keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=kernel_initializer)(x)
        x = keras.layers.LeakyReLU(negative_slope=0.01)(x)
    x = keras.layers.BatchNormalization(momentum=momentum)(x)
    return keras.layers.MaxPooling2D(pool, padding=padding)(x)


def sub_bands(x: Any, size: int, step: int) -> list[Any]:
    """Cut a spectrogram into overlapping groups of bands.

    Args:
        x: Spectrogram ``(bands, frames, channels)``.
        size: Number of bands in each sub-band.
        step: Number of bands between the starts of neighbouring sub-bands.

    Returns:
        The sub-bands ``(size, frames, channels)``, lowest first. Bands left over at the top are dropped.
    """
    return [x[:, first : first + size] for first in range(0, x.shape[1] - size + 1, step)]


def concatenated(parts: list[Any]) -> Any:
    """Concatenate vectors; return a single vector unchanged."""
    # Keras refuses to concatenate a single tensor.
    return keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def sub_band_outputs(parts: list[Any], num_classes: int, *, activation: Activation) -> list[Any]:
    """Add an auxiliary classifier on each sub-band, for deep supervision.

    Args:
        parts: Feature vector of each sub-band.
        num_classes: Number of classes.
        activation: "softmax", "sigmoid", or `None` for logits.

    Returns:
        One output for each sub-band, from layers named `sub_band_0`, `sub_band_1`, and so on.
    """
    return [
        keras.layers.Dense(num_classes, activation=activation, name=f"sub_band_{index}", dtype="float32")(part)
        for index, part in enumerate(parts)
    ]
