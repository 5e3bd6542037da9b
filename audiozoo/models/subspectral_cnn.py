"""A deep CNN on each of seven overlapping sub-bands of the spectrogram, and dense layers on all their outputs.

Source: wubinbai/Audio-Classification-Models (2020), network `ssnet`, which follows SubSpectralNet (arXiv:1810.12642).
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
"""Linear magnitude of 512 bins (without bin 0, the constant part) by 128 frames, as in the source.

The source does not state the hop length of this network; half a frame is the hop length of its other networks.
"""


@register(
    frontend=_MAGNITUDE,
    reference=Reference(
        (512, 128, 1), num_classes=6, parameters=35_213_648, multiply_adds=6_500_578_688, options={"auxiliary": True}
    ),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    aliases=["ssnet"],
    renamed_options={"sub_band_hop": "sub_band_step"},
    recipe=Recipe(epochs=60, batch_size=16, learning_rate=3e-4, patience=20, refit=True),
)
def subspectral_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    sub_band_size: int = 128,
    sub_band_step: int = 64,
    dropout: float = 0.3,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
    auxiliary: bool = False,
) -> keras.Model:
    """Sub-band CNN: 15 convolutions on each sub-band of the spectrogram, then dense layers on all of them.

    Args:
        input_shape: ``(bands, frames, channels)``, at least `sub_band_size` bands and 16 frames.
        num_classes: Number of classes.
        sub_band_size: Number of bands in a sub-band, at least 16.
        sub_band_step: Number of bands between the starts of two sub-bands.
        dropout: Dropout rate after each dense layer on all sub-bands.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.
        auxiliary: Whether the model has further outputs after the first one, a classification from each sub-band alone:
            ``fit(x, (y,) * len(model.outputs))``. The source trains this way.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``, followed by the auxiliary outputs.

    Raises:
        ValueError: The input is too small, `sub_band_size` is less than 16, or `sub_band_step` is less than 1.
    """
    if sub_band_size < 16 or sub_band_step < 1:
        raise ValueError(f"sub-bands need sub_band_size >= 16 and sub_band_step >= 1, got {sub_band_size} and {sub_band_step}")
    require_size("subspectral_cnn", input_shape, (sub_band_size, 16))
    inputs = keras.Input(input_shape, name="features")
    bands = [_sub_band(band, normalization_momentum) for band in sub_bands(inputs, size=sub_band_size, step=sub_band_step)]
    x = concatenated(bands)
    for units in (256, 128, 64):
        x = keras.layers.Dense(units, activation="relu", name="embedding" if units == 64 else None)(x)
        x = keras.layers.Dropout(dropout)(x)
    outputs = [classify(x, num_classes, activation=activation)]
    if auxiliary:
        outputs += sub_band_outputs(bands, num_classes, activation=activation)
    return keras.Model(inputs, outputs if auxiliary else outputs[0], name="subspectral_cnn")


def _sub_band(x: Any, momentum: float) -> Any:
    # The pools of all blocks divide bands and frames by 16, hence the smallest sub-band.
    for filters, kernel, pool in (
        (32, (1, 3), (1, 2)),
        (32, (3, 1), (2, 1)),
        (64, (1, 3), (1, 2)),
        (64, (3, 1), (2, 1)),
        (128, (5, 5), (4, 4)),
    ):
        x = convolution_block(x, filters, kernel, pool, momentum=momentum)
    # Flattening 128 maps of 8x8 gives this layer most of the parameters; the source penalises it.
    x = keras.layers.Dense(512, kernel_regularizer=keras.regularizers.L2(0.01))(keras.layers.Flatten()(x))
    return keras.layers.LeakyReLU(negative_slope=0.01)(x)
