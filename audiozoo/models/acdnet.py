"""ACDNet: one-dimensional convolutions learn a filterbank on the waveform, two-dimensional ones classify its output.

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
    reference=Reference((30_225, 1), num_classes=50, parameters=4_739_526, multiply_adds=541_869_356),
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
    """ACDNet: two 1-D convolutions learn a filterbank on the waveform, nine 3x3 convolutions classify its output.

    The first part gives 64 filter outputs every 10 ms, which the second part takes as a spectrogram. The last convolution has
    one filter for each class; the means of these filters are the embedding.

    Args:
        input_shape: ``(samples, channels)``, at least 213 samples.
        num_classes: Number of classes.
        dropout: Dropout rate before the last convolution.
        l2: Factor of the L2 penalty on the kernels. It is half of the published weight decay of 5e-4, because the gradient of
            the penalty has a factor of 2.
        normalization_momentum: Momentum of batch normalisation.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    require_size("acdnet", input_shape, (213,))
    inputs = x = keras.Input(input_shape, name="features")
    # Batch normalisation follows every convolution and would remove a bias.
    kernels = {"use_bias": False, "kernel_initializer": "he_normal", "kernel_regularizer": keras.regularizers.L2(l2)}
    for filters, size in ((8, 9), (64, 5)):
        x = _activated(keras.layers.Conv1D(filters, size, strides=2, **kernels)(x), normalization_momentum)
    # Two strides of 2 and this pooling of 50 give one frame in 200 samples, which are 10 ms at 20 kHz.
    x = keras.layers.MaxPooling1D(50)(x)
    # From here on the 64 filters are the bands of a spectrogram with one channel.
    x = keras.layers.Reshape((64, -1, 1))(keras.layers.Permute((2, 1))(x))
    for filters, convolutions in ((32, 1), (64, 2), (128, 2), (256, 2), (512, 2)):
        for _ in range(convolutions):
            x = _activated(keras.layers.Conv2D(filters, 3, padding="same", **kernels)(x), normalization_momentum)
        # A single frame cannot be pooled further; without the minimum, short inputs would be refused.
        x = keras.layers.MaxPooling2D((2, min(2, x.shape[2])))(x)
    x = keras.layers.Dropout(dropout)(x)
    # As in the paper, a 1x1 convolution reduces the features to one map for each class before the mean.
    x = _activated(keras.layers.Conv2D(num_classes, 1, **kernels)(x), normalization_momentum)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    ends = {"kernel_initializer": "lecun_normal", "kernel_regularizer": kernels["kernel_regularizer"]}
    outputs = classify(x, num_classes, activation=activation, **ends)
    return keras.Model(inputs, outputs, name="acdnet")


def _activated(x: Any, momentum: float) -> Any:
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=momentum)(x))
