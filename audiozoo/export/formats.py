"""Writers of the formats: each writes a Keras model and its metadata, and opens the result to compare it."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from audiozoo.export.card import NAME, ExportCard
from audiozoo.export.graph import PROBABILITIES
from audiozoo.export.runtime import CARD, LABELS, Graph, litert_graph, onnx_graph
from audiozoo.layers import keras

if TYPE_CHECKING:
    import tensorflow as tf

OPSET = 17
"""Version of the operators in an ONNX file; onnxruntime reads it since 1.12."""

EXTRA = "assets.extra"
"""Folder for further files in a SavedModel."""


class Format(NamedTuple):
    """A format of exported models.

    Args:
        suffix: Suffix of the files; "" for a folder.
        backend: Backend of Keras that writes it; `None` for any.
        members: Whether the file has the output "members", which `audiozoo predict` needs for clips of several windows.
        write: Function of a Keras model, its metadata and the path to write.
        open: Function that opens the written file.
    """

    suffix: str
    backend: str | None
    members: bool
    write: Callable[..., None]
    open: Callable[[Path], Graph]


class _Served(NamedTuple):
    """A Keras model as a TensorFlow function with named inputs and outputs, and the object that holds its variables."""

    holder: Any
    function: Any
    signature: tf.TensorSpec


def served(model: keras.Model, batch: int | None) -> _Served:
    """Return a Keras model as a TensorFlow function.

    Args:
        model: Model with named outputs.
        batch: Number of windows in a batch; `None` for any.

    Returns:
        The function with the variables of the model.
    """
    import tensorflow as tf

    entry = model.inputs[0]
    signature = tf.TensorSpec((batch, *entry.shape[1:]), tf.float32, name=entry.name)
    holder = tf.Module()
    # Without a holder of the variables, the converter would leave them out.
    holder.held = [variable.value for variable in model.variables]

    def scores(windows: Any) -> dict[str, Any]:
        outputs = model(windows, training=False)
        return outputs if isinstance(outputs, dict) else {PROBABILITIES: outputs}

    holder.scores = tf.function(scores, input_signature=[signature])
    return _Served(holder, holder.scores, signature)


def _write_onnx(model: keras.Model, card: ExportCard, path: Path) -> None:
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise ImportError("writing ONNX needs onnx and tf2onnx: pip install 'audiozoo[onnx]'") from error
    one = served(model, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf2onnx uses names that TensorFlow and NumPy deprecate
        found, _ = tf2onnx.convert.from_function(
            one.function, input_signature=[one.signature], opset=OPSET, custom_op_handlers={"Erfc": (_complement_of_erf, [])}
        )
    found.metadata_props.add(key=NAME, value=card.to_json().decode())
    onnx.save(found, os.fspath(path))


def _complement_of_erf(graph: Any, node: Any, name: str, args: Any) -> None:
    """Replace erfc(x), with which Keras computes GELU and which ONNX does not have, by 1 - erf(x)."""
    node.type = "Erf"
    one = graph.make_const(f"{name}_one", np.array(1, np.float32))
    graph.insert_node_on_output(graph.make_node("Sub", [one.output[0], node.output[0]]), node.output[0])


def _as_it_is(converter: Any) -> None:
    """Leave the options of TensorFlow's converter, which give float32."""


def _write_litert(model: keras.Model, card: ExportCard, path: Path, settle: Callable[[Any], None] = _as_it_is) -> None:
    path.write_bytes(with_metadata(litert_bytes(model, settle), card, path))


def litert_bytes(model: keras.Model, settle: Callable[[Any], None] = _as_it_is) -> bytes:
    """Convert a Keras model to LiteRT.

    Args:
        model: Model with named outputs.
        settle: Function that sets the options of TensorFlow's converter.

    Returns:
        The content of the file, without metadata.

    Raises:
        ValueError: The converter cannot convert the model.
    """
    import tensorflow as tf

    one = served(model, 1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([one.function.get_concrete_function()], one.holder)
    settle(converter)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bytes(converter.convert())
    except Exception as error:  # the converter raises errors of its own classes
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"TensorFlow cannot convert this network to LiteRT ({(reason or ['no reason'])[0][:200]}): export it to ONNX"
        ) from error


def with_metadata(content: bytes, card: ExportCard, path: Path) -> bytes:
    """Append metadata to a LiteRT file as an archive, as TensorFlow Lite does; interpreters ignore it.

    Args:
        content: LiteRT file.
        card: Metadata.
        path: Path for temporary use.

    Returns:
        The file with an archive of the metadata and the labels at its end.
    """
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CARD, card.to_json())
        archive.writestr(LABELS, "".join(f"{label}\n" for label in card.labels))
    return path.read_bytes()


def _write_saved_model(model: keras.Model, card: ExportCard, path: Path) -> None:
    import tensorflow as tf

    one = served(model, None)
    tf.saved_model.save(one.holder, os.fspath(path), signatures={"serving_default": one.function.get_concrete_function()})
    (path / EXTRA).mkdir()
    (path / EXTRA / CARD).write_bytes(card.to_json())


def _open_saved_model(path: Path) -> Graph:
    import tensorflow as tf

    loaded = tf.saved_model.load(os.fspath(path))
    function = loaded.signatures["serving_default"]
    (entry,) = function.structured_input_signature[1].items()
    outputs = {name: tuple(one.shape) for name, one in function.structured_outputs.items()}

    def run(windows: np.ndarray) -> dict[str, np.ndarray]:
        # The function holds its variables weakly, so it is taken from the object that owns them.
        found = loaded.signatures["serving_default"](**{entry[0]: tf.constant(windows)})
        return {name: one.numpy() for name, one in found.items()}

    return Graph(run, tuple(entry[1].shape), outputs)


def _write_torchscript(model: keras.Model, card: ExportCard, path: Path) -> None:
    import torch

    sample = torch.zeros((2, *card.input_shape))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer warns of each Python number
        traced = torch.jit.trace(_probabilities(model), sample, check_trace=False)
        torch.jit.save(traced, os.fspath(path), _extra_files={CARD: card.to_json()})


def _probabilities(model: keras.Model) -> Any:
    import torch

    class Probabilities(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, windows: Any) -> Any:
            return self.model(windows, training=False)

    return Probabilities().eval()


def _open_torchscript(path: Path) -> Graph:
    import torch

    extra: dict[str, Any] = {CARD: ""}
    loaded = torch.jit.load(os.fspath(path), _extra_files=extra)
    card = ExportCard.parse(extra[CARD])  # the graph itself does not state its shapes

    def run(windows: np.ndarray) -> dict[str, np.ndarray]:
        with torch.no_grad():
            return {PROBABILITIES: loaded(torch.from_numpy(windows)).numpy()}

    return Graph(run, (None, *card.input_shape), {PROBABILITIES: (None, len(card.labels))})


def _write_keras(model: keras.Model, card: ExportCard, path: Path) -> None:
    model.save(path)
    # Keras reads its own members of the archive alone.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CARD, card.to_json())


def _open_keras(path: Path) -> Graph:
    model = keras.saving.load_model(path, compile=False, safe_mode=True)

    def run(windows: np.ndarray) -> dict[str, np.ndarray]:
        return {PROBABILITIES: np.asarray(model.predict_on_batch(windows))}

    return Graph(run, tuple(model.inputs[0].shape), {PROBABILITIES: tuple(model.outputs[0].shape)})


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", "tensorflow", True, _write_onnx, lambda path: onnx_graph(path)[1]),
    "litert": Format(".tflite", "tensorflow", True, _write_litert, litert_graph),
    "saved_model": Format("", "tensorflow", False, _write_saved_model, _open_saved_model),
    "torchscript": Format(".pt", "torch", False, _write_torchscript, _open_torchscript),
    "keras": Format(".keras", None, False, _write_keras, _open_keras),
}
"""Formats by name."""


def format_named(name: str | None, path: str | os.PathLike[str]) -> str:
    """Return the name of a format, by the suffix of the file if none is given, after a check of suffix and backend.

    Args:
        name: Name of the format; `None` takes it from the suffix.
        path: Path to write.

    Returns:
        The name.

    Raises:
        ValueError: The format is unknown, does not have this suffix, or is not written by the backend of Keras in use.
    """
    from audiozoo.checks import unknown_name

    suffix = Path(path).suffix.lower()
    if name is None:
        name = next((one for one, kind in FORMATS.items() if kind.suffix and kind.suffix == suffix), None)
    if name is None:
        known = ", ".join(f"{kind.suffix} ({one})" for one, kind in FORMATS.items() if kind.suffix)
        raise ValueError(
            f"{path}: the suffix names no format, {known}: name a file so, or add --format saved_model for a folder"
        )
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    kind = FORMATS[name]
    if kind.suffix and suffix != kind.suffix:
        raise ValueError(
            f"{path}: the format {name} is written to a {kind.suffix} file, such as {Path(path).with_suffix(kind.suffix)}"
        )
    if kind.backend not in (None, backend := keras.backend.backend()):
        raise ValueError(
            f"the format {name} is written on the backend {kind.backend}, this process uses {backend}: "
            f"set KERAS_BACKEND={kind.backend}; a saved classifier loads on any backend"
        )
    return name
