"""A deep CNN for each of seven overlapping sub-bands of the spectrogram, and dense layers that join what they found.

Source: wubinbai/Audio-Classification-Models (2020), `ssnet`, after SubSpectralNet (arXiv:1810.12642).
"""

from __future__ import annotations

from typing import Any

from audiozoo.features import Spectrogram
from audiozoo.layers import (
    Activation,
    classify,
    concatenated,
    convolution_block,
    keras,
    require_size,
    sub_band_outputs,
    sub_bands,
)
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, register

_MAGNITUDE = Spectrogram(sample_rate=16_000, duration=4.096, frames=128, n_fft=1_024, hop_length=512, power=1.0, first_bin=1)
"""The magnitude in 512 bins by 128 frames, linear and without the constant part, as the source computes it.

It leaves the hop open; half a frame is what it has for its other networks.
"""


@register(
    frontend=_MAGNITUDE,
    reference=Reference((512, 128, 1), num_classes=6, parameters=35_213_648, options={"auxiliary": True}),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    aliases=["ssnet"],
    recipe=Recipe(epochs=60, batch_size=16, learning_rate=3e-4, patience=20, refit=True),
)
def subspectral_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    sub_band_size: int = 128,
    sub_band_hop: int = 64,
    dropout: float = 0.3,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
    auxiliary: bool = False,
) -> keras.Model:
    """A deep CNN of 15 convolutions for each sub-band of the spectrogram, joined by dense layers.

    Args:
        input_shape: ``(bands, frames, channels)``, at least `sub_band_size` bands and 16 frames.
        num_classes: Classes.
        sub_band_size: Bands in a sub-band, at least 16.
        sub_band_hop: Bands from one sub-band to the next.
        dropout: After each dense layer that joins the sub-bands.
        normalization_momentum: Of the moving averages. The original's 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.
        auxiliary: Also return each sub-band's own classification, after the first output:
            ``fit(x, (y,) * len(model.outputs))``. The source trains this way.

    Raises:
        ValueError: The input is too small, or a sub-band has fewer than 16 bands or does not move.
    """
    if sub_band_size < 16 or sub_band_hop < 1:
        raise ValueError(f"sub-bands need sub_band_size >= 16 and sub_band_hop >= 1, got {sub_band_size} and {sub_band_hop}")
    require_size("subspectral_cnn", input_shape, (sub_band_size, 16))
    inputs = keras.Input(input_shape, name="features")
    bands = [_sub_band(band, normalization_momentum) for band in sub_bands(inputs, sub_band_size, sub_band_hop)]
    x = concatenated(bands)
    for units in (256, 128, 64):
        x = keras.layers.Dense(units, activation="relu", name="embedding" if units == 64 else None)(x)
        x = keras.layers.Dropout(dropout)(x)
    outputs = [classify(x, num_classes, activation=activation)]
    if auxiliary:
        outputs += sub_band_outputs(bands, num_classes, activation=activation)
    return keras.Model(inputs, outputs if auxiliary else outputs[0], name="subspectral_cnn")


def _sub_band(x: Any, momentum: float) -> Any:
    for filters, kernel, pool in (
        (32, (1, 3), (1, 2)),
        (32, (3, 1), (2, 1)),
        (64, (1, 3), (1, 2)),
        (64, (3, 1), (2, 1)),
        (128, (5, 5), (4, 4)),
    ):
        x = convolution_block(x, filters, kernel, pool, momentum=momentum)
    x = keras.layers.Dense(512, kernel_regularizer=keras.regularizers.L2(0.01))(keras.layers.Flatten()(x))
    return keras.layers.LeakyReLU(negative_slope=0.01)(x)
