"""Read the members of ZIP and TAR archives one after another, and check that nothing of the archive is missing."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Self

from audiozoo.download.splitzip import open_split

_MOST_AFTER_END = 2**20  # Writers of TAR archives pad with zeros, far less than this (bytes).
_MOST_IN_MEMORY = 2**20  # Longest name or attributes of a member (bytes); real ones have a few hundred.
_IN_MEMORY = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_COMPRESSED: dict[bytes, Callable[[BinaryIO], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


@dataclass(frozen=True)
class Member:
    """A file or folder in an archive.

    Args:
        name: Name as the archive states it; it may be malicious.
        size: Size as the archive states it (bytes); it may be false.
        is_folder: Whether it is a folder.
        source: Content of a file; `None` for a folder.
    """

    name: str
    size: int
    is_folder: bool
    source: IO[bytes] | None


def members(parts: Sequence[Path]) -> Iterator[Member]:
    """Yield the members of an archive. Each must be read before the next one.

    Args:
        parts: Path of the archive, or those of all parts of a split ZIP archive in their order.

    Yields:
        Each member.

    Raises:
        ValueError: A member is a link, a special file or encrypted.
        zipfile.BadZipFile, tarfile.TarError, EOFError, OSError: The archive is damaged, see `unpack`.
    """
    archive = parts[-1]
    with _opened(parts) as file:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as opened:
                yield from (_zip_member(archive, opened, info) for info in opened.infolist())
            return
        content = _decompressed(file)
        with tarfile.open(fileobj=content, mode="r|", tarinfo=_StrictInfo) as stream:
            yield from (_tar_member(archive, stream, info) for info in stream)
        # A compressed file has its checksum and its length at the end, and nothing checks them before that is read.
        if len(content.read(_MOST_AFTER_END + 1)) > _MOST_AFTER_END:
            raise tarfile.ReadError(f"more than {_MOST_AFTER_END:,} bytes follow its end")


def unpacked_size(parts: Sequence[Path]) -> int:
    """Return the size of the unpacked files (bytes); for a TAR archive its own size, which is a lower bound."""
    with _opened(parts) as file:
        if not zipfile.is_zipfile(file):
            return sum(part.stat().st_size for part in parts)
        with zipfile.ZipFile(file) as opened:
            return sum(info.file_size for info in opened.infolist())


def _opened(parts: Sequence[Path]) -> BinaryIO:
    return parts[0].open("rb") if len(parts) == 1 else open_split(parts)


def _decompressed(file: BinaryIO) -> Any:
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    opens = next((opens for magic, opens in _COMPRESSED.items() if start.startswith(magic)), None)
    return opens(file) if opens else file


class _StrictInfo(tarfile.TarInfo):
    """Header of a member. Without this class, tarfile takes a damaged or missing header for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError(f"{info.name[:80]!r} is a sparse file, whose list of blocks has no bound")
        # tarfile reads a long name or attributes into memory, whatever their size.
        if info.type in _IN_MEMORY and info.size > _MOST_IN_MEMORY:
            raise tarfile.ReadError(f"a name or an attribute has {info.size:,} bytes")
        return info

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the block of zeros that marks the end
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a header or the mark of the end is missing: {error}") from error


def _zip_member(archive: Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"{archive}: refused, because the member {info.filename[:80]!r} is a link or a special file")
    if info.flag_bits & 1:
        raise ValueError(f"{archive}: the member {info.filename[:80]!r} is encrypted, and audiozoo has no password for it")
    if info.header_offset < 0:
        raise zipfile.BadZipFile("its directory refers to a place before its start")
    is_folder = info.filename.endswith("/")
    # `orig_filename` still has what zipfile removes from names, such as backslashes on Windows.
    return Member(info.orig_filename, info.file_size, is_folder, None if is_folder else opened.open(info))


def _tar_member(archive: Path, stream: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    if not (info.isreg() or info.isdir()) or info.issparse():
        raise ValueError(f"{archive}: refused, because the member {info.name[:80]!r} is a link or a special file")
    return Member(info.name, info.size, info.isdir(), stream.extractfile(info))
