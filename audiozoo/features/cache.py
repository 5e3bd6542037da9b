"""Computed features on disk, so that a second pass over the same sounds reads them instead of computing them."""

from __future__ import annotations

import hashlib
import os
import re
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiozoo.config import digest
from audiozoo.download import cache_folder
from audiozoo.features.frontends import Frontend
from audiozoo.features.identity import FileHashes, signature
from audiozoo.features.packs import (
    Features,
    Index,
    Key,
    count_clips,
    half_written_in,
    last_used,
    mark_used,
    pack_of,
    packs_in,
    read_pack,
    remove_pack,
    size_of,
    write_pack,
)
from audiozoo.features.reading import Span

_LIMIT = "10GiB"
_ABANDONED = 3_600  # seconds after which a half-written pack is taken for a killed process's


@dataclass(frozen=True)
class CacheInfo:
    """Contents of a cache.

    Args:
        folder: Folder of the features.
        packs: Number of packs, each a folder of features.
        clips: Number of clips in them. A clip that two frontends computed counts twice.
        bytes: Size on disk.
        limit_bytes: Largest size on disk.
    """

    folder: str
    packs: int
    clips: int
    bytes: int
    limit_bytes: int


class FeatureCache:
    """A folder of computed features with a largest size; features not used for the longest time are deleted first.

    The bytes of the sound, the frontend, and the versions and sources of the code that computes identify features, so a changed
    file or parameter never gets old ones. Any number of processes may use one folder at once.

    Args:
        folder: Parent of the folder `features` that holds them; `None` is `audiozoo.download.cache_folder()`.
        limit_bytes: Largest size; `None` is the environment's AUDIOZOO_CACHE_LIMIT, such as "500MB", or else 10 GiB.

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

    def keys(self, clips: Sequence[Span], *, jobs: int = -1) -> list[Key]:
        """Return the identity of each clip: its file's bytes and the part of it, or its position if it cannot be read."""
        hashes = self._hashes.of((clip.path for clip in clips if isinstance(clip.path, str)), jobs=jobs)
        keys: list[Key] = []
        for position, clip in enumerate(clips):
            path = clip.path
            content = hashlib.sha256(path).hexdigest() if isinstance(path, bytes) else hashes.get(path)
            end = None if clip.end is None else float(clip.end)
            keys.append(position if content is None else f"{content} {float(clip.start)} {end}")
        return keys

    def info(self) -> CacheInfo:
        """Count the packs, their clips and their bytes."""
        packs = self._packs()
        return CacheInfo(str(self.folder), len(packs), sum(map(count_clips, packs)), sum(map(size_of, packs)), self.limit_bytes)

    def clear(self) -> None:
        """Delete all features, and no other file that may be in the folder."""
        for pack in self._packs() + self._half_written():
            remove_pack(pack)
        self._hashes.remove()
        for folder in (*self.folder.glob("*"), self.folder):
            with suppress(OSError):  # not empty
                folder.rmdir()

    def make_room(self, kept: Path) -> None:
        """Delete the packs not used for the longest time until the rest is within the limit, and keep one in any case."""
        for path in self._half_written():
            if last_used(path) < time.time() - _ABANDONED:
                remove_pack(path)
        sizes = {pack: size_of(pack) for pack in self._packs()}
        excess = sum(sizes.values()) - self.limit_bytes
        for pack in sorted(sizes.keys() - {kept}, key=last_used):
            if excess > 0:
                remove_pack(pack)
                excess -= sizes[pack]

    def check_size(self, size: int) -> None:
        """Raise an OSError if a pack of a size (bytes) is beyond the limit on its own."""
        if size > self.limit_bytes:
            raise OSError(f"{size} bytes are more than the limit of {self.limit_bytes}")

    def _packs(self) -> list[Path]:
        return [pack for folder in self.folder.glob("*") for pack in packs_in(folder)]

    def _half_written(self) -> list[Path]:
        return [path for folder in self.folder.glob("*") for path in half_written_in(folder)]


class Store:
    """The features of one frontend: packs on disk, and in memory what cannot be written there.

    Args:
        cache: Cache to read and write; `None` keeps everything in memory.
        frontend: Frontend of the features. If a class of it has no source file, the store is in memory, too.
        hop: Time between window starts (seconds); `None` is the frontend's own.
    """

    def __init__(self, cache: FeatureCache | None, frontend: Frontend, hop: float | None) -> None:
        name = signature(frontend, hop) if cache else None
        self._cache = cache if name else None
        self._folder = cache.folder / name if cache and name else None  # `None` as soon as nothing can be written
        self._shape = frontend.shape
        self._held: list[Features] = []
        self._places: dict[Key, tuple[Features, int]] = {}
        for pack in packs_in(self._folder) if self._folder else ():
            if features := read_pack(pack, self._shape):
                self._hold(features)

    @property
    def on_disk(self) -> bool:
        """Whether new features are written to disk."""
        return self._folder is not None

    def keys(self, clips: Sequence[Span], *, jobs: int) -> list[Key]:
        """Return the identity of each clip, see `FeatureCache.keys`; without a cache its position."""
        return self._cache.keys(clips, jobs=jobs) if self._cache else list(range(len(clips)))

    def __contains__(self, key: Key) -> bool:
        return key in self._places

    def add(self, features: Features) -> None:
        """Keep computed features on disk or, where that fails, in memory."""
        self._hold(self._written([features.values], features.index) or features)

    def gather(self, keys: Iterable[Key]) -> Features:
        """Return features that include all of the keys, which the store must contain.

        If one pack has them all, nothing is copied. Otherwise they are copied into a new pack (or into memory), and packs that
        it makes redundant are deleted: training then reads one array, and a process maps few files.
        """
        wanted = dict.fromkeys(keys)
        for features in self._held if wanted else ():
            if wanted.keys() <= set(features.keys):
                mark_used(features)
                return features
        return self._merged(list(wanted))

    def _hold(self, features: Features) -> None:
        self._held.append(features)
        self._places.update((key, (features, position)) for position, key in enumerate(features.keys))

    def _merged(self, keys: list[Key]) -> Features:
        places = [self._places[key] for key in keys]
        arrays = [np.empty((0, *self._shape), np.float32)]
        arrays += [features.values[features.windows(position)] for features, position in places]
        ends = np.cumsum([len(array) for array in arrays]).tolist()
        lasts = [int(features.lasts[position]) for features, position in places]
        index: Index = dict(zip(keys, zip(ends, ends[1:], lasts, strict=False), strict=True))
        merged = self._written(arrays, index)
        for features in self._held if merged else ():
            if (pack := pack_of(features)) and pack != pack_of(merged) and index.keys() >= set(features.keys):
                remove_pack(pack)
        return merged or Features.indexed(np.concatenate(arrays), index)

    def _written(self, arrays: Sequence[np.ndarray], index: Index) -> Features | None:
        """Write a pack and map it; `None` if that is not possible, with a warning the first time."""
        if not (self._cache and self._folder and index and all(isinstance(key, str) for key in index)):
            return None
        pack = self._folder / digest(sorted(map(str, index)))
        try:
            self._cache.check_size(sum(array.nbytes for array in arrays))
            write_pack(pack, arrays, index)
        except OSError as error:
            self._folder = None
            warnings.warn(
                f"{self._cache.folder}: features cannot be written and stay in memory: {error}. Free some space, set "
                "AUDIOZOO_CACHE to another folder or AUDIOZOO_CACHE_LIMIT to a larger size, or use --no-cache, cache=None",
                RuntimeWarning,
                stacklevel=4,
            )
            return None
        features = read_pack(pack, self._shape)
        self._cache.make_room(pack)
        return features


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
