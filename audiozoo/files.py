"""Files that are either whole or not there, and what they hold."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_target(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to, before hours of work are done for it.

    Raises:
        ValueError: It is a folder, or something else that is no file.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file to write, such as {path / 'result'}")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: is no ordinary file and would be replaced by one; name another")


def checksum(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content, hexadecimal, whatever its size.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file beside `path` to write to; it becomes `path` when the block ends without an error.

    A reader, or a run killed in between, sees the old file or the new one and never a part. Missing folders are made.

    Raises:
        OSError: The folder cannot be written.
        ValueError: The path is no file's, see `check_target`.
    """
    check_target(path)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: some writers choose their format by it.
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _open_to_all(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _open_to_all(path: Path) -> None:
    # mkstemp makes files for their owner alone; a result deserves the permissions of any other new file.
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
