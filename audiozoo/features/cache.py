"""Cache of features on disk, so that features of the same sounds are computed only once."""

from __future__ import annotations

import hashlib
import os
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiozoo.config import digest
from audiozoo.download import cache_folder
from audiozoo.features.identity import FileHashes
from audiozoo.features.packs import (
    Features,
    Key,
    Span,
    count_clips,
    measure_pack,
    read_pack,
    remove_pack,
    write_pack,
)
from audiozoo.features.reading import Excerpt

_LIMIT = "10GiB"
_ABANDONED = 3_600  # seconds after which a half-written pack is assumed to be left by a killed process


@dataclass(frozen=True)
class CacheInfo:
    """Contents of a cache.

    Args:
        folder: Folder of the features.
        packs: Number of packs, each a folder of features.
        clips: Number of clips in the packs. A clip with features of two frontends counts twice.
        bytes: Size on disk (bytes).
        limit_bytes: Maximum size on disk (bytes).
    """

    folder: str
    packs: int
    clips: int
    bytes: int
    limit_bytes: int


class FeatureCache:
    """A folder of features with a maximum size; the least recently used features are deleted first.

    Features are identified by the content of the sound, the frontend, and the versions and sources of the code that computes
    them, so a changed file or setting never gets outdated features. Several processes may use the same folder at once.

    Args:
        folder: Parent of the folder `features`, which has the packs; `None` uses `audiozoo.download.cache_folder()`.
        limit_bytes: Maximum size (bytes); `None` uses the environment variable AUDIOZOO_CACHE_LIMIT, such as "500MB", or
            10 GiB.

    Raises:
        ValueError: The limit is negative, or AUDIOZOO_CACHE_LIMIT is not a size.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, limit_bytes: int | None = None) -> None:
        parent = Path(folder).expanduser().absolute() if folder else cache_folder()
        self.folder = parent / "features"
        limit = os.environ.get("AUDIOZOO_CACHE_LIMIT") or _LIMIT
        self.limit_bytes = parse_size(limit, "AUDIOZOO_CACHE_LIMIT") if limit_bytes is None else limit_bytes
        if self.limit_bytes < 0:
            raise ValueError(f"limit_bytes must be 0 or more, got {limit_bytes}")
        self._hashes = FileHashes(self.folder / "hashes.sqlite")

    def keys(self, clips: Sequence[Excerpt]) -> list[Key]:
        """Return the key of each clip: the hash of its file with its start and end, or its position if it cannot be read."""
        hashes = self._hashes.of(clip.path for clip in clips if isinstance(clip.path, str))
        keys: list[Key] = []
        for position, clip in enumerate(clips):
            path, end = clip.path, None if clip.end is None else float(clip.end)
            content = hashlib.sha256(path).hexdigest() if isinstance(path, bytes) else hashes.get(path)
            keys.append(position if content is None else f"{content} {float(clip.start)} {end}")
        return keys

    def packs(self, name: str = "*", *, half_written: bool = False) -> list[Path]:
        """Find the complete packs of a signature, or with `half_written` those that a process is writing or left behind."""
        pattern = r"\.[0-9a-f]{32}" if half_written else "[0-9a-f]{16}"
        return [path for path in self.folder.glob(f"{name}/*") if re.fullmatch(pattern, path.name)]

    def info(self) -> CacheInfo:
        """Return the number of packs and clips and their size."""
        packs = self.packs()
        size = sum(measure_pack(pack)[1] for pack in packs)
        return CacheInfo(str(self.folder), len(packs), sum(map(count_clips, packs)), size, self.limit_bytes)

    def clear(self) -> None:
        """Delete all features; other files in the folder are kept."""
        for pack in self.packs() + self.packs(half_written=True):
            remove_pack(pack)
        self._hashes.remove()
        for folder in (*self.folder.glob("*"), self.folder):
            with suppress(OSError):  # not empty
                folder.rmdir()

    def save(self, pack: Path, arrays: Sequence[np.ndarray], index: Mapping[Key, Span]) -> None:
        """Write a pack with `write_pack`, then delete the least recently used packs if the limit is exceeded.

        Args:
            pack: Folder to write.
            arrays: One or more float32 arrays ``(windows, *shape)``, which are concatenated.
            index: Span of each clip in the concatenated array.

        Raises:
            OSError: The pack cannot be written, or exceeds the limit on its own.
        """
        size = sum(array.nbytes for array in arrays)
        if size > self.limit_bytes:
            raise OSError(f"{size} bytes exceed the limit of {self.limit_bytes} bytes")
        write_pack(pack, arrays, index)
        for path in self.packs(half_written=True):
            if measure_pack(path)[0] < time.time() - _ABANDONED:
                remove_pack(path)
        found = sorted((*measure_pack(path), path) for path in self.packs())
        excess = sum(size for _, size, _ in found) - self.limit_bytes
        for _, size, path in found:
            if excess > 0 and path != pack:
                remove_pack(path)
                excess -= size


class Store:
    """Features of one kind: packs on disk, and in memory the features that cannot be written to disk.

    Args:
        cache: Cache to read and write; `None` keeps everything in memory.
        name: Hash of everything that the features depend on except the sound, the name of their folder. With `None`, all
            features stay in memory.
        shape: Shape of the features of one window.
    """

    def __init__(self, cache: FeatureCache | None, name: str | None, shape: tuple[int, ...]) -> None:
        self.cache = cache if name else None
        self.folder = cache.folder / name if cache and name else None  # `None` as soon as writing fails
        self._shape = shape
        packs = cache.packs(name) if cache and name else []
        self._held = [features for pack in packs if (features := read_pack(pack, self._shape))]

    def keys(self, clips: Sequence[Excerpt]) -> list[Key]:
        """Return the key of each clip, see `FeatureCache.keys`; without a cache, its position."""
        return self.cache.keys(clips) if self.cache else list(range(len(clips)))

    @property
    def known(self) -> set[Key]:
        """Keys of all clips in the store."""
        return {key for features in self._held for key in features.keys}

    def add(self, features: Features) -> None:
        """Add features on disk, or in memory if they cannot be written."""
        self._held.append(self._saved([features.values], features.index) or features)

    def gather(self, keys: Sequence[Key], failures: dict[int, str]) -> Features:
        """Return the features of clips in order, without a copy if a single pack has them all.

        Otherwise they are copied into a new pack, or into memory if that fails, so that training reads a single array.

        Args:
            keys: Key of each clip. The store must contain it, unless the clip is in `failures`.
            failures: Error message of each clip that could not be read, by position.
        """
        wanted = dict.fromkeys(key for position, key in enumerate(keys) if position not in failures)
        held = (features for features in self._held if wanted and wanted.keys() <= set(features.keys))
        found = next(held, None) or self._merged(list(wanted))
        if found.pack:
            with suppress(OSError):
                os.utime(found.pack)  # the time of the last use, by which packs are deleted
        index = found.index
        spans = [(0, 0, 0) if position in failures else index[key] for position, key in enumerate(keys)]
        return Features.located(found.values, keys, spans, failures=failures, pack=found.pack)

    def _merged(self, keys: list[Key]) -> Features:
        places = {key: (features, i) for features in self._held for i, key in enumerate(features.keys)}
        arrays, index = [np.empty((0, *self._shape), np.float32)], dict[Key, Span]()
        end = 0
        for features, i in (places[key] for key in keys):
            arrays.append(features.values[features.windows(i)])
            start, end = end, end + len(arrays[-1])
            index[features.keys[i]] = start, end, int(features.lasts[i])
        merged = self._saved(arrays, index)
        if merged is None:
            return Features.located(np.concatenate(arrays), index, index.values())
        for features in self._held:
            if features.pack not in (None, merged.pack) and index.keys() >= set(features.keys):
                remove_pack(features.pack)
        return merged

    def _saved(self, arrays: Sequence[np.ndarray], index: Mapping[Key, Span]) -> Features | None:
        """Write a pack and memory-map it; return `None` if that is not possible, with a warning the first time."""
        if not (self.cache and self.folder and index and all(isinstance(key, str) for key in index)):
            return None
        pack = self.folder / digest(sorted(map(str, index)))
        try:
            self.cache.save(pack, arrays, index)
        except OSError as error:
            self.folder = None
            warnings.warn(
                f"{self.cache.folder}: features cannot be written and stay in memory: {error}. Free some space, set "
                "AUDIOZOO_CACHE to another folder or AUDIOZOO_CACHE_LIMIT to a larger size, or use --no-cache, cache=None",
                RuntimeWarning,
                stacklevel=4,
            )
            return None
        return read_pack(pack, self._shape)


def parse_size(text: str, name: str) -> int:
    """Read a size such as "5GB", "500 MB", "2GiB" or plain bytes.

    Raises:
        ValueError: The text is not a size; the message contains `name`.

    >>> parse_size("1.5GB", "the limit"), parse_size("2 KiB", "the limit"), parse_size("7", "the limit")
    (1500000000, 2048, 7)
    """
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(I?))?B?\s*", text.upper())
    if not parts:
        raise ValueError(f"{name} must be a size such as 5GB, 500MB, 2GiB or a number of bytes, got {text!r}")
    number, prefix, binary = parts.groups()
    return int(float(number) * (1_024 if binary else 1_000) ** " KMGT".index(prefix or " "))
