"""house_cnn: a small network of this package, the default of ``audiozoo train``."""

from __future__ import annotations

from typing import Any

from audiozoo.augment import Compose, FilterAugment, SpecAugment, TimeRoll
from audiozoo.features import LogMel
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, register


@register(
    frontend=LogMel(
        sample_rate=32_000,
        duration=5.0,
        frames=250,
        n_fft=1_024,
        hop_length=640,
        n_mels=64,
        fmin=40.0,
        reference="max",
        pad="repeat",
    ),
    reference=Reference(input_shape=(64, 250, 1), num_classes=10, parameters=564_226, multiply_adds=141_416_704),
    paper="this package",
    year=2026,
    recipe=Recipe(
        epochs=100,
        min_steps=1_000,
        batch_size=16,
        optimizer="adamw",
        learning_rate=2e-3,
        schedule="cosine",
        warmup=3,
        refit=True,
        weight_decay=0.02,
        augment_features=Compose(transforms=(TimeRoll(), FilterAugment(), FilterAugment(knots=(1, 1)), SpecAugment())),
    ),
)
def house_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    filters: tuple[int, ...] = (24, 48, 96, 160, 256),
    dropout: float = 0.4,
    activation: Activation = "softmax",
) -> keras.Model:
    """Small CNN on log-mel bands, fast on a CPU: five convolutions, then mean and maximum over time.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 16 by 16 with five convolutions.
        num_classes: Number of classes.
        filters: Number of filters of each convolution. The first one halves bands and frames with a stride of 2, those between
            the first and the last with pooling.
        dropout: Dropout rate of the embedding.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    smallest = 2 ** (len(filters) - 1)
    require_size("house_cnn", input_shape, (smallest, smallest))
    # A 5x5 kernel with a stride of 2 costs a quarter of the same kernel with pooling, at the largest size of the network.
    first, *middle, last = filters
    inputs = keras.Input(input_shape, name="features")
    x = _block(inputs, first, kernel=5, strides=2)
    for width in middle:
        x = _block(x, width, pool=True)
    # The pooling of PANNs (Kong et al., arXiv:1912.10211): the mean over time keeps steady sounds, the maximum short ones.
    x = keras.ops.mean(_block(x, last), axis=1)
    x = keras.layers.Add(name="embedding")([keras.layers.GlobalMaxPooling1D()(x), keras.layers.GlobalAveragePooling1D()(x)])
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="house_cnn")


def _block(x: Any, filters: int, *, kernel: int = 3, strides: int = 1, pool: bool = False) -> Any:
    # Batch normalisation would remove a bias.
    x = keras.layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    if pool:
        # Pooling before batch normalisation gives nearly the same function and normalises a quarter of the values.
        x = keras.layers.MaxPooling2D(2)(x)
    # A momentum of 0.9 settles within the few hundred steps of a small dataset; the usual 0.99 does not.
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.ReLU()(x)
