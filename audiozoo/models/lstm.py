"""Recurrent networks on mel bands, and what the other recurrent models share with them.

Sources: `lstm` is the network of the article "music2vec: Generating Vector Embeddings for Genre-Classification Task"
(Srinivasa, Hebbar, 2017), as its figure shows it; `lstm_stacked` and `lstm_time_distributed` are in the code of
wubinbai/Audio-Classification-Models (2020), which also has the attention layer.
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
"""How recurrent networks train; the code's learning rate, 1e-4, needs ten times the steps."""


@register(
    frontend=MUSIC2VEC,
    reference=Reference(input_shape=(128, 128, 1), num_classes=8, parameters=411_208),
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
    """One recurrent layer of 256 units, and a dense one on its last step.

    Args:
        input_shape: ``(bands, frames, channels)``; the network puts time first itself.
        num_classes: Classes.
        attention: "additive" or "self" attention over the frames; `None` for the last step alone, as published.
        attention_at: "sum" adds the weighed frames up, "flatten" classifies all of them. There is one recurrent layer, hence
            no "between". Additive attention fixes the number of frames, "flatten" does too.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: An attention that the network cannot have.
    """
    inputs = keras.Input(input_shape, name="features")
    x = recurrent(time_first(inputs), [256], attention=attention, attention_at=attention_at)
    x = keras.layers.Dense(64, activation="relu", name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="lstm")


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference(input_shape=(128, 128, 1), num_classes=6, parameters=321_670),
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
    """Three recurrent layers of 128, 128 and 64 units, and a dense one on the last step.

    Args:
        input_shape: ``(bands, frames, channels)``; the network puts time first itself.
        num_classes: Classes.
        dropout: Of what the first two recurrent layers take in.
        attention: "additive" or "self" attention over the frames; `None` for none.
        attention_at: "between" is before the last recurrent layer; after it, "sum" adds the weighed frames up and "flatten"
            classifies all of them.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: An attention that the network cannot have.
    """
    inputs = keras.Input(input_shape, name="features")
    widths, dropouts = (128, 128, 64), (dropout, dropout, 0.0)
    x = recurrent(time_first(inputs), widths, dropouts=dropouts, attention=attention, attention_at=attention_at)
    # Linear in the source.
    x = keras.layers.Dense(128, name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="lstm_stacked")


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference(input_shape=(128, 128, 1), num_classes=6, parameters=280_318),
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
    """Two recurrent layers, then four dense ones that narrow each frame to 8 numbers.

    Args:
        input_shape: ``(bands, frames, channels)``; the network puts time first itself, and is made for that many frames.
        num_classes: Classes.
        dropout: After the recurrent layers.
        attention: "additive" or "self" attention over the frames; `None` for none.
        attention_at: "between" is between the recurrent layers; after them, "flatten" keeps the weighed frames for the dense
            layers and "sum" adds them up before.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: An attention that the network cannot have.
    """
    inputs = keras.Input(input_shape, name="features")
    x = recurrent(time_first(inputs), (128, 128), attention=attention, attention_at=attention_at, every_step=True)
    x = keras.layers.Dropout(dropout)(x)
    for units in (64, 32, 16, 8):
        x = keras.layers.Dense(units, activation="relu")(x)
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
    """Turn a sequence ``(steps, features)`` into a vector by LSTM layers: the last step, or what attention makes of all.

    Args:
        x: The sequence.
        widths: Units of each layer.
        dropouts: Share of each layer's input that is dropped in training; `None` for none.
        bidirectional: Run each layer both ways, its outputs side by side.
        attention: "additive" (`FrameAttention`), "self" (`SelfAttention`) or `None`.
        attention_at: "between" is before the last layer; after it, "sum" or "flatten".
        every_step: Return a sequence, unless attention sums it.

    Raises:
        ValueError: An attention that there is not, one between the layers of a single layer, or a sum of self-attention.
    """
    _check_attention(attention, attention_at, len(widths))
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
        raise ValueError("one recurrent layer has nothing between its layers: use attention_at='sum' or 'flatten'")
    if attention == "self" and attention_at == "sum":
        raise ValueError("self-attention gives a sequence and not weights to sum by: use attention_at='between' or 'flatten'")
