"""1-D convolutions on the waveform, as music2vec adapts them from SoundNet.

Sources: Aytar, Vondrick, Torralba, "SoundNet", NIPS 2016, arXiv:1610.09001; the two figures of the article "music2vec"
(Srinivasa, Hebbar, 2017). The figures give all sizes but the padding. Only convolutions that pad and pools that do not lead to
the article's 6x1024 and 13x256 from 30,000 samples.
"""

from __future__ import annotations

from typing import Any, Literal

from audiozoo.features import Waveform
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.models.lstm import Attention, AttentionAt, recurrent
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, register

_FRONTEND = Waveform(sample_rate=10_000, duration=3.0)
_RECIPE = Recipe(epochs=100, batch_size=32, learning_rate=1e-3, patience=30, refit=True, standardize="all")

_Layer = tuple[int, int, int, int]
"""Filters, kernel, stride, and the size of the pooling that follows (0 for none)."""


def _layers(second_stride: int) -> tuple[_Layer, ...]:
    """Return SoundNet's seven convolutions; the two figures of the article differ in the stride of the second."""
    return (
        (16, 64, 8, 8),
        (32, 32, second_stride, 8),
        (64, 16, 2, 0),
        (128, 8, 2, 0),
        (256, 4, 2, 4),
        (512, 4, 1, 0),
        (1024, 4, 1, 0),
    )


@register(
    frontend=_FRONTEND,
    reference=Reference(input_shape=(30_000, 1), num_classes=8, parameters=6_083_192, multiply_adds=32_349_184),
    paper="Srinivasa, Hebbar, music2vec",
    year=2017,
    aliases=["soundnet"],
    recipe=_RECIPE,
)
def soundnet_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    normalize: bool = False,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """SoundNet of music2vec: seven 1-D convolutions on the waveform, then dense layers.

    Args:
        input_shape: ``(samples, channels)``, at least 7,097 samples.
        num_classes: Number of classes.
        normalize: Whether batch normalisation follows each convolution, as in SoundNet; the figures of music2vec show none.
        normalization_momentum: Momentum of batch normalisation.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    require_size("soundnet_cnn", input_shape, (_smallest(_layers(8)),))
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, _layers(8), pool_padding="valid", momentum=normalization_momentum if normalize else None)
    return keras.Model(inputs, _head(x, num_classes, activation), name="soundnet_cnn")


@register(
    frontend=_FRONTEND,
    reference=Reference(input_shape=(30_000, 1), num_classes=8, parameters=1_496_184, multiply_adds=36_740_096),
    paper="Srinivasa, Hebbar, music2vec",
    year=2017,
    recipe=_RECIPE,
)
def soundnet_lstm(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    convolutions: int = 5,
    pool_padding: Literal["valid", "same"] = "valid",
    every_step: bool = False,
    attention: Attention = None,
    attention_at: AttentionAt = "between",
    normalize: bool = False,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """SoundNet with LSTM layers of music2vec: five 1-D convolutions on the waveform, then two LSTM layers.

    The text and the figure of the article differ. The defaults follow the text; ``convolutions=6, every_step=True`` follows the
    figure, and with ``pool_padding="same"`` the sequence also has the figure's shape 15x512.

    Args:
        input_shape: ``(samples, channels)``, at least 3,577 samples with `pool_padding="valid"`.
        num_classes: Number of classes.
        convolutions: Number of SoundNet's convolutions, 1 to 7.
        pool_padding: Padding of the pools, "valid" or "same".
        every_step: Whether the dense layers see all steps of the recurrent layers instead of the last.
        attention: "additive" or "self" attention over the steps, or `None`, as published.
        attention_at: Place of the attention: "between" the recurrent layers, or after them, where "sum" adds the weighted
            steps and "flatten" keeps them all.
        normalize: Whether batch normalisation follows each convolution, as in SoundNet; the figures of music2vec show none.
        normalization_momentum: Momentum of batch normalisation.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small, `convolutions` is not 1 to 7, the padding is unknown, or the network does not
            support the attention.
    """
    if not 1 <= convolutions <= 7:
        raise ValueError(f"convolutions must be 1 to 7, got {convolutions}")
    if pool_padding not in ("valid", "same"):
        raise ValueError(f"pool_padding must be 'valid' or 'same', got {pool_padding!r}")
    layers = _layers(4)[:convolutions]
    # Pools that pad take an input of any size.
    if pool_padding == "valid":
        require_size("soundnet_lstm", input_shape, (_smallest(layers),))
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, layers, pool_padding=pool_padding, momentum=normalization_momentum if normalize else None)
    x = recurrent(x, (256, 256), attention=attention, attention_at=attention_at, every_step=every_step)
    return keras.Model(inputs, _head(x, num_classes, activation), name="soundnet_lstm")


def _convolutions(x: Any, layers: tuple[_Layer, ...], *, pool_padding: str, momentum: float | None) -> Any:
    for filters, kernel, stride, pool in layers:
        x = keras.layers.Conv1D(filters, kernel, strides=stride, padding="same")(x)
        x = x if momentum is None else keras.layers.BatchNormalization(momentum=momentum)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling1D(pool, strides=2, padding=pool_padding)(x) if pool else x
    return x


def _smallest(layers: tuple[_Layer, ...]) -> int:
    """Return the smallest number of samples that leaves one step when the pools do not pad."""
    # From the last layer to the first: a pool of size p and stride 2 needs (n - 1) * 2 + p steps for n, and a convolution that
    # pads needs (n - 1) * stride + 1.
    steps = 1
    for _, _, stride, pool in reversed(layers):
        steps = (steps - 1) * 2 + pool if pool else steps
        steps = (steps - 1) * stride + 1
    return steps


def _head(x: Any, num_classes: int, activation: Activation) -> Any:
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(512, activation="relu")(x)
    x = keras.layers.Dense(128, activation="relu", name="embedding")(x)
    return classify(x, num_classes, activation=activation)
