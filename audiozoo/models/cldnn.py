"""CLDNN: convolutions, then LSTM layers over time, then dense layers, optionally with attention.

Sources: Sainath, Vinyals, Senior, Sak, "Convolutional, Long Short-Term Memory, Fully Connected Deep Neural Networks", ICASSP
2015, introduced the architecture. `cldnn` follows the article "music2vec" (Srinivasa, Hebbar, 2017). The bidirectional networks
and their attention follow the code of wubinbai/Audio-Classification-Models (2020).
"""

from __future__ import annotations

from audiozoo.features.presets import MEL_POWER_128X128, MUSIC2VEC
from audiozoo.layers import Activation, classify, convolution_block, keras, require_size, time_first
from audiozoo.models.lstm import RECURRENT_RECIPE, Attention, AttentionAt, recurrent
from audiozoo.registry import Reference, register, register_variant


@register(
    frontend=MUSIC2VEC,
    reference=Reference(input_shape=(128, 128, 1), num_classes=8, parameters=1_264_424, multiply_adds=60_301_824),
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
    """CLDNN of music2vec: three convolutions, two LSTM layers, two dense layers.

    The article gives the kernels, the recurrent layers, and the shapes 32x32x64 and 32x2048 between the parts. The numbers of
    filters of the first two convolutions, the pooling by 4 that leads to those shapes, and the ReLUs are this package's choice.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 4 bands and 4 frames.
        num_classes: Number of classes.
        filters: Number of filters of each convolution.
        attention: "additive" or "self" attention over the frames, or `None`, as published.
        attention_at: Place of the attention: "between" the recurrent layers, or after them, where "sum" adds the weighted
            frames and "flatten" keeps them all.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small, or the network does not support the attention.
    """
    require_size("cldnn", input_shape, (4, 4))
    inputs = x = keras.Input(input_shape, name="features")
    # Two pools by 4 turn 128x128 into 32x32. The third convolution has no pool, because the article then has 32 steps of 32x64.
    for count, kernel, pool in zip(filters, ((1, 3), (3, 1), (1, 3)), ((1, 4), (4, 1), None), strict=True):
        x = keras.layers.Conv2D(count, kernel, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D(pool)(x) if pool else x
    x = recurrent(time_first(x), (128, 128), attention=attention, attention_at=attention_at)
    x = keras.layers.Dense(64, activation="relu", name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="cldnn")


@register(
    frontend=MEL_POWER_128X128,
    reference=Reference(input_shape=(128, 128, 1), num_classes=6, parameters=2_711_974, multiply_adds=454_574_464),
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
    """Bidirectional CLDNN: nine convolutions in three blocks, two bidirectional LSTM layers, two dense layers.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 4 bands and 4 frames.
        num_classes: Number of classes.
        dropout: Dropout rate of the inputs of the recurrent layers.
        attention: "additive" or "self" attention over the frames, or `None`.
        attention_at: Place of the attention: "between" the recurrent layers, or after them, where "sum" adds the weighted
            frames and "flatten" keeps them all.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small, or the network does not support the attention.
    """
    require_size("cldnn_bidirectional", input_shape, (4, 4))
    inputs = x = keras.Input(input_shape, name="features")
    # Time alone, bands alone, both. The source initialises these kernels with a normal distribution of deviation 0.05.
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
    # The source has no activation here.
    x = keras.layers.Dense(64, name="embedding")(x)
    outputs = classify(x, num_classes, activation=activation, kernel_regularizer=keras.regularizers.L2(1e-4))
    return keras.Model(inputs, outputs, name="cldnn_bidirectional")


register_variant(
    "cldnn_attention", cldnn_bidirectional, options={"attention": "additive"}, parameters=2_712_262, multiply_adds=454_574_464
)
register_variant(
    "cldnn_self_attention", cldnn_bidirectional, options={"attention": "self"}, parameters=2_728_423, multiply_adds=454_574_464
)
