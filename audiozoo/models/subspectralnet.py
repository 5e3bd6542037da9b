"""SubSpectralNet: a small CNN on each sub-band of the mel spectrogram, and dense layers on all their outputs.

Source: Phaye, Benetos, Wang, "SubSpectralNet - Using Sub-Spectrogram based Convolutional Neural Networks for Acoustic Scene
Classification", ICASSP 2019, arXiv:1810.12642.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from audiozoo.features.presets import DCASE2018
from audiozoo.layers import (
    Activation,
    NormalizationAxis,
    axis_of,
    classify,
    concatenated,
    keras,
    require_size,
    sub_band_outputs,
    sub_bands,
)
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register


@register(
    frontend=replace(DCASE2018, channels=2),
    reference=Reference(
        (40, 500, 2), num_classes=10, parameters=331_344, multiply_adds=395_156_032, options={"auxiliary": True}
    ),
    paper="arXiv:1810.12642",
    year=2019,
    tasks=["scenes"],
    scores=[
        Score("DCASE 2018 task 1A", "accuracy", 72.18, "paper, 40 bands by 20 every 10, best epoch on the test fold"),
        Score("DCASE 2018 task 1A", "accuracy", 69.14, "the authors' logs of the same, last epoch"),
        Score("DCASE 2018 task 1A", "accuracy", 74.08, "paper, 200 bands by 30 every 10, best epoch on the test fold"),
    ],
    aliases=["sub_spectral_net"],
    renamed_options={"sub_band_hop": "sub_band_step"},
    recipe=Recipe(epochs=50, batch_size=16, learning_rate=1e-3, patience=20, refit=True),
)
def subspectralnet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    sub_band_size: int = 20,
    sub_band_step: int = 10,
    dropout: float = 0.3,
    normalization_axis: NormalizationAxis = "mel",
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
    auxiliary: bool = False,
) -> keras.Model:
    """SubSpectralNet: a CNN on each sub-band of the mel spectrogram, then dense layers on all of them.

    Args:
        input_shape: ``(bands, frames, channels)``, at least `sub_band_size` bands and 5 frames.
        num_classes: Number of classes.
        sub_band_size: Number of mel bands in a sub-band, at least 10.
        sub_band_step: Number of mel bands between the starts of two sub-bands.
        dropout: Dropout rate after each pooling and each dense layer.
        normalization_axis: Axis of batch normalisation: "mel" normalises each band, as published, "channel" each filter.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.
        auxiliary: Whether the model has further outputs after the first one, a classification from each sub-band alone:
            ``fit(x, (y,) * len(model.outputs))``. The paper trains this way; its accuracy is 2.7 points lower without.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``, followed by the auxiliary outputs.

    Raises:
        ValueError: The input is too small, `sub_band_size` is less than 10, or `sub_band_step` is less than 1.
    """
    if sub_band_size < 10 or sub_band_step < 1:
        raise ValueError(f"sub-bands need sub_band_size >= 10 and sub_band_step >= 1, got {sub_band_size} and {sub_band_step}")
    require_size("subspectralnet", input_shape, (sub_band_size, 5))
    inputs = keras.Input(input_shape, name="features")
    normalization = {"axis": axis_of(normalization_axis), "momentum": normalization_momentum}
    bands = [_sub_band(band, dropout, normalization) for band in sub_bands(inputs, size=sub_band_size, step=sub_band_step)]
    outputs = [classify(_joined(bands, dropout), num_classes, activation=activation)]
    if auxiliary:
        # As published, the auxiliary outputs have a dropout of their own, apart from that of the joint layers.
        dropped = [keras.layers.Dropout(dropout)(band) for band in bands]
        outputs += sub_band_outputs(dropped, num_classes, activation=activation)
    return keras.Model(inputs, outputs if auxiliary else outputs[0], name="subspectralnet")


def _sub_band(x: Any, dropout: float, normalization: dict[str, Any]) -> Any:
    _, bands, frames, _ = x.shape
    # The first pool leaves about 10 bands, which the 4 of the second divides into 2; the second pool covers all of the time.
    for filters, pool in ((32, (bands // 10, 5)), (64, (4, frames // 5))):
        x = keras.layers.Conv2D(filters, 7, padding="same", kernel_initializer="he_normal")(x)
        # The authors penalise the scale and the offset of the normalisation, but no kernel.
        x = keras.layers.BatchNormalization(
            beta_regularizer=keras.regularizers.L2(1e-4), gamma_regularizer=keras.regularizers.L2(1e-4), **normalization
        )(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D(pool)(x)
        x = keras.layers.Dropout(dropout)(x)
    return keras.layers.Dense(32, activation="relu")(keras.layers.Flatten()(x))


def _joined(bands: list[Any], dropout: float) -> Any:
    x = concatenated(bands)
    widths = list(_halving_widths(32 * len(bands)))
    # A single sub-band has 32 features, too few for a layer of 64.
    if not widths:
        return keras.layers.Dropout(dropout)(keras.layers.Identity(name="embedding")(x))
    for units in widths:
        x = keras.layers.Dense(units, activation="relu", name="embedding" if units == widths[-1] else None)(x)
        x = keras.layers.Dropout(dropout)(x)
    return x


def _halving_widths(features: int) -> Iterator[int]:
    """Yield the widths of the last dense layers: the largest power of two up to `features`, halved down to 64."""
    width = 2 ** (features.bit_length() - 1)
    while width >= 64:
        yield width
        width //= 2
