"""What computed features depend on: the bytes of the sound, and everything that computes."""

from __future__ import annotations

import hashlib
import inspect
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from audiozoo._version import __version__
from audiozoo.config import Configured, digest
from audiozoo.features.frontends import Frontend
from audiozoo.files import checksum

_T = TypeVar("_T")

_SETTLED = 2_000_000_000  # ns; a file changed a moment ago may change again within one tick of its file system's clock
_PATIENCE = 10.0  # seconds to wait for another process that writes the database
_VARIABLES = 500  # in one query; SQLite allows no fewer than 999
_TABLE = "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size, modified, changed, hash TEXT) WITHOUT ROWID"
_FAMILIAR = {"audiozoo", *sys.stdlib_module_names}
_LIBRARIES = ("numpy", "scipy", "librosa", "soxr", "noisereduce")


class Span(Protocol):
    """A stretch of sound: a path or the bytes of a file, and where in it, in seconds."""

    @property
    def path(self) -> str | bytes:
        """A path, or the bytes of a file."""

    @property
    def start(self) -> float:
        """Seconds."""

    @property
    def end(self) -> float | None:
        """Seconds; `None` is the end of the file."""


class _File(NamedTuple):
    """A file as it was when it was hashed."""

    key: bytes
    size: int
    modified: int
    changed: int  # a file copied over another may bring its time of modification with it, but not this one

    @classmethod
    def at(cls, path: str) -> _File | None:
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        times = (status.st_mtime_ns, status.st_ctime_ns)
        return cls(os.fsencode(os.path.abspath(path)), status.st_size, *times) if stat.S_ISREG(status.st_mode) else None


class FileHashes:
    """SHA-256 of files, remembered by path, size and times in an SQLite database; without one, every file is read again.

    Args:
        path: The database. It is made when needed, and made anew when damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, paths: Iterable[str], *, jobs: int = -1) -> dict[str, str]:
        """Return the hash of each file; those that are no ordinary file, or cannot be read, are left out."""
        settled = time.time_ns() - _SETTLED
        files = {path: file for path in set(paths) if (file := _File.at(path))}
        nothing: dict[_File, str] = {}
        known = self._use(lambda database: _select(database, [file.key for file in files.values()]), nothing)
        hashes = {path: known[file] for path, file in files.items() if file in known}
        fresh = _hashed([path for path in files if path not in hashes], jobs)
        rows = [
            (*files[path], found) for path, found in fresh.items() if max(files[path].modified, files[path].changed) < settled
        ]
        if rows:
            self._use(lambda database: database.executemany("REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows), None)
        return hashes | fresh

    def _use(self, act: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        for _ in range(2):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as database, database:
                    database.execute(_TABLE)
                    return act(database)
            except (sqlite3.OperationalError, OSError):  # locked for long, read-only, full: hashing again costs time alone
                return otherwise
            except sqlite3.DatabaseError:
                self.remove()
        return otherwise

    def remove(self) -> None:
        """Forget all hashes."""
        # A journal left behind would be played back into the next database.
        for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            with suppress(OSError):  # the folder is none, or not ours to change
                path.unlink()


def _select(database: sqlite3.Connection, keys: list[bytes]) -> dict[_File, str]:
    found = {}
    for start in range(0, len(keys), _VARIABLES):
        part = keys[start : start + _VARIABLES]
        rows = database.execute(f"SELECT * FROM files WHERE path IN ({', '.join('?' * len(part))})", part)
        found.update({_File(*row[:-1]): row[-1] for row in rows})
    return found


def _hashed(paths: list[str], jobs: int) -> dict[str, str]:
    if not paths:
        return {}
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=jobs, prefer="threads")(delayed(_hash)(path) for path in paths)
    return {path: text for path, text in zip(paths, found, strict=True) if text}


def _hash(path: str) -> str | None:
    try:
        return checksum(path)
    except OSError:
        return None


def signature(frontend: Frontend, hop: float | None) -> str | None:
    """Hash all that features depend on beside the sound: the frontend, the hop, versions, and the sources of what computes.

    Returns:
        16 hexadecimal digits, or `None` if a class in the frontend has no source file, so that a change of it goes unseen.
    """
    files = {_source_file(kind) for kind in _foreign_kinds(frontend)}
    if None in files:
        return None
    sources = sorted(checksum(file) for file in files if file)
    hop = None if hop is None else float(hop)
    return digest([frontend.key, hop, _versions(), _own_sources(), sources])


def _foreign_kinds(value: Any) -> Iterator[type]:
    """Yield the classes within a frontend, and their bases, that come neither with this package nor with Python."""
    if isinstance(value, Configured):
        yield from (kind for kind in type(value).__mro__ if kind.__module__.split(".")[0] not in _FAMILIAR)
        for name in value.to_config().keys() - {"class"}:
            yield from _foreign_kinds(getattr(value, name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _foreign_kinds(item)


def _source_file(kind: type) -> str | None:
    if kind.__module__ == "__main__" and hasattr(sys, "ps1"):
        return None  # typed in, even if the session began with a file
    try:
        file = inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None
    return file if file and os.path.isfile(file) else None


@cache
def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    import soundfile

    found = {"audiozoo": __version__, "libsndfile": soundfile.__libsndfile_version__}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


@cache
def _own_sources() -> str:
    root = Path(__file__).parents[1]
    hashed = hashlib.sha256()
    for pattern in ("audio/*.py", "spectrum/*.py", "features/*.py"):
        for path in sorted(root.glob(pattern)):
            hashed.update(path.name.encode() + path.read_bytes())
    return hashed.hexdigest()
