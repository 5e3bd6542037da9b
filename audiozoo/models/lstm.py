"""LSTM networks on mel bands, and the recurrent layers that other models share.

Sources: `lstm` follows the figure in the article "music2vec: Generating Vector Embeddings for Genre-Classification Task"
(Srinivasa, Hebbar, 2017). `lstm_stacked`, `lstm_time_distributed` and the attention layer follow the code of
wubinbai/Audio-Classification-Models (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from audiozoo.features.presets import MEL_POWER_128X128, MUSIC2VEC
from audiozoo.layers import Activation, classify, keras, time_first
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, register

Attention = Literal["additive", "self"] | None
AttentionAt = Literal["between", "sum", "flatten"]

RECURRENT_RECIPE = Recipe(epochs=100, batch_size=32, learning_rate=1e-3, patience=30, refit=True)
"""Default training of the recurrent networks. The learning rate in the source, 1e-4, needs ten times as many steps."""


@register(
    frontend=MUSIC2VEC,
    reference=Reference(input_shape=(128, 128, 1), num_classes=8, parameters=411_208, multiply_adds=50_348_544),
    paper="Srinivasa, Hebbar, music2vec",
    year=2017,
    recipe=RECURRENT_RECIPE,
)
def lstm(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    attention: Attention = None,
    attention_at: AttentionAt = "sum",
    activation: Activation = "softmax",
) -> keras.Model:
    """One LSTM layer of 256 units and a dense layer on its last step.

    Args:
        input_shape: ``(bands, frames, channels)``. The network puts time on the first axis.
        num_classes: Number of classes.
        attention: "additive" or "self" attention over the frames, or `None` for the last step alone, as published.
        attention_at: "sum" adds the weighted frames, "flatten" keeps them all. "between" needs two recurrent layers. Additive
            attention and "flatten" fix the number of frames.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The network does not support the attention.
    """
    inputs = keras.Input(input_shape, name="features")
    x = recurrent(time_first(inputs), [256], attention=attention, attention_at=attention_at)
    x = keras.layers.Dense(64, activation="relu", name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="lstm")


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference(input_shape=(128, 128, 1), num_classes=6, parameters=321_670, multiply_adds=39_854_848),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    aliases=["baseline_lstm"],
    recipe=RECURRENT_RECIPE,
)
def lstm_stacked(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.1,
    attention: Attention = None,
    attention_at: AttentionAt = "between",
    activation: Activation = "softmax",
) -> keras.Model:
    """Three LSTM layers of 128, 128 and 64 units and a dense layer on the last step.

    Args:
        input_shape: ``(bands, frames, channels)``. The network puts time on the first axis.
        num_classes: Number of classes.
        dropout: Dropout rate of the inputs of the first two recurrent layers.
        attention: "additive" or "self" attention over the frames, or `None`.
        attention_at: Place of the attention: "between" the last two recurrent layers, or after them, where "sum" adds the
            weighted frames and "flatten" keeps them all.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The network does not support the attention.
    """
    inputs = keras.Input(input_shape, name="features")
    widths, dropouts = (128, 128, 64), (dropout, dropout, 0.0)
    x = recurrent(time_first(inputs), widths, dropouts=dropouts, attention=attention, attention_at=attention_at)
    # The source has no activation here.
    x = keras.layers.Dense(128, name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="lstm_stacked")


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference(input_shape=(128, 128, 1), num_classes=6, parameters=280_318, multiply_adds=34_953_216),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    aliases=["recurrent_model"],
    recipe=RECURRENT_RECIPE,
)
def lstm_time_distributed(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.5,
    attention: Attention = None,
    attention_at: AttentionAt = "between",
    activation: Activation = "softmax",
) -> keras.Model:
    """Two LSTM layers, then four dense layers that reduce each frame to 8 numbers.

    Args:
        input_shape: ``(bands, frames, channels)``; the network puts time on the first axis. The number of frames is fixed.
        num_classes: Number of classes.
        dropout: Dropout rate after the recurrent layers.
        attention: "additive" or "self" attention over the frames, or `None`.
        attention_at: Place of the attention: "between" the recurrent layers, or after them, where "sum" adds the weighted
            frames before the dense layers and "flatten" keeps them all.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The network does not support the attention.
    """
    inputs = keras.Input(input_shape, name="features")
    x = recurrent(time_first(inputs), (128, 128), attention=attention, attention_at=attention_at, every_step=True)
    x = keras.layers.Dropout(dropout)(x)
    for units in (64, 32, 16, 8):
        x = keras.layers.Dense(units, activation="relu")(x)
    # Flattening 8 numbers of each frame fixes the number of frames.
    x = keras.layers.Flatten(name="embedding")(x)
    outputs = classify(x, num_classes, activation=activation, kernel_regularizer=keras.regularizers.L2(0.01))
    return keras.Model(inputs, outputs, name="lstm_time_distributed")


def recurrent(
    x: Any,
    widths: Sequence[int],
    *,
    dropouts: Sequence[float] | None = None,
    bidirectional: bool = False,
    attention: Attention = None,
    attention_at: AttentionAt = "between",
    every_step: bool = False,
) -> Any:
    """Apply LSTM layers, optionally with attention, to a sequence.

    Args:
        x: Sequence ``(steps, features)``.
        widths: Number of units of each layer.
        dropouts: Dropout rate of the inputs of each layer; `None` for no dropout.
        bidirectional: Whether each layer runs in both directions and concatenates the outputs.
        attention: "additive" (`FrameAttention`), "self" (`SelfAttention`) or `None`.
        attention_at: Place of the attention: "between" the last two layers, or after them, where "sum" adds the weighted steps
            and "flatten" keeps them all.
        every_step: Whether to return all steps instead of the last one or the flattened ones.

    Returns:
        A vector ``(features,)``; with `every_step` a sequence ``(steps, features)``, unless attention sums it.

    Raises:
        ValueError: The attention or its place is unknown, a single layer has attention "between" layers, or self-attention has
            the place "sum".
    """
    _check_attention(attention, attention_at, len(widths))
    # Attention needs all steps of the layer before it, so that layer must return its sequence.
    at_end = attention is not None and attention_at != "between"
    for index, units in enumerate(widths):
        last = index == len(widths) - 1
        if last and attention and not at_end:
            x = _attend(x, attention)
        dropout = dropouts[index] if dropouts else 0.0
        layer = keras.layers.LSTM(units, dropout=dropout, return_sequences=every_step or at_end or not last)
        x = (keras.layers.Bidirectional(layer) if bidirectional else layer)(x)
    if at_end:
        x = _attend(x, attention, summed=attention_at == "sum")
    return x if every_step or len(x.shape) == 2 else keras.layers.Flatten()(x)


def _attend(x: Any, attention: Attention, *, summed: bool = False) -> Any:
    from audiozoo.keras_layers import FrameAttention, SelfAttention

    return SelfAttention()(x) if attention == "self" else FrameAttention(return_sequences=not summed)(x)


def _check_attention(attention: Attention, attention_at: AttentionAt, layers: int) -> None:
    if attention not in ("additive", "self", None) or attention_at not in get_args(AttentionAt):
        raise ValueError(
            "attention must be 'additive', 'self' or None, and attention_at 'between', 'sum' or 'flatten', "
            f"got {attention!r} and {attention_at!r}"
        )
    if attention is not None and attention_at == "between" and layers < 2:
        raise ValueError("attention between layers needs two recurrent layers, got one: use attention_at='sum' or 'flatten'")
    if attention == "self" and attention_at == "sum":
        raise ValueError("self-attention gives a sequence, which has no weighted sum: use attention_at='between' or 'flatten'")
