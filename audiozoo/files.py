"""Writing of files that are complete or absent, and checksums."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise an error if a file cannot be written to a path, before hours of work for it.

    Raises:
        ValueError: The path is a folder, a device or anything else but a file.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file to write, such as {path / 'result'}")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: is not a regular file, and writing would replace it by one; name another")


def checksum(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content, hexadecimal; a large file is read piece by piece.

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file beside `path` to write to; it becomes `path` when the block ends without an error.

    A reader sees the old file or the new one and never a part, also if the process is killed. Missing folders are made.

    Raises:
        OSError: The file cannot be written, for example because the disk is full; the message names it.
        ValueError: The path is not a file's, see `check_target`.
    """
    check_target(path)
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Some writers choose their format by the suffix, so it stays.
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with naming(path, instead_of=temporary):
            yield temporary
            open_to_all(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, *, instead_of: Path | None = None) -> Iterator[None]:
    """Add a path to each OSError of the block that names no file, as the error of a full disk does not.

    Args:
        path: File that is being written.
        instead_of: Temporary file whose name, too, is replaced by `path`.

    Raises:
        OSError: The block raised it.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(instead_of)):
            error.filename, error.filename2 = str(path), None
        elif error.errno is None and str(path) not in str(error):
            # Libraries in C report a full disk as a sentence without a number.
            raise OSError(f"{path}: {error}") from error
        raise


def open_to_all(path: Path) -> None:
    """Give a file the permissions of any other new file; a temporary file can be read by its owner only."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
