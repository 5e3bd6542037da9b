"""ESC-50 and its subset ESC-10: environmental sounds of 5 s, five official folds.

Source: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015, doi:10.1145/2733373.2806390.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

from audiozoo.datasets.table import Clip, Dataset, register_dataset

_COLUMNS = {"filename", "fold", "target", "category", "esc10", "src_file"}
_SECONDS = 5.0  # the first release, in Ogg, has a few longer clips; the WAV release is the same sound cut to 5 s


@register_dataset
def esc50(root: str | os.PathLike[str] | None) -> Dataset:
    """Read ESC-50: 2,000 clips, 50 classes.

    Args:
        root: The unpacked archive, the folder that has `meta/esc50.csv` and `audio/` with WAV or Ogg files.

    Raises:
        FileNotFoundError: The table or a sound of it is missing.
    """
    rows, audio = _table(root)
    labels = {int(row["target"]): row["category"] for row in rows}
    return _dataset("esc50", rows, audio, tuple(labels[target] for target in sorted(labels)), "CC BY-NC 3.0")


@register_dataset
def esc10(root: str | os.PathLike[str] | None) -> Dataset:
    """Read ESC-10: the 400 clips and 10 classes of ESC-50 whose licence is CC BY; see `esc50`."""
    rows, audio = _table(root)
    rows = [row for row in rows if row["esc10"] == "True"]
    return _dataset("esc10", rows, audio, tuple(sorted({row["category"] for row in rows})), "CC BY 3.0")


def _table(root: str | os.PathLike[str] | None) -> tuple[list[dict[str, str]], Path]:
    if root is None:
        raise ValueError("ESC-50 needs root=, the folder that has meta/esc50.csv and audio/")
    for folder in (Path(root), Path(root) / "ESC-50-master", Path(root) / "ESC-50"):
        if (table := folder / "meta" / "esc50.csv").is_file():
            with table.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            if missing := _COLUMNS - set(rows[0] if rows else ()):
                raise ValueError(f"{table}: not the table of ESC-50, it lacks {', '.join(sorted(missing))}")
            return rows, folder / "audio"
    raise FileNotFoundError(
        f"{os.fspath(root)}: no meta/esc50.csv here; root= is the folder into which the ESC-50 archive was unpacked"
    )


def _dataset(name: str, rows: list[dict[str, str]], audio: Path, labels: tuple[str, ...], licence: str) -> Dataset:
    present = set(os.listdir(audio)) if audio.is_dir() else set()
    clips = tuple(
        Clip(
            path=str(audio / _present_name(row["filename"], present, audio)),
            labels=(row["category"],),
            fold=int(row["fold"]),
            # Four recordings of ESC-50 gave clips of two classes to two folds (131943, 134049, 209698, 234879). The folds are
            # official and stay; a recording counts once for each class. No class of ESC-50 is heard on both sides that way.
            group=f"{row['src_file']}-{row['target']}",
            end=_SECONDS,
        )
        for row in rows
    )
    return Dataset(name=name, clips=clips, labels=labels, licence=licence)


def _present_name(name: str, present: set[str], audio: Path) -> str:
    for candidate in (name, str(Path(name).with_suffix(".ogg"))):
        if candidate in present:
            return candidate
    raise FileNotFoundError(f"{audio / name}: named in meta/esc50.csv, but neither it nor an .ogg of it is there")
