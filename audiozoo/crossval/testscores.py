"""Scores of the test clips of a row, from which any metric can be computed later."""

from __future__ import annotations

import base64
import binascii
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audiozoo.config import Configured
from audiozoo.datasets import Clip
from audiozoo.files import fingerprint

_MOST_CLASSES = 10_000


@dataclass(frozen=True, kw_only=True)
class TestScores(Configured):
    """Scores of each test clip beside its true class.

    Args:
        clips: Name of each clip: its path below the folder of all, with the excerpt if it is not the whole file.
        recordings: Name of the recording that each clip comes from. Clips of one recording are not independent.
        targets: Class index of each clip, or 0 and 1 for each class of several labels.
        packed: Scores ``(clips, classes)``, see `pack`.
        domains: Domain of each clip, such as its recording device; empty if no clip has one.
        seen_domains: Domains that training clips have.

    Raises:
        ValueError: The lengths differ, or `packed` does not hold that many scores.
    """

    __test__ = False  # pytest collects classes of this name otherwise

    clips: tuple[str, ...]
    recordings: tuple[str, ...]
    targets: tuple[int, ...] | tuple[tuple[int, ...], ...]
    packed: str
    domains: tuple[str, ...] = ()
    seen_domains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.clips) == len(self.recordings) == len(self.targets):
            raise ValueError(
                f"each clip needs a recording and a target, got {len(self.clips)} clips, {len(self.recordings)} recordings "
                f"and {len(self.targets)} targets"
            )
        if len(self.domains) not in (0, len(self.clips)):
            raise ValueError(f"each clip needs a domain, or none, got {len(self.domains)} for {len(self.clips)} clips")

    @classmethod
    def of_clips(
        cls, clips: Sequence[Clip], scores: np.ndarray, targets: np.ndarray, *, train: Sequence[Clip] = ()
    ) -> TestScores:
        """Keep the scores of clips in single precision.

        Args:
            clips: Test clips.
            scores: Their scores, ``(clips, classes)``.
            targets: Class indices ``(clips,)``, or 0 and 1 ``(clips, classes)``.
            train: Training clips, for the domains that the model has seen.

        Returns:
            The scores with the names of the clips and their domains.
        """
        kept, names = np.asarray(targets, int).tolist(), _names(clips)
        return cls(
            clips=tuple(names[clip.path] + _excerpt(clip) for clip in clips),
            recordings=tuple(names[clip.path] if clip.group is None else clip.group for clip in clips),
            targets=tuple(tuple(one) if isinstance(one, list) else one for one in kept),
            packed=pack(scores),
            domains=tuple(clip.domain for clip in clips) if any(clip.domain for clip in clips) else (),
            seen_domains=tuple(sorted({clip.domain for clip in train if clip.domain})),
        )

    @cached_property
    def scores(self) -> np.ndarray:
        """Scores ``(clips, classes)``, float32."""
        return unpack(self.packed, len(self.clips))

    @property
    def classes(self) -> np.ndarray:
        """The targets as an array."""
        return np.array(self.targets, int)


def _names(clips: Sequence[Clip]) -> dict[str | bytes, str]:
    """Map the path of each clip to its part below the folder that all share; the rest belongs to one machine."""
    paths = [clip.path for clip in clips if isinstance(clip.path, str)]
    folder = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""
    below = {path: os.path.relpath(path, folder or os.curdir).replace(os.sep, "/") for path in paths}
    return below | {clip.path: fingerprint(clip.path)[:16] for clip in clips if isinstance(clip.path, bytes)}


def _excerpt(clip: Clip) -> str:
    if clip.start == 0 and clip.end is None:
        return ""
    return f" {clip.start:g}-{'' if clip.end is None else f'{clip.end:g}'} s"


def pack(scores: np.ndarray) -> str:
    """Return scores as text: float32, little-endian, compressed by zlib, in base64."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(scores, "<f4").tobytes())).decode("ascii")


def unpack(packed: str, clips: int) -> np.ndarray:
    """Return the scores ``(clips, classes)`` that `pack` was given.

    Raises:
        ValueError: The text does not hold the same number of scores for each clip, or too many.
    """
    try:
        content = _decompressed(base64.b64decode(packed, validate=True), most=4 * _MOST_CLASSES * max(clips, 1))
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the scores of a row are damaged ({error})") from error
    if not clips or len(content) % (4 * clips):
        raise ValueError(f"{len(content)} bytes of scores do not fit {clips} clips")
    return np.frombuffer(content, "<f4").reshape(clips, -1).astype(np.float32)


def _decompressed(content: bytes, *, most: int) -> bytes:
    reader = zlib.decompressobj()
    found = reader.decompress(content, most)
    # A small text can declare any size, so no more than the clips can need is ever unpacked.
    if reader.unconsumed_tail or not reader.eof:
        raise zlib.error(f"cut short, or more than {most} bytes")
    return found
