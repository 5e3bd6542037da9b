"""CLDNN: convolutions, then LSTM layers over time, then dense layers; with attention if wished.

Sources: the kind of network is of Sainath, Vinyals, Senior, Sak, "Convolutional, Long Short-Term Memory, Fully Connected Deep
Neural Networks", ICASSP 2015. `cldnn` is the one of the article "music2vec" (Srinivasa, Hebbar, 2017); the bidirectional ones,
with their attention, are in the code of wubinbai/Audio-Classification-Models (2020).
"""

from __future__ import annotations

from audiozoo.features.presets import MEL_POWER_128X128, MUSIC2VEC
from audiozoo.layers import Activation, classify, convolution_block, keras, require_size, time_first
from audiozoo.models.lstm import RECURRENT_RECIPE, Attention, AttentionAt, recurrent
from audiozoo.registry import Reference, register, register_variant


@register(
    frontend=MUSIC2VEC,
    reference=Reference(input_shape=(128, 128, 1), num_classes=8, parameters=1_264_424),
    paper="Srinivasa, Hebbar, music2vec",
    year=2017,
    recipe=RECURRENT_RECIPE,
)
def cldnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    filters: tuple[int, int, int] = (32, 32, 64),
    attention: Attention = None,
    attention_at: AttentionAt = "between",
    activation: Activation = "softmax",
) -> keras.Model:
    """Three convolutions over time and bands in turn, two recurrent layers, two dense ones.

    The article publishes the kernels, the 32x32x64 and 32x2048 between its parts and the recurrent layers. The first two
    numbers of filters, the pooling by 4 that gives those shapes and the ReLUs are this package's reading of it.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 4 bands and 4 frames.
        num_classes: Classes.
        filters: Of each convolution.
        attention: "additive" or "self" attention over the frames; `None` for none, as published.
        attention_at: "between" the recurrent layers; after them, "sum" adds the weighed frames up and "flatten" classifies
            all of them.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small, or an attention that the network cannot have.
    """
    require_size("cldnn", input_shape, (4, 4))
    inputs = x = keras.Input(input_shape, name="features")
    for count, kernel, pool in zip(filters, ((1, 3), (3, 1), (1, 3)), ((1, 4), (4, 1), None), strict=True):
        x = keras.layers.Conv2D(count, kernel, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D(pool)(x) if pool else x
    x = recurrent(time_first(x), (128, 128), attention=attention, attention_at=attention_at)
    x = keras.layers.Dense(64, activation="relu", name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="cldnn")


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference(input_shape=(128, 128, 1), num_classes=6, parameters=2_711_974),
    paper="wubinbai/Audio-Classification-Models",
    year=2020,
    aliases=["baseline_cldnn"],
    recipe=RECURRENT_RECIPE,
)
def cldnn_bidirectional(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.25,
    attention: Attention = None,
    attention_at: AttentionAt = "between",
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """Nine convolutions in three blocks, two bidirectional recurrent layers, two dense ones.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 4 bands and 4 frames.
        num_classes: Classes.
        dropout: Of what the recurrent layers take in.
        attention: "additive" or "self" attention over the frames; `None` for none.
        attention_at: "between" the recurrent layers; after them, "sum" adds the weighed frames up and "flatten" classifies
            all of them.
        normalization_momentum: Of the moving averages. The original's 0.99 needs some thousand steps to settle.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small, or an attention that the network cannot have.
    """
    require_size("cldnn_bidirectional", input_shape, (4, 4))
    inputs = x = keras.Input(input_shape, name="features")
    for filters, kernel, pool in ((32, (1, 3), (1, 2)), (32, (3, 1), (2, 1)), (64, (3, 3), (2, 2))):
        x = convolution_block(x, filters, kernel, pool, momentum=normalization_momentum, kernel_initializer="random_normal")
    x = recurrent(
        time_first(x),
        (128, 128),
        dropouts=(dropout, dropout),
        bidirectional=True,
        attention=attention,
        attention_at=attention_at,
    )
    # Linear in the source.
    x = keras.layers.Dense(64, name="embedding")(x)
    outputs = classify(x, num_classes, activation=activation, kernel_regularizer=keras.regularizers.L2(1e-4))
    return keras.Model(inputs, outputs, name="cldnn_bidirectional")


register_variant("cldnn_attention", cldnn_bidirectional, options={"attention": "additive"}, parameters=2_712_262)
register_variant("cldnn_self_attention", cldnn_bidirectional, options={"attention": "self"}, parameters=2_728_423)
