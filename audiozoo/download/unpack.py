"""Unpack archives that others made: nothing is written outside the target, and nothing without a bound."""

from __future__ import annotations

import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audiozoo.download.members import Member, members, unpacked_size
from audiozoo.files import open_to_all
from audiozoo.progress import Progress

_BLOCK = 2**20
_NAME = 255  # Longest name of a file on common file systems (bytes).
_MOST_RATIO = 100  # Sounds rarely shrink to less than a half; a bomb of zeros shrinks a thousandfold.
_HARMLESS = 10**6  # A small archive of tables may have any ratio (bytes).


def unpack(
    archive: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    most_bytes: int,
    most_files: int,
    earlier: Sequence[str | os.PathLike[str]] = (),
    progress: Progress | None = None,
) -> Path:
    """Unpack a ZIP or TAR archive into a new folder.

    The files are written to a temporary folder beside the target, which gets its name at the end: the target is complete or
    does not exist. More than a hundred times the size of the archive is refused as a decompression bomb.

    Args:
        archive: Path of the archive; a TAR archive may be compressed.
        target: Folder to make.
        most_bytes: Largest total size of the files (bytes).
        most_files: Largest number of files and folders.
        earlier: Paths of the earlier parts of a split ZIP archive (".z01", ".z02", ...) in their order.
        progress: Callback, see `audiozoo.progress`; it counts bytes. The total of a TAR archive is not known before.

    Returns:
        `target`.

    Raises:
        ValueError: The archive is damaged, encrypted or too large, or a member is a link, a special file or outside the target.
        FileExistsError: The target exists.
        OSError: The archive cannot be read, or the target cannot be written; the message says if the disk is too small.
    """
    archive, target = Path(archive), Path(target)
    parts = [*map(Path, earlier), archive]
    if target.exists():
        raise FileExistsError(f"{target}: exists already; move it away, or choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _damage_named(archive):
        needed = unpacked_size(parts)
    _check_room(needed, archive, target.parent, most_bytes)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        with _damage_named(archive):
            writer = _Writer(parts, temporary, most_bytes, most_files)
            for done in writer.write():
                if progress is not None:
                    progress("unpack", done, max(needed, done), {})
        open_to_all(temporary)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


@contextmanager
def _damage_named(archive: Path) -> Iterator[None]:
    """Context manager that turns the many exceptions for a damaged archive into a ValueError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError, zlib.error, lzma.LZMAError, OSError) as error:
        # gzip and bz2 report damage by an OSError without a number; that of a file or a disk has one.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{archive}: the archive is damaged ({error}); download it again") from error


def _check_room(needed: int, archive: Path, folder: Path, most_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    # An archive that states more than is allowed is refused later, with the member that exceeds it.
    if free < needed <= most_bytes:
        raise OSError(f"{archive}: needs {needed:,} bytes when unpacked, and the disk of {folder} has {free:,} free; make room")


class _Writer:
    """Write the members of one archive below a folder, and count their bytes."""

    def __init__(self, parts: Sequence[Path], folder: Path, most_bytes: int, most_files: int) -> None:
        self.parts, self.archive, self.folder = parts, parts[-1], folder
        self.most_bytes, self.most_files, self.done = most_bytes, most_files, 0
        self.plausible = max(_HARMLESS, _MOST_RATIO * sum(part.stat().st_size for part in parts))
        self.seen: dict[str, str] = {}

    def write(self) -> Iterator[int]:
        """Write all members, and yield the number of bytes written so far."""
        for count, member in enumerate(members(self.parts), 1):
            if count > self.most_files:
                raise ValueError(f"{self.archive}: has more than {self.most_files:,} members; nothing was unpacked")
            path = self.folder / self._checked(member)
            if member.is_folder:
                path.mkdir(parents=True, exist_ok=True)
            elif member.source is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                for size in self._copied(member, path):
                    self.done += size
                    self._check_size(member.name)
                    yield self.done

    def _refusal(self, name: str, why: str) -> ValueError:
        return ValueError(f"{self.archive}: refused, because the member {name[:80]!r} {why}; nothing was unpacked")

    def _checked(self, member: Member) -> str:
        name = member.name.rstrip("/")
        # A tar archive made with "tar -C folder ." starts its names with "./".
        parts = [part for part in name.split("/") if part != "."]
        if name.startswith("/") or ".." in parts or "\\" in name or ":" in name or "\0" in name or "" in parts[:-1]:
            raise self._refusal(name, "is not below the target")
        if not member.is_folder and not any(parts):
            raise self._refusal(name, "has no name")
        if any(len(os.fsencode(part)) > _NAME for part in parts):
            raise self._refusal(name, f"has a name of more than {_NAME} bytes")
        self._check_distinct(parts, member)
        if member.size > (left := self.most_bytes - self.done):
            raise self._refusal(name, f"exceeds the {self.most_bytes:,} bytes that the files may have, with {left:,} left")
        return "/".join(parts)

    def _check_distinct(self, parts: list[str], member: Member) -> None:
        for end in range(1, len(parts) + 1):
            path = "/".join(parts[:end])
            # On file systems that ignore case, the second file would replace the first.
            if self.seen.setdefault(path.casefold(), path) != path:
                raise self._refusal(member.name, f"differs only by case from {self.seen[path.casefold()]!r}")
        if not member.is_folder and (self.folder / "/".join(parts)).exists():
            raise self._refusal(member.name, "is in the archive twice")

    def _copied(self, member: Member, path: Path) -> Iterator[int]:
        """Copy a file, and yield the size of each block before it is written."""
        assert member.source is not None
        with member.source as source, path.open("xb") as file:
            while block := source.read(_BLOCK):
                yield len(block)
                file.write(block)

    def _check_size(self, name: str) -> None:
        # The size that the archive states may be false, so the bytes count and not the statement.
        if self.done > self.most_bytes:
            raise self._refusal(name, f"exceeds the {self.most_bytes:,} bytes that the files may have")
        if self.done > self.plausible:
            raise self._refusal(name, f"makes the files more than {_MOST_RATIO} times as large as the archive")
