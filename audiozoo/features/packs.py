"""`Features`, the features of many clips in one array, in memory or in a pack.

A pack is a folder with an array (`values.npy`) and its index (`index.json`). It appears by renaming, so it is
always complete, and it never changes, so any number of processes may memory-map it.
"""

from __future__ import annotations

import errno
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np

FORMAT = 1  # increase it if older packs must not be read any more
_VALUES, _INDEX = "values.npy", "index.json"

Key = str | int  # the identity of a clip's content, or its position if it must not be cached
Span = tuple[int, int, int]  # see `starts`, `stops` and `lasts` of `Features`


@dataclass(frozen=True, eq=False)
class Features:
    """Features of a sequence of clips.

    Args:
        values: float32 ``(windows, *shape)``. From a cache, the array is read-only and may hold windows of other clips, too.
        starts: Index in `values` of each clip's first window, ``(clips,)``.
        stops: Index in `values` after each clip's last window, ``(clips,)``.
        lasts: Start of each clip's last window in the clip (samples at the frontend's rate), ``(clips,)``.
        failures: Error message of each clip that could not be read, by position; such a clip has no windows.
        keys: Key of each clip.
        pack: Folder that the values are memory-mapped from; `None` if they are in memory.
    """

    values: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    lasts: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()
    pack: Path | None = None

    @classmethod
    def located(cls, values: np.ndarray, keys: Iterable[Key], spans: Iterable[Span], **rest: Any) -> Features:
        """Create features from an array with the key and the span of each clip.

        Args:
            values: Features, float32 ``(windows, *shape)``.
            keys: Key of each clip.
            spans: Span of each clip in `values`.
            **rest: Further fields of `Features`.

        Returns:
            The features.
        """
        starts, stops, lasts = np.array([*spans], int).reshape(-1, 3).T
        return cls(values, starts, stops, lasts, keys=tuple(keys), **rest)

    @property
    def index(self) -> dict[Key, Span]:
        """Span of each clip, by key."""
        return dict(
            zip(self.keys, zip(self.starts.tolist(), self.stops.tolist(), self.lasts.tolist(), strict=True), strict=True)
        )

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


def write_pack(pack: Path, arrays: Sequence[np.ndarray], index: Mapping[Key, Span]) -> None:
    """Write a pack atomically. If another process has written the same pack first, that one is kept.

    Args:
        pack: Folder to write.
        arrays: One or more float32 arrays ``(windows, *shape)``, which are concatenated.
        index: Span of each clip in the concatenated array.

    Raises:
        OSError: The pack cannot be written; no part of it is left.
    """
    temporary = _hidden(pack)
    shape = (sum(map(len, arrays)), *arrays[0].shape[1:])
    try:
        temporary.mkdir(parents=True)
        with _durable(temporary / _VALUES) as file:
            # Not with a memory map: on a full disk, writing to a map kills the process.
            np.lib.format.write_array_header_1_0(file, {"descr": np.dtype("f4").str, "fortran_order": False, "shape": shape})
            file.writelines(array.data for array in arrays)
        with _durable(temporary / _INDEX) as file:
            file.write(json.dumps(index).encode())
        _publish(temporary, pack)
    finally:
        remove_pack(temporary)


@contextmanager
def _durable(path: Path) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())  # otherwise a power failure could leave a pack with empty files


def _publish(temporary: Path, pack: Path) -> None:
    try:
        temporary.rename(pack)
    except OSError as error:
        # Another process was first, and may already have merged its pack into a larger one.
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) and not pack.is_dir():
            raise


def read_pack(pack: Path, shape: tuple[int, ...]) -> Features | None:
    """Memory-map a pack; return `None` if it cannot be read, and remove it if it is damaged or its shape is wrong."""
    try:
        values, index = np.load(pack / _VALUES, mmap_mode="r"), json.loads((pack / _INDEX).read_bytes())
        features = Features.located(values, index, index.values(), pack=pack)
        inside = (features.starts >= 0) & (features.starts <= features.stops) & (features.stops <= len(values))
        if inside.all() and values.dtype == np.float32 and values.shape[1:] == shape:
            return features
    except FileNotFoundError:  # one of its two files is missing, or another process has just removed the pack
        pass
    except OSError:  # too many open files, or no permission: the pack may still be intact
        return None
    except Exception:  # damaged files raise exceptions of many classes
        pass
    remove_pack(pack)
    return None


def remove_pack(pack: Path) -> None:
    """Remove a pack. It is renamed first, so that no process finds half of it. On Windows, a mapped pack cannot be removed."""
    hidden = _hidden(pack)
    with suppress(OSError):
        pack.rename(hidden)
        for name in (_VALUES, _INDEX):
            (hidden / name).unlink(missing_ok=True)
        hidden.rmdir()


def _hidden(pack: Path) -> Path:
    return pack.with_name(f".{uuid4().hex}")


def count_clips(pack: Path) -> int:
    """Return the number of clips in a pack, 0 if it is damaged or missing."""
    try:
        return len(json.loads((pack / _INDEX).read_bytes()))
    except (OSError, ValueError, TypeError):
        return 0


def measure_pack(pack: Path) -> tuple[float, int]:
    """Return the time of the last use of a pack (seconds since 1970) and its size (bytes); zeros if it is missing."""
    with suppress(OSError):
        return pack.stat().st_mtime, sum(path.stat().st_size for path in pack.iterdir())
    return 0.0, 0
