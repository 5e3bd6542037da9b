"""Read a ZIP archive that is split into parts, ``NAME.z01``, ``NAME.z02``, ..., ``NAME.zip``, which zipfile cannot.

Source of the format: PKWARE's APPNOTE.TXT, sections 4.3 and 8.5. The parts together are the archive, but its directory, at the
end of the last part, states the place of each file by the number of a part and a position there. Here a new directory with
positions in the whole archive follows the parts, and zipfile reads both as one file.
"""

from __future__ import annotations

import io
import struct
import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

_END = struct.Struct("<4s4H2LH")  # signature, this part, part of the directory, entries here, entries, size, position, comment
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")  # signature, part of the ZIP64 end, position there, number of parts
_ENTRY = struct.Struct("<4s6H3L5H2L")
_EXTRA = struct.Struct("<2H")
_FULL, _FULL_SHORT = 0xFFFF_FFFF, 0xFFFF  # the value is in a ZIP64 record
_LONGEST_END = _END.size + 0xFFFF
_MOST_DIRECTORY = 2**27  # bytes; the directory of FSD50K's 41,000 files has about 5 million


class Joined(io.RawIOBase):
    """Files one after another, read as one.

    Args:
        files: Files in their order, opened for reading.

    Attributes:
        starts: Position of the start of each file, and of the end of the last one.
    """

    def __init__(self, files: Sequence[BinaryIO]) -> None:
        self._files: list[BinaryIO] = []
        self.starts = [0]
        self._place = 0
        for file in files:
            self.append(file)

    def append(self, file: BinaryIO) -> None:
        """Continue with another file."""
        self._files.append(file)
        self.starts.append(self.starts[-1] + file.seek(0, io.SEEK_END))

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.starts[-1]}[whence]
        self._place = max(0, origin + offset)
        return self._place

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Read bytes, at most to the end of the file in which the position is, and return their number."""
        number = bisect_right(self.starts, self._place) - 1
        if number >= len(self._files):
            return 0
        file = self._files[number]
        file.seek(self._place - self.starts[number])
        content = file.read(min(len(buffer), self.starts[number + 1] - self._place))
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def close(self) -> None:
        """Close all files."""
        for file in self._files:
            file.close()
        super().close()


def open_split(parts: Sequence[Path]) -> BinaryIO:
    """Open a split ZIP archive as one file that zipfile can read.

    Args:
        parts: All parts in their order; the last one ends with ".zip".

    Returns:
        The file. Closing it closes all parts.

    Raises:
        zipfile.BadZipFile: The parts are not those of one archive, or its directory is damaged.
        OSError: A part cannot be read.
    """
    with ExitStack() as stack:
        whole = stack.enter_context(Joined([stack.enter_context(part.open("rb")) for part in parts]))
        whole.append(io.BytesIO(_directory(whole, tuple(whole.starts))))
        stack.pop_all()
    return io.BufferedReader(whole)  # type: ignore[type-var]


def _directory(whole: Joined, starts: Sequence[int]) -> bytes:
    """Return a directory with positions in the whole archive, as ZIP64 so that they may have any size."""
    place, size, count = _found(whole, starts)
    if size > _MOST_DIRECTORY:
        raise zipfile.BadZipFile(f"its directory has {size:,} bytes")
    entries = list(_entries(_read(whole, place, size), starts))
    if len(entries) != count:
        raise zipfile.BadZipFile(f"its directory has {len(entries)} of {count} entries")
    content = b"".join(entries)
    end = starts[-1] + len(content)
    return (
        content
        + _END_64.pack(b"PK\6\6", _END_64.size - 12, 45, 45, 0, 0, count, count, len(content), starts[-1])
        + _LOCATOR.pack(b"PK\6\7", 0, end, 1)
        + _END.pack(b"PK\5\6", 0, 0, _FULL_SHORT, _FULL_SHORT, _FULL, _FULL, 0)
    )


def _found(whole: Joined, starts: Sequence[int]) -> tuple[int, int, int]:
    """Return the position, the size and the number of entries of the directory."""
    tail_start = max(starts[-2], starts[-1] - _LONGEST_END)
    tail = _read(whole, tail_start, starts[-1] - tail_start)
    at = tail.rfind(b"PK\5\6", 0, len(tail) - _END.size + 4)
    if at < 0:
        raise zipfile.BadZipFile("the last part has no end of a directory")
    _, last, part, _, count, size, position, _ = _END.unpack_from(tail, at)
    before = tail[max(0, at - _LOCATOR.size) : at]
    if len(before) == _LOCATOR.size and before.startswith(b"PK\6\7"):
        _, end_part, end_position, parts = _LOCATOR.unpack(before)
        last, place = parts - 1, _placed(end_part, end_position, starts)
        signature, _, _, _, _, part, _, count, size, position = _END_64.unpack(_read(whole, place, _END_64.size))
        if signature != b"PK\6\6":
            raise zipfile.BadZipFile("its ZIP64 record is missing")
    if last != len(starts) - 2:
        raise zipfile.BadZipFile(f"it has {last + 1} parts, and {len(starts) - 1} are here")
    return _placed(part, position, starts), size, count


def _entries(content: bytes, starts: Sequence[int]) -> Iterator[bytes]:
    place = 0
    while place + _ENTRY.size <= len(content) and content.startswith(b"PK\1\2", place):
        fields = _ENTRY.unpack_from(content, place)
        name_start = place + _ENTRY.size
        extra_start = name_start + fields[10]
        comment_start = extra_start + fields[11]
        yield _entry(list(fields), content[name_start:extra_start], content[extra_start:comment_start], starts)
        place = comment_start + fields[12]


def _entry(fields: list[int], name: bytes, extra: bytes, starts: Sequence[int]) -> bytes:
    """Return an entry of the directory without its comment, with the sizes and the position in a ZIP64 record."""
    long, others = _without_zip64(extra)
    values = [fields[9], fields[8], fields[16], fields[13]]  # in the order of the record; only full ones are in it
    sizes = [8, 8, 8, 4]
    for number, limit in enumerate((_FULL, _FULL, _FULL, _FULL_SHORT)):
        if values[number] == limit:
            values[number], long = int.from_bytes(long[: sizes[number]], "little"), long[sizes[number] :]
    place = _placed(values[3], values[2], starts)
    record = _EXTRA.pack(1, 24) + struct.pack("<3Q", values[0], values[1], place)
    fields[8:14] = [_FULL, _FULL, len(name), len(record + others), 0, 0]
    fields[16] = _FULL
    return _ENTRY.pack(*fields) + name + record + others


def _without_zip64(extra: bytes) -> tuple[bytes, bytes]:
    """Split the extra field of an entry into the content of its ZIP64 record and all other records."""
    found, others = b"", b""
    while len(extra) >= _EXTRA.size:
        kind, size = _EXTRA.unpack_from(extra)
        end = _EXTRA.size + size
        if kind == 1:
            found = extra[_EXTRA.size : end]
        else:
            others += extra[:end]
        extra = extra[end:]
    return found, others


def _placed(part: int, position: int, starts: Sequence[int]) -> int:
    """Return the position in the whole archive of a position in one of its parts, which the next part may continue."""
    if part >= len(starts) - 1 or starts[part] + position > starts[-1]:
        raise zipfile.BadZipFile(f"it refers to part {part + 1} of {len(starts) - 1}, byte {position:,}")
    return starts[part] + position


def _read(whole: Joined, place: int, size: int) -> bytes:
    whole.seek(place)
    content = b""
    while block := whole.read(size - len(content)):
        content += block
    if len(content) < size:
        raise zipfile.BadZipFile("its directory is cut")
    return content
