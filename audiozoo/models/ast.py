"""AST: the audio spectrogram transformer, which attends to overlapping patches of a log-mel spectrogram.

Source: Gong, Chung, Glass, "AST: Audio Spectrogram Transformer", Interspeech 2021, arXiv:2104.01778, and its code and weights
(BSD 3-clause). The published weights are those in the format of Hugging Face's transformers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from audiozoo.augment import Mixup
from audiozoo.checks import require_count
from audiozoo.features.presets import AST, AST_SPEECH_COMMANDS
from audiozoo.layers import Activation, classify, keras, require_size
from audiozoo.models.audioset import class_names
from audiozoo.recipe import Recipe
from audiozoo.registry import PretrainedWeights, Reference, Score, register, register_variant
from audiozoo.weights import load_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from audiozoo.weights import Arrays

_PAGE = "https://huggingface.co/MIT/ast-finetuned-audioset-10-10-0.4593"
_AUDIOSET = PretrainedWeights(
    url="hf://MIT/ast-finetuned-audioset-10-10-0.4593@f826b80d28226b62986cc218e5cec390b1096902/model.safetensors",
    licence="BSD-3-Clause",
    labels=class_names(),
    page=_PAGE,
    sha256="ae0c1e2ad4e1381d851fa9bf298ba13ebc9c5a914cdee2dbe427a6583869924d",
)

_COMMANDS = PretrainedWeights(
    url="hf://MIT/ast-finetuned-speech-commands-v2/model.safetensors",
    licence="BSD-3-Clause",
    labels=(
        *("backward", "follow", "five", "bed", "zero", "on", "learn", "two", "house", "tree", "dog", "stop", "seven", "eight"),
        *("down", "six", "forward", "cat", "right", "visual", "four", "wow", "no", "nine", "off", "three", "left", "marvin"),
        *("yes", "up", "sheila", "happy", "bird", "go", "one"),
    ),
    page="https://huggingface.co/MIT/ast-finetuned-speech-commands-v2",
)

_PATCH = 16
_EPSILON = 1e-12
_BANDS = 12
"""Patches along the bands in the published weights, which have 128 bands and patches every 10."""

_BODY = "audio_spectrogram_transformer"
_POSITIONS = f"{_BODY}.embeddings.position_embeddings"
_OUTSIDE = {
    "patches": f"{_BODY}.embeddings.patch_embeddings.projection",
    "tokens": f"{_BODY}.embeddings",
    "norm": f"{_BODY}.layernorm",
    "head_norm": "classifier.layernorm",
    "logits": "classifier.dense",
}
_PARTS = {
    "before": "layernorm_before",
    "query": "attention.q_proj",
    "key": "attention.k_proj",
    "value": "attention.v_proj",
    "attended": "attention.o_proj",
    "after": "layernorm_after",
    "wide": "mlp.fc1",
    "narrow": "mlp.fc2",
}
_RENAMED: dict[str, str | Callable[[re.Match[str]], str]] = {
    r"\.encoder\.layer\.": ".layers.",
    r"\.attention\.attention\.(query|key|value)\.": lambda found: f".attention.{found[1][0]}_proj.",
    r"\.attention\.output\.dense\.": ".attention.o_proj.",
    r"\.intermediate\.dense\.": ".mlp.fc1.",
    r"\.output\.dense\.": ".mlp.fc2.",
}
"""Names in files of transformers 4, and what they became in transformers 5; the order matters."""


def _published_name(layer: str) -> str:
    """Return the name of a layer in the files of transformers 5."""
    if layer in _OUTSIDE:
        return _OUTSIDE[layer]
    number, part = re.fullmatch(r"block(\d+)_(\w+)", layer).groups()  # type: ignore[union-attr]
    return f"{_BODY}.layers.{int(number) - 1}.{_PARTS[part]}"


def _renamed(name: str) -> str:
    for old, new in _RENAMED.items():
        name = re.sub(old, new, name)
    return name


def _load(model: keras.Model, source: PretrainedWeights | Path, *, published: PretrainedWeights = _AUDIOSET) -> None:
    path = source.fetch() if isinstance(source, PretrainedWeights) else source
    grid = model.get_layer("patches").output.shape[1:3]

    def prepare(arrays: Arrays) -> Arrays:
        arrays = {_renamed(name): array for name, array in arrays.items()}
        if _POSITIONS in arrays:
            arrays[_POSITIONS] = _on_grid(arrays[_POSITIONS], grid)
        return arrays

    load_checkpoint(model, path, _published_name, prepare=prepare, published_classes=len(published.labels))


def _on_grid(positions: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Fit the positions of published weights ``(1, 2 + patches, width)`` to another number of patches."""
    if positions.ndim != 3 or (positions.shape[1] - 2) % _BANDS:
        raise ValueError(f"{_POSITIONS} must have 2 + {_BANDS} x n tokens, got the shape {positions.shape}")
    patches = positions[0, 2:].reshape(_BANDS, -1, positions.shape[-1])
    for axis, size in enumerate(grid):
        patches = _resized(patches, size, axis)
    return np.concatenate([positions[:, :2], patches.reshape(1, -1, positions.shape[-1])], axis=1)


def _resized(patches: np.ndarray, size: int, axis: int) -> np.ndarray:
    # As in the authors' code: fewer patches take the middle ones, whose distances stay the same; more are interpolated.
    length = patches.shape[axis]
    if size <= length:
        start = length // 2 - size // 2
        return np.take(patches, range(start, start + size), axis)
    places = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
    left, share = np.floor(places).astype(int), (places % 1).reshape(-1, *[1] * (patches.ndim - 1 - axis))
    right = np.minimum(left + 1, length - 1)
    between = (1 - share) * np.take(patches, left, axis) + share * np.take(patches, right, axis)
    return between.astype(patches.dtype)


@register(
    frontend=AST,
    reference=Reference(input_shape=(128, 1_024, 1), num_classes=527, parameters=86_594_063, multiply_adds=103_349_366_016),
    paper="arXiv:2104.01778",
    year=2021,
    scores=[
        Score("AudioSet", "mAP", 0.4593, "the authors' page, evaluation set"),
        Score("ESC-50", "accuracy", 95.7, "the paper, five folds, fine-tuned"),
    ],
    weights={"audioset": _AUDIOSET},
    recipe=Recipe(
        epochs=60,
        batch_size=32,
        optimizer="adamw",
        learning_rate=3e-4,
        weight_decay=0.05,
        schedule="cosine",
        warmup=5,
        mix=Mixup(alpha=0.3),
        standardize=None,
    ),
    load_weights=_load,
)
def ast(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    patch_step: int = 10,
    dropout: float = 0.0,
    activation: Activation = "sigmoid",
) -> keras.Model:
    """AST: a transformer on overlapping patches of Kaldi mel bands, pretrained on the 527 classes of AudioSet.

    ``weights="audioset"`` downloads the published weights. The path of a copy works as `weights_file`. With a number of classes
    other than 527, the last layer keeps its random weights and needs training. For another number of frames than 1,024, loading
    fits the published positions: fewer patches take those in the middle, and for more they are interpolated.

    Args:
        input_shape: ``(bands, frames, channels)``, at least 16 bands and frames, whose numbers are fixed, because the network
            learns a position for each patch. The published weights take one channel, and were trained on 128 bands.
        num_classes: Number of classes; AudioSet has 527.
        width: Number of features of a token.
        depth: Number of transformer blocks.
        heads: Number of attention heads, a divisor of `width`.
        patch_step: Distance of neighbouring patches of 16 bands by 16 frames, along both axes.
        dropout: Dropout rate after each attention and each pair of dense layers.
        activation: "sigmoid" for multi-label classification, as published, "softmax" for a single label, or `None` for logits.

    Returns:
        A Keras model that outputs probabilities ``(batch, num_classes)``.

    Raises:
        ValueError: There are too few bands or frames, a number is below 1, or `width` is not a multiple of `heads`.
    """
    _check(input_shape, width=width, depth=depth, heads=heads, patch_step=patch_step)
    from audiozoo.keras_layers import ClassTokens

    inputs = keras.Input(input_shape, name="features")
    x = keras.layers.Conv2D(width, _PATCH, strides=patch_step, name="patches")(inputs)
    x = keras.layers.Reshape((math.prod(x.shape[1:3]), width))(x)
    x = ClassTokens(name="tokens")(x)
    for number in range(1, 1 + depth):
        x = _block(x, f"block{number}", heads, dropout)
    x = _normalized(x, "norm")
    # Both tokens have seen all patches.
    x = keras.layers.GlobalAveragePooling1D(name="embedding")(x[:, :2])
    outputs = classify(_normalized(x, "head_norm"), num_classes, activation=activation)
    return keras.Model(inputs, outputs, name="ast")


def _check(input_shape: tuple[int, ...], *, width: int, depth: int, heads: int, patch_step: int) -> None:
    require_count("depth", depth, least=1)
    require_count("heads", heads, least=1)
    require_count("patch_step", patch_step, least=1)
    require_count("width", width, least=heads)
    if width % heads:
        raise ValueError(f"width must be a multiple of heads, got width={width} and heads={heads}")
    require_size("ast", input_shape, (_PATCH, _PATCH))


def _block(x: Any, name: str, heads: int, dropout: float) -> Any:
    attended = _attention(_normalized(x, f"{name}_before"), name, heads)
    x = keras.layers.Add()([x, keras.layers.Dropout(dropout)(attended)])
    wide = _dense(_normalized(x, f"{name}_after"), 4 * x.shape[-1], f"{name}_wide", "gelu")
    narrow = _dense(wide, x.shape[-1], f"{name}_narrow")
    return keras.layers.Add()([x, keras.layers.Dropout(dropout)(narrow)])


def _attention(x: Any, name: str, heads: int) -> Any:
    _, tokens, width = x.shape
    apart = keras.layers.Reshape((tokens, heads, width // heads))
    query, key, value = (apart(_dense(x, width, f"{name}_{part}")) for part in ("query", "key", "value"))
    together = keras.layers.Reshape((tokens, width))(keras.ops.dot_product_attention(query, key, value))
    return _dense(together, width, f"{name}_attended")


def _dense(x: Any, units: int, name: str, activation: str | None = None) -> Any:
    initial = keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.layers.Dense(units, activation=activation, kernel_initializer=initial, name=name)(x)


def _normalized(x: Any, name: str) -> Any:
    return keras.layers.LayerNormalization(epsilon=_EPSILON, name=name)(x)


register_variant(
    "ast_small",
    ast,
    options={"width": 192, "depth": 6, "heads": 3, "patch_step": 16},
    parameters=2_778_866,
    multiply_adds=697_378_176,
    num_classes=50,
    description="A small AST for training from random weights: 6 blocks of width 192 on patches that do not overlap.",
    frontend=AST.adapt(duration=5.0),
)

register_variant(
    "ast_speech_commands",
    ast,
    options={},
    parameters=85_395_491,
    multiply_adds=12_428_798_208,
    tasks=["keywords"],
    num_classes=35,
    description="AST on one second of sound, pretrained on AudioSet and then on the 35 words of Speech Commands.",
    frontend=AST_SPEECH_COMMANDS,
    scores=[Score("Speech Commands v2-35", "accuracy", 98.11, "the paper")],
    weights={"speech_commands": _COMMANDS},
    load_weights=partial(_load, published=_COMMANDS),
)
