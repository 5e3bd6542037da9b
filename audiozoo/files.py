"""Atomic writing of files, and checksums."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

_FINGERPRINT = 2**15  # bytes at each end of a file; different recordings hardly agree in both ends and in size

_ATTEMPTS = 100  # to put a folder in the place of others that appear meanwhile


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise an error if a path cannot be written as a file. Long computations call this first.

    Raises:
        ValueError: The path exists and is not a regular file.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file to write, such as {path / 'result'}")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: is not a regular file, and writing would replace it with one; name another path")


def checksum(path: str | os.PathLike[str], algorithm: str = "sha256") -> str:
    """Return the checksum of a file (hexadecimal).

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


@cache
def fingerprint(path: str | bytes) -> str:
    """Return a hash of a file's size and of the bytes at its two ends, which is fast even for a large dataset."""
    if isinstance(path, bytes):
        return hashlib.sha256(path).hexdigest()
    try:
        with open(path, "rb") as file:
            head = file.read(_FINGERPRINT)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _FINGERPRINT))
            return hashlib.sha256(b"%d" % size + head + file.read()).hexdigest()
    except OSError:
        return "unreadable"  # reading the clip will report the reason


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Context manager that writes a file atomically: it yields a temporary path, which replaces `path` if the block succeeds.

    Other processes see the old or the new file but never a part, even if this process is killed. Missing folders are created.

    Raises:
        OSError: The file cannot be written, for example because the disk is full; the message names it.
        ValueError: The path is not a regular file, see `check_target`.
    """
    check_target(path)
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keep the suffix, because some writers choose their format by it.
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
def replacing_folder(path: str | os.PathLike[str], *, mark: str) -> Iterator[Path]:
    """Context manager that writes a folder: it yields a temporary one, which replaces `path` if the block succeeds.

    If several processes write to one path, the last one that ends replaces the others; the folder is always a whole one.

    Args:
        path: Path of the folder. Missing parents are created.
        mark: Name of a file that an older folder at the path must have. Any other folder is kept.

    Yields:
        The temporary folder, which is empty.

    Raises:
        OSError: The folder cannot be written.
        ValueError: The path is a file, or a folder that has other content.
    """
    path = Path(path)
    if _is_foreign(path, mark):
        raise ValueError(f"{path}: is not a folder with {mark}, so it is not replaced; name another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        temporary = Path(folder) / "new"
        temporary.mkdir()
        yield temporary
        for attempt in range(_ATTEMPTS):
            try:
                temporary.rename(path)
                return
            except OSError:  # a folder that is not empty is not replaced: it is moved away first
                with suppress(FileNotFoundError):
                    path.rename(Path(folder) / f"old-{attempt}")
        raise OSError(f"{path}: other processes keep writing this folder")


def _is_foreign(path: Path, mark: str) -> bool:
    """Return whether a path is a file, or a folder with other content than that of `replacing_folder`."""
    with suppress(FileNotFoundError):  # nothing is there, or another process has just moved it away
        while True:
            before = path.stat()
            if not stat.S_ISDIR(before.st_mode):
                return True
            content = os.listdir(path)
            # While the content was read, the folder may have been moved away and partly removed.
            if not content or mark in content:
                return False
            if os.path.samestat(before, path.stat()):
                return True
    return False


@contextmanager
def naming(path: Path, *, instead_of: Path | None = None) -> Iterator[None]:
    """Context manager that adds a path to an OSError without one, such as "No space left on device".

    Args:
        path: Path of the file that the block writes.
        instead_of: Temporary file, whose name in an error is replaced by `path`.

    Raises:
        OSError: The block raised one.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(instead_of)):
            error.filename, error.filename2 = str(path), None
        elif error.errno is None and str(path) not in str(error):
            # C libraries report a full disk with a message but without errno.
            raise OSError(f"{path}: {error}") from error
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write text in UTF-8 atomically.

    Raises:
        OSError: The file cannot be written; the message names it.
        ValueError: The path is not a regular file.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write JSON data atomically, indented for people.

    Raises:
        OSError: The file cannot be written; the message names it.
        ValueError: The path is not a regular file.
    """
    write_text(path, json.dumps(content, indent=1) + "\n")


def open_to_all(path: Path) -> None:
    """Give a temporary file or folder, which only its owner may read, the default permissions of a new one."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
