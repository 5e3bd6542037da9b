"""Speech Commands, version 2: 35 spoken words in clips of at most 1 s, or ten of them, other words and silence.

Source: P. Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", arXiv:1804.03209. Archive:
`speech_commands_v0.02.tar.gz`. Licence: CC BY 4.0.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo import audio
from audiozoo.datasets.clip import Clip
from audiozoo.datasets.sources import source_of
from audiozoo.datasets.table import Dataset, register_dataset
from audiozoo.datasets.unpacked import find_table, require_list, require_sounds

_NOISE = "_background_noise_"
_LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
_KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
_SILENCE, _UNKNOWN = "_silence_", "_unknown_"
_SHARE = 0.1  # Clips of silence, and clips of unknown words, for each clip of a keyword.
_SECONDS = 1.0
_AGAIN = "unpack all of speech_commands_v0.02.tar.gz again"

_Parts = Mapping[str, Sequence[str]]
"""Files of the training, validation and test clips, such as "yes/0a7c2a8d_nohash_0.wav"."""


@register_dataset
def speech_commands(root: str | os.PathLike[str] | None, *, validation_clips: bool = True) -> Dataset:
    """Read Speech Commands v2: 105,829 clips (16-bit mono, 16 kHz) of 35 words.

    There is one fold, the published testing list. The group of a clip is its speaker. The metric is the accuracy.

    Args:
        root: Folder of the unpacked archive, with `testing_list.txt`, `validation_list.txt` and a folder for each word, or its
            parent.
        validation_clips: Whether the clips of the validation list are among the training clips. Training then holds out exactly
            these; without them, it holds out clips of its own speakers.

    Raises:
        FileNotFoundError: A list or a sound is missing.
        ValueError: A list has a line that does not name a sound.
    """
    base, parts = _published(root)
    words = sorted({file.split("/")[0] for files in parts.values() for file in files})
    clips = [_clip(base, file, part) for part, files in parts.items() for file in files]
    return _dataset("speech_commands", clips, words, validation_clips=validation_clips)


@register_dataset
def speech_commands_12(root: str | os.PathLike[str] | None, *, validation_clips: bool = True) -> Dataset:
    """Read Speech Commands v2 with 12 classes: ten keywords, "_unknown_" and "_silence_"; 46,258 clips.

    Each of the published lists gets other words, a tenth of the number of its keywords, chosen by the hash of their names, and
    as many excerpts of background noise, which overlap. The author's program draws both at random, with the same numbers:
    36,923 clips for training, 4,445 for validation and 4,890 for testing. It takes the silence of all lists from the same six
    recordings, so a model can recognise the recording; here each list has recordings of its own. Everything else is as in
    `speech_commands`.

    Args:
        root: Folder of the unpacked archive, or its parent.
        validation_clips: Whether the clips for validation are among the training clips.

    Raises:
        FileNotFoundError: A list or a sound is missing, or a list has no recording of background noise.
        ValueError: A list has a line that does not name a sound.
    """
    base, parts = _published(root)
    clips = []
    for number, (part, files) in enumerate(parts.items()):
        known = [file for file in files if file.split("/")[0] in _KEYWORDS]
        others = sorted((file for file in files if file.split("/")[0] not in _KEYWORDS), key=_hashed)
        wanted = math.ceil(_SHARE * len(known))
        clips += [_clip(base, file, part) for file in known]
        clips += [replace(_clip(base, file, part), labels=(_UNKNOWN,)) for file in others[:wanted]]
        clips += _silences(base, part, wanted, turn=(number, len(parts)))
    return _dataset("speech_commands_12", clips, (_SILENCE, _UNKNOWN, *_KEYWORDS), validation_clips=validation_clips)


def _dataset(name: str, clips: Sequence[Clip], labels: Sequence[str], *, validation_clips: bool) -> Dataset:
    require_sounds(clips, _AGAIN)
    kept = tuple(clip for clip in clips if validation_clips or not clip.validation)
    return Dataset(name=name, clips=kept, labels=tuple(labels), licence=source_of(name).licence)


def _published(root: str | os.PathLike[str] | None) -> tuple[Path, _Parts]:
    """Return the folder of the dataset, and the files of its three parts."""
    base, _ = find_table(root, (_LISTS["test"],), name="Speech Commands v2", inside=("speech_commands_v0.02",))
    listed = {part: _listed(base / name) for part, name in _LISTS.items()}
    # A folder that begins with "_" has background noise.
    words = sorted(path.name for path in base.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))
    present = [f"{word}/{name}" for word in words for name in sorted(os.listdir(base / word)) if name.endswith(".wav")]
    elsewhere = frozenset(file for files in listed.values() for file in files)
    return base, {"training": [file for file in present if file not in elsewhere], **listed}


def _listed(path: Path) -> list[str]:
    require_list(path, _AGAIN)
    files = path.read_text(encoding="utf-8").split()
    if wrong := [file for file in files if not re.fullmatch(r"\w+/\w+\.wav", file)]:
        raise ValueError(f"{path}: {len(wrong)} line(s) do not name a sound, the first is {wrong[0][:80]!r}; {_AGAIN}")
    return files


def _clip(base: Path, file: str, part: str) -> Clip:
    word, name = file.split("/")
    return Clip(path=str(base / word / name), labels=(word,), group=name.partition("_nohash_")[0], **_marks(part))


def _marks(part: str) -> dict[str, Any]:
    return {"fold": 1 if part == "test" else None, "validation": part == "validation"}


def _hashed(file: str) -> str:
    return hashlib.sha256(file.encode()).hexdigest()


def _silences(base: Path, part: str, count: int, *, turn: tuple[int, int]) -> list[Clip]:
    """Spread clips of silence evenly over the recordings of a part, which are every third one."""
    number, parts = turn
    recordings = sorted((base / _NOISE).glob("*.wav"))[number::parts]
    if not recordings:
        raise FileNotFoundError(f"{base / _NOISE}: no recording is left for {part}; {_AGAIN}")
    room = [max(0.0, audio.measure(path)[0] - _SECONDS) for path in recordings]
    ends = list(accumulate(room))
    places = (np.arange(count) + 0.5) / max(count, 1) * ends[-1]
    chosen = np.minimum(np.searchsorted(ends, places, side="right"), len(room) - 1)
    starts = np.round(places - np.subtract(ends, room)[chosen], 3)
    return [
        Clip(
            path=str(recordings[which]),
            labels=(_SILENCE,),
            group=f"{_NOISE}/{recordings[which].name}",
            start=float(start),
            end=float(start) + _SECONDS,
            **_marks(part),
        )
        for which, start in zip(chosen, starts, strict=True)
    ]
