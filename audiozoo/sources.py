"""Names of sound files: folders, globs, lists and URLs, and the opening of what they name."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, BinaryIO

from audiozoo import audio

MOST_LIST_BYTES = 2**30
"""Largest size of a list of names (bytes)."""

MOST_URL_BYTES = 16 * 2**30
"""Largest file at a URL (bytes)."""

LONGEST_NAME = 4_096
"""Longest name in a list (bytes)."""

_IN_MEMORY = 2**26  # larger files go to the disk
_BLOCK = 2**20

# A drive of Windows is one letter.
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_GLOB = re.compile(r"[*?[]")


def is_url(name: str) -> bool:
    """Return whether a name is a URL, such as ``s3://bucket/door.wav``."""
    return bool(_URL.match(name))


def _has_glob(name: str) -> bool:
    """Return whether a name has a wildcard."""
    return bool(_GLOB.search(name))


class _Copy(tempfile.SpooledTemporaryFile[bytes]):
    """Copy of a remote file, in memory or, if it is large, on the disk.

    libsndfile would take an error of the network in the middle of a file for its end, so the whole file is there first.

    Args:
        url: URL of the file, for errors.
    """

    name = ""

    def __init__(self, url: str) -> None:
        super().__init__(_IN_MEMORY)
        self.name = url

    def fill(self, file: IO[bytes]) -> None:
        """Copy a file, and go back to the start.

        Raises:
            ValueError: The file is too large.
        """
        while block := file.read(_BLOCK):
            self.write(block)
            if self.tell() > MOST_URL_BYTES:
                raise ValueError(f"{self.name}: a sound at a URL may have {MOST_URL_BYTES / 1e9:.0f} GB: copy it here first")
        self.seek(0)


@contextmanager
def opened(path: str) -> Iterator[audio.Source]:
    """Context manager that yields what `audio.stream` reads: the path itself, or a copy of the file at a URL.

    Args:
        path: Path of a file, or a URL that fsspec opens.

    Yields:
        The path or the open file.

    Raises:
        ImportError: fsspec, or the package for this kind of URL, is not installed.
        OSError: The file of the URL cannot be opened or read.
        ValueError: The file of the URL is too large.
    """
    if not is_url(path):
        yield path
        return
    with _Copy(path) as copy:
        with _naming(path), _file_system(path)[0].open(path, "rb") as file:
            copy.fill(file)
        yield copy


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Context manager that turns what a file system raises for a URL into an OSError with its name."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{url}: no such file") from error
    except (ValueError, ImportError):
        raise
    # The file systems raise errors of their own libraries, and each is about this one file.
    except Exception as error:
        raise OSError(f"{url}: cannot be read ({type(error).__name__}: {error})") from error


def _file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ImportError(f"{url}: a URL needs fsspec: pip install 'audiozoo[scale]'") from error
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        # The message of fsspec names the package, such as s3fs.
        raise ImportError(f"{url}: {error}") from error
    return system, path


def expanded(names: Sequence[str], lists: Sequence[Path] = ()) -> list[str]:
    """Return the names of sound files, each once.

    Args:
        names: Paths and URLs of files, of folders, or with wildcards; ``**`` stands for any folders. A folder gives the sound
            files in it, and so does a pattern that ends in ``*``. Names of existing files are not taken as patterns. A name
            with brackets alone that matches nothing is kept: it is the name of a missing file.
        lists: Text files with the name of a sound file in each line, in UTF-8; "-" is standard input. These names are taken
            as they are.

    Returns:
        The names, in the order of the arguments; those of a folder or pattern are sorted.

    Raises:
        ValueError: A pattern or a folder has no sounds, there are no names at all, or a list is too large or no such text.
        OSError: A list, or the folder of a URL, cannot be read.
        ImportError: A URL needs a package that is not installed.
    """
    found = [file for name in names for file in _found(name)]
    found += [name for file in lists for name in _listed(file)]
    if not found:
        given = ", ".join([*names, *map(str, lists)])
        raise ValueError(f"no sounds in {given}" if given else "no sounds were named: name files, folders, patterns or a list")
    return list(dict.fromkeys(found))


def _found(name: str) -> Iterator[str]:
    if is_url(name):
        yield from _remote(name)
    elif _has_glob(name) and not os.path.exists(name):
        files = sorted(map(str, filter(Path.is_file, _globbed(name))))
        # Brackets are common in names, so without "*" and "?" this is the name of a missing file.
        yield from _required(name, files) if files or re.search(r"[*?]", name) else [name]
    elif os.path.isdir(name):
        yield from map(str, audio.sounds_in(name))
    else:
        yield name


def _globbed(pattern: str) -> Iterator[Path]:
    # A path would lose a leading "./", and "**" at the end would find only folders.
    path = Path(pattern.removesuffix("**") + "**/*" if pattern.endswith("**") else pattern)
    return Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)))


def _remote(url: str) -> Iterator[str]:
    if not _has_glob(url) and audio.is_sound_file(Path(url)):
        yield url
        return
    with _naming(url):
        system, path = _file_system(url)
        if not _has_glob(url) and system.isfile(path):
            yield url
            return
        files = [system.unstrip_protocol(file) for file in (system.glob(path) if _has_glob(url) else system.find(path))]
    yield from _required(url, sorted(files))


def _required(pattern: str, files: list[str]) -> list[str]:
    """Return the sounds among the files of a folder or pattern; a pattern with a suffix of its own decides itself."""
    own = _has_glob(pattern) and not pattern.endswith("*")
    chosen = files if own else [file for file in files if audio.is_sound_file(Path(file))]
    if not chosen:
        raise ValueError(f"no sounds in {pattern}")
    return chosen


def _listed(path: Path) -> Iterator[str]:
    source: Any = nullcontext(sys.stdin.buffer) if str(path) == "-" else open(path, "rb")  # noqa: SIM115 closed below
    with source as file:
        yield from _lines(file, path)


def _lines(file: BinaryIO | IO[bytes], path: Path) -> Iterator[str]:
    size = number = 0
    while line := file.readline(LONGEST_NAME + 2):
        number, size = number + 1, size + len(line)
        if size > MOST_LIST_BYTES:
            raise ValueError(f"{path}: a list of names may have {MOST_LIST_BYTES / 1e9:.1f} GB, it has more: split it")
        if name := _name(line.rstrip(b"\r\n"), f"{path}, line {number}"):
            yield name


def _name(line: bytes, where: str) -> str:
    if len(line) > LONGEST_NAME or b"\0" in line:
        raise ValueError(f"{where}: a line is the name of a sound file of at most {LONGEST_NAME:,} bytes without NUL")
    try:
        return line.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: the list must be text in UTF-8 ({error})") from error
