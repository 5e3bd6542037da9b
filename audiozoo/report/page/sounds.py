"""Sounds and their spectrograms inside the page."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from audiozoo import audio
from audiozoo.features import LogMel
from audiozoo.report.page.markup import Html, data_uri, tag

_RATE = 16_000
_SECONDS = 5.0  # a longer clip is cut, so that the page stays small
_BANDS, _HOP = 64, 400
_LEVELS = 32  # colours; with more, the picture would be larger than the sound
_FLOOR = 70.0  # decibels below the loudest point that stay visible
_EXCERPT = re.compile(r"^(?P<file>.*) (?P<start>[\d.e+-]+)-(?P<end>[\d.e+-]*) s$", re.DOTALL)


def sound_files(root: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """Map the name of each sound file below a folder to its paths.

    Args:
        root: Folder of the sounds.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if not Path(root).is_dir():
        raise FileNotFoundError(f"{root}: not a folder; --sounds needs the folder of the dataset's sounds")
    found: dict[str, list[Path]] = {}
    for path in map(Path, audio.sounds_in(root)):
        found.setdefault(path.name, []).append(path)
    return found


def located(name: str, files: Mapping[str, list[Path]]) -> tuple[Path, float, float | None] | None:
    """Find the file of a clip.

    Args:
        name: Name of the clip in a row: the end of its path, and the excerpt if it is not the whole file. It comes from a file,
            so it is only compared with the files that were found, and never opened as a path.
        files: Files by name, see `sound_files`.

    Returns:
        The file, the start and the end (seconds); `None` if no file or more than one fits.
    """
    excerpt = _EXCERPT.match(name)
    file, start, end = excerpt.group("file", "start", "end") if excerpt else (name, "0", "")
    parts = tuple(file.split("/"))
    fitting = [path for path in files.get(parts[-1], ()) if path.parts[-len(parts) :] == parts]
    try:
        return (fitting[0], float(start), float(end) if end else None) if len(fitting) == 1 else None
    except ValueError:
        return None


def player(path: Path, start: float, end: float | None, *, about: str) -> Html | None:
    """Return the spectrogram of a sound and a player for it.

    Args:
        path: Sound file.
        start: Start (seconds).
        end: End (seconds); `None` is the end of the file.
        about: Description of the sound for readers who do not see the picture.

    Returns:
        The elements, or `None` if the sound cannot be read.
    """
    latest = start + _SECONDS
    try:
        wave, rate = audio.read(path, start=start, end=latest if end is None else min(end, latest))
    except (OSError, ValueError):
        return None  # the report is about results, and names the clip in any case
    sound = audio.conform(wave, rate, sample_rate=_RATE, channels=1)
    seconds = len(sound) / _RATE
    return tag(
        "div",
        tag("img", src=data_uri(_spectrogram(sound), "image/png"), alt=f"Mel spectrogram of {about}", width=320, height=120),
        tag("div", tag("span", "0 s"), tag("span", "0 to 8 kHz, mel scale"), tag("span", f"{seconds:.1f} s"), class_="ends"),
        tag("audio", controls=True, preload="none", src=data_uri(*_encoded(sound))),
    )


def _encoded(sound: np.ndarray) -> tuple[bytes, str]:
    """Return a sound as a small file and its media type."""
    import soundfile

    # Every browser plays MP3; a libsndfile without it writes Vorbis, which older versions of Safari do not play.
    kind, format_ = ("audio/mpeg", "MP3") if "MP3" in soundfile.available_formats() else ("audio/ogg", "OGG")
    file = io.BytesIO()
    soundfile.write(file, np.clip(sound.ravel(), -1, 1), _RATE, format=format_)
    return file.getvalue(), kind


def _spectrogram(sound: np.ndarray) -> bytes:
    from matplotlib.image import imsave

    frontend = LogMel(
        sample_rate=_RATE, duration=len(sound) / _RATE, n_fft=1_024, hop_length=_HOP, n_mels=_BANDS, top_db=_FLOOR
    )
    values = frontend(sound)[..., 0]
    levels = np.round((values - values.max()) / _FLOOR * _LEVELS)
    file = io.BytesIO()
    imsave(file, levels, cmap="magma", origin="lower", vmin=-_LEVELS, vmax=0, format="png")
    return file.getvalue()
