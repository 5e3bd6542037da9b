"""Sounds in the forms that scikit-learn users have them in: paths, arrays of one length, and arrays of different lengths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from audiozoo import audio

Content = str | bytes
_FILE = (str, bytes, os.PathLike)


class Sound(NamedTuple):
    """A whole sound file without labels, for feature extraction.

    Args:
        path: Path of a sound file, or its content as bytes.
        start: Start in the file (seconds).
        end: End in the file (seconds); `None` is the end of the file.
    """

    path: Content
    start: float = 0.0
    end: float | None = None


def as_files(X: Any) -> list[Content] | None:
    """Return paths and contents of files in a form that clips take; `None` if `X` holds none.

    Raises:
        ValueError: `X` is a single path.
    """
    if isinstance(X, _FILE):
        raise ValueError(f"X must be a sequence of sounds, got the single file {audio.describe(X)}: put it into a list")
    values = _elements(X)
    if not values or not isinstance(values[0], _FILE):
        return None
    if wrong := [value for value in values if not isinstance(value, _FILE)]:
        raise ValueError(f"X must hold either paths or arrays, got a path and {type(wrong[0]).__name__}")
    return [value if isinstance(value, bytes) else os.fspath(value) for value in values]


def as_waves(X: Any) -> list[np.ndarray] | None:
    """Return the waveforms in a list or an object array of arrays, which may differ in length; `None` for any other `X`."""
    values = _elements(X)
    return values if values and all(isinstance(value, np.ndarray) and value.ndim for value in values) else None


def _elements(X: Any) -> list[Any]:
    """Return the elements of a sequence that may hold paths or arrays; [] for an array of numbers."""
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()  # a column or a table of pandas
    if isinstance(X, np.ndarray):
        # Transformers of columns give paths as a table with one column.
        flat = X.ndim == 1 or (X.ndim == 2 and X.shape[1] == 1)
        return X.ravel().tolist() if flat and X.dtype.kind in "OUST" else []
    return list(X) if isinstance(X, Sequence) else []


def refuse_pcm(X: Any) -> None:
    """Raise a ValueError if an array holds the integers of a sound file instead of samples in [-1, 1]."""
    kind = getattr(X, "dtype", None)
    if kind in (np.int8, np.uint8, np.int16):
        raise ValueError(f"samples must be floats in [-1, 1], got {kind}; divide 16-bit samples by 32768")


def encoded(waves: Iterable[np.ndarray], sample_rate: float | None) -> list[Content]:
    """Encode waveforms as the contents of files, from which the same samples are read.

    Args:
        waves: Waveforms ``(samples,)`` or ``(samples, channels)``.
        sample_rate: Sample rate (Hz).

    Raises:
        ValueError: There is no sample rate, or a waveform cannot be used.
    """
    if sample_rate is None:
        raise ValueError("sounds in arrays need a sample rate: SoundClassifier(sample_rate=16_000), in Hz")
    return [audio.encode(wave, sample_rate) for wave in waves]
