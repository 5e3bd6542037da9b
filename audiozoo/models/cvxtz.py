"""Two small CNNs for the Freesound 2018 challenge: one on the waveform, one on a log-mel spectrogram.

Source: CVxTz/audio_classification (2018), which reports results of three averaged networks and does not state the split.
"""

from __future__ import annotations

from audiozoo.features import LogMel, Scale, Waveform
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.recipe import Recipe
from audiozoo.registry import Reference, Score, register


@register(
    frontend=Waveform(sample_rate=16_000, duration=2.0, scaling="minmax"),
    reference=Reference((32_000, 1), num_classes=41, parameters=360_513, multiply_adds=117_029_668),
    paper="CVxTz/audio_classification",
    year=2018,
    scores=[Score("FSDKaggle2018", "MAP@3", 0.754, "mean of three networks, split unstated")],
    recipe=Recipe(epochs=20, min_steps=4_000, batch_size=32, learning_rate=1e-4, patience=5, standardize=None),
)
def wave_cnn(
    input_shape: tuple[int, ...], num_classes: int, *, dropout: float = 0.1, activation: Activation = "softmax"
) -> keras.Model:
    """Eight 1-D convolutions on two seconds of waveform.

    Args:
        input_shape: ``(samples, channels)``, at least 1,616 samples.
        num_classes: Number of classes.
        dropout: Dropout rate after each pooling; twice this rate before the dense layers.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    require_size("wave_cnn", input_shape, (1_616,))
    inputs = x = keras.Input(input_shape, name="features")
    # The first pool of 16 shortens the 32,000 samples early, so the later layers are cheap.
    for filters, kernel, pool in ((16, 9, 16), (32, 3, 4), (32, 3, 4)):
        x = keras.layers.Conv1D(filters, kernel, activation="relu")(x)
        x = keras.layers.Conv1D(filters, kernel, activation="relu")(x)
        x = keras.layers.MaxPooling1D(pool)(x)
        x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Conv1D(256, 3, activation="relu")(x)
    x = keras.layers.Conv1D(256, 3, activation="relu")(x)
    x = keras.layers.GlobalMaxPooling1D()(x)
    x = keras.layers.Dropout(2 * dropout)(x)
    x = keras.layers.Dense(64, activation="relu")(x)
    # 1,028 and not 1,024, as in the source.
    x = keras.layers.Dense(1_028, activation="relu", name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="wave_cnn")


@register(
    frontend=Scale(
        of=LogMel(sample_rate=16_000, duration=5.0, n_fft=2_048, hop_length=512, n_mels=320, reference="max"),
        gain=1 / 40,
        offset=1.0,
    ),
    reference=Reference((320, 157, 1), num_classes=41, parameters=95_965, multiply_adds=301_810_656),
    paper="CVxTz/audio_classification",
    year=2018,
    scores=[Score("FSDKaggle2018", "MAP@3", 0.849, "mean of three networks, split unstated")],
    recipe=Recipe(epochs=60, batch_size=32, learning_rate=1e-3, patience=20, refit=True, standardize=None),
)
def mel_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.1,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """Batch normalisation and five convolutions without padding on 320 mel bands.

    The first two kernels and the first pool cover 7 bands by 3 frames. The source, with time first, writes (3, 7).

    Args:
        input_shape: ``(bands, frames, channels)``, at least 103 bands and 43 frames.
        num_classes: Number of classes.
        dropout: Dropout rate after each pooling.
        normalization_momentum: Momentum of batch normalisation. The source's 0.99 settles only after thousands of steps.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small.
    """
    require_size("mel_cnn", input_shape, (103, 43))
    inputs = keras.Input(input_shape, name="features")
    # This normalisation learns the level of the recordings, so the recipe does not standardise the features.
    x = keras.layers.BatchNormalization(momentum=normalization_momentum)(inputs)
    for filters, size in ((16, (7, 3)), (32, (3, 3))):
        x = keras.layers.Conv2D(filters, size, activation="relu")(x)
        x = keras.layers.Conv2D(filters, size, activation="relu")(x)
        x = keras.layers.MaxPooling2D(size)(x)
        x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Conv2D(128, 3, activation="relu")(x)
    x = keras.layers.GlobalMaxPooling2D()(x)
    x = keras.layers.Dropout(dropout)(x)
    for name in (None, "embedding"):
        x = keras.layers.Dense(128, activation="relu")(x)
        x = keras.layers.BatchNormalization(momentum=normalization_momentum, name=name)(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="mel_cnn")
