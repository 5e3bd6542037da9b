"""Scorers, the models inside classifiers: the protocol and its implementation for Keras."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np

from audiozoo.bounded import MIB
from audiozoo.checks import refuse_unknown
from audiozoo.classifier.kerasfile import MOST_MODEL_BYTES, check_keras_file
from audiozoo.layers import Activation, keras

BATCH = 32
"""Largest number of windows in a batch."""

BATCH_BYTES = 64 * MIB
"""Largest size of a batch (bytes); a single larger window is a batch of its own."""


Pooling = Literal["mean", "max"]

POOLINGS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "max": np.max}
"""Functions that combine the scores of a clip's windows, by name."""


class Scorer(Protocol):
    """A model that turns standardised windows ``(windows, *shape)`` into probabilities.

    The probabilities of a clip are ``pooled(outputs(windows))``. By default, the outputs are the probabilities of the windows.
    A scorer that looks at the whole clip, such as one for statistics of embeddings, replaces both methods.
    """

    kind: ClassVar[str]
    """Name of this kind of model on a card."""

    files: ClassVar[dict[str, int]]
    """Names of the files that `to_files` returns, with the maximum size (bytes) of each for reading."""

    optional: ClassVar[frozenset[str]] = frozenset()
    """Names of the files that a scorer may lack."""

    @property
    def activation(self) -> Activation:
        """Last step of the model; `None` if it is neither a softmax nor a sigmoid, or not known."""

    @property
    def parameters(self) -> int:
        """Number of weights, trainable or not."""

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Return probabilities ``(windows, classes)``."""

    def outputs(self, windows: np.ndarray) -> np.ndarray:
        """Return what `pooled` needs of each window, ``(windows, ...)``."""
        return self.scores(windows)

    def pooled(self, outputs: np.ndarray, pooling: Pooling) -> np.ndarray:
        """Return the probabilities of a clip, ``(classes,)``, from the outputs of its windows."""
        return POOLINGS[pooling](outputs, axis=0)

    def familiarity(self, outputs: np.ndarray) -> float | None:
        """Return the resemblance of a clip to the training clips, from 0 to 1, from the outputs of its windows.

        Sounds of unknown classes have lower values, and a classifier compares them with its rejection level. `None` means that
        the highest probability of the clip replaces the familiarity.
        """
        return None

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Return embeddings ``(windows, width)``."""

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        """Raise a ValueError unless the model takes windows of this shape and has this number of classes."""

    def to_files(self) -> dict[str, bytes]:
        """Return the contents of the files to save, by name."""

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Rebuild the scorer from the contents of its files, which are not trusted."""


class KerasScorer(Scorer):
    """A Keras model as a `Scorer`. If the model has several outputs, the first gives the probabilities.

    Args:
        model: Keras model that takes ``(batch, *shape)``.
    """

    kind: ClassVar[str] = "keras"
    files: ClassVar[dict[str, int]] = {"model.keras": MOST_MODEL_BYTES}

    def __init__(self, model: Any) -> None:
        self.model = model
        self._parts: dict[str, Any] = {}

    @property
    def activation(self) -> Activation:
        """Last step of the model; `None` if its last layer is neither a softmax nor a sigmoid."""
        last = self.model
        while isinstance(last, keras.Model):
            last = last.outputs[0]._keras_history.operation
        if isinstance(last, keras.layers.Softmax):
            return "softmax"
        function = getattr(last, "activation", None)
        if function is keras.activations.softmax:
            return "softmax"
        return "sigmoid" if function is keras.activations.sigmoid else None

    @property
    def parameters(self) -> int:
        """Number of weights, trainable or not."""
        return int(self.model.count_params())

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        """Raise an error unless the model takes windows of this shape and has this number of classes.

        Raises:
            ValueError: The shapes or the numbers differ; the message has both.
        """
        self.check_shape(shape)
        outputs = self.model.outputs[0].shape[-1]
        if outputs != classes:
            raise ValueError(f"the model has {outputs} outputs and there are {classes} labels")

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise an error unless the model takes windows of this shape.

        Raises:
            ValueError: The shapes differ; the message has both.
        """
        expected = tuple(self.model.inputs[0].shape[1:])
        agree = len(expected) == len(shape) and all(size in (None, given) for size, given in zip(expected, shape, strict=True))
        if not agree:
            raise ValueError(f"the model takes {expected}, the frontend gives {shape}: adapt one to the other")

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Return probabilities ``(windows, classes)``."""
        return np.concatenate([self._predict(self.model, batch) for batch in batched(windows)])

    @property
    def embedding_width(self) -> int:
        """Number of values in an embedding.

        Raises:
            ValueError: The model has no layer named `embedding`, or its output is not a vector.
        """
        refuse_unknown("layer", ["embedding"], [one.name for one in self.model.layers])
        shape = tuple(self.model.get_layer("embedding").output.shape[1:])
        if len(shape) != 1:
            raise ValueError(f"the layer named embedding must give a vector for each window, it gives {shape}")
        return int(shape[0])

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Return the output of the layer named `embedding`, ``(windows, width)``.

        Raises:
            ValueError: The model has no such layer.
        """
        return self.output_of("embedding", windows)

    def output_of(self, layer: str, windows: np.ndarray) -> np.ndarray:
        """Return the output of the layer with a given name, ``(windows, ...)``.

        Raises:
            ValueError: The model has no such layer; the message suggests the closest name.
        """
        if layer not in self._parts:
            refuse_unknown("layer", [layer], [one.name for one in self.model.layers])
            self._parts[layer] = keras.Model(self.model.inputs[0], self.model.get_layer(layer).output)
        return np.concatenate([self._predict(self._parts[layer], batch) for batch in batched(windows)])

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the layers of all outputs. The first gives the probabilities, and the others were auxiliary in training."""
        return tuple(output._keras_history.operation.name for output in self.model.outputs)

    def all_scores(self, windows: np.ndarray) -> np.ndarray:
        """Return the probabilities of all outputs, ``(outputs, windows, classes)``."""
        return np.concatenate([np.stack(self._outputs(self.model, batch)) for batch in batched(windows)], axis=1)

    @classmethod
    def _predict(cls, model: Any, batch: np.ndarray) -> np.ndarray:
        return cls._outputs(model, batch)[0]

    @staticmethod
    def _outputs(model: Any, batch: np.ndarray) -> list[np.ndarray]:
        # TensorFlow traces a graph for each batch size, so batches are padded to powers of two: at most six traces.
        count = len(batch)
        if missing := (1 << (count - 1).bit_length()) - count:
            batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)])
        outputs = model.predict_on_batch(batch)
        return [np.asarray(each)[:count] for each in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]

    def to_files(self) -> dict[str, bytes]:
        """Return the model in the ``.keras`` format."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            # The state of the optimiser would triple the size, so this saves an uncompiled model with the same layers.
            outputs = self.model.outputs if len(self.model.outputs) > 1 else self.model.outputs[0]
            keras.Model(self.model.inputs[0], outputs, name=self.model.name).save(path)
            return {"model.keras": path.read_bytes()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Load the model in Keras's safe mode, which runs no code from the file.

        Raises:
            ValueError: The file is not a Keras model, or would take more memory than its size justifies.
        """
        # This import registers the layers of this package with Keras.
        import audiozoo.keras_layers  # noqa: F401

        content = files["model.keras"]
        check_keras_file(content)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(content)
            return cls(keras.saving.load_model(path, compile=False, safe_mode=True))


def batch_size(shape: Sequence[int]) -> int:
    """Return how many windows of a shape are scored at a time: a power of two, because batches are padded to one."""
    fitting = BATCH_BYTES // (np.dtype(np.float32).itemsize * math.prod(shape)) or 1
    return min(BATCH, 1 << (fitting.bit_length() - 1))


def batched(windows: np.ndarray, shape: Sequence[int] | None = None) -> Iterator[np.ndarray]:
    """Yield windows, or indices of windows of a shape, in batches."""
    size = batch_size(windows.shape[1:] if shape is None else shape)
    for start in range(0, len(windows), size):
        yield windows[start : start + size]
