"""Exported ONNX and LiteRT files as classifiers, without Keras: a runtime, NumPy and the audio layer answer."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from audiozoo.bounded import BoundedZip, refusing
from audiozoo.classifier import Classifier, Scorer, TrainingFacts
from audiozoo.classifier.calibration import tempered
from audiozoo.classifier.scorers import POOLINGS, Pooling
from audiozoo.export.card import MOST_BYTES, NAME, ExportCard
from audiozoo.export.graph import MEMBERS, PROBABILITIES
from audiozoo.features import Scaler
from audiozoo.layers import Activation

LABELS = "labels.txt"
"""Name of the list of labels in the archive at the end of a LiteRT file."""

CARD = f"{NAME}.json"
"""Name of the metadata in the archive at the end of a LiteRT file."""

_WAY_OUT = "write it with `audiozoo export MODEL -o FILE`"

_Shape = tuple[int | None, ...]


class Graph(NamedTuple):
    """An exported graph that is ready to run.

    Args:
        run: Function from windows ``(windows, *shape)`` to the outputs by name.
        input: Shape of the input with its batch axis; `None` for an axis that is not fixed.
        outputs: Shapes of the outputs by name, likewise.
    """

    run: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    input: _Shape
    outputs: Mapping[str, _Shape]


class GraphScorer(Scorer):
    """An exported graph as a `Scorer`. Frontend, scaler and temperature are in the graph or in its metadata.

    Args:
        graph: Graph to run.
        card: Metadata of the graph.
        path: Name of the file, for errors.

    Raises:
        ValueError: The shapes of the graph are not those that the metadata states.
    """

    kind: ClassVar[str] = "exported"
    files: ClassVar[dict[str, int]] = {}

    def __init__(self, graph: Graph, card: ExportCard, path: str = "") -> None:
        self._graph, self._card, self.path = graph, card, path
        _check_shape("input", graph.input, card.input_shape)
        for name, shape in card.output_shapes.items():
            if name not in graph.outputs:
                raise ValueError(f"the model has no output named {name!r}, only {', '.join(graph.outputs)}"[:500])
            _check_shape(f"output {name!r}", graph.outputs[name], shape)

    @property
    def activation(self) -> Activation:
        """Last step of the model, as the metadata states it."""
        return self._card.activation

    @property
    def parameters(self) -> int:
        """Zero, because the graph does not tell weights from other constants."""
        return 0

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        """Do nothing: the constructor has compared the graph with its metadata."""

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Return probabilities ``(windows, classes)``."""
        return self._computed(windows, PROBABILITIES)

    def outputs(self, windows: np.ndarray) -> np.ndarray:
        """Return what `pooled` needs: the output "members" ``(windows, members, classes)``, or the probabilities."""
        return self._computed(windows, MEMBERS if self._card.members else PROBABILITIES)

    def pooled(self, outputs: np.ndarray, pooling: Pooling) -> np.ndarray:
        """Return the probabilities of a clip, ``(classes,)``, from the outputs of its windows.

        Args:
            outputs: Result of `outputs`.
            pooling: Function that combines the windows.

        Returns:
            The probabilities. Members are pooled first, then their temperatures apply, then they are averaged.
        """
        pooled = POOLINGS[pooling](outputs, axis=0)
        if not self._card.members:
            return pooled
        activation = self.activation
        parts = [weight * _at(pooled[place], heat, activation) for place, (weight, heat) in enumerate(self._card.members)]
        return _at(np.stack(parts).sum(axis=0, dtype=np.float32), self._card.temperature, activation)

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Refuse, because an exported graph has no layers.

        Raises:
            ValueError: Always.
        """
        raise ValueError("an exported model has no embeddings: use the classifier that it was exported from")

    def to_files(self) -> dict[str, bytes]:
        """Refuse, because the exported file is the saved form.

        Raises:
            ValueError: Always.
        """
        raise ValueError("an exported model cannot be saved as a classifier: copy its file")

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Refuse, because saved classifiers do not contain exported models.

        Raises:
            ValueError: Always.
        """
        raise ValueError("a saved classifier cannot contain an exported model: use audiozoo.export.load_exported")

    def _computed(self, windows: np.ndarray, name: str) -> np.ndarray:
        shape = self._card.input_shape
        with refusing(self.path, "the exported model failed on a window"):
            outputs = self._graph.run(windows.reshape(len(windows), *shape))
        expected, found = (len(windows), *self._card.output_shapes[name]), outputs[name].shape
        if found != expected:
            raise ValueError(f"{self.path}: the metadata promises the output {name!r} of {expected}, the model gives {found}")
        return outputs[name]


def _at(scores: np.ndarray, temperature: float, activation: Activation) -> np.ndarray:
    return scores if temperature == 1 else tempered(scores, temperature, activation)


def _check_shape(what: str, found: _Shape, expected: tuple[int, ...]) -> None:
    agree = len(found) == 1 + len(expected) and all(
        size in (None, given) for size, given in zip(found[1:], expected, strict=True)
    )
    if not agree:
        raise ValueError(f"the metadata states an {what} of {expected} for a window, the model has {found[1:]}")


def _fixed(shape: Any) -> _Shape:
    # ONNX names the axes that are not fixed.
    return tuple(int(size) if isinstance(size, (int, np.integer)) and size >= 0 else None for size in shape)


def onnx_graph(path: str | os.PathLike[str]) -> tuple[str | None, Graph]:
    """Open an ONNX file with onnxruntime.

    Args:
        path: Path of the file.

    Returns:
        The metadata that audiozoo wrote, `None` if there is none, and the graph.

    Raises:
        ImportError: onnxruntime is not installed.
        ValueError: The file cannot be opened, or has several inputs.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"{path}: an ONNX file needs onnxruntime: pip install 'audiozoo[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with refusing(path, "not an ONNX model that onnxruntime reads"):
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), {one.name: _fixed(one.shape) for one in session.get_outputs()}
    text = session.get_modelmeta().custom_metadata_map.get(NAME)
    if text is not None and [one.type for one in inputs] != ["tensor(float)"]:
        raise ValueError(f"{path}: the model must have one input of float32, it has {[one.type for one in inputs]}")

    def run(windows: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(outputs, session.run(None, {inputs[0].name: windows}), strict=True))

    return text, Graph(run, _fixed(inputs[0].shape) if inputs else (), outputs)


def litert_graph(path: str | os.PathLike[str]) -> Graph:
    """Open a LiteRT file, whose batch is one window.

    Args:
        path: Path of the file.

    Returns:
        The graph.

    Raises:
        ImportError: Neither ai-edge-litert nor TensorFlow is installed.
        ValueError: The file cannot be opened, or does not name its input and outputs.
    """
    kind = _interpreter(path)
    with refusing(path, "not a LiteRT model that the interpreter reads"), warnings.catch_warnings():
        # TensorFlow's own interpreter, used where ai-edge-litert is not installed, warns that it will be removed.
        warnings.simplefilter("ignore", UserWarning)
        interpreter = kind(model_path=os.fspath(path))
        interpreter.allocate_tensors()  # memory that the file asks for is refused here and not at the first window
        runner = interpreter.get_signature_runner()
        (entry,) = runner.get_input_details().items()
        outputs = {name: _fixed(one["shape"]) for name, one in runner.get_output_details().items()}

    def run(windows: np.ndarray) -> dict[str, np.ndarray]:
        answers = [runner(**{entry[0]: window[None]}) for window in windows]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in outputs}

    return Graph(run, _fixed(entry[1]["shape"]), outputs)


def _interpreter(path: str | os.PathLike[str]) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    except ImportError:
        pass
    try:
        import tensorflow as tf

        return tf.lite.Interpreter
    except ImportError as error:
        raise ImportError(f"{path}: a LiteRT file needs its interpreter: pip install 'audiozoo[litert]'") from error


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Tell by its suffix whether a path is a file for `load_exported`: ``.onnx`` or ``.tflite``."""
    return Path(path).suffix.lower() in (".onnx", ".tflite")


def load_exported(path: str | os.PathLike[str]) -> Classifier:
    """Load an ONNX or LiteRT file that `export_classifier` wrote, without Keras or TensorFlow.

    Args:
        path: Path of the file, ``.onnx`` or ``.tflite``.

    Returns:
        A classifier that predicts like the one that was exported, but has no embeddings and cannot be saved.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The runtime is not installed.
        ValueError: The file has another suffix, is damaged, has no metadata of audiozoo, or contradicts its metadata.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; a model is exported by `audiozoo export MODEL -o FILE`")
    if not is_exported(path):
        raise ValueError(f"{path}: an exported model is a .onnx or .tflite file")
    if path.suffix.lower() == ".onnx":
        text, graph = onnx_graph(path)
        if text is None:
            raise ValueError(
                f"{path}: an ONNX model without audiozoo's metadata does not state its labels, rate and windows: {_WAY_OUT}"
            )
        return scoring(path, text, lambda: graph)
    return scoring(path, _appended(path), lambda: litert_graph(path))


def scoring(path: str | os.PathLike[str], text: str | bytes, opened: Callable[[], Graph]) -> Classifier:
    """Return a classifier that runs a graph.

    Args:
        path: Path of the file, for errors.
        text: Metadata of the file.
        opened: Function that opens the graph, after the metadata has been checked.

    Returns:
        The classifier.

    Raises:
        ValueError: The metadata is out of bounds, or the graph contradicts it.
    """
    with refusing(path, "not a model that this version reads"):
        card = ExportCard.parse(text)
    graph = opened()
    with refusing(path, "not a model that this version reads"):
        return Classifier(
            frontend=card.frontend,
            scaler=Scaler.identity(),
            scorer=GraphScorer(graph, card, os.fspath(path)),
            labels=card.labels,
            pooling=card.pooling,  # type: ignore[arg-type]  # the card has checked it
            activation=card.activation,
            thresholds=card.thresholds,
            rejection=card.rejection,
            about=TrainingFacts(model=card.name or None, licence=card.licence or None),
        )


def _appended(path: Path) -> bytes:
    """Return the metadata in the archive at the end of a LiteRT file."""
    with open(path, "rb") as file, refusing(path, f"a LiteRT model without audiozoo's metadata ({_WAY_OUT})"):  # noqa: SIM117
        with BoundedZip(file, {CARD: MOST_BYTES, LABELS: MOST_BYTES}) as archive:
            return archive.read(CARD)
