"""What the builders of several models share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import lazy_loader

if TYPE_CHECKING:
    import keras as keras
else:
    # Keras takes seconds to load; a model file that imports it from here is read in a millisecond.
    keras = lazy_loader.load("keras")

Activation = Literal["softmax", "sigmoid"] | None
NormalizationAxis = Literal["mel", "channel"]


def classify(x: Any, num_classes: int, *, activation: Activation, **dense: Any) -> Any:
    """End a network: a dense layer named `logits`, and its activation named `probabilities` unless that is `None`."""
    logits = keras.layers.Dense(num_classes, name="logits", dtype="float32", **dense)(x)
    if activation is None:
        return logits
    return keras.layers.Activation(activation, name="probabilities", dtype="float32")(logits)


def axis_of(normalization_axis: NormalizationAxis) -> int:
    """Translate the axis that batch normalisation keeps: each mel band, or each channel.

    Raises:
        ValueError: Another word.
    """
    if normalization_axis not in ("mel", "channel"):
        raise ValueError(f"normalization_axis must be 'mel' or 'channel', got {normalization_axis!r}")
    return 1 if normalization_axis == "mel" else -1


def require_size(name: str, input_shape: Sequence[int], smallest: Sequence[int]) -> None:
    """Refuse an input smaller than a network's pooling can take.

    Raises:
        ValueError: Some axis is too small; the smallest that works is named.
    """
    if any(size < least for size, least in zip(input_shape, smallest, strict=False)):
        raise ValueError(
            f"{name} needs an input of at least {tuple(smallest)} along its first axes, got {tuple(input_shape)}: "
            "use a longer duration or more bands"
        )


def time_first(x: Any) -> Any:
    """Turn ``(bands, frames, channels)`` into the sequence ``(frames, bands x channels)`` that recurrent layers take."""
    _, bands, frames, channels = x.shape
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
    """Apply two convolutions and a 1x1 one, each with a leaky ReLU, then normalise each channel, then pool the maximum.

    Source: wubinbai/Audio-Classification-Models (2020), all of whose convolutional networks are made of this block.

    Args:
        x: ``(bands, frames, channels)``.
        filters: Of each convolution.
        kernel: Of the first two convolutions.
        pool: What is pooled.
        momentum: Of the moving averages.
        kernel_initializer: Of the convolutions.
        pointwise: Whether there is a 1x1 convolution.
        padding: Of the pooling: "same" also pools what is left at the end of an axis.
    """
    for size in (kernel, kernel, (1, 1))[: 3 if pointwise else 2]:
        x = keras.layers.Conv2D(filters, size, padding="same", kernel_initializer=kernel_initializer)(x)
        x = keras.layers.LeakyReLU(negative_slope=0.01)(x)
    x = keras.layers.BatchNormalization(momentum=momentum)(x)
    return keras.layers.MaxPooling2D(pool, padding=padding)(x)


def sub_bands(x: Any, *, size: int, step: int) -> list[Any]:
    """Cut a spectrogram into overlapping groups of bands.

    Args:
        x: Spectrogram ``(bands, frames, channels)``.
        size: Bands in each sub-band.
        step: Bands from the start of one sub-band to the start of the next.

    Returns:
        The sub-bands ``(size, frames, channels)``, lowest first. Bands left over at the top are dropped.
    """
    return [x[:, first : first + size] for first in range(0, x.shape[1] - size + 1, step)]


def concatenated(parts: list[Any]) -> Any:
    """Lay vectors end to end; a single one stays as it is."""
    return keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def sub_band_outputs(parts: list[Any], num_classes: int, *, activation: Activation) -> list[Any]:
    """Classify each sub-band's vector by itself, in layers named `sub_band_0` and so on."""
    return [
        keras.layers.Dense(num_classes, activation=activation, name=f"sub_band_{index}", dtype="float32")(part)
        for index, part in enumerate(parts)
    ]
