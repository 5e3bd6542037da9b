"""ACDNet: learns its own filters from the waveform and reads what they give as a picture.

Source: Mohaimenuzzaman, Bergmeir, West, Meyer, "Environmental Sound Classification on the Edge: A Pipeline for Deep Acoustic
Networks on Extremely Resource-Constrained Devices", Pattern Recognition 2023, arXiv:2103.03483.
"""

from __future__ import annotations

from typing import Any

from audiozoo.features import Waveform
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register


@register(
    frontend=Waveform(sample_rate=20_000, duration=30_225 / 20_000),
    reference=Reference((30_225, 1), num_classes=50, parameters=4_739_526),
    paper="arXiv:2103.03483",
    year=2021,
    scores=[
        Score("ESC-10", "accuracy", 96.65, "paper, five folds, best epoch on the test fold"),
        Score("ESC-50", "accuracy", 87.10, "paper, five folds, best epoch on the test fold"),
    ],
    recipe=Recipe(
        epochs=2_000,
        batch_size=64,
        optimizer="sgd",
        learning_rate=0.1,
        schedule="cosine",
        warmup=10,
        validation=0.0,
        standardize=None,
    ),
)
def acdnet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.2,
    l2: float = 2.5e-4,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """Two convolutions over time learn 64 filters every 10 ms, ten 3x3 ones read them as a spectrogram.

    Its last convolution has as many filters as there are classes, and their means are the embedding.

    Args:
        input_shape: ``(samples, channels)``, at least 213 samples. The published pool of 50 is 10 ms at 20 kHz.
        num_classes: Classes.
        dropout: Before the last convolution.
        l2: Weight of the squares of the kernels in the loss; half of the published weight decay, which is the same.
        normalization_momentum: Of the moving averages.
        activation: "softmax", "sigmoid" for several labels at once, or `None` for logits.

    Raises:
        ValueError: The input is too small.
    """
    require_size("acdnet", input_shape, (213,))
    inputs = x = keras.Input(input_shape, name="features")
    kernels = {"use_bias": False, "kernel_initializer": "he_normal", "kernel_regularizer": keras.regularizers.L2(l2)}
    for filters, size in ((8, 9), (64, 5)):
        x = _activated(keras.layers.Conv1D(filters, size, strides=2, **kernels)(x), normalization_momentum)
    x = keras.layers.MaxPooling1D(50)(x)
    x = keras.layers.Reshape((64, -1, 1))(keras.layers.Permute((2, 1))(x))
    for filters, convolutions in ((32, 1), (64, 2), (128, 2), (256, 2), (512, 2)):
        for _ in range(convolutions):
            x = _activated(keras.layers.Conv2D(filters, 3, padding="same", **kernels)(x), normalization_momentum)
        # Time that is down to one frame is pooled no more, so that short inputs pass.
        x = keras.layers.MaxPooling2D((2, min(2, x.shape[2])))(x)
    x = keras.layers.Dropout(dropout)(x)
    x = _activated(keras.layers.Conv2D(num_classes, 1, **kernels)(x), normalization_momentum)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    ends = {"kernel_initializer": "lecun_normal", "kernel_regularizer": kernels["kernel_regularizer"]}
    outputs = classify(x, num_classes, activation=activation, **ends)
    return keras.Model(inputs, outputs, name="acdnet")


def _activated(x: Any, momentum: float) -> Any:
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=momentum)(x))
