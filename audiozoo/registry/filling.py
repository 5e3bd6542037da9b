"""Filling a model with published weights or with those in a file, which may come from anywhere."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from audiozoo.bounded import BoundedZip, hdf5_datasets
from audiozoo.registry.spec import ModelSpec, PretrainedWeights
from audiozoo.weights import reading_weights

if TYPE_CHECKING:
    import keras

_HDF5 = (".h5", ".hdf5")


def fill(model: keras.Model, spec: ModelSpec, source: PretrainedWeights | Path) -> None:
    """Fill a model with weights.

    Args:
        model: Model to fill.
        spec: Registry entry of the model.
        source: Published weights; or a file that Keras saved (``.weights.h5``, ``.keras``), or a copy of a published file.

    Raises:
        OSError: The file is missing, or cannot be opened or fetched.
        ValueError: The file declares more than it holds, or its weights are not those of the model; the message names it.
    """
    native = isinstance(source, Path) and source.name.endswith((".weights.h5", ".keras"))
    if native or spec.load_weights is None:
        _fill_from_keras(model, source if isinstance(source, Path) else source.fetch())
    else:
        spec.load_weights(model, source)


def _fill_from_keras(model: keras.Model, path: Path) -> None:
    if path.exists() and not path.name.endswith((*_HDF5, ".keras")):
        raise ValueError(f"{path}: weights are read from a file that Keras saved, .weights.h5 or .keras")
    with reading_weights(path):
        if path.suffix == ".keras":
            _fill_from_archive(model, path)
        else:
            _fill_from_hdf5(model, path)


def _fill_from_archive(model: keras.Model, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # Keras decompresses whatever the archive declares, so it gets the file inside, whose size was checked.
        inner = Path(folder) / "model.weights.h5"
        with open(path, "rb") as file, BoundedZip(file) as archive:
            inner.write_bytes(archive.read(inner.name))
        _fill_from_hdf5(model, inner)


def _fill_from_hdf5(model: keras.Model, path: Path) -> None:
    import h5py

    with h5py.File(path) as file:
        hdf5_datasets(file, path.stat().st_size)
    model.load_weights(path)
