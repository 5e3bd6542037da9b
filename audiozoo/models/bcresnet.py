"""BC-ResNet: residual networks for keyword spotting whose blocks compute over time alone and broadcast back over the bands.

Source: Kim, Chang, Lee, Sung, "Broadcasted Residual Learning for Efficient Keyword Spotting", Interspeech 2021,
arXiv:2106.04140. This code follows the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiozoo.augment import SpecAugment, TimeShift
from audiozoo.features import LogMel
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.recipe import Recipe
from audiozoo.registry import PretrainedWeights, Reference, Score, register, register_variant
from audiozoo.weights import load_checkpoint

if TYPE_CHECKING:
    from audiozoo.weights import Arrays

_LOGMEL = LogMel(
    sample_rate=16_000,
    duration=1.0,
    n_fft=512,
    win_length=480,
    hop_length=160,
    n_mels=40,
    mel_scale="htk",
    norm=None,
    compression="log",
    edges="reflect",
)
"""40 log-mel bands by 101 frames: 30 ms every 10 ms in one second."""

_BLOCKS = (2, 2, 4, 4)
"""Number of blocks in each stage."""
_STRIDED = (1, 2)
"""Stages that halve the bands."""
_WIDTHS = (1.0, 1.5, 2.0, 2.5)
"""Channels of each stage, as multiples of the base width."""
_SUB_BANDS = 5
_TEST = "Speech Commands v2-12"
_EPSILON = 1e-5
_CLASSES = 12
"""Number of classes of the published task."""


def _modules() -> Iterator[tuple[str, str]]:
    """Yield the name of each layer with weights, and that of its module in a checkpoint of the authors' PyTorch code."""
    yield from (("head", "cnn_head.0"), ("head_norm", "cnn_head.1"))
    for stage, count in enumerate(_BLOCKS):
        for number in range(count):
            layer, module = f"stage{stage}_block{number}", f"BCBlocks.{stage}.{number}"
            first = number == 0  # the block that changes the width
            if first:
                yield from ((f"{layer}_widen", f"{module}.f2.0.block.0"), (f"{layer}_widen_norm", f"{module}.f2.0.block.1"))
            bands = f"{module}.f2.{int(first)}.block"
            yield from ((f"{layer}_bands", f"{bands}.0"), (f"{layer}_bands_norm", f"{bands}.1.ssnorm"))
            frames = f"{module}.f1.0.block"
            yield from ((f"{layer}_frames", f"{frames}.0"), (f"{layer}_frames_norm", f"{frames}.1"))
            yield f"{layer}_mix", f"{module}.f1.1"
    yield from (("tail_depthwise", "classifier.0"), ("tail", "classifier.1"), ("tail_norm", "classifier.2"))
    yield "logits", "classifier.5"


def _prepared(tensors: Arrays) -> Arrays:
    """Reshape the tensors of a checkpoint whose order or number of axes differs from this network's."""
    prepared = dict(tensors)
    for name, tensor in tensors.items():
        if ".ssnorm." in name and tensor.ndim == 1 and tensor.size % _SUB_BANDS == 0:
            # The checkpoint has the groups of bands of a channel side by side, this network the channels of a group.
            prepared[name] = tensor.reshape(-1, _SUB_BANDS).T.ravel()
    if (kernel := prepared.get("classifier.5.weight")) is not None:
        prepared["classifier.5.weight"] = kernel[:, :, 0, 0]  # a 1x1 convolution, here a dense layer
    return prepared


def _load(model: keras.Model, source: PretrainedWeights | Path) -> None:
    if isinstance(source, PretrainedWeights):  # the authors publish code and no weights
        raise TypeError(f"bcresnet loads weights from a file, got {source}")
    load_checkpoint(model, source, dict(_modules()).__getitem__, prepare=_prepared, published_classes=_CLASSES)


@register(
    frontend=_LOGMEL,
    reference=Reference(input_shape=(40, 101, 1), num_classes=_CLASSES, parameters=11_648, multiply_adds=2_542_756),
    paper="arXiv:2106.04140",
    year=2021,
    tasks=["keywords"],
    scores=[Score(_TEST, "accuracy", 96.9, "paper")],
    load_weights=_load,
    # The paper trains 200 epochs of 37,000 clips in batches of 100 at a rate of 0.1, which takes a CPU days.
    recipe=Recipe(
        epochs=50,
        min_steps=2_000,
        batch_size=64,
        optimizer="sgd",
        learning_rate=0.06,
        schedule="cosine",
        warmup=3,
        standardize=None,
        augment_wave=TimeShift(shift=(-0.1, 0.1), mode="pad"),
        augment_features=SpecAugment(freq_masks=2, freq_width=0.075, time_masks=2, time_width=0.2),
    ),
)
def bcresnet_1(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    width: float = 1.0,
    dropout: float = 0.1,
    l2: float = 5e-4,
    normalization_momentum: float = 0.9,
    activation: Activation = "softmax",
) -> keras.Model:
    """BC-ResNet-1: keyword spotting with 9,000 weights, on one second of log-mel bands.

    Each block convolves over the bands, takes the mean over them, convolves this mean over time, and adds the result to all
    bands. Batch normalisation over the bands has statistics of its own for each of five groups of bands, or for the largest
    number of equal groups below that, if five do not divide the bands.

    ``weights_file=`` takes a checkpoint of the authors' PyTorch code: its state dict in a PyTorch or safetensors file. If the
    model has other than 12 classes and the checkpoint has 12, the last layer keeps its random weights and needs training.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 33 bands and 1 frame.
        num_classes: Number of classes.
        width: Factor on the number of channels, `tau` in the paper.
        dropout: Dropout rate of whole channels in each block.
        l2: Factor of the L2 penalty on the kernels. It is half of the published weight decay of 1e-3, because the gradient of
            the penalty has a factor of 2.
        normalization_momentum: Momentum of batch normalisation.
        activation: "softmax", "sigmoid" for multi-label classification, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: The input is too small, or `width` leaves no channel.
    """
    base = int(8 * width)
    if base < 1:
        raise ValueError(f"bcresnet needs a width of at least 0.125, got {width}")
    # Three strides of 2 must leave the five bands of the last kernel.
    require_size("bcresnet", input_shape, (33, 1))
    block = _Block(dropout=dropout, l2=l2, momentum=normalization_momentum)
    inputs = keras.Input(input_shape, name="features")
    x = block.convolved(keras.layers.ZeroPadding2D(2)(inputs), 2 * base, "head", size=5, strides=(2, 1))
    for stage, (count, factor) in enumerate(zip(_BLOCKS, _WIDTHS, strict=True)):
        for number in range(count):
            x = block(x, int(base * factor), stage, number)
    x = keras.layers.ZeroPadding2D((0, 2))(x)
    x = block.depthwise(x, 5, "tail_depthwise", padding="valid")
    x = block.convolved(x, 4 * base, "tail")
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(inputs, classify(x, num_classes, activation=activation), name="bcresnet_1")


@dataclass(frozen=True)
class _Block:
    """Settings that all blocks share. Calling it adds a block.

    Args:
        dropout: Dropout rate of whole channels.
        l2: Factor of the L2 penalty on the kernels.
        momentum: Momentum of batch normalisation.
    """

    dropout: float
    l2: float
    momentum: float

    def __call__(self, x: Any, width: int, stage: int, number: int) -> Any:
        name = f"stage{stage}_block{number}"
        shortcut = x
        if widened := x.shape[-1] != width:
            x = self.convolved(x, width, f"{name}_widen")
        bands = self.depthwise(x, (3, 1), f"{name}_bands")
        # TensorFlow has no depthwise convolution with different strides, so this drops every second output.
        if number == 0 and stage in _STRIDED:
            bands = bands[:, ::2]
        bands = self._sub_spectral(bands, f"{name}_bands_norm")
        x = keras.layers.Add()([bands, self._over_time(bands, width, name, dilation=2**stage)])
        return keras.layers.ReLU()(x if widened else keras.layers.Add()([x, shortcut]))

    def _over_time(self, bands: Any, width: int, name: str, *, dilation: int) -> Any:
        x = keras.ops.mean(bands, axis=1, keepdims=True)
        x = self.depthwise(x, (1, 3), f"{name}_frames", dilation_rate=(1, dilation))
        x = self.normalized(x, f"{name}_frames_norm")
        x = keras.layers.Activation("swish")(x)
        x = keras.layers.Conv2D(width, 1, name=f"{name}_mix", **self._kernel())(x)
        return keras.layers.SpatialDropout2D(self.dropout)(x)

    def _sub_spectral(self, x: Any, name: str) -> Any:
        from audiozoo.keras_layers import SubSpectralNormalization

        groups = next(groups for groups in range(_SUB_BANDS, 0, -1) if x.shape[1] % groups == 0)
        return SubSpectralNormalization(groups, momentum=self.momentum, epsilon=_EPSILON, name=name)(x)

    def convolved(self, x: Any, width: int, name: str, *, size: int = 1, strides: tuple[int, int] = (1, 1)) -> Any:
        """Add a convolution without padding, batch normalisation and a ReLU."""
        x = keras.layers.Conv2D(width, size, strides=strides, name=name, **self._kernel())(x)
        return keras.layers.ReLU()(self.normalized(x, f"{name}_norm"))

    def depthwise(self, x: Any, size: int | tuple[int, int], name: str, *, padding: str = "same", **settings: Any) -> Any:
        """Add a depthwise convolution without bias."""
        penalty = keras.regularizers.L2(self.l2)
        layer = keras.layers.DepthwiseConv2D(
            size, padding=padding, use_bias=False, depthwise_regularizer=penalty, name=name, **settings
        )
        return layer(x)

    def normalized(self, x: Any, name: str) -> Any:
        """Add batch normalisation."""
        return keras.layers.BatchNormalization(momentum=self.momentum, epsilon=_EPSILON, name=name)(x)

    def _kernel(self) -> dict[str, Any]:
        return {
            "use_bias": False,
            "kernel_initializer": "he_normal",
            "kernel_regularizer": keras.regularizers.L2(self.l2),
        }


for _name, _width, _parameters, _multiply_adds, _weights, _accuracy in (
    ("1_5", 1.5, 20_778, 4_698_894, "17,000", None),
    ("2", 2.0, 32_116, 7_444_872, "27,000", 97.8),
    ("3", 3.0, 61_416, 14_706_348, "54,000", 98.2),
    ("6", 6.0, 202_308, 50_646_936, "188,000", None),
    ("8", 8.0, 340_396, 86_404_128, "321,000", 98.7),
):
    register_variant(
        f"bcresnet_{_name}",
        bcresnet_1,
        options={"width": _width},
        parameters=_parameters,
        multiply_adds=_multiply_adds,
        description=f"BC-ResNet-{_width:g}: BC-ResNet with {_weights} weights, {_width:g} times as wide as `bcresnet_1`.",
        scores=[Score(_TEST, "accuracy", _accuracy, "paper")] if _accuracy else [],
    )
