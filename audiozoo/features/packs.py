"""Packs: folders with the windows of some clips in one array, and an index that says where each clip's stand.

A pack appears whole, by renaming, and never changes, so any number of processes may map it.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np

_VALUES, _INDEX = "values.npy", "index.json"

Key = str | int
"""A clip by its content, or by its position if it must not be kept on disk."""


class Rows(NamedTuple):
    """Where a clip's windows stand, and where in the clip they begin.

    Args:
        start: The clip's first row.
        stop: The row behind its last.
        last: Where its last window begins, in samples of the frontend's rate; the others begin a hop from each other.
    """

    start: int
    stop: int
    last: int


@dataclass(frozen=True, eq=False)
class Block:
    """The windows of some clips.

    Args:
        values: float32 ``(windows, *shape)``; mapped, if it is a pack on disk.
        rows: Where each clip's windows stand in it.
        pack: The folder on disk; `None` if it is held in memory.
    """

    values: np.ndarray
    rows: dict[Key, Rows]
    pack: Path | None = None

    def of(self, key: Key) -> np.ndarray:
        """Return a clip's windows, not copied."""
        return self.values[self.rows[key].start : self.rows[key].stop]


def packs_in(folder: Path) -> list[Path]:
    """Find the packs in a folder."""
    return [path for path in folder.glob("*") if re.fullmatch("[0-9a-f]{16}", path.name)]


def half_written_in(folder: Path) -> list[Path]:
    """Find what is being written in a folder, or was when somebody was killed."""
    return [path for path in folder.glob(".*") if re.fullmatch(r"\.[0-9a-f]{32}", path.name)]


def write_pack(pack: Path, parts: Sequence[np.ndarray], rows: dict[Key, Rows], shape: tuple[int, ...]) -> None:
    """Write a pack, whole or not at all; if another process was first with the same clips, its pack stays.

    Args:
        pack: Where; its name is a hash of the clips.
        parts: float32 ``(windows, *shape)``, one behind the other.
        rows: Where each clip's windows stand in them.
        shape: Of one window.

    Raises:
        OSError: It cannot be written; nothing of it stays.
    """
    temporary = _hidden(pack)
    try:
        temporary.mkdir(parents=True)
        _write(temporary / _VALUES, [_header((sum(map(len, parts)), *shape)), *(part.data for part in parts)])
        _write(temporary / _INDEX, [json.dumps(rows).encode()])
        _rename(temporary, pack)
    finally:
        remove_pack(temporary)


def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()


def _write(path: Path, pieces: Iterable[Any]) -> None:
    # Not through a map: writing to one on a full disk kills the process.
    with open(path, "wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())  # or a power failure could leave the name with nothing behind it


def _rename(temporary: Path, pack: Path) -> None:
    try:
        temporary.rename(pack)
    except OSError as error:
        # Another process was first with the same clips, and may even have merged them into a larger pack by now.
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) and not pack.is_dir():
            raise


def load_pack(pack: Path, shape: tuple[int, ...]) -> Block | None:
    """Map a pack of windows of a shape; one that is damaged is removed."""
    try:
        rows = _read_index(pack)
        values = np.load(pack / _VALUES, mmap_mode="r")
        if _fits(values, rows, shape):
            return Block(values, rows, pack)
    except FileNotFoundError:
        pass
    except OSError:  # too many open files, or no permission: that says nothing about the pack
        return None
    except Exception:  # a damaged file makes its readers raise almost anything
        pass
    remove_pack(pack)
    return None


def _read_index(pack: Path) -> dict[Key, Rows]:
    rows = json.loads((pack / _INDEX).read_bytes())
    return {key: Rows(*numbers) for key, numbers in rows.items()}


def _fits(values: np.ndarray, rows: dict[Key, Rows], shape: tuple[int, ...]) -> bool:
    spans = np.array([*rows.values()]).reshape(-1, 3)[:, :2]
    inside = ((spans >= 0) & (spans <= len(values))).all() and (spans[:, 0] <= spans[:, 1]).all()
    return bool(inside) and values.dtype == np.float32 and values.shape[1:] == shape


def remove_pack(pack: Path) -> None:
    """Remove a pack, hidden first so that nobody finds half of it; on Windows one that is mapped stays."""
    hidden = _hidden(pack)
    with suppress(OSError):
        pack.rename(hidden)
        for name in (_VALUES, _INDEX):
            (hidden / name).unlink(missing_ok=True)
        hidden.rmdir()


def _hidden(pack: Path) -> Path:
    return pack.with_name(f".{uuid4().hex}")


def count_clips(pack: Path) -> int:
    """Count the clips in a pack; one that is damaged, or gone by now, has none."""
    try:
        return len(_read_index(pack))
    except (OSError, ValueError, AttributeError, TypeError):
        return 0


def size_of(pack: Path) -> int:
    """Return a pack's bytes on disk; one that is gone by now has none."""
    with suppress(OSError):
        return sum(path.stat().st_size for path in pack.glob("*"))
    return 0


def mark_used(pack: Path) -> None:
    """Note that a pack is used now."""
    with suppress(OSError):
        os.utime(pack)


def last_used(pack: Path) -> float:
    """Return when a pack was used last, seconds since 1970; one that is gone by now never was."""
    with suppress(OSError):
        return pack.stat().st_mtime
    return 0.0
