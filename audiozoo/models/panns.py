"""PANNs: convolutional networks on log-mel bands, pretrained on the 527 classes of AudioSet.

Source: Kong, Cao, Iqbal, Wang, Wang, Plumbley, "PANNs: Large-scale pretrained audio neural networks for audio pattern
recognition", IEEE/ACM TASLP 28, 2020, arXiv:1912.10211, and its code (MIT). The authors publish the weights under CC BY 4.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from audiozoo.checks import require_count
from audiozoo.features.presets import PANNS, PANNS_16K
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.models.audioset import class_names
from audiozoo.recipe import Recipe
from audiozoo.registry import PretrainedWeights, Reference, Score, register, register_variant
from audiozoo.weights import load_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

_ZENODO = "https://zenodo.org/records/3987831"
_EPSILON = 1e-5
_MOMENTUM = 0.9


def _published(file: str, **checksum: str) -> dict[str, PretrainedWeights]:
    url = f"{_ZENODO}/files/{file}"
    return {"audioset": PretrainedWeights(url=url, licence="CC BY 4.0", labels=class_names(), page=_ZENODO, **checksum)}


def _name(layer: str) -> str:
    """Return the name of a layer in the published files."""
    return {"embedding": "fc1", "logits": "fc_audioset"}.get(layer) or layer.replace("_conv", ".conv").replace("_bn", ".bn")


def _load(model: keras.Model, source: PretrainedWeights | Path) -> None:
    path = source.fetch() if isinstance(source, PretrainedWeights) else source
    # The constants of the frontend are in the file too.
    constants = ["spectrogram_extractor.*", "logmel_extractor.*"]
    load_checkpoint(model, path, _name, time_first=True, ignore=constants, published_classes=len(class_names()))


_RECIPE = Recipe(epochs=60, batch_size=32, learning_rate=1e-3, schedule="cosine", patience=20, standardize=None)


@register(
    frontend=PANNS,
    reference=Reference(input_shape=(64, 1_001, 1), num_classes=527, parameters=80_769_871, multiply_adds=20_041_926_656),
    paper="arXiv:1912.10211",
    year=2020,
    aliases=["panns_cnn14"],
    scores=[
        Score("AudioSet", "mAP", 0.431, "the paper, evaluation set"),
        Score("ESC-50", "accuracy", 94.7, "the paper, five folds, fine-tuned"),
        Score("ESC-50", "accuracy", 90.8, "the paper, five folds, frozen"),
        Score("ESC-50", "accuracy", 83.3, "the paper, five folds, from scratch"),
    ],
    weights=_published("Cnn14_mAP%3D0.431.pth", sha256="0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31"),
    recipe=_RECIPE,
    load_weights=_load,
    any_length=True,
)
def cnn14(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    filters: Sequence[int] = (64, 128, 256, 512, 1_024, 2_048),
    block_dropout: float = 0.2,
    dropout: float = 0.5,
    activation: Activation = "sigmoid",
) -> keras.Model:
    """CNN14 of the PANNs: six blocks of two convolutions on log-mel bands, pretrained on the 527 classes of AudioSet.

    ``weights="audioset"`` downloads the published weights. The path of a copy works as `weights_file`. With a number of classes
    other than 527, the last layer keeps its random weights and needs training.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 32 bands and frames with six blocks; the published weights take 64
            bands and one channel. `None` frames means any number.
        num_classes: Number of classes; AudioSet has 527.
        filters: Number of filters of each block; the last is also the width of the embedding. All blocks but the last halve
            bands and frames.
        block_dropout: Dropout rate after each block.
        dropout: Dropout rate before and after the embedding.
        activation: "sigmoid" for multi-label classification, as published, "softmax" for a single label, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: There are too few bands or frames, or no blocks.
    """
    blocks = [(count, True) for count in filters[:-1]] + [(count, False) for count in filters[-1:]]
    inputs, x = _embedded("cnn14", input_shape, blocks, block_dropout=block_dropout, dropout=dropout)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="cnn14")


@register(
    frontend=PANNS,
    reference=Reference(input_shape=(64, 1_001, 1), num_classes=527, parameters=5_223_247, multiply_adds=13_015_920_128),
    paper="arXiv:1912.10211",
    year=2020,
    aliases=["panns_cnn10"],
    scores=[
        Score("AudioSet", "mAP", 0.380, "the paper, evaluation set"),
        Score("ESC-50", "accuracy", 89.75, "PaddleSpeech, five folds, fine-tuned"),
    ],
    weights=_published("Cnn10_mAP%3D0.380.pth", md5="bfb1f1f9968938fa8ef4012b8471f5f6"),
    recipe=_RECIPE,
    load_weights=_load,
    any_length=True,
)
def cnn10(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    filters: Sequence[int] = (64, 128, 256, 512),
    convolutions: int = 2,
    kernel_size: int = 3,
    block_dropout: float = 0.2,
    dropout: float = 0.5,
    activation: Activation = "sigmoid",
) -> keras.Model:
    """CNN10 of the PANNs: four blocks of two convolutions on log-mel bands, pretrained on the 527 classes of AudioSet.

    Published weights are used as for `cnn14`.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 16 bands and frames with four blocks; the published weights take 64
            bands and one channel. `None` frames means any number.
        num_classes: Number of classes; AudioSet has 527.
        filters: Number of filters of each block; the last is also the width of the embedding. Each block halves bands and
            frames.
        convolutions: Number of convolutions in a block.
        kernel_size: Size of the kernels.
        block_dropout: Dropout rate after each block.
        dropout: Dropout rate before and after the embedding.
        activation: "sigmoid" for multi-label classification, as published, "softmax" for a single label, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: There are too few bands or frames, or no blocks.
    """
    kernels: dict[str, Any] = {"convolutions": convolutions, "kernel_size": kernel_size}
    rates: dict[str, Any] = {"block_dropout": block_dropout, "dropout": dropout}
    inputs, x = _embedded("cnn10", input_shape, [(count, True) for count in filters], **kernels, **rates)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="cnn10")


def _embedded(
    name: str,
    input_shape: tuple[int, ...],
    blocks: Sequence[tuple[int, bool]],
    *,
    convolutions: int = 2,
    kernel_size: int = 3,
    block_dropout: float,
    dropout: float,
) -> tuple[Any, Any]:
    """Return the input of a network and its embedding; each block is its number of filters and whether it pools."""
    require_count("the number of blocks in filters", len(blocks), least=1)
    smallest = 2 ** sum(pools for _, pools in blocks)
    require_size(name, input_shape, (smallest, smallest))
    inputs = keras.Input(input_shape, name="features")
    x = _normalization("bn0", axis=1)(inputs)
    for number, (filters, pools) in enumerate(blocks, 1):
        x = _block(x, f"conv_block{number}", filters, convolutions, kernel_size)
        x = keras.layers.AveragePooling2D(2)(x) if pools else x
        x = keras.layers.Dropout(block_dropout)(x)
    x = keras.ops.mean(x, axis=1)
    x = keras.layers.GlobalMaxPooling1D()(x) + keras.layers.GlobalAveragePooling1D()(x)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(blocks[-1][0], activation="relu", name="embedding")(x)
    return inputs, keras.layers.Dropout(dropout)(x)


def _block(x: Any, name: str, filters: int, convolutions: int, kernel_size: int) -> Any:
    for number in range(1, convolutions + 1):
        convolution = keras.layers.Conv2D(filters, kernel_size, padding="same", use_bias=False, name=f"{name}_conv{number}")
        x = keras.layers.ReLU()(_normalization(f"{name}_bn{number}")(convolution(x)))
    return x


def _normalization(name: str, *, axis: int = -1) -> Any:
    return keras.layers.BatchNormalization(axis=axis, epsilon=_EPSILON, momentum=_MOMENTUM, name=name)


register_variant(
    "cnn14_16k",
    cnn14,
    options={},
    parameters=80_769_871,
    multiply_adds=20_041_926_656,
    description="CNN14 of the PANNs for sounds at 16 kHz, pretrained on the 527 classes of AudioSet.",
    frontend=PANNS_16K,
    scores=[Score("AudioSet", "mAP", 0.438, "the authors' page, evaluation set")],
    weights=_published("Cnn14_16k_mAP%3D0.438.pth", sha256="e2ee543a27919542c2ea03eabaa70b24dcd4e6c8e05621de6b67a94e4c5058e6"),
)
register_variant(
    "cnn6",
    cnn10,
    options={"convolutions": 1, "kernel_size": 5},
    parameters=4_839_503,
    multiply_adds=9_933_434_368,
    description="CNN6 of the PANNs: four 5x5 convolutions, pretrained on the 527 classes of AudioSet.",
    scores=[
        Score("AudioSet", "mAP", 0.343, "the paper, evaluation set"),
        Score("ESC-50", "accuracy", 88.25, "PaddleSpeech, five folds, fine-tuned"),
    ],
    weights=_published("Cnn6_mAP%3D0.343.pth", md5="e25e26b84585b14c7754c91e48efc9be"),
)
