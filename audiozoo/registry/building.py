"""Build registered models and load their weights."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiozoo.checks import unknown_name
from audiozoo.download import local_path
from audiozoo.registry.filling import fill
from audiozoo.registry.spec import ModelSpec, PretrainedWeights, checked_options
from audiozoo.registry.table import model_info

if TYPE_CHECKING:
    import keras


def build(
    name: str,
    num_classes: int = 10,
    *,
    input_shape: Sequence[int | None] | None = None,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    **options: Any,
) -> keras.Model:
    """Build a Keras model by name, not compiled.

    Args:
        name: Name or alias of a model, see `list_models`.
        num_classes: Number of classes, the width of the output.
        input_shape: Shape of one window, without the batch axis; `None` means the shape of the model's own frontend. An axis of
            `None` takes any size, if the model can.
        weights: Name of published weights from ``model_info(name).weights``. For another number of classes than the published
            one, they fill all layers but the last. `None` leaves the random initial weights.
        weights_file: Path of a file of weights for the whole model: a file that Keras saved (``.weights.h5``, ``.keras``) from
            the same model with the same sizes, or a copy of a published file. An address
            ``"hf://org/name@revision/file"`` on the Hugging Face hub works too, with the extra "hub".
        seed: Random seed of the initial weights and the dropout; no global state changes. `None` draws a new one.
        **options: Options of the builder, see ``model_info(name).options``. Models on a backbone of keras.applications have
            ``backbone_weights="imagenet"`` among them.

    Returns:
        A model with one output, probabilities ``(batch, num_classes)``; with ``auxiliary=True`` further outputs follow it.

    Raises:
        ValueError: The name or an option is unknown (the message suggests the closest one), the number of classes is below 1,
            the input is too small for the model, both `weights` and `weights_file` are given, or the file has the weights
            of another model.
        OSError: The file is missing, or published weights cannot be downloaded; the message says where to put a copy.
    """
    spec = model_info(name)
    weights, weights_file = split_weights(weights, weights_file, spec.weights)
    if weights == "imagenet" and "backbone_weights" in spec.options and weights not in spec.weights:
        weights, options = None, _backbone_options(spec, options)
    options = checked_options(spec, options)
    source = _source(spec, weights, weights_file)
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    given = spec.frontend.shape if input_shape is None else input_shape
    shape: Any = tuple(None if size is None else int(size) for size in given)
    if any(size is not None and size < 1 for size in shape):
        raise ValueError(f"{spec.name}: every size of input_shape must be at least 1, got {shape}")
    if len(shape) != len(spec.frontend.shape):
        raise ValueError(
            f"{spec.name} takes {spec.input} input like {spec.frontend.shape}, got input_shape={shape} (without the batch axis)"
        )
    with _seeded(seed):
        model = _built(spec, shape, num_classes, options)
    if source is not None:
        fill(model, spec, source)
    return model


def _built(spec: ModelSpec, shape: Any, num_classes: int, options: Mapping[str, Any]) -> keras.Model:
    try:
        return spec.builder(shape, num_classes, **options)
    except (TypeError, ValueError) as error:
        if None in shape and not spec.any_length:
            raise ValueError(f"{spec.name} needs the size of every axis, got input_shape={shape}") from error
        raise


def split_weights(
    weights: str | os.PathLike[str] | None, weights_file: str | os.PathLike[str] | None, names: Mapping[str, Any]
) -> tuple[str | None, str | os.PathLike[str] | None]:
    """Separate the name of published weights from the path of a file.

    Before `weights_file` existed, `weights` also accepted a path. It still does, with a DeprecationWarning.

    Args:
        weights: Name of published weights, or a path (deprecated).
        weights_file: Path of a file.
        names: Published weights by name.

    Returns:
        The name and the path; either may be `None`.
    """
    if weights is None or weights in names or not (isinstance(weights, os.PathLike) or Path(weights).suffix):
        return weights, weights_file  # type: ignore[return-value]
    warnings.warn(
        f"weights= names published weights; pass the path of a file as weights_file={os.fspath(weights)!r}",
        DeprecationWarning,
        stacklevel=3,  # the caller of `build`, `train` or `pretrained_classifier`
    )
    return None, weights_file or weights


def _backbone_options(spec: ModelSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    warnings.warn(
        f"weights='imagenet' is deprecated: pass backbone_weights='imagenet' to {spec.name}", DeprecationWarning, stacklevel=3
    )
    return {"backbone_weights": "imagenet", **options}


def _source(
    spec: ModelSpec, weights: str | None, weights_file: str | os.PathLike[str] | None
) -> PretrainedWeights | Path | None:
    if weights is not None and weights_file is not None:
        raise ValueError(
            f"weights= names published weights and weights_file= is the path of a file: pass one of them, got "
            f"weights={weights!r} and weights_file={os.fspath(weights_file)!r}"
        )
    if weights_file is not None:
        return local_path(weights_file)
    if weights is None:
        return None
    if weights not in spec.weights:
        error = unknown_name(f"weights of {spec.name}", weights, spec.weights)
        raise ValueError(f"{error}. Pass a file of weights as weights_file=")
    return spec.weights[weights]


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    # Keras draws the seed of initialisers and dropout from Python's global generator; its state is restored afterwards.
    if seed is None:
        yield
        return
    state = random.getstate()
    import keras

    keras.backend  # noqa: B018  loading Keras also draws numbers, so it must happen before the seed is set
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
