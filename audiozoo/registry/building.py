"""Building a registered model, and filling it with weights."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiozoo.checks import refuse_unknown, unknown_name
from audiozoo.registry.filling import fill
from audiozoo.registry.spec import ModelSpec, PretrainedWeights
from audiozoo.registry.table import model_info

if TYPE_CHECKING:
    import keras


def build(
    name: str,
    num_classes: int = 10,
    *,
    input_shape: Sequence[int] | None = None,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    **options: Any,
) -> keras.Model:
    """Build a Keras model by name, not compiled.

    Args:
        name: Name or alias from `list_models`.
        num_classes: Number of classes, the width of the output.
        input_shape: Shape of one window, without the batch axis; `None` means the shape of the model's own frontend.
        weights: Name of published weights from ``model_info(name).weights``. For another number of classes than the published
            one, they fill all layers but the last. `None` leaves the random initial weights.
        weights_file: Path of a file of weights for the whole model: a file that Keras saved (``.weights.h5``, ``.keras``) from
            the same model with the same sizes, or a copy of a published file.
        seed: Random seed of the initial weights and the dropout; no global state changes. `None` means other weights each time.
        **options: Options of the builder, see ``model_info(name).options``. Models on a backbone of keras.applications have
            ``backbone_weights="imagenet"`` among them.

    Returns:
        A model with one output, probabilities ``(batch, num_classes)``; with ``auxiliary=True`` further outputs follow it.

    Raises:
        ValueError: An unknown name or option (the message proposes the nearest), a number of classes below 1, an input too
            small for the model, both `weights` and `weights_file`, or a file with the weights of another model.
        OSError: The file of weights is missing, or published weights cannot be fetched; the message says where to put a copy.
    """
    spec = model_info(name)
    weights, weights_file = split_weights(weights, weights_file, spec.weights)
    if weights == "imagenet" and "backbone_weights" in spec.options and weights not in spec.weights:
        weights, options = None, _backbone_options(spec, options)
    check_options(spec, options)
    source = _source(spec, weights, weights_file)
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    shape = spec.frontend.shape if input_shape is None else tuple(int(size) for size in input_shape)
    if min(shape, default=1) < 1:
        raise ValueError(f"{spec.name}: every size of input_shape must be at least 1, got {shape}")
    if len(shape) != len(spec.frontend.shape):
        raise ValueError(
            f"{spec.name} takes {spec.input} input like {spec.frontend.shape}, got input_shape={shape} (without the batch axis)"
        )
    with _seeded(seed):
        model = spec.builder(shape, num_classes, **options)
    if source is not None:
        fill(model, spec, source)
    return model


def check_options(spec: ModelSpec, options: Mapping[str, Any]) -> None:
    """Raise a ValueError that names the first option which a model's builder does not have."""
    refuse_unknown(f"option of {spec.name}", options, spec.options)


def split_weights(
    weights: str | os.PathLike[str] | None, weights_file: str | os.PathLike[str] | None, names: Mapping[str, Any]
) -> tuple[str | None, str | os.PathLike[str] | None]:
    """Return the name and the file of weights that were asked for.

    Before `weights_file` existed, `weights` also took the path of a file. It still does, with a DeprecationWarning.

    Args:
        weights: Name of published weights, or a path as before.
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
        return Path(weights_file)
    if weights is None:
        return None
    if weights not in spec.weights:
        error = unknown_name(f"weights of {spec.name}", weights, spec.weights)
        raise ValueError(f"{error}. A file of weights is passed as weights_file=")
    return spec.weights[weights]


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    # Keras takes the seed of each initializer and dropout without a seed from Python's generator; its state is restored after.
    if seed is None:
        yield
        return
    state = random.getstate()
    import keras

    keras.backend  # noqa: B018  loading Keras draws numbers too, which must not happen between the seed and the weights
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
