"""Speech Commands, version 2: 35 spoken words in clips of at most 1 s.

Source: P. Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", arXiv:1804.03209. Archive:
`speech_commands_v0.02.tar.gz`. Licence: CC BY 4.0.
"""

from __future__ import annotations

import os
from pathlib import Path

from audiozoo.datasets.clip import Clip
from audiozoo.datasets.sources import source_of
from audiozoo.datasets.table import Dataset, register_dataset
from audiozoo.datasets.unpacked import find_table, require_list, require_sounds

_NOT_WORDS = "_"  # The folder of background noise, `_background_noise_`, is not a word.


@register_dataset
def speech_commands(root: str | os.PathLike[str] | None, *, validation_clips: bool = True) -> Dataset:
    """Read Speech Commands v2: 105,829 clips (16-bit mono, 16 kHz) of 35 words.

    There is one fold, the published testing list. The group of a clip is its speaker. The metric is the accuracy.

    Args:
        root: Folder of the unpacked archive, with `testing_list.txt`, `validation_list.txt` and a folder for each word, or its
            parent.
        validation_clips: Whether the clips of the validation list are among the training clips. Training holds out clips of
            its own speakers for validation; it does not use the published list.

    Raises:
        FileNotFoundError: A list or a sound is missing.
    """
    base, table = find_table(root, ("testing_list.txt",), name="Speech Commands v2", inside=("speech_commands_v0.02",))
    test, validation = _listed(table), _listed(base / "validation_list.txt")
    words = sorted(path.name for path in base.iterdir() if path.is_dir() and not path.name.startswith((_NOT_WORDS, ".")))
    present = [f"{word}/{name}" for word in words for name in sorted(os.listdir(base / word)) if name.endswith(".wav")]
    left_out = frozenset(test) | (frozenset() if validation_clips else frozenset(validation))
    clips = (
        *(_clip(base, file, None) for file in present if file not in left_out),
        *(_clip(base, file, 1) for file in test),
    )
    require_sounds(clips, f"unpack all of speech_commands_v0.02.tar.gz into {base}")
    return Dataset(name="speech_commands", clips=clips, labels=tuple(words), licence=source_of("speech_commands").licence)


def _listed(path: Path) -> list[str]:
    require_list(path, "unpack speech_commands_v0.02.tar.gz again")
    return path.read_text(encoding="utf-8").split()


def _clip(base: Path, file: str, fold: int | None) -> Clip:
    word, name = file.split("/")
    return Clip(path=str(base / word / name), labels=(word,), fold=fold, group=name.partition("_nohash_")[0])
