"""LiteRT files of reduced precision: weights in float16, or a network in int8 that is calibrated on clips.

The scheme of int8 is that of Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018, arXiv:1712.05877, as TensorFlow Lite implements it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_choice
from audiozoo.classifier import Classifier, Ensemble
from audiozoo.datasets import Clip
from audiozoo.export.card import PRECISIONS, ExportCard
from audiozoo.features import Waveform
from audiozoo.layers import keras

if TYPE_CHECKING:
    from audiozoo.export.formats import Format

MOST_CALIBRATING = 200
"""Largest number of clips that int8 is calibrated on; more are thinned out evenly."""


def check_precision(
    precision: str, name: str, classifier: Classifier | Ensemble, *, features: bool, calibrate: Sequence[Clip]
) -> None:
    """Check that a file of a precision can be written.

    Args:
        precision: Name from `PRECISIONS`.
        name: Name of the format.
        classifier: Classifier or ensemble.
        features: Whether the model takes features instead of a waveform.
        calibrate: Clips to calibrate int8 on.

    Raises:
        ValueError: The precision is unknown, the format has only float32, int8 lacks clips, clips are given to another
            precision, or the frontend would be in int8.
    """
    require_choice("precision", precision, PRECISIONS)
    if precision != "float32" and name != "litert":
        raise ValueError(f"precision {precision} needs the format litert, got {name}: name a .tflite file")
    if (precision == "int8") != bool(calibrate):
        raise ValueError(
            f"clips for calibration belong to precision int8, got {len(calibrate)} clips with {precision}: "
            "--precision int8 --calibrate sounds/ takes the ranges of all values from sounds like those to classify"
        )
    members = classifier.members if isinstance(classifier, Ensemble) else (classifier,)
    if precision == "int8" and not features and not all(isinstance(one.frontend, Waveform) for one in members):
        # Measured with house_cnn on fold 5 of ESC-10: 92.5 % in float32, 30 % with the frontend in int8.
        raise ValueError(
            "a spectrum in 8 bits loses its quiet parts, so precision int8 needs a model that takes features: add --features, "
            "or choose float16"
        )


def check_network(model: keras.Model, precision: str) -> None:
    """Check that TensorFlow can convert a network to a precision: in int8, recurrent layers end the whole process.

    Args:
        model: Model to export.
        precision: Name from `PRECISIONS`.

    Raises:
        ValueError: The network has recurrent layers, and the precision is int8.
    """
    found = [layer.name for layer in _layers(model) if isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional))]
    if precision == "int8" and found:
        raise ValueError(
            f"TensorFlow cannot convert recurrent layers ({', '.join(found[:3])}) to int8: choose float16, or another network"
        )


def _layers(model: keras.Model) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)


def of_precision(kind: Format, precision: str, card: ExportCard, calibrate: Sequence[Clip]) -> Format:
    """Return the format of LiteRT with a writer of another precision.

    Args:
        kind: Format.
        precision: Name from `PRECISIONS`.
        card: Metadata of the file, whose frontend computes the windows.
        calibrate: Clips to calibrate int8 on.

    Returns:
        The format.
    """
    if precision == "float32":
        return kind
    settle = partial(_in_int8, windows=lambda: _windows(card, calibrate)) if precision == "int8" else _in_float16
    return kind._replace(write=partial(kind.write, settle=settle))


def _in_float16(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _in_int8(converter: Any, windows: Callable[[], Iterator[list[np.ndarray]]]) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = windows


def _windows(card: ExportCard, clips: Sequence[Clip]) -> Iterator[list[np.ndarray]]:
    """Yield the first window of each clip as the inputs of the model."""
    frontend = card.frontend
    for place in np.linspace(0, len(clips) - 1, min(len(clips), MOST_CALIBRATING)).round().astype(int):
        wave = audio.load(clips[place].path, sample_rate=frontend.sample_rate, channels=frontend.channels)
        _, window = next(iter(frontend.windows(wave)))
        yield [window.reshape(1, *card.input_shape).astype(np.float32)]
