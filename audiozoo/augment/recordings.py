"""Folders of recordings that transforms draw from."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from audiozoo import audio
from audiozoo.files import checksum

_SHORTEST = 0.02  # seconds; less may lie between two samples of the recording


@lru_cache(maxsize=16)
def recordings(folder: str) -> tuple[str, ...]:
    """List the sounds in a folder at any depth, as paths in it, in the same order everywhere.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No sound lies in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of recordings")
    found = [path.relative_to(root).as_posix() for path in audio.sounds_in(root)]
    if not found:
        raise ValueError(f"{folder}: no recordings in this folder; put some {', '.join(audio.SOUND_SUFFIXES)} files there")
    return tuple(found)


def fingerprint(folder: str) -> str:
    """Hash a folder's recordings, names and content."""
    found = hashlib.sha256()
    for name in recordings(folder):
        found.update(os.fsencode(f"{checksum(Path(folder, name))} {name}\n"))
    return found.hexdigest()


def choose_recording(folder: str, rng: np.random.Generator) -> str:
    """Draw one of a folder's recordings."""
    names = recordings(folder)
    return names[rng.integers(len(names))]


def read_stretch(path: str | os.PathLike[str], start: float, seconds: float, *, sample_rate: int, channels: int) -> np.ndarray:
    """Read so many seconds of a recording, or all of one that is shorter.

    Args:
        path: The file.
        start: Where to begin, as a share from 0 to 1 of what can be left out before it.
        seconds: How much.
        sample_rate: Rate wanted, Hz.
        channels: Channels wanted; of a recording with another number of several, the mean is repeated.

    Returns:
        float32 ``(samples,)``, or ``(samples, channels)`` for more than one channel; sometimes longer than asked for.
    """
    length, _, have = audio.measure(path)
    seconds = max(seconds, _SHORTEST)
    first = start * max(0.0, length - seconds)
    suits = channels in (1, have) or have == 1
    wave = audio.load(path, sample_rate=sample_rate, channels=channels if suits else 1, start=first, end=first + seconds)
    return audio.set_channels(wave, channels)
