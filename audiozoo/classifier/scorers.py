"""What turns standardised windows into probabilities: the interface, and its Keras form."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from audiozoo.checks import refuse_unknown
from audiozoo.layers import keras

BATCH = 32
"""Windows that are scored at a time."""


class Scorer(Protocol):
    """What turns standardised windows ``(windows, *shape)`` into probabilities; a Keras model, or another kind of model."""

    kind: ClassVar[str]

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Return probabilities ``(windows, classes)``."""

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Return vectors ``(windows, width)``."""

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        """Refuse windows or a number of classes that the model is not made for, with a ValueError."""

    def to_files(self) -> dict[str, bytes]:
        """Return what is saved, by file name."""

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Rebuild the scorer from what was saved."""


class KerasScorer:
    """A Keras model as a `Scorer`; of several outputs the first answers.

    Args:
        model: Takes ``(batch, *shape)``.
    """

    kind: ClassVar[str] = "keras"

    def __init__(self, model: Any) -> None:
        self.model = model
        self._parts: dict[str, Any] = {}

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        """Refuse windows or a number of classes that the model is not made for.

        Raises:
            ValueError: With both shapes, or both numbers.
        """
        expected, outputs = tuple(self.model.inputs[0].shape[1:]), self.model.outputs[0].shape[-1]
        agree = len(expected) == len(shape) and all(size in (None, given) for size, given in zip(expected, shape, strict=True))
        if not agree:
            raise ValueError(f"the model takes {expected}, the frontend gives {shape}: adapt one to the other")
        if outputs != classes:
            raise ValueError(f"the model has {outputs} outputs and there are {classes} labels")

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Return probabilities ``(windows, classes)``."""
        return np.concatenate([self._predict(self.model, batch) for batch in batched(windows)])

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Return the output of the layer named `embedding`, ``(windows, width)``.

        Raises:
            ValueError: The model has no such layer.
        """
        return self.output_of("embedding", windows)

    def output_of(self, layer: str, windows: np.ndarray) -> np.ndarray:
        """Return the output of a layer by its name, ``(windows, ...)``.

        Raises:
            ValueError: The model has no such layer; the nearest is proposed.
        """
        if layer not in self._parts:
            refuse_unknown("layer", [layer], [one.name for one in self.model.layers])
            self._parts[layer] = keras.Model(self.model.inputs[0], self.model.get_layer(layer).output)
        return np.concatenate([self._predict(self._parts[layer], batch) for batch in batched(windows)])

    @staticmethod
    def _predict(model: Any, batch: np.ndarray) -> np.ndarray:
        # A new batch size means a new trace of the graph, so sizes are powers of two, padded: six traces at most.
        count = len(batch)
        if missing := (1 << (count - 1).bit_length()) - count:
            batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)])
        outputs = model.predict_on_batch(batch)
        first = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        return np.asarray(first)[:count]

    def to_files(self) -> dict[str, bytes]:
        """Return the model in Keras' own format."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            # A model of the same layers that was never compiled: the optimizer's state would triple the file.
            outputs = self.model.outputs if len(self.model.outputs) > 1 else self.model.outputs[0]
            keras.Model(self.model.inputs[0], outputs, name=self.model.name).save(path)
            return {"model.keras": path.read_bytes()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Load the model, in Keras' safe mode."""
        # Keras finds our own layers once the module that registers them is there.
        import audiozoo.keras_layers  # noqa: F401

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(files["model.keras"])
            return cls(keras.saving.load_model(path, compile=False, safe_mode=True))


def batched(windows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the windows a batch at a time."""
    for start in range(0, len(windows), BATCH):
        yield windows[start : start + BATCH]


SCORERS: dict[str, type[Scorer]] = {KerasScorer.kind: KerasScorer}
"""The kinds of scorer that a saved classifier can hold."""
