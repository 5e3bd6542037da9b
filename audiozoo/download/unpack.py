"""Unpack archives that others made: nothing is written outside the target, and nothing without a bound."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from audiozoo.files import open_to_all

_BLOCK = 2**20
_NAME = 255  # Longest name of a file on common file systems (bytes).


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    is_folder: bool
    source: IO[bytes] | None


def unpack(archive: str | os.PathLike[str], target: str | os.PathLike[str], *, most_bytes: int, most_files: int) -> Path:
    """Unpack a ZIP or TAR archive into a new folder.

    The files are written to a temporary folder beside the target, which gets its name at the end: the target is complete or
    does not exist.

    Args:
        archive: Path of the archive; a TAR archive may be compressed.
        target: Folder to make.
        most_bytes: Largest total size of the files (bytes).
        most_files: Largest number of files and folders.

    Returns:
        `target`.

    Raises:
        ValueError: The archive is damaged, encrypted or too large, or a member is a link, a special file or outside the target.
        FileExistsError: The target exists.
        OSError: The archive cannot be read, or the target cannot be written.
    """
    archive, target = Path(archive), Path(target)
    if target.exists():
        raise FileExistsError(f"{target}: exists already; move it away, or choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _Writer(archive, temporary, most_bytes, most_files).write()
        open_to_all(temporary)
        temporary.rename(target)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{archive}: the archive is damaged ({error}); delete it and download it again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


class _Writer:
    """Write the members of one archive below a folder, and count their bytes."""

    def __init__(self, archive: Path, folder: Path, most_bytes: int, most_files: int) -> None:
        self.archive, self.folder = archive, folder
        self.left, self.most_files = most_bytes, most_files
        self.seen: dict[str, str] = {}

    def write(self) -> None:
        for count, member in enumerate(_members(self.archive), 1):
            if count > self.most_files:
                raise ValueError(f"{self.archive}: has more than {self.most_files:,} members; nothing was unpacked")
            path = self.folder / self._checked(member)
            if member.is_folder:
                path.mkdir(parents=True, exist_ok=True)
            elif member.source is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._copy(member, path)

    def _refusal(self, name: str, why: str) -> ValueError:
        return ValueError(f"{self.archive}: refused, because the member {name[:80]!r} {why}; nothing was unpacked")

    def _checked(self, member: _Member) -> str:
        name = member.name.rstrip("/")
        # A tar archive made with "tar -C folder ." starts its names with "./".
        parts = [part for part in name.split("/") if part != "."]
        if name.startswith("/") or ".." in parts or "\\" in name or ":" in name or "\0" in name or "" in parts[:-1]:
            raise self._refusal(name, "is not below the target")
        if any(len(os.fsencode(part)) > _NAME for part in parts):
            raise self._refusal(name, f"has a name of more than {_NAME} bytes")
        self._check_distinct(parts, member)
        if member.size > self.left:
            raise self._refusal(name, f"exceeds the declared size of the archive, with {self.left:,} bytes left")
        return "/".join(parts)

    def _check_distinct(self, parts: list[str], member: _Member) -> None:
        for end in range(1, len(parts) + 1):
            path = "/".join(parts[:end])
            # On file systems that ignore case, the second file would replace the first.
            if self.seen.setdefault(path.casefold(), path) != path:
                raise self._refusal(member.name, f"differs only by case from {self.seen[path.casefold()]!r}")
        if not member.is_folder and (self.folder / "/".join(parts)).exists():
            raise self._refusal(member.name, "is in the archive twice")

    def _copy(self, member: _Member, path: Path) -> None:
        assert member.source is not None
        with member.source as source, path.open("xb") as file:
            # The size that the archive states may be false, so the bytes count and not the statement.
            while block := source.read(_BLOCK):
                self.left -= len(block)
                if self.left < 0:
                    raise self._refusal(member.name, "exceeds the declared size of the archive")
                file.write(block)


def _members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield from (_zip_member(archive, opened, info) for info in opened.infolist())
        return
    with tarfile.open(archive, "r|*") as stream:
        yield from (_tar_member(archive, stream, info) for info in stream)


def _zip_member(archive: Path, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"{archive}: refused, because the member {info.filename[:80]!r} is a link or a special file")
    if info.flag_bits & 1:
        raise ValueError(f"{archive}: the member {info.filename[:80]!r} is encrypted, and audiozoo has no password for it")
    # `orig_filename` still has what zipfile removes from names, such as backslashes on Windows.
    source = None if info.is_dir() else opened.open(info)
    return _Member(info.orig_filename, info.file_size, info.is_dir(), source)


def _tar_member(archive: Path, stream: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    if not (info.isreg() or info.isdir()):
        raise ValueError(f"{archive}: refused, because the member {info.name[:80]!r} is a link or a special file")
    return _Member(info.name, info.size, info.isdir(), stream.extractfile(info))
