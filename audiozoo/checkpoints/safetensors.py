"""Files in the safetensors format: a JSON header, then the numbers."""

from __future__ import annotations

import io
import math
from typing import Any, BinaryIO

import numpy as np

from audiozoo.bounded import MIB, parse_json

_LONGEST_HEADER = 16 * MIB
_KINDS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U8": "<u1",
    "BOOL": "?",
}


def read_safetensors(file: BinaryIO) -> dict[str, np.ndarray]:
    """Read the tensors of a safetensors file.

    Args:
        file: Open binary file.

    Returns:
        Arrays by the names of the tensors.

    Raises:
        ValueError: The file is truncated, has bytes that no tensor uses, or its header is not one of tensors.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > min(_LONGEST_HEADER, size - 8):
        raise ValueError(
            f"its header declares {length:,} bytes in a file of {size:,} bytes; it is truncated or no safetensors file"
        )
    header = parse_json(file.read(length), most=_LONGEST_HEADER, depth=8)
    if not isinstance(header, dict):
        raise ValueError("its header is not an object of tensors")
    header.pop("__metadata__", None)
    held = size - 8 - length
    _check_places(header, held)
    return {name: _array(name, entry, file, 8 + length) for name, entry in header.items()}


def _check_places(header: dict[str, Any], held: int) -> None:
    """Check that the tensors follow each other without a gap or an overlap and end where the file ends."""
    end = 0
    for name, (start, stop) in sorted(((name, _offsets(name, entry)) for name, entry in header.items()), key=lambda a: a[1]):
        if start != end or stop < start:
            raise ValueError(f"{name} begins at byte {start:,}, where byte {end:,} is next")
        end = stop
    if end != held:
        raise ValueError(f"its tensors declare {end:,} bytes, and the file holds {held:,}; download or copy it again")


def _offsets(name: str, entry: Any) -> tuple[int, int]:
    known = isinstance(entry, dict) and entry.get("dtype") in _KINDS
    numbers = [*entry.get("shape", [-1]), *entry.get("data_offsets", [])] if known else [-1]
    if any(type(number) is not int or number < 0 for number in numbers) or len(entry["data_offsets"]) != 2:
        raise ValueError(f"{name} has a type, shape or place that cannot be read: {str(entry)[:200]}")
    return entry["data_offsets"][0], entry["data_offsets"][1]


def _array(name: str, entry: dict[str, Any], file: BinaryIO, base: int) -> np.ndarray:
    kind, shape, (start, stop) = np.dtype(_KINDS[entry["dtype"]]), tuple(entry["shape"]), entry["data_offsets"]
    if math.prod(shape) * kind.itemsize != stop - start:
        raise ValueError(f"{name} declares the shape {shape} of {entry['dtype']}, and {stop - start:,} bytes")
    file.seek(base + start)
    values = np.frombuffer(file.read(stop - start), kind).reshape(shape)
    return (values.astype("<u4") << 16).view("<f4") if entry["dtype"] == "BF16" else values
