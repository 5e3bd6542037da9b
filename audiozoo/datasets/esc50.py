"""ESC-50 and its subset ESC-10: environmental sounds of 5 s in five official folds.

Source: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015, doi:10.1145/2733373.2806390.
"""

from __future__ import annotations

import os
from pathlib import Path

from audiozoo.datasets.clip import Clip
from audiozoo.datasets.sources import source_of
from audiozoo.datasets.table import Dataset, register_dataset
from audiozoo.datasets.unpacked import find_table, read_table

_COLUMNS = {"filename", "fold", "target", "category", "esc10", "src_file"}
# The first release (Ogg) has a few longer clips; the WAV release has the same sounds cut to 5 s.
_SECONDS = 5.0


@register_dataset
def esc50(root: str | os.PathLike[str] | None) -> Dataset:
    """Read ESC-50: 2,000 clips, 50 classes.

    Args:
        root: Folder of the unpacked archive, with `meta/esc50.csv` and with WAV or Ogg files in `audio/`, or its parent.

    Raises:
        FileNotFoundError: The table or a sound is missing.
        ValueError: The table lacks a column.
    """
    rows, audio = _table(root)
    # The order of the official class numbers, so that confusion matrices compare with others.
    labels = {int(row["target"]): row["category"] for row in rows}
    return _dataset("esc50", rows, audio, tuple(labels[target] for target in sorted(labels)))


@register_dataset
def esc10(root: str | os.PathLike[str] | None) -> Dataset:
    """Read ESC-10: 400 clips of ESC-50, 10 classes, licence CC BY 3.0; see `esc50`."""
    rows, audio = _table(root)
    # ESC-10 has no class numbers of its own, hence the alphabetical order.
    rows = [row for row in rows if row["esc10"] == "True"]
    return _dataset("esc10", rows, audio, tuple(sorted({row["category"] for row in rows})))


def _table(root: str | os.PathLike[str] | None) -> tuple[list[dict[str, str]], Path]:
    base, table = find_table(root, ("meta/esc50.csv",), name="ESC-50", inside=("ESC-50-master", "ESC-50"))
    return read_table(table, _COLUMNS, name="ESC-50"), base / "audio"


def _dataset(name: str, rows: list[dict[str, str]], audio: Path, labels: tuple[str, ...]) -> Dataset:
    # One listing of the folder is faster than 2,000 checks whether a file exists.
    present = set(os.listdir(audio)) if audio.is_dir() else set()
    clips = tuple(
        Clip(
            path=str(audio / _present_name(row["filename"], present, audio)),
            labels=(row["category"],),
            fold=int(row["fold"]),
            # Four recordings (131943, 134049, 209698, 234879) have clips of two classes in two folds. The official folds stay,
            # so the group is the recording and its class: no class has a recording in both training and test clips.
            group=f"{row['src_file']}-{row['target']}",
            end=_SECONDS,
        )
        for row in rows
    )
    return Dataset(name=name, clips=clips, labels=labels, licence=source_of(name).licence)


def _present_name(name: str, present: set[str], audio: Path) -> str:
    for candidate in (name, str(Path(name).with_suffix(".ogg"))):
        if candidate in present:
            return candidate
    raise FileNotFoundError(
        f"{audio / name}: meta/esc50.csv names this file, but it is missing, also as .ogg; unpack ESC-50 again"
    )
