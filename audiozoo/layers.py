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
