"""The footer of a Parquet file: sizes that it declares for its columns.

pyarrow ends the process when a program asks it for the columns that a damaged footer declares, so the few numbers that are
checked before a file is read are taken from the footer here. It is a structure in the compact protocol of Thrift, whose fields
have the numbers that the format of Parquet defines.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from audiozoo.bounded import MIB

_MOST_BYTES = 16 * MIB
_TAIL = 8  # bytes after the footer: its length, and the mark of the format
_LONGEST_INTEGER = 10  # bytes of 64 bits, of which each takes seven
_TRUE, _FALSE, _BYTE, _SHORT, _INT, _LONG, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

_Item = TypeVar("_Item")


class Chunk(NamedTuple):
    """Values of one column in one row group, as the footer declares them; the codec is a number of the format."""

    column: str
    rows: int
    values: int
    codec: int


def read_chunks(path: Path) -> tuple[int, list[Chunk]]:
    """Return the number of rows that a Parquet file declares, and its columns in each row group.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The footer is damaged or too large.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != b"PAR1" or not 0 < length <= min(size - _TAIL, _MOST_BYTES):
            raise ValueError(f"it is not a Parquet file, is truncated, or has a footer of more than {_MOST_BYTES:,} bytes")
        file.seek(size - _TAIL - length)
        footer = _Footer(file.read(length))
    try:
        return footer.read()
    except (IndexError, KeyError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"its footer is damaged ({type(error).__name__})") from error


class _Footer:
    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def read(self) -> tuple[int, list[Chunk]]:
        found = self._struct(_STRUCT, {3: self._integer, 4: lambda kind: self._list(kind, self._group)})
        return found[3], [chunk for group in found[4] for chunk in group]

    def _group(self, kind: int) -> list[Chunk]:
        found = self._struct(kind, {1: lambda kind: self._list(kind, self._column), 3: self._integer})
        return [Chunk(str(path[0], "utf-8"), found[3], values, codec) for path, values, codec in found[1]]

    def _column(self, kind: int) -> tuple[list[bytes], int, int]:
        found = self._struct(kind, {3: self._column_metadata})
        return found[3]

    def _column_metadata(self, kind: int) -> tuple[list[bytes], int, int]:
        found = self._struct(kind, {3: lambda kind: self._list(kind, self._binary), 4: self._integer, 5: self._integer})
        return found[3], found[5], found[4]

    def _struct(self, kind: int, fields: Mapping[int, Callable[[int], Any]]) -> dict[int, Any]:
        """Read a structure with a function for each field that is needed; the others are skipped."""
        self._require(kind, _STRUCT)
        found, number = {}, 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else _signed(self._unsigned())
            if number in fields:
                found[number] = fields[number](head & 15)
            else:
                self._skip(head & 15)
        return found

    def _list(self, kind: int, item: Callable[[int], _Item]) -> list[_Item]:
        self._require(kind, _LIST, _SET)
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._unsigned()
        return [item(head & 15) for _ in range(count)]

    def _skip(self, kind: int) -> None:
        if kind in (_BYTE, _DOUBLE):
            self._take(1 if kind == _BYTE else 8)
        elif kind in (_SHORT, _INT, _LONG):
            self._integer(kind)
        elif kind == _BINARY:
            self._binary(kind)
        elif kind in (_LIST, _SET):
            self._list(kind, self._skip_item)
        elif kind == _STRUCT:
            self._struct(kind, {})
        else:
            self._require(kind, _TRUE, _FALSE)  # a field has the value in its kind

    def _skip_item(self, kind: int) -> None:
        if kind in (_TRUE, _FALSE):
            self._byte()  # an item of a list has a byte of its own
        else:
            self._skip(kind)

    def _integer(self, kind: int) -> int:
        self._require(kind, _SHORT, _INT, _LONG)
        return _signed(self._unsigned())

    def _binary(self, kind: int) -> bytes:
        self._require(kind, _BINARY)
        return self._take(self._unsigned())

    def _unsigned(self) -> int:
        value = 0
        for place in range(_LONGEST_INTEGER):
            byte = self._byte()
            value |= (byte & 127) << 7 * place
            if byte < 128:
                return value
        raise ValueError("its footer is damaged: an integer has more than 64 bits")

    def _take(self, count: int) -> bytes:
        self._place += count
        if self._place > len(self._content):
            raise ValueError("its footer is damaged: it ends too early")
        return self._content[self._place - count : self._place]

    def _byte(self) -> int:
        return self._take(1)[0]

    @staticmethod
    def _require(kind: int, *kinds: int) -> None:
        if kind not in kinds:
            raise ValueError(f"its footer is damaged: a field is of the kind {kind}")


def _signed(value: int) -> int:
    return value >> 1 ^ -(value & 1)
