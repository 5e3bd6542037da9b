"""One-dimensional convolutions on the waveform after SoundNet, as music2vec uses them.

Sources: the two figures of the article "music2vec" (Srinivasa, Hebbar, 2017), whose strides are kept; they fix all sizes but
the padding. Convolutions that pad and pooling that does not are the only choice that gives the article's 6x1024 and 13x256 from
30,000 samples. SoundNet itself is of Aytar, Vondrick, Torralba, NIPS 2016, arXiv:1610.09001.
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

_Row = tuple[int, int, int, int]


def _rows(second_stride: int) -> tuple[_Row, ...]:
    """Return filters, kernel, stride, and the size of the pooling that follows (0 for none), of each convolution."""
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
    reference=Reference(input_shape=(30_000, 1), num_classes=8, parameters=6_083_192),
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
    """Seven convolutions on the waveform, and dense layers on their 6x1024 numbers.

    Args:
        input_shape: ``(samples, channels)``, at least 7,097 samples.
        num_classes: Classes.
        normalize: Normalise each convolution's channels, as SoundNet itself does; the figure shows none.
        normalization_momentum: Of the moving averages.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small.
    """
    require_size("soundnet_cnn", input_shape, (_smallest(_rows(8)),))
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, _rows(8), pool_padding="valid", momentum=normalization_momentum if normalize else None)
    return keras.Model(inputs, _head(x, num_classes, activation), name="soundnet_cnn")


@register(
    frontend=_FRONTEND,
    reference=Reference(input_shape=(30_000, 1), num_classes=8, parameters=1_496_184),
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
    """Five convolutions on the waveform, and two recurrent layers on their 13x256 numbers.

    The article's text and its figure differ; the text is the default. With ``convolutions=6, every_step=True`` it is the
    figure, and with ``pool_padding="same"`` its 15x512 too.

    Args:
        input_shape: ``(samples, channels)``, at least 3,577 samples where pooling does not pad.
        num_classes: Classes.
        convolutions: How many of SoundNet's convolutions are kept, 1 to 7.
        pool_padding: "valid" or "same".
        every_step: Classify all steps of the recurrent layers instead of the last.
        attention: "additive" or "self" attention over the steps; `None` for none, as published.
        attention_at: "between" the recurrent layers; after them, "sum" adds the weighed steps up and "flatten" classifies
            all of them.
        normalize: Normalise each convolution's channels, as SoundNet itself does; the figure shows none.
        normalization_momentum: Of the moving averages.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small, the number of convolutions is not 1 to 7, an unknown padding, or an attention that
            the network cannot have.
    """
    if not 1 <= convolutions <= 7:
        raise ValueError(f"convolutions must be 1 to 7, got {convolutions}")
    if pool_padding not in ("valid", "same"):
        raise ValueError(f"pool_padding must be 'valid' or 'same', got {pool_padding!r}")
    rows = _rows(4)[:convolutions]
    if pool_padding == "valid":
        require_size("soundnet_lstm", input_shape, (_smallest(rows),))
    inputs = keras.Input(input_shape, name="features")
    x = _convolutions(inputs, rows, pool_padding=pool_padding, momentum=normalization_momentum if normalize else None)
    x = recurrent(x, (256, 256), attention=attention, attention_at=attention_at, every_step=every_step)
    return keras.Model(inputs, _head(x, num_classes, activation), name="soundnet_lstm")


def _convolutions(x: Any, rows: tuple[_Row, ...], *, pool_padding: str, momentum: float | None) -> Any:
    for filters, kernel, stride, pool in rows:
        x = keras.layers.Conv1D(filters, kernel, strides=stride, padding="same")(x)
        x = x if momentum is None else keras.layers.BatchNormalization(momentum=momentum)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling1D(pool, strides=2, padding=pool_padding)(x) if pool else x
    return x


def _smallest(rows: tuple[_Row, ...]) -> int:
    """Return the fewest samples of which pooling without padding leaves one step."""
    steps = 1
    for _, _, stride, pool in reversed(rows):
        steps = (steps - 1) * 2 + pool if pool else steps
        steps = (steps - 1) * stride + 1
    return steps


def _head(x: Any, num_classes: int, activation: Activation) -> Any:
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(512, activation="relu")(x)
    x = keras.layers.Dense(128, activation="relu", name="embedding")(x)
    return classify(x, num_classes, activation=activation)
