"""Folders of recordings from which transforms draw."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from audiozoo import audio
from audiozoo.files import checksum

_SHORTEST = 0.02  # seconds; a shorter excerpt may contain no sample of a recording with a low rate


@lru_cache(maxsize=16)
def recordings(folder: str) -> tuple[str, ...]:
    """List the sound files in a folder at any depth, as relative paths in an order that does not depend on the system.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: The folder contains no sound files.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of recordings")
    found = [path.relative_to(root).as_posix() for path in audio.sounds_in(root)]
    if not found:
        raise ValueError(f"{folder}: no recordings in this folder; add files that end in {', '.join(audio.SOUND_SUFFIXES)}")
    return tuple(found)


def fingerprint(folder: str) -> str:
    """Return a hash of the names and the content of a folder's recordings."""
    found = hashlib.sha256()
    for name in recordings(folder):
        found.update(os.fsencode(f"{checksum(Path(folder, name))} {name}\n"))
    return found.hexdigest()


def choose_recording(folder: str, rng: np.random.Generator) -> str:
    """Draw one of the recordings in a folder; return its relative path."""
    names = recordings(folder)
    return names[rng.integers(len(names))]


def read_stretch(path: str | os.PathLike[str], start: float, seconds: float, *, sample_rate: int, channels: int) -> np.ndarray:
    """Read an excerpt of a recording, or all of a recording that is shorter than the excerpt.

    Args:
        path: Path of the recording.
        start: Position of the excerpt from 0 (the first one possible) to 1 (the last one).
        seconds: Length of the excerpt (seconds).
        sample_rate: Sample rate of the output (Hz).
        channels: Channels of the output. If the recording has another number of channels, greater than 1, its mean is repeated.

    Returns:
        float32 ``(samples,)``, or ``(samples, channels)`` for more than one channel. It may be a few samples longer than
        `seconds`.
    """
    length, _, have = audio.measure(path)
    seconds = max(seconds, _SHORTEST)
    first = start * max(0.0, length - seconds)
    suits = channels in (1, have) or have == 1
    wave = audio.load(path, sample_rate=sample_rate, channels=channels if suits else 1, start=first, end=first + seconds)
    return audio.set_channels(wave, channels)
