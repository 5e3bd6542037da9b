"""Safe readers of ZIP, JSON, NumPy and HDF5 files, which may declare false sizes.

A file of a few kilobytes can declare terabytes. Every function here compares the declared size with the size of the file
before it allocates memory. `most_from` limits how large a file may become in memory.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import numpy as np

if TYPE_CHECKING:
    import h5py

MIB = 2**20

_ALLOWANCE, _EXPANSION = 16 * MIB, 8
_PIECE = 2**16
_LONGEST_DIRECTORY = MIB
_LONGEST_HEADER = 1_000  # characters; NumPy writes 118, and parses nested brackets in seconds
_MOST_JSON_VALUES = 10**6
_MOST_HDF5_ITEMS = 10_000
_DEEPEST_HDF5 = 64
_LONGEST_REASON = 1_000
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO}


def most_from(size: int) -> int:
    """Return the largest number of bytes that a file of `size` bytes may take in memory.

    Compression hardly reduces the size of weights, so a file that grows more than this is a decompression bomb.
    """
    return _ALLOWANCE + _EXPANSION * size


@contextmanager
def refusing(path: str | os.PathLike[str], verdict: str) -> Iterator[None]:
    """Turn every error of the block into the one ValueError that says that a file cannot be used.

    Args:
        path: Path of the file.
        verdict: Verdict about the file, such as "not a classifier that this version reads".

    Raises:
        OSError: The machine is in trouble, such as a full disk, which says nothing about the file.
        ValueError: Any other error; the message has the path, the verdict and the reason.
    """
    try:
        yield
    # zipfile, NumPy, HDF5, Keras and its backends raise errors of some twenty classes for damaged or hostile files.
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _MACHINE:
            raise
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}: {verdict}: {reason[:_LONGEST_REASON]}") from error


class BoundedZip:
    """A ZIP archive whose directory is checked before any member is read.

    Args:
        file: Open binary file with the archive.
        limits: Largest decompressed size (bytes) of each member that the archive may have; with `None`, the archive may have
            members of any name, and only `most_from` limits them.
        zip64: Whether the archive may end in a 64-bit record, as PyTorch writes it for files of any size.

    Raises:
        ValueError: The file is not a ZIP archive, is truncated, or its directory exceeds a limit.
    """

    def __init__(self, file: BinaryIO, limits: Mapping[str, int] | None = None, *, zip64: bool = False) -> None:
        size = file.seek(0, io.SEEK_END)
        _check_end(file, size, zip64=zip64)
        try:
            self._archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, NotImplementedError, struct.error) as error:
            raise ValueError(f"it is not a complete ZIP archive ({error})") from error
        self._members = {info.filename: info for info in self._archive.infolist()}
        if len(self._members) != len(self._archive.infolist()):
            raise ValueError("two members of the archive have the same name")
        for info in self._members.values():
            self._check(info, limits)
        if (total := sum(info.file_size for info in self._members.values())) > most_from(size):
            raise ValueError(
                f"its members declare {total:,} bytes, an archive of {size:,} bytes may hold at most {most_from(size):,}"
            )

    @staticmethod
    def _check(info: zipfile.ZipInfo, limits: Mapping[str, int] | None) -> None:
        name = info.filename
        if limits is not None and name not in limits:
            raise ValueError(f"{name!r} is not one of the allowed members, {', '.join(limits)}")
        if limits is not None and info.file_size > limits[name]:
            raise ValueError(f"{name} declares {info.file_size:,} bytes, at most {limits[name]:,} are allowed")
        # The other methods of compression cannot be decompressed piece by piece.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 0x1:
            raise ValueError(f"{name} must be stored or deflated, without a password")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def size(self, name: str) -> int:
        """Return the size (bytes) that a member declares; 0 if there is no such member."""
        return self._members[name].file_size if name in self._members else 0

    def read(self, name: str) -> bytes:
        """Read a member and verify its checksum.

        Raises:
            ValueError: There is no such member, or it is damaged.
        """
        if name not in self._members:
            raise ValueError(f"{name} is missing")
        pieces = []
        try:
            with self._archive.open(self._members[name]) as member:
                # Without a size, `read` decompresses up to 2 GiB at once, whatever size the member declares.
                while piece := member.read(_PIECE):
                    pieces.append(piece)
        except Exception as error:  # zipfile and zlib raise a dozen kinds of errors for damaged members
            raise ValueError(f"{name} is damaged ({error})") from error
        return b"".join(pieces)


_RECORD, _LOCATOR, _RECORD64 = 22, 20, 56  # bytes of the records at the end of a ZIP archive


def _check_end(file: BinaryIO, size: int, *, zip64: bool) -> None:
    """Check the size of a ZIP archive's directory, because `zipfile` creates an object for each entry.

    The archive must end in the plain record that `zipfile` writes: no comment after it, and before it no 64-bit record (for
    archives of more than 4 GiB) that says anything else. Otherwise readers could disagree on the position of the directory.
    """
    file.seek(max(size - _RECORD - _LOCATOR - _RECORD64, 0))
    tail = file.read()
    if tail[-22:-18] != b"PK\x05\x06" or tail[-2:] != b"\0\0":
        raise ValueError("it is not a ZIP archive, or is truncated: save or copy it again")
    if tail[-42:-38] == b"PK\x06\x07" and not (zip64 and _agree(tail)):
        raise ValueError("archives of more than 4 GiB are not read")
    if (length := int.from_bytes(tail[-10:-6], "little")) > _LONGEST_DIRECTORY:
        raise ValueError(f"the archive's directory declares {length:,} bytes, at most {_LONGEST_DIRECTORY:,} are allowed")


def _agree(tail: bytes) -> bool:
    """Tell whether the 64-bit record in the last bytes of an archive has the same directory as the plain record."""
    wide = struct.unpack("<QQQ", tail[-66:-42]) if tail[-98:-94] == b"PK\x06\x06" else ()
    return wide == struct.unpack("<HII", tail[-12:-2])


def parse_json(content: bytes, *, most: int, depth: int) -> Any:
    """Parse JSON whose size, nesting and number of values are limited.

    Args:
        content: UTF-8 text.
        most: Largest size of the text (bytes).
        depth: Deepest nesting of lists and objects.

    Returns:
        The parsed value. NaN and infinity, which Python writes, are accepted.

    Raises:
        ValueError: The text is not JSON, has an object with two equal keys, or exceeds a limit.
    """
    if len(content) > most:
        raise ValueError(f"the JSON has {len(content):,} bytes, at most {most:,} are allowed")
    # A list of two bytes becomes an object of 56, so the text's size alone does not limit the memory.
    if sum(map(content.count, (b",", b"[", b"{"))) > _MOST_JSON_VALUES:
        raise ValueError(f"the JSON has more than {_MOST_JSON_VALUES:,} values")
    try:
        parsed = json.loads(content, object_pairs_hook=_distinct)
    except RecursionError as error:
        raise ValueError(f"the JSON is nested deeper than {depth} levels") from error
    _check_depth(parsed, depth)
    return parsed


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError(f"the JSON has an object with two equal keys among {', '.join(value)[:200]}")
    return value


def _check_depth(value: Any, depth: int) -> None:
    level = [value]
    for _ in range(depth + 1):
        level = [item for parent in level for item in _items(parent)]
        if not level:
            return
    raise ValueError(f"the JSON is nested deeper than {depth} levels")


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def read_npz(
    source: str | os.PathLike[str] | bytes, limits: Mapping[str, int] | None = None, *, texts: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Read the arrays of numbers in a NumPy archive.

    Args:
        source: Path of the file, or its content.
        limits: Largest size (bytes) of each array that may be there, header included; `None` allows any names.
        texts: Names of the arrays that hold text instead.

    Returns:
        The arrays by name.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file is not a NumPy archive of numbers, is damaged, or declares more than it holds.
    """
    members = None if limits is None else {f"{name}.npy": most for name, most in limits.items()}
    with _opened(source) as file, BoundedZip(file, members) as archive:
        names = {name: name.removesuffix(".npy") for name in archive}
        return {short: _array(name, archive.read(name), text=short in texts) for name, short in names.items()}


def _opened(source: str | os.PathLike[str] | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def _array(name: str, content: bytes, *, text: bool) -> np.ndarray:
    stream = io.BytesIO(content)
    try:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream, max_header_size=_LONGEST_HEADER)
    except Exception as error:  # the header is a Python expression, whose parser has errors of many kinds
        raise ValueError(f"{name} is not a NumPy array ({error})") from error
    if dtype.kind not in ("U" if text else "biuf"):
        raise ValueError(f"{name} must hold {'text' if text else 'numbers'}, it holds {dtype}")
    declared, held = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if declared != held or min(shape, default=0) < 0:
        raise ValueError(f"{name} declares the shape {shape} of {dtype}, {declared:,} bytes, and holds {held:,}")
    stream.seek(0)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def hdf5_datasets(file: h5py.File, size: int) -> dict[str, h5py.Dataset]:
    """Return the datasets of an HDF5 file by path, after a check that they hold numbers and have plausible sizes.

    Args:
        file: Open file.
        size: Its size (bytes).

    Raises:
        ValueError: The file has links to other files or places, groups nested without end, datasets that do not hold numbers,
            or datasets larger than `most_from` allows.
    """
    found: dict[str, h5py.Dataset] = {}
    total = 0
    for path, dataset in _walk(file, ""):
        found[path] = dataset
        _check_dataset(path, dataset, size)
        total += dataset.size * dataset.dtype.itemsize
        if total > most_from(size):
            raise ValueError(f"its datasets declare more than {most_from(size):,} bytes in a file of {size:,}")
    return found


def _walk(group: h5py.Group, path: str) -> Iterator[tuple[str, h5py.Dataset]]:
    import h5py

    # A group may contain itself, so neither the depth nor the number of items is limited by the file's size.
    pending = [(path, group, 0)]
    seen = 0
    while pending:
        path, parent, depth = pending.pop()
        for name in parent:
            seen += 1
            if seen > _MOST_HDF5_ITEMS or depth > _DEEPEST_HDF5:
                raise ValueError(f"it has more than {_MOST_HDF5_ITEMS:,} items, or groups deeper than {_DEEPEST_HDF5}")
            if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{path}{name} is a link, which is not followed")
            item = parent[name]
            if isinstance(item, h5py.Group):
                pending.append((f"{path}{name}/", item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                yield path + name, item


def _check_dataset(path: str, dataset: h5py.Dataset, size: int) -> None:
    # HDF5 has no bfloat16, so Keras stores its two bytes as they are.
    bfloat = dataset.dtype == "V2" and dataset.attrs.get("dtype") == "bfloat16"
    if not (dataset.dtype.kind in "biuf" or bfloat) or dataset.shape is None:
        raise ValueError(f"{path} must hold numbers, it holds {dataset.dtype}")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{path} takes its values from another file")
    # HDF5 reads whole chunks, and a chunk may be declared larger than the dataset.
    largest = max(math.prod(shape) for shape in (dataset.shape, dataset.chunks or ()))
    if largest * dataset.dtype.itemsize > most_from(size):
        raise ValueError(f"{path} declares the shape {dataset.shape} of {dataset.dtype} in a file of {size:,} bytes")


def read_hdf5(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the arrays of numbers in an HDF5 file, by their paths in it.

    Raises:
        OSError: The file cannot be opened, or is not an HDF5 file.
        ValueError: The file declares more than it holds, see `hdf5_datasets`.
    """
    import h5py

    with h5py.File(path) as file:
        return {name: dataset[()] for name, dataset in hdf5_datasets(file, Path(path).stat().st_size).items()}
