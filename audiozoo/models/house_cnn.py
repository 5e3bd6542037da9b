"""house_cnn: our own small network, the default of ``audiozoo train``."""

from __future__ import annotations

from typing import Any

from audiozoo.augment import Compose, FilterAugment, Mixup, SpecAugment, TimeRoll
from audiozoo.features import LogMel
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.registry import Reference, register


@register(
    frontend=LogMel(sample_rate=22_050, duration=5.0, frames=250, n_fft=1_024, hop_length=441, n_mels=64, reference="max"),
    reference=Reference(input_shape=(64, 250, 1), num_classes=10, parameters=763_818),
    paper="this package",
    year=2026,
    recipe={
        "epochs": 80,
        "batch_size": 32,
        "optimizer": "adamw",
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "weight_decay": 1e-2,
        "augment_features": Compose(transforms=(TimeRoll(), FilterAugment(), SpecAugment())),
        "mix": Mixup(alpha=0.3),
    },
)
def house_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    filters: tuple[int, ...] = (32, 64, 128, 192, 256),
    dropout: float = 0.4,
    activation: Activation = "softmax",
) -> keras.Model:
    """Small modern CNN on log-mel: 3x3 convolutions, mean and maximum over time.

    Args:
        input_shape: ``(bands, frames, channels)``.
        num_classes: Classes.
        filters: Of each convolution; each but the last is followed by pooling.
        dropout: Before the classification.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small.
    """
    smallest = 2 ** (len(filters) - 1)
    require_size("house_cnn", input_shape, (smallest, smallest))
    inputs = x = keras.Input(input_shape, name="features")
    for index, width in enumerate(filters):
        x = _block(x, width, pool=index < len(filters) - 1)
    x = keras.ops.mean(x, axis=1)
    x = keras.layers.Concatenate(name="embedding")(
        [keras.layers.GlobalMaxPooling1D()(x), keras.layers.GlobalAveragePooling1D()(x)]
    )
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="house_cnn")


def _block(x: Any, filters: int, *, pool: bool) -> Any:
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.ReLU()(x)
    return keras.layers.MaxPooling2D(2)(x) if pool else x
