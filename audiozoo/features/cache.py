"""Computed features on disk, so that a second pass over the same sounds reads them instead."""

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
from audiozoo.features.identity import FileHashes, Span, signature
from audiozoo.features.packs import (
    Block,
    Key,
    Rows,
    count_clips,
    half_written_in,
    last_used,
    load_pack,
    mark_used,
    packs_in,
    remove_pack,
    size_of,
    write_pack,
)

_LIMIT = "10GiB"
_ABANDONED = 3_600  # seconds after which what a killed process left half-written is removed


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds.

    Args:
        folder: Where it is.
        packs: Files of features.
        clips: Clips in them; one that two frontends computed counts twice.
        bytes: Their size on disk.
        limit_bytes: The size that they are kept within.
    """

    folder: str
    packs: int
    clips: int
    bytes: int
    limit_bytes: int


class FeatureCache:
    """A folder of computed features, kept within a size: those not used for the longest time go first.

    Features are told apart by the bytes of the sound, the frontend, and the versions and sources of what computes them: a
    changed parameter or a changed file never reads old ones. Any number of processes may use one folder at once.

    Args:
        folder: Parent of the folder `features` that holds them; `None` is `audiozoo.download.cache_folder()`.
        limit_bytes: The size; `None` is the environment's AUDIOZOO_CACHE_LIMIT, such as "500MB", or else 10 GiB.

    Raises:
        ValueError: A limit that is no size.
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
        """Name each clip by its content: the bytes of its file, and where in it; by its position if it cannot be read."""
        hashes = self._hashes.of((clip.path for clip in clips if isinstance(clip.path, str)), jobs=jobs)
        keys: list[Key] = []
        for position, clip in enumerate(clips):
            path = clip.path
            content = hashlib.sha256(path).hexdigest() if isinstance(path, bytes) else hashes.get(path)
            end = None if clip.end is None else float(clip.end)
            keys.append(position if content is None else f"{content} {float(clip.start)} {end}")
        return keys

    def shelf(self, frontend: Frontend, hop: float | None) -> Shelf | None:
        """Open what is kept of a frontend; `None` if a class of it has no source file, so that a change of it goes unseen."""
        name = signature(frontend, hop)
        return None if name is None else Shelf(self, self.folder / name, frontend.shape)

    def info(self) -> CacheInfo:
        """Count what is kept."""
        packs = self._packs()
        return CacheInfo(str(self.folder), len(packs), sum(map(count_clips, packs)), sum(map(size_of, packs)), self.limit_bytes)

    def clear(self) -> None:
        """Remove all that is kept, and nothing else that may lie in the folder."""
        for pack in self._packs() + self._half_written():
            remove_pack(pack)
        self._hashes.remove()
        for folder in (*self.folder.glob("*"), self.folder):
            with suppress(OSError):  # not empty
                folder.rmdir()

    def make_room(self, kept: Path) -> None:
        """Remove the packs not used for the longest time until the rest is within the limit; one is kept in any case."""
        for path in self._half_written():
            if last_used(path) < time.time() - _ABANDONED:
                remove_pack(path)
        sizes = {pack: size_of(pack) for pack in self._packs()}
        excess = sum(sizes.values()) - self.limit_bytes
        for pack in sorted(sizes.keys() - {kept}, key=last_used):
            if excess > 0:
                remove_pack(pack)
                excess -= sizes[pack]

    def _packs(self) -> list[Path]:
        return [pack for folder in self.folder.glob("*") for pack in packs_in(folder)]

    def _half_written(self) -> list[Path]:
        return [path for folder in self.folder.glob("*") for path in half_written_in(folder)]


class Shelf:
    """The packs of one frontend, and windows held in memory because they could not be written.

    Args:
        cache: What the packs are part of.
        folder: Where they are.
        shape: Of one window.
    """

    def __init__(self, cache: FeatureCache, folder: Path, shape: tuple[int, ...]) -> None:
        self.cache, self.folder, self.shape = cache, folder, shape
        self._blocks: list[Block] = []
        self._places: dict[Key, Block] = {}
        self._failed = False
        for pack in packs_in(folder):
            if block := load_pack(pack, shape):
                self._put(block)

    def __contains__(self, key: Key) -> bool:
        return key in self._places

    def add(self, values: np.ndarray, rows: dict[Key, Rows]) -> None:
        """Keep computed windows: on disk, or where that fails in memory."""
        self._put(self._stored([values], rows) or Block(values, rows))

    def gather(self, keys: Iterable[Key]) -> Block:
        """Return a block that holds all of the keys, which must be there: without a copy if they lie in one pack already.

        Otherwise they are copied into a new pack, or where that fails into memory, and packs that are part of it go.
        """
        wanted = {key: self._places[key] for key in dict.fromkeys(keys)}
        for block in self._blocks if wanted else ():
            if wanted.keys() <= block.rows.keys():
                if block.pack:
                    mark_used(block.pack)
                return block
        return self._merged(wanted)

    def _put(self, block: Block) -> None:
        self._blocks.append(block)
        self._places.update(dict.fromkeys(block.rows, block))

    def _merged(self, wanted: dict[Key, Block]) -> Block:
        parts = [block.of(key) for key, block in wanted.items()]
        stops = np.cumsum([len(part) for part in parts], dtype=int).tolist()
        rows = {
            key: Rows(stop - len(part), stop, block.rows[key].last)
            for (key, block), part, stop in zip(wanted.items(), parts, stops, strict=True)
        }
        merged = self._stored(parts, rows)
        if merged is None:
            return Block(np.concatenate([np.empty((0, *self.shape), np.float32), *parts]), rows)
        for block in self._blocks:
            if block.pack and block.pack != merged.pack and block.rows.keys() <= rows.keys():
                remove_pack(block.pack)
        return merged

    def _stored(self, parts: Sequence[np.ndarray], rows: dict[Key, Rows]) -> Block | None:
        """Write a pack and map it; `None`, and the first time a warning, if that cannot be done."""
        if self._failed or not rows or not all(isinstance(key, str) for key in rows):
            return None
        pack = self.folder / digest(sorted(map(str, rows)))
        try:
            self._refuse_too_large(sum(part.nbytes for part in parts))
            write_pack(pack, parts, rows, self.shape)
        except OSError as error:
            self._failed = True
            self._warn(error)
            return None
        block = load_pack(pack, self.shape)
        self.cache.make_room(pack)
        return block

    def _refuse_too_large(self, size: int) -> None:
        if size > self.cache.limit_bytes:
            raise OSError(f"{size} bytes are more than the limit of {self.cache.limit_bytes}")

    def _warn(self, error: OSError) -> None:
        warnings.warn(
            f"features cannot be kept in {self.cache.folder} and are held in memory: {error}. Free some space, set "
            "AUDIOZOO_CACHE to another folder or AUDIOZOO_CACHE_LIMIT to a larger size, or do without: --no-cache, cache=None",
            RuntimeWarning,
            stacklevel=2,
        )


def parse_size(text: str, name: str) -> int:
    """Read a size such as "5GB", "500 MB", "2GiB" or plain bytes.

    Raises:
        ValueError: It is none; the message names what it was given for.

    >>> parse_size("1.5GB", "the limit"), parse_size("2 KiB", "the limit"), parse_size("7", "the limit")
    (1500000000, 2048, 7)
    """
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(I?))?B?\s*", text.upper())
    if not parts:
        raise ValueError(f"{name} must be a size such as 5GB, 500MB, 2GiB or a number of bytes, got {text!r}")
    number, prefix, binary = parts.groups()
    return int(float(number) * (1_024 if binary else 1_000) ** " KMGT".index(prefix or " "))
