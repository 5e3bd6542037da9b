"""Hashes of everything that cached features depend on: the sounds, the frontend and the code that computes them."""

from __future__ import annotations

import inspect
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

from audiozoo.config import Configured, digest
from audiozoo.features.frontends import Frontend
from audiozoo.features.packs import FORMAT
from audiozoo.files import checksum

_SETTLED = 2_000_000_000  # ns; a file that changed more recently may change again within one tick of the file system's clock
_PATIENCE = 10.0  # seconds to wait for another process that writes the database
_TABLE = "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size, modified, changed, hash TEXT) WITHOUT ROWID"
_FIND = "SELECT hash FROM files WHERE path = ? AND size = ? AND modified = ? AND changed = ?"
_KEEP = "REPLACE INTO files VALUES (?, ?, ?, ?, ?)"
_FAMILIAR = {"audiozoo", *sys.stdlib_module_names}
_LIBRARIES = ("numpy", "scipy", "librosa", "soxr", "noisereduce")

# Modules that store, order or name values but compute none. The list has these and not the computing modules: a module that
# is missing here only costs computing time, but a computing module missing from the other list would return outdated values.
_STORING = {f"features/{name}.py" for name in ("__init__", "cache", "extract", "identity", "packs", "presets", "scaler")}


class FileHashes:
    """SHA-256 hashes of files, kept in an SQLite database by path, size and times.

    If the database cannot be used, every file is hashed again.

    Args:
        path: Database file. It is created when needed, and replaced if it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, paths: Iterable[str]) -> dict[str, str]:
        """Map the path of each file to its hash, without files that are unreadable or not regular."""
        settled = time.time_ns() - _SETTLED
        states = {path: state for path in set(paths) if (state := _state(path))}
        found = zip(states, self._run(_FIND, list(states.values())), strict=True)
        known = {path: row[0] for path, row in found if row}
        unknown = [path for path in states if path not in known]
        with ThreadPoolExecutor() as pool:  # hashing releases the GIL
            fresh = {path: text for path, text in zip(unknown, pool.map(_hash, unknown), strict=True) if text}
        self._run(_KEEP, [(*states[path], text) for path, text in fresh.items() if max(states[path][2:]) < settled])
        return known | fresh

    def _run(self, statement: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run a statement for each tuple of arguments; return the first result of each, or `None`."""
        for _ in range(2 if arguments else 0):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as database, database:
                    database.execute(_TABLE)
                    database.execute("BEGIN")  # otherwise each statement would take a lock of its own
                    return [database.execute(statement, values).fetchone() for values in arguments]
            except (sqlite3.OperationalError, OSError):  # locked for long, read-only or full: hashing again costs only time
                break
            except sqlite3.DatabaseError:
                self.remove()
        return [None] * len(arguments)

    def remove(self) -> None:
        """Forget all hashes."""
        # SQLite would apply a journal that is left behind to the next database.
        for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            with suppress(OSError):  # there is none, or no permission
                path.unlink()


def _state(path: str) -> tuple[bytes, int, int, int] | None:
    """Return the absolute path, size, modification time and change time of a regular file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    # A copy may keep the modification time of the file that it replaces, but not the change time.
    state = (os.fsencode(os.path.abspath(path)), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return state if stat.S_ISREG(status.st_mode) else None


def _hash(path: str) -> str | None:
    try:
        return checksum(path)
    except OSError:
        return None


def signature(frontend: Frontend, hop: float | None) -> str | None:
    """Hash all that feature values depend on except the sound: frontend, hop, library versions and source code.

    Returns:
        16 hexadecimal digits. `None` if a class of the frontend has no source file, so that changes would be missed.
    """
    files = {_source_file(kind) for kind in _foreign_kinds(frontend)}
    if None in files:
        return None
    foreign = sorted(checksum(file) for file in files if file)
    return digest([FORMAT, frontend.key, None if hop is None else float(hop), _versions(), _own_sources(), foreign])


def _foreign_kinds(value: Any) -> Iterator[type]:
    """Yield the classes inside a frontend, and their bases, that belong neither to this package nor to Python."""
    if isinstance(value, Configured):
        yield from (kind for kind in type(value).__mro__ if kind.__module__.split(".")[0] not in _FAMILIAR)
        for name in value.to_config().keys() - {"class"}:
            yield from _foreign_kinds(getattr(value, name))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _foreign_kinds(item)


def _source_file(kind: type) -> str | None:
    if kind.__module__ == "__main__" and hasattr(sys, "ps1"):
        return None  # the class was defined interactively, even if the session began with a file
    try:
        file = inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None
    return file if file and os.path.isfile(file) else None


@cache
def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    import soundfile

    # The version of this package is left out: its computing sources are hashed, and most releases do not change them.
    found = {"libsndfile": soundfile.__libsndfile_version__}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


@cache
def _own_sources(package: Path = Path(__file__).parents[1]) -> str:
    """Hash the sources that compute feature values."""
    paths = sorted(
        path.relative_to(package) for part in ("audio", "spectrum", "features") for path in (package / part).rglob("*.py")
    )
    return digest([[path.as_posix(), checksum(package / path)] for path in paths if path.as_posix() not in _STORING])
