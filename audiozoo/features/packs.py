"""`Features`: the windows of many clips in one array, in memory or in a pack.

A pack is a folder with an array (`values.npy`) and an index (`index.json`). It appears complete, by renaming, and never changes,
so any number of processes may map it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np

FORMAT = 1
"""Version of packs. Increase it when older packs must not be read, because their files or the order of windows mean another thing."""

_VALUES, _INDEX = "values.npy", "index.json"

Key = str | int
"""Identity of a clip: its content, or its position where the content is unknown and must not be found again on disk."""

Index = Mapping[Key, tuple[int, int, int]]
"""For each clip: index of its first window, index after its last window, start of its last window in the clip (samples)."""


@dataclass(frozen=True, eq=False)
class Features:
    """The windows of a sequence of clips.

    Args:
        values: float32 ``(windows, *shape)``. From a cache, the array is read-only and may hold windows of other clips, too.
        starts: Index in `values` of each clip's first window, ``(clips,)``.
        stops: Index in `values` after each clip's last window, ``(clips,)``.
        lasts: Start of each clip's last window in the clip (samples at the frontend's rate), ``(clips,)``.
        failures: Error message of each clip that could not be read, by position; such a clip has no windows.
        keys: Identity of each clip in the cache.
    """

    values: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    lasts: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()

    @classmethod
    def indexed(cls, values: np.ndarray, index: Index) -> Features:
        """Make features from an array of windows and an index of it."""
        starts, stops, lasts = np.array([*index.values()], int).reshape(-1, 3).T
        return cls(values, starts, stops, lasts, keys=tuple(index))

    @property
    def index(self) -> Index:
        """The index that `indexed` takes."""
        spans = zip(self.starts.tolist(), self.stops.tolist(), self.lasts.tolist(), strict=True)
        return dict(zip(self.keys, spans, strict=True))

    def select(self, keys: Sequence[Key], failures: dict[int, str]) -> Features:
        """Return the features of clips in the order of `keys`, without a copy; those in `failures` get no windows."""
        index = self.index
        chosen = [(0, 0, 0) if position in failures else index[key] for position, key in enumerate(keys)]
        starts, stops, lasts = np.array(chosen, int).reshape(-1, 3).T
        return replace(self, starts=starts, stops=stops, lasts=lasts, failures=failures, keys=tuple(keys))

    def windows(self, clip: int) -> slice:
        """Return the slice of `values` that holds a clip's windows."""
        return slice(int(self.starts[clip]), int(self.stops[clip]))

    def rows(self, clip: int) -> slice:
        """Return `windows(clip)`; deprecated name."""
        warnings.warn("Features.rows is now Features.windows", DeprecationWarning, stacklevel=2)
        return self.windows(clip)

    def begins(self, clip: int, hop_samples: int) -> np.ndarray:
        """Return the start of each window in its clip (samples), ``(windows,)``, for windows `hop_samples` apart."""
        # The last window may be aligned to the clip's end, so its start is stored and the others are computed.
        return np.append(np.arange(self.counts[clip] - 1) * hop_samples, self.lasts[clip])[: self.counts[clip]]

    @property
    def counts(self) -> np.ndarray:
        """Number of windows of each clip, ``(clips,)``."""
        return self.stops - self.starts

    @property
    def readable(self) -> np.ndarray:
        """Positions of the clips that could be read."""
        return np.array([clip for clip in range(len(self.starts)) if clip not in self.failures], int)

    def raise_failures(self) -> None:
        """Raise a ValueError that names every clip that could not be read, if there is one."""
        if self.failures:
            raise ValueError("\n".join([f"{len(self.failures)} file(s) cannot be used:", *self.failures.values()]))


def packs_in(folder: Path) -> list[Path]:
    """Find the packs in a folder."""
    return [path for path in folder.glob("*") if re.fullmatch("[0-9a-f]{16}", path.name)]


def half_written_in(folder: Path) -> list[Path]:
    """Find the packs in a folder that a process is writing or removing, or was when it was killed."""
    return [path for path in folder.glob(".*") if re.fullmatch(r"\.[0-9a-f]{32}", path.name)]


def write_pack(pack: Path, arrays: Sequence[np.ndarray], index: Index) -> None:
    """Write a pack, completely or not at all. If another process has written the same pack first, that one stays.

    Args:
        pack: Folder to make.
        arrays: One or more float32 arrays ``(windows, *shape)``, to be laid one after another.
        index: Index of the resulting array.

    Raises:
        OSError: The pack cannot be written; no part of it stays.
    """
    temporary = _hidden(pack)
    shape = (sum(map(len, arrays)), *arrays[0].shape[1:])
    try:
        temporary.mkdir(parents=True)
        with _durable(temporary / _VALUES) as file:
            # Not through a memory map: writing to a map on a full disk kills the process.
            np.lib.format.write_array_header_1_0(file, {"descr": np.dtype("f4").str, "fortran_order": False, "shape": shape})
            file.writelines(array.data for array in arrays)
        with _durable(temporary / _INDEX) as file:
            file.write(json.dumps(index).encode())
        _publish(temporary, pack)
    finally:
        remove_pack(temporary)


def _publish(temporary: Path, pack: Path) -> None:
    try:
        temporary.rename(pack)
    except OSError as error:
        # Another process was first, and may even have merged its pack into a larger one since.
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) and not pack.is_dir():
            raise


@contextmanager
def _durable(path: Path) -> Iterator[IO[bytes]]:
    with open(path, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())  # otherwise a power failure could leave a pack whose files are empty


def read_pack(pack: Path, shape: tuple[int, ...]) -> Features | None:
    """Map a pack whose windows have a shape; return `None` if it cannot be read, and remove it if it is damaged."""
    try:
        features = Features.indexed(np.load(pack / _VALUES, mmap_mode="r"), json.loads((pack / _INDEX).read_bytes()))
        if _is_sound(features, shape):
            return features
    except FileNotFoundError:  # one of two files is missing, or another process has just removed the pack
        pass
    except OSError:  # too many open files, or no permission: that says nothing about the pack
        return None
    except Exception:  # readers of a damaged file raise almost anything
        pass
    remove_pack(pack)
    return None


def _is_sound(features: Features, shape: tuple[int, ...]) -> bool:
    starts, stops, values = features.starts, features.stops, features.values
    inside = ((starts >= 0) & (starts <= stops) & (stops <= len(values))).all()
    return bool(inside) and values.dtype == np.float32 and values.shape[1:] == shape


def remove_pack(pack: Path) -> None:
    """Remove a pack. It is hidden first, so that no process finds half of it; on Windows, a mapped pack stays."""
    hidden = _hidden(pack)
    with suppress(OSError):
        pack.rename(hidden)
        for name in (_VALUES, _INDEX):
            (hidden / name).unlink(missing_ok=True)
        hidden.rmdir()


def _hidden(pack: Path) -> Path:
    return pack.with_name(f".{uuid4().hex}")


def pack_of(features: Features) -> Path | None:
    """Return the pack that features are mapped from; `None` if they are in memory."""
    return Path(features.values.filename).parent if isinstance(features.values, np.memmap) else None


def mark_used(features: Features) -> None:
    """Note that the pack of features, if there is one, is in use now."""
    if pack := pack_of(features):
        with suppress(OSError):
            os.utime(pack)


def count_clips(pack: Path) -> int:
    """Count the clips in a pack; a damaged or missing pack has none."""
    try:
        return len(json.loads((pack / _INDEX).read_bytes()))
    except (OSError, ValueError, TypeError):
        return 0


def size_of(pack: Path) -> int:
    """Return a pack's size on disk (bytes); 0 for a missing pack."""
    with suppress(OSError):
        return sum(path.stat().st_size for path in pack.glob("*"))
    return 0


def last_used(pack: Path) -> float:
    """Return when a pack was last used (seconds since 1970); 0 for a missing pack."""
    with suppress(OSError):
        return pack.stat().st_mtime
    return 0.0
