"""Functions that read clips for a frontend. They affect feature values, so a change of this file invalidates the cache."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Protocol

import numpy as np

from audiozoo import audio
from audiozoo.features.frontends import Frontend


class Excerpt(Protocol):
    """A part of a sound file; `audiozoo.datasets.Clip` is one."""

    @property
    def path(self) -> str | bytes:
        """Path of the file, or its bytes."""

    @property
    def start(self) -> float:
        """Start in the file (seconds)."""

    @property
    def end(self) -> float | None:
        """End in the file (seconds); `None` is the end of the file."""


def windows_of(clip: Excerpt, frontend: Frontend, *, hop: float | None = None) -> list[tuple[int, np.ndarray]]:
    """Read a clip and compute its windows.

    Args:
        clip: Part of a file to read.
        frontend: Frontend that computes the windows.
        hop: Time between window starts (seconds); `None` uses the frontend's own.

    Returns:
        The start in the clip (samples) and the array of each window; at least one window.

    Raises:
        OSError: The file cannot be opened; the message names it.
        ValueError: The clip cannot be read or used; the message names the file.
    """
    pieces = audio.stream(
        clip.path, sample_rate=frontend.sample_rate, channels=frontend.channels, start=clip.start, end=clip.end
    )
    return list(frontend.windows(pieces, hop=hop))


def load_clip(clip: Excerpt, frontend: Frontend) -> np.ndarray:
    """Read a clip's waveform with a frontend's sample rate and channels."""
    return audio.load(clip.path, sample_rate=frontend.sample_rate, channels=frontend.channels, start=clip.start, end=clip.end)


def measure_clip(clip: Excerpt) -> tuple[float, int] | None:
    """Return a clip's duration (seconds) and channels from the file's header; `None` if the file cannot be opened."""
    try:
        seconds, _, channels = audio.measure(clip.path)
    except (OSError, ValueError):
        return None  # extraction reports the reason
    return min(seconds, clip.end or seconds) - clip.start, channels


@cache
def warm_up(frontend: Frontend) -> None:
    """Run a frontend once on noise, because librosa compiles code on first use, which two threads must not do at once."""
    shape = (frontend.samples, frontend.channels)[: 1 if frontend.channels == 1 else 2]
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, shape).astype(np.float32)
    with suppress(ValueError):  # a window too short for a cleaning step; extraction reports it with the clip's name
        frontend(noise)
