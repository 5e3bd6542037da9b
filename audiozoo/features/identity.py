"""What cached features depend on: the bytes of the sound, and everything that computes their values."""

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

_SETTLED = 2_000_000_000  # ns; a file changed a moment ago may change again within one tick of its file system's clock
_PATIENCE = 10.0  # seconds to wait for another process that writes the database
_TABLE = "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size, modified, changed, hash TEXT) WITHOUT ROWID"
_FIND = "SELECT hash FROM files WHERE path = ? AND size = ? AND modified = ? AND changed = ?"
_KEEP = "REPLACE INTO files VALUES (?, ?, ?, ?, ?)"
_FAMILIAR = {"audiozoo", *sys.stdlib_module_names}
_LIBRARIES = ("numpy", "scipy", "librosa", "soxr", "noisereduce")

# Modules that store, order or name values, and compute none. The list is not one of those that compute: a new module forgotten
# here costs computing time, but one forgotten there would bring back values that its code no longer gives.
_STORING = {f"features/{name}.py" for name in ("__init__", "cache", "extract", "identity", "packs", "presets", "scaler")}


class FileHashes:
    """SHA-256 of files, remembered in an SQLite database by path, size and times.

    Without a usable database, every file is read again.

    Args:
        path: Database file. It is made when needed, and replaced when damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the hash of each file by its path, without those that cannot be read or are no regular files."""
        settled = time.time_ns() - _SETTLED
        states = {path: state for path in set(paths) if (state := _state(path))}
        found = zip(states, self._run(_FIND, list(states.values())), strict=True)
        known = {path: row[0] for path, row in found if row}
        unknown = [path for path in states if path not in known]
        with ThreadPoolExecutor() as pool:  # hashing runs outside Python's lock
            fresh = {path: text for path, text in zip(unknown, pool.map(_hash, unknown), strict=True) if text}
        self._run(_KEEP, [(*states[path], text) for path, text in fresh.items() if max(states[path][2:]) < settled])
        return known | fresh

    def _run(self, statement: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run a statement for each tuple of arguments, and return the first row that each gives, or `None`."""
        for _ in range(2 if arguments else 0):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as database, database:
                    database.execute(_TABLE)
                    database.execute("BEGIN")  # one lock for all the statements; each would take its own
                    return [database.execute(statement, values).fetchone() for values in arguments]
            except (sqlite3.OperationalError, OSError):  # locked for long, read-only or full: hashing again costs only time
                break
            except sqlite3.DatabaseError:
                self.remove()
        return [None] * len(arguments)

    def remove(self) -> None:
        """Forget all hashes."""
        # SQLite would play a journal that is left behind back into the next database.
        for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            with suppress(OSError):  # there is none, or no permission
                path.unlink()


def _state(path: str) -> tuple[bytes, int, int, int] | None:
    """Return a regular file's absolute path, size, and times of modification and of change, all as the database keeps them."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    # A copy may keep the time of modification of the file that it replaces, but not the time of change.
    state = (os.fsencode(os.path.abspath(path)), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return state if stat.S_ISREG(status.st_mode) else None


def _hash(path: str) -> str | None:
    try:
        return checksum(path)
    except OSError:
        return None


def signature(frontend: Frontend, hop: float | None) -> str | None:
    """Hash all that feature values depend on except the sound: frontend, hop, versions of libraries, and sources of code.

    Returns:
        16 hexadecimal digits. `None` if a class of the frontend has no source file, so that a change of it would go unseen.
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
        return None  # the class was typed in, even if the session began with a file
    try:
        file = inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None
    return file if file and os.path.isfile(file) else None


@cache
def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    import soundfile

    # Not this package's version: its computing sources are hashed, and most releases change none of them.
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
