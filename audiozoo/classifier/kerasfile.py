"""Checks of a ``.keras`` file, before Keras reads it and allocates the layers in its configuration."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from audiozoo.bounded import MIB, BoundedZip, hdf5_datasets, parse_json
from audiozoo.layers import keras

MOST_MODEL_BYTES = 2**32
"""Largest model (bytes): ZIP archives beyond 4 GiB are not read."""

_MEMBERS = {"metadata.json": MIB, "config.json": 16 * MIB, "model.weights.h5": MOST_MODEL_BYTES}
_DEEPEST = 64
_MOST_OBJECTS = 20_000
_MOST_OUTPUTS = 2**26


def check_keras_file(content: bytes) -> None:
    """Raise an error for a model that would take more memory than its file justifies.

    Args:
        content: Content of the ``.keras`` file.

    Raises:
        ValueError: The file is damaged, has members that Keras does not write, or its configuration has more weights than the
            file, or excessively large layers.
    """
    with BoundedZip(io.BytesIO(content), _MEMBERS) as archive:
        config = parse_json(archive.read("config.json"), most=_MEMBERS["config.json"], depth=_DEEPEST)
        held = _weights_in(archive.read("model.weights.h5"))
    names = list(_class_names(config))
    if len(names) > _MOST_OBJECTS:
        raise ValueError(f"the model has {len(names):,} layers and other objects, at most {_MOST_OBJECTS:,} are allowed")
    # `custom_object_scope` applies only in the thread that enters it.
    custom = {name: found for name in set(names) if (found := keras.saving.get_registered_object(name))}
    # Keras keeps a list of uninitialised variables and would initialise them at the next opportunity. The list belongs to the
    # thread, so the variables of a rejected model disappear with the thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_check_layers, config, custom, held).result()


def halved(content: bytes) -> bytes:
    """Return a ``.keras`` file with its weights in half precision. Keras converts them back to single precision on loading.

    Args:
        content: Content of the ``.keras`` file.

    Raises:
        ValueError: A weight is beyond the range of half precision.
    """
    halved = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(halved, "w", zipfile.ZIP_DEFLATED) as target:
        for name in _MEMBERS:
            member = source.read(name)
            target.writestr(name, _halved_hdf5(member) if name.endswith(".h5") else member)
    return halved.getvalue()


def _halved_hdf5(hdf5: bytes) -> bytes:
    import h5py

    converted = io.BytesIO()
    with h5py.File(io.BytesIO(hdf5)) as source, h5py.File(converted, "w") as target:
        target.attrs.update(source.attrs)

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                made = target.require_group(name)
            else:
                made = target.create_dataset(name, data=_half(name, item[()]))
            made.attrs.update(item.attrs)

        source.visititems(copy)
    return converted.getvalue()


def _half(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype != np.float32:
        return values
    if (largest := float(np.abs(values).max(initial=0))) > float(np.finfo(np.float16).max):
        raise ValueError(f"{name} has a weight of {largest:g}, beyond half precision: save in single precision")
    return values.astype(np.float16)


def _weights_in(hdf5: bytes) -> int:
    import h5py

    with h5py.File(io.BytesIO(hdf5)) as file:
        return sum(dataset.size for dataset in hdf5_datasets(file, len(hdf5)).values())


def _class_names(config: Any) -> Iterator[str]:
    """Yield the names of all classes in a model's configuration."""
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from (value[key] for key in ("registered_name", "class_name") if isinstance(value.get(key), str))
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _check_layers(config: dict[str, Any], custom: dict[str, Any], held: int) -> None:
    """Compare the layers in a configuration with the number of weights in the file."""
    # In this scope variables have a shape but no value, so even huge layers allocate nothing.
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object({**config, "compile_config": None}, custom, safe_mode=True)
    wanted = sum(math.prod(weight.shape) for weight in model.weights)
    if wanted > held:
        raise ValueError(f"the layers of the model need {wanted:,} weights, but its file has {held:,}")
    for layer in model.layers:
        for output in keras.tree.flatten(layer.output):
            if math.prod(size or 1 for size in output.shape[1:]) > _MOST_OUTPUTS:
                raise ValueError(f"layer {layer.name} gives {output.shape[1:]}, more than {_MOST_OUTPUTS:,} numbers per window")
