"""Files that `torch.save` wrote: the ZIP format, and the format before PyTorch 1.6, in which PANNs are published."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from audiozoo.bounded import MIB, BoundedZip
from audiozoo.checkpoints.pickled import STORAGES, Storage, Tensor, read_pickle

Arrays = dict[str, np.ndarray]

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""Pickle of the number with which files before PyTorch 1.6 begin."""

_LEGACY_PROTOCOL = 1_001
_LARGEST_PICKLE = 64 * MIB
_NESTED = ("model", "state_dict", "model_state_dict")


def read_zip_format(file: BinaryIO) -> Arrays:
    """Read the tensors of a file that PyTorch 1.6 or later wrote.

    Args:
        file: Open binary file.

    Returns:
        Arrays by the names of the tensors.

    Raises:
        ValueError: The file is damaged, names something other than tensors, or declares more than it holds.
    """
    with BoundedZip(file, zip64=True) as archive:
        folder = _folder(archive)
        if f"{folder}byteorder" in archive and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("its numbers are big-endian, and only little-endian files are read")
        pickle = f"{folder}data.pkl"
        if (size := archive.size(pickle)) > _LARGEST_PICKLE:
            raise ValueError(f"{pickle} has {size:,} bytes, at most {_LARGEST_PICKLE:,} are allowed")
        content, _ = read_pickle(io.BytesIO(archive.read(pickle)))
        return _arrays(content, lambda storage: archive.read(f"{folder}data/{storage.key}"))


def _folder(archive: BoundedZip) -> str:
    found = [name for name in archive if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(found) != 1:
        inside = ", ".join(list(archive)[:3])
        raise ValueError(f"it is a ZIP archive without the one data.pkl that PyTorch writes; it holds {inside or 'nothing'}")
    return found[0].removesuffix("data.pkl")


def read_legacy_format(file: BinaryIO) -> Arrays:
    """Read the tensors of a file that PyTorch before version 1.6 wrote.

    Args:
        file: Open binary file.

    Returns:
        Arrays by the names of the tensors.

    Raises:
        ValueError: The file is damaged, names something other than tensors, or declares more than it holds.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(len(LEGACY_START))
    (protocol, _), (system, _), (content, storages), (keys, _) = (read_pickle(file) for _ in range(4))
    if protocol != _LEGACY_PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError(f"its protocol is {protocol!r}, and only {_LEGACY_PROTOCOL} with little-endian numbers is read")
    if not isinstance(keys, list) or sorted(keys) != sorted(storages):
        raise ValueError("the storages that it lists are not those of its tensors")
    places = {key: _place(file, storages[key], size) for key in keys}
    return _arrays(content, lambda storage: _at(file, *places[storage.key]))


def _place(file: BinaryIO, storage: Storage, size: int) -> tuple[int, int]:
    """Return the position and the length (bytes) of a storage, and move the file behind it."""
    count = int.from_bytes(file.read(8), "little")
    start, length = file.tell(), storage.size * np.dtype(STORAGES[storage.kind]).itemsize
    if count != storage.size or start + length > size:
        raise ValueError(f"the storage {storage.key} declares {storage.size:,} values, and the file has {count:,} or ends")
    file.seek(length, io.SEEK_CUR)
    return start, length


def _at(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _state_dict(value: Any) -> dict[Any, Any]:
    """Return the dictionary that holds the tensors themselves."""
    while isinstance(value, dict) and not any(isinstance(item, Tensor) for item in value.values()):
        value = next((value[key] for key in _NESTED if isinstance(value.get(key), dict)), None)
    if not isinstance(value, dict):
        raise ValueError(f"it has no dictionary of tensors, neither on top nor under {', '.join(map(repr, _NESTED))}")
    return value


def _arrays(content: Any, read: Callable[[Storage], bytes]) -> Arrays:
    known: dict[str, np.ndarray] = {}
    arrays = {}
    for name, tensor in _state_dict(content).items():
        if isinstance(tensor, Tensor):
            storage = tensor.storage
            if storage.key not in known:
                known[storage.key] = _values(str(name), storage, read(storage))
            arrays[str(name)] = _view(str(name), tensor, known[storage.key])
    return arrays


def _values(name: str, storage: Storage, content: bytes) -> np.ndarray:
    kind = np.dtype(STORAGES[storage.kind])
    if len(content) != storage.size * kind.itemsize:
        raise ValueError(f"{name} declares {storage.size:,} values of {kind}, and the file holds {len(content):,} bytes")
    values = np.frombuffer(content, kind)
    return (values.astype("<u4") << 16).view("<f4") if storage.kind == "BFloat16Storage" else values


def _view(name: str, tensor: Tensor, values: np.ndarray) -> np.ndarray:
    shape, strides = tensor.shape, tensor.strides
    end = tensor.offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1
    count = math.prod(shape)
    # An array of few values that claims strides of 0 would grow without limit when it is copied.
    if count > len(values) or (count and end > len(values)):
        raise ValueError(f"{name} declares the shape {shape} and strides {strides}, and its storage has {len(values):,} values")
    if not count:
        return np.zeros(shape, values.dtype)
    distances = [stride * values.itemsize for stride in strides]
    view = np.lib.stride_tricks.as_strided(values[tensor.offset :], shape, distances, writeable=False)
    return view if view.flags.c_contiguous else view.copy()
